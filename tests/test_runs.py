"""Runs: killed and resumed bit for bit, stopped, extended, refused, and short of memory."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from filelock import FileLock

from anime_keras import checkpoints, data, models
from anime_keras.runs import Run, Settings

ROOT = Path(__file__).parents[1]
STEPS = 16  # an epoch in the runs that are killed
TINY = {"width": 4, "latent_dim": 8}

# The command line, with batches that take so long that the test can watch.
SLOWLY = """
import time
from anime_keras.cli import main
from anime_keras.data.pipelines import Batches
chosen = Batches.chosen
Batches.chosen = lambda self, number: (time.sleep(0.1), chosen(self, number))[1]
main()
"""


SMALL = "--width 4 --count 128 --latent-dim 8 --batch-size 8"
FEW = "--width 4 --count 32 --batch-size 2"
# Three epochs in which everything random takes part.
OPTIONS = {
    "dcgan": f"{SMALL} --augmentation color,translation",
    "conditional": f"{SMALL} --conditioning both",
    "stylegan2": "--count 128 --latent-dim 8 --batch-size 8 --fmaps 0.008 --max-channels 8 --adaptive",
    "vae": f"{SMALL} --free-bits 0.1 --likelihood perceptual",
    "vae-gan": f"{SMALL}",
    "cyclegan": f"{FEW} --blocks 1 --history 5 --cycle-noise 0.1 --ema 0.9",
    # Killed in the game, it has seen its first phase, whose end lies in the first epoch.
    "animegan": f"{FEW} --first-steps 6 --ema 0.9",
}
ALL = "--size 32 --epochs 3 --flip --precision float32 --deterministic --checkpoint-minutes 0.0001"


def command(folder, *options, slowly=False, model="dcgan"):
    start = ["-c", SLOWLY] if slowly else ["-m", "anime_keras"]
    if "--resume" not in options:
        options += (*OPTIONS[model].split(), *ALL.split())
    return [sys.executable, *start, "train", model, "--out", str(folder), *options]


def start(folder, *options, slowly=False, model="dcgan"):
    return subprocess.Popen(
        command(folder, *options, slowly=slowly, model=model),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    return output


def newest_step(folder):
    paths = checkpoints.available(folder / "checkpoints")
    return int(paths[0].stem.split("-")[1]) if paths else 0


def wait_for_step(process, folder, step):
    deadline = time.monotonic() + 240
    while newest_step(folder) < step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.005)


def assert_same_end(folder, other, players=2):
    """Final checkpoints equal to the bit, history but for the seconds, and every sample sheet."""
    ends = [
        dict(np.load(checkpoints.available(path / "checkpoints")[0])) for path in (folder, other)
    ]
    assert [json.loads(str(end.pop("position.json")))["step"] for end in ends] == [3 * STEPS] * 2
    assert ends[0].keys() == ends[1].keys()
    optimizers = {f"optimizer{number}" for number in range(players)}
    assert {name.split("/")[0] for name in ends[0]} == {"model", "meters", *optimizers}
    different = [name for name in ends[0] if ends[0][name].tobytes() != ends[1][name].tobytes()]
    assert different == []
    histories = []
    for path in (folder, other):
        with (path / "history.csv").open(newline="") as file:
            histories.append(
                [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]
            )
    assert histories[0] == histories[1]
    assert [row["epoch"] for row in histories[0]] == ["1", "2", "3"]
    sheets = [
        {p.name: p.read_bytes() for p in (path / "samples").iterdir()} for path in (folder, other)
    ]
    assert sheets[0] == sheets[1]
    assert [f"epoch-{epoch:04d}.png" in sheets[0] for epoch in range(5)] == [True] * 4 + [False]
    assert (folder / "final.png").read_bytes() == (other / "final.png").read_bytes()


class TestKilled:
    @pytest.fixture(scope="class")
    def uninterrupted(self, tmp_path_factory):
        """A run that nobody disturbs; it works while the others are being disturbed."""
        folder = tmp_path_factory.mktemp("runs") / "whole"
        process = start(folder)

        def wait():
            if process.returncode is None:
                finish(process)
            return folder

        yield wait
        process.kill()

    def test_sigkill_in_mid_epoch(self, tmp_path, uninterrupted):
        """Killed for good in its second epoch, the run ends in the same bits as if it had not been."""
        folder = tmp_path / "killed"
        process = start(folder, slowly=True)
        wait_for_step(process, folder, STEPS + 4)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        # The killed run had no time to end an epoch.
        assert STEPS + 4 <= newest_step(folder) < 2 * STEPS
        assert not (folder / "report.html").exists()
        output = finish(start(folder, "--resume"))
        assert "Resuming" in output
        assert_same_end(folder, uninterrupted())

    @pytest.mark.parametrize(
        ("model", "second", "players", "title"),
        [
            ("conditional", "asked", 2, "As asked for"),
            ("stylegan2", "mixed", 2, "Styles, mixed"),
            ("cyclegan", "patches", 2, "There and back"),
            ("animegan", "patches", 3, "Drawn"),
            ("vae", "back", 1, "There and back"),
            ("vae-gan", "back", 3, "There and back"),
        ],
    )
    def test_other_models(self, tmp_path, model, second, players, title):
        """The same of the others: histories of pictures, noise, orders, averages, a measured sigma."""
        whole, folder = tmp_path / "whole", tmp_path / "killed"
        undisturbed = start(whole, model=model)
        process = start(folder, slowly=True, model=model)
        wait_for_step(process, folder, STEPS + 4)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert STEPS + 4 <= newest_step(folder) < 2 * STEPS
        finish(start(folder, "--resume", model=model))
        finish(undisturbed)
        assert_same_end(folder, whole, players)
        names = [f"{kind}-{epoch:04d}.png" for kind in ("epoch", second) for epoch in range(4)]
        assert sorted(p.name for p in (folder / "samples").iterdir()) == sorted(names)
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert title in page and page.count("<img") == 5

    def test_ctrl_c(self, tmp_path, uninterrupted):
        """Ctrl-C ends the step under way, saves, says how to go on; a second process is refused."""
        folder = tmp_path / "interrupted run"
        process = start(folder, slowly=True)
        wait_for_step(process, folder, STEPS + 4)
        with pytest.raises(RuntimeError, match="Another process is training in"):
            Run.open(folder).train(np.zeros((128, 32, 32, 3), np.uint8))
        os.kill(process.pid, signal.SIGINT)
        output = finish(process)
        stopped = int(re.search(r"Stopped after step (\d+), and saved", output)[1])
        assert stopped == newest_step(folder)
        assert STEPS + 4 <= stopped < 3 * STEPS
        assert f"python -m anime_keras train dcgan --resume --out '{folder}'" in output
        assert (folder / "report.html").exists()
        finish(start(folder, "--resume"))
        assert_same_end(folder, uninterrupted())


# --- within this process --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images():
    return data.render(32, size=32).images


@pytest.fixture(autouse=True)
def restore_policy():
    yield
    keras.config.set_dtype_policy("float32")


def settings(**changes):
    fixed = {"count": 32, "size": 32, "batch_size": 8, "epochs": 1, "precision": "float32"}
    return Settings(**{**fixed, "network": TINY, **changes})


def arrays(path):
    return dict(np.load(path))


def test_more_epochs_and_what_a_run_leaves(tmp_path, images):
    folder = tmp_path / "run"
    pictures = []
    before = signal.getsignal(signal.SIGINT)
    position = Run.create(folder, settings()).train(images, on_picture=pictures.append)
    assert (position.step, position.epoch, position.stopped) == (4, 1, "")
    assert [path.name for path in pictures] == ["epoch-0000.png", "epoch-0001.png"]
    names = (
        "settings.json history.csv training.gif curves.png final.png real.png model.keras "
        "report.html tensorboard"
    )
    assert all((folder / name).exists() for name in names.split())
    ended = arrays(checkpoints.available(folder / "checkpoints")[0])

    # A run that has reached its end has nothing left to do, and does not fail over it.
    position = Run.open(folder).train(images)
    assert position.step == 4
    again = arrays(checkpoints.available(folder / "checkpoints")[0])
    assert all((ended[name] == again[name]).all() for name in ended)

    position = Run.open(folder, epochs=3).train(images, progress=False)
    assert (position.step, position.epoch) == (12, 3)
    assert json.loads((folder / "settings.json").read_text())["epochs"] == 3
    with (folder / "history.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["4", "8", "12"]
    assert signal.getsignal(signal.SIGINT) is before
    assert len(Run.open(folder).load_model().generate(3)) == 3


def test_other_pictures_on_resume_are_refused(tmp_path, images):
    """A folder that has changed meanwhile would silently break the promise of an exact resume."""
    run = Run.create(tmp_path / "run", settings(epochs=1))
    run.train(images, progress=False)
    changed = images.copy()
    changed[-1, 0, 0, 0] ^= 1
    with pytest.raises(ValueError, match="not those that the run"):
        Run.open(tmp_path / "run", epochs=2).train(changed, progress=False)
    assert Run.open(tmp_path / "run", epochs=2).train(images, progress=False).epoch == 2


def test_create_leaves_another_run_alone(tmp_path):
    (tmp_path / "settings.json").write_text("precious")
    with pytest.raises(FileExistsError, match="--resume"):
        Run.create(tmp_path, settings())
    assert [p.name for p in tmp_path.iterdir()] == ["settings.json"]
    assert (tmp_path / "settings.json").read_text() == "precious"


def test_another_run_that_began_meanwhile_is_left_alone(tmp_path, images):
    """Two are begun in one folder; while one still draws its pictures, the other trains to its end."""
    folder = tmp_path / "run"
    first = Run.create(folder, settings())
    second = Run.create(folder, settings(rules={"learning_rate": 1e-5}, epochs=2))
    first.train(images, progress=False)
    kept = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(FileExistsError, match=r"There is a run in .*run already\. Continue it"):
        second.train(images, progress=False)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == kept


def test_a_refused_resume_changes_nothing(tmp_path, images):
    """More epochs, asked for while another process trains: they are not kept."""
    Run.create(tmp_path / "run", settings()).train(images, progress=False)
    before = (tmp_path / "run" / "settings.json").read_bytes()
    with (
        FileLock(tmp_path / "run" / ".lock"),
        pytest.raises(RuntimeError, match="Another process is training in"),
    ):
        Run.open(tmp_path / "run", epochs=9).train(images, progress=False)
    assert (tmp_path / "run" / "settings.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": None}, "how long to train"),
        ({"minutes": float("nan")}, "minutes must be above 0"),
        ({"epochs": 0}, "epochs must be above 0"),
        ({"minutes": -1.0}, "minutes must be above 0"),
        ({"model": "biggan"}, "no model 'biggan'"),
        ({"precision": "float8"}, "precision must be one of"),
        ({"rules": {"decay": "linear"}, "epochs": None, "minutes": 1.0}, "give epochs"),
        ({"rules": {"loss": "nonsense"}}, "no adversarial loss 'nonsense'"),
        ({"size": 48}, "image_size must be one of"),
        ({"y": "anime"}, "dcgan takes no y"),
        ({"model": "cyclegan"}, "cyclegan needs pictures of X and of Y"),
    ],
)
def test_settings_that_cannot_work(tmp_path, changes, message):
    """They are refused before anything is drawn or written."""
    with pytest.raises(ValueError, match=message):
        Run.create(tmp_path / "run", settings(**changes))
    assert not (tmp_path / "run").exists()


def test_a_mistake_in_the_pictures_leaves_no_run(tmp_path, images):
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="batch of 8 cannot be made from 7 pictures"):
        Run.create(folder, settings()).train(images[:7])
    position = Run.create(folder, settings()).train(images[:8], progress=False)
    assert position.step == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"colour": 1}'])
def test_settings_that_cannot_be_read(tmp_path, text):
    with pytest.raises(FileNotFoundError, match="There is no run in"):
        Run.open(tmp_path)
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match=r"settings\.json is not a run's settings"):
        Run.open(tmp_path)


class TestNotANumber:
    def test_learning_rate_far_too_high(self, tmp_path, images):
        run = Run.create(tmp_path / "run", settings(rules={"learning_rate": 1e30}))
        with pytest.raises(FloatingPointError, match=r"at step [12]\. .*lower learning rate"):
            run.train(images)
        assert checkpoints.available(run.folder / "checkpoints") == []

    def test_weights_that_no_loss_has_seen_yet(self, tmp_path, images):
        """A weight may break while the step's own loss is sound: that is not saved, either."""

        class Poison(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                kernel = self.model.generator.trainable_variables[-1]
                kernel.assign(kernel * np.nan)

        run = Run.create(tmp_path / "run", settings())
        run.train(images, progress=False)
        with pytest.raises(FloatingPointError, match=r"kernel became NaN .* at step 8\. .*sound"):
            Run.open(run.folder, epochs=3).train(images, [Poison()], progress=False)
        paths = checkpoints.available(run.folder / "checkpoints")
        assert newest_step(run.folder) == 4
        assert len(list((run.folder / "checkpoints").iterdir())) == len(paths) == 1
        held = arrays(paths[0])
        assert all(np.isfinite(held[name]).all() for name in held if "/" in name)
        # and the run goes on from there
        assert Run.open(run.folder).train(images, progress=False).step == 12


class TestOutOfMemory:
    @pytest.fixture
    def needs_memory(self, monkeypatch):
        """Batches above 4 do not fit."""
        fit = models.DCGAN.fit

        def failing(self, batches, **options):
            if batches.element_spec.shape[0] > 4:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
            return fit(self, batches, **options)

        monkeypatch.setattr(models.DCGAN, "fit", failing)

    def test_half_the_batch_with_accumulation(self, tmp_path, images, needs_memory):
        run = Run.create(tmp_path / "run", settings(batch_size=16))
        with pytest.warns(UserWarning, match="memory is full") as warned:
            position = run.train(images)
        assert len([w for w in warned if "memory is full" in str(w.message)]) == 2
        kept = json.loads(run.settings_path.read_text())
        assert kept["batch_size"] == 4
        assert kept["rules"]["accumulate"] == 4
        assert position.step == 8  # batches of 4
        assert int(run.load_model().generator_optimizer.iterations) == 2  # of 16, as asked for

    def test_not_in_the_middle_of_a_run(self, tmp_path, images, monkeypatch):
        run = Run.create(tmp_path / "run", settings())
        (run.folder / "checkpoints").mkdir(parents=True)
        (run.folder / "checkpoints" / "step-000000004.npz").touch()

        def full(*args):
            raise MemoryError

        monkeypatch.setattr(run, "_train", full)
        with pytest.raises(MemoryError):
            run.train(images)
        assert run.settings.batch_size == 8


def test_time_budget(tmp_path, images):
    """Ends after the step in which the minutes ran out, saved; more minutes go on from there."""
    folder = tmp_path / "run"
    run = Run.create(folder, settings(epochs=None, minutes=1e-6))
    position = run.train(images)
    assert (position.stopped, position.step) == ("time", 1)
    assert newest_step(folder) == 1
    assert "stopped within its first epoch" in (folder / "report.html").read_text()
    assert Run.open(folder).train(images).step == 1
    more = position.seconds / 60 + 1e-6
    position = Run.open(folder, minutes=more).train(images)
    assert (position.stopped, position.step) == ("time", 2)


def test_first_steps_before_rates_fall(tmp_path):
    """How many steps an epoch has is known when the pictures are; until then no phase is too long."""
    x, y = (
        data.render(16, 32, style, seed=seed).images
        for seed, style in enumerate(("portrait", "anime"))
    )
    settings = Settings(
        model="animegan",
        data="portraits",
        y="anime",
        count=16,
        size=32,
        epochs=2,
        batch_size=4,
        network={"width": 2},
        rules={"first_steps": 3, "decay": "linear"},
    )
    run = Run.create(tmp_path / "run", settings)
    run.train((x, y))
    assert run.load_model().translate(x[:2]).shape == (2, 32, 32, 3)
    settings.rules["first_steps"] = 8
    with pytest.raises(ValueError, match="of 8 steps the first 8 are no game yet"):
        Run.create(tmp_path / "other", settings).train((x, y))


def test_a_rule_of_another_version(tmp_path):
    """A run that was begun before a rule had another name says so."""
    settings = Settings(size=32, count=16, epochs=1, batch_size=4, network={"width": 2})
    settings.rules = {"first_color": 1.0}
    with pytest.raises(
        ValueError, match=r"settings.json holds a rule .*'first_color'.*begin another"
    ):
        Run.create(tmp_path / "run", settings)
