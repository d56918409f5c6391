"""The face of a portrait: height, normals and colouring of the skin, baked once a gender and mood.

A plate is a set of maps over the face seen from the front, in the head units of `anime.py`: origin
between the eyes, x to the right, y down. All that two faces of one gender and expression share is in
it (lids, lips, nostrils, shading normals, the mottling of the skin); what differs comes later, when
`portrait.py` bends, tints and lights it.

Proportions are those of the usual face canon (the eyes half way down the head, an eye's width
between the eyes), but for the eyes, which are a tenth larger, and the irises, which are a third
larger, so that small pictures show their colour.
"""

from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data.stencils import SHIFT, UNITS, bezier, circle, ribbon, spline

RESOLUTION = 320
"""Plate pixels a head unit."""
LEFT, TOP, WIDTH, HEIGHT = -0.56, -0.80, 1.12, 1.60
"""The plate's rectangle in head units."""

EYE_X, EYE_Y, IRIS = 0.187, 0.0, 0.047
MOUTH_Y = {"feminine": 0.405, "masculine": 0.43}
_BROW_Y = {"feminine": -0.130, "masculine": -0.115}
_NOSE_Y = {"feminine": 0.235, "masculine": 0.255}
HAIRLINE = (0.0, -0.43)

# Half of the contour, chin to crown; the first five points are the landmarks of chin and jaw.
_OUTLINE = {
    "feminine": [
        *([0.0, 0.655], [0.105, 0.630], [0.232, 0.520], [0.342, 0.330], [0.398, 0.08]),
        *([0.408, -0.16], [0.375, -0.42], [0.26, -0.62], [0.0, -0.70]),
    ],
    "masculine": [
        *([0.0, 0.705], [0.135, 0.682], [0.275, 0.555], [0.372, 0.345], [0.405, 0.08]),
        *([0.410, -0.16], [0.378, -0.42], [0.26, -0.62], [0.0, -0.70]),
    ],
}

# An eye in its own frame: u from the inner corner (-1) to the outer (1), v down.
_UPPER = [[-1.0, 0.20], [-0.72, -0.40], [-0.22, -0.78], [0.32, -0.82], [0.78, -0.42], [1.0, 0.02]]
_LOWER = [[1.0, 0.02], [0.70, 0.42], [0.12, 0.64], [-0.5, 0.52], [-1.0, 0.20]]
_SHUT = [[-1.0, 0.24], [-0.6, 0.30], [-0.2, 0.34], [0.25, 0.32], [0.65, 0.22], [1.0, 0.06]]
_EYE_SIZE = {"feminine": (0.100, 0.056), "masculine": (0.097, 0.048)}

# Brows: how far the inner end, the middle and the outer end are lowered.
_BROWS = {
    "neutral": (0.012, -0.022, 0.010),
    "smile": (0.006, -0.032, 0.006),
    "laugh": (-0.006, -0.048, 0.0),
    "sad": (-0.040, -0.018, 0.032),
    "angry": (0.056, 0.006, -0.014),
    "surprised": (-0.040, -0.078, -0.030),
}
# The mouth: half width; how far the corners are lowered; half height and teeth of its opening.
_MOUTHS = {
    "neutral": (0.130, -0.002, 0.0, 0.0),
    "smile": (0.156, -0.038, 0.0, 0.0),
    "laugh": (0.172, -0.058, 0.042, 1.0),
    "sad": (0.118, 0.016, 0.0, 0.0),
    "angry": (0.128, 0.020, 0.022, 1.0),
    "surprised": (0.076, 0.006, 0.056, 0.25),
}


class Plate:
    """Maps of a face, float32 (rows, columns, 4) each.

    Attributes:
        relief: Normal x, y, z and how much of the pixel is face.
        tint: Factors of the skin's red, green and blue, and how much it shines.
        ink: Blush, dark lines, opening of the eyes, brows.
        mouth: What is inside the open mouth: red, green, blue in [0, 1] times cover, cover.
    """

    def __init__(self, *maps: np.ndarray, level: int) -> None:
        self.relief, self.tint, self.ink, self.mouth = (halved(image, level) for image in maps)


