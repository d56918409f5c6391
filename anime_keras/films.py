"""Films, frame by frame: read, change each frame, write, with only a few frames in memory.

    film = films.Film("walk.mp4")
    films.convert(film, "out.mp4", lambda frame: 255 - frame)

OpenCV reads and writes videos, without their sound. GIFs are read and written by Pillow, because in
them each frame has its own duration and transparency.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import cv2
import numpy as np
from PIL import GifImagePlugin, Image

from anime_keras import files
from anime_keras.data.folders import silence
from anime_keras.data.reading import Unreadable

# FFmpeg, inside OpenCV, would write to the terminal what `Unreadable` says more clearly.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv")
"""What a video's name ends in. A GIF may be a film or a picture: see `is_film`."""

FPS = 25.0  # of a video that does not say
LEAST_DURATION = 0.02  # seconds; browsers show a shorter frame of a GIF, or one of none, for 0.1


def is_film(path: str | Path) -> bool:
    """Whether a file is a film by its suffix, or a GIF of more than one frame."""
    path = Path(path)
    if path.suffix.lower() != ".gif":
        return path.suffix.lower() in SUFFIXES
    try:
        with GifImagePlugin.GifImageFile(path) as gif:
            return gif.n_frames > 1
    except Exception:  # whatever is wrong with it, who reads it as a picture will say
        return False


def suffix(path: str | Path) -> str:
    """What a film that is made from this one ends in: ".gif" for a GIF, else ".mp4"."""
    return ".gif" if Path(path).suffix.lower() == ".gif" else ".mp4"


class Film:
    """A video or an animated GIF, read a frame at a time.

    Iterating gives (frame, seconds): uint8 (height, width, 3), RGB, upright, and how long it is shown.

    Attributes:
        path: of the file.
        frames: how many there should be, or None if the file does not say.
        suffix: of films that are made from it, ".gif" or ".mp4".

    Raises:
        Unreadable: it cannot be opened as a film.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise Unreadable("there is no such file")
        if not self.path.stat().st_size:
            raise Unreadable("the file is empty")
        self.suffix = suffix(path)
        if self.suffix == ".gif":
            with self._gif() as gif:
                self.frames = gif.n_frames
        else:
            video = self._video()
            count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
            self.frames = count if count > 0 else None
            video.release()

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        return self._gif_frames() if self.suffix == ".gif" else self._video_frames()

    def _gif(self) -> GifImagePlugin.GifImageFile:
        try:
            gif = GifImagePlugin.GifImageFile(self.path)
            gif.n_frames  # noqa: B018  looks through the whole file
            return gif
        except Exception as error:  # Pillow's decoders raise whatever comes up in them
            raise Unreadable(f"a damaged GIF: {str(error).rstrip('.')}") from None

    def _gif_frames(self) -> Iterator[tuple[np.ndarray, float]]:
        with self._gif() as gif:
            for number in range(gif.n_frames):
                try:
                    gif.seek(number)
                    frame = Image.new("RGBA", gif.size, "white")
                    frame.alpha_composite(gif.convert("RGBA"))
                except Exception:  # cut short: what came before it is good
                    return
                seconds = gif.info.get("duration", 0) / 1000
                yield np.array(frame.convert("RGB")), seconds if seconds > 0 else 0.1

    def _video(self) -> cv2.VideoCapture:
        # Told the backend and the whole path, OpenCV does not take "%d" for a row of pictures, nor
        # FFmpeg "12:30.mp4" for an address.
        with silence():
            video = cv2.VideoCapture(str(self.path.resolve()), cv2.CAP_FFMPEG)
        if not video.isOpened():
            raise Unreadable("no video that OpenCV can read, or a damaged one")
        return video

    def _video_frames(self) -> Iterator[tuple[np.ndarray, float]]:
        video = self._video()
        fps = video.get(cv2.CAP_PROP_FPS)
        seconds = 1 / (fps if 0 < fps < 1000 else FPS)
        try:
            while True:
                there, frame = video.read()
                if not there:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), seconds
        finally:
            video.release()


class Writer(Protocol):
    """Takes the frames of a film one by one."""

    def add(self, frame: np.ndarray, seconds: float) -> None:
        """Write a frame uint8 (height, width, 3), RGB, the same size each time."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class VideoWriter:
    """Writes MPEG-4 video (`mp4v`), which OpenCV brings along everywhere.

    The codec takes even sides only, so an odd one gets another pixel of its edge.

    Raises:
        RuntimeError: OpenCV cannot write such a file here; raised at the first frame.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._video: cv2.VideoWriter | None = None
        self._frames = 0

    def add(self, frame: np.ndarray, seconds: float) -> None:
        """Write a frame; the first one's duration is that of all."""
        rest = [side % 2 for side in frame.shape[:2]]
        if any(rest):
            frame = np.pad(frame, ((0, rest[0]), (0, rest[1]), (0, 0)), mode="edge")
        if self._video is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            size = frame.shape[1::-1]
            place = str(self.path.resolve())
            self._video = cv2.VideoWriter(place, cv2.CAP_FFMPEG, code, 1 / seconds, size)
            if not self._video.isOpened():
                raise RuntimeError(
                    f"OpenCV {cv2.__version__} cannot write a video of {size[0]}x{size[1]} pixels to "
                    f"{self.path}: look whether the folder can be written to, install OpenCV again "
                    "with pip (pip install --force-reinstall opencv-python-headless), or make it a "
                    "GIF first."
                )
        self._video.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self._frames += 1

    def close(self) -> None:
        """Finish the file; raises `DiskFull` if it lacks frames, of which OpenCV says nothing."""
        if self._video is None:
            return
        self._video.release()
        self._video = None
        there = cv2.VideoCapture(str(self.path))
        frames = int(there.get(cv2.CAP_PROP_FRAME_COUNT)) if there.isOpened() else 0
        there.release()
        if frames != self._frames:
            raise files.DiskFull(
                f"Of {self._frames} frames {frames} are in {self.path}: most likely there is no space "
                "left. Free some, and do the same again."
            )


