"""Exercises of notebook 12: right answers said otherwise, and typical mistakes with their messages."""

import numpy as np
import pytest
from scipy.special import expit

from anime_keras import data, diagnosis, exercises, lab
from anime_keras.metrics.attributes import Reading


def _missing(rare=0.1, part=True, shares=True, real_only=True, of=None, against="own"):
    """What is missing, right but for what is given."""

    def missing(real, fake):
        p, q = (np.bincount(words, minlength=12).astype(float) for words in (real, fake))
        if shares:
            p, q = p / len(real), q / len(fake)
        limit = rare * (p if against == "own" else p[p > 0].mean())
        gone = (q < limit) if rare else (q == 0)
        if real_only:
            gone &= p > 0
        return gone.sum() / ((of or (p > 0).sum()) if part else 1)

    return missing


def _gone_all_words(real, fake):
    p, q = (np.bincount(words, minlength=5) / len(words) for words in (real, fake))
    return float(np.mean((q <= 0.1 * p) & ((p > 0) | (q == 0))))


def _by_the_kit(real, fake):
    def reading(words):
        names = {name: data.people.FACTORS[name] for name in ("hair_color", "eye_color")}
        nothing = np.zeros((len(words), 3), "float32")
        return Reading({"hair_color": words, "eye_color": 0 * words}, {}, names, nothing, nothing)

    return diagnosis.missing_modes(reading(real), reading(fake)).value


def _push(first=expit, second=lambda x: expit(-x), over=np.mean):
    return lambda logits: (over(first(logits)), over(second(logits)))


def _naive(logits):
    return np.mean(np.exp(logits) / (1 + np.exp(logits))), np.mean(1 / (1 + np.exp(logits)))


def _overflowing(logits):
    return np.mean(np.exp(-logits) ** -1 / (1 + np.exp(logits))), np.mean(
        np.exp(-logits) / (1 + np.exp(-logits))
    )


def _softplus(x):
    return np.logaddexp(0, x)


def _two(
    training=True, real_sign=-1, fake_sign=1, times=1.0, turned=False, over=np.mean, parts=(1, 1)
):
    def loss(judge, real, fake):
        flags = {} if training is None else {"training": training}
        real_logits, fake_logits = judge(real, **flags), judge(fake, **flags)
        if turned:
            real_logits, fake_logits = fake_logits, real_logits
        first = over(_softplus(real_sign * real_logits))
        return times * (parts[0] * first + parts[1] * over(_softplus(fake_sign * fake_logits)))

    return loss


def _one_batch(judge, real, fake):
    logits = judge(np.concatenate([real, fake]), training=True)
    real_logits, fake_logits = np.split(logits, 2)
    return _softplus(-real_logits).mean() + _softplus(fake_logits).mean()


def _generators(judge, real, fake):
    judge(real, training=True)
    return _softplus(-judge(fake, training=True)).mean()


def _one_kind(judge, real, fake):
    return _softplus(-judge(real, training=True)).mean()


def _reached(kernel, stride):
    return [len(range(place, kernel, stride)) for place in range(stride)]


