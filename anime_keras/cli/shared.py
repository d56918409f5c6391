"""What the commands have in common: what is said, what is refused, where pictures come from."""

import os
import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from typer.core import TyperGroup

from anime_keras import files

console = Console(highlight=False, soft_wrap=True)  # commands and paths can be copied whole

Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same result.")
]


def free_folder(wanted: Path) -> Path:
    """The folder, or the same with a number, so that no earlier run is touched."""
    candidates = [wanted, *(wanted.with_name(f"{wanted.name}-{n}") for n in range(2, 10_000))]
    return next(path for path in candidates if not path.exists())


def given(**options: Any) -> dict[str, Any]:
    """The options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def shown(path: Path) -> str:
    """A path as a command takes it, in bold."""
    return f"[bold]{escape(shlex.quote(str(path)))}[/]"


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call it; turn what a user can mend into one line instead of a traceback."""
    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        fail(str(error))
    except OSError as error:
        fail(files.told(error))


class Commands(TyperGroup):
    """Commands in which a full disk, or a place where nothing may be written, is one line as well."""

    def invoke(self, context: typer.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(context)
        except OSError as error:
            fail(files.told(error))


def fail(message: str) -> None:
    """Say what is wrong in one line, and end with exit code 1."""
    console.quiet = False
    console.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(1)


def pictures(settings: Any) -> Any:
    """The training pictures of a run's settings, with a bar.

    X and Y for a model that translates, pictures and labels for one that learns from labels.
    """
    if settings.translates:
        # Drawn ones of Y are of another seed: nobody is in both, so that no pair is among them.
        return (
            pictures_of(settings.data, settings.seed, settings),
            pictures_of(settings.y, settings.seed + 1, settings),
        )
    images = pictures_of(settings.data, settings.seed, settings)
    if settings.labelled:
        from anime_keras.data import collections

        return images, attempt(
            collections.known_labels, settings.data, settings.count, settings.seed
        )[0]
    return images


def pictures_of(source: str, seed: int, settings: Any) -> Any:
    """Pictures by what a command calls them, of a size and at most so many: a run's `settings` say."""
    from anime_keras.data import collections, folders, records

    size, count = settings.size, settings.count
    if style := collections.STYLES.get(source):
        return _draw(count or collections.DRAWN, size, style, seed)
    if (Path(source) / records.MANIFEST).is_file():
        prepared = attempt(records.Prepared.open, source)
        if prepared.size != size:
            fail(
                f"The pictures in {source} are of {prepared.size} px, not {size}: "
                f"say --size {prepared.size}."
            )
        images = attempt(prepared.pictures, "train")
        if count:
            images = images[:count]
        console.print(f"Found {len(images)} prepared pictures in {escape(source)}.")
        return images
    with console.status("Looking for pictures …") as status:
        found = attempt(
            folders.load,
            source,
            size,
            count,
            lambda done, total: status.update(f"Reading picture {done} of {total}"),
        )
    console.print(f"Read {len(found.images)} pictures from {escape(source)}.")
    for path, reason in list(found.rejected.items())[:5]:
        console.print(f"   left out {escape(str(path))}: {escape(reason)}")
    if len(found.rejected) > 5:
        console.print(f"   … and {len(found.rejected) - 5} more that could not be read.")
    return found.images


def _draw(count: int, size: int, style: str, seed: int) -> np.ndarray:
    """Drawn faces; portraits, which take eight times as long, on all cores."""
    from anime_keras import data

    portraits = style == "portrait"
    chunk = max(64, (16 if portraits else 32) * 4096 // size)
    parts = [
        data.render(
            min(chunk, count - start),
            size,
            style,
            seed,
            start,
            processes=max(1, os.cpu_count() or 1) if portraits and count > 200 else 1,
        ).images
        for start in track(
            range(0, count, chunk),
            f"drawing {count} {'portraits' if portraits else 'faces'}",
            console=console,
            transient=True,
        )
    ]
    return np.concatenate(parts)
