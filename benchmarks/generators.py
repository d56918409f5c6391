"""All generators beside each other: the same drawn faces, as many pictures seen, three seeds.

    python benchmarks/generators.py --pictures 200000 --seeds 0 1 2 --record generators.jsonl

Each model is trained as `train MODEL` would, from scratch at 64 px, until it has seen so many
pictures, and 2,000 pictures of it are held against 2,000 faces that none has seen. What is in the
record already is not trained again, and a run that was cut off goes on, so the script can be stopped
and started. One process a training. Prints one table, mean and range over the seeds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
FACES = 20_000  # drawn, of seed 0: what everybody learns from
HELD_OUT = 4_000_000  # seed of the faces that pictures are held against
COUNT = 2000  # pictures a side
DCGAN = {"network": {"width": 32, "ema": 0.998}, "batch_size": 16}
RATES = {"learning_rate": 1e-3, "discriminator_learning_rate": 3e-4, "beta_2": 0.99}
MODELS: dict[str, dict[str, Any]] = {
    **{
        f"dcgan, {loss.replace('_', ' ')}": {
            "model": "dcgan",
            **DCGAN,
            "rules": {**RATES, "loss": loss},
        }
        for loss in ("non_saturating", "minimax", "least_squares", "hinge", "relativistic")
    },
    "dcgan, wasserstein": {
        "model": "dcgan",
        "network": {**DCGAN["network"], "normalization": "layer"},
        "batch_size": 16,
        "rules": {"learning_rate": 2e-4, "beta_1": 0.0, "beta_2": 0.9, "loss": "wasserstein"},
    },
    "conditional": {
        "model": "conditional",
        "network": {**DCGAN["network"], "attributes": ["hair_color", "expression"]},
        "batch_size": 16,
        "rules": RATES,
    },
    "vae": {"model": "vae", "batch_size": 64},
    "vae, perceptual": {
        "model": "vae",
        "network": {"likelihood": "perceptual"},
        "batch_size": 64,
        "rules": {"beta": 5.0},
    },
    "vae-gan": {"model": "vae-gan", "batch_size": 64},
    "stylegan2": {
        "model": "stylegan2",
        "network": {
            "latent_dim": 128,
            "fmaps": 1 / 32,
            "max_channels": 128,
            "noise": False,
        },
        "batch_size": 16,
        "precision": "float32",
        "rules": {"r1": 0.5, "style_mixing": 0.5, "every_g": 8},
    },
}
COLUMNS = {
    "FID": "fid",
    "KID": "kid",
    "precision": "precision",
    "recall": "recall",
    "hair x eyes": "coverage",
    "parameters": "parameters",
    "pictures/s, training": "training",
    "drawing": "drawing",
}


def train(name: str, seed: int, pictures: int, folder: Path) -> dict[str, float]:
    """Train one, in a run's folder, and measure it."""
    import keras

    from anime_keras import data, metrics
    from anime_keras.callbacks import read_history
    from anime_keras.metrics import attributes, references
    from anime_keras.runs import Run, Settings

    faces = data.render(FACES, size=64, seed=0)
    chosen = json.loads(json.dumps(MODELS[name]))
    images: Any = faces.images
    if names := chosen.get("network", {}).get("attributes"):
        chosen["network"]["attributes"] = {k: list(faces.names[k]) for k in names}
        images = faces.images, {k: faces.factors[k] for k in names}
    batch = chosen["batch_size"]
    epochs = max(1, round(pictures / (FACES // batch * batch)))
    if pictures < FACES:  # to try the script itself
        images = (
            (images[0][:pictures], {k: v[:pictures] for k, v in images[1].items()})
            if isinstance(images, tuple)
            else images[:pictures]
        )
    settings = Settings(size=64, epochs=epochs, seed=seed, **chosen)
    run = Run.open(folder) if (folder / "settings.json").exists() else Run.create(folder, settings)
    run.train(images, progress=False)
    model = run.load_model()
    model.generate(64)  # what is compiled once is not counted
    start = time.perf_counter()
    fakes = model.generate(COUNT, seed=1)
    drawing = COUNT / (time.perf_counter() - start)
    held_out = data.render(COUNT, size=64, seed=HELD_OUT).images
    real, fake = (references.collect(images) for images in (held_out, fakes))
    precision, recall = metrics.precision_recall(real.sample, fake.sample)
    seen = attributes.read(fakes).combinations()
    history = read_history(folder / "history.csv")
    steps, seconds = history["step"][-1], history["seconds"][-1]
    return {
        "fid": metrics.frechet_distance(real.sample, fake.sample),
        "kid": metrics.kernel_distance(real.sample, fake.sample),
        "precision": precision,
        "recall": recall,
        "coverage": float(np.mean(seen > 0)),
        "parameters": sum(
            getattr(model, part).count_params()
            for part in ("generator", "mapping", "synthesis", "decoder")
            if hasattr(model, part)
        ),
        "training": steps * batch / seconds,
        "drawing": drawing,
        "steps": steps,
        "keras": keras.__version__,
    }


def table(found: list[dict[str, Any]]) -> str:
    """The record as one table: means over seeds, with the range where there are several."""
    lines = ["| | seeds | " + " | ".join(COLUMNS) + " |", "|---|---|" + "---|" * len(COLUMNS)]
    for name in MODELS:
        rows = [row for row in found if row["name"] == name]
        if not rows:
            continue
        cells = [name, str(len(rows))]
        for key in COLUMNS.values():
            values = np.array([row[key] for row in rows], float)
            digits = 0 if values.mean() >= 100 else 1 if values.mean() >= 10 else 2
            text = f"{values.mean():,.{digits}f}"
            if len(rows) > 1 and key != "parameters":
                text += f" ({values.min():.{digits}f} to {values.max():.{digits}f})"
            cells.append(text)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what the record lacks, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--record", type=Path, default=Path("generators.jsonl"))
    parser.add_argument("--runs", type=Path, default=Path(tempfile.gettempdir()) / "generators")
    parser.add_argument("--one", nargs=2, metavar=("MODEL", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, seed = options.one[0], int(options.one[1])
        folder = (
            options.runs / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}-{options.pictures}"
        )
        row = train(name, seed, options.pictures, folder)
        row |= {"name": name, "seed": seed, "pictures": options.pictures}
        with options.record.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return

    def known() -> list[dict[str, Any]]:
        if not options.record.exists():
            return []
        rows = [json.loads(line) for line in options.record.read_text().splitlines()]
        return [row for row in rows if row["pictures"] == options.pictures]

    for seed in options.seeds:
        for name in options.models:
            if any((row["name"], row["seed"]) == (name, seed) for row in known()):
                continue
            print(f"{name}, seed {seed} …", flush=True)
            arguments = [
                *("--one", name, str(seed), "--pictures", str(options.pictures)),
                *("--record", str(options.record), "--runs", str(options.runs)),
            ]
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
            subprocess.run([sys.executable, __file__, *arguments], check=True, env=environment)
    print(f"\n{options.pictures:,} pictures seen, {COUNT:,} measured a side, `anime` features\n")
    print(table(known()))


if __name__ == "__main__":
    main()
