"""Hair of the anime style. It is made of locks: tapered strokes along Bézier curves.

A lock is three control points in head units (root, bend, tip) and a width; a style is a table of
locks. Contours are painted first and bodies over them, so that only the outer contour of the whole
stays; then shade, dark strands and gloss follow the same curves.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from anime_keras.data.stencils import (
    WIGGLES,
    Stencil,
    beside,
    bezier,
    circle,
    spline,
)

if TYPE_CHECKING:
    from anime_keras.data.anime import Sheet

_SAMPLES = 13
_T = np.linspace(0, 1, _SAMPLES)
# Half width of a lock along its length, as a part of its width.
_POINTED = (0.75 + 0.55 * _T) * (1 - _T**2.4)
_BLUNT = (0.85 + 0.25 * _T) * (1 - _T**5)
_STRAND = np.sin(np.pi * _T) ** 0.8


def _mirror(points: np.ndarray) -> np.ndarray:
    """The same points on the other side of the head."""
    return np.asarray(points) * [-1, 1, 1]


def _both(points: list) -> np.ndarray:
    return np.concatenate([np.asarray(points, float), _mirror(points)])


def _fringe(
    tips: list[tuple[float, float, float]], part: float = 0.0, bulge: float = 1.05
) -> np.ndarray:
    """Locks (k, 3, 3) from a parting at x = `part` to tips (x, y, swing of the bend in x)."""
    return np.array(
        [
            (
                (part + 0.42 * (x - part), -0.74 - 0.06 * (1 - abs(x)), 0.08),
                (x * bulge + swing, -0.52 + 0.3 * x * x, 0.36),
                (x, y, 0.40 - 0.45 * x * x),
            )
            for x, y, swing in tips
        ]
    )


_SWEPT = _fringe(
    [
        *((-0.53, 0.12, -0.03), (-0.44, -0.05, -0.05), (-0.32, -0.19, -0.07)),
        *((0.50, 0.12, 0.06), (0.44, -0.02, 0.0), (0.30, -0.09, -0.12)),
        *((0.13, -0.15, -0.20), (-0.04, -0.20, -0.22), (-0.18, -0.25, -0.16)),
    ],
    part=-0.24,
    bulge=1.0,
)
_SWEPT_WIDTH = [0.075, 0.085, 0.09, 0.085, 0.105, 0.11, 0.11, 0.10, 0.085]

# Fringe -> locks (k, 3, 3), their widths, their profile.
_FRINGES: dict[str, tuple[np.ndarray, list[float], np.ndarray]] = {
    "straight": (
        _fringe(
            [
                *((-0.50, 0.02, -0.03), (0.50, 0.02, 0.03), (-0.385, -0.10, 0), (0.385, -0.10, 0)),
                *((-0.25, -0.13, 0), (0.25, -0.13, 0), (-0.12, -0.14, 0), (0.125, -0.135, 0)),
                (0.0, -0.125, 0),
            ],
            bulge=1.12,
        ),
        [0.07, 0.07, 0.078, 0.078, 0.076, 0.076, 0.074, 0.074, 0.066],
        _BLUNT,
    ),
    "swept right": (_SWEPT, _SWEPT_WIDTH, _POINTED),
    "swept left": (_mirror(_SWEPT), _SWEPT_WIDTH, _POINTED),
    "parted": (
        _both(
            _fringe(
                [(0.53, 0.18, 0.05), (0.46, 0.02, 0.03), (0.37, -0.12, 0.0), (0.26, -0.24, -0.08)],
                bulge=1.0,
            )
        ),
        [0.075, 0.085, 0.095, 0.08] * 2,
        _POINTED,
    ),
    "spiky": (
        _fringe(
            [
                *((-0.51, 0.10, -0.05), (0.52, 0.08, 0.05), (-0.37, -0.06, -0.07)),
                *(
                    (0.41, -0.08, 0.10),
                    (0.24, -0.12, 0.09),
                    (-0.19, -0.16, -0.07),
                    (0.03, 0.02, 0.04),
                ),
            ],
            part=0.05,
            bulge=0.9,
        ),
        [0.09, 0.09, 0.12, 0.12, 0.12, 0.125, 0.10],
        _POINTED,
    ),
    "wispy": (
        _fringe(
            [
                *((-0.51, 0.08, -0.04), (0.51, 0.08, 0.04), (-0.41, -0.07, -0.04)),
                *((0.41, -0.06, 0.04), (-0.27, -0.17, -0.03), (0.20, -0.20, 0.03)),
                *(
                    (0.31, -0.13, 0.04),
                    (-0.13, -0.14, -0.02),
                    (-0.03, -0.03, 0.03),
                    (0.09, -0.17, 0.02),
                ),
            ],
        ),
        [0.07, 0.07, 0.06, 0.06, 0.058, 0.058, 0.042, 0.055, 0.040, 0.055],
        _POINTED,
    ),
    "swept back": (
        _fringe(
            [
                *(
                    (-0.53, 0.14, -0.02),
                    (0.53, 0.14, 0.02),
                    (-0.47, -0.08, -0.02),
                    (0.47, -0.08, 0.02),
                ),
                *(
                    (-0.39, -0.24, 0.0),
                    (0.40, -0.22, 0.0),
                    (0.08, -0.22, 0.13),
                    (0.16, -0.30, 0.12),
                ),
            ],
        ),
        [0.06, 0.06, 0.06, 0.06, 0.07, 0.07, 0.03, 0.045],
        _POINTED,
    ),
}

# Locks before the ears, on the right: outer and inner one.
_SIDES = {
    "long": [
        [[0.50, -0.50, 0.06], [0.66, 0.05, 0.05], [0.565, 0.68, 0.10]],
        [[0.47, -0.45, 0.10], [0.59, 0.0, 0.12], [0.470, 0.46, 0.14]],
    ],
    "bob": [
        [[0.52, -0.50, 0.02], [0.74, 0.10, 0.0], [0.53, 0.56, 0.06]],
        [[0.48, -0.45, 0.10], [0.62, 0.05, 0.12], [0.450, 0.42, 0.14]],
    ],
    "short": [
        [[0.52, -0.45, 0.02], [0.64, -0.05, 0.0], [0.56, 0.26, 0.02]],
        [[0.49, -0.42, 0.08], [0.585, -0.05, 0.08], [0.500, 0.20, 0.10]],
    ],
}
_SIDE_WIDTH = [0.085, 0.062] * 2

# The skull with its hair, right half: from the crown to the ear, then the hairline to the middle.
_CAP = np.array(
    [
        *([0.0, -0.915, -0.10], [0.26, -0.875, -0.10], [0.46, -0.735, -0.10]),
        *([0.59, -0.50, -0.08], [0.625, -0.22, -0.05], [0.60, 0.04, 0.0]),
        *([0.52, 0.02, 0.06], [0.475, -0.17, 0.13], [0.38, -0.36, 0.24], [0.20, -0.47, 0.31]),
    ]
)
_HAIRLINE = np.array([[0.0, -0.45, 0.34]])

# Hair behind, right half of its outline from the crown down, and locks at its ends.
_BEHIND = {
    "short": (
        [(0, -0.90), (0.40, -0.80), (0.61, -0.45), (0.63, -0.05), (0.55, 0.30), (0.36, 0.48)],
        [
            [[0.50, -0.1, -0.1], [0.66, 0.2, -0.1], [0.60, 0.44, -0.1]],
            [[0.40, 0.0, -0.1], [0.56, 0.3, -0.1], [0.43, 0.56, -0.1]],
        ],
        [0.10, 0.12],
    ),
    "bob": (
        [(0, -0.92), (0.42, -0.82), (0.65, -0.45), (0.71, 0.05), (0.70, 0.42), (0.52, 0.60)],
        [
            [[0.58, -0.1, -0.1], [0.82, 0.3, -0.1], [0.60, 0.66, -0.1]],
            [[0.50, 0.0, -0.1], [0.68, 0.4, -0.1], [0.42, 0.71, -0.1]],
        ],
        [0.13, 0.13],
    ),
    "long": (
        [(0, -0.92), (0.42, -0.82), (0.66, -0.42), (0.72, 0.15), (0.76, 0.75), (0.74, 1.4)],
        [
            [[0.58, -0.2, -0.1], [0.74, 0.4, -0.1], [0.92, 1.10, -0.1]],
            [[0.62, -0.3, -0.1], [0.80, 0.2, -0.1], [0.82, 0.74, -0.1]],
        ],
        [0.12, 0.08],
    ),
    "wavy": (
        [
            *((0, -0.92), (0.43, -0.82), (0.68, -0.45), (0.74, -0.12), (0.70, 0.12)),
            *((0.84, 0.36), (0.78, 0.60), (0.92, 0.84), (0.84, 1.08), (0.88, 1.4)),
        ],
        [
            [[0.62, -0.3, -0.1], [0.92, -0.1, -0.1], [0.88, 0.28, -0.1]],
            [[0.66, 0.2, -0.1], [1.0, 0.4, -0.1], [1.0, 0.84, -0.1]],
        ],
        [0.09, 0.10],
    ),
}
_TAIL = [
    [[0.54, -0.44, -0.1], [1.16, -0.42, -0.1], [1.04, 0.60, -0.1]],
    [[0.54, -0.44, -0.1], [1.02, -0.36, -0.1], [0.80, 0.80, -0.1]],
    [[0.54, -0.46, -0.1], [1.08, -0.46, -0.1], [0.92, 1.08, -0.1]],
]
_TAIL_WIDTH = [0.12, 0.12, 0.17]
_PONYTAIL = [
    [[0.28, -0.76, -0.3], [1.05, -1.0, -0.3], [1.06, 0.20, -0.3]],
    [[0.28, -0.76, -0.3], [0.92, -0.88, -0.3], [0.76, 0.62, -0.3]],
    [[0.28, -0.78, -0.3], [0.98, -1.02, -0.3], [0.92, 0.46, -0.3]],
]
_PONYTAIL_WIDTH = [0.12, 0.13, 0.17]
_FALLING = {
    "long": (
        [
            [[0.60, -0.1, -0.05], [0.80, 0.5, -0.02], [0.78, 1.20, 0.0]],
            [[0.56, -0.2, 0.0], [0.74, 0.45, 0.02], [0.60, 1.22, 0.05]],
        ],
        [0.10, 0.12],
    ),
    "wavy": (
        [
            [[0.74, 0.70, -0.05], [1.06, 0.86, -0.02], [0.74, 1.22, 0.0]],
            [[0.60, 0.50, 0.0], [0.86, 0.86, 0.02], [0.56, 1.16, 0.05]],
            [[0.66, 0.26, -0.05], [1.04, 0.46, -0.02], [0.74, 0.86, 0.0]],
            [[0.55, 0.06, 0.0], [0.86, 0.34, 0.02], [0.57, 0.70, 0.05]],
            [[0.56, -0.30, 0.0], [0.88, -0.04, 0.02], [0.66, 0.34, 0.05]],
        ],
        [0.13, 0.13, 0.13, 0.13, 0.12],
    ),
}
_SPIKES = [
    *((2.45, 0.88, -1), (-2.45, 0.88, 1), (2.02, 0.92, 1), (-2.02, 0.92, -1), (1.62, 0.98, 1)),
    *((-1.62, 0.98, -1), (1.2, 0.99, 1), (-1.2, 0.99, -1), (0.78, 1.0, 1), (-0.78, 1.0, -1)),
    *((0.35, 0.98, 1), (-0.38, 0.98, -1)),
]


def _spike(angle: float, reach: float, lean: int) -> list[tuple[float, float, float]]:
    """A lock that stands out from the skull, `angle` radians clockwise from straight up."""
    return [
        (0.35 * np.sin(angle), -0.2 - 0.42 * np.cos(angle), -0.1),
        (0.74 * np.sin(angle + 0.06 * lean), -0.22 - 0.70 * np.cos(angle), -0.12),
        (
            reach * np.sin(angle + 0.18 * lean),
            -0.22 - 0.88 * reach * np.cos(angle + 0.10 * lean),
            -0.14,
        ),
    ]


class _Locks:
    """Curves of a table of locks, ready to be added to a stencil.

    Args:
        table: Control points (k, 3, 3).
        width: Half width of each lock, (k,).
        profile: Half width along a lock as a part of that, (samples,).
    """

    def __init__(
        self, table: np.ndarray, width: list[float], profile: np.ndarray = _POINTED
    ) -> None:
        self.spines = [bezier(lock, _SAMPLES) for lock in np.asarray(table)]
        self.halves = [w * profile for w in width]
        # Neighbours follow different random directions; roots stay where they are.
        grow = _T[:, None] ** 2
        self.wiggles = [
            grow * np.cos(2.1 * index + np.array([0.0, 1.7, 4.1])[:WIGGLES])
            for index in range(len(width))
        ]

    def contour(self, stencil: Stencil) -> None:
        for spine, half, wiggle in self:
            stencil.stroke(spine, half, "hair_line", wiggle, swell=1)

    def fill(self, stencil: Stencil, color: str) -> None:
        for spine, half, wiggle in self:
            stencil.stroke(spine, half, color, wiggle)

    def shade(self, stencil: Stencil, light: int, color: str = "hair_dark") -> None:
        """Shade on the side away from the light, and a strand along the edge."""
        # Locks hang down: their right-hand side is the left of the picture.
        for spine, half, wiggle in self:
            dark = beside(spine, 0.50 * light * half)[3:]
            taper = 0.46 * half[3:] * np.linspace(0.1, 1, len(dark))
            stencil.stroke(dark, taper, color, wiggle[3:], join=True)
        for spine, half, wiggle in self:
            rim = beside(spine, 0.95 * light * half)[2:]
            taper = 0.0075 * np.linspace(0, 1, len(rim)) ** 0.6
            stencil.stroke(rim, taper, "strand", wiggle[2:], join=True, fine=True)

    def gloss(self, stencil: Stencil, light: int, start: float, stop: float) -> None:
        """A light spindle between two parts of each lock's length."""
        at = slice(round(start * _SAMPLES), round(stop * _SAMPLES) + 1)
        for spine, half, wiggle in self:
            line = beside(spine, -0.25 * light * half)[at]
            shape = 0.3 * half[at] * np.sin(np.linspace(0, np.pi, len(line)))
            stencil.stroke(line, shape, "hair_light", wiggle[at], join=True)

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        return zip(self.spines, self.halves, self.wiggles, strict=True)


