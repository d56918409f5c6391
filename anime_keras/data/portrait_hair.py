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
    """A picture to paint strands on, twice as large as the wig and not smoothed.

    Attributes:
        image: uint8 (rows, columns, 4): lightness, shine, facing (128 is the viewer), cover.
    """

    def __init__(self, seed: int) -> None:
        self.scale = 2 * RESOLUTION
        rows, columns = round(HEIGHT * self.scale), round(WIDTH * self.scale)
        self.image = np.zeros((rows, columns, 4), np.uint8)
        self.random = np.random.Generator(np.random.Philox(seed))

    def ground(self, outline: np.ndarray, lightness: float) -> None:
        """Fills an outline (n, 2 or 3) with hair that lies deep."""
        points = ((np.asarray(outline)[:, :2] - [LEFT, TOP]) * self.scale - 0.5) * UNITS
        color = (255 * lightness, 0, 128, 255)
        cv2.fillPoly(self.image, [np.round(points).astype(np.int32)], color, cv2.LINE_8, SHIFT)

    def comb(
        self,
        spine: np.ndarray,
        half: np.ndarray,
        count: int,
        lightness: float = 0.62,
        loose: float = 1.0,
        ground: bool = True,
        ragged: float = 0.26,
    ) -> None:
        """Paints a lock.

        Args:
            spine: Its middle line (m, 3).
            half: Half its width along that (m,).
            count: Number of strands.
            lightness: Of its usual strand, from 0 to 1.
            loose: How far the tips stray.
            ground: Whether the lock is filled first, so that nothing shows through.
            ragged: How much shorter a strand may be.
        """
        random = self.random
        along = np.gradient(spine, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        t = np.linspace(0, 1, len(spine))
        if ground:
            inner, low = (0.86 * half[:, None] * across)[4:], spine[4:, :2]
            self.ground(np.concatenate([low + inner, (low - inner)[::-1]]), 0.75 * lightness)
        place = random.uniform(-1, 1, (count, 1))
        # The outermost first: the middle of a lock lies on top.
        place = place[np.argsort(-np.abs(place[:, 0]))]
        # Towards the tips strands stick together in wisps; a few fly away.
        wisp = np.round(2.6 * place) / 2.6
        at = place + (wisp - place) * 0.6 * t**3
        stray = loose * random.normal(0, [0.013, 0.010], (count, 2))
        stray *= 1 + 2.5 * (random.random((count, 1)) < 0.06)
        wave = 0.004 * np.sin(9 * t + 6 * random.random((count, 1)))
        strand = spine[:, :2] + (at * half + wave)[..., None] * across
        strand += (t**2)[:, None] * stray[:, None]

        # A strand's own tilt moves its highlight, so that the band of shine is broken up.
        dot = along @ _HALF + random.normal(0, 0.10, (count, 1))
        shine = np.clip(1 - dot**2, 0, 1) ** 18
        clump = np.sin(place * [6.0, 13.0, 27.0] + random.uniform(0, 2 * np.pi, 3)).sum(axis=1)
        light = 1 + 0.10 * clump[:, None] + 0.12 * random.normal(size=(count, 1)) - 0.22 * place**2
        light = np.clip(light, 0.55, 1.5) * (0.84 + 0.22 * np.sin(np.pi * t))
        light = np.clip(lightness * light, 0, 1)
        facing = np.clip(0.75 * strand[..., 0] / 0.62 + 0.35 * at * across[:, 0], -1, 1)
        maps = [255 * light, 255 * shine, 128 + 127 * facing, np.full_like(light, 255)]
        self._paint(strand, np.stack(maps, axis=-1), random.uniform(1 - ragged, 1, (count, 1)))

    def _paint(self, strands: np.ndarray, colors: np.ndarray, ends: np.ndarray) -> None:
        """Paints strands (n, m, 2) with colours (n, m, 4) up to a part `ends` (n, 1) of each."""
        count, knots = strands.shape[:2]
        length = np.linalg.norm(np.diff(strands, axis=1), axis=2).sum(axis=1).max()
        steps = int(0.75 * self.scale * length) + 2
        t = np.linspace(0, 1, steps) * ends * (knots - 1.001)
        row, knot = np.arange(count)[:, None], t.astype(int)
        part = np.float32(t - knot)[..., None]
        both = np.concatenate([strands, colors], axis=2).astype(np.float32)
        points = both[row, knot] * (1 - part) + both[row, knot + 1] * part
        pixel = ((points[..., :2] - np.float32([LEFT, TOP])) * self.scale).astype(np.int32)
        # Two pixels wide and one at the tip. Later strands lie on earlier ones.
        x = pixel[..., :1] + np.array([0, 1, 0, 1])
        y = pixel[..., 1:] + np.array([0, 0, 1, 1])
        rows, columns = self.image.shape[:2]
        seen = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        seen[:, int(0.8 * steps) :, 2:] = False
        packed = points[..., 2:].astype(np.uint8).view(np.uint32)
        flat = self.image.view(np.uint32).reshape(-1)
        flat[(y * columns + x)[seen]] = np.broadcast_to(packed, x.shape)[seen]

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
        return halved(cv2.GaussianBlur(self.image, (0, 0), 0.9), level + 1)


@cache
def front(fringe: str, sides: str, level: int) -> np.ndarray:
    """Hair on the skull, side locks and fringe."""
    wig = _Wig(11)
    cap = anime_hair._cap_outline()
    wig.ground(0.985 * cap, 0.44)
    part = {"swept right": -0.22, "swept left": 0.22}.get(fringe, 0.0)
    _comb_crown(wig, part)
    table, width = np.array(anime_hair._SIDES[sides]), np.array(anime_hair._SIDE_WIDTH[:2])
    if sides == "short":
        # Real short hair leaves the ears free.
        table = table * [0.98, 0.72, 1.0] - [0.0, 0.12, 0.0]
    for mirror in (1, -1):
        wig.locks(table * [mirror, 1, 1], 0.8 * width, anime_hair._BLUNT, 60, lightness=0.56)
    table, width, profile = anime_hair._FRINGES[fringe]
    wig.locks(table, 1.0 * np.array(width), profile, 80, lightness=0.64)
    return wig.finish(level)


def _comb_crown(wig: _Wig, part: float) -> None:
    """Strands from the crown over the skull."""
    for v in wig.random.permutation(np.linspace(-0.61, 0.61, 150)):
        rim = -0.47 + 0.9 * v * v + 0.012 * wig.random.normal()
        spine = bezier(
            [
                [part + 0.15 * v, -0.895 + 0.06 * v * v, -0.02],
                [1.28 * v, -0.88 + 0.36 * v * v, 0.20],
                [1.0 * v, rim, 0.34 - 0.9 * v * v],
            ],
            17,
        )
        wig.comb(spine, np.full(17, 0.022), 8, 0.60, loose=0.4, ground=False, ragged=0.06)


@cache
def behind(style: str, side: int, level: int) -> np.ndarray:
    """Hair behind the head, with tails, buns and spikes; `side` is that of the ponytail."""
    wig = _Wig(12)
    if style == "twin tails":
        table = anime_hair._both(anime_hair._TAIL)
        wig.locks(table, anime_hair._TAIL_WIDTH * 2, anime_hair._POINTED, 150, loose=2)
    elif style == "ponytail":
        table = np.array(anime_hair._PONYTAIL) * [side, 1, 1]
        wig.locks(table, anime_hair._PONYTAIL_WIDTH, anime_hair._POINTED, 150, loose=2)
    elif style == "buns":
        for x in (-0.50, 0.50):
            _comb_bun(wig, x)
    elif style == "spiky":
        table = [anime_hair._spike(angle, 0.93 * r, lean) for angle, r, lean in anime_hair._SPIKES]
        how = {"loose": 3.0, "lightness": 0.58, "ground": False, "ragged": 0.45}
        wig.locks(table, [0.15] * len(table), anime_hair._POINTED, 240, **how)
    half, ends, width = anime_hair._BEHIND.get(style, anime_hair._BEHIND["short"])
    half = np.array([(x, y, -0.1) for x, y in half])
    outline = spline(np.concatenate([half, anime_hair._mirror(half[:0:-1])]), 5)
    wig.ground(0.985 * outline, 0.38)
    deep = half[-1][1]
    for v in wig.random.permutation(np.linspace(-0.97, 0.97, 70)):
        # Strands follow the outline, closer to the middle the further in they start.
        line = half.copy()
        line[:, 0] *= v
        line[-1, 1] = deep + wig.random.normal(0, 0.03)
        spine = spline(line, 4, closed=False)
        wig.comb(spine, np.full(len(spine), 0.03), 12, 0.60, loose=0.8, ground=False)
    wig.locks(
        anime_hair._both(ends),
        np.multiply(0.8, width * 2),
        anime_hair._POINTED,
        100,
        lightness=0.52,
    )
    return wig.finish(level)


def _comb_bun(wig: _Wig, x: float) -> None:
    y, radius = -0.72, 0.225
    wig.ground(circle(0.97 * radius, x, y, 30), 0.40)
    for turn in wig.random.permutation(np.linspace(0, 2 * np.pi, 70)):
        t = np.linspace(0, 1, 13)
        away = radius * (1.0 - 0.85 * t)
        angle = turn + np.sign(x) * 2.6 * t
        spine = np.stack(
            [x + away * np.cos(angle), y + away * np.sin(angle), 0.2 * np.sqrt(t) - 0.1], axis=1
        )
        wig.comb(spine, np.full(13, 0.018), 6, 0.62, loose=0.2, ground=False)


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
            wig.locks(np.array(table) * [mirror, 1, 1], width, anime_hair._POINTED, 120, loose=2)
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
        wig.comb(spine, half, 45, 0.60, loose=0.3)
