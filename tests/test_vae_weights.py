"""The kit's own VAE and VAE-GAN: what their cards say, on faces that they never saw."""

import numpy as np
import pytest

from anime_keras import data, directions, latents, weights
from anime_keras.metrics import attributes, extractors, translation
from anime_keras.weights import vae, vae_gan

COUNT = 120


@pytest.fixture(scope="module")
def model():
    return vae.load()


@pytest.fixture(scope="module")
def unseen():
    return data.render(COUNT, size=64, seed=1)


def test_the_file_is_small_and_has_its_card(model):
    assert weights.path(vae.FILE).stat().st_size < 4.2e6
    card = weights.card("vae")
    assert card["network"] == {"image_size": 64, "likelihood": "perceptual", **vae.NETWORK}
    assert card["rules"].items() >= vae.RULES.items()
    assert float(model.variance) ** 0.5 == pytest.approx(card["sigma"], rel=1e-6)


def test_faces_come_back(model, unseen):
    """SSIM 0.493 on 1,000 faces; these are 120 of them."""
    back = model.reconstruct(unseen.images)
    ssim, _ = translation.measure(unseen.images, back)
    assert ssim.value == pytest.approx(0.493, abs=0.03)
    words = attributes.read(back).words
    assert np.mean(words["hair_color"] == unseen.factors["hair_color"]) > 0.95
    assert np.mean(words["gender"] == unseen.factors["gender"]) > 0.92


def test_hair_is_dyed_by_addition(model, unseen):
    """968 of 1,000 with directions of 3,000 faces; fewer faces will do for less."""
    known = data.render(600, size=64, seed=0)
    fitted = directions.fit(model.encode(known.images)[0], known.factors, known.names)
    asked = (unseen.factors["hair_color"] + np.arange(COUNT) % 11 + 1) % 12
    codes, _ = model.encode(unseen.images)
    moved = model.decode(fitted.move(codes, unseen.factors, hair_color=asked))
    before, after = (attributes.read(p).words for p in (model.decode(codes), moved))
    assert np.mean(after["hair_color"] == asked) > 0.85
    assert np.mean(after["gender"] == before["gender"]) > 0.9


def test_random_faces_are_nearer_to_faces_than_codes_of_the_prior(model, unseen):
    """FID 45 against 235 on 1,000 pictures; the distance of the means alone tells them apart."""
    drawn = model.generate(COUNT, seed=0)
    np.testing.assert_array_equal(drawn[:3], model.generate(3, seed=0))
    smears = model.decode(latents.draw(COUNT, model.latent_dim, seed=0))
    extractor = extractors.get("anime")
    real, fitted, prior = (extractor(p)[0].mean(axis=0) for p in (unseen.images, drawn, smears))
    assert np.linalg.norm(real - fitted) < 0.6 * np.linalg.norm(real - prior)


def test_the_vae_gan_gives_back_without_the_weave(model, unseen):
    """SSIM 0.510 on 1,000 faces; and less of a pattern that alternates from pixel to pixel."""
    game = vae_gan.load()
    assert weights.path(vae_gan.FILE).stat().st_size < 4.2e6
    assert weights.card("vae_gan")["rules"].items() >= vae_gan.RULES.items()
    back = game.reconstruct(unseen.images)
    assert translation.measure(unseen.images, back)[0].value == pytest.approx(0.510, abs=0.03)
    signs = (-1.0) ** np.arange(64)

    def weave(pictures):
        return np.abs((pictures * signs[:, None]).mean(axis=2)).mean()

    assert weave(back) < 0.8 * weave(model.reconstruct(unseen.images))
