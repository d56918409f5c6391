"""Portraits: the same people as the drawn faces, every factor visible, landmarks in place."""

import colorsys

import numpy as np
import pytest

from anime_keras import data
from anime_keras.data import anime, portrait
from anime_keras.data.people import sample

# What a person calls hair or an iris in daylight: hue in degrees from-to, and saturation from-to.
# Written down apart from the drawing's own tables.
HUES = {
    "red": (345, 372, 0.40),
    "orange": (16, 40, 0.50),
    "brown": (8, 42, 0.22),
    "yellow": (42, 64, 0.45),
    "blonde": (36, 60, 0.22),
    "green": (90, 165, 0.20),
    "aqua": (165, 196, 0.20),
    "blue": (200, 240, 0.25),
    "purple": (254, 300, 0.15),
    "pink": (318, 356, 0.12),
}
GRAYS = ("black", "gray", "white")


def is_word(word, rgb):
    """Whether a person would call a colour that word, but for how dark it is."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(np.asarray(rgb, float) / 255))
    if word in GRAYS:
        return saturation < 0.30 or value < 0.22
    first, last, least = HUES[word]
    return saturation >= least and (360 * hue - first) % 360 <= last - first


def luminance(rgb):
    return np.asarray(rgb, float) @ [0.2126, 0.7152, 0.0722]


def named(faces):
    """Landmarks by name, (count, 2) each."""
    return {name: faces.landmarks[:, i] for i, name in enumerate(faces.landmark_names)}


def patch(image, spot, reach):
    """Pixels (n, 3) not further than `reach` from `spot` (x, y)."""
    y, x = np.mgrid[: len(image), : len(image)] + 0.5
    return image[(x - spot[0]) ** 2 + (y - spot[1]) ** 2 <= reach**2]


def portraits(count, size=64, **how):
    return data.render(count, size=size, style="portrait", **how)


@pytest.fixture(scope="module")
def faces():
    return portraits(200, seed=5)


def test_they_are_the_people_of_the_drawing(faces):
    drawn = data.render(200, size=64, seed=5)
    assert faces.landmark_names == drawn.landmark_names == anime.LANDMARKS
    assert faces.names == drawn.names
    for name in drawn.factors:
        assert np.array_equal(faces.factors[name], drawn.factors[name])
    for name in drawn.continuous:
        assert np.array_equal(faces.continuous[name], drawn.continuous[name])
    # The heads lie over each other: eyes and chin within a tenth of the picture, as a rule nearer.
    here, there = named(faces), named(drawn)
    for name, far, usual in (("left_eye_centre", 6, 5), ("right_eye_centre", 6, 5), ("chin", 5, 3)):
        away = np.linalg.norm(here[name] - there[name], axis=1)
        assert away.max() < far
        assert np.median(away) < usual


def test_shapes_and_types(faces):
    assert faces.images.shape == (200, 64, 64, 3)
    assert faces.images.dtype == np.uint8
    assert faces.landmarks.shape == (200, len(anime.LANDMARKS), 2)
    assert faces.landmarks.dtype == np.float32
    assert portraits(0).images.shape == (0, 64, 64, 3)


def test_a_portrait_is_the_same_alone_in_a_batch_and_in_another_process(faces):
    for index in (0, 77, 199):
        alone = portraits(1, seed=5, start=index)
        assert np.array_equal(alone.images[0], faces.images[index])
        assert np.array_equal(alone.landmarks[0], faces.landmarks[index])
    shared = portraits(12, seed=5, start=60, processes=2)
    assert np.array_equal(shared.images, faces.images[60:72])
    assert np.array_equal(shared.landmarks, faces.landmarks[60:72])


@pytest.mark.parametrize("size", [32, 33, 100, 512])
def test_a_portrait_is_the_same_at_any_size(faces, size):
    other = portraits(2, size=size, seed=5)
    assert other.images.shape == (2, size, size, 3)
    np.testing.assert_allclose(other.landmarks / size, faces.landmarks[:2] / 64, atol=1e-5)
    # Coarse copies of both, which average the grain away.
    coarse = [
        np.stack([patches(image, 8) for image in images])
        for images in (other.images, faces.images[:2])
    ]
    apart = np.abs(coarse[0] - coarse[1]).mean()
    shuffled = np.abs(coarse[0] - np.roll(coarse[1], 1, axis=0)).mean()
    assert apart < 6
    assert shuffled > 4 * apart


def patches(image, count):
    """Means of count x count fields."""
    edges = np.linspace(0, len(image), count + 1).round().astype(int)
    rows = np.add.reduceat(image.astype(float), edges[:-1], axis=0)
    sums = np.add.reduceat(rows, edges[:-1], axis=1)
    return sums / (np.diff(edges)[:, None, None] * np.diff(edges)[:, None])


def test_pictures_are_photographic(faces):
    """Paint is flat and a sensor is not: neighbours are equal in drawings, in photos hardly ever."""
    drawn = data.render(200, size=64, seed=5)

    def flat(images):
        return (images[:, :, 1:] == images[:, :, :-1]).all(axis=3).mean(axis=(1, 2))

    assert flat(faces.images).max() < 0.05
    assert flat(drawn.images).mean() > 0.2
    assert faces.images.std(axis=(1, 2, 3)).min() > 20
    # Nor is any channel burnt out or lost over most of a picture.
    assert (faces.images == 255).mean(axis=(1, 2, 3)).max() < 0.25
    assert (faces.images == 0).mean(axis=(1, 2, 3)).max() < 0.25


def test_landmarks_lie_where_they_should(faces):
    at = named(faces)
    inside = ((faces.landmarks >= 0) & (faces.landmarks <= 64)).all(axis=2)
    assert inside.mean() > 0.99
    across = at["right_eye_centre"] - at["left_eye_centre"]
    right = across / np.linalg.norm(across, axis=1, keepdims=True)
    down = np.stack([-right[:, 1], right[:, 0]], axis=1)

    def above(first, second):
        return ((at[second] - at[first]) * down).sum(axis=1)

    def leftof(first, second):
        return ((at[second] - at[first]) * right).sum(axis=1)

    for first, second in (
        *(("hairline", "left_brow_middle"), ("left_brow_middle", "left_eye_top")),
        *(("left_eye_top", "left_eye_bottom"), ("right_eye_top", "right_eye_bottom")),
        *(("right_eye_bottom", "nose_tip"), ("nose_tip", "mouth_top")),
        *(("mouth_bottom", "chin"), ("jaw_left_2", "chin"), ("jaw_left_1", "jaw_left_3")),
    ):
        assert above(first, second).min() > 0, (first, second)
    for first, second in (
        *(("left_eye_outer", "left_eye_centre"), ("left_eye_centre", "left_eye_inner")),
        *(("left_eye_inner", "right_eye_inner"), ("right_eye_inner", "right_eye_outer")),
        *(("mouth_left", "mouth_right"), ("jaw_left_1", "left_eye_centre")),
        *(("right_eye_centre", "jaw_right_4"), ("left_brow_outer", "left_brow_inner")),
    ):
        assert leftof(first, second).min() > 0, (first, second)
    # A human's eyes: about one eye's width between them.
    wide = np.linalg.norm(at["left_eye_outer"] - at["left_eye_inner"], axis=1)
    between = np.linalg.norm(at["right_eye_inner"] - at["left_eye_inner"], axis=1)
    assert 0.7 < np.median(between / wide) < 1.2


def test_rolling_the_head_rotates_the_landmarks():
    person = sample(1, 3).person(0)
    easel = anime.Easel(128)
    person.roll = 0.0
    straight = portrait.draw(person, easel)[1]
    person.roll = 11.0
    rolled = portrait.draw(person, easel)[1]
    angle = np.radians(11)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    expected = (straight - straight.mean(axis=0)) @ turn
    np.testing.assert_allclose(rolled - rolled.mean(axis=0), expected, atol=1e-6)


def test_turning_moves_the_nose_to_the_far_eye():
    for pose, sign in (("left", -1), ("right", 1)):
        at = named(portraits(20, where={"pose": pose}))
        middle = (at["left_eye_centre"] + at["right_eye_centre"]) / 2
        assert (sign * (at["nose_tip"] - middle)[:, 0]).min() > 0
        far = "left" if sign < 0 else "right"
        near = "right" if sign < 0 else "left"
        width = {
            s: np.linalg.norm(at[f"{s}_eye_inner"] - at[f"{s}_eye_outer"], axis=1)
            for s in (far, near)
        }
        assert (width[far] < width[near]).all()


PARTS = ("centre", "inner", "outer", "top", "bottom")
OPEN = {"expression": "neutral", "glasses": "none"}


def pair(size, one, other, count=12, seed=2):
    """The same people with two sets of words, and how far each pixel's brightest change is."""
    first = portraits(count, size=size, seed=seed, where=one)
    second = portraits(count, size=size, seed=seed, where=other)
    changed = np.abs(first.images.astype(int) - second.images).max(axis=3)
    return first, second, changed


