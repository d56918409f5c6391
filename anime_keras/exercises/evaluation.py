"""The exercises of notebook 05, evaluation: three metrics, a classic mistake in each, and raters."""

import math
from collections.abc import Callable

import numpy as np
from scipy import stats

from anime_keras import metrics
from anime_keras.exercises import Wrong, close, exercise, function, number
from anime_keras.survey.planning import raters_needed


def _clouds(seed: int, real: int, fake: int, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of two sets that differ in mean and width, float64."""
    random = np.random.default_rng(seed)
    width = np.linspace(0.6, 1.4, dimension)
    first = width * random.standard_normal((real, dimension))
    return first, 0.7 + 1.3 * width * random.standard_normal((fake, dimension))


# --- 05.1 -----------------------------------------------------------------------------------------


@exercise(
    "05.1",
    hint="A Gaussian with independent features is a row of 1-D Gaussians, and squared distances add "
    "up: np.sum((m1 - m2) ** 2) + np.sum((s1 - s2) ** 2), with standard deviations over axis 0.",
)
def _diagonal(distance: Callable) -> str:
    function(distance)
    real, fake = _clouds(0, 400, 500, 5)
    real[:, 1:] += 0.8 * real[:, :1]  # so that correlations would show
    value = number(distance(real.copy(), fake.copy()), "The distance")
    gap = real.mean(axis=0) - fake.mean(axis=0)
    widths, variances = (
        (real.std(axis=0, ddof=1), fake.std(axis=0, ddof=1)),
        (real.var(axis=0, ddof=1), fake.var(axis=0, ddof=1)),
    )
    spread = np.sum(np.square(widths[0] - widths[1]))
    wanted = float(gap @ gap + spread)
    if close(value, wanted, 1e-2):
        swapped = number(distance(fake.copy(), real.copy()), "The distance")
        if not close(value, swapped):
            raise Wrong(f"From here to there {value:.3f}, from there to here {swapped:.3f}?")
        return "With equal means, twice the width costs as much as a shift by that width."
    others = {
        "That is the mean term alone: two clouds of different width would be the same.": gap @ gap,
        "That is the term of the widths alone: where are the means?": spread,
        "That compares variances. The closed form has standard deviations: (s1 - s2)^2.": (
            gap @ gap + np.sum(np.square(variances[0] - variances[1]))
        ),
        "The mean over the features is one D-th of the distance: sum.": wanted / real.shape[1],
        "That is the distance; FID is its square.": math.sqrt(wanted),
        "The means enter squared, or shifts to the left would cancel those to the right.": (
            gap.sum() + spread
        ),
        "That is FID with all correlations; here each feature stands alone.": (
            metrics.frechet_distance(real, fake)
        ),
    }
    for message, other in others.items():
        if close(value, float(other), 3e-3):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.4f} where {wanted:.4f} is right.")


# --- 05.2 -----------------------------------------------------------------------------------------


@exercise(
    "05.2",
    hint="The n rows make n * (n - 1) pairs of different pictures: take np.trace off the sum over all "
    "pairs. Between real and generated no picture meets itself: there, all n * m pairs count.",
)
def _kernel(distance: Callable) -> str:
    function(distance)
    real, fake = _clouds(1, 12, 9, 4)
    value = number(distance(real.copy(), fake.copy()), "The distance")
    wanted = metrics.kernel_distance(real, fake)
    if close(value, wanted):
        return "And where two sets are alike it may come out below 0: the price of being unbiased."

    def mixed(power: int = 3, plus: float = 1.0, by: float = 4.0, cross: float = 2.0) -> float:
        def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return (a @ b.T / by + plus) ** power

        def among(a: np.ndarray) -> float:
            return (k(a, a).sum() - np.trace(k(a, a))) / (len(a) * (len(a) - 1))

        return among(real) + among(fake) - cross * k(real, fake).mean()

    def k(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / 4 + 1) ** 3

    biased = k(real, real).mean() + k(fake, fake).mean() - 2 * k(real, fake).mean()
    off = [k(a, a).sum() - np.trace(k(a, a)) for a in (real, fake)]
    others = {
        "That is the biased one: each picture is compared with itself, and finds itself very much "
        "alike. Take the diagonal off.": biased,
        "The diagonal is off the sum, but still in the number of pairs: n * (n - 1), not n * n.": (
            off[0] / 144 + off[1] / 81 - 2 * k(real, fake).mean()
        ),
        "The product is to be divided by the number of features before the 1 is added.": mixed(
            by=1
        ),
        "Without the 1 the kernel sees third moments only: a shift of the mean hardly shows.": (
            mixed(plus=0)
        ),
        "A square sees mean and covariance, as FID does; KID's kernel is cubic.": mixed(power=2),
        "The pairs of real and generated count twice: they stand for (r, f) and (f, r).": (
            mixed(cross=1)
        ),
        "What is alike within a set makes the distance larger, what is alike between sets smaller: "
        "minus, not plus.": mixed(cross=-2),
        "That is its root; KID is the square, and may be negative.": math.sqrt(max(wanted, 0)),
    }
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.4f} where {wanted:.4f} is right.")


# --- 05.3 -----------------------------------------------------------------------------------------


@exercise(
    "05.3",
    hint="p(y) is the mean over the pictures, axis 0. Then sum p * (log p - log p(y)) over the "
    "classes, mean over the pictures, exp. Where p is 0, let np.where put 1 inside of the log.",
)
def _inception(score: Callable) -> str:
    function(score)
    p = np.random.default_rng(2).dirichlet(np.full(6, 0.5), 300)
    value = number(score(p.copy()), "The score")
    wanted = metrics.inception_score(p, splits=1)[0]
    marginal = p.mean(axis=0)
    each = (p * np.log(p / marginal)).sum(axis=1)
    backward = (marginal * np.log(marginal / p)).sum(axis=1)
    others = {
        "That is the mean divergence; the score is exp of it, and so counts classes.": each.mean(),
        "exp goes last: the score is exp of the mean, not the mean of exps.": np.exp(each).mean(),
        "That is exp of the sum over all pictures and would grow with their number: mean.": (
            np.exp(min(each.sum(), 700))
        ),
        "That is KL turned round, p(y) against p(y|x).": np.exp(backward.mean()),
        "That only asks whether all classes come: each picture's own p(y|x) does not count yet.": (
            np.exp(-(marginal * np.log(marginal)).sum())
        ),
        "That only asks whether each picture is clear; p(y) is missing.": np.exp(
            (p * np.log(p)).sum(axis=1).mean()
        ),
        "The mean over the classes is too small: the divergence is a sum over them.": np.exp(
            each.mean() / 6
        ),
        "The logarithm to base 2 goes with 2 ** x, not with exp.": np.exp(each.mean() / np.log(2)),
    }
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    if not close(value, wanted):
        raise Wrong(f"It gives {value:.4f} where {wanted:.4f} is right.")
    with np.errstate(all="ignore"):
        sure = number(score(np.eye(4).repeat(3, axis=0)), "The score")
    if not close(sure, 4.0):
        raise Wrong(
            f"Right for soft probabilities, but for four classes of which it is quite sure it gives "
            f"{sure:.4g}, not 4: 0 * log(0) is 0, but NumPy says NaN."
        )
    return "Four classes, each quite sure, as often: 4."


# --- 05.4 -----------------------------------------------------------------------------------------


@exercise(
    "05.4",
    hint="np.sort(distances(real, real), axis=1)[:, k]: column 0 is the picture itself. Then a "
    "generated picture is precise if (distances(fake, real) <= radii) holds in any column.",
)
def _precision(precision: Callable) -> str:
    function(precision)
    real, fake = _clouds(3, 90, 70, 3)
    k = 3
    value = number(precision(real.copy(), fake.copy(), k), "The precision")
    wanted, recall = metrics.precision_recall(real, fake, k)
    if close(value, wanted):
        again = number(precision(fake.copy(), real.copy(), 5), "The precision")
        if not close(again, metrics.precision_recall(fake, real, 5)[0]):
            raise Wrong("Right for k = 3, but with k = 5 it is not: is a 3 written somewhere?")
        return "With the two sets exchanged the same function is recall."

    def within(reach: Callable, among: np.ndarray = real, points: np.ndarray = fake) -> float:
        own = np.sort(_distances(among, among), axis=1)
        return float((_distances(points, among) <= reach(own)).any(axis=1).mean())

    others = {
        "Each picture is its own nearest neighbour, at a distance of 0, and you count it: your balls "
        "reach to the neighbour before.": within(lambda own: own[:, k - 1]),
        "That is recall: real pictures in generated balls.": recall,
        "Each real picture has a radius of its own; one for all makes the outskirts too sparse.": (
            within(lambda own: own[:, k].mean())
        ),
        "Those balls reach one neighbour too far.": within(lambda own: own[:, k + 1]),
        "With so few real pictures any distance is small: that counts real balls that hold a generated "
        "picture, which is coverage.": float(
            (_distances(fake, real) <= np.sort(_distances(real, real), axis=1)[:, k])
            .any(axis=0)
            .mean()
        ),
    }
    for message, other in others.items():
        if close(value, other):
            raise Wrong(message)
    if not 0 <= value <= 1:
        raise Wrong(f"A share lies between 0 and 1; yours is {value:.4g}. any, then mean.")
    raise Wrong(f"It gives {value:.3f} where {wanted:.3f} is right.")


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.sqrt(metrics.neighbours.squared_distances(first, second))


# --- 05.5 -----------------------------------------------------------------------------------------


@exercise(
    "05.5",
    hint="Answers of one rater resemble one another: n answers in rows of `trials` are worth "
    "n / (1 + (trials - 1) * correlation). Multiply by that, divide by the trials, math.ceil.",
)
def _raters(raters: Callable) -> str:
    function(raters)
    share, trials, correlation = 0.62, 12, 0.2
    value = number(raters(share, trials, correlation), "The number of raters")
    answers = raters_needed(share, trials=1)
    effect = 1 + (trials - 1) * correlation

    def rated(quantile: float, power: float = stats.norm.ppf(0.8)) -> float:
        spread = quantile * 0.5 + power * math.sqrt(share * (1 - share))
        return (spread / (share - 0.5)) ** 2 * effect / trials

    wanted = raters_needed(share, trials=trials, correlation=correlation)
    exact = rated(stats.norm.ppf(0.975))
    if value == wanted:
        single = number(raters(0.7, 1, 0.5), "The number of raters")
        if single != raters_needed(0.7, trials=1, correlation=0.5):
            raise Wrong("With one trial a rater's answers cannot resemble one another: effect 1.")
        return (
            f"{wanted} raters, where {math.ceil(answers / trials)} would do if answers were alone."
        )
    messages = {
        "Those would be enough if the answers of one rater were independent: twenty answers of one "
        "person are not twenty people. Where does `correlation` come in?": math.ceil(
            answers / trials
        ),
        "That is the number of answers; a rater gives `trials` of them.": math.ceil(exact * trials),
        "Each rater brings one answer and `trials - 1` more that resemble it: 1 + (trials - 1) * "
        "correlation.": math.ceil(answers * (1 + trials * correlation) / trials),
        "Nobody asks a part of a rater: round up.": math.floor(exact),
        "That is the one-sided test; it could also be that raters prefer the other.": math.ceil(
            rated(stats.norm.ppf(0.95))
        ),
        "With so many, half of all surveys would miss the difference: power is missing.": math.ceil(
            rated(stats.norm.ppf(0.975), 0.0)
        ),
    }
    if close(value, exact, 1e-3):
        raise Wrong("Nobody asks a part of a rater: round up.")
    for message, other in messages.items():
        if value == other:
            raise Wrong(message)
    raise Wrong(f"For a share of {share}: {value:g} raters, and {wanted} are needed.")
