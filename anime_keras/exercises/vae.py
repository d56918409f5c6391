"""Exercises of notebook 09: a code that gradients reach, its cost, how sure to be, directions."""

from collections.abc import Callable
from typing import Any

import numpy as np

from anime_keras import exercises
from anime_keras.exercises import Wrong, close, exercise, function, number


def _told_apart(value: float, others: dict[str, float], wanted: float) -> None:
    """Raise `Wrong` with the message whose number the value is."""
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.4g} where {wanted:.4g} is right.")


def _array(value: Any, shape: tuple, what: str) -> np.ndarray:
    if value is None or value is ...:
        raise Wrong(f"{what} is {value}: nothing is returned yet.")
    value = np.asarray(value, "float64")
    if value.shape != shape:
        raise Wrong(f"{what} has the shape {value.shape}, and {shape} is wanted.")
    return value


# --- 09.1 -----------------------------------------------------------------------------------------


@exercise(
    "09.1",
    hint="log_variance is log σ², and σ is the root of σ²: exp(0.5 * log_variance). Noise is stretched "
    "by σ and moved by the mean.",
)
def _code(code: Callable) -> str:
    function(code)
    random = np.random.default_rng(0)
    mean, log_variance, noise = random.normal(size=(3, 4, 5))
    value = _array(code(mean.copy(), log_variance.copy(), noise.copy()), (4, 5), "The code")
    spread = np.exp(0.5 * log_variance)
    if np.allclose(value, mean + spread * noise):
        return "The dice are thrown outside, so the slope of z is 1 in μ and ε in σ."
    others = {
        "That is the mean: the noise is missing, and with it the spread of q(z|x).": mean,
        "exp(log_variance) is the variance. Noise is stretched by its root, the standard deviation.": (
            mean + np.exp(log_variance) * noise
        ),
        "log_variance is a logarithm still: it can be below 0, and a spread cannot.": (
            mean + log_variance * noise
        ),
        "The noise has spread 1 in yours, whatever the encoder says of its doubts.": mean + noise,
        "A spread of exp(log_variance) ** -0.5 is small where the doubts are large.": (
            mean + noise / spread
        ),
        "The spread is added in yours; it is the noise that it multiplies.": mean + spread + noise,
        "The mean is stretched too. It only moves the code.": (mean + noise) * spread,
    }
    for message, other in others.items():
        if np.allclose(value, other):
            raise Wrong(message)
    raise Wrong("That is another code. With noise 0 it is to be the mean: is it?")


# --- 09.2 -----------------------------------------------------------------------------------------


@exercise(
    "09.2",
    hint="For each dimension 0.5 * (mean**2 + exp(log_variance) - 1 - log_variance). A code's cost is "
    "their sum over axis 1; the batch's is the mean of those.",
)
def _cost(cost: Callable) -> str:
    function(cost)
    random = np.random.default_rng(1)
    mean, log_variance = random.normal(size=(2, 6, 4))
    value = number(cost(mean.copy(), log_variance.copy()), "The cost")
    variance = np.exp(log_variance)

    def mean_of(each: np.ndarray) -> float:
        return float(each.sum(axis=1).mean())

    each = 0.5 * (mean**2 + variance - 1 - log_variance)
    wanted = mean_of(each)
    if close(value, wanted):
        if not close(number(cost(np.zeros((2, 3)), np.zeros((2, 3))), "The cost"), 0.0):
            raise Wrong("Right, but a code that is as p(z) says costs nothing: mean 0, variance 1.")
        return "Zero only where the code tells nothing of its picture."
    others = {
        "The half is missing.": 2 * wanted,
        "That is in bits: divided by log 2. In nats it was wanted.": wanted / np.log(2),
        "That is the mean over dimensions. What they tell adds up: the sum, for each picture.": (
            float(each.mean())
        ),
        "That is the sum over all pictures: their mean was wanted.": float(each.sum()),
        "You took log_variance for the variance: exp of it in one place, itself in the other.": (
            mean_of(0.5 * (mean**2 + log_variance - 1 - variance))
        ),
        "You took log_variance for log σ. It is log σ², so neither 2 nor a root is needed.": (
            mean_of(0.5 * (mean**2 + variance**2 - 1 - 2 * log_variance))
        ),
        "The square of the mean is missing: a code far from 0 costs, however sure it is.": (
            mean_of(each - 0.5 * mean**2)
        ),
        "The 1 is missing: at mean 0 and variance 1 nothing is to be left.": mean_of(each + 0.5),
        "That is the mean, not squared: to the left of 0 it would be paid for.": (
            mean_of(each - 0.5 * mean**2 + 0.5 * mean)
        ),
        "The sign is turned: that is what is often written into the bound, and subtracted.": -wanted,
    }
    _told_apart(value, others, wanted)


# --- 09.3 -----------------------------------------------------------------------------------------


