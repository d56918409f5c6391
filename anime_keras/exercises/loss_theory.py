"""The exercises of notebook 03, what losses measure: the best verdict, distances, coming to rest."""

from collections.abc import Callable

import numpy as np

from anime_keras import exercises, games
from anime_keras.exercises import Wrong, close, exercise, function, number

# --- 03.1 -----------------------------------------------------------------------------------------


@exercise(
    "03.1",
    hint="Over the whole batch the loss for this picture is -share * p * log D - (1 - share) * q * "
    "log(1 - D). Set its derivative to 0; or ask what share of all such pictures is real.",
)
def _best_verdict(best: Callable) -> str:
    function(best)
    p, q, share = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.1, 0.2, 0.3, 0.4]), 0.2
    value = best(p.copy(), q.copy(), share)
    if value is None or value is ...:
        raise Wrong("Nothing is returned yet.")
    value = np.asarray(value, "float64")
    if value.shape != p.shape:
        raise Wrong(
            f"For four kinds of pictures there are four answers, not the shape {value.shape}."
        )
    wanted = share * p / (share * p + (1 - share) * q)
    if np.allclose(value, wanted, atol=1e-6):
        again = np.asarray(best(p.copy(), q.copy(), 0.5), "float64")
        if not np.allclose(again, p / (p + q), atol=1e-6):
            raise Wrong("Right for a share of 0.2, but not for 0.5. Is a share written into it?")
        return "Bayes' rule. The more fakes in a batch, the more is called fake, whatever it is."
    others = {
        "That is right for as many real pictures as fakes. Here only a fifth is real, so a fake is "
        "four times as likely from the start.": p / (p + q),
        "The share goes to the wrong side: it is that of the real pictures.": (
            (1 - share) * p / ((1 - share) * p + share * q)
        ),
        "That is how sure it is of a *fake*; D is the probability of real.": 1 - wanted,
        "That is the best logit, and a probability was wanted.": np.log(wanted / (1 - wanted)),
        "The share belongs to the real pictures below the line as well, and 1 - share to the fakes.": (
            share * p / (p + q)
        ),
        "The real pictures have their share; the fakes have one, too: 1 - share.": (
            share * p / (share * p + q)
        ),
        "Divide by all there is of such pictures, real and fake.": share * p,
    }
    for message, other in others.items():
        if np.allclose(value, other, atol=1e-6):
            raise Wrong(message)
    raise Wrong(f"With a share of {share} it gives {value.round(3)}; {wanted.round(3)} is right.")


# --- 03.2 -----------------------------------------------------------------------------------------


@exercise(
    "03.2",
    hint="Section 3: loss = log 4 - 2 JSD, in natural units. Solve for the JSD; a bit is log 2 natural "
    "units.",
)
def _divergence(divergence: Callable) -> str:
    function(divergence)
    two, four = np.log(2), np.log(4)
    loss = 1.0
    value = number(divergence(loss), "The divergence")
    wanted = 1 - loss / four
    if close(value, wanted):
        if not close(number(divergence(four), "The divergence"), 0.0):
            raise Wrong("Right for a loss of 1, but perfect fakes, log 4, are to give 0.")
        return "0 for perfect fakes, 1 for fakes that share nothing with what is real."
    others = {
        "That is 2 JSD in natural units. Halve it, and count in bits.": four - loss,
        "That is the JSD in natural units; a bit is log 2 of them.": (four - loss) / 2,
        "That is 2 JSD, in bits: halve it.": (four - loss) / two,
        "That is negative: a loss *below* log 4 means that there is a difference.": (
            (loss - four) / 2 / two
        ),
        "That takes the loss for the value of the game, which is minus the loss.": (
            (four + loss) / 2 / two
        ),
        "There are two halves in the loss, real and fake: a shrug costs log 4, not log 2.": (
            (two - loss) / 2 / two
        ),
        "A shrug costs log 4, not log 2, and then there is a 2 before the JSD.": (two - loss) / two,
        "Multiplied where one divides: a bit is log 2 = 0.69 natural units, so there are more bits.": (
            (four - loss) / 2 * two
        ),
    }
    for message, other in others.items():
        if close(value, other):
            raise Wrong(message)
    raise Wrong(f"For a loss of {loss} it gives {value:.4f}, and {wanted:.4f} bits is right.")


