"""Drawn illustrations: up to five people anywhere on a picture, with the boxes of their faces.

A picture is put together from back to front: a background, things that are no faces, and the people
as stickers with soft edges. A person's sticker is cut out exactly, without a rule for each shape: it
is drawn once before black and once before white, and what differs is how far one sees through.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np

from anime_keras.data import anime, anime_wear
from anime_keras.data.people import People, sample
from anime_keras.data.stencils import hsv

SIDES = (128, 1024)
MOST = 5
_BUST = 512  # largest side that a person is drawn at


@dataclass(frozen=True)
class Scene:
    """A drawn illustration and where its faces are.

    Attributes:
        image: uint8 (height, width, 3), RGB.
        boxes: float32 (faces, 4): left, top, right and bottom of hair line, jaw and chin, in pixels.
        landmarks: float32 (faces, points, 2), x then y in pixels, named as in `Faces`.
        people: who is drawn, a row a face.
    """

    image: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    people: People


def render_scene(
    width: int = 512,
    height: int | None = None,
    faces: int | None = None,
    seed: int = 0,
    index: int = 0,
    change: Callable[[People, np.random.Generator], People] | None = None,
) -> Scene:
    """Draws an illustration; number `index` of a seed is always the same one.

    Every face lies on the picture with both eyes, and none hides the face of another.

    Args:
        width: in pixels, 128 to 1024.
        height: the same; as much as the width unless told.
        faces: how many, 0 to 5; 1 to 5 by chance unless told. Where they find no room there are
            fewer, but not none.
        seed: which endless row of scenes, 0 <= seed < 2**32.
        index: which scene of that row, 0 <= index < 2**32.
        change: alters the people before they are drawn, such as to stranger proportions.

    Raises:
        ValueError: for a number out of range.
    """
    height = width if height is None else height
    _check("width", width, *SIDES)
    _check("height", height, *SIDES)
    _check("faces", 1 if faces is None else faces, 0, MOST)
    _check("seed", seed, 0, 2**32 - 1)
    _check("index", index, 0, 2**32 - 1)
    # The people of a scene are of a row that no set of single faces has: its name has more bits.
    random = np.random.default_rng((seed, index, 5))
    drawn = int(random.choice([1, 2, 3, 4, 5], p=[0.4, 0.25, 0.15, 0.1, 0.1]))
    faces = drawn if faces is None else faces
    people = sample(max(faces, 1), seed + (1 << 40), MOST * index)
    if change:
        people = change(people, random)

    image = _background(people.person(0), width, height)
    _clutter(image, random)
    heads = _places(faces, width, height, random)
    landmarks = np.empty((len(heads), len(anime.LANDMARKS), 2), np.float32)
    for row, place in enumerate(heads):
        landmarks[row] = _stick(image, people.person(row), place)
    boxes = np.concatenate([landmarks.min(axis=1), landmarks.max(axis=1)], axis=1)
    return Scene(image, boxes, landmarks, people.part(slice(len(heads))))


# --- where ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    """Where a head goes: its middle and its width in pixels, its tilt in degrees."""

    x: float
    y: float
    width: float
    tilt: float


def _places(faces: int, width: int, height: int, random: np.random.Generator) -> list[_Place]:
    """Places whose heads do not overlap, from the rearmost (highest) to the foremost."""
    short, found = min(width, height), []
    if not faces:
        return []
    largest = 0.85 / np.sqrt(faces)
    for _ in range(40 * faces):
        size = short * largest * random.uniform(0.16, 1) ** 1.2
        size = max(size, 18.0)
        x = random.uniform(0.45 * size, width - 0.45 * size)
        y = random.uniform(0.45 * size, height - 0.55 * size)
        tilt = float(np.clip(random.normal(0, 14), -40, 40))
        if all(np.hypot(x - p.x, y - p.y) > 0.72 * (size + p.width) for p in found):
            found.append(_Place(x, y, size, tilt))
        if len(found) == faces:
            break
    found = found or [_Place(width / 2, height / 2, 0.5 * short, 0.0)]
    return sorted(found, key=lambda p: p.y)


# --- what -----------------------------------------------------------------------------------------


def _stick(image: np.ndarray, person: SimpleNamespace, place: _Place) -> np.ndarray:
    """Puts a person on the picture; returns the landmarks (points, 2) in the picture's pixels."""
    # A head unit, about the face's width, is 0.525 of the drawing's side.
    side = int(np.clip(2 ** np.ceil(np.log2(place.width / 0.525)), 64, _BUST))
    easel = anime.Easel(2 * side)
    person.shift_x = person.shift_y = 0.0
    person.zoom = 1.0
    points = anime.draw(person, easel, (0, 0, 0)) * easel.side
    black = easel.canvas.astype(np.float32)
    anime.draw(person, easel, (255, 255, 255))
    seen = 1 - (easel.canvas - black).mean(axis=-1, keepdims=True) / 255
    sticker = np.concatenate([black, seen], axis=-1)
    scale = place.width / (0.525 * easel.side)
    below = max(image.shape[0] - place.y, 0) / np.cos(np.radians(place.tilt)) / scale
    more = min(int(below), 8 * easel.side)  # the clothes go on down to the picture's edge
    sticker = np.concatenate([sticker, np.repeat(sticker[-1:], more, axis=0)])

    move = cv2.getRotationMatrix2D((easel.side / 2, easel.side / 2), -place.tilt, scale)
    move[:, 2] += (place.x - easel.side / 2, place.y - easel.side / 2)
    size = image.shape[1::-1]
    blur = 0.35 / scale
    if blur > 0.5:  # what is made much smaller would show steps
        sticker = cv2.GaussianBlur(sticker, (0, 0), blur, borderType=cv2.BORDER_REPLICATE)
    placed = cv2.warpAffine(sticker, move, size, flags=cv2.INTER_LINEAR)
    image[:] = np.rint(placed[..., :3] + image * (1 - placed[..., 3:])).clip(0, 255)
    return points @ move[:, :2].T + move[:, 2]


