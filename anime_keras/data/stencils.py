"""Shapes that are cut once and drawn many times: curves, stencils, colours.

A stencil is a list of smooth outlines with the name of a colour each. Its points live in head units
(`anime.Sheet` says where those are), and all that differs between two people is linear in them: so
a person's hair is one matrix product away from OpenCV's `fillPoly`.
"""

import colorsys
from collections.abc import Mapping, Sequence
from functools import cached_property

import cv2
import numpy as np

SHIFT = 4
UNITS = 1 << SHIFT
"""OpenCV's fixed point: sixteenths of a canvas pixel."""

_SMALL = 200
"""Canvases up to this side are painted with half of the points and hard edges, in half the time."""

WIGGLES = 3
"""Random directions in which the tips of the locks differ between people."""

Color = tuple[float, float, float]


def spline(knots: np.ndarray, steps: int = 6, closed: bool = True) -> np.ndarray:
    """Catmull-Rom curve through `knots` (k, d): (k * steps, d), or open ((k - 1) * steps + 1, d)."""
    knots = np.asarray(knots, float)
    before, after = (knots[-1:], knots[:2]) if closed else (knots[:1], knots[-1:])
    p = np.concatenate([before, knots, after])
    t = (np.arange(steps) / steps)[:, None]
    weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    pieces = [sum(w * p[at + tap] for tap, w in enumerate(weights)) / 2 for at in range(len(p) - 3)]
    return np.concatenate(pieces if closed else [*pieces, knots[-1:]])


def bezier(knots: np.ndarray, samples: int = 13) -> np.ndarray:
    """Quadratic Bézier curve (samples, d) of three control points (3, d)."""
    first, bend, last = np.asarray(knots, float)
    t = np.linspace(0, 1, samples)[:, None]
    return (1 - t) ** 2 * first + 2 * t * (1 - t) * bend + t**2 * last


def circle(
    radius: float | tuple[float, float], x: float = 0, y: float = 0, n: int = 26
) -> np.ndarray:
    """Ellipse (n, 2) around (x, y)."""
    angle = np.arange(n) * 2 * np.pi / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius + [x, y]


def ribbon(centre: np.ndarray, half_width: np.ndarray | float) -> np.ndarray:
    """Outline (2m, d) of a stroke along `centre` (m, d) with `half_width` (m,)."""
    side = _normal(np.gradient(centre[:, :2], axis=0)) * np.reshape(half_width, (-1, 1))
    offset = np.zeros_like(centre)
    offset[:, :2] = side
    return np.concatenate([centre + offset, (centre - offset)[::-1]])


