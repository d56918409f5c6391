"""Augmentation: each change by its numbers, at its limits and in its spread, and under its key."""

import colorsys
import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from anime_keras import data
from anime_keras.data.augmentation import GREY, Augmentation, key

ALL = {
    "flip": True,
    "rotation": 20.0,
    "translation": 0.1,
    "brightness": 0.2,
    "contrast": 0.3,
    "saturation": 0.4,
    "hue": 0.1,
    "cutout": 0.3,
}


@pytest.fixture
def limit(monkeypatch):
    """limit("upper") or limit("lower"): from then on all that is drawn is that end of its range."""

    def limit(which):
        def uniform(shape, minval, maxval, dtype, seed):
            return tf.fill(shape, tf.cast(maxval if which == "upper" else minval, dtype))

        monkeypatch.setattr(tf.random, "stateless_uniform", uniform)

    return limit


def change(images, number=0, **augmentation):
    """The changed pictures as NumPy."""
    return np.asarray(Augmentation(**augmentation)(images.astype("float32"), key(0, number)))


def spread(images, **augmentation):
    """512 changed copies of a picture."""
    return change(np.repeat(images[None], 512, axis=0), **augmentation)


@pytest.fixture(scope="module")
def faces():
    return data.render(16, size=32, seed=3).images.astype("float32") / 255


def noise(size=16, count=1):
    return np.random.default_rng(1).random((count, size, size, 3), np.float32)


def dot(x, y, size=33):
    """A black picture with a soft white dot: its centroid survives bilinear resampling."""
    rows, columns = np.indices((size, size))
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8.0)
    return np.repeat(spot[..., None], 3, axis=-1).astype("float32")


def centroids(images):
    """x and y of the light in each picture, in pixels: (count, 2)."""
    light = images[..., 0].astype("float64")
    rows, columns = np.indices(light.shape[1:])
    total = light.sum(axis=(1, 2))
    return np.stack([(light * c).sum(axis=(1, 2)) / total for c in (columns, rows)], axis=1)


def assert_uniform(values, low, high):
    """Within the limits, and with the mean and the standard deviation of the uniform distribution."""
    width = high - low
    assert values.min() >= low - 0.02 * width and values.max() <= high + 0.02 * width
    assert values.min() <= low + 0.03 * width and values.max() >= high - 0.03 * width
    assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.05 * width)  # 4 standard errors
    assert np.std(values) == pytest.approx(width / np.sqrt(12), rel=0.1)


# --- geometry -------------------------------------------------------------------------------------


def test_flip_is_the_mirror_for_half():
    picture = noise()[0]
    turned = 0
    for image in spread(picture, flip=True):
        mirrored = np.array_equal(image, picture[:, ::-1])
        assert mirrored or np.array_equal(image, picture)
        turned += mirrored
    assert turned == pytest.approx(256, abs=45)  # 4 standard deviations


@pytest.mark.parametrize("which", ["upper", "lower"])
@pytest.mark.parametrize("size", [16, 17])
def test_a_quarter_turn(limit, which, size):
    limit(which)
    picture = noise(size)
    turns = 1 if which == "upper" else -1  # a positive angle turns against the clock
    expected = np.rot90(picture, turns, axes=(1, 2))
    np.testing.assert_allclose(change(picture, rotation=90), expected, atol=1e-4)


def test_rotation_spreads_to_both_sides():
    """A dot three o'clock of the centre goes around it, at the same distance."""
    moved = centroids(spread(dot(24, 16), rotation=30)) - 16
    np.testing.assert_allclose(np.hypot(*moved.T), 8, atol=0.1)
    assert_uniform(np.degrees(np.arctan2(-moved[:, 1], moved[:, 0])), -30, 30)


@pytest.mark.parametrize(("which", "sign"), [("upper", 1), ("lower", -1)])
def test_translation_by_the_fraction(limit, which, sign):
    limit(which)
    moved = change(dot(15, 17, 32)[None], translation=0.125)
    np.testing.assert_allclose(centroids(moved), [[15 + sign * 4, 17 + sign * 4]], atol=0.01)


def test_translation_spreads_in_both_directions_independently():
    moved = centroids(spread(dot(20, 20, 41), translation=0.2)) - 20
    for direction in moved.T:
        assert_uniform(direction, -8.2, 8.2)
    assert np.corrcoef(moved.T)[0, 1] == pytest.approx(0, abs=0.18)  # 4 standard errors


