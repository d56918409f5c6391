"""Exercises of notebook 11: right answers said otherwise, and typical mistakes with their messages."""

import cv2
import numpy as np
import pytest

from anime_keras import exercises, lab, losses
from anime_keras.models import animegan


def _gram(power=1.0, centred=False, by=("places", "channels"), turned=False):
    def gram(maps):
        maps = maps.transpose(2, 0, 1) if turned else maps
        rows = maps.reshape(-1, 5)
        rows = rows - rows.mean(axis=0) if centred else rows
        counts = {"places": len(rows), "channels": 5}
        return power * rows.T @ rows / np.prod([counts[name] for name in by])

    return gram


def _grey(weights=(0.299, 0.587, 0.114), dtype="uint8", channels=3):
    def grey(images):
        y = np.round(images @ np.array(weights)).astype(dtype)
        return np.repeat(y[..., None], channels, axis=-1) if channels else y

    return grey


def _light(middle=9, biases=1, norms=6):
    def light(channels, filters):
        wide = 2 * channels
        total = channels * wide + middle * wide + biases * wide + wide * filters
        return total + norms * (2 * wide + filters) // 3

    return light


def _patch(backwards=True, strides=True):
    def patch(layers):
        seen = 1
        for kernel, stride in layers[::-1] if backwards else layers:
            seen = (seen - 1) * (stride if strides else 1) + kernel
        return seen

    return patch


def _plan(**changes):
    answer = {
        "change": {"content": [0, 100]},
        "keep": {"color": 30, "first_steps": 100},
        "seeds": [0, 1],
        "measure": ["hair_color", "features"],
        "prediction": "Without it faces will be of nobody in particular.",
    }
    return {**answer, **changes}


RIGHT = {
    "11.1": [
        _gram(),
        lambda maps: np.einsum("hwi,hwj->ij", maps, maps) / maps.size,
        lambda maps: np.asarray(losses.gram(maps[None].astype("float32")))[0],
    ],
    "11.2": [
        _grey(),
        lambda images: np.stack(
            [cv2.cvtColor(cv2.cvtColor(i, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB) for i in images]
        ),
        lambda images: np.round(
            (np.asarray(losses.grey(images / 127.5 - 1.0)) + 1.0) * 127.5
        ).astype("uint8"),
    ],
    "11.3": [_light()],
    "11.4": [_patch()],
    "11.5": [_plan(), _plan(change={"first_steps": [0, 500]}, keep={}, measure="L1")],
}

WRONG = [
    ("11.1", None, "without calling it"),
    ("11.1", lambda maps: None, "nothing is returned"),
    ("11.1", lambda maps: maps.reshape(12, 5) @ maps.reshape(12, 5).T, "Channels are to be"),
    ("11.1", lambda maps: maps.mean(axis=(0, 1)), "the matrix is 5 x 5"),
    ("11.1", _gram(by=()), "Those are the sums"),
    ("11.1", _gram(by=("places",)), "Divide by the channels too"),
    ("11.1", _gram(by=("channels",)), "by height and width"),
    ("11.1", _gram(centred=True), "That is a covariance"),
    ("11.1", lambda maps: np.corrcoef(maps.reshape(12, 5).T), "Those are correlations"),
    ("11.1", _gram(turned=True), "Channels come last already"),
    ("11.1", _gram(power=2.0), "The first entry should be"),
    ("11.2", lambda images: None, "nothing is returned"),
    ("11.2", lambda images: np.add(images, 1, out=images), "have changed"),
    ("11.2", _grey(channels=0), "all three channels"),
    ("11.2", _grey(channels=1), "The shape should stay"),
    ("11.2", _grey(dtype="float32"), "make uint8 of it"),
    ("11.2", lambda images: images.copy(), "some colour is left"),
    ("11.2", _grey((1 / 3,) * 3), "the mean of the channels"),
    ("11.2", _grey((0.114, 0.587, 0.299)), "RGB, not BGR"),
    ("11.2", _grey((0.5, 0.3, 0.2)), "The first pixel should be"),
    ("11.3", lambda c, f: None, "nothing is returned"),
    ("11.3", _light(norms=0), "The three norms are missing"),
    ("11.3", _light(norms=3), "two numbers a channel"),
    ("11.3", _light(biases=0), "biases of the 3x3 kernels"),
    ("11.3", lambda c, f: _light()(c, f) + 9 * 4 * c * c - 18 * c, "a full 3x3 convolution"),
    ("11.3", lambda c, f: 5 * c, "should be 102,400"),
    ("11.3", lambda c, f: _light()(128, 256), "wrong for 256 to 256"),
    ("11.4", lambda layers: ..., "nothing is returned"),
    ("11.4", lambda layers: sum(k for k, _ in layers), "Kernels do not add up"),
    ("11.4", _patch(strides=False), "Without strides that would be right"),
    ("11.4", _patch(backwards=False), "begin with the last one"),
    ("11.4", lambda layers: 4, r"patch\(\[\(3, 1\)\]\) should be 3"),
    ("11.5", [], "A plan is a dict"),
    ("11.5", {}, "lacks change, keep"),
    ("11.5", _plan(change={"content": [0, 1], "style": [0, 1]}), "change together"),
    ("11.5", _plan(change={"lambda": [0, 1]}), "no knob 'lambda'"),
    ("11.5", _plan(change={"seed": [0, 1]}), "how much is luck"),
    ("11.5", _plan(change={"content": [50, 100]}), "one of its values must be 0"),
    ("11.5", _plan(keep={"seed": 0}), "Seeds go under"),
    ("11.5", _plan(seeds=[3]), "take two or more"),
    ("11.5", _plan(measure=[]), "Measure one or more"),
    ("11.5", _plan(measure="beauty"), "Measure one or more"),
    ("11.5", _plan(prediction="worse"), "Say in a sentence"),
]


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name, answers in RIGHT.items() for answer in answers]
)
def test_right(name, answer, capsys):
    assert lab.check(name, answer)
    assert f"{name}: right." in capsys.readouterr().out


@pytest.mark.parametrize(("name", "answer", "message"), WRONG)
def test_wrong(name, answer, message):
    with pytest.raises(exercises.Wrong, match=message):
        exercises.find(name).check(answer)


def test_light_counts_what_the_generator_has():
    network = animegan.build_generator(4)  # its second block goes from 32 to 32 channels
    adds = [network.layers.index(la) for la in network.layers if type(la).__name__ == "Add"]
    block = network.layers[adds[0] + 1 : adds[1]]
    assert _light()(32, 32) == sum(layer.count_params() for layer in block)


def test_patch_is_the_discriminators():
    layers = [la for la in animegan.build_discriminator(1).layers if hasattr(la, "kernel")]
    assert _patch()([(la.kernel_size[0], la.strides[0]) for la in layers]) == 37


@pytest.mark.parametrize("name", RIGHT)
def test_hint(name, capsys):
    lab.hint(name)
    assert len(capsys.readouterr().out) > 40