def halved(image: np.ndarray, times: int) -> np.ndarray:
    """The image, halved that often."""
    for _ in range(times):
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return image.astype(np.float32) if image.dtype != np.uint8 else image


def _grid() -> tuple[np.ndarray, np.ndarray]:
    rows, columns = round(HEIGHT * RESOLUTION), round(WIDTH * RESOLUTION)
    x = LEFT + (np.arange(columns, dtype=np.float32) + 0.5) / RESOLUTION
    y = TOP + (np.arange(rows, dtype=np.float32) + 0.5) / RESOLUTION
    return np.meshgrid(x, y)


def _fill(outlines: np.ndarray | list[np.ndarray], blur: float = 0.0) -> np.ndarray:
    """Mask in [0, 1] of one or more outlines (n, 2) in head units, softened by `blur` units."""
    rows, columns = round(HEIGHT * RESOLUTION), round(WIDTH * RESOLUTION)
    mask = np.zeros((rows, columns), np.uint8)
    for outline in outlines if isinstance(outlines, list) else [outlines]:
        points = ((outline - [LEFT, TOP]) * RESOLUTION - 0.5) * UNITS
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
    mask = mask.astype(np.float32) / 255
    return _blur(mask, blur) if blur else mask


def _blur(image: np.ndarray, units: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), units * RESOLUTION)


def _line(points: np.ndarray, half_width: np.ndarray | float, blur: float = 0.002) -> np.ndarray:
    return _fill(ribbon(np.asarray(points, float), half_width), blur)


def _taper(count: int) -> np.ndarray:
    return np.sin(np.linspace(0, np.pi, count)) ** 0.7


def _bump(x: np.ndarray, y: np.ndarray, at: tuple, size: tuple, both: bool = False) -> np.ndarray:
    """A Gaussian hill of height 1, on both sides of the face if wanted."""
    (cx, cy), (sx, sy) = at, size
    away = np.abs(x) - cx if both else x - cx
    return np.exp(-0.5 * ((away / sx) ** 2 + ((y - cy) / sy) ** 2))


def _step(t: np.ndarray) -> np.ndarray:
    """A smooth step from 0 to 1 (the logistic function)."""
    return 0.5 + 0.5 * np.tanh(0.5 * t)


@cache
def lids(gender: str, expression: str, shut: bool) -> tuple[np.ndarray, np.ndarray]:
    """Upper lid (31, 2), inner to outer corner, and lower lid (25, 2) back, about the eye's middle.

    x runs outwards.
    """
    upper, lower = np.array(_UPPER), np.array(_LOWER)
    u = upper[:, 0]
    if expression == "angry":
        upper[1:5, 1] += 0.30 * (1 - u[1:5]) / 2 + 0.10
        lower[1:4, 1] -= 0.06
    elif expression == "sad":
        upper[1:5, 1] += 0.34 * (1 + u[1:5]) / 2 + 0.06
        upper[5, 1] += 0.16
        lower[0, 1] += 0.16
    elif expression == "surprised":
        upper[1:5, 1] -= 0.30
        lower[1:4, 1] += 0.08
    elif expression in ("smile", "laugh"):
        upper[1:5, 1] += 0.08
        lower[1:4, 1] -= 0.17 if expression == "smile" else 0.22
    size = np.array(_EYE_SIZE[gender])
    low = spline(lower, 6, closed=False) * size
    if shut:
        return spline(np.array(_SHUT), 6, closed=False) * size, low
    return spline(upper, 6, closed=False) * size, low


