"""`evaluate`: what generated pictures are worth, in numbers."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from anime_keras.cli.shared import Seed, attempt, console, fail, pictures, shown


def evaluate(
    run: Annotated[Path | None, typer.Option(help="Folder of a run, to measure its model.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Or a folder of generated pictures, whatever drew them.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Real pictures: 'rendered', 'portraits', or a folder, prepared or not. The run's "
            "own training pictures by default."
        ),
    ] = None,
    metrics: Annotated[
        str, typer.Option(help="Of: fid, kid, is, prdc, swd, ppl, neighbours, attributes.")
    ] = "fid,kid,is,prdc,neighbours,attributes",
    count: Annotated[
        int,
        typer.Option(min=1, help="Pictures to generate, and real ones to draw or take at most."),
    ] = 5000,
    extractor: Annotated[
        str, typer.Option(help="anime, inception, inception-2015, or a .keras file.")
    ] = "anime",
    out: Annotated[
        Path | None, typer.Option(help="Folder for metrics.json; the run's by default.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Measure generated pictures against real ones: FID, KID, recall, attributes and more.

    Prints a table, writes metrics.json, and adds it all to the run's report.html.

    Examples:
    `python -m anime_keras evaluate --run runs/demo`

    `python -m anime_keras evaluate --pictures generated --data real --metrics fid,kid --out here`
    """
    if (run is None) == (pictures is None):
        fail("Say what to measure: --run FOLDER, or --pictures FOLDER.")
    if pictures is not None and (data is None or out is None):
        fail("With --pictures also say --data, what to compare with, and --out, where to write.")
    from anime_keras.data import collections
    from anime_keras.metrics import evaluation

    chosen = [name.strip() for name in metrics.split(",") if name.strip()]
    attempt(evaluation.check_names, chosen)
    asked, generator = {}, None
    if run is not None:
        from anime_keras.runs import Generated, Run

        opened = attempt(Run.open, run)
        settings = opened.settings
        real, held_out = _real(settings, data, count)
        model = attempt(opened.load_model)
        fake = Generated(model, count, seed)
        if "ppl" in chosen:
            generator = _generator(opened)
    else:
        fake = attempt(collections.Folder, pictures, count)
        real, held_out = attempt(collections.collection, data, count, fake.shape[1], seed), None
        if "attributes" in chosen:
            asked = attempt(fake.labels)
    for folder in (real, fake):
        for path, reason in list(getattr(folder, "rejected", {}).items())[:5]:
            console.print(f"   left out {escape(str(path))}: {escape(reason)}")
    network = _extractor(extractor)
    found = _measure(real, fake, chosen, network, seed, held_out, asked, generator)
    found.about["data"] = collections.name(data or settings.data)
    found.about["model"] = collections.name(run or pictures)
    folder = out or run
    path = attempt(found.write, folder)
    _show(found)
    console.print(f"Written to {shown(path)}")
    if out is None:
        console.print(f"Look at {shown(opened.report())}")
    for name in () if out is None else ("attributes.png", "neighbours.png"):
        if (folder / name).exists():
            console.print(f"Look at {shown(folder / name)}")


def _measure(*arguments: Any) -> Any:
    """`evaluation.evaluate` with a bar."""
    from anime_keras.metrics import evaluation

    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        try:
            return evaluation.evaluate(*arguments, progress)
        except (ValueError, OSError, ImportError, RuntimeError) as error:
            bar.stop()
            fail(str(error))


def _real(settings: Any, data: str | None, count: int) -> tuple[Any, Any]:
    """Real pictures to compare a run with, and some that it was not trained on, or None."""
    from anime_keras.data import collections, records

    size = settings.size
    if data is not None or settings.data != "rendered":
        source = data or settings.data
        if Path(source).is_dir() and not (Path(source) / records.MANIFEST).is_file():
            if data is None:  # as the run read them: middle squares of its size
                return pictures(settings)[:count], None
            return attempt(collections.collection, source, count), None
        real = attempt(collections.collection, source, count, size, settings.seed)
        held_out = None
        if data is None and (Path(source) / records.MANIFEST).is_file():
            prepared = records.Prepared.open(source)
            unseen = [s for s in ("test", "val") if s in prepared.splits and prepared.count(s)]
            held_out = prepared.pictures(unseen[0]) if unseen else None
        return real, held_out
    trained = settings.count or 10_000
    real = collections.Rendered(min(count, trained), size, "anime", settings.seed)
    return real, collections.Rendered(min(count, 2000), size, "anime", settings.seed, trained)


def _generator(run: Any) -> Any:
    """A run's generator in float32, from latents to pictures in [-1, 1]."""
    import dataclasses

    import keras

    from anime_keras.metrics.evaluation import Generator
    from anime_keras.runs import Run

    exact = Run(run.folder, dataclasses.replace(run.settings, precision="float32")).load_model()
    exact.settle()
    return Generator(
        lambda points: keras.ops.convert_to_numpy(exact(keras.ops.convert_to_tensor(points))),
        exact.latent_dim,
    )


def _extractor(name: str) -> Any:
    from anime_keras.metrics import extractors

    if not name.endswith(".keras"):
        try:
            return extractors.get(name)
        except (ValueError, RuntimeError, FileNotFoundError) as error:
            fail(str(error))
    import keras

    if not Path(name).is_file():
        fail(f"There is no file {name}.")
    return attempt(extractors.of_model, attempt(keras.saving.load_model, name), Path(name).stem)


def _show(found: Any) -> None:
    """An evaluation as tables in the terminal."""
    if found.results:
        table = Table(box=None, pad_edge=False)
        for column in ("metric", "value", "", "and"):
            table.add_column(column, justify="right" if column == "value" else "left")
        for result in found.results:
            details = ", ".join(f"{name} {value:.4g}" for name, value in result.details.items())
            better = f"[dim]{result.better} is better[/]"
            table.add_row(f"[bold]{escape(result.name)}[/]", result.number, better, escape(details))
        console.print(table)
        about = found.about
        console.print(
            f"[dim]{about['fake']:,} generated and {about['real']:,} real pictures, "
            f"{about['extractor']}, seed {about['seed']}; ± is half of a 95% interval[/]"
        )
    for value in found.accuracy.values():
        console.print(str(value))
    if found.comparison:
        console.print(escape(str(found.comparison)))
    for text in found.warnings:
        console.print(f"[yellow]Mind:[/] {escape(text)}")
