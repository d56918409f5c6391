"""Sliced Wasserstein distance: TF-GAN's, made repeatable and safe for flat drawings."""

import sys

import numpy as np
import pytest

from anime_keras import data, tfgan
from anime_keras.metrics.sliced_wasserstein import measure, sliced_wasserstein_distance


@pytest.fixture(scope="module")
def faces():
    return data.render(200, size=32, seed=0).images


def test_is_tfgans(faces):
    """The same function on the same dithered pictures and draws."""
    import tensorflow as tf

    noise = np.random.default_rng(5)
    sides = []
    for side in (faces[:40], faces[40:80]):
        dither = noise.uniform(-0.5, 0.5, side.shape).astype("float32")
        sides.append(tf.constant(side + dither))
    swd = tfgan.module("eval.sliced_wasserstein")
    np.random.seed(5)
    tf.random.set_seed(5)
    expected = swd.sliced_wasserstein_distance(*sides)
    ours = sliced_wasserstein_distance(faces[:40], faces[40:80], seed=5)
    assert list(ours) == [32, 16]
    for (between, among), (real, fake) in zip(ours.values(), expected, strict=True):
        assert (between, among) == pytest.approx((float(fake), float(real)), rel=1e-5)


def test_repeatable_and_leaves_numpys_generator_alone(faces):
    np.random.seed(1)
    first = sliced_wasserstein_distance(faces[:20], faces[20:40])
    drawn = np.random.random()
    assert first == sliced_wasserstein_distance(faces[:20], faces[20:40])
    np.random.seed(1)
    assert drawn == np.random.random()
    assert first != sliced_wasserstein_distance(faces[:20], faces[20:40], seed=1)


def test_flat_pictures():
    """A patch without any variance is 0 / 0 to TF-GAN."""
    white = np.full((20, 16, 16, 3), 255, "uint8")
    ((between, among),) = sliced_wasserstein_distance(white, white).values()
    assert np.isfinite([between, among]).all() and between < 0.2


def test_says_at_which_scale_pictures_differ(faces):
    """Noise is fine texture: the finest level grows most. Others of the same kind are near."""
    noise = np.random.default_rng(0).normal(0.0, 40.0, faces[100:].shape)
    noisy = (faces[100:] + noise).clip(0, 255).astype("uint8")
    clean = sliced_wasserstein_distance(faces[:100], faces[100:])
    rough = sliced_wasserstein_distance(faces[:100], noisy)
    grown = {size: rough[size][0] / clean[size][0] for size in clean}
    assert grown[32] > 1.5 * grown[16] > 1.5
    assert all(between < 3.0 * among for between, among in clean.values())


def test_refused(faces):
    with pytest.raises(ValueError, match="as many square RGB pictures"):
        sliced_wasserstein_distance(faces[:3], faces[:4])
    with pytest.raises(ValueError, match="as many square RGB pictures"):
        sliced_wasserstein_distance(faces[:3, :16], faces[:3, :16])
    with pytest.raises(ValueError, match="24 is no power of two"):
        sliced_wasserstein_distance(faces[:3, :24, :24], faces[:3, :24, :24])
    with pytest.raises(ValueError, match="must be uint8"):
        sliced_wasserstein_distance(faces[:3], faces[:3] / 255.0)


def test_without_tfgan(faces, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in [name for name in sys.modules if name.startswith("tensorflow_gan")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ImportError, match="pip install 'tensorflow-gan"):
        sliced_wasserstein_distance(faces[:3], faces[:3])


def test_measure(faces):
    result = measure(faces[:20], faces[20:40], seed=3)
    levels = sliced_wasserstein_distance(faces[:20], faces[20:40], seed=3)
    assert result.value == pytest.approx(
        1000 * np.mean([between for between, _ in levels.values()])
    )
    assert result.details["real 16 px"] == pytest.approx(1000 * levels[16][1])
    assert set(result.details) == {"32 px", "real 32 px", "16 px", "real 16 px"}
    assert str(result).startswith("SWD x 1000 ") and "seed 3" in str(result)
    assert "20 pictures; published" in result.warnings[0]
