"""What a run does with its model: make pictures from noise, or turn one kind of pictures into another.

`runs.py` counts, saves and resumes, whatever is trained. What it must know of the work itself is here:
which batches a step takes, what is drawn after each epoch, what a score compares.
"""

import zlib
from typing import Any

import numpy as np

from anime_keras import latents, plots, training
from anime_keras.data.pipelines import Batches, Pairs

SHEET = 64  # pictures on a sheet of a generator: 8 x 8
PAIRS = 8  # rows on a sheet of a translator, which is there and back in 6 columns
JUDGED = 4  # of these, whose patches are shown with their scores


class Generation:
    """Pictures from noise.

    Args:
        settings: of the run.
        images: uint8 (count, size, size, 3), an array or prepared pictures left on disk.
    """

    def __init__(self, settings: Any, images: Any) -> None:
        self.seed = settings.seed
        self.images = images
        self.batches = Batches(images, settings.batch_size, settings.seed, flip=settings.flip)
        self.count = len(images)

    def checksum(self) -> int:
        """CRC-32 of all pictures, so that no others are taken on resume."""
        return checksum(self.images)

    def real(self) -> np.ndarray:
        """A sheet of pictures that are learned from."""
        return plots.grid(self.images[:SHEET])

    def sheets(self) -> dict[str, Any]:
        """Name -> what draws that sheet of a model after each epoch: the same latents every time."""

        def faces(model: training.Adversarial) -> np.ndarray:
            return plots.grid(model.draw(latents.draw(SHEET, model.latent_dim, self.seed)))

        return {"epoch": faces}

    def final(self, model: training.Adversarial) -> np.ndarray:
        """A sheet of what the trained model can do."""
        return plots.grid(model.generate(SHEET, seed=self.seed))

    def compared(self) -> tuple[Any, Any]:
        """Real pictures, and what draws so many of a model's, for scores on the way."""
        return self.images, lambda model, count: model.generate(count, seed=0)


class Coding(Generation):
    """Pictures from codes, and from pictures their codes."""

    def sheets(self) -> dict[str, Any]:
        """Also pictures that are learned from, each beside what comes back of it."""
        return {**super().sheets(), "back": self.back}

    def back(self, model: training.Adversarial) -> np.ndarray:
        """Pictures, and what the decoder makes of the means of their codes, side by side."""
        images = np.asarray(self.images[: SHEET // 2])
        rows = np.stack([images, model.reconstruct(images)], axis=1)
        return plots.grid(rows.reshape(-1, *images.shape[1:]))


class Translation:
    """Pictures of X that become pictures of Y, and back.

    Args:
        settings: of the run.
        images: pictures of X and pictures of Y, each as for `Generation`, unpaired.
    """

    def __init__(self, settings: Any, images: tuple[Any, Any]) -> None:
        self.x, self.y = images
        self.batches = Pairs(self.x, self.y, settings.batch_size, settings.seed, flip=settings.flip)
        self.count = max(len(self.x), len(self.y))
        self.scale = max(1, 128 // settings.size)  # small pictures are shown larger

    def checksum(self) -> int:
        """CRC-32 of all pictures of both, so that no others are taken on resume."""
        return checksum(self.y, checksum(self.x))

    def real(self) -> np.ndarray:
        """A sheet of pictures that are learned from: X's above, Y's below."""
        half = SHEET // 2
        return plots.grid(np.concatenate([self.x[:half], self.y[:half]]))

    def _examples(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        return np.asarray(self.x[:count]), np.asarray(self.y[:count])

    def sheets(self) -> dict[str, Any]:
        """Name -> what draws that sheet of a model after each epoch: the same pictures every time."""
        return {"epoch": self.final, "patches": self.patches}

    def final(self, model: training.Adversarial) -> np.ndarray:
        """There and back: x, G(x), F(G(x)), y, F(y), G(F(y)) a row."""
        return plots.grid(model.draw(self._examples(PAIRS)), columns=6, scale=self.scale)

    def patches(self, model: training.Adversarial) -> np.ndarray:
        """What the discriminators think, patch by patch: of y and G(x), of x and F(y) a row."""
        x, y = self._examples(JUDGED)
        columns = []
        for domain, real, fake in (
            ("y", y, model.translate(x, "x2y")),
            ("x", x, model.translate(y, "y2x")),
        ):
            border = model.border
            for images in (real, fake):
                columns += [images, plots.scored(images, model.judge(images, domain), border)]
        rows = np.stack(columns, axis=1).reshape(-1, *x.shape[1:])
        return plots.grid(rows, columns=8, scale=self.scale)

    def compared(self) -> tuple[Any, Any]:
        """Pictures of Y, and what draws so many of X in their manner, for scores on the way."""
        return self.y, lambda model, count: model.translate(np.asarray(self.x[:count]))


def checksum(images: Any, start: int = 0) -> int:
    """CRC-32 of all pictures, of which only some need be in memory at a time."""
    for first in range(0, len(images), 1024):
        start = zlib.crc32(np.ascontiguousarray(images[first : first + 1024]), start)
    return start
