"""How the measuring network was trained: `python -m anime_keras.weights.anime_features`.

It learns to name every factor of drawn faces, anime and portraits, and then its features measure how
alike two sets of pictures are. Half of what it sees are faces as the dataset draws them, most of
them a little moved, some blurred, noisy or compressed, by how much it is asked too. The other half
is varied beyond the dataset, in proportions, colours, light, sharpness and framing, so that it also
reads faces that other people drew.

About an hour on two cores without a GPU. Nothing but drawings of this kit is looked at.
"""

import json
import math
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from anime_keras import weights
from anime_keras.data import anime, faces, rendering
from anime_keras.data.people import FACTORS, YAW_EDGES, People, sample
from anime_keras.metrics.anime_network import ANGLES, NUMBERS, SIDE, WORDS, build_network, slices
from anime_keras.weights import face_finder

WIDE = 96  # pixels of the varied drawings, of which parts are seen
SEEDS = {"anime": 11, "portrait": 12, "varied": 13}  # of what is drawn here

# What people call by a word: hue in degrees, saturation, value, each a mean and a spread. The colour
# that is drawn under a word has the mean and spread that crowns and irises of other artists' tagged
# pictures have; the pictures themselves were not seen by any network.
HAIR = {
    "brown": ((19, 17), (0.49, 0.18), (0.63, 0.18)),
    "blonde": ((41, 11), (0.41, 0.16), (0.97, 0.08)),
    "black": ((293, 60), (0.28, 0.15), (0.34, 0.13)),
    "blue": ((213, 20), (0.40, 0.20), (0.86, 0.16)),
    "pink": ((357, 15), (0.30, 0.11), (0.99, 0.08)),
    "purple": ((292, 27), (0.31, 0.14), (0.81, 0.16)),
    "aqua": ((173, 15), (0.42, 0.16), (0.86, 0.12)),
    "green": ((110, 33), (0.42, 0.15), (0.81, 0.16)),
    "red": ((357, 10), (0.66, 0.14), (0.84, 0.15)),
    "gray": ((0, 120), (0.09, 0.05), (0.83, 0.12)),
    "white": ((0, 120), (0.05, 0.04), (1.00, 0.06)),
    "orange": ((23, 8), (0.62, 0.13), (0.97, 0.08)),
}
EYES = {
    "blue": ((213, 14), (0.55, 0.2), (0.78, 0.15)),
    "red": ((359, 9), (0.75, 0.15), (0.78, 0.15)),
    "brown": ((19, 11), (0.55, 0.15), (0.55, 0.14)),
    "green": ((112, 28), (0.55, 0.18), (0.70, 0.15)),
    "purple": ((298, 25), (0.45, 0.15), (0.74, 0.16)),
    "aqua": ((181, 10), (0.55, 0.18), (0.84, 0.12)),
    "yellow": ((40, 8), (0.70, 0.15), (0.92, 0.10)),
    "pink": ((343, 11), (0.42, 0.12), (0.93, 0.08)),
    "orange": ((21, 7), (0.75, 0.13), (0.94, 0.08)),
    "black": ((300, 60), (0.25, 0.12), (0.26, 0.10)),
    "gray": ((0, 120), (0.10, 0.05), (0.63, 0.13)),
}


def recolor(people: People, random: np.random.Generator) -> People:
    """People of unusual proportions, with colours from all over their words."""
    people = face_finder.strange(people, random)
    values = people.continuous
    for kind, table, own in (("hair", HAIR, anime._HAIR), ("eye", EYES, anime._EYE)):
        words = FACTORS[f"{kind}_color"]
        for row, word in enumerate(people.factors[f"{kind}_color"]):
            hue, saturation, value = (
                mean + spread * np.clip(random.normal(), -2, 2)
                for mean, spread in table[words[word]]
            )
            middle, play, (low_s, high_s), (low_v, high_v) = own[words[word]]
            shade = (np.clip(value, 0.05, 1) - low_v) / (high_v - low_v)
            values[f"{kind}_hue"][row] = ((hue - middle + 180) % 360 - 180) / play
            values[f"{kind}_shade"][row] = shade
            if kind == "hair":  # eyes follow: a drawing has one saturation
                usual = max(low_s + (high_s - low_s) * (1 - shade), 0.02)
                values["saturation"][row] = np.clip(saturation, 0, 1) / usual
    values["saturation"] = values["saturation"].clip(0, 1.6)
    pose = np.digitize(values["yaw"], YAW_EDGES[1:-1])
    return People(people.factors | {"pose": pose}, values, people.spare)


