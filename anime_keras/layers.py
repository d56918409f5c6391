"""Layers that Keras does not have, or not as fast."""

from typing import Any

import keras
from keras import ops

from anime_keras import kernels, replicas

Tensor = Any
AUGMENTATIONS = ("color", "translation", "cutout")


@keras.saving.register_keras_serializable("anime_keras")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' layer over the channels of feature maps, by one fused operation in training.

    The moving variance is the unbiased one, as PyTorch keeps it, so that a network with weights from
    there gives the same pictures in inference.
    """

    def call(self, inputs: Tensor, training: bool | None = None, mask: None = None) -> Tensor:
        """Normalise (batch, height, width, channels); in training by the batch's own statistics."""
        if not training:
            return super().call(inputs, training=False)
        outputs, mean, variance = kernels.batch_norm(inputs, self.gamma, self.beta, self.epsilon)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return outputs


@keras.saving.register_keras_serializable("anime_keras")
class LayerNormalization(keras.layers.Layer):
    """Each picture's maps to mean 0 and variance 1, with a factor and an offset for each channel.

    Keras' `GroupNormalization` of one group computes the same, but not its second derivative: on
    TensorFlow its variance comes from `tf.nn.moments`, which holds the mean constant. The gradient is
    right nevertheless, as deviations add up to 0; its own derivative lacks a term, one part in as
    many as there are numbers on a map. A gradient penalty takes that derivative.

    Source: Ba et al. 2016, "Layer Normalization", section 3; over maps as Gulrajani et al. 2017 use it.

    Args:
        epsilon: added to the variance.
        gamma_initializer: of the factors.
    """

    def __init__(
        self, epsilon: float = 1e-5, gamma_initializer: Any = "ones", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def build(self, input_shape: tuple) -> None:
        """Make factors and offsets (channels,)."""
        shape = (input_shape[-1],)
        self.gamma = self.add_weight(shape=shape, initializer=self.gamma_initializer, name="gamma")
        self.beta = self.add_weight(shape=shape, initializer="zeros", name="beta")

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise (batch, height, width, channels), with float32 statistics."""
        maps = ops.cast(inputs, "float32")
        apart = maps - ops.mean(maps, axis=(1, 2, 3), keepdims=True)
        variance = ops.mean(ops.square(apart), axis=(1, 2, 3), keepdims=True)
        scale = ops.rsqrt(variance + self.epsilon) * ops.cast(self.gamma, "float32")
        return ops.cast(apart * scale + ops.cast(self.beta, "float32"), inputs.dtype)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "gamma_initializer": keras.initializers.serialize(self.gamma_initializer),
        }


@keras.saving.register_keras_serializable("anime_keras")
class Downsample(keras.layers.Layer):
    """A 4x4 convolution at stride 2 without bias, which halves the size of a feature map.

    Args:
        filters: channels that come out.
        spectral_norm: divide the kernel by its largest singular value, as a matrix of shape (4 * 4 *
            inputs, filters), followed by one round of power iteration a training step. Source:
            Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks", alg. 1.
        kernel_initializer: of the kernel, (4, 4, inputs, filters).
    """

    def __init__(
        self,
        filters: int,
        spectral_norm: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.spectral_norm = spectral_norm
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: tuple) -> None:
        """Make the kernel and, for spectral normalisation, the estimate of its singular vector."""
        self.kernel = self.add_weight(
            shape=self.kernel_shape(input_shape[-1]),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        if self.spectral_norm:
            self.singular_vector = self.add_weight(
                shape=(1, self.filters), initializer="random_normal", trainable=False, name="u"
            )

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """The kernel's shape for feature maps of so many channels."""
        return (4, 4, channels, self.filters)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """(batch, size, size, channels) to (batch, size / 2, size / 2, filters)."""
        return kernels.downsample(inputs, self.normalized_kernel(training))

    def normalized_kernel(self, training: bool | None) -> Tensor:
        """The kernel to convolve with, in the dtype to compute in."""
        kernel = self.kernel
        if self.spectral_norm:
            kernel = _spectrally_normalized(kernel, self.singular_vector, training)
        return ops.cast(kernel, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Half the size."""
        batch, height, width, _ = input_shape
        return (batch, height // 2, width // 2, self.filters)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "spectral_norm": self.spectral_norm,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }


@keras.saving.register_keras_serializable("anime_keras")
class Upsample(Downsample):
    """A 4x4 fractionally strided ("transposed") convolution, which doubles the size.

    Its kernel is (4, 4, filters, inputs): that of the `Downsample` which it is the transpose of.
    """

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """The kernel's shape for feature maps of so many channels."""
        return (4, 4, self.filters, channels)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """(batch, size, size, channels) to (batch, 2 * size, 2 * size, filters)."""
        return kernels.upsample(inputs, self.normalized_kernel(training))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Twice the size."""
        batch, height, width, _ = input_shape
        return (batch, 2 * height, 2 * width, self.filters)


def _spectrally_normalized(kernel: Tensor, singular_vector: Any, training: bool | None) -> Tensor:
    """A kernel (…, filters) divided by its largest singular value, as a matrix of shape (…, filters).

    In training one round of power iteration improves the estimate of its singular vector.
    """
    kernel = ops.cast(kernel, "float32")
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    v = _unit(ops.matmul(ops.cast(singular_vector, "float32"), ops.transpose(matrix)))
    u = _unit(ops.matmul(v, matrix))
    # The vectors are constants to the gradient (Miyato et al., appendix A, equation 12).
    u, v = ops.stop_gradient(u), ops.stop_gradient(v)
    if training:
        singular_vector.assign(u)
    return kernel / ops.sum(ops.matmul(v, matrix) * u)


def _unit(vector: Tensor) -> Tensor:
    return vector / (ops.sqrt(ops.sum(ops.square(vector))) + 1e-12)


@keras.saving.register_keras_serializable("anime_keras")
class SpectralConv2D(keras.layers.Conv2D):
    """A convolution whose kernel is divided by its largest singular value (Miyato et al. 2018).

    The kernel counts as a matrix of shape (size * size * inputs, filters). What it gives then differs
    no more than what it is given, up to how often its windows overlap.

    Args:
        filters: channels that come out.
        kernel_size: side of the kernel.
        **kwargs: of `keras.layers.Conv2D`.
    """

    def build(self, input_shape: tuple) -> None:
        """Make the kernel, and the estimate of its singular vector."""
        super().build(input_shape)
        self.singular_vector = self.add_weight(
            shape=(1, self.filters), initializer="random_normal", trainable=False, name="u"
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """(batch, height, width, channels) to (batch, …, filters)."""
        kernel = _spectrally_normalized(self.kernel, self.singular_vector, training)
        outputs = self.convolution_op(inputs, ops.cast(kernel, self.compute_dtype))
        return ops.add(outputs, self.bias) if self.use_bias else outputs

    def save_own_variables(self, store: dict) -> None:
        """The singular vector too, of which Keras' convolution knows nothing."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: dict) -> None:
        """The other half of `save_own_variables`."""
        keras.layers.Layer.load_own_variables(self, store)


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
        # Pictures stay as exact as they come, whatever the networks compute in.
        super().__init__(**{"dtype": "float32", **kwargs})
        unknown = set(policy) - set(AUGMENTATIONS)
        if unknown:
            raise ValueError(
                f"Unknown augmentation {sorted(unknown)}: choose from {AUGMENTATIONS}."
            )
        self.policy = tuple(policy)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True  # it has nothing to build, and a model that holds it must not wait for it

    def call(self, images: Tensor) -> Tensor:
        """Change each picture of a batch (batch, height, width, channels) in [-1, 1] by itself."""
        for name in AUGMENTATIONS:
            if name in self.policy:
                images = getattr(self, f"_{name}")(images)
        return images

    def _uniform(self, images: Tensor, low: float, high: float) -> Tensor:
        """One number a picture, shaped to multiply or add."""
        shape = (ops.shape(images)[0], 1, 1, 1)
        return replicas.uniform(shape, low, high, dtype=images.dtype, seed=self.seed_generator)

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


@keras.saving.register_keras_serializable("anime_keras")
class ReflectionPadding2D(keras.layers.Layer):
    """A frame of the picture's own mirror image, the outermost row not repeated.

    A convolution that sees zeros beyond the edge learns where the edge is and draws a frame there.

    Args:
        padding: rows and columns on each side; less than the size of the maps.
    """

    def __init__(self, padding: int = 1, **kwargs) -> None:
        super().__init__(**kwargs)
        self.padding = padding
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """(batch, height, width, channels), larger by 2 * padding in height and width."""
        return kernels.reflected_frame(inputs, self.padding, self.padding)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Larger by the frame."""
        batch, height, width, channels = input_shape
        more = 2 * self.padding
        return (batch, height and height + more, width and width + more, channels)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("anime_keras")
class ReflectedConv2D(keras.layers.Conv2D):
    """A convolution over maps framed by their own mirror image, so that their size stays.

    The same numbers as `ReflectionPadding2D` and Keras' `Conv2D` give one after the other.

    Args:
        filters: channels that come out.
        kernel_size: odd.
        **kwargs: `kernel_initializer`, `name` … of `keras.layers.Conv2D`.
    """

    def __init__(self, filters: int, kernel_size: int, **kwargs) -> None:
        super().__init__(filters, kernel_size, **{**kwargs, "padding": "same"})

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """(batch, height, width, channels) to (batch, height, width, filters), before the bias."""
        return kernels.reflected_conv(inputs, kernel)


@keras.saving.register_keras_serializable("anime_keras")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """Keras' layer, with the gradients of `kernels.conv_transpose`.

    Args:
        filters: channels that come out.
        kernel_size: side of the kernel.
        strides: how much larger maps become, along both axes.
        **kwargs: `padding`, `kernel_initializer`, `name` … of `keras.layers.Conv2DTranspose`.

    Raises:
        ValueError: unequal strides, `output_padding`, `dilation_rate` or channels first.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs) -> None:
        super().__init__(filters, kernel_size, strides, **kwargs)
        unknown = self.output_padding is not None or set(self.dilation_rate) != {1}
        if unknown or len(set(self.strides)) > 1 or self.data_format != "channels_last":
            raise ValueError(
                "This Conv2DTranspose takes one stride for both axes and channels last, and neither "
                "output_padding nor dilation_rate: keras.layers.Conv2DTranspose has them."
            )

    def call(self, inputs: Tensor) -> Tensor:
        """Convolve (batch, height, width, channels)."""
        outputs = kernels.conv_transpose(inputs, self.kernel, self.strides[0], self.padding)
        outputs = outputs + self.bias if self.use_bias else outputs
        return self.activation(outputs)


@keras.saving.register_keras_serializable("anime_keras")
class WithoutFirst(keras.layers.Layer):
    """Leaves out the first row and the first column.

    What Keras' `Conv2DTranspose(filters, 3, 2)` gives is then PyTorch's `ConvTranspose2d(…, 3, 2,
    padding=1, output_padding=1)`. Keras' own `Cropping2D` does the same, but on TensorFlow its
    gradient takes as long as the convolution (2 maps of 128x128x64 on a CPU: 20 ms).
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """(batch, height, width, channels), smaller by 1 in height and width."""
        batch, height, width, channels = ops.shape(inputs)
        return ops.slice(inputs, (0, 1, 1, 0), (batch, height - 1, width - 1, channels))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Smaller by one."""
        batch, height, width, channels = input_shape
        return (batch, height and height - 1, width and width - 1, channels)


@keras.saving.register_keras_serializable("anime_keras")
class InstanceNormalization(keras.layers.Layer):
    """Each channel of each picture to mean 0 and variance 1, without parameters.

    It takes the contrast out of a picture, so that a style can be put in; and because no picture
    depends on another, batches may be joined and split at will. Source: Ulyanov et al. 2016,
    "Instance Normalization: The Missing Ingredient for Fast Stylization".

    Args:
        epsilon: added to the variance.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """Normalise (batch, height, width, channels); the statistics are float32."""
        return kernels.instance_norm(inputs, self.epsilon)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """That of the inputs."""
        return input_shape

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("anime_keras")
class ImageHistory(keras.layers.Layer):
    """A memory of generated pictures, so that a discriminator does not forget old tricks.

    Until it is full it keeps every picture and hands it on. From then on it hands on either, with
    probability ½, the new picture, or an old one, in whose place it keeps the new. The pictures of a
    batch take their turns one after the other, so one of them can already get another of the same
    batch. The memory is state of the layer: it is saved with the model. Source: Shrivastava et al.
    2017, "Learning from Simulated and Unsupervised Images through Adversarial Training", section
    2.3, in the form of Zhu et al. 2017, section 4.

    Args:
        size: pictures to remember; 0 hands every picture on.
        shape: of one picture, (height, width, channels).
        seed: of the layer's own random state, which is saved with the model.
    """

    def __init__(
        self, size: int = 50, shape: tuple[int, ...] = (256, 256, 3), seed: int = 0, **kwargs
    ) -> None:
        # The memory is for exact copies, whatever the networks compute in.
        super().__init__(**{"dtype": "float32", **kwargs})
        if size < 0:
            raise ValueError(f"size must be at least 0, not {size!r}.")
        self.size = size
        self.shape = tuple(shape)
        self.seed = seed
        if size:
            self.seed_generator = keras.random.SeedGenerator(seed)
            self.images = self.add_weight(
                shape=(size, *self.shape), initializer="zeros", trainable=False, name="images"
            )
            self.count = self.add_weight(
                shape=(), initializer="zeros", dtype="int", trainable=False, name="count"
            )
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """Exchange a batch (batch, height, width, channels) for one that may hold older pictures."""
        if not self.size:
            return images
        images = replicas.gather(images)  # every replica remembers the same ones
        shape = (ops.shape(images)[0],)
        random_slot = keras.random.randint(shape, 0, self.size, "int32", seed=self.seed_generator)
        swapped = keras.random.uniform(shape, seed=self.seed_generator) > 0.5
        return replicas.own(self.exchange(images, random_slot, swapped))

    def exchange(self, images: Tensor, random_slot: Tensor, swapped: Tensor) -> Tensor:
        """What `call` does, once the dice are cast.

        Args:
            images: (batch, height, width, channels).
            random_slot: int32 (batch,) the place of each picture's old one, below `size`.
            swapped: bool (batch,) whether it is exchanged. Neither counts while there is room.
        """
        turn = ops.arange(ops.shape(images)[0], dtype="int32")
        next_free = ops.cast(self.count, "int32") + turn
        filling = next_free < self.size
        slot = ops.where(filling, next_free, random_slot)
        kept = ops.logical_or(filling, swapped)

        # Every picture there is, in one row: first the memory, then the batch. A slot holds the last
        # that was kept in it; numbers in the row grow with time, so the last is the largest.
        row = ops.concatenate([self.images, ops.cast(images, self.images.dtype)])
        place = ops.arange(self.size, dtype="int32")
        here = ops.logical_and(slot[None, :] == place[:, None], kept[None, :])
        after = ops.max(ops.where(here, self.size + turn[None, :], place[:, None]), axis=1)

        same = ops.logical_and(slot[None, :] == slot[:, None], kept[None, :])
        earlier = ops.logical_and(same, turn[None, :] < turn[:, None])
        found = ops.max(ops.where(earlier, self.size + turn[None, :], slot[:, None]), axis=1)
        old = ops.logical_and(swapped, ops.logical_not(filling))
        shown = ops.take(row, ops.where(old, found, self.size + turn), axis=0)

        self.images.assign(ops.take(row, after, axis=0))
        total = self.count + ops.cast(ops.shape(images)[0], self.count.dtype)
        self.count.assign(ops.minimum(total, self.size))
        return ops.cast(shown, images.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """That of the inputs."""
        return input_shape

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "size": self.size,
            "shape": list(self.shape),
            "seed": self.seed,
        }
