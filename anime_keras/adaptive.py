"""Augmentation that is as strong as the discriminator's overfitting asks for.

Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data" (ada), section 3 and
appendix B. Everything that the discriminator sees, real or generated, is changed at random, each change
with the same probability p. As long as p is below about 0.8 a generator can only look right after the
changes by being right before them (section 2.2), so it does not learn to draw them. p rises while the
discriminator is surer of the training pictures than it would be without having learned them by heart.
"""

import math
from typing import Any

import keras
from keras import ops

from anime_keras import replicas

Tensor = Any
TARGET = 0.6  # of the mean sign of D(real) (ada, section 3.1)
UNIT = 500_000  # pictures in which p can go from 0 to 1 (section 3.1)
EVERY = 4  # steps between two looks at p (section 3.1)
LUMA = (1 / math.sqrt(3.0),) * 3


@keras.saving.register_keras_serializable("anime_keras")
class AdaptiveAugmentation(keras.layers.Layer):
    """Blits, geometric changes and changes of colour, each with probability p; and p itself.

    The changes, their order and their strengths are those of appendix B, figure "bgc": mirroring,
    quarter turns, whole shifts; scaling, turning, stretching, fractional shifts; brightness, contrast,
    inversion of lightness, hue, saturation. All geometric ones are one affine map, sampled bilinearly
    over the picture and its mirror images (the authors sample twice as finely, by wavelets), and all
    changes of colour another.

    Args:
        target: what the mean sign of the discriminator's logits of real pictures is kept at.
        unit: pictures in which p can go from 0 to 1.
        seed: of the layer's own random state, which is saved with the model.

    Attributes:
        probability: p, a variable.
    """

    def __init__(self, target: float = TARGET, unit: int = UNIT, seed: int = 0, **kwargs) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.target, self.unit, self.seed = target, unit, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.probability = self.add_weight((), "zeros", trainable=False, name="probability")
        self.signs = self.add_weight((), "zeros", trainable=False, name="signs")
        self.looks = self.add_weight((), "zeros", "int32", trainable=False, name="looks")
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """Change each picture of a batch (batch, size, size, channels) in [-1, 1] by itself."""
        count, size = ops.shape(images)[0], images.shape[1]
        return recolour(sample(images, self.draw_maps(count, size)), self.draw_colours(count))

    def adapt(self, real_logits: Tensor) -> None:
        """Look at the discriminator's logits of real pictures; every fourth time move p.

        Its sign is 1 if the mean sign of the logits since the last move is above the target, which is
        how overfitting shows itself (section 3.1, heuristic r_t), and -1 below.
        """
        batch = replicas.count() * ops.cast(ops.shape(real_logits)[0], "float32")
        sign = replicas.mean(ops.mean(ops.sign(ops.cast(real_logits, "float32"))))
        signs = self.signs + sign
        due = ops.equal(self.looks % EVERY, EVERY - 1)
        step = ops.sign(signs / EVERY - self.target) * batch * EVERY / self.unit
        moved = ops.clip(self.probability + step, 0.0, 1.0)
        self.probability.assign(ops.where(due, moved, self.probability.value))
        self.signs.assign(ops.where(due, ops.zeros_like(signs), signs))
        self.looks.assign(self.looks + 1)

    def draw_maps(self, count: int | Tensor, size: int) -> Tensor:
        """Where each pixel of the result is looked up: (count, 3, 3) over (x, y, 1) in [-1, 1]."""

        def whole() -> Tensor:
            """A shift by whole pixels, up to an eighth of the size."""
            pixels = ops.round(self._uniform(count, -0.125, 0.125) * size)
            return self._pick(count, pixels * (2.0 / size), 0.0)

        half = math.log(2.0) * 0.2
        turning = 1.0 - ops.sqrt(1.0 - self.probability)  # before or after: p in all
        maps = ops.tile(ops.eye(3)[None], (count, 1, 1))
        for linear, shift in (
            (_scaling(self._pick(count, self._sign(count), 1.0), 1.0), None),  # mirrored
            (_rotation(self._pick(count, self._quarter(count), 0.0)), None),
            (None, [whole(), whole()]),
            (_scaling(*(self._pick(count, self._exp(count, half), 1.0),) * 2), None),
            (_rotation(self._pick(count, self._angle(count), 0.0, turning)), None),
            (self._stretch(count, half), None),
            (_rotation(self._pick(count, self._angle(count), 0.0, turning)), None),
            (None, [self._pick(count, self._normal(count, 0.25), 0.0) for _ in range(2)]),
        ):
            maps = ops.matmul(maps, _affine(count, linear, shift))
        return maps

    def draw_colours(self, count: int | Tensor) -> Tensor:
        """(count, 4, 4) over (red, green, blue, 1) in [-1, 1]."""
        luma = ops.reshape(ops.convert_to_tensor((*LUMA, 0.0), "float32"), (1, 4, 1))
        onto = ops.matmul(luma, ops.transpose(luma, (0, 2, 1)))  # projection to the grey axis
        one = ops.eye(4)[None]
        colour = ops.eye(4)[None] - ops.reshape(
            ops.convert_to_tensor([0.0] * 15 + [1.0], "float32"), (1, 4, 4)
        )

        brightness = self._pick(count, self._normal(count, 0.2), 0.0)
        contrast = self._pick(count, self._exp(count, math.log(2.0) * 0.5), 1.0)
        inverted = self._pick(count, ops.ones((count,)), 0.0)
        hue = self._pick(count, self._angle(count), 0.0)
        saturation = self._pick(count, self._exp(count, math.log(2.0)), 1.0)

        def each(values: Tensor) -> Tensor:
            return values[:, None, None]

        corner = ops.reshape(ops.convert_to_tensor([0.0] * 3 + [1.0], "float32"), (1, 1, 4))
        ones = ops.reshape(ops.convert_to_tensor([1.0] * 3 + [0.0], "float32"), (1, 4, 1))
        maps = one + each(brightness) * ops.matmul(ones, corner)
        maps = ops.matmul(one + each(contrast - 1.0) * colour, maps)
        maps = ops.matmul(one - each(2.0 * inverted) * onto, maps)
        # Rodrigues: a turn about the grey axis.
        x, y, z = LUMA
        cross = ops.convert_to_tensor(
            [[0, -z, y, 0], [z, 0, -x, 0], [-y, x, 0, 0], [0, 0, 0, 0]], "float32"
        )[None]
        turn = one + each(ops.sin(hue)) * cross + each(1.0 - ops.cos(hue)) * (onto - colour)
        maps = ops.matmul(turn, maps)
        vivid = one + each(saturation - 1.0) * (colour - onto)
        return ops.matmul(vivid, maps)

    # --- random numbers, one a picture ------------------------------------------------------------

    def _pick(
        self, count: int | Tensor, values: Tensor, otherwise: float, p: Tensor | None = None
    ) -> Tensor:
        """The values with probability p, picture by picture, and otherwise what changes nothing."""
        p = self.probability if p is None else p
        chosen = replicas.uniform((count,), seed=self.seed_generator) < p
        return ops.where(chosen, values, ops.full_like(values, otherwise))

    def _uniform(self, count: int | Tensor, low: float, high: float) -> Tensor:
        return replicas.uniform((count,), low, high, seed=self.seed_generator)

    def _normal(self, count: int | Tensor, deviation: float) -> Tensor:
        return replicas.normal((count,), 0.0, deviation, seed=self.seed_generator)

    def _exp(self, count: int | Tensor, deviation: float) -> Tensor:
        return ops.exp(self._normal(count, deviation))

    def _angle(self, count: int | Tensor) -> Tensor:
        return self._uniform(count, -math.pi, math.pi)

    def _quarter(self, count: int | Tensor) -> Tensor:
        return ops.floor(self._uniform(count, 0.0, 4.0)) * (math.pi / 2)

    def _sign(self, count: int | Tensor) -> Tensor:
        return ops.where(self._uniform(count, -1.0, 1.0) < 0.0, -1.0, 1.0)

    def _stretch(self, count: int | Tensor, deviation: float) -> Tensor:
        factor = self._pick(count, self._exp(count, deviation), 1.0)
        return _scaling(factor, 1.0 / factor)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "target": self.target,
            "unit": self.unit,
            "seed": self.seed,
        }


