"""What a camera adds to a portrait: the blurred room behind, the fall of light, lens and sensor."""

from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data.stencils import Color, hsv, mix

_ROOM = 48


def background(person: SimpleNamespace, side: int) -> np.ndarray:
    """The room out of focus, float32 (side, side, 3) in [0, 1].

    Its hue and its word are those of the drawn background: plain and gradient ones are a studio's
    wall, stripes a curtain, shapes foliage.
    """
    p, hue, spare = person, person.background_hue, person.spare
    sharp = 0.05
    if p.background == "plain":
        room = _wall(p, hsv(hue, 0.05 + 0.16 * spare[22], 0.60 + 0.25 * spare[23]), 0.20)
    elif p.background == "gradient":
        room = _fade(hsv(hue, 0.16, 0.78), hsv(hue + 50, 0.30, 0.46))
        room = room * _glow(p, 0.18)
    elif p.background == "dark":
        room = _fade(hsv(hue, 0.35, 0.13), hsv(hue + 30, 0.32, 0.28)) * _glow(p, 0.55)
    elif p.background == "sky":
        room = _sky(spare)
    elif p.background == "bokeh":
        room = _fade(hsv(hue, 0.34, 0.30), hsv(hue + 40, 0.30, 0.46))
        return _bokeh(cv2.resize(room, (side, side)), hue, spare)
    elif p.background == "stripes":
        room = _curtain(p)
    else:
        room = _foliage(hue, spare)
    room = cv2.GaussianBlur(room.astype(np.float32), (0, 0), sharp * _ROOM)
    return cv2.resize(room, (side, side), interpolation=cv2.INTER_CUBIC)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    return np.meshgrid(*2 * [(np.arange(_ROOM, dtype=np.float32) + 0.5) / _ROOM])


_X, _Y = _grid()


def _wall(p: SimpleNamespace, color: Color, fall: float) -> np.ndarray:
    light = 1 + fall * (p.light * (2 * _X - 1) - 0.5 * (2 * _Y - 1))
    return light[..., None] * np.float32(color) / 255


def _fade(top: Color, low: Color) -> np.ndarray:
    return (np.float32(top) * (1 - _Y[..., None]) + np.float32(low) * _Y[..., None]) / 255


def _glow(p: SimpleNamespace, strength: float) -> np.ndarray:
    """A lamp on the backdrop behind the head, towards the light."""
    away = (_X - 0.5 - 0.2 * p.light) ** 2 + (_Y - 0.45) ** 2
    return (1 - strength + 2 * strength * np.exp(-away / 0.14))[..., None]


def _spots(room: np.ndarray, spots: list[tuple]) -> None:
    for x, y, wide, tall, color in spots:
        centre, axes = (
            (int(x * _ROOM * 16), int(y * _ROOM * 16)),
            (
                int(wide * _ROOM * 16),
                int(tall * _ROOM * 16),
            ),
        )
        cv2.ellipse(room, centre, axes, 0, 0, 360, [c / 255 for c in color], -1, cv2.LINE_AA, 4)


def _sky(spare: np.ndarray) -> np.ndarray:
    room = np.ascontiguousarray(_fade((92, 142, 206), (206, 224, 238)))
    spots = []
    for x, y, size in spare[22:34].reshape(4, 3).tolist():
        wide = 0.10 + 0.10 * size
        spots += [
            (1.2 * x - 0.1 + step * wide, 0.15 + 0.6 * y, wide * part, 0.5 * wide * part, cloud)
            for step, part, cloud in (
                *((-1, 0.7, (222, 230, 240)), (0, 1.0, (240, 243, 247))),
                (0.9, 0.75, (228, 234, 242)),
            )
        ]
    _spots(room, spots)
    # Hills or roofs far away.
    hill = 0.86 + 0.05 * np.sin(5 * _X + 6 * spare[35]) + 0.04 * np.sin(11 * _X + 9 * spare[36])
    far = np.float32(mix((104, 122, 112), (120, 118, 120), spare[37])) / 255
    land = np.clip((_Y - hill) / 0.04, 0, 1)[..., None]
    return room * (1 - land) + land * far


