"""The command line: `python -m anime_keras --help`."""

import csv
import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn, track
from rich.table import Table

from anime_keras.survey.commands import app as survey_app

app = typer.Typer(
    help="Learn image generation by drawing, training and measuring anime faces.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
)
data_app = typer.Typer(help="Draw the embedded dataset, prepare others.", no_args_is_help=True)
train_app = typer.Typer(help="Train a model into a run folder.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(train_app, name="train")
app.add_typer(survey_app, name="survey")
console = Console(highlight=False, soft_wrap=True)  # commands and paths can be copied whole

# What the demo trains. A few minutes on two cores are few for a GAN, so it takes many small steps: a
# narrow network, small batches, a generator that learns faster than the discriminator (Heusel et al.
# 2017), and the average of its weights to draw with. benchmarks/RESULTS.md has what was tried.
DEMO_FACES = 4096
DEMO_BATCH = 16
DEMO_NETWORK = {"width": 24, "ema": 0.998}
DEMO_RULES = {"learning_rate": 1e-3, "discriminator_learning_rate": 3e-4, "beta_2": 0.99}
DEMO_MINUTES = 3.5
DEMO_MEASURED = 2000

Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same result.")
]


@app.command()
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

    out = out or _free_folder(Path("runs/demo"))
    settings = Settings(
        count=DEMO_FACES,
        minutes=minutes,
        batch_size=DEMO_BATCH,
        seed=seed,
        network=DEMO_NETWORK,
        rules=DEMO_RULES,
    )
    run = _try(Run.create, out, settings)
    console.print(f"[bold]1.[/] Drawing {DEMO_FACES} anime faces whose every factor is known.")
    images = _pictures(settings)
    console.print(
        f"[bold]2.[/] A generator learns to draw such faces from noise, against a discriminator that "
        f"learns to tell its pictures from them, for {minutes:g} minutes.\n"
        f"   Watch {_path(out / 'samples')} as it gets better. Ctrl-C stops and keeps what there is."
    )
    if _train(run, images):
        console.print(f"\n[bold]3.[/] How good are they? {DEMO_MEASURED:,} new faces are measured.")
        evaluate(run=out, count=DEMO_MEASURED, metrics="fid,kid,prdc,neighbours,attributes")


