"""Exact checkpoints: everything that decides how training goes on, in one file.

A checkpoint is a NumPy `.npz` archive without pickles: an array for every variable of the model
(weights, BatchNorm statistics, moving averages, random state), of its optimizers (moments, step
counts) and of its meters, and a JSON text with the position in training. It is written beside the
old one and then moved over, so a crash or a full disk never costs the last good one.
"""

import json
import math
import os
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

KEPT = 2  # the newest, and one to fall back on
_DAMAGES = (
    *(OSError, EOFError, KeyError, ValueError, TypeError, zipfile.BadZipFile),
    *(zlib.error, NotImplementedError, RuntimeError),  # zipfile's, of what it cannot unpack
    MemoryError,  # NumPy's, of a header that promises too much
)
_NAME = re.compile(r"step-(\d{9})\.npz")


def state(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable that decides how training goes on, under a name that is stable and unique.

    Keras numbers the names of layers by how many a process has made, so a name is the variable's
    place in the order in which the model was built, which its code fixes.
    """
    groups = {"model": model.variables, "meters": model.metrics_variables}
    for number, optimizer in enumerate(model.optimizers):
        groups[f"optimizer{number}"] = optimizer.variables
    return {
        f"{group}/{index:04d}": variable
        for group, variables in groups.items()
        for index, variable in enumerate(variables)
    }


def save(model: keras.Model, folder: Path, step: int, **position: Any) -> Path:
    """Write `folder/step-000001234.npz` and drop all but the newest two.

    Args:
        model: an `Adversarial` model, compiled.
        folder: made if missing.
        step: training steps done so far; it names the file.
        position: anything else that JSON can hold.

    Raises:
        FloatingPointError: a variable holds NaN or infinity; nothing is written.
        OSError: the disk is full or the folder cannot be written. Earlier checkpoints are untouched.
    """
    arrays = {}
    for name, variable in state(model).items():
        arrays[name] = keras.ops.convert_to_numpy(variable)
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            raise FloatingPointError(f"{variable.path} became NaN or infinite")
    folder.mkdir(parents=True, exist_ok=True)
    arrays["position.json"] = np.array(json.dumps({"step": step, **position}))
    path = folder / f"step-{step:09d}.npz"
    partial = folder / "writing.partial"  # one name, so that a killed run leaves one at most
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(
            error.errno,
            f"The checkpoint {path} could not be written ({error.strerror}). "
            "The ones before it are untouched: make room, then resume.",
        ) from error
    for old in available(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def available(folder: Path) -> list[Path]:
    """The finished checkpoints of a folder, newest first."""
    return sorted((p for p in folder.glob("step-*.npz") if _NAME.fullmatch(p.name)), reverse=True)


def load(model: keras.Model, path: Path) -> dict[str, Any]:
    """Restore a model, its optimizers and its meters to the bits that were saved.

    Returns:
        The position in training: `step`, and what else was handed to `save`.

    Raises:
        ValueError: the file is damaged, or belongs to a model of another architecture or compiled
            otherwise; the message names the first thing that differs. The model is then unchanged.
    """
    variables = state(model)
    try:
        with np.load(path, allow_pickle=False) as archive:
            _refuse_more(archive, variables)
            arrays = {name: archive[name] for name in archive.files}
        position = json.loads(str(arrays.pop("position.json")))
        if not isinstance(position["step"], int):
            raise ValueError(f"the step is {position['step']!r}")
    except _DAMAGES as error:
        raise ValueError(f"The checkpoint {path} is damaged: {error}") from error
    for name, variable in variables.items():
        if name not in arrays or arrays[name].shape != tuple(variable.shape):
            held = arrays[name].shape if name in arrays else "nothing"
            raise ValueError(
                f"The checkpoint {path} does not fit this model: {variable.path} ({name}) has the "
                f"shape {tuple(variable.shape)} here, and the file holds {held}."
            )
        if _kind(arrays[name].dtype) != _kind(np.dtype(variable.dtype)):
            raise ValueError(
                f"The checkpoint {path} does not fit this model: {variable.path} ({name}) is of "
                f"{variable.dtype} here, and the file holds {arrays[name].dtype}."
            )
    if len(arrays) != len(variables):
        extra = sorted(set(arrays) - set(variables))[0]
        raise ValueError(f"The checkpoint {path} does not fit this model: it also holds {extra}.")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return position


def _kind(dtype: np.dtype) -> str:
    """What a number is of; random state is whole numbers, of another size on each backend."""
    return "whole" if dtype.kind in "iu" else dtype.name


def _refuse_more(archive: Any, variables: dict[str, keras.Variable]) -> None:
    """Raise ValueError before a small file unpacks to far more than a model of this size can need."""
    held = sum(member.file_size for member in archive.zip.infolist())
    needed = sum(math.prod(v.shape) * np.dtype(v.dtype).itemsize for v in variables.values())
    if held > 16 * needed + (1 << 20):  # so that a larger model is still told what differs
        raise ValueError(f"it unpacks to {held:,} bytes, and this model has {needed:,}")


def load_newest(model: keras.Model, folder: Path) -> dict[str, Any]:
    """Restore the newest checkpoint of a folder that can be read, warning of each that cannot.

    Raises:
        FileNotFoundError: there is none.
        ValueError: none of them can be read, or they belong to another model.
    """
    paths = available(folder)
    if not paths:
        raise FileNotFoundError(f"There is no checkpoint in {folder}.")
    for path in paths[:-1]:
        try:
            return load(model, path)
        except ValueError as error:
            warnings.warn(f"{error} Falling back to the one before it.", stacklevel=2)
    return load(model, paths[-1])
