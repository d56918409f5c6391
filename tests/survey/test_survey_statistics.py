"""Statistics against published values, closed forms and scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from anime_keras.survey import raters_needed, statistics

NAN = np.nan
# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: 4 observers, 12 units.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_as_published(level, published):
    assert abs(statistics.krippendorff_alpha(OBSERVERS, level) - published) < 0.0005


def test_alpha_of_two_observers_and_two_values():
    # Section A of the same: 10 units, alpha = 1 - 9 * 8 / (14 * 6) = 0.095.
    table = np.array([[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]])
    assert math.isclose(statistics.krippendorff_alpha(table), 0.095, abs_tol=0.0005)


def test_alpha_does_not_depend_on_the_order_and_ranks_only():
    shuffled = OBSERVERS[[2, 0, 3, 1]][:, np.random.default_rng(0).permutation(12)]
    for level in ("nominal", "ordinal"):
        one, other = (statistics.krippendorff_alpha(x, level) for x in (OBSERVERS, shuffled))
        assert math.isclose(one, other, rel_tol=1e-12)
        stretched = statistics.krippendorff_alpha(OBSERVERS**3, level)
        assert math.isclose(one, stretched, rel_tol=1e-12)


def test_alpha_at_its_ends():
    table = np.random.default_rng(0).integers(0, 3, (1, 4000)).astype(float)
    assert statistics.krippendorff_alpha(np.repeat(table, 3, axis=0)) == 1.0
    noise = np.random.default_rng(1).integers(0, 3, (4, 4000))
    assert abs(statistics.krippendorff_alpha(noise)) < 0.02
    for undefined in (np.ones((3, 5)), np.array([[1.0, 2.0]]), np.array([[1.0, NAN], [NAN, 2.0]])):
        assert statistics.krippendorff_alpha(undefined) is None
    with pytest.raises(ValueError, match="no level 'cardinal'"):
        statistics.krippendorff_alpha(OBSERVERS, "cardinal")


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 29), (81, 263), (15, 148), (10, 10)])
def test_wilson_as_scipy_has_it(hits, count):
    wanted = stats.binomtest(hits, count).proportion_ci(method="wilson")
    np.testing.assert_allclose(
        statistics.wilson(hits / count, count), wanted, rtol=1e-12, atol=1e-15
    )


def test_wilson_as_published():
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    low, high = statistics.wilson(81 / 263, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_share_of_one_rater_is_wilsons():
    answers = [np.array([1, 0, 0, 1, 1, 1, 0, 1, 1, 1.0])]
    estimate = statistics.share(answers)
    assert (estimate.value, estimate.answers, estimate.raters) == (0.7, 10, 1)
    np.testing.assert_allclose((estimate.low, estimate.high), statistics.wilson(0.7, 10))


def test_raters_who_always_say_the_same_count_as_one_answer_each():
    # Var = R/(R-1) sum (k (x - p))^2 / (R k)^2 = p q / (R - 1), so the effective number is R - 1.
    answers = [np.full(7, float(i < 6)) for i in range(8)]
    estimate = statistics.share(answers)
    wanted = statistics.wilson(0.75, 7, stats.t.ppf(0.975, 7))
    np.testing.assert_allclose((estimate.low, estimate.high), wanted, rtol=1e-12)


def test_raters_who_are_all_alike_count_fully():
    estimate = statistics.share([np.array([1, 0, 0, 0.0])] * 9)
    wanted = statistics.wilson(0.25, 36, stats.t.ppf(0.975, 8))
    np.testing.assert_allclose((estimate.low, estimate.high), wanted, rtol=1e-12)


@pytest.mark.parametrize(("raters", "correlation"), [(4, 0.1), (10, 0.1), (20, 0.0)])
def test_intervals_of_shares_cover_the_truth(raters, correlation):
    rng = np.random.default_rng(0)
    scale = (1 - correlation) / correlation if correlation else 0
    covered = 0
    for _ in range(1500):
        truth = rng.beta(0.3 * scale, 0.7 * scale, raters) if scale else np.full(raters, 0.3)
        answers = [(rng.random(12) < p).astype(float) for p in truth]
        estimate = statistics.share(answers)
        covered += estimate.low <= 0.3 <= estimate.high
    assert 0.94 <= covered / 1500 <= 1.0


def test_mean_is_students_over_raters():
    rng = np.random.default_rng(0)
    answers = [rng.integers(1, 6, 10).astype(float) for _ in range(7)]
    estimate = statistics.mean(answers)
    wanted = stats.ttest_1samp([a.mean() for a in answers], 3).confidence_interval()
    np.testing.assert_allclose((estimate.low, estimate.high), wanted, rtol=1e-12)
    alone = statistics.mean(answers[:1])
    assert (alone.low, alone.high) == (None, None)
    assert alone.value == answers[0].mean()


def test_holm_as_published():
    assert np.allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert statistics.holm([0.2]) == [0.2]


def test_sign_flip_by_counting():
    assert statistics.sign_flip(np.ones(6)) == 2 / 64
    assert statistics.sign_flip(np.full(5, -0.2)) == 2 / 32
    # Sums at least as far from 0 as 1 + 2 + 3 - 4 = 2: all but -/+ (1 - 2 - 3 + 4), (1 + 4 - 2 - 3).
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    wanted = np.mean(np.abs(signs @ [1, 2, 3, 4]) >= 2)
    assert statistics.sign_flip(np.array([1, 2, 3, -4.0])) == wanted
    # Thirds, whose sums differ by rounding only, are ties.
    assert statistics.sign_flip(np.array([2, 3, -3, -3, 1, -1, 1, 0]) / 3) == 1.0
    assert statistics.sign_flip(np.zeros(9)) == statistics.sign_flip(np.ones(1)) == 1.0


def test_sign_flip_of_many_raters():
    rng = np.random.default_rng(0)
    differences = rng.normal(0.3, 1, 40)
    wanted = stats.ttest_1samp(differences, 0).pvalue
    assert abs(statistics.sign_flip(differences) - wanted) < 0.01
    assert statistics.sign_flip(differences, 3) == statistics.sign_flip(differences, 3)


def test_answers_needed_as_in_the_textbook():
    # ((1.95996 * 0.5 + 0.84162 * sqrt(0.24)) / 0.1)^2 = 193.9
    assert raters_needed(0.6, 0.5, trials=1, correlation=0) == 194
    assert raters_needed(0.4, 0.5, trials=1, correlation=0) == 194


def test_answers_needed_have_the_power():
    count = 194
    hits = np.arange(count + 1)
    rejected = np.abs(hits / count - 0.5) / math.sqrt(0.25 / count) > stats.norm.ppf(0.975)
    power = stats.binom.pmf(hits, count, 0.6)[rejected].sum()
    assert 0.79 < power < 0.82
    assert 0.035 < stats.binom.pmf(hits, count, 0.5)[rejected].sum() < 0.06


def test_raters_needed_follow_the_design_effect():
    assert raters_needed(trials=20, correlation=0) == 10  # 193.9 / 20
    assert raters_needed(trials=20, correlation=1) == 194  # twenty answers are one
    assert raters_needed(trials=20, correlation=0.05) == 19  # 193.9 * 1.95 / 20 = 18.9
    # With resemblance, more trials cannot replace raters: 193.9 * 0.05 = 9.7 at the least.
    assert raters_needed(trials=10_000, correlation=0.05) == 10


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"share": 0.5}, "the same"),
        ({"share": 1.0}, "share must lie"),
        ({"power": 0}, "power must lie"),
        ({"alpha": math.nan}, "alpha must lie"),
        ({"correlation": -0.1}, "correlation must be"),
        ({"trials": 0}, "trials must be"),
    ],
)
def test_raters_needed_refuses_what_cannot_be(wrong, words):
    with pytest.raises(ValueError, match=words):
        raters_needed(**wrong)
