"""The drawn faces: the same face always, every factor present and visible, landmarks in place."""

import colorsys
import hashlib
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from scipy import stats

from anime_keras import data

# What a person calls these words: hue in degrees and value, each from-to; grey words by value alone.
# Written down apart from the drawing's own tables; no colour has two words.
HUES = {
    "red": (350, 367, 0.6, 1.0),
    "orange": (14, 36, 0.85, 1.0),
    "brown": (8, 36, 0.3, 0.8),
    "yellow": (43, 62, 0.8, 1.0),
    "blonde": (38, 58, 0.8, 1.0),
    "green": (95, 160, 0.4, 1.0),
    "aqua": (168, 193, 0.6, 1.0),
    "blue": (205, 238, 0.5, 1.0),
    "purple": (256, 290, 0.45, 1.0),
    "pink": (318, 349, 0.8, 1.0),
}
GRAYS = {"black": (0.0, 0.45), "gray": (0.46, 0.78), "white": (0.85, 1.0)}


def is_word(word, rgb):
    """Whether a person would call a colour that word."""
    hue, saturation, value = colorsys.rgb_to_hsv(*(np.asarray(rgb) / 255))
    if word in GRAYS:
        low, high = GRAYS[word]
        return saturation < 0.36 and low <= value <= high
    first, last, low, high = HUES[word]
    return saturation > 0.15 and (360 * hue - first) % 360 <= last - first and low <= value <= high


@pytest.fixture(scope="module")
def faces():
    return data.render(2000, size=64, seed=5)


def test_shapes_and_types(faces):
    assert faces.images.shape == (2000, 64, 64, 3)
    assert faces.images.dtype == np.uint8
    assert faces.landmarks.shape == (2000, len(faces.landmark_names), 2)
    assert faces.landmarks.dtype == np.float32
    assert len(faces) == 2000
    assert set(faces.factors) == set(faces.names) == set(data.FACTORS)
    for name, index in faces.factors.items():
        assert index.shape == (2000,)
        assert np.issubdtype(index.dtype, np.integer)
        assert index.min() >= 0
        assert index.max() < len(faces.names[name])
    for name, (low, high) in data.RANGES.items():
        value = faces.continuous[name]
        assert value.dtype == np.float32
        assert low <= value.min() < low + 0.25 * (high - low)
        assert high >= value.max() > high - 0.25 * (high - low)


def test_the_words_the_kit_promises():
    assert len(data.FACTORS["hair_color"]) == 12
    assert len(data.FACTORS["eye_color"]) == 11
    assert len(data.FACTORS["expression"]) == 6


def test_a_face_is_the_same_alone_in_a_batch_and_from_another_start(faces):
    for index in (0, 1, 63, 500, 1999):
        alone = data.render(1, size=64, seed=5, start=index)
        assert np.array_equal(alone.images[0], faces.images[index])
        assert np.array_equal(alone.landmarks[0], faces.landmarks[index])
        for name in faces.factors:
            assert alone.factors[name][0] == faces.factors[name][index]
        for name in faces.continuous:
            assert alone.continuous[name][0] == faces.continuous[name][index]
    middle = data.render(300, size=64, seed=5, start=700)
    assert np.array_equal(middle.images, faces.images[700:1000])


def test_another_process_draws_the_same_bytes(faces):
    code = (
        "import hashlib; from anime_keras import data;"
        "print(hashlib.sha256(data.render(40, 64, seed=5).images.tobytes()).hexdigest())"
    )
    root = os.path.dirname(os.path.dirname(data.__path__[0]))
    there = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": root, "PYTHONHASHSEED": "7"},
    )
    assert there.stdout.split()[-1] == hashlib.sha256(faces.images[:40].tobytes()).hexdigest()


def test_two_processes_draw_the_same_bytes(faces):
    shared = data.render(31, size=64, seed=5, processes=2)
    assert np.array_equal(shared.images, faces.images[:31])
    assert np.array_equal(shared.landmarks, faces.landmarks[:31])


def test_a_script_without_a_guard_is_told_so(tmp_path):
    """Each process that draws imports the script, and would start others in turn, for ever."""
    script = tmp_path / "script.py"
    script.write_text("from anime_keras import data\ndata.render(4, size=32, processes=2)\n")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "put what draws under if __name__ == '__main__':" in done.stderr


def test_seeds_differ(faces):
    other = data.render(50, size=64, seed=6)
    apart = np.abs(other.images.astype(int) - faces.images[:50]).mean(axis=(1, 2, 3))
    assert apart.min() > 10


