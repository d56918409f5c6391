"""Any folder of pictures, read into memory."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from anime_keras.data import archives, reading
from anime_keras.data.reading import SUFFIXES

SMALLEST = 16  # pixels a side; what is smaller shows no face


class Pictures(NamedTuple):
    """What a folder held.

    Attributes:
        images: uint8 (count, size, size, 3), RGB.
        paths: where each came from.
        rejected: files that are no readable picture, each with the reason.
    """

    images: np.ndarray
    paths: list[Path]
    rejected: dict[Path, str]


def pictures_in(folder: Path) -> list[str]:
    """The names of the files in a folder, at any depth, that are called like pictures, in order.

    That of their paths: what is in `a` comes before what is in `a-b`.
    """
    names = archives.Folder(folder).names
    names = [name for name in names if name.lower().endswith(SUFFIXES)]
    return sorted(names, key=lambda name: name.replace("/", "\0"))


def each(function: Callable[[Path], Any], folder: Path, names: Sequence[str]) -> Iterator[Any]:
    """What a function makes of each file, in order, on all cores: OpenCV decodes outside Python's lock.

    A few hundred at a time, so that a million names take no more memory than their letters.
    """
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(names), 256):
            yield from pool.map(function, [folder / name for name in names[start : start + 256]])


def square(image: np.ndarray, size: int) -> np.ndarray:
    """The middle square of a picture, resized without aliasing; uint8 (size, size, channels)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image = image[top : top + side, left : left + side]
    method = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=method)


def _read(path: Path, size: int) -> np.ndarray | str:
    """The picture of a file, or the reason why there is none."""
    try:
        image = reading.read(path)
    except reading.Unreadable as reason:
        return str(reason)
    if min(image.shape[:2]) < SMALLEST:
        return f"too small: {image.shape[1]}x{image.shape[0]} pixels"
    return square(image, size)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keep OpenCV from writing to the terminal what `rejected` says more clearly."""
    # The function moved during OpenCV 4.
    set_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
    before = set_level(0)  # silent
    try:
        yield
    finally:
        set_level(before)


def load(
    folder: str | Path,
    size: int = 64,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Pictures:
    """Read all pictures of a folder, at any depth, as middle squares of one size.

    Args:
        folder: where they lie; hidden files and those without a picture's suffix are passed over.
        size: side in pixels to resize to.
        limit: read at most so many, in the order of their names.
        progress: called as progress(done, total) on the way.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no picture in it could be read, or a folder in it not be opened; the message
            says what was found instead.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    names = pictures_in(folder)
    kept, rejected = [], {}
    sheet = "sheet.png"
    if sheet in names and (folder / "labels.csv").is_file() and (folder / "images").is_dir():
        names.remove(sheet)
        rejected[folder / sheet] = "the sheet of all faces that data render writes, itself no face"
    names = names[:limit]
    images = np.empty((len(names), size, size, 3), np.uint8)
    with silence():
        read = each(lambda path: (path, _read(path, size)), folder, names)
        for done, (path, image) in enumerate(read, 1):
            if isinstance(image, str):
                rejected[path] = image
            else:
                images[len(kept)] = image
                kept.append(path)
            if progress:
                progress(done, len(names))
    if not kept:
        first = next(iter(rejected.items()), None)
        found = (
            f"{len(rejected)} files that cannot be read, such as {first[0]}: {first[1]}"
            if first
            else "no file"
        )
        raise ValueError(
            f"There are no pictures in {folder}: {found}. "
            f"Looked for {', '.join(SUFFIXES)} at any depth."
        )
    return Pictures(images[: len(kept)], kept, rejected)
