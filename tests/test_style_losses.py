"""Losses of content, style and colour against hand-computed values and TensorFlow's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from anime_keras import losses


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 3)).astype("float32")


def plain(*colors):
    """A picture of one pixel a colour, each given from 0 to 1, as a batch of one row."""
    return 2.0 * np.float32(colors)[None, None] - 1.0


def array(tensor):
    return ops.convert_to_numpy(tensor)


class TestYUV:
    def test_is_tensorflows(self):
        images = pictures(2, 5, 7)
        expected = tf.image.rgb_to_yuv((images + 1) / 2).numpy()
        np.testing.assert_allclose(array(losses.yuv(images)), expected, atol=1e-6)

    def test_of_primaries(self):
        """White has no colour; blue, which looks dark, has the largest U."""
        white, blue, red = array(losses.yuv(plain((1, 1, 1), (0, 0, 1), (1, 0, 0))))[0, 0]
        np.testing.assert_allclose(white, (1, 0, 0), atol=1e-6)
        assert blue == pytest.approx((0.114, 0.436, -0.100), abs=1e-3)
        assert red == pytest.approx((0.299, -0.147, 0.615), abs=1e-3)

    def test_grey(self):
        grey = array(losses.grey(plain((1, 1, 1), (0, 0, 1), (0.2, 0.2, 0.2))))[0, 0]
        np.testing.assert_allclose(grey, [[1] * 3, [2 * 0.114 - 1] * 3, [-0.6] * 3], atol=1e-6)
        np.testing.assert_allclose(array(losses.yuv(grey[None, None]))[..., 1:], 0.0, atol=1e-6)


class TestHuber:
    def test_by_hand(self):
        """½ · 0.5² = 0.125 within, 3 - ½ = 2.5 beyond, and ½ where they meet."""
        for distance, expected in ((0.5, 0.125), (-3.0, 2.5), (1.0, 0.5), (0.0, 0.0)):
            found = losses.huber(np.zeros(4, "float32"), np.full(4, distance, "float32"))
            assert float(found) == pytest.approx(expected, abs=1e-7)

    def test_is_keras(self):
        target, values = 3 * pictures(4, 4), 3 * pictures(4, 4, seed=1)
        expected = keras.losses.Huber()(target, values)
        assert float(losses.huber(target, values)) == pytest.approx(float(expected), rel=1e-6)


class TestColor:
    def test_by_hand(self):
        """From white to blue: |0.114 - 1|, then ½ 0.43601035² and ½ 0.10001026²."""
        found = float(losses.color(plain((1, 1, 1)), plain((0, 0, 1))))
        assert found == pytest.approx(0.886 + 0.0950525 + 0.0050010, abs=1e-6)

    def test_of_equal_pictures(self):
        assert float(losses.color(pictures(2, 4, 4), pictures(2, 4, 4))) == 0.0


class TestTotalVariation:
    def test_by_hand(self):
        """Rows 0 0 / 1 3: down the steps are 1 and 3, to the right 0 and 2."""
        image = np.float32([[0, 0], [1, 3]])[None, ..., None]
        assert float(losses.total_variation(image)) == pytest.approx(0.5 * (5 + 2), abs=1e-6)

    def test_as_in_the_reference(self):
        images = pictures(3, 6, 5)
        down, right = np.diff(images, axis=1), np.diff(images, axis=2)
        expected = sum(np.sum(step**2) / 2 / step.size for step in (down, right))
        assert float(losses.total_variation(images)) == pytest.approx(expected, rel=1e-5)
        assert float(losses.total_variation(np.full((1, 4, 4, 3), 0.3))) == 0.0


class TestStyle:
    def test_gram_by_hand(self):
        """Two places with channels (1, 2) and (3, -1): [[1+9, 2-3], [2-3, 4+1]] / (1 · 2 · 2)."""
        maps = np.float32([[[[1, 2], [3, -1]]]])
        np.testing.assert_allclose(array(losses.gram(maps))[0], [[2.5, -0.25], [-0.25, 1.25]])

    def test_gram_does_not_ask_where(self):
        maps = pictures(2, 4, 6)
        shuffled = maps.reshape(2, 24, 3)[:, np.random.default_rng(1).permutation(24)]
        np.testing.assert_allclose(
            array(losses.gram(maps)), array(losses.gram(shuffled.reshape(2, 4, 6, 3))), atol=1e-6
        )

    def test_style_by_hand(self):
        one, other = np.float32([[[[1, 2], [3, -1]]]]), np.zeros((1, 1, 2, 2), "float32")
        assert float(losses.style(one, other)) == pytest.approx((2.5 + 0.25 + 0.25 + 1.25) / 4)

    def test_of_several_pictures(self):
        """Each picture has a matrix of its own: the mean of maps would not do."""
        one, other = pictures(3, 4, 4), pictures(3, 4, 4, seed=1)
        matrices = [np.einsum("nhwi,nhwj->nij", m, m) / 48 for m in (one, other)]
        expected = np.abs(matrices[0] - matrices[1]).mean()
        assert float(losses.style(one, other)) == pytest.approx(expected, rel=1e-5)


def test_all_in_float32():
    for loss in (losses.color, losses.style):
        images = ops.cast(pictures(1, 4, 4), "bfloat16")
        assert keras.backend.standardize_dtype(loss(images, images).dtype) == "float32"
    assert keras.backend.standardize_dtype(losses.total_variation(images).dtype) == "float32"
