"""Finding and aligning faces: numbers for the geometry, counts for the network that comes along."""

import hashlib
import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from anime_keras import data
from anime_keras.data import faces, scenes
from anime_keras.weights import face_finder

REAL = os.environ.get("ANIME_KERAS_REAL_DATA")


def face(left, right):
    return faces.Face((0.0, 0.0, 1.0, 1.0), 1.0, np.array([left, right], np.float32))


def dots(points, size=600, radius=4.0):
    """A grey picture with white discs whose soft edges keep their exact centres."""
    y, x = np.mgrid[:size, :size] + 0.5
    image = np.full((size, size), 60.0)
    for px, py in points:
        image += 195 * np.clip(radius - np.hypot(x - px, y - py) + 0.5, 0, 1)
    return np.rint(image).astype(np.uint8)[..., None].repeat(3, axis=2)


def centres(image):
    """Centres of bright spots, left to right, by their weights."""
    weight = np.clip(image[..., 0].astype(float) - 70, 0, None)
    _, labels = cv2.connectedComponents((weight > 60).astype(np.uint8))
    y, x = np.mgrid[: len(image), : len(image)] + 0.5
    found = []
    for label in range(1, labels.max() + 1):
        near = cv2.dilate((labels == label).astype(np.uint8), np.ones((5, 5))) * weight
        found.append(((x * near).sum() / near.sum(), (y * near).sum() / near.sum()))
    return np.array(sorted(found))


# --- align ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tilt", [0, 20, -35, 80])
@pytest.mark.parametrize("apart", [22.0, 58.0, 90.0])
@pytest.mark.parametrize(("size", "margin"), [(64, 1.0), (96, 1.0), (128, 1.7), (200, 0.8)])
def test_eyes_come_to_their_place(tilt, apart, size, margin):
    half = apart / 2 * np.array([math.cos(math.radians(tilt)), math.sin(math.radians(tilt))])
    eyes = np.array([303.3, 296.8]) + np.stack([-half, half])
    crop = faces.align(dots(eyes, radius=3 + 0.1 * apart), face(*eyes), size, margin)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    apart_now = 0.29 * size / margin
    wanted = size * np.array([0.5, 0.5 - 0.015 / margin]) + [
        [-apart_now / 2, 0],
        [apart_now / 2, 0],
    ]
    assert np.abs(centres(crop) - wanted).max() < 0.15


def test_a_face_where_it_should_be_is_left_alone():
    """The identity, to the bit: aligning what is aligned changes nothing."""
    image = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)
    eyes = np.array(faces.EYES) * 100
    assert np.array_equal(faces.align(image, face(*eyes), 100), image)


def test_shrinking_is_anti_aliased():
    """A fine checkerboard turns grey; picking single pixels would keep black and white."""
    board = (np.indices((800, 800)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    crop = faces.align(board, face((350, 400), (450, 400)), 32)
    assert np.abs(crop.astype(int) - 127).max() <= 25


def test_beyond_the_edge_is_the_mirror_image():
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, :32] = (200, 10, 10)
    crop = faces.align(image, face((2, 31), (18, 31)), 64)  # the middle of the face at x = 10
    assert (crop[32, 2] == (200, 10, 10)).all()


@pytest.mark.parametrize(("size", "margin"), [(0, 1.0), (64, 0.0), (64, -1.0)])
def test_align_refuses_sizes(size, margin):
    with pytest.raises(ValueError, match="size and margin must be positive"):
        faces.align(np.zeros((9, 9, 3), np.uint8), face((1, 1), (5, 1)), size, margin)


def test_align_refuses_one_eye_on_the_other():
    with pytest.raises(ValueError, match="at one place"):
        faces.align(np.zeros((9, 9, 3), np.uint8), face((4, 4), (4, 4)))


@pytest.mark.parametrize(
    "image",
    [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3), np.float32)],
)
def test_find_refuses_what_is_no_picture(image):
    with pytest.raises(ValueError, match="must be uint8 of shape"):
        faces.find(image)


# --- what the network is taught, and how its answers are read -------------------------------------


