"""`translate`: pictures, folders, films through a trained CycleGAN or AnimeGAN, or the kit's own."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from anime_keras.cli.shared import attempt, console, fail, shown
from anime_keras.files import told

SHEET = 16  # pairs on a sheet
LISTED = 20  # files that are left out, of which the reason is said
FRAMED = 24  # training pictures on which the eyes are looked for
MEND = (
    "Use --whole to translate whole pictures, or --already-faces if they show a face each, cut out."
)

Pairs = list[tuple[np.ndarray, np.ndarray]]


def translate(
    input: Annotated[Path, typer.Option(help="A picture, a film, or a folder of them.")],
    out: Annotated[Path, typer.Option(help="Folder to write to, but not where the pictures are.")],
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a CycleGAN's or AnimeGAN's run; the kit's own weights if none."
        ),
    ] = None,
    direction: Annotated[
        str,
        typer.Option(
            help="x2y (portrait to anime, with the kit's weights) or y2x, which AnimeGAN has not."
        ),
    ] = "x2y",
    paste: Annotated[
        bool, typer.Option("--paste", help="Put translated faces back into their picture.")
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="The whole picture: by overlapping tiles, or at once by an AnimeGAN."
        ),
    ] = False,
    already_faces: Annotated[
        bool,
        typer.Option("--already-faces", help="Look for no faces: take each middle square as one."),
    ] = False,
    longest: Annotated[
        int | None,
        typer.Option(min=1, help="With --whole: shrink pictures first to so many pixels a side."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make anew what is there already.")
    ] = False,
) -> None:
    """Turn photos into anime and back: faces, whole pictures, folders, films.

    Faces are found, turned upright and cut out as the network knows them; each becomes a PNG. Of a
    film the faces are put back into each frame. Originals are never touched. Interrupted, the same
    command goes on where it was. sheet.png shows inputs and outputs side by side.

    Examples:
    `python -m anime_keras translate --input photo.jpg --out anime`

    `python -m anime_keras translate --input holidays --paste --out anime`

    `python -m anime_keras translate --run runs/mine --direction y2x --input clip.mp4 --out photos`

    `python -m anime_keras translate --input landscape.jpg --whole --longest 512 --out anime`
    """
    if sum((paste, whole, already_faces)) > 1:
        fail("--paste, --whole and --already-faces exclude each other: choose one of them.")
    if longest and not whole:
        fail("--longest goes with --whole.")
    works = attempt(_plan, input, out)
    todo = [work for work in works if overwrite or not work.path.exists()]
    kind = "paste" if paste else "whole" if whole else "middle" if already_faces else "faces"
    outcome = _Outcome(there=len(works) - len(todo))
    if todo:
        way = _way(run, direction, kind, longest)
        _work(todo, way, out, outcome)
    _sum_up(outcome, out, overwrite)


# --- what is to be done ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Work:
    """A file to translate.

    Attributes:
        source: the picture or film.
        name: of it, as told to the user: relative to the folder.
        path: to be written; a picture's second face goes to NAME-2.png beside it, and so on.
        film: whether it moves.
    """

    source: Path
    name: str
    path: Path
    film: bool


def _plan(source: Path, out: Path) -> list[_Work]:
    """The work of an input; raises a ValueError with the remedy where there is none."""
    from anime_keras import films
    from anime_keras.data import archives, reading

    suffixes = (*reading.SUFFIXES, *films.SUFFIXES)
    if source.is_dir():
        folder = source
        names = [
            name
            for name in archives.Folder(source).names
            if PurePosixPath(name).suffix.lower() in suffixes
        ]
        if not names:
            raise ValueError(
                f"There is nothing to translate in {source}: no {', '.join(suffixes)} at any depth."
            )
    elif source.is_file():
        folder, names = source.parent, [source.name]
        if source.suffix.lower() not in suffixes:
            raise ValueError(
                f"{source} is neither a picture ({', '.join(reading.SUFFIXES)}) nor a film "
                f"({', '.join(films.SUFFIXES)})."
            )
    else:
        raise ValueError(f"There is no file or folder {source}.")
    moving = {name: films.is_film(folder / name) for name in names}
    results = _results({name: films.suffix(name) if moving[name] else ".png" for name in names})
    works = [_Work(folder / name, name, out / results[name], moving[name]) for name in names]
    home = folder.resolve()
    for parent in {out, *(work.path.parent for work in works)}:
        # Where originals are nobody may write, also not by way of links.
        above = parent.resolve().parents if source.is_dir() else ()
        if home in (parent.resolve(), *above):
            raise ValueError(
                f"--out {out} leads into {folder}, where the originals are: choose a folder of its "
                "own."
            )
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file: choose a folder.")
    return works


def _results(suffixes: dict[str, str]) -> dict[str, str]:
    """Names of inputs -> names of outputs, no two alike, and none that a second face might need.

    Args:
        suffixes: relative name of each input -> suffix of its output.

    Returns:
        "deep/a.jpg" -> "deep/a.png"; or "deep/a.jpg.png" where there are others that would be
        "deep/a.png" or take it for their own. It depends on which files there are, not on their order.
    """
    short = {name: str(PurePosixPath(name).with_suffix(suffixes[name])) for name in suffixes}
    long = {name: name + suffixes[name] for name in suffixes}
    wanted = Counter(result.casefold() for result in short.values())
    kept = {result.casefold() for result in long.values()} | {"sheet.png"}

    def is_free(result: str) -> bool:
        result = result.casefold()
        first = re.sub(r"-\d+\.png$", ".png", result)  # whose second face may be called so
        also = first != result and (first in wanted or first in kept)
        return wanted[result] == 1 and result not in kept and not also

    return {name: short[name] if is_free(short[name]) else long[name] for name in suffixes}


# --- how it is done -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Way:
    """How a picture is translated.

    Attributes:
        translate: pictures uint8 (count, size, size, 3) to as many others.
        size: their side in pixels.
        eyes: where the network knows them, as fractions of the side.
        kind: "faces", "paste", "whole" or "middle".
        longest: of a whole picture's sides, in pixels.
        at_once: whether the network takes pictures of any size.
    """

    translate: Callable[[np.ndarray], np.ndarray]
    size: int
    eyes: Any
    kind: str
    longest: int | None
    at_once: bool = False

    def pairs(
        self, image: np.ndarray, kind: str, progress: Callable[[int, int], None] | None = None
    ) -> Pairs:
        """Before and after, as they are shown and written: a pair a face, else one, or none."""
        from anime_keras import translating

        if kind == "whole":
            image = _shrunk(image, self.longest)
            if self.at_once:
                return [(image, translating.at_once(image, self.translate))]
            return [(image, translating.whole(image, self.translate, self.size, progress=progress))]
        if kind == "middle":
            return [translating.middle(image, self.translate, self.size)]
        found = translating.each_face(image, self.translate, self.size, self.eyes)
        if kind == "paste":
            return [(image, translating.paste(image, found))] if found else []
        return [(face.before, face.after) for face in found]


def _shrunk(image: np.ndarray, longest: int | None) -> np.ndarray:
    import cv2

    scale = (longest or np.inf) / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(round(scale * side), 1) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _way(run: Path | None, direction: str, kind: str, longest: int | None) -> _Way:
    from anime_keras.models import AnimeGAN
    from anime_keras.models.cyclegan import DIRECTIONS

    if direction not in DIRECTIONS:
        fail(f"--direction must be {' or '.join(DIRECTIONS)}, not {direction!r}.")
    settings = None
    if run is None:
        model = attempt(load_shipped)
    else:
        from anime_keras import shelf

        opened = attempt(shelf.find, run)
        if not opened.settings.translates:
            fail(
                f"{run} makes pictures from noise, it translates none: give the run of a CycleGAN "
                "(python -m anime_keras train cyclegan --help)."
            )
        # How the kit's own want their faces framed is known.
        settings = None if isinstance(opened, shelf.Shipped) else opened.settings
        model = attempt(opened.load_model)
    draws = isinstance(model, AnimeGAN)  # one way, and pictures of any size
    if draws and direction != "x2y":
        fail(f"{run} is an AnimeGAN, which knows no way back: leave out --direction.")
    size = model.image_size
    eyes = _eyes(settings, direction, size) if kind in ("faces", "paste") else None
    translate = model.translate if draws else lambda images: model.translate(images, direction)
    return _Way(translate, size, eyes, kind, longest, at_once=draws)


def load_shipped() -> Any:
    """The CycleGAN that comes with the kit: drawn portraits and drawn anime faces.

    Raises:
        FileNotFoundError: this copy of the kit has no such weights.
    """
    try:
        from anime_keras.weights import portrait_anime
    except ImportError:
        raise FileNotFoundError(
            "This copy of the kit has no weights to translate with: train your own "
            "(python -m anime_keras train cyclegan --help), and give it as --run."
        ) from None
    return portrait_anime.load()


def _eyes(settings: Any, direction: str, size: int) -> Any:
    """Where the pictures have the eyes that the network learned from, so that others are cut alike."""
    from anime_keras import translating
    from anime_keras.data import collections, folders, records

    drawn = translating.EYES["portrait" if direction == "x2y" else "anime"]
    if settings is None:
        return drawn
    source = settings.data if direction == "x2y" else settings.y
    if style := collections.STYLES.get(source):
        return translating.EYES[style]
    try:
        if (Path(source) / records.MANIFEST).is_file():
            images = records.Prepared.open(source).pictures("train")[:FRAMED]
        else:
            images = folders.load(source, size, FRAMED).images
        return translating.mean_eyes(images)
    except (ValueError, OSError) as error:
        console.print(
            f"[yellow]Mind:[/] faces are framed as drawn ones, since those that the run learned from "
            f"tell nothing: {escape(str(error))}"
        )
        return drawn


# --- doing it -------------------------------------------------------------------------------------


@dataclass
class _Outcome:
    """What became of the work.

    Attributes:
        there: files whose result was there before.
        pictures: that were translated.
        faces: that were written, one by one.
        films: that were translated.
        sheets: pairs for the sheet, side by side.
        faceless: files without a face.
        unreadable: name -> reason.
        notes: what else is to be said.
        stopped: whether Ctrl-C came.
        silent: whether a video lost its sound.
    """

    there: int = 0
    pictures: int = 0
    faces: int = 0
    films: int = 0
    stopped: bool = False
    silent: bool = False

    def __post_init__(self) -> None:
        self.sheets: list[np.ndarray] = []
        self.faceless: list[str] = []
        self.unreadable: dict[str, str] = {}
        self.notes: list[str] = []

    def show(self, pairs: Pairs) -> None:
        """Put pairs on the sheet, while there is room."""
        from anime_keras import translating

        for before, after in pairs[: SHEET - len(self.sheets)]:
            self.sheets.append(translating.side_by_side(before, after))


def _work(todo: list[_Work], way: _Way, out: Path, outcome: _Outcome) -> None:
    """Translate file after file, with a bar."""
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        files = bar.add_task("files", total=len(todo), visible=len(todo) > 1)
        for work in todo:
            part = bar.add_task(escape(work.name), total=None, visible=work.film)
            try:
                (_film if work.film else _picture)(work, way, outcome, _updates(bar, part))
            except (ValueError, RuntimeError) as reason:  # of this file; the others go on
                outcome.unreadable[work.name] = str(reason)
            except KeyboardInterrupt:
                outcome.stopped = True
            except OSError as error:  # a full disk, say
                bar.stop()
                _sum_up(outcome, out, last=f"{work.name}: {told(error)}")
            bar.remove_task(part)
            bar.advance(files)
            if outcome.stopped:
                return


def _updates(bar: Progress, task: Any) -> Callable[[int, int | None], None]:
    def progress(done: int, total: int | None) -> None:
        bar.update(task, completed=done, total=total, visible=total is None or total > 1)

    return progress


def _picture(
    work: _Work, way: _Way, outcome: _Outcome, progress: Callable[[int, int | None], None]
) -> None:
    from anime_keras import plots
    from anime_keras.data import reading

    pairs = way.pairs(reading.read(work.source), way.kind, progress)
    if not pairs:
        outcome.faceless.append(work.name)
        return
    paths = [work.path.with_name(f"{work.path.stem}-{n}.png") for n in range(2, len(pairs) + 1)]
    # The first face last: once it is there, the picture is done, whenever the power goes.
    for path, (_, after) in reversed(list(zip([work.path, *paths], pairs, strict=True))):
        plots.save(path, after)
    outcome.show(pairs)
    outcome.pictures += 1
    outcome.faces += len(pairs) if way.kind == "faces" else 0


def _film(
    work: _Work, way: _Way, outcome: _Outcome, progress: Callable[[int, int | None], None]
) -> None:
    from anime_keras import films

    film = films.Film(work.source)
    kind = "paste" if way.kind == "faces" else way.kind
    shown_pairs: Pairs = []
    faceless = 0

    def change(frame: np.ndarray) -> np.ndarray:
        nonlocal faceless
        pairs = way.pairs(frame, kind)
        if not pairs:
            faceless += 1
            return frame
        if not shown_pairs:
            shown_pairs.extend(pairs)
        return pairs[0][1]

    done = films.convert(film, work.path, change, lambda frames: progress(frames, film.frames))
    outcome.stopped = done.stopped
    if done.path is None:
        if not done.stopped:
            outcome.unreadable[work.name] = "not one frame of it can be read"
        return
    if faceless == done.frames:
        done.path.unlink()
        outcome.faceless.append(work.name)
        return
    outcome.show(shown_pairs)
    outcome.films += not done.stopped
    outcome.silent |= film.suffix == ".mp4"
    if done.stopped:
        of = f" of {film.frames}" if film.frames else ""
        outcome.notes.append(
            f"The first {done.frames}{of} frames of {work.name} are in {done.path}; the same "
            "command makes all of it anew."
        )
    elif film.frames and done.frames < 0.95 * film.frames:
        outcome.notes.append(
            f"{work.name} is damaged or cut short: {done.frames} of {film.frames} frames were read."
        )
    if faceless:
        outcome.notes.append(
            f"{work.name}: {faceless} of {done.frames} frames show no face, and stay as they are."
        )


# --- what is said ---------------------------------------------------------------------------------


def _sum_up(outcome: _Outcome, out: Path, overwrite: bool = False, last: str = "") -> None:
    """Write the sheet and say what there is; ends with exit code 1 if it was stopped or vain."""
    from anime_keras import plots

    for name, reason in list(outcome.unreadable.items())[:LISTED]:
        console.print(f"   left out {escape(name)}: {escape(reason)}")
    if len(outcome.unreadable) > LISTED:
        console.print(f"   … and {len(outcome.unreadable) - LISTED} more that could not be read.")
    for name in outcome.faceless[:LISTED]:
        console.print(f"   no face found on {escape(name)}")
    if len(outcome.faceless) > LISTED:
        console.print(f"   … nor on {len(outcome.faceless) - LISTED} more.")
    if outcome.faceless:
        console.print(f"   {MEND}")
    for note in outcome.notes:
        console.print(f"[yellow]Mind:[/] {escape(note)}")
    if outcome.silent:
        console.print(
            "[yellow]Mind:[/] sound is not kept. With ffmpeg: ffmpeg -i NEW.mp4 -i OLD -map 0:v "
            "-map 1:a -c copy SOUND.mp4"
        )
    if outcome.there:
        console.print(
            f"{_count(outcome.there, 'file')} translated before stay as they are: --overwrite makes "
            "them anew."
        )
    done = [
        _count(outcome.pictures, "picture") if outcome.pictures else "",
        _count(outcome.films, "film") if outcome.films else "",
    ]
    if any(done):
        faces = f", {_count(outcome.faces, 'face')}," if outcome.faces else ""
        console.print(f"{' and '.join(filter(None, done))}{faces} translated into {shown(out)}")
    if outcome.sheets:
        sheet = out / "sheet.png" if overwrite else next(p for p in _sheets(out) if not p.exists())
        plots.save(sheet, plots.grid(np.stack(outcome.sheets), columns=3, gap=12))
        console.print(f"Look at {shown(sheet)}")
    if last:
        fail(last)
    if outcome.stopped:
        fail(f"Stopped. What is done is kept in {out}: the same command goes on from there.")
    if not any(done) and not outcome.there:
        fail("Nothing was translated: the reasons are above.")


def _sheets(out: Path) -> Iterator[Path]:
    """Names for the sheet, so that nothing of the user's is written over."""
    yield out / "sheet.png"
    for number in range(2, 10_000):
        yield out / f"sheet-{number}.png"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"
