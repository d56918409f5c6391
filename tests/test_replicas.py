"""Several devices, and several processes, that train together: every step is that of one.

Two logical CPU devices stand for two GPUs, two processes on the loopback for two machines.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from backends import one_step, tools
from backends.tools import QUICK, ROOT, needs

from anime_keras import plots, replicas
from anime_keras.callbacks import read_history
from anime_keras.data.pipelines import Batches, Pairs

ALL = bool(os.environ.get("ANIME_KERAS_ALL_BACKENDS"))
BACKENDS = ["tensorflow", needs("jax")]
TWO = "--xla_force_host_platform_device_count=2"  # for JAX; TensorFlow is told by a call
# On TensorFlow each of these asks the other device for something else: BatchNorm's statistics; how many
# labels are known; which pictures were shown before; mean kl of a code; deviations, augmentation and
# penalties of some steps alone. JAX cuts arrays, those of the data and those that are drawn.
CASES = {
    "tensorflow": ["dcgan", "conditional", "cyclegan", "vae", "stylegan2"],
    "jax": ["dcgan", "dcgan_wasserstein", "animegan_plays"],
}
SMALL = (
    *("--size", "32", "--width", "4", "--latent-dim", "8", "--count", "64", "--batch-size", "16"),
    *("--precision", "float32"),
)
ACCUMULATED = """
import json
import anime_keras
import numpy as np
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from anime_keras import models, replicas
with replicas.shared_among(2):
    gan = models.DCGAN(32, width=4)
    gan.compile(accumulate=2)
    real = np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 3)).astype("float32")
    gan.fit(tf.data.Dataset.from_tensors(real), verbose=0)
kept = [v.value.values for o in gan.optimizers for v in o._accumulated_gradients]
print(json.dumps([[float(tf.norm(copies[i])) for copies in kept] for i in range(2)]))
"""
TRAIN = (sys.executable, "-m", "anime_keras", "train")
MAIN = """
import os, sys
import anime_keras
if os.environ["KERAS_BACKEND"] == "tensorflow":
    import tensorflow as tf
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, parts)
from anime_keras.cli import main
main()
"""


def environment(backend, **more):
    """Of a process that trains on a backend."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("TF_CONFIG", "KERAS_DIST"))}
    return {**plain, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **more}


class TestDevices:
    @pytest.mark.parametrize("backend", BACKENDS)
    def test_two_are_as_one(self, backend, tmp_path):
        """The loss of two replicas is that of one with the whole batch; so are all means."""
        cases = list(one_step.CASES) if ALL and backend == "tensorflow" else CASES[backend]
        for devices in (1, 2):
            path = tmp_path / f"{devices}.npz"
            options = ["--cases", *cases, "--devices", devices]
            tools.run("one_step.py", backend, path, *options, xla=TWO)
        one, two = (dict(np.load(tmp_path / f"{devices}.npz")) for devices in (1, 2))
        for case in cases:
            assert [int(found.pop(f"{case}/devices")) for found in (one, two)] == [1, 2]
            numbers = tools.apart(*(tools.of_case(found, case) for found in (one, two)), 1e-5)
            print(f"{case}: {numbers}")
            assert numbers.losses < 1e-5 and numbers.gradients < 1e-4 and numbers.weights < 1e-4
            assert numbers.undecided <= 0.01

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_a_run(self, backend, tmp_path):
        """Trained on two, its pictures are those of one; gone on with where there is but one."""

        def command(*words):
            return subprocess.run(
                [sys.executable, "-c", MAIN, "train", "dcgan", *map(str, words)],
                env=environment(backend, XLA_FLAGS=f"{QUICK} {TWO}"),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=600,
            )

        sheets = []
        for devices in ("1", "all"):
            out = tmp_path / devices
            done = command(*SMALL, "--epochs", 1, "--devices", devices, "--out", out)
            assert done.returncode == 0, done.stderr[-3000:]
            assert json.loads((out / "settings.json").read_text())["devices"] == len(sheets) + 1
            sheets.append(plots.load(out / "final.png").astype(int))
        assert np.abs(sheets[0] - sheets[1]).max() <= 1
        done = command("--out", out, "--resume", "--epochs", 2, "--devices", 1)
        assert done.returncode == 0, done.stderr[-3000:]
        for devices, message in (("3", "2 devices here, not 3"), ("none", "from 1 on, or all")):
            more = ["--batch-size", 15, "--epochs", 1, "--devices", devices, "--out", "x"]
            done = command(*SMALL, *more)
            assert done.returncode == 1 and message in " ".join((done.stdout + done.stderr).split())