@cache
def marks(gender: str, expression: str) -> SimpleNamespace:
    """Landmarks on the plate: `eye` (5, 2) and `brow` (3, 2) of the right side, about the eye's
    middle; `nose` (2,), `mouth` (4, 2), `jaw` (9, 2), left to right, `hairline` (2,)."""
    upper, lower = lids(gender, expression, False)
    top, bottom = upper[15], lower[12]
    eye = np.array([(top + bottom) / 2, upper[0], upper[-1], top, bottom])
    half, corner, opening, _ = _MOUTHS[expression]
    y = MOUTH_Y[gender]
    mouth = np.array([[-half, y + corner], [half, y + corner], [0, y - opening], [0, y + opening]])
    right = np.array(_OUTLINE[gender][:5])
    jaw = np.concatenate([right[:0:-1] * [-1, 1], right])
    brow = _brow(gender, expression)
    return SimpleNamespace(
        eye=eye, brow=brow, nose=np.array([0, _NOSE_Y[gender]]), mouth=mouth, jaw=jaw,
        hairline=np.array(HAIRLINE),
    )  # fmt: skip


def _brow(gender: str, expression: str) -> np.ndarray:
    y = _BROW_Y[gender] + np.array(_BROWS[expression])
    return np.stack([[0.082 - EYE_X, 0.19 - EYE_X, 0.305 - EYE_X], y], axis=1)


def _sides(points: np.ndarray) -> list[np.ndarray]:
    """An outline about the right eye's middle, on both sides of the face."""
    right = np.asarray(points) + np.array([EYE_X, EYE_Y])
    return [right, right * [-1, 1]]


def _both_lines(
    points: np.ndarray, half_width: np.ndarray | float, blur: float = 0.002
) -> np.ndarray:
    """Mask of a line about the right eye and of its mirror image."""
    return _fill(_sides(ribbon(np.asarray(points, float), half_width)), blur)


@cache
def plate(gender: str, expression: str, shut: bool, level: int) -> Plate:
    """Bakes a face.

    Args:
        gender: A word of the factor.
        expression: The same.
        shut: Whether the eyes are shut.
        level: How often the maps are halved.

    Returns:
        Its maps.
    """
    x, y = _grid()
    masculine = gender == "masculine"
    half = np.array(_OUTLINE[gender])
    outline = spline(np.concatenate([half, half[-2:0:-1] * [-1, 1]]), 6)
    cover = _fill(outline, 0.003)

    lips = _lips(gender, expression)
    eyes = _eyes(gender, expression, shut)
    height = _height(x, y, gender, expression) + 0.010 * eyes.ball + lips.height
    height += 0.0006 * _pores(x.shape)
    dy, dx = np.gradient(_blur(height, 0.004), 1 / RESOLUTION)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)

    # What lies deeper than its surroundings gets less light from the sky.
    hollow = _blur(height, 0.035) - height
    occlusion = 1 - np.clip(13 * hollow, -0.06, 0.46) * _fill(outline * 0.93, 0.03)
    warm = 1 - occlusion
    tint = np.stack([occlusion + 0.30 * warm, occlusion, occlusion - 0.04 * warm], axis=-1)
    rosy = (
        0.5 * _bump(x, y, (0, 0.245), (0.06, 0.05))
        + 0.35 * _bump(x, y, (0.27, 0.16), (0.09, 0.08), both=True)
        + 0.25 * _bump(x, y, (0, 0.60), (0.10, 0.06))
        + 0.10 * _blotches(x.shape)
    )
    tint *= 1 - rosy[..., None] * [0.01, 0.085, 0.075]
    under = _bump(x, y, (EYE_X - 0.01, 0.075), (0.075, 0.020), both=True)
    tint *= 1 - under[..., None] * [0.09, 0.10, 0.07]
    color = [0.88, 0.70, 0.68] if masculine else [0.86, 0.56, 0.57]
    tint *= 1 - lips.cover[..., None] * (1 - np.array(color))
    if masculine:
        # The shadow of a shaven beard.
        beard = _fill(outline * [0.98, 1], 0.04) * _step((y - 0.36) / 0.035)
        beard *= 1 - 0.9 * _blur(lips.cover, 0.01)
        tint *= 1 - beard[..., None] * (0.8 + 0.2 * _pores(x.shape, 7)[..., None]) * [
            *(0.105, 0.085, 0.055)
        ]
    shine = 0.35 + 0.5 * _bump(x, y, (0, 0.21), (0.028, 0.06)) + 1.1 * lips.cover
    shine += 0.3 * _bump(x, y, (0, -0.28), (0.16, 0.10)) - 0.25 * _bump(
        x, y, (0.28, 0.40), (0.1, 0.2), both=True
    )

    nostrils = np.zeros_like(x)
    for side in (-1, 1):
        slit = circle((0.021, 0.0085), n=20) @ [[0.95, -0.3 * side], [0.3 * side, 0.95]]
        at = [0.037 * side, _NOSE_Y[gender] + 0.037]
        nostrils = np.maximum(nostrils, _fill(slit + at, 0.004))
        wing = bezier(
            [
                [0.078 * side, at[1] - 0.055],
                [0.098 * side, at[1] - 0.02],
                [0.072 * side, at[1] + 0.003],
            ]
        )
        nostrils = np.maximum(nostrils, 0.34 * _line(wing, 0.005 * _taper(13), 0.005))
    dark = np.maximum.reduce([eyes.lines, lips.slit, 0.80 * nostrils])
    blush = _bump(x, y, (0.255, 0.175), (0.085, 0.07), both=True)
    ink = np.stack([blush, dark, eyes.opening, _brow_hairs(gender, expression)], axis=-1)
    return Plate(
        np.concatenate([normal, cover[..., None]], axis=-1),
        np.concatenate([tint, np.clip(shine, 0, 2)[..., None]], axis=-1),
        ink,
        lips.inside,
        level=level,
    )