@data_app.command("render")
def data_render(
    out: Annotated[Path, typer.Option(help="A new or empty folder.")],
    count: Annotated[int, typer.Option(min=1, help="How many faces.")] = 1000,
    size: Annotated[int, typer.Option(help="Side in pixels, 32 to 512.")] = 64,
    style: Annotated[str, typer.Option(help="anime or portrait")] = "anime",
    seed: Seed = 0,
) -> None:
    """Draw faces into a folder: a PNG each, labels.csv with every factor, landmarks.npz, sheet.png.

    Example: `python -m anime_keras data render --count 1000 --size 64 --out faces`
    """
    from anime_keras import data, plots

    if out.exists() and any(out.iterdir()):
        _fail(f"The folder {out} is not empty: choose another, or empty it.")
    _try(data.render, 0, size, style, seed)  # before the folder is made
    chunk = 500
    landmarks, first = [], None
    out.mkdir(parents=True, exist_ok=True)
    with (out / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for start in track(range(0, count, chunk), "drawing", console=console, transient=True):
            faces = data.render(min(chunk, count - start), size, style, seed, start)
            if first is None:
                first = faces
                writer.writerow(["file", *faces.factors])
            words = [[faces.names[f][i] for i in values] for f, values in faces.factors.items()]
            for i, image in enumerate(faces.images):
                name = f"{start + i:06d}.png"
                plots.save(out / "images" / name, image)
                writer.writerow([name, *(column[i] for column in words)])
            landmarks.append(faces.landmarks)
    np.savez(
        out / "landmarks.npz",
        points=np.concatenate(landmarks),
        names=np.array(first.landmark_names),
    )
    plots.save(out / "sheet.png", plots.grid(first.images[:64]))
    console.print(f"{count} faces of {size} px, with labels.csv and landmarks.npz, in {_path(out)}")
    console.print(f"Look at {_path(out / 'sheet.png')}")


@data_app.command("prepare")
def data_prepare(
    out: Annotated[Path, typer.Option(help="A new or empty folder.")],
    collection: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A folder, a zip, a tar, parquet files.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Download it: kaggle:owner/name or hf:owner/name.")
    ] = None,
    size: Annotated[int, typer.Option(help="Side in pixels, 8 to 1024.")] = 64,
    faces: Annotated[
        bool, typer.Option("--faces", help="Find faces, align and crop them.")
    ] = False,
    cascade: Annotated[
        Path | None, typer.Option(help="Find them with this lbpcascade_animeface.xml.")
    ] = None,
    margin: Annotated[float, typer.Option(help="How much is seen around a face.")] = 1.0,
    val: Annotated[float, typer.Option(help="Part of the pictures to validate on.")] = 0.05,
    test: Annotated[float, typer.Option(help="Part of the pictures to test on.")] = 0.05,
    near: Annotated[
        str, typer.Option(help="Near duplicates: remove all but one, or keep them together.")
    ] = "remove",
    least_side: Annotated[
        int | None, typer.Option(help="Drop what is smaller; half of --size by default.")
    ] = None,
    least_sharpness: Annotated[
        float, typer.Option(help="Drop what is more blurred; 0 keeps all.")
    ] = 0.2,
    layout: Annotated[
        str | None, typer.Option(help="How labels are told, if not found out.")
    ] = None,
    redo: Annotated[
        bool, typer.Option("--redo", help="Do it again in a folder that is done.")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; one a core.")] = None,
) -> None:
    """Turn any collection of pictures into clean, aligned, labelled records, with a report.

    Interrupted, the same command goes on where it was. Run twice, it does nothing the second time.

    Examples:
    `python -m anime_keras data prepare pictures.zip --size 64 --faces --out prepared`

    `python -m anime_keras data prepare --source kaggle:splcher/animefacedataset --out prepared`
    """
    if (collection is None) == (source is None):
        _fail("Say what to prepare: a SOURCE on this machine, or --source to download one.")
    from anime_keras import data

    detector = _try(data.faces.Cascade, cascade) if cascade else faces
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                # What was done before this call says nothing about the speed of it.
                tasks[what] = bar.add_task(what, total=total, completed=done)
            bar.update(tasks[what], completed=done)

        try:
            prepared = data.prepare(
                collection or source,
                out,
                size,
                faces=detector,
                margin=margin,
                val=val,
                test=test,
                near=near,
                least_side=least_side,
                least_sharpness=least_sharpness,
                layout=layout,
                redo=redo,
                workers=workers,
                progress=progress,
            )
        except KeyboardInterrupt:
            bar.stop()
            _fail(f"Stopped. What is done is kept in {out}: the same command goes on from there.")
        except (ValueError, OSError, RuntimeError) as error:
            bar.stop()
            _fail(str(error))
    if not tasks:
        console.print(f"Nothing to do: {_path(out)} holds these pictures already.")
    for text in prepared.manifest["source"]["warnings"]:
        console.print(f"[yellow]Mind:[/] {escape(text)}")
    for row in prepared.manifest["steps"]:
        removed = f"-{row['removed']:,}" if row["removed"] else ""
        console.print(f"   {row['step']:<16}{removed:>9}{row['left']:>10,}")
    counts = ", ".join(f"{prepared.count(split):,} {split}" for split in prepared.splits)
    console.print(f"{counts} pictures of {size} px in {_path(out)}")
    console.print(f"Look at {_path(out / 'report.html')}")


@train_app.command("dcgan")
def train_dcgan(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: Annotated[
        str, typer.Option(help="'rendered', or a folder of pictures, prepared or not.")
    ] = "rendered",
    count: Annotated[
        int | None,
        typer.Option(help="How many faces to draw (10,000), or pictures to use at most."),
    ] = None,
    size: Annotated[int, typer.Option(help="32, 64, 128 or 256 pixels.")] = 64,
    epochs: Annotated[int | None, typer.Option(help="Stop after so many.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so much training time.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    batch_size: Annotated[int, typer.Option(help="Pictures a step.")] = 64,
    accumulate: Annotated[int, typer.Option(help="Average gradients over so many batches.")] = 1,
    latent_dim: Annotated[int, typer.Option(help="Numbers that a picture is made from.")] = 100,
    width: Annotated[int, typer.Option(help="Channels next to the picture.")] = 64,
    loss: Annotated[
        str,
        typer.Option(
            help="non_saturating, minimax, least_squares, hinge, wasserstein or relativistic."
        ),
    ] = "non_saturating",
    learning_rate: Annotated[float, typer.Option(help="Adam's, of both players.")] = 2e-4,
    discriminator_learning_rate: Annotated[
        float | None, typer.Option(help="Where it should differ.")
    ] = None,
    decay: Annotated[
        str, typer.Option(help="Of the learning rate: constant, linear or cosine; needs --epochs.")
    ] = "constant",
    beta_1: Annotated[float, typer.Option(help="Adam's momentum.")] = 0.5,
    label_smoothing: Annotated[float, typer.Option(help="Real pictures get 1 - this.")] = 0.0,
    r1: Annotated[float, typer.Option(help="Gamma of the R1 penalty.")] = 0.0,
    gradient_penalty: Annotated[
        float | None, typer.Option(help="Weight; 10 by default with wasserstein, else 0.")
    ] = None,
    feature_matching: Annotated[float, typer.Option(help="Weight.")] = 0.0,
    content: Annotated[float, typer.Option(help="Weight of the L2 loss on pixels.")] = 0.0,
    normalization: Annotated[
        str | None, typer.Option(help="Of the discriminator: batch, layer or none.")
    ] = None,
    spectral_norm: Annotated[bool, typer.Option("--spectral-norm", help="In D.")] = False,
    augmentation: Annotated[
        str, typer.Option(help="What D sees is changed by: color,translation,cutout.")
    ] = "",
    ema: Annotated[float, typer.Option(help="Decay of the averaged generator; 0 for none.")] = 0.99,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror pictures at random.")] = False,
    precision: Annotated[str, typer.Option(help="auto, float32 or mixed_bfloat16.")] = "auto",
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Bit-exact.")] = False,
    checkpoint_minutes: Annotated[float, typer.Option(help="At most so long between two.")] = 5.0,
    score_every: Annotated[
        int, typer.Option(min=0, help="Measure FID and KID every so many epochs; 0 never.")
    ] = 0,
    seed: Seed = 0,
) -> None:
    """Train a DCGAN: pictures from noise.

    Examples:
    `python -m anime_keras train dcgan --epochs 20 --out runs/first`

    `python -m anime_keras train dcgan --data my_pictures --minutes 60 --flip --out runs/mine`

    `python -m anime_keras train dcgan --resume --out runs/mine`
    """
    from anime_keras.runs import Run, Settings

    if resume:
        _refuse_changes(context, except_for=("resume", "out", "epochs", "minutes"))
        run = _try(Run.open, out, **_given(epochs=epochs, minutes=minutes))
        console.print(f"Resuming the run in {_path(out)}.")
    else:
        needs_own = loss == "wasserstein" or bool(gradient_penalty)
        settings = Settings(
            data=data,
            count=count,
            size=size,
            epochs=epochs,
            minutes=minutes,
            batch_size=batch_size,
            seed=seed,
            flip=flip,
            precision=precision,
            deterministic=deterministic,
            checkpoint_minutes=checkpoint_minutes,
            score_every=score_every,
            network={
                "latent_dim": latent_dim,
                "width": width,
                # A gradient penalty looks at each picture by itself, and BatchNorm does not.
                "normalization": normalization or ("layer" if needs_own else "batch"),
                "spectral_norm": spectral_norm,
                "augmentation": [name for name in augmentation.split(",") if name],
                "ema": ema,
            },
            rules={
                "loss": loss,
                "learning_rate": learning_rate,
                "discriminator_learning_rate": discriminator_learning_rate,
                "beta_1": beta_1,
                "label_smoothing": label_smoothing,
                "gradient_penalty": gradient_penalty,
                "r1": r1,
                "feature_matching": feature_matching,
                "content": content,
                "decay": decay,
                "accumulate": accumulate,
            },
        )
        run = _try(Run.create, out, settings)
    _train(run, _pictures(run.settings))


@app.command()
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
        _fail(f"{out} must end in {' or '.join(wanted)}.")
    model = _try(_try(Run.open, run).load_model)
    if interpolate:
        points = latents.draw(max(count, 2), model.latent_dim, seed)
        path = latents.loop(points, frames_between=12)
        frames = [plots.grid(picture[None], gap=0, scale=scale) for picture in model.draw(path)]
        plots.gif(out, frames, seconds=0.08, hold=0.08)
    else:
        plots.save(out, plots.grid(model.generate(count, seed=seed), scale=scale))
    console.print(f"Look at {_path(out)}")


@app.command()
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
        _fail("Say what to measure: --run FOLDER, or --pictures FOLDER.")
    if pictures is not None and (data is None or out is None):
        _fail("With --pictures also say --data, what to compare with, and --out, where to write.")
    from anime_keras.data import collections
    from anime_keras.metrics import evaluation

    chosen = [name.strip() for name in metrics.split(",") if name.strip()]
    _try(evaluation.check_names, chosen)
    asked, generator = {}, None
    if run is not None:
        from anime_keras.runs import Generated, Run

        opened = _try(Run.open, run)
        settings = opened.settings
        real, held_out = _real(settings, data, count)
        model = _try(opened.load_model)
        fake = Generated(model, count, seed)
        if "ppl" in chosen:
            generator = _generator(opened)
    else:
        fake = _try(collections.Folder, pictures, count)
        real, held_out = _try(collections.collection, data, count, fake.shape[1], seed), None
        if "attributes" in chosen:
            asked = _try(fake.labels)
    for folder in (real, fake):
        for path, reason in list(getattr(folder, "rejected", {}).items())[:5]:
            console.print(f"   left out {escape(str(path))}: {escape(reason)}")
    network = _extractor(extractor)
    found = _measure(real, fake, chosen, network, seed, held_out, asked, generator)
    found.about["data"] = collections.name(data or settings.data)
    found.about["model"] = collections.name(run or pictures)
    folder = out or run
    path = _try(found.write, folder)
    _show(found)
    console.print(f"Written to {_path(path)}")
    if out is None:
        console.print(f"Look at {_path(opened.report())}")
    for name in () if out is None else ("attributes.png", "neighbours.png"):
        if (folder / name).exists():
            console.print(f"Look at {_path(folder / name)}")


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
            _fail(str(error))


def _real(settings: Any, data: str | None, count: int) -> tuple[Any, Any]:
    """Real pictures to compare a run with, and some that it was not trained on, or None."""
    from anime_keras.data import collections, records

    size = settings.size
    if data is not None or settings.data != "rendered":
        source = data or settings.data
        if Path(source).is_dir() and not (Path(source) / records.MANIFEST).is_file():
            if data is None:  # as the run read them: middle squares of its size
                return _pictures(settings)[:count], None
            return _try(collections.collection, source, count), None
        real = _try(collections.collection, source, count, size, settings.seed)
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
            _fail(str(error))
    import keras

    if not Path(name).is_file():
        _fail(f"There is no file {name}.")
    return _try(extractors.of_model, _try(keras.saving.load_model, name), Path(name).stem)


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


# --- shared by the commands -----------------------------------------------------------------------


def _pictures(settings: Any) -> Any:
    """The training pictures of a run's settings, with a bar."""
    from anime_keras.data import folders, records

    if settings.data == "rendered":
        images = _draw(settings.count or 10_000, settings.size, settings.seed)
    elif (Path(settings.data) / records.MANIFEST).is_file():
        prepared = _try(records.Prepared.open, settings.data)
        if prepared.size != settings.size:
            _fail(
                f"The pictures in {settings.data} are of {prepared.size} px, not {settings.size}: "
                f"say --size {prepared.size}."
            )
        images = _try(prepared.pictures, "train")
        if settings.count:
            images = images[: settings.count]
        console.print(f"Found {len(images)} prepared pictures in {escape(settings.data)}.")
    else:
        with console.status("Looking for pictures …") as status:
            pictures = _try(
                folders.load,
                settings.data,
                settings.size,
                settings.count,
                lambda done, total: status.update(f"Reading picture {done} of {total}"),
            )
        images = pictures.images
        console.print(f"Read {len(images)} pictures from {escape(settings.data)}.")
        for path, reason in list(pictures.rejected.items())[:5]:
            console.print(f"   left out {escape(str(path))}: {escape(reason)}")
        if len(pictures.rejected) > 5:
            console.print(f"   … and {len(pictures.rejected) - 5} more that could not be read.")
    return images


def _draw(count: int, size: int, seed: int) -> np.ndarray:
    from anime_keras import data

    chunk = max(64, 32 * 4096 // size)
    parts = [
        data.render(min(chunk, count - start), size, seed=seed, start=start).images
        for start in track(
            range(0, count, chunk), f"drawing {count} faces", console=console, transient=True
        )
    ]
    return np.concatenate(parts)


def _train(run: Any, images: np.ndarray) -> bool:
    """Train a run; say in the end what there is to see, or how to go on. True if it was not stopped."""
    try:
        position = run.train(images, progress=True)
    except (FloatingPointError, RuntimeError, ValueError, OSError) as error:
        _fail(str(error))
    folder = _path(run.folder)
    if position.stopped == "interrupt":
        console.print(
            f"\nStopped after step {position.step}, and saved. Go on with:\n"
            f"   python -m anime_keras train {run.settings.model} --resume --out {folder}"
        )
    console.print(
        f"\nThe report, with the faces: {_path(run.folder / 'report.html')}\n"
        f"More faces:  python -m anime_keras generate --run {folder} --seed 1 --out more.png"
    )
    return position.stopped != "interrupt"


def _refuse_changes(context: typer.Context, except_for: tuple[str, ...]) -> None:
    """What was chosen when a run began stays: an option that had no effect would mislead."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in except_for and source is not None and source.name == "COMMANDLINE":
            _fail(
                f"--{name.replace('_', '-')} cannot be changed with --resume, only --epochs and "
                "--minutes can. Begin another run for it."
            )


def _free_folder(wanted: Path) -> Path:
    """The folder, or the same with a number, so that no earlier run is touched."""
    candidates = [wanted, *(wanted.with_name(f"{wanted.name}-{n}") for n in range(2, 10_000))]
    return next(path for path in candidates if not path.exists())


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _path(path: Path) -> str:
    """A path as a command takes it, in bold."""
    return f"[bold]{escape(shlex.quote(str(path)))}[/]"


def _try(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call it; turn what a user can mend into one line instead of a traceback."""
    try:
        return function(*args, **kwargs)
    except (ValueError, FileNotFoundError, FileExistsError, TypeError) as error:
        _fail(str(error))


def _fail(message: str) -> None:
    console.print(f"[bold red]Error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(1)


def main() -> None:
    """Entry point."""
    app()
