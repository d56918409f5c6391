"""Exercises of notebook 08: right answers said otherwise, and typical mistakes with their messages."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import exercises, lab, losses
from anime_keras.models import cyclegan

LAYERS = ((4, 2), (4, 2), (4, 2), (4, 1), (4, 1))


def _cycle(forth=True, back=True, times=1.0, power=np.abs, first=None):
    """The cycle loss, right but for what is given."""

    def loss(G, F, x, y, weight):
        def way(one, other, images):
            there = first(one, other) if first else (lambda p: other(one(p)))
            return power(there(images) - images).mean()

        return times * weight * (forth * way(G, F, x) + back * way(F, G, y))

    return loss


def _judge(real=1.0, fake=0.0, half=0.5, each=np.square, before=lambda v: v, of=(1, 1)):
    def loss(real_logits, fake_logits):
        at_real, at_fake = before(real_logits) - real, before(fake_logits) - fake
        return half * (of[0] * each(at_real).mean() + of[1] * each(at_fake).mean())

    return loss


def _sigmoid(values):
    return 1 / (1 + np.exp(-values))


def _entropy(half):
    def loss(real, fake):
        return half * (np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean())

    return loss


def _grid(step):
    def grid(size, layers):
        for kernel, stride in layers:
            size = step(size, kernel, stride)
        return size

    return grid


def _convolved(size, layers):
    """By Keras' own arithmetic of shapes."""
    shape = (1, size, size, 1)
    for kernel, stride in layers:
        padded = (1, shape[1] + 2, shape[2] + 2, 1)
        shape = keras.layers.Conv2D(1, kernel, stride).compute_output_shape(padded)
    return shape[1]


def _show(full=True, fill=True, keep=True, read_first=True, turned=False, grow=False, wrong=0):
    """The history, right but for what is given."""

    def show(memory, picture, size, slot, swap):
        if len(memory) < size:
            if fill:
                memory.append(picture)
            return picture if fill != "old" else memory[0]
        if grow:
            memory.append(picture)
            return picture
        if swap is turned or not full:
            return picture
        slot = (slot + wrong) % size
        old = memory[slot]
        if keep:
            memory[slot] = picture
        return old if read_first else memory[slot]

    return show


def _stores_always(memory, picture, size, slot, swap):
    if len(memory) < size:
        memory.append(picture)
        return picture
    old, memory[slot] = memory[slot], picture
    return old if swap else picture


def _old_from_the_start(memory, picture, size, slot, swap):
    memory.append(picture)
    return memory[0] if len(memory) > 1 else picture


def _rate(off=1, more=1, floor=True, scaled=True):
    def rate(epoch, rate, constant, falling):
        fallen = epoch + off - constant
        fallen = max(0, fallen) if floor else fallen
        return (rate if scaled else 1.0) * (1 - fallen / (falling + more))

    return rate


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("08.1", _cycle()),
        (
            "08.1",
            lambda G, F, x, y, weight: (
                weight * losses.absolute_error(x, F(G(x)))
                + weight * losses.absolute_error(y, G(F(y)))
            ),
        ),
        ("08.2", _judge()),
        (
            "08.2",
            lambda real, fake: (losses.verdict(real, True) + losses.verdict(fake, False)) / 2,
        ),
        ("08.2", losses.least_squares_discriminator),
        ("08.3", lambda p, q, a, b: a + (b - a) * p / (p + q)),
        ("08.4", _grid(lambda n, k, s: (n + 2 - k + s) // s)),
        ("08.4", _convolved),
        ("08.5", _show()),
        ("08.6", _rate()),
        ("08.6", lambda e, rate, c, f: float(cyclegan.LinearDecay(rate, c, f)(e))),
    ],
)
def test_another_right_answer_is_right(name, answer):
    assert lab.check(name, answer)


