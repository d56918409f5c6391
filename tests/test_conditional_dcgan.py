"""The kit's own conditional DCGAN: the file is that of its card, small, and listens as it says."""

import hashlib

import numpy as np
import pytest

from anime_keras import models, plots, weights
from anime_keras.metrics import attributes
from anime_keras.weights import conditional_dcgan

COUNT = 400


@pytest.fixture(scope="module")
def gan():
    return conditional_dcgan.load()


def test_file_and_card():
    path, card = weights.path(conditional_dcgan.FILE), weights.card(conditional_dcgan.NAME)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert path.stat().st_size < 5_000_000
    assert "drawings of this kit" in card["trained_on"]
    assert tuple(card["network"]["attributes"]) == conditional_dcgan.ASKED
    assert card["log"][-1]["step"] == card["steps"]


def test_saves_what_it_loads(gan, tmp_path):
    """float16 is read as float32: written again, not a bit changes."""
    conditional_dcgan.save(gan, tmp_path / "again.npz")
    with (
        np.load(tmp_path / "again.npz") as ours,
        np.load(weights.path(conditional_dcgan.FILE)) as kept,
    ):
        assert ours.files == kept.files
        assert all((ours[name] == kept[name]).all() for name in kept.files)


def test_by_name(gan):
    np.testing.assert_array_equal(
        models.load("conditional_dcgan").generate(3, seed=8), gan.generate(3, seed=8)
    )


def test_listens(gan):
    """On people whom no measurement on the card drew; the card's shares within what luck allows."""
    seen = attributes.read(gan.generate(COUNT, seed=4321))
    found = attributes.accuracy(
        seen, attributes.in_factors(gan.ask(COUNT, seed=4321), gan.attributes)
    )
    assert found["hair_color"].value > 0.95
    assert found["expression"].value > 0.74  # by luck 0.18
    assert found["glasses"].value > 0.92  # by luck 0.66


def test_one_wish_is_many_faces(gan):
    """Not one face a word: pictures of one wish differ by more than noise."""
    wish = {"hair_color": "blue", "expression": "smile", "glasses": "none"}
    pictures = gan.generate(40, seed=9, **wish).astype(float)
    assert np.abs(pictures[1:] - pictures[:-1]).mean() > 25


def test_sheet(gan, tmp_path):
    """The same person: all but the hair stays nearer than another person is."""
    sheet = gan.sheet("hair_color", "expression", seed=1, glasses="none").astype(float)
    assert sheet.shape == (12, 6, 64, 64, 3)
    moods = np.abs(sheet[:, 1:] - sheet[:, :-1]).mean()
    other = gan.sheet("hair_color", "expression", seed=2, glasses="none")
    assert 0.5 < moods < 0.5 * np.abs(sheet - other).mean()
    plots.save(tmp_path / "sheet.png", plots.grid(other.reshape(-1, 64, 64, 3), columns=6))