def test_what_is_taught_is_what_is_read():
    """Answers made from a face, read again, give that face: box and eyes to a hundredth of a pixel."""
    box = np.array([[30.0, 41.0, 78.0, 93.0]])
    eyes = np.array([[[40.5, 60.0], [66.0, 63.5]]])
    wanted = face_finder.answers(box, eyes)
    answer = wanted[..., :9].copy()
    answer[..., 0] = np.where(wanted[..., 9] > 0, 8, -8)
    rows = faces.read(answer, 0.5)
    assert len(rows) == wanted[..., 9].sum() >= 4
    assert np.abs(rows[:, 1:5] - box[0]).max() < 0.01
    assert np.abs(rows[:, 5:] - eyes.ravel()).max() < 0.01
    merged = faces._merge(rows)
    assert merged.shape == (1, 9) and np.abs(merged[0, 1:5] - box[0]).max() < 0.01


def test_two_faces_stay_two():
    boxes = np.array([[10.0, 20.0, 50.0, 60.0], [70.0, 64.0, 118.0, 120.0]])
    eyes = np.stack([boxes[:, [0, 1]] + 12, boxes[:, [2, 1]] + [-12, 12]], axis=1)
    wanted = face_finder.answers(boxes, eyes)
    answer = wanted[..., :9].copy()
    answer[..., 0] = np.where(wanted[..., 9] > 0, 8, -8)
    merged = faces._merge(faces.read(answer, 0.5))
    assert np.abs(merged[np.argsort(merged[:, 1]), 1:5] - boxes).max() < 0.01


def test_overlap():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [2, 2, 4, 4]], float)
    # Of the smaller box: all of it, half, nothing, all of the one inside.
    assert faces._overlap(boxes[0], boxes).tolist() == [1.0, 0.5, 0.0, 1.0]


def test_loss_is_small_for_the_right_answer_and_grows():
    wanted = face_finder.answers(
        np.array([[30.0, 41.0, 78.0, 93.0]]), np.array([[[40.0, 60.0], [66.0, 63.0]]])
    )
    right = wanted[..., :9].copy()
    right[..., 0] = np.where(wanted[..., 0] >= 1, 12, np.where(wanted[..., 0] > 0.2, -1, -12))
    wrong = right.copy()
    wrong[..., 5] += 0.1  # one eye a tenth of the face off: weight 2, so 0.2 more
    far = right.copy()
    far[..., 0] *= -1
    low, middle, high = (
        float(face_finder.loss(wanted[None], x[None])) for x in (right, wrong, far)
    )
    assert low < 0.3
    assert middle - low == pytest.approx(0.2, abs=1e-4)
    assert high > 5


def test_views_keep_eyes_on_eyes():
    """Turned, squeezed, mirrored: the marks go along. Drawn discs stand for the eyes."""
    image = dots([(100, 120), (150, 118)], 256, radius=9)
    scene = (image, np.array([[80.0, 80.0, 170.0, 180.0]]), np.array([[[100.0, 120], [150, 118]]]))
    seen = 0
    for seed in range(30):
        random = np.random.default_rng(seed)
        random_restyle = face_finder.restyle
        face_finder.restyle = lambda picture, boxes, random: picture
        try:
            picture, _, eyes = face_finder.view(scene, random)
        finally:
            face_finder.restyle = random_restyle
        if not len(eyes):  # one look in five is beside the faces
            continue
        inside = ((eyes[0] > 2) & (eyes[0] < face_finder.VIEW - 2)).all()
        if inside:
            seen += 1
            assert eyes[0, 0, 0] < eyes[0, 1, 0]
            for x, y in eyes[0].astype(int):
                assert picture[y, x, 0] > 130
    assert seen > 12


# --- the network that comes with the kit ----------------------------------------------------------


def test_parameters():
    assert faces.build_network().count_params() == 645_689


def match(found, boxes, eyes):
    """How many faces were found, how many finds are none, and the eyes' error in eye distances."""
    hits, errors, used = 0, [], set()
    for box, pair in zip(boxes, eyes, strict=True):
        middle, side = (box[:2] + box[2:]) / 2, math.sqrt((box[2:] - box[:2]).prod())
        for number, one in enumerate(found):
            other = np.array(one.box).reshape(2, 2).mean(axis=0)
            if number not in used and np.hypot(*(other - middle)) < 0.35 * side:
                used.add(number)
                hits += 1
                apart = np.hypot(*(pair[1] - pair[0]))
                errors.append(np.linalg.norm(one.landmarks - pair, axis=1).mean() / apart)
                break
    return hits, len(found) - len(used), errors


