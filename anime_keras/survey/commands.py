"""`python -m anime_keras survey build` and `survey score`."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from anime_keras import files

app = typer.Typer(
    help="Ask people: build a survey, score the answers.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
console = Console(highlight=False, soft_wrap=True)


@app.command()
def build(
    real: Annotated[
        str, typer.Option(help="Folder of real pictures, prepared or not; or 'rendered'.")
    ],
    out: Annotated[Path, typer.Option(help="The page, ending in .html.")] = Path("survey.html"),
    run: Annotated[
        list[Path] | None, typer.Option(help="Folder of a run to draw with; can be repeated.")
    ] = None,
    fake: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Pictures of another model; can be repeated."),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]DIR",
            help="Pictures with a labels.csv of what was asked for, 'rendered', or the run of a "
            "CycleGAN that translates drawn portraits; can be repeated.",
        ),
    ] = None,
    factor: Annotated[
        list[str] | None, typer.Option(help="Ask about this column of the labels only.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Out of real,better,rating,variety,attribute.")
    ] = None,
    count: Annotated[int, typer.Option(help="Trials of each kind.")] = 24,
    exposure: Annotated[
        int | None, typer.Option(help="Milliseconds to see a real or generated picture.")
    ] = None,
    checks: Annotated[int, typer.Option(help="Attention checks in each kind.")] = 2,
    practice: Annotated[int, typer.Option(help="Practice trials.")] = 4,
    size: Annotated[int | None, typer.Option(help="Side in pixels; else the smallest's.")] = None,
    title: Annotated[str, typer.Option(help="Over the page.")] = "A survey about pictures",
    contact: Annotated[str, typer.Option(help="Who asks: name and address for raters.")] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of what is chosen.")] = 0,
) -> None:
    """Make one page that asks people about pictures; it needs no server and no network.

    The truth is in a second file, the key, which you keep.

    Examples:
    `python -m anime_keras survey build --real my_faces --run runs/demo --out survey.html`

    `python -m anime_keras survey build --real my_faces --fake vae=drawn_by_vae --exposure 500`

    `python -m anime_keras survey build --real rendered --run runs/cyclegan --attribute runs/cyclegan`
    """
    from anime_keras import survey
    from anime_keras.survey import pictures

    fakes: dict[str, Any] = {}
    for folder in run or []:
        _add(fakes, folder.resolve().name, lambda folder=folder: pictures.of_run(folder))
    for text in fake or []:
        name, sign, folder = text.partition("=")
        if not (name and sign and folder):
            _fail(
                f"--fake takes a name and a folder, such as --fake vae=my_pictures, not {text!r}."
            )
        _add(fakes, name, lambda folder=folder: folder)
    shown: dict[str, Any] = {}
    for text in attribute or []:
        name, sign, folder = text.partition("=")
        if not sign or Path(text).exists():
            name, folder = Path(text).name, text
        trained = (Path(folder) / "settings.json").is_file()
        _add(shown, name, lambda f=folder, t=trained: pictures.of_run(f) if t else f)
    made = _try(
        survey.build,
        out,
        real,
        fakes,
        attribute=shown or None,
        tasks=None if tasks is None else [task.strip() for task in tasks.split(",")],
        count=count,
        exposure=exposure,
        checks=checks,
        practice=practice,
        size=size,
        factors=factor,
        title=title,
        contact=contact,
        seed=seed,
    )
    for warning in made.warnings:
        console.print(f"[yellow]Mind:[/] {escape(warning)}")
    console.print(
        f"{len(made.trials)} questions with pictures of {made.size} px, survey {made.id}.\n"
        f"Send raters the page: {_path(made.page)} ({made.page.stat().st_size / 1e6:.1f} MB)\n"
        f"Keep the key:         {_path(made.key)}\n"
        "Then:  python -m anime_keras survey score answers/*.json --key "
        f"{_path(made.key)} --out scores"
    )


@app.command()
def score(
    answers: Annotated[
        list[Path], typer.Argument(metavar="ANSWERS…", help="Files of raters, or a folder of them.")
    ],
    key: Annotated[
        Path | None, typer.Option(help="The survey's key; else looked for near the answers.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report, picture and numbers.")] = Path(
        "scores"
    ),
    checks: Annotated[
        float, typer.Option(min=0, max=1, help="Least part of attention checks to pass.")
    ] = 0.75,
    fastest: Annotated[float, typer.Option(min=0, help="Least median time in milliseconds.")] = 400,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Count raters who stopped early, too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the tests.")] = 0,
) -> None:
    """Score raters' answers: errors, preferences, ratings, comparisons, agreement.

    Example: `python -m anime_keras survey score answers/*.json --key survey.key.json --out scores`
    """
    from anime_keras import survey

    rules = survey.Rules(checks=checks, fastest=fastest, unfinished=unfinished)
    scores = _try(survey.score, answers, key, rules=rules, seed=seed)
    report = _try(scores.write, out)
    console.print(scores)
    console.print(f"\nThe report: {_path(report)}")


def _add(named: dict[str, Any], name: str, make: Callable[[], Any]) -> None:
    if name in named:
        _fail(
            f"Two sources are called {name!r}: give one of them another name with --fake NAME=DIR."
        )
    named[name] = _try(make)


def _path(path: Path) -> str:
    return f"[bold]{escape(shlex.quote(str(path)))}[/]"


def _try(function: Callable, *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except (ValueError, TypeError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(files.told(error))


def _fail(message: str) -> None:
    console.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(1)