def _noise(shape: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).standard_normal(shape, np.float32)


def _pores(shape: tuple[int, int], seed: int = 1) -> np.ndarray:
    return _blur(_noise(shape, seed), 0.0045) * 2.5


def _blotches(shape: tuple[int, int]) -> np.ndarray:
    return np.clip(_blur(_noise(shape, 2), 0.02) * 20, -2, 2)


def _height(x: np.ndarray, y: np.ndarray, gender: str, expression: str) -> np.ndarray:
    """How far the skin is in front of the ears, in head units."""
    masculine = gender == "masculine"
    joy = {"smile": 0.7, "laugh": 1.0}.get(expression, 0.0)
    mouth, tip = MOUTH_Y[gender], _NOSE_Y[gender]
    low = 0.70 if masculine else 0.665
    # Jaw and forehead are narrower than the cheekbones.
    wide = 0.44 - 0.16 * np.clip((y - 0.12) / 0.55, 0, 1) ** 2 * (0.85 if masculine else 1.05)
    wide -= 0.05 * np.clip((-y - 0.2) / 0.5, 0, 1) ** 2
    q = np.abs(x / wide) ** 2.9 + np.where(y > 0, np.abs(y / (low + 0.03)) ** 3.2, (y / 0.82) ** 2)
    height = 0.30 * np.sqrt(np.clip(1 - q, 0.004, None))

    ridge = np.clip((y + 0.10) / (tip + 0.10), 0, 1) * (y < tip) + (y >= tip)
    end = _step((tip + 0.026 - y) / 0.013)
    bridge = (0.016 + 0.048 * ridge**1.5) * np.exp(-0.5 * (x / (0.028 + 0.014 * ridge)) ** 2)
    start = _step((y + 0.09) / 0.025)
    height += (1.12 if masculine else 0.95) * bridge * end * start
    height += 0.034 * _bump(x, y, (0, tip), (0.036, 0.032))
    height += 0.030 * _bump(x, y, (0.056, tip + 0.016), (0.024, 0.021), both=True)
    height -= 0.026 * _bump(x, y, (EYE_X - 0.045, -0.035), (0.050, 0.040), both=True)
    height -= 0.018 * _bump(x, y, (EYE_X + 0.03, -0.055), (0.085, 0.030), both=True)
    height += 0.026 * _bump(x, y, (EYE_X, 0.0), (0.070, 0.046), both=True)
    ridge_height = 0.026 if masculine else 0.012
    height += ridge_height * _bump(x, y, (0.17, _BROW_Y[gender]), (0.12, 0.035), both=True)
    height += (0.024 + 0.022 * joy) * _bump(x, y, (0.235, 0.155), (0.085, 0.07), both=True)
    height += 0.020 * _bump(x, y, (0, mouth), (0.10, 0.06))
    height -= 0.003 * _bump(x, y, (0, mouth - 0.075), (0.014, 0.03))
    height -= 0.020 * _bump(x, y, (0, mouth + 0.085), (0.07, 0.020))
    height += 0.030 * _bump(x, y, (0, low - 0.085), (0.085, 0.055))
    # From the wings of the nose round the mouth; laughing deepens it.
    fold = bezier([[0.085, tip + 0.01], [0.135, mouth - 0.08], [0.185, mouth + 0.03]], 15)
    groove = _line(fold, 0.010 * _taper(15), 0.010)
    return height - (0.005 + 0.015 * joy) * (groove + groove[:, ::-1])


