"""The layers that StyleGAN2 is built of.

    karras18    Karras et al. 2018, "Progressive Growing of GANs", sections 3 and 4.1
    karras20    Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2
                and appendix B

All weights are drawn from N(0, 1) and multiplied by 1/√fan_in whenever they are used ("equalised
learning rate", karras18, section 4.1): Adam, whose steps do not depend on the size of a gradient, then
changes every weight by the same part of its range. Whatever a network computes in, styles and
statistics are float32.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from anime_keras import kernels, replicas
from anime_keras.kernels import where

Tensor = Any
FILTER = (1.0, 3.0, 3.0, 1.0)  # between sizes, along either axis (karras20, appendix B)
LEAK = 0.2
# A LeakyReLU takes out half of the variance, so the implementation multiplies what leaves it by √2. The
# same is to multiply what goes in, which here costs nothing: weights and biases are scaled anyway.
GAIN = math.sqrt(2.0)


def smooth(maps: Tensor, padding: tuple[int, int], stride: int = 1, gain: float = 1.0) -> Tensor:
    """Filter each channel of (batch, height, width, channels) by (1, 3, 3, 1) / 8 along both axes.

    Args:
        maps: of any size.
        padding: rows and columns of zeros before and after.
        stride: 2 keeps every second value only.
        gain: factor on the result.
    """
    if stride > 1 and where.on_cpu(maps, "bfloat16"):
        # The way back through it takes 0.6 ms in float32, casts included, and 8.7 in bfloat16 (16 maps
        # of 64x64x16, one core).
        return ops.cast(smooth(ops.cast(maps, "float32"), padding, stride, gain), maps.dtype)
    framed = ops.pad(maps, ((0, 0), padding, padding, (0, 0)))
    if where.on_cpu(maps, "float32", "bfloat16", backend="jax"):
        return _smoothed(framed, stride, gain)
    taps = np.outer(FILTER, FILTER) * (gain / np.sum(FILTER) ** 2)
    kernel = np.repeat(taps[:, :, None, None], maps.shape[-1], axis=2)
    return ops.depthwise_conv(
        framed, ops.convert_to_tensor(kernel, maps.dtype), stride, padding="valid"
    )


def _smoothed(framed: Tensor, stride: int, gain: float) -> Tensor:
    """`smooth` as sums of slices along one axis, then the other, in float32.

    XLA makes one loop of them, and has no good one on a CPU for convolutions of single channels.
    """
    maps = ops.cast(framed, "float32")
    taps = [tap * math.sqrt(gain) / sum(FILTER) for tap in FILTER]
    for axis in (1, 2):
        places = framed.shape[axis] - len(taps) + 1
        slices = [
            (slice(None),) * axis + (slice(first, first + places, stride),)
            for first in range(len(taps))
        ]
        maps = sum(tap * maps[place] for tap, place in zip(taps, slices, strict=True))
    return ops.cast(maps, framed.dtype)


def upsample(images: Tensor) -> Tensor:
    """Twice the size: zeros between pixels, then the filter. Away from edges it is bilinear."""
    _, height, width, channels = images.shape
    rows = ops.stack([images, ops.zeros_like(images)], axis=2)
    rows = ops.reshape(rows, (-1, 2 * height, width, channels))
    both = ops.stack([rows, ops.zeros_like(rows)], axis=3)
    spread = ops.reshape(both, (-1, 2 * height, 2 * width, channels))
    return smooth(spread, (2, 1), gain=4.0)


class _Equalized(keras.layers.Layer):
    """Weights from N(0, 1), scaled when they are used; casts inputs and weights by itself."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**{"autocast": False, **kwargs})

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """A variable that stays float32 wherever it is used."""
        return super().add_weight(*args, **{"autocast": False, **kwargs})

    def add_kernel(self, *shape: int, multiplier: float = 1.0) -> tuple[keras.Variable, float]:
        """The weights, and the factor to use them with."""
        kernel = self.add_weight(
            shape=shape,
            initializer=keras.initializers.RandomNormal(0.0, 1.0 / multiplier),
            name="kernel",
        )
        return kernel, multiplier / math.sqrt(math.prod(shape[:-1]))

    def cast(self, tensor: Tensor) -> Tensor:
        """A tensor in the dtype that maps are computed in."""
        return ops.cast(tensor, self.compute_dtype)


