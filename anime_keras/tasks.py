"""What a run does with its model: make pictures from noise, or turn one kind of pictures into another.

`runs.py` counts, saves and resumes, whatever is trained. What it must know of the work itself is here:
which batches a step takes, what is drawn after each epoch, what a score compares.
"""

import zlib
from typing import Any

import numpy as np

from anime_keras import latents, losses, plots, replicas, training
from anime_keras.data.edges import WithBlurredEdges, blur_edges
from anime_keras.data.pipelines import Batches, Pairs

SHEET = 64  # pictures on a sheet of a generator: 8 x 8
PAIRS = 8  # rows on a sheet of a translator, which is there and back in 6 columns
JUDGED = 4  # of these, whose patches are shown with their scores
SIDED = ("fringe", "pose")  # factors whose words change in a mirror
COARSE = 5  # styles of a mixed picture's first layers, up to 16x16


class Generation:
    """Pictures from noise.

    Args:
        settings: of the run.
        images: uint8 (count, size, size, 3), an array or prepared pictures left on disk.
    """

    def __init__(self, settings: Any, images: Any) -> None:
        self.seed = settings.seed
        self.images = images
        self.batches = Batches(images, settings.batch_size, settings.seed, **_fed(settings))
        self.count = len(images)

    def checksum(self) -> int:
        """CRC-32 of all pictures, so that no others are taken on resume."""
        return checksum(self.images)

    def real(self) -> np.ndarray:
        """A sheet of pictures that are learned from."""
        return plots.grid(self.images[:SHEET])

    def sheets(self) -> dict[str, Any]:
        """Name -> what draws that sheet of a model after each epoch: the same latents every time."""
        return {"epoch": self.final}

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


class Styling(Generation):
    """Pictures from styles, which can be mixed."""

    def sheets(self) -> dict[str, Any]:
        """Also faces of two styles each."""
        return {**super().sheets(), "mixed": self.mixed}

    def mixed(self, model: training.Adversarial) -> np.ndarray:
        """The first row and column are faces; where they cross, one has the column's fine styles.

        Coarse are the layers up to 16x16, which see to shape and pose.
        """
        styles = model.styles(latents.draw(5 + 7, model.latent_dim, self.seed))
        coarse, fine = styles[:5], styles[5:]
        corner = np.full((1, model.image_size, model.image_size, 3), 255, "uint8")
        rows = [corner, model.paint(fine)]
        for one in coarse:
            rows += [model.paint(one[None]), model.paint(model.mix(one[None], fine, COARSE))]
        return plots.grid(np.concatenate(rows), columns=1 + len(fine))


class Conditional(Generation):
    """Pictures from noise and words.

    Args:
        settings: of the run.
        images: the pictures, as for `Generation`, and their labels: name -> int (count,), the places
            of words, -1 where one is missing.

    Raises:
        ValueError: labels are not there, or would be wrong of mirrored pictures.
    """

    def __init__(self, settings: Any, images: tuple[Any, dict[str, np.ndarray]]) -> None:
        pictures, labels = images
        super().__init__(settings, pictures)
        names = list(settings.network["attributes"])
        for name in names:
            if name not in labels:
                raise ValueError(f"There are no labels {name!r}: there are {', '.join(labels)}.")
        if settings.flip and (sided := set(names) & set(SIDED)):
            raise ValueError(
                f"A mirrored picture has another {' and '.join(sorted(sided))}: leave out flip."
            )
        self.names = names
        self.batches = Batches(
            pictures,
            settings.batch_size,
            settings.seed,
            labels={name: labels[name] for name in names},
            **_fed(settings),
        )

    def checksum(self) -> int:
        """CRC-32 of all pictures and all labels, so that no others are taken on resume."""
        labels = np.stack(list(self.batches.labels.values())).astype("int64")
        return zlib.crc32(labels, super().checksum())

    def sheets(self) -> dict[str, Any]:
        """Also one person with every word of the first attribute and, if there is one, the second."""
        return {**super().sheets(), "asked": self.asked}

    def asked(self, model: training.Adversarial) -> np.ndarray:
        """A row a word of the first attribute; a column a word of the second, or a person."""
        if len(self.names) > 1:
            sheet = model.sheet(*self.names[:2], seed=self.seed)
        else:
            words = model.attributes[self.names[0]]
            rows = [model.generate(8, self.seed, **{self.names[0]: word}) for word in words]
            sheet = np.stack(rows)
        return plots.grid(sheet.reshape(-1, *sheet.shape[2:]), columns=sheet.shape[1])


class Translation:
    """Pictures of X that become pictures of Y, and back.

    Args:
        settings: of the run.
        images: pictures of X and pictures of Y, each as for `Generation`, unpaired.
    """

    def __init__(self, settings: Any, images: tuple[Any, Any]) -> None:
        self.x, self.y = images
        self.batches = Pairs(self.x, self.y, settings.batch_size, settings.seed, **_fed(settings))
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


class Drawing(Translation):
    """Pictures of X that become pictures of Y, with no way back: also pictures of Y, edges blurred."""

    def __init__(self, settings: Any, images: tuple[Any, Any]) -> None:
        super().__init__(settings, images)
        self.batches = WithBlurredEdges(
            self.x, self.y, settings.batch_size, settings.seed, **_fed(settings)
        )

    def final(self, model: training.Adversarial) -> np.ndarray:
        """Pictures of X, each beside its translation."""
        return plots.grid(model.draw(np.asarray(self.x[: SHEET // 2])), scale=self.scale)

    def patches(self, model: training.Adversarial) -> np.ndarray:
        """What the discriminator thinks, patch by patch: of y, G(x), y in grey, y's edges blurred."""
        x, y = self._examples(JUDGED)
        grey = np.round((np.asarray(losses.grey(y / 127.5 - 1.0)) + 1.0) * 127.5).astype("uint8")
        columns = []
        for images in (y, model.translate(x), grey, blur_edges(y)):
            columns += [images, plots.scored(images, model.judge(images))]
        rows = np.stack(columns, axis=1).reshape(-1, *x.shape[1:])
        return plots.grid(rows, columns=8, scale=self.scale)


def _fed(settings: Any) -> dict[str, Any]:
    """How batches come: mirrored or not; and to one of several processes its part."""
    return {"flip": settings.flip, "part": replicas.place()}


def checksum(images: Any, start: int = 0) -> int:
    """CRC-32 of all pictures, of which only some need be in memory at a time."""
    for first in range(0, len(images), 1024):
        start = zlib.crc32(np.ascontiguousarray(images[first : first + 1024]), start)
    return start
