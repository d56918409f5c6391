"""The kit's own VAE: how it was trained, and how it is loaded.

    python -m anime_keras.weights.vae --out runs/vae

Trained as `train vae` does, with the likelihood that also compares what a frozen network sees, in a
run folder that can be stopped and resumed. Nothing but drawings of this kit is looked at.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras import weights
from anime_keras.runs import Run

NAME = "vae"
FILE = f"{NAME}.weights.npz"
SIZE = 64
NETWORK = {"latent_dim": 48, "width": 24, "likelihood": "perceptual"}
BATCH = 64
# A picture is counted five times, once in pixels and at four depths of the network, so the code is too.
RULES = {"beta": 5.0, "learning_rate": 1e-3, "decay": "cosine"}
EPOCHS = 10
COUNT = 20_000
SEED = 200


def load() -> Any:
    """The trained `models.VAE` for faces of 64 px.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.VAE(image_size=SIZE, **NETWORK)
    weights.restore(FILE, parts(model))
    model.variance.assign(weights.card(NAME)["sigma"] ** 2)
    return model


def parts(model: Any) -> dict[str, Any]:
    """What is kept of an encoder and decoder, by name."""
    return {"encoder": model.encoder, "decoder": model.decoder, "density": model.density}


def train(out: Path, epochs: int = EPOCHS, minutes: float | None = None) -> Run:
    """Draw and train, or go on training, in a run's folder.

    Args:
        out: folder of the run; an earlier one goes on.
        epochs: of the whole training, over which the learning rate falls.
        minutes: stop after so many, over all sessions, even if epochs are left.
    """
    from anime_keras.data import rendering
    from anime_keras.runs import Settings

    if (out / "settings.json").exists():
        run = Run.open(out, epochs=epochs, minutes=minutes)
    else:
        settings = Settings(
            model="vae",
            count=COUNT,
            size=SIZE,
            epochs=epochs,
            minutes=minutes,
            batch_size=BATCH,
            seed=SEED,
            network=NETWORK,
            rules=RULES,
        )
        run = Run.create(out, settings)
    run.train(rendering.render(COUNT, SIZE, seed=SEED).images)
    return run


def main(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier one goes on.")],
    epochs: Annotated[int, typer.Option(help="Of training.")] = EPOCHS,
    minutes: Annotated[float | None, typer.Option(help="Of training, at most.")] = None,
    into: Annotated[Path, typer.Option(help="Folder for weights and card.")] = weights.FOLDER,
) -> None:
    """Draw, train or go on training, and write the weights and their card."""
    run = train(out, epochs, minutes)
    model = run.load_model()
    weights.save(parts(model), into / FILE)
    weights.write_card(
        NAME,
        into,
        run,
        trained_on=f"drawings of this kit: {COUNT} anime faces of seed {SEED}",
        sigma=float(model.variance) ** 0.5,
    )


if __name__ == "__main__":
    typer.run(main)