class Cluster:
    """Two processes on the loopback that train one run."""

    def __init__(self, backend, out, *words, model="dcgan"):
        outs = out if isinstance(out, list) else [out, out]
        self.logs = [each.with_suffix(f".{i}.log") for i, each in enumerate(outs)]
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
            for each in sockets:
                each.bind(("localhost", 0))
            addresses = [f"localhost:{each.getsockname()[1]}" for each in sockets]
        command = [*TRAIN, model, *map(str, words)]
        self.processes = []
        for index, log in enumerate(self.logs):
            config = {
                "cluster": {"worker": addresses},
                "task": {"type": "worker", "index": index},
            }
            told = {
                "TF_CONFIG": json.dumps(config),
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": addresses[0],
                "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
                "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
            }
            with log.open("w") as file:
                process = subprocess.Popen(
                    [*command, "--cluster", "--out", str(outs[index])],
                    env=environment(backend, XLA_FLAGS=QUICK, **told),
                    cwd=ROOT,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            self.processes.append(process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def wait(self):
        """The exit codes of both."""
        return [process.wait(timeout=400) for process in self.processes]

    def said(self):
        """What each wrote, for a test that fails."""
        return [" ".join(log.read_text().split())[-2000:] for log in self.logs]


def steps(folder):
    """Of the checkpoints in a run's folder."""
    return [int(path.stem[5:]) for path in (folder / "checkpoints").glob("step-*.npz")]


def wait_for(condition, cluster):
    """Until a condition holds; five minutes at most."""
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, cluster.said()
        time.sleep(0.02)


def settled(folder):
    """What a history says that must not depend on who trained, or how often it was broken off."""
    return {k: v for k, v in read_history(folder / "history.csv").items() if k != "seconds"}


class TestCluster:
    @pytest.mark.parametrize(
        ("backend", "model"),
        [
            ("tensorflow", "conditional"),
            pytest.param(*needs("jax").values, "dcgan", marks=needs("jax").marks),
        ],
    )
    def test_two_processes_are_as_one(self, backend, model, tmp_path):
        """The same pictures and scores; and of the two only the chief writes and speaks."""
        out, alone = tmp_path / "two", tmp_path / "one"
        words = [*SMALL, "--epochs", 2, "--score-every", 1]
        with Cluster(backend, out, *words, model=model) as cluster:
            assert cluster.wait() == [0, 0], cluster.said()
        done = subprocess.run(
            [*TRAIN, model, *map(str, words), "--out", str(alone)],
            env=environment(backend, XLA_FLAGS=QUICK),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        two, one = (plots.load(folder / "final.png").astype(int) for folder in (out, alone))
        assert np.abs(two - one).max() <= 1
        for name, values in settled(alone).items():
            np.testing.assert_allclose(settled(out)[name], values, rtol=2e-4, err_msg=name)
        assert json.loads((out / "settings.json").read_text())["devices"] == 2
        assert {path.name for path in tmp_path.iterdir()} == {
            "two",
            "one",
            "two.0.log",
            "two.1.log",
        }
        assert "report.html" in cluster.said()[0] and "report" not in cluster.said()[1]

    # JAX itself ends the others, after its heartbeats have failed for a minute and a half.
    @pytest.mark.parametrize("backend", ["tensorflow", *([needs("jax")] if ALL else [])])
    def test_a_worker_that_dies_and_comes_back(self, backend, tmp_path):
        """The chief ends and says so; all of them started again end as if nothing had been."""
        out, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
        # Long epochs, and a checkpoint whenever the processes ask each other: every tenth step.
        words = [*SMALL, "--count", 400, "--checkpoint-minutes", 0.0001]
        with Cluster(backend, out, *words, "--epochs", 9999) as cluster:
            wait_for(lambda: len(steps(out)) == 2 and max(steps(out)) > 25, cluster)
            cluster.processes[1].send_signal(signal.SIGKILL)
            chief, worker = cluster.wait()
        assert chief not in (0, None) and worker == -signal.SIGKILL
        if backend == "tensorflow":
            assert "Another process of the cluster is gone" in cluster.said()[0]
        kept = max(steps(out))
        assert kept % 25 == 0 or kept % 10 == 0
        epochs = kept // 25 + 2
        for folder, begun in ((out, ["--resume"]), (undisturbed, words)):
            with Cluster(backend, folder, *begun, "--epochs", epochs) as cluster:
                assert cluster.wait() == [0, 0], cluster.said()
        assert settled(out) == settled(undisturbed)
        last = f"checkpoints/step-{25 * epochs:09d}.npz"
        with np.load(out / last) as one, np.load(undisturbed / last) as other:
            names = [name for name in other.files if name != "position.json"]
            assert one.files == other.files and len(names) > 50
            assert [name for name in names if (one[name] != other[name]).any()] == []

    def test_processes_that_do_not_see_the_same_folder(self, tmp_path):
        """Both say so, instead of waiting for each other."""
        out = tmp_path / "run"
        with Cluster("tensorflow", out, *SMALL, "--epochs", 1) as cluster:
            assert cluster.wait() == [0, 0], cluster.said()
        elsewhere = tmp_path / "elsewhere"
        shutil.copytree(out, elsewhere)
        for path in (elsewhere / "checkpoints").iterdir():
            path.unlink()
        words = ["--resume", "--epochs", 2]
        with Cluster("tensorflow", [out, elsewhere], *words) as cluster:
            assert cluster.wait() == [1, 1]
            for said, step in zip(cluster.said(), (4, 0), strict=True):
                assert f"but at 0 to 4 (this one at {step})" in said

    def test_gradients_that_wait_are_the_same_everywhere(self):
        """With --accumulate each device keeps what all found: one of them is saved for all."""
        done = subprocess.run(
            [sys.executable, "-c", ACCUMULATED],
            env=environment("tensorflow"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        one, two = json.loads(done.stdout.splitlines()[-1])
        assert len(one) == len(two) > 5 and np.abs(one).max() > 1e-4
        np.testing.assert_array_equal(one, two)

    @pytest.mark.parametrize("backend", ["tensorflow", *([needs("jax")] if ALL else [])])
    def test_ctrl_c_at_one_stops_all(self, backend, tmp_path):
        out = tmp_path / "run"
        with Cluster(backend, out, *SMALL, "--epochs", 9999) as cluster:
            wait_for((out / "samples" / "epoch-0001.png").exists, cluster)
            cluster.processes[1].send_signal(signal.SIGINT)
            assert cluster.wait() == [0, 0], cluster.said()
        assert max(steps(out)) % 10 == 0 or max(steps(out)) % 4 == 0  # where they ask each other
        assert "Go on with" in cluster.said()[0]

    @pytest.mark.parametrize(
        ("backend", "message"),
        [
            ("tensorflow", "TF_CONFIG is not set, or cannot"),
            pytest.param(*needs("jax").values, "not known"),
        ],
    )
    def test_an_environment_without_others(self, backend, message, tmp_path):
        done = subprocess.run(
            [*TRAIN, "dcgan", "--cluster", "--epochs", "1", "--out", str(tmp_path / "run")],
            env=environment(backend),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 1 and message in " ".join(done.stdout.split())
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("nonsense", "cannot be read"),
        ("{}", "cannot be read"),
        ('{"cluster": {"worker": ["a:1"]}, "task": "worker"}', "cannot be read"),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief"}}', "a 'chief', of worker"),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:1"]}, "task": {"type": "worker"}}',
            "a 'worker', of chief, worker",
        ),
    ],
)
def test_a_cluster_that_is_told_wrongly(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=message):
        replicas.join_cluster()


