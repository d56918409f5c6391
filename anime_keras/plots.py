"""All pictures of the kit are put together here: grids, curves, animations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from anime_keras.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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


def scored(
    images: np.ndarray, scores: np.ndarray, border: float = 0.5, reach: float = 0.5
) -> np.ndarray:
    """Pictures in grey, tinted by a grid of scores: blue where it is above the border, red below.

    Args:
        images: uint8 (count, height, width, 3).
        scores: float (count, rows, columns), such as a PatchGAN's logits; spread over the picture.
        border: the score that gets no tint.
        reach: the distance from it at which the tint is full.

    Returns:
        uint8 (count, height, width, 3).
    """
    blue, red = np.array([31, 119, 180], "float32"), np.array([214, 39, 40], "float32")
    tinted = np.empty_like(images)
    for out, image, grid_ in zip(tinted, images, scores, strict=True):
        height, width = image.shape[:2]
        lean = np.clip((np.asarray(grid_, "float32") - border) / reach, -1.0, 1.0)
        lean = cv2.resize(lean, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype("float32")[..., None]
        share = 0.6 * np.abs(lean)
        out[:] = np.round((1.0 - share) * grey + share * np.where(lean > 0, blue, red))
    return tinted


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
    with replacing(path) as partial:
        partial.write_bytes(content.tobytes())
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
    more = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    with replacing(path) as partial:
        pictures[0].save(partial, "GIF", **more)
    return path


def curves(history: dict[str, Sequence[float]], title: str = "") -> "Figure":
    """What was lowered, against the epoch: both players' losses, or the two terms of a VAE's bound.

    Beside it, how real a discriminator finds either kind, or how many nats a code tells; and FID, where
    it was measured on the way.

    Args:
        history: column name -> one value an epoch, as `runs.read_history` gives it.
        title: over the figure.
    """
    from matplotlib.figure import Figure

    scored = "fid" in history
    figure = Figure(figsize=(13.5 if scored else 9, 3.2), layout="constrained")
    left, right, *more = figure.subplots(1, 3 if scored else 2)
    epochs = history["epoch"]

    def line(axes: "Axes", name: str, label: str, color: str) -> None:
        axes.plot(epochs, history[name], label=label, color=f"tab:{color}")

    if "d_loss" not in history:
        line(left, "loss", "loss", "blue")
        line(left, "reconstruction", "left to say", "orange")
        left.set(xlabel="epoch", ylabel="nats a picture", title="What is lowered")
        line(right, "kl", "KL", "green")
        right.set(xlabel="epoch", ylabel="nats a picture", title="What a code tells")
    else:
        line(left, "d_loss", "discriminator", "blue")
        line(left, "g_loss", "generator", "orange")
        left.set(xlabel="epoch", ylabel="loss", title="What each player lowers")
        line(right, "real_score", "real pictures", "green")
        line(right, "fake_score", "generated pictures", "red")
        right.axhline(0.5, color="gray", linewidth=0.8, linestyle="--")
        right.set(xlabel="epoch", ylabel="called real", ylim=(0, 1), title="How real D finds them")
    if scored:
        rows = [(e, fid) for e, fid in zip(epochs, history["fid"], strict=True) if fid == fid]
        more[0].plot(*zip(*rows, strict=True), "o-", label="FID", color="tab:purple", markersize=3)
        more[0].set(xlabel="epoch", ylabel="FID", ylim=(0, None), title="How far off, measured")
    for axes in (left, right, *more):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    if title:
        figure.suptitle(title)
    return figure


def combinations(
    real: np.ndarray, fake: np.ndarray, rows: Sequence[str], columns: Sequence[str]
) -> "Figure":
    """Two heat maps of how often each pair of words comes, and one of what is missing.

    Args:
        real: pictures of each combination in the training set, int (rows, columns).
        fake: the same among the generated pictures.
        rows: words, such as of the hair colour.
        columns: words, such as of the eye colour.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.5, 4.6), layout="constrained")
    shares = [np.asarray(counts) / max(np.sum(counts), 1) * 100 for counts in (real, fake)]
    most = max(np.quantile(share, 0.99) for share in shares)
    left, middle, right = figure.subplots(1, 3, sharey=True)
    for axes, share, title in (
        (left, shares[0], "Training pictures"),
        (middle, shares[1], "Generated pictures"),
    ):
        image = axes.imshow(share, cmap="magma", vmin=0, vmax=most)
        axes.set_title(title)
    figure.colorbar(image, ax=[left, middle], label="% of the pictures", shrink=0.8)
    ratio = np.log2((shares[1] + 0.05) / (shares[0] + 0.05))  # 0.05% keeps it finite
    image = right.imshow(ratio, cmap="RdBu", vmin=-3, vmax=3)
    right.set_title("Too seldom (red), too often (blue)")
    bar = figure.colorbar(image, ax=right, shrink=0.8, ticks=[-3, -2, -1, 0, 1, 2, 3])
    bar.ax.set_yticklabels(["1/8", "1/4", "1/2", "as often", "x 2", "x 4", "x 8"])
    for axes in (left, middle, right):
        axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel("eyes")
    left.set_ylabel("hair")
    return figure


