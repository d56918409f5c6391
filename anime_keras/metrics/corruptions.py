"""Ways to spoil pictures, each by a dose: what does a metric make of it?

A metric that is to be trusted should rise with every one of them. Heusel et al. (2017,
arXiv:1706.08500, appendix A1) tried FID so, with noise, blur, rectangles, swirl and salt and pepper;
compression is added here, because pictures collected from the web come with it.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np


def corrupt(images: np.ndarray, kind: str, strength: float, seed: int = 0) -> np.ndarray:
    """Spoil pictures.

    Args:
        images: uint8 (n, side, side, 3).
        kind: a name out of `KINDS`.
        strength: 0 leaves them alone, 1 spoils them badly.
        seed: of what is random.

    Returns:
        uint8 of the same shape.

    Raises:
        ValueError: an unknown kind, or a strength outside of 0 to 1.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no corruption {kind!r}: choose from {', '.join(KINDS)}.")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must be between 0 and 1, not {strength}.")
    if strength == 0:
        return images.copy()
    random = np.random.default_rng(seed)
    spoiled = (KINDS[kind](image, float(strength), random) for image in images)
    return np.stack([np.clip(np.round(image), 0, 255).astype(np.uint8) for image in spoiled])


def _noise(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian, with a standard deviation of up to a quarter of black to white."""
    return image + random.normal(0, 255 * 0.25 * strength, image.shape)


def _blur(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian, with a sigma of up to 1/16 of the side."""
    return cv2.GaussianBlur(image, (0, 0), strength * len(image) / 16)


def _jpeg(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Compression, from quality 100 down to 2."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, round(100 - 98 * strength)]
    _, packed = cv2.imencode(".jpg", image[..., ::-1], quality)
    return cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1]


def _rectangles(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Five black rectangles, with sides of up to 0.4 of the picture's."""
    image, side = image.copy(), len(image)
    length = max(round(0.4 * strength * side), 1)
    for top, left in random.integers(0, side - length + 1, (5, 2)):
        image[top : top + length, left : left + length] = 0
    return image


def _swirl(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """A whirl about a random point near the middle, of up to a third of a turn."""
    side = len(image)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    middle = side / 2 + random.uniform(-0.1, 0.1, 2) * side
    dx, dy = x - middle[0], y - middle[1]
    angle = 2 * math.pi / 3 * strength * np.exp(-np.hypot(dx, dy) / (0.25 * side))
    from_x = middle[0] + dx * np.cos(angle) - dy * np.sin(angle)
    from_y = middle[1] + dx * np.sin(angle) + dy * np.cos(angle)
    return cv2.remap(
        image,
        from_x.astype(np.float32),
        from_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _salt_and_pepper(image: np.ndarray, strength: float, random: np.random.Generator) -> np.ndarray:
    """Up to three pixels in ten are black or white."""
    image, draw = image.copy(), random.random(image.shape[:2])
    image[draw < 0.15 * strength] = 0
    image[draw > 1 - 0.15 * strength] = 255
    return image


KINDS: dict[str, Callable[[np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "rectangles": _rectangles,
    "swirl": _swirl,
    "salt_and_pepper": _salt_and_pepper,
}
"""Name -> what it does to one picture, as its docstring says."""
