"""Layers that Keras does not have, in `keras.ops` alone."""

from typing import Any

import keras
from keras import ops

Tensor = Any
AUGMENTATIONS = ("color", "translation", "cutout")


@keras.saving.register_keras_serializable("anime_keras")
class SpectralConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is divided by its largest singular value.

    The kernel is seen as a (height * width * inputs, outputs) matrix, and its largest singular value
    followed by one round of power iteration a training step. Source: Miyato et al. 2018, "Spectral
    Normalization for Generative Adversarial Networks", algorithm 1.
    """

    def build(self, input_shape: tuple) -> None:
        """Add the running estimate of the first singular vector, shape (1, outputs)."""
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            shape=(1, self.filters), initializer="random_normal", trainable=False, name="u"
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Convolve with kernel / sigma(kernel); in training, refine the estimate of sigma first."""
        matrix = ops.reshape(ops.cast(self.kernel, "float32"), (-1, self.filters))
        u = ops.cast(self.singular_vector, "float32")
        v = _unit(ops.matmul(u, ops.transpose(matrix)))
        u = _unit(ops.matmul(v, matrix))
        # The vectors are constants to the gradient (Miyato et al., appendix A, equation 12).
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        if training:
            self.singular_vector.assign(u)
        sigma = ops.sum(ops.matmul(v, matrix) * u)
        kernel = ops.cast(ops.cast(self.kernel, "float32") / sigma, self.compute_dtype)
        outputs = self.convolution_op(inputs, kernel)
        return ops.add(outputs, self.bias) if self.use_bias else outputs


def _unit(vector: Tensor) -> Tensor:
    return vector / (ops.sqrt(ops.sum(ops.square(vector))) + 1e-12)


@keras.saving.register_keras_serializable("anime_keras")
class DifferentiableAugmentation(keras.layers.Layer):
    """Random changes that both players' pictures pass through, and gradients with them.

    The discriminator then never sees a bare picture, so it cannot learn a small data set by heart;
    because the generator's pictures are changed the same way, it does not learn to draw the changes.
    Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", section
    3.2; ranges as in the authors' code: brightness ±0.5, saturation 0 to 2, contrast 0.5 to 1.5,
    translation by up to 1/8 of the size, a cutout of half the size.

    Args:
        policy: names out of `AUGMENTATIONS`, applied in that order; empty for none.
        seed: of the layer's own random state, which is saved with the model.
    """

    def __init__(self, policy: tuple[str, ...] = AUGMENTATIONS, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        unknown = set(policy) - set(AUGMENTATIONS)
        if unknown:
            raise ValueError(
                f"Unknown augmentation {sorted(unknown)}: choose from {AUGMENTATIONS}."
            )
        self.policy = tuple(policy)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, images: Tensor) -> Tensor:
        """Change each picture of a batch (batch, height, width, channels) in [-1, 1] by itself."""
        for name in AUGMENTATIONS:
            if name in self.policy:
                images = getattr(self, f"_{name}")(images)
        return images

    def _uniform(self, images: Tensor, low: float, high: float) -> Tensor:
        """One number a picture, shaped to multiply or add."""
        shape = (ops.shape(images)[0], 1, 1, 1)
        return keras.random.uniform(shape, low, high, dtype=images.dtype, seed=self.seed_generator)

    def _color(self, images: Tensor) -> Tensor:
        images = images + self._uniform(images, -0.5, 0.5)
        grey = ops.mean(images, axis=-1, keepdims=True)
        images = (images - grey) * self._uniform(images, 0.0, 2.0) + grey
        mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
        return (images - mean) * self._uniform(images, 0.5, 1.5) + mean

    def _translation(self, images: Tensor) -> Tensor:
        # A shift by whole pixels is a product with a shifted identity matrix, one for the rows and
        # one for the columns: exact, and fast on every backend. What moves in is 0, mid grey.
        for axis in (1, 2):
            size = images.shape[axis]
            reach = float(size // 8)
            shift = ops.round(self._uniform(images, -reach - 0.49, reach + 0.49)[:, :, :, 0])
            position = ops.arange(size, dtype=images.dtype)
            moved = ops.equal(position[None, :, None] + shift, position[None, None, :])
            equation = "byi,biwc->bywc" if axis == 1 else "bxi,bhic->bhxc"
            images = ops.einsum(equation, ops.cast(moved, images.dtype), images)
        return images

    def _cutout(self, images: Tensor) -> Tensor:
        inside = ops.ones_like(images[:, :, :, :1])
        for axis in (1, 2):
            size = images.shape[axis]
            centre = self._uniform(images, 0.0, float(size))
            position = ops.reshape(
                ops.arange(size, dtype=images.dtype) + 0.5,
                (1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1),
            )
            inside = inside * ops.cast(ops.abs(position - centre) < size / 4, images.dtype)
        return images * (1.0 - inside)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "policy": list(self.policy), "seed": self.seed}
