"""Operations that decide the models' speed, each by the fastest way that the backend has.

What a function computes is what its `keras.ops` form computes, and a test holds the two together;
only the way there differs. On TensorFlow:

* `batch_norm` is one fused operation, where Keras' layer makes a dozen passes over the pictures; with
  several devices it is two each way, and one more pass back.
* `instance_norm` is the same operation on one picture at a time, which took a half to a third of the
  time of means and differences over the batch (2 maps of 128x128x64, forward and back, two cores:
  6 against 15 ms in float32, 4.5 against 15 in bfloat16).
* `downsample` and `upsample` on a CPU in bfloat16 take the gradient of their kernels as one matrix
  product over patches where maps are small: at 8x8 oneDNN's own routine for it takes five times as
  long (132 against 25 ms on one core for 256 to 512 channels, batch 64).
* `reflected_conv` on a CPU in float32 with a 3x3 kernel needs a quarter of the multiplications, and
  no copy of the maps with a frame: forward and back 24 against 48 ms (2 maps of 32x32x256, one core).
* `reflected_conv` on a CPU to three colours takes less than half as long (7x7, 2 maps of 128x128x64,
  forward and back, one core: 22 against 46 ms).
* `Adam` is one pass over each variable instead of a dozen.

benchmarks/dcgan_step.py and cyclegan_step.py measure what they are worth together.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from anime_keras import replicas

Tensor = Any
BACKEND = keras.backend.backend()
UNROLLED = 16  # pictures that `instance_norm` takes one by one; more would swell the graph
_plain = False  # within `portable`
if BACKEND == "tensorflow":
    import tensorflow as tf


@contextmanager
def portable() -> Iterator[None]:
    """Take the `keras.ops` form of every operation, for a graph that other programs shall run.

    What is fast here need not be there, nor be known there; and kernels that were prepared for fewer
    multiplications would make a file up to four times as large.
    """
    global _plain
    before, _plain = _plain, True
    try:
        yield
    finally:
        _plain = before


def batch_norm(
    inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise each channel over a batch of feature maps (batch, height, width, channels).

    Statistics are float32, whatever the inputs are.

    Returns:
        The normalised maps, in the inputs' dtype; each channel's mean; its unbiased variance, which
        is what PyTorch keeps for inference. (The normalisation itself uses the biased one.)
    """
    if BACKEND == "tensorflow":
        if replicas.count() > 1:
            return _shared_batch_norm(inputs, gamma, beta, epsilon)
        fused = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon
        )
        return fused.y, fused.batch_mean, fused.batch_variance
    maps = ops.cast(inputs, "float32")
    mean, variance = ops.moments(maps, axes=(0, 1, 2))
    count = ops.cast(ops.size(maps) / maps.shape[-1], "float32")
    outputs = (maps - mean) * (gamma * ops.rsqrt(variance + epsilon)) + beta
    return ops.cast(outputs, inputs.dtype), mean, variance * count / (count - 1.0)


def instance_norm(maps: Tensor, epsilon: float) -> Tensor:
    """Normalise each channel of each picture by itself, with float32 statistics.

    Args:
        maps: (batch, height, width, channels).
        epsilon: added to the variance, the biased one.

    Returns:
        Maps of mean 0 and variance 1 in the inputs' shape and dtype.
    """
    few = maps.shape[0] is not None and maps.shape[0] <= UNROLLED
    if BACKEND == "tensorflow" and few and not _plain:
        # BatchNorm over a batch of one picture.
        ones, zeros = tf.ones(maps.shape[-1]), tf.zeros(maps.shape[-1])
        return tf.concat(
            [
                tf.raw_ops.FusedBatchNormV3(
                    x=one, scale=ones, offset=zeros, mean=[], variance=[], epsilon=epsilon
                ).y
                for one in tf.split(maps, maps.shape[0])
            ],
            axis=0,
        )
    inputs = ops.cast(maps, "float32")
    mean, variance = ops.moments(inputs, axes=(1, 2), keepdims=True)
    return ops.cast((inputs - mean) * ops.rsqrt(variance + epsilon), maps.dtype)


