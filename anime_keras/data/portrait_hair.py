"""Hair of a portrait: wigs of a few thousand strands, combed along the locks of the anime style.

A strand is a polyline with three numbers along it: how light it is, how it shines and which way its
side of the lock faces. The shine follows Kajiya and Kay, "Rendering Fur with Three Dimensional
Textures" (1989): a strand is brightest where it runs across the half vector between light and eye.
A wig is painted once a hairstyle, strand over strand; `portrait.py` bends, dyes and lights it.
"""

from functools import cache

import cv2
import numpy as np

from anime_keras.data import anime_hair
from anime_keras.data.portrait_face import halved
from anime_keras.data.stencils import SHIFT, UNITS, bezier, circle, spline

RESOLUTION = 256
"""Wig pixels a head unit."""
LEFT, TOP, WIDTH, HEIGHT = -1.25, -1.15, 2.5, 2.6
"""The wig's rectangle in units of the anime's hair."""

_HALF = np.array([0.0, -0.50, 0.87])
"""Half vector between a light in front, high up, and the eye."""


class _Wig:
    """A picture to paint strands on.

    Attributes:
        image: uint8 (rows, columns, 4): lightness, shine, facing (128 is the viewer), cover.
    """

    def __init__(self, seed: int) -> None:
        rows, columns = round(HEIGHT * RESOLUTION), round(WIDTH * RESOLUTION)
        self.image = np.zeros((rows, columns, 4), np.uint8)
        self.random = np.random.Generator(np.random.Philox(seed))

    def pixels(self, points: np.ndarray) -> np.ndarray:
        flat = ((points[:, :2] - [LEFT, TOP]) * RESOLUTION - 0.5) * UNITS
        return np.round(flat).astype(np.int32)

    def ground(self, outline: np.ndarray, lightness: float) -> None:
        """Fills an outline (n, 2 or 3) with hair that lies deep."""
        color = (255 * lightness, 0, 128, 255)
        cv2.fillPoly(self.image, [self.pixels(np.asarray(outline))], color, cv2.LINE_AA, SHIFT)

    def comb(
        self,
        spine: np.ndarray,
        half: np.ndarray,
        count: int,
        lightness: float = 0.62,
        loose: float = 1.0,
        ground: bool = True,
    ) -> None:
        """Paints a lock.

        Args:
            spine: Its middle line (m, 3).
            half: Half its width along that (m,).
            count: Number of strands.
            lightness: Of its usual strand, from 0 to 1.
            loose: How far the tips stray.
            ground: Whether the lock is filled first, so that nothing shows through.
        """
        random = self.random
        along = np.gradient(spine, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        t = np.linspace(0, 1, len(spine))
        if ground:
            inner, low = (0.86 * half[:, None] * across)[4:], spine[4:, :2]
            self.ground(np.concatenate([low + inner, (low - inner)[::-1]]), 0.66 * lightness)
        places = random.uniform(-1, 1, count)
        # The outermost first: the middle of a lock lies on top.
        places = places[np.argsort(-np.abs(places))]
        clump = random.uniform(0, 2 * np.pi, 3)
        for place in places:
            stray = loose * random.normal(0, [0.013, 0.010]) * (t[:, None] ** 2)
            strand = spine.copy()
            # Towards the tips strands stick together in wisps.
            wisp = np.round(2.2 * place) / 2.2
            at = place + (wisp - place) * 0.85 * t**3
            strand[:, :2] += (at * half)[:, None] * across + stray
            strand[:, :2] += 0.004 * np.sin(9 * t + 6 * random.random())[:, None] * across
            last = int(np.ceil(len(spine) * random.uniform(0.74, 1.0)))
            dot = along @ _HALF + random.normal(0, 0.10)
            shine = np.clip(1 - dot**2, 0, 1) ** 14
            light = 0.13 * np.sin(place * np.array([5.0, 9.0, 14.0]) + clump).sum()
            light = lightness * (1 + light + 0.10 * random.normal() - 0.34 * place**2)
            light = np.clip(light * (0.86 + 0.20 * np.sin(np.pi * t)), 0.1, 1)
            facing = np.clip(0.75 * strand[:, 0] / 0.62 + 0.45 * place * across[:, 0], -1, 1)
            self._paint(strand[:last], light, shine, facing)

    def _paint(
        self, strand: np.ndarray, light: np.ndarray, shine: np.ndarray, facing: np.ndarray
    ) -> None:
        points = self.pixels(strand).tolist()
        colors = np.stack(
            [255 * light, 255 * shine, 128 + 127 * facing, np.full_like(light, 255)], axis=1
        ).tolist()
        for index in range(len(points) - 1):
            thick = 2 if index < len(points) - 4 else 1
            cv2.line(
                self.image, points[index], points[index + 1], colors[index], thick,
                cv2.LINE_AA, SHIFT,
            )  # fmt: skip

    def locks(
        self, table: np.ndarray, width: list[float], profile: np.ndarray, count: int, **how: float
    ) -> None:
        """Combs a table of locks of `anime_hair.py`, (k, 3, 3) and (k,)."""
        for lock, wide in zip(np.asarray(table), width, strict=True):
            spine = bezier(lock, 17)
            half = wide * np.interp(np.linspace(0, 1, 17), anime_hair._T, profile)
            self.comb(spine, np.maximum(half, 0.012), count, **how)

    def finish(self, level: int) -> np.ndarray:
        """The wig, halved `level` times: uint8 (rows, columns, 4), all times cover."""
        return halved(cv2.GaussianBlur(self.image, (0, 0), 0.7), level)


@cache
def front(fringe: str, sides: str, level: int) -> np.ndarray:
    """Hair on the skull, side locks and fringe."""
    wig = _Wig(11)
    cap = anime_hair._cap_outline()
    wig.ground(cap, 0.34)
    part = {"swept right": -0.22, "swept left": 0.22}.get(fringe, 0.0)
    _comb_crown(wig, part, fringe == "swept back")
    table, width = np.array(anime_hair._SIDES[sides]), np.array(anime_hair._SIDE_WIDTH[:2])
    if sides == "short":
        # Real short hair leaves the ears free.
        table = table * [0.98, 0.72, 1.0] - [0.0, 0.12, 0.0]
    for mirror in (1, -1):
        wig.locks(table * [mirror, 1, 1], 0.8 * width, anime_hair._BLUNT, 34, lightness=0.56)
    table, width, profile = anime_hair._FRINGES[fringe]
    wig.locks(table, 1.0 * np.array(width), profile, 46, lightness=0.64)
    return wig.finish(level)


def _comb_crown(wig: _Wig, part: float, back: bool) -> None:
    """Strands from the crown over the skull."""
    for v in wig.random.permutation(np.linspace(-0.61, 0.61, 150)):
        rim = -0.47 + 0.9 * v * v + (0.0 if abs(v) > 0.35 else 0.05 * wig.random.normal() * ~back)
        spine = bezier(
            [
                [part + 0.15 * v, -0.895 + 0.06 * v * v, -0.02],
                [1.28 * v, -0.88 + 0.36 * v * v, 0.20],
                [1.0 * v, rim, 0.34 - 0.9 * v * v],
            ],
            17,
        )
        wig.comb(spine, np.full(17, 0.022), 5, 0.60, loose=0.4, ground=False)


@cache
def behind(style: str, side: int, level: int) -> np.ndarray:
    """Hair behind the head, with tails, buns and spikes; `side` is that of the ponytail."""
    wig = _Wig(12)
    if style == "twin tails":
        table = anime_hair._both(anime_hair._TAIL)
        wig.locks(table, anime_hair._TAIL_WIDTH * 2, anime_hair._POINTED, 90, loose=2)
    elif style == "ponytail":
        table = np.array(anime_hair._PONYTAIL) * [side, 1, 1]
        wig.locks(table, anime_hair._PONYTAIL_WIDTH, anime_hair._POINTED, 90, loose=2)
    elif style == "buns":
        for x in (-0.50, 0.50):
            _comb_bun(wig, x)
    elif style == "spiky":
        table = [anime_hair._spike(angle, 0.93 * r, lean) for angle, r, lean in anime_hair._SPIKES]
        wig.locks(table, [0.15] * len(table), anime_hair._POINTED, 60, loose=2.5, lightness=0.56)
    half, ends, width = anime_hair._BEHIND.get(style, anime_hair._BEHIND["short"])
    half = np.array([(x, y, -0.1) for x, y in half])
    outline = spline(np.concatenate([half, anime_hair._mirror(half[:0:-1])]), 5)
    wig.ground(outline, 0.28)
    deep = half[-1][1]
    for v in wig.random.permutation(np.linspace(-0.97, 0.97, 70)):
        # Strands follow the outline, closer to the middle the further in they start.
        line = half.copy()
        line[:, 0] *= v
        line[-1, 1] = deep + wig.random.normal(0, 0.03)
        spine = spline(line, 4, closed=False)
        wig.comb(spine, np.full(len(spine), 0.03), 7, 0.56, loose=0.8, ground=False)
    wig.locks(
        anime_hair._both(ends), np.multiply(0.8, width * 2), anime_hair._POINTED, 60, lightness=0.48
    )
    return wig.finish(level)


def _comb_bun(wig: _Wig, x: float) -> None:
    y, radius = -0.72, 0.225
    wig.ground(circle(radius, x, y, 30), 0.34)
    for turn in wig.random.permutation(np.linspace(0, 2 * np.pi, 70)):
        t = np.linspace(0, 1, 13)
        away = radius * (1.0 - 0.85 * t)
        angle = turn + np.sign(x) * 2.6 * t
        spine = np.stack(
            [x + away * np.cos(angle), y + away * np.sin(angle), 0.2 * np.sqrt(t) - 0.1], axis=1
        )
        wig.comb(spine, np.full(13, 0.018), 3, 0.62, loose=0.2, ground=False)


@cache
def falling(style: str, level: int) -> np.ndarray:
    """Hair in front of the shoulders: long, wavy or braids."""
    wig = _Wig(13)
    if style == "braids":
        for side in (-1, 1):
            _comb_braid(wig, side)
    else:
        table, width = anime_hair._FALLING[style]
        for mirror in (1, -1):
            wig.locks(np.array(table) * [mirror, 1, 1], width, anime_hair._POINTED, 80, loose=2)
    return wig.finish(level)


def _comb_braid(wig: _Wig, side: int) -> None:
    for step, y in enumerate(np.linspace(0.26, 1.06, 9)):
        x = (0.58 + 0.08 * np.sin(2.2 * (y - 0.2))) * side
        way = 1 if step % 2 else -1
        spine = bezier(
            [
                [x - 0.10 * way, y - 0.10, 0],
                [x - 0.02 * way, y - 0.03, 0.1],
                [x + 0.10 * way, y + 0.10, 0],
            ],
            13,
        )
        half = 0.062 * np.sin(np.linspace(0.5, np.pi - 0.3, 13))
        wig.comb(spine, half, 26, 0.60, loose=0.3)
