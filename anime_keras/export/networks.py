"""What leaves the kit: of each model one network with named inputs, which all formats share.

Everything that a model does outside of its networks, such as truncation, words, or a Gaussian of codes,
is inside here, so that whoever opens the file needs to know nothing but its inputs. All of them answer
with `images`, float32 (batch, size, size, 3) in [-1, 1], as networks in this kit do: a file may be
the first of several steps, and rounding to uint8 belongs to the last.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import latents, models
from anime_keras.models.vae import Autoencoder

Tensor = Any
LATENTS = "standard normal numbers: the same ones always give the same picture"
PICTURES = "RGB pictures, -1 for 0 and 1 for 255"


def network(model: keras.Model, direction: str = "x2y") -> keras.Model:
    """A model's way from inputs to pictures, as it draws with it: averaged, and in inference.

    Args:
        model: of `anime_keras.models`, trained or not, computing in float32.
        direction: of a CycleGAN, "x2y" or "y2x".

    Returns:
        A network with named inputs, each (batch, …), and one output, `images`. `meaning` says in words
        what the inputs are, and `examples` makes some.

    Raises:
        ValueError: a model of another kind or another precision.
    """
    build = next((b for kind, b in BUILDERS.items() if isinstance(model, kind)), None)
    if build is None:
        raise ValueError(f"There is no way to export a {type(model).__name__}.")
    inputs, images = build(model, direction)
    found = keras.Model(inputs, {"images": images}, name=type(model).__name__.lower())
    if dtypes := {layer.compute_dtype for layer in found._flatten_layers()} - {"float32", "int32"}:
        raise ValueError(
            f"This model computes in {', '.join(sorted(dtypes))}. Load it after "
            "keras.config.set_dtype_policy('float32'): other programs would round differently."
        )
    return found


def _dcgan(model: Any, direction: str) -> tuple[list[Tensor], Tensor]:
    model.settle()
    points = layers.Input((model.latent_dim,), name="latents")
    return [points], (model.average or model.generator)(points)


def _conditional(model: Any, direction: str) -> tuple[list[Tensor], Tensor]:
    model.settle()
    points = layers.Input((model.latent_dim,), name="latents")
    words = [layers.Input((), dtype="int32", name=name) for name in model.attributes]
    rows = [
        ops.one_hot(word, len(those), dtype="float32")
        for word, those in zip(words, model.attributes.values(), strict=True)
    ]
    joined = layers.Concatenate(name="asked")([points, *rows])
    return [points, *words], (model.average or model.generator)(joined)


def _autoencoder(model: Any, direction: str) -> tuple[list[Tensor], Tensor]:
    points = layers.Input((model.latent_dim,), name="latents")
    pixels = model.decoder(model.density(points))
    return [points], ops.tanh(0.5 * pixels) if model.likelihood == "bernoulli" else pixels


def _stylegan2(model: Any, direction: str) -> tuple[list[Tensor], Tensor]:
    points = layers.Input((model.latent_dim,), name="latents")
    truncation = layers.Input((1,), name="truncation")
    mean = ops.convert_to_numpy(model.means.w)
    w = model.average_mapping(points)
    w = truncation * (w - mean) + mean
    styles = layers.RepeatVector(model.style_count, name="styles")(w)
    noises = Constants(model.fixed_noise, name="noise")(points)
    images = model.average_synthesis([styles, *noises])
    return [points, truncation], ops.clip(images, -1.0, 1.0)


def _cyclegan(model: Any, direction: str) -> tuple[list[Tensor], Tensor]:
    return _translation(model.generator(direction), model.image_size)


def _animegan(model: Any, direction: str) -> tuple[list[Tensor], Tensor]:
    return _translation(model.average or model.generator, model.image_size)


def _translation(generator: keras.Model, size: int) -> tuple[list[Tensor], Tensor]:
    pictures = layers.Input((size, size, 3), name="pictures")
    return [pictures], generator(pictures)


BUILDERS: dict[type, Callable[[Any, str], tuple[list[Tensor], Tensor]]] = {
    models.ConditionalDCGAN: _conditional,  # before what it is a kind of
    models.DCGAN: _dcgan,
    Autoencoder: _autoencoder,
    models.StyleGAN2: _stylegan2,
    models.CycleGAN: _cyclegan,
    models.AnimeGAN: _animegan,
}


@keras.saving.register_keras_serializable("anime_keras")
class Constants(layers.Layer):
    """Hands out the same arrays, whatever it is given: noise that belongs to the network.

    Args:
        arrays: float32, in the order in which they are handed out.
    """

    def __init__(self, arrays: list[np.ndarray], **kwargs) -> None:
        super().__init__(**kwargs)
        self.arrays = [np.asarray(array, "float32") for array in arrays]
        self.built = True

    def call(self, inputs: Tensor) -> list[Tensor]:
        """The arrays."""
        return [ops.convert_to_tensor(array) for array in self.arrays]

    def compute_output_spec(self, inputs: Tensor) -> list[keras.KerasTensor]:
        """Their shapes."""
        return [keras.KerasTensor(array.shape, "float32") for array in self.arrays]

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "arrays": [array.tolist() for array in self.arrays]}


# --- what goes in ---------------------------------------------------------------------------------


def meaning(model: keras.Model, exported: keras.Model) -> dict[str, str]:
    """What each input of a model's `network` is, in words, with its range."""
    found = {}
    for name in (tensor.name for tensor in exported.inputs):
        if name == "pictures":
            found[name] = PICTURES
        elif name == "latents":
            found[name] = LATENTS
        elif name == "truncation":
            found[name] = "from 0, the mean face, to 1; at 0.7 faces are better and less various"
        else:
            words = ", ".join(f"{i} {word}" for i, word in enumerate(model.attributes[name]))
            found[name] = f"what to draw: {words}"
    return found


def examples(
    model: keras.Model, exported: keras.Model, count: int = 8, seed: int = 0
) -> dict[str, np.ndarray]:
    """Inputs for a model's `network`, as `count` people who use it might choose them.

    Latents and words are those of the model's own first pictures of the seed.
    """
    rng = np.random.default_rng(seed)
    found = {}
    for tensor in exported.inputs:
        if tensor.name == "pictures":
            pixels = rng.integers(0, 256, (count, *tensor.shape[1:]))
            found[tensor.name] = (pixels / 127.5 - 1.0).astype("float32")
        elif tensor.name == "latents":
            found[tensor.name] = latents.draw(count, model.latent_dim, seed)
        elif tensor.name == "truncation":
            found[tensor.name] = np.linspace(0.0, 1.0, count, dtype="float32")[:, None]
    if isinstance(model, models.ConditionalDCGAN):
        found |= {n: w.astype("int32") for n, w in model.ask(count, seed).items()}
    return found