def test_finds_drawn_faces_and_their_eyes():
    hits = extra = total = 0
    errors = []
    for index in range(40):
        scene = scenes.render_scene(320, 256, seed=77, index=index)
        found = faces.find(scene.image)
        large = (scene.boxes[:, 2] - scene.boxes[:, 0]) > 0.14 * 256
        h, e, off = match(found, scene.boxes[large], scene.landmarks[large][:, [0, 5]])
        hits, extra, total = hits + h, extra + e, total + large.sum()
        errors += off
    assert hits / total > 0.9
    assert np.median(errors) < 0.12


def test_hardly_anything_on_pictures_of_nothing():
    """Nothing on flat and shaded pictures; on drawn clutter something on about one of forty."""
    shade = np.linspace(0, 255, 200).astype(np.uint8)[None, :, None]
    assert faces.find(np.broadcast_to(shade, (160, 200, 3)).copy()) == []
    assert faces.find(np.full((50, 50, 3), 128, np.uint8)) == []
    empty = [scenes.render_scene(192, faces=0, seed=78, index=i).image for i in range(40)]
    found = faces.default_detector().find_all(empty)
    assert sum(bool(f) for f in found) <= 3


def test_the_same_face_in_any_size():
    """A picture of twice the size has its face at twice the place."""
    scene = scenes.render_scene(256, faces=1, seed=3, index=1)
    big = cv2.resize(scene.image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    small, large = faces.find(scene.image)[0], faces.find(big)[0]
    assert np.abs(2 * small.landmarks - large.landmarks).max() < 0.1 * large.size


@pytest.mark.parametrize("shape", [(20, 20), (16, 300), (1000, 40), (1, 1)])
def test_any_shape(shape):
    assert isinstance(faces.find(np.zeros((*shape, 3), np.uint8)), list)


def test_many_at_once_are_the_same_as_one_by_one():
    images = list(data.render(5, 96, seed=2).images) + [
        scenes.render_scene(200, 160, seed=2, index=i).image for i in range(3)
    ]
    detector = faces.default_detector()
    for image, found in zip(images, detector.find_all(images), strict=True):
        alone = detector.find(image)
        assert len(found) == len(alone)
        for one, two in zip(found, alone, strict=True):
            assert np.abs(one.landmarks - two.landmarks).max() < 0.05


# --- OpenCV's cascade -----------------------------------------------------------------------------


def test_cascade_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"lbpcascade_animeface\.xml"):
        faces.Cascade(tmp_path / "none.xml")
    (tmp_path / "wrong.xml").write_text("no cascade")
    with pytest.raises(ValueError, match="no cascade that OpenCV can read"):
        faces.Cascade(tmp_path / "wrong.xml")


def test_cascade_with_a_file_that_opencv_brings():
    """The interface, on the cascade for human faces of OpenCV itself."""
    path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
    found = faces.find(np.zeros((80, 80, 3), np.uint8), faces.Cascade(path))
    assert found == []


def test_cascade_is_fetched_once_and_held_to_its_checksum(tmp_path):
    xml = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
    sha = hashlib.sha256(xml.read_bytes()).hexdigest()
    path = faces.download_cascade(tmp_path / "new" / "cascade.xml", url=xml.as_uri())
    assert path.read_bytes() == xml.read_bytes()
    assert path.with_name("cascade.xml.sha256").read_text().strip() == sha
    assert faces.download_cascade(path, url="file:///nowhere") == path  # it is there already
    path.write_bytes(b"other")
    with pytest.raises(ValueError, match=f"the checksum is .* not {sha}"):
        faces.download_cascade(path)
    with pytest.raises(ValueError, match="the checksum is"):
        faces.download_cascade(tmp_path / "b.xml", sha256="0" * 64, url=xml.as_uri())
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(ValueError, match="no cascade"):
        faces.download_cascade(tmp_path / "c.xml", url=(tmp_path / "page.html").as_uri())
    with pytest.raises(ConnectionError, match="in a browser"):
        faces.download_cascade(tmp_path / "d.xml", url=(tmp_path / "none").as_uri())
    assert sorted(p.name for p in tmp_path.glob("*.xml*")) == []


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="ANIME_KERAS_REAL_DATA names no folder of real pictures")
def test_real_anime_faces_are_found():
    paths = sorted((Path(REAL) / "anime_tagged" / "images").glob("*.jpg"))[:: 7656 // 200][:200]
    images = [cv2.imread(str(path))[..., ::-1] for path in paths]
    found = faces.default_detector().find_all(images)
    assert np.mean([len(f) > 0 for f in found]) > 0.9