@exercise(
    "09.3",
    hint="Set the derivative of n log σ + (sum of squared errors) / (2 σ²) by σ to zero. One σ for all "
    "pixels of all pictures: one mean, one root.",
)
def _best_sigma(best: Callable) -> str:
    function(best)
    random = np.random.default_rng(2)
    x = random.uniform(-1, 1, (5, 4, 4, 3))
    # Some pictures are far worse than others, so that the order of mean and root can be told.
    pixels = (
        x + random.normal(size=x.shape) * np.array([0.02, 0.1, 0.2, 0.5, 0.9])[:, None, None, None]
    )
    value = number(best(x.copy(), pixels.copy()), "σ")
    error = pixels - x
    squared = error**2
    wanted = float(np.sqrt(squared.mean()))
    if close(value, wanted):
        return "The likelihood asks for as much doubt as there was error."
    others = {
        "That is σ²: the root of the mean squared error was wanted.": float(squared.mean()),
        "That is the mean absolute error. It would be right for a Laplacian, exp(-|x - μ| / b).": (
            float(np.abs(error).mean())
        ),
        "That is the mean of a root for each picture. One σ for all: first the mean, then the root.": (
            float(np.sqrt(squared.mean(axis=(1, 2, 3))).mean())
        ),
        "That is the spread of the errors about their own mean. About 0 it is wanted: a picture that "
        "is too dark as a whole is wrong, too.": float(error.std()),
        "That is the root of the sum: more pixels would make you less sure.": (
            float(np.sqrt(squared.sum()))
        ),
        "That is the precision, 1 / σ.": 1 / wanted,
        "That is log σ.": float(np.log(wanted)),
        "A half is left in it: from ½ of the squares, which the derivative takes away.": (
            float(np.sqrt(0.5 * squared.mean()))
        ),
    }
    _told_apart(value, others, wanted)


# --- 09.4 -----------------------------------------------------------------------------------------


@exercise(
    "09.4",
    hint="Loop over np.unique(group): in each, codes[has & inside].mean(axis=0) minus "
    "codes[~has & inside].mean(axis=0), times the share of faces that are inside. Add them up.",
)
def _direction(direction: Callable) -> str:
    function(direction)
    random = np.random.default_rng(3)
    count = 900
    group = random.choice(3, count, p=[0.5, 0.3, 0.2])
    has = random.random(count) < np.array([0.2, 0.5, 0.8])[group]
    glasses = np.array([1.0, 0.0, 0.5])
    groups = np.array([[0.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 5.0, 3.0]])
    codes = groups[group] + has[:, None] * glasses + 0.3 * random.normal(size=(count, 3))
    value = _array(direction(codes.copy(), has.copy(), group.copy()), (3,), "The direction")

    inside = [group == g for g in range(3)]
    each = np.stack([codes[has & i].mean(axis=0) - codes[~has & i].mean(axis=0) for i in inside])
    shares = np.array([i.mean() for i in inside])
    wanted = shares @ each
    plain = codes[has].mean(axis=0) - codes[~has].mean(axis=0)
    if np.allclose(value, wanted):
        return f"The plain difference would have moved the second number by {plain[1]:.1f} besides."
    others = {
        "That is the plain difference of two means. Who wears glasses here is more often in the last "
        "group, so it brings that group along: compare within each group.": plain,
        "The sign is turned: what is to be added to a face *without*?": -wanted,
        "Every group counts alike in yours. A group of more faces is to count more.": each.mean(
            axis=0
        ),
        "You weigh by those who have it; by all faces of the group was wanted.": (
            np.array([(has & i).sum() / has.sum() for i in inside]) @ each
        ),
        "That is a sum over groups. Weigh each by its share of the faces.": each.sum(axis=0),
        "That is of unit length. How far to go is part of the answer.": (
            wanted / np.linalg.norm(wanted)
        ),
        "That is the mean code of those who have it. Minus the others'.": codes[has].mean(axis=0),
    }
    for message, other in others.items():
        if np.allclose(value, other):
            raise Wrong(message)
    raise Wrong("That is another direction. Within one group it is a difference of two means.")


# --- 09.5 -----------------------------------------------------------------------------------------

KNOBS = ("beta", "latent_dim", "sigma", "likelihood", "free_bits", "learning_rate", "steps")
"""What the experiment of exercise 09.5 can turn."""


@exercise(
    "09.5",
    hint="`beta` weighs the KL term: list several. All that could change the scores besides goes "
    "into `keep`, sigma above all: one that follows the error takes back what beta does.",
)
def _experiment(plan: dict) -> str:
    exercises.plan(plan, "change", "keep", "measure", "seeds", "prediction")
    name, values = exercises.one_change(plan, KNOBS)
    if name != "beta":
        raise Wrong(f"The question is what beta does; yours changes {name}.")
    if any(not isinstance(value, int | float) or value < 0 for value in values):
        raise Wrong("A weight of the KL term is a number from 0 on.")
    if max(values) < 4 * max(min(values), 0.25):
        raise Wrong(
            "The values lie near one another: chance would be as large. Go by factors of 4."
        )
    if plan["keep"].get("sigma") is None:
        raise Wrong(
            "sigma is not kept at a number. One that follows the error grows with beta, and weighs "
            "pixels less as well: two things would change."
        )
    measured = set(plan["measure"])
    if not measured & {"mig", "dci"}:
        raise Wrong("Nothing you measure tells whether numbers stand for factors: mig, or dci.")
    if not measured & {"ssim", "reconstruction", "psnr"}:
        raise Wrong("A code that says nothing can be very tidy. Measure what it costs: ssim, say.")
    if len(set(plan["seeds"])) < 2:
        raise Wrong("One seed shows one run, and its luck. Take two or more.")
    exercises.expectation(plan)
    return f"{len(values) * len(set(plan['seeds']))} runs, of which none differs in two ways."