def _scaling(x: Tensor, y: Tensor | float) -> tuple[Tensor, ...]:
    zero = ops.zeros_like(x)
    return x, zero, zero, zero + y


def _rotation(angle: Tensor) -> tuple[Tensor, ...]:
    sine, cosine = ops.sin(angle), ops.cos(angle)
    return cosine, -sine, sine, cosine


def _affine(
    count: int | Tensor, linear: tuple[Tensor, ...] | None, shift: list[Tensor] | None
) -> Tensor:
    """(count, 3, 3) of the four numbers of a linear map, or of a shift, for each picture."""
    zero, one = ops.zeros((count,)), ops.ones((count,))
    a, b, c, d = linear or (one, zero, zero, one)
    x, y = shift or (zero, zero)
    return ops.reshape(ops.stack([a, b, x, c, d, y, zero, zero, one], axis=1), (-1, 3, 3))


def sample(images: Tensor, maps: Tensor) -> Tensor:
    """Look each pixel of the result up where an affine map says, bilinearly.

    Args:
        images: (batch, size, size, channels).
        maps: (batch, 3, 3) from (x, y, 1) of the result to (x, y, 1) of the picture, both from -1 to 1
            at the outer edges of the picture. Beyond the edges lie its mirror images.

    Returns:
        (batch, size, size, channels).
    """
    batch = ops.shape(images)[0]
    _, height, width, channels = images.shape
    xs = (ops.arange(width, dtype="float32") + 0.5) * (2.0 / width) - 1.0
    ys = (ops.arange(height, dtype="float32") + 0.5) * (2.0 / height) - 1.0
    x, y = (ops.reshape(part, (-1,)) for part in ops.meshgrid(xs, ys))
    found = ops.matmul(maps, ops.stack([x, y, ops.ones_like(x)])[None])  # (batch, 3, pixels)
    x, y = found[:, 0], found[:, 1]

    def corners(position: Tensor, length: int) -> tuple[Tensor, Tensor, Tensor]:
        """The two pixels on either side, mirrored into the picture, and how near the second is."""
        place = (position + 1.0) * (length / 2) - 0.5
        low = ops.floor(place)

        def folded(index: Tensor) -> Tensor:
            index = ops.mod(ops.cast(index, "int32"), 2 * length)
            return ops.minimum(index, 2 * length - 1 - index)

        return folded(low), folded(low + 1.0), place - low

    left, right, along = corners(x, width)
    upper, lower, down = corners(y, height)
    pixels = ops.reshape(images, (-1, channels))
    first = (ops.arange(batch, dtype="int32") * (height * width))[:, None]

    def at(row: Tensor, column: Tensor) -> Tensor:
        return ops.take(pixels, first + row * width + column, axis=0)

    along, down = along[..., None], down[..., None]
    above = at(upper, left) * (1.0 - along) + at(upper, right) * along
    below = at(lower, left) * (1.0 - along) + at(lower, right) * along
    return ops.reshape(above * (1.0 - down) + below * down, (-1, height, width, channels))


def recolour(images: Tensor, maps: Tensor) -> Tensor:
    """Apply an affine map (batch, 4, 4) over (red, green, blue, 1) to each pixel of each picture."""
    linear, shift = maps[:, :3, :3], maps[:, :3, 3]
    return ops.einsum("bij,bhwj->bhwi", linear, images) + shift[:, None, None, :]
