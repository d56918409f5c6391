"""Runs of every model on whatever backend Keras has here: trained, broken off, gone on, taken over.

    KERAS_BACKEND=jax python tests/backends/journey.py FOLDER [TAKEN] [--models dcgan cyclegan …]

In FOLDER each model is trained for two epochs at one go, and again with a break after the first. From
TAKEN, such a folder of another backend, runs are loaded, drawn with, and trained for one epoch more.
Prints what was found as JSON.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np

from anime_keras import checkpoints
from anime_keras.runs import Run, Settings

SIZE, COUNT = 32, 16
WORDS = {"hair_color": ["blue", "pink"]}
SMALL = {"width": 4, "latent_dim": 8}
NETWORKS = {
    "dcgan": {**SMALL, "augmentation": ["color"]},
    "conditional": {**SMALL, "attributes": WORDS},
    "cyclegan": {"width": 4, "residual_blocks": 1, "history": 5},
    "animegan": {"width": 4},
    "vae": SMALL,
    "vae-gan": SMALL,
    "stylegan2": {"latent_dim": 8, "fmaps": 1 / 128, "max_channels": 8},
}
RULES = {"animegan": {"first_steps": 1}}
TRANSLATORS = ("cyclegan", "animegan")


def pictures(seed: int) -> np.ndarray:
    """Coloured patches, uint8."""
    patches = np.random.default_rng(seed).integers(0, 256, (COUNT, 4, 4, 3), "uint8")
    return patches.repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2)


def learned_from(model: str):
    """What a run of the model takes."""
    if model in TRANSLATORS:
        return pictures(1), pictures(2)
    if model == "conditional":
        return pictures(1), {"hair_color": np.arange(COUNT) % 2}
    return pictures(1)


def train(folder: Path, model: str, epochs: int) -> None:
    """Two steps an epoch, in a new run or in one that is there."""
    if (folder / "settings.json").exists():
        run = Run.open(folder, epochs=epochs)
    else:
        settings = Settings(
            model=model,
            y="y" if model in TRANSLATORS else None,
            size=SIZE,
            epochs=epochs,
            batch_size=COUNT // 2,
            precision="float32",
            network=NETWORKS[model],
            rules=RULES.get(model, {}),
        )
        run = Run.create(folder, settings)
    run.train(learned_from(model), progress=False)


def drawn(model: keras.Model) -> list:
    """Four pictures of a model, or four translations, as nested lists."""
    if hasattr(model, "translate"):
        return model.translate(pictures(1)[:4]).tolist()
    return model.generate(4, seed=0).tolist()


def weights(folder: Path) -> dict[str, bytes]:
    """All that the newest checkpoint holds, but for the seconds."""
    newest = dict(np.load(checkpoints.available(folder / "checkpoints")[0]))
    newest.pop("position.json")
    return {name: value.tobytes() for name, value in newest.items()}


def main() -> None:
    """Go through all models."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("taken", type=Path, nargs="?")
    parser.add_argument("--models", nargs="+", default=list(NETWORKS))
    options = parser.parse_args()
    found = {}
    for model in options.models:
        whole, broken = (options.folder / f"{model}-{kind}" for kind in ("whole", "broken"))
        train(whole, model, 2)
        train(broken, model, 1)
        train(broken, model, 2)
        ends = weights(whole), weights(broken)
        found[model] = {
            "different": [name for name in ends[0] if ends[0][name] != ends[1].get(name)],
            "drawn": drawn(Run.open(whole).load_model()),
        }
        if options.taken:
            folder = options.taken / f"{model}-whole"
            found[model]["taken"] = drawn(Run.open(folder).load_model())
            found[model]["keras file"] = drawn(keras.models.load_model(folder / "model.keras"))
            train(folder, model, 3)
            found[model]["steps"] = checkpoints.available(folder / "checkpoints")[0].stem
    print(json.dumps(found))


if __name__ == "__main__":
    main()
