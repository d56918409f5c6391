"""Pictures to look at in their order, without holding them all: drawn ones, and those of a folder.

Each has a length and a shape, and gives uint8 (n, height, width, 3) when it is sliced, like an array
and like the prepared pictures of `records.py`. `fingerprint` tells whether two are the same.
"""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anime_keras.data import archives, folders, labels, people, reading, records, rendering
from anime_keras.data.people import FACTORS

STYLES = {"rendered": "anime", "anime": "anime", "portraits": "portrait"}
"""What commands call drawn faces -> the style they are drawn in."""
DRAWN = 10_000  # faces, where nobody says how many
_AGAIN = "Leave the folder as it is meanwhile, and do it again."
_DRAWING = ("people", "stencils", "anime", "portrait", "rendering")


class Rendered:
    """Faces that are drawn when they are asked for: those of `render` with the same arguments."""

    dtype = np.dtype(np.uint8)

    def __init__(
        self, count: int, size: int = 64, style: str = "anime", seed: int = 0, start: int = 0
    ) -> None:
        self.shape = (count, size, size, 3)
        self.style, self.seed, self.start = style, seed, start

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The pictures of a slice."""
        start, stop, step = rows.indices(len(self))
        drawn = rendering.render(
            max(stop - start, 0), self.shape[1], self.style, self.seed, self.start + start
        )
        return drawn.images[::step]

    def fingerprint(self) -> str:
        """SHA-256 of what decides every pixel: the arguments, and the code that draws."""
        code = sorted(Path(rendering.__file__).parent.glob("*.py"))
        drawing = [p for p in code if p.stem.split("_")[0] in _DRAWING]
        digest = hashlib.sha256(
            repr(
                (self.shape, self.style, self.seed, self.start, cv2.__version__, np.__version__)
            ).encode()
        )
        for path in drawing:
            digest.update(path.read_bytes())
        return digest.hexdigest()


class Folder:
    """The pictures of a folder, at any depth, in the order of their names, none of them resized.

    Where it holds a folder `images`, those in there, as `data render` writes them.

    Attributes:
        paths: of each.
        rejected: files that cannot be read, each with the reason.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are no pictures in it, or they are not all of one size.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, folder: str | Path, limit: int | None = None) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"There is no folder {folder}.")
        self.folder = folder
        if (folder / "images").is_dir():
            folder = folder / "images"
        names = folders.pictures_in(folder)[:limit]
        self.paths: list[Path] = []
        self.rejected: dict[Path, str] = {}
        shape = None
        for path, found in folders.each(lambda path: (path, _shape(path)), folder, names):
            if isinstance(found, str):
                self.rejected[path] = found
                continue
            if shape is not None and found != shape:
                raise ValueError(
                    f"The pictures in {folder} are of mixed sizes: {self.paths[0].name} is "
                    f"{shape[1]}x{shape[0]}, {path.name} {found[1]}x{found[0]}. Bring them to "
                    "one size in the same way as those they are compared with, such as with "
                    "python -m anime_keras data prepare."
                )
            shape = found
            self.paths.append(path)
        if shape is None:
            first = next(iter(self.rejected.items()), None)
            found = (
                f", but {len(self.rejected)} files such as {first[0]}: {first[1]}" if first else ""
            )
            raise ValueError(f"There are no pictures in {folder}{found}.")
        self.shape = (len(self.paths), *shape, 3)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The pictures of a slice."""
        images = np.empty((len(range(*rows.indices(len(self)))), *self.shape[1:]), np.uint8)
        with ThreadPoolExecutor() as pool:
            for out, image in zip(images, pool.map(self._read, self.paths[rows]), strict=True):
                out[:] = image
        return images

    def _read(self, path: Path) -> np.ndarray:
        try:
            image = reading.read(path)
        except reading.Unreadable as reason:
            raise ValueError(
                f"{path} could be read, and cannot any more: {reason}. {_AGAIN}"
            ) from None
        if image.shape != self.shape[1:]:
            raise ValueError(f"{path} has another size than it had. {_AGAIN}")
        return image

    def labels(self) -> dict[str, np.ndarray]:
        """What the folder's labels.csv says: factor -> index of the word (count,), -1 for unknown.

        Columns that are no factor of `data.FACTORS` are passed over. Without the file: empty.

        Raises:
            ValueError: the file cannot be read, fits no picture, or has a word that a factor has not.
        """
        if not (self.folder / "labels.csv").is_file():
            return {}
        names = [path.relative_to(self.folder).as_posix() for path in self.paths]
        rows = labels.table(archives.Folder(self.folder), "labels.csv")
        words = labels.match(rows, names).words
        found: dict[str, np.ndarray] = {}
        for row, name in enumerate(names):
            for factor, word in words.get(name, {}).items():
                if factor not in FACTORS:
                    continue
                if word not in FACTORS[factor]:
                    raise ValueError(
                        f"{self.folder / 'labels.csv'} says {factor} {word!r} of {name}: choose from "
                        f"{', '.join(FACTORS[factor])}, or leave it empty."
                    )
                found.setdefault(factor, np.full(len(names), -1))
                found[factor][row] = FACTORS[factor].index(word)
        return found

    def fingerprint(self) -> str:
        """SHA-256 of all files, in their order."""
        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def _shape(path: Path) -> tuple[int, int] | str:
    """Height and width of a file's picture, or why it has none. Read whole: half a file has a size."""
    try:
        return reading.read(path).shape[:2]
    except reading.Unreadable as reason:
        return str(reason)