def _background(person: SimpleNamespace, width: int, height: int) -> np.ndarray:
    side = max(width, height)
    canvas = np.empty((side, side, 3), np.uint8)
    anime_wear.draw_background(SimpleNamespace(person=person, canvas=canvas))
    return canvas[:height, :width].copy()


def _clutter(image: np.ndarray, random: np.random.Generator) -> None:
    """Things that are no faces: panels, rods, discs, blobs, rings, and writing."""
    height, width = image.shape[:2]
    for _ in range(random.integers(0, 9)):
        color = hsv(random.uniform(0, 360), random.uniform(0, 0.8), random.uniform(0.15, 1))
        x, y = random.uniform(0, width), random.uniform(0, height)
        size = min(width, height) * random.uniform(0.05, 0.4)
        kind = random.integers(6)
        if kind == 0:
            box = cv2.boxPoints(
                ((x, y), (size * random.uniform(0.3, 3), size), random.uniform(0, 90))
            )
            cv2.fillPoly(image, [box.astype(np.int32)], color, cv2.LINE_AA)
        elif kind == 1:
            end = (int(x + random.normal(0, 3 * size)), int(y + random.normal(0, 3 * size)))
            thick = max(1, int(size * random.uniform(0.02, 0.2)))
            cv2.line(image, (int(x), int(y)), end, color, thick, cv2.LINE_AA)
        elif kind in (2, 3):
            axes = (max(int(size * random.uniform(0.3, 1)), 2), max(int(size / 2), 2))
            thick = -1 if kind == 2 else max(1, int(0.08 * size))
            centre, turn = (int(x), int(y)), random.uniform(0, 180)
            cv2.ellipse(image, centre, axes, turn, 0, 360, color, thick, cv2.LINE_AA)
        elif kind == 4:
            angle = np.sort(random.uniform(0, 2 * np.pi, 9))
            reach = size * random.uniform(0.4, 1, 9)
            points = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1)
            cv2.fillPoly(image, [points.astype(np.int32)], color, cv2.LINE_AA)
        else:
            text = "".join(chr(c) for c in random.integers(33, 123, random.integers(2, 9)))
            scale = size / 40
            place = (int(x - 0.5 * size), int(y))
            cv2.putText(image, text, place, 0, scale, color, max(1, int(scale)), cv2.LINE_AA)


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number; got {value!r}.")
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}; got {value}.")