def beside(centre: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """`centre` (m, d) moved to its own right-hand side by `distance` (m,)."""
    moved = centre.copy()
    moved[:, :2] -= _normal(np.gradient(centre[:, :2], axis=0)) * np.reshape(distance, (-1, 1))
    return moved


def _normal(tangent: np.ndarray) -> np.ndarray:
    turned = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return turned / (np.linalg.norm(turned, axis=1, keepdims=True) + 1e-9)


class Stencil:
    """Outlines and their colours, in the order of painting.

    It holds every outline twice: with all its points, and with half of them for small pictures.
    """

    def __init__(self) -> None:
        self._outlines: list[np.ndarray] = []
        self._kept: list[np.ndarray] = []
        self._pieces: list[tuple[list[int], str]] = []

    @cached_property
    def fine(self) -> tuple[np.ndarray, list[tuple[list[slice], str]]]:
        """Points (n, 6) or (n, 6 + WIGGLES), and the pieces: where their outlines are, and a colour.

        Columns: x, y, z, outward normal x and y, 1, and the wiggles if there are any.
        """
        return self._join(self._outlines)

    @cached_property
    def coarse(self) -> tuple[np.ndarray, list[tuple[list[slice], str]]]:
        """The same with every second point."""
        pairs = zip(self._outlines, self._kept, strict=True)
        return self._join([outline[kept] for outline, kept in pairs])

    def fill(
        self,
        outline: np.ndarray,
        color: str,
        edge: str = "",
        swell: float = 0.0,
        fine: bool = False,
    ) -> None:
        """Adds a filled outline (n, 2 or 3).

        Args:
            outline: Points in head units.
            color: Name of the colour.
            edge: Name of the colour of a contour under it.
            swell: By how many widths of a line the outline is swollen.
            fine: Leaves it out of small pictures.
        """
        if edge:
            self.fill(outline, edge, swell=1)
        outline = np.asarray(outline, float)
        step = 1 if len(outline) < 12 else 2
        kept = np.arange(0, 0 if fine else len(outline), step)
        self._add(outline, color, swell, None, kept)

    def stroke(
        self,
        centre: np.ndarray,
        half_width: np.ndarray | float,
        color: str,
        wiggle: np.ndarray | None = None,
        swell: float = 0.0,
        join: bool = False,
        fine: bool = False,
    ) -> None:
        """Adds a tapered stroke.

        Args:
            centre: Points (m, 2 or 3) of its middle line, in head units.
            half_width: Half width along it (m,), or one for all.
            color: Name of the colour.
            wiggle: How far each point follows the random directions, (m, WIGGLES).
            swell: By how many widths of a line the stroke is thicker.
            join: Paints it in one call with the stroke before, if that has the same colour: faster,
                but where the two overlap nothing is painted.
            fine: Leaves it out of small pictures, where it would only be noise.
        """
        outline = ribbon(np.asarray(centre, float), half_width)
        last = len(centre) - 1
        there = np.unique([*range(0, last, 2), last])
        kept = np.concatenate([there, len(outline) - 1 - there[::-1]])
        kept = kept[:0] if fine else kept
        twice = None if wiggle is None else np.concatenate([wiggle, wiggle[::-1]])
        self._add(outline, color, swell, twice, kept, join)

    def _add(
        self,
        outline: np.ndarray,
        color: str,
        swell: float,
        wiggle: np.ndarray | None,
        kept: np.ndarray,
        join: bool = False,
    ) -> None:
        rows = np.zeros((len(outline), 6 + WIGGLES * (wiggle is not None)))
        rows[:, : outline.shape[1]] = outline
        rows[:, 3:5] = swell * _outward(outline[:, :2])
        rows[:, 5] = 1
        if wiggle is not None:
            rows[:, 6:] = wiggle
        self._outlines.append(rows)
        self._kept.append(kept)
        if join and self._pieces and self._pieces[-1][1] == color:
            self._pieces[-1][0].append(len(self._outlines) - 1)
        else:
            self._pieces.append(([len(self._outlines) - 1], color))

    def _join(self, outlines: list[np.ndarray]) -> tuple[np.ndarray, list[tuple[list[slice], str]]]:
        width = max(outline.shape[1] for outline in outlines)
        padded = [np.pad(outline, ((0, 0), (0, width - outline.shape[1]))) for outline in outlines]
        ends = np.cumsum([len(outline) for outline in outlines]).tolist()
        spans = [slice(*pair) for pair in zip([0, *ends], ends, strict=False)]
        pieces = [([spans[at] for at in ats if len(outlines[at])], c) for ats, c in self._pieces]
        return np.concatenate(padded).astype(np.float32), [piece for piece in pieces if piece[0]]


def _outward(outline: np.ndarray) -> np.ndarray:
    """Outward unit normals (n, 2) of a closed outline (n, 2)."""
    after, before = np.roll(outline, -1, axis=0), np.roll(outline, 1, axis=0)
    area = np.sum(outline[:, 0] * after[:, 1] - outline[:, 1] * after[:, 0])
    return -np.sign(area) * _normal(after - before)


def paint(
    canvas: np.ndarray, stencil: Stencil, frame: np.ndarray, colors: Mapping[str, Color]
) -> tuple[np.ndarray, np.ndarray]:
    """Paints a stencil where `frame` puts it.

    Args:
        canvas: uint8 (side, side, 3).
        stencil: What to paint.
        frame: float32 (6 or 6 + WIGGLES, 2), takes the stencil's points to sixteenths of a pixel.
        colors: RGB of the stencil's colours.

    Returns:
        The first and the last outline as painted, int32 (n, 2).
    """
    small = len(canvas) <= _SMALL
    points, pieces = stencil.coarse if small else stencil.fine
    kind = cv2.LINE_8 if small else cv2.LINE_AA
    placed = points.dot(frame[: points.shape[1]]).astype(np.int32)
    for spans, color in pieces:
        cv2.fillPoly(canvas, list(map(placed.__getitem__, spans)), colors[color], kind, SHIFT)
    return placed[pieces[0][0][0]], placed[pieces[-1][0][-1]]


def hsv(hue: float, saturation: float, value: float) -> Color:
    """RGB in [0, 255] from hue in degrees, saturation and value in [0, 1]."""
    r, g, b = colorsys.hsv_to_rgb(hue / 360 % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return 255 * r, 255 * g, 255 * b


def mix(first: Color, second: Color, part: float) -> Color:
    """Colour on the way from `first` (part 0) to `second` (part 1)."""
    rest = 1 - part
    return (
        first[0] * rest + second[0] * part,
        first[1] * rest + second[1] * part,
        first[2] * rest + second[2] * part,
    )


def tint(color: Color, glass: Sequence[float]) -> Color:
    """`color` seen through a coloured glass, one factor a channel."""
    return color[0] * glass[0], color[1] * glass[1], color[2] * glass[2]