# --- 03.3 -----------------------------------------------------------------------------------------


@exercise(
    "03.3",
    hint="One norm for each picture: square, sum over axes 1, 2 and 3, take the root. Then subtract "
    "the target, square, and take the mean over the batch.",
)
def _penalty(penalty: Callable) -> str:
    function(penalty)
    gradients = np.random.default_rng(3).normal(0, 0.12, (6, 4, 4, 3))
    gradients *= np.linspace(0.4, 1.6, 6)[:, None, None, None]
    target = 0.9
    value = number(penalty(gradients.copy(), target), "The penalty")
    squares = (gradients**2).sum(axis=(1, 2, 3))
    norms = np.sqrt(squares)
    wanted = ((norms - target) ** 2).mean()
    if close(value, wanted):
        if not close(number(penalty(gradients.copy(), 0.0), "The penalty"), squares.mean()):
            raise Wrong("Right for a target of 0.9, but not for 0: does it use the target?")
        return "With a target of 0, and halved, on real pictures alone, it would be R1."
    others = {
        "That compares every single number with the target. The slope of a picture is one number: the "
        "norm over all its pixels and channels.": ((gradients - target) ** 2).mean(),
        "That is one norm for the whole batch: each picture has its own.": (
            (np.sqrt(squares.sum()) - target) ** 2
        ),
        "The root is missing: that compares *squared* norms with the target.": (
            ((squares - target) ** 2).mean()
        ),
        "That is a norm over the channels alone, for each pixel: a picture has one slope.": (
            (np.sqrt((gradients**2).sum(axis=-1)) - target) ** 2
        ).mean(),
        "That is the mean square of a picture's gradient before the root; the norm is of the sum.": (
            ((np.sqrt((gradients**2).mean(axis=(1, 2, 3))) - target) ** 2).mean()
        ),
        "First the difference for each picture, then its square, then the mean: you averaged the norms "
        "first, and too steep makes up for too flat.": (norms.mean() - target) ** 2,
        "That punishes only slopes that are too steep. Gulrajani et al. hold them from both sides.": (
            np.maximum(norms - target, 0) ** 2
        ).mean(),
        "The square around the difference is missing.": (norms - target).mean(),
        "That is the absolute difference; its square was wanted.": np.abs(norms - target).mean(),
        "That is the sum over the batch, and would grow with it: take the mean.": (
            (norms - target) ** 2
        ).sum(),
        "That is the norm by absolute values, L1. ‖·‖₂ has squares and a root.": (
            (np.abs(gradients).sum(axis=(1, 2, 3)) - target) ** 2
        ).mean(),
        "That is a penalty with the target 1. Take the one that is given.": (
            (norms - 1) ** 2
        ).mean(),
        "That is a penalty with the target 0. Subtract the one that is given.": squares.mean(),
    }
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.4f} where {wanted:.4f} is right.")


# --- 03.4 -----------------------------------------------------------------------------------------


