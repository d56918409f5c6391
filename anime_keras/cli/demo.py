"""`demo`: draw, train, measure, in a few minutes."""

from pathlib import Path
from typing import Annotated

import typer

from anime_keras.cli.evaluate import evaluate
from anime_keras.cli.shared import Seed, attempt, console, free_folder, pictures, shown
from anime_keras.cli.train import train_run

# What the demo trains. A few minutes on two cores are few for a GAN, so it takes many small steps: a
# narrow network, small batches, a generator that learns faster than the discriminator (Heusel et al.
# 2017), and the average of its weights to draw with. benchmarks/RESULTS.md has what was tried.
DEMO_FACES = 4096
DEMO_BATCH = 16
DEMO_NETWORK = {"width": 24, "ema": 0.998}
DEMO_RULES = {"learning_rate": 1e-3, "discriminator_learning_rate": 3e-4, "beta_2": 0.99}
DEMO_MINUTES = 3.5
DEMO_MEASURED = 2000


def demo(
    minutes: Annotated[
        float, typer.Option(help="Time to train, without drawing and report.")
    ] = DEMO_MINUTES,
    out: Annotated[Path | None, typer.Option(help="Folder of the run.")] = None,
    seed: Seed = 0,
) -> None:
    """Draw faces, train a small DCGAN on them for a few minutes, and write a report.

    Example: `python -m anime_keras demo`
    """
    from anime_keras.runs import Run, Settings

    out = out or free_folder(Path("runs/demo"))
    settings = Settings(
        count=DEMO_FACES,
        minutes=minutes,
        batch_size=DEMO_BATCH,
        seed=seed,
        network=DEMO_NETWORK,
        rules=DEMO_RULES,
    )
    run = attempt(Run.create, out, settings)
    console.print(f"[bold]1.[/] Drawing {DEMO_FACES} anime faces whose every factor is known.")
    images = pictures(settings)
    console.print(
        f"[bold]2.[/] A generator learns to draw such faces from noise, against a discriminator that "
        f"learns to tell its pictures from them, for {minutes:g} minutes.\n"
        f"   Watch {shown(out / 'samples')} as it gets better. Ctrl-C stops and keeps what there is."
    )
    if train_run(run, images):
        console.print(f"\n[bold]3.[/] How good are they? {DEMO_MEASURED:,} new faces are measured.")
        evaluate(run=out, count=DEMO_MEASURED, metrics="fid,kid,prdc,neighbours,attributes")
