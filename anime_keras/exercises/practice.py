"""The exercises of notebook 04, training that survives: speed, memory, schedules, sessions."""

from collections.abc import Callable

import numpy as np

from anime_keras import exercises
from anime_keras.exercises import Wrong, close, exercise, function, number


def _told_apart(value: float, others: dict[str, float], wanted: float) -> None:
    """Raise `Wrong` with the message whose number the value is."""
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.6g} where {wanted:.6g} is right.")


# --- 04.1 -----------------------------------------------------------------------------------------


@exercise(
    "04.1",
    hint="seconds[leave_out:] are the steps that count; np.median of them is what a step takes; and in "
    "that time batch_size pictures go through.",
)
def _speed(speed: Callable) -> str:
    function(speed)
    seconds = np.array([9.0, 1.2, 0.5, 0.4, 0.44, 0.41, 2.6, 0.43, 0.45])
    batch, out = 24, 2
    value = number(speed(seconds.copy(), batch, out), "The speed")
    rest = seconds[out:]
    wanted = batch / np.median(rest)
    if close(value, wanted):
        if not close(number(speed(seconds.copy(), batch, 0), "The speed"), batch / 0.45):
            raise Wrong("Right if two steps are left out, but not if none is.")
        return "The step of 2.6 seconds, a busy moment of the machine, has not moved it."
    others = {
        "The first steps are in there, and with them the compilation.": (
            batch * len(seconds) / seconds.sum()
        ),
        "That is the median, but of all steps: leave out the first ones.": batch
        / np.median(seconds),
        "That is by the mean, and one busy moment makes all of it slow. Take the median.": (
            batch / rest.mean()
        ),
        "That is steps a second. How many pictures is that?": 1 / np.median(rest),
        "That is seconds for a picture. Turn it round.": np.median(rest) / batch,
        "That is how long a step takes, not how fast it is.": np.median(rest),
        "That leaves out the *last* steps.": batch / np.median(seconds[: len(seconds) - out]),
        "That leaves out one too few.": batch / np.median(seconds[out - 1 :]),
        "That leaves out one too many.": batch / np.median(seconds[out + 1 :]),
        "That is the speed of the fastest step: nobody trains at that.": batch / rest.min(),
        "The pictures of the steps that were left out are counted all the same.": (
            batch * len(seconds) / rest.sum()
        ),
    }
    _told_apart(value, others, wanted)
    return ""


# --- 04.2 -----------------------------------------------------------------------------------------


@exercise(
    "04.2",
    hint="The slope of the line is (peak_large - peak_small) / (large - small), a picture's part. What "
    "is left of peak_small without its pictures is there once. (0.9 * memory - that) / slope pictures "
    "fit; take the largest power of two below.",
)
def _largest(largest: Callable) -> str:
    function(largest)
    # small, its peak, large, its peak, memory in MB
    cases = (
        (16, 900.0, 64, 1380.0, 8000.0),  # 740 fixed, 10 a picture: 646 fit, so 512
        (8, 500.0, 32, 620.0, 800.0),  # 460 fixed, 5 a picture: 52 fit, so 32
        (16, 660.0, 32, 740.0, 1200.0),  # 580 fixed, 5 a picture: 100 fit, so 64
        (4, 1200.0, 8, 1400.0, 1000.0),  # 1000 fixed: nothing fits
    )

    def for_all(rule: Callable[[float, float, float], float], share: float = 0.9) -> list[float]:
        """What comes out if `rule` makes a batch of (room for pictures, fixed part, a picture)."""
        found = []
        for small, low, large, high, memory in cases:
            picture = (high - low) / (large - small)
            fixed = low - small * picture
            found.append(rule(share * memory, fixed, picture))
        return found

    def power(room: float) -> float:
        return 0 if room < 1 else 2 ** int(np.floor(np.log2(room)))

    wanted = for_all(lambda memory, fixed, picture: power((memory - fixed) / picture))
    assert wanted == [512, 32, 64, 0]
    values = [number(largest(*case), "The batch") for case in cases]
    if np.allclose(values, wanted):
        return "If it does not fit after all: half of it, and accumulate=2."
    others = {
        "That leaves nothing free. A tenth is to stay free: 0.9 * memory.": for_all(
            lambda memory, fixed, picture: power((memory - fixed) / picture), share=1.0
        ),
        "That forgets what is there once: weights, moments, TensorFlow itself. A batch of 0 needs "
        "memory, too.": for_all(lambda memory, fixed, picture: power(memory / picture)),
        "That many pictures fit, and a power of two was wanted.": for_all(
            lambda memory, fixed, picture: max(0, int((memory - fixed) / picture))
        ),
        "That is the *nearest* power of two, and it may be too large: the next one below.": for_all(
            lambda memory, fixed, picture: (
                2 ** round(np.log2((memory - fixed) / picture)) if memory > fixed + picture else 0
            )
        ),
        "That is the next power of two *above* what fits.": for_all(
            lambda memory, fixed, picture: (
                2 * power((memory - fixed) / picture) if memory > fixed + picture else 0
            )
        ),
        "Right where something fits; where nothing does, 0 was wanted.": [*wanted[:3], 1],
    }
    for message, other in others.items():
        if np.allclose(values, other):
            raise Wrong(message)
    whole = [int(0.9 * memory / (high / large)) for _, _, large, high, memory in cases]
    if np.allclose(values, whole) or np.allclose(values, [power(room) for room in whole]):
        raise Wrong(
            "That divides the whole peak by the batch. Part of it is there once, whatever the "
            "batch: two measurements give a line, and its slope is what a picture costs."
        )
    for case, value, right in zip(cases, values, wanted, strict=True):
        if not close(value, right):
            small, low, large, high, memory = case
            raise Wrong(
                f"{low:g} MB at {small}, {high:g} MB at {large}, {memory:g} MB there: "
                f"{value:g}, and {right} is right."
            )
    return ""