MISTAKES = {
    "08.1": {
        "there and back for x": _cycle(back=False),
        "there and back for y": _cycle(forth=False),
        "the wrong way first": _cycle(first=lambda one, other: lambda p: one(other(p))),
        "do the same for y": _cycle(back=False, first=lambda one, other: one),
        "forbid to translate": _cycle(first=lambda one, other: one),
        "That is the identity loss": _cycle(first=lambda one, other: other),
        "without the weight": lambda G, F, x, y, weight: _cycle()(G, F, x, y, 1.0),
        "their mean": _cycle(times=0.5),
        "so L2": _cycle(power=np.square),
        "take np.abs before the mean": _cycle(power=lambda v: v),
        "np.abs goes before the mean": lambda G, F, x, y, w: (
            w * (abs((F(G(x)) - x).mean()) + abs((G(F(y)) - y).mean()))
        ),
        "the sum over all pixels": lambda G, F, x, y, w: (
            w * (abs(F(G(x)) - x).sum() + abs(G(F(y)) - y).sum())
        ),
        "is a 10 written": lambda G, F, x, y, weight: _cycle()(G, F, x, y, 10.0),
        "is right": lambda G, F, x, y, weight: 1.2345,
        "nothing is returned": lambda G, F, x, y, weight: None,
        "one number is wanted": lambda G, F, x, y, weight: abs(F(G(x)) - x),
    },
    "08.2": {
        "full pace": _judge(half=1.0),
        "calls forgeries real": _judge(real=0.0, fake=1.0),
        "That is the verdict on real pictures": _judge(half=1.0, of=(1, 0)),
        "half the verdict on real": _judge(of=(1, 0)),
        "That is the verdict on fakes": _judge(half=1.0, of=(0, 1)),
        "half the verdict on fakes": _judge(of=(0, 1)),
        "square of a mean": lambda r, f: 0.5 * ((r.mean() - 1) ** 2 + f.mean() ** 2),
        "as they are": _judge(before=_sigmoid),
        "with the sign turned round": _entropy(0.5),
        "all of the cross-entropy": _entropy(1.0),
        "what the generator lowers": _judge(fake=1.0, half=1.0, of=(0, 1)),
        "That is L1": _judge(each=np.abs),
        "is right": lambda r, f: 3.2,
    },
    "08.3": {
        "right for the labels 0 and 1": lambda p, q, a, b: p / (p + q),
        "are exchanged": lambda p, q, a, b: (a * p + b * q) / (p + q),
        "not shares yet": lambda p, q, a, b: b * p + a * q,
        "divides by 2": lambda p, q, a, b: (b * p + a * q) / 2,
        "who is blind": lambda p, q, a, b: np.full(p.shape, (a + b) / 2),
        "a median": lambda p, q, a, b: np.where(p > q, b, a),
        "has no logarithm": lambda p, q, a, b: np.log(np.maximum(p, 1e-9) / q),
        "four answers": lambda p, q, a, b: 0.5,
        "nothing is returned": lambda p, q, a, b: None,
        "is right": lambda p, q, a, b: p,
    },
    "08.4": {
        "without padding": _grid(lambda n, k, s: (n - k) // s + 1),
        "both sides": _grid(lambda n, k, s: (n + 1 - k) // s + 1),
        'padding="same"': _grid(lambda n, k, s: -(-n // s)),
        "one too few": _grid(lambda n, k, s: (n + 2 - k) // s),
        "as the paper has it": _grid(lambda n, k, s: (n + 2 - k) // 2 + 1),
        "by half": _grid(lambda n, k, s: (n + 2 - k) / s + 1),
        "and 6 is right": lambda size, layers: {256: 30, 128: 14}.get(size, 7),
        "nothing is returned": lambda size, layers: None,
    },
    "08.5": {
        "whatever the coin": _old_from_the_start,
        "there was room": _show(fill=False),
        "grows beyond": _show(grow=True),
        "the new picture is shown": _show(turned=True),
        "the memory stays as it is": _stores_always,
        "not kept in its place": _show(keep=False),
        "before you overwrite": _show(read_first=False),
        "The slot was": _show(wrong=1),
        "nothing is returned": lambda memory, picture, size, slot, swap: memory.append(picture),
    },
    "08.6": {
        "never falls": lambda e, rate, c, f: rate,
        "from the very beginning": lambda e, rate, c, f: rate * (1 - (e + 1) / (c + f + 1)),
        "which then learns nothing": _rate(more=0),
        "one epoch late: epochs": _rate(off=0),
        "falling + 1": _rate(off=0, more=0),
        "above the full rate": _rate(floor=False),
        "jumps down": lambda e, rate, c, f: rate if e < c else rate * (1 - 1 / (f + 1)),
        "no rate": _rate(scaled=False),
        "straight line": lambda e, rate, c, f: rate * 0.5 ** max(0, e + 1 - c),
        "in epoch 0": lambda e, rate, c, f: rate / 2,
        "in epoch 11": lambda e, rate, c, f: _rate()(min(e, 10), rate, c, f),
        "nothing is returned": lambda e, rate, c, f: None,
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
    assert [name for name in exercises.names() if name.startswith("08.")] == list(MISTAKES)


def test_the_grid_is_that_of_the_kits_discriminator():
    for size, side in ((256, 30), (128, 14), (64, 6)):
        network = cyclegan.build_discriminator(size, width=1)
        assert network.output_shape == (None, side, side, 1)
        assert _convolved(size, LAYERS) == side


def test_tensors_are_answers_too():
    def loss(real_logits, fake_logits):
        real, fake = ops.convert_to_tensor(real_logits), ops.convert_to_tensor(fake_logits)
        return 0.5 * (ops.mean(ops.square(real - 1)) + ops.mean(ops.square(fake)))

    assert lab.check("08.2", loss)
