"""A clock that is set back or ahead by hours, as by NTP or the end of summer: nobody minds."""

import time
from pathlib import Path

import keras
import numpy as np
import pytest

import anime_keras
from anime_keras import checkpoints, data
from anime_keras.runs import Run, Settings

HOURS = 3600


@pytest.fixture
def jumping(monkeypatch):
    """Every question after the time of day is answered by another, hours off; files get such dates."""
    real, asked = time.time, []

    def jump():
        asked.append(None)
        return real() + HOURS * (-30, 7, -1, 100)[len(asked) % 4]

    monkeypatch.setattr(time, "time", jump)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * jump()))
    return asked


def test_a_run(tmp_path, jumping):
    """It neither stops early, nor saves more or less often, nor shows time that never passed."""
    saved = []

    class Saves(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            saved.append(len(checkpoints.available(tmp_path / "run" / "checkpoints")))

    settings = Settings(
        count=16,
        size=32,
        batch_size=8,
        epochs=3,
        minutes=30,
        checkpoint_minutes=10,
        precision="float32",
        network={"width": 4, "latent_dim": 8},
    )
    images = data.render(16, size=32).images
    position = Run.create(tmp_path / "run", settings).train(images, [Saves()])
    assert (position.step, position.stopped) == (6, "")
    assert 0 < position.seconds < 300
    assert saved == [0, 0, 1, 1, 2, 2]  # at the ends of epochs alone
    assert jumping, "TensorBoard asks for the time of day, at least"


def test_a_resumed_run_whose_checkpoint_is_from_the_future(tmp_path, jumping):
    """A checkpoint's age is never asked for: its step says which one is the newest."""
    import os

    settings = Settings(
        count=8, size=32, batch_size=8, epochs=2, precision="float32", network={"width": 4}
    )
    images = data.render(8, size=32).images
    Run.create(tmp_path / "run", settings).train(images, progress=False)
    newest, oldest = checkpoints.available(tmp_path / "run" / "checkpoints")
    os.utime(newest, (0, 0))
    os.utime(oldest, (4e9, 4e9))
    position = Run.open(tmp_path / "run", epochs=3).train(images, progress=False)
    assert position.step == 3 and position.seconds > 0


def test_prepared_twice(tmp_path, jumping):
    """Dates of files tell whether one is another, and not which is newer."""
    from anime_keras import plots

    for number, image in enumerate(data.render(8, size=32).images):
        plots.save(tmp_path / "pictures" / f"{number}.png", image)
    first = data.prepare(tmp_path / "pictures", tmp_path / "out", 32)
    events = []
    again = data.prepare(
        tmp_path / "pictures", tmp_path / "out", 32, progress=lambda *event: events.append(event)
    )
    assert events == []
    np.testing.assert_array_equal(first.images(), again.images())


def test_nobody_measures_by_the_time_of_day():
    """What takes how long is asked of a clock that only goes forward."""
    code = Path(anime_keras.__file__).parent.rglob("*.py")
    assert [p.name for p in code if "time.time()" in p.read_text(encoding="utf-8")] == []
