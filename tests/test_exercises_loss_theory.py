"""Exercises of notebook 03: right answers said otherwise, and typical mistakes with their messages."""

import numpy as np
import pytest
from keras import ops
from scipy import optimize, stats

from anime_keras import exercises, games, lab, losses

TWO, FOUR = np.log(2), np.log(4)


def _found_by_descent(p, q, share):
    """The best verdict, by minimising the loss for each kind of picture."""

    def loss(logit, p, q):
        return share * p * np.logaddexp(0, -logit) + (1 - share) * q * np.logaddexp(0, logit)

    found = [
        optimize.minimize_scalar(loss, args=pair, tol=1e-12).x for pair in zip(p, q, strict=True)
    ]
    return 1 / (1 + np.exp(-np.array(found)))


def _penalty(norm=None, after=np.mean, power=np.square, target=None):
    """The gradient penalty, right but for what is given."""

    def penalty(gradients, given):
        norms = (norm or (lambda g: np.sqrt((g**2).sum(axis=(1, 2, 3)))))(gradients)
        return after(power(norms - (given if target is None else target)))

    return penalty


def _distance(left=np.sort, right=np.sort, way=np.abs, after=np.mean):
    """The Wasserstein distance, right but for what is given."""
    return lambda x, y: after(way(left(x) - right(y)))


def _both(h, gamma, slope=0.5, sign=-1):
    first = np.array([[1, 0], [sign * h * slope, 1 - h * gamma]])
    return np.array([[1, h * slope], [0, 1]]) @ first


def _largest(matrix, size=lambda values: np.abs(values).max()):
    """The spectral radius, right but for what is given."""
    return lambda h, gamma: size(np.linalg.eigvals(matrix(h, gamma)))


def _plan(change=None, keep=(), starts=((1.0, 1.0), (0.2, -0.5)), prediction=None, lose=()):
    """A plan, right but for what is given."""
    plan = {
        "change": {"r1": [0.0, 1.0]} if change is None else change,
        "keep": {"rate": 0.1, "steps": 200} | dict(keep),
        "starts": list(starts),
        "prediction": "R1 brings it to rest, as a brake does."
        if prediction is None
        else prediction,
    }
    for key in lose:
        plan["keep"].pop(key, None)
        plan.pop(key, None)
    return plan


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("03.1", lambda p, q, share: 1 / (1 + (1 - share) * q / (share * p))),
        ("03.1", _found_by_descent),
        ("03.2", lambda loss: 1 - loss / FOUR),
        ("03.2", lambda loss: ops.convert_to_tensor((FOUR - loss) / FOUR)),
        ("03.3", _penalty()),
        ("03.3", lambda g, target: losses.gradient_penalty(g, target)),
        ("03.4", _distance()),
        ("03.4", stats.wasserstein_distance),
        (
            "03.4",
            lambda x, y: np.abs(
                np.quantile(x, G, method="inverted_cdf") - np.quantile(y, G, method="inverted_cdf")
            ).mean(),
        ),
        ("03.5", _largest(_both)),
        (
            "03.5",
            _largest(lambda h, g: np.array([[1, 0], [-h / 2, 1 - h * g]]) @ [[1, h / 2], [0, 1]]),
        ),
        (
            "03.5",
            lambda h, g: games.spectral_radius(
                games.jacobian(
                    games.one_step(games.DiracGAN("non_saturating", r1=g).field, h, True), (0, 0)
                )
            ),
        ),
        ("03.6", _plan()),
        ("03.6", _plan({"loss": ["minimax", "non_saturating"]}, keep={"alternating": True})),
        ("03.6", _plan({"alternating": (True, False)})),
        ("03.6", _plan({"rate": [0.1, 0.5]}, lose=("rate",))),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


G = (np.arange(1200) + 0.5) / 1200

