"""Random changes to pictures: the same face mirrored, tilted, moved, in other light, partly hidden.

A network that sees each picture a little different every time learns the face instead of the file.
What changes must stay plausible: a generator learns to draw everything that it is shown, tilted
heads and filled borders too (Karras et al. 2020, arXiv:2006.06676, section 2.2, "leaking").

The changes are Keras' preprocessing layers. As layers they draw from a counter, so what a picture
becomes depends on all that was drawn before. Here each batch brings its own key instead: the same
key makes the same changes, in any order, thread or process, and training can go on anywhere.

Where TensorFlow is not installed pictures can be mirrored, by NumPy, and nothing else.
"""

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

GREY = 0.5


@dataclass(frozen=True)
class Augmentation:
    """What is changed at random, and how much at most; 0 leaves it alone.

    Each picture of a batch gets draws of its own, uniform between the limits. What a rotation or
    translation brings in from outside is the picture reflected at its border.

    Attributes:
        flip: mirror left and right with probability one half.
        rotation: degrees, to either side, up to 180; bilinear.
        translation: fraction of the height and, drawn anew, of the width, up to 1; bilinear.
        brightness: added to or taken from all values, as a fraction of black to white, up to 1.
        contrast: distances from the mean of each channel times 1 - this to 1 + this, up to 1.
        saturation: HSV saturation times 1 - this to 1 + this, up to 1; grey stays grey.
        hue: turned by this fraction of the colour circle to either side, up to 0.5; grey stays grey.
            0.1 makes green of skin and orange of red hair: nothing for those who learn colours.
        cutout: side of a grey square at a random place, as a fraction of the picture's side, up to 1
            (DeVries & Taylor 2017, arXiv:1708.04552; here all of it lies within the picture).

    Raises:
        ValueError: a number is out of its range.
    """

    flip: bool = False
    rotation: float = 0.0
    translation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    cutout: float = 0.0

    def __post_init__(self) -> None:
        limits = {"rotation": 180.0, "hue": 0.5}
        for name, value in asdict(self).items():
            if not 0 <= value <= limits.get(name, 1.0):
                raise ValueError(
                    f"{name} must be between 0 and {limits.get(name, 1.0):g}, not {value}."
                )
            if value and name != "flip" and not tensorflow_is_there():
                raise ValueError(
                    f"{name} is changed by TensorFlow, which is not installed: leave it out, or "
                    "pip install tensorflow."
                )

    def __bool__(self) -> bool:
        """Whether anything is changed at all."""
        return any(asdict(self).values())

    def __call__(self, images: Any, key: Any) -> Any:
        """Change a batch. TensorFlow does it, inside `tf.data` too, whatever backend Keras has.

        Args:
            images: float32 (count, height, width, 3) in [0, 1].
            key: int32 (2,), such as `key(seed, number)` makes; the same two numbers change the same
                pictures in the same way.

        Returns:
            A tensor of the same shape, type and range; without TensorFlow an array.
        """
        if not tensorflow_is_there():
            mirrored = np.random.default_rng(key).random((len(images), 1, 1, 1)) < 0.5
            return np.where(mirrored, images[:, :, ::-1], images) if self.flip else images

        import tensorflow as tf

        with tf.device("CPU:0"):  # beside a GPU too: where it runs must not change the result
            seeds = _seeds(key)
            for change in self._changes:
                images = change(images, seeds)
            return images

    @functools.cached_property
    def _changes(self) -> list[Any]:
        """The changes as functions of (images, seeds), in the order in which they happen."""
        from keras import layers

        # Where training computes in bfloat16, colours keep their 24 bits. The layers' own seeds are
        # never drawn from; a number keeps Keras from taking one from Python's random state.
        fixed = {"dtype": "float32", "seed": 0, "data_format": "channels_last"}
        colors = {**fixed, "value_range": (0.0, 1.0)}
        changes = []
        if self.flip:
            changes.append(_change(layers.RandomFlip("horizontal", **fixed)))
        if self.rotation or self.translation:
            changes.append(
                _move(
                    layers.RandomRotation(self.rotation / 360.0, **fixed),
                    layers.RandomTranslation(self.translation, self.translation, **fixed),
                )
            )
        if self.brightness:
            changes.append(_change(layers.RandomBrightness(self.brightness, **colors)))
        if self.contrast:
            # Both ends by name: of a single number Keras takes 1 as the lower one.
            ends = (self.contrast, self.contrast)
            changes.append(_change(layers.RandomContrast(ends, **colors)))
        if self.saturation:
            # Keras multiplies by factor / (1 - factor): these two ends give 1 - this and 1 + this.
            ends = [
                times / (1.0 + times) for times in (1.0 - self.saturation, 1.0 + self.saturation)
            ]
            changes.append(_change(layers.RandomSaturation(ends, **colors)))
        if self.hue:
            # Keras' factor of 1 is half the circle.
            changes.append(_change(layers.RandomHue((0.0, 2.0 * self.hue), **colors)))
        if self.cutout:
            area = self.cutout**2
            square = {"factor": (1.0, 1.0), "scale": (area, area), "fill_value": GREY}
            changes.append(_change(layers.RandomErasing(**square, **colors)))
        return changes


def tensorflow_is_there() -> bool:
    """Whether TensorFlow could be imported."""
    return importlib.util.find_spec("tensorflow") is not None


def key(seed: int, number: int) -> np.ndarray:
    """The key of batch `number`: int32 (2,), well mixed, so that neighbours have nothing in common."""
    state = np.random.SeedSequence((seed, number)).generate_state(2)
    return (state % (2**31 - 1)).astype(np.int32)


def _seeds(key: Any) -> Any:
    """A Keras seed generator without a state of its own: draw number n is a function of (key, n)."""
    import keras
    import tensorflow as tf

    class Seeds(keras.random.SeedGenerator):
        def __init__(self) -> None:
            self.draws = 0

        def next(self, ordered: bool = True) -> Any:
            self.draws += 1
            return tf.cast(key, "int64") + tf.constant([0, self.draws], "int64")

    return Seeds()


def _change(layer: Any) -> Any:
    """A Keras layer as a function of (images, seeds)."""
    layer.backend.set_backend("tensorflow")

    def change(images: Any, seeds: Any) -> Any:
        changes = layer.get_random_transformation(images, training=True, seed=seeds)
        return layer.transform_images(images, changes, training=True)

    return change


def _move(rotation: Any, translation: Any) -> Any:
    """Both in one resampling: two would blur twice, and cost twice the time."""
    rotation.backend.set_backend("tensorflow")
    translation.backend.set_backend("tensorflow")

    def change(images: Any, seeds: Any) -> Any:
        turn = rotation.get_random_transformation(images, training=True, seed=seeds)
        move = translation.get_random_transformation(images, training=True, seed=seeds)
        matrix = _after(turn["rotation_matrix"], move["translations"])
        return rotation.transform_images(images, {**turn, "rotation_matrix": matrix}, training=True)

    return change


def _after(matrices: Any, shifts: Any) -> Any:
    """Matrices (count, 8), from where a pixel goes to where it comes from, shifted by (x, y)."""
    import tensorflow as tf

    a0, a1, a2, b0, b1, b2 = tf.unstack(matrices[:, :6], axis=1)
    x, y = tf.unstack(shifts, axis=1)
    columns: Sequence[Any] = (a0, a1, a2 - a0 * x - a1 * y, b0, b1, b2 - b0 * x - b1 * y)
    return tf.concat([tf.stack(columns, axis=1), matrices[:, 6:]], axis=1)
