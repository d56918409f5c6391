"""The part of `prepare` that looks at every picture: read, find faces, check, cut, hash.

It is done in chunks of a few dozen files. What came of a chunk is one file, which appears whole or
not at all, under a name that says of which files and settings it came. So work that was interrupted,
by whatever, goes on where it was, and comes to the same result.
"""

import hashlib
import json
import math
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from anime_keras.data import duplicates, reading
from anime_keras.data import faces as faces_module
from anime_keras.data.folders import square
from anime_keras.data.records import replacing
from anime_keras.data.sources import Item, Source

CHUNK = 64  # files; their work is lost when the power goes
LEAST_CONTRAST = 3.0
"""Standard deviation of the strongest colour channel, of 255, below which a picture is blank. The
faintest of 7,656 anime faces, a pencil sketch hardly to be seen, has 7."""
LEAST_SHARPNESS = 0.2
"""`sharpness` below which a picture is blurred. The softest of 7,656 anime faces has 0.25, of 631
portraits 0.43, and both look soft but whole. Blurred by a Gaussian of 1.5 pixels (of 64), 19 of 20
anime faces and all portraits fall below."""


class Stopped(Exception):
    """The user does not want to wait for the rest."""


class Reason(NamedTuple):
    """Why a file or a face is left out: at which step, in one phrase."""

    step: str
    text: str


@dataclass(frozen=True)
class Crop:
    """A picture as it will be used.

    Attributes:
        hash: uint64 (2,), of `duplicates.perceptual_hash`.
        side: how many pixels of the file its side was.
        face: the box, score and landmarks it was cut out by, as plain lists; None without.
        rejected: why it is left out, or None.
    """

    hash: np.ndarray
    side: float
    face: dict[str, Any] | None
    rejected: Reason | None


@dataclass(frozen=True)
class Seen:
    """What came of one file.

    Attributes:
        sha256: of its bytes, in hexadecimal; "" if there are none to be had.
        crops: one, or one for each face.
        rejected: why there is none, or None.
    """

    sha256: str
    crops: tuple[Crop, ...] = ()
    rejected: Reason | None = None


