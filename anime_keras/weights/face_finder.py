"""How the face finder was trained: `python -m anime_keras.weights.face_finder`.

It shall find faces that other people drew, having seen only ours. So everything is varied that does
not make a face a face ("domain randomization", Tobin et al. 2017): proportions beyond those of the
dataset, colours, light, line and paint, sharpness, what lies over the face. What stays is the
arrangement: two eyes, a nose, a mouth, a chin, hair around.

Without a GPU it takes about an hour on two cores. Nothing but drawings of this kit is looked at.
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
from anime_keras.data import faces, rendering, scenes
from anime_keras.data.people import People, sample

SEED = 1  # of all that is drawn here
SIDE = 256
VIEW = faces.Network.VIEW
SMALLEST, LARGEST = 11.0, 1.2 * VIEW  # sizes of faces to look for, pixels

# Beyond the dataset's own ranges (`people.RANGES`), since other hands draw otherwise.
_STRANGE = {
    "yaw": (-42, 42),
    "pitch": (-16, 16),
    "line_weight": (0.3, 2.0),
    "line_tint": (0.0, 1.0),
    "saturation": (0.35, 1.3),
    "eye_width": (0.62, 1.3),
    "eye_height": (0.5, 1.4),
    "eye_tilt": (-14, 20),
    "eye_spacing": (0.86, 1.12),
    "iris_size": (0.75, 1.25),
    "brow_weight": (0.3, 2.0),
    "jaw_width": (0.8, 1.15),
    "chin_length": (0.78, 1.15),
    "hair_volume": (0.9, 1.25),
    "hair_hue": (-3, 3),
    "blush": (0, 1.2),
}


def strange(people: People, random: np.random.Generator) -> People:
    """People of unusual proportions."""
    continuous = dict(people.continuous)
    for name, (low, high) in _STRANGE.items():
        continuous[name] = random.uniform(low, high, len(people))
    return People(people.factors, continuous, people.spare)


def draw_scene(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture number `index`, its boxes and eyes (faces, 2, 2).

    Of eight, two are portraits, one shows no face, and five are scenes with some.
    """
    cv2.setNumThreads(1)
    if index % 4 == 3:
        (image,), marks = rendering.draw_people(sample(1, SEED, index), SIDE, "portrait")
        boxes = np.concatenate([marks.min(axis=1), marks.max(axis=1)], axis=1)
        return image, boxes, marks[:, [0, 5]]
    count = 0 if index % 8 == 5 else None
    scene = scenes.render_scene(SIDE, faces=count, seed=SEED, index=index, change=strange)
    return scene.image, scene.boxes, scene.landmarks[:, [0, 5]]


# --- what the network is shown --------------------------------------------------------------------