def test_irises_lie_where_the_landmarks_say():
    """Another eye colour changes pixels about the landmarks of the eyes and nowhere else."""
    first, _, changed = pair(128, {**OPEN, "eye_color": "red"}, {**OPEN, "eye_color": "aqua"})
    at, gaps = named(first), []
    y, x = np.mgrid[:128, :128] + 0.5
    for row, change in enumerate(changed):
        taken = np.zeros_like(change, bool)
        for side in ("left", "right"):
            marks = {part: at[f"{side}_eye_{part}"][row] for part in PARTS}
            wide = np.linalg.norm(marks["outer"] - marks["inner"])
            near = np.hypot(x - marks["centre"][0], y - marks["centre"][1]) < 0.7 * wide
            weight = change * near
            taken |= near
            if weight.max() < 60:
                continue  # behind the hair
            centre = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
            assert np.linalg.norm(centre - marks["centre"]) < 0.2 * wide
            # The lids cut the iris off at top (where lashes are) and bottom.
            down = marks["bottom"] - marks["top"]
            along = ((x - marks["top"][0]) * down[0] + (y - marks["top"][1]) * down[1]) / (
                down @ down
            )
            gaps.append([along[weight > 60].min(), along[weight > 60].max()])
        assert change[~taken].max() == 0
    assert len(gaps) >= 16
    np.testing.assert_allclose(np.median(gaps, axis=0), [0.1, 1], atol=0.2)


