"""Do drawn faces pass for anime? The network that saw only drawings names real pictures' colours.

    python benchmarks/drawn_to_real.py FOLDER

The kit's measuring network (`anime_keras/weights/anime_features.py`) learned the 12 hair and 11 eye
colour words from drawn faces alone. Here it is tried on FOLDER, whose faces the kit's own finder,
which knows nothing but drawings either, finds and aligns. FOLDER holds `images/ID.jpg` and
`labels.csv` with the columns id, hair_color, eye_color, such as the tagged anime faces of the NTU
course. No network was trained on it; how wide a word is was looked up on pictures of even id (see
`HAIR` there), so the odd ones count.

For comparison, what real labels would give: three readers taught by the pictures of even id.
"""

import argparse
import csv
from pathlib import Path

import cv2
import keras
import numpy as np
from scipy import stats

from anime_keras.data import faces, reading
from anime_keras.data.people import FACTORS
from anime_keras.metrics import anime_network

HAIR, EYES = FACTORS["hair_color"], FACTORS["eye_color"]
MARGINS = (0.85, 1.0, 1.2)  # each face is looked at three times, and mirrored


def real(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids, aligned faces uint8 (n, margins, 64, 64, 3), and words (n, 2) of a tagged folder."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    detector, seen, missed = faces.default_detector(), [], 0
    side = anime_network.SIDE
    for at in range(0, len(rows), 256):
        images = [
            reading.read(folder / "images" / f"{row['id']}.jpg") for row in rows[at : at + 256]
        ]
        for image, found in zip(images, detector.find_all(images), strict=True):
            if found:
                seen.append([faces.align(image, found[0], side, margin) for margin in MARGINS])
            else:
                missed += 1
                whole = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
                seen.append([whole] * len(MARGINS))
    print(f"{missed} of {len(rows)} faces were not found, and taken as they are")
    words = [(HAIR.index(r["hair_color"]), EYES.index(r["eye_color"])) for r in rows]
    return np.array([int(r["id"]) for r in rows]), np.array(seen), np.array(words)


def look(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and answers of the network, means over all looks."""
    network = anime_network.load()
    looks = [x for m in range(len(MARGINS)) for x in (seen[:, m], seen[:, m, :, ::-1])]
    said = [
        network.predict(x.astype(np.float32) / 127.5 - 1, batch_size=250, verbose=0) for x in looks
    ]
    features, answers = zip(*said, strict=True)
    return np.mean(features, axis=0), np.mean(answers, axis=0)


def by_crown(seen: np.ndarray) -> np.ndarray:
    """Median colour of the crown of aligned faces (n, 64, 64, 3), in CIE Lab, (n, 3)."""
    crown = seen[:, 4:12, 20:44].reshape(len(seen), -1, 1, 3).astype(np.float32) / 255
    lab = np.stack([cv2.cvtColor(part, cv2.COLOR_RGB2LAB) for part in crown])
    return np.median(lab[:, :, 0], axis=1)


def vote(known: np.ndarray, words: np.ndarray, asked: np.ndarray, k: int = 25) -> np.ndarray:
    """The commonest word among the k nearest (asked,)."""
    scale = known.std(axis=0)
    said = []
    for color in asked / scale:
        near = np.argpartition(((known / scale - color) ** 2).sum(axis=1), k)[:k]
        said.append(np.bincount(words[near]).argmax())
    return np.array(said)


def probe(known: np.ndarray, words: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """What a linear layer says that real labels taught to read the same features."""
    mean, scale = known.mean(axis=0), known.std(axis=0) + 1e-6
    layer = keras.Sequential(
        [
            keras.layers.Dropout(0.3),
            keras.layers.Dense(
                int(words.max()) + 1, kernel_regularizer=keras.regularizers.L2(1e-3)
            ),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    layer.compile(keras.optimizers.Adam(3e-3), loss)
    layer.fit((known - mean) / scale, words, batch_size=128, epochs=60, verbose=0)
    return layer.predict((asked - mean) / scale, verbose=0).argmax(axis=1)


def taught(seen: np.ndarray, words: np.ndarray, asked: np.ndarray, epochs: int) -> np.ndarray:
    """What the same network says after learning from real pictures alone. It is not kept."""
    keras.utils.set_random_seed(0)
    body = anime_network.build_network()
    heads = [keras.layers.Dense(len(w))(body.outputs[0]) for w in (HAIR, EYES)]
    model = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal", seed=1),
            keras.layers.RandomTranslation(0.06, 0.06, seed=2),
            keras.layers.RandomBrightness(0.1, (-1, 1), seed=3),
            keras.Model(body.inputs, heads),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    x = seen[:, 1].astype(np.float32) / 127.5 - 1
    steps = epochs * -(-len(x) // 128)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-2, clipnorm=5.0), [loss, loss])
    model.fit(x, [words[:, 0], words[:, 1]], batch_size=128, epochs=epochs, verbose=0)
    said = model.predict(asked[:, 1].astype(np.float32) / 127.5 - 1, batch_size=250, verbose=0)
    return np.stack([part.argmax(axis=1) for part in said], axis=1)


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


def share(right: np.ndarray) -> str:
    """A share of right answers with its 95% interval."""
    interval = stats.binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
    return f"{right.mean():.1%} ({interval.low:.1%} to {interval.high:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=40, help="of the network taught by real ones")
    options = parser.parse_args()
    ids, seen, words = real(options.folder)
    features, answers = look(seen)
    logits = anime_network.read(answers)
    odd = ids % 2 == 1
    print(f"{odd.sum()} pictures of odd id; taught by drawings alone:")
    for at, (name, vocabulary) in enumerate((("hair", HAIR), ("eye", EYES))):
        # Drawn words are equally frequent, those of a collection are not: Bayes' rule allows for it.
        often = np.bincount(words[~odd, at], minlength=len(vocabulary)) / (~odd).sum()
        for prior, scores in (
            ("all words equally likely", logits[f"{name}_color"]),
            (
                "words as likely as among the even ids",
                logits[f"{name}_color"] + np.log(np.maximum(often, 1e-4)),
            ),
        ):
            said = scores.argmax(axis=1)
            right = said == words[:, at]
            each = [right[odd & (words[:, at] == w)].mean() for w in range(len(vocabulary))]
            print(
                f"\n{name}, {prior}: {share(right[odd])}, as the mean over the words "
                f"{np.mean(each):.1%}\n\n{table(words[odd, at], said[odd], vocabulary)}"
            )
    print(f"\nTaught by the {(~odd).sum()} real pictures of even id, for comparison:")
    crown = by_crown(seen[:, 1])
    said = vote(crown[~odd], words[~odd, 0], crown[odd])
    print(f"hair by a vote of the 25 nearest crown colours: {share(said == words[odd, 0])}")
    for at, name in enumerate(("hair", "eyes")):
        said = probe(features[~odd], words[~odd, at], features[odd])
        print(f"{name} by a linear layer on the same features: {share(said == words[odd, at])}")
    said = taught(seen[~odd], words[~odd], seen[odd], options.epochs)
    for at, name in enumerate(("hair", "eyes")):
        print(f"{name} by the same network from scratch: {share(said[:, at] == words[odd, at])}")


if __name__ == "__main__":
    main()
