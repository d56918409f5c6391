"""The exercises of notebook 11, AnimeGAN: its losses, its light blocks, and one loss left out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anime_keras.exercises import (
    Wrong,
    close,
    exercise,
    expectation,
    function,
    number,
    one_change,
    plan,
)

# --- 11.1 -----------------------------------------------------------------------------------------


@exercise(
    "11.1",
    hint="Make a row of each place: rows = maps.reshape(-1, channels). Then rows.T @ rows sums the "
    "products of channels over the places, and height * width * channels divides it.",
)
def _gram(gram: Callable) -> str:
    function(gram)
    maps = np.random.default_rng(0).normal(0.5, 1.0, (3, 4, 5))
    answer = gram(maps.copy())
    if answer is None or answer is ...:
        raise Wrong(f"The matrix is {answer}: nothing is returned yet.")
    answer = np.asarray(answer, "float64")
    if answer.shape == (12, 12):
        raise Wrong("That compares places with places. Channels are to be compared: rows.T @ rows.")
    if answer.shape != (5, 5):
        raise Wrong(f"With 5 channels the matrix is 5 x 5; yours has the shape {answer.shape}.")
    rows = maps.reshape(-1, 5)
    wanted = rows.T @ rows / maps.size
    centred = rows - rows.mean(axis=0)
    for other, message in (
        (wanted * maps.size, "Those are the sums; divide by height, width and channels."),
        (
            wanted * 5,
            "Divided by the places alone. Divide by the channels too, as AnimeGANv2 does: its "
            "weights are for that.",
        ),
        (wanted * 12, "Divided by the channels alone: by height and width, too."),
        (
            centred.T @ centred / maps.size,
            "That is a covariance. Nothing is subtracted: a channel's mean is part of the style.",
        ),
        (np.corrcoef(rows.T), "Those are correlations: how strong a channel is counts here, too."),
    ):
        if np.allclose(answer, other, atol=1e-8):
            raise Wrong(message)
    turned = maps.transpose(2, 0, 1).reshape(-1, 5)
    if np.allclose(answer, turned.T @ turned / maps.size, atol=1e-8):
        raise Wrong("Channels come last already: reshape without moving axes.")
    if not np.allclose(answer, wanted, rtol=1e-4, atol=1e-6):
        raise Wrong(
            f"The first entry should be {wanted[0, 0]:.4f} here; yours is {answer[0, 0]:.4f}."
        )
    return "Shuffle the places, and it stays the same: style is what is there, wherever it is."


# --- 11.2 -----------------------------------------------------------------------------------------


@exercise(
    "11.2",
    hint="images @ np.array([0.299, 0.587, 0.114]) is the brightness Y; put it into all three channels "
    "with np.repeat(y[..., None], 3, axis=-1), round, and make uint8 of it.",
)
def _grey(grey: Callable) -> str:
    function(grey)
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3)).astype("uint8")
    given = images.copy()
    answer = grey(given)
    if answer is None or answer is ...:
        raise Wrong(f"The pictures are {answer}: nothing is returned yet.")
    if not np.array_equal(given, images):
        raise Wrong("The pictures that were handed over have changed: make new ones.")
    answer = np.asarray(answer)
    if answer.shape == images.shape[:3]:
        raise Wrong("One number a pixel: a network for pictures wants it in all three channels.")
    if answer.shape != images.shape:
        raise Wrong(f"The shape should stay {images.shape}; yours is {answer.shape}.")
    if answer.dtype != np.uint8:
        raise Wrong(f"uint8 came in and {answer.dtype} came out: round, and make uint8 of it.")
    if (answer != answer[..., :1]).any():
        raise Wrong("The three channels differ, so some colour is left.")
    got, floats = answer[..., 0].astype(float), images.astype("float64")
    wanted = floats @ (0.299, 0.587, 0.114)
    if np.abs(got - floats.mean(axis=-1)).max() <= 1:
        raise Wrong(
            "That is the mean of the channels: blue would look as bright as green. Weigh them by "
            "0.299, 0.587 and 0.114."
        )
    if np.abs(got - floats @ (0.114, 0.587, 0.299)).max() <= 1:
        raise Wrong("Red and blue are exchanged: these pictures are RGB, not BGR.")
    if np.abs(got - wanted).max() > 1:
        raise Wrong(
            f"The first pixel should be {wanted[0, 0, 0]:.0f}; yours is {got[0, 0, 0]:.0f}."
        )
    return "Lines and shading are still there; what the generator must not copy is gone."


# --- 11.3 -----------------------------------------------------------------------------------------


@exercise(
    "11.3",
    hint="Four sums: the 1x1 convolution has channels * 2 channels weights, each of the 2 channels a "
    "kernel of 9 and a bias, the last 1x1 convolution 2 channels * filters; and every norm has two "
    "numbers a channel, of which there are three norms.",
)
def _light(light: Callable) -> str:
    function(light)

    def wanted(channels: int, filters: int) -> int:
        wide = 2 * channels
        return channels * wide + 2 * wide + 10 * wide + 2 * wide + wide * filters + 2 * filters

    value = number(light(128, 256), "The count")
    wide, norms = 256, 2 * 256 + 2 * 256 + 2 * 256
    for other, message in (
        (wanted(128, 256) - norms, "The three norms are missing: a scale and a shift a channel."),
        (wanted(128, 256) - norms // 2, "A norm has two numbers a channel, a scale and a shift."),
        (wanted(128, 256) - wide, "The biases of the 3x3 kernels are missing: one a channel."),
        (
            wanted(128, 256) + 9 * wide * wide - 9 * wide,
            "That is a full 3x3 convolution in the middle. Here each channel has a kernel of its own "
            "and sees no other.",
        ),
    ):
        if close(value, other):
            raise Wrong(message)
    if not close(value, wanted(128, 256)):
        raise Wrong(f"light(128, 256) should be {wanted(128, 256):,}; yours is {value:,.0f}.")
    if not close(number(light(256, 256), "The count"), wanted(256, 256)):
        raise Wrong("Right for 128 to 256 channels, and wrong for 256 to 256.")
    return "Channels look at channels in the 1x1 layers alone, which is nine times cheaper."


# --- 11.4 -----------------------------------------------------------------------------------------


@exercise(
    "11.4",
    hint="Go backwards. One logit sees `seen = 1` place. A layer before it makes that "
    "(seen - 1) * stride + kernel places of what came in.",
)
def _patch(patch: Callable) -> str:
    function(patch)

    def wanted(layers: Sequence[tuple[int, int]]) -> int:
        seen = 1
        for kernel, stride in reversed(layers):
            seen = (seen - 1) * stride + kernel
        return seen

    discriminator = [(3, 1), (3, 2), (3, 1), (3, 2), (3, 1), (3, 1), (3, 1)]
    for layers in ([(3, 1)], [(3, 1), (3, 1)], [(3, 2), (5, 2)], discriminator):
        value = number(patch(list(layers)), f"patch({layers})")
        if close(value, wanted(layers)):
            continue
        if close(value, sum(kernel for kernel, _ in layers)) and len(layers) > 1:
            raise Wrong("Kernels do not add up: their windows overlap, and strides widen them.")
        if close(value, 1 + sum(kernel - 1 for kernel, _ in layers)) and len(layers) > 1:
            raise Wrong(
                "Without strides that would be right. After a stride of 2, a step of one place is a "
                "step of two pixels."
            )
        if close(value, wanted(layers[::-1])):
            raise Wrong("Layers are in the order of the picture's way: begin with the last one.")
        raise Wrong(f"patch({layers}) should be {wanted(layers)}; yours is {value:g}.")
    return "37 pixels: a lock of hair in 256, half a face in 64. It judges line, not likeness."


# --- 11.5 -----------------------------------------------------------------------------------------

KNOBS = ("content", "style", "color", "total_variation", "adversarial", "first_steps", "seed")
MEASURES = ("L1", "SSIM", "features", "FID", "hair_color", "expression", "landmarks")


@exercise(
    "11.5",
    hint='For example: change {"content": [0, 100]}, keep everything else, at least two seeds, and '
    "measure what you expect to suffer.",
)
def _without(answer: Any) -> str:
    plan(answer, "change", "keep", "seeds", "measure", "prediction")
    name, values = one_change(answer, KNOBS)
    if name == "seed":
        raise Wrong("Other seeds tell how much is luck; what is the question?")
    if not any(value == 0 for value in values):
        raise Wrong(f"To see what {name} is for, one of its values must be 0.")
    kept = answer["keep"]
    if isinstance(kept.get("seed"), int):
        raise Wrong("Seeds go under `seeds`: each of them with every value.")
    if len(set(answer["seeds"])) < 2:
        raise Wrong("With one seed you could not tell the loss from luck: take two or more.")
    measures = answer["measure"]
    measures = [measures] if isinstance(measures, str) else list(measures)
    unknown = [measure for measure in measures if measure not in MEASURES]
    if unknown or not measures:
        raise Wrong(f"Measure one or more of {', '.join(MEASURES)}.")
    expectation(answer)
    return "One loss, two values, and a number that could prove you wrong."
