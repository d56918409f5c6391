"""4x4 convolutions at stride 2, down and up: nine tenths of a DCGAN's step.

With a kernel K, maps X twice as large as maps Y, and the inner product <down(X, K), Y>, everything that
training asks for is a derivative of one number, which is linear in each of the three:

    to Y    down(X, K)    a step of the discriminator forward, of the generator back
    to X    up(Y, K)      the other way round
    to K    taps(X, Y)    the kernel's gradient

So each one's gradients are the other two, to any order, and what is fast in one direction is so in all.

On a CPU oneDNN computes most of that at 85 to 98% of the rate of a matrix product. Where it does not,
another way is taken (one core of an AMD EPYC, batch 64, a DCGAN's layers of width 64):

* `taps` are products of the pixels under two taps with Y: of X of 32x32 in bfloat16 14 against 16 ms,
  of 16x16 11 against 20, of 8x8 11 against 29; in float32 of 16x16 21 against 23, of 8x8 19 against 26.
* `up` to three colours is a convolution at stride 1 to the twelve of four neighbours: 2.6 against 7.9
  ms.
* `down` to 4x4 maps from many channels is one product over patches: 12 against 13 ms from 256, and
  from 512 43 against 58 ms in bfloat16, 75 against 176 in float32.
"""

from typing import Any

import keras
from keras import ops

from anime_keras.kernels import where
from anime_keras.kernels.transposed import conv_transpose

Tensor = Any
BACKEND = keras.backend.backend()
COLOURS = 4  # channels, at most, that count as few
if BACKEND == "tensorflow":
    import tensorflow as tf


def downsample(maps: Tensor, kernel: Tensor) -> Tensor:
    """Convolve with a 4x4 kernel (4, 4, in, out) at stride 2, padded by one on each side.

    Args:
        maps: (batch, height, width, in).
        kernel: of the same dtype.

    Returns:
        (batch, height / 2, width / 2, out), rounded up: an odd side is padded by one more at its end.
    """
    if _has_ways(maps) and maps.shape[1] % 2 == maps.shape[2] % 2 == 0:
        return _down(maps, kernel)
    return ops.conv(maps, kernel, strides=2, padding="same")


def upsample(maps: Tensor, kernel: Tensor) -> Tensor:
    """The transpose of `downsample`: a fractionally strided convolution.

    Args:
        maps: (batch, height, width, in).
        kernel: (4, 4, out, in), of the same dtype.

    Returns:
        (batch, 2 * height, 2 * width, out).
    """
    if _has_ways(maps):
        return _up(maps, kernel)
    return conv_transpose(maps, kernel, strides=2, padding="same")


def _has_ways(maps: Tensor) -> bool:
    return None not in maps.shape[1:3] and where.on_cpu(maps, "float32", "bfloat16")


if BACKEND == "tensorflow":

    @tf.custom_gradient
    def _down(large: Tensor, kernel: Tensor) -> Tensor:
        def gradient(small: Tensor) -> tuple[Tensor, Tensor]:
            return _up(small, kernel), _taps(large, small)

        if large.shape[1:3] == (8, 8) and kernel.shape[2] >= 256:
            return _down_by_patches(large, kernel), gradient
        return tf.nn.conv2d(large, kernel, 2, "SAME"), gradient

    @tf.custom_gradient
    def _up(small: Tensor, kernel: Tensor) -> Tensor:
        def gradient(large: Tensor) -> tuple[Tensor, Tensor]:
            return _down(large, kernel), _taps(large, small)

        if kernel.shape[2] <= COLOURS:
            return _up_to_few(small, kernel), gradient
        batch, (height, width) = tf.shape(small)[0], (2 * side for side in small.shape[1:3])
        large = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.stack([batch, height, width, kernel.shape[2]]),
            filter=kernel,
            out_backprop=small,
            strides=[1, 2, 2, 1],
            padding="SAME",
        )
        large.set_shape((small.shape[0], height, width, kernel.shape[2]))
        return large, gradient

    @tf.custom_gradient
    def _taps(large: Tensor, small: Tensor) -> Tensor:
        def gradient(kernel: Tensor) -> tuple[Tensor, Tensor]:
            return _up(small, kernel), _down(large, kernel)

        channels, outputs = large.shape[3], small.shape[3]
        largest = 32 if large.dtype == tf.bfloat16 else 16
        if channels > COLOURS and max(large.shape[1:3]) <= largest:
            rows = tf.reshape(small, (-1, outputs))
            pairs = [
                tf.matmul(tf.reshape(pixels, (-1, 2 * channels)), rows, transpose_a=True)
                for pixels in _pairs(large)
            ]
            return tf.reshape(tf.stack(pairs), (4, 4, channels, outputs)), gradient
        kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=large,
            filter_sizes=[4, 4, channels, outputs],
            out_backprop=small,
            strides=[1, 2, 2, 1],
            padding="SAME",
        )
        return kernel, gradient

    def _pairs(large: Tensor) -> list[Tensor]:
        """What lies under taps (row, column) and (row, column + 1) of a kernel, for every output.

        Eight tensors (batch, height / 2, width / 2, 2 * channels): for each of four rows of taps those
        of columns 0 and 1, then of 2 and 3.
        """
        height, width, channels = large.shape[1] // 2, large.shape[2] // 2, large.shape[3]
        # Padded, (2 * height + 2) rows are (height + 1) pairs; so are the columns, whose pairs are
        # joined into channels. Taps then are slices.
        padded = tf.pad(large, [[0, 0], [1, 1], [1, 1], [0, 0]])
        paired = tf.reshape(padded, (-1, height + 1, 2, width + 1, 2 * channels))
        return [
            paired[:, row // 2 : row // 2 + height, row % 2, pair : pair + width]
            for row in range(4)
            for pair in range(2)
        ]

    def _down_by_patches(large: Tensor, kernel: Tensor) -> Tensor:
        channels, outputs = kernel.shape[2:]
        patches = tf.reshape(tf.concat(_pairs(large), axis=-1), (-1, 16 * channels))
        small = tf.matmul(patches, tf.reshape(kernel, (16 * channels, outputs)))
        return tf.reshape(small, (-1, large.shape[1] // 2, large.shape[2] // 2, outputs))

    def _up_to_few(small: Tensor, kernel: Tensor) -> Tensor:
        """Two rows and two columns of outputs at once: oneDNN computes sixteen channels at a time."""
        channels, inputs = kernel.shape[2:]
        # A tap is row 2i + p and column 2j + q. Of the padded outputs (p, q) says which of four
        # neighbours it adds to, and (i, j) which place before them it comes from.
        halves = tf.reshape(kernel, (2, 2, 2, 2, channels, inputs))
        halves = tf.transpose(halves, (0, 2, 5, 1, 3, 4))[::-1, ::-1]
        halves = tf.reshape(halves, (2, 2, inputs, 4 * channels))
        padded = tf.pad(small, [[0, 0], [1, 1], [1, 1], [0, 0]])
        large = tf.nn.depth_to_space(tf.nn.conv2d(padded, halves, 1, "VALID"), 2)
        return large[:, 1:-1, 1:-1]
