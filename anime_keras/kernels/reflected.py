"""Convolutions of maps that are framed by their own mirror image, as CycleGAN's and AnimeGAN's are."""

from functools import cache
from typing import Any

import keras
import numpy as np
from keras import ops

from anime_keras.kernels import where

Tensor = Any
BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf


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
    if None not in maps.shape[1:3] and where.on_cpu(maps, "bfloat16"):
        return _beside(_beside(maps, columns, 2), rows, 1)
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
    wide = min(kernel.shape[2:]) >= 64  # below, transforms take longer than they save
    if known and wide and size == 3 and where.on_cpu(maps, "float32"):
        return _winograd(maps, kernel)
    framed = reflected_frame(maps, size // 2, size // 2)
    even = known and height % 2 == width % 2 == 0
    if even and filters <= 4 and where.on_cpu(maps, "float32", "bfloat16"):
        return _conv_to_few(framed, kernel)
    return ops.conv(framed, kernel, padding="valid")


def _beside(maps: Tensor, count: int, axis: int) -> Tensor:
    """`reflected_frame` on both sides of one axis, as copies of slices.

    TensorFlow's own way takes 4.8 ms there and back in bfloat16, this 1.7 (8 maps of 64x64x64, one
    core).
    """
    side = maps.shape[axis]
    if not count:
        return maps
    if side < 2 * count + 2:  # what is mirrored at one end overlaps what is at the other
        frame = [[0, 0] if place != axis else [count, count] for place in range(4)]
        return tf.pad(maps, frame, mode="REFLECT")

    def mirrored(tensor: Tensor) -> Tensor:
        return tf.reverse(tensor, [axis])

    @tf.custom_gradient
    def framed(maps: Tensor) -> tuple[Tensor, Any]:
        _, first, _, last, _ = tf.split(maps, [1, count, side - 2 * count - 2, count, 1], axis)

        def gradient(upstream: Tensor) -> Tensor:
            parts = [count, 1, count, side - 2 * count - 2, count, 1, count]
            before, edge, first, middle, last, other_edge, after = tf.split(upstream, parts, axis)
            first, last = first + mirrored(before), last + mirrored(after)
            return tf.concat([edge, first, middle, last, other_edge], axis)

        return tf.concat([mirrored(first), maps, mirrored(last)], axis), gradient

    return framed(maps)


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
