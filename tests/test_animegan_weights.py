"""The kit's own AnimeGAN: the file is that of its card, small, and does what the card says."""

import hashlib

import numpy as np
import pytest

from anime_keras import data, models, weights
from anime_keras.metrics import attributes, counterparts
from anime_keras.weights import animegan

COUNT = 60


@pytest.fixture(scope="module")
def gan():
    return models.load("animegan")


@pytest.fixture(scope="module")
def drawn(gan):
    """People whom no training and no measurement on the card drew: portraits, and what they become."""
    portraits = data.render(COUNT, 64, "portrait", seed=counterparts.HELD_OUT + 78)
    return portraits, gan.translate(portraits.images)


def test_file_and_card(gan):
    path, card = weights.path(animegan.FILE), weights.card(animegan.NAME)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert path.stat().st_size < 4_500_000
    assert "drawings of this kit" in card["trained_on"]
    assert gan.generator.count_params() == 544_416 and gan.get_config()["features"] == "kit"


def test_saves_what_it_loads(gan, tmp_path):
    """float16 is read as float32: written again, not a bit changes."""
    animegan.save(gan, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as ours, np.load(weights.path(animegan.FILE)) as kept:
        assert ours.files == kept.files
        assert all((ours[name] == kept[name]).all() for name in kept.files)


def test_keeps_hair(drawn):
    faces, anime = drawn
    kept = np.mean(attributes.read(anime).words["hair_color"] == faces.factors["hair_color"])
    assert kept > 0.95  # one in twelve by chance; the card has the share of 500: 99.8%


def test_changes_the_portrait_and_keeps_its_place(drawn):
    faces, anime = drawn
    off = np.abs(anime.astype(float) - faces.images).mean() / 255
    assert 0.02 < off < 0.2


def test_any_size(gan):
    picture = data.render(1, 96, "portrait", seed=counterparts.HELD_OUT + 79).images[:, :, :64]
    assert gan.translate(picture).shape == (1, 96, 64, 3)
