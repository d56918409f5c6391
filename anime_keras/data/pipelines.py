"""From pictures in memory to the batches that a network sees.

Which pictures form batch number n is a pure function of (seed, n). Training that stops after any
step can therefore go on with exactly the batch that would have come next, without a shuffle buffer
whose contents would have to be saved.
"""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np


def normalize(images: np.ndarray) -> np.ndarray:
    """Pictures from uint8 0..255 to float32 [-1, 1], the range of the generator's tanh."""
    return images.astype("float32") / 127.5 - 1.0


class Batches:
    """Endless shuffled batches of pictures, of which any can be asked for by its number.

    Args:
        images: uint8 (count, size, size, 3), RGB.
        batch_size: pictures a batch. What is left over at the end of an epoch is dropped, so that
            all batches have one shape; another shuffle drops others.
        seed: of the order and the flips.
        flip: mirror each picture with probability one half.

    Raises:
        ValueError: there are fewer pictures than a batch holds, or they are not uint8 RGB.
    """

    def __init__(
        self, images: np.ndarray, batch_size: int = 64, seed: int = 0, flip: bool = False
    ) -> None:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                "Pictures must be uint8 of shape (count, height, width, 3), "
                f"not {images.dtype} of shape {images.shape}."
            )
        if not 1 <= batch_size <= len(images):
            raise ValueError(
                f"A batch of {batch_size} cannot be made from {len(images)} pictures: "
                "use a smaller batch or more pictures."
            )
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.flip = flip
        self._order = functools.lru_cache(maxsize=2)(self._shuffle)

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the pictures."""
        return len(self.images) // self.batch_size

    def _shuffle(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng((self.seed, epoch))
        return random.permutation(len(self.images)), random.random(len(self.images)) < 0.5

    def batch(self, number: int) -> np.ndarray:
        """Batch `number` of the endless stream: float32 (batch_size, size, size, 3) in [-1, 1]."""
        epoch, place = divmod(number, self.per_epoch)
        order, mirrored = self._order(epoch)
        chosen = order[place * self.batch_size : (place + 1) * self.batch_size]
        images = self.images[chosen]
        if self.flip:
            turned = mirrored[chosen]
            images[turned] = images[turned, :, ::-1]
        return normalize(images)

    def __iter__(self) -> Iterator[np.ndarray]:
        """One epoch of batches, the first."""
        return (self.batch(number) for number in range(self.per_epoch))

    def dataset(self, start: int = 0) -> Any:
        """An endless `tf.data.Dataset` of these batches from number `start` on, two prepared ahead."""
        import tensorflow as tf

        def batch(number: Any) -> Any:
            images = tf.numpy_function(self.batch, [number], tf.float32)
            return tf.ensure_shape(images, (self.batch_size, *self.images.shape[1:]))

        numbers = tf.data.Dataset.range(start, np.iinfo(np.int64).max)
        return numbers.map(batch).prefetch(2)
