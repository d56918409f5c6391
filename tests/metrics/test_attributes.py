"""Attributes: shares, divergences and what is missing, against closed forms and known faces."""

import numpy as np
import pytest

from anime_keras import data
from anime_keras.data.people import FACTORS
from anime_keras.metrics import attributes


def reading(**words):
    """A reading of given words, all others being word 0."""
    count = len(next(iter(words.values())))
    said = {name: np.zeros(count, int) for name in FACTORS} | {
        name: np.asarray(value) for name, value in words.items()
    }
    return attributes.Reading(
        said, {}, dict(FACTORS), np.zeros((count, 3)), np.zeros((count, 1, 2))
    )


@pytest.mark.parametrize(
    ("p", "q", "bits"),
    [
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        ([1, 0], [0, 1], 1.0),
        # half of KL([1,0] | [3/4,1/4]) and half of KL([1/2,1/2] | [3/4,1/4])
        (
            [1, 0],
            [0.5, 0.5],
            0.5 * np.log2(4 / 3) + 0.25 * np.log2(2 / 3) + 0.25 * np.log2(2),
        ),
    ],
)
def test_divergence_is_the_closed_form(p, q, bits):
    assert attributes.divergence(p, q) == pytest.approx(bits, abs=1e-12)


def test_chance_is_what_two_draws_of_one_set_stay_below():
    random = np.random.default_rng(0)
    above = []
    for _ in range(200):
        one, other = (reading(hair_color=random.integers(0, 12, 500)) for _ in range(2))
        spread = attributes.compare(one, other, factors=["hair_color"]).spreads["hair_color"]
        above.append(spread.divergence > spread.chance)
    assert np.mean(above) == pytest.approx(0.05, abs=0.045)  # 3 standard errors


def test_missing_words_are_named_and_rare_ones_are_not_called_so():
    real = reading(hair_color=np.repeat(np.arange(12), 100))
    kept = np.repeat(np.arange(10), 100)  # without white (10) and orange (11)
    fake = reading(hair_color=np.concatenate([kept, np.full(60, 9)]))
    spread = attributes.compare(real, fake).spreads["hair_color"]
    assert spread.missing == ("white", "orange")
    assert spread.divergence > 10 * spread.chance
    # of 24 pictures two are expected: that none is there says nothing
    few = reading(hair_color=np.repeat(np.arange(10), 2))
    assert attributes.compare(real, few).spreads["hair_color"].missing == ()


def test_combinations_are_counted():
    real = reading(hair_color=[0, 0, 1, 2], eye_color=[3, 3, 4, 5])
    fake = reading(hair_color=[0, 1, 1, 1], eye_color=[3, 5, 5, 5])
    found = attributes.compare(real, fake)
    assert found.real[0, 3] == 2 and found.real.sum() == 4
    assert found.fake[1, 5] == 3 and found.fake.sum() == 4
    assert found.covered == pytest.approx(1 / 3)  # of (0,3), (1,4), (2,5)
    # 4 draws: (1 - (1/2)^4) and twice (1 - (3/4)^4), over three
    assert found.possible == pytest.approx((15 / 16 + 2 * (1 - 0.75**4)) / 3, abs=0.05)
    assert "33.3% of the combinations" in str(found)


def test_accuracy_counts_what_was_asked_for():
    seen = reading(hair_color=[0, 1, 2, 3, 3], glasses=[1, 1, 1, 1, 1])
    found = attributes.accuracy(
        seen, {"hair_color": np.array([0, 1, 1, -1, 3]), "glasses": np.ones(5, int)}
    )
    hair = found["hair_color"]
    assert (hair.right, hair.count, hair.value) == (3, 4, 0.75)
    # Wilson's interval of 3 in 4, by its formula
    z, n, p = 1.959964, 4, 0.75
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = ((middle + sign * half) / (1 + z**2 / n) for sign in (-1, 1))
    assert (hair.low, hair.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))
    assert hair.confusion[1, 2] == 1 and hair.confusion.sum() == 4
    assert found["glasses"].value == 1.0
    assert str(hair).startswith("hair color as asked for: 75.0%")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"mood": np.zeros(3, int)}, "no factor 'mood'"),
        ({"glasses": np.zeros(2, int)}, "for 2 pictures; there are 3"),
        ({"glasses": np.full(3, -1)}, "No picture was asked for a glasses"),
        ({"glasses": np.array([0, 1, 9])}, "has 4 words; word number 9"),
    ],
)
def test_what_cannot_be_asked_for(asked, message):
    with pytest.raises(ValueError, match=message):
        attributes.accuracy(reading(glasses=[0, 0, 0]), asked)


def test_faces_without_glasses_miss_them():
    """From pictures: one set as it is, one in which nobody wears glasses."""
    real = attributes.read(data.render(400, seed=901).images)
    fake = attributes.read(data.render(400, seed=902, where={"glasses": "none"}).images)
    found = attributes.compare(real, fake)
    glasses = found.spreads["glasses"]
    assert set(glasses.missing) >= {"round", "square"}
    assert glasses.divergence > 5 * glasses.chance
    hair = found.spreads["hair_color"]
    assert hair.divergence < 2 * hair.chance and not hair.missing


def test_reading_larger_pictures_gives_the_same_words():
    small, large = (attributes.read(data.render(200, size, seed=903).images) for size in (64, 128))
    assert (small.words["hair_color"] == large.words["hair_color"]).mean() > 0.98
    assert np.abs(small.landmarks - large.landmarks).mean() < 0.01
    assert len(attributes.read(data.render(30, seed=903).images, limit=20)) == 20
