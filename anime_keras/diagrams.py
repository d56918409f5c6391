"""Diagrams of Begum et al. 2025: StyleGAN (figure 2); CycleGAN, with pictures (figures 3, 4, 5, 7).

Each takes pictures as uint8 (height, width, 3) or rows of them, and returns a matplotlib figure:

    diagrams.domains(x, G(x), y, F(y))     # who translates, and who judges
    diagrams.framework(path_x, path_y)     # there and back, with the losses at their places
    diagrams.cycles(path_x, path_y)        # what is lost on the way, pixel by pixel
    diagrams.results({"x": x, "G(x)": …})  # rows of pictures, with their names
    diagrams.style_based()                 # figure 2: where a style goes in
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]

TRANSLATES, JUDGES, RETURNS = "#c65f00", "#1b62a5", "#2b7a2b"
"""Colours of generators, discriminators, and of what says that a picture shall come back."""


# --- the parts of a diagram -----------------------------------------------------------------------


def _canvas(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure whose axes are a sheet of paper, a unit an inch, the origin below on the left."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def _picture(axes: "Axes", image: np.ndarray, centre: Point, side: float, name: str = "") -> None:
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3:
        raise ValueError(
            f"A diagram takes pictures as uint8 (height, width, 3), not {image.dtype} {image.shape}."
        )
    x, y = centre
    half = side / 2
    limits = axes.get_xlim(), axes.get_ylim()
    axes.imshow(image, extent=(x - half, x + half, y - half, y + half), aspect="auto", zorder=2)
    axes.set(xlim=limits[0], ylim=limits[1])  # imshow moved them to its picture
    if name:
        axes.text(x, y - half - 0.06, name, ha="center", va="top", fontsize=11)


def _check_path(path: Sequence[np.ndarray]) -> None:
    if len(path) != 3:
        raise ValueError(f"A way there and back is 3 pictures, not {len(path)}.")


def _box(axes: "Axes", name: str, centre: Point, colour: str) -> None:
    axes.text(
        *centre,
        name,
        ha="center",
        va="center",
        fontsize=13,
        color="white",
        zorder=3,
        bbox={"boxstyle": "round,pad=0.45", "facecolor": colour, "linewidth": 0},
    )


def _arrow(
    axes: "Axes", start: Point, end: Point, colour: str = "0.3", bend: float = 0.0, **style: Any
) -> None:
    axes.annotate(
        "",
        end,
        start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "connectionstyle": f"arc3,rad={bend}",
            "linewidth": 1.5,
            "shrinkA": 0,
            "shrinkB": 0,
            **style,
        },
    )


def _domain(axes: "Axes", images: Sequence[np.ndarray], centre: Point, name: str) -> None:
    """Four pictures of a domain, in a frame."""
    from matplotlib.patches import FancyBboxPatch

    x, y = centre
    frame = FancyBboxPatch(
        (x - 0.95, y - 0.95), 1.9, 1.9, "round,pad=0.12", facecolor="0.95", edgecolor="0.6"
    )
    axes.add_patch(frame)
    places = [(-0.48, 0.48), (0.48, 0.48), (-0.48, -0.48), (0.48, -0.48)]
    for image, (right, up) in zip(images, places, strict=False):
        _picture(axes, image, (x + right, y + up), 0.88)
    axes.text(x, y + 1.16, name, ha="center", va="bottom", fontsize=12)


# --- the figures ----------------------------------------------------------------------------------


def domains(x: np.ndarray, fake_y: np.ndarray, y: np.ndarray, fake_x: np.ndarray) -> "Figure":
    """Two domains, two translators, two judges: figure 3 of the paper.

    Args:
        x: uint8 (4 or more, side, side, 3), pictures of X; the first is translated.
        fake_y: the picture G(x), uint8 (side, side, 3).
        y: pictures of Y.
        fake_x: the picture F(y).

    Raises:
        ValueError: a picture is no uint8 (height, width, 3).
    """
    figure, axes = _canvas(10.6, 4.2)
    _domain(axes, x, (1.25, 2.2), "domain X")
    _domain(axes, y, (9.35, 2.2), "domain Y")
    upper, lower = 3.3, 1.25
    for height, way, image, name, translator, judge in (
        (upper, 1, fake_y, "$G(x)$", "$G$", "$D_Y$"),
        (lower, -1, fake_x, "$F(y)$", "$F$", "$D_X$"),
    ):
        begin, box, drawn, judged, end = (5.3 + way * d for d in (-2.93, -1.75, -0.2, 1.45, 2.93))
        _arrow(axes, (begin, height), (box - way * 0.36, height))
        _box(axes, translator, (box, height), TRANSLATES)
        _arrow(axes, (box + way * 0.36, height), (drawn - way * 0.52, height), TRANSLATES)
        _picture(axes, image, (drawn, height), 0.95, name)
        _arrow(axes, (drawn + way * 0.52, height), (judged - way * 0.42, height), JUDGES)
        _box(axes, judge, (judged, height), JUDGES)
        _arrow(axes, (end, height), (judged + way * 0.42, height), JUDGES)
        for place, label in ((0.59 * judged + 0.41 * drawn, "fake?"), (end - way * 0.5, "real?")):
            axes.text(place, height + 0.1, label, ha="center", fontsize=10, color=JUDGES)
    return figure


def framework(path_x: Sequence[np.ndarray], path_y: Sequence[np.ndarray]) -> "Figure":
    """There and back, with each loss at the place where it is taken: figure 4 of the paper.

    Args:
        path_x: the pictures x, G(x), F(G(x)).
        path_y: the pictures y, F(y), G(F(y)).

    Raises:
        ValueError: a picture is no uint8 (height, width, 3), or a path has not three of them.
    """
    for path in (path_x, path_y):
        _check_path(path)
    figure, axes = _canvas(9.2, 6.4)
    places = 1.0, 4.6, 8.2
    for base, path, names, translators, judge in (
        (4.5, path_x, ("x", "G(x)", "F(G(x))"), "GF", "Y"),
        (1.3, path_y, ("y", "F(y)", "G(F(y))"), "FG", "X"),
    ):
        for image, place, name in zip(path, places, names, strict=True):
            _picture(axes, image, (place, base), 1.1, f"${name}$")
        for translator, left, right in zip(translators, places[:-1], places[1:], strict=True):
            middle = (left + right) / 2
            _arrow(axes, (left + 0.6, base), (middle - 0.36, base))
            _box(axes, f"${translator}$", (middle, base), TRANSLATES)
            _arrow(axes, (middle + 0.36, base), (right - 0.6, base), TRANSLATES)
        _arrow(axes, (places[1], base + 0.6), (places[1], base + 0.86), JUDGES)
        _box(axes, f"$D_{judge}$", (places[1], base + 1.2), JUDGES)
        question = f"is that one of {judge}?"
        axes.text(places[1] + 0.5, base + 1.2, question, va="center", fontsize=11, color=JUDGES)
        formula = rf"cycle loss  $\lambda\,\mathrm{{mean}}\,|{names[2]}-{names[0]}|$"
        _bracket(axes, places[0], places[2], base - 1.08, formula)
    return figure


def _bracket(axes: "Axes", left: float, right: float, height: float, text: str) -> None:
    """A line under two pictures that shall be equal."""
    ends = [height + 0.18, height, height, height + 0.18]
    axes.plot([left, left, right, right], ends, "--", color=RETURNS, linewidth=1.5)
    white = {"facecolor": "white", "linewidth": 0, "pad": 3}
    place = (left + right) / 2
    axes.text(place, height, text, ha="center", va="center", fontsize=12, color=RETURNS, bbox=white)


def cycles(path_x: Sequence[np.ndarray], path_y: Sequence[np.ndarray]) -> "Figure":
    """What does not come back, pixel by pixel, in both directions: figure 5 of the paper.

    The last picture of each row is the absolute difference of first and third, white for none; its
    mean, with pictures in [-1, 1], is what lambda multiplies.

    Args:
        path_x: the pictures x, G(x), F(G(x)).
        path_y: the pictures y, F(y), G(F(y)).

    Raises:
        ValueError: a picture is no uint8 (height, width, 3), or a path has not three of them.
    """
    for path in (path_x, path_y):
        _check_path(path)
    figure, axes = _canvas(8.4, 4.4)
    places = 0.9, 2.9, 4.9, 7.3
    for base, path, names, translators in (
        (3.5, path_x, ("x", "G(x)", "F(G(x))"), "GF"),
        (1.25, path_y, ("y", "F(y)", "G(F(y))"), "FG"),
    ):
        for image, place, name in zip(path, places, names, strict=False):
            _picture(axes, image, (place, base), 1.3, f"${name}$")
        for translator, left, right in zip(translators, places[:2], places[1:3], strict=True):
            _arrow(axes, (left + 0.7, base), (right - 0.7, base), TRANSLATES)
            axes.text(
                (left + right) / 2,
                base + 0.12,
                f"${translator}$",
                ha="center",
                fontsize=13,
                color=TRANSLATES,
            )
        first, _, last = (np.asarray(image).astype("float32") / 127.5 for image in path)
        lost = np.abs(first - last)
        shade = np.round(255 * (1 - np.clip(lost.mean(axis=-1, keepdims=True), 0, 1)))
        shade = shade.astype("uint8").repeat(3, axis=-1)
        _picture(axes, shade, (places[3], base), 1.3, f"mean {lost.mean():.2f}")
        axes.plot(*_outline(places[3], base, 0.65), color="0.6", linewidth=0.8, zorder=3)
        formula = f"$|{names[0]}-{names[2]}|$"
        _arrow(axes, (places[2] + 0.7, base), (places[3] - 0.7, base), RETURNS)
        middle = (places[2] + places[3]) / 2
        axes.text(middle, base + 0.12, formula, ha="center", fontsize=9, color=RETURNS)
    return figure


def _outline(x: float, y: float, half: float) -> tuple[list[float], list[float]]:
    across = [x - half, x + half, x + half, x - half, x - half]
    return across, [y - half, y - half, y + half, y + half, y - half]


def results(rows: Mapping[str, np.ndarray]) -> "Figure":
    """Rows of pictures with their names, such as x, G(x) and the hidden truth: figure 7 of the paper.

    Args:
        rows: name -> uint8 (count, side, side, 3), of as many pictures each.

    Raises:
        ValueError: a picture is no uint8 (height, width, 3), or the rows differ in length.
    """
    count = len(next(iter(rows.values())))
    side, gap = 0.72, 0.06
    margin = 0.3 + 0.09 * max(map(len, rows))  # room for the longest name
    figure, axes = _canvas(margin + count * (side + gap), len(rows) * (side + gap) + gap)
    top = len(rows) * (side + gap) - side / 2
    for row, (name, images) in enumerate(rows.items()):
        if len(images) != count:
            raise ValueError(f"The row {name!r} has {len(images)} pictures, the first {count}.")
        height = top - row * (side + gap)
        axes.text(margin - 0.12, height, name, ha="right", va="center", fontsize=11)
        for column, image in enumerate(images):
            place = margin + side / 2 + column * (side + gap)
            _picture(axes, image, (place, height), side)
    return figure


def style_based() -> "Figure":
    """A traditional generator beside one that is steered by a style: figure 2 of the paper.

    After Karras et al. 2019, "A Style-Based Generator Architecture for Generative Adversarial
    Networks", figure 1. A are learned maps from w to styles, B learned strengths of noise.
    """
    figure, axes = _canvas(9.6, 6.2)
    axes.text(1.5, 5.95, "traditional", ha="center", fontsize=12)
    axes.text(4.3, 5.95, "mapping network", ha="center", fontsize=12)
    axes.text(7.2, 5.95, "synthesis network", ha="center", fontsize=12)

    def column(x: float, names: Sequence[str], top: float, step: float, colour: str) -> list[float]:
        heights = [top - step * row for row in range(len(names))]
        for upper, lower in itertools.pairwise(heights):
            _arrow(axes, (x, upper - 0.15), (x, lower + 0.17))
        for name, height in zip(names, heights, strict=True):
            _label(axes, name, (x, height), colour)
        return heights

    column(
        1.5,
        (
            "latents $z$",
            "fully connected",
            "normalise",
            "up, conv 3x3",
            "normalise",
            "…",
            "picture",
        ),
        5.5,
        0.82,
        TRANSLATES,
    )
    heights = column(
        4.3,
        ("latents $z$", "normalise", "fully connected", "…", "fully connected", "style $w$"),
        5.5,
        0.82,
        JUDGES,
    )
    layers = ("constant 4x4", "AdaIN", "conv 3x3", "AdaIN", "up, conv 3x3", "AdaIN", "…  picture")
    rows = column(7.2, layers, 5.5, 0.82, TRANSLATES)
    spine = 5.35  # where w comes up along the layers
    axes.plot(
        [4.95, spine, spine], [heights[-1], heights[-1], rows[1]], color=JUDGES, linewidth=1.5
    )
    for name, height in zip(layers, rows, strict=True):
        if name == "AdaIN":
            _arrow(axes, (spine, height), (5.72, height), JUDGES)
            _label(axes, "A", (5.95, height), JUDGES)
            _arrow(axes, (6.15, height), (6.66, height), JUDGES)
            between = height + 0.41  # noise is added before the style
            axes.plot([8.35, 7.24], [between, between], color=RETURNS, linewidth=1.5)
            axes.text(7.2, between, "+", ha="center", va="center", fontsize=13, color=RETURNS)
            _label(axes, "B", (8.5, between), RETURNS)
            _arrow(axes, (9.15, between), (8.72, between), RETURNS)
    axes.text(9.2, rows[1] + 0.72, "noise", ha="center", fontsize=11, color=RETURNS)
    return figure


def _label(axes: "Axes", name: str, centre: Point, colour: str) -> None:
    """A word in a light box with a coloured edge."""
    axes.text(
        *centre,
        name,
        ha="center",
        va="center",
        fontsize=10.5,
        zorder=3,
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": colour},
    )
