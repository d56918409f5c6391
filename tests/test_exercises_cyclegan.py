"""Exercises of notebook 07: right answers said otherwise, and typical mistakes with their messages."""

import numpy as np
import pytest

from anime_keras import exercises, lab
from anime_keras.models import cyclegan


def _by_sorting(count, seed):
    order = np.argsort(np.random.default_rng(seed).random(count))
    return order[: count // 2], order[count // 2 :]


def _by_coins(count, seed):
    people, random = list(range(count)), np.random.default_rng(seed)
    random.shuffle(people)
    return people[::2], people[1::2]


def _shuffled(count, seed):
    random = np.random.default_rng(seed)
    return random.permutation(count), random.permutation(count)


def _drawn(count, seed):
    random = np.random.default_rng(seed)
    x = random.choice(count, count // 2, replace=False)
    return x, random.choice(count, count // 2, replace=False)


def _parameters(bias=1, in_block=2, ends=7, inner=4, norms=0, up=1, blocks=None):
    """The generator's parameters, right but for what is given."""

    def parameters(w, count):
        layers = [(ends, 3, w), (3, w, 2 * w), (3, 2 * w, 4 * w)]
        layers += [(3, inner * w, inner * w)] * in_block * (blocks or count)
        layers += [(3, 4 * w, 2 * w), (3, 2 * w, w)] * up
        normed = sum(outputs for _, _, outputs in layers)
        layers += [(ends, w, 3)]
        return sum(s * s * i * o + bias * o for s, i, o in layers) + 2 * norms * normed

    return parameters


def _found(cast=float, absolute=np.abs, pick=np.argmin, axis=1, reduce=np.mean):
    """The share that is found again, right but for what is given."""

    def found(translated, truths):
        gaps = translated[:, None].astype(cast) - truths[None]
        table = absolute(gaps).mean(axis=(2, 3, 4))
        return reduce(pick(table, axis) == np.arange(len(truths)))

    return found


def _flat(translated, truths):
    a, b = (part.reshape(len(part), -1).astype("int64") for part in (translated, truths))
    gaps = [[np.abs(one - other).sum() for other in b] for one in a]
    return sum(row.index(min(row)) == i for i, row in enumerate(gaps)) / len(a)


def _own(translated, truths):
    return np.abs(translated.astype(float) - truths).mean(axis=(1, 2, 3))


def _times(pick=min, average=np.mean, result=lambda best, own: best / own):
    def times(own, baselines):
        return result(pick([average(rows) for rows in baselines.values()]), average(own))

    return times


def _hidden(before=0, on=1, after=0, power=1, result=lambda noisy, plain: noisy / plain):
    """How much farther, right but for what is given; the noise goes where there is a 1."""

    def hidden(there, back, x, noise):
        noisy = back(there(x + before * noise) + on * noise) + after * noise
        errors = [(np.abs(image - x) ** power).mean() for image in (noisy, back(there(x)))]
        return result(*errors)

    return hidden


def _plan(**changes):
    plan = {
        "with": {"cycle": 10, "identity": 0},
        "without": {"cycle": 0, "identity": 0},
        "seeds": [0, 1],
        "prediction": "Without it fewer faces are found again.",
    }
    return {**plan, **changes}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("07.1", _by_sorting),
        ("07.1", _by_coins),
        ("07.2", _parameters()),
        ("07.3", _found()),
        ("07.3", _flat),
        ("07.4", _times()),
        ("07.4", lambda own, others: min(map(np.sum, others.values())) / np.sum(own)),
        ("07.5", _hidden()),
        ("07.6", _plan()),
        ("07.6", _plan(without={"cycle": 0.0})),
        ("07.6", _plan(**{"with": {"identity": 0, "cycle": 3, "learning_rate": 1e-3}})
         | {"without": {"cycle": 0, "learning_rate": 1e-3}}),
    ],
)  # fmt: skip
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


def test_the_price_is_what_keras_counts():
    for width, blocks in ((4, 0), (5, 3)):
        network = cyclegan.build_generator(32, width, blocks)
        assert network.count_params() == _parameters()(width, blocks)
    assert _parameters()(64, 9) == 11_378_179 and _parameters()(64, 6) == 7_837_699  # the reference


MISTAKES = {
    "07.1": {
        "All of them are in both": _shuffled,
        "of the 600 people are in both": _drawn,
        "more than once": lambda count, seed: np.random.default_rng(seed).choice(
            count, (2, count // 2)
        ),
        "the place in the pile": lambda count, seed: np.split(np.arange(count), 2),
        "sorted by hair colour": lambda count, seed: (
            np.arange(0, count, 2),
            np.arange(1, count, 2),
        ),
        "in neither domain": lambda count, seed: tuple(part[:100] for part in _by_sorting(count, seed)),
        "Halves were wanted": lambda count, seed: np.split(
            np.random.default_rng(seed).permutation(count), [100]
        ),
        "nobody could repeat": lambda count, seed: _by_sorting(count, None),
        "is the seed used": lambda count, seed: _by_sorting(count, 7),
        "Return two arrays": lambda count, seed: np.random.default_rng(seed).permutation(count),
        "numbered from 0": lambda count, seed: tuple(part + 1 for part in _by_sorting(count, seed)),
        "people's numbers": lambda count, seed: (np.ones(count) > 0, np.ones(count) > 0),
    },
    "07.2": {
        "without biases": _parameters(bias=0),
        "two convolutions": _parameters(in_block=1),
        "last convolution are 7x7": _parameters(ends=3),
        "4 * width channels": _parameters(inner=1),
        "no scale and no shift": _parameters(norms=1),
        "way back up": _parameters(up=0),
        "for width 64 and 6 blocks": _parameters(blocks=9),
        "11,378,179 is right": lambda width, blocks: 1_000_000,
        "nothing is returned": lambda width, blocks: None,
    },
    "07.3": {
        "3 - 5 is 254": _found(cast="uint8"),
        "argmin, not argmax": _found(pick=np.argmax),
        "the other axis": _found(axis=0),
        "how many": _found(reduce=np.sum),
        "*not* found again": lambda a, b: 1 - _found()(a, b),
        "before the mean": _found(
            absolute=lambda gaps: gaps, pick=lambda table, axis: np.abs(table).argmin(axis)
        ),
        "the very truth itself": lambda a, b: (_own(a, b) == 0).mean(),
        "are the others nearer": lambda a, b: _own(a, b).mean(),
        "the truth itself is to get 1": lambda a, b: _found()(a, b) * (a != b).any(),
        "is right": lambda a, b: 0.123,
        "one number is wanted": lambda a, b: _own(a, b),
    },
    "07.4": {
        "upside down": _times(result=lambda best, own: own / best),
        "each single picture": lambda own, others: (
            np.min(list(others.values()), axis=0).mean() / own.mean()
        ),
        "the worst baseline": _times(pick=max),
        "mean of all baselines": _times(pick=np.mean),
        "a mean of ratios": lambda own, others: (
            min(others.values(), key=np.mean) / own
        ).mean(),
        "a difference": _times(result=lambda best, own: best - own),
        "medians": _times(average=np.median),
        "by the translator's own": _times(result=lambda best, own: best),
        "another set of them": lambda own, others: (
            min(others.get(name, own * 9).mean() for name in ("colour transfer", "nearest"))
            / own.mean()
        ),
        "is right": lambda own, others: 17.0,
    },
    "07.5": {
        "upside down": _hidden(result=lambda noisy, plain: plain / noisy),
        "before the way there": _hidden(before=1, on=0),
        "on what came back": _hidden(on=0, after=1),
        "What shall come back is x": lambda there, back, x, noise: (
            np.abs(back(there(x) + noise) - there(x)).mean() / np.abs(back(there(x)) - there(x)).mean()
        ),
        "Without noise, how far": _hidden(result=lambda noisy, plain: noisy),
        "a difference": _hidden(result=lambda noisy, plain: noisy - plain),
        "squared": _hidden(power=2),
        "lie apart": lambda there, back, x, noise: (
            np.abs(back(there(x) + noise) - back(there(x))).mean()
            / np.abs(back(there(x)) - x).mean()
        ),
        "no noise in it yet": _hidden(on=0),
        "is right": lambda *arguments: -3.0,
        "has the shape": lambda there, back, x, noise: np.abs(back(there(x) + noise) - x),
    },
    "07.6": {
        "nothing could come out": _plan(without={"cycle": 10, "identity": 0}),
        "Are the two exchanged": _plan(**{"with": {"cycle": 0}, "without": {"identity": 0}}),
        "has a cycle loss still": _plan(without={"cycle": 10, "identity": 0.5}),
        "Two losses go at once": _plan(**{"with": {}, "without": {"cycle": 0}}),
        "learning_rate changes as well": _plan(without={"cycle": 0, "learning_rate": 1e-3}),
        "no 'lambda'": _plan(without={"lambda": 0}),
        "One seed": _plan(seeds=[3]),
        "in a sentence": _plan(prediction="worse"),
        "lacks without, seeds": {"with": {}, "prediction": ""},
        "a dict, not list": [],
    },
}  # fmt: skip


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
    assert [name for name in exercises.names() if name.startswith("07.")] == list(MISTAKES)