def collection(
    data: str | Path, limit: int | None = None, size: int = 64, seed: int = 0, split: str = "train"
) -> Any:
    """Pictures by what a command calls them.

    Args:
        data: a name out of `STYLES` for drawn ones, a folder that `prepare` wrote, or any folder.
        limit: at most so many; of drawn ones so many, `DRAWN` by default.
        size: of drawn ones.
        seed: of drawn ones.
        split: of prepared ones.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no pictures, pictures of several sizes, or not that split.
    """
    if style := STYLES.get(str(data)):
        return Rendered(limit or DRAWN, size, style, seed)
    if (Path(data) / records.MANIFEST).is_file():
        return records.Prepared.open(data).pictures(split).first(limit)
    return Folder(data, limit)


def known_labels(
    data: str | Path, limit: int | None = None, seed: int = 0, split: str = "train"
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]]]:
    """What is known of the pictures of `collection` with the same arguments, without looking at them.

    Returns:
        Label -> int64 (count,), the place of its word, or -1 where it is unknown; label -> its words.

    Raises:
        ValueError: there are no labels, or not that split.
    """
    if str(data) in STYLES:
        return people.sample(limit or DRAWN, seed).factors, dict(FACTORS)
    found = {}
    if (Path(data) / records.MANIFEST).is_file():
        prepared = records.Prepared.open(data)
        found = {name: places[:limit] for name, places in prepared.labels(split).items()}
    if not found:
        raise ValueError(
            f"There are no labels in {data}. Make records of it, which keep those that come with "
            f"pictures: python -m anime_keras data prepare {data} --out prepared"
        )
    return found, prepared.label_names


def name(data: str | Path) -> str:
    """A short name for it on a report: no path tells where somebody keeps their pictures."""
    return re.sub(r"[^\w .-]", "_", Path(str(data)).name) or "pictures"


def fingerprint(pictures: Any) -> str:
    """SHA-256 that tells whether two collections, or arrays, hold the same pictures in one order."""
    if hasattr(pictures, "fingerprint"):
        return pictures.fingerprint()
    digest = hashlib.sha256(repr((pictures.shape, str(pictures.dtype))).encode())
    for start in range(0, len(pictures), 1024):
        digest.update(np.ascontiguousarray(pictures[start : start + 1024]))
    return digest.hexdigest()