def test_teeth_lie_in_the_mouth():
    first, _, _ = pair(128, {"expression": "laugh"}, {"expression": "laugh"})
    at = named(first)
    for row, image in enumerate(first.images):
        corners = at["mouth_left"][row], at["mouth_right"][row]
        top, bottom = at["mouth_top"][row], at["mouth_bottom"][row]
        middle = (top + bottom) / 2
        wide = np.linalg.norm(corners[1] - corners[0])
        # Inside it is brighter and less red than the lips just above and below.
        inside = patch(image, middle, 0.12 * wide).astype(float).mean(axis=0)
        for lip in (top - 0.5 * (bottom - top), bottom + 0.5 * (bottom - top)):
            outside = patch(image, lip, 0.06 * wide).astype(float).mean(axis=0)
            assert inside[1] / inside[0] > outside[1] / outside[0] + 0.05


@pytest.mark.parametrize("word", data.FACTORS["eye_color"])
def test_irises_have_the_color_of_their_word(word):
    people = portraits(10, size=256, seed=2, where={**OPEN, "eye_color": word, "fringe": "parted"})
    at, right, values = named(people), [], []
    for row, image in enumerate(people.images):
        for side in ("left", "right"):
            spot = at[f"{side}_eye_centre"][row]
            wide = np.linalg.norm((at[f"{side}_eye_outer"] - at[f"{side}_eye_inner"])[row])
            near = patch(image, spot, 0.2 * wide)
            # Neither pupil nor catchlight: the middle of what is left when both are dropped.
            light = luminance(near)
            middle = near[(light >= np.quantile(light, 0.3)) & (light <= np.quantile(light, 0.8))]
            color = np.median(middle, axis=0)
            right.append(is_word(word, color))
            values.append(luminance(color))
    assert np.mean(right) >= 0.85
    if word in ("black", "gray"):
        assert (np.median(values) < 75) == (word == "black")


