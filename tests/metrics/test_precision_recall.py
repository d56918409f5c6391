"""Precision, recall, density and coverage against brute force and cases known by hand."""

import sys

import numpy as np
import pytest

from anime_keras.metrics.features import Features
from anime_keras.metrics.precision_recall import (
    balls_around,
    density_coverage,
    measure,
    precision_recall,
    radii,
)


def brute_force(real, fake, k):
    """All differences, one by one, no blocks and no matrix product."""

    def distances(a, b):
        return np.sqrt(np.square(a[:, None] - b[None]).sum(axis=2))

    real_radii = np.sort(distances(real, real), axis=1)[:, k]  # 0 is the picture itself
    fake_radii = np.sort(distances(fake, fake), axis=1)[:, k]
    across = distances(real, fake)
    in_real, in_fake = across <= real_radii[:, None], across <= fake_radii[None]
    return (
        in_real.any(axis=0).mean(),
        in_fake.any(axis=1).mean(),
        in_real.sum() / (k * len(fake)),
        in_real.any(axis=1).mean(),
    )


@pytest.mark.parametrize("block", [1024, 13])
@pytest.mark.parametrize(("n", "m", "k"), [(60, 90, 3), (91, 40, 1), (50, 50, 5), (8, 8, 7)])
def test_brute_force(n, m, k, block, monkeypatch):
    for module in ("neighbours", "precision_recall"):
        # by way of sys.modules: the package's own `precision_recall` is the function
        monkeypatch.setattr(sys.modules[f"anime_keras.metrics.{module}"], "BLOCK", block)
    random = np.random.default_rng(n)
    real, fake = random.standard_normal((n, 4)), random.standard_normal((m, 4)) * 1.2 + 0.3
    ours = *precision_recall(real, fake, k), *density_coverage(real, fake, k)
    np.testing.assert_allclose(ours, brute_force(real, fake, k), rtol=1e-12)


def test_whose_ball_counts():
    """torch-fidelity, test_prc_convention.py: a narrow cluster within a wide one."""
    random = np.random.default_rng(0)
    narrow, wide = (random.standard_normal((200, 16)) * sigma for sigma in (0.1, 3.0))
    precision, recall = precision_recall(wide, narrow)
    assert precision > 0.8 and recall < 0.3
    precision, recall = precision_recall(narrow, wide)
    assert precision < 0.3 and recall > 0.8


def test_the_neighbour_is_not_the_picture_itself():
    """On a line at 0, 1, 3, 7 the first neighbours lie at 1, 1, 2, 4 and the second at 3, 2, 3, 6."""
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    np.testing.assert_allclose(radii(line, 1), [1, 1, 2, 4])
    np.testing.assert_allclose(radii(line, 2), [3, 2, 3, 6])


def test_by_hand():
    real, fake = np.array([[0.0], [1.0], [3.0], [7.0]]), np.array([[2.0], [20.0], [21.0]])
    # balls of k = 1: [-1, 1], [0, 2], [1, 5], [3, 11]; 2.0 lies in two of them, the others in none
    assert density_coverage(real, fake, 1) == pytest.approx((2 / 3, 2 / 4))
    # generated balls: [-16, 20], [19, 21], [20, 22]
    assert precision_recall(real, fake, 1) == pytest.approx((1 / 3, 1.0))


def test_outlier_flatters_precision_but_not_density():
    """Naeem et al. 2020, figure 2: one real outlier's ball holds all that is generated far away."""
    random = np.random.default_rng(0)
    real = np.concatenate([random.standard_normal((200, 2)), [[100.0, 0.0]]])
    fake = random.standard_normal((200, 2)) * 5 + [60.0, 0.0]
    assert precision_recall(real, fake)[0] > 0.95
    density, coverage = density_coverage(real, fake)
    assert density < 0.25 and coverage < 0.02


def test_lost_modes_lower_recall_and_coverage():
    random = np.random.default_rng(0)
    centres = np.repeat(np.eye(8) * 20.0, 100, axis=0)
    real = centres + random.standard_normal((800, 8))
    recalls, coverages = [], []
    for modes in (8, 6, 4, 2):
        fake = np.tile(centres[: modes * 100], (4, 1))[:800] + random.standard_normal((800, 8))
        recalls.append(precision_recall(real, fake)[1])
        coverages.append(density_coverage(real, fake)[1])
    assert (np.diff(recalls) < 0.0).all() and (np.diff(coverages) < 0.0).all()
    assert recalls[-1] <= 0.25 and coverages[-1] <= 0.25


def test_copies_lie_in_balls_of_radius_nought():
    """More than k equal pictures make balls that hold nothing but their like, far from 0 too."""
    rows = np.repeat(np.random.default_rng(0).standard_normal((5, 64)) + 100.0, 6, axis=0)
    rows = rows.astype("float32")
    assert (radii(rows, 3) == 0.0).all()
    assert precision_recall(rows, rows[::6].repeat(4, axis=0)) == (1.0, 1.0)
    around, filled = balls_around(rows + 1.0, rows, radii(rows, 3))
    assert not around.any() and not filled.any()


def test_too_few():
    with pytest.raises(ValueError, match="3 neighbours cannot be found among 3 pictures"):
        precision_recall(np.eye(3), np.ones((9, 3)))


class TestMeasure:
    def test_four_results(self):
        random = np.random.default_rng(0)
        real, fake = random.standard_normal((300, 4)), random.standard_normal((300, 4)) * 0.8
        results = measure(Features.of(real, "net"), Features.of(fake, "net"))
        assert [result.name for result in results] == ["precision", "recall", "density", "coverage"]
        sides = np.float32(real), np.float32(fake)
        expected = *precision_recall(*sides), *density_coverage(*sides)
        np.testing.assert_allclose([result.value for result in results], expected)
        assert [result.details["k"] for result in results] == [3, 3, 5, 5]
        assert all(result.better == "higher" and not result.warnings for result in results)

    def test_interval_is_that_of_counting(self):
        """A share p of n pictures varies by sqrt(p (1 - p) / n), and never by nothing."""
        random = np.random.default_rng(0)
        real = Features.of(random.standard_normal((400, 2)))
        precision, *_ = measure(real, Features.of(random.standard_normal((400, 2)) * 1.5))
        expected = 1.96 * np.sqrt(precision.value * (1 - precision.value) / 400)
        assert precision.spread == pytest.approx(expected, rel=0.05)
        precision, *_ = measure(real, real)
        assert precision.value == 1.0 and 0.0 < precision.spread < 0.02

    def test_warns_of_unlike_numbers_and_of_samples(self):
        rows = np.random.default_rng(0).standard_normal((300, 4))
        result = measure(Features.of(rows), Features.of(rows, capacity=200))[0]
        assert "200 of 300" in result.warnings[0] and "300 real and 200" in result.warnings[1]

    def test_too_few(self):
        rows = Features.of(np.eye(9))
        with pytest.raises(
            ValueError, match=r"generated features are of 5 pictures; .* at least 6"
        ):
            measure(rows, Features.of(np.eye(9)[:5]))
