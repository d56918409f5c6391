"""Do drawn faces pass for anime? A classifier that saw only drawings names real pictures' colours.

    python benchmarks/drawn_to_real.py --minutes 20 FOLDER

Two small networks learn the 12 hair and 11 eye colour words from drawn faces alone: one sees the
aligned face, one its two eyes. Then they are tried on FOLDER, whose faces the kit's own detector,
which knows nothing but drawings either, finds and aligns. FOLDER holds `images/ID.jpg` and
`labels.csv` with the columns id, hair_color, eye_color, such as the tagged anime faces of the NTU
course. Nothing of it is trained on, and the networks are not kept. What the words mean was looked up
on pictures of even id (see `HAIR`), so the odd ones count.

Other hands draw otherwise, so the drawings are varied beyond the dataset's own ranges: proportions,
colours within what people call by a word, light, tint, paint, sharpness, crop.
"""

import argparse
import csv
import math
import time
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf

from anime_keras import plots
from anime_keras.data import anime, faces, reading, rendering
from anime_keras.data.people import FACTORS, People, sample
from anime_keras.weights import face_finder

SIDE, CROP, FACE, EYE = 112, 96, 48, 28  # pixels: drawing, aligned, as seen, an eye
HAIR_WORDS, EYE_WORDS = FACTORS["hair_color"], FACTORS["eye_color"]

# What people call by a word: hue in degrees, saturation, value, each a mean and a spread. Chosen so
# that the crown of drawn hair, and the iris, have about the colours that they have under these words
# on the pictures of even id.
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
    """The same people with colours from all over their words."""
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
    return people


