"""Perceptual path length of generators whose paths are known."""

import numpy as np
import pytest

from anime_keras import latents
from anime_keras.metrics.path_length import (
    _slerp,
    measure,
    path_lengths,
    perceptual_path_length,
)

MATRIX = np.random.default_rng(0).standard_normal((8, 5))


def linear(points):
    return (points @ MATRIX).astype("float64")


def itself(images):
    return images


def test_linear_generator_in_w():
    """f(G(w)) = w M: along a straight line the change per step is (end - start) M, anywhere."""
    start, end = np.split(latents.draw(40, 8, 3), 2)
    expected = np.square((end - start) @ MATRIX).sum(axis=1)
    lengths = path_lengths(linear, itself, 8, 20, mapping=itself, batch_size=7, seed=3)
    np.testing.assert_allclose(lengths, expected, rtol=0.02)  # float32 latents, a step of 1e-4


def test_spherical_path_in_z():
    """On a great circle between latents of one length the speed is that length times the angle."""

    def on_sphere(points):
        points = points.astype("float64")
        return 3.0 * points / np.linalg.norm(points, axis=1, keepdims=True)

    start, end = np.split(latents.draw(40, 8, 0).astype("float64"), 2)
    cosine = (start * end).sum(axis=1) / np.linalg.norm(start, axis=1) / np.linalg.norm(end, axis=1)
    lengths = path_lengths(on_sphere, itself, 8, 20)
    np.testing.assert_allclose(lengths, np.square(3.0 * np.arccos(cosine)), rtol=0.02)


def test_slerp_is_that_of_latents():
    start, end = np.split(latents.draw(12, 8, 0).astype("float64"), 2)
    fractions = np.linspace(0.0, 1.0, 6)
    ours = _slerp(start, end, fractions)
    pairs = zip(start, end, fractions, strict=True)
    expected = np.concatenate([latents.slerp(a, b, [t]) for a, b, t in pairs])
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_batches_and_ends():
    whole, cut = (path_lengths(linear, itself, 8, 20, batch_size=size) for size in (20, 3))
    np.testing.assert_allclose(whole, cut, rtol=1e-3)
    seen = []

    def watched(points):
        seen.append(points)
        return linear(points)

    path_lengths(watched, itself, 8, 20, at_ends=True, batch_size=20)
    np.testing.assert_allclose(seen[0], latents.draw(40, 8, 0)[:20], rtol=1e-5)


def test_a_jump_is_long():
    """Where something pops up on the way, the squared step is 1/ε², and rare."""

    def popping(points):
        return points[:, :1] + 100.0 * (points[:, 1:2] > 0.0)

    smooth = path_lengths(lambda points: points[:, :1], itself, 8, 3000, epsilon=0.01)
    jumpy = path_lengths(popping, itself, 8, 3000, epsilon=0.01)
    assert np.median(jumpy) == pytest.approx(np.median(smooth), rel=0.1)
    jumps = jumpy > 0.5 * 100.0**2 / 0.01**2
    assert 0.001 < jumps.mean() < 0.01 and jumpy[~jumps].max() < 1e3


def test_outer_hundredths_are_left_out():
    lengths = np.random.default_rng(0).permutation(np.arange(1001.0) ** 2)
    value, error = perceptual_path_length(lengths)
    kept = np.arange(10.0, 991.0) ** 2
    assert value == pytest.approx(kept.mean())
    assert error == pytest.approx(kept.std(ddof=1) / np.sqrt(981))


def test_rounded_pictures_are_refused():
    with pytest.raises(ValueError, match="uint8: rounding swallows the small step"):
        path_lengths(lambda points: (points * 99).astype("uint8"), itself, 8, 4)


def test_broken_generator_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        path_lengths(lambda points: linear(points) * np.nan, itself, 8, 4)


def test_measure():
    result = measure(linear, itself, 8, "pixels", count=120, seed=2)
    value, error = perceptual_path_length(path_lengths(linear, itself, 8, 120, seed=2))
    assert (result.value, result.spread) == (value, pytest.approx(1.96 * error))
    assert (result.name, result.extractor, result.seed) == ("PPL in Z", "pixels", 2)
    assert result.warnings == ()
    result = measure(linear, itself, 8, count=99, mapping=itself)
    assert result.name == "PPL in W" and "Only 99 paths" in result.warnings[0]
