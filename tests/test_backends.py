"""One `train_step` on every backend: the same losses, gradients and weights; and runs that move.

TensorFlow and JAX are compared wherever both are installed, PyTorch where it is, and then every model
goes on every journey: `make test-backends` does that in an environment of its own.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from backends import journey, one_step

from anime_keras import plots

ROOT = Path(__file__).parents[1]
ALL = bool(os.environ.get("ANIME_KERAS_ALL_BACKENDS"))
# In `make test` one model travels, with JAX; compiling takes half a minute each.
TRAVELLERS = list(journey.NETWORKS) if ALL else ["dcgan"]
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


def run(script, backend, *arguments, xla=""):
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
        gradients = {  # a player may not have played yet
            n: d.max() / (largest[n.split("/")[1]] or 1.0) for n, d in apart("moment").items()
        }
        # Adam's first step is a whole one, whatever the gradient's size; where that is within the
        # tolerance, so is the step's direction.
        weights, undecided = {}, 0
        moments = {n.split("/")[2]: n for n in one if n.startswith("moment/")}
        for name, difference in apart("after").items():
            if moment := moments.get(name.split("/")[1]):
                known = np.abs(one[moment]) > 1e-4 * largest[moment.split("/")[1]]
                undecided += np.sum(~known & (difference > 1e-4))
                difference = np.where(known | (difference > 2.0 * RATE), difference, 0.0)
            weights[name] = difference.max(initial=0.0)
        numbers = [max(part.values()) for part in (losses, gradients, weights)]
        text = "losses {:.1e}, gradients {:.1e}, weights {:.1e} apart".format(*numbers)
        print(f"{case}: {text} at most; {undecided} weights without a gradient")
        assert np.isfinite(numbers).all() and max(numbers) < 1e-4, {
            name: value
            for part in (losses, gradients, weights)
            for name, value in part.items()
            if value >= 1e-4
        }
        total = sum(one[moment].size for moment in moments.values())
        assert undecided <= 0.01 * total


@pytest.mark.parametrize("backend", [needs("jax")])
class TestDevices:
    """Two logical CPU devices, which share each batch."""

    TWO = "--xla_force_host_platform_device_count=2"

    def test_two_are_as_one(self, backend, tmp_path):
        """The loss of two replicas is that of one with the whole batch; so are BatchNorm's means."""
        cases = ["dcgan", "dcgan_wasserstein"]
        for devices in (1, 2):
            path = tmp_path / f"{devices}.npz"
            options = ["--cases", *cases, "--devices", devices]
            run("one_step.py", backend, path, *options, xla=self.TWO)
        one, two = (dict(np.load(tmp_path / f"{devices}.npz")) for devices in (1, 2))
        assert [int(found.pop("dcgan/devices")) for found in (one, two)] == [1, 2]
        for name, value in one.items():
            if "/loss/" in name or "/after/" in name:
                np.testing.assert_allclose(two[name], value, rtol=1e-5, atol=1e-5, err_msg=name)

    def test_a_run(self, backend, tmp_path):
        """Trained on two, its pictures are those of one; gone on with where there is but one."""
        small = "--size 32 --width 4 --latent-dim 8 --count 64 --batch-size 16 --epochs 1"
        environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": f"{QUICK} {self.TWO}"}

        def command(*words):
            return subprocess.run(
                [sys.executable, "-m", "anime_keras", "train", "dcgan", *map(str, words)],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=600,
            )

        sheets = []
        for devices in ("1", "all"):
            out = tmp_path / devices
            done = command(
                *small.split(), "--precision", "float32", "--devices", devices, "--out", out
            )
            assert done.returncode == 0, done.stderr[-3000:]
            assert json.loads((out / "settings.json").read_text())["devices"] == len(sheets) + 1
            sheets.append(plots.load(out / "final.png").astype(int))
        assert np.abs(sheets[0] - sheets[1]).max() <= 1
        done = command("--out", out, "--resume", "--epochs", 2, "--devices", 1)
        assert done.returncode == 0, done.stderr[-3000:]
        for devices, message in (("3", "2 devices here, not 3"), ("none", "from 1 on, or all")):
            done = command(*small.split(), "--batch-size", 15, "--devices", devices, "--out", "x")
            assert done.returncode == 1 and message in " ".join((done.stdout + done.stderr).split())


class TestJourney:
    """Trained, resumed, drawn with and taken over, through files, as users do it."""

    @pytest.fixture(scope="class")
    def home(self, tmp_path_factory):
        """TensorFlow's runs, and the pictures of their models."""
        folder = tmp_path_factory.mktemp("journey")
        found = run("journey.py", "tensorflow", folder / "tensorflow", "--models", *TRAVELLERS)
        return folder, json.loads(found)

    @pytest.fixture(scope="class", params=OTHERS)
    def abroad(self, request, home):
        """What became of them on another backend."""
        folder = home[0] / request.param
        shutil.copytree(home[0] / "tensorflow", folder / "taken")
        runs = [folder / "runs", folder / "taken", "--models", *TRAVELLERS]
        return json.loads(run("journey.py", request.param, *runs))

    @pytest.mark.parametrize("model", TRAVELLERS)
    def test_goes_on_to_the_same_bits(self, abroad, model):
        """After a break between epochs; TensorFlow's own runs are killed in test_runs.py."""
        assert abroad[model]["different"] == []
        assert np.ptp(abroad[model]["drawn"]) > 0

    @pytest.mark.parametrize("model", TRAVELLERS)
    def test_a_run_of_tensorflow_goes_on(self, home, abroad, model):
        """The same pictures by a checkpoint and by a .keras file, but for rounding; then it trains."""
        there = np.array(home[1][model]["drawn"])
        for way in ("taken", "keras file"):
            assert np.abs(there - abroad[model][way]).max() <= 1
        assert abroad[model]["steps"] == "step-000000006"


WITHOUT_TENSORFLOW = """
import importlib.util, sys

class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "tensorboard", "tensorflow_gan"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Nothing())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: (
    None if name.startswith("tensor") else found(name, *rest)
)
from anime_keras.cli import main
main()
"""


@pytest.mark.parametrize("backend", OTHERS)
def test_without_tensorflow(backend, tmp_path):
    """The command line trains, goes on, draws and measures where TensorFlow is not installed."""
    out = tmp_path / "run"
    environment = {**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": QUICK}
    small = "--size 32 --width 4 --latent-dim 8 --count 64 --batch-size 16 --epochs 1"
    for command in (
        ["train", "dcgan", *small.split(), "--flip", "--out", out],
        ["train", "dcgan", "--out", out, "--resume", "--epochs", "2"],
        ["generate", "--run", out, "--count", "16", "--out", tmp_path / "sheet.png"],
        ["evaluate", "--run", out, "--count", "64", "--metrics", "fid,kid,prdc"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TENSORFLOW, *map(str, command)],
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    measured = json.loads((out / "metrics.json").read_text())
    assert measured["about"]["extractor"] == "anime-features"
    fid = measured["results"][0]
    assert fid["name"] == "FID" and 100.0 < fid["value"] < 2000.0
