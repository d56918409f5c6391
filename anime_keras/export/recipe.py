"""A generator as a list of steps that are simple enough to be written down in any language.

    {"op": "dense", "kernel": (inputs, outputs), "bias": (outputs,) …}

`engine.js` carries them out in a browser, and `Recipe.draw` does the same with NumPy, slowly, so that
a page can be checked where there is no browser. Maps are (channels, height, width). A face is made in
two parts: `mapping` turns latents into a code, which the page's sliders move, and `synthesis` turns the
code into a picture. Codes of a StyleGAN2 are styles w; of a VAE its codes; of a DCGAN the latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import latents, models, modulation, training
from anime_keras.layers import BatchNormalization, Upsample
from anime_keras.models import stylegan2
from anime_keras.models.vae import Autoencoder

Step = dict[str, Any]
SAMPLES = 1024  # pictures by which directions are found
BATCH = 64
COARSE = 16  # pixels a side, to which they are shrunk for that


@dataclass
class Recipe:
    """How a generator's faces are made.

    Attributes:
        size: of the pictures in pixels.
        latent_dim: how many standard normal numbers a face begins with.
        mapping: steps from these to a code.
        synthesis: steps from codes, and words behind the first, to a picture in [-1, 1].
        styles: codes that a picture takes; more than one can be of several faces.
        mean: code of the average face, which truncation moves towards; None where there is none.
        words: attribute -> its words, for a model that can be asked for them.
    """

    size: int
    latent_dim: int
    synthesis: list[Step]
    mapping: list[Step] = field(default_factory=list)
    styles: int = 1
    mean: np.ndarray | None = None
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def codes(self, points: np.ndarray) -> np.ndarray:
        """Latents (count, latent_dim) to codes (count, code_dim)."""
        return np.stack([_run(self.mapping, point, []) for point in points])

    def draw(
        self, latents: np.ndarray, truncation: np.ndarray | None = None, **words: np.ndarray
    ) -> np.ndarray:
        """Pictures (count, size, size, 3) in [-1, 1] of the inputs that `networks.network` has."""
        found = []
        for i, code in enumerate(self.codes(latents)):
            if truncation is not None:
                code = self.mean + truncation[i] * (code - self.mean)
            rows = [np.arange(len(those)) == words[name][i] for name, those in self.words.items()]
            code = np.concatenate([code, *rows])
            found.append(_run(self.synthesis, None, [code] * self.styles))
        return np.stack(found).transpose(0, 2, 3, 1)


def of(model: keras.Model) -> Recipe:
    """The recipe of a model that draws faces from noise.

    Raises:
        ValueError: it does not.
    """
    if isinstance(model, models.StyleGAN2):
        return _stylegan2(model)
    if isinstance(model, Autoencoder):
        density = {
            "op": "dense",
            "kernel": model.density.root.numpy().T,
            "bias": model.density.mean.numpy(),
        }
        steps = _chain(model.decoder)
        if model.likelihood == "bernoulli":
            steps.append({"op": "tanh", "gain": 0.5})
        return Recipe(model.image_size, model.latent_dim, steps, [density])
    if isinstance(model, models.DCGAN):
        model.settle()
        words = getattr(model, "attributes", {})
        steps = _chain(model.average or model.generator)
        return Recipe(model.image_size, model.latent_dim, steps, words=words)
    raise ValueError(
        f"A page makes faces from noise, and {type(model).__name__} does not: it translates pictures. "
        "Export it as onnx, savedmodel or litert."
    )


# --- from layers to steps -------------------------------------------------------------------------


def _chain(network: keras.Model) -> list[Step]:
    """The steps of a network whose layers follow one another: DCGAN's generator, a VAE's decoder."""
    steps: list[Step] = []
    for layer in network.layers:
        match layer:
            case layers.InputLayer():
                pass
            case layers.Dense():
                steps.append({"op": "dense", "style": 0, "kernel": _array(layer.kernel)})
                if layer.use_bias:
                    steps[-1]["bias"] = _array(layer.bias)
            case layers.Reshape():  # of what a dense layer gave, whose columns change places
                height, width, channels = layer.target_shape
                kernel = steps[-1]["kernel"].reshape(-1, height, width, channels)
                steps[-1]["kernel"] = kernel.transpose(0, 3, 1, 2).reshape(len(kernel), -1)
                steps[-1]["shape"] = (channels, height, width)
            case BatchNormalization():
                mean, variance = _array(layer.moving_mean), _array(layer.moving_variance)
                scale = _array(layer.gamma) / np.sqrt(variance + layer.epsilon)
                shift = _array(layer.beta) - mean * scale
                steps.append({"op": "scale", "scale": scale, "shift": shift})
            case layers.ReLU():
                steps.append({"op": "leaky", "slope": 0.0})
            case Upsample():
                steps.append({"op": "conv", **_transposed(_array(layer.kernel), padding=1)})
            case layers.Activation() if layer.activation is keras.activations.tanh:
                steps.append({"op": "tanh", "gain": 1.0})
            case layers.Activation() if layer.activation is keras.activations.linear:
                pass
            case _:
                raise ValueError(f"A page cannot be made of a {type(layer).__name__} layer.")
    return steps


def _stylegan2(model: Any) -> Recipe:
    mapping = [{"op": "normalize"}]
    for layer in model.average_mapping.layers:
        if isinstance(layer, modulation.EqualizedDense):
            mapping += [_affine(layer), {"op": "leaky", "slope": modulation.LEAK}]
    network = model.average_synthesis
    maps = _array(network.get_layer("constant").maps).transpose(2, 0, 1)
    synthesis: list[Step] = [{"op": "constant", "maps": maps}]
    sizes = stylegan2.noise_sizes(model.image_size)
    for style, (size, noise) in enumerate(zip(sizes, model.fixed_noise, strict=True)):
        up = size > 4 and sizes.index(size) == style
        layer = network.get_layer(f"conv_{size}_{'up' if up else 'same'}")
        synthesis.append(_styled(layer, style, noise))
        if (
            not up
        ):  # the second at this size: colours, by the style of the convolution that comes next
            synthesis.append(_colours(network.get_layer(f"rgb_{size}"), style + 1))
    synthesis.append({"op": "clip"})
    return Recipe(
        model.image_size,
        model.latent_dim,
        synthesis,
        mapping,
        styles=model.style_count,
        mean=_array(model.means.w),
    )


def _styled(layer: modulation.StyledConv2D, style: int, noise: np.ndarray) -> Step:
    kernel, gain = _array(layer.kernel), modulation.GAIN
    convolution = _transposed(kernel.swapaxes(2, 3), padding=0) if layer.up else _same(kernel)
    return {
        "op": "styled",
        "style": style,
        "affine": _affine(layer.affine),
        **convolution,
        "gain": gain,
        "noise": noise.reshape(-1) * _array(layer.strength) * gain,
        "bias": _array(layer.bias) * gain,
        "slope": modulation.LEAK,
    }


def _colours(layer: modulation.ToRGB, style: int) -> Step:
    return {
        "op": "colours",
        "style": style,
        "affine": _affine(layer.affine),
        **_same(_array(layer.kernel)),
        "gain": layer.scale,
        "bias": _array(layer.bias),
    }


def _array(variable: Any) -> np.ndarray:
    return ops.convert_to_numpy(variable)


def _affine(layer: modulation.EqualizedDense) -> Step:
    """A dense layer whose weights are scaled when they are used."""
    gain = modulation.GAIN if layer.activate else 1.0
    return {
        "op": "dense",
        "kernel": _array(layer.kernel),
        "gain": layer.gain * gain,
        "bias": _array(layer.bias) * (layer.multiplier * gain),
    }


def _same(kernel: np.ndarray) -> Step:
    """A convolution with a kernel (size, size, in, out) that keeps the size, for a `conv` step."""
    around = len(kernel) // 2
    return {
        "stride": 1,
        "extra": 0,
        "parts": [{"kernel": kernel, "row": 0, "column": 0, "top": around, "left": around}],
    }


def _transposed(kernel: np.ndarray, padding: int) -> Step:
    """A transposed convolution at stride 2, as four plain ones that each give a quarter of the places.

    Output 2 m + row takes those taps of the kernel that are as even or odd as it is, and what they meet
    of the input are neighbours; so no zeros between the inputs need to be multiplied.

    Args:
        kernel: (size, size, out, in).
        padding: rows and columns that are cut off the full result on each side.
    """
    parts = []
    for row in (0, 1):
        for column in (0, 1):
            taps = kernel[(row + padding) % 2 :: 2, (column + padding) % 2 :: 2][::-1, ::-1]
            top, left = (
                taps.shape[axis] - 1 - (place + padding) // 2
                for axis, place in enumerate((row, column))
            )
            taps = np.ascontiguousarray(taps.swapaxes(2, 3))
            parts.append({"kernel": taps, "row": row, "column": column, "top": top, "left": left})
    return {"stride": 2, "extra": len(kernel) - 2 - 2 * padding, "parts": parts}


# --- the steps with NumPy -------------------------------------------------------------------------


def _run(steps: Sequence[Step], x: np.ndarray | None, codes: Sequence[np.ndarray]) -> np.ndarray:
    """Carry out steps for one picture."""
    colours = None
    for step in steps:
        match step["op"]:
            case "normalize":
                x = x * np.sqrt(len(x) / np.sum(x**2))
            case "dense":
                x = _dense(step, codes[step["style"]] if "style" in step else x)
                x = x.reshape(step.get("shape", -1))
            case "scale":
                x = x * step["scale"][:, None, None] + step["shift"][:, None, None]
            case "leaky":
                x = np.where(x > 0, x, step["slope"] * x)
            case "tanh":
                x = np.tanh(step["gain"] * x)
            case "clip":
                x = np.clip(colours, -1.0, 1.0)
            case "constant":
                x = step["maps"]
            case "conv":
                x = _conv(step, x)
            case "styled":
                style = _dense(step["affine"], codes[step["style"]])
                squares = sum(np.sum(part["kernel"] ** 2, axis=(0, 1)) for part in step["parts"])
                lengths = step["gain"] / np.sqrt(style**2 @ squares + 1e-8)
                x = _conv(step, x * style[:, None, None])
                if step["stride"] == 2:
                    x = _smooth(x, 1, 1)
                noise = step["noise"].reshape(x.shape[1:])
                x = x * lengths[:, None, None] + noise + step["bias"][:, None, None]
                x = np.where(x > 0, x, step["slope"] * x)
            case "colours":
                style = _dense(step["affine"], codes[step["style"]]) * step["gain"]
                rgb = _conv(step, x * style[:, None, None]) + step["bias"][:, None, None]
                if colours is not None:
                    spread = np.zeros((3, 2 * colours.shape[1], 2 * colours.shape[2]))
                    spread[:, ::2, ::2] = colours
                    rgb = rgb + _smooth(spread, 2, 1)
                colours = rgb
    return x


def _dense(step: Step, x: np.ndarray) -> np.ndarray:
    return x @ step["kernel"] * step.get("gain", 1.0) + step.get("bias", 0.0)


def _conv(step: Step, x: np.ndarray) -> np.ndarray:
    stride = step["stride"]
    height, width = (side * stride + step["extra"] for side in x.shape[1:])
    found = np.zeros((step["parts"][0]["kernel"].shape[-1], height, width))
    for part in step["parts"]:
        place = found[:, part["row"] :: stride, part["column"] :: stride]
        rows, columns = place.shape[1:]
        framed = np.pad(x, ((0, 0), (part["top"], 2), (part["left"], 2)))
        for u, row in enumerate(part["kernel"]):
            for v, tap in enumerate(row):
                place += np.tensordot(tap.T, framed[:, u : u + rows, v : v + columns], 1)
    return found


def _smooth(x: np.ndarray, before: int, after: int) -> np.ndarray:
    """(1, 3, 3, 1) / 4 along both axes: gain 4, since of four places between three were empty."""
    x = np.pad(x, ((0, 0), (before, after), (before, after)))
    for axis in (1, 2):
        length = x.shape[axis] - 3
        x = sum(
            tap / 4 * np.take(x, np.arange(start, start + length), axis)
            for start, tap in enumerate((1, 3, 3, 1))
        )
    return x


# --- what to move ---------------------------------------------------------------------------------


def samples(recipe: Recipe, network: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Codes (n, code_dim) of random faces, and their pictures (n, size, size, 3) in [-1, 1].

    Args:
        recipe: of the generator.
        network: of `networks.network`, by which the pictures are made.
    """
    points, rng = latents.draw(SAMPLES, recipe.latent_dim, seed=1), np.random.default_rng(1)
    inputs = {"latents": points}
    for name, words in recipe.words.items():
        inputs[name] = rng.integers(len(words), size=SAMPLES, dtype="int32")
    if recipe.mean is not None:
        inputs["truncation"] = np.ones((SAMPLES, 1), "float32")
    pictures = [
        training.forward(network, {name: x[i : i + BATCH] for name, x in inputs.items()})["images"]
        for i in range(0, SAMPLES, BATCH)
    ]
    return recipe.codes(points), np.concatenate(pictures)