@exercise(
    "03.4",
    hint="Nobody overtakes: sort both. Then the first goes to the first, the second to the second …; "
    "the mean of how far they go is the distance.",
)
def _distance(distance: Callable) -> str:
    function(distance)
    random = np.random.default_rng(4)
    x, y = random.normal(0, 1, 12), random.normal(0.3, 2.2, 12)
    value = number(distance(x.copy(), y.copy()), "The distance")
    low, high = np.sort(x), np.sort(y)
    wanted = np.abs(low - high).mean()
    if close(value, wanted):
        moved = number(distance(x + 5.0, x.copy()), "The distance")
        if not close(moved, 5.0):
            raise Wrong(
                f"Right once, but a sample moved by 5 is 5 away, and yours says {moved:.3f}."
            )
        return "Exact, and no optimizer in sight. In two dimensions it is not that easy."
    others = {
        "That sends the first to the first in whatever order they come. Sort both: crossing ways are "
        "a detour.": np.abs(x - y).mean(),
        "Sort both of them, not only one.": np.abs(low - y).mean(),
        "Sort both of them, not only the other one.": np.abs(x - high).mean(),
        "That is how far the means are apart. Two samples can have one mean and be far from equal: "
        "take the absolute value of each way, then the mean.": abs(x.mean() - y.mean()),
        "Ways to the left and to the right cancel each other, and a distance is never negative: np.abs "
        "before the mean.": -abs(x.mean() - y.mean()),
        "That is how far all go together, and would grow with the sample: take the mean.": (
            np.abs(low - high).sum()
        ),
        "That is the mean of the *squared* ways, W₂². Here a way costs its length.": (
            ((low - high) ** 2).mean()
        ),
        "That is W₂, the root of the mean square. Here a way costs its length.": (
            np.sqrt(((low - high) ** 2).mean())
        ),
        "That is the longest way; the mean of all was wanted.": np.abs(low - high).max(),
        "That is the mean over all pairs, as if everybody went everywhere.": (
            np.abs(x[:, None] - y).mean()
        ),
        "One of the two is sorted downwards: that is the *dearest* way to do it.": (
            np.abs(low - high[::-1]).mean()
        ),
    }
    for message, other in others.items():
        if close(value, float(other)):
            raise Wrong(message)
    raise Wrong(f"It gives {value:.4f} where {wanted:.4f} is right.")


# --- 03.5 -----------------------------------------------------------------------------------------

# Step and weight of R1: two with complex eigenvalues, one with real ones.
_STEPS = ((0.2, 0.5), (0.6, 0.0), (0.3, 3.0))


@exercise(
    "03.5",
    hint="D's step leaves theta alone: [[1, 0], [-h/2, 1 - h * gamma]]. G's leaves psi alone and sees "
    "the new one: [[1, h/2], [0, 1]]. G's matrix times D's, np.linalg.eigvals, np.abs, max.",
)
def _radius(radius: Callable) -> str:
    function(radius)

    def for_all(matrix: Callable[[float, float], np.ndarray]) -> list[float]:
        return [games.spectral_radius(matrix(h, gamma)) for h, gamma in _STEPS]

    def jacobian(h: float, gamma: float, slope: float = 0.5) -> np.ndarray:
        return np.array([[0, slope], [-slope, -gamma]])

    def alternating(h: float, gamma: float, slope: float = 0.5) -> np.ndarray:
        first = np.array([[1, 0], [-h * slope, 1 - h * gamma]])
        return np.array([[1, h * slope], [0, 1]]) @ first

    found = [radius(h, gamma) for h, gamma in _STEPS]
    if any(isinstance(value, complex | np.complexfloating) for value in found):
        raise Wrong("That is a complex number. How long is it? np.abs, then the largest.")
    values = [number(value, "The radius") for value in found]
    wanted = for_all(alternating)
    kit = [
        games.spectral_radius(
            games.jacobian(games.one_step(games.DiracGAN(r1=gamma).field, h, True), (0.0, 0.0))
        )
        for h, gamma in _STEPS
    ]
    assert np.allclose(wanted, kit, atol=1e-6), "games.DiracGAN has other steps than this exercise."
    if np.allclose(values, wanted, atol=1e-6):
        return "Below 1 it comes to rest; without R1 it is exactly 1, and the game circles."
    eigenvalues = [np.linalg.eigvals(alternating(h, gamma)) for h, gamma in _STEPS]
    others = {
        "That is for simultaneous steps, 1 + h J. Here the generator answers to where the "
        "discriminator is *now*.": for_all(lambda h, g: np.eye(2) + h * jacobian(h, g)),
        "That is the Jacobian of the field, without a step: where would it be for h = 0?": (
            for_all(jacobian)
        ),
        "That is sqrt(1 - h * gamma), right while the eigenvalues are complex. Where they are real the "
        "larger one counts.": [np.sqrt(max(1 - h * g, 0)) for h, g in _STEPS],
        "The largest real part is not the size: an eigenvalue turns, too. np.abs.": (
            [some.real.max() for some in eigenvalues]
        ),
        "That is the smaller eigenvalue; the worst error is stretched by the larger.": (
            [np.abs(some).min() for some in eigenvalues]
        ),
        "That is how far the worst vector is stretched in *one* step, the largest singular value. Over "
        "many steps the eigenvalues count.": (
            [np.linalg.norm(alternating(h, g), 2) for h, g in _STEPS]
        ),
        "Near the end σ is ½, so the slopes are ½: yours are those of Wasserstein's loss.": (
            for_all(lambda h, g: alternating(h, g, 1.0))
        ),
        "R1 is ½ γ ψ², and its slope is γ ψ: you have half of that.": (
            for_all(lambda h, g: alternating(h, g / 2))
        ),
        "R1 is ½ γ ψ², and its slope is γ ψ: you have twice that.": (
            for_all(lambda h, g: alternating(h, 2 * g))
        ),
        "Where is R1? Yours does not feel gamma.": for_all(lambda h, g: alternating(h, 0.0)),
        "With that sign R1 pushes psi away from 0: it is a brake, 1 - h * gamma.": (
            for_all(lambda h, g: alternating(h, -g))
        ),
        "Both are drawn to the same side, which is no rotation: one of the two slopes is negative.": (
            for_all(
                lambda h, g: np.array([[1, h / 2], [0, 1]]) @ np.array([[1, 0], [h / 2, 1 - h * g]])
            )
        ),
    }
    for message, other in others.items():
        if np.allclose(values, other, atol=1e-6):
            raise Wrong(message)
    for (h, gamma), value, right in zip(_STEPS, values, wanted, strict=True):
        if not close(value, right, 1e-6):
            raise Wrong(
                f"For h = {h} and gamma = {gamma} it gives {value:.5f}; {right:.5f} is right."
            )
    return ""  # not reached: some value differs


