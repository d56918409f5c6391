"""Exercises of notebook 05: right answers said otherwise, and typical mistakes with their messages."""

import math

import numpy as np
import pytest
from scipy import spatial, stats

from anime_keras import exercises, lab, metrics, survey


def _diagonal(power=2, ddof=1, mean=True, width=np.std, reduce=np.sum, gap=2):
    """The distance of independent features, right but for what is given."""

    def distance(real, fake):
        means = (real.mean(0) - fake.mean(0)) ** gap
        widths = (width(real, 0, ddof=ddof) - width(fake, 0, ddof=ddof)) ** 2
        return reduce(means * mean + widths * (power > 0))

    return distance


def _kid(diagonal=False, pairs=-1, power=3, plus=1, by=True, cross=-2, after=lambda value: value):
    """KID, right but for what is given."""

    def kid(real, fake):
        def k(a, b):
            return (a @ b.T / (a.shape[1] if by else 1) + plus) ** power

        def among(a):
            own = k(a, a) * (1 if diagonal else 1 - np.eye(len(a)))
            return own.sum() / (len(a) * (len(a) + (0 if diagonal else pairs)))

        return after(among(real) + among(fake) + cross * k(real, fake).mean())

    return kid


def _kl(p, q):
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / q), 0).sum(1)


def _marginal(p):
    return np.broadcast_to(p.mean(0), p.shape)


def _precision(reach, points=lambda real, fake: (fake, real), axis=1):
    def precision(real, fake, k):
        some, centres = points(real, fake)
        own = np.sort(spatial.distance.cdist(centres, centres), axis=1)
        inside = spatial.distance.cdist(some, centres) <= reach(own, k) * (1 + 1e-12)
        return inside.any(axis=axis).mean()

    return precision


def _raters(effect=True, per=True, ceil=math.ceil, quantile=0.975, power=0.8, off=1):
    def raters(share, trials, correlation):
        z = stats.norm.ppf(power) if power else 0
        spread = stats.norm.ppf(quantile) * 0.5 + z * math.sqrt(share * (1 - share))
        answers = (spread / (share - 0.5)) ** 2
        if effect:
            answers *= 1 + (trials - off) * correlation
        return ceil(answers / (trials if per else 1))

    return raters


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("05.1", _diagonal()),
        ("05.1", _diagonal(ddof=0)),
        ("05.2", metrics.kernel_distance),
        ("05.2", _kid()),
        ("05.3", lambda p: metrics.inception_score(p, splits=1)[0]),
        ("05.3", lambda p: np.exp(_kl(p, _marginal(p)).mean())),
        ("05.4", lambda real, fake, k: metrics.precision_recall(real, fake, k)[0]),
        ("05.4", _precision(lambda own, k: own[:, k])),
        ("05.5", lambda s, t, c: survey.raters_needed(s, trials=t, correlation=c)),
        ("05.5", _raters()),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


MISTAKES = {
    "05.1": {
        "mean term alone": _diagonal(power=0),
        "widths alone": _diagonal(mean=False),
        "compares variances": _diagonal(width=np.var),
        "one D-th": _diagonal(reduce=np.mean),
        "its square": lambda a, b: math.sqrt(_diagonal()(a, b)),
        "cancel": _diagonal(gap=1),
        "all correlations": metrics.frechet_distance,
        "gives 3.1234": lambda a, b: 3.1234,
        "nothing is returned": lambda a, b: None,
        "one number is wanted": _diagonal(reduce=lambda each: each),
    },
    "05.2": {
        "compared with itself": _kid(diagonal=True),
        "still in the number of pairs": _kid(pairs=0),
        "divided by the number of features": _kid(by=False),
        "third moments only": _kid(plus=0),
        "is cubic": _kid(power=2),
        "count twice": _kid(cross=-1),
        "minus, not plus": _kid(cross=2),
        "its root": _kid(after=math.sqrt),
        "is right": lambda a, b: 0.5,
    },
    "05.3": {
        "mean divergence": lambda p: _kl(p, _marginal(p)).mean(),
        "exp goes last": lambda p: np.exp(_kl(p, _marginal(p))).mean(),
        "grow with their number": lambda p: np.exp(_kl(p, _marginal(p)).sum()),
        "turned round": lambda p: np.exp(_kl(_marginal(p), p).mean()),
        "each picture's own": lambda p: np.exp(stats.entropy(p.mean(0))),
        "p(y) is missing": lambda p: np.exp(-stats.entropy(p, axis=1).mean()),
        "mean over the classes": lambda p: np.exp(_kl(p, _marginal(p)).mean() / p.shape[1]),
        "base 2": lambda p: np.exp(_kl(p, _marginal(p)).mean() / np.log(2)),
        "NumPy says NaN": lambda p: np.exp((p * np.log(p / p.mean(0))).sum(1).mean()),
        "is right": lambda p: 2.5,
    },
    "05.4": {
        "nearest neighbour, at a distance of 0": _precision(lambda own, k: own[:, k - 1]),
        "That is recall": lambda real, fake, k: metrics.precision_recall(real, fake, k)[1],
        "radius of its own": _precision(lambda own, k: own[:, k].mean()),
        "one neighbour too far": _precision(lambda own, k: own[:, k + 1]),
        "is coverage": _precision(lambda own, k: own[:, k], axis=0),
        "is a 3 written": lambda real, fake, k: metrics.precision_recall(real, fake, 3)[0],
        "any, then mean": lambda real, fake, k: 90 * metrics.precision_recall(real, fake, k)[0],
        "is right": lambda real, fake, k: 0.123,
    },
    "05.5": {
        "were independent": _raters(effect=False),
        "number of answers": _raters(per=False),
        "1 + (trials - 1)": _raters(off=0),
        "round up": _raters(ceil=math.floor),
        "part of a rater: round up": _raters(ceil=float),
        "one-sided": _raters(quantile=0.95),
        "power is missing": _raters(power=None),
        "effect 1": lambda s, t, c: survey.raters_needed(s, trials=max(t, 2), correlation=c),
        "are needed": lambda s, t, c: 1,
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
    with np.errstate(all="ignore"):
        assert not lab.check(name, answer)
    assert message.lower() in capsys.readouterr().out.lower()


def test_every_exercise_has_mistakes():
    assert [name for name in exercises.names() if name.startswith("05.")] == list(MISTAKES)