PLAN = {
    "change": {"r1": [0.0, 5.0]},
    "keep": {"beta_1": 0.9},
    "detector": "missing_modes",
    "seeds": [0, 1, 2],
    "prediction": "A penalty slows D down, so G may keep more of its modes.",
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("12.1", _missing()),
        ("12.1", _by_the_kit),
        ("12.2", _push()),
        ("12.2", lambda x: [expit(x).mean(), 1 - expit(x).mean()]),
        ("12.3", _two()),
        ("12.4", _reached),
        (
            "12.4",
            lambda kernel, stride: diagnosis.overlap(kernel, stride)[0] // -(-kernel // stride),
        ),
        ("12.4", lambda k, s: np.bincount(np.arange(k) % s, minlength=s)),
        ("12.5", lambda called, hits, false: max(0, (called - false) / (hits - false))),
        ("12.5", lambda c, h, f: np.clip((f - c) / (f - h), 0, 1)),
        ("12.6", PLAN),
        ("12.6", {**PLAN, "change": {"beta_1": (0.9, 0.5)}, "keep": {}}),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


MISTAKES = {
    "12.1": {
        "Word 0 is no mode": _gone_all_words,
        "Of the real pictures themselves": lambda real, fake: 0.5,
        "how many are missing": _missing(part=False),
        "divide by the words that are real": _missing(of=12),
        "as good as gone": _missing(rare=0),
        "a word that has nearly gone": lambda real, fake: (
            _missing()(real, fake) if len(fake) != 301 else 0.7
        ),
        "compare shares": _missing(shares=False),
        "stricter than a tenth": _missing(rare=0.6),
        "against its own share": _missing(against="mean", rare=0.12),
        "which is 0.5; yours": lambda real, fake: 0.0,
        "nothing is returned": lambda real, fake: None,
    },
    "12.2": {
        "are exchanged": _push(lambda x: expit(-x), expit),
        "without the sign": _push(lambda x: -expit(x), lambda x: -expit(-x)),
        "sum over the batch": _push(over=np.sum),
        "slope of the sigmoid itself": _push(lambda x: expit(x) * expit(-x)),
        "That is the loss": _push(_softplus, lambda x: _softplus(-x)),
        "slope at the mean logit": lambda x: (expit(x.mean()), expit(-x.mean())),
        "Minimax pushes by": lambda x: (0.123, 0.5),
        "The other loss pushes by": lambda x: (expit(x).mean(), 0.123),
        "At a logit of -1000": _overflowing,
        "Two numbers are wanted": lambda x: expit(x).mean(),
        "one number is wanted": lambda x: (expit(x), expit(-x)),
        "nothing is returned": lambda x: (None, None),
    },
    "12.3": {
        "in one batch": _one_batch,
        "is forgotten": _two(training=None),
        "This is a training step": _two(training=False),
        "asked once": _one_kind,
        "was not asked": lambda judge, real, fake: 0.5,
        "are exchanged": _two(turned=True),
        "or the signs are": _two(real_sign=1, fake_sign=-1),
        "not averaged": _two(times=0.5),
        "the generator's loss": _generators,
        "one on fakes is missing": _two(parts=(1, 0)),
        "one on real pictures is missing": _two(parts=(0, 1)),
        "sum over the batch": _two(over=np.sum),
        "yours says 0.5": lambda judge, real, fake: (
            0.5 + 0 * judge(real, training=True).sum() + 0 * judge(fake, training=True).sum()
        ),
    },
    "12.4": {
        "of which there are 2, not 4": lambda k, s: [k // s] * k,
        "forgets the column": lambda k, s: [k // s] * s,
        "Rounded up for all": lambda k, s: [-(-k // s)] * s,
        "That is the mean": lambda k, s: [k / s] * s,
        "Right but for the order": lambda k, s: _reached(k, s)[::-1],
        "at stride 3": lambda k, s: [2, 1] if (k, s) == (3, 2) else [k // s] * s,
        "A kernel of 4 at stride 2": lambda k, s: [s] * s if k != 4 else [4, 4],
        "a list": lambda k, s: k % s == 0,
        "nothing is returned": lambda k, s: None,
    },
    "12.5": {
        "false alarms and all": lambda c, h, f: c,
        "still in it": lambda c, h, f: c / h,
        "missed one in ten": lambda c, h, f: c - f,
        "below, too": lambda c, h, f: (c - f) / h,
        "share of the clean ones": lambda c, h, f: (h - c) / (h - f),
        "come from clean pictures only": lambda c, h, f: c * h - f,
        "yours says 0.9": lambda c, h, f: h,
        "0 is the least": lambda c, h, f: (c - f) / (h - f),
        "the share is 0": lambda c, h, f: 0.25,
        "nothing is returned": lambda c, h, f: None,
    },
    "12.6": {
        "Nothing changes yet": {**PLAN, "change": {}},
        "change together": {**PLAN, "change": {"r1": [0, 5], "label_smoothing": [0, 0.1]}},
        "two different values": {**PLAN, "change": {"r1": [5.0, 5.0]}},
        "no knob 'luck'": {**PLAN, "change": {"luck": [1, 2]}},
        "both changed and kept": {**PLAN, "change": {"beta_1": [0.5, 0.9]}},
        "out of its range": {**PLAN, "change": {"r1": [0.0, 5000.0]}},
        "Nothing is broken": {**PLAN, "keep": {}},
        "Choose a detector": {**PLAN, "detector": "my eyes"},
        "two coins": {**PLAN, "seeds": [0, 1]},
        "Say in a sentence": {**PLAN, "prediction": "Better."},
        "The plan lacks detector": {k: v for k, v in PLAN.items() if k != "detector"},
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
    assert [name for name in exercises.names() if name.startswith("12.")] == list(MISTAKES)
