"""`generate`: pictures from a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from anime_keras.cli.shared import Seed, attempt, console, fail, given, shown


def generate(
    run: Annotated[str, typer.Option(help="Folder of a run, or a name out of `models`.")],
    out: Annotated[Path, typer.Option(help="A .png or .jpg; a .gif with --interpolate.")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 64,
    seed: Seed = 0,
    interpolate: Annotated[
        bool, typer.Option("--interpolate", help="A walk through the latent space, as a GIF.")
    ] = False,
    where: Annotated[
        str, typer.Option(help="What to ask for, such as hair_color=blue,expression=smile.")
    ] = "",
    sheet: Annotated[
        str, typer.Option(help="One person with each word of two: hair_color,expression.")
    ] = "",
    truncation: Annotated[
        float | None, typer.Option(help="Of a StyleGAN2: below 1 better faces, less various.")
    ] = None,
    scale: Annotated[int, typer.Option(min=1, max=16, help="Enlarge by this factor.")] = 1,
) -> None:
    """Draw pictures with a trained model: of a run, or one that comes with the kit.

    Examples:
    `python -m anime_keras generate --run runs/demo --count 64 --seed 0 --out grid.png`

    `python -m anime_keras generate --run runs/demo --count 8 --interpolate --out walk.gif`

    `python -m anime_keras generate --run runs/words --where hair_color=blue --out blue.png`

    `python -m anime_keras generate --run stylegan2 --truncation 0.7 --out styles.png`

    `python -m anime_keras generate --run runs/words --sheet hair_color,expression --out sheet.png`
    """
    from anime_keras import latents, models, plots

    wanted = (".gif",) if interpolate else (".png", ".jpg")
    if out.suffix.lower() not in wanted:
        fail(f"{out} must end in {' or '.join(wanted)}.")
    model = attempt(models.load, run)
    kind = type(model).__name__
    if not hasattr(model, "generate"):
        fail(
            f"{run} is a {kind}, which translates pictures and makes none from noise: "
            f"python -m anime_keras translate --run {run} --input photo.jpg --out faces"
        )
    asked = _asked(where)
    if (asked or sheet) and not hasattr(model, "ask"):
        fail(
            f"{run} is a {kind}, which cannot be asked for words. "
            "Train one that can: python -m anime_keras train conditional"
        )
    options = given(truncation=truncation)
    if options and not hasattr(model, "styles"):
        fail(f"{run} is a {kind}, which has no styles: --truncation is for a StyleGAN2.")
    if sheet:
        names = [name.strip() for name in sheet.split(",")]
        if len(names) != 2 or interpolate:
            fail(
                "--sheet takes two attributes, such as hair_color,expression, and makes a picture."
            )
        found = attempt(model.sheet, *names, seed=seed, **asked)
        flat = found.reshape(-1, *found.shape[2:])
        plots.save(out, plots.grid(flat, columns=found.shape[1], scale=scale))
    elif interpolate:
        points = latents.draw(max(count, 2), model.latent_dim, seed)
        path = latents.loop(points, frames_between=12)
        if hasattr(model, "ask"):  # the words of one picture, all the way
            words = attempt(model.ask, 1, seed, **asked)
            path = model.join(path, {n: w.repeat(len(path)) for n, w in words.items()})
        pictures = attempt(model.draw, path, **options)
        frames = [plots.grid(picture[None], gap=0, scale=scale) for picture in pictures]
        plots.gif(out, frames, seconds=0.08, hold=0.08)
    else:
        pictures = attempt(model.generate, count, seed=seed, **options, **asked)
        plots.save(out, plots.grid(pictures, scale=scale))
    console.print(f"Look at {shown(out)}")


def _asked(where: str) -> dict[str, str]:
    """The words of "hair_color=blue,expression=smile" by their attributes."""
    asked = {}
    for part in where.split(",") if where else ():
        name, _, word = (text.strip() for text in part.partition("="))
        if not name or not word:
            fail(f"--where takes attribute=word, such as hair_color=blue, not {part!r}.")
        asked[name] = word
    return asked
