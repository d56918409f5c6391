"""How near a translated picture comes to its true counterpart: SSIM and PSNR.

SSIM  Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity",
      section III-B: an 11 x 11 Gaussian window of sigma 1.5, K₁ = 0.01, K₂ = 0.03
PSNR  10 log₁₀(range² / mean squared error), in dB

Both compare pixel by pixel, so they ask for pairs: the drawn faces' hidden counterparts, or a face
that went through the cycle. Blur costs them little; people mind it more.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from anime_keras.metrics.results import Z95, Result

Tensor = Any  # a tensor of whichever backend Keras runs on

_WINDOW = 11  # pixels
_WEIGHTS = np.exp(-0.5 * np.square((np.arange(_WINDOW) - _WINDOW // 2) / 1.5))
_WEIGHTS /= _WEIGHTS.sum()
_C1, _C2 = 0.01**2, 0.03**2


def ssim(target: Tensor, images: Tensor, data_range: float | None = None) -> Tensor:
    """Structural similarity of pairs, the mean over all windows that lie within, and over channels.

    Args:
        target: the true pictures (batch, height, width, channels), at least 11 pixels a side.
        images: those compared with them, of the same shape and range.
        data_range: pictures lie in [0, data_range]. If not given, whole numbers are taken to lie in
            [0, 255] and floats in [-1, 1], as everywhere in the kit.

    Returns:
        float32 (batch,), 1 for equal pictures.

    Raises:
        ValueError: shapes that differ, or pictures smaller than the window.
    """
    x, y = _unit_range(target, images, data_range)
    if min(x.shape[1], x.shape[2]) < _WINDOW:
        raise ValueError(
            f"SSIM's window takes pictures of at least 11 x 11 pixels, not {x.shape[1:3]}."
        )
    # variance is E x² - (E x)²: in float32 only right near 0, so brightness is set aside meanwhile
    brightness = ops.mean(x, axis=(1, 2), keepdims=True)
    x, y = x - brightness, y - brightness
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variances = _window_mean(x * x + y * y) - mean_x * mean_x - mean_y * mean_y
    covariance = _window_mean(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + brightness, mean_y + brightness
    luminance = (2.0 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    structure = (2.0 * covariance + _C2) / (variances + _C2)
    return ops.mean(luminance * structure, axis=(1, 2, 3))


def psnr(target: Tensor, images: Tensor, data_range: float | None = None) -> Tensor:
    """Peak signal-to-noise ratio of pairs, in dB: float32 (batch,), infinite for equal pictures.

    Args:
        target: the true pictures (batch, height, width, channels).
        images: those compared with them, of the same shape and range.
        data_range: as for `ssim`.

    Raises:
        ValueError: shapes that differ.
    """
    x, y = _unit_range(target, images, data_range)
    return -10.0 * ops.log10(ops.mean(ops.square(x - y), axis=(1, 2, 3)))


def _unit_range(target: Tensor, images: Tensor, data_range: float | None) -> tuple[Tensor, Tensor]:
    """Both as float32 in [0, 1]: SSIM compares brightness, which has no sign."""
    x, y = ops.convert_to_tensor(target), ops.convert_to_tensor(images)
    if len(x.shape) != 4 or tuple(x.shape[1:]) != tuple(y.shape[1:]):
        raise ValueError(
            "Pairs of pictures must be two arrays (batch, height, width, channels) of one shape, "
            f"not {tuple(x.shape)} and {tuple(y.shape)}."
        )
    x_whole, y_whole = ("int" in keras.backend.standardize_dtype(side.dtype) for side in (x, y))
    if x_whole != y_whole:
        raise ValueError(
            "One side holds whole numbers and the other floats: bring both into one range, "
            "uint8 in [0, 255] or float32 in [-1, 1]."
        )
    x, y = ops.cast(x, "float32"), ops.cast(y, "float32")
    if data_range is not None:
        return x / data_range, y / data_range
    return (x / 255.0, y / 255.0) if x_whole else ((x + 1.0) / 2.0, (y + 1.0) / 2.0)


def _window_mean(images: Tensor) -> Tensor:
    """Gaussian mean around each pixel whose window lies within the picture."""
    channels = images.shape[-1]
    for shape in ((_WINDOW, 1), (1, _WINDOW)):
        kernel = np.tile(_WEIGHTS.reshape(*shape, 1, 1), (1, 1, channels, 1)).astype("float32")
        images = ops.depthwise_conv(images, kernel, padding="valid", data_format="channels_last")
    return images


def measure(
    target: np.ndarray, images: np.ndarray, data_range: float | None = None, batch_size: int = 64
) -> tuple[Result, Result]:
    """SSIM and PSNR of pairs (n, height, width, channels), each the mean with its 95% interval.

    Raises:
        ValueError: shapes that differ, or no pictures.
    """
    if len(target) != len(images) or len(images) == 0:
        raise ValueError(
            f"Pairs take as many of each: {len(target)} targets, {len(images)} pictures."
        )
    results = []
    for name, function in (("SSIM", ssim), ("PSNR", psnr)):
        values = np.concatenate(
            [
                ops.convert_to_numpy(
                    function(target[i : i + batch_size], images[i : i + batch_size], data_range)
                )
                for i in range(0, len(images), batch_size)
            ]
        ).astype("float64")
        equal = int(np.isinf(values).sum())
        warnings = (f"{equal:,} pairs are equal: their PSNR is infinite.",) if equal else ()
        spread = None if equal or len(values) < 2 else Z95 * values.std(ddof=1) / len(values) ** 0.5
        results.append(
            Result(
                name,
                float(values.mean()),
                spread,
                real=len(target),
                fake=len(images),
                warnings=warnings,
                better="higher",
            )
        )
    return results[0], results[1]
