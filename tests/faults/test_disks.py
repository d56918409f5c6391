"""Full disks, and places where nothing may be written: one line says so, and nothing is lost."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from anime_keras import callbacks, checkpoints, data, files, films, plots
from anime_keras.cli import app
from anime_keras.runs import Run, Settings

TINY = {"width": 4, "latent_dim": 8}


@pytest.fixture(scope="module")
def images():
    return data.render(16, size=32).images


def settings(**changes):
    fixed = {"count": 16, "size": 32, "batch_size": 8, "epochs": 3, "precision": "float32"}
    return Settings(**{**fixed, "checkpoint_minutes": 1e-9, "network": TINY, **changes})


def loads(path):
    """Whether a file of a run can be read."""
    match path.suffix:
        case ".png" | ".gif":
            return plots.load(path).size > 0
        case ".keras":
            return keras.saving.load_model(path).count_params() > 0
        case ".npz":
            return all(np.isfinite(a).all() for a in np.load(path).values() if a.dtype.kind == "f")
        case ".csv":
            return len(callbacks.read_history(path)["step"]) > 0
        case ".json":
            return bool(json.loads(path.read_text()))
    return True


def test_a_run_on_a_disk_that_grows(disk, images):
    """Full in mid-training, and when the model is written: each time it goes on where it stopped.

    What is there is whole each time: nothing half written stays, and nothing takes the place of
    something better.
    """
    place = disk(350)
    run = Run.create(place / "run", settings())
    steps = []
    for kilobytes in (350, 1150):
        disk(kilobytes)
        with pytest.raises(OSError) as full:
            run.train(images, progress=False)
        message = files.told(full.value)
        assert str(run.folder) in message and ("Free some" in message or "make room" in message)
        there = [p for p in run.folder.rglob("*") if p.is_file() and "tensorboard" not in str(p)]
        assert all(loads(path) for path in there)
        assert not [path.name for path in there if "partial" in path.name]
        saved = checkpoints.available(run.folder / "checkpoints")
        steps.append(int(saved[0].stem.split("-")[1]) if saved else 0)
        run = Run.open(run.folder)
    assert steps == [1, 6]
    disk(50_000)
    assert run.train(images, progress=False).step == 6
    assert len(callbacks.read_history(run.folder / "history.csv")["step"]) == 3
    assert loads(run.folder / "model.keras") and (run.folder / "report.html").exists()


def test_a_disk_that_tensorboard_finds_full(tmp_path, images, monkeypatch):
    """TensorFlow's error for a full disk is that for a full memory, which would halve the batch."""
    import tensorflow as tf

    def full(self, *args):
        raise tf.errors.ResourceExhaustedError(None, None, "events: No space left on device")

    monkeypatch.setattr(keras.callbacks.TensorBoard, "on_epoch_end", full)
    run = Run.create(tmp_path / "run", settings(epochs=1))
    with pytest.raises(files.DiskFull, match=r"no space left in .*run\. Free some.*--resume"):
        run.train(images, progress=False)
    assert run.settings.batch_size == 8


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_film_that_does_not_fit(disk, tmp_path, suffix):
    """OpenCV says nothing of a full disk: half a film was handed out as a whole one."""
    rng = np.random.default_rng(0)
    writer = (films.GifWriter if suffix == ".gif" else films.VideoWriter)(
        tmp_path / f"film{suffix}"
    )
    for _ in range(30):
        writer.add(rng.integers(0, 255, (128, 128, 3), np.uint8), 0.04)
    writer.close()
    film = films.Film(tmp_path / f"film{suffix}")
    place = disk(film.path.stat().st_size // 2048)
    with pytest.raises(files.DiskFull, match="no space left"):
        films.convert(film, place / f"new{suffix}", lambda frame: frame)
    assert list(place.iterdir()) == []
    disk(10_000)
    assert films.convert(film, place / f"new{suffix}", lambda frame: frame).frames == 30


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "faces"
    ends(0, "data", "render", "--count", 6, "--size", 32, "--out", folder)
    return folder


def ends(code, *arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


COMMANDS = {
    "data render --count 4 --size 32 --out {out}/faces": "faces",
    "data prepare {faces} --size 32 --out {out}/prepared": "prepared",
    "train dcgan --count 8 --size 32 --batch-size 8 --width 4 --epochs 1 --out {out}/run": "run",
    "generate --run vae --count 2 --out {out}/a.png": "a.png",
    "generate --run vae --count 2 --interpolate --out {out}/a.gif": "a.gif",
    "export --run vae --out {out}/a.html": "a.html",
    "translate --input {faces} --already-faces --out {out}/anime": "anime",
    "evaluate --run vae --count 60 --metrics fid --out {out}/numbers": "numbers",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_where_nothing_may_be_written(disk, faces, command):
    """One line that names the file, and what to do, in the place of a traceback."""
    place = disk(1000)
    disk(1000, read_only=True)
    said = ends(1, *command.format(out=place, faces=faces).split())
    assert said.count("Error:") == 1 and "Read-only file system. Choose another place" in said
    assert str(place / COMMANDS[command]) in said and "Errno" not in said


@pytest.mark.parametrize("command", [c for c in COMMANDS if "vae" not in c or "a.png" in c])
def test_commands_on_a_full_disk(disk, faces, command):
    place = disk(4)
    (place / "full").write_bytes(bytes(4096))
    said = ends(1, *command.format(out=place, faces=faces).split())
    assert said.count("Error:") == 1 and "Errno" not in said
    assert "o space left" in said and "Free some" in said
    assert str(place / COMMANDS[command]) in said
    assert not list(place.rglob("*.partial*"))
