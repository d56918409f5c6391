"""Which pictures are one drawing, and what to do about it."""

import math

import cv2
import numpy as np
import pytest

from anime_keras import data
from anime_keras.data import duplicates


@pytest.fixture(scope="module")
def faces():
    return data.render(40, size=96, seed=3).images


def bits(hash128):
    return "".join(f"{byte:08b}" for byte in np.asarray(hash128).view(np.uint8))


def test_hash_by_its_definition():
    """Against a DCT written as a matrix and means of fields; 288 is a multiple of 32, 9 and 8."""
    image = np.random.default_rng(0).integers(0, 256, (288, 288, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 12)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
    k, n = np.arange(32)[:, None], np.arange(32)[None]
    basis = np.cos(np.pi * (2 * n + 1) * k / 64)
    small = np.rint(grey.reshape(32, 9, 32, 9).mean(axis=(1, 3)))
    frequencies = (basis @ small @ basis.T)[1:9, 1:9]
    fields = np.rint(grey.reshape(8, 36, 9, 32).mean(axis=(1, 3)))
    expected = [*(frequencies > 0).ravel(), *(np.diff(fields) > 0).ravel()]
    found = duplicates.perceptual_hash(image)
    assert found.dtype == np.uint64 and found.shape == (2,)
    wrong = sum(a != str(int(b)) for a, b in zip(bits(found), expected, strict=True))
    assert wrong <= 1  # a mean of exactly one half may be rounded either way


def test_distances_count_bits():
    random = np.random.default_rng(1)
    a, b = (random.integers(0, 2**64, (n, 2), np.uint64) for n in (7, 5))
    expected = [[sum(x != y for x, y in zip(bits(i), bits(j), strict=True)) for j in b] for i in a]
    np.testing.assert_array_equal(duplicates.distances(a, b), expected)
    everything = np.full((1, 2), 2**64 - 1, np.uint64)
    assert duplicates.distances(everything, 0 * everything).item() == 128


def test_candidates_are_all_pairs_within_the_distance():
    """Some thousand hashes, so that pairs lie within and across blocks; copies with flipped bits."""
    random = np.random.default_rng(2)
    hashes = random.integers(0, 2**64, (2300, 2), np.uint64)
    expected = []
    for i, j, flips in ((0, 1, 0), (3, 2299, 22), (127, 128, 22), (1023, 1024, 5), (60, 1500, 23)):
        flipped = np.unpackbits(hashes[i].view(np.uint8))
        flipped[random.choice(128, flips, replace=False)] ^= 1
        hashes[j] = np.packbits(flipped).view(np.uint64)
        if flips <= 22:
            expected.append([i, j])
    np.testing.assert_array_equal(duplicates.candidates(hashes, 22), expected)
    assert [60, 1500] in duplicates.candidates(hashes, 23).tolist()
    assert duplicates.candidates(hashes[:0]).shape == (0, 2)
    assert duplicates.candidates(hashes[:1]).shape == (0, 2)


def copies(image):
    """The same drawing, as it comes back from the web."""
    small = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
    tinted = np.clip(image * [0.9, 0.75, 0.6] + [20, 20, 40], 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    crop = image[1:-2, 2:-1]
    return {
        "size": cv2.resize(small, (96, 96), interpolation=cv2.INTER_CUBIC),
        "tint": tinted,
        "jpeg": cv2.imdecode(jpeg, cv2.IMREAD_COLOR),
        "crop": cv2.resize(crop, (96, 96), interpolation=cv2.INTER_AREA),
    }


@pytest.mark.parametrize("kind", ["size", "tint", "jpeg", "crop"])
def test_finds_copies_and_nothing_else(faces, kind):
    copied = np.stack([copies(image)[kind] for image in faces[:10]])
    found = duplicates.find(np.concatenate([faces, copied]))
    np.testing.assert_array_equal(found, [[i, 40 + i] for i in range(10)])


def test_different_faces_of_one_hash_are_told_apart():
    """Drawn faces are posed alike: their hashes come near each other, their lines do not agree."""
    images = data.render(600, size=64, seed=1).images
    hashes = np.array([duplicates.perceptual_hash(image) for image in images])
    assert len(duplicates.candidates(hashes)) > 10
    assert len(duplicates.find(images)) <= 1


def test_agreement(faces):
    """1 with itself, nearly so under another light, little with another face, on either side."""
    lines = [duplicates.lines(image) for image in faces]
    assert lines[0][0].shape == (32, 32)
    assert duplicates.agreement(lines[0], lines[0]) == pytest.approx(1, abs=1e-5)
    dim = duplicates.lines((faces[0] // 2 + 60).astype(np.uint8))
    assert duplicates.agreement(lines[0], dim) > 0.97
    negative = duplicates.lines(255 - faces[0])
    assert duplicates.agreement(lines[0], negative) < 0.5
    others = [duplicates.agreement(lines[0], other) for other in lines[1:]]
    assert max(others) < 0.65 and min(others) >= -1
    assert duplicates.agreement(lines[0], lines[1]) == duplicates.agreement(lines[1], lines[0])


@pytest.mark.parametrize(("shift", "found"), [(9, True), (12, True), (30, False)])
def test_agreement_follows_a_shift_of_an_eighth(shift, found):
    """12 of 96 pixels are 4 of 32."""
    noise = np.random.default_rng(4).integers(0, 256, (44, 44, 3), np.uint8)
    scene = cv2.resize(noise, (132, 132), interpolation=cv2.INTER_CUBIC)
    a, b = scene[:96, :96], scene[:96, shift : 96 + shift]
    agreement = duplicates.agreement(duplicates.lines(a), duplicates.lines(b))
    assert (agreement > 0.65) == found


@pytest.mark.parametrize(("cut", "found"), [(4, True), (8, True), (24, False)])
def test_agreement_follows_a_crop_of_a_sixth(cut, found):
    """8 of 96 pixels off each side leave 80, which are enlarged by a fifth."""
    noise = np.random.default_rng(5).integers(0, 256, (32, 32, 3), np.uint8)
    scene = cv2.resize(noise, (96, 96), interpolation=cv2.INTER_CUBIC)
    crop = cv2.resize(scene[cut:-cut, cut:-cut], (96, 96), interpolation=cv2.INTER_CUBIC)
    agreement = duplicates.agreement(duplicates.lines(scene), duplicates.lines(crop))
    assert (agreement > 0.65) == found


def test_groups_against_a_walk():
    random = np.random.default_rng(5)
    pairs = random.integers(0, 60, (30, 2))
    near = {i: {i} for i in range(60)}
    for i, j in pairs.tolist():
        near[i].add(j)
        near[j].add(i)
    expected = []
    for start in range(60):
        reached, edge = {start}, {start}
        while edge:
            edge = set().union(*(near[i] for i in edge)) - reached
            reached |= edge
        expected.append(min(reached))
    np.testing.assert_array_equal(duplicates.groups(60, pairs), expected)
    np.testing.assert_array_equal(duplicates.groups(3, np.empty((0, 2), int)), [0, 1, 2])


def test_originals_of_a_chain():
    """0 is like 1 and 1 like 2, but 0 is not like 2."""
    pairs = np.array([[0, 1], [1, 2]])
    assert duplicates.originals(3, pairs, [0, 1, 2]).tolist() == [0, 0, 2]
    assert duplicates.originals(3, pairs, [1, 0, 2]).tolist() == [1, 1, 1]
    assert duplicates.originals(3, pairs, [2, 0, 1]).tolist() == [0, 2, 2]


def test_no_two_originals_are_a_pair_and_every_copy_has_its_original():
    random = np.random.default_rng(6)
    pairs = random.integers(0, 200, (300, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    kept = duplicates.originals(200, pairs, random.permutation(200))
    known = {frozenset(pair) for pair in pairs.tolist()}
    for i, original in enumerate(kept.tolist()):
        assert kept[original] == original
        assert i == original or {i, original} in known
    assert not any(kept[i] == i and kept[j] == j for i, j in pairs)
    assert 20 < math.fsum(kept == np.arange(200)) < 180
