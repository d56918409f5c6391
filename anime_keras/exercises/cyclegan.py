"""The exercises of notebook 07, CycleGAN: no pairs, a price, three measures, and an experiment."""

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


# --- 07.1 -----------------------------------------------------------------------------------------


@exercise(
    "07.1",
    hint="np.random.default_rng(seed).permutation(count) is everyone once, in any order. The first "
    "half of that order goes to X, the second to Y.",
)
def _unpaired(split: Callable) -> str:
    function(split)
    count = 600
    x, y = _two(split(count, 0), count)
    for name, domain in (("X", x), ("Y", y)):
        if len(set(domain)) < len(domain):
            raise Wrong(f"Somebody is in {name} more than once: draw without putting back.")
    both = set(x) & set(y)
    if len(both) == count:
        raise Wrong(
            "All of them are in both domains. In another order they are pairs all the same: a network "
            "could learn from them what it should find out without."
        )
    if both:
        raise Wrong(f"{len(both)} of the {count} people are in both domains: those are pairs.")
    if len(x) + len(y) < count:
        raise Wrong(
            f"{count - len(x) - len(y)} people are in neither domain, though they cost nothing."
        )
    if abs(len(x) - len(y)) > 1:
        raise Wrong(f"Halves were wanted; X has {len(x)} people and Y {len(y)}.")
    if abs(np.mean(x) - np.mean(y)) > count / 5 or set(x % 2) == {x[0] % 2}:
        raise Wrong(
            "Who goes where follows from the place in the pile. Had it been sorted by hair colour, X "
            "would be blond and Y dark, and the networks would learn to dye hair. Shuffle."
        )
    again = _two(split(count, 0), count)
    if not (np.array_equal(again[0], x) and np.array_equal(again[1], y)):
        raise Wrong(
            "Called twice with one seed it splits differently: nobody could repeat your run."
        )
    if set(_two(split(count, 1), count)[0]) == set(x):
        raise Wrong("Another seed gives the same split: is the seed used?")
    return "Nobody is in both, so nothing in the data says how anybody's anime face looks."


