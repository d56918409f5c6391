"""Projection: pictures that the network can draw are found again, and nothing else is changed."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import latents, models, projection

SMALL = {"image_size": 32, "latent_dim": 8, "fmaps": 1 / 128, "max_channels": 16}


@pytest.fixture(scope="module")
def gan():
    """Not trained, but with styles, colours and noise that show."""
    keras.utils.set_random_seed(0)
    gan = models.StyleGAN2(**SMALL)
    gan.means.w.assign(gan.styles(latents.draw(1000, 8)).mean(axis=0))
    for variable in gan.average_synthesis.weights:
        if variable.name == "noise_strength":
            variable.assign(0.1)
    return gan


def error(gan, styles, images):
    return np.abs(gan.paint(styles).astype(float) - images).mean(axis=(1, 2, 3))


def test_a_picture_of_its_own_is_found_again(gan):
    """Pixels less than two fifths as far as from the mean style; networks to the bit as before."""
    images = gan.paint(gan.styles(latents.draw(2, 8, seed=5)))
    before = [w.copy() for w in gan.average_synthesis.get_weights()]
    found = projection.project(gan, images, steps=150)
    assert found.shape == (2, gan.style_count, 8) and found.dtype == np.float32
    np.testing.assert_array_equal(found, np.repeat(found[:, :1], gan.style_count, axis=1))
    mean = np.repeat(gan.means.w.numpy()[None], 2, axis=0)
    assert np.all(error(gan, found, images) < 0.4 * error(gan, mean, images))
    for old, new in zip(before, gan.average_synthesis.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert gan.average_synthesis.trainable


def test_a_style_for_each_layer(gan):
    """More freedom: pictures that no single style makes come nearer."""
    w = gan.styles(latents.draw(2, 8, seed=6))
    images = gan.paint(gan.mix(w[:1], w[1:], 4))
    one, each = (projection.project(gan, images, 100, layers=layers) for layers in (False, True))
    assert np.ptp(each, axis=1).max() > 0.1
    assert error(gan, each, images) < error(gan, one, images)


def test_same_seed_same_styles(gan):
    images = gan.generate(1, seed=3)
    first, second = (projection.project(gan, images, steps=3, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_rate():
    """Appendix D: up within a twentieth, down by a cosine within the last quarter."""
    ramp = projection._Ramp(200)
    for step, share in ((0, 0.0), (5, 0.5), (10, 1.0), (150, 1.0), (175, 0.5), (200, 0.0)):
        assert float(ramp(ops.convert_to_tensor(step))) == pytest.approx(0.1 * share, abs=1e-6)


def test_distance_of_equal_pictures_is_zero(gan):
    """What is summed: squared pixels, and squared differences of directions at four depths."""
    w = np.repeat(gan.means.w.numpy()[None], 1, axis=0)
    own = gan.average_synthesis([np.repeat(w[:, None], gan.style_count, axis=1), *gan.fixed_noise])
    player = projection.Projection(gan, gan.paint(w), steps=10)
    player.player.iterations.assign(10)  # the noise on w has died out
    assert float(player.distance(own)) == pytest.approx(0.0, abs=1e-5)
    moved = float(player.distance(own + 0.1))
    only_seen = projection.Projection(gan, gan.paint(w), steps=10, pixels=0.0)
    only_seen.player.iterations.assign(10)
    assert moved - float(only_seen.distance(own + 0.1)) == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 32, 32, 3), np.float32)]
)
def test_other_pictures_are_refused(gan, images):
    with pytest.raises(ValueError, match=r"pictures are uint8 \(count, 32, 32, 3\)"):
        projection.project(gan, images)
