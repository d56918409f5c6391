"""The kit's own conditional DCGAN, anime faces of 64 px: how it was trained, and how it is loaded.

    python -m anime_keras.weights.conditional_dcgan --out runs/conditional_dcgan

It trains as `train conditional` does, in a run folder that can be stopped and resumed; last the
averaged generator and the discriminator are written in float16, with their card. Nothing but drawings
of this kit is looked at.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras import weights
from anime_keras.runs import Run

NAME = "conditional_dcgan"
FILE = f"{NAME}.weights.npz"
SIZE = 64
ASKED = ("hair_color", "expression", "glasses")
# Both ways of telling the discriminator: of a mouth of five pixels projection alone made 60% as asked
# for. The classifier learns from real pictures only; from generated ones, too, D and G agreed on signs
# of their own (benchmarks/RESULTS.md). More faces than D can learn by heart. Small enough for 300
# pictures a second on one core of a laptop; a discriminator that learns more slowly than the
# generator; rates that fall to 0, so that the last pictures are clean.
NETWORK = {"width": 32, "conditioning": "both", "ema": 0.999}
RULES = {
    "classify_fakes": False,
    "learning_rate": 1e-3,
    "discriminator_learning_rate": 3e-4,
    "decay": "cosine",
}
BATCH = 16
COUNT = 100_000
SEED = 200
EPOCHS = 2


def load() -> Any:
    """The trained `models.ConditionalDCGAN`, 64 px, which can be asked for the words of `ASKED`.

    The live generator begins as the averaged one; the discriminator comes too, so that it can be
    questioned, or train on.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.ConditionalDCGAN(**weights.card(NAME)["network"])
    weights.restore(FILE, _kept(model))
    model.generator.set_weights(model.average.get_weights())
    return model


def save(model: Any, path: Path) -> None:
    """Write the averaged generator, the discriminator and its matrix of words."""
    weights.save(_kept(model), path)


def _kept(model: Any) -> dict[str, Any]:
    kept = {
        "generator": model.average,
        "discriminator": model.discriminator,
        "projection": model.projection,
        "classifier": model.classifier,
    }
    return {name: network for name, network in kept.items() if network is not None}


def train(out: Path, epochs: int = EPOCHS, minutes: float | None = None) -> Run:
    """Draw and train, or go on training, in a run's folder.

    Args:
        out: folder of the run; an earlier one goes on.
        epochs: of the whole training, over which the learning rates fall.
        minutes: stop after so many, over all sessions, even if epochs are left.
    """
    import numpy as np

    from anime_keras.data import rendering
    from anime_keras.runs import Settings

    faces = rendering.render(COUNT, SIZE, "anime", SEED, processes=os.cpu_count() or 1)
    if (out / "settings.json").exists():
        run = Run.open(out, epochs=epochs, minutes=minutes)
    else:
        network = {
            **NETWORK,
            "attributes": {name: faces.names[name] for name in ASKED},
            "shares": {name: np.bincount(faces.factors[name]).tolist() for name in ASKED},
        }
        run = Run.create(
            out,
            Settings(
                model="conditional",
                count=COUNT,
                size=SIZE,
                epochs=epochs,
                minutes=minutes,
                batch_size=BATCH,
                seed=SEED,
                network=network,
                rules=RULES,
            ),
        )
    run.train((faces.images, faces.factors))
    return run


def main(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier one goes on.")],
    epochs: Annotated[int, typer.Option(help="Of training.")] = EPOCHS,
    minutes: Annotated[float | None, typer.Option(help="Of training, at most.")] = None,
    into: Annotated[Path, typer.Option(help="Folder for weights and card.")] = weights.FOLDER,
) -> None:
    """Draw, train or go on training, and write the weights and their card."""
    run = train(out, epochs, minutes)
    weights.refuse_unfinished(run)
    save(run.load_model(), into / FILE)
    about = f"drawings of this kit: {COUNT} anime faces of seed {SEED}"
    weights.write_card(NAME, into, run, trained_on=about)


if __name__ == "__main__":
    typer.run(main)