@pytest.mark.parametrize(("which", "shift"), [("upper", 4), ("lower", -4)])
def test_the_border_is_filled_by_reflection(limit, which, shift):
    limit(which)
    picture = noise(16)
    padded = np.pad(picture, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="symmetric")
    expected = padded[:, 4 - shift : 20 - shift, 4 - shift : 20 - shift]
    np.testing.assert_allclose(change(picture, translation=0.25), expected, atol=1e-5)


def test_rotation_and_translation_at_once(limit):
    """Turned about the centre first, moved then; resampled once."""
    limit("upper")
    picture = noise(16)
    turned = np.rot90(picture, axes=(1, 2))
    moved = np.pad(turned, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="symmetric")[:, :16, :16]
    np.testing.assert_allclose(change(picture, rotation=90, translation=0.25), moved, atol=1e-4)


def test_pictures_need_not_be_square(limit):
    limit("upper")
    picture = np.zeros((1, 20, 40, 3), np.float32)
    picture[0, 8, 10] = 1
    moved = change(picture, translation=0.25)  # of the height, and of the width
    assert np.argwhere(moved[0, ..., 0] > 0.99).tolist() == [[13, 20]]


# --- colours --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "sign"), [("upper", 1), ("lower", -1)])
def test_brightness(limit, which, sign):
    limit(which)
    picture = noise()
    expected = np.clip(picture + sign * 0.3, 0, 1)
    np.testing.assert_allclose(change(picture, brightness=0.3), expected, atol=1e-6)


@pytest.mark.parametrize(("which", "times"), [("upper", 1.4), ("lower", 0.6)])
def test_contrast(limit, which, times):
    limit(which)
    picture = noise()
    mean = picture.mean(axis=(1, 2), keepdims=True)
    expected = np.clip((picture - mean) * times + mean, 0, 1)
    np.testing.assert_allclose(change(picture, contrast=0.4), expected, atol=1e-5)


def hsv(images):
    """By the standard library, an independent implementation."""
    flat = images.reshape(-1, 3).astype("float64")
    return np.array([colorsys.rgb_to_hsv(*color) for color in flat]).reshape(images.shape)


@pytest.mark.parametrize(("which", "times"), [("upper", 1.5), ("lower", 0.5)])
def test_saturation(limit, which, times):
    limit(which)
    picture = noise(8)
    before, after = hsv(picture), hsv(change(picture, saturation=0.5))
    np.testing.assert_allclose(after[..., 1], np.clip(before[..., 1] * times, 0, 1), atol=1e-4)
    np.testing.assert_allclose(after[..., 2], before[..., 2], atol=1e-5)
    turned = np.abs(after[..., 0] - before[..., 0])
    assert np.minimum(turned, 1 - turned).max() < 1e-3


def test_saturation_to_grey_and_no_further(limit):
    limit("lower")
    grey = change(noise(8), saturation=1.0)
    np.testing.assert_allclose(grey, grey[..., :1].repeat(3, axis=-1), atol=1e-5)


def test_hue(limit):
    """A sixth of the circle: red to yellow or to magenta."""
    colors = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.8, 0.4, 0.4]]).reshape(1, 2, 2, 3)
    turned = spread(colors[0], hue=1 / 6)
    limit("upper")
    there = change(colors, hue=1 / 6)
    one_way = np.float32([[1, 0, 1], [1, 1, 0], [0, 1, 1], [0.8, 0.4, 0.8]]).reshape(1, 2, 2, 3)
    np.testing.assert_allclose(there, one_way, atol=1e-4)
    angles = (hsv(turned[:, 0, 0])[:, 0] + 0.5) % 1 - 0.5
    assert_uniform(angles, -1 / 6, 1 / 6)


@pytest.mark.parametrize("which", ["saturation", "hue"])
def test_grey_stays_grey(which):
    grey = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8, 1).repeat(3, axis=-1)
    for image in spread(grey, **{which: 0.5})[:64]:
        np.testing.assert_allclose(image, grey, atol=1e-6)


@pytest.mark.parametrize("which", ["brightness", "contrast"])
def test_grey_stays_without_colour(which):
    grey = np.linspace(0.2, 0.8, 64, dtype=np.float32).reshape(8, 8, 1).repeat(3, axis=-1)
    changed = spread(grey, **{which: 0.5})
    np.testing.assert_allclose(changed, changed[..., :1].repeat(3, axis=-1), atol=1e-6)
    assert np.abs(changed - grey).max() > 0.1