def confusion(counts: np.ndarray, words: Sequence[str], title: str = "") -> "Figure":
    """A heat map of what was read where something was asked for, as per cents of each row.

    Args:
        counts: int (words, words), rows what was asked for, columns what was read.
        words: what they stand for.
        title: over the figure.
    """
    from matplotlib.figure import Figure

    counts = np.asarray(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.45 * len(words)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            color = "white" if share > 0.5 else "black"
            axes.text(column, row, f"{share:.0%}", ha="center", va="center", color=color, size=8)
    axes.set_xticks(range(len(words)), words, rotation=60, ha="right")
    axes.set_yticks(range(len(words)), words)
    axes.set(xlabel="read", ylabel="asked for", title=title)
    return figure


def intervals(
    panels: Sequence[tuple[str, Sequence[str], Sequence[tuple], tuple[float, float], float | None]],
) -> "Figure":
    """Values with their intervals, a panel each.

    Args:
        panels: title; a label for each value; (value, low, high) for each, of which low and high may
            be None; the ends of the scale; the value that chance gives, or None.
    """
    from matplotlib.figure import Figure

    heights = [1 + 0.5 * len(labels) for _, labels, *_ in panels]
    figure = Figure(figsize=(7, 0.3 + 0.85 * sum(heights)), layout="constrained")
    rows = figure.subplots(len(panels), 1, height_ratios=heights, squeeze=False)[:, 0]
    for axes, (title, labels, values, ends, chance) in zip(rows, panels, strict=True):
        places = range(len(labels))[::-1]
        for place, (value, low, high) in zip(places, values, strict=True):
            if low is not None:
                axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
            axes.plot(value, place, "o", color="tab:blue")
        if chance is not None:
            axes.axvline(chance, color="gray", linewidth=0.8, linestyle="--")
            axes.annotate(
                "chance",
                (chance, 1),
                xytext=(3, -1),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                fontsize=8,
                color="gray",
                va="top",
            )
        margin = (ends[1] - ends[0]) / 50
        axes.set(xlim=(ends[0] - margin, ends[1] + margin), ylim=(-0.6, len(labels) - 0.2))
        # Names are no formulas, whatever signs are in them.
        axes.set_yticks(places, labels, parse_math=False)
        axes.set_title(title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def doses(
    pictures: Sequence[np.ndarray],
    labels: Sequence[str],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    axis: str = "",
) -> "Figure":
    """Pictures at growing doses of something, and below them what metrics say of each dose.

    Args:
        pictures: for each dose uint8 (a few, side, side, 3).
        labels: of the doses.
        panels: title of a panel -> name of a curve -> a value for each dose.
        axis: what the doses are of.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[0.85, 1])
    for axes, some, label in zip(above.subplots(1, len(labels)), pictures, labels, strict=True):
        axes.imshow(grid(some, columns=2, gap=1))
        axes.set_title(label, fontsize=10)
        axes.axis("off")
    places = range(len(labels))
    for axes, (title, lines) in zip(below.subplots(1, len(panels)), panels.items(), strict=True):
        for marker, (name, values) in zip("os^v", lines.items(), strict=False):
            axes.plot(places, values, f"{marker}-", label=name, markersize=4)
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0), max(high, 1.05 if high > 0.4 else 0))
        axes.set_title(title, fontsize=10)
        axes.set_xticks(places, labels, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8)
    below.supxlabel(axis, fontsize=9)
    return figure


def scoreboard(
    pictures: Mapping[str, np.ndarray],
    columns: Sequence[str],
    texts: Sequence[Sequence[str]],
    alarm: np.ndarray,
) -> "Figure":
    """Rows of pictures beside their numbers, on red where a number warns, on blue where it praises.

    Args:
        pictures: name of a row -> uint8 (a few, side, side, 3), as many in each row.
        columns: names of the numbers.
        texts: each number as it is printed, (rows, columns).
        alarm: -1 for praise to 1 for alarm, (rows, columns).
    """
    from matplotlib.figure import Figure

    rows = len(pictures)
    figure = Figure(figsize=(4.2 + 1.05 * len(columns), 0.5 + 0.58 * rows), layout="constrained")
    few = len(next(iter(pictures.values())))
    left, right = figure.subplots(1, 2, width_ratios=[1.05 * few, 1.6 * len(columns)])
    left.imshow(grid(np.concatenate(list(pictures.values())), columns=few, gap=1), aspect="auto")
    side = next(iter(pictures.values())).shape[1] + 1
    left.set_yticks(side * (np.arange(rows) + 0.5), pictures, parse_math=False)
    right.imshow(alarm, cmap="RdBu_r", vmin=-1.4, vmax=1.4, aspect="auto")
    for row, column in np.ndindex(rows, len(columns)):
        ink = "white" if abs(alarm[row, column]) > 0.7 else "black"
        right.text(column, row, texts[row][column], ha="center", va="center", color=ink)
    right.set_xticks(range(len(columns)), columns)
    right.set_yticks([])
    right.xaxis.tick_top()
    left.set_xticks([])
    for axes in (left, right):
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def pixels(figure: "Figure", dpi: int = 68) -> np.ndarray:
    """A figure as uint8 (height, width, 3): one with pictures in it is a small JPEG, a large PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
