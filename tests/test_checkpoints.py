"""Checkpoints: exact, safe against damage and full disks, and without pickles."""

import errno
import os

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import checkpoints, models


def build(**options):
    keras.config.set_dtype_policy("float32")
    network = {"image_size": 32, "width": 4, "latent_dim": 8, "augmentation": ("color",), **options}
    gan = models.DCGAN(**network)
    gan.compile(learning_rate=1e-3)
    return gan


def values(model):
    return {k: ops.convert_to_numpy(v.value).copy() for k, v in checkpoints.state(model).items()}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name].tobytes() != theirs[name].tobytes()] == []


@pytest.fixture(scope="module")
def trained():
    """A model with state everywhere: moments, statistics, average, random state, meters."""
    keras.utils.set_random_seed(0)
    gan = build()
    pictures = np.random.default_rng(0).uniform(-1, 1, (16, 32, 32, 3)).astype("float32")
    gan.fit(pictures, batch_size=8, verbose=0)
    return gan


def test_state_is_everything(trained):
    """Every variable that anything in the model holds is in it once."""
    held = [id(v) for v in checkpoints.state(trained).values()]
    assert len(held) == len(set(held))
    needed = [
        *trained.generator.variables,
        *trained.discriminator.variables,
        *trained.average.variables,
        *trained.generator_optimizer.variables,
        *trained.discriminator_optimizer.variables,
        trained.latent_seed.state,
        trained.augment.seed_generator.state,
        *(v for meter in trained.meters for v in meter.variables),
    ]
    assert {id(v) for v in needed} == set(held)


def test_round_trip(trained, tmp_path):
    path = checkpoints.save(trained, tmp_path / "new" / "folder", 2, seconds=1.5, note="ü")
    assert path == tmp_path / "new" / "folder" / "step-000000002.npz"
    keras.utils.set_random_seed(1)
    other = build(seed=99)
    before = values(other)
    assert checkpoints.load(other, path) == {"step": 2, "seconds": 1.5, "note": "ü"}
    assert_same(values(other), values(trained))
    # The test could tell: almost everything was different before.
    different = [n for n in before if before[n].tobytes() != values(trained)[n].tobytes()]
    assert {name.split("/")[0] for name in different} == {
        "model",
        "meters",
        "optimizer0",
        "optimizer1",
    }
    assert int(other.generator_optimizer.iterations) == 2
    np.testing.assert_array_equal(
        ops.convert_to_numpy(other.draw_latents(3)), ops.convert_to_numpy(trained.draw_latents(3))
    )


def test_keeps_two(trained, tmp_path):
    for step in (1, 2, 10, 100):
        checkpoints.save(trained, tmp_path, step)
    names = ["step-000000100.npz", "step-000000010.npz"]
    assert [path.name for path in checkpoints.available(tmp_path)] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def garbage(path):
    path.write_bytes(b"no archive" * 100)


def empty(path):
    path.write_bytes(b"")


def without_position(path):
    held = dict(np.load(path))
    del held["position.json"]
    np.savez(path, **held)


@pytest.mark.parametrize("damage", [cut, flip_a_bit, garbage, empty, without_position])
def test_falls_back_on_the_one_before(trained, tmp_path, damage):
    checkpoints.save(trained, tmp_path, 1)
    damage(checkpoints.save(trained, tmp_path, 2))
    other = build(seed=99)
    with pytest.warns(UserWarning, match=r"step-000000002\.npz is damaged.*Falling back"):
        assert checkpoints.load_newest(other, tmp_path)["step"] == 1
    assert_same(values(other), values(trained))


def test_all_damaged(trained, tmp_path):
    for step in (1, 2):
        cut(checkpoints.save(trained, tmp_path, step))
    other = build(seed=99)
    before = values(other)
    with (
        pytest.warns(UserWarning, match=r"step-000000002\.npz is damaged"),
        pytest.raises(ValueError, match=r"step-000000001\.npz is damaged"),
    ):
        checkpoints.load_newest(other, tmp_path)
    assert_same(values(other), before)


def test_none(trained, tmp_path):
    (tmp_path / "writing.partial").write_bytes(b"of a killed run")
    (tmp_path / "step-1.npz").write_bytes(b"of somebody else")
    assert checkpoints.available(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        checkpoints.load_newest(trained, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 8}, r"project/kernel \(model/0001\) has the shape \(8, 512\) here.*256"),
        ({"ema": 0.0}, "does not fit this model"),
        ({"normalization": "layer"}, "does not fit this model"),
        ({"normalization": "none"}, "does not fit this model"),
    ],
)
def test_another_architecture(trained, tmp_path, options, message):
    path = checkpoints.save(trained, tmp_path, 1)
    other = build(**options)
    before = values(other)
    with pytest.raises(ValueError, match=message):
        checkpoints.load(other, path)
    assert_same(values(other), before)


@pytest.mark.parametrize("where", ["numpy.savez", "os.fsync", "pathlib.Path.replace"])
def test_full_disk(trained, tmp_path, monkeypatch, where):
    first = checkpoints.save(trained, tmp_path, 1)
    content = first.read_bytes()

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(where, full)
        with pytest.raises(OSError, match=r"No space left.*make room, then resume") as raised:
            checkpoints.save(trained, tmp_path, 2)
    assert raised.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == [first.name]
    assert first.read_bytes() == content
    assert checkpoints.save(trained, tmp_path, 2).exists()


def test_killed_while_writing(trained, tmp_path, monkeypatch):
    """What a killed run leaves of a checkpoint is no checkpoint, and does not stay for ever."""
    checkpoints.save(trained, tmp_path, 1)

    def killed(descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(trained, tmp_path, 2)
    assert [path.name for path in checkpoints.available(tmp_path)] == ["step-000000001.npz"]
    checkpoints.save(trained, tmp_path, 2)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_pickles(trained, tmp_path):
    """An archive whose loading would run code is refused, and the code is not run."""

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    path = checkpoints.save(trained, tmp_path, 1)
    held = dict(np.load(path))
    np.savez(path, **{**held, "model/0000": np.array([Bomb()], dtype=object)})
    with pytest.raises(ValueError, match=r"is damaged.*allow_pickle"):
        checkpoints.load(build(), path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(tmp_path, value):
    gan = build()
    variable = gan.discriminator_optimizer.variables[-1]
    variable.assign(variable + value)
    with pytest.raises(FloatingPointError, match="became NaN or infinite"):
        checkpoints.save(gan, tmp_path / "new", 1)
    assert not (tmp_path / "new").exists()
