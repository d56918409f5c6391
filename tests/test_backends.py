"""One `train_step` on every backend: the same losses, gradients and weights; and runs that move.

TensorFlow and JAX are compared wherever both are installed, PyTorch where it is, and then every model
goes on every journey: `make test-backends` does that in an environment of its own.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from backends import journey, one_step, tools
from backends.tools import QUICK, ROOT, run

ALL = bool(os.environ.get("ANIME_KERAS_ALL_BACKENDS"))
# In `make test` one model travels, with JAX; compiling takes half a minute each.
TRAVELLERS = list(journey.NETWORKS) if ALL else ["dcgan"]


OTHERS = [tools.needs("jax"), tools.needs("torch")]


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
        return ours, path

    @pytest.mark.parametrize("case", one_step.CASES)
    def test_parity(self, steps, case, tmp_path):
        numbers = self.apart(case, *steps)
        if not self.agree(numbers) and numbers.losses < 1e-4 and numbers.gradients < 1e-2:
            # Where a number before a ReLU is all but 0, or the two sides of an L1 loss are all but
            # the same, rounding decides which way the gradient goes, and with it a thousandth of the
            # largest. That is rare: the same twice, on other pictures, would be a wrong gradient.
            ours, theirs = tmp_path / "tensorflow.npz", tmp_path / steps[1].name
            others = ["--cases", case, "--pictures", "21"]
            run("one_step.py", "tensorflow", ours, *others)
            run("one_step.py", steps[1].stem, theirs, ours, *others)
            numbers = self.apart(case, ours, theirs)
        assert self.agree(numbers)

    def apart(self, case, *paths):
        """How far two files' steps of a case are apart, also printed."""
        one, other = (tools.of_case(dict(np.load(path)), case) for path in paths)
        assert one.keys() == other.keys()
        numbers = tools.apart(one, other)
        print(f"{paths[1].stem}, {case}: {numbers}")
        return numbers

    def agree(self, numbers):
        """Whether losses, gradients and weights are within the tolerance."""
        return (
            np.isfinite(numbers[:3]).all() and max(numbers[:3]) < 1e-4 and numbers.undecided <= 0.01
        )


@pytest.mark.parametrize("backend", OTHERS[:1])
def test_ways_of_its_own(backend):
    """On a CPU: what JAX takes for slow operations of `keras.ops`, and for conditionals."""
    found = json.loads(run("ways.py", backend))
    print(f"{backend}: {found}")
    for dtype, tolerance in (("float32", 1e-5), ("bfloat16", 0.01)):
        apart = found[dtype].values()
        assert len(apart) == 6 and max(apart) < tolerance
    # Other sums have other rounding errors; none at all would be the same way twice.
    assert min(found["float32"].values()) > 0.0
    # Every third step adds 1, the others 10. A step is traced once for each answer and shape, and the
    # conditional once for each shape.
    totals = [[62.0, 8], [73.0, 10], [83.0, 11]]
    assert found["asked"] == [[*t, n] for t, n in zip(totals, (2, 4, 5), strict=True)]
    assert [one[:2] for one in found["conditional"]] == totals


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
