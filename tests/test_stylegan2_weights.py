"""The kit's own StyleGAN2: the file is that of its card, and draws various anime faces."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from anime_keras import data, latents, models, weights
from anime_keras.metrics import attributes
from anime_keras.weights import stylegan2

COUNT = 200


@pytest.fixture(scope="module")
def gan():
    return models.load("stylegan2")


def test_file_and_card():
    path, card = weights.path(stylegan2.FILE), weights.card(stylegan2.NAME)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == card["sha256"]
    assert path.stat().st_size < 4_000_000
    assert card["log"][-1]["step"] <= card["steps"]
    assert card["network"] == {"image_size": 64, **stylegan2.NETWORK}
    assert card["rules"] == {**stylegan2.RULES, "learning_rate": 0.001}
    assert card["steps"] == sum(stage["steps"] for stage in card["stages"])


def test_saves_what_it_loads(gan, tmp_path):
    """float16 is read as float32: written again, not a bit changes."""
    stylegan2.save(gan, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as ours, np.load(weights.path(stylegan2.FILE)) as kept:
        assert ours.files == kept.files
        assert all((ours[name] == kept[name]).all() for name in kept.files)


def test_the_live_networks_begin_as_the_averaged_ones(gan):
    """So that fine-tuning goes on from what is drawn with."""
    pairs = (gan.synthesis, gan.average_synthesis), (gan.mapping, gan.average_mapping)
    for live, average in pairs:
        for one, other in zip(live.get_weights(), average.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_draws_anime_faces_of_many_kinds(gan):
    read = attributes.read(gan.generate(COUNT, seed=7))
    assert np.mean(read.words["style"] == read.names["style"].index("anime")) > 0.95
    assert (read.shares("hair_color") > 0.01).sum() >= 11  # of twelve
    assert (read.shares("skin_tone") > 0.02).sum() >= 4  # of five


def test_truncation_draws_fewer_kinds(gan):
    points = latents.draw(COUNT, gan.latent_dim, seed=8)

    def kinds(psi):
        return (attributes.read(gan.draw(points, psi)).combinations() > 0).sum()

    assert kinds(0.2) < kinds(0.6) < kinds(1.0)


def test_the_discriminator_comes_too(gan):
    """It tells drawn faces from generated ones, so that fine-tuning need not begin without it."""
    drawn, generated = (
        np.asarray(gan.discriminator(images.astype("float32") / 127.5 - 1.0))[:, 0]
        for images in (data.render(64, size=64, seed=77).images, gan.generate(64, seed=1))
    )
    assert np.median(drawn) > np.quantile(generated, 0.9)


def test_a_training_without_an_epoch_writes_no_weights(tmp_path, monkeypatch):
    """Those that were there stay, and so does their card's checksum."""
    (tmp_path / stylegan2.FILE).write_bytes(b"of before")
    run = SimpleNamespace(folder=tmp_path / "run")
    monkeypatch.setattr(stylegan2, "train", lambda *arguments: run)
    with pytest.raises(SystemExit, match="No epoch ended"):
        stylegan2.main(run.folder, into=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [stylegan2.FILE]
    assert (tmp_path / stylegan2.FILE).read_bytes() == b"of before"
