"""Walks through the latent space: ends, angles and lengths."""

import numpy as np
import pytest

from anime_keras import latents


@pytest.fixture
def ends():
    start, end = latents.draw(2, 100, seed=1).astype("float64")
    return start, 1.5 * end


def angles(points):
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = (directions[:-1] * directions[1:]).sum(axis=1)
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


class TestDraw:
    def test_standard_normal(self):
        points = latents.draw(1000, 100)
        assert points.shape == (1000, 100) and points.dtype == np.float32
        assert points.mean() == pytest.approx(0.0, abs=0.02)
        assert points.std() == pytest.approx(1.0, abs=0.02)

    def test_a_row_is_always_the_same(self):
        np.testing.assert_array_equal(latents.draw(9, 8, seed=2)[:4], latents.draw(4, 8, seed=2))
        assert (latents.draw(4, 8, seed=2) != latents.draw(4, 8, seed=3)).all()


class TestSlerp:
    def test_ends(self, ends):
        walk = latents.slerp(*ends, np.float64([0.0, 1.0]))
        assert walk.shape == (2, 100) and walk.dtype == np.float32
        np.testing.assert_allclose(walk, ends, atol=1e-5)

    def test_angles_are_equal_and_lengths_linear(self, ends):
        walk = latents.slerp(*ends, np.linspace(0, 1, 11)).astype("float64")
        steps = angles(walk)
        np.testing.assert_allclose(steps, angles(np.array(ends))[0] / 10, rtol=1e-3)
        lengths = np.linalg.norm(walk, axis=1)
        np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 11), rtol=1e-5)
        assert lengths[-1] > 1.2 * lengths[0]

    def test_a_quarter_circle(self):
        middle = latents.slerp(np.float64([2.0, 0.0]), np.float64([0.0, 4.0]), [0.5])
        np.testing.assert_allclose(middle, [[3 * np.sqrt(0.5)] * 2], rtol=1e-6)

    @pytest.mark.parametrize("factor", [1.0, 2.0])
    def test_one_direction(self, ends, factor):
        """Where both have one direction, there is no circle to follow."""
        walk = latents.slerp(ends[0], factor * ends[0], np.linspace(0, 1, 5))
        expected = ends[0] * np.linspace(1, factor, 5)[:, None]
        np.testing.assert_allclose(walk, expected, rtol=1e-5, atol=1e-6)


def test_loop(ends):
    """Passes through every point, comes back to the first, and never jumps."""
    points = latents.draw(4, 100, seed=5)
    walk = latents.loop(points, frames_between=6)
    assert walk.shape == (24, 100)
    np.testing.assert_allclose(walk[::6], points, atol=1e-5)
    closed = np.concatenate([walk, walk[:1]])
    steps = angles(closed).reshape(4, 6)
    np.testing.assert_allclose(steps, np.repeat(steps[:, :1], 6, axis=1), rtol=1e-2)
    np.testing.assert_allclose(
        steps.sum(axis=1), angles(np.concatenate([points, points[:1]])), 1e-2
    )