def _lips(gender: str, expression: str) -> SimpleNamespace:
    """`cover` and `height` of the lips, the `slit` between them, and the `inside` of the mouth."""
    half, corner, opening, teeth = _MOUTHS[expression]
    y = MOUTH_Y[gender]
    full = 1.0 if gender == "masculine" else 1.25
    full *= 0.72 if expression == "laugh" else 1.0  # stretched
    left, right = [-half, corner], [half, corner]
    # The upper lip's lower edge and the lower lip's upper edge part where the mouth is open.
    bow = 0.25 * corner
    upper_in = [left, [-0.45 * half, bow - 0.92 * opening], [0, 0.004 - opening]]
    lower_in = [left, [-0.45 * half, bow + 0.88 * opening], [0, 0.004 + opening]]
    upper_out = [
        left,
        [-0.55 * half, bow - 0.024 * full - 0.85 * opening],
        [-0.16 * half, -0.040 * full - opening],
        [0, -0.033 * full - opening],
    ]
    lower_out = [
        left,
        [-0.62 * half, bow + 0.026 * full + 0.8 * opening],
        [0, 0.050 * full + opening],
    ]
    curves = [
        spline(_mirrored_line(np.array(k)), 8, closed=False) + np.array([0, y])
        for k in (upper_in, lower_in, upper_out, lower_out)
    ]
    up_in, low_in, up_out, low_out = curves
    upper = _fill(np.concatenate([up_out, up_in[::-1]]), 0.005)
    lower = _fill(np.concatenate([low_in, low_out[::-1]]), 0.005)
    height = 0.016 * _blur(upper, 0.006) + 0.028 * _blur(lower, 0.009)
    slit = 0.80 * _line(up_in, 0.0048 * (0.25 + _taper(len(up_in))), 0.0025)
    for end in (left, right):
        slit = np.maximum(slit, 0.45 * _fill(circle(0.010) + end + [0, y], 0.006))
    rows, columns = slit.shape
    inside = np.zeros((rows, columns, 4), np.float32)
    if opening:
        hole = _fill(np.concatenate([up_in, low_in[::-1]]), 0.0025)
        slit *= 0.55
        inside = _mouth_inside(hole, y - opening, 2 * opening, teeth, expression)
    return SimpleNamespace(
        cover=np.clip(upper + lower, 0, 1), height=height, slit=slit, inside=inside
    )


def _mirrored_line(left: np.ndarray) -> np.ndarray:
    """A line from its left half, whose last point lies on the axis."""
    return np.concatenate([left, left[-2::-1] * [-1, 1]])


