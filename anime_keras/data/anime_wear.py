"""What surrounds an anime face: background, neck and clothes, glasses, ornaments."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from anime_keras.data.stencils import (
    SHIFT,
    UNITS,
    Color,
    Stencil,
    bezier,
    circle,
    hsv,
    mix,
    spline,
    tint,
)

if TYPE_CHECKING:
    from anime_keras.data.anime import Sheet

Points = list[tuple[float, float]]


def draw_background(sheet: Sheet) -> None:
    """Paints the whole canvas."""
    p, canvas = sheet.person, sheet.canvas
    hue, spare = p.background_hue, p.spare
    if p.background == "plain":
        _plain(canvas, hsv(hue, 0.05 + 0.3 * spare[22], 0.90 + 0.1 * spare[23]))
    elif p.background == "gradient":
        _gradient(canvas, hsv(hue, 0.12, 0.99), hsv(hue + 50, 0.42, 0.88))
    elif p.background == "dark":
        _gradient(canvas, hsv(hue, 0.45, 0.20), hsv(hue + 30, 0.42, 0.42))
    elif p.background == "sky":
        _gradient(canvas, hsv(212, 0.62, 0.90), hsv(196, 0.18, 0.99))
        for x, y, size in spare[22:34].reshape(4, 3):
            wide = 0.09 + 0.07 * size
            for step, part in ((-1, 0.7), (0, 1.0), (0.9, 0.75)):
                middle = (1.2 * x - 0.1 + step * wide, 0.2 + 0.7 * y)
                _spot(canvas, middle, (wide * part, 0.62 * wide * part), (246, 250, 255))
    elif p.background == "bokeh":
        _gradient(canvas, hsv(hue, 0.34, 0.72), hsv(hue + 40, 0.22, 0.95))
        for x, y, size in spare[16:40].reshape(8, 3):
            color = mix(hsv(hue + 60 * size, 0.22, 0.98), (255, 255, 255), 0.4 * y)
            radius = 0.04 + 0.10 * size
            _spot(canvas, (x, y), (radius, radius), color)
    elif p.background == "stripes":
        _plain(canvas, hsv(hue, 0.16, 0.98))
        _stripes(canvas, 4 + int(4 * spare[22]), (spare[23] - 0.5) * 2.4, hsv(hue + 20, 0.36, 0.93))
    else:
        _plain(canvas, hsv(hue + 20, 0.36, 0.93))
        for index, (x, y, size) in enumerate(spare[22:40].reshape(6, 3)):
            color = hsv(hue, 0.16, 0.98) if index % 2 else hsv(hue + 40, 0.3, 0.98)
            turn = np.array(
                [[np.cos(6 * size), np.sin(6 * size)], [-np.sin(6 * size), np.cos(6 * size)]]
            )
            _shape(canvas, _FLOWER @ turn * (0.05 + 0.09 * size) + (x, y), color)


_FLOWER = (
    circle(1, n=32)
    * (1 + 0.28 * np.cos(5 * np.linspace(0, 2 * np.pi, 32, endpoint=False)))[:, None]
)


def _plain(canvas: np.ndarray, color: Color) -> None:
    cv2.rectangle(canvas, (0, 0), (len(canvas), len(canvas)), color, -1)


def _gradient(canvas: np.ndarray, top: Color, low: Color) -> None:
    size = canvas.shape[:2]
    cv2.resize(np.array([[top], [low]], np.uint8), size, dst=canvas, interpolation=cv2.INTER_LINEAR)


def _spot(canvas: np.ndarray, middle: tuple, radius: tuple, color: Color) -> None:
    """An ellipse, its measures in parts of the picture's side."""
    size = len(canvas) * UNITS
    centre, axes = (tuple(int(v * size) for v in pair) for pair in (middle, radius))
    cv2.ellipse(canvas, centre, axes, 0, 0, 360, color, -1, cv2.LINE_AA, SHIFT)


def _shape(canvas: np.ndarray, outline: np.ndarray, color: Color) -> None:
    """A filled outline (n, 2), in parts of the picture's side."""
    points = (outline * (len(canvas) * UNITS)).astype(np.int32)
    cv2.fillPoly(canvas, [points], color, cv2.LINE_AA, SHIFT)


