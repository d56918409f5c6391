"""SSIM and PSNR against TensorFlow's own."""

import numpy as np
import pytest
from keras import ops

from anime_keras import data
from anime_keras.metrics.translation import measure, psnr, ssim


@pytest.fixture(scope="module")
def pairs():
    """Drawn faces and what noise, blur and brightness make of them, uint8."""
    images = data.render(6, size=48, seed=0).images
    random = np.random.default_rng(0)
    noisy = images[:2] + random.normal(0.0, 20.0, images[:2].shape)
    blurred = (
        images[2:4].astype(float) + np.roll(images[2:4], 2, 1) + np.roll(images[2:4], 2, 2)
    ) / 3
    brighter = images[4:] * 0.8 + 40.0
    changed = np.concatenate([noisy, blurred, brighter]).clip(0, 255).astype("uint8")
    return images, changed


def by_definition(target, images):
    """One window after another, in float64, with the two-dimensional Gaussian of the paper."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for top in range(target.shape[0] - 10):
        for left in range(target.shape[1] - 10):
            x, y = (side[top : top + 11, left : left + 11] / 255.0 for side in (target, images))
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
            cov = (window * (x - mx) * (y - my)).sum()
            luminance = (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
            values.append(luminance * (2 * cov + 9e-4) / (vx + vy + 9e-4))
    return np.mean(values)


def test_ssim_by_definition(pairs):
    for target, images in zip(*pairs, strict=True):
        ours = float(ssim(target[None, :24, :30], images[None, :24, :30])[0])
        channels = [by_definition(target[:24, :30, c], images[:24, :30, c]) for c in range(3)]
        assert ours == pytest.approx(np.mean(channels), rel=2e-6)


def test_tensorflow_in_uint8(pairs):
    import tensorflow as tf

    # TensorFlow's own float32 strays by 1e-5 from the definition
    expected = tf.image.ssim(*map(tf.constant, pairs), max_val=255)
    np.testing.assert_allclose(ops.convert_to_numpy(ssim(*pairs)), expected, rtol=5e-5)
    expected = tf.image.psnr(*map(tf.constant, pairs), max_val=255)
    np.testing.assert_allclose(ops.convert_to_numpy(psnr(*pairs)), expected, rtol=1e-5)


def test_tensorflow_on_one_channel_not_square(pairs):
    import tensorflow as tf

    grey = [side[:, :30, :, 1:2].astype("float32") / 255.0 for side in pairs]
    expected = tf.image.ssim(*grey, max_val=1.0)
    np.testing.assert_allclose(ops.convert_to_numpy(ssim(*grey, 1.0)), expected, rtol=5e-5)


def test_range_changes_nothing(pairs):
    """The kit's two kinds of pictures give one number."""
    floats = [side / np.float32(127.5) - 1.0 for side in pairs]
    for function in (ssim, psnr):
        whole, real = (ops.convert_to_numpy(function(*sides)) for sides in (pairs, floats))
        np.testing.assert_allclose(whole, real, rtol=1e-4)


def test_psnr_by_hand():
    """A constant error of 10 grey levels: 20 log₁₀(255 / 10) dB."""
    black = np.zeros((2, 16, 16, 3), "uint8")
    expected = 20.0 * np.log10(25.5)
    np.testing.assert_allclose(ops.convert_to_numpy(psnr(black, black + 10)), expected, rtol=1e-6)


def test_ssim_of_flat_pictures_by_hand():
    """No structure: (2ab + C₁) / (a² + b² + C₁) for greys a and b."""
    first, second = np.full((1, 12, 12, 1), 0.2), np.full((1, 12, 12, 1), 0.6)
    expected = (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert float(ssim(first, second, 1.0)[0]) == pytest.approx(expected, rel=1e-5)


def test_equal_pictures(pairs):
    np.testing.assert_allclose(ops.convert_to_numpy(ssim(pairs[0], pairs[0])), 1.0, atol=1e-6)
    assert np.isinf(ops.convert_to_numpy(psnr(pairs[0], pairs[0]))).all()


def test_refused(pairs):
    with pytest.raises(ValueError, match="at least 11 x 11"):
        ssim(np.zeros((1, 10, 30, 3)), np.zeros((1, 10, 30, 3)))
    with pytest.raises(ValueError, match="of one shape"):
        psnr(pairs[0], pairs[1][:, :40])
    with pytest.raises(ValueError, match="of one shape"):
        psnr(pairs[0][0], pairs[1][0])
    with pytest.raises(ValueError, match="whole numbers and the other floats"):
        ssim(pairs[0], pairs[1].astype("float32"))
    with pytest.raises(ValueError, match="6 targets, 5 pictures"):
        measure(pairs[0], pairs[1][:5])


@pytest.mark.parametrize("batch_size", [4, 64])
def test_measure(pairs, batch_size):
    results = measure(*pairs, batch_size=batch_size)
    assert [result.name for result in results] == ["SSIM", "PSNR"]
    for result, function in zip(results, (ssim, psnr), strict=True):
        values = ops.convert_to_numpy(function(*pairs)).astype(float)
        assert result.value == pytest.approx(values.mean(), rel=1e-6)
        assert result.spread == pytest.approx(1.96 * values.std(ddof=1) / np.sqrt(6), rel=1e-5)
        assert (result.real, result.fake, result.better) == (6, 6, "higher")


def test_measure_says_what_is_equal(pairs):
    _, result = measure(pairs[0], np.concatenate([pairs[0][:2], pairs[1][2:]]))
    assert result.value == float("inf") and result.spread is None
    assert "2 pairs are equal" in result.warnings[0]
