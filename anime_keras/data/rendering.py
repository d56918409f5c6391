"""The embedded dataset: drawn anime faces with every factor known.

    faces = render(1000, size=64, seed=0)
    faces.names["hair_color"][faces.factors["hair_color"][0]]      # "aqua"

Sampling (`people.py`) decides who is drawn, a style (`anime.py`) how. Face number i of a seed is the
same person at any size, in any batch and any number of processes.
"""

import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from anime_keras.data import anime, portrait
from anime_keras.data.people import FACTORS, People, sample

STYLES = ("anime", "portrait")
SIZES = (32, 512)


@dataclass(frozen=True)
class Faces:
    """Rendered faces.

    Attributes:
        images: uint8 (count, size, size, 3), RGB.
        factors: Factor name -> index of its word, int64 (count,).
        names: Factor name -> its words.
        continuous: Name -> value, float32 (count,); see `people.RANGES` for units.
        landmarks: float32 (count, points, 2), x then y in pixels from the picture's upper left
            corner: the centre of the first pixel is at (0.5, 0.5), the lower right corner of the
            picture at (size, size), so they scale exactly with the size.
        landmark_names: Name of each landmark; left and right are the viewer's.
    """

    images: np.ndarray
    factors: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]
    continuous: dict[str, np.ndarray]
    landmarks: np.ndarray
    landmark_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)


def render(
    count: int,
    size: int = 64,
    style: str = "anime",
    seed: int = 0,
    start: int = 0,
    where: Mapping[str, str] | None = None,
    processes: int = 1,
) -> Faces:
    """Draws faces.

    Args:
        count: Number of faces, 0 or more.
        size: Side of a picture in pixels, 32 to 512.
        style: "anime", or "portrait": the same people, shaded like a photograph.
        seed: Which endless row of faces, 0 <= seed < 2**64.
        start: Index of the first face in that row.
        where: Factor name -> word that every face shall have; all else of a face stays.
        processes: Number of processes to draw with; the pictures are the same for any.

    Returns:
        The faces with their factors and landmarks.

    Raises:
        ValueError: For a number out of range, an unknown style, factor or word.
        RuntimeError: A process died, as all do that a script without a main guard starts.
    """
    _check("count", count, 0, 2**63)
    _check("size", size, *SIZES)
    _check("seed", seed, 0, 2**64 - 1)
    _check("start", start, 0, 2**63)
    _check("processes", processes, 1, 1024)
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}; got {style!r}.")

    people = sample(count, seed, start, where)
    if processes == 1 or count < 2:
        images, landmarks = draw_people(people, size, style)
    else:
        edges = np.linspace(0, count, min(processes, count) + 1).astype(int)
        jobs = [(people.part(slice(a, b)), size, style) for a, b in pairwise(edges)]
        try:
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(len(jobs), context) as pool:
                parts = list(pool.map(draw_people, *zip(*jobs, strict=True)))
        except BrokenProcessPool as error:
            raise RuntimeError(
                "A process that draws ended before its time. Either the memory is full, or this is a "
                "script, which each process imports anew: put what draws under "
                "if __name__ == '__main__':, or say processes=1."
            ) from error
        images, landmarks = (np.concatenate(part) for part in zip(*parts, strict=True))
    continuous = {name: value.astype(np.float32) for name, value in people.continuous.items()}
    return Faces(images, people.factors, dict(FACTORS), continuous, landmarks, anime.LANDMARKS)


def draw_people(people: People, size: int, style: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (people, size, size, 3) and landmarks (people, points, 2) in pixels."""
    images = np.empty((len(people), size, size, 3), np.uint8)
    landmarks = np.empty((len(people), len(anime.LANDMARKS), 2), np.float32)
    if style == "portrait":
        easel = anime.Easel(portrait.canvas_side(size))
    else:
        # Twice the picture's size smooths the contours; below 128 the finest lines would get lost.
        easel = anime.Easel(size * max(2, -(-128 // size)))
    for row in range(len(people)):
        person = people.person(row)
        if style == "portrait":
            images[row], marks = portrait.shoot(person, easel, size)
        else:
            marks = anime.draw(person, easel)
            cv2.resize(easel.canvas, (size, size), dst=images[row], interpolation=cv2.INTER_AREA)
        landmarks[row] = marks * size
    return images, landmarks


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be a whole number; got {value!r}.")
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low} and {high}; got {value}.")
