"""Perceptual path length: how much pictures change along a small step between two latents.

    PPL = E ‖f(G(p(t + ε))) - f(G(p(t)))‖² / ε²,   ε = 1e-4

where p is a path between two latents, spherical in Z and straight in W. Karras et al. 2019, "A
Style-Based Generator Architecture for Generative Adversarial Networks", section 4.1. A short path
means that nothing pops up and vanishes on the way.

The paper measures distance with LPIPS, a trained comparison of VGG's features. Here f is whatever
extractor is given, so numbers compare only under the same one, and not with published ones.
"""

from collections.abc import Callable

import numpy as np

from anime_keras import latents
from anime_keras.metrics.features import as_features
from anime_keras.metrics.results import Z95, Result

EPSILON = 1e-4
"""The step, as a part of the path (Karras et al. 2019, section 4.1)."""


def path_lengths(
    generator: Callable[[np.ndarray], np.ndarray],
    extractor: Callable[[np.ndarray], np.ndarray],
    latent_dim: int,
    count: int = 1000,
    mapping: Callable[[np.ndarray], np.ndarray] | None = None,
    at_ends: bool = False,
    epsilon: float = EPSILON,
    batch_size: int = 32,
    seed: int = 0,
) -> np.ndarray:
    """The squared change per squared step on random paths: float64 (count,).

    Args:
        generator: from latents float32 (n, latent_dim), or from what `mapping` gives, to float
            pictures. Not to uint8, in which a small step is no step at all.
        extractor: from those pictures to features (n, D).
        latent_dim: length of z.
        count: paths.
        mapping: from z to w; paths are then straight lines in W.
        at_ends: measure at the paths' beginnings (the paper's "end") instead of anywhere on them.
        epsilon: the step.
        batch_size: pictures the generator draws at once; twice as many are held.
        seed: of latents and places.

    Raises:
        ValueError: whole-number pictures, or features that are NaN or infinite.
    """
    start, end = np.split(latents.draw(2 * count, latent_dim, seed), 2)
    places = np.zeros(count) if at_ends else np.random.default_rng([seed, 1]).random(count)
    lengths = []
    for first in range(0, count, batch_size):
        rows = slice(first, first + batch_size)
        if mapping is None:
            ends, between = (start[rows], end[rows]), _slerp
        else:
            ends, between = (np.asarray(mapping(side[rows])) for side in (start, end)), _lerp
        ends = [side.astype("float64") for side in ends]
        here, there = (
            _look(generator, extractor, between(*ends, places[rows] + step))
            for step in (0.0, epsilon)
        )
        lengths.append(np.square(there - here).sum(axis=1) / epsilon**2)
    return np.concatenate(lengths)


def perceptual_path_length(lengths: np.ndarray) -> tuple[float, float]:
    """Mean of the `path_lengths` within their 1st and 99th percentile, and its standard error.

    The outer hundredths are left out as in the paper's code: single jumps would rule the mean.
    """
    low, high = np.percentile(lengths, [1.0, 99.0], method="nearest")
    kept = lengths[(lengths >= low) & (lengths <= high)]
    return float(kept.mean()), float(kept.std(ddof=1) / len(kept) ** 0.5)


def measure(
    generator: Callable[[np.ndarray], np.ndarray],
    extractor: Callable[[np.ndarray], np.ndarray],
    latent_dim: int,
    extractor_name: str = "",
    **settings,
) -> Result:
    """PPL with its 95% interval; `settings` are those of `path_lengths`.

    Raises:
        ValueError: as `path_lengths`, or fewer than 2 paths.
    """
    lengths = path_lengths(generator, extractor, latent_dim, **settings)
    if len(lengths) < 2:
        raise ValueError(f"A mean path length takes at least 2 paths, not {len(lengths)}.")
    value, error = perceptual_path_length(lengths)
    few = (f"Only {len(lengths)} paths: their lengths vary widely.",) if len(lengths) < 100 else ()
    return Result(
        "PPL in W" if settings.get("mapping") else "PPL in Z",
        value,
        Z95 * error,
        extractor_name,
        fake=2 * len(lengths),
        seed=settings.get("seed", 0),
        warnings=few,
    )


def _look(generator: Callable, extractor: Callable, points: np.ndarray) -> np.ndarray:
    images = np.asarray(generator(points.astype("float32")))
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"The generator's pictures are {images.dtype}: rounding swallows the small step. "
            "Give a generator of floats."
        )
    return as_features(np.asarray(extractor(images))).astype("float64")


def _lerp(start: np.ndarray, end: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    return start + (end - start) * fractions.reshape(-1, *[1] * (start.ndim - 1))


def _slerp(start: np.ndarray, end: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """`latents.slerp`, one fraction for each pair of rows (n, latent_dim)."""
    t = fractions[:, None]
    lengths = [np.linalg.norm(side, axis=1, keepdims=True) for side in (start, end)]
    first, last = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip((first * last).sum(axis=1, keepdims=True), -1.0, 1.0))
    turned = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)
    return turned * ((1 - t) * lengths[0] + t * lengths[1])
