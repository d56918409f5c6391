"""How a person is drawn in the anime style: from the background to the ornament in the hair.

Lengths are in head units: the face is about one unit wide, x to the right, y down, z towards the
viewer, and the origin lies between the eyes. Turning the head moves a point by its depth z; that
one rule places features, hair and landmarks alike. "Left" and "right" are the viewer's.

Painted back to front: background, hair behind, neck and clothes, face, features, hair in front.

A person's spare numbers are used up so: 0 eyes shut, 1-3 tips of the locks, 4-5 size of the mouth,
6 side of the ponytail, 7-8 cowlick, 9 colour of the glasses, 10 side of the ornament, 16-39
background.
"""

import math
from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data import anime_hair, anime_wear
from anime_keras.data.stencils import (
    SHIFT,
    UNITS,
    WIGGLES,
    Color,
    Stencil,
    bezier,
    circle,
    hsv,
    mix,
    paint,
    spline,
    tint,
)

_SIDES = ("left", "right")
LANDMARKS: tuple[str, ...] = (
    *(f"{s}_eye_{p}" for s in _SIDES for p in ("centre", "inner", "outer", "top", "bottom")),
    *(f"{s}_brow_{p}" for s in _SIDES for p in ("inner", "middle", "outer")),
    "nose_tip",
    *(f"mouth_{p}" for p in ("left", "right", "top", "bottom")),
    *(f"jaw_left_{step}" for step in (1, 2, 3, 4)),
    "chin",
    *(f"jaw_right_{step}" for step in (1, 2, 3, 4)),
    "hairline",
)

_SKIN = {
    "porcelain": (255, 240, 233),
    "fair": (255, 228, 208),
    "tan": (240, 197, 160),
    "brown": (196, 141, 106),
    "dark": (138, 93, 71),
}
# Word -> hue in degrees, its play, saturation from-to, value from-to.
_HAIR = {
    "brown": (24, 5, (0.48, 0.60), (0.46, 0.60)),
    "blonde": (47, 4, (0.42, 0.58), (0.93, 0.99)),
    "black": (235, 25, (0.14, 0.26), (0.18, 0.26)),
    "blue": (219, 7, (0.58, 0.72), (0.70, 0.92)),
    "pink": (342, 8, (0.32, 0.44), (0.96, 1.0)),
    "purple": (272, 8, (0.40, 0.56), (0.62, 0.82)),
    "aqua": (180, 6, (0.44, 0.58), (0.82, 0.94)),
    "green": (125, 18, (0.40, 0.54), (0.56, 0.76)),
    "red": (357, 5, (0.70, 0.80), (0.74, 0.88)),
    "gray": (225, 25, (0.04, 0.10), (0.55, 0.65)),
    "white": (230, 30, (0.02, 0.06), (0.95, 0.99)),
    "orange": (25, 4, (0.68, 0.80), (0.96, 1.0)),
}
_EYE = {
    "blue": (220, 6, (0.74, 0.84), (0.84, 0.96)),
    "red": (356, 4, (0.80, 0.90), (0.78, 0.92)),
    "brown": (24, 4, (0.68, 0.78), (0.46, 0.56)),
    "green": (128, 14, (0.60, 0.72), (0.60, 0.76)),
    "purple": (274, 7, (0.58, 0.70), (0.74, 0.88)),
    "aqua": (181, 4, (0.66, 0.78), (0.86, 0.96)),
    "yellow": (51, 3, (0.76, 0.86), (0.95, 1.0)),
    "pink": (332, 6, (0.50, 0.62), (0.95, 1.0)),
    "orange": (28, 3, (0.84, 0.92), (0.95, 1.0)),
    "black": (240, 30, (0.12, 0.22), (0.16, 0.22)),
    "gray": (220, 25, (0.04, 0.10), (0.58, 0.68)),
}
# How far the lower half of the iris goes to white; the dark words would turn into others.
_GLOW = {"black": 0.10, "brown": 0.18, "gray": 0.25}