@pytest.mark.parametrize("factor", data.FACTORS)
def test_words_occur_as_often_as_stated(faces, factor):
    counts = np.bincount(faces.factors[factor], minlength=len(data.FACTORS[factor]))
    assert counts.min() > 0
    chances = data.CHANCES[factor]
    expected = chances if chances.ndim == 1 else data.CHANCES["gender"] @ chances
    assert expected.sum() == pytest.approx(1)
    assert stats.chisquare(counts, expected * counts.sum()).pvalue > 1e-3


def test_hair_and_eye_colors_are_independent(faces):
    table = stats.contingency.crosstab(faces.factors["hair_color"], faces.factors["eye_color"])
    assert stats.chi2_contingency(table.count).pvalue > 1e-3


def test_pose_is_the_bin_of_yaw(faces):
    bins = np.digitize(faces.continuous["yaw"], [-18, -6, 6, 18])
    assert np.array_equal(bins, faces.factors["pose"])
    assert np.abs(faces.continuous["yaw"]).max() <= 30


@pytest.mark.parametrize("factor", data.FACTORS)
def test_where_forces_one_factor_and_no_other(faces, factor):
    drawn = []
    for word in data.FACTORS[factor]:
        forced = data.render(24, size=64, seed=5, where={factor: word})
        at = data.FACTORS[factor].index(word)
        assert (forced.factors[factor] == at).all()
        for name in set(data.FACTORS) - {factor}:
            assert np.array_equal(forced.factors[name], faces.factors[name][:24])
        for name in set(faces.continuous) - ({"yaw"} if factor == "pose" else set()):
            assert np.array_equal(forced.continuous[name], faces.continuous[name][:24])
        same = faces.factors[factor][:24] == at
        assert np.array_equal(forced.images[same], faces.images[:24][same])
        drawn.append(forced.images.astype(int))
    # Any two words of a factor are two pictures.
    for first in range(len(drawn)):
        for second in range(first):
            changed = np.abs(drawn[first] - drawn[second]).max(axis=(1, 2, 3))
            assert (changed > 24).mean() > 0.8


@pytest.mark.parametrize("size", [96, 128, 256])
def test_a_face_is_the_same_at_any_size(size):
    small = data.render(24, size=64, seed=3)
    large = data.render(24, size=size, seed=3)
    # Landmarks are measured from the picture's edge, so they scale with no offset.
    np.testing.assert_allclose(large.landmarks, small.landmarks * (size / 64), atol=2e-3)
    shrunk = np.stack([cv2.resize(i, (64, 64), interpolation=cv2.INTER_AREA) for i in large.images])
    apart = np.abs(shrunk.astype(int) - small.images).mean()
    shuffled = np.abs(np.roll(shrunk, 1, axis=0).astype(int) - small.images).mean()
    assert apart < 9
    assert shuffled > 4 * apart


def test_odd_and_extreme_sizes():
    for size in (32, 33, 100, 512):
        faces = data.render(2, size=size, seed=1)
        assert faces.images.shape == (2, size, size, 3)
        assert faces.landmarks.max() < size
        assert faces.images.std(axis=(1, 2, 3)).min() > 20


def test_landmarks_lie_in_the_picture(faces):
    inside = ((faces.landmarks >= 0) & (faces.landmarks <= 64)).all(axis=2)
    eyes = [index for index, name in enumerate(faces.landmark_names) if "eye" in name]
    assert len(eyes) == 10
    assert inside[:, eyes].all()
    assert inside.mean() >= 0.99
    at = {name: faces.landmarks[:, index] for index, name in enumerate(faces.landmark_names)}
    assert (at["left_eye_centre"][:, 0] < at["right_eye_centre"][:, 0]).all()
    assert (at["nose_tip"][:, 1] < at["mouth_top"][:, 1]).all()
    assert (at["mouth_bottom"][:, 1] < at["chin"][:, 1]).all()
    assert (at["hairline"][:, 1] < at["left_eye_top"][:, 1]).all()


def test_turning_the_head_narrows_the_far_eye():
    widths = {}
    for pose in ("left", "right"):
        faces = data.render(40, size=64, where={"pose": pose})
        at = {name: faces.landmarks[:, index] for index, name in enumerate(faces.landmark_names)}
        widths[pose] = [
            np.linalg.norm(at[f"{s}_eye_inner"] - at[f"{s}_eye_outer"], axis=1)
            for s in ("left", "right")
        ]
    assert (widths["left"][0] < widths["left"][1]).all()
    assert (widths["right"][1] < widths["right"][0]).all()


