"""Light on a portrait: a lamp at the person's `light`, a pale sky, skin that lets red through."""

import math
from functools import cache
from types import SimpleNamespace

import cv2
import numpy as np


class Lamp:
    """A lamp in front of the face, high up, and the half vector between it and the viewer.

    Attributes:
        toward: Direction to the lamp in the head's own frame, x, y, z: plates and wigs were baked
            from the front, so the lamp is turned and not they.
    """

    def __init__(self, person: SimpleNamespace) -> None:
        lamp = np.array([0.75 * person.light + math.copysign(0.25, person.light), -0.50, 0.90])
        lamp /= np.linalg.norm(lamp)
        half = lamp + np.array([0, 0, 1])
        half /= np.linalg.norm(half)
        c, s = math.cos(math.radians(person.roll)), math.sin(math.radians(person.roll))
        roll = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        # Less than the head turns: a face that looks away from the lamp is lit from a window too.
        c, s = math.cos(math.radians(0.8 * person.yaw)), math.sin(math.radians(0.8 * person.yaw))
        into_head = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) @ roll
        # Plain floats: a NumPy scalar would make float64 of every picture it touches.
        self.toward = (into_head @ lamp).tolist()
        self._both = np.zeros((2, 4))
        self._both[:, :3] = into_head @ lamp, into_head @ half

    def on_skin(self, relief: np.ndarray, tint: np.ndarray, skin: np.ndarray) -> np.ndarray:
        """Colour of skin, float32 (rows, columns, 3).

        Args:
            relief: Normal x, y, z and cover, (rows, columns, 4).
            tint: Factors of red, green and blue, and shine, (rows, columns, 4).
            skin: RGB of the skin in [0, 1].
        """
        cosine, half = cv2.split(cv2.transform(relief, self._both))
        color = daylight(cosine) * (skin * tint[..., :3])
        # (half ** 16) by squaring, which is many times faster than a power.
        glow = np.maximum(half, 0)
        for _ in range(4):
            glow = glow * glow
        return color + (0.16 * glow * tint[..., 3])[..., None] * np.float32([1.0, 0.98, 0.95])

    def on_hair(self, wig: np.ndarray, hair: np.ndarray, bright: float) -> tuple[np.ndarray, ...]:
        """Colour of hair times cover (rows, columns, 3), and cover (rows, columns).

        Args:
            wig: uint8 (rows, columns, 4): lightness, shine, facing, cover; all times cover.
            hair: RGB of the hair in [0, 1].
            bright: How much light gets there.
        """
        light, shine, facing, cover = cv2.split(wig.astype(np.float32) / 255)
        side = self.toward[0]
        lamp = bright * ((0.86 - 0.42 * side) * cover + 0.84 * side * facing)
        whole = np.maximum(cover, 1e-3)
        share = light / whole
        gloss = 0.46 * (lamp / whole) * shine * (0.46 + 0.73 * share)
        pale = 0.55 * hair + 0.45 * np.float32([1.0, 0.97, 0.92])
        # One product of matrices instead of four passes over three colours.
        maps = cv2.merge((lamp * (0.30 + 1.12 * share), gloss))
        return cv2.transform(maps, np.column_stack([hair, pale])), cover


def daylight(cosine: np.ndarray) -> np.ndarray:
    """Light (..., 3) on skin and cloth for the cosine between normal and lamp."""
    return _daylight()[np.clip(cosine * 127 + 128, 0, 255).astype(np.uint8)]


@cache
def _daylight() -> np.ndarray:
    """The same for -1 to 1 in 256 steps, (256, 3).

    Light wraps round a little, red the furthest: skin lets it through, and a shadow's edge is warm.
    """
    cosine = (np.arange(256, dtype=np.float32) - 128) / 127
    wrap = np.float32([0.52, 0.36, 0.30])
    lit = np.clip((cosine[:, None] + wrap) / (1 + wrap), 0, 1)
    lit = lit * lit * (3 - 2 * lit) * 0.35 + lit * 0.65
    return np.float32([0.29, 0.29, 0.31]) + lit * np.float32([0.95, 0.92, 0.87])


def lay(picture: np.ndarray, color: np.ndarray, cover: np.ndarray) -> None:
    """Lays `color` (rows, columns, 3), times cover already, over a picture; cover (rows, columns)."""
    picture *= (1 - cover)[..., None]
    picture += color


def shade(
    picture: np.ndarray, cover: np.ndarray, move: tuple[float, float], blur: float, dark: float
) -> None:
    """Darkens a picture by the soft shadow of something.

    Args:
        picture: float32 (rows, columns, 3), changed.
        cover: What throws the shadow, float32 (rows, columns).
        move: How far the shadow falls, in pixels.
        blur: Its softness in pixels.
        dark: How much light it takes, from 0 to 1; of blue a little more.
    """
    matrix = np.float64([[1, 0, move[0]], [0, 1, move[1]]])
    shadow = cv2.warpAffine(cover, matrix, cover.shape[::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), max(blur, 0.5))
    picture *= 1 - shadow[..., None] * np.float32([0.92 * dark, dark, 1.02 * dark])
