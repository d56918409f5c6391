"""What tests of backends and of devices share: scripts in their own processes, and comparing steps."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# XLA's code runs once here and need not be fast; this halves the time to compile it.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
RATE = (
    2.5e-3  # the largest learning rate of the cases: as far as Adam's first step can move a weight
)


def needs(backend):
    """A parameter that is skipped where the backend is not installed."""
    missing = importlib.util.find_spec(backend) is None
    return pytest.param(
        backend,
        marks=pytest.mark.skipif(missing, reason=f"{backend} is not installed: make test-backends"),
    )


def run(script, backend, *arguments, xla=""):
    """What a script of this folder prints on a backend."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": f"{QUICK} {xla}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, str(ROOT / "tests" / "backends" / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class Apart(NamedTuple):
    """The largest differences of two steps, and the share of weights with next to no gradient."""

    losses: float
    gradients: float
    weights: float
    undecided: float

    def __str__(self) -> str:
        return "losses {:.1e}, gradients {:.1e}, weights {:.1e} apart; {:.2%} undecided".format(
            *self
        )


def of_case(found, case):
    """The numbers of one case of `one_step.py`."""
    return {name.removeprefix(f"{case}/"): v for name, v in found.items() if f"{case}/" in name}


def apart(one, other, tolerance=1e-4):
    """How far two steps of a case are apart.

    Losses relative to those above 1, gradients to the largest of their player.
    """

    def differences(kind):
        names = [name for name in one if name.startswith(f"{kind}/")]
        assert names
        return {n: np.abs(one[n].astype("float64") - other[n]) for n in names}

    losses = {n: d / max(1.0, abs(one[n])) for n, d in differences("loss").items()}
    # A bias before a normalisation has no gradient but rounding errors: hold each against the
    # largest of its player.
    largest = {}
    for name in one:
        if name.startswith("moment/"):
            player = name.split("/")[1]
            largest[player] = max(largest.get(player, 0.0), np.abs(one[name]).max())
    gradients = {  # a player may not have played yet
        n: d.max() / (largest[n.split("/")[1]] or 1.0) for n, d in differences("moment").items()
    }
    # Adam's first step is a whole one, whatever the gradient's size; where that is within the
    # tolerance, so is the step's direction.
    weights, undecided = {}, 0
    moments = {n.split("/")[2]: n for n in one if n.startswith("moment/")}
    for name, difference in differences("after").items():
        if moment := moments.get(name.split("/")[1]):
            known = np.abs(one[moment]) > 1e-4 * largest[moment.split("/")[1]]
            undecided += np.sum(~known & (difference > tolerance))
            difference = np.where(known | (difference > 2.0 * RATE), difference, 0.0)
        weights[name] = difference.max(initial=0.0)
    total = sum(one[moment].size for moment in moments.values())
    numbers = [float(max(part.values())) for part in (losses, gradients, weights)]
    return Apart(*numbers, undecided / total)