def iris_color(image, marks, side):
    """Median colour of the lower half of an iris, below the pupil."""
    centre, inner, outer, bottom = (
        marks[f"{side}_eye_{part}"] for part in ("centre", "inner", "outer", "bottom")
    )
    spot = 0.55 * centre + 0.45 * bottom
    reach = 0.11 * np.linalg.norm(outer - inner)
    y, x = np.mgrid[: len(image), : len(image)] + 0.5
    near = (x - spot[0]) ** 2 + (y - spot[1]) ** 2 < reach**2
    return np.median(image[near], axis=0)


@pytest.mark.parametrize("word", data.FACTORS["eye_color"])
def test_irises_have_the_color_of_their_word(word):
    where = {"eye_color": word, "expression": "neutral", "glasses": "none"}
    faces = data.render(25, size=128, seed=2, where=where)
    right = []
    for image, landmarks in zip(faces.images, faces.landmarks, strict=True):
        marks = dict(zip(faces.landmark_names, landmarks, strict=True))
        right += [is_word(word, iris_color(image, marks, side)) for side in ("left", "right")]
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize("word", data.FACTORS["hair_color"])
def test_hair_has_the_color_of_its_word(word):
    where = {"hair_color": word, "ornament": "none"}
    faces = data.render(25, size=128, seed=2, where=where)
    right = []
    for image, landmarks in zip(faces.images, faces.landmarks, strict=True):
        marks = dict(zip(faces.landmark_names, landmarks, strict=True))
        upwards = marks["hairline"] - marks["chin"]
        x, y = marks["hairline"] + 0.2 * upwards
        patch = image[int(y) - 4 : int(y) + 5, int(x) - 10 : int(x) + 11].reshape(-1, 3)
        right.append(is_word(word, np.median(patch, axis=0)))
    assert np.mean(right) >= 0.9


def test_two_eyes_are_seen_in_nearly_every_face(faces):
    """In an open eye there is white, or a highlight, beside something dark."""
    seen = []
    names = list(faces.landmark_names)
    for image, marks in zip(faces.images[:500], faces.landmarks[:500], strict=True):
        for side in ("left", "right"):
            first = names.index(f"{side}_eye_centre")
            low, high = marks[first : first + 5].min(axis=0), marks[first : first + 5].max(axis=0)
            (left, top), (right, bottom) = low.astype(int), np.ceil(high).astype(int)
            gray = image[top:bottom, left:right].max(axis=2)
            seen.append(gray.max() > 215 and gray.min() < 110)
    assert np.mean(seen) > 0.93


def test_no_picture_is_flat_and_no_two_are_the_same(faces):
    assert faces.images.std(axis=(1, 2, 3)).min() > 25
    flat = faces.images.reshape(2000, -1)
    assert len(np.unique(flat, axis=0)) == 2000
    # Nor nearly the same: a small grey copy tells any two faces apart.
    tiny = np.stack(
        [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in faces.images]
    )
    tiny = tiny.reshape(2000, -1).astype(np.float32)
    square = (tiny**2).sum(axis=1)
    distance = square[:, None] + square[None] - 2 * tiny @ tiny.T
    np.fill_diagonal(distance, np.inf)
    assert np.sqrt(distance.min() / tiny.shape[1]) > 5


def test_no_faces():
    faces = data.render(0)
    assert faces.images.shape == (0, 64, 64, 3)
    assert faces.landmarks.shape[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count must be between 0"),
        ({"count": 2.5}, "count must be a whole number; got 2.5"),
        ({"size": 31}, "size must be between 32 and 512; got 31"),
        ({"size": 513}, "size must be between 32 and 512; got 513"),
        ({"size": "64"}, "size must be a whole number"),
        ({"seed": -1}, "seed must be between 0"),
        ({"seed": 2**64}, "seed must be between 0"),
        ({"start": -3}, "start must be between 0"),
        ({"processes": 0}, "processes must be between 1"),
        ({"style": "oil"}, "style must be one of anime, portrait; got 'oil'"),
        ({"where": {"hair": "blue"}}, "no factor 'hair'; the factors are hair_color"),
        ({"where": {"hair_color": "teal"}}, "no word 'teal'; its words are brown, blonde"),
    ],
)
def test_errors_say_what_was_given_and_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        data.render(**{"count": 1, **arguments})
