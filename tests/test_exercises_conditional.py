"""Exercises of notebook 06: right answers said otherwise, and typical mistakes with their messages."""

import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax, softmax

from anime_keras import exercises, lab, losses


def _projection(features, v, psi, words, sign=1, missing=True):
    terms = np.array([v[w] @ f for w, f in zip(words, features, strict=True)])
    return psi + sign * (np.where(words < 0, 0, terms) if missing else terms)


def _by_rows(features, v, psi, words):
    rows = ops.convert_to_numpy(ops.one_hot(words, len(v), dtype="float64"))
    return (psi + np.einsum("nw,wf,nf->n", rows, v, features))[:, None]


def _class_loss(scores, words, over=np.mean, known=True, empty=0.0):
    if known:
        scores, words = scores[words >= 0], words[words >= 0]
    if not len(words):
        return empty
    return -over(log_softmax(scores, axis=1)[np.arange(len(words)), words])


def _by_the_kit(scores, words):
    return losses.classification(scores, np.eye(scores.shape[1])[words] * (words >= 0)[:, None])


def _overflowing(scores, words):
    known = words >= 0
    if not known.any():
        return 0.0
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return -np.log(p[known, words[known]]).mean()


def _of_the_rest(scores, words):
    value = _class_loss(scores, words)
    return value * np.mean(words >= 0)


def _drawn(chances, shares, side="right", ends=slice(None, -1), more=0):
    return np.searchsorted(np.cumsum(shares)[ends], chances, side=side) + more


PLAN = {
    "change": {"conditioning": ["projection", "ac"]},
    "keep": {},
    "measure": "right",
    "seeds": [0, 1],
    "prediction": "A softmax must name the word, so AC-GAN should listen sooner.",
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("06.1", _projection),
        ("06.1", _by_rows),
        ("06.2", _class_loss),
        ("06.2", _by_the_kit),
        ("06.3", _drawn),
        ("06.3", lambda c, s: (c[:, None] >= np.cumsum(s)[:-1]).sum(axis=1)),
        ("06.4", lambda asked, shown: asked @ shown),
        ("06.4", lambda asked, shown: np.trace(np.outer(asked, shown))),
        ("06.5", PLAN),
        ("06.5", {**PLAN, "change": {"missing": (0.0, 0.9)}, "keep": {"conditioning": "ac"}}),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


MISTAKES = {
    "06.1": {
        "psi alone": lambda f, v, psi, w: psi,
        "the word's term alone": lambda f, v, psi, w: _projection(f, v, 0 * psi, w),
        "All words were added": lambda f, v, psi, w: psi + (f @ v.T).sum(axis=1),
        "sign is turned": lambda f, v, psi, w: _projection(f, v, psi, w, sign=-1),
        "the *last* row": lambda f, v, psi, w: _projection(f, v, psi, w, missing=False),
        "the logit is psi": lambda f, v, psi, w: np.where(w < 0, 0, _projection(f, v, psi, w)),
        "yours says 0.5": lambda f, v, psi, w: np.full(4, 0.5),
        "one logit a picture": lambda f, v, psi, w: psi.sum(),
        "nothing is returned": lambda f, v, psi, w: None,
    },
    "06.2": {
        "*minus* the logarithm": lambda s, w: -_class_loss(s, w),
        "sum over the pictures": lambda s, w: _class_loss(s, w, over=np.sum),
        "mean probability": lambda s, w: softmax(s, axis=1)[np.arange(6), w].mean(),
        "the scores themselves": lambda s, w: -s[np.arange(6), w].mean(),
        "the *last* word": lambda s, w: _class_loss(s, w, known=False),
        "divided by all six": _of_the_rest,
        "nothing to lose": lambda s, w: _class_loss(s, w, empty=np.nan),
        "overflow": _overflowing,
        "With all words known": lambda s, w: 0.123,
        "With three words of six": lambda s, w: _class_loss(s, np.where(w < 0, 0, w)),
        "nothing is returned": lambda s, w: None,
    },
    "06.3": {
        "all words alike": lambda c, s: np.floor(c * len(s)),
        "first word is number 0": lambda c, s: _drawn(c, s, more=1),
        "steps over it": lambda c, s: np.where(c == 0.75, 2, _drawn(c, s)),
        "yours says": lambda c, s: 0 * c,
        "what is left": lambda c, s: _drawn(c, s, ends=slice(None)),
        "6 chances are 6 words": lambda c, s: 1,
        "nothing is returned": lambda c, s: None,
    },
    "06.4": {
        "if one of the two were even": lambda a, s: 1 / len(a),
        "most frequent word": lambda a, s: a.max(),
        "come *together*": lambda a, s: np.minimum(a, s).sum(),
        "add them up": lambda a, s: np.mean(a * s),
        "yours says 0.5": lambda a, s: 0.5,
        "met by luck in a quarter": lambda a, s: a @ s + 0.1 * (a.max() == a.min()),
        "always right": lambda a, s: min(a @ s, 0.9),
        "nothing is returned": lambda a, s: None,
    },
    "06.5": {
        "Nothing changes yet": {**PLAN, "change": {}},
        "change together": {**PLAN, "change": {"missing": [0, 1], "width": [8, 16]}},
        "no knob 'luck'": {**PLAN, "change": {"luck": [1, 2]}},
        "one of projection, ac": {**PLAN, "change": {"conditioning": ["ac", "magic"]}},
        "out of its range": {**PLAN, "change": {"missing": [0.0, 2.0]}},
        "no class loss to weigh": {**PLAN, "change": {"classification": [0.1, 1.0]}},
        "By which number": {**PLAN, "measure": "my eyes"},
        "two or more": {**PLAN, "seeds": [3]},
        "Say in a sentence": {**PLAN, "prediction": "Better."},
        "The plan lacks measure": {k: v for k, v in PLAN.items() if k != "measure"},
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
    assert not lab.check(name, answer)
    assert message.lower() in capsys.readouterr().out.lower()


def test_every_exercise_has_mistakes():
    assert [name for name in exercises.names() if name.startswith("06.")] == list(MISTAKES)