def _hair_frame(sheet: Sheet) -> np.ndarray:
    volume = sheet.person.hair_volume
    return sheet.frame(sheet.head, scale=(volume, 1 + 0.4 * (volume - 1)), wiggle=True)


def draw_behind(sheet: Sheet) -> None:
    """Hair behind the head, with tails, buns and spikes."""
    p = sheet.person
    side = 1 if p.spare[6] < 0.5 else -1
    sheet.paint(_behind_stencil(p.back_hair, sheet.light, side), _hair_frame(sheet))


@cache
def _behind_stencil(style: str, light: int, side: int) -> Stencil:
    stencil = Stencil()
    if style == "twin tails":
        _add_tail(stencil, _Locks(_both(_TAIL), _TAIL_WIDTH * 2), light)
        for x in (-0.61, 0.61):
            stencil.fill(_at(circle((0.07, 0.10), x, -0.45, 16)), "accent", edge="accent_line")
    elif style == "ponytail":
        tail = _Locks(np.array(_PONYTAIL) * [side, 1, 1], _PONYTAIL_WIDTH)
        _add_tail(stencil, tail, light)
        tie = circle((0.09, 0.11), 0.42 * side, -0.82, 16)
        stencil.fill(_at(tie, -0.25), "accent", edge="accent_line")
    elif style == "buns":
        for x in (-0.50, 0.50):
            _add_bun(stencil, x, light)
    elif style == "spiky":
        spikes = _Locks(np.array([_spike(*spike) for spike in _SPIKES]), [0.17] * len(_SPIKES))
        spikes.contour(stencil)
        spikes.fill(stencil, "hair")
        spikes.shade(stencil, light)

    half, ends, width = _BEHIND.get(style, _BEHIND["short"])
    half = np.array([(x, y, -0.1) for x, y in half])
    outline = spline(np.concatenate([half, _mirror(half[:0:-1])]), 5)
    locks = _Locks(_both(ends), width * 2)
    stencil.fill(outline, "hair_line", swell=1)
    if style in (*_BEHIND, "spiky"):
        locks.contour(stencil)
        locks.fill(stencil, "hair_dark")
    stencil.fill(outline, "hair_dark")
    if style in ("long", "wavy"):
        for x in (-0.6, -0.46, -0.33, 0.33, 0.46, 0.6):
            strand = bezier(
                [[0.9 * x, -0.3, -0.1], [1.12 * x, 0.4, -0.1], [1.1 * x, 1.2, -0.1]], 13
            )
            stencil.stroke(strand, 0.02 * _STRAND, "hair_deep", join=True, fine=True)
    return stencil