class GifWriter:
    """Writes an endless GIF, each frame with a palette and a duration of its own.

    Pillow's own `save` would keep all frames in memory until the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None

    def add(self, frame: np.ndarray, seconds: float) -> None:
        """Write a frame."""
        picture = Image.fromarray(frame).quantize(256)
        parts = []
        if self._file is None:
            self._file = self.path.open("wb")
            parts = GifImagePlugin.getheader(picture, info={"loop": 0})[0]
        milliseconds = max(10 * round(100 * seconds), round(1000 * LEAST_DURATION))
        parts += GifImagePlugin.getdata(picture, duration=milliseconds, include_color_table=True)
        self._file.write(b"".join(parts))  # at once, so that no frame is left half written

    def close(self) -> None:
        """Finish the file."""
        file, self._file = self._file, None
        if file is not None:
            with file:
                file.write(b";")


@dataclass(frozen=True)
class Converted:
    """What became of a film.

    Attributes:
        path: the file that was written, or None if there was not one frame.
        frames: how many are in it.
        stopped: whether Ctrl-C came in between.
    """

    path: Path | None
    frames: int
    stopped: bool


def convert(
    film: Film,
    path: str | Path,
    change: Callable[[np.ndarray], np.ndarray],
    progress: Callable[[int], None] | None = None,
) -> Converted:
    """Write a film anew with each frame changed, at the same pace.

    Until it is complete it is called NAME.partial.SUFFIX; after Ctrl-C it is finished as
    NAME.stopped.SUFFIX, which can be watched as far as it goes.

    Args:
        film: to read.
        path: to write, with the film's `suffix`; its folder is made.
        change: a frame uint8 (height, width, 3) to another, of one size for all.
        progress: called with the number of frames done.

    Raises:
        RuntimeError: OpenCV cannot write it.
        DiskFull: there is no space left; nothing half written stays.
        ValueError: the path ends in something else.
    """
    path = Path(path)
    if path.suffix != film.suffix:
        raise ValueError(f"{path} must end in {film.suffix}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".partial{film.suffix}")
    writer = (GifWriter if film.suffix == ".gif" else VideoWriter)(partial)
    done, stopped = 0, False
    try:
        try:
            for frame, seconds in film:
                writer.add(change(frame), seconds)
                done += 1
                if progress:
                    progress(done)
        except KeyboardInterrupt:
            stopped = True
        writer.close()
    except BaseException as error:
        with contextlib.suppress(OSError):
            writer.close()
        partial.unlink(missing_ok=True)
        if files.is_full(error):
            raise files.DiskFull(
                f"There is no space left to write {path}. Free some, and do the same again."
            ) from error
        raise
    if not done:
        partial.unlink(missing_ok=True)
        return Converted(None, 0, stopped)
    final = path.with_suffix(f".stopped{film.suffix}") if stopped else path
    partial.replace(final)
    return Converted(final, done, stopped)
