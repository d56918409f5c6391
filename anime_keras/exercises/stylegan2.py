"""The exercises of notebook 10, StyleGAN2: styles, modulation, truncation, lazy penalties."""

from collections.abc import Callable, Sequence

import numpy as np

from anime_keras import exercises
from anime_keras.exercises import Wrong, close, exercise, function, number

RANDOM = np.random.default_rng


def _array(value: object, shape: tuple[int, ...], what: str) -> np.ndarray:
    """What an answer returned, as an array of a shape; raises `Wrong` if it is not."""
    if value is None or value is ...:
        raise Wrong(f"{what} is {value}: nothing is returned yet.")
    array = np.asarray(value, "float64")
    if array.shape != shape:
        raise Wrong(f"{what} has the shape {array.shape}; {shape} is wanted.")
    return array


def _told_apart(value: np.ndarray, others: dict[str, np.ndarray]) -> None:
    """Raise `Wrong` with the message whose numbers the value has."""
    for message, other in others.items():
        if other.shape == value.shape and np.allclose(value, other, rtol=1e-3, atol=1e-3):
            raise Wrong(message)


# --- 10.1 -----------------------------------------------------------------------------------------


@exercise(
    "10.1",
    hint="Mean and standard deviation are taken over the places, axes 0 and 1, for each channel by "
    "itself. Then scale * (maps - mean) / deviation + bias.",
)
def _adain(adain: Callable) -> str:
    function(adain)
    random = RANDOM(0)
    maps = random.normal(2.0, 3.0, (6, 5, 4))
    scale, bias = random.normal(1.0, 0.5, 4), random.normal(0.0, 1.0, 4)
    value = _array(adain(maps.copy(), scale, bias), maps.shape, "adain(maps, scale, bias)")
    mean, deviation = maps.mean(axis=(0, 1)), maps.std(axis=(0, 1))
    normal = (maps - mean) / deviation
    if np.allclose(value, scale * normal + bias, atol=1e-3):
        return "Whatever statistics came in, the style's go out: that is all that AdaIN does."
    everything = (maps - maps.mean()) / maps.std()
    channels = (maps - maps.mean(axis=2, keepdims=True)) / maps.std(axis=2, keepdims=True)
    others = {
        "That scales and shifts, but what came in is still in it: normalise first.": (
            scale * maps + bias
        ),
        "That is instance normalisation; the style is not used yet.": normal,
        "The mean is taken out, but the deviation is still the old one's multiple.": (
            scale * (maps - mean) + bias
        ),
        "That divides by the variance. Its root is wanted.": scale * (maps - mean) / deviation**2
        + bias,
        "Mean and deviation are over all channels together; each channel has its own.": (
            scale * everything + bias
        ),
        "That normalises each place over its channels. Turn it round: each channel over its places.": (
            scale * channels + bias
        ),
        "The bias is scaled, too: it comes last.": scale * (normal + bias),
        "Scale and bias have changed places.": bias * normal + scale,
    }
    _told_apart(value, others)
    raise Wrong(
        f"The first channel leaves with mean {value[..., 0].mean():.3f} and deviation "
        f"{value[..., 0].std():.3f}; its style says {bias[0]:.3f} and {abs(scale[0]):.3f}."
    )


# --- 10.2 -----------------------------------------------------------------------------------------


@exercise(
    "10.2",
    hint="style has a number for each *input* channel, which is axis 2 of the kernel: style[:, None]. "
    "Then divide by the root of the sum of squares over axes 0, 1 and 2: a length for each output.",
)
def _modulated(modulated: Callable) -> str:
    function(modulated)
    random = RANDOM(1)
    kernel, style = random.normal(size=(3, 3, 4, 5)), random.normal(1.0, 0.5, 4)
    value = _array(modulated(kernel.copy(), style), kernel.shape, "modulated(kernel, style)")
    scaled = kernel * style[:, None]

    def unit(weights: np.ndarray, *axes: int) -> np.ndarray:
        return weights / np.sqrt((weights**2).sum(axis=axes, keepdims=True))

    if np.allclose(value, unit(scaled, 0, 1, 2), atol=1e-3):
        return "And ten times the style gives the same kernel: only its direction counts."
    others = {
        "Modulated, and not yet demodulated: divide by the length of what feeds an output.": scaled,
        "That demodulates the kernel that was there before the style.": scaled
        / np.sqrt((kernel**2).sum(axis=(0, 1, 2), keepdims=True)),
        "The style is not in it.": unit(kernel, 0, 1, 2),
        "The lengths are over outputs and places. An output's is over its *inputs* and places.": (
            unit(scaled, 0, 1, 3)
        ),
        "One length for the whole kernel; each output has its own.": unit(scaled, 0, 1, 2, 3),
        "The lengths leave out the places: the sum runs over axes 0 and 1 as well.": unit(
            scaled, 2
        ),
        "That divides by the sum of squares. Its root is wanted.": scaled
        / (scaled**2).sum(axis=(0, 1, 2), keepdims=True),
        "That is the mean of the squares, so a length of 6 where 1 is wanted: the sum.": scaled
        / np.sqrt((scaled**2).mean(axis=(0, 1, 2), keepdims=True)),
    }
    _told_apart(value, others)
    lengths = np.sqrt((value**2).sum(axis=(0, 1, 2)))
    raise Wrong(f"The outputs' lengths are {np.round(lengths, 3)}; all should be 1.")


# --- 10.3 -----------------------------------------------------------------------------------------


