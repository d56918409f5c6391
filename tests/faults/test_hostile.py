"""Files from strangers: no code in them is run, nothing is written elsewhere, and little stays little.

What archives, pickles of PyTorch and pictures may try is in test_sources, test_state_dicts and
test_reading; here are runs, checkpoints, weights, features and models.
"""

import io
import json
import os
import resource
import shutil
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from anime_keras import checkpoints, data, models, shelf, weights
from anime_keras.cli import app
from anime_keras.data import archives, sources
from anime_keras.metrics.features import Features
from anime_keras.runs import Run, Settings

TINY = {"width": 4, "latent_dim": 8}


class Bomb:
    """What runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "faces"
    settings = Settings(count=8, size=32, epochs=1, batch_size=8, network=TINY, precision="float32")
    Run.create(folder, settings).train(data.render(8, size=32).images, progress=False)
    return folder


@pytest.fixture
def run(a_run, tmp_path):
    """A copy of a run, to be tampered with."""
    return shutil.copytree(a_run, tmp_path / "run")


def says(*arguments):
    """The one line in which a command fails."""
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "300"})
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit), result.exception
    assert result.output.count("Error:") == 1
    return result.output


# --- settings.json --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": "many"}, "epochs must be int | None, not 'many'"),
        ({"minutes": float("nan")}, "minutes must be above 0, not nan"),
        ({"model": ["dcgan"]}, "model must be str, not ['dcgan']"),
        ({"model": "os.system"}, "There is no model 'os.system'"),
        ({"size": "64"}, "size must be int, not '64'"),
        ({"batch_size": 0.5}, "batch_size must be int, not 0.5"),
        ({"network": [1]}, "network must be dict, not [1]"),
        ({"network": {"__class__": "x"}}, "__class__"),
        ({"network": {"width": "wide"}}, ""),
        ({"network": {"augmentation": ["rm -rf"]}}, "rm -rf"),
        ({"rules": None}, "rules must be dict, not None"),
        ({"rules": {"loss": {"class_name": "Lambda"}}}, ""),
        ({"rules": {"learning_rate": [[1]]}}, ""),
        ({"seed": -1}, ""),
        ({"deterministic": {}}, "deterministic must be bool, not {}"),
        ({"begin": 5}, "begin must be str | None, not 5"),
    ],
)
def test_settings_of_surprising_types(run, tmp_path, changes, message):
    path = run / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    assert message in says("generate", "--run", run, "--out", tmp_path / "a.png")
    shelf.entries(tmp_path)  # `models` goes on


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b"\xff\xfe", b'{"model": "dcgan", "__proto__": {}}', b"null", b""]
)
def test_settings_that_are_none(run, tmp_path, content):
    (run / "settings.json").write_bytes(content)
    said = says("generate", "--run", run, "--out", tmp_path / "a.png")
    assert f"{run / 'settings.json'} is not a run's settings" in said
    assert str(run) not in [entry.name for entry in shelf.entries(tmp_path)]


# --- checkpoints ----------------------------------------------------------------------------------


def rewritten(path, **changes):
    held = {**dict(np.load(path)), **changes}
    np.savez(path, **held)


def position(content):
    return {"position.json": np.array(content)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (position("[]"), "is damaged"),
        (position("[" * 100_000), "is damaged"),
        (position('{"step": "1; import os"}'), "is damaged: the step is"),
        (position('{"step": null}'), "is damaged: the step is"),
        ({"model/0000": np.array("text")}, "does not fit"),
        ({"../../evil": np.zeros(3)}, "it also holds ../../evil"),
        ({"model/9999": np.zeros(1 << 20)}, "is damaged: it unpacks to"),
    ],
)
def test_checkpoints_that_hold_something_else(run, tmp_path, changes, message):
    for path in checkpoints.available(run / "checkpoints"):
        rewritten(path, **changes)
    said = says("generate", "--run", run, "--out", tmp_path / "a.png")
    assert message in said and "checkpoints/step-" in said
    assert not list(tmp_path.rglob("evil*"))


def test_numbers_of_another_type(run):
    """Text in the shape of weights is refused before any weight is assigned."""
    path = checkpoints.available(run / "checkpoints")[0]
    model = Run.open(run).load_model()
    last = sorted(checkpoints.state(model))[-1]
    held = np.load(path)[last]
    rewritten(path, **{last: np.full(held.shape, "9")})
    before = [v.numpy() for v in model.variables]
    with pytest.raises(ValueError, match=r"does not fit this model: .* the file holds <U1"):
        checkpoints.load(model, path)
    assert all((a == v.numpy()).all() for a, v in zip(before, model.variables, strict=True))


@pytest.mark.parametrize("kind", ["zeros", "header"])
def test_checkpoints_that_unpack_to_much(run, tmp_path, kind):
    """A quarter of a gigabyte in one megabyte, and a header that promises a terabyte."""
    path = checkpoints.available(run / "checkpoints")[0]
    header = io.BytesIO()
    count = 1 << (26 if kind == "zeros" else 38)
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (count,)}
    )
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("model/0000.npy", "w") as file,
    ):
        file.write(header.getvalue())
        for _ in range(1 << 8 if kind == "zeros" else 0):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 2_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"\.npz is damaged"):
        checkpoints.load(Run.open(run).build_model(), path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_a_checkpoint_of_another_model(run, tmp_path):
    """It says what differs; so does a run that is resumed with it."""
    other = models.VAE(image_size=32, width=4, latent_dim=8)
    other.compile()
    for path in checkpoints.available(run / "checkpoints"):
        path.unlink()
    checkpoints.save(other, run / "checkpoints", 1)
    for command in (
        ("generate", "--run", run, "--out", tmp_path / "a.png"),
        ("train", "dcgan", "--resume", "--epochs", 2, "--out", run),
    ):
        said = says(*command)
        assert "step-000000001.npz does not fit this model" in said


# --- pickles in NumPy's files ---------------------------------------------------------------------


def test_features_and_weights_without_pickles(tmp_path, monkeypatch):
    bomb = np.array([Bomb(tmp_path / "exploded")], dtype=object)
    np.savez(tmp_path / "features.npz", format=bomb)
    with pytest.raises(ValueError, match=r"features\.npz holds no features.*allow_pickle"):
        Features.load(tmp_path / "features.npz")
    # Weights that ship are known by their checksum; these would have passed it.
    np.savez(tmp_path / "evil.weights.npz", **{"net/0": bomb})
    digest = weights.checksum(tmp_path / "evil.weights.npz")
    (tmp_path / "evil.json").write_text(json.dumps({"sha256": digest}))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="allow_pickle"):
        weights.restore("evil.weights.npz", {"net": network})
    (tmp_path / "evil.json").write_text(json.dumps({"sha256": "0" * 64}))
    with pytest.raises(ValueError, match=r"evil\.weights\.npz is damaged: its checksum differs"):
        weights.restore("evil.weights.npz", {"net": network})
    assert not (tmp_path / "exploded").exists()


# --- .keras, which only `evaluate --extractor` takes ----------------------------------------------


def keras_file(path, config, **members):
    """A .keras file with the config of a hostile model, and other members."""
    good = path.with_name("good.keras")
    network = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    network.save(good)
    with zipfile.ZipFile(good) as before, zipfile.ZipFile(path, "w") as archive:
        for name in before.namelist():
            content = before.read(name)
            if name == "config.json" and config is not None:
                content = json.dumps(config(json.loads(content)))
            archive.writestr(name, content)
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def as_lambda(config):
    layer = keras.layers.Lambda(lambda x: __import__("os").mkdir("exploded") or x)
    config["config"]["layers"][-1] = keras.saving.serialize_keras_object(layer)
    return config


def as_function(config):
    layer = {"module": "builtins", "class_name": "function", "config": "exec"}
    config["config"]["layers"][-1] = {**layer, "registered_name": "function"}
    return config


def as_import(config):
    config["config"]["layers"][-1] |= {
        "module": "os",
        "class_name": "mkdir",
        "config": {"path": "exploded"},
        "registered_name": None,
    }
    return config


@pytest.mark.parametrize("config", [as_lambda, as_function, as_import])
def test_a_model_with_code_in_it(tmp_path, monkeypatch, config):
    monkeypatch.chdir(tmp_path)
    path = keras_file(tmp_path / "evil.keras", config)
    options = "--count", 4, "--metrics", "fid", "--out", tmp_path / "numbers"
    says("evaluate", "--run", "vae", *options, "--extractor", path)
    assert not (tmp_path / "exploded").exists()


def test_a_model_whose_files_lead_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = io.BytesIO()
    np.save(content, np.array([Bomb(tmp_path / "exploded")], dtype=object), allow_pickle=True)
    members = {"../evil": b"", "/tmp/evil_of_anime_keras": b"", "assets/../../evil": b""}
    path = keras_file(tmp_path / "evil.keras", None, **members, **{"a.npy": content.getvalue()})
    keras.saving.load_model(path, safe_mode=True)  # as `evaluate` does: Keras takes what it knows
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evil.keras", "good.keras"]
    assert not os.path.exists("/tmp/evil_of_anime_keras") and not list(tmp_path.parent.glob("evil"))


def test_nobody_turns_it_off():
    """Keras has a switch that trusts what it loads, for a whole process: nothing here touches it."""
    code = [p.read_text(encoding="utf-8") for p in Path(weights.FOLDER).parent.rglob("*.py")]
    for words in ("enable_unsafe_deserialization", "safe_mode=False", "allow_pickle=True"):
        assert not any(words in text for text in code)
    assert sum("keras.saving.load_model(" in text for text in code) == 1  # the one above


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x80\x04\x95pickle"])
def test_no_model_at_all(tmp_path, content):
    path = tmp_path / "evil.keras"
    path.write_bytes(content)
    options = "--count", 4, "--metrics", "fid", "--out", tmp_path / "numbers"
    assert "evil.keras" in says("evaluate", "--run", "vae", *options, "--extractor", path)


# --- archives -------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_an_archive_that_unpacks_to_far_more(tmp_path, monkeypatch, suffix):
    """A compressed tar is copied to a temporary file; a bomb is refused before it fills the disk."""
    import tarfile

    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(archives, "BOMB", 10_000_000)
    path = tmp_path / f"bomb.tar.{suffix}"
    with tarfile.open(path, f"w:{suffix}") as archive:
        for number in range(4):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = 5_000_000
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    assert path.stat().st_size < 50_000
    with pytest.raises(ValueError, match=r"bomb\.tar\.\w+ is refused: it unpacks to more than"):
        sources.open_source(path)
    assert list((tmp_path / "temporary").iterdir()) == []