def _add_tail(stencil: Stencil, tail: _Locks, light: int) -> None:
    tail.contour(stencil)
    tail.fill(stencil, "hair")
    tail.shade(stencil, light)
    tail.gloss(stencil, light, 0.2, 0.55)


def _add_bun(stencil: Stencil, x: float, light: int) -> None:
    y, radius = -0.72, 0.225
    stencil.fill(_at(circle(radius, x, y, 30)), "hair", edge="hair_line")
    angle = np.linspace(-1.2, 1.2, 10) + (np.pi if light > 0 else 0) - 0.5 * light
    stencil.stroke(
        _at(_polar(x, y, 0.78 * radius, angle)),
        0.2 * radius * np.sin(np.linspace(0, np.pi, 10)),
        "hair_dark",
    )
    swirl = _polar(x, y, radius * np.linspace(0.75, 0.2, 18), np.sign(x) * np.linspace(0, 5.5, 18))
    stencil.stroke(_at(swirl), 0.045 * radius * np.sin(np.linspace(0, np.pi, 18)), "strand")
    shine = _polar(x, y, 0.55 * radius, np.linspace(-2.3, -1.2, 8))
    stencil.stroke(_at(shine), 0.09 * radius * np.sin(np.linspace(0, np.pi, 8)), "hair_light")