@dataclass(frozen=True)
class Looker:
    """Looks at pictures in one way.

    Attributes:
        size: side of the result in pixels.
        least_side: pixels of the file that must make up the side of a result.
        least_sharpness: see `LEAST_SHARPNESS`.
        margin: of `faces.align`.
        detector: finds faces; None takes the middle square instead.
    """

    size: int
    least_side: int
    least_sharpness: float = LEAST_SHARPNESS
    margin: float = 1.0
    detector: Any = None

    def look(
        self, source: Source, items: Sequence[Item], stop: threading.Event | None = None
    ) -> tuple[list[Seen], np.ndarray]:
        """Look at some files.

        Returns:
            What came of each; and all their crops that are not rejected, uint8 (crops, size, size, 3).

        Raises:
            Stopped: `stop` was set meanwhile.
        """
        seen, images = [], []
        for item, sha256, image, found in self._open(source, items):
            if stop and stop.is_set():
                raise Stopped
            if isinstance(image, Reason):
                seen.append(Seen(sha256, rejected=image))
                continue
            # The words for a picture describe one face, and the best found is most likely that one.
            limit = 1 if item.labels else None
            crops = []
            for cut, crop in self._cut(image, found and found[:limit]):
                crops.append(crop)
                if crop.rejected is None:
                    images.append(cut)
            if crops:
                seen.append(Seen(sha256, tuple(crops)))
            else:
                seen.append(Seen(sha256, rejected=Reason("find faces", "no face was found")))
        empty = np.empty((0, self.size, self.size, 3), np.uint8)
        return seen, np.stack(images) if images else empty

    def _open(self, source: Source, items: Sequence[Item]) -> Iterator[tuple]:
        """Item, checksum, picture or reason, faces. A detector that can is shown many at once."""
        waiting: list[tuple[Item, str, Any]] = []
        pixels = 0
        for item in items:
            sha256, image = "", None
            try:
                content = source.read_bytes(item)
                sha256 = hashlib.sha256(content).hexdigest()
                image = reading.read(content)
                pixels += image.size // 3
            except reading.Unreadable as reason:
                image = Reason("open", str(reason))
            waiting.append((item, sha256, image))
            if self.detector is None or pixels > 4_000_000:  # a large picture is not kept for long
                yield from self._find(waiting)
                waiting, pixels = [], 0
        yield from self._find(waiting)

    def _find(self, waiting: list[tuple[Item, str, Any]]) -> Iterator[tuple]:
        images = [image for *_, image in waiting if not isinstance(image, Reason)]
        if self.detector is None:
            found = iter([None] * len(images))
        elif hasattr(self.detector, "find_all"):
            found = iter(self.detector.find_all(images))
        else:
            found = (self.detector.find(image) for image in images)
        for item, sha256, image in waiting:
            yield item, sha256, image, None if isinstance(image, Reason) else next(found)

    def _cut(
        self, image: np.ndarray, found: list[faces_module.Face] | None
    ) -> Iterator[tuple[np.ndarray | None, Crop]]:
        if found is None:
            yield self._check(lambda: square(image, self.size), min(image.shape[:2]), image, None)
            return
        for face in found:
            side = self.side(face)
            plain = {
                "box": [float(v) for v in face.box],
                "score": float(face.score),
                "landmarks": np.asarray(face.landmarks, float).tolist(),
            }
            yield self._check(
                lambda face=face: faces_module.align(image, face, self.size, self.margin),
                side,
                None,
                plain,
            )

    def side(self, face: faces_module.Face) -> float:
        """How many of a picture's pixels make up the side of an aligned face."""
        (x, y), (u, v) = np.asarray(face.landmarks, float)
        left, right = faces_module.EYES
        return math.hypot(u - x, v - y) / (right[0] - left[0]) * self.margin

    def _check(
        self,
        cut: Callable[[], np.ndarray],
        side: float,
        whole: np.ndarray | None,
        face: dict[str, Any] | None,
    ) -> tuple[np.ndarray | None, Crop]:
        nothing = np.zeros(2, np.uint64)
        if side < self.least_side:
            size = f"{whole.shape[1]}x{whole.shape[0]}" if whole is not None else f"{side:.0f}"
            text = f"too small: {size} pixels, where {self.least_side} are needed"
            if face:
                text = f"the face is {text}"
            return None, Crop(nothing, side, face, Reason("size", text))
        image = cut()
        if contrast(image) < LEAST_CONTRAST:
            return None, Crop(nothing, side, face, Reason("blank", "blank: one colour all over"))
        found = sharpness(image)
        if found < self.least_sharpness:
            text = f"blurred: sharpness {found:.3f}, where {self.least_sharpness:g} is needed"
            return None, Crop(nothing, side, face, Reason("blurred", text))
        return image, Crop(duplicates.perceptual_hash(image), side, face, None)


def contrast(image: np.ndarray) -> float:
    """Standard deviation of the strongest of the channels of uint8 (height, width, 3): 0 to 127.5."""
    return float(cv2.meanStdDev(image)[1].max())


