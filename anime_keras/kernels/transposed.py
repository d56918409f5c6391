"""Transposed convolutions, whose kernel's gradient JAX states in a way that takes XLA long on a CPU."""

import functools
from typing import Any

import keras
from keras import ops

from anime_keras.kernels import where

Tensor = Any
BACKEND = keras.backend.backend()
if BACKEND == "jax":
    import jax


def conv_transpose(maps: Tensor, kernel: Tensor, strides: int, padding: str = "valid") -> Tensor:
    """The transpose of `ops.conv` with the same kernel, strides and padding.

    Args:
        maps: (batch, height, width, in).
        kernel: (height, width, out, in), of the same dtype, or a variable.
        strides: along both axes.
        padding: "valid" or "same".

    Returns:
        (batch, rows, columns, out). With "same" there are strides * height rows, with "valid" strides *
        (height - 1) + the larger of strides and the kernel's height; columns likewise.
    """
    if where.on_cpu(maps, "float32", "bfloat16", backend="jax"):
        return _transposed(maps, ops.convert_to_tensor(kernel), strides, padding)
    return ops.conv_transpose(maps, kernel, strides, padding=padding)


if BACKEND == "jax":

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
    def _transposed(small: Tensor, kernel: Tensor, strides: int, padding: str) -> Tensor:
        return ops.conv_transpose(small, kernel, strides, padding=padding)

    def _forward(
        small: Tensor, kernel: Tensor, strides: int, padding: str
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return _transposed(small, kernel, strides, padding), (small, kernel)

    def _backward(
        strides: int, padding: str, inputs: tuple[Tensor, Tensor], large: Tensor
    ) -> tuple[Tensor, Tensor]:
        # <large, transposed(small, kernel)> = <conv(large, kernel), small>, and what is linear in the
        # kernel on one side has the same gradient on the other. JAX differentiates the left one, with
        # zeros between the pixels of `small`: 1,650 ms in place of 33 (64 maps of 16x16x128 to
        # 32x32x64 by 4x4 kernels, one core).
        small, kernel = inputs
        conv = functools.partial(ops.conv, large, strides=strides, padding=padding)
        to_small, to_kernel = jax.vjp(conv, kernel)
        return to_small, *to_kernel(small)

    _transposed.defvjp(_forward, _backward)
