"""Exercises of notebook 09: right answers said otherwise, and typical mistakes with their messages."""

import numpy as np
import pytest

from anime_keras import lab

rng = np.random.default_rng


def _code(spread=lambda v: np.exp(v / 2), join=lambda m, s, n: m + s * n):
    return lambda mean, log_variance, noise: join(mean, spread(log_variance), noise)


def _cost(each=lambda m, v: 0.5 * (m**2 + np.exp(v) - 1 - v), add=lambda e: e.sum(axis=1).mean()):
    return lambda mean, log_variance: add(each(mean, log_variance))


def _sigma(of=np.square, end=lambda squared: np.sqrt(squared.mean())):
    return lambda x, pixels: end(of(np.asarray(pixels) - x))


def _direction(weigh=lambda shares, each: shares @ each, sign=1):
    def direction(codes, has, group):
        each, shares = [], []
        for g in sorted(set(group)):
            inside = group == g
            one, other = codes[inside & has].mean(axis=0), codes[inside & ~has].mean(axis=0)
            each.append(sign * (one - other))
            shares.append(inside.mean())
        return weigh(np.array(shares), np.array(each))

    return direction


def _by_regression(codes, has, group):
    """Within groups alone, each pair by itself."""
    total = np.zeros(codes.shape[1])
    for g in np.unique(group):
        design = np.stack([np.ones((group == g).sum()), has[group == g]], axis=1)
        total += np.linalg.lstsq(design, codes[group == g], rcond=None)[0][1] * (group == g).mean()
    return total


PLAN = {
    "change": {"beta": [0.5, 2, 8]},
    "keep": {"sigma": 0.3, "latent_dim": 10},
    "measure": ["mig", "ssim"],
    "seeds": [0, 1],
    "prediction": "Higher beta, tidier codes and poorer pictures.",
}


def _plan(**other):
    return {**PLAN, **other}


RIGHT = {
    "09.1": [_code(), _code(lambda v: np.sqrt(np.exp(v)))],
    "09.2": [_cost(), lambda m, v: -0.5 * (1 + v - m**2 - np.exp(v)).sum() / len(m)],
    "09.3": [_sigma(), _sigma(np.abs, lambda a: np.linalg.norm(a) / a.size**0.5)],
    "09.4": [_direction(), _by_regression],
    "09.5": [PLAN, _plan(measure=("dci", "reconstruction"), change={"beta": (0, 1)})],
}


@pytest.mark.parametrize(("name", "answer"), [(n, a) for n, all_ in RIGHT.items() for a in all_])
def test_right_answers_pass(name, answer, capsys):
    assert lab.check(name, answer)
    assert f"{name}: right." in capsys.readouterr().out


WRONG = [
    ("09.1", _code(np.exp), "the variance"),
    ("09.1", _code(join=lambda m, s, n: m), "noise is missing"),
    ("09.1", _code(lambda v: v), "logarithm still"),
    ("09.1", _code(join=lambda m, s, n: m + n), "spread 1"),
    ("09.1", _code(join=lambda m, s, n: m + n / s), "small where the doubts are large"),
    ("09.1", _code(join=lambda m, s, n: m + s + n), "it is the noise that it multiplies"),
    ("09.1", _code(join=lambda m, s, n: s * (m + n)), "only moves the code"),
    ("09.1", _code(join=lambda m, s, n: None), "nothing is returned yet"),
    ("09.1", _code(join=lambda m, s, n: m.mean()), "has the shape ()"),
    ("09.1", _code(join=lambda m, s, n: 7 * m), "another code"),
    ("09.1", 3, "Hand over the function itself"),
    ("09.2", _cost(lambda m, v: m**2 + np.exp(v) - 1 - v), "half is missing"),
    ("09.2", _cost(add=lambda e: e.mean()), "What they tell adds up"),
    ("09.2", _cost(add=lambda e: e.sum()), "their mean was wanted"),
    ("09.2", _cost(add=lambda e: e.sum(axis=1).mean() / np.log(2)), "in bits"),
    ("09.2", _cost(add=lambda e: -e.sum(axis=1).mean()), "sign is turned"),
    ("09.2", _cost(lambda m, v: 0.5 * (m**2 + v - 1 - np.exp(v))), "took log_variance for the var"),
    ("09.2", _cost(lambda m, v: 0.5 * (m**2 + np.exp(2 * v) - 1 - 2 * v)), "for log σ"),
    ("09.2", _cost(lambda m, v: 0.5 * (np.exp(v) - 1 - v)), "square of the mean is missing"),
    ("09.2", _cost(lambda m, v: 0.5 * (m**2 + np.exp(v) - v)), "The 1 is missing"),
    ("09.2", _cost(lambda m, v: 0.5 * (m + np.exp(v) - 1 - v)), "not squared"),
    ("09.2", _cost(add=lambda e: 3.3), "is right"),
    ("09.3", _sigma(end=np.mean), "That is σ²"),
    ("09.3", _sigma(np.abs, np.mean), "mean absolute error"),
    ("09.3", _sigma(end=lambda s: np.sqrt(s.mean(axis=(1, 2, 3))).mean()), "a root for each"),
    ("09.3", _sigma(lambda e: e, np.std), "about their own mean"),
    ("09.3", _sigma(end=lambda s: np.sqrt(s.sum())), "root of the sum"),
    ("09.3", _sigma(end=lambda s: 1 / np.sqrt(s.mean())), "precision"),
    ("09.3", _sigma(end=lambda s: np.log(np.sqrt(s.mean()))), "log σ"),
    ("09.3", _sigma(end=lambda s: np.sqrt(s.mean() / 2)), "A half is left"),
    ("09.3", _sigma(end=lambda s: s.mean(axis=(1, 2, 3))), "one number is wanted"),
    ("09.4", lambda c, h, g: c[h].mean(axis=0) - c[~h].mean(axis=0), "plain difference"),
    ("09.4", _direction(sign=-1), "sign is turned"),
    ("09.4", _direction(lambda s, e: e.mean(axis=0)), "counts alike"),
    ("09.4", _direction(lambda s, e: e.sum(axis=0)), "a sum over groups"),
    ("09.4", _direction(lambda s, e: s @ e / np.linalg.norm(s @ e)), "unit length"),
    ("09.4", lambda c, h, g: c[h].mean(axis=0), "Minus the others"),
    ("09.4", lambda c, h, g: c.mean(axis=0), "another direction"),
    ("09.5", [], "A plan is a dict"),
    ("09.5", _plan(change={"latent_dim": [5, 50]}, keep={"sigma": 1}), "yours changes latent_dim"),
    ("09.5", _plan(change={"beta": [1, 8], "steps": [1, 2]}), "change together"),
    ("09.5", _plan(change={"beta": [1, 2]}), "near one another"),
    ("09.5", _plan(change={"beta": [1, -9]}), "from 0 on"),
    ("09.5", _plan(keep={}), "sigma is not kept"),
    ("09.5", _plan(measure=["ssim"]), "stand for factors"),
    ("09.5", _plan(measure=["mig"]), "what it costs"),
    ("09.5", _plan(seeds=[1, 1]), "Take two or more"),
    ("09.5", _plan(prediction="better"), "what you expect"),
]


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_mistakes_are_recognised(name, answer, message, capsys):
    assert not lab.check(name, answer)
    out = " ".join(capsys.readouterr().out.split())
    assert f"{name}: not yet." in out and message in out