# --- 04.3 -----------------------------------------------------------------------------------------


@exercise(
    "04.3",
    hint="A mean over all pictures is the sum of (gradient times its number of pictures), divided by "
    "the number of all.",
)
def _together(together: Callable) -> str:
    function(together)
    random = np.random.default_rng(0)
    sizes = [8, 8, 3]
    pictures = random.normal(0.3, 1, (sum(sizes), 2, 2))  # a gradient for each picture
    parts = np.split(pictures, np.cumsum(sizes)[:-1])
    gradients = [part.mean(axis=0) for part in parts]
    value = together([g.copy() for g in gradients], list(sizes))
    if value is None or value is ...:
        raise Wrong("Nothing is returned yet.")
    value = np.asarray(value, "float64")
    if value.shape != (2, 2):
        raise Wrong(f"The gradient has the shape of each of them, (2, 2), not {value.shape}.")
    wanted = pictures.mean(axis=0)
    if np.allclose(value, wanted, atol=1e-6):
        return "The last batch of an epoch may be smaller, and counts for less."
    weighted = np.sum([g * n for g, n in zip(gradients, sizes, strict=True)], axis=0)
    others = {
        "That is the sum: with three batches the step is three times as long. Average.": np.sum(
            gradients, axis=0
        ),
        "That is right for batches of one size. Here the last has 3 pictures, and each of those would "
        "count for nearly three.": np.mean(gradients, axis=0),
        "That is weighed by the sizes, but not divided by all of them.": weighted,
        "That is weighed by the sizes, and divided by how many *batches* there are.": weighted / 3,
        "That divides each by its size: they are means already.": np.sum(
            [g / n for g, n in zip(gradients, sizes, strict=True)], axis=0
        ),
        "That is the last one alone: the others are overwritten.": gradients[-1],
        "That is the first one alone.": gradients[0],
    }
    for message, other in others.items():
        if np.allclose(value, other, atol=1e-6):
            raise Wrong(message)
    raise Wrong(f"It gives {value.round(3).tolist()}; {wanted.round(3).tolist()} is right.")


# --- 04.4 -----------------------------------------------------------------------------------------


@exercise(
    "04.4",
    hint="Before warm: rate * step / warm. After it: share = (step - warm) / (total - warm), never "
    "above 1, and rate * (1 + np.cos(np.pi * share)) / 2.",
)
def _schedule(schedule: Callable) -> str:
    function(schedule)
    rate, warm, total = 4e-4, 4, 20
    steps = np.arange(26)

    def line(
        warmed: bool = True,
        since: int = warm,
        end: int = total,
        stays: bool = True,
        half: float = 0.5,
    ) -> np.ndarray:
        share = (steps - since) / (end - since)
        share = np.minimum(share, 1) if stays else share
        fallen = half * (1 + np.cos(np.pi * share))
        return rate * np.where(warmed & (steps < warm), steps / warm, fallen)

    values = np.array(
        [number(schedule(int(step), rate, warm, total), "The rate") for step in steps]
    )
    wanted = line()
    if np.allclose(values, wanted, rtol=1e-4, atol=1e-9):
        return "With a warm-up Adam's moments know the gradients before the steps are long."
    warming = np.minimum(steps / warm, 1)
    share = np.clip((steps - warm) / (total - warm), 0, 1)
    others = {
        "The warm-up is missing: step 0 has the rate 0.": rate
        * (1 + np.cos(np.pi * np.clip(steps / total, 0, 1)))
        / 2,
        "The warm-up is missing, and after the end it rises again.": line(
            warmed=False, since=0, stays=False
        ),
        "There is a jump where the warm-up ends: the cosine begins there, at step `warm`, not at 0.": (
            line(since=0)
        ),
        "A jump where the warm-up ends, and a rise after the end.": line(since=0, stays=False),
        "After the end the cosine rises again, and so does the rate: hold it at 0.": line(
            stays=False
        ),
        "It falls for `total` steps after the warm-up, and so ends too late: total - warm.": (
            line(end=total + warm)
        ),
        "That falls in a line; a cosine was wanted.": rate
        * np.where(steps < warm, warming, 1 - share),
        "1 + cos goes from 2 to 0: halve it.": line(half=1.0),
        "That is half of the rate from the beginning of the fall on.": line(half=0.25),
        "The cosine is right, and it is begun while the rate still rises: one after the other.": (
            warming * line(warmed=False, since=0)
        ),
        "That is a quarter of a wave, cos(π/2 · t): it ends with a kink. Half of a wave: cos(π · t).": (
            rate * np.where(steps < warm, warming, np.cos(np.pi / 2 * share))
        ),
        "That has the right shape, but no rate: it goes up to 1.": wanted / rate,
        "The warm-up is there; then nothing falls.": rate * warming,
        "It is one step late: in step `warm` the rate is reached.": (
            rate * np.where(steps <= warm, (steps + 0.0) / (warm + 1), wanted / rate)
        ),
    }
    for message, other in others.items():
        if np.allclose(values, other, rtol=1e-4, atol=1e-9):
            raise Wrong(message)
    first = int(np.argmax(~np.isclose(values, wanted, rtol=1e-4, atol=1e-9)))
    raise Wrong(f"In step {first} it is {values[first]:.3g}, and {wanted[first]:.3g} is right.")