@keras.saving.register_keras_serializable("anime_keras")
class EqualizedDense(_Equalized):
    """A dense layer with equalised learning rate, in float32.

    Args:
        units: numbers that come out.
        activate: LeakyReLU 0.2 after it.
        bias: what the biases begin with.
        multiplier: of the learning rate of its weights and biases: 0.01 in the mapping network
            (Karras et al. 2019, "A Style-Based Generator Architecture", appendix C).
    """

    def __init__(
        self,
        units: int,
        activate: bool = False,
        bias: float = 0.0,
        multiplier: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.units, self.activate = units, activate
        self.start, self.multiplier = bias, multiplier

    def build(self, input_shape: tuple) -> None:
        """Make kernel (inputs, units) and bias (units,)."""
        self.kernel, self.gain = self.add_kernel(
            input_shape[-1], self.units, multiplier=self.multiplier
        )
        start = keras.initializers.Constant(self.start / self.multiplier)
        self.bias = self.add_weight(shape=(self.units,), initializer=start, name="bias")

    def call(self, inputs: Tensor) -> Tensor:
        """(batch, inputs) to (batch, units)."""
        gain = GAIN if self.activate else 1.0
        outputs = ops.matmul(ops.cast(inputs, "float32"), self.kernel * (self.gain * gain))
        outputs = outputs + self.bias * (self.multiplier * gain)
        return ops.leaky_relu(outputs, LEAK) if self.activate else outputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """The last axis becomes `units`."""
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "units": self.units,
            "activate": self.activate,
            "bias": self.start,
            "multiplier": self.multiplier,
        }


@keras.saving.register_keras_serializable("anime_keras")
class EqualizedConv2D(_Equalized):
    """A convolution with equalised learning rate over maps padded by zeros.

    Args:
        filters: channels that come out.
        kernel_size: odd.
        activate: LeakyReLU 0.2 after it.
        down: filter first, then keep every second place: half the size.
        use_bias: without, it is the straight way of a residual block.
        gain: factor on the result.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        activate: bool = True,
        down: bool = False,
        use_bias: bool = True,
        gain: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.kernel_size = filters, kernel_size
        self.activate, self.down, self.use_bias, self.gain = activate, down, use_bias, gain

    def build(self, input_shape: tuple) -> None:
        """Make kernel (size, size, inputs, filters) and bias (filters,)."""
        size = self.kernel_size
        self.kernel, self.scale = self.add_kernel(size, size, input_shape[-1], self.filters)
        if self.use_bias:
            self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, maps: Tensor) -> Tensor:
        """(batch, size, size, channels) to (batch, size, size, filters), or half as large."""
        gain = self.gain * (GAIN if self.activate else 1.0)
        maps, kernel = self.cast(maps), self.cast(self.kernel * (self.scale * gain))
        around = self.kernel_size // 2
        if not self.down:
            maps = ops.conv(maps, kernel, padding="same")
        elif around:
            maps = ops.conv(smooth(maps, (around + 1, around + 1)), kernel, 2, padding="valid")
        else:  # one place at a time: what is left out need not be filtered
            maps = ops.conv(smooth(maps, (1, 1), stride=2), kernel)
        if self.use_bias:
            maps = maps + self.cast(self.bias * gain)
        return ops.leaky_relu(maps, LEAK) if self.activate else maps

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Half the size with `down`."""
        batch, height, width, _ = input_shape
        step = 2 if self.down else 1
        return (batch, height // step, width // step, self.filters)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "activate": self.activate,
            "down": self.down,
            "use_bias": self.use_bias,
            "gain": self.gain,
        }


class _Modulated(_Equalized):
    """A convolution whose input channels each picture weighs by its own style."""

    def style(self, w: Tensor) -> Tensor:
        """The weights of the input channels, (batch, channels): A(w) of karras20, figure 2."""
        return self.affine(w)

    def build(self, input_shape: list[tuple]) -> None:
        """Make kernel, bias, and the map A from w to styles, whose biases begin at 1."""
        channels, size = input_shape[0][-1], self.kernel_size
        self.kernel, self.scale = self.add_kernel(size, size, channels, self.filters)
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")
        self.affine = EqualizedDense(channels, bias=1.0, name="affine")
        self.affine.build(input_shape[1])


