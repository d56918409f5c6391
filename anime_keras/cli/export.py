"""`export`: a trained model for other programs, phones and browsers."""

from pathlib import Path
from typing import Annotated, Any

import typer

from anime_keras.cli.shared import attempt, console, fail, shown


def export(
    run: Annotated[
        str, typer.Option(help="Folder of a run, or the name of a model that comes with the kit.")
    ],
    out: Annotated[
        Path, typer.Option(help="A .onnx, .tflite or .html; a new folder for a SavedModel.")
    ],
    format: Annotated[
        str | None,
        typer.Option(help="onnx, savedmodel, litert or web; by default what --out ends in."),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="The same as --format web: a page that makes faces.")
    ] = False,
    direction: Annotated[str, typer.Option(help="Of a CycleGAN: x2y or y2x.")] = "x2y",
) -> None:
    """Take a trained model elsewhere: to ONNX, SavedModel, LiteRT, or into a web page.

    What is written is run on eight inputs and compared with Keras. Beside it lies its card, which says
    what goes in and what comes out.

    Examples:
    `python -m anime_keras export --run runs/mine --web --out faces.html`

    `python -m anime_keras export --run portrait_anime --out anime.onnx`

    `python -m anime_keras export --run portrait_anime --direction y2x --out portraits.tflite`

    `python -m anime_keras export --run runs/mine --format savedmodel --out saved`
    """
    if web and format not in (None, "web"):
        fail(f"--web is --format web: leave out --format {format}.")
    from anime_keras import export as exporting

    model, source = attempt(_load, run)
    try:
        with console.status(f"Writing {out.name} and running it …"):
            done = attempt(
                exporting.export, model, out, "web" if web else format, direction, source
            )
    except (ImportError, ArithmeticError) as error:
        fail(str(error))
    console.print(
        f"{shown(done.path)} makes the same pictures as Keras, on {exporting.CHECKED} inputs to within "
        f"{done.difference:.1g} of a range of 2; its card is {shown(done.card)}"
    )
    if done.path.suffix == ".html":
        console.print("Open it in a browser: it takes no network.")


def _load(run: str) -> tuple[Any, dict[str, Any]]:
    """The model in float32, and where it comes from, for the card."""
    from anime_keras import shelf, weights
    from anime_keras.data import collections
    from anime_keras.runs import Run

    if not (Path(run) / "settings.json").is_file():
        model = shelf.load(run)
        card = weights.card(run)
        kept = ("trained_on", "sha256", "steps")
        return model, {"weights": run} | {key: card[key] for key in kept if key in card}
    opened = Run.open(run)
    opened.settings.precision = "float32"  # in memory alone: the run goes on as it was
    settings = opened.settings
    words = {"anime": "drawn anime faces", "portrait": "drawn portraits"}
    styles = {name: words[style] for name, style in collections.STYLES.items()}
    data = [styles.get(data, Path(data).name) for data in (settings.data, settings.y) if data]
    return opened.load_model(), {
        "run": opened.folder.resolve().name,
        "trained_on": " and ".join(data),
    }