def directions(codes: np.ndarray, pictures: np.ndarray, count: int = 8) -> np.ndarray:
    """The directions of codes in which faces differ most, each a standard deviation long.

    Reduced-rank regression (Izenman 1975, "Reduced-Rank Regression for the Multivariate Linear Model"):
    pictures are predicted from codes by least squares, and of what is predicted the principal
    components are taken. The first direction accounts for more of it than any other could, and so on.

    Args:
        codes: (n, code_dim).
        pictures: of them, (n, size, size, 3).
        count: how many directions, at most as many as codes have numbers.

    Returns:
        float32 (count, code_dim); pictures become brighter along each.
    """
    n, step = len(codes), pictures.shape[1] // COARSE
    pictures = pictures.reshape(n, COARSE, step, COARSE, step, 3).mean(axis=(2, 4))
    pictures = (pictures - pictures.mean(axis=0)).reshape(n, -1)
    # In coordinates in which codes have covariance 1, where a direction of length 1 is a deviation.
    centred = codes - codes.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / n)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    whitened = centred @ (vectors / np.sqrt(np.maximum(values, 1e-9 * values.max())))
    slopes = whitened.T @ pictures / n
    chosen, _, seen = np.linalg.svd(slopes, full_matrices=False)
    chosen, seen = chosen[:, :count], seen[:count]
    return (root @ (chosen * np.where(seen.sum(axis=1) < 0, -1.0, 1.0))).T.astype("float32")