def view(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A look at a scene: one of its faces at any size and place, turned, squeezed, mirrored.

    Some looks are so near that only an eye or a mouth is seen: a part of a face is no face. And one
    in five sees no face at all, for a finder that has always seen one finds one everywhere.
    """
    image, boxes, eyes = scene
    if not len(boxes) or random.random() < 0.2:
        return restyle(_faceless(image, boxes, random), boxes[:0], random), boxes[:0], eyes[:0]
    box = boxes[random.integers(len(boxes))]
    own = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    near = random.random() < 0.15
    least, most = (1.3, 3.5) if near else (0.13, 0.85)
    size = VIEW * math.exp(random.uniform(math.log(least), math.log(most)))
    scale = size / own
    squeeze = math.exp(random.uniform(-0.18, 0.18))
    angle = math.radians(random.normal(0, 12))
    mirror = -1 if random.random() < 0.5 else 1
    c, s = math.cos(angle), math.sin(angle)
    turn = np.array([[c, -s], [s, c]]) @ np.diag([scale * squeeze * mirror, scale / squeeze])
    turn[0, 1] += scale * random.normal(0, 0.06)
    # The face may lie anywhere, but its middle stays inside.
    room = max(VIEW / 2 - size * 0.55, VIEW * 0.06)
    wanted = VIEW / 2 + random.uniform(-room, room, 2)
    move = np.column_stack([turn, wanted - turn @ ((box[:2] + box[2:]) / 2)])
    if scale < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 / scale)
    edge = cv2.BORDER_REPLICATE if random.random() < 0.6 else cv2.BORDER_CONSTANT
    fill = image[tuple(random.integers(0, SIDE, 2))].tolist()
    seen = cv2.warpAffine(image, move, (VIEW, VIEW), borderMode=edge, borderValue=fill)
    corners = np.stack([boxes[:, [0, 1]], boxes[:, [2, 1]], boxes[:, [2, 3]], boxes[:, [0, 3]]], 1)
    corners = corners @ turn.T + move[:, 2]
    middle = corners.mean(axis=1)
    # The box of turned corners is larger than the face: keep the box's own sides.
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale * [squeeze, 1 / squeeze]
    eyes = eyes @ turn.T + move[:, 2]
    if mirror < 0:
        eyes = eyes[:, ::-1]
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return restyle(seen, boxes, random), boxes, eyes


def _faceless(image: np.ndarray, boxes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A part of a scene beside its faces; or, now and then and where there is none, a texture."""
    for _ in range(6 if random.random() < 0.75 else 0):
        side = random.uniform(0.15, 0.95 if not len(boxes) else 0.6) * SIDE
        low = random.uniform(0, SIDE - side, 2)
        if ((boxes[:, :2] > low + side) | (boxes[:, 2:] < low)).any(axis=1).all():
            (left, top), side = low.astype(int), int(side)
            part = image[top : top + side, left : left + side]
            return cv2.resize(part, (VIEW, VIEW), interpolation=cv2.INTER_AREA)
    texture = np.zeros((VIEW, VIEW, 3), np.float32)
    for grain in (2, 4, 8, 16, 32, 64, 128):  # clouds, leaves, cloth, noise
        noise = random.normal(0, random.exponential(1), (grain, grain, 3)).astype(np.float32)
        kind = cv2.INTER_CUBIC if random.random() < 0.7 else cv2.INTER_NEAREST
        texture += cv2.resize(noise, (VIEW, VIEW), interpolation=kind)
    grey = texture.mean(axis=-1, keepdims=True)
    texture = grey + (texture - grey) * random.uniform(0, 1.2)
    texture = 128 + 60 * random.uniform(0.3, 1.5) * texture / texture.std()
    return texture.clip(0, 255).astype(np.uint8)


def restyle(image: np.ndarray, boxes: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same drawing by another hand: other colours, light, paint, and things in front of it."""

    def chance(part: float) -> bool:
        return random.random() < part

    if chance(0.35):  # hands, locks, sleeves before a face
        _cover(image, boxes, random)
    if chance(0.25):
        return image
    if chance(0.2):
        image = cv2.bilateralFilter(image, 5, 60, 3)
    x = image.astype(np.float32) / 255
    if chance(0.6):
        grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
        x = grey[..., None] + (x - grey[..., None]) * random.uniform(0, 1.5)
    if chance(0.6):  # light and shade across the picture
        field = cv2.resize(random.normal(0, 0.3, (4, 4, 1)).astype(np.float32), (VIEW, VIEW))
        x *= 1 + field[..., None] * random.normal(1, 0.3, 3).astype(np.float32)
    if chance(0.5):  # the whole in the colour of its light
        x = x @ _mixing(random)
    if chance(0.7):
        x = np.clip(x, 1e-4, 1) ** math.exp(random.normal(0, 0.45))
    if chance(0.6):
        low, high = random.uniform(-0.15, 0.45), random.uniform(0.45, 1.25)
        x = low + (high - low) * x if high - low > 0.3 else x
    if chance(0.3):  # paint: texture of several grains
        strength = random.uniform(0.01, 0.06)
        for grain in (8, 32, 128):
            noise = random.normal(0, strength, (grain, grain, 3)).astype(np.float32)
            x += cv2.resize(noise, (VIEW, VIEW), interpolation=cv2.INTER_CUBIC)
    image = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if chance(0.5):
        if chance(0.5):
            image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, 1.6))
        else:
            part = random.uniform(0.35, 0.9)
            small = cv2.resize(image, None, fx=part, fy=part, interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (VIEW, VIEW), interpolation=cv2.INTER_CUBIC)
    elif chance(0.4):
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        image = cv2.addWeighted(image, 1.8, soft, -0.8, 0)
    if chance(0.5):
        _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, random.integers(20, 90)])
        image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return image


def _mixing(random: np.random.Generator) -> np.ndarray:
    """A mild mixing of the three channels (3, 3), whose rows add up to about one."""
    mixing = np.eye(3) + random.normal(0, 0.22, (3, 3))
    return (mixing / mixing.sum(axis=0).clip(0.5)).astype(np.float32)


def _cover(image: np.ndarray, boxes: np.ndarray, random: np.random.Generator) -> None:
    for box in boxes:
        side = math.sqrt(max((box[2] - box[0]) * (box[3] - box[1]), 1))
        for _ in range(random.integers(0, 4)):
            point = box[:2] + (box[2:] - box[:2]) * random.uniform(-0.1, 1.1, 2)
            color = image[tuple(random.integers(0, VIEW, 2))].tolist()
            if random.random() < 0.5:  # a lock or strand
                ends = np.cumsum(np.vstack([point, random.normal(0, 0.25 * side, (3, 2))]), axis=0)
                thick = max(1, int(side * random.uniform(0.01, 0.09)))
                cv2.polylines(image, [ends.astype(np.int32)], False, color, thick, cv2.LINE_AA)
            else:  # a hand, near the rim
                away = (point - (box[:2] + box[2:]) / 2) * random.uniform(1.0, 1.6)
                centre = ((box[:2] + box[2:]) / 2 + away).astype(int).tolist()
                axes = (side * random.uniform(0.06, 0.22, 2)).astype(int).tolist()
                turn = random.uniform(0, 180)
                cv2.ellipse(image, centre, axes, turn, 0, 360, color, -1, cv2.LINE_AA)


def answers(boxes: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """What the network should say: float32 (cells, cells, 10).

    Channel 0 is 1 at the middle of a face and falls off around it; then as `faces.OUTPUTS`; the last
    one tells where the other answers count.
    """
    cells = VIEW // faces.STRIDE
    places = (np.arange(cells) + 0.5) * faces.STRIDE
    cell = np.stack(np.meshgrid(places, places), axis=-1)
    wanted = np.zeros((cells, cells, faces.OUTPUTS + 1), np.float32)
    for box, pair in zip(boxes, eyes, strict=True):
        middle, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        size = math.sqrt(sides.prod())
        off = cell - middle
        heat = np.exp(-(off**2).sum(axis=-1) / (2 * (0.14 * size) ** 2))
        if size > LARGEST:
            continue
        if size < SMALLEST or size > 0.8 * LARGEST:  # neither right nor wrong to see it
            wanted[..., 0] = np.maximum(wanted[..., 0], 0.98 * np.sqrt(heat))
            continue
        nearest = np.unravel_index(np.argmax(heat), heat.shape)
        heat[nearest] = 1.0 if (np.abs(off[nearest]) < faces.STRIDE).all() else 0.0
        mine = heat > np.maximum(wanted[..., 0], 0.3)
        wanted[..., 0] = np.maximum(wanted[..., 0], heat)
        wanted[mine, 1] = math.log(size / faces.TYPICAL)
        wanted[mine, 2:4] = -off[mine] / size
        wanted[mine, 4] = math.log(sides[0] / sides[1])
        wanted[mine, 5:9] = ((pair[None] - cell[mine][:, None]) / size).reshape(-1, 4)
        wanted[mine, 9] = 1
    return wanted


def loss(wanted: Any, answer: Any) -> Any:
    """Penalty-reduced focal loss (Zhou et al. 2019, eq. 1) and L1 of size, box and eyes; a scalar."""
    from keras import ops

    answer = ops.cast(answer, "float32")
    heat, logit, counts = wanted[..., 0], answer[..., 0], wanted[..., -1]
    p = ops.sigmoid(logit)
    hit = ops.cast(heat >= 1, "float32")
    near = hit * (1 - p) ** 2 * ops.softplus(-logit)
    far = (1 - hit) * (1 - heat) ** 4 * p**2 * ops.softplus(logit)
    classify = ops.sum(near + far) / ops.maximum(ops.sum(hit), 1.0)
    off = ops.abs(answer[..., 1:] - wanted[..., 1:-1])
    weights = ops.convert_to_tensor([0.5, 1.0, 1.0, 0.5, 2.0, 2.0, 2.0, 2.0])
    place = ops.sum(off * weights * counts[..., None]) / ops.maximum(ops.sum(counts), 1.0)
    return classify + place


class _Looks:
    """Batches of views; which, is told by their number."""

    def __init__(self, pool: list, batch: int, seed: int) -> None:
        self.pool, self.batch, self.seed = pool, batch, seed

    def __call__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng((self.seed, number))
        images = np.empty((self.batch, VIEW, VIEW, 3), np.uint8)
        wanted = []
        for row in range(self.batch):
            images[row], boxes, eyes = view(self.pool[random.integers(len(self.pool))], random)
            wanted.append(answers(boxes, eyes))
        return images, np.stack(wanted)


def main(
    out: Annotated[Path, typer.Option(help="Folder for the weights and their card.")],
    count: Annotated[int, typer.Option(help="Pictures to draw.")] = 8000,
    minutes: Annotated[float, typer.Option(help="Of training, without drawing.")] = 45,
    batch: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
    begin: Annotated[Path | None, typer.Option(help="Go on from these weights.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Keep the drawings in this file.")] = None,
) -> None:
    """Draw scenes, train the face finder on them, and write its weights and its card."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    began = time.monotonic()
    drawn = _pool(count, cache)
    print(f"{len(drawn)} drawings, {time.monotonic() - began:.0f} s", flush=True)
    held = [_Looks(drawn[:500], batch, seed=99)(n) for n in range(8)]
    looks = _Looks(drawn[500:], batch, seed)

    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = faces.build_network()
    if begin:
        model.load_weights(begin)
    schedule = _Budget(learning_rate, 60 * minutes)
    model.compile(keras.optimizers.AdamW(learning_rate, weight_decay=1e-3, clipnorm=5.0), loss)

    def draw(number: Any) -> Any:
        images, wanted = tf.numpy_function(looks, [number], (tf.uint8, tf.float32))
        cells = VIEW // faces.STRIDE
        images = tf.cast(tf.ensure_shape(images, (batch, VIEW, VIEW, 3)), tf.float32) / 127.5 - 1
        return images, tf.ensure_shape(wanted, (batch, cells, cells, faces.OUTPUTS + 1))

    stream = tf.data.Dataset.range(10**9).map(draw, num_parallel_calls=2).prefetch(4)
    check = (
        np.concatenate([x for x, _ in held]).astype("float32") / 127.5 - 1,
        np.concatenate([y for _, y in held]),
    )
    log = []
    rounds = iter(stream)
    steps, drawing, began = 0, time.monotonic() - began, time.monotonic()
    while (spent := time.monotonic() - began) < 60 * minutes:
        model.optimizer.learning_rate = schedule(spent)
        values = [float(model.train_on_batch(*next(rounds))) for _ in range(50)]
        steps += 50
        if steps % 500 == 0:
            held_loss = float(model.evaluate(*check, batch_size=batch, verbose=0))
            log.append({"step": steps, "minutes": round(spent / 60, 2), "held_out": held_loss})
            print(
                f"{steps} {spent / 60:.1f} min: {np.mean(values):.3f} {held_loss:.3f}", flush=True
            )
            _save(model, out)
    _save(model, out)
    card = {
        "trained_on": f"{len(drawn) - 500} drawings of this kit: see draw_scene",
        "begun_from": weights.checksum(begin) if begin else None,
        "steps": steps,
        "batch": batch,
        "minutes": minutes,
        "minutes_to_draw": round(drawing / 60, 1),
        "seed": seed,
        "learning_rate": learning_rate,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "python": sys.version.split()[0],
        "parameters": model.count_params(),
        "sha256": weights.checksum(out / "face_finder.weights.h5"),
        "log": log,
    }
    (out / "face_finder.json").write_text(json.dumps(card, indent=1), encoding="utf-8")


def _save(model: Any, out: Path) -> None:
    """The weights alone: a compiled model would save its optimizer's with them, thrice the size."""
    plain = faces.build_network()
    plain.set_weights(model.get_weights())
    plain.save_weights(out / "face_finder.weights.h5")


class _Budget:
    """Learning rate over a time budget: up in the first 3%, then down as half a cosine."""

    def __init__(self, peak: float, seconds: float) -> None:
        self.peak, self.seconds = peak, seconds

    def __call__(self, spent: float) -> float:
        part = min(spent / self.seconds, 1)
        return self.peak * min(part / 0.03 + 0.02, 0.5 + 0.5 * math.cos(math.pi * part), 1)


def _pool(count: int, cache: Path | None) -> list:
    if cache and cache.exists():
        held = np.load(cache)
        ends = np.cumsum(held["counts"])[:-1]
        return list(
            zip(
                held["images"],
                np.split(held["boxes"], ends),
                np.split(held["eyes"], ends),
                strict=True,
            )
        )
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        drawn = pool.map(draw_scene, range(count), chunksize=50)
    if cache:
        images, boxes, eyes = zip(*drawn, strict=True)
        counts = [len(b) for b in boxes]
        np.savez(
            cache,
            images=np.stack(images),
            boxes=np.concatenate(boxes),
            eyes=np.concatenate(eyes),
            counts=counts,
        )
    return drawn


if __name__ == "__main__":
    typer.run(main)
