"""Exercises of notebook 04: right answers said otherwise, and typical mistakes with their messages."""

import math

import keras
import numpy as np
import pytest

from anime_keras import exercises, lab


def _line(small, low, large, high):
    """What a picture costs, and what is there once."""
    picture = (high - low) / (large - small)
    return picture, low - small * picture


def _largest(round_to, share=0.9, fixed=True, nothing=0):
    """The largest batch, right but for what is given."""

    def largest(small, low, large, high, memory):
        picture, once = _line(small, low, large, high)
        room = (share * memory - fixed * once) / picture
        return round_to(room) if room >= 1 else nothing

    return largest


def _below(room):
    return 2 ** math.floor(math.log2(room))


def _whole_peak(small, low, large, high, memory):
    return int(0.9 * memory / (high / large))


def _weighed(gradients, sizes):
    return sum(g * n for g, n in zip(gradients, sizes, strict=True))


def _rate(since="warm", end=0, stays=True, half=0.5, warmed=True):
    """A warm-up and a cosine, right but for what is given."""

    def rate_of(step, rate, warm, total):
        if warmed and step < warm:
            return rate * step / warm
        first = warm if since == "warm" else since
        share = (step - first) / (total + end - first)
        share = min(share, 1) if stays else share
        return rate * half * (1 + math.cos(math.pi * share))

    return rate_of


def _after_warm(fall):
    def rate_of(step, rate, warm, total):
        if step < warm:
            return rate * step / warm
        return rate * fall(min(1, (step - warm) / (total - warm)))

    return rate_of


def _by_keras(step, rate, warm, total):
    return keras.optimizers.schedules.CosineDecay(
        0.0, total - warm, warmup_target=rate, warmup_steps=warm
    )(step)


def _lost(mean, cost):
    return math.sqrt(2 * cost / (3600 * mean))


def _plan(change=None, lose=(), keep=None, **others):
    """A plan, right but for what is given."""
    plan = {
        "change": {"r1": [0.0, 1.0]} if change is None else change,
        "keep": {"batch_size": 32} if keep is None else keep,
        "steps": 14,
        "leave_out": 4,
        "repeats": 3,
        "in_turns": True,
        "prediction": "R1 is slower, because it differentiates twice.",
    }
    return {key: value for key, value in (plan | others).items() if key not in lose}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("04.1", lambda seconds, batch, out: np.median(batch / seconds[out:])),
        ("04.2", _largest(_below)),
        ("04.2", _largest(lambda room: 1 << (int(room).bit_length() - 1))),
        ("04.3", lambda gradients, sizes: np.average(gradients, axis=0, weights=sizes)),
        ("04.3", lambda gradients, sizes: _weighed(gradients, sizes) / sum(sizes)),
        ("04.4", _rate()),
        ("04.4", _by_keras),
        ("04.5", lambda hours, mean, cost: hours * (1 - _lost(mean, cost))),
        (
            "04.5",
            lambda hours, mean, cost: hours - hours * math.sqrt(2 * (cost / 3600) / mean),
        ),
        ("04.6", _plan()),
        ("04.6", _plan({"precision": ("float32", "mixed_bfloat16")}, repeats=5)),
        ("04.6", _plan({"batch_size": [8, 64]}, keep={})),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