def sharpness(image: np.ndarray) -> float:
    """How much of a picture's contrast is between neighbouring pixels.

    The standard deviation of the Laplacian (Pech-Pacheco et al. 2000) over that of the picture
    itself, so that a faint picture is not taken for a blurred one. A picture of more than 64 pixels is
    looked at in that size, since the larger it is, the smoother any picture gets from pixel to pixel.

    Args:
        image: uint8 (size, size, 3), RGB.

    Returns:
        0 for a blank picture, about 0.7 for a face of 64 pixels, 4.5 for white noise.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if len(grey) > 64:
        grey = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
    deviation, edges = (
        cv2.meanStdDev(image)[1].item() for image in (grey, cv2.Laplacian(grey, cv2.CV_32F))
    )
    return edges / max(deviation, 1e-6)


# --- chunks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chunk:
    """Some files of a source, and the file that tells what came of them.

    Attributes:
        start: place of the first of them in the source.
        items: the files.
        path: where the result is or will be.
        size: side of its pictures in pixels.
    """

    start: int
    items: Sequence[Item]
    path: Path
    size: int

    def read(self) -> list[Seen]:
        """What came of each file; raises `ValueError` or `OSError` if that is not known (any more)."""
        with self.path.open("rb") as file:
            return [_seen(plain) for plain in json.loads(file.readline())]

    def is_done(self) -> bool:
        """Whether the work is done and its result can be read."""
        try:
            with self.path.open("rb") as file:
                seen = json.loads(file.readline())
                crops = sum(crop["rejected"] is None for one in seen for crop in one["crops"])
                rest = os.fstat(file.fileno()).st_size - file.tell()
                # After a power cut a file may have its name and lack its content.
                return len(seen) == len(self.items) and rest == crops * self.size**2 * 3
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def image(self, place: int) -> np.ndarray:
        """Crop number `place` of those that are not rejected: uint8 (size, size, 3)."""
        length = self.size**2 * 3
        with self.path.open("rb") as file:
            file.readline()
            file.seek(place * length, os.SEEK_CUR)
            return np.frombuffer(file.read(length), np.uint8).reshape(self.size, self.size, 3)

    def write(self, seen: Sequence[Seen], images: np.ndarray) -> None:
        """Put the result into its place."""
        head = json.dumps([_plain(one) for one in seen]).encode() + b"\n"
        # Under a name of its own, should two machines be at the same chunk.
        beside = f"{socket.gethostname()}-{os.getpid()}-{self.path.name}.partial"
        with replacing(self.path, beside) as partial, partial.open("wb") as file:
            file.write(head)
            file.write(images.tobytes())


def chunks(
    items: Sequence[Item], stamps: Sequence[Any], settings: dict[str, Any], folder: Path
) -> list[Chunk]:
    """All of a source's files in portions.

    Args:
        items: of the source.
        stamps: what tells an item's file from a changed one of that name.
        settings: what the result depends on besides, with the `size` among it.
        folder: for the results.
    """
    found = []
    for start in range(0, len(items), CHUNK):
        part = items[start : start + CHUNK]
        names = [(item.name, bool(item.labels)) for item in part]
        key = json.dumps([settings, names, list(stamps[start : start + CHUNK])], sort_keys=True)
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        path = folder / f"{digest[:32]}.chunk"
        found.append(Chunk(start, part, path, settings["size"]))
    return found


def work(
    todo: Sequence[Chunk],
    source: Source,
    looker: Looker,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Do chunks, on all cores.

    Threads, not processes: most of the time is spent in OpenCV, Pillow and the network, which let go
    of Python's lock. Threads start at once, share one network, and work in a notebook on every system.

    Args:
        todo: the chunks.
        source: where their files are.
        looker: what to do with them.
        workers: threads; as many as cores unless told.
        progress: called with the number of files done, after each chunk.
    """
    workers = workers or os.cpu_count() or 1
    stop = threading.Event()

    def run(chunk: Chunk) -> int:
        with suppress(Stopped):
            chunk.write(*looker.look(source, chunk.items, stop))
        return len(chunk.items)

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the cores are busy with a picture each already
    pool = ThreadPoolExecutor(workers)
    waiting: set[Future] = set()
    try:
        for chunk in todo:
            waiting.add(pool.submit(run, chunk))
            if len(waiting) >= 2 * workers:
                waiting = _settle(waiting, progress)
        while waiting:
            waiting = _settle(waiting, progress)
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(before)


def _settle(waiting: set[Future], progress: Callable[[int], None] | None) -> set[Future]:
    done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        count = future.result()
        if progress:
            progress(count)
    return waiting


def _plain(seen: Seen) -> dict[str, Any]:
    return {
        "sha256": seen.sha256,
        "rejected": seen.rejected,
        "crops": [
            {**crop.__dict__, "hash": [int(half) for half in crop.hash]} for crop in seen.crops
        ],
    }


def _seen(plain: dict[str, Any]) -> Seen:
    def reason(pair: list | None) -> Reason | None:
        return pair and Reason(*pair)

    crops = (
        Crop(
            np.array(crop["hash"], np.uint64), crop["side"], crop["face"], reason(crop["rejected"])
        )
        for crop in plain["crops"]
    )
    return Seen(plain["sha256"], tuple(crops), reason(plain["rejected"]))