def _two(answer: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Whose portrait goes to X, and whose anime face to Y, as whole numbers."""
    if not isinstance(answer, tuple | list | np.ndarray) or len(answer) != 2:
        raise Wrong("Return two arrays: whose portrait goes to X, and whose anime face to Y.")
    x, y = (np.asarray(domain) for domain in answer)
    for domain in (x, y):
        if domain.ndim != 1 or domain.dtype.kind not in "iu" or not len(domain):
            raise Wrong("Each of the two is a row of people's numbers, such as array([3, 0, 5]).")
        if domain.min() < 0 or domain.max() >= count:
            raise Wrong(f"People are numbered from 0 to {count - 1}.")
    return x, y


# --- 07.2 -----------------------------------------------------------------------------------------


@exercise(
    "07.2",
    hint="A convolution costs size * size * inputs * outputs + outputs. In order: 7x7 from 3 to w, 3x3 "
    "to 2w and to 4w, two of 3x3 at 4w in each block, back to 2w and to w, 7x7 to 3.",
)
def _parameters(parameters: Callable) -> str:
    function(parameters)

    def price(
        width: int,
        blocks: int,
        bias: int = 1,
        in_block: int = 2,
        ends: int = 7,
        inner: int = 4,
        affine: int = 0,
        decoder: int = 1,
    ) -> int:
        def conv(size: int, inputs: int, outputs: int, normed: bool = True) -> int:
            return size * size * inputs * outputs + outputs * (bias + affine * normed)

        total = conv(ends, 3, width) + conv(3, width, 2 * width) + conv(3, 2 * width, 4 * width)
        total += blocks * in_block * conv(3, inner * width, inner * width)
        total += decoder * (conv(3, 4 * width, 2 * width) + conv(3, 2 * width, width))
        return total + conv(ends, width, 3, normed=False)

    value = number(parameters(64, 9), "The number of parameters")
    others = {
        "That is without biases: one for each output of each convolution.": price(64, 9, bias=0),
        "A residual block has two convolutions.": price(64, 9, in_block=1),
        "The first and the last convolution are 7x7.": price(64, 9, ends=3),
        "The blocks work on 4 * width channels: two convolutions have doubled them by then.": (
            price(64, 9, inner=1)
        ),
        "The reference's instance norm has no scale and no shift to learn.": (
            price(64, 9, affine=2)
        ),
        "The way back up is missing: two fractionally strided convolutions, priced as any.": (
            price(64, 9, decoder=0)
        ),
    }
    wanted = price(64, 9)
    if value != wanted:
        _told_apart_exactly(value, others, wanted)
    for width, blocks in ((64, 6), (24, 6), (5, 0)):
        value, wanted = number(parameters(width, blocks), "It"), price(width, blocks)
        if value != wanted:
            raise Wrong(
                f"Right for width 64 and 9 blocks, but for width {width} and {blocks} blocks it gives "
                f"{value:,.0f}, and {wanted:,} is right."
            )
    return "Nine tenths and more of them are in the blocks, where the picture is small."


def _told_apart_exactly(value: float, others: dict[str, int], wanted: int) -> None:
    """Like `_told_apart`, for whole numbers that lie near one another."""
    for message, other in others.items():
        if value == other:
            raise Wrong(message)
    raise Wrong(f"For width 64 and 9 blocks it gives {value:,.0f}, and {wanted:,} is right.")


# --- 07.3 -----------------------------------------------------------------------------------------


@exercise(
    "07.3",
    hint="translated[:, None].astype(float) - truths[None] has the shape (n, n, height, width, 3). The "
    "mean of its absolute value over the last three axes is a table; argmin(axis=1) against 0, 1, 2, …",
)
def _found_again(found: Callable) -> str:
    function(found)
    random = np.random.default_rng(5)
    count = 25
    truths = random.integers(0, 256, (count, 4, 4, 3)).astype("uint8")
    own = np.arange(count)
    shown = own.copy()
    shown[:6] = 6  # six who all became somebody else, the same
    shown[7:11] = np.roll(own[7:11], 1)
    translated = np.clip(truths[shown] + random.normal(0, 12, truths.shape), 0, 255).astype("uint8")
    translated[11:18] = np.clip(truths[11:18] + 55.0, 0, 255)  # right, and too light
    translated[-2:] = truths[-2:]

    value = number(found(translated.copy(), truths.copy()), "The share")
    table = np.abs(translated[:, None].astype(float) - truths[None]).mean(axis=(2, 3, 4))
    wrapped = np.abs(translated[:, None] - truths[None]).mean(axis=(2, 3, 4))
    wanted = float((table.argmin(axis=1) == own).mean())
    if close(value, wanted):
        if not close(number(found(truths, truths), "The share"), 1.0):
            raise Wrong("Right for a poor translator, but the truth itself is to get 1.")
        return "A translator that makes the same face of everybody finds one of n."
    others = {
        "uint8 has no numbers below 0: 3 - 5 is 254 there. Make floats of them before you subtract.": (
            (wrapped.argmin(axis=1) == own).mean()
        ),
        "That is the farthest truth: argmin, not argmax.": (table.argmax(axis=1) == own).mean(),
        "For each truth you look for its nearest translation. It is the translations that are asked "
        "whose they are: the other axis.": (table.argmin(axis=0) == own).mean(),
        "That is how many; the share of them was wanted.": wanted * count,
        "That is the share of those who are *not* found again.": 1 - wanted,
        "Too light and too dark cancel each other: take the absolute value before the mean.": (
            (
                np.abs(
                    (translated[:, None].astype(float) - truths[None]).mean(axis=(2, 3, 4))
                ).argmin(axis=1)
                == own
            ).mean()
        ),
        "Only the very truth itself counts in yours. Near is enough, if no other is nearer.": (
            (np.diagonal(table) == 0).mean()
        ),
        "That is the mean distance to one's own truth. Is it near, or are the others nearer?": (
            np.diagonal(table).mean()
        ),
    }
    _told_apart(value, others, wanted)


# --- 07.4 -----------------------------------------------------------------------------------------


@exercise(
    "07.4",
    hint="One number for each baseline first, its mean over all pictures. The smallest of those, "
    "divided by the mean of the translator's own distances.",
)
def _times_nearer(times: Callable) -> str:
    function(times)
    random = np.random.default_rng(1)
    own = random.uniform(0.2, 1.0, 40)
    baselines = {
        "itself": random.uniform(1.0, 3.0, 40),
        "colour transfer": random.uniform(0.9, 2.5, 40),
        "nearest": random.uniform(0.4, 3.6, 40),
    }
    rows = np.stack(list(baselines.values()))
    value = number(times(own.copy(), {k: v.copy() for k, v in baselines.items()}), "The number")
    means = rows.mean(axis=1)
    wanted = float(means.min() / own.mean())
    if close(value, wanted):
        few = number(times(own * 2, {"itself": rows[0]}), "The number")
        if not close(few, float(means[0] / (2 * own.mean()))):
            raise Wrong("Right for three baselines, but with another set of them it is not.")
        return "1 would say: no better than the best answer that needs no learning."
    others = {
        "That is upside down: twice as near is to give 2.": 1 / wanted,
        "That is the best baseline of each single picture: nobody can choose so without knowing the "
        "truth. One baseline for all: first the means, then the smallest.": (
            rows.min(axis=0).mean() / own.mean()
        ),
        "That is the worst baseline, and so the greatest praise. Take the best.": (
            means.max() / own.mean()
        ),
        "That is the mean of all baselines; a poor one among them would flatter any translator.": (
            means.mean() / own.mean()
        ),
        "That is a mean of ratios: one picture with a tiny distance outweighs all. Divide the means.": (
            (rows[means.argmin()] / own).mean()
        ),
        "That is a difference, in units that nobody can feel. How many *times* nearer?": (
            means.min() - own.mean()
        ),
        "Those are medians; the means were wanted.": (
            np.median(rows, axis=1).min() / np.median(own)
        ),
        "That is the mean of the best baseline. Divide by the translator's own.": means.min(),
    }
    _told_apart(value, others, wanted)


# --- 07.5 -----------------------------------------------------------------------------------------


@exercise(
    "07.5",
    hint="Two ways back: back(there(x)) and back(there(x) + noise). How far is each from x, "
    "np.abs(… - x).mean()? The second by the first.",
)
def _hidden(hidden: Callable) -> str:
    function(hidden)
    random = np.random.default_rng(2)
    x = random.uniform(-1, 1, (4, 6, 6, 3))
    noise = 0.05 * random.standard_normal(x.shape)

    def there(images: np.ndarray) -> np.ndarray:
        """All the same to the eye, and x a fiftieth as strong on top."""
        return 0.6 + 0.02 * np.asarray(images)

    def back(images: np.ndarray) -> np.ndarray:
        return 45.0 * (np.asarray(images) - 0.6)

    def far(images: np.ndarray, other: np.ndarray = x) -> float:
        return float(np.abs(images - other).mean())

    value = number(hidden(there, back, x.copy(), noise.copy()), "The number")
    plain, noisy = back(there(x)), back(there(x) + noise)
    wanted = far(noisy) / far(plain)
    if close(value, wanted):
        return f"Here {wanted:.0f} times: those generators hide nearly everything."
    others = {
        "That is upside down: it is to be large where much was hidden.": 1 / wanted,
        "Your noise is on x, before the way there. What is hidden is in there(x): put it on that.": (
            far(back(there(x + noise))) / far(plain)
        ),
        "Your noise is on what came back. It is to come before the way back.": (
            far(plain + noise) / far(plain)
        ),
        "That compares with there(x). What shall come back is x.": (
            far(noisy, there(x)) / far(plain, there(x))
        ),
        "That is how far x comes back from, with noise. Without noise, how far? Divide by that.": (
            far(noisy)
        ),
        "That is a difference. How many *times* farther?": far(noisy) - far(plain),
        "That is squared: the root of it is missing, or better, take the absolute value.": (
            np.square(noisy - x).mean() / np.square(plain - x).mean()
        ),
        "That is how far the two ways back lie apart, not how far each is from x.": (
            far(noisy, plain) / far(plain)
        ),
        "There is no noise in it yet.": 1.0,
    }
    _told_apart(value, others, wanted)


# --- 07.6 -----------------------------------------------------------------------------------------

DEFAULTS = {
    "cycle": 10.0,
    "identity": 0.5,
    "cycle_noise": 0.0,
    "learning_rate": 2e-4,
    "beta_1": 0.5,
    "loss": "least_squares",
}
"""What an experiment of exercise 07.6 can turn, and what `CycleGAN.compile` takes by itself."""


@exercise(
    "07.6",
    hint="identity is a share of lambda: with cycle=0 the identity loss is gone as well. So take it "
    "out of both runs, and let cycle be 10 in the one and 0 in the other.",
)
def _experiment(plan: dict) -> str:
    exercises.plan(plan, "with", "without", "seeds", "prediction")
    rules = []
    for name in ("with", "without"):
        unknown = [knob for knob in plan[name] if knob not in DEFAULTS]
        if unknown:
            raise Wrong(f"compile has no {unknown[0]!r}; choose from {', '.join(DEFAULTS)}.")
        rules.append({**DEFAULTS, **plan[name]})
    one, other = rules
    if one == other:
        raise Wrong("The two runs are the same: nothing could come out but luck.")
    if not one["cycle"]:
        raise Wrong("The run `with` has no cycle loss. Are the two exchanged?")
    if other["cycle"]:
        raise Wrong(
            "The run `without` has a cycle loss still: its weight, cycle, is "
            f"{other['cycle']:g}. Other losses are not the question."
        )
    if one["identity"]:
        raise Wrong(
            "Two losses go at once: the identity loss weighs identity * cycle, and with cycle=0 that "
            "is 0, too. Whichever it was, you could not tell."
        )
    changed = [k for k in DEFAULTS if k not in ("cycle", "identity") and one[k] != other[k]]
    if changed:
        raise Wrong(f"{changed[0]} changes as well: whichever it was, you could not tell.")
    if len(set(plan["seeds"])) < 2:
        raise Wrong("One seed shows one run, and its luck. Take two or more.")
    exercises.expectation(plan)
    return f"{2 * len(set(plan['seeds']))} runs that differ in the cycle loss and in luck alone."