@keras.saving.register_keras_serializable("anime_keras")
class StyledConv2D(_Modulated):
    """A 3x3 convolution, modulated and demodulated, then noise, bias and LeakyReLU.

    karras20, figure 2c: the style scales the input channels, w'(i,j,k) = s(i) w(i,j,k) (equation 1),
    and each output channel is divided by the length of its scaled weights (equation 3), so that it
    leaves with the variance that it would have had without a style. Scaling weights, picture by
    picture, is the same as scaling what goes in and what comes out, and needs no kernels of their own.

    Args:
        filters: channels that come out.
        up: twice the size, by a transposed convolution and the filter.
    """

    kernel_size = 3

    def __init__(self, filters: int, up: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.filters, self.up = filters, up

    def build(self, input_shape: list[tuple]) -> None:
        """Also the strength of the noise, which begins at 0."""
        super().build(input_shape)
        self.strength = self.add_weight(shape=(), initializer="zeros", name="noise_strength")

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Maps (batch, size, size, channels), w (batch, style_dim), noise (batch or 1, out, out, 1)."""
        maps, w, noise = inputs
        maps = self.convolve(maps, self.style(w), GAIN)
        maps = maps + self.cast(noise * (self.strength * GAIN)) + self.cast(self.bias * GAIN)
        return ops.leaky_relu(maps, LEAK)

    def convolve(self, maps: Tensor, style: Tensor, gain: float = 1.0) -> Tensor:
        """Convolve with kernels scaled by style (batch, channels) and brought to length `gain`."""
        squares = ops.sum(ops.square(self.kernel), axis=(0, 1))
        lengths = gain * ops.rsqrt(ops.matmul(ops.square(style), squares) + 1e-8)
        maps = self.cast(maps) * self.cast(style)[:, None, None, :]
        kernel = self.cast(self.kernel)
        if self.up:
            # Keras keeps the kernel of a transposed convolution as (height, width, out, in).
            turned = ops.transpose(kernel, (0, 1, 3, 2))
            maps = kernels.conv_transpose(maps, turned, 2)
            maps = smooth(maps, (1, 1), gain=4.0)
        else:
            maps = ops.conv(maps, kernel, padding="same")
        return maps * self.cast(lengths)[:, None, None, :]

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Twice the size with `up`."""
        batch, height, width, _ = input_shape[0]
        step = 2 if self.up else 1
        return (batch, height * step, width * step, self.filters)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "filters": self.filters, "up": self.up}


@keras.saving.register_keras_serializable("anime_keras")
class ToRGB(_Modulated):
    """Maps to three colours, modulated without demodulation (karras20, figure 7b: skip generator)."""

    kernel_size = 1
    filters = 3

    def call(self, inputs: list[Tensor]) -> Tensor:
        """Maps (batch, size, size, channels), w (batch, style_dim) to float32 colours."""
        maps, w = inputs
        maps = self.cast(maps) * self.cast(self.style(w) * self.scale)[:, None, None, :]
        colours = ops.conv(maps, self.cast(self.kernel))
        return ops.cast(colours, "float32") + self.bias

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Three channels."""
        return (*input_shape[0][:-1], 3)


@keras.saving.register_keras_serializable("anime_keras")
class Upsampled(keras.layers.Layer):
    """`upsample` as a layer, in float32: how the skip generator carries colours to the next size."""

    def __init__(self, **kwargs) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """(batch, size, size, channels) to (batch, 2 * size, 2 * size, channels)."""
        return upsample(images)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Twice the size."""
        batch, height, width, channels = input_shape
        return (batch, 2 * height, 2 * width, channels)


@keras.saving.register_keras_serializable("anime_keras")
class LearnedConstant(_Equalized):
    """The same 4x4 maps for every picture: what the synthesis network begins with.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape: tuple) -> None:
        """Make the maps."""
        start = keras.initializers.RandomNormal(0.0, 1.0)
        self.maps = self.add_weight(shape=(4, 4, self.channels), initializer=start, name="maps")

    def call(self, w: Tensor) -> Tensor:
        """(batch, anything) to (batch, 4, 4, channels)."""
        return self.cast(ops.tile(self.maps[None], (ops.shape(w)[0], 1, 1, 1)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """4x4 maps."""
        return (input_shape[0], 4, 4, self.channels)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "channels": self.channels}


@keras.saving.register_keras_serializable("anime_keras")
class MinibatchDeviation(keras.layers.Layer):
    """One more channel, the same everywhere: how much the pictures of a group differ.

    A generator that draws the same picture again and again is found out by it (karras18, section 3).

    Args:
        group: pictures that are compared; a batch is cut into groups of this size, in which pictures
            stand `batch / group` apart.
    """

    def __init__(self, group: int = 4, **kwargs) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        self.group = group
        self.built = True

    def call(self, maps: Tensor) -> Tensor:
        """(batch, size, size, channels) to (batch, size, size, channels + 1).

        A batch that cannot be cut into groups of this size is one group.
        """
        whole = replicas.gather(maps)
        count, height, width, channels = ops.shape(whole)
        group = self.group if not isinstance(count, int) or count % self.group == 0 else count
        grouped = ops.reshape(ops.cast(whole, "float32"), (group, -1, height, width, channels))
        deviation = ops.sqrt(ops.var(grouped, axis=0) + 1e-8)
        mean = ops.mean(deviation, axis=(1, 2, 3))  # (batch / group,)
        mean = replicas.own(ops.reshape(ops.tile(mean, (group,)), (-1, 1, 1, 1)))
        channel = mean * ops.ones_like(maps[..., :1], dtype="float32")
        return ops.concatenate([maps, ops.cast(channel, maps.dtype)], axis=-1)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """One channel more."""
        return (*input_shape[:-1], input_shape[-1] + 1)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "group": self.group}