def _stripes(canvas: np.ndarray, count: int, angle: float, color: Color) -> None:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    half = 0.375 / count
    bar = np.array([[-half, -2], [half, -2], [half, 2], [-half, 2]])
    places = (np.arange(-count, count) + 0.25) * 1.5 / count
    bars = (bar + places[:, None, None] * [1, 0]) @ turn + 0.5
    points = (bars * (len(canvas) * UNITS)).astype(np.int32)
    cv2.fillPoly(canvas, list(points), color, cv2.LINE_AA, SHIFT)


def draw_body(sheet: Sheet) -> None:
    """Neck with the chin's shadow, shoulders and clothes."""
    p = sheet.person
    cloth = hsv(p.clothes_hue, 0.5, 0.84)
    dark = tint(cloth, (0.42, 0.42, 0.46))
    sheet.colors |= {
        "cloth": cloth,
        "cloth_shade": tint(cloth, (0.74, 0.70, 0.78)),
        "cloth_line": mix((34, 26, 48), tint(cloth, (0.42, 0.37, 0.42)), 0.6),
        "navy": tint(cloth, (0.55, 0.55, 0.62)),
        "dark": dark,
        "dark_light": mix(dark, (255, 255, 255), 0.12),
        "choker": tint(sheet.colors["accent"], (0.5, 0.4, 0.5)),
    }
    sheet.paint(_body_stencil(p.clothes, p.gender, sheet.light), sheet.frame(sheet.body))


@cache
def _body_stencil(clothes: str, gender: str, light: int) -> Stencil:
    stencil = Stencil()
    masculine = gender == "masculine"
    wide, neck, chin = (1.12, 0.20, 0.80) if masculine else (0.95, 0.155, 0.745)
    if clothes == "hoodie":
        hood = [(0.44, 0.96), (0.42, 0.72), (0.2, 0.6)]
        stencil.fill(spline(_mirrored(hood)), "cloth_shade", edge="cloth_line")
    bare = clothes == "dress"
    base = {"dress": "skin", "sailor": "white", "shirt": "white", "jacket": "dark"}.get(
        clothes, "cloth"
    )
    shoulders = [
        (0.17, 0.86),
        (0.36 * wide, 0.93),
        (0.64 * wide, 1.01),
        (0.9 * wide, 1.16),
        (0.96 * wide, 1.6),
    ]
    stencil.fill(spline(_mirrored(shoulders)), base, edge="skin_line" if bare else "cloth_line")
    throat = [(neck, 0.35), (neck, 0.78), (neck + 0.09, 0.89), (0.02, 1.06)]
    stencil.fill(spline(_mirrored(throat), 5), "skin", edge="skin_line")
    shadow = [(-neck, 0.4), (-neck, chin), (0.05 * light, chin + 0.09), (neck, chin), (neck, 0.4)]
    stencil.fill(spline(shadow, 5), "skin_dark")
    _CLOTHES[clothes](stencil, neck)
    return stencil


def _mirrored(right: Points) -> Points:
    """An outline from its right half."""
    return right + [(-x, y) for x, y in reversed(right)]


def _sailor(stencil: Stencil, neck: float) -> None:
    stencil.fill([(-neck - 0.05, 0.84), (0, 1.12), (neck + 0.05, 0.84)], "skin")
    for side in (1, -1):
        flap = [(side * neck, 0.80), (side * 0.52, 0.93), (side * 0.54, 1.1), (side * 0.02, 1.14)]
        stencil.fill(flap, "navy", edge="cloth_line")
        trim = [(side * (neck + 0.11), 0.87), (side * 0.2, 1.0), (side * 0.06, 1.1)]
        stencil.stroke(bezier(trim), 0.012, "white")
        bow = [(0, 1.02), (side * 0.17, 0.95), (side * 0.2, 1.08), (side * 0.03, 1.1)]
        stencil.fill(spline(bow, 5), "accent", edge="accent_line")


def _shirt(stencil: Stencil, neck: float) -> None:
    stencil.fill([(-neck - 0.02, 0.84), (0, 1.0), (neck + 0.02, 0.84)], "skin_dark")
    stencil.fill(_mirrored([(0.06, 0.95), (0.05, 1.02), (0.1, 1.4)]), "cloth", edge="cloth_line")
    for side in (1, -1):
        flap = [(neck, 0.76), (neck + 0.10, 0.84), (0.2, 1.06), (0.01, 0.96)]
        stencil.fill([(side * x, y) for x, y in flap], "white", edge="cloth_line")