# --- 03.6 -----------------------------------------------------------------------------------------

KNOBS = ("loss", "r1", "gradient_penalty", "noise", "rate", "steps", "alternating")
"""What an experiment of exercise 03.6 can turn."""
_REGULARISERS = ("r1", "gradient_penalty", "noise")


@exercise(
    "03.6",
    hint="One entry in `change`, with a control: for a regulariser that is 0. Rate and steps in "
    "`keep`, at least 50 steps. Two starts or more. And a sentence that says what you expect, and why.",
)
def _experiment(plan: dict) -> str:
    exercises.plan(plan, "change", "keep", "starts", "prediction")
    name, values = exercises.one_change(plan, KNOBS)
    keep = plan["keep"]
    if name in _REGULARISERS and 0 not in values:
        raise Wrong(f"What would happen without it? Put 0 among the values of {name}: the control.")
    for needed in ("rate", "steps"):
        if needed != name and needed not in keep:
            raise Wrong(f"Say in `keep` which {needed} all runs have.")
    if min(values if name == "steps" else [keep["steps"]]) < 50:
        raise Wrong("In fewer than 50 steps nothing has gone round once: give it time to show.")
    _try_rules(plan["change"], keep)
    starts = plan["starts"]
    if any(np.shape(start) != (2,) for start in starts):
        raise Wrong("A start is a pair, (theta, psi).")
    if any(np.allclose(start, 0) for start in starts):
        raise Wrong(
            "(0, 0) is the end of the game: who starts there stays there, whatever you turn."
        )
    if len({tuple(start) for start in starts}) < 2:
        raise Wrong(
            "One start shows one path. With a second one you see whether it was the start or the knob."
        )
    exercises.expectation(plan)
    return f"{len(values) * len(starts)} runs that differ in {name} and in the start alone."


def _try_rules(change: dict, keep: dict) -> None:
    """Raise `Wrong` where a game cannot have these rules."""
    ((name, values),) = change.items()
    for value in values:
        rules = keep | {name: value}
        rules = {key: rules[key] for key in rules if key in ("loss", *_REGULARISERS)}
        try:
            games.DiracGAN(**rules)
        except ValueError as error:
            raise Wrong(str(error)) from error
