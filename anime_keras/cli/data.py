"""`data render` and `data prepare`."""

import csv
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn, track

from anime_keras import files
from anime_keras.cli.shared import Seed, attempt, console, fail, shown

app = typer.Typer(help="Draw the embedded dataset, prepare others.", no_args_is_help=True)


@app.command("render")
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
        fail(f"The folder {out} is not empty: choose another, or empty it.")
    attempt(data.render, 0, size, style, seed)  # before the folder is made
    chunk = 500
    landmarks, first = [], None
    out.mkdir(parents=True, exist_ok=True)
    with (
        files.replacing(out / "labels.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
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
    points = {"points": np.concatenate(landmarks), "names": np.array(first.landmark_names)}
    with (
        files.replacing(out / "landmarks.npz") as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, **points)
    plots.save(out / "sheet.png", plots.grid(first.images[:64]))
    console.print(f"{count} faces of {size} px, with labels.csv and landmarks.npz, in {shown(out)}")
    console.print(f"Look at {shown(out / 'sheet.png')}")


@app.command("prepare")
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
    part: Annotated[
        str | None,
        typer.Option(
            help="Look at this part only, 0/8 to 7/8, on one of 8 machines; then once without."
        ),
    ] = None,
) -> None:
    """Turn any collection of pictures into clean, aligned, labelled records, with a report.

    Interrupted, the same command goes on where it was. Run twice, it does nothing the second time.

    Examples:
    `python -m anime_keras data prepare pictures.zip --size 64 --faces --out prepared`

    `python -m anime_keras data prepare --source kaggle:splcher/animefacedataset --out prepared`

    `python -m anime_keras data prepare millions --part $SLURM_ARRAY_TASK_ID/64 --out prepared`
    """
    if (collection is None) == (source is None):
        fail("Say what to prepare: a SOURCE on this machine, or --source to download one.")
    from anime_keras import data

    detector = attempt(data.faces.Cascade, cascade) if cascade else faces
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
                part=_part(part),
                progress=progress,
            )
        except KeyboardInterrupt:
            bar.stop()
            fail(f"Stopped. What is done is kept in {out}: the same command goes on from there.")
        except (ValueError, RuntimeError) as error:
            bar.stop()
            fail(str(error))
    if prepared is None:
        console.print(f"Part {part} is looked at. When all are: the same command without --part.")
        return
    if not tasks:
        console.print(f"Nothing to do: {shown(out)} holds these pictures already.")
    for text in prepared.manifest["source"]["warnings"]:
        console.print(f"[yellow]Mind:[/] {escape(text)}")
    for row in prepared.manifest["steps"]:
        removed = f"-{row['removed']:,}" if row["removed"] else ""
        console.print(f"   {row['step']:<16}{removed:>9}{row['left']:>10,}")
    counts = ", ".join(f"{prepared.count(split):,} {split}" for split in prepared.splits)
    console.print(f"{counts} pictures of {size} px in {shown(out)}")
    console.print(f"Look at {shown(out / 'report.html')}")


def _part(text: str | None) -> tuple[int, int] | None:
    """The index and count of "3/64"."""
    if text is None:
        return None
    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit()):
        fail(f"--part must be an index and a count, such as 3/64, not {text!r}.")
    return int(index), int(count)
