"""Which questions a survey asks: trials, practice and attention checks, before any page is made."""

import dataclasses
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

REAL = "real"
NOISE = "noise"  # of attention checks
SHEET = 9  # pictures of a group, when variety is asked for
POOL = 4 * SHEET  # from so many are the groups of a source put together
PLAIN = ("hair_color", "eye_color", "expression", "glasses", "ornament")
"""Factors of drawn faces that people can see for themselves, without being told where borders are."""
FEWEST_WORDS, MOST_WORDS = 2, 24  # of a column of labels that can be asked about

TASKS: dict[str, tuple[Any, ...]] = {
    "real": ("real", "generated"),
    "better": ("a", "b"),
    "rating": (1, 2, 3, 4, 5),
    "variety": ("a", "b"),
    "attribute": ("yes", "no"),
}
"""Kind of trial -> the answers that there are. "a" is the first of a trial's two pictures, on
whichever side a rater sees it."""


@dataclass
class Trial:
    """One question.

    Attributes:
        task: a kind out of `TASKS`.
        sources: "real", a model or "noise", for each picture it shows.
        id: its name on the page and in the answers; says nothing of the truth.
        pictures: places among the survey's pictures.
        statement: what is asked, with "attribute": (attribute, word).
        true: whether the statement is true.
        check: "noise" or "instructed" for attention checks.
        expected: the answers that pass the check.
        files: where the pictures came from.
    """

    task: str
    sources: tuple[str, ...]
    id: str = ""
    pictures: tuple[int, ...] = ()
    statement: tuple[str, str] | None = None
    true: bool | None = None
    check: str | None = None
    expected: tuple[Any, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def on_page(self) -> dict[str, Any]:
        """What the page may know: nothing that tells the truth."""
        known = {"id": self.id, "task": self.task, "pictures": list(self.pictures)}
        if self.statement:
            known["statement"] = [word.replace("_", " ") for word in self.statement]
        if self.check == "instructed":
            known["instructed"] = self.expected[0]
        return known

    def to_dict(self) -> dict[str, Any]:
        """All of it, for the key."""
        return dataclasses.asdict(self)


def plan(
    tasks: Sequence[str],
    models: Sequence[str],
    shown_attributes: Sequence[str],
    count: int,
    checks: int,
) -> list[Trial]:
    """Trials without pictures: what of which source each shall show.

    Of "real" trials one half shows real pictures, the other half those of the models, as evenly as
    can be. "rating" shows every source equally often. "better" and "variety" go round all pairs of
    sources. "attribute" asks as often for what is there as for what is not.

    Args:
        tasks: kinds of trials.
        models: their names.
        shown_attributes: sources of pictures with known attributes.
        count: trials of each kind.
        checks: attention checks in each kind.
    """
    sources = [REAL, *models]
    pairs = list(combinations(sources, 2))
    trials = []
    for task in tasks:
        for i in range(count):
            if task == "real":
                shown = (REAL,) if i % 2 == 0 else (models[i // 2 % len(models)],)
            elif task == "rating":
                shown = (sources[i % len(sources)],)
            elif task == "attribute":
                shown = (shown_attributes[i // 2 % len(shown_attributes)],)
            else:
                shown = pairs[i % len(pairs)]
            trials.append(Trial(task, shown, true=i % 2 == 0 if task == "attribute" else None))
        trials += [_check(task, i, shown_attributes) for i in range(checks)]
    return trials


def _check(task: str, number: int, shown_attributes: Sequence[str]) -> Trial:
    """An attention check: noise among the pictures, or a question that says its answer.

    The latter shows a real picture and asks for an answer that such a picture would not get.
    """
    if task in ("better", "variety"):
        return Trial(task, (REAL, NOISE), check="noise", expected=("a",))
    if number % 2:
        wanted = {"real": "generated", "rating": 2, "attribute": "no"}[task]
        source, true = (shown_attributes[0], True) if task == "attribute" else (REAL, None)
        return Trial(task, (source,), true=true, check="instructed", expected=(wanted,))
    wanted = {"real": ("generated",), "rating": (1, 2), "attribute": ("no",)}[task]
    return Trial(task, (NOISE,), check="noise", expected=wanted)


def practice(
    tasks: Sequence[str], models: Sequence[str], shown_attributes: Sequence[str], count: int
) -> list[Trial]:
    """Trials to get used to the questions; they are not scored."""
    fewer = {"real": count, "variety": min(count, 1)}
    return [
        trial
        for task in tasks
        for trial in plan([task], models, shown_attributes, fewer.get(task, count // 2), checks=0)
    ]


def needed(trials: Sequence[Trial]) -> Counter:
    """How many pictures of each source the trials show, but for groups and noise."""
    return Counter(
        source
        for trial in trials
        if trial.task != "variety"
        for source in trial.sources
        if source != NOISE
    )


def statements(
    trials: Sequence[Trial],
    words: Mapping[str, deque],
    rng: np.random.Generator,
    names: Sequence[str] | None = None,
) -> None:
    """Fill in what the attribute trials ask, from what their pictures are known to show.

    Args:
        trials: the order is that of the pictures.
        words: source -> for each of its pictures attribute -> word.
        rng: chooses attributes, and the words that are not there.
        names: attributes to ask about; by default those in `PLAIN`, or all if there are none of them.

    Raises:
        ValueError: there is no attribute that could be asked about.
    """
    seen: dict[str, set[str]] = {}
    for rows in words.values():
        for row in rows:
            for attribute, word in row.items():
                seen.setdefault(attribute, set()).add(word)
    askable = {a: sorted(w) for a, w in seen.items() if FEWEST_WORDS <= len(w) <= MOST_WORDS}
    wanted = names or [name for name in PLAIN if name in askable] or list(askable)
    lacking = [name for name in wanted if name not in askable]
    if words and lacking:
        raise ValueError(
            f"There are no labels {lacking} of {FEWEST_WORDS} to {MOST_WORDS} different words to "
            f"ask for: there are {sorted(askable)}."
        )
    askable = {name: askable[name] for name in wanted}
    asked: Counter = Counter()
    for trial in trials:
        if trial.task != "attribute":
            continue
        if trial.sources == (NOISE,):
            candidates, row = list(askable), {}
        else:
            row = words[trial.sources[0]].popleft()
            candidates = [attribute for attribute in row if attribute in askable]
        if not candidates:
            raise ValueError(
                f"The pictures of {trial.sources[0]} have no label to ask for: it takes a labels.csv "
                f"with a column of {FEWEST_WORDS} to {MOST_WORDS} different words, and a word for "
                "every picture."
            )
        # Each attribute as often as the others, for what is there and for what is not.
        rng.shuffle(candidates)
        attribute = min(candidates, key=lambda name: asked[name, trial.true])
        asked[attribute, trial.true] += 1
        others = [word for word in askable[attribute] if word != row.get(attribute)]
        word = row[attribute] if trial.true else str(rng.choice(others))
        trial.statement = (attribute, word)
