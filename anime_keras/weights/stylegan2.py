"""The kit's own StyleGAN2, anime faces of 64 px: how it was trained, and how it is loaded.

    python -m anime_keras.weights.stylegan2 --out runs/stylegan2

It trains as `train stylegan2` does, in a run folder that can be stopped and resumed; last the averaged
networks are written in float16, with their card. Nothing but drawings of this kit is looked at.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras import weights
from anime_keras.runs import Run

NAME = "stylegan2"
FILE = f"{NAME}.weights.npz"
SIZE = 64
# Networks that a laptop's core trains at 80 to 100 pictures a second. Without noise: a first training
# with it drew all that is finer than a blur out of noise, for which clean drawings have no use. R1 ten
# times the `auto` one, because D won; half of the pictures mixed, and path lengths looked at half as
# often, to get on with faces. The average looks back twice as far as `auto` does: batches are small.
NETWORK = {
    "latent_dim": 128,
    "mapping_layers": 2,
    "fmaps": 1 / 32,
    "max_channels": 128,
    "noise": False,
    "ema": 10.0,
}
RULES = {"r1": 0.5, "style_mixing": 0.5, "every_g": 8}
BATCH = 16
COUNT = 100_000
SEED = 300
EPOCHS = 10


def load() -> Any:
    """The trained `models.StyleGAN2`, 64 px.

    The live networks begin as the averaged ones; the discriminator comes too, so that it can be tuned
    to other pictures.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.StyleGAN2(image_size=SIZE, **NETWORK)
    weights.restore(FILE, _kept(model))
    model.mapping.set_weights(model.average_mapping.get_weights())
    model.synthesis.set_weights(model.average_synthesis.get_weights())
    return model


def save(model: Any, path: Path) -> None:
    """Write averaged networks, mean style and discriminator of a trained model as float16."""
    weights.save(_kept(model), path)


def _kept(model: Any) -> dict[str, Any]:
    return {
        "mapping": model.average_mapping,
        "synthesis": model.average_synthesis,
        "discriminator": model.discriminator,
        "means": model.means,
    }


def train(
    out: Path,
    epochs: int = EPOCHS,
    minutes: float | None = None,
    begin: str | None = None,
    learning_rate: float | None = None,
) -> Run:
    """Draw and train, or go on training, in a run's folder.

    Args:
        out: folder of the run; an earlier one goes on.
        epochs: of the whole training.
        minutes: stop after so many, over all sessions, even if epochs are left.
        begin: begin with the weights of another run, or with those that ship ("stylegan2").
        learning_rate: of both players, if not that of `compile`; a smaller one, last, for clean lines.
    """
    from anime_keras.data import rendering
    from anime_keras.runs import Settings

    if (out / "settings.json").exists():
        run = Run.open(out, epochs=epochs, minutes=minutes)
    else:
        run = Run.create(
            out,
            Settings(
                model="stylegan2",
                count=COUNT,
                size=SIZE,
                epochs=epochs,
                minutes=minutes,
                begin=begin,
                batch_size=BATCH,
                seed=SEED,
                precision="float32",
                network=NETWORK,
                rules=RULES if learning_rate is None else {**RULES, "learning_rate": learning_rate},
            ),
        )
    images = rendering.render(COUNT, SIZE, "anime", SEED, processes=os.cpu_count() or 1).images
    run.train(images)
    return run


def main(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier one goes on.")],
    epochs: Annotated[int, typer.Option(help="Of training.")] = EPOCHS,
    minutes: Annotated[float | None, typer.Option(help="Of training, at most.")] = None,
    begin: Annotated[
        str | None, typer.Option(help="Weights to begin with: a run, or a name.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="If not the usual one.")] = None,
    into: Annotated[Path, typer.Option(help="Folder for weights and card.")] = weights.FOLDER,
) -> None:
    """Draw, train or go on training, and write the weights and their card."""
    run = train(out, epochs, minutes, begin, learning_rate)
    weights.refuse_unfinished(run)
    save(run.load_model(), into / FILE)
    about = f"drawings of this kit: {COUNT} anime faces of seed {SEED}"
    weights.write_card(NAME, into, run, trained_on=about)


if __name__ == "__main__":
    typer.run(main)
