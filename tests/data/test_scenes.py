"""Drawn illustrations: the same for the same name, with every face where the scene says it is."""

import numpy as np
import pytest

from anime_keras.data import anime, scenes
from anime_keras.data.people import People


def test_the_same_name_is_the_same_scene():
    one, two = (scenes.render_scene(160, 200, seed=3, index=8) for _ in range(2))
    assert one.image.shape == (200, 160, 3) and one.image.dtype == np.uint8
    assert (one.image == two.image).all() and (one.landmarks == two.landmarks).all()
    other = scenes.render_scene(160, 200, seed=3, index=9)
    assert (one.image != other.image).mean() > 0.3


@pytest.mark.parametrize("faces", [1, 2, 3, 4, 5])
def test_faces_are_where_the_scene_says(faces):
    for index in range(6):
        scene = scenes.render_scene(256, faces=faces, seed=1, index=index)
        assert 1 <= len(scene.boxes) <= faces
        assert len(scene.people) == len(scene.boxes) == len(scene.landmarks)
        low, high = scene.landmarks.min(axis=1), scene.landmarks.max(axis=1)
        assert np.array_equal(scene.boxes, np.concatenate([low, high], axis=1))
        eyes = scene.landmarks[:, [0, 5]]
        assert (eyes > 0).all() and (eyes < 256).all()
        assert (eyes[:, 0, 0] < eyes[:, 1, 0]).all()  # tilted by 55 degrees at most


def test_a_scene_without_faces():
    scene = scenes.render_scene(160, faces=0, seed=1)
    assert scene.boxes.shape == (0, 4) and scene.landmarks.shape == (0, 31, 2)
    assert len(scene.people) == 0 and scene.image.std() > 3


def test_faces_asked_for_are_mostly_there():
    counts = [len(scenes.render_scene(256, faces=3, seed=2, index=i).boxes) for i in range(10)]
    assert np.mean(counts) > 2.7


def test_no_face_hides_another():
    for index in range(10):
        eyes = scenes.render_scene(256, faces=4, seed=5, index=index).landmarks[:, [0, 5]]
        middles = eyes.mean(axis=1)
        apart = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
        for a in range(len(middles)):
            for b in range(a):
                assert np.linalg.norm(middles[a] - middles[b]) > apart[a] + apart[b]


def test_eyes_have_the_colour_of_the_iris_or_pupil():
    """The landmark points at the eye in the picture, not just near it: blue is bluer than the skin."""

    def blue(people, random):
        factors = dict(people.factors)
        factors["eye_color"] = np.zeros(len(people), int)
        factors["expression"] = np.zeros(len(people), int)
        factors["skin_tone"] = np.ones(len(people), int)
        return People(factors, people.continuous, people.spare)

    off = []
    for index in range(12):
        scene = scenes.render_scene(512, faces=1, seed=4, index=index, change=blue)
        left, right = scene.landmarks[0, [0, 5]]
        reach = max(int(0.12 * np.linalg.norm(right - left)), 3)
        for x, y in np.array([left, right]).astype(int):
            rows, columns = slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1)
            around = scene.image[rows, columns].reshape(-1, 3).astype(int)
            off.append((around[:, 2] - around[:, 0]).max())
    assert np.mean(np.array(off) > 60) > 0.9  # a lock of hair may cover an eye


def test_stickers_have_no_fringe():
    """Cut out exactly: before a white ground a person leaves no dark or coloured ground behind."""
    person = scenes.sample(1, 7).person(0)
    image = np.full((200, 200, 3), 255, np.uint8)
    scenes._stick(image, person, scenes._Place(100, 60, 60, 0))
    easel = anime.Easel(256)
    anime.draw(person, easel, (255, 255, 255))
    assert (image[:3, :3] == 255).all()  # nothing of the drawing's own ground is left
    assert image[199, 100].tolist() != [255, 255, 255]  # the clothes go on to the lower edge
    assert abs(int(image.min()) - int(easel.canvas.min())) < 30


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"width": 64}, "width must be between 128 and 1024"),
        ({"height": 2000}, "height must be between"),
        ({"faces": 6}, "faces must be between 0 and 5"),
        ({"faces": 1.5}, "faces must be a whole number"),
        ({"index": -1}, "index must be between"),
    ],
)
def test_numbers_out_of_range(wrong, text):
    with pytest.raises(ValueError, match=text):
        scenes.render_scene(**wrong)
