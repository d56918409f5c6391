"""The kit's own VAE: how it was trained, and how it is loaded.

    python -m anime_keras.weights.vae --out runs/vae

First it learns what pixels say, which is cheap; then also to look alike to the kit's frozen network,
at twice the price a step, which sharpens what the first left blurred. Both as `train vae` does, in run
folders that can be stopped and resumed. Nothing but drawings of this kit is looked at.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras import weights
from anime_keras.runs import Run

NAME = "vae"
FILE = f"{NAME}.weights.npz"
SIZE = 64
NETWORK = {"latent_dim": 64, "width": 32}
PIXELS = {"learning_rate": 1e-3, "decay": "cosine"}
PIXEL_EPOCHS = 14
# A picture is counted five times now, in pixels and at four depths of the network, so the code is too.
RULES = {"beta": 5.0, "learning_rate": 5e-4, "decay": "cosine"}
EPOCHS = 4
BATCH = 64
COUNT = 20_000
SEED = 0


def load() -> Any:
    """The trained `models.VAE` for faces of 64 px.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.VAE(image_size=SIZE, likelihood="perceptual", **NETWORK)
    weights.restore(FILE, parts(model))
    model.variance.assign(weights.card(NAME)["sigma"] ** 2)
    return model


def parts(model: Any) -> dict[str, Any]:
    """What is kept of an encoder and a decoder, by name."""
    return {"encoder": model.encoder, "decoder": model.decoder, "density": model.density}


def train(out: Path, minutes: float | None = None) -> Run:
    """Draw and train, or go on training: the first part in a folder within that of the second.

    Args:
        out: folder of the run; an earlier one goes on.
        minutes: stop either part after so many, over all sessions, even if epochs are left.
    """
    from anime_keras import checkpoints, tasks
    from anime_keras.data import rendering

    images = rendering.render(COUNT, SIZE, seed=SEED).images
    first = _run(out / "pixels", "gaussian", PIXELS, PIXEL_EPOCHS, minutes)
    first.train(images)
    run = _run(out, "perceptual", RULES, EPOCHS, minutes)
    if not checkpoints.available(out / "checkpoints"):
        began, model = first.load_model(), run.build_model()
        for name, network in parts(model).items():
            network.set_weights(parts(began)[name].get_weights())
        model.variance.assign(began.variance)
        pictures = tasks.Coding(run.settings, images).checksum()
        checkpoints.save(model, out / "checkpoints", 0, seconds=0.0, pictures=pictures)
    run.train(images)
    return run


def _run(
    out: Path, likelihood: str, rules: dict[str, Any], epochs: int, minutes: float | None
) -> Run:
    from anime_keras.runs import Settings

    if (out / "settings.json").exists():
        return Run.open(out, minutes=minutes)
    settings = Settings(
        model="vae",
        count=COUNT,
        size=SIZE,
        epochs=epochs,
        minutes=minutes,
        batch_size=BATCH,
        seed=SEED,
        network={**NETWORK, "likelihood": likelihood},
        rules=rules,
    )
    return Run.create(out, settings)


def main(
    out: Annotated[Path, typer.Option(help="Folder of the run; an earlier one goes on.")],
    minutes: Annotated[float | None, typer.Option(help="Of either part, at most.")] = None,
    into: Annotated[Path, typer.Option(help="Folder for weights and card.")] = weights.FOLDER,
) -> None:
    """Draw, train or go on training, and write the weights and their card."""
    run = train(out, minutes)
    weights.refuse_unfinished(run)
    model = run.load_model()
    weights.save(parts(model), into / FILE)
    weights.write_card(
        NAME,
        into,
        run,
        trained_on=f"drawings of this kit: {COUNT} anime faces of seed {SEED}",
        first={"likelihood": "gaussian", "rules": PIXELS, "epochs": PIXEL_EPOCHS},
        sigma=float(model.variance) ** 0.5,
    )


if __name__ == "__main__":
    typer.run(main)