# --- drawings, and what is known of them ----------------------------------------------------------


def draw(kind: str, start: int, count: int) -> dict[str, np.ndarray]:
    """Drawings of a kind out of `SEEDS`, from index `start` on, with their truth.

    Returns:
        images: uint8 (count, side, side, 3).
        words: int64 (count, words), an index each of `WORDS`, -1 for what cannot be seen.
        angles: float32 (count, 3), yaw, pitch and roll in degrees.
        landmarks: float32 (count, points, 2), as fractions of the side.
    """
    cv2.setNumThreads(1)
    seed = SEEDS[kind]
    people = sample(count, seed, start)
    if kind == "varied":
        people = recolor(people, np.random.default_rng((seed, start)))
    side = WIDE if kind == "varied" else SIDE
    style = "portrait" if kind == "portrait" else "anime"
    images, landmarks = rendering.draw_people(people, side, style)
    shut = np.array([anime.eyes_shut(people.person(row)) for row in range(count)], int)
    factors = dict(people.factors, style=np.full(count, style == "portrait", int), eyes=shut)
    factors["eye_color"] = np.where(shut, -1, factors["eye_color"])
    values = people.continuous
    return {
        "images": images,
        "words": np.stack([factors[name] for name in WORDS], axis=1),
        "angles": np.stack([values[n] for n in ("yaw", "pitch", "roll")], axis=1).astype("f4"),
        "landmarks": (landmarks / side).astype("f4"),
    }


def _draw(job: tuple[str, int, int]) -> dict[str, np.ndarray]:
    return draw(*job)


def draw_all(counts: dict[str, int], processes: int = 2) -> dict[str, dict[str, np.ndarray]]:
    """So many drawings of each kind."""
    jobs = [
        (kind, start, min(250, count - start))
        for kind, count in counts.items()
        for start in range(0, count, 250)
    ]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        parts = pool.map(_draw, jobs, chunksize=1)
    return {
        kind: {
            name: np.concatenate(
                [p[name] for job, p in zip(jobs, parts, strict=True) if job[0] == kind]
            )
            for name in parts[0]
        }
        for kind in counts
    }


# --- what the network is shown --------------------------------------------------------------------


def _mirrored(name: str) -> str:
    return {"left": "right", "right": "left"}.get(name, name)


_POINTS = [
    anime.LANDMARKS.index("_".join(map(_mirrored, name.split("_")))) for name in anime.LANDMARKS
]
_POSE, _FRINGE, _SKIN = (list(WORDS).index(name) for name in ("pose", "fringe", "skin_tone"))
_SWEPT = [FACTORS["fringe"].index(f"swept {side}") for side in ("left", "right")]