def _polar(x: float, y: float, radius: np.ndarray | float, angle: np.ndarray) -> np.ndarray:
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def _at(points: np.ndarray, z: float = -0.15) -> np.ndarray:
    """Flat points (n, 2) at a depth, (n, 3)."""
    return np.concatenate([points, np.full((len(points), 1), z)], axis=1)


def draw_falling(sheet: Sheet) -> None:
    """Hair that falls in front of the shoulders."""
    style = sheet.person.back_hair
    if style in ("long", "wavy", "braids"):
        sheet.paint(_falling_stencil(style, sheet.light), _hair_frame(sheet))


@cache
def _falling_stencil(style: str, light: int) -> Stencil:
    stencil = Stencil()
    if style == "braids":
        for side in (-1, 1):
            _add_braid(stencil, side)
        return stencil
    table, width = _FALLING[style]
    locks = _Locks(_both(table), width * 2)
    locks.contour(stencil)
    locks.fill(stencil, "hair")
    locks.shade(stencil, light)
    return stencil


def _add_braid(stencil: Stencil, side: int) -> None:
    for step, y in enumerate(np.linspace(0.30, 1.02, 6)):
        x = (0.58 + 0.08 * np.sin(2.2 * (y - 0.2))) * side
        lean = 0.5 * side * (1 if step % 2 else -1)
        turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
        stencil.fill(_at(circle((0.115, 0.095), n=20) @ turn + [x, y], 0), "hair", edge="hair_line")
        stencil.fill(_at(circle((0.075, 0.045), n=14) @ turn + [x, y + 0.03], 0), "hair_dark")
        stencil.fill(_at(circle((0.06, 0.03), n=14) @ turn + [x, y - 0.03], 0), "hair_soft")


