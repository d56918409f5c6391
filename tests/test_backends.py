"""One `train_step` on every backend: the same losses, gradients and weights; and runs that move.

TensorFlow and JAX are compared wherever both are installed, PyTorch where it is, and then every model
goes on every journey: `make test-backends` does that in an environment of its own.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from backends import journey, one_step

ROOT = Path(__file__).parents[1]
ALL = bool(os.environ.get("ANIME_KERAS_ALL_BACKENDS"))
# In `make test` one model of each kind travels, with JAX; compiling takes half a minute each.
TRAVELLERS = list(journey.NETWORKS) if ALL else ["dcgan", "cyclegan"]
# XLA's code runs once here and need not be fast; this halves the time to compile it.
QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
RATE = (
    2.5e-3  # the largest learning rate of the cases: as far as Adam's first step can move a weight
)


def needs(backend):
    missing = importlib.util.find_spec(backend) is None
    return pytest.param(
        backend,
        marks=pytest.mark.skipif(missing, reason=f"{backend} is not installed: make test-backends"),
    )


OTHERS = [needs("jax"), needs("torch")]


def run(script, backend, *arguments):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "XLA_FLAGS": QUICK,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, str(ROOT / "tests" / "backends" / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class TestOneStep:
    """From the same weights, latents and batch, in float32."""

    @pytest.fixture(scope="class")
    def ours(self, tmp_path_factory):
        """TensorFlow's steps."""
        path = tmp_path_factory.mktemp("steps") / "tensorflow.npz"
        run("one_step.py", "tensorflow", path)
        return path

    @pytest.fixture(scope="class", params=OTHERS)
    def steps(self, request, ours):
        """TensorFlow's, and another backend's from the weights that those began with."""
        path = ours.with_name(f"{request.param}.npz")
        run("one_step.py", request.param, path, ours)
        return dict(np.load(ours)), dict(np.load(path))

    @pytest.mark.parametrize("case", one_step.CASES)
    def test_parity(self, steps, case, record_property):
        one, other = (
            {name.removeprefix(f"{case}/"): v for name, v in found.items() if f"{case}/" in name}
            for found in steps
        )
        assert one.keys() == other.keys()

        def apart(kind):
            names = [name for name in one if name.startswith(f"{kind}/")]
            assert names
            return {n: np.abs(one[n].astype("float64") - other[n]) for n in names}

        losses = {n: d / max(1.0, abs(one[n])) for n, d in apart("loss").items()}
        # A bias before a normalisation has no gradient but rounding errors: hold each against the
        # largest of its player.
        largest = {}
        for name in one:
            if name.startswith("moment/"):
                player = name.split("/")[1]
                largest[player] = max(largest.get(player, 0.0), np.abs(one[name]).max())
        gradients = {n: d.max() / largest[n.split("/")[1]] for n, d in apart("moment").items()}
        # Adam's first step is a whole one, whatever the gradient's size; where that is a rounding
        # error, so is the step's direction.
        weights, undecided = {}, 0
        moments = {n.split("/")[2]: n for n in one if n.startswith("moment/")}
        for name, difference in apart("after").items():
            if moment := moments.get(name.split("/")[1]):
                known = np.abs(one[moment]) > 1e-5 * largest[moment.split("/")[1]]
                undecided += np.sum(~known & (difference > 1e-4))
                difference = np.where(known | (difference > 2.0 * RATE), difference, 0.0)
            weights[name] = difference.max(initial=0.0)
        numbers = [max(part.values()) for part in (losses, gradients, weights)]
        text = "losses {:.1e}, gradients {:.1e}, weights {:.1e} apart".format(*numbers)
        print(f"{case}: {text} at most; {undecided} weights without a gradient")
        assert max(numbers) < 1e-4, {
            name: value
            for part in (losses, gradients, weights)
            for name, value in part.items()
            if value >= 1e-4
        }
        total = sum(one[moment].size for moment in moments.values())
        assert undecided <= 0.01 * total
