"""Directions of words: codes that a linear world makes, and factors that come together."""

import numpy as np
import pytest

from anime_keras import directions

NAMES = {"hair": ("red", "blue", "green"), "glasses": ("none", "round")}


def world(count=400, seed=0, noise=0.0, together=0.0):
    """Codes that add up from words: who wears glasses has blue hair more often, if `together`."""
    random = np.random.default_rng(seed)
    hair = random.integers(0, 3, count)
    glasses = random.integers(0, 2, count)
    glasses = np.where(random.random(count) < together, hair == 1, glasses).astype(int)
    rows = {"hair": random.normal(size=(3, 7)), "glasses": random.normal(size=(2, 7))}
    codes = 5.0 + rows["hair"][hair] + rows["glasses"][glasses]
    codes = codes + noise * random.normal(size=codes.shape)
    return codes, {"hair": hair, "glasses": glasses}, rows


def test_a_linear_world_is_found():
    codes, factors, rows = world()
    found = directions.fit(codes, factors, NAMES)
    wanted = rows["hair"][1] - rows["hair"][2]
    np.testing.assert_allclose(found.between("hair", "blue", "green"), wanted, atol=1e-10)
    np.testing.assert_allclose(found.mean, codes.mean(axis=0), atol=1e-12)
    shares = np.bincount(factors["hair"]) / len(codes)
    np.testing.assert_allclose(shares @ found.words["hair"], 0.0, atol=1e-10)


def test_what_comes_together_is_told_apart():
    codes, factors, rows = world(together=0.8)
    wanted = rows["hair"][1] - rows["hair"][0]
    found = directions.fit(codes, factors, NAMES).between("hair", "blue", "red")
    np.testing.assert_allclose(found, wanted, atol=1e-10)
    # The difference of two means would put glasses on.
    blue, red = (codes[factors["hair"] == word].mean(axis=0) for word in (1, 0))
    assert np.linalg.norm(blue - red - wanted) > 0.5


def test_moved_codes_are_those_of_the_asked_words():
    codes, factors, rows = world()
    found = directions.fit(codes, factors, NAMES)
    all_blue = 5.0 + rows["hair"][1] + rows["glasses"][factors["glasses"]]
    np.testing.assert_allclose(found.move(codes, factors, hair="blue"), all_blue, atol=1e-9)
    half = found.move(codes, factors, 0.5, hair="blue")
    np.testing.assert_allclose(half, (codes + all_blue) / 2, atol=1e-9)
    # A word for each face, and two factors at once.
    other = (factors["hair"] + 1) % 3
    moved = found.move(codes, factors, hair=other, glasses="round")
    np.testing.assert_allclose(moved, 5.0 + rows["hair"][other] + rows["glasses"][1], atol=1e-9)
    np.testing.assert_array_equal(found.move(codes, factors), codes)


def test_noise_averages_out():
    codes, factors, rows = world(4000, noise=0.5)
    found = directions.fit(codes, factors, NAMES).between("glasses", "round", "none")
    # Two means of 2,000: the standard error is 0.5 * sqrt(2 / 2000) = 0.016.
    np.testing.assert_allclose(found, rows["glasses"][1] - rows["glasses"][0], atol=0.06)


def test_faces_without_a_word_do_not_count_for_it():
    codes, factors, rows = world()
    unknown = {**factors, "hair": np.where(np.arange(400) < 40, -1, factors["hair"])}
    codes[:40] = 5.0 + rows["glasses"][factors["glasses"][:40]]
    found = directions.fit(codes, unknown, NAMES).between("hair", "blue", "red")
    np.testing.assert_allclose(found, rows["hair"][1] - rows["hair"][0], atol=1e-10)


def test_mistakes_are_told():
    codes, factors, _ = world()
    found = directions.fit(codes, factors, NAMES)
    with pytest.raises(ValueError, match="no factor 'mouth': choose from hair, glasses"):
        found.move(codes, factors, mouth="open")
    with pytest.raises(ValueError, match="hair has no word 'pink': choose from red, blue, green"):
        found.between("hair", "pink", "red")
    with pytest.raises(ValueError, match="known of 400 faces; there are 399 codes"):
        directions.fit(codes[:-1], factors, NAMES)
    with pytest.raises(ValueError, match="5 words take more than 5 codes"):
        directions.fit(codes[:5], {k: v[:5] for k, v in factors.items()}, NAMES)
