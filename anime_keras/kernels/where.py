"""Where the fast ways may be taken, and where not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

Tensor = Any
BACKEND = keras.backend.backend()
_plain = False  # within `portable`
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax


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


def may_differ() -> bool:
    """Whether an operation may take another form than that of `keras.ops`."""
    return not _plain


def on_cpu(maps: Tensor, *dtypes: str, backend: str = "tensorflow") -> bool:
    """Whether maps of one of those dtypes are computed by that backend on a CPU."""
    if backend != BACKEND or _plain:
        return False
    if keras.backend.standardize_dtype(maps.dtype) not in dtypes:
        return False
    if backend == "jax":
        return jax.default_backend() == "cpu"
    return not tf.config.list_physical_devices("GPU")