def view(
    drawn: dict[str, np.ndarray], row: int, kind: str, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A look at a drawing: picture (64, 64, 3) in [0, 1], words, numbers as in `NUMBERS`."""
    image, words = drawn["images"][row], drawn["words"][row].copy()
    angles, points = drawn["angles"][row].copy(), drawn["landmarks"][row]
    varied = kind == "varied"
    turn, shift = _framing(points, varied, random)
    angles[2] += math.degrees(math.atan2(turn[1, 0], turn[1, 1]))
    if np.linalg.det(turn) < 0:
        angles *= (-1, 1, -1)
        points = points[_POINTS]
        words[_POSE] = len(FACTORS["pose"]) - 1 - words[_POSE]
        if words[_FRINGE] in _SWEPT:
            words[_FRINGE] = sum(_SWEPT) - words[_FRINGE]
    if not (np.allclose(turn, np.eye(2)) and np.allclose(shift, 0)):
        points = points @ turn.T + shift
        ratio = SIDE / len(image)
        # A pixel's centre is at .5 of a landmark and at .0 for OpenCV.
        move = np.column_stack([turn * ratio, turn.sum(axis=1) * ratio / 2 + SIDE * shift - 0.5])
        kinds = (cv2.INTER_LINEAR, cv2.INTER_CUBIC)
        image = cv2.warpAffine(
            image, move, (SIDE, SIDE), flags=kinds[not varied], borderMode=cv2.BORDER_REFLECT_101
        )
    x = image.astype(np.float32) / 255
    harm = np.zeros(3, np.float32)
    if varied:
        x = _relight(x, random)
        words[_SKIN] = -1  # in any light, any skin may have that colour
    elif random.random() < 0.4:
        x, harm = damage(x, random)
    numbers = np.concatenate([angles / ANGLES, (2 * points - 1).ravel(), harm])
    return x.clip(0, 1), words, numbers.astype(np.float32)


def _framing(
    points: np.ndarray, varied: bool, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How a view maps fractions of the drawing's side to its own: matrix (2, 2) and shift (2,)."""
    if not varied and random.random() < 0.4:
        return np.eye(2), np.zeros(2)
    if varied and random.random() < 0.75:  # as `faces.align` does, with eyes a little off
        apart = np.hypot(*(points[5] - points[0]))
        left, right = points[[0, 5]] + random.normal(0, 0.06 * apart, (2, 2))
        across, margin = right - left, math.exp(random.normal(0, 0.1))
        size = (faces.EYES[1][0] - faces.EYES[0][0]) / margin / np.hypot(*across)
        angle = -math.atan2(across[1], across[0])
        middle, wanted = (left + right) / 2, [0.5, 0.5 - (0.5 - faces.EYES[0][1]) / margin]
    else:
        size = math.exp(random.normal(0, 0.12 if varied else 0.05))
        angle = math.radians(random.normal(0, 8 if varied else 4))
        middle, wanted = np.array([0.5, 0.5]), 0.5 + random.normal(0, 0.03, 2)
    c, s = size * math.cos(angle), size * math.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    shift = wanted - turn @ middle
    if random.random() < (0.5 if varied else 0.25):
        turn[0], shift[0] = -turn[0], 1 - shift[0]
    return turn, shift


def damage(x: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Blur, noise or compress a picture in [0, 1]; also returns by how much, as in `NUMBERS`."""
    harm = np.where(random.random(3) < 0.45, random.random(3), 0).astype(np.float32)
    if harm[0]:
        x = cv2.GaussianBlur(x, (0, 0), max(2 * float(harm[0]), 0.05))
    if harm[1]:
        x = x + random.normal(0, 0.15 * harm[1], x.shape).astype(np.float32)
    if harm[2]:
        pixels = (np.clip(x, 0, 1) * 255).astype(np.uint8)
        quality = round(100 * (1 - float(harm[2])))
        x = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
        x = x.astype(np.float32) / 255
    return x, harm


def _relight(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Other light, tint, contrast, paint and sharpness, mild enough for the words to stay true."""

    def chance(part: float) -> bool:
        return random.random() < part

    def field(*shape: int, strength: float) -> np.ndarray:
        noise = random.normal(0, strength, shape).astype(np.float32)
        return 1 + cv2.resize(noise, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)[..., None]

    if chance(0.5):
        x = x * field(4, 4, strength=0.16)
    if chance(0.4):  # locks are painted in stripes of light and dark
        x = x * (field(24, 8, strength=0.10) if chance(0.5) else field(8, 24, strength=0.10))
    if chance(0.6):
        x = x * np.exp(random.normal(0, 0.05, 3)).astype(np.float32)
    if chance(0.7):
        x = x * random.uniform(0.95, 1.45)
    if chance(0.5):
        x = np.clip(x, 1e-4, 1) ** math.exp(random.normal(0, 0.18))
    if chance(0.5):
        x = random.uniform(0, 0.18) + x * random.uniform(0.78, 1.0)
    if chance(0.5):
        grey = x.mean(axis=-1, keepdims=True)
        x = grey + (x - grey) * random.uniform(0.7, 1.2)
    if chance(0.4):
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.3, 0.8))
    if chance(0.3):
        x = x + random.normal(0, random.uniform(0, 0.05), x.shape).astype(np.float32)
    if chance(0.35):  # a hand, a sleeve, a flower before the face
        place = random.uniform(0, SIDE, 2).astype(int).tolist()
        axes = random.uniform(3, 13, 2).astype(int).tolist()
        color = tuple(float(v) for v in random.uniform(0, 1, 3))
        x = np.ascontiguousarray(x, np.float32)
        cv2.ellipse(x, place, axes, random.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
    return np.asarray(x, np.float32)


class _Views:
    """Batches of views; which, is told by their number."""

    # Of every batch half are faces as the dataset draws them.
    SHARES = (("anime", 0.36), ("portrait", 0.14), ("varied", 0.5))

    def __init__(self, pool: dict[str, dict[str, np.ndarray]], batch: int, seed: int) -> None:
        self.pool, self.batch, self.seed = pool, batch, seed

    def __call__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = np.random.default_rng((self.seed, int(number)))
        kinds, chances = zip(*self.SHARES, strict=True)
        seen = []
        for kind in random.choice(kinds, self.batch, p=chances):
            drawn = self.pool[kind]
            seen.append(view(drawn, random.integers(len(drawn["words"])), kind, random))
        x, words, numbers = (np.stack(part) for part in zip(*seen, strict=True))
        return (x * 2 - 1).astype(np.float32), words, numbers


# --- learning -------------------------------------------------------------------------------------

_WEIGHTS = {"hair_color": 2.0, "eye_color": 2.0, "angles": 1.0, "landmarks": 10.0, "damage": 3.0}


def loss(words: Any, numbers: Any, answers: Any) -> Any:
    """Cross-entropy of each word that is known, and L1 of each number; a scalar."""
    from keras import ops

    total, places = 0.0, slices()
    for column, name in enumerate(WORDS):
        known = ops.cast(words[:, column] >= 0, "float32")
        each = ops.sparse_categorical_crossentropy(
            ops.maximum(words[:, column], 0), answers[:, places[name]], from_logits=True
        )
        each = ops.sum(known * each) / ops.maximum(ops.sum(known), 1.0)
        total = total + _WEIGHTS.get(name, 1.0) * each
    first = places["angles"].start
    for name in NUMBERS:
        place = places[name]
        off = ops.abs(answers[:, place] - numbers[:, place.start - first : place.stop - first])
        total = total + _WEIGHTS[name] * ops.mean(off)
    return total


def standardise(model: Any, images: np.ndarray) -> None:
    """Give the features mean 0 and variance 1 over drawn faces; no answer changes by it.

    In training they were standardised over all that was seen, spoiled pictures too. Measured in units
    of what spoiling does to them, features that tell hair colours would count for little.

    Args:
        model: of `build_network`.
        images: uint8 (n, 64, 64, 3), as the dataset draws them.
    """
    import keras

    layer, reader = model.get_layer("features"), model.get_layer("answers")
    means = keras.Model(model.inputs, layer.input)
    seen = means.predict(images.astype(np.float32) / 127.5 - 1, batch_size=250, verbose=0)
    old_mean, old_variance = layer.get_weights()
    mean, variance = seen.mean(axis=0), seen.var(axis=0)
    layer.set_weights([mean, variance])
    kernel, bias = reader.get_weights()
    old, new = (np.sqrt(v + layer.epsilon) for v in (old_variance, variance))
    reader.set_weights([kernel * (new / old)[:, None], bias + ((mean - old_mean) / old) @ kernel])


def accuracy(model: Any, drawn: dict[str, np.ndarray]) -> dict[str, float]:
    """How often each of `WORDS` is named rightly where it can be seen."""
    side = drawn["images"].shape[1]
    images = drawn["images"]
    if side != SIDE:
        images = np.stack(
            [cv2.resize(i, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for i in images]
        )
    answers = model.predict(images.astype(np.float32) / 127.5 - 1, batch_size=250, verbose=0)[1]
    places, right = slices(), {}
    for column, name in enumerate(WORDS):
        truth = drawn["words"][:, column]
        said = answers[:, places[name]].argmax(axis=1)
        right[name] = float((said == truth)[truth >= 0].mean())
    return right


def main(
    out: Annotated[Path, typer.Option(help="Folder for the weights and their card.")],
    anime_count: Annotated[int, typer.Option(help="Anime faces to draw.")] = 60_000,
    portrait_count: Annotated[int, typer.Option(help="Portraits to draw.")] = 12_000,
    varied_count: Annotated[int, typer.Option(help="Varied faces to draw.")] = 40_000,
    minutes: Annotated[float, typer.Option(help="Of training, without drawing.")] = 45,
    batch: int = 128,
    learning_rate: float = 3e-3,
    seed: int = 0,
    begin: Annotated[
        Path | None, typer.Option(help="Go on from these weights, as far as they fit.")
    ] = None,
) -> None:
    """Draw faces, train the measuring network on them, and write its weights and its card."""
    import keras
    import tensorflow as tf

    cv2.setNumThreads(1)  # the network has the cores
    keras.utils.set_random_seed(seed)
    began = time.monotonic()
    held = {"anime": 2000, "portrait": 500, "varied": 1000}
    counts = {"anime": anime_count, "portrait": portrait_count, "varied": varied_count}
    drawn = draw_all({kind: counts[kind] + held[kind] for kind in counts})
    drawing = time.monotonic() - began
    print(f"{sum(counts.values())} faces drawn, {drawing:.0f} s", flush=True)
    first = {k: {n: v[: held[k]] for n, v in d.items()} for k, d in drawn.items()}
    rest = {k: {n: v[held[k] :] for n, v in d.items()} for k, d in drawn.items()}
    views = _Views(rest, batch, seed)

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build_network()
    if begin:
        model.load_weights(begin, skip_mismatch=True)
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=1e-3, clipnorm=5.0)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x: Any, words: Any, numbers: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(words, numbers, model(x, training=True)[1])
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return value

    def look(number: Any) -> Any:
        x, words, numbers = tf.numpy_function(views, [number], (tf.float32, tf.int64, tf.float32))
        return (
            tf.ensure_shape(x, (batch, SIDE, SIDE, 3)),
            tf.ensure_shape(words, (batch, len(WORDS))),
            tf.ensure_shape(numbers, (batch, sum(NUMBERS.values()))),
        )

    stream = iter(tf.data.Dataset.range(10**9).map(look, num_parallel_calls=2).prefetch(4))
    budget = face_finder._Budget(learning_rate, 60 * minutes)
    log, steps, began = [], 0, time.monotonic()
    while (spent := time.monotonic() - began) < 60 * minutes:
        optimizer.learning_rate = budget(spent)
        values = [float(step(*next(stream))) for _ in range(20)]
        steps += 20
        if steps % 1000 == 0:
            right = {kind: accuracy(model, first[kind]) for kind in first}
            log.append({"step": steps, "minutes": round(spent / 60, 2), "right": right})
            shown = ", ".join(
                f"{kind} {np.mean(list(r.values())):.3f} (hair {r['hair_color']:.3f}, eyes "
                f"{r['eye_color']:.3f}, least {min(r, key=r.get)} {min(r.values()):.3f})"
                for kind, r in right.items()
            )
            print(f"{steps} {spent / 60:.1f} min: {np.mean(values):.3f} {shown}", flush=True)
            _save(model, out)
    standardise(model, rest["anime"]["images"][:5000])
    _save(model, out)
    right = {kind: accuracy(model, first[kind]) for kind in first}
    card = {
        "trained_on": f"drawings of this kit, {counts}: see draw",
        "begun_from": _card(begin) if begin else None,
        "steps": steps,
        "batch": batch,
        "minutes": minutes,
        "minutes_to_draw": round(drawing / 60, 1),
        "seed": seed,
        "learning_rate": learning_rate,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "python": sys.version.split()[0],
        "parameters": model.count_params(),
        "right": {kind: {n: round(v, 4) for n, v in r.items()} for kind, r in right.items()},
        "sha256": weights.checksum(out / "anime_features.weights.h5"),
        "log": log,
    }
    (out / "anime_features.json").write_text(json.dumps(card, indent=1), encoding="utf-8")


def _card(begin: Path) -> dict[str, Any]:
    """How the weights that were gone on from had been trained."""
    card = begin.with_name("anime_features.json")
    known = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    return known | {"sha256": weights.checksum(begin)}


def _save(model: Any, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model.save_weights(out / "anime_features.weights.h5")


if __name__ == "__main__":
    typer.run(main)