class Easel:
    """Canvases of one size, used again for every face.

    Attributes:
        canvas: The picture, uint8 RGB (side, side, 3).
        layer: A second sheet to paint loosely on; `Sheet.cut` moves a part of it to the canvas.
        mask: uint8 (side, side).
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.canvas = np.empty((side, side, 3), np.uint8)
        self.layer = np.empty((side, side, 3), np.uint8)
        self.mask = np.empty((side, side), np.uint8)


def draw(person: SimpleNamespace, easel: Easel, backdrop: Color | None = None) -> np.ndarray:
    """Draws a person on the easel's canvas.

    Args:
        person: A row of `people.People`.
        easel: Where to draw; all of its canvas is painted over.
        backdrop: One flat colour in place of the person's background.

    Returns:
        Points of `LANDMARKS` (points, 2), x and y as fractions of the picture's side: 0 is its
        left or upper edge and 1 its right or lower one.
    """
    sheet = Sheet(person, easel)
    if backdrop is None:
        anime_wear.draw_background(sheet)
    else:
        easel.canvas[:] = backdrop
    anime_hair.draw_behind(sheet)
    anime_wear.draw_body(sheet)
    anime_hair.draw_falling(sheet)
    jaw = _draw_face(sheet)
    nose = _draw_nose(sheet)
    mouth = _draw_mouth(sheet)
    eyes = [_draw_eye(sheet, side) for side in (-1, 1)]
    if person.glasses != "none":
        anime_wear.draw_glasses(sheet)
    hairline = anime_hair.draw_front(sheet)
    brows = [_draw_brow(sheet, side) for side in (-1, 1)]
    if person.ornament != "none":
        anime_wear.draw_ornament(sheet)
    points = np.concatenate([*eyes, *brows, nose, mouth, jaw, hairline])
    # A pixel's centre is at .0 for OpenCV and at .5 for the landmarks.
    return (points / UNITS + 0.5) / easel.side


class Placement:
    """Where head or body are on the canvas, in sixteenths of a pixel.

    Attributes:
        right, down, front: One head unit along x, y and z, each a pair of floats.
        line: A line's width along the picture's and across the head's upright, a pair.
        origin: The origin, a pair.
    """

    def __init__(
        self, x: float, y: float, unit: float, roll: float, turn: float, nod: float, line: float
    ) -> None:
        """`roll` is about the neck, 0.45 units below (x, y); `turn` and `nod` are sines."""
        c, s = math.cos(roll), math.sin(roll)
        self.right, self.down = (c * unit, s * unit), (-s * unit, c * unit)
        self.front = (
            turn * self.right[0] - nod * self.down[0],
            turn * self.right[1] - nod * self.down[1],
        )
        self.line = (c * line, s * line)
        self.origin = (x + 0.45 * s * unit, y + 0.45 * (1 - c) * unit)


class Sheet:
    """One drawing: its person, its colours, and where head and body are on the canvas.

    A frame is a matrix that takes points of a stencil to the canvas. Its rows: one head unit along
    x, y and z; one line's width along x and y; the origin; and the wiggles of the hair.
    """

    def __init__(self, person: SimpleNamespace, easel: Easel) -> None:
        self.person = person
        self.canvas, self.layer, self.mask = easel.canvas, easel.layer, easel.mask
        self.side = side = easel.side
        self.light = 1 if person.light > 0 else -1
        self.colors = _mix_colors(person)
        unit = 0.525 * side * UNITS * person.zoom
        yaw, pitch, roll = (math.radians(a) for a in (person.yaw, person.pitch, person.roll))
        turn, self.squash = math.sin(yaw), math.cos(yaw)
        x = 0.5 * side * UNITS * (1 + person.shift_x) - 0.10 * unit * turn - UNITS / 2
        y = 0.5 * side * UNITS * (1 + person.shift_y) - 0.03 * unit - UNITS / 2
        line = 0.0125 * person.line_weight * unit
        self.head = Placement(x, y, unit, roll, turn, math.sin(pitch), line)
        self.body = Placement(x, y - 0.055 * unit, unit, 0.25 * roll, 0.5 * turn, 0, line)

    def frame(
        self, pose: Placement, scale: tuple[float, float] = (1, 1), wiggle: bool = False
    ) -> np.ndarray:
        """Frame of round things (hair, skull, neck), whose outline a turn moves but keeps as wide."""
        (rx, ry), (dx, dy), (lx, ly) = pose.right, pose.down, pose.line
        wide, tall = scale
        rows = [
            *(rx * wide, ry * wide, dx * tall, dy * tall, *pose.front, lx, ly, -ly, lx),
            *pose.origin,
        ]
        if wiggle:
            for draw in self.person.spare[1 : 1 + WIGGLES].tolist():
                reach = 0.12 * (draw - 0.5)
                rows += (reach * (rx + 0.5 * dx), reach * (ry + 0.5 * dy))
        return np.array(rows, np.float32).reshape(-1, 2)

    def patch(
        self,
        x: float,
        y: float,
        depth: float = 0.40,
        mirror: int = 1,
        scale: tuple[float, float] = (1, 1),
        tilt: float = 0,
    ) -> np.ndarray:
        """Frame of a flat patch on the front of the face, with its origin at (x, y).

        The face is a paraboloid z = depth - 0.6 x^2, so what is turned away gets narrower.

        Args:
            x: Middle of the patch in head units.
            y: The same.
            depth: z of the face at x = 0.
            mirror: -1 lets the patch's x run to the left.
            scale: Size along x and y.
            tilt: Slope of the patch's x axis, upwards.
        """
        head, squash = self.head, self.squash
        (rx, ry), (dx, dy), (fx, fy), (lx, ly) = head.right, head.down, head.front, head.line
        wide, tall = scale
        z = depth - 0.6 * x * x
        return np.array(
            [
                (mirror * (squash * rx - 1.2 * x * fx) - tilt * dx) * wide,
                (mirror * (squash * ry - 1.2 * x * fy) - tilt * dy) * wide,
                *(dx * tall, dy * tall, fx, fy, mirror * lx, mirror * ly, -ly, lx),
                head.origin[0] + x * squash * rx + y * dx + z * fx,
                head.origin[1] + x * squash * ry + y * dy + z * fy,
            ],
            np.float32,
        ).reshape(6, 2)

    def paint(self, stencil: Stencil, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paints on the canvas; returns the first and the last outline."""
        return paint(self.canvas, stencil, frame, self.colors)

    def paint_layer(self, stencil: Stencil, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Paints on the layer; returns the first and the last outline."""
        return paint(self.layer, stencil, frame, self.colors)

    def cut(self, outline: np.ndarray) -> None:
        """Moves what lies inside `outline` (n, 2), in sixteenths, from the layer to the canvas."""
        left, top, width, height = cv2.boundingRect(outline)
        rows = slice(max(top // UNITS - 1, 0), max((top + height) // UNITS + 2, 0))
        columns = slice(max(left // UNITS - 1, 0), max((left + width) // UNITS + 2, 0))
        mask = self.mask[rows, columns]
        if mask.size:
            mask.fill(0)
            cv2.fillPoly(self.mask, [outline], 255, cv2.LINE_8, SHIFT)
            cv2.copyTo(self.layer[rows, columns], mask, self.canvas[rows, columns])


def _word_color(word: tuple, hue: float, shade: float, saturation: float) -> Color:
    middle, play, (s_low, s_high), (v_low, v_high) = word
    return hsv(
        middle + play * hue,
        (s_low + (s_high - s_low) * (1 - shade)) * saturation,
        v_low + (v_high - v_low) * shade,
    )


def _mix_colors(p: SimpleNamespace) -> dict[str, Color]:
    """All colours of a face but the background's and the clothes'."""
    ink, white = (34, 24, 42), (255, 255, 255)
    skin = _SKIN[p.skin_tone]
    hair = _word_color(_HAIR[p.hair_color], p.hair_hue, p.hair_shade, p.saturation)
    eye = _word_color(_EYE[p.eye_color], p.eye_hue, p.eye_shade, p.saturation)
    if p.hair_color == "black":
        dark, light, line = (
            tint(hair, (0.62, 0.60, 0.68)),
            mix(hair, (150, 160, 210), 0.45),
            (14, 11, 22),
        )
    elif p.hair_color == "white":
        dark, light, line = (194, 194, 220), white, (118, 114, 146)
    else:
        dark = mix(tint(hair, (0.74, 0.68, 0.78)), (80, 40, 100), 0.07)
        light, line = mix(hair, (255, 252, 240), 0.50), tint(hair, (0.42, 0.34, 0.42))
    line = mix(ink, line, 0.35 + 0.6 * p.line_tint)
    lash = mix(ink, line, 0.45)
    eye_dark = mix(tint(eye, (0.50, 0.44, 0.56)), (40, 20, 70), 0.12)
    glow = mix(eye, (255, 255, 246), _GLOW.get(p.eye_color, 0.28))
    warm = mix(skin, (246, 92, 92), 0.24 if p.skin_tone in ("brown", "dark") else 0.44)
    blush = p.blush * (1.2 if p.expression in ("smile", "laugh") else 0.75)
    skin_dark = tint(skin, (0.905, 0.78, 0.765))
    skin_line = mix(ink, tint(skin, (0.62, 0.37, 0.34)), 0.3 + 0.6 * p.line_tint)
    accent = hsv(p.accent_hue, 0.62, 0.92)
    return {
        "white": (252, 252, 255),
        "hair": hair,
        "hair_mid": mix(hair, dark, 0.5),
        "hair_dark": dark,
        "hair_deep": mix(tint(dark, (0.82, 0.77, 0.86)), line, 0.12),
        "hair_light": light,
        "hair_soft": mix(hair, light, 0.4),
        "hair_line": line,
        "strand": mix(line, dark, 0.5),
        "lash": lash,
        "under_lash": mix(lash, skin_dark, 0.3),
        "brow": mix(line, hair, 0.15),
        "skin": skin,
        "skin_dark": skin_dark,
        "skin_deep": tint(skin_dark, (0.93, 0.85, 0.86)),
        "skin_line": skin_line,
        **{f"blush{step}": mix(skin, warm, min(step / 6 * blush, 1)) for step in range(1, 7)},
        "eye_shadow": (208, 205, 228),
        "iris_rim": mix(eye_dark, (18, 10, 32), 0.5),
        "iris_dark": eye_dark,
        "iris_mid": mix(eye_dark, eye, 0.72),
        "iris": eye,
        "iris_soft": mix(eye, glow, 0.55),
        "iris_glow": glow,
        "pupil": mix(eye_dark, (12, 6, 22), 0.72),
        "iris_light": mix(glow, white, 0.62),
        "mouth": (160, 54, 64),
        "tongue": (240, 126, 132),
        "teeth": (253, 250, 248),
        "teeth_line": (170, 138, 146),
        "accent": accent,
        "accent_light": mix(accent, white, 0.45),
        "accent_line": tint(accent, (0.46, 0.36, 0.46)),
        "pollen": (250, 214, 90),
        "ear_pink": mix(dark, (255, 170, 180), 0.6),
        "frame": (40, 32, 48) if p.spare[9] < 0.6 else hsv(p.accent_hue, 0.7, 0.55),
    }


# Half of the face's contour, chin to crown: x, y, z.
_FACE = {
    "feminine": [
        *([0.00, 0.645, 0.40], [0.112, 0.612, 0.37], [0.285, 0.475, 0.27]),
        *([0.430, 0.29, 0.16], [0.495, 0.06, 0.08], [0.49, -0.25, 0.05]),
        *([0.40, -0.55, 0.05], [0.0, -0.72, 0.0]),
    ],
    "masculine": [
        *([0.00, 0.705, 0.40], [0.140, 0.672, 0.37], [0.320, 0.515, 0.26]),
        *([0.440, 0.31, 0.15], [0.485, 0.06, 0.08], [0.48, -0.25, 0.05]),
        *([0.40, -0.55, 0.05], [0.0, -0.72, 0.0]),
    ],
}
_EAR = np.array(
    [
        *([0.46, -0.08, 0.0], [0.53, -0.12, -0.02], [0.575, -0.04, -0.02]),
        *([0.555, 0.09, 0.0], [0.50, 0.20, 0.04], [0.46, 0.16, 0.05]),
    ]
)


@cache
def _face_stencil(gender: str) -> Stencil:
    """Ears, then the face's contour; the last piece is the face itself."""
    stencil = Stencil()
    for side in (-1, 1):
        ear = spline(_EAR * [side, 1, 1], 5)
        stencil.fill(ear, "skin", edge="skin_line")
        stencil.fill(ear.mean(axis=0) + 0.55 * (ear - ear.mean(axis=0)), "skin_dark", fine=True)
    half = np.array(_FACE[gender])
    outline = spline(np.concatenate([half, half[-2:0:-1] * [-1, 1, 1]]), 6)
    stencil.fill(outline, "skin", edge="skin_line")
    return stencil


@cache
def _blush_stencil() -> Stencil:
    stencil = Stencil()
    for step in range(1, 7):
        size = 1.15 - 0.12 * step
        spot = circle((0.14 * size, 0.078 * size), n=20)
        stencil.fill(spot, f"blush{step}", fine=step not in (3, 6))
    return stencil


def _draw_face(sheet: Sheet) -> np.ndarray:
    """Ears and face with blush and shadows; returns jaw and chin (9, 2), left to right."""
    p, colors = sheet.person, sheet.colors
    stencil = _face_stencil(p.gender)
    frame = sheet.frame(sheet.head, scale=(p.jaw_width, p.chin_length))
    _, outline = sheet.paint(stencil, frame)

    # On the layer: the face in the shade, a lit copy moved to the light, blush, the hair's shadow.
    cv2.rectangle(sheet.layer, (0, 0), (sheet.side, sheet.side), colors["skin_dark"], -1)
    moved = outline + ((0.025 + 0.05 * abs(p.light)) * sheet.light * frame[0]).astype(np.int32)
    cv2.fillPoly(sheet.layer, [moved], colors["skin"], cv2.LINE_8, SHIFT)
    for side in (-1, 1):
        sheet.paint_layer(_blush_stencil(), sheet.patch(0.315 * side, 0.30))
    anime_hair.draw_shadow(sheet)
    sheet.cut(outline)
    return _jaw(p.gender) @ frame[:3] + frame[5]


@cache
def _jaw(gender: str) -> np.ndarray:
    """Points of jaw and chin (9, 3), left to right."""
    right = np.array(_FACE[gender][:5])
    return np.concatenate([right[:0:-1] * [-1, 1, 1], right])


# An eye, in its own frame: u from the inner corner (-1) to the outer (1), v down.
_LID = [[-0.97, 0.26], [-0.74, -0.42], [-0.2, -0.88], [0.42, -0.88], [0.86, -0.42], [1.0, 0.14]]
_LOWER = [[1.0, 0.14], [0.80, 0.66], [0.15, 0.95], [-0.58, 0.76], [-0.97, 0.26]]
_WING = [1.19, 0.0]
_FLICKS = [
    [[0.72, -0.74], [1.0, -0.84], [1.22, -1.00]],
    [[0.94, -0.44], [1.14, -0.47], [1.34, -0.58]],
]
_CREASE = [[-0.5, -1.10], [0.0, -1.32], [0.5, -1.26], [0.92, -0.88]]
_UNDER = [[1.02, 0.24], [0.82, 0.72], [0.45, 0.93], [0.05, 1.01]]
_SHUT = [[-1.0, 0.42], [-0.6, -0.08], [0.0, -0.28], [0.6, -0.08], [1.06, 0.46]]
_LASH_WIDTH = ([0, 0.15, 0.5, 0.8, 0.93, 1], [0.12, 0.5, 0.85, 1.0, 0.7, 0.0])
# Half width and half height of the eye, of the iris, thickness of the upper lash.
_EYE_SIZE = {
    "feminine": ((0.170, 0.172), (0.120, 0.160), 0.031),
    "masculine": ((0.162, 0.126), (0.108, 0.126), 0.024),
}


def _taper(count: int) -> np.ndarray:
    """Half width of a line that is thin at both ends (count,)."""
    return np.sin(np.linspace(0, np.pi, count)) ** 0.7


def _move_lid(line: np.ndarray, expression: str) -> np.ndarray:
    """An upper lid (6, 2) as the expression lowers it."""
    line, u = np.array(line), np.array(line)[:, 0]
    if expression == "angry":
        line[1:5, 1] += 0.34 * (1 - u[1:5]) / 2 + 0.06
    elif expression == "sad":
        line[1:5, 1] += 0.34 * (1 + u[1:5]) / 2 + 0.04
    elif expression == "neutral":
        line[1:5, 1] += 0.05
    return line


@cache
def _lids(gender: str, expression: str) -> tuple[np.ndarray, np.ndarray]:
    """Curves of the upper lid (31, 2), inner to outer corner, and of the lower lid (25, 2) back."""
    lower = np.array(_LOWER)
    if expression in ("smile", "laugh"):
        lower[1:4, 1] -= 0.16
    elif expression == "angry":
        lower[1:4, 1] -= 0.08
    upper = spline(_move_lid(_LID, expression), 6, closed=False)
    size = _EYE_SIZE[gender][0]
    return upper * size, spline(lower, 6, closed=False) * size


@cache
def _eye_marks(gender: str, expression: str) -> np.ndarray:
    """Centre of the opening, inner and outer corner, top and bottom (5, 2)."""
    upper, lower = _lids(gender, expression)
    top, bottom = upper[15], lower[12]
    return np.array([(top + bottom) / 2, upper[0], upper[-1], top, bottom])


@cache
def _eyeball_stencil(gender: str, expression: str) -> Stencil:
    """The eye's opening, and the shadow of the upper lid on the white."""
    stencil = Stencil()
    upper, lower = _lids(gender, expression)
    stencil.fill(np.concatenate([upper, lower[1:-1]]), "white")
    stencil.stroke(upper, 0.05, "eye_shadow")
    return stencil


@cache
def _iris_stencil(gender: str) -> Stencil:
    stencil = Stencil()
    size = np.array(_EYE_SIZE[gender][1])
    stencil.fill(circle(1) * size, "iris_rim")
    stencil.fill(circle(0.88) * size, "iris_dark", fine=True)
    for step, color in enumerate(("iris_mid", "iris", "iris_soft", "iris_glow")):
        spot = circle(0.84 - 0.13 * step, 0, 0.08 + 0.14 * step) * size
        stencil.fill(spot, color, fine=color == "iris_soft")
    stencil.fill(circle((0.34, 0.38), 0, -0.06) * size, "pupil")
    return stencil


@cache
def _lid_shade_stencil(gender: str, expression: str) -> Stencil:
    """Shadow of the upper lid on the iris."""
    stencil = Stencil()
    stencil.stroke(_lids(gender, expression)[0], 0.033, "iris_rim")
    return stencil


@cache
def _highlights_stencil(gender: str, light: int) -> Stencil:
    stencil = Stencil()
    size = np.array(_EYE_SIZE[gender][1])
    stencil.fill(circle((0.36, 0.30), 0.34 * light, -0.42, 18) * size, "white")
    stencil.fill(circle((0.17, 0.14), -0.42 * light, 0.46, 14) * size, "iris_light")
    return stencil


@cache
def _lashes_stencil(gender: str, expression: str) -> Stencil:
    stencil = Stencil()
    (width, height), _, bold = _EYE_SIZE[gender]
    size = [width, height]
    lash = np.concatenate([_move_lid(_LID, expression)[:-1] * [1.03, 1], [_WING]])
    lash[1:-1, 1] -= 0.09
    lash = spline(lash, 6, closed=False) * size
    crease = (
        spline(_move_lid([_LID[0], *_CREASE, _LID[-1]], expression)[1:5], 6, closed=False) * size
    )
    stencil.stroke(crease, 0.2 * bold * _taper(len(crease)), "skin_line")
    under = spline(_UNDER, 6, closed=False) * size
    if expression in ("smile", "laugh"):
        under[:, 1] -= 0.14 * height
    stencil.stroke(under, 0.24 * bold * _taper(len(under)), "under_lash")
    stencil.stroke(lash, bold * np.interp(np.linspace(0, 1, len(lash)), *_LASH_WIDTH), "lash")
    if gender == "feminine":
        for flick in _FLICKS:
            stencil.stroke(bezier(flick, 8) * size, 0.4 * bold * np.linspace(1, 0, 8), "lash")
    return stencil


@cache
def _shut_stencil(gender: str) -> Stencil:
    stencil = Stencil()
    size, _, bold = _EYE_SIZE[gender]
    arc = spline(_SHUT, 7, closed=False) * size
    stencil.stroke(arc, 0.75 * bold * (0.25 + _taper(len(arc))), "lash")
    return stencil


def eyes_shut(person: SimpleNamespace) -> bool:
    """Whether a laughing person shuts the eyes for joy: three in ten do."""
    return person.expression == "laugh" and person.spare[0] < 0.3


def _draw_eye(sheet: Sheet, side: int) -> np.ndarray:
    """An eye; returns its centre, inner and outer corner, top and bottom (5, 2)."""
    p = sheet.person
    x, y = side * 0.272 * p.eye_spacing, 0.075 if p.gender == "feminine" else 0.055
    tall = p.eye_height * {"surprised": 1.10, "angry": 0.94}.get(p.expression, 1.0)
    tilt = math.tan(math.radians(p.eye_tilt))
    frame = sheet.patch(x, y, mirror=side, scale=(p.eye_width, tall), tilt=tilt)
    marks = _eye_marks(p.gender, p.expression) @ frame[:2] + frame[5]
    if eyes_shut(p):
        sheet.paint(_shut_stencil(p.gender), frame)
        return marks

    size = p.iris_size * (0.84 if p.expression == "surprised" else 1.0)
    iris = sheet.patch(x, y, mirror=side, scale=(size, size))
    iris[5] += side * p.gaze_x * 0.17 * iris[0] + (0.03 + p.gaze_y) * 0.17 * iris[1]
    opening, _ = sheet.paint_layer(_eyeball_stencil(p.gender, p.expression), frame)
    sheet.paint_layer(_iris_stencil(p.gender), iris)
    sheet.paint_layer(_lid_shade_stencil(p.gender, p.expression), frame)
    sheet.cut(opening)
    sheet.paint(_lashes_stencil(p.gender, p.expression), frame)
    sheet.paint(_highlights_stencil(p.gender, sheet.light * side), iris)
    return marks


# Brows: how far the inner end, the middle and the outer end are lowered.
_BROWS = {
    "neutral": (0.0, -0.025, 0.015),
    "smile": (-0.015, -0.055, 0.0),
    "laugh": (-0.045, -0.095, -0.02),
    "sad": (-0.075, -0.03, 0.055),
    "angry": (0.080, 0.0, -0.055),
    "surprised": (-0.075, -0.125, -0.055),
}


@cache
def _brow_knots(expression: str) -> np.ndarray:
    inner, middle, outer = _BROWS[expression]
    return np.array([[-0.135, inner], [0.01, middle], [0.155, outer]])


@cache
def _brow_stencil(gender: str, expression: str) -> Stencil:
    stencil = Stencil()
    line = spline(_brow_knots(expression), 6, closed=False)
    profile = np.interp(np.linspace(0, 1, len(line)), [0, 0.12, 0.5, 1], [0.5, 1, 0.9, 0.1])
    stencil.stroke(line, (0.012 if gender == "feminine" else 0.020) * profile, "brow")
    return stencil


def _draw_brow(sheet: Sheet, side: int) -> np.ndarray:
    """A brow; returns its inner end, middle and outer end (3, 2)."""
    p = sheet.person
    y = -0.205 if p.gender == "feminine" else -0.165
    frame = sheet.patch(side * 0.275, y, mirror=side, scale=(1, p.brow_weight))
    sheet.paint(_brow_stencil(p.gender, p.expression), frame)
    return _brow_knots(p.expression) @ frame[:2] + frame[5]


@cache
def _nose_stencil(gender: str, light: int) -> Stencil:
    stencil = Stencil()
    away = -light
    stencil.fill([[0.0, -0.035], [0.024 * away, 0.008], [-0.012 * away, 0.016]], "skin_deep")
    tip = bezier([[-0.006 * away, 0.014], [0.012 * away, 0.016], [0.022 * away, 0.006]], 7)
    stencil.stroke(tip, 0.0055 * _taper(7), "skin_line")
    if gender == "masculine":
        bridge = bezier([[0.03 * away, -0.14], [0.03 * away, -0.06], [0.04 * away, -0.01]], 8)
        stencil.stroke(bridge, 0.004 * np.linspace(0, 1, 8), "skin_line")
    return stencil


def _draw_nose(sheet: Sheet) -> np.ndarray:
    p = sheet.person
    frame = sheet.patch(0, 0.295 if p.gender == "feminine" else 0.315, 0.47)
    sheet.paint(_nose_stencil(p.gender, sheet.light), frame)
    return frame[5:6]


# Closed mouths: half width, and how far corners and middle are lowered.
_CLOSED = {
    "neutral": (0.070, 0.0, 0.010),
    "smile": (0.125, -0.030, 0.028),
    "sad": (0.088, 0.030, -0.020),
}
# Open mouths: left corner, top, right corner, then the lower lip from right to left.
_OPEN = {
    "laugh": [
        [-0.165, -0.045],
        [0, -0.022],
        [0.165, -0.045],
        [0.105, 0.085],
        [0, 0.125],
        [-0.105, 0.085],
    ],
    "surprised": [
        [-0.056, 0.012],
        [0, -0.072],
        [0.056, 0.012],
        [0.046, 0.074],
        [0, 0.098],
        [-0.046, 0.074],
    ],
    "angry": [
        [-0.12, 0.038],
        [0, -0.036],
        [0.12, 0.038],
        [0.108, 0.094],
        [0, 0.040],
        [-0.108, 0.094],
    ],
}


@cache
def _closed_mouth_stencil(expression: str) -> Stencil:
    stencil = Stencil()
    half, corner, middle = _CLOSED[expression]
    line = spline([[-half, corner], [0, middle], [half, corner]], 8, closed=False)
    lip = bezier([[-0.034, 0.064], [0, 0.076], [0.034, 0.064]], 9)
    stencil.stroke(lip, 0.009 * _taper(9), "skin_dark")
    stencil.stroke(line, 0.009 * (0.35 + _taper(len(line))), "skin_line")
    return stencil


@cache
def _open_mouth_stencil(expression: str) -> tuple[Stencil, Stencil]:
    """Contour and outline of an open mouth, and what is inside."""
    rim, inside = Stencil(), Stencil()
    knots = np.array(_OPEN[expression])
    if expression == "laugh":
        low = spline(knots[[2, 3, 4, 5, 0]], 6, closed=False)
        outline = np.concatenate([bezier(knots[:3], 8), low[1:-1]])
    else:
        outline = spline(knots, 6)
    inside.fill(outline, "teeth" if expression == "angry" else "mouth")
    if expression == "angry":
        middle = (knots[0] + knots[5]) / 2
        bite = bezier([middle, [0, -0.05], middle * [-1, 1]], 10)
        inside.stroke(bite, 0.005, "teeth_line")
    else:
        width = knots[2, 0]
        inside.fill(circle((0.66 * width, 0.6 * width), 0, knots[4, 1] + 0.08 * width), "tongue")
    if expression == "laugh":
        inside.stroke(bezier(knots[:3], 8), 0.030, "teeth")
    rim.fill(outline, "skin_line", edge="skin_line")
    return rim, inside


def _draw_mouth(sheet: Sheet) -> np.ndarray:
    """The mouth; returns its left and right corner, top and bottom (4, 2)."""
    p = sheet.person
    y = 0.455 if p.gender == "feminine" else 0.49
    frame = sheet.patch(0, y, 0.42, scale=(0.88 + 0.28 * p.spare[4], 0.88 + 0.28 * p.spare[5]))
    if p.expression in _CLOSED:
        sheet.paint(_closed_mouth_stencil(p.expression), frame)
        half, corner, middle = _CLOSED[p.expression]
        marks = np.array([[-half, corner], [half, corner], [0, middle], [0, middle]])
    else:
        rim, inside = _open_mouth_stencil(p.expression)
        _, outline = sheet.paint(rim, frame)
        sheet.paint_layer(inside, frame)
        sheet.cut(outline)
        marks = np.array(_OPEN[p.expression])[[0, 2, 1, 4]]
    return marks @ frame[:2] + frame[5]
