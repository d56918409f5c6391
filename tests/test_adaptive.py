"""Adaptive augmentation: what each change does to a picture whose answer is known, and when p moves."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import adaptive


def layer(p, **options):
    made = adaptive.AdaptiveAugmentation(**options)
    made.probability.assign(p)
    return made


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).uniform(-1, 1, (6, 8, 8, 3)).astype("float32")


def maps(matrix, count=1):
    return ops.convert_to_tensor(np.repeat(np.array(matrix, "float32")[None], count, axis=0))


def sampled(images, matrix):
    return ops.convert_to_numpy(adaptive.sample(images, maps(matrix, len(images))))


def test_nothing_changes_at_p_0(images):
    np.testing.assert_allclose(layer(0.0)(images), images, atol=1e-5)


def test_everything_changes_at_p_1(images):
    changed = ops.convert_to_numpy(layer(1.0)(images))
    assert np.abs(changed - images).mean(axis=(1, 2, 3)).min() > 0.1


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[-1, 0, 0], [0, 1, 0], [0, 0, 1]], lambda x: x[:, :, ::-1]),
        ([[0, -1, 0], [1, 0, 0], [0, 0, 1]], lambda x: np.rot90(x, axes=(1, 2))),
        # A quarter of the width from -1 to 1 is one pixel of eight; what moves in is mirrored.
        (
            [[1, 0, 0.25], [0, 1, 0], [0, 0, 1]],
            lambda x: np.concatenate([x[:, :, 1:], x[:, :, -1:]], axis=2),
        ),
        (
            [[1, 0, 0], [0, 1, -0.5], [0, 0, 1]],
            lambda x: np.concatenate([x[:, 1::-1], x[:, :-2]], axis=1),
        ),
    ],
)
def test_geometry_of_whole_pixels(images, matrix, expected):
    """Mirrored, turned, shifted: pixels only change places."""
    np.testing.assert_allclose(sampled(images, matrix), expected(images), atol=1e-5)


def test_geometry_between_pixels(images):
    """Against OpenCV's bilinear warp, which counts in pixels, with the same mirror images."""
    angle, scale = 0.4, 1.3
    c, s = np.cos(angle) * scale, np.sin(angle) * scale
    found = sampled(images, [[c, -s, 0.1], [s, c, -0.2], [0, 0, 1]])
    half, middle = 4.0, 3.5
    linear = np.array([[c, -s], [s, c]])
    shift = np.array([0.1, -0.2]) * half + middle - linear @ [middle, middle]
    warp = np.concatenate([linear, shift[:, None]], axis=1)
    for picture, ours in zip(images, found, strict=True):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        theirs = cv2.warpAffine(picture, warp, (8, 8), flags=flags, borderMode=cv2.BORDER_REFLECT)
        np.testing.assert_allclose(ours, theirs, atol=0.03)  # OpenCV counts in 1/32 of a pixel


def test_gradient_is_the_adjoint(images):
    """<A x, y> = <x, Aᵀ y>: what comes back through the sampling is exactly what went in."""
    import tensorflow as tf

    matrix = maps([[0.9, -0.5, 0.1], [0.4, 1.1, -0.3], [0, 0, 1]], len(images))
    x = tf.constant(images)
    y = tf.constant(np.random.default_rng(1).standard_normal(images.shape), "float32")
    with tf.GradientTape() as tape:
        tape.watch(x)
        product = tf.reduce_sum(adaptive.sample(x, matrix) * y)
    back = tf.reduce_sum(tape.gradient(product, x) * x)
    assert float(back) == pytest.approx(float(product), rel=1e-4)


