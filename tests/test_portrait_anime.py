"""The kit's own CycleGAN: the file is that of its card, small, and does what the card says."""

import hashlib

import numpy as np
import pytest

from anime_keras import data, weights
from anime_keras.metrics import attributes, counterparts
from anime_keras.weights import portrait_anime

COUNT = 60


@pytest.fixture(scope="module")
def gan():
    return portrait_anime.load()


@pytest.fixture(scope="module")
def translated(gan):
    """People whom no training and no measurement on the card drew: portraits, and what they become."""
    portraits = data.render(COUNT, 64, "portrait", seed=counterparts.HELD_OUT + 77)
    return portraits, gan.translate(portraits.images)


def test_file_and_card():
    path, card = weights.path(portrait_anime.FILE), weights.card(portrait_anime.NAME)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert path.stat().st_size < 12_000_000
    assert card["log"][-1]["step"] <= card["steps"]
    assert "drawings of this kit" in card["trained_on"]


def test_a_damaged_file_is_refused(tmp_path, monkeypatch):
    for name in (portrait_anime.FILE, f"{portrait_anime.NAME}.json"):
        content = bytearray((weights.FOLDER / name).read_bytes())
        content[len(content) // 2] ^= name.endswith("npz")
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="is damaged: its checksum differs"):
        portrait_anime.load()
    (tmp_path / portrait_anime.FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"python -m anime_keras\.weights\.portrait_anime"):
        portrait_anime.load()


def test_saves_what_it_loads(gan, tmp_path):
    """float16 is read as float32: written again, not a bit changes."""
    portrait_anime.save(gan, tmp_path / "again.npz")
    with (
        np.load(tmp_path / "again.npz") as ours,
        np.load(weights.path(portrait_anime.FILE)) as kept,
    ):
        assert ours.files == kept.files
        assert all((ours[name] == kept[name]).all() for name in kept.files)


def test_keeps_hair(translated):
    faces, anime = translated
    read = attributes.read(anime).words
    kept = np.mean(read["hair_color"] == faces.factors["hair_color"])
    assert kept > 0.5  # one in twelve by chance; the card has the share of 500


def test_becomes_anime_and_portrait_again(gan, translated):
    faces, anime = translated
    styles = attributes.read(anime)
    assert np.mean(styles.words["style"] == styles.names["style"].index("anime")) > 0.8
    back = gan.translate(anime, "y2x")
    assert np.mean(attributes.read(back).words["style"] == 1) > 0.8
    error = np.abs(back.astype(float) - faces.images).mean() / 255
    assert 0.005 < error < 0.15