MISTAKES = {
    "03.1": {
        "as many real pictures as fakes": lambda p, q, share: p / (p + q),
        "to the wrong side": lambda p, q, s: (1 - s) * p / ((1 - s) * p + s * q),
        "sure it is of a *fake*": lambda p, q, s: (1 - s) * q / (s * p + (1 - s) * q),
        "the best logit": lambda p, q, s: np.log(s * p / ((1 - s) * q)),
        "below the line": lambda p, q, s: s * p / (p + q),
        "have one, too": lambda p, q, s: s * p / (s * p + q),
        "divide by all": lambda p, q, s: s * p,
        "written into it": lambda p, q, s: 0.2 * p / (0.2 * p + 0.8 * q),
        "four answers": lambda p, q, s: s,
        "nothing is returned": lambda p, q, s: None,
        "is right": lambda p, q, s: q,
    },
    "03.2": {
        "2 JSD in natural units": lambda loss: FOUR - loss,
        "JSD in natural units; a bit": lambda loss: (FOUR - loss) / 2,
        "2 JSD, in bits": lambda loss: (FOUR - loss) / TWO,
        "negative": lambda loss: (loss - FOUR) / FOUR,
        "minus the loss": lambda loss: (FOUR + loss) / FOUR,
        "two halves": lambda loss: (TWO - loss) / FOUR,
        "not log 2, and then": lambda loss: (TWO - loss) / TWO,
        "where one divides": lambda loss: (FOUR - loss) / 2 * TWO,
        "perfect fakes": lambda loss: 1 - 1 / FOUR,
        "one number": lambda loss: np.ones(3),
        "nothing is returned": lambda loss: None,
        "bits is right": lambda loss: 0.123,
    },
    "03.3": {
        "every single number": _penalty(norm=lambda g: g),
        "the whole batch": _penalty(norm=lambda g: np.sqrt((g**2).sum())),
        "the root is missing": _penalty(norm=lambda g: (g**2).sum(axis=(1, 2, 3))),
        "over the channels alone": _penalty(norm=lambda g: np.linalg.norm(g, axis=-1)),
        "the norm is of the sum": _penalty(norm=lambda g: np.sqrt((g**2).mean(axis=(1, 2, 3)))),
        "makes up for too flat": lambda g, t: (np.sqrt((g**2).sum(axis=(1, 2, 3))).mean() - t) ** 2,
        "from both sides": _penalty(power=lambda d: np.maximum(d, 0) ** 2),
        "the square around": _penalty(power=lambda d: d),
        "the absolute difference": _penalty(power=np.abs),
        "the sum over the batch": _penalty(after=np.sum),
        "by absolute values": _penalty(norm=lambda g: np.abs(g).sum(axis=(1, 2, 3))),
        "with the target 1": _penalty(target=1.0),
        "with the target 0": _penalty(target=0.0),
        "does it use the target": _penalty(target=0.9),
        "one number": _penalty(after=lambda values: values),
        "nothing is returned": lambda g, t: None,
        "is right": lambda g, t: 12.5,
    },
    "03.4": {
        "crossing ways": _distance(left=lambda x: x, right=lambda y: y),
        "not only one": _distance(right=lambda y: y),
        "not only the other": _distance(left=lambda x: x),
        "the means are apart": lambda x, y: abs(x.mean() - y.mean()),
        "absolute value of each way": _distance(way=lambda d: np.sign(d.sum()) * d),
        "cancel each other": _distance(way=lambda d: -np.sign(d.sum()) * d),
        "all go together": _distance(after=np.sum),
        "W₂²": _distance(way=np.square),
        "That is W₂,": _distance(way=np.square, after=lambda d: np.sqrt(d.mean())),
        "the longest way": _distance(after=np.max),
        "over all pairs": lambda x, y: np.abs(x[:, None] - y).mean(),
        "dearest": _distance(right=lambda y: np.sort(y)[::-1]),
        "moved by 5": lambda x, y: min(_distance()(x, y), 2.0),
        "nothing is returned": lambda x, y: None,
        "is right": lambda x, y: 7.0,
    },
    "03.5": {
        "simultaneous": _largest(lambda h, g: np.eye(2) + h * np.array([[0, 0.5], [-0.5, -g]])),
        "without a step": _largest(lambda h, g: np.array([[0, 0.5], [-0.5, -g]])),
        "while the eigenvalues are complex": lambda h, g: np.sqrt(1 - h * g),
        "real part": _largest(_both, lambda values: values.real.max()),
        "the smaller": _largest(_both, lambda values: np.abs(values).min()),
        "singular value": lambda h, g: np.linalg.norm(_both(h, g), 2),
        "Wasserstein's": _largest(lambda h, g: _both(h, g, slope=1.0)),
        "half of that": _largest(lambda h, g: _both(h, g / 2)),
        "twice that": _largest(lambda h, g: _both(h, 2 * g)),
        "does not feel gamma": _largest(lambda h, g: _both(h, 0.0)),
        "is a brake": _largest(lambda h, g: _both(h, -g)),
        "no rotation": _largest(lambda h, g: _both(h, g, sign=1)),
        "complex number": _largest(_both, lambda values: values.astype(complex)[0]),
        "one number": lambda h, g: np.abs(np.linalg.eigvals(_both(h, g))),
        "nothing is returned": lambda h, g: None,
        "is right": lambda h, g: 1.5,
    },
    "03.6": {
        "not list": [1, 2],
        "lacks starts": _plan(lose=("starts",)),
        "no knob 'beta_1'": _plan(keep={"beta_1": 0.5}),
        "Nothing changes": _plan({}),
        "change together": _plan({"r1": [0, 1], "noise": [0, 1]}),
        "two different values": _plan({"noise": [0.0]}),
        "the control": _plan({"r1": [0.5, 1.0]}),
        "both changed and kept": _plan(keep={"r1": 1.0}),
        "which rate": _plan(lose=("rate",)),
        "give it time": _plan(keep={"steps": 10}),
        "no loss 'relativistic' here": _plan(keep={"loss": "relativistic"}),
        "weight of 0 or more": _plan({"r1": [0.0, -1.0]}),
        "is a pair": _plan(starts=(1.0, 2.0)),
        "stays there": _plan(starts=((0, 0), (1, 1))),
        "One start": _plan(starts=((1, 1), (1, 1))),
        "needs an expectation": _plan(prediction="It rests."),
    },
}


@pytest.mark.parametrize(
    ("name", "message", "answer"),
    [
        (name, message, answer)
        for name, some in MISTAKES.items()
        for message, answer in some.items()
    ],
)
def test_a_typical_mistake_gets_its_own_message(capsys, name, message, answer):
    with np.errstate(invalid="ignore"):
        assert not lab.check(name, answer)
    assert message.lower() in capsys.readouterr().out.lower()


def test_every_exercise_has_mistakes():
    assert [name for name in exercises.names() if name.startswith("03.")] == list(MISTAKES)