def test_colours_one_by_one(images):
    """Grey stays grey under hue and saturation; a full turn, and inversion twice, change nothing."""
    made = layer(0.0)
    one = ops.convert_to_numpy(made.draw_colours(1))[0]
    np.testing.assert_allclose(one, np.eye(4), atol=1e-6)
    made.probability.assign(1.0)
    drawn = ops.convert_to_numpy(made.draw_colours(500)).astype("float64")
    # Lightness of grey g: ±contrast (g + brightness), whatever hue and saturation are.
    grey = drawn[:, :3] @ np.array([0.5, 0.5, 0.5, 1.0])
    np.testing.assert_allclose(grey - grey.mean(axis=1, keepdims=True), 0, atol=1e-5)
    contrast = np.abs(drawn[:, :3] @ np.array([1.0, 1.0, 1.0, 0.0]))[:, 0]
    assert np.std(np.log2(contrast)) == pytest.approx(0.5, abs=0.05)
    brightness = drawn[:, 0, 3] / (drawn[:, :3, :3].sum(axis=2)[:, 0])
    assert np.std(brightness) == pytest.approx(0.2, abs=0.02)
    assert np.mean(drawn[:, :3, :3].sum(axis=2)[:, 0] < 0) == 1.0  # inverted, always at p = 1
    # Saturation: how much of a colour without grey is left, over the contrast; 2^N(0, 1).
    colourful = np.linalg.norm(drawn[:, :3, :3] @ np.array([1.0, -1.0, 0.0]), axis=1) / np.sqrt(2)
    assert np.std(np.log2(colourful / contrast)) == pytest.approx(1.0, abs=0.1)


def test_geometry_is_drawn_as_the_paper_says():
    made = layer(1.0)
    drawn = ops.convert_to_numpy(made.draw_maps(4000, 64)).astype("float64")
    areas = np.linalg.det(drawn[:, :2, :2])
    assert np.mean(areas < 0) == pytest.approx(0.5, abs=0.03)  # mirrored: one in two
    assert np.std(np.log2(np.abs(areas)) / 2) == pytest.approx(0.2, abs=0.02)  # isotropic scale
    singular = np.linalg.svd(drawn[:, :2, :2], compute_uv=False)
    stretch = np.log2(singular[:, 0] / singular[:, 1]) / 2
    assert np.mean(stretch) == pytest.approx(0.2 * np.sqrt(2 / np.pi), abs=0.02)


def test_each_change_has_probability_p():
    drawn = ops.convert_to_numpy(layer(0.3).draw_colours(4000))
    inverted = drawn[:, :3, :3].sum(axis=2)[:, 0] < 0
    assert np.mean(inverted) == pytest.approx(0.3, abs=0.03)
    drawn = ops.convert_to_numpy(layer(0.3).draw_maps(4000, 64))
    assert np.mean(np.linalg.det(drawn[:, :2, :2]) < 0) == pytest.approx(0.15, abs=0.02)
    # Turned before or after the stretch, or both: p in all.
    straight = np.abs(np.linalg.svd(drawn[:, :2, :2], compute_uv=False) - 1).max(axis=1) < 1e-4
    assert np.mean(straight) == pytest.approx(0.49, abs=0.03)  # neither scaled nor stretched


def test_p_follows_overfitting():
    """Every fourth look, by 4 batches / unit, up where the mean sign is above the target, else down."""
    made = layer(0.0, target=0.6, unit=1000)
    sure, doubtful = np.full((10, 1), 2.0, "float32"), np.array([[1.0], [-1.0]] * 5, "float32")
    for look in range(1, 9):
        made.adapt(sure)
        assert float(made.probability) == pytest.approx(0.04 * (look // 4))
    for look in range(4):  # mean sign (1 + 0 + 0 + 0) / 4 is below 0.6
        made.adapt(sure if look == 0 else doubtful)
    assert float(made.probability) == pytest.approx(0.04)
    for _ in range(12):
        made.adapt(doubtful)
    assert float(made.probability) == 0.0


def test_saved_with_a_model(images, tmp_path):
    made = layer(0.7, seed=3)
    again = adaptive.AdaptiveAugmentation.from_config(made.get_config())
    again.probability.assign(0.7)
    np.testing.assert_array_equal(again(images), made(images))
    assert keras.saving.get_registered_object("anime_keras>AdaptiveAugmentation") is type(made)
