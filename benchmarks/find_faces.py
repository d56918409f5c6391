"""How well, and how fast, the kit's face finder finds faces, on drawings and on real pictures.

    python benchmarks/find_faces.py [FOLDER] [--sheet eyes.png]

On drawn scenes that it was not trained on the truth is known: how many faces are found, how many
finds are none, how far off the eyes are. Of FOLDER (pictures with one face each, such as tagged anime
faces) a thousand pictures are looked at, evenly chosen by name; where the eyes sit has to be judged
by a person, for which `--sheet` draws a hundred, taken at random.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from anime_keras import plots
from anime_keras.data import faces, reading, rendering, scenes
from anime_keras.data.people import sample

SEED = 4242  # not the seed of what the finder was trained on


def drawn_scenes(count: int) -> None:
    """Faces of at least 16 pixels and a tenth of the picture, in illustrations of 384 x 320."""
    hits = total = extra = 0
    errors = []
    for index in range(count):
        scene = scenes.render_scene(384, 320, seed=SEED, index=index)
        found = faces.find(scene.image)
        used = set()
        for box, eyes in zip(scene.boxes, scene.landmarks[:, [0, 5]], strict=True):
            side = np.sqrt((box[2:] - box[:2]).prod())
            best = _nearest(found, (box[:2] + box[2:]) / 2, used)
            near = best is not None and _off(found[best], box) < 0.35 * side
            if near:
                used.add(best)
            if side < 0.1 * 320:
                continue
            total += 1
            hits += near
            if near:
                apart = np.linalg.norm(eyes[1] - eyes[0])
                errors.append(np.linalg.norm(found[best].landmarks - eyes, axis=1).mean() / apart)
        extra += len(found) - len(used)
    print(
        f"{count} drawn scenes: {hits} of {total} faces found ({hits / total:.1%}), {extra} finds are "
        f"none; eyes off by {np.median(errors):.1%} of their distance in the median, "
        f"{np.percentile(errors, 95):.1%} in 19 of 20"
    )


def faceless_scenes(count: int) -> None:
    """Scenes with everything but people: whatever is found there is none."""
    found = [
        faces.find(scenes.render_scene(256, faces=0, seed=SEED, index=index).image)
        for index in range(count)
    ]
    print(f"{count} drawn scenes without faces: something is found on {sum(map(bool, found))}")


def drawn_portraits(count: int) -> None:
    """Portraits of 128 pixels, one face each."""
    images, marks = rendering.draw_people(sample(count, SEED), 128, "portrait")
    errors, found = [], faces.default_detector().find_all(list(images))
    for mine, truth in zip(found, marks[:, [0, 5]], strict=True):
        if mine:
            apart = np.linalg.norm(truth[1] - truth[0])
            errors.append(np.linalg.norm(mine[0].landmarks - truth, axis=1).mean() / apart)
    print(
        f"{count} drawn portraits: {len(errors)} found; eyes off by {np.median(errors):.1%} of their "
        f"distance in the median, {np.percentile(errors, 95):.1%} in 19 of 20"
    )


def real(folder: Path, sheet: Path | None) -> None:
    """A thousand pictures of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in reading.SUFFIXES)
    paths = [paths[i] for i in np.linspace(0, len(paths) - 1, min(1000, len(paths))).astype(int)]
    images = [reading.read(path) for path in paths]
    detector = faces.default_detector()
    detector.find_all(images[:64])
    began = time.perf_counter()
    found = [
        one for at in range(0, len(images), 64) for one in detector.find_all(images[at : at + 64])
    ]
    rate = len(images) / (time.perf_counter() - began)
    none, more = sum(not f for f in found), sum(len(f) > 1 for f in found)
    print(
        f"{len(images)} pictures of {folder.name}: a face in {len(images) - none} "
        f"({1 - none / len(images):.1%}), a second one in {more}; {rate:.0f} pictures a second"
    )
    if sheet:
        chosen = np.random.default_rng(2026).choice(len(images), min(100, len(images)), False)
        plots.save(sheet, plots.grid(np.stack([_mark(images[i], found[i]) for i in chosen]), 10))


def _mark(image: np.ndarray, found: list[faces.Face], side: int = 250) -> np.ndarray:
    scale = side / max(image.shape[:2])
    canvas = np.full((side, side, 3), 255, np.uint8)
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    canvas[: large.shape[0], : large.shape[1]] = large[:side, :side]
    for point in found[0].landmarks if found else ():
        place = tuple((point * scale).round().astype(int).tolist())
        cv2.circle(canvas, place, 4, (0, 0, 0), -1)
        cv2.circle(canvas, place, 3, (255, 255, 0), -1)
    return canvas


def _off(face: faces.Face, box: np.ndarray) -> float:
    own = np.array(face.box)
    return float(np.linalg.norm((own[:2] + own[2:] - box[:2] - box[2:]) / 2))


def _nearest(found: list[faces.Face], middle: np.ndarray, used: set[int]) -> int | None:
    left = [number for number in range(len(found)) if number not in used]
    box = np.concatenate([middle, middle])
    return min(left, key=lambda number: _off(found[number], box), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    drawn_scenes(options.count)
    faceless_scenes(options.count)
    drawn_portraits(options.count)
    for folder in options.folder:
        real(folder, options.sheet)


if __name__ == "__main__":
    main()
