"""The exercises of notebook 08, CycleGAN's losses: what is lowered, where, and how fast."""

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from anime_keras import losses
from anime_keras.exercises import Wrong, close, exercise, function, number
from anime_keras.models import cyclegan


def _told_apart(value: float, others: dict[str, float], wanted: float) -> None:
    """Raise `Wrong` with the message whose number the value is."""
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.4f} where {wanted:.4f} is right.")


# --- 08.1 -----------------------------------------------------------------------------------------


@exercise(
    "08.1",
    hint="Two terms, one for each direction: np.abs(F(G(x)) - x).mean() and the same for y, with G "
    "after F. Add them, and multiply by the weight.",
)
def _cycle(loss: Callable) -> str:
    function(loss)
    random = np.random.default_rng(0)
    x, y = random.uniform(-1, 1, (2, 2, 4, 4, 3))

    def G(images: np.ndarray) -> np.ndarray:
        return 0.5 - 0.8 * np.asarray(images)

    def F(images: np.ndarray) -> np.ndarray:
        return 0.9 * np.asarray(images) ** 2 - 0.3

    def error(images: np.ndarray, back: np.ndarray) -> float:
        return float(np.abs(images - back).mean())

    value = number(loss(G, F, x.copy(), y.copy(), 10.0), "The loss")
    at_x, at_y = error(x, F(G(x))), error(y, G(F(y)))
    wanted = 10 * (at_x + at_y)
    if close(value, wanted):
        if not close(number(loss(G, F, x.copy(), y.copy(), 3.0), "The loss"), 0.3 * wanted):
            raise Wrong(
                "Right for a weight of 10, but with 3 it is not: is a 10 written somewhere?"
            )
        return "Nothing in it says what a translation looks like, only that it can be undone."
    others = {
        "That is the way there and back for x. What becomes of y, which goes the other way?": (
            10 * at_x
        ),
        "That is the way there and back for y. What becomes of x?": 10 * at_y,
        "Each picture went the wrong way first: x is translated by G and brought back by F, that is "
        "F(G(x)).": 10 * (error(x, G(F(x))) + error(y, F(G(y)))),
        "That compares x with G(x), which is to look different. Bring it back first, and do the same "
        "for y.": 10 * error(x, G(x)),
        "That compares x with G(x): it would forbid to translate anything. Bring them back first.": (
            10 * (error(x, G(x)) + error(y, F(y)))
        ),
        "That is the identity loss, which asks what G makes of pictures that are Y already.": 10
        * (error(y, G(y)) + error(x, F(x))),
        "That is the right error, without the weight.": wanted / 10,
        "The two directions are added, and each has the full weight: that is their mean.": (
            wanted / 2
        ),
        "That is squared, and so L2: it would rather have all a little blurred than one pixel wrong.": (
            10 * (np.square(x - F(G(x))).mean() + np.square(y - G(F(y))).mean())
        ),
        "Too light and too dark cancel each other: take np.abs before the mean.": 10
        * ((F(G(x)) - x).mean() + (G(F(y)) - y).mean()),
        "Too light and too dark cancel each other: np.abs goes before the mean.": 10
        * (abs((F(G(x)) - x).mean()) + abs((G(F(y)) - y).mean())),
        "That is the sum over all pixels, and would grow with the size of the picture: mean.": (
            wanted * x.size
        ),
    }
    _told_apart(value, others, wanted)


# --- 08.2 -----------------------------------------------------------------------------------------


@exercise(
    "08.2",
    hint="Each patch is judged by itself: square (real_logits - 1), square fake_logits, take the mean "
    "of each, add them, halve.",
)
def _judge(loss: Callable) -> str:
    function(loss)
    random = np.random.default_rng(1)
    real, fake = random.normal(0.6, 0.7, (3, 6, 6, 1)), random.normal(0.1, 0.5, (3, 6, 6, 1))
    value = number(loss(real.copy(), fake.copy()), "The loss")
    parts = [
        float(losses.verdict(logits, label)) for logits, label in ((real, True), (fake, False))
    ]
    wanted = 0.5 * sum(parts)
    if close(value, wanted):
        return "It is 0 for a judge who is always right, and 1/4 for one who shrugs and says 1/2."

    def squares(real: np.ndarray, fake: np.ndarray) -> float:
        return float(0.5 * (np.square(real - 1).mean() + np.square(fake).mean()))

    def sigmoid(logits: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-logits))

    entropy = [
        float(losses.verdict(v, b, "cross_entropy")) for v, b in ((real, True), (fake, False))
    ]
    others = {
        "That learns at the generators' full pace: Zhu et al. halve the discriminators' loss.": (
            sum(parts)
        ),
        "That is a judge who calls forgeries real, and real pictures forged: which one is to be 1?": (
            squares(fake, real)
        ),
        "That is the verdict on real pictures alone. Who says that fakes are to be 0?": parts[0],
        "That is half the verdict on real pictures. Who says that fakes are to be 0?": parts[0] / 2,
        "That is the verdict on fakes alone: a judge who always says 0 would be perfect.": parts[1],
        "That is half the verdict on fakes: a judge who always says 0 would be perfect.": (
            parts[1] / 2
        ),
        "That is the square of a mean: patches that are far too high and far too low would cancel. "
        "Each patch is judged by itself: first the square, then the mean.": float(
            0.5 * ((real.mean() - 1) ** 2 + fake.mean() ** 2)
        ),
        "Least squares takes the logits as they are; a sigmoid belongs to the cross-entropy.": (
            squares(sigmoid(real), sigmoid(fake))
        ),
        "That is the cross-entropy, equation (1) with the sign turned round.": 0.5 * sum(entropy),
        "That is all of the cross-entropy, and least squares was wanted.": sum(entropy),
        "That is what the generator lowers: it wants its fakes to be called 1.": float(
            np.square(fake - 1).mean()
        ),
        "That is L1: between a judge who says 1/2 and one who is sure it sees little difference.": (
            0.5 * float(np.abs(real - 1).mean() + np.abs(fake).mean())
        ),
    }
    _told_apart(value, others, wanted)