def downsample(maps: Tensor, kernel: Tensor) -> Tensor:
    """Convolve with a 4x4 kernel (4, 4, in, out) at stride 2, padded by one on each side.

    Args:
        maps: (batch, size, size, in), size even.
        kernel: of the same dtype.

    Returns:
        (batch, size / 2, size / 2, out).
    """
    if _slow_kernel_gradient(maps, maps.shape[1]):
        return _downsample(maps, kernel)
    return ops.conv(maps, kernel, strides=2, padding="same")


def upsample(maps: Tensor, kernel: Tensor) -> Tensor:
    """The transpose of `downsample`: a fractionally strided convolution.

    Args:
        maps: (batch, size, size, in).
        kernel: (4, 4, out, in), of the same dtype.

    Returns:
        (batch, 2 * size, 2 * size, out).
    """
    if _slow_kernel_gradient(maps, 2 * maps.shape[1]):
        return _upsample(maps, kernel)
    return ops.conv_transpose(maps, kernel, strides=2, padding="same")


def reflected_frame(maps: Tensor, rows: int, columns: int) -> Tensor:
    """A frame of the maps' own mirror image, the outermost row not repeated.

    Args:
        maps: (batch, height, width, channels).
        rows: above and below, less than the height.
        columns: left and right, less than the width.
    """
    frame = ((0, 0), (rows, rows), (columns, columns), (0, 0))
    if not rows and not columns:
        return maps
    if BACKEND != "torch":
        return ops.pad(maps, frame, mode="reflect")
    # PyTorch mirrors the last two axes only.
    planes = ops.transpose(maps, (0, 3, 1, 2))
    planes = ops.pad(planes, (*frame[::3], *frame[1:3]), mode="reflect")
    return ops.transpose(planes, (0, 2, 3, 1))