def test_colours_spread_to_both_sides():
    picture = np.full((4, 4, 3), (0.5, 0.4, 0.4), np.float32)
    picture[::2] = (0.6, 0.48, 0.48)  # the same hue and saturation, lighter
    assert_uniform(spread(picture, brightness=0.2)[:, 0, 0, 0] - 0.6, -0.2, 0.2)
    light = spread(picture, contrast=0.5)[:, :, 0, 0]
    assert_uniform((light[:, 0] - light[:, 1]) / 0.1, 0.5, 1.5)
    before, after = 0.2, hsv(spread(picture, saturation=0.5)[:, 0, 0])[:, 1]
    assert after.min() / before == pytest.approx(0.5, abs=0.02)
    assert after.max() / before == pytest.approx(1.5, abs=0.02)


# --- cutout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cutout", "side"), [(0.25, 8), (0.5, 16)])
def test_cutout_is_a_grey_square_anywhere(cutout, side):
    places = set()
    for image in spread(np.ones((32, 32, 3), np.float32), cutout=cutout):
        rows, columns = np.nonzero((image == GREY).all(axis=-1))
        assert ((image == 1) | (image == GREY)).all()
        assert len(rows) == side * side
        assert (np.ptp(rows), np.ptp(columns)) == (side - 1, side - 1)
        places.add((rows.min(), columns.min()))
    tops, lefts = np.array(list(places)).T
    # Keras rounds up: the very first row and column are never hidden.
    assert (tops.min(), tops.max(), lefts.min(), lefts.max()) == (1, 32 - side, 1, 32 - side)
    assert len(places) > 200  # of (32 - side) squared


def test_cutout_of_odd_sides_covers_about_the_area():
    images = spread(np.ones((20, 20, 3), np.float32), cutout=0.33)  # 6.6 pixels: 6 or 7
    areas = (images == GREY).all(axis=-1).sum(axis=(1, 2))
    assert set(areas) <= {36, 42, 49}
    assert areas.mean() == pytest.approx(6.6**2, rel=0.03)


# --- the whole ------------------------------------------------------------------------------------


def test_the_same_key_makes_the_same_changes(faces):
    changed = change(faces, **ALL)
    np.testing.assert_array_equal(change(faces, **ALL), changed)
    for other in (1, 2, 2**40):
        assert np.abs(change(faces, other, **ALL) - changed).mean() > 0.05


def test_no_state_and_no_foreign_dice(faces):
    """Neither what was drawn before nor anybody else's dice matter, and those are left alone."""
    augmentation = Augmentation(**ALL)
    keys = [key(5, number) for number in range(4)]
    first = [augmentation(faces, k).numpy() for k in keys]
    keras.utils.set_random_seed(1)
    states = random.getstate(), np.random.get_state()[1].tolist()
    again = [Augmentation(**ALL)(faces, k).numpy() for k in reversed(keys)]
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    np.testing.assert_array_equal(again[::-1], first)


def test_threads(faces):
    augmentation = Augmentation(**ALL)
    keys = [key(0, number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda k: augmentation(faces, k).numpy(), keys))
    np.testing.assert_array_equal(together, [augmentation(faces, k).numpy() for k in keys])


def test_precision_of_training_does_not_matter(faces):
    """Where networks compute in bfloat16, the pictures keep their 24 bits."""
    expected = change(faces, **ALL)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        np.testing.assert_array_equal(change(faces, **ALL), expected)
    finally:
        keras.config.set_dtype_policy(policy)


def test_pictures_of_a_batch_are_changed_each_by_itself():
    picture = noise(32)[0]
    for name, value in ALL.items():
        images = np.round(spread(picture, **{name: value}), 5)
        different = len(np.unique(images.reshape(512, -1), axis=0))
        assert different == 2 if name == "flip" else different > 300


def test_stays_within_range(faces):
    extreme = dict.fromkeys(ALL, 0.5) | {"rotation": 180.0}
    changed = change(faces, **extreme)
    assert changed.dtype == np.float32 and changed.shape == faces.shape
    assert changed.min() >= 0 and changed.max() <= 1


def test_nothing_to_change(faces):
    assert not Augmentation()
    np.testing.assert_array_equal(change(faces), faces)
    for name, value in ALL.items():
        assert Augmentation(**{name: value})


@pytest.mark.parametrize(
    ("name", "wrong", "top"),
    [("rotation", 181, 180), ("hue", 0.51, 0.5), ("translation", -0.1, 1), ("cutout", 1.1, 1)],
)
def test_out_of_range(name, wrong, top):
    with pytest.raises(ValueError, match=f"{name} must be between 0 and {top}, not {wrong}"):
        Augmentation(**{name: wrong})


def test_keys_differ():
    keys = {tuple(key(seed, number)) for seed in range(50) for number in range(50)}
    assert len(keys) == 2500
    assert all(0 <= part < 2**31 - 1 for pair in keys for part in pair)
    assert key(2**63, 2**62).dtype == np.int32