@pytest.mark.parametrize("word", data.FACTORS["hair_color"])
def test_hair_has_the_color_of_its_word(word):
    people = portraits(16, size=128, seed=2, where={"hair_color": word, "ornament": "none"})
    at, right, values = named(people), [], []
    for row, image in enumerate(people.images):
        hairline, chin = at["hairline"][row], at["chin"][row]
        color = np.median(patch(image, hairline + 0.15 * (hairline - chin), 6), axis=0)
        right.append(is_word(word, color))
        values.append(luminance(color))
    assert np.mean(right) >= 0.9
    low, high = {"black": (0, 75), "gray": (85, 165), "white": (170, 256)}.get(word, (0, 256))
    assert low < np.median(values) < high
    if word in ("brown", "blonde"):
        assert (np.median(values) < 125) == (word == "brown")


def test_skin_tones_are_in_order():
    tones = []
    for word in data.FACTORS["skin_tone"]:
        people = portraits(12, seed=4, where={"skin_tone": word, "glasses": "none"})
        at = named(people)
        cheeks = [
            (at[f"{side}_eye_bottom"] + at[f"mouth_{side}"]) / 2 for side in ("left", "right")
        ]
        tones.append(
            [
                np.mean([luminance(np.median(patch(image, c[row], 2), axis=0)) for c in cheeks])
                for row, image in enumerate(people.images)
            ]
        )
    steps = -np.diff(np.array(tones), axis=0)
    assert np.median(steps, axis=1).min() > 8
    assert (steps > 0).mean() > 0.95


@pytest.mark.parametrize("word", data.FACTORS["glasses"][1:])
def test_glasses_are_seen_about_the_eyes_and_nowhere_else(word):
    first, _, changed = pair(128, {"glasses": "none"}, {"glasses": word})
    at = named(first)
    y, x = np.mgrid[:128, :128] + 0.5
    for row, change in enumerate(changed):
        eyes = [at[f"{side}_eye_centre"][row] for side in ("left", "right")]
        apart = np.linalg.norm(eyes[1] - eyes[0])
        away = np.minimum(*(np.hypot(x - e[0], y - e[1]) for e in eyes))
        assert change[away > 0.95 * apart].max() == 0
        assert change[away < 0.6 * apart].max() > 60


def test_expressions_move_the_corners_of_the_mouth():
    def lift(word):
        """How far the corners are above the middle of the mouth, in eye distances."""
        at = named(portraits(12, seed=6, where={"expression": word}))
        across = at["right_eye_centre"] - at["left_eye_centre"]
        apart = np.linalg.norm(across, axis=1)
        down = np.stack([-across[:, 1], across[:, 0]], axis=1) / apart[:, None]
        corners = (at["mouth_left"] + at["mouth_right"]) / 2
        middle = (at["mouth_top"] + at["mouth_bottom"]) / 2
        gap = np.linalg.norm(at["mouth_bottom"] - at["mouth_top"], axis=1)
        return ((middle - corners) * down).sum(axis=1) / apart, gap / apart

    raised = {word: lift(word) for word in data.FACTORS["expression"]}
    assert (raised["smile"][0] > raised["neutral"][0] + 0.05).all()
    assert (raised["laugh"][0] > raised["neutral"][0] + 0.05).all()
    assert (raised["sad"][0] < raised["neutral"][0] - 0.03).all()
    for word, (_, gap) in raised.items():
        assert (gap.min() > 0.08) == (word in ("laugh", "angry", "surprised"))


@pytest.mark.parametrize("factor", data.FACTORS)
def test_any_two_words_of_a_factor_are_two_pictures(factor):
    drawn = []
    for word in data.FACTORS[factor]:
        drawn.append(portraits(6, seed=5, where={factor: word}).images.astype(int))
    for first in range(len(drawn)):
        for second in range(first):
            changed = np.abs(drawn[first] - drawn[second]).max(axis=(1, 2, 3))
            assert (changed > 24).mean() > 0.65