class TestParts:
    """What each process is fed: together the batches of one."""

    @pytest.mark.parametrize("changes", [{}, {"flip": True}, {"rotation": 10.0, "flip": True}])
    def test_together_they_are_the_batch(self, changes):
        images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
        labels = {"word": np.arange(32)}
        whole = Batches(images, 8, 3, labels=labels, **changes)
        parts = [Batches(images, 8, 3, labels=labels, part=(i, 4), **changes) for i in range(4)]
        for number in (0, 1, 5):
            batch, words = whole.batch(number)
            found = [part.batch(number) for part in parts]
            np.testing.assert_array_equal(np.concatenate([f[0] for f in found]), batch)
            np.testing.assert_array_equal(
                np.concatenate([f[1]["word"] for f in found]), words["word"]
            )
        stream = [next(iter(part.dataset(5))) for part in parts]
        assert stream[0][0].shape == (2, 16, 16, 3)
        np.testing.assert_array_equal(np.concatenate([f[0] for f in stream]), whole.batch(5)[0])

    def test_nothing_else_is_read(self):
        class Counted(np.ndarray):
            read = 0

            def __getitem__(self, rows):
                Counted.read += len(rows)
                return np.asarray(self)[rows]

        images = np.zeros((64, 8, 8, 3), np.uint8).view(Counted)
        Pairs(images, images, 16, part=(1, 4), flip=True).batch(0)
        assert Counted.read == 2 * 4

    @pytest.mark.parametrize("part", [(2, 2), (-1, 2), (0, 3)])
    def test_a_part_that_there_is_not(self, part):
        with pytest.raises(ValueError, match="has no part"):
            Batches(np.zeros((8, 8, 8, 3), np.uint8), 8, part=part)
