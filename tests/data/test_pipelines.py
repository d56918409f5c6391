"""Batches: a pure function of (seed, number), so that training can go on anywhere."""

import numpy as np
import pytest

from anime_keras.data.pipelines import Batches, normalize


@pytest.fixture
def images():
    """22 pictures, each told by its first pixel; the left and right halves differ."""
    pictures = np.zeros((22, 8, 8, 3), np.uint8)
    pictures[:, :, 4:] = 255
    pictures[:, 0, 0, 0] = np.arange(22) * 10
    pictures[:, 0, -1, 0] = np.arange(22) * 10
    return pictures


def which(batch):
    """The numbers of a batch's pictures, mirrored or not."""
    return np.round((batch[:, 0, 0, 0] + 1.0) * 127.5 / 10).astype(int).tolist()


def test_normalize():
    values = normalize(np.arange(256, dtype=np.uint8))
    assert values.dtype == np.float32
    assert (values[0], values[255]) == (-1.0, 1.0)
    np.testing.assert_allclose(np.diff(values), 1 / 127.5, atol=1e-6)
    np.testing.assert_array_equal(np.round((values + 1.0) * 127.5), np.arange(256))


def test_shape_and_range(images):
    batch = Batches(images, 4).batch(0)
    assert batch.shape == (4, 8, 8, 3) and batch.dtype == np.float32
    assert (batch.min(), batch.max()) == (-1.0, 1.0)


def test_a_batch_is_a_pure_function_of_its_number(images):
    numbers = [7, 0, 31, 3, 0, 7]
    asked = Batches(images, 4, seed=5, flip=True)
    first = {number: asked.batch(number) for number in numbers}
    for number in reversed(numbers):  # in another order, from another object
        np.testing.assert_array_equal(asked.batch(number), first[number])
        fresh = Batches(images, 4, seed=5, flip=True).batch(number)
        np.testing.assert_array_equal(fresh, first[number])


def test_an_epoch_shows_each_picture_at_most_once(images):
    batches = Batches(images, 4, seed=1)
    assert batches.per_epoch == 5  # 22 = 5 * 4 + 2
    epochs = [
        [number for place in range(5) for number in which(batches.batch(5 * epoch + place))]
        for epoch in range(100)
    ]
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == 20
    assert len({tuple(epoch) for epoch in epochs}) == 100
    # Who is left out changes as well.
    assert set().union(*(set(range(22)) - set(epoch) for epoch in epochs)) == set(range(22))


def test_seeds_differ(images):
    orders = {tuple(which(Batches(images, 22, seed=seed).batch(0))) for seed in range(8)}
    assert len(orders) == 8


def test_exact_division(images):
    batches = Batches(images[:20], 4)
    assert sorted(number for batch in batches for number in which(batch)) == list(range(20))


def test_flip_is_a_mirror_for_about_half(images):
    plain, flipped = Batches(images, 11, seed=2), Batches(images, 11, seed=2, flip=True)
    turned = []
    for number in range(20):
        for ours, theirs in zip(plain.batch(number), flipped.batch(number), strict=True):
            mirrored = np.array_equal(theirs, ours[:, ::-1])
            assert mirrored or np.array_equal(theirs, ours)
            turned.append(mirrored)
    assert np.mean(turned) == pytest.approx(0.5, abs=0.12)  # 220 draws: 3.5 standard errors


def test_flip_leaves_the_originals(images):
    before = images.copy()
    list(Batches(images, 11, flip=True))
    np.testing.assert_array_equal(images, before)


def test_iterates_over_one_epoch(images):
    batches = Batches(images, 4, seed=3)
    for number, batch in enumerate(batches):
        np.testing.assert_array_equal(batch, batches.batch(number))
    assert number == 4


@pytest.mark.parametrize("start", [0, 3, 5, 13])
def test_dataset_starts_anywhere(images, start):
    """`tf.data` gives what `batch` gives, over the end of an epoch and on."""
    batches = Batches(images, 4, seed=3, flip=True)
    dataset = batches.dataset(start)
    assert dataset.element_spec.shape == (4, 8, 8, 3)
    for number, batch in zip(range(start, start + 12), dataset, strict=False):
        np.testing.assert_array_equal(batch.numpy(), batches.batch(number))


@pytest.mark.parametrize("size", [0, -1, 23])
def test_batch_size(images, size):
    with pytest.raises(ValueError, match=f"A batch of {size} cannot be made from 22 pictures"):
        Batches(images, size)
    assert Batches(images, 22).per_epoch == 1


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 8, 8, 3), np.float32),
        np.zeros((4, 8, 8), np.uint8),
        np.zeros((4, 8, 8, 4), np.uint8),
    ],
)
def test_wrong_pictures(wrong):
    with pytest.raises(ValueError, match=r"must be uint8 of shape \(count, height, width, 3\)"):
        Batches(wrong, 2)