def reflected_conv(maps: Tensor, kernel: Tensor) -> Tensor:
    """Convolve maps framed by their own mirror image, the outermost row not repeated.

    Args:
        maps: (batch, height, width, in).
        kernel: (size, size, in, out), size odd, of the same dtype.

    Returns:
        (batch, height, width, out).
    """
    size, filters = kernel.shape[0], kernel.shape[-1]
    _, height, width, _ = maps.shape
    known = None not in (height, width)
    if known and size == 3 and _on_cpu(maps, "float32"):
        return _winograd(maps, kernel)
    framed = reflected_frame(maps, size // 2, size // 2)
    even = known and height % 2 == width % 2 == 0
    if even and filters <= 4 and _on_cpu(maps, "float32", "bfloat16"):
        return _conv_to_few(framed, kernel)
    return ops.conv(framed, kernel, padding="valid")


def _on_cpu(maps: Tensor, *dtypes: str) -> bool:
    """Whether maps of one of those dtypes are computed by TensorFlow without a GPU."""
    if (
        BACKEND != "tensorflow"
        or _plain
        or keras.backend.standardize_dtype(maps.dtype) not in dtypes
    ):
        return False
    return not tf.config.list_physical_devices("GPU")


def _conv_to_few(maps: Tensor, kernel: Tensor) -> Tensor:
    """A convolution to a few filters, such as colours: two rows and two columns of outputs at once.

    oneDNN computes sixteen filters at a time, so three take as long as sixteen. Four neighbours with
    three filters each are one place with twelve, under a kernel larger by a row and a column, at
    stride 2: the same sums, with zeros between.
    """
    channels, filters = kernel.shape[2:]
    moved = [
        ops.pad(kernel, ((row, 1 - row), (column, 1 - column), (0, 0), (0, 0)))
        for row in (0, 1)
        for column in (0, 1)
    ]
    size = kernel.shape[0] + 1
    kernels = ops.reshape(ops.stack(moved, axis=3), (size, size, channels, 4 * filters))
    return tf.nn.depth_to_space(ops.conv(maps, kernels, strides=2, padding="valid"), 2)


def _slow_kernel_gradient(maps: Tensor, size: int) -> bool:
    return size <= 16 and _on_cpu(maps, "bfloat16")


# --- 3x3 convolutions with fewer multiplications --------------------------------------------------

# Four outputs of a filter with three taps take twelve multiplications as a plain sum. Products of
# polynomials with as many coefficients are known from six of their values, one multiplication each,
# and the same six serve here: 36 in place of 144 in two dimensions (Winograd 1980; Lavin and Gray
# 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3). The values are taken at
# five points and at infinity. At these five, found by search, rounding errors are half of those at
# the usual 0, 1, -1, 2, -2, and one to four times those of the plain sum.
TILE = 4
POINTS = (0.0, 2 / 3, -2 / 3, 3 / 2, -3 / 2)
VALUES = len(POINTS) + 1


@cache
def _transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lavin and Gray's A transposed (TILE, VALUES), G (VALUES, 3), B transposed (VALUES, VALUES)."""
    points = np.array(POINTS)
    others = [np.delete(points, place) for place in range(len(points))]
    infinity = np.eye(VALUES)[-1]
    values = np.vander(points, VALUES, increasing=True)
    spread = np.prod(points[:, None] - np.array(others), axis=1, keepdims=True)
    a = np.vstack([values[:, :TILE], infinity[-TILE:]]).T
    g = np.vstack([values[:, :3] / spread, infinity[-3:]])
    b = np.vstack(
        [*(np.append(np.poly(roots)[::-1], 0.0) for roots in others), np.poly(points)[::-1]]
    )
    return a, g, b


@cache
def _values_of_tiles(size: int) -> np.ndarray:
    """The matrix from a row of pixels to the values of its tiles, (VALUES * tiles, size).

    A tile covers TILE pixels and one more on each side, which the frame gives where there is none.
    """
    tiles = -(-size // TILE)
    pixels = np.abs(TILE * np.arange(tiles)[:, None] + np.arange(VALUES) - 1)
    pixels = np.where(pixels < size, pixels, 2 * (size - 1) - pixels) % size
    matrix = _transforms()[2] @ np.eye(size)[pixels]  # (tiles, VALUES, size)
    return matrix.swapaxes(0, 1).reshape(-1, size).astype("float32")


def _winograd(maps: Tensor, kernel: Tensor) -> Tensor:
    """What `reflected_conv` computes for a 3x3 kernel; all of it is matrix products."""
    _, height, width, channels = maps.shape
    filters = kernel.shape[-1]
    rows, columns = -(-height // TILE), -(-width // TILE)
    a, g, _ = _transforms()
    a, g = np.kron(a, a).astype("float32"), np.kron(g, g).astype("float32")

    kernels = ops.matmul(g, ops.reshape(kernel, (9, channels * filters)))
    values = ops.reshape(maps, (-1, height, width * channels))
    values = ops.matmul(_values_of_tiles(height), values)
    values = ops.reshape(values, (-1, width, channels))
    values = ops.matmul(_values_of_tiles(width), values)
    # Every pair of values by itself: tiles times kernels, channels times filters.
    values = ops.reshape(values, (-1, VALUES, rows, VALUES, columns * channels))
    values = ops.reshape(ops.transpose(values, (1, 3, 0, 2, 4)), (VALUES**2, -1, channels))
    values = ops.matmul(values, ops.reshape(kernels, (VALUES**2, channels, filters)))
    tiles = ops.matmul(a, ops.reshape(values, (VALUES**2, -1)))
    tiles = ops.reshape(tiles, (TILE, TILE, -1, columns, filters))
    tiles = ops.transpose(tiles, (2, 0, 3, 1, 4))  # batch and rows are one axis
    outputs = ops.reshape(tiles, (-1, TILE * rows, TILE * columns, filters))
    return outputs[:, :height, :width]


# --------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class Adam(keras.optimizers.Adam):
    """Keras' Adam (Kingma and Ba 2015, algorithm 1, in the form of the end of section 2).

    TensorFlow has the whole update as one operation, which reads and writes each number once.
    """

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Update one variable (on TensorFlow a `tf.Variable`) and its two moments."""
        outside = BACKEND == "tensorflow" and tf.distribute.in_cross_replica_context()
        if BACKEND != "tensorflow" or self.amsgrad or outside:
            super().update_step(gradient, variable, learning_rate)
            return
        step = tf.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )


if BACKEND == "tensorflow":

    def _shared_batch_norm(
        inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`batch_norm` over the pictures of all replicas, from what each finds in its own.

        The variance of all is the mean of the replicas' variances and of the squares of what lies
        between their means and that of all.
        """
        fused = {"scale": gamma, "offset": beta, "epsilon": epsilon}
        own = tf.raw_ops.FusedBatchNormV3(x=inputs, mean=[], variance=[], **fused)
        here = tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")
        everywhere = here * replicas.count()
        own_mean, own_variance = map(tf.stop_gradient, (own.batch_mean, own.batch_variance))
        mean = replicas.mean(own_mean)
        between = tf.square(own_mean - mean)
        variance = replicas.mean(own_variance * ((here - 1.0) / here) + between)  # the biased one

        @tf.custom_gradient
        def normalized(maps: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Any]:
            fixed = {"epsilon": epsilon, "is_training": False}
            outputs = tf.raw_ops.FusedBatchNormV3(
                x=maps, scale=gamma, offset=beta, mean=mean, variance=variance, **fixed
            ).y

            def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                back = tf.raw_ops.FusedBatchNormGradV3(
                    y_backprop=upstream,
                    x=maps,
                    scale=gamma,
                    reserve_space_1=mean,
                    reserve_space_2=variance,
                    reserve_space_3=tf.zeros((0,)),
                    **fixed,
                )
                # So far as if mean and variance were constants. What they change is the same linear
                # function of every value of a channel.
                scale = tf.math.rsqrt(variance + epsilon)
                steepness = -gamma * scale * scale * replicas.mean(back.scale_backprop) / here
                offset = -gamma * scale * replicas.mean(back.offset_backprop) / here
                offset -= steepness * mean
                kind = maps.dtype
                through = maps * tf.cast(steepness, kind) + tf.cast(offset, kind)
                return back.x_backprop + through, back.scale_backprop, back.offset_backprop

            return outputs, gradient

        outputs = normalized(inputs, gamma, beta)
        return outputs, mean, variance * everywhere / (everywhere - 1.0)

    @tf.custom_gradient
    def _downsample(maps: Tensor, kernel: Tensor) -> Tensor:
        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            return _transposed(upstream, kernel), _kernel_gradient(maps, upstream)

        return tf.nn.conv2d(maps, kernel, 2, "SAME"), gradient

    @tf.custom_gradient
    def _upsample(maps: Tensor, kernel: Tensor) -> Tensor:
        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
            return tf.nn.conv2d(upstream, kernel, 2, "SAME"), _kernel_gradient(upstream, maps)

        return _transposed(maps, kernel), gradient

    def _transposed(maps: Tensor, kernel: Tensor) -> Tensor:
        batch, size, channels = tf.shape(maps)[0], 2 * maps.shape[1], kernel.shape[2]
        outputs = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.stack([batch, size, size, channels]),
            filter=kernel,
            out_backprop=maps,
            strides=[1, 2, 2, 1],
            padding="SAME",
        )
        outputs.set_shape((maps.shape[0], size, size, channels))
        return outputs

    def _kernel_gradient(large: Tensor, small: Tensor) -> Tensor:
        """Every 4x4 patch of the large maps times its place in the small ones: patchesᵀ @ small."""
        half, channels, outputs = small.shape[1], large.shape[3], small.shape[3]
        # Padded, (size + 2) rows are (half + 1) pairs; so are the columns, whose pairs are joined
        # into channels. Tap (a, b) of the kernel then is a slice, two columns b at a time.
        pairs = tf.pad(large, [[0, 0], [1, 1], [1, 1], [0, 0]])
        pairs = tf.reshape(pairs, (-1, half + 1, 2, half + 1, 2 * channels))
        patches = tf.concat(
            [
                pairs[:, row // 2 : row // 2 + half, row % 2, pair : pair + half]
                for row in range(4)
                for pair in range(2)
            ],
            axis=-1,
        )
        patches = tf.reshape(patches, (-1, 16 * channels))
        product = tf.matmul(patches, tf.reshape(small, (-1, outputs)), transpose_a=True)
        return tf.reshape(product, (4, 4, channels, outputs))
