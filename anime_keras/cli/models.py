"""`models`: what is there to generate and translate with."""

from pathlib import Path
from typing import Annotated

import typer

from anime_keras.cli.shared import console


def models(
    runs: Annotated[Path, typer.Option(help="Folder whose runs are listed, too.")] = Path("runs"),
) -> None:
    """List the trained models: those of the kit, then your own runs.

    Each can be named wherever a command takes a run: `generate --run stylegan2 …`

    Example: `python -m anime_keras models`
    """
    from rich.markup import escape
    from rich.table import Table

    from anime_keras import shelf

    table = Table(show_lines=True)
    for title in ("name", "model", "size", "trained on", "measured"):
        table.add_column(title, overflow="fold")
    for entry in shelf.entries(runs):
        numbers = "\n".join(f"{what}: {value}" for what, value in entry.measured.items())
        table.add_row(
            f"[bold]{escape(entry.name)}[/]",
            escape(entry.model),
            f"{entry.size} px\n{entry.bytes / 1e6:.1f} MB",
            escape(entry.trained_on),
            escape(numbers or "nothing yet"),
        )
    console.print(table)