def _mouth_inside(
    hole: np.ndarray, top: float, tall: float, teeth: float, expression: str
) -> np.ndarray:
    x, y = _grid()
    color = np.array([0.20, 0.07, 0.07]) + 0.0 * x[..., None]
    tongue = _bump(x, y, (0, top + 1.02 * tall), (0.05, 0.25 * tall))
    color += tongue[..., None] * [0.42, 0.16, 0.16]
    if teeth:
        # The upper arch curves down in the middle; teeth get narrower towards the corners.
        low = top + tall * {"laugh": 0.70, "angry": 0.72, "surprised": 0.16}[expression]
        arch = _step((low - 1.5 * x * x - y) / 0.004)
        angle = np.arcsin(np.clip(x / 0.15, -1, 1)) / 0.30
        gap = np.exp(-(((angle - np.round(angle)) / 0.07) ** 2))
        bright = (0.87 - 2.0 * np.abs(x) ** 1.5) * (1 - 0.10 * gap)
        arch = (arch * np.clip((0.155 - np.abs(x)) / 0.02, 0, 1))[..., None]
        color = color * (1 - arch) + arch * bright[..., None] * [1.0, 0.97, 0.92]
        if expression == "angry":
            lower = (_step((y - low - 0.003) / 0.003) * (np.abs(x) < 0.11))[..., None]
            color = color * (1 - lower) + lower * 0.8 * bright[..., None] * [1.0, 0.96, 0.90]
    # The lip shades what is under it.
    shade = 0.76 + 0.24 * np.clip((y - top) / (0.30 * tall), 0, 1)
    return (
        np.concatenate([color * shade[..., None], np.ones_like(x)[..., None]], -1) * hole[..., None]
    )


def _eyes(gender: str, expression: str, shut: bool) -> SimpleNamespace:
    """`opening` of the lids, dark `lines` of lashes and folds, and the bulge of the `ball`."""
    upper, lower = lids(gender, expression, shut)
    feminine = gender == "feminine"
    closed = np.concatenate([upper, lower[1:-1]])
    ball = _fill(_sides(closed * [1.0, 1.25]), 0.012)
    fold = upper[4:] * [1.02, 1.0] - [0, 0.024 if feminine else 0.018]
    fold = _both_lines(fold, 0.0036 * _taper(len(fold)), 0.003)
    bold = np.interp(np.linspace(0, 1, len(upper)), [0, 0.25, 0.7, 1], [0.25, 0.7, 1.0, 0.35])
    lash = upper.copy()
    if feminine:
        lash[-3:] += np.array([[0.002, -0.001], [0.006, -0.003], [0.013, -0.009]])
    lines = _both_lines(lash, (0.0080 if feminine else 0.0052) * bold, 0.0016)
    if feminine:
        rise = -0.016 if shut else 0.021
        for at, out in ((29, 0.018), (26, 0.013), (23, 0.008), (19, 0.003)):
            hair = bezier(
                [upper[at], upper[at] + [out, -0.3 * rise], upper[at] + [1.5 * out, -rise]], 6
            )
            lines = np.maximum(lines, 0.8 * _both_lines(hair, 0.0028 * np.linspace(1, 0, 6)))
    rim = _both_lines(lower, 0.0030 * _taper(len(lower)), 0.0022)
    lines = np.maximum.reduce([0.95 * lines, 0.42 * fold, (0.55 if feminine else 0.4) * rim])
    if shut:
        return SimpleNamespace(opening=0 * lines, lines=lines, ball=ball)
    opening = _fill(_sides(closed), 0.0015)
    return SimpleNamespace(opening=opening, lines=lines, ball=ball)


