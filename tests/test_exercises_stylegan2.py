"""Exercises of notebook 10: right answers said otherwise, and typical mistakes with their messages."""

import numpy as np
import pytest
from keras import ops

from anime_keras import lab

GOOD_PLAN = {
    "layers": [(0, 2), (2, 4), (4, 10)],
    "factor": "hair_color",
    "stays": "back_hair",
    "faces": 100,
    "prediction": "Colours come late, so the fine layers should carry them.",
}


def _adain(over=(0, 1), root=True, before=True, scaled=True, shift=True):
    def adain(maps, scale, bias):
        mean, variance = maps.mean(axis=over), maps.var(axis=over)
        deviation = np.sqrt(variance) if root else variance
        normal = (maps - mean) / deviation if before else maps
        return (normal * scale if scaled else normal) + (bias if shift else 0)

    return adain


def _by_ops(maps, scale, bias):
    mean, variance = ops.moments(ops.convert_to_tensor(maps), axes=(0, 1))
    return (maps - mean) * ops.rsqrt(variance + 1e-8) * scale + bias


def _modulated(axes=(0, 1, 2), style_axis=2, demodulate=True, root=True):
    def modulated(kernel, style):
        shape = [1] * 4
        shape[style_axis] = -1
        weights = kernel * style.reshape(shape)
        squares = (weights**2).sum(axis=axes, keepdims=True) + 1e-8
        if not demodulate:
            return weights
        return weights / (np.sqrt(squares) if root else squares)

    return modulated


def _unused(kernel, style):
    return kernel / np.sqrt((kernel**2).sum(axis=(0, 1, 2)))


def _truncate(to="mean", swapped=False, off=0, layers=True, back=True):
    def truncate(styles, mean, psi, until):
        target = mean if to == "mean" else 0 * mean
        psi = 1 - psi if swapped else psi
        held = target * (1 if back else 0) + psi * (styles - target)
        if not layers:
            return held
        result = styles.copy()
        result[:, : until + off] = held[:, : until + off]
        return result

    return truncate


def _late(styles, mean, psi, until):
    result = styles.copy()
    result[:, until:] = mean + psi * (styles[:, until:] - mean)
    return result


def _adam(share=lambda k: k / (k + 1), power=lambda k: k / (k + 1), factor=False):
    def adam(rate, beta, every):
        kept = beta * power(every) if factor else beta ** power(every)
        return rate * share(every), kept

    return adam


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("10.1", _adain()),
        ("10.1", _by_ops),
        ("10.2", _modulated()),
        ("10.2", lambda kernel, style: _modulated()(kernel, 10 * style)),
        ("10.3", _truncate()),
        ("10.3", lambda w, mean, psi, until: np.where(
            np.arange(w.shape[1])[None, :, None] < until, psi * w + (1 - psi) * mean, w
        )),
        ("10.4", _adam()),
        ("10.5", GOOD_PLAN),
        ("10.5", {**GOOD_PLAN, "layers": [(i, i + 1) for i in range(10)]}),
    ],
)  # fmt: skip
def test_right(name, answer):
    assert lab.check(name, answer)


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("10.1", 3, "Hand over the function itself"),
        ("10.1", lambda maps, scale, bias: None, "nothing is returned yet"),
        ("10.1", lambda maps, scale, bias: maps.mean(), "is wanted"),
        ("10.1", _adain(before=False), "normalise first"),
        ("10.1", _adain(scaled=False, shift=False), "the style is not used yet"),
        ("10.1", _adain(root=False), "Its root is wanted"),
        ("10.1", _adain(over=(0, 1, 2)), "each channel has its own"),
        ("10.1", lambda m, s, b: s * (_adain()(m, 1, 0) + b), "it comes last"),
        ("10.1", lambda m, s, b: _adain()(m, b, s), "have changed places"),
        ("10.1", lambda m, s, b: s * (m - m.mean(axis=(0, 1))) + b, "the old one's multiple"),
        (
            "10.1",
            lambda m, s, b: (
                s * (m - m.mean(axis=2, keepdims=True)) / m.std(axis=2, keepdims=True) + b
            ),
            "each place over its channels",
        ),
        ("10.1", lambda m, s, b: _adain()(m, 2 * s, b), "leaves with mean"),
        ("10.2", _modulated(demodulate=False), "not yet demodulated"),
        ("10.2", _unused, "The style is not in it"),
        ("10.2", _modulated(axes=(0, 1, 3)), "over its *inputs*"),
        ("10.2", _modulated(axes=(0, 1, 2, 3)), "each output has its own"),
        ("10.2", _modulated(axes=(2,)), "axes 0 and 1 as well"),
        ("10.2", _modulated(root=False), "Its root is wanted"),
        ("10.2", lambda k, s: 6 * _modulated()(k, s), "a length of 6"),
        (
            "10.2",
            lambda k, s: k * s[:, None] / np.sqrt((k**2).sum(axis=(0, 1, 2))),
            "before the style",
        ),
        ("10.2", lambda k, s: 0.5 * _modulated()(k, s), "all should be 1"),
        ("10.3", _truncate(layers=False), "`until` is not used"),
        ("10.3", _late, "The other way round"),
        ("10.3", _truncate(off=1), "One layer too many"),
        ("10.3", _truncate(to="zero"), "the mean of w is not 0"),
        ("10.3", _truncate(swapped=True), "psi = 1 must change nothing"),
        ("10.3", _truncate(back=False), "it is to be added again"),
        ("10.3", lambda w, mean, psi, until: w, "not on the line"),
        ("10.4", lambda rate, beta, every: rate, "Return two numbers"),
        ("10.4", _adam(share=lambda k: 1), "The rate is as before"),
        ("10.4", _adam(share=lambda k: (k - 1) / k), "That is 15/16"),
        ("10.4", _adam(share=lambda k: (k + 1) / k), "each must be smaller"),
        ("10.4", _adam(share=lambda k: 1 / k), "That is 1/16"),
        ("10.4", _adam(power=lambda k: 1), "Beta 2 is as before"),
        ("10.4", _adam(factor=True), "belongs in the exponent"),
        ("10.4", _adam(power=lambda k: (k + 1) / k), "upside down"),
        ("10.4", _adam(power=lambda k: 0.5), "For k = 16 it gives"),
        ("10.5", [], "A plan is a dict"),
        ("10.5", {"layers": []}, "The plan lacks"),
        ("10.5", {**GOOD_PLAN, "layers": []}, "a list of pairs"),
        ("10.5", {**GOOD_PLAN, "layers": [(0, 5, 10)]}, "is no pair"),
        ("10.5", {**GOOD_PLAN, "layers": [(4, 2)]}, "the first comes before the last"),
        ("10.5", {**GOOD_PLAN, "layers": [(0, 4), (3, 8), (8, 10)]}, "Layer 3 is exchanged twice"),
        ("10.5", {**GOOD_PLAN, "layers": [(0, 5), (5, 10)]}, "fewer than three"),
        ("10.5", {**GOOD_PLAN, "layers": [(0, 2), (2, 4), (4, 9)]}, "Layer(s) 9"),
        ("10.5", {**GOOD_PLAN, "factor": "mood"}, "is not read here"),
        ("10.5", {**GOOD_PLAN, "stays": "hair_color"}, "are the same"),
        ("10.5", {**GOOD_PLAN, "faces": 8}, "take 50 or more"),
        ("10.5", {**GOOD_PLAN, "prediction": "Colour."}, "in a sentence"),
    ],
)
def test_wrong(name, answer, message, capsys):
    assert not lab.check(name, answer)
    assert message in " ".join(capsys.readouterr().out.split())
