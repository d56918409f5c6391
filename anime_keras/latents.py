"""Walks through the latent space.

Standard normal latents of many dimensions lie near a sphere of radius sqrt(dimensions); a straight
line between two of them passes through its inside, where the generator was never trained. The walks
here keep to the sphere (White 2016, "Sampling Generative Networks", section 2.1).
"""

import numpy as np


def draw(count: int, latent_dim: int, seed: int = 0) -> np.ndarray:
    """Standard normal latents, float32 (count, latent_dim). Row i of a seed is always the same.

    Raises:
        ValueError: count is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count!r}.")
    return np.random.default_rng(seed).standard_normal((count, latent_dim), "float32")


def slerp(start: np.ndarray, end: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Spherical interpolation between two latents (latent_dim,), at fractions (n,) in [0, 1].

    Directions turn at a constant rate along the great circle, and lengths change linearly.
    """
    lengths = np.linalg.norm(start), np.linalg.norm(end)
    first, last = start / lengths[0], end / lengths[1]
    angle = np.arccos(np.clip(first @ last, -1.0, 1.0))
    t = np.asarray(fractions, "float64")[:, None]
    if np.sin(angle) < 1e-6:
        directions = np.repeat(first[None], len(t), axis=0)
    else:
        directions = (np.sin((1 - t) * angle) * first + np.sin(t * angle) * last) / np.sin(angle)
    return (directions * ((1 - t) * lengths[0] + t * lengths[1])).astype("float32")


def loop(points: np.ndarray, frames_between: int = 12) -> np.ndarray:
    """A closed walk through latents (count, latent_dim), that many steps from each to the next."""
    fractions = np.arange(frames_between) / frames_between
    pairs = zip(points, np.roll(points, -1, axis=0), strict=True)
    return np.concatenate([slerp(start, end, fractions) for start, end in pairs])