def _brow_hairs(gender: str, expression: str) -> np.ndarray:
    """Cover of the brows: short hairs that lean outwards over a soft ground."""
    middle = spline(_brow(gender, expression), 10, closed=False)
    thick = 0.0225 if gender == "masculine" else 0.0175
    profile = np.interp(np.linspace(0, 1, len(middle)), [0, 0.15, 0.55, 1], [0.6, 1, 0.85, 0.15])
    ground = 0.80 * _both_lines(middle, thick * profile, 0.007)
    random = np.random.Generator(np.random.Philox(3))
    hairs = []
    for along in np.linspace(0, len(middle) - 1.01, 34):
        index, across = int(along), random.uniform(-0.9, 0.7)
        root = middle[index] + [0, across * thick * profile[index]]
        lean = np.interp(along / len(middle), [0, 0.35, 1], [0.15, 0.8, 1.0])
        tip = root + 0.036 * np.array([lean, -0.55 * (1 - lean) - 0.10 - 0.3 * across * lean])
        tip[1] += (middle[min(index + 3, len(middle) - 1)] - middle[index])[1]
        hair = bezier([root, (root + tip) / 2 - [0, 0.003], tip], 5)
        hairs += _sides(ribbon(hair, 0.0024 * np.linspace(1, 0.2, 5)))
    return np.maximum(ground, 0.75 * _fill(hairs, 0.0015))


EAR = (0.34, -0.20, 0.26, 0.46)
"""Rectangle of the ear's map in head units: left, top, width, height."""


@cache
def ear(level: int) -> tuple[np.ndarray, np.ndarray]:
    """The right ear: `relief` and `tint` as in a `Plate`."""
    left, top, width, height = EAR
    x, y = np.meshgrid(
        left + (np.arange(round(width * RESOLUTION), dtype=np.float32) + 0.5) / RESOLUTION,
        top + (np.arange(round(height * RESOLUTION), dtype=np.float32) + 0.5) / RESOLUTION,
    )

    def fill(knots: list, blur: float) -> np.ndarray:
        mask = np.zeros(x.shape, np.uint8)
        points = ((spline(np.array(knots), 6) - [left, top]) * RESOLUTION - 0.5) * UNITS
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255, cv2.LINE_AA, SHIFT)
        return _blur(mask.astype(np.float32) / 255, blur)

    shape = [(0.38, -0.06), (0.44, -0.12), (0.485, -0.09), (0.49, 0.0), (0.462, 0.09), (0.44, 0.16),
             (0.40, 0.155), (0.38, 0.08)]  # fmt: skip
    shell = [
        (0.40, -0.02),
        (0.44, -0.075),
        (0.462, -0.05),
        (0.462, 0.01),
        (0.44, 0.06),
        (0.41, 0.07),
    ]
    cover = fill(shape, 0.003)
    hollow = fill(shell, 0.008)
    bulge = (
        0.05 * fill(shape, 0.012) - 0.040 * hollow + 0.01 * _bump(x, y, (0.425, 0.0), (0.01, 0.05))
    )
    dy, dx = np.gradient(bulge, 1 / RESOLUTION)
    normal = np.stack([0.35 - dx, -dy, np.ones_like(dx)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    shade = 1 - 0.38 * hollow - 0.25 * _step((0.40 - x) / 0.012)
    tint = shade[..., None] * np.float32([1.0, 0.90, 0.88])
    relief = np.concatenate([normal, cover[..., None]], axis=-1)
    skin = np.concatenate([tint, np.full_like(cover, 0.3)[..., None]], axis=-1)
    return halved(relief, level), halved(skin, level)


@cache
def iris(level: int) -> np.ndarray:
    """Map of an iris, 128 pixels wide and radius 0.4 of that: brightness, cover, pupil, 0."""
    side = 128
    x, y = np.meshgrid(*2 * [((np.arange(side) + 0.5) / side - 0.5) / 0.4])
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    random = np.random.Generator(np.random.Philox(4))
    fibre = sum(
        np.cos(k * angle + random.uniform(0, 6.28) + 1.5 * radius) * random.uniform(0.5, 1)
        for k in (9, 14, 23, 31, 40)
    )
    bright = 1.0 + 0.06 * fibre * np.clip(radius / 0.5, 0, 1)
    bright *= 1 - 0.55 * _step((radius - 0.88) / 0.05)
    # Light that falls in from above leaves at the lower rim.
    bright *= 1.02 + 0.26 * y
    cover = _step((0.98 - radius) / 0.025)
    pupil = _step((0.37 - radius) / 0.03)
    return halved(np.stack([bright, cover, pupil, 0 * x], axis=-1), level)