def _side_style(sheet: Sheet) -> str:
    p = sheet.person
    if p.gender == "masculine" or p.back_hair in ("short", "spiky"):
        return "short"
    return "bob" if p.back_hair == "bob" else "long"


def draw_shadow(sheet: Sheet) -> None:
    """Shadow that the hair throws on the face; goes on the layer."""
    frame = _hair_frame(sheet)
    frame[5] += 0.05 * frame[1] - 0.02 * sheet.light * frame[0]
    stencil = _shadow_stencil(sheet.person.fringe, _side_style(sheet))
    sheet.paint_layer(stencil, frame)


@cache
def _shadow_stencil(fringe: str, sides: str) -> Stencil:
    stencil = Stencil()
    _Locks(*_FRINGES[fringe]).fill(stencil, "skin_dark")
    inner = np.array(_SIDES[sides][1:]) - [0.03, 0, 0]
    _Locks(_both(inner), _SIDE_WIDTH[1:2] * 2).fill(stencil, "skin_dark")
    stencil.fill(_cap_outline(), "skin_dark")
    return stencil


def _cap_outline() -> np.ndarray:
    return spline(np.concatenate([_CAP, _HAIRLINE, _mirror(_CAP[:0:-1])]), 4)


def draw_front(sheet: Sheet) -> np.ndarray:
    """Hair on the skull, side locks and fringe; returns the middle of the hairline (1, 2)."""
    p = sheet.person
    frame = _hair_frame(sheet)
    if p.spare[7] < 0.35:
        sheet.paint(_cowlick_stencil(1 if p.spare[8] < 0.5 else -1), frame)
    sheet.paint(_front_stencil(p.fringe, _side_style(sheet), sheet.light), frame)
    return _HAIRLINE @ frame[:3] + frame[5]