MISTAKES = {
    "04.1": {
        "with them the compilation": lambda s, b, out: b * len(s) / s.sum(),
        "but of all steps": lambda s, b, out: b / np.median(s),
        "one busy moment": lambda s, b, out: b / s[out:].mean(),
        "steps a second": lambda s, b, out: 1 / np.median(s[out:]),
        "seconds for a picture": lambda s, b, out: np.median(s[out:]) / b,
        "how long a step takes": lambda s, b, out: np.median(s[out:]),
        "*last* steps": lambda s, b, out: b / np.median(s[:-out]),
        "one too few": lambda s, b, out: b / np.median(s[out - 1 :]),
        "one too many": lambda s, b, out: b / np.median(s[out + 1 :]),
        "the fastest step": lambda s, b, out: b / s[out:].min(),
        "counted all the same": lambda s, b, out: b * len(s) / s[out:].sum(),
        "not if none": lambda s, b, out: b / np.median(s[2:]),
        "one number": lambda s, b, out: b / s[out:],
        "nothing is returned": lambda s, b, out: None,
        "is right": lambda s, b, out: 7.0,
    },
    "04.2": {
        "leaves nothing free": _largest(_below, share=1.0),
        "A batch of 0 needs": _largest(_below, fixed=False),
        "a power of two was wanted": _largest(int),
        "*nearest*": _largest(lambda room: 2 ** round(math.log2(room))),
        "*above*": _largest(lambda room: 2 * _below(room)),
        "where nothing does": _largest(_below, nothing=1),
        "two measurements give a line": _whole_peak,
        "its slope": lambda *given: _below(_whole_peak(*given)),
        "512 is right": _largest(lambda room: 3),
        "nothing is returned": lambda *given: None,
    },
    "04.3": {
        "three times as long": lambda gradients, sizes: sum(gradients),
        "batches of one size": lambda gradients, sizes: np.mean(gradients, axis=0),
        "not divided by all": _weighed,
        "how many *batches*": lambda gradients, sizes: _weighed(gradients, sizes) / len(sizes),
        "means already": lambda gradients, sizes: sum(
            g / n for g, n in zip(gradients, sizes, strict=True)
        ),
        "the last one alone": lambda gradients, sizes: gradients[-1],
        "the first one alone": lambda gradients, sizes: gradients[0],
        "the shape of each": lambda gradients, sizes: np.mean(gradients),
        "nothing is returned": lambda gradients, sizes: None,
        "is right": lambda gradients, sizes: gradients[0] * 0,
    },
    "04.4": {
        "step 0 has the rate 0": _rate(since=0, warmed=False),
        "missing, and after the end": _rate(since=0, warmed=False, stays=False),
        "not at 0": _rate(since=0),
        "a rise after the end": _rate(since=0, stays=False),
        "hold it at 0": _rate(stays=False),
        "ends too late": _rate(end=4),
        "a cosine was wanted": _after_warm(lambda share: 1 - share),
        "from 2 to 0": _rate(half=1.0),
        "half of the rate": _rate(half=0.25),
        "one after the other": lambda step, rate, warm, total: (
            min(1, step / warm) * _rate(since=0, warmed=False)(step, rate, warm, total)
        ),
        "a quarter of a wave": _after_warm(lambda share: math.cos(math.pi / 2 * share)),
        "no rate": lambda step, rate, warm, total: _rate()(step, 1.0, warm, total),
        "nothing falls": _after_warm(lambda share: 1.0),
        "one step late": lambda step, rate, warm, total: (
            rate * step / (warm + 1) if step <= warm else _rate()(step, rate, warm, total)
        ),
        "In step 1 it is": lambda step, rate, warm, total: (
            0.0 if step == 1 else _rate()(step, rate, warm, total)
        ),
        "nothing is returned": lambda step, rate, warm, total: None,
    },
    "04.5": {
        "Nothing is lost": lambda hours, mean, cost: hours,
        "what is *lost*": lambda hours, mean, cost: hours * _lost(mean, cost),
        "one unit": lambda hours, mean, cost: hours * (1 - math.sqrt(2 * cost / mean)),
        "the share": lambda hours, mean, cost: 1 - _lost(mean, cost),
        "half an interval": lambda hours, mean, cost: hours * (1 - _lost(mean, cost) / 2),
        "The 2 is missing": lambda hours, mean, cost: hours * (1 - _lost(mean, cost / 2)),
        "The root is missing": lambda hours, mean, cost: hours * (1 - _lost(mean, cost) ** 2),
        "both parts twice": lambda hours, mean, cost: hours * (1 - 2 * _lost(mean, cost)),
        "interval, in seconds": lambda hours, mean, cost: math.sqrt(2 * cost * 3600 * mean),
        "interval, in hours": lambda hours, mean, cost: math.sqrt(2 * cost * 3600 * mean) / 3600,
        "nothing is returned": lambda hours, mean, cost: None,
        "is right": lambda hours, mean, cost: 12.0,
    },
    "04.6": {
        "not list": [1, 2],
        "lacks repeats": _plan(lose=("repeats",)),
        "no knob 'depth'": _plan(keep={"depth": 3}),
        "Nothing changes": _plan({}),
        "change together": _plan({"r1": [0, 1], "precision": ["float32", "mixed_bfloat16"]}),
        "two different values": _plan({"r1": [1.0]}),
        "both changed and kept": _plan({"batch_size": [8, 16]}),
        "leave out 3": _plan(leave_out=0),
        "take a median": _plan(steps=7),
        "has moods": _plan(repeats=1),
        "Take turns": _plan(in_turns=False),
        "needs an expectation": _plan(prediction="Slower."),
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
    assert [name for name in exercises.names() if name.startswith("04.")] == list(MISTAKES)
