"""`evaluate`: what generated pictures are worth, in numbers."""

import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from anime_keras.cli.shared import Seed, attempt, console, fail, pictures, pictures_of, shown

COUNT = 5000  # pictures to measure
PAIRS = 500  # pictures to translate, there and back in both directions
ALBUM = 5000  # pictures of a folder, at most, that translations are compared with as a whole


def evaluate(
    run: Annotated[
        Path | None,
        typer.Option(help="Folder of a run, or a name out of `models`, to measure that model."),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Or a folder of generated pictures, whatever drew them.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Real pictures: 'rendered', 'portraits', or a folder, prepared or not. The run's "
            "own training pictures by default. Of a CycleGAN, pictures to translate: its X."
        ),
    ] = None,
    y: Annotated[str | None, typer.Option(help="The same of its Y, for a CycleGAN.")] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Of: fid, kid, is, prdc, swd, ppl, neighbours, attributes, translation. By default "
            "fid,kid,is,prdc,neighbours,attributes, or translation for a CycleGAN."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Pictures to generate, and real ones to draw or take at most (5000); or to "
            "translate (500).",
        ),
    ] = None,
    extractor: Annotated[
        str, typer.Option(help="anime, inception, inception-2015, or a .keras file.")
    ] = "anime",
    out: Annotated[
        Path | None, typer.Option(help="Folder for metrics.json; the run's by default.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Measure generated pictures against real ones: FID, KID, recall, attributes and more.

    Prints a table, writes metrics.json, and adds it all to the run's report.html. What a CycleGAN
    translates is scored against the true counterparts, where its pictures are drawn ones. Without a
    run, `--metrics translation` scores the CycleGAN that comes with the kit.

    Examples:
    `python -m anime_keras evaluate --run runs/demo`

    `python -m anime_keras evaluate --pictures generated --data real --metrics fid,kid --out here`

    `python -m anime_keras evaluate --metrics translation --out here`
    """
    from anime_keras.metrics import attributes, evaluation

    chosen = None if metrics is None else [n.strip() for n in metrics.split(",") if n.strip()]
    if chosen is not None:
        attempt(evaluation.check_names, chosen)
    shipped = run is None and pictures is None and "translation" in (chosen or ())
    if (run is None) == (pictures is None) and not shipped:
        fail("Say what to measure: --run FOLDER, or --pictures FOLDER.")
    if pictures is not None and (data is None or out is None):
        fail("With --pictures also say --data, what to compare with, and --out, where to write.")
    if shipped and out is None:
        fail("Without a run also say --out, where to write.")
    from anime_keras.data import collections

    asked, generator, translator, held_out, opened, source = {}, None, None, None, None, data
    if run is not None:
        from anime_keras import shelf
        from anime_keras.runs import Generated

        opened = attempt(shelf.find, run)
        if isinstance(opened, shelf.Shipped) and out is None:
            fail(f"{run} comes with the kit: also say --out, where to write.")
    if shipped or (opened and opened.settings.translates):
        chosen = chosen or ["translation"]
        if refused := {"ppl", "neighbours"} & set(chosen):
            fail(f"{', '.join(sorted(refused))} cannot be measured of a model that translates.")
        model, translator, source = _translator(opened, data, y, count or PAIRS, seed)
        real = translator.y.album
        # What is translated in any case need not be translated for this again.
        asks = set(chosen) - {"translation"}
        fake = model.translate(translator.x.pictures) if asks else translator.x.pictures
    elif y is not None:
        fail("--y is for the run of a CycleGAN.")
    elif opened:
        source = data or opened.settings.data
        real, held_out = _real(opened.settings, data, count or COUNT)
        model = attempt(opened.load_model)
        fake = Generated(model, count or COUNT, seed)
        if fake.asked:
            asked = attributes.in_factors(fake.asked, model.attributes)
        if "ppl" in (chosen or ()):
            generator = _generator(opened)
    else:
        fake = attempt(collections.Folder, pictures, count or COUNT)
        real = attempt(collections.collection, data, count or COUNT, fake.shape[1], seed)
        if chosen is None or "attributes" in chosen:
            asked = attempt(fake.labels)
    chosen = chosen or list(evaluation.DEFAULT)
    for folder in (real, fake):
        for path, reason in list(getattr(folder, "rejected", {}).items())[:5]:
            console.print(f"   left out {escape(str(path))}: {escape(reason)}")
    network = _extractor(extractor)
    found = _measure(real, fake, chosen, network, seed, held_out, asked, generator, translator)
    found.about["data"] = collections.name(source)
    found.about["model"] = collections.name(run or pictures or "portrait_anime")
    folder = out or run
    path = attempt(found.write, folder)
    _show(found)
    console.print(f"Written to {shown(path)}")
    if out is None:
        console.print(f"Look at {shown(opened.report())}")
    for name in () if out is None else evaluation.PICTURES:
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
        except (ValueError, ImportError, RuntimeError) as error:
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


def _translator(
    run: Any, data: str | None, y: str | None, count: int, seed: int
) -> tuple[Any, Any, str]:
    """A model that translates, what scoring it needs, and a short name of what it is scored on."""
    from anime_keras.cli.translate import load_shipped
    from anime_keras.data import collections
    from anime_keras.metrics import counterparts
    from anime_keras.metrics.evaluation import Translator
    from anime_keras.models import AnimeGAN

    model = attempt(run.load_model) if run else attempt(load_shipped)
    trained = (run.settings.data, run.settings.y) if run else ("portraits", "anime")
    sources = data or trained[0], y or trained[1]
    styles = [collections.STYLES.get(source) for source in sources]
    size = model.image_size
    if set(styles) == {"anime", "portrait"}:
        with console.status(f"Drawing {count} people twice …"):
            processes = os.cpu_count() or 1 if count > 200 else 1  # starting them takes a while
            pair = attempt(counterparts.drawn, count, size, seed, processes=processes)
        domains = pair if styles[0] == "portrait" else pair[::-1]
    else:
        domains = [_domain(source, size, count, seed, run) for source in sources]
    ways = (
        (model.translate, None)
        if isinstance(model, AnimeGAN)
        else (lambda images: model.translate(images), lambda images: model.translate(images, "y2x"))
    )
    translator = Translator(*ways, *domains)
    return model, translator, " and ".join(map(collections.name, sources))


def _domain(source: str, size: int, count: int, seed: int, run: Any) -> Any:
    """Pictures of one kind whose counterparts nobody knows; of prepared ones, those held out."""
    from types import SimpleNamespace

    from anime_keras.data import collections, records
    from anime_keras.metrics import counterparts

    name = collections.name(source)
    if style := collections.STYLES.get(source):
        album = collections.Rendered(count, size, style, counterparts.HELD_OUT + seed)
        return counterparts.Domain(name, album[:], album)
    if not Path(source).is_dir():
        fail(f"There is no folder {source}.")
    album = pictures_of(source, seed, SimpleNamespace(size=size, count=ALBUM))
    if (Path(source) / records.MANIFEST).is_file():
        prepared = records.Prepared.open(source)
        for split in ("test", "val"):
            if split in prepared.splits and prepared.count(split) >= 50:
                held_out = prepared.pictures(split)[:count]
                return counterparts.Domain(name, np.asarray(held_out), album)
    if run and source in (run.settings.data, run.settings.y):
        console.print(
            f"[yellow]Mind:[/] {escape(name)} has no held-out pictures: those that are translated "
            "are some that the run was trained on."
        )
    return counterparts.Domain(name, np.asarray(album[:count]), album)


def _generator(run: Any) -> Any:
    """A run's generator in float32, from latents to pictures in [-1, 1]."""
    import dataclasses

    import keras

    from anime_keras import shelf
    from anime_keras.metrics.evaluation import Generator
    from anime_keras.runs import Run

    if not isinstance(run, shelf.Shipped):  # the kit's own are in float32 as they come
        run = Run(run.folder, dataclasses.replace(run.settings, precision="float32"))
    exact = run.load_model()
    exact.generate(1)  # an averaged generator measures its statistics at its first drawing

    def draw(points: np.ndarray) -> np.ndarray:
        if hasattr(exact, "ask"):  # both ends of a step are asked for the same words
            points = exact.join(points, exact.ask(len(points)))
        return keras.ops.convert_to_numpy(exact(keras.ops.convert_to_tensor(points)))

    return Generator(draw, exact.latent_dim)


def _extractor(name: str) -> Any:
    from anime_keras.metrics import extractors

    if not name.endswith(".keras"):
        try:
            return extractors.get(name)
        except (ValueError, RuntimeError, FileNotFoundError) as error:
            fail(str(error))
    if not Path(name).is_file():
        fail(f"There is no file {name}.")
    return attempt(extractors.of_model, attempt(_network, name), Path(name).stem)


def _network(path: str) -> Any:
    """The model of a .keras file, of which nothing is run that is not Keras' own."""
    import keras

    return keras.saving.load_model(path, safe_mode=True)


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
    if found.translation:
        _show_translation(found.translation)
    for text in found.warnings:
        console.print(f"[yellow]Mind:[/] {escape(text)}")


def _show_translation(found: Any) -> None:
    from anime_keras.metrics import counterparts

    for one in counterparts.tables(found.to_dict()):
        console.print(f"\n[bold]{escape(one.title)}[/]")
        table = Table(box=None, pad_edge=False)
        for place, column in enumerate(one.columns):
            table.add_column(column, justify="right" if place else "left")
        for row in one.rows:
            table.add_row(*map(escape, row))
        console.print(table)
