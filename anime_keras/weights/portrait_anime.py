"""The kit's own CycleGAN, portraits to anime and back: how it was trained, and how it is loaded.

    KERAS_BACKEND=jax python -m anime_keras.weights.portrait_anime --out runs/portrait_anime

First a generator learns to give back what it is shown, whichever kind: colours and shapes are then
in place when the game begins (the initialisation phase of Chen et al. 2018, "CartoonGAN", section
3.3). Both generators begin as it. Then they train as `train cyclegan` does, in a run folder that can be
stopped and resumed, on drawn portraits and drawn anime faces of other people: no pair is among them.
Last the averaged generators are written in float16, with their card. Nothing but drawings of this kit
is looked at.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from anime_keras import weights
from anime_keras.runs import Run

NAME = "portrait_anime"
FILE = f"{NAME}.weights.npz"
SIZE = 64
# Other than the reference's: no norm before anything has looked at a picture's own colours, so that
# hair keeps its own; a lower lambda, which lets small eyes become large ones; noise before the way
# back, so that what comes back must be there to see; more pictures a step and a higher rate, which
# suit a GPU; averaged weights.
NETWORK = {"width": 32, "residual_blocks": 6, "first_norm": False}
BATCH = 32
RULES = {
    "cycle": 5.0,
    "identity": 0.5,
    "cycle_noise": 0.05,
    "learning_rate": 4e-4,
    "decay": "linear",
}
EPOCHS = 32
FIRST = {"steps": 1000, "batch": 16, "learning_rate": 2e-3}  # of giving back what is shown
EMA = 0.999
COUNT = 20_000  # portraits, and as many anime faces of other people
SEED = 100


def load() -> Any:
    """The trained `models.CycleGAN`: x are portraits, y anime faces, both of 64 px.

    Its discriminators are untrained: `translate` is what it is for.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: the file is not the one that was trained.
    """
    from anime_keras import models

    model = models.CycleGAN(image_size=SIZE, history=0, **NETWORK)
    weights.restore(FILE, {"G": model.G, "F": model.F})
    return model


def save(model: Any, path: Path) -> None:
    """Write the averaged generators of a trained model as arrays of float16."""
    weights.save({"G": model.generator("x2y"), "F": model.generator("y2x")}, path)


def give_back(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """The weights of a generator that has learned to give back pictures of either kind."""
    import keras

    from anime_keras.data.pipelines import Batches, stream
    from anime_keras.models import cyclegan

    network = cyclegan.build_generator(SIZE, **NETWORK)
    batches = stream(Batches(np.concatenate([x, y]), FIRST["batch"], SEED))
    rate = keras.optimizers.schedules.CosineDecay(FIRST["learning_rate"], FIRST["steps"])
    network.compile(keras.optimizers.Adam(rate), "mean_absolute_error")
    pairs = ((images, images) for images in batches)
    network.fit(pairs, steps_per_epoch=FIRST["steps"], shuffle=False, verbose=2)
    return network.get_weights()


def train(out: Path, epochs: int = EPOCHS, minutes: float | None = None) -> Run:
    """Draw and train, or go on training, in a run's folder.

    Args:
        out: folder of the run; an earlier one goes on.
        epochs: of the whole training. The learning rate falls over the second half.
        minutes: stop after so many, over all sessions, even if epochs are left.
    """
    from anime_keras import checkpoints, tasks
    from anime_keras.data import rendering
    from anime_keras.runs import Settings

    if (out / "settings.json").exists():
        run = Run.open(out, epochs=epochs, minutes=minutes)
    else:
        run = Run.create(
            out,
            Settings(
                model="cyclegan",
                data="portraits",
                y="anime",
                count=COUNT,
                size=SIZE,
                epochs=epochs,
                minutes=minutes,
                batch_size=BATCH,
                seed=SEED,
                network={**NETWORK, "ema": EMA},
                rules=RULES,
            ),
        )
    processes = os.cpu_count() or 1
    x = rendering.render(COUNT, SIZE, "portrait", SEED, processes=processes).images
    y = rendering.render(COUNT, SIZE, "anime", SEED + 1, processes=processes).images
    if not checkpoints.available(out / "checkpoints"):
        model = run.build_model()  # also sets the precision and the seed
        weights_then = give_back(x, y)
        for network in (model.G, model.F, model.average_G, model.average_F):
            network.set_weights(weights_then)
        pictures = tasks.Translation(run.settings, (x, y)).checksum()
        checkpoints.save(model, out / "checkpoints", 0, seconds=0.0, pictures=pictures)
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
        first=FIRST,
    )


if __name__ == "__main__":
    typer.run(main)
