"""The kit's own AnimeGAN, portraits to anime faces of 64 px: how it was trained, and how it is loaded.

    python -m anime_keras.weights.animegan --out runs/animegan

It trains as `train animegan` does, in a run folder that can be stopped and resumed, on drawn portraits
and drawn anime faces of other people: no pair is among them. Last the averaged generator is written in
float16, with its card. Nothing but drawings of this kit is looked at.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras import weights
from anime_keras.runs import Run

NAME = "animegan"
FILE = f"{NAME}.weights.npz"
SIZE = 64
NETWORK = {
    "width": 16,
    "halvings": 1,
    "features": "kit",
    "ema": 0.995,
}  # half the reference's width
BATCH = 8
# Other than the reference's: pixels in the first phase, and in the game all that keeps the portrait
# far heavier beside the players' own losses: a hundredth of the reference's steps would else let the
# game run away with the colours. Content and style are as the kit's own network sees them, whose
# numbers are smaller than VGG19's.
RULES = {
    "content": 20.0,
    "style": 20.0,
    "color": 150.0,
    "total_variation": 5.0,
    "adversarial": 10.0,
    "first_steps": 2500,
    "first_learning_rate": 5e-4,
    "first_pixels": 200.0,
    "learning_rate": 2e-4,
    "discriminator_learning_rate": 1e-4,
    "decay": "cosine",
}
COUNT = 10_000  # portraits, and as many anime faces of other people
SEED = 500
EPOCHS = 10


def load() -> Any:
    """The trained `models.AnimeGAN`, whose generator draws portraits of any size, best of 64 px.

    Its discriminator is untrained: `translate` is what it is for.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.AnimeGAN(image_size=SIZE, **{**NETWORK, "ema": 0.0})
    weights.restore(FILE, {"generator": model.generator})
    return model


def save(model: Any, path: Path) -> None:
    """Write the averaged generator of a trained model as arrays of float16."""
    weights.save({"generator": model.average or model.generator}, path)


def train(out: Path, epochs: int = EPOCHS, minutes: float | None = None) -> Run:
    """Draw and train, or go on training, in a run's folder.

    Args:
        out: folder of the run; an earlier one goes on.
        epochs: of the whole training.
        minutes: stop after so many, over all sessions, even if epochs are left.

    Returns:
        The run.
    """
    from anime_keras.data import rendering
    from anime_keras.runs import Settings

    if (out / "settings.json").exists():
        run = Run.open(out, epochs=epochs, minutes=minutes)
    else:
        run = Run.create(
            out,
            Settings(
                model="animegan",
                data="portraits",
                y="anime",
                count=COUNT,
                size=SIZE,
                epochs=epochs,
                minutes=minutes,
                batch_size=BATCH,
                seed=SEED,
                network=NETWORK,
                rules=RULES,
            ),
        )
    x, y = (
        rendering.render(COUNT, SIZE, style, seed, processes=os.cpu_count() or 1).images
        for style, seed in (("portrait", SEED), ("anime", SEED + 1))
    )
    run.train((x, y))
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
    weights.write_card(
        NAME,
        into,
        run,
        trained_on=f"drawings of this kit: {COUNT} portraits of seed {SEED}, {COUNT} anime faces of "
        f"seed {SEED + 1}",
        measured={},  # by `evaluate --metrics translation`, written in afterwards
    )


if __name__ == "__main__":
    typer.run(main)
