"""DCI and MIG on codes whose scores are known."""

import numpy as np
import pytest
from scipy import stats

from anime_keras.metrics.disentanglement import dci, mig

WORDS = (2, 2, 2)
COUNT = 8000


def truth(words=WORDS, seed=0):
    random = np.random.default_rng(seed)
    return {f"factor {i}": random.integers(0, n, COUNT) for i, n in enumerate(words)}


def perfect(factors, more=0, seed=1):
    """A number for each factor, and some that say nothing."""
    random = np.random.default_rng(seed)
    own = np.stack(list(factors.values()), axis=1).astype(float)
    return np.concatenate([own, random.normal(size=(COUNT, more))], axis=1)


def turned(codes, seed=2):
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(codes.shape[1],) * 2))
    return (codes - codes.mean(axis=0)) @ rotation


def test_a_number_for_each_factor_scores_one():
    factors = truth()
    found = dci(perfect(factors), factors)
    assert found.informativeness == 1.0
    assert found.disentanglement == pytest.approx(1.0, abs=0.08)
    assert found.completeness == pytest.approx(1.0, abs=0.08)
    assert mig(perfect(factors), factors).value == pytest.approx(1.0, abs=0.002)


def test_exact_independence_scores_exactly():
    """All combinations equally often, in each half: no chance correlation is left."""
    grid = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    rows = np.tile(grid, (20, 1))
    factors = {str(i): rows[:, i] for i in range(3)}
    found = dci(rows.astype(float), factors)
    assert found.disentanglement == pytest.approx(1.0, abs=1e-9)
    assert found.completeness == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(found.importance, np.eye(3), atol=1e-9)
    scored = mig(rows.astype(float), factors)
    assert scored.value == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(scored.information, np.log(2) * np.eye(3), atol=1e-9)


def test_turned_codes_tell_as_much_and_score_less():
    factors = truth((2,) * 8)
    codes = turned(perfect(factors))
    found = dci(codes, factors)
    assert found.informativeness > 0.99  # nothing is lost
    assert found.disentanglement < 0.3 and found.completeness < 0.3
    assert mig(codes, factors).value < 0.35


def test_half_and_half_by_hand():
    """One number is the sum of two factors, the other their difference: each serves both alike."""
    grid = np.stack(np.meshgrid([0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 2)
    a, b = np.tile(grid, (50, 1)).T
    found = dci(np.stack([a + b, a - b], axis=1).astype(float), {"a": a, "b": b})
    np.testing.assert_allclose(found.importance, 0.5, atol=1e-9)
    assert found.disentanglement == pytest.approx(0.0, abs=1e-9)
    assert found.completeness == pytest.approx(0.0, abs=1e-9)
    assert found.informativeness == 1.0
    # a + b is 0, 1, 1, 2: half a bit of a, and a - b as much: no gap.
    scored = mig(np.stack([a + b, a - b], axis=1).astype(float), {"a": a, "b": b})
    np.testing.assert_allclose(scored.information, 0.5 * np.log(2), atol=1e-9)
    assert scored.value == pytest.approx(0.0, abs=1e-9)


def test_one_number_for_two_factors_by_hand():
    """Numbers serve (a and b), and c: the first row of importance is shared, the second is not."""
    grid = np.stack(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij"), -1).reshape(-1, 3)
    a, b, c = np.tile(grid, (50, 1)).T
    found = dci(np.stack([a + b, c], axis=1).astype(float), {"a": a, "b": b, "c": c})
    np.testing.assert_allclose(found.importance, [[1, 1, 0], [0, 0, 1]], atol=1e-9)
    # Two of three parts of the importance lie on a number that serves two of three factors alike.
    wanted = 2 / 3 * (1 - np.log(2) / np.log(3)) + 1 / 3
    assert found.disentanglement == pytest.approx(wanted, abs=1e-9)
    assert found.completeness == pytest.approx(1.0, abs=1e-9)


def test_noise_scores_next_to_nothing():
    factors = truth((2, 3, 5))
    noise = np.random.default_rng(7).normal(size=(COUNT, 6))
    found = dci(noise, factors)
    assert found.disentanglement < 0.25
    # As good as always saying the most frequent word.
    for name, v in factors.items():
        assert found.accuracy[name] == pytest.approx(np.bincount(v).max() / COUNT, abs=0.03)
    assert mig(noise, factors).value < 0.01


def test_numbers_that_say_nothing_cost_little():
    factors = truth()
    assert dci(perfect(factors, more=4), factors).disentanglement > 0.85
    assert mig(perfect(factors, more=4), factors).value > 0.98


def test_information_is_scipys():
    """Of numbers that are cut into bins: the Kullback-Leibler divergence from independence."""
    random = np.random.default_rng(3)
    v = random.integers(0, 3, 500)
    z = v + random.normal(0, 0.8, (500, 2)).T
    found = mig(z.T, {"v": v}, bins=8).information[:, 0]
    for number, value in zip(z, found, strict=True):
        table = np.histogram2d(number, v, bins=(8, np.arange(4) - 0.5))[0] / 500
        apart = np.outer(table.sum(axis=1), table.sum(axis=0))
        assert value == pytest.approx(stats.entropy(table.ravel(), apart.ravel()), rel=1e-9)


def test_mistakes_are_told():
    factors = truth()
    codes = perfect(factors)
    for score in (mig, dci):
        with pytest.raises(ValueError, match="two or more numbers"):
            score(codes[:, :1], factors)
        with pytest.raises(ValueError, match="no factors"):
            score(codes, {})
        with pytest.raises(ValueError, match="known of 8000 pictures; there are 10 codes"):
            score(codes[:10], factors)
        with pytest.raises(ValueError, match="must be known of every picture, and vary"):
            score(codes, {"same": np.zeros(COUNT, int)})