def draw(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures, eyes (count, 2, 2) and words (count, 2) of drawn faces."""
    random = np.random.default_rng(seed)
    people = recolor(sample(count, seed), random)
    images, landmarks = rendering.draw_people(people, SIDE, "anime")
    words = np.stack([people.factors["hair_color"], people.factors["eye_color"]], axis=1)
    return images, landmarks[:, [0, 5]], words


def view(
    image: np.ndarray, eyes: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """What the networks see of a drawn face: as `crops`, from eyes a little off, in another light."""
    apart = np.hypot(*(eyes[1] - eyes[0]))
    eyes = eyes + random.normal(0, 0.06 * apart, (2, 2))
    face = faces.Face((0, 0, 1, 1), 1.0, eyes)
    crop = faces.align(image, face, CROP, math.exp(random.normal(0, 0.08)))
    if random.random() < 0.5:
        crop = crop[:, ::-1]
    return crops(relight(crop, random))


def crops(crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face, small (FACE, FACE, 3), and its eyes (2, EYE, EYE, 3), of an aligned one."""
    face = cv2.resize(crop, (FACE, FACE), interpolation=cv2.INTER_AREA)
    corners = (np.array(faces.EYES) * CROP - EYE / 2).round().astype(int)
    return face, np.stack([crop[y : y + EYE, x : x + EYE] for x, y in corners])


def relight(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Other light, tint, contrast, paint and sharpness, mild enough for the words to stay true."""

    def chance(part: float) -> bool:
        return random.random() < part

    x = image.astype(np.float32) / 255
    if chance(0.5):
        small = random.normal(0, 0.16, (4, 4)).astype(np.float32)
        x *= 1 + cv2.resize(small, (CROP, CROP), interpolation=cv2.INTER_CUBIC)[..., None]
    if chance(0.4):  # locks are painted in stripes of light and dark
        noise = random.normal(0, 0.10, (32, 10)).astype(np.float32)
        noise = noise if chance(0.5) else noise.T
        x *= 1 + cv2.resize(noise, (CROP, CROP), interpolation=cv2.INTER_CUBIC)[..., None]
    if chance(0.6):
        x *= np.exp(random.normal(0, 0.05, 3)).astype(np.float32)
    if chance(0.7):
        x *= random.uniform(0.95, 1.45)
    if chance(0.5):
        x = np.clip(x, 1e-4, 1) ** math.exp(random.normal(0, 0.18))
    if chance(0.5):
        x = random.uniform(0, 0.18) + x * random.uniform(0.78, 1.0)
    if chance(0.5):
        grey = x.mean(axis=-1, keepdims=True)
        x = grey + (x - grey) * random.uniform(0.7, 1.2)
    if chance(0.4):
        x = cv2.GaussianBlur(x, (0, 0), random.uniform(0.3, 1.0))
    if chance(0.3):
        x += random.normal(0, random.uniform(0, 0.05), x.shape).astype(np.float32)
    if chance(0.35):
        place = random.uniform(0, CROP, 2).astype(int).tolist()
        axes = random.uniform(4, 20, 2).astype(int).tolist()
        color = tuple(float(v) for v in random.uniform(0, 1, 3))
        x = np.ascontiguousarray(x)
        cv2.ellipse(x, place, axes, random.uniform(0, 180), 0, 360, color, -1, cv2.LINE_AA)
    return np.clip(x, 0, 1) * 2 - 1


def build(width: int = 24) -> keras.Model:
    """Two small residual networks: the face tells the hair, the mean over both eyes their colour."""
    layers = keras.layers

    def conv(x, filters, stride=1):
        x = layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x)
        return layers.ReLU()(layers.BatchNormalization(momentum=0.95)(x))

    def body(side, depth):
        inputs = x = keras.Input((side, side, 3))
        for stage in range(depth):
            x = conv(x, width * 2**stage, 2)
            x = layers.Add()([x, conv(conv(x, x.shape[-1]), x.shape[-1])])
        x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
        return keras.Model(inputs, x)

    face, eyes = keras.Input((FACE, FACE, 3)), keras.Input((2, EYE, EYE, 3))
    hair = layers.Dense(len(HAIR_WORDS), dtype="float32")(body(FACE, 4)(face))
    look, tell = body(EYE, 3), layers.Dense(len(EYE_WORDS), dtype="float32")
    colors = layers.Average()([tell(look(eyes[:, side])) for side in (0, 1)])
    return keras.Model([face, eyes], [hair, colors])


def train(model: keras.Model, minutes: float, count: int, seed: int, batch: int = 128) -> int:
    """Train on drawn faces for a time; returns the steps taken."""
    images, eyes, words = draw(count, seed)
    print(f"{count} faces drawn", flush=True)

    def make(number):
        random = np.random.default_rng((seed, int(number)))
        rows = random.integers(0, count, batch)
        seen = [view(images[i], eyes[i], random) for i in rows]
        face, pairs = (np.stack(part).astype(np.float32) for part in zip(*seen, strict=True))
        return face, pairs, words[rows]

    kinds = (tf.float32, tf.float32, tf.int64)
    stream = iter(
        tf.data.Dataset.range(10**9)
        .map(lambda n: tf.numpy_function(make, [n], kinds), num_parallel_calls=2)
        .prefetch(3)
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(2e-3, weight_decay=1e-3, clipnorm=5.0)
    model.compile(optimizer, [loss, loss])
    began, steps = time.time(), 0
    while (part := (time.time() - began) / (60 * minutes)) < 1:
        optimizer.learning_rate = 2e-3 * min(part / 0.03 + 0.02, (1 + math.cos(math.pi * part)) / 2)
        face, pairs, y = next(stream)
        losses = model.train_on_batch([face, pairs], [y[:, 0], y[:, 1]])
        steps += 1
        if steps % 200 == 0:
            print(f"step {steps}, {60 * minutes * part:.0f} s: {np.round(losses, 3)}", flush=True)
    return steps


def real(folder: Path) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Ids, what the networks see, and words (count, 2) of a tagged folder."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    detector, seen, missed = faces.default_detector(), [], 0
    for at in range(0, len(rows), 256):
        images = [
            reading.read(folder / "images" / f"{row['id']}.jpg") for row in rows[at : at + 256]
        ]
        for image, found in zip(images, detector.find_all(images), strict=True):
            if found:
                crop = faces.align(image, found[0], CROP)
            else:
                missed += 1
                crop = cv2.resize(image, (CROP, CROP))
            seen.append(crops(crop.astype(np.float32) / 127.5 - 1))
    print(f"{missed} of {len(rows)} faces were not found, and taken as they are")
    words = [(HAIR_WORDS.index(r["hair_color"]), EYE_WORDS.index(r["eye_color"])) for r in rows]
    x = [np.stack(part).astype("float32") for part in zip(*seen, strict=True)]
    return np.array([int(r["id"]) for r in rows]), x, np.array(words)


def by_crown(faces_seen: np.ndarray) -> np.ndarray:
    """Median colour of the crown of aligned faces (count, 48, 48, 3), in CIE Lab, (count, 3)."""
    crown = (faces_seen[:, 3:9, 15:33].reshape(len(faces_seen), -1, 1, 3) + 1) / 2
    lab = [cv2.cvtColor(np.clip(part, 0, 1), cv2.COLOR_RGB2LAB) for part in crown]
    return np.median(np.stack(lab)[:, :, 0], axis=1)


def vote(known: np.ndarray, words: np.ndarray, asked: np.ndarray, k: int = 25) -> np.ndarray:
    """The commonest word among the k nearest (asked,)."""
    scale = known.std(axis=0)
    said = []
    for color in asked / scale:
        near = np.argpartition(((known / scale - color) ** 2).sum(axis=1), k)[:k]
        said.append(np.bincount(words[near]).argmax())
    return np.array(said)


def table(truth: np.ndarray, said: np.ndarray, words: tuple[str, ...]) -> str:
    """Rows: what a picture is tagged; columns: what the network said, in percent of the row."""
    counts = np.zeros((len(words), len(words)), int)
    np.add.at(counts, (truth, said), 1)
    lines = ["| tagged | n | right | " + " | ".join(words) + " |", "|" + "---|" * (len(words) + 3)]
    for index, word in enumerate(words):
        total = max(counts[index].sum(), 1)
        part = [f"{100 * value / total:.0f}" for value in counts[index]]
        right = 100 * counts[index, index] / total
        lines.append(f"| {word} | {counts[index].sum()} | {right:.0f}% | {' | '.join(part)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="write what the network trains on as a picture")
    parser.add_argument("--save", type=Path, help="keep the network's answers (npz)")
    options = parser.parse_args()
    if options.sheet:
        random = np.random.default_rng(1)
        images, eyes, _ = draw(64, options.seed)
        seen = [view(image, pair, random)[0] for image, pair in zip(images, eyes, strict=True)]
        plots.save(options.sheet, plots.grid(((np.stack(seen) + 1) * 127.5).astype(np.uint8), 16))
    keras.utils.set_random_seed(options.seed)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    model = build()
    steps = train(model, options.minutes, options.count, options.seed)
    ids, (face, pairs), words = real(options.folder)
    turned = [face[:, :, ::-1], pairs[:, ::-1, :, ::-1]]
    both = [
        np.stack(pair).mean(axis=0)
        for pair in zip(
            model.predict([face, pairs], batch_size=256, verbose=0),
            model.predict(turned, batch_size=256, verbose=0),
            strict=True,
        )
    ]
    if options.save:
        np.savez(options.save, ids=ids, hair=both[0], eyes=both[1], words=words)
    counted = ids % 2 == 1
    crown = by_crown(face)
    said = vote(crown[~counted], words[~counted, 0], crown[counted])
    print(
        "For comparison, hair by a vote of the 25 real pictures of even id whose crowns have the "
        f"nearest colours: {(said == words[counted, 0]).mean():.1%} of the odd ones"
    )
    print(f"\n{steps} steps, {model.count_params():,} parameters, seed {options.seed}")
    for at, (name, vocabulary) in enumerate((("hair", HAIR_WORDS), ("eyes", EYE_WORDS))):
        # Drawn words are equally frequent, those of a collection are not: Bayes' rule allows for it.
        share = np.bincount(words[~counted, at], minlength=len(vocabulary)) / (~counted).sum()
        for prior, logits in (
            ("all words equally likely", both[at]),
            ("words as likely as among the even ids", both[at] + np.log(share)),
        ):
            said = logits.argmax(axis=1)
            right = said == words[:, at]
            each = [right[counted & (words[:, at] == w)].mean() for w in range(len(vocabulary))]
            print(
                f"\n{name}, {prior}: {right[counted].mean():.1%} of {counted.sum()} pictures of odd "
                f"id right ({np.mean(each):.1%} as the mean over the words), "
                f"{right[~counted].mean():.1%} of the even ones\n\n"
                f"{table(words[counted, at], said[counted], vocabulary)}"
            )


if __name__ == "__main__":
    main()