def _hoodie(stencil: Stencil, neck: float) -> None:
    for side in (1, -1):
        fold = [(0.02, 1.06), (neck + 0.03, 0.80), (0.36, 0.74), (0.42, 0.92), (0.2, 1.12)]
        stencil.fill(spline([(side * x, y) for x, y in fold], 5), "cloth", edge="cloth_line")
        cord = [(side * 0.09, 1.03), (side * 0.1, 1.12), (side * 0.08, 1.25)]
        stencil.stroke(bezier(cord), 0.014, "white")


def _t_shirt(stencil: Stencil, neck: float) -> None:
    ring = spline(
        [(-neck - 0.1, 0.87), (-0.13, 0.98), (0, 1.02), (0.13, 0.98), (neck + 0.1, 0.87)],
        5,
        closed=False,
    )
    stencil.stroke(ring, 0.044, "cloth_line")
    stencil.stroke(ring, 0.032, "accent")


def _kimono(stencil: Stencil, neck: float) -> None:
    for side, low in ((1, 1.22), (-1, 1.34)):
        under = [(neck, 0.76), (neck + 0.12, 0.80), (-0.16, low), (-0.34, low)]
        stencil.fill([(side * x, y) for x, y in under], "white", edge="cloth_line")
        over = [(neck + 0.07, 0.79), (neck + 0.2, 0.84), (0.1, low), (-0.2, low)]
        stencil.fill([(side * x, y) for x, y in over], "accent", edge="accent_line")


def _jacket(stencil: Stencil, neck: float) -> None:
    stencil.fill([(-neck - 0.03, 0.82), (0, 1.4), (neck + 0.03, 0.82)], "white")
    stencil.fill([(-neck, 0.82), (0, 0.98), (neck, 0.82)], "skin_dark")
    for side in (1, -1):
        lapel = [(neck, 0.77), (neck + 0.13, 0.82), (0.36, 1.02), (0.24, 1.08), (0.03, 1.4)]
        stencil.fill([(side * x, y) for x, y in lapel], "dark_light", edge="cloth_line")


def _dress(stencil: Stencil, neck: float) -> None:
    top = [(0.02, 1.16), (0.3, 1.1), (0.7, 1.18), (0.8, 1.7)]
    stencil.fill(spline(_mirrored(top), 5), "cloth", edge="cloth_line")
    stencil.stroke(bezier([(-neck, 0.80), (0, 0.90), (neck, 0.80)]), 0.028, "choker")
    for side in (1, -1):
        strap = [(side * 0.27, 0.89), (side * 0.34, 1.0), (side * 0.32, 1.2)]
        stencil.stroke(bezier(strap), 0.03, "cloth")


_CLOTHES = {
    "sailor": _sailor,
    "shirt": _shirt,
    "hoodie": _hoodie,
    "t-shirt": _t_shirt,
    "kimono": _kimono,
    "jacket": _jacket,
    "dress": _dress,
}


def draw_glasses(sheet: Sheet) -> None:
    """Frames in front of the eyes, a bridge over the nose, temples towards the ears."""
    p = sheet.person
    stencil = _lens_stencil(p.glasses)
    for side in (-1, 1):
        sheet.paint(stencil, sheet.patch(0.27 * side, 0.085, 0.45, mirror=side))
    sheet.paint(_bridge_stencil(), sheet.patch(0, 0.075, 0.47))


@cache
def _lens_stencil(glasses: str) -> Stencil:
    """One lens; x runs from the nose to the ear."""
    stencil = Stencil()
    rim = circle(1, n=33)
    if glasses == "round":
        rim = rim * [0.212, 0.205]
    else:
        rim = np.sign(rim) * np.abs(rim) ** 0.5 * [0.222, 0.178]
    closed = np.concatenate([rim, rim[:2]])
    # Half-rims have no upper half: y runs down.
    stencil.stroke(rim[:18] if glasses == "half-rim" else closed, 0.0125, "frame")
    reach = rim[0, 0]
    stencil.stroke(
        bezier([[reach, -0.02], [reach + 0.06, -0.06], [reach + 0.13, -0.08]], 5), 0.012, "frame"
    )
    shine = bezier([[-0.13, -0.07], [-0.11, -0.10], [-0.075, -0.13]], 7)
    stencil.stroke(shine, 0.010 * np.sin(np.linspace(0, np.pi, 7)), "white")
    return stencil


