"""Build a survey: the page for the raters, and the key that stays at home.

The truth is in neither the page nor the answers. It is in the key, `survey.key.json`, written beside
the page: what is not there cannot be read by a curious rater, and answers cannot bring along a truth
of their own. `score` finds the key by the survey's id, which is a hash of the page's content.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras.data.records import replacing
from anime_keras.survey import design, page, pictures
from anime_keras.survey.design import NOISE, REAL, TASKS, Trial
from anime_keras.survey.pictures import Origin

FORMAT = "anime_keras survey key"
VERSION = 1
MANY_BYTES = 20_000_000  # more opens slowly on a phone


@dataclass
class Survey:
    """A survey that was built: its page, and what only its owner knows.

    Attributes:
        id: 16 hexadecimal digits out of the SHA-256 of all that the page asks and shows.
        title: of the page.
        models: names of what is compared.
        size: side of the pictures in pixels.
        trials: all questions with their truth.
        page: where the HTML lies; None after `Survey.open`, if it is not beside the key.
        key: where the key lies.
        warnings: a sentence each.
    """

    id: str
    title: str
    models: tuple[str, ...]
    size: int
    trials: list[Trial]
    page: Path | None
    key: Path
    warnings: list[str] = field(default_factory=list)

    @property
    def tasks(self) -> list[str]:
        """Kinds of trials, in the order of `design.TASKS`."""
        asked = {trial.task for trial in self.trials}
        return [task for task in TASKS if task in asked]

    @classmethod
    def open(cls, key: str | Path) -> "Survey":
        """Read a survey from its key.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no key, or was changed after it was written.
        """
        key = Path(key)
        if not key.is_file():
            raise FileNotFoundError(f"There is no key {key}.")
        try:
            content = json.loads(key.read_text(encoding="utf-8"))
            checksum = content.pop("sha256")
            if (content["format"], content["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is no {FORMAT!r} of version {VERSION}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{key} is no key of a survey ({error}). It lies beside the page that build wrote."
            ) from None
        if checksum != _checksum(content):
            raise ValueError(
                f"{key} was damaged or changed after it was written: its checksum is wrong. Build the "
                "survey again, with the same options and the same seed, to get the same key."
            )
        trials = []
        for row in content["trials"]:
            lists = ("sources", "pictures", "statement", "expected", "files")
            row.update({name: tuple(row[name]) for name in lists if row[name] is not None})
            trials.append(Trial(**row))
        beside = key.with_name(key.name.removesuffix(".key.json") + ".html")
        return cls(
            content["survey"],
            content["title"],
            tuple(content["models"]),
            content["size"],
            trials,
            beside if beside.is_file() else None,
            key,
        )


def build(
    out: str | Path,
    real: Origin,
    fakes: Mapping[str, Origin],
    attribute: Origin | Mapping[str, Origin] | None = None,
    tasks: Sequence[str] | None = None,
    count: int = 24,
    exposure: int | None = None,
    checks: int = 2,
    practice: int = 4,
    size: int | None = None,
    factors: Sequence[str] | None = None,
    title: str = "A survey about pictures",
    contact: str = "",
    seed: int = 0,
) -> Survey:
    """Make a survey of people's opinion: one HTML file, and the key to score it with.

    The page works offline, from a file, with mouse, touch, keyboard or screen reader. Every rater
    gets all trials in an order of their own. After Zhou et al. 2019 (HYPE) error rates come from a
    shown-until-answered or, with `exposure`, a briefly shown picture; answers record for how many
    milliseconds it really was to be seen.

    Args:
        out: the page, ending in .html; the key is written beside it, ending in .key.json.
        real: pictures to compare with: a folder, "rendered", an array, drawn faces.
        fakes: name of a model -> its pictures, likewise, or a function of (count, seed).
        attribute: pictures whose attributes are known: drawn faces, "rendered", or a folder with a
            labels.csv that says for each what was asked for; or several of them by name.
        tasks: kinds of trials out of `design.TASKS`; by default "real", "better", "rating", and
            "attribute" where `attribute` is given.
        count: trials of each kind.
        exposure: milliseconds that a "real" trial shows its picture; None until it is answered.
        checks: attention checks in each kind of trials.
        practice: practice trials with feedback before "real", half as many before the other kinds.
        size: side of all pictures in pixels; by default that of the smallest, at most 256.
        factors: attributes to ask about, such as "hair_color"; by default some that are easy to see, if
            the pictures have them, else all.
        title: over the page.
        contact: who asks, shown to the rater.
        seed: of the choice of pictures and words.

    Returns:
        The survey.

    Raises:
        FileNotFoundError: a folder is not there.
        ValueError: an option cannot work, or there are too few pictures.
    """
    out = Path(out)
    shown = _named(attribute)
    if tasks is None:
        tasks = ("real", "better", "rating", *(("attribute",) if shown else ()))
    _check(out, tasks, list(fakes), list(shown), count, exposure, checks, practice, size)
    tasks = [task for task in TASKS if task in tasks]
    rng = np.random.default_rng(seed)
    trials = design.plan(tasks, list(fakes), list(shown), count, checks)
    warm_up = design.practice(tasks, list(fakes), list(shown), practice)
    origins = {REAL: real, **fakes}
    drawn, side = _draw(origins, shown, [*trials, *warm_up], tasks, seed, size)
    warnings = _warnings(drawn, side)
    content = _Pictures(side, rng)
    words = {name: deque(p.words for p in drawn[name, "shown"]) for name in shown}
    design.statements([*trials, *warm_up], words, rng, factors)
    for trial in (*trials, *warm_up):
        _show(trial, drawn, content, rng)
    # The order on the page tells nothing: neither of the trials nor of the pictures.
    content.shuffle([*trials, *warm_up])
    trials = [trials[i] for i in rng.permutation(len(trials))]
    for number, trial in enumerate(trials, 1):
        trial.id = f"q{number:03d}"
    for number, trial in enumerate(warm_up, 1):
        trial.id = f"p{number:03d}"
    on_page = {
        "title": title,
        "contact": contact,
        "tasks": list(tasks),
        "exposure": exposure,
        "trials": [trial.on_page for trial in trials],
        "practice": [{**trial.on_page, **_truth(trial)} for trial in warm_up],
        "pictures": content.encoded,
    }
    identity = _checksum(on_page)[:16]
    html = page.compose({"id": identity, **on_page}, title)
    if len(html) > MANY_BYTES:
        warnings.append(
            f"The page has {len(html) / 1e6:.0f} MB and will open slowly on phones: ask for fewer "
            "trials (count) or smaller pictures (size)."
        )
    survey = Survey(
        *(identity, title, tuple(fakes), side, trials, out, _key_path(out)), warnings=warnings
    )
    _write(survey, html)
    return survey


def _named(attribute: Any) -> dict[str, Origin]:
    if attribute is None:
        return {}
    return dict(attribute) if isinstance(attribute, Mapping) else {"attribute": attribute}


def _key_path(out: Path) -> Path:
    return out.with_name(out.stem + ".key.json")


def _check(
    out: Path,
    tasks: Sequence[str],
    models: list[str],
    shown: list[str],
    count: int,
    exposure: int | None,
    checks: int,
    practice: int,
    size: int | None,
) -> None:
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out} must end in .html: a browser opens it.")
    unknown = [task for task in tasks if task not in TASKS]
    if unknown or not tasks:
        raise ValueError(f"There are no trials of the kind {unknown}: choose from {list(TASKS)}.")
    for name in (*models, *shown):
        if name in (REAL, NOISE) or not name.strip():
            raise ValueError(f"A model cannot be called {name!r}: give it another name.")
    if not models and set(tasks) != {"attribute"}:
        raise ValueError("There is no model to ask about: give at least one run or folder (fakes).")
    if "attribute" in tasks and not shown:
        raise ValueError("Trials of the kind 'attribute' need pictures with labels (attribute).")
    for what, value, least, most in (
        ("count", count, 2, 500),
        ("checks", checks, 0, 20),
        ("practice", practice, 0, 40),
        ("exposure", exposure, 16, 60_000),
        ("size", size, pictures.SMALLEST, 1024),
    ):
        if value is not None and not least <= value <= most:
            raise ValueError(f"{what} must be between {least} and {most}, not {value}.")


def _draw(
    origins: Mapping[str, Origin],
    shown: Mapping[str, Origin],
    trials: Sequence[Trial],
    tasks: Sequence[str],
    seed: int,
    size: int | None,
) -> tuple[dict[tuple[str, str], deque], int]:
    """Pictures for all trials by source, none used twice; and the side that all get."""
    wanted: list[tuple[str, str, Origin, int]] = []
    # Pictures of groups may come again in other groups, so they come from a pool of their own.
    groups = design.POOL if "variety" in tasks else 0
    need = design.needed([trial for trial in trials if trial.task != "attribute"])
    asked = design.needed([trial for trial in trials if trial.task == "attribute"])
    wanted += [(name, "seen", o, need[name] + groups) for name, o in origins.items()]
    wanted += [(name, "shown", o, asked[name]) for name, o in shown.items()]
    # Drawn faces can have any side, so they come last and take that of the others.
    wanted.sort(key=lambda one: isinstance(one[2], str) and one[2] == "rendered")
    drawn: dict[tuple[str, str], list] = {}
    for number, (name, purpose, origin, count) in enumerate(wanted):
        if not count:
            continue
        before = [p for some in drawn.values() for p in some]
        native = size or (max(pictures.side(before), pictures.SMALLEST) if before else None)
        try:
            drawn[name, purpose] = pictures.draw(
                origin, count, (1000 * seed + number) % 2**32, native
            )
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    side = size or pictures.side([p for some in drawn.values() for p in some])
    return {which: deque(some) for which, some in drawn.items()}, side


def _warnings(drawn: Mapping[tuple[str, str], deque], side: int) -> list[str]:
    enlarged = sorted(
        {name for (name, _), some in drawn.items() if pictures.side(list(some)) < side}
    )
    if not enlarged:
        return []
    return [
        f"Pictures of {', '.join(enlarged)} are enlarged to {side} px. Enlarged pictures are softer, "
        "and raters see that: better leave the size out."
    ]


class _Pictures:
    """The pictures of the page, as they are collected."""

    def __init__(self, side: int, rng: np.random.Generator) -> None:
        self.side, self.rng = side, rng
        self.encoded: list[str] = []

    def add(self, image: np.ndarray) -> int:
        self.encoded.append(pictures.encode(image))
        return len(self.encoded) - 1

    def shuffle(self, trials: Sequence[Trial]) -> None:
        order = self.rng.permutation(len(self.encoded))
        places = {int(old): new for new, old in enumerate(order)}
        self.encoded = [self.encoded[i] for i in order]
        for trial in trials:
            trial.pictures = tuple(places[place] for place in trial.pictures)


def _show(
    trial: Trial,
    drawn: Mapping[tuple[str, str], deque],
    content: _Pictures,
    rng: np.random.Generator,
) -> None:
    """Give a trial its pictures, the two of a pair in random order."""
    images, files = [], []
    purpose = "shown" if trial.task == "attribute" else "seen"
    for source in trial.sources:
        if trial.task == "variety":
            # The check of a group: nine times the same picture.
            pool = list(drawn[REAL if source == NOISE else source, purpose])[-design.POOL :]
            chosen = rng.choice(design.POOL, design.SHEET, replace=False)
            taken = [
                pool[i] for i in (chosen[:1].repeat(design.SHEET) if source == NOISE else chosen)
            ]
            images.append(pictures.sheet([pictures.square(p.image, content.side) for p in taken]))
            files.append(" ".join(p.name for p in taken))
        elif source == NOISE:
            images.append(pictures.noise(content.side, rng))
            files.append("")
        else:
            taken = drawn[source, purpose].popleft()
            images.append(pictures.square(taken.image, content.side))
            files.append(taken.name)
    order = rng.permutation(len(images))
    trial.sources = tuple(trial.sources[i] for i in order)
    trial.files = tuple(files[i] for i in order)
    trial.pictures = tuple(content.add(images[i]) for i in order)
    if len(images) == 2 and trial.check:
        trial.expected = ("ab"[trial.sources.index(REAL)],)


def _truth(trial: Trial) -> dict[str, str]:
    """What practice tells; its pictures are in no other trial."""
    if trial.task == "real":
        return {"truth": "real" if trial.sources == (REAL,) else "generated"}
    if trial.task == "attribute":
        return {"truth": "yes" if trial.true else "no"}
    return {}


def _checksum(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _write(survey: Survey, html: str) -> None:
    content = {
        "format": FORMAT,
        "version": VERSION,
        "survey": survey.id,
        "title": survey.title,
        "models": list(survey.models),
        "size": survey.size,
        "pictures_shown": dict(Counter(s for t in survey.trials for s in t.sources)),
        "trials": [trial.to_dict() for trial in survey.trials],
    }
    # As it will be read: tuples are lists in JSON.
    content = json.loads(json.dumps(content))
    key = {**content, "sha256": _checksum(content)}
    survey.page.parent.mkdir(parents=True, exist_ok=True)
    with replacing(survey.key) as partial:
        partial.write_text(json.dumps(key, indent=1) + "\n", encoding="utf-8")
    with replacing(survey.page) as partial:
        partial.write_text(html, encoding="utf-8")
