"""Any collection of pictures, made ready to train on.

    prepared = data.prepare("faces.zip", "prepared", size=64, faces=True)

Open and check, remove exact and near duplicates, find faces, align and crop, drop what is too small,
blank or blurred, resize without aliasing, write shards: see `prepare`. What every step did is on one
page with pictures, `report.html`.

The long part goes picture by picture (`prepare_work`), and can be stopped at any moment; the short
part looks at all of them at once (`prepare_choice`).
"""

import contextlib
import csv
import hashlib
import json
import shlex
import shutil
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from anime_keras import weights
from anime_keras.data import faces as faces_module
from anime_keras.data import prepare_choice, prepare_report, prepare_work, reading, records
from anime_keras.data.prepare_choice import Choice, Picture
from anime_keras.data.prepare_work import Chunk, Looker
from anime_keras.data.records import MANIFEST, Prepared, Record, replacing
from anime_keras.data.sources import Item, Source, open_source

REJECTED, FILES, REPORT = "rejected.csv", "source.csv", "report.html"
_WORK, _PLAN = ".work", "plan.json"
_VERSIONS = ("anime_keras", "numpy", "opencv-python-headless", "opencv-python", "pillow")


def prepare(
    source: str | Path,
    out: str | Path,
    size: int = 64,
    *,
    faces: bool | faces_module.Detector = False,
    margin: float = 1.0,
    val: float = 0.05,
    test: float = 0.05,
    near: str = "remove",
    least_side: int | None = None,
    least_sharpness: float = prepare_work.LEAST_SHARPNESS,
    layout: str | None = None,
    redo: bool = False,
    workers: int | None = None,
    part: tuple[int, int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Prepared | None:
    """Turn a collection of pictures into clean, labelled TFRecord shards.

    The steps: open and check every file; remove exact duplicates (same bytes); find faces and align
    them, or take the middle square; drop what is too small, blank or blurred; resize (area averaging
    down, cubic up); remove near duplicates; split; write.

    A file's split follows from the checksum of its bytes alone, so it is the same in every run and
    every collection. Splits that the collection itself has are kept. Near duplicates are never in two
    splits.

    Beside the shards, `out` gets manifest.json, pictures.csv (every picture with its labels),
    rejected.csv (every file or face that is left out, with step and reason), source.csv (every file
    that was looked at) and report.html.

    Interrupted by whatever, the next call goes on where it was and ends with the same bytes; called
    again when all is done, it looks at names, sizes and dates only and does nothing. On the way it
    takes twice the space of the result; memory does not grow with the pictures but for their names
    and hashes.

    Several machines can share the long part, which looks at every file: each is called with a `part`
    of its own and the same `out`, on a disk that all of them see. The last call, without, does what
    is left and makes the whole; whoever did what, the bytes are the same.

    Args:
        source: a folder, an archive or a known collection: see `sources.open_source`.
        out: a new or empty folder, or one that this was begun or done in before.
        size: side of the pictures in pixels, 8 to 1024.
        faces: look for faces and cut them out; True takes the detector that comes with the kit. All
            faces of a picture are taken, but of a labelled picture only the surest.
        margin: how much of a face's surroundings is seen: see `faces.align`.
        val: part of the pictures to validate on, where the collection has no splits itself.
        test: part of the pictures to test on, likewise.
        near: what to do with near duplicates: "remove" all but the largest of them, since what
            lies in a training set twice is what a generator learns by heart (Somepalli et al. 2023),
            or keep them "together" in one split.
        least_side: pixels of the file that must make up a picture's side; half of `size` unless told.
        least_sharpness: see `prepare_work.LEAST_SHARPNESS`; 0 keeps everything.
        layout: how the labels are told: see `sources.open_source`.
        redo: do it again, where `out` holds the result of other settings or of other files.
        workers: threads; as many as there are cores unless told.
        part: (index, count): look only at every count-th portion of the files, and make nothing yet.
        progress: called as progress(what is done, done, total).

    Returns:
        The prepared pictures; None of a part, if they are not there yet.

    Raises:
        FileNotFoundError: there is no such source.
        ValueError: an argument is out of its range, the source cannot be used, no picture is left, or
            `out` holds something else. The message says what to do.
        RuntimeError: another process is at work in `out`, or at this part of it.
        records.DiskFull: there is no space left; afterwards it goes on where it was.
    """
    out = Path(out)
    settings = _settings(
        size=size,
        faces=_name_detector(faces),
        margin=margin,
        val=val,
        test=test,
        near=near,
        least_side=size // 2 if least_side is None else least_side,
        least_sharpness=least_sharpness,
        layout=layout,
    )
    _check_place(source, out)
    if part and not 0 <= part[0] < part[1]:
        raise ValueError(f"There is no part {part[0]} of {part[1]}: they are 0 to {part[1] - 1}.")
    if find_spec("tensorflow") is None:  # better told now than after hours
        raise ValueError(
            "Records are written by TensorFlow, which is not installed. Run: pip install tensorflow"
        )
    with open_source(source, layout) as opened:
        stamps = _stamps(opened, source)
        done = _standing(out, settings, opened, stamps, redo)
        if done:
            _sweep(out)
            return done
        looker = Looker(
            size,
            settings["least_side"],
            least_sharpness,
            margin,
            faces_module.default_detector() if faces is True else faces or None,
        )
        try:
            with _locked(out, part) as work:
                with replacing(work / _PLAN, f"{_PLAN}-{part}") as plan:
                    plan.write_text(json.dumps({"settings": settings}), encoding="utf-8")
                job = _Job(opened, stamps, str(source), settings, work, progress or _silent)
                job.look(looker, workers, part or (0, 1))
                if part:
                    return None
                job.finish(out)
                shutil.rmtree(work)
        except NothingLeft:
            shutil.rmtree(work)
            with contextlib.suppress(OSError):  # there may be an earlier result, which stays
                out.rmdir()
            raise
    return Prepared.open(out)


class NothingLeft(ValueError):
    """Every file was left out; the message tells at which steps."""


class _Job:
    """One run of `prepare`."""

    def __init__(
        self,
        source: Source,
        stamps: Sequence[tuple[int, int]],
        address: str,
        settings: dict[str, Any],
        work: Path,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self.source = source
        self.stamps = stamps
        self.address = address
        self.settings = settings
        self.work = work
        self.progress = progress
        per_picture = ("size", "faces", "margin", "least_side", "least_sharpness")
        self.chunks = prepare_work.chunks(
            source.items, stamps, {name: settings[name] for name in per_picture}, work
        )

    def look(self, looker: Looker, workers: int | None, part: tuple[int, int]) -> None:
        """Look at every file of a part that was not looked at before."""
        index, count = part
        mine = self.chunks[index::count]
        todo = [chunk for chunk in mine if not chunk.is_done()]
        total = sum(len(chunk.items) for chunk in mine)
        done = total - sum(len(chunk.items) for chunk in todo)

        def add(more: int) -> None:
            nonlocal done
            done += more
            self.progress("looking at pictures", done, total)

        add(0)
        prepare_work.work(todo, self.source, looker, workers, add)

    def finish(self, out: Path) -> None:
        """Choose, write all files beside, and move them into their place."""
        settings = self.settings
        choice = prepare_choice.choose(
            self.chunks,
            settings["val"],
            settings["test"],
            settings["near"],
            bool(settings["faces"]),
            lambda done, total: self.progress("comparing look-alikes", done, total),
        )
        if not choice.kept:
            raise NothingLeft(_nothing_left(self.source, choice))
        new = self.work / "new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        _write_rejected(new / REJECTED, choice)
        _write_files(new / FILES, self.chunks, self.stamps)
        prepared = records.write(
            new,
            {
                split: (len(choice.split(split)), self._records(choice.split(split), split))
                for split in records.SPLITS
            },
            settings["size"],
            _label_names(self.source),
            self._about(choice),
        )
        prepare_report.write(new / REPORT, prepared, choice, self.source)
        _move(new, out)

    def _records(self, pictures: Sequence[Picture], split: str) -> Iterator[Record]:
        for number, picture in enumerate(pictures):
            if number % 256 == 0:
                self.progress(f"writing {split}", number, len(pictures))
            yield Record(picture.image(), picture.name, picture.sha256, picture.labels)

    def _about(self, choice: Choice) -> dict[str, Any]:
        card = self.source.card
        return {
            "source": {
                "name": self.source.name,
                "address": self.address,
                "layout": self.source.layout,
                "collection": card.name if card else None,
                "files": choice.files,
                "warnings": self.source.warnings,
            },
            "command": command(self.address, self.settings),
            "settings": self.settings,
            "versions": _versions(),
            "steps": choice.steps(),
        }


def command(source: str, settings: dict[str, Any]) -> str:
    """The command line that does the same, but for its --out."""
    words = ["python", "-m", "anime_keras", "data", "prepare", source, "--size", settings["size"]]
    words += ["--faces"] if settings["faces"] else []
    defaults = {"margin": 1.0, "val": 0.05, "test": 0.05, "near": "remove", "layout": None}
    for name, usual in defaults.items():
        if settings[name] != usual:
            words += [f"--{name}", settings[name]]
    if settings["least_side"] != settings["size"] // 2:
        words += ["--least-side", settings["least_side"]]
    if settings["least_sharpness"] != prepare_work.LEAST_SHARPNESS:
        words += ["--least-sharpness", settings["least_sharpness"]]
    return shlex.join(str(word) for word in [*words, "--out", "DIR"])


def _settings(**settings: Any) -> dict[str, Any]:
    """The settings, or a ValueError about the first that is out of its range."""
    s = settings
    for name, good, wanted in (
        ("size", 8 <= s["size"] <= 1024, "8 to 1024 pixels"),
        ("margin", s["margin"] > 0, "positive"),
        ("val", 0 <= s["val"] < 1, "a part of the pictures, such as 0.05"),
        ("test", 0 <= s["test"] < 1, "a part of the pictures, such as 0.05"),
        ("val", s["val"] + s["test"] < 1, "less than 1 together with test"),
        ("near", s["near"] in ("remove", "together"), "remove or together"),
        ("least_side", s["least_side"] >= 1, "at least 1"),
        ("least_sharpness", s["least_sharpness"] >= 0, "0 or more"),
    ):
        if not good:
            raise ValueError(f"{name} must be {wanted}, not {s[name]}.")
    return settings


def _name_detector(faces: Any) -> str | bool:
    """What tells one detector from another: its weights, or its class and its plain settings."""
    if not faces:
        return False
    if faces is True:
        return f"Network({weights.card('face_finder')['sha256'][:12]})"
    if isinstance(faces, str) or not callable(getattr(faces, "find", None)):
        raise ValueError(
            f"faces must be True, False or a detector with a method find, not {faces}."
        )
    kind = type(faces)
    plain = {k: v for k, v in vars(faces).items() if isinstance(v, (int, float, str, Path))}
    return f"{kind.__name__}({', '.join(f'{k}={v}' for k, v in sorted(plain.items()))})"


def _check_place(source: str | Path, out: Path) -> None:
    place = Path(source)
    if place.is_dir() and out.resolve().is_relative_to(place.resolve()):
        raise ValueError(
            f"{out} lies inside of {source}, whose pictures it is made from. Choose another folder."
        )
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; choose a folder.")


# --- what is there already ------------------------------------------------------------------------


def _stamps(source: Source, address: str | Path) -> list[tuple[int, int]]:
    """For each item the size in bytes and the date of its file, to see whether it is a new one.

    What is no file of its own, but lies in an archive or in parquet files, gets theirs. Of a download
    nothing is known but the names.
    """
    place = Path(address)
    holders = [place, *place.rglob("*.parquet")] if place.is_dir() else [place]
    found = [_stamp(path) for path in holders if path.is_file()]
    whole = sum(size for size, _ in found), max((date for _, date in found), default=0)
    if not place.is_dir():
        return [whole] * len(source.items)
    return [_stamp(place / item.name) or whole for item in source.items]


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _standing(
    out: Path,
    settings: dict[str, Any],
    source: Source,
    stamps: Sequence[tuple[int, int]],
    redo: bool,
) -> Prepared | None:
    """What was done in `out` before, if it is what is wanted now; ValueError if it is in the way."""
    plan = out / _WORK / _PLAN
    if redo or not out.exists():
        return None
    if (out / MANIFEST).is_file():
        prepared = Prepared.open(out)
        _compare(out, prepared.manifest.get("settings", {}), settings, "holds pictures prepared")
        changes = _changes(out, source, stamps)
        if changes:
            raise ValueError(
                f"The source has changed since {out} was prepared: {changes}. Prepare it again with "
                "redo (--redo), or choose another folder."
            )
        return prepared
    if plan.is_file():
        try:
            begun = json.loads(plan.read_text(encoding="utf-8"))["settings"]
        except (ValueError, KeyError):
            return None  # the power went while it was written: no more is lost than this note
        _compare(out, begun, settings, "holds work that was begun")
    elif any(path.name != _WORK for path in out.iterdir()):
        raise ValueError(f"The folder {out} is not empty: choose another, or empty it.")
    return None


def _compare(out: Path, there: dict[str, Any], wanted: dict[str, Any], what: str) -> None:
    names = [name for name in wanted if there.get(name) != wanted[name]]
    if names:
        differences = "; ".join(f"{name} {there.get(name)}, not {wanted[name]}" for name in names)
        raise ValueError(
            f"{out} {what} with other settings: {differences}. Choose another folder, or do it again "
            "with redo (--redo)."
        )


def _changes(out: Path, source: Source, stamps: Sequence[tuple[int, int]]) -> str:
    """What is another in the source since `out` was prepared, in words; "" if nothing is."""
    with (out / FILES).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        known = {row["file"]: row for row in csv.DictReader(file)}
    names = {item.name for item in source.items}
    added = [item.name for item in source.items if item.name not in known]
    removed = [name for name in known if name not in names]
    changed, labels = [], []
    for item, (size, modified) in zip(source.items, stamps, strict=True):
        row = known.get(item.name)
        if row is None:
            continue
        if row["labels"] != _labels(item):
            labels.append(item.name)
        # A copied folder has new dates and the same pictures.
        if [row["bytes"], row["modified"]] != [str(size), str(modified)]:
            with contextlib.suppress(reading.Unreadable):
                if hashlib.sha256(source.read_bytes(item)).hexdigest() == row["sha256"]:
                    continue
            changed.append(item.name)
    return ", ".join(
        f"{len(found):,} file{'s'[: len(found) != 1]} {what} ({found[0]}{' …'[: 2 * len(found) - 2]})"
        for found, what in (
            (added, "added"),
            (removed, "removed"),
            (changed, "changed"),
            (labels, "labelled anew"),
        )
        if found
    )


@contextlib.contextmanager
def _locked(out: Path, part: tuple[int, int] | None = None) -> Iterator[Path]:
    """The folder of unfinished work, which only one process has at a time, or one a part."""
    work = out / _WORK
    work.mkdir(parents=True, exist_ok=True)
    whole = FileLock(work / "lock", timeout=2 if part else 0)
    try:
        with contextlib.ExitStack() as held:
            if part:
                name = "part-{}-of-{}.lock".format(*part)
                held.enter_context(FileLock(work / name, blocking=False))
                with whole:  # for a moment: nobody makes the whole, or will without seeing ours
                    pass
            else:
                held.enter_context(whole)
                for other in sorted(work.glob("part-*.lock")):
                    held.enter_context(FileLock(other, blocking=False))
            yield work
    except Timeout as error:
        which = Path(error.lock_file).stem
        raise RuntimeError(
            f"Another process is preparing pictures into {out}"
            + (f" ({which})." if part or which != "lock" else ".")
        ) from None


def _sweep(out: Path) -> None:
    """Remove the work of a run that was killed after its last step, unless somebody is at it."""
    if (out / _WORK).exists():
        with contextlib.suppress(RuntimeError), _locked(out):
            shutil.rmtree(out / _WORK)


# --- what is written ------------------------------------------------------------------------------


def _label_names(source: Source) -> dict[str, tuple[str, ...]]:
    domains = {item.domain for item in source.items if item.domain}
    return {**source.label_names, **({"domain": tuple(sorted(domains))} if domains else {})}


def _labels(item: Item) -> str:
    """What a source says of a file, to be compared."""
    return json.dumps([item.labels, item.split, item.domain], sort_keys=True)


@contextlib.contextmanager
def _table(path: Path, *columns: str) -> Iterator[Any]:
    """A CSV file to write rows to; any file name goes into it."""
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        yield rows


def _write_rejected(path: Path, choice: Choice) -> None:
    with _table(path, "file", "step", "reason") as rows:
        for rejected in choice.rejected:
            rows.writerow([rejected.name, *rejected.reason])


def _write_files(path: Path, chunks: Sequence[Chunk], stamps: Sequence[tuple[int, int]]) -> None:
    with _table(path, "file", "bytes", "modified", "sha256", "labels") as rows:
        for chunk in chunks:
            for place, (item, seen) in enumerate(zip(chunk.items, chunk.read(), strict=True)):
                stamp = stamps[chunk.start + place]
                rows.writerow([item.name, *stamp, seen.sha256, _labels(item)])


def _move(new: Path, out: Path) -> None:
    """Put all that is new in the place of what is old; the manifest goes first and comes last."""
    (out / MANIFEST).unlink(missing_ok=True)
    for split in records.SPLITS:
        for old in out.glob(f"{split}-*-of-*.tfrecord"):
            old.unlink()
    for path in sorted(new.iterdir(), key=lambda path: path.name == MANIFEST):
        path.replace(out / path.name)


def _nothing_left(source: Source, choice: Choice) -> str:
    counts = []
    for row in choice.steps():
        if row["removed"]:
            first = next(one for one in choice.rejected if one.reason.step == row["step"])
            example = f"{first.name}: {first.reason.text}"
            counts.append(f"{row['removed']:,} at {row['step']!r} ({example})")
    return (
        f"None of the {choice.files:,} files of {source.name} is left: {', '.join(counts)}. Ask less "
        "of them (least_side, least_sharpness), or look whether these are the right files."
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _silent(what: str, done: int, total: int) -> None:
    pass