@cache
def _bridge_stencil() -> Stencil:
    stencil = Stencil()
    stencil.stroke(bezier([[-0.06, 0.0], [0, -0.035], [0.06, 0.0]], 7), 0.012, "frame")
    return stencil


def draw_ornament(sheet: Sheet) -> None:
    """What is worn in the hair."""
    p = sheet.person
    side = 1 if p.spare[10] < 0.5 else -1
    sheet.paint(_ornament_stencil(p.ornament, side), sheet.frame(sheet.head))


@cache
def _ornament_stencil(ornament: str, side: int) -> Stencil:
    stencil = Stencil()
    _ORNAMENTS[ornament](stencil, side)
    return stencil


def _place(points: np.ndarray, x: float, y: float, z: float, angle: float = 0) -> np.ndarray:
    """Flat points (n, 2) turned by `angle` (clockwise, in radians) and moved to (x, y, z)."""
    c, s = np.cos(angle), np.sin(angle)
    turned = np.asarray(points) @ [[c, s], [-s, c]] + [x, y]
    return np.concatenate([turned, np.full((len(turned), 1), z)], axis=1)


def _ribbon(stencil: Stencil, side: int) -> None:
    spot = (0.42 * side, -0.70, 0.05, 0.5 * side)
    wing = np.array(
        [[0.02, 0], [0.14, -0.14], [0.30, -0.15], [0.29, 0.02], [0.27, 0.14], [0.12, 0.09]]
    )
    for way in (1, -1):
        stencil.fill(_place(spline(wing * [way, 1], 5), *spot), "accent", edge="accent_line")
        fold = bezier([[0.03 * way, 0], [0.11 * way, -0.01], [0.2 * way, 0.02]])
        stencil.stroke(_place(fold, *spot), 0.014 * np.linspace(1, 0, 13), "accent_line")
    stencil.fill(_place(circle((0.055, 0.07)), *spot), "accent_light", edge="accent_line")


def _hairpin(stencil: Stencil, side: int) -> None:
    bar = np.stack([np.linspace(-0.09, 0.09, 6), np.zeros(6)], axis=1)
    for step in (0, 1):
        line = _place(bar, 0.36 * side, -0.42 + 0.085 * step, 0.36, (0.35 + 0.3 * step) * side)
        stencil.stroke(line, 0.030, "accent_line")
        stencil.stroke(line, 0.018, "accent")


def _headband(stencil: Stencil, side: int) -> None:
    half = [[0.63, -0.30, -0.08], [0.46, -0.68, 0.04]]
    arc = [[-x, y, z] for x, y, z in half] + [[0, -0.82, 0.10]] + half[::-1]
    line = spline(arc, 6, closed=False)
    stencil.stroke(line, 0.054, "accent_line")
    stencil.stroke(line, 0.042, "accent")
    stencil.stroke(line - [0, 0.014, 0], 0.010, "accent_light")


def _flower(stencil: Stencil, side: int) -> None:
    spot = (0.47 * side, -0.52, 0.10)
    for angle in np.arange(5) * 2 * np.pi / 5:
        petal = circle((0.085, 0.068), 0.095, n=16)
        stencil.fill(_place(petal, *spot, angle), "accent_light", edge="accent_line")
    stencil.fill(_place(circle(0.05, n=16), *spot), "pollen")


def _cat_ears(stencil: Stencil, side: int) -> None:
    del side
    for x in (1, -1):
        knots = np.array(
            [
                [0.20, -0.80],
                [0.36, -1.00],
                [0.56, -1.14],
                [0.61, -0.86],
                [0.58, -0.52],
                [0.40, -0.66],
            ]
        ) * [x, 1]
        outline = np.concatenate(
            [bezier(knots[at], 8)[:-1] for at in ([0, 1, 2], [2, 3, 4], [4, 5, 0])]
        )
        stencil.fill(_place(outline, 0, 0, -0.05), "hair", edge="hair_line")
        centre = knots[[0, 2, 4]].mean(axis=0)
        stencil.fill(_place(centre + 0.58 * (outline - centre), 0, -0.02, -0.05), "ear_pink")


_ORNAMENTS = {
    "ribbon": _ribbon,
    "hairpin": _hairpin,
    "headband": _headband,
    "flower": _flower,
    "cat ears": _cat_ears,
}
