"""Numbers about generated pictures: how true, how varied, how near to the real ones.

Each file follows one order, features -> statistics -> number: plain functions on arrays, in float64
and without a backend, then `measure`, which hands back a `Result`. The meters, which count within
`fit`, and SSIM and PSNR are written in `keras.ops`; Keras is imported when one is first asked for.
"""

import importlib
from typing import Any

from anime_keras.metrics.features import Collector, Features, Moments
from anime_keras.metrics.frechet import (
    extrapolate,
    frechet_distance,
    frechet_from_moments,
    mean_distance,
)
from anime_keras.metrics.inception_score import inception_score
from anime_keras.metrics.kernel import kernel_distance, subset_distances
from anime_keras.metrics.neighbours import memorisation, nearest_neighbours
from anime_keras.metrics.path_length import path_lengths, perceptual_path_length
from anime_keras.metrics.precision_recall import density_coverage, precision_recall
from anime_keras.metrics.results import Result
from anime_keras.metrics.sliced_wasserstein import sliced_wasserstein_distance

_LAZY = {
    "FrechetDistance": "meters",
    "InceptionScore": "meters",
    "KernelDistance": "meters",
    "PSNR": "meters",
    "SSIM": "meters",
    "psnr": "translation",
    "ssim": "translation",
}

__all__ = [
    "Collector",
    "Features",
    "Moments",
    "Result",
    "density_coverage",
    "extrapolate",
    "frechet_distance",
    "frechet_from_moments",
    "inception_score",
    "kernel_distance",
    "mean_distance",
    "memorisation",
    "nearest_neighbours",
    "path_lengths",
    "perceptual_path_length",
    "precision_recall",
    "sliced_wasserstein_distance",
    "subset_distances",
    *_LAZY,
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'anime_keras.metrics' has no attribute {name!r}")
    return getattr(importlib.import_module(f"anime_keras.metrics.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
