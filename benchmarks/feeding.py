"""How many pictures a second the input pipeline gives, beside Keras' and PyTorch's on the same folder.

    python benchmarks/feeding.py [--rounds 3] [--seconds 5]

The folder is `anime_tagged/images` in the folder that ANIME_KERAS_REAL_DATA names, or else 4,096 drawn
faces of 96 px as PNG. Everybody ends with batches of 64 shuffled pictures of 64 px, float32 in [-1, 1].
Each turn is a process of its own, so that no side finds threads or caches of another; the sides take
turns, and the files are in the operating system's cache for all. PyTorch reads with two workers.

Needs the kit, TensorFlow, and PyTorch (requirements.txt here).
"""

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
BATCH, SIZE = 64, 64
TRAINING = {"width 64": 140, "the demo": 365}  # pictures a second that DCGAN takes; RESULTS.md
LIGHT = {"flip": True, "translation": 0.1, "brightness": 0.2}
ALL = {
    **LIGHT,
    **{"rotation": 15.0, "contrast": 0.2, "saturation": 0.4, "hue": 0.05, "cutout": 0.25},
}


def ours(source, **augmentation):
    from anime_keras.data.pipelines import batches

    return iter(batches(source, BATCH, size=SIZE, **augmentation).dataset())


def keras_folder(folder, cache=False, augment=False):
    import keras
    import tensorflow as tf
    from keras import layers

    dataset = keras.utils.image_dataset_from_directory(
        folder, labels=None, batch_size=None, image_size=(SIZE, SIZE), shuffle=False, verbose=0
    )
    dataset = dataset.cache() if cache else dataset
    dataset = dataset.shuffle(1024).repeat().batch(BATCH, drop_remainder=True)
    dataset = dataset.map(lambda images: images / 255.0, num_parallel_calls=tf.data.AUTOTUNE)
    if augment:
        unit = {"value_range": (0, 1)}
        changes = keras.Sequential(
            [
                layers.RandomFlip("horizontal"),
                layers.RandomRotation(ALL["rotation"] / 360),
                layers.RandomTranslation(ALL["translation"], ALL["translation"]),
                layers.RandomBrightness(ALL["brightness"], **unit),
                layers.RandomContrast((ALL["contrast"], ALL["contrast"]), **unit),
                layers.RandomSaturation((0.375, 0.5833), **unit),
                layers.RandomHue((0, 2 * ALL["hue"]), **unit),
                layers.RandomErasing((1, 1), (ALL["cutout"] ** 2,) * 2, fill_value=0.5, **unit),
            ]
        )
        dataset = dataset.map(
            lambda images: changes(images, training=True), num_parallel_calls=tf.data.AUTOTUNE
        )
    return iter(dataset.map(lambda images: images * 2.0 - 1.0).prefetch(tf.data.AUTOTUNE))


def torch_folder(folder, cache=False):
    import torch
    from PIL import Image

    paths = sorted(path for path in Path(folder).iterdir() if path.suffix in (".jpg", ".png"))

    def read(path):
        with Image.open(path) as image:
            small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.asarray(small).transpose(2, 0, 1).copy())

    class Folder(torch.utils.data.Dataset):
        images = [read(path) for path in paths] if cache else None

        def __len__(self):
            return len(paths)

        def __getitem__(self, place):
            image = self.images[place] if cache else read(paths[place])
            return image.float() / 127.5 - 1.0

    loader = torch.utils.data.DataLoader(
        Folder(), BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
    return itertools.chain.from_iterable(itertools.repeat(loader))


SIDES = {
    "ours, plain folder": lambda folder, prepared: ours(folder),
    "ours, prepared": lambda folder, prepared: ours(prepared),
    "ours, prepared, flip + translation + brightness": lambda folder, prepared: ours(
        prepared, **LIGHT
    ),
    "ours, prepared, all eight": lambda folder, prepared: ours(prepared, **ALL),
    "ours, plain folder, all eight": lambda folder, prepared: ours(folder, **ALL),
    "Keras, decoding each epoch": lambda folder, prepared: keras_folder(folder),
    "Keras, cached": lambda folder, prepared: keras_folder(folder, cache=True),
    "Keras, cached, all eight": lambda folder, prepared: keras_folder(
        folder, cache=True, augment=True
    ),
    "PyTorch, two workers, decoding": lambda folder, prepared: torch_folder(folder),
    "PyTorch, two workers, in memory": lambda folder, prepared: torch_folder(folder, cache=True),
}


def cpu_seconds():
    """Of this process and its living children."""
    ticks = 0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def turn(side, folder, prepared, seconds):
    """Pictures a second, and CPU milliseconds a picture, once everything runs."""
    stream = SIDES[side](folder, prepared)
    for _ in range(len(os.listdir(folder)) // BATCH + 20):  # an epoch: whoever caches has cached
        batch = np.asarray(next(stream))
    assert batch.dtype == np.float32 and batch.size == BATCH * SIZE * SIZE * 3
    assert -1.0 <= batch.min() < -0.5 and 0.5 < batch.max() <= 1.0
    pictures, cpu, start = 0, cpu_seconds(), time.perf_counter()
    while time.perf_counter() - start < seconds:
        next(stream)
        pictures += BATCH
    elapsed, cpu = time.perf_counter() - start, cpu_seconds() - cpu
    return {"rate": pictures / elapsed, "cpu": 1000 * cpu / pictures}


def make_prepared(folder, out):
    from anime_keras.data import folders, records

    images = folders.load(folder, SIZE).images
    out.mkdir()
    rows = (records.Record(image, f"{i}", f"{i:064x}", {}) for i, image in enumerate(images))
    records.write(out, {"train": (len(images), rows)}, SIZE, {}, {})


def make_drawn(out):
    from PIL import Image

    from anime_keras import data

    for i, image in enumerate(data.render(4096, 96).images):
        Image.fromarray(image).save(out / f"{i:05d}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--turn", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(turn(*options.turn, options.seconds)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        real = os.environ.get("ANIME_KERAS_REAL_DATA")
        folder = Path(real) / "anime_tagged" / "images" if real else Path(scratch) / "drawn"
        if not real:
            folder.mkdir()
            make_drawn(folder)
        prepared = Path(scratch) / "prepared"
        make_prepared(folder, prepared)
        turns = {side: [] for side in SIDES}
        for _, side in itertools.product(range(options.rounds), SIDES):
            command = [sys.executable, __file__, "--seconds", str(options.seconds), "--turn"]
            done = subprocess.run(
                [*command, side, str(folder), str(prepared)],
                capture_output=True,
                text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            )
            if done.returncode:
                sys.exit(f"{side}:\n{done.stderr}")
            turns[side].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{side}: {turns[side][-1]['rate']:,.0f}/s", file=sys.stderr)
        print(f"{len(os.listdir(folder))} pictures, {os.cpu_count()} cores\n")
    times = " | ".join(f"times {name}" for name in TRAINING)
    print(f"| | pictures/s, median (range) | CPU ms a picture | {times} |")
    print("|---|---|---|" + "---|" * len(TRAINING))
    for side, results in turns.items():
        rates = [result["rate"] for result in results]
        rate = statistics.median(rates)
        cpu = statistics.median(result["cpu"] for result in results)
        ratios = " | ".join(f"{rate / taken:.1f}" for taken in TRAINING.values())
        spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
        print(f"| {side} | {rate:,.0f} ({spread}) | {cpu:.3f} | {ratios} |")


if __name__ == "__main__":
    main()
