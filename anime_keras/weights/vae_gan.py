"""The kit's own VAE-GAN: how it was trained, and how it is loaded.

    python -m anime_keras.weights.vae_gan --out runs/vae_gan

Encoder and decoder begin as those of `weights.vae`, which know faces already; the discriminator has
all to learn. Then all three train as `train vae-gan` does, in a run folder that can be stopped and
resumed. A few hundred steps take the blur away. Nothing but drawings of this kit is looked at.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras import weights
from anime_keras.runs import Run
from anime_keras.weights import vae

NAME = "vae_gan"
FILE = f"{NAME}.weights.npz"
SIZE = vae.SIZE
NETWORK = vae.NETWORK
RULES = {"gamma": 0.1, "learning_rate": 2e-4, "decay": "cosine"}
EPOCHS = 1
BATCH = 16
COUNT = 5_000
SEED = 0


def load() -> Any:
    """The trained `models.VAEGAN` for faces of 64 px; its discriminator is untrained.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.VAEGAN(image_size=SIZE, **NETWORK)
    weights.restore(FILE, vae.parts(model))
    return model


def train(out: Path, minutes: float | None = None) -> Run:
    """Draw and train, or go on training, in a run's folder.

    Args:
        out: folder of the run; an earlier one goes on.
        minutes: stop after so many, over all sessions, even if epochs are left.
    """
    from anime_keras import checkpoints, tasks
    from anime_keras.data import rendering
    from anime_keras.runs import Settings

    if (out / "settings.json").exists():
        run = Run.open(out, minutes=minutes)
    else:
        settings = Settings(
            model="vae-gan",
            count=COUNT,
            size=SIZE,
            epochs=EPOCHS,
            minutes=minutes,
            batch_size=BATCH,
            seed=SEED,
            network=NETWORK,
            rules=RULES,
        )
        run = Run.create(out, settings)
    images = rendering.render(COUNT, SIZE, seed=SEED).images
    if not checkpoints.available(out / "checkpoints"):
        model = run.build_model(len(images) // BATCH)  # also sets the precision and the seed
        weights.restore(vae.FILE, vae.parts(model))
        pictures = tasks.Coding(run.settings, images).checksum()
        checkpoints.save(model, out / "checkpoints", 0, seconds=0.0, pictures=pictures)
    run.train(images)
    return run


def main(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier one goes on.")],
    minutes: Annotated[float | None, typer.Option(help="Of training, at most.")] = None,
    into: Annotated[Path, typer.Option(help="Folder for weights and card.")] = weights.FOLDER,
) -> None:
    """Draw, train or go on training, and write the weights and their card."""
    run = train(out, minutes)
    weights.refuse_unfinished(run)
    weights.save(vae.parts(run.load_model()), into / FILE)
    weights.write_card(
        NAME,
        into,
        run,
        trained_on=f"drawings of this kit: {COUNT} anime faces of seed {SEED}",
        began_as=weights.card(vae.NAME)["sha256"],
    )


if __name__ == "__main__":
    typer.run(main)