# --- 08.3 -----------------------------------------------------------------------------------------


@exercise(
    "08.3",
    hint="Where a share p / (p + q) of what one sees is real, the target is real_label that often and "
    "fake_label otherwise, and squares are smallest at the mean: weigh the labels by p and q.",
)
def _optimum(best: Callable) -> str:
    function(best)
    p, q = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.1, 0.3, 0.2, 0.4])
    fake, real = -0.5, 1.5
    value = np.asarray(_given(best(p.copy(), q.copy(), fake, real)), "float64")
    if value.shape != p.shape:
        raise Wrong(f"For four values there are four answers, not the shape {value.shape}.")
    wanted = (real * p + fake * q) / (p + q)
    if np.allclose(value, wanted, atol=1e-6):
        return (
            "With the labels 0 and 1 this is p / (p + q): the share of real pictures among those."
        )
    share = p / (p + q)
    others = {
        "That is right for the labels 0 and 1. Here a fake shall be called "
        f"{fake} and a real picture {real}.": share,
        "The labels are exchanged: where all is real, your judge says that all is fake.": (
            (fake * p + real * q) / (p + q)
        ),
        "The weights are not shares yet: divide by p + q.": real * p + fake * q,
        "That divides by 2 in place of p + q; where p and q are small it says too little.": (
            (real * p + fake * q) / 2
        ),
        "That is the middle between the labels, whatever one sees: the best for who is blind.": (
            np.full(4, (real + fake) / 2)
        ),
        "That is the nearer label: the best for |D - label|, a median. For squares it is a mean.": (
            np.where(p > q, real, fake)
        ),
    }
    for message, other in others.items():
        if np.allclose(value, other, atol=1e-6):
            raise Wrong(message)
    with np.errstate(divide="ignore"):
        logs = np.log(p) - np.log(q)
    if np.allclose(value[:3], logs[:3], atol=1e-6):
        raise Wrong("That is the best logit for the cross-entropy; least squares has no logarithm.")
    raise Wrong(f"For p {p} and q {q} it gives {value.round(3)}, and {wanted.round(3)} is right.")


# --- 08.4 -----------------------------------------------------------------------------------------

# Kernel and stride of the PatchGAN's layers, from the picture on.
_LAYERS = ((4, 2), (4, 2), (4, 2), (4, 1), (4, 1))