@cache
def _cowlick_stencil(side: int) -> Stencil:
    """A single lock that stands up from the crown."""
    stencil = Stencil()
    table = np.array([[[0.0, -0.84, -0.1], [-0.05, -1.06, -0.1], [0.26, -1.02, -0.1]]]) * [
        side,
        1,
        1,
    ]
    lock = _Locks(table, [0.045])
    lock.contour(stencil)
    lock.fill(stencil, "hair")
    return stencil


@cache
def _front_stencil(fringe: str, sides: str, light: int) -> Stencil:
    stencil = Stencil()
    cap = _cap_outline()
    side_locks = _Locks(_both(_SIDES[sides]), _SIDE_WIDTH)
    fringe_locks = _Locks(*_FRINGES[fringe])
    stencil.fill(cap, "hair_line", swell=1)
    fringe_locks.contour(stencil)
    side_locks.contour(stencil)
    stencil.fill(cap, "hair")
    side_locks.fill(stencil, "hair")
    side_locks.shade(stencil, light)
    fringe_locks.fill(stencil, "hair")
    part = {"swept right": -0.22, "swept left": 0.22}.get(fringe, 0.0)
    _add_crown(stencil, part, light)
    fringe_locks.shade(stencil, light)
    return stencil


def _add_crown(stencil: Stencil, part: float, light: int) -> None:
    """Dark strands that run from the crown, and the band of gloss across them."""
    x = np.array([-0.60, -0.48, -0.35, -0.21, -0.07, 0.07, 0.21, 0.35, 0.48, 0.60])
    flow = [
        bezier(
            [
                [part + 0.12 * v, -0.86, -0.02],
                [0.95 * v, -0.80 + 0.35 * v * v, 0.16],
                [1.02 * v, -0.47 + 0.8 * v * v, 0.34 - 0.9 * v * v],
            ],
            _SAMPLES,
        )
        for v in x
    ]
    for index, line in enumerate(flow[1:-1]):
        width = (0.006 + 0.006 * (index * 7 % 5) / 4) * _STRAND[2:]
        stencil.stroke(line[2:], width, "hair_dark", join=True, fine=True)
    for index in range(len(flow) - 1):
        line = (flow[index] + flow[index + 1]) / 2
        start = 4 + (index * 5 % 3 == 0)
        bright = line[start : start + 4 + (index * 3 % 2)]
        width = 0.046 * np.sin(np.linspace(0, np.pi, len(bright)))
        stencil.stroke(bright, width, "hair_light", join=True)