# --- 04.5 -----------------------------------------------------------------------------------------


@exercise(
    "04.5",
    hint="At the best interval both parts of C/τ + τ/2M are equal, together sqrt(2C/M). Hours are 3600 "
    "seconds; C and M must be in the same unit. What is not lost is kept.",
)
def _session(session: Callable) -> str:
    function(session)
    hours, mean, cost = 40.0, 2.5, 20.0
    value = number(session(hours, mean, cost), "What is kept")
    lost = np.sqrt(2 * cost / (3600 * mean))
    wanted = hours * (1 - lost)
    if close(value, wanted):
        return f"Of {hours:g} hours {hours * lost:.1f} are lost; with cheaper checkpoints fewer."
    others = {
        "Nothing is lost in yours: not even the time that checkpoints take.": hours,
        "That is what is *lost*.": hours * lost,
        "The cost is in seconds and the mean in hours: bring them to one unit.": (
            hours * (1 - np.sqrt(2 * cost / mean))
        ),
        "That is the share. How many hours is it?": 1 - lost,
        "That is the checkpoints alone. A cut costs as much again, half an interval of work.": (
            hours * (1 - lost / 2)
        ),
        "The 2 is missing: C/τ + τ/2M at its least is sqrt(2C/M).": (
            hours * (1 - np.sqrt(cost / (3600 * mean)))
        ),
        "The root is missing: it would be so if each cut cost one checkpoint.": (
            hours * (1 - 2 * cost / (3600 * mean))
        ),
        "Each part is sqrt(C/2M), and there are two of them: you have both parts twice.": (
            hours * (1 - 2 * lost)
        ),
        "That is the best interval, in seconds.": np.sqrt(2 * cost * 3600 * mean),
        "That is the best interval, in hours.": np.sqrt(2 * cost * 3600 * mean) / 3600,
    }
    _told_apart(value, others, wanted)
    return ""


# --- 04.6 -----------------------------------------------------------------------------------------

KNOBS = ("batch_size", "precision", "jit_compile", "r1", "label_smoothing", "augmentation")
"""What a measurement of exercise 04.6 can turn."""


@exercise(
    "04.6",
    hint="One entry in `change`, with two values or more. 10 steps or more, of which the first 3 or "
    "more are left out. Three repeats or more, in turns. And a sentence with your prediction.",
)
def _measurement(plan: dict) -> str:
    exercises.plan(
        plan, "change", "keep", "steps", "leave_out", "repeats", "in_turns", "prediction"
    )
    _, values = exercises.one_change(plan, KNOBS)
    if plan["leave_out"] < 3:
        raise Wrong("The first step compiles, and the next ones warm up: leave out 3 or more.")
    if plan["steps"] - plan["leave_out"] < 5:
        raise Wrong("Fewer than five steps are left to take a median of: time some more.")
    if plan["repeats"] < 3:
        raise Wrong(
            "The machine has moods. With three repeats or more you see how far apart two measurements "
            "of *one* setting are."
        )
    if not plan["in_turns"]:
        raise Wrong(
            "All of the first setting, then all of the second: if the machine gets busy in between, "
            "the second looks slow. Take turns."
        )
    exercises.expectation(plan)
    return f"{len(values)} settings, {plan['repeats']} times each, in turns."
