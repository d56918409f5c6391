"""`generate`: pictures from a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from anime_keras.cli.shared import Seed, attempt, console, fail, shown


def generate(
    run: Annotated[Path, typer.Option(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="A .png or .jpg; a .gif with --interpolate.")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 64,
    seed: Seed = 0,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="A walk through the latent space, as a GIF.")
    ] = False,
    scale: Annotated[int, typer.Option(min=1, max=16, help="Enlarge by this factor.")] = 1,
) -> None:
    """Draw pictures with a trained run.

    Examples:
    `python -m anime_keras generate --run runs/demo --count 64 --seed 0 --out grid.png`

    `python -m anime_keras generate --run runs/demo --count 8 --interpolate --out walk.gif`
    """
    from anime_keras import latents, plots
    from anime_keras.runs import Run

    wanted = (".gif",) if interpolate else (".png", ".jpg")
    if out.suffix.lower() not in wanted:
        fail(f"{out} must end in {' or '.join(wanted)}.")
    opened = attempt(Run.open, run)
    if opened.settings.translates:
        fail(
            f"The run in {run} translates pictures, it makes none from noise: "
            f"python -m anime_keras translate --run {run} --input photo.jpg --out faces"
        )
    model = attempt(opened.load_model)
    if interpolate:
        points = latents.draw(max(count, 2), model.latent_dim, seed)
        path = latents.loop(points, frames_between=12)
        frames = [plots.grid(picture[None], gap=0, scale=scale) for picture in model.draw(path)]
        plots.gif(out, frames, seconds=0.08, hold=0.08)
    else:
        plots.save(out, plots.grid(model.generate(count, seed=seed), scale=scale))
    console.print(f"Look at {shown(out)}")