@exercise(
    "10.3",
    hint="On the line from the mean through w: mean + psi * (w - mean). In the layers from `until` on, "
    "w stays what it is.",
)
def _truncate(truncate: Callable) -> str:
    function(truncate)
    random = RANDOM(2)
    styles, mean = random.normal(size=(2, 10, 6)), random.normal(size=6)
    psi, until = 0.4, 4
    value = _array(truncate(styles.copy(), mean, psi, until), styles.shape, "The styles")
    all_layers = mean + psi * (styles - mean)
    wanted = np.concatenate([all_layers[:, :until], styles[:, until:]], axis=1)
    if np.allclose(value, wanted):
        return (
            "Coarse layers, where faces go wrong, are held; the colours of the fine ones are not."
        )
    others = {
        "Right for one layer, but `until` is not used: the fine layers stay as they are.": all_layers,
        "The other way round: the layers *before* `until` are held.": np.concatenate(
            [styles[:, :until], all_layers[:, until:]], axis=1
        ),
        "One layer too many is held.": np.concatenate(
            [all_layers[:, : until + 1], styles[:, until + 1 :]], axis=1
        ),
        "That draws them to zero, not to the mean: the mean of w is not 0.": np.concatenate(
            [psi * styles[:, :until], styles[:, until:]], axis=1
        ),
        "psi and 1 - psi have changed places: psi = 1 must change nothing.": np.concatenate(
            [(styles + psi * (mean - styles))[:, :until], styles[:, until:]], axis=1
        ),
        "That is psi * (w - mean), measured from the mean; it is to be added again.": np.concatenate(
            [(psi * (styles - mean))[:, :until], styles[:, until:]], axis=1
        ),
    }
    _told_apart(value, others)
    raise Wrong("Some styles are not on the line between their mean and themselves.")


# --- 10.4 -----------------------------------------------------------------------------------------


@exercise(
    "10.4",
    hint="In k steps of the game there are k steps on the main loss and 1 on the penalty: k + 1 of "
    "Adam's. Each is to count k / (k + 1) as much: the rate times that, and beta to that power.",
)
def _adam(adam: Callable) -> str:
    function(adam)
    found = adam(0.002, 0.99, 16)
    if not isinstance(found, Sequence | np.ndarray) or len(found) != 2:
        raise Wrong("Return two numbers: the rate and beta 2.")
    rate, beta = number(found[0], "The rate"), number(found[1], "Beta 2")
    share = 16 / 17
    if close(rate, 0.002 * share, 1e-7) and close(beta, 0.99**share, 1e-7):
        return "In the long run Adam moves as far, and forgets as fast, as without the penalty's steps."
    rates = {
        "The rate is as before; seventeen steps would now go farther than sixteen did.": 0.002,
        "That is 15/16. How many steps are there in all, for sixteen of the game?": 0.002 * 15 / 16,
        "There are more steps now, so each must be smaller, not larger.": 0.002 * 17 / 16,
        "That is 1/16: the penalty is looked at as rarely, but all the other steps are still there.": (
            0.002 / 16
        ),
    }
    for message, other in rates.items():
        if close(rate, other, 1e-7):
            raise Wrong(message)
    betas = {
        "Beta 2 is as before, and would forget within seventeen steps what it forgot within sixteen.": (
            0.99
        ),
        "Beta 2 is a share that is kept *each* step: after n steps it is beta to the power n. So the "
        "k / (k + 1) belongs in the exponent.": 0.99 * share,
        "The exponent is upside down: with more steps, each must keep more, not less.": 0.99
        ** (17 / 16),
    }
    for message, other in betas.items():
        if close(beta, other, 1e-7):
            raise Wrong(message)
    raise Wrong(f"For k = 16 it gives {rate:.6g} and {beta:.6g}.")


# --- 10.5 -----------------------------------------------------------------------------------------


@exercise(
    "10.5",
    hint="plan['layers'] is a list of (first, last) with the layers whose style is exchanged, such as "
    "(0, 2). Take several that do not overlap, so that you can tell which it was; read the factor that "
    "you ask about, and one that should stay.",
)
def _plan(plan: dict) -> str:
    exercises.plan(plan, "layers", "factor", "stays", "faces", "prediction")
    ranges = plan["layers"]
    if not isinstance(ranges, Sequence) or isinstance(ranges, str) or not ranges:
        raise Wrong("`layers` is a list of pairs, such as [(0, 2), (2, 4)].")
    covered: set[int] = set()
    for pair in ranges:
        if not isinstance(pair, Sequence) or len(pair) != 2:
            raise Wrong(f"{pair!r} is no pair (first, last).")
        first, last = pair
        if not 0 <= first < last <= 10:
            raise Wrong(f"{pair}: the layers are 0 to 10, and the first comes before the last.")
        layers = set(range(first, last))
        if covered & layers:
            raise Wrong(
                f"Layer {min(covered & layers)} is exchanged twice: if its factor moves both times, "
                "which of its neighbours was it?"
            )
        covered |= layers
    if len(ranges) < 3:
        raise Wrong("With fewer than three ranges you can hardly say *where* it is. Take more.")
    if covered != set(range(10)):
        missing = ", ".join(map(str, sorted(set(range(10)) - covered)))
        raise Wrong(f"Layer(s) {missing} are never exchanged: what if it is there?")
    for name in ("factor", "stays"):
        if plan[name] not in FACTORS:
            raise Wrong(f"{name} {plan[name]!r} is not read here: {', '.join(FACTORS)}.")
    if plan["factor"] == plan["stays"]:
        raise Wrong("What moves and what stays are the same: then nothing can be said apart.")
    if not isinstance(plan["faces"], int) or plan["faces"] < 50:
        raise Wrong("Of so few faces a share jumps about by itself: take 50 or more.")
    exercises.expectation(plan)
    return f"{len(ranges)} exchanges of {plan['faces']} faces, and what each carries along."


FACTORS = ("hair_color", "back_hair", "fringe", "skin_tone", "expression", "glasses", "background")
"""What exercise 10.5 can ask about."""