@exercise(
    "08.4",
    hint="With padding 1 on both sides there are size + 2 pixels, and a kernel fits in at size + 2 - "
    "kernel + 1 places, of which every stride-th is used: (size + 2 - kernel) // stride + 1.",
)
def _grid(grid: Callable) -> str:
    function(grid)
    cases = [(size, _LAYERS) for size in (256, 128, 64)] + [(38, ((3, 2), (4, 1), (5, 3)))]

    def through(step: Callable[[int, int, int], int]) -> list[int]:
        """What comes out of each case if a layer does `step`."""
        found = []
        for size, layers in cases:
            for kernel, stride in layers:
                size = step(size, kernel, stride)
            found.append(size)
        return found

    wanted = through(lambda n, k, s: (n + 2 - k) // s + 1)
    values = [number(grid(size, layers), "The grid's side") for size, layers in cases]
    if np.allclose(values, wanted):
        return "30, 14 and 6. One number fewer a side for each of the last two layers."
    others = {
        "That is without padding: there is a frame of one pixel all around, two a side.": (
            through(lambda n, k, s: (n - k) // s + 1)
        ),
        "There is a frame on both sides: size + 2, not size + 1.": through(
            lambda n, k, s: (n + 1 - k) // s + 1
        ),
        'That is Keras\' padding="same", where a layer at stride 1 keeps the size: 32 a side at 256, '
        "and the reference has 30.": through(lambda n, k, s: -(-n // s)),
        "That is one too few a layer: a kernel as wide as the picture fits in once, not zero times.": (
            through(lambda n, k, s: max(n + 2 - k, 0) // s)
        ),
        "That takes all layers at stride 2, as the paper has it. Take the stride that is given.": (
            through(lambda n, k, s: (n + 2 - k) // 2 + 1)
        ),
        "A kernel that fits in by half is no patch: // in place of /.": through(
            lambda n, k, s: (n + 2 - k) / s + 1
        ),
    }
    for message, other in others.items():
        if np.allclose(values, other):
            raise Wrong(message)
    for (size, layers), value, right in zip(cases, values, wanted, strict=True):
        if not close(value, right):
            raise Wrong(f"Of {size} pixels, through {layers}: {value:g}, and {right} is right.")


# --- 08.5 -----------------------------------------------------------------------------------------


@exercise(
    "08.5",
    hint="Three cases. Room left: append, return the new one. Full and `swap`: keep memory[slot] in a "
    "variable, put the new one in its place, return the old. Otherwise return the new one.",
)
def _history(show: Callable) -> str:
    function(show)
    random = np.random.default_rng(2)
    memory: list[int] = []
    for picture in range(3):
        shown = _given(show(memory, picture, 3, 0, True))
        if shown != picture:
            raise Wrong("While there is room, the new picture itself is shown, whatever the coin.")
        if memory != list(range(picture + 1)):
            raise Wrong(
                f"There was room for picture {picture}, but afterwards the memory holds {memory}."
            )
    for picture in range(3, 60):
        before = list(memory)
        slot, swap = int(random.integers(3)), bool(random.random() > 0.5)
        shown = _given(show(memory, picture, 3, slot, swap))
        after = [picture if swap and i == slot else old for i, old in enumerate(before)]
        if len(memory) > 3:
            raise Wrong("The memory grows beyond its size: once full, one goes when another comes.")
        if not swap:
            if shown != picture:
                raise Wrong("The coin says no swap: the new picture is shown.")
            if memory != before:
                raise Wrong("The coin says no swap: the memory stays as it is.")
        elif memory == before:
            raise Wrong(
                "An old picture is shown, but the new one is not kept in its place: for ever the first "
                "three would come."
            )
        elif shown == picture:
            raise Wrong(
                "The old picture is lost before it was shown: read it before you overwrite."
            )
        elif memory != after or shown != before[slot]:
            raise Wrong(
                f"The slot was {slot}: of {before} {before[slot]} is shown, and {picture} comes in its "
                f"place. Yours shows {shown} and keeps {memory}."
            )
    return "Half of what the discriminator sees is older than this step."


# --- 08.6 -----------------------------------------------------------------------------------------


@exercise(
    "08.6",
    hint="How many epochs of the fall are over is max(0, epoch + 1 - constant), and there are falling "
    "+ 1 steps down to 0: rate * (1 - that / (falling + 1)).",
)
def _decay(rate: Callable) -> str:
    function(rate)
    epochs = range(12)
    values = [number(rate(epoch, 2e-4, 5, 7), "The rate") for epoch in epochs]
    schedule = cyclegan.LinearDecay(2e-4, 5, 7)
    wanted = [float(schedule(epoch)) for epoch in epochs]

    def alike(line: Iterable[float]) -> bool:
        return bool(np.allclose(values, list(itertools.islice(line, 12)), rtol=1e-4, atol=1e-9))

    if alike(wanted):
        return f"The last epoch still moves, at {wanted[-1]:.2g}."
    others = {
        "The rate never falls.": (2e-4 for _ in epochs),
        "It falls from the very beginning; the first epochs keep the full rate.": (
            2e-4 * (1 - (e + 1) / 13) for e in epochs
        ),
        "It reaches 0 in the last epoch, which then learns nothing: divide by falling + 1.": (
            2e-4 * (1 - max(0, e + 1 - 5) / 7) for e in epochs
        ),
        "It begins to fall one epoch late: epochs are counted from 0, so after epoch e, e + 1 are "
        "over.": (2e-4 * (1 - max(0, e - 5) / 8) for e in epochs),
        "One epoch late, and by 1/falling: it is epoch + 1, and falling + 1.": (
            2e-4 * (1 - max(0, e - 5) / 7) for e in epochs
        ),
        "That falls before the constant epochs are over, and is above the full rate then: max(0, …).": (
            2e-4 * (1 - (e + 1 - 5) / 8) for e in epochs
        ),
        "That jumps down at once and stays there.": (
            2e-4 if e < 5 else 2e-4 * (1 - 1 / 8) for e in epochs
        ),
        "That has the right shape but no rate: it begins at 1.": (v / 2e-4 for v in wanted),
        "That halves, or so; the fall is to be a straight line.": (
            2e-4 * 0.5 ** max(0, e + 1 - 5) for e in epochs
        ),
    }
    for message, line in others.items():
        if alike(line):
            raise Wrong(message)
    first = next(e for e in epochs if not close(values[e], wanted[e], 1e-9))
    raise Wrong(f"In epoch {first} it is {values[first]:.3g}, and {wanted[first]:.3g} is right.")


def _given(value: object) -> object:
    """The value, unless nothing was returned."""
    if value is None or value is ...:
        raise Wrong("Nothing is returned yet.")
    return value
