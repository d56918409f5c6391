"""Drawings whose outlines are blurred: what a discriminator is to take for no drawing.

Clear outlines are a small part of a drawing, and a discriminator that is shown only drawings and
translated photographs may overlook them. Among what it must call fake are therefore drawings that
lack nothing else. Source: Chen et al. 2018, "CartoonGAN", section 3.2.1: find the edges, widen them,
blur what lies there. Numbers are those of the script that AnimeGAN took over (`edge_smooth.py`).
"""

from typing import Any

import cv2
import numpy as np

from anime_keras.data.pipelines import Batches, Pairs

LOW, HIGH = 100, 200  # Canny's thresholds: an edge begins above HIGH and goes on above LOW
REACH = 5  # pixels: by how much edges are widened, and how far the Gaussian reaches


def blur_edges(images: np.ndarray) -> np.ndarray:
    """Blur pictures where they have edges, and nowhere else.

    Canny's detector (1986) finds edges on the grey picture, a square of 5 x 5 widens them, and there
    a Gaussian of 5 x 5, the binomials (1, 4, 6, 4, 1) / 16 each way, blurs.

    Args:
        images: uint8 (count, height, width, 3), RGB.

    Returns:
        uint8, of the same shape.

    Raises:
        ValueError: these are no such pictures.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            "Pictures must be uint8 of shape (count, height, width, 3), "
            f"not {images.dtype} of shape {images.shape}."
        )
    return np.stack([_blurred(image) for image in images]) if len(images) else images.copy()


def find_edges(image: np.ndarray) -> np.ndarray:
    """Where a picture, uint8 (height, width, 3), is near an edge: bool (height, width)."""
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), LOW, HIGH)
    return cv2.dilate(edges, np.ones((REACH, REACH), np.uint8)) > 0


def _blurred(image: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(image)
    soft = cv2.GaussianBlur(image, (REACH, REACH), 0, borderType=cv2.BORDER_REFLECT_101)
    return np.where(find_edges(image)[..., None], soft, image)


class EdgeBlurred:
    """Pictures with blurred edges, made when they are asked for: `Batches` takes them as pictures.

    At 64 pixels a picture takes a twentieth of a millisecond, less than to read it from a disk.

    Attributes:
        shape: (count, height, width, 3).
        dtype: uint8.
    """

    def __init__(self, images: Any) -> None:
        self.images = images
        self.shape = tuple(images.shape)
        self.dtype = images.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """The pictures of a slice, or of an array of numbers."""
        return blur_edges(np.asarray(self.images[rows]))


class WithBlurredEdges(Pairs):
    """Batches of X, of Y, and of pictures of Y with blurred edges: what AnimeGAN learns from.

    The blurred ones go round in an order of their own, so that a step seldom sees a picture both
    ways. Batch number n is a pure function of (seed, n), as in `Pairs`, whose arguments it takes.
    """

    def __init__(self, x: Any, y: Any, batch_size: int = 12, seed: int = 0, **options: Any) -> None:
        super().__init__(x, y, batch_size, seed, **options)
        self.blurred = Batches(EdgeBlurred(y), batch_size, seed + 2, **options)

    def batch(self, number: int) -> tuple[Any, Any, Any]:
        """Batch `number` of the endless stream: X's, Y's and the blurred ones."""
        return *super().batch(number), self.blurred.batch(number)

    def dataset(self, start: int = 0) -> Any:
        """An endless `tf.data.Dataset` of these triples from number `start` on."""
        import tensorflow as tf

        parts = (self.x, self.y, self.blurred)
        return tf.data.Dataset.zip(tuple(part.dataset(start) for part in parts))
