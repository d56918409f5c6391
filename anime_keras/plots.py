"""All pictures of the kit are put together here: grids, curves, animations."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def grid(images: np.ndarray, columns: int = 8, gap: int = 2, scale: int = 1) -> np.ndarray:
    """Lay pictures out in rows, on white.

    Args:
        images: uint8 (count, height, width, 3).
        columns: pictures a row.
        gap: white pixels between and around them.
        scale: enlarge each by this whole factor, with hard pixels.

    Returns:
        uint8 (rows * (height + gap) + gap, columns * (width + gap) + gap, 3).
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ValueError(
            f"A grid takes uint8 (count, height, width, 3), not {images.dtype} {images.shape}."
        )
    if scale > 1:
        images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8
    )
    for index, image in enumerate(images):
        top = gap + (index // columns) * (height + gap)
        left = gap + (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def fit_width(image: np.ndarray, width: int) -> np.ndarray:
    """Shrink a picture to at most this width; smaller ones stay as they are."""
    if image.shape[1] <= width:
        return image
    height = round(image.shape[0] * width / image.shape[1])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def save(path: str | Path, image: np.ndarray) -> Path:
    """Write an RGB picture; the suffix says in which format. Moved into place when complete."""
    path = Path(path)
    if not cv2.haveImageWriter(path.name):
        raise ValueError(f"Pictures cannot be written as {path.suffix!r}: use .png or .jpg.")
    path.parent.mkdir(parents=True, exist_ok=True)
    _, content = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content.tobytes())
    partial.replace(path)
    return path


def load(path: str | Path) -> np.ndarray:
    """Read a picture that `save` wrote, as uint8 RGB."""
    return np.asarray(Image.open(path).convert("RGB"))


def gif(
    path: str | Path, frames: Sequence[np.ndarray], seconds: float = 0.15, hold: float = 1.5
) -> Path:
    """Write frames as an endless animation that rests `hold` seconds on its last frame."""
    if not len(frames):
        raise ValueError("An animation needs at least one frame.")
    # One palette for all frames keeps still parts still; the last frame has the most colours.
    palette = Image.fromarray(frames[-1]).quantize(255, dither=Image.Dither.NONE)
    pictures = [
        Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames
    ]
    durations = [round(seconds * 1000)] * (len(frames) - 1) + [round(hold * 1000)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
    return path


def curves(history: dict[str, Sequence[float]], title: str = "") -> "Figure":
    """Both players' losses, and how real the discriminator finds either kind, against the epoch.

    Args:
        history: column name -> one value an epoch, as `runs.read_history` gives it.
        title: over the figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = history["epoch"]
    left.plot(epochs, history["d_loss"], label="discriminator", color="tab:blue")
    left.plot(epochs, history["g_loss"], label="generator", color="tab:orange")
    left.set(xlabel="epoch", ylabel="loss", title="What each player lowers")
    right.plot(epochs, history["real_score"], label="real pictures", color="tab:green")
    right.plot(epochs, history["fake_score"], label="generated pictures", color="tab:red")
    right.axhline(0.5, color="gray", linewidth=0.8, linestyle="--")
    right.set(xlabel="epoch", ylabel="sigmoid(D)", ylim=(0, 1), title="How real D finds them")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title)
    return figure