def _bokeh(room: np.ndarray, hue: float, spare: np.ndarray) -> np.ndarray:
    """Lamps out of focus: discs a little brighter at the rim."""
    side = len(room)
    lamps = np.zeros_like(room)
    for x, y, size in spare[16:40].reshape(8, 3).tolist():
        color = np.divide(mix(hsv(hue + 60 * size, 0.35, 1.0), (255, 236, 205), 0.5 * y), 255)
        radius = round((0.045 + 0.075 * size) * side * 16)
        centre = (round(x * side * 16), round(y * side * 16))
        disc = np.zeros_like(room)
        cv2.circle(disc, centre, radius, (0.42 * color).tolist(), -1, cv2.LINE_AA, 4)
        cv2.circle(disc, centre, radius - side // 4, (0.34 * color).tolist(), -1, cv2.LINE_AA, 4)
        lamps += disc
    return np.minimum(room + cv2.GaussianBlur(lamps, (0, 0), 0.007 * side), 1)


def _curtain(p: SimpleNamespace) -> np.ndarray:
    hue, spare = p.background_hue, p.spare
    angle = float(spare[23] - 0.5) * 1.2
    across = (_X - 0.5) * np.cos(angle) + (_Y - 0.5) * np.sin(angle)
    fold = 0.5 + 0.5 * np.sin(2 * np.pi * (3 + int(3 * spare[22])) * across + 6 * spare[24])
    light, dark = np.float32(hsv(hue, 0.16, 0.74)), np.float32(hsv(hue + 20, 0.32, 0.44))
    room = (light * fold[..., None] + dark * (1 - fold[..., None])) / 255
    return room * (1 + 0.15 * p.light * (2 * _X - 1))[..., None]


def _foliage(hue: float, spare: np.ndarray) -> np.ndarray:
    """A garden: leaves in light and shade, and blossoms of the background's hue."""
    room = np.ascontiguousarray(_fade((118, 142, 96), (66, 88, 58)))
    key = int(spare[22] * 2**32)
    random = np.random.Generator(np.random.Philox(key))
    spots = []
    for x, y, size, pick in random.random((26, 4)).tolist():
        leaf = mix((44, 66, 38), (168, 188, 122), pick)
        if pick > 0.72:
            leaf = hsv(hue, 0.38, 0.86)
        spots.append((x, y, 0.03 + 0.08 * size, 0.03 + 0.07 * size, leaf))
    _spots(room, spots)
    return room


@cache
def _vignette(size: int) -> np.ndarray:
    t = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    return (1 - 0.11 * (t[:, None] ** 2 + t**2) ** 1.2)[..., None]


def develop(picture: np.ndarray, person: SimpleNamespace, size: int) -> np.ndarray:
    """Takes a picture: lens, tone curve, white balance and the grain of the sensor.

    The grain is drawn from a stream that the person's own numbers name, so a picture depends on
    nothing but person and size.

    Args:
        picture: float32 (side, side, 3), about [0, 1].
        person: Whose picture it is.
        size: Side of the result.

    Returns:
        uint8 (size, size, 3).
    """
    photo = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    photo *= _vignette(size)
    np.clip(photo, 0, 1.15, out=photo)
    # An S: shadows deepen, highlights roll off.
    balance, noise = person.spare[38:].tolist()
    warm = 0.05 * (balance - 0.5)
    photo *= 0.76 + photo * (0.60 - 0.38 * photo)
    photo *= np.float32([1 + warm, 1, 1 - warm])
    photo += 0.015
    key = person.spare[:2].view(np.uint64)
    random = np.random.Generator(np.random.Philox(key=key))
    grain = random.standard_normal((size, size, 1), np.float32) * np.float32(1.6)
    tint = random.standard_normal(((size + 1) // 2, (size + 1) // 2, 3), np.float32)
    grain = grain + cv2.resize(tint, (size, size), interpolation=cv2.INTER_LINEAR) * 1.2
    strength = 1.0 + 0.8 * noise
    return np.clip(photo * 255 + strength * grain + 0.5, 0, 255).astype(np.uint8)
