"""From answers to numbers: who was fooled how often, what is preferred, and how sure that is."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras.data.records import replacing
from anime_keras.survey import answers, statistics
from anime_keras.survey.answers import Rater, Rules
from anime_keras.survey.building import Survey
from anime_keras.survey.design import NOISE, REAL, Trial
from anime_keras.survey.statistics import Estimate

FEW_RATERS = 6  # with fewer no comparison can be significant at 5%


@dataclass(frozen=True)
class Measure:
    """One number about one source of pictures.

    Attributes:
        task: kind of trial.
        name: what it is, in words.
        source: "real", a model, or for an attribute its name.
        estimate: with its interval.
        chance: what guessing gives; None where there is no such value.
    """

    task: str
    name: str
    source: str
    estimate: Estimate
    chance: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Two sources compared, rater by rater.

    Attributes:
        task: kind of trial.
        name: what is compared.
        one: a source.
        other: another.
        difference: of `one` less `other`; for preferences of the share for `one` less one half.
        p: of the sign-flip test.
        p_holm: corrected for all comparisons of this kind of trial.
    """

    task: str
    name: str
    one: str
    other: str
    difference: float
    p: float
    p_holm: float


@dataclass(frozen=True)
class Agreement:
    """How far raters agree.

    Attributes:
        task: kind of trial.
        level: of Krippendorff's alpha.
        alpha: None where it is not defined.
        trials: how many it is of.
    """

    task: str
    level: str
    alpha: float | None
    trials: int


@dataclass
class Scores:
    """What a survey found. Prints as tables; `write` makes files of it.

    Attributes:
        survey: its id.
        title: of its page.
        models: their names.
        raters: numbers of those who count.
        measures: error rates, preferences, ratings, attributes.
        comparisons: of sources, with corrected p-values.
        agreement: between raters.
        rejected: (file, rater, why), for answers that are sound but do not count.
        refused: (file, why), for files that are no answers to this survey.
        comments: (rater, what they wrote).
        warnings: what to mind when reading the numbers.
    """

    survey: str
    title: str
    models: tuple[str, ...]
    raters: list[str]
    measures: list[Measure]
    comparisons: list[Comparison]
    agreement: list[Agreement]
    rejected: list[tuple[str, str, str]]
    refused: list[tuple[str, str]]
    comments: list[tuple[str, str]]
    warnings: list[str] = field(default_factory=list)

    def measure(self, task: str, source: str, name: str | None = None) -> Measure:
        """The measure of a source in a kind of trial.

        Raises:
            KeyError: there is none.
        """
        for measure in self.measures:
            if (measure.task, measure.source) == (task, source) and name in (None, measure.name):
                return measure
        raise KeyError(f"There is no measure of {source!r} in {task!r}.")

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return dataclasses.asdict(self)

    def write(self, folder: str | Path) -> Path:
        """Write scores.json, scores.png and report.html; returns the path of the report."""
        from anime_keras.survey import report

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "scores.json") as partial:
            text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
        return report.write(folder, self)

    def __rich__(self) -> Any:
        from anime_keras.survey import report

        return report.tables(self)

    def _repr_html_(self) -> str:
        from anime_keras.survey import report

        return report.body(self)


def score(
    sources: Iterable[str | Path | Mapping[str, Any]] | str | Path,
    key: Survey | str | Path | None = None,
    rules: Rules | None = None,
    seed: int = 0,
) -> Scores:
    """Score raters' answers.

    Intervals are about other raters before the same pictures: more pictures, not more raters, tell
    more about a model. Shares have Wilson's interval at the effective number of answers, means
    Student's t over raters (see `statistics`). Sources are compared rater by rater with a sign-flip
    test, corrected after Holm within each kind of trial.

    Args:
        sources: files, folders of .json files, or contents of files.
        key: the survey, or its key; by default looked for beside the answers, a folder higher, and
            where the program runs.
        rules: when a rater's answers do not count.
        seed: of the random sign flips with more than 14 raters.

    Returns:
        The scores; files that cannot be used are in `refused`, raters that do not count in `rejected`.

    Raises:
        FileNotFoundError: there are no files, or no key for them.
        ValueError: nobody's answers count; the message says why.
    """
    rules = rules or Rules()
    sources = _files(sources)
    survey = key if isinstance(key, Survey) else Survey.open(key) if key else _find_key(sources)
    raters, refused = [], []
    for source in sources:
        try:
            raters.append(answers.read(source, survey))
        except answers.Refused as reason:
            name = "an answer in memory" if isinstance(source, Mapping) else str(source)
            refused.append((name, str(reason)))
    kept, rejected = answers.screen(raters, survey, rules)
    if not kept:
        reasons = [f"{rater.file}: {why}" for rater, why in rejected]
        reasons += [f"{name}: {why}" for name, why in refused]
        shown = "\n".join(f"   {reason}" for reason in reasons[:10])
        raise ValueError(f"Nobody's answers count, of {len(reasons)} files:\n{shown}")
    measures, comparisons, agreement = [], [], []
    for task in survey.tasks:
        trials = [trial for trial in survey.trials if trial.task == task and not trial.check]
        more, compared = _TASKS[task](task, trials, kept, survey)
        measures += more
        comparisons += _compare(compared, seed)
        agreement.append(_agreement(task, trials, kept))
    return Scores(
        survey.id,
        survey.title,
        survey.models,
        [rater.id for rater in kept],
        measures,
        comparisons,
        agreement,
        [(rater.file, rater.id, why) for rater, why in rejected],
        refused,
        [(rater.id, rater.comment) for rater in kept if rater.comment.strip()],
        _warnings(kept, rejected),
    )


def _files(sources: Any) -> list[Any]:
    if isinstance(sources, str | Path | Mapping):
        sources = [sources]
    files: list[Any] = []
    for source in sources:
        if isinstance(source, Mapping):
            files.append(source)
        elif Path(source).is_dir():
            files += sorted(Path(source).glob("*.json"))
        elif Path(source).exists():
            files.append(Path(source))
        else:
            raise FileNotFoundError(f"There is no file {source}.")
    # One file given twice, as by a folder and by its name, is one file.
    seen: set[Path] = set()
    unique = [
        f
        for f in files
        if isinstance(f, Mapping) or not (f.resolve() in seen or seen.add(f.resolve()))
    ]
    if not unique:
        raise FileNotFoundError("There are no answers: give the files that raters sent.")
    return unique


def _find_key(sources: Sequence[Any]) -> Survey:
    """The key of most answers, from the places where it is likely to be."""
    ids: Counter = Counter()
    folders = [Path()]
    for source in sources:
        content = source
        if not isinstance(source, Mapping):
            folders += [source.parent, source.resolve().parent.parent]
            try:
                content = answers.parse(source)
            except answers.Refused:
                continue
        ids[str(content.get("survey"))] += 1
    keys = {}
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.glob("*.key.json")):
            try:
                survey = Survey.open(path)
            except ValueError:
                continue
            keys.setdefault(survey.id, survey)
    for identity, _ in ids.most_common():
        if identity in keys:
            return keys[identity]
    raise FileNotFoundError(
        "The key of this survey was found neither beside the answers nor in the folder above nor "
        "here. Say where it is (--key): build wrote it beside the page, and its name ends in "
        ".key.json."
    )


# --- what each kind of trial tells ----------------------------------------------------------------

# What is compared: name, and source -> one number a rater; or (one, other) -> one number a rater.
_Compared = tuple[str, str, dict[Any, np.ndarray]]


def _gather(
    trials: Sequence[Trial], raters: Sequence[Rater], value: Callable[[Trial, Any], float]
) -> list[np.ndarray]:
    """For each rater who answered any of the trials, the values of the answers."""
    rows = [
        np.array([value(t, r.answers[t.id].value) for t in trials if t.id in r.answers], np.float64)
        for r in raters
    ]
    return [row for row in rows if len(row)]


def _of(trials: Sequence[Trial], source: str) -> list[Trial]:
    return [trial for trial in trials if source in trial.sources]


def _by_source(
    trials: Sequence[Trial],
    raters: Sequence[Rater],
    sources: Sequence[str],
    value: Callable[[Trial, Any], float],
) -> dict[str, np.ndarray]:
    """Source -> each rater's mean; only raters who answered about every source."""
    rated = {s: {t.id for t in _of(trials, s)} for s in sources}
    whole = [r for r in raters if all(ids & r.answers.keys() for ids in rated.values())]
    return {
        s: np.array([one.mean() for one in _gather(_of(trials, s), whole, value)]) for s in sources
    }


def _real(task: str, trials: list[Trial], raters: list[Rater], survey: Survey) -> tuple:
    sources = _present(trials, survey)
    called_real = lambda _, answer: answer == "real"  # noqa: E731
    measures = []
    for source in sources:
        real = source == REAL
        name = "real taken for generated" if real else "generated taken for real"
        wrong = (lambda _, a: a == "generated") if real else called_real
        groups = _gather(_of(trials, source), raters, wrong)
        measures.append(Measure(task, name, source, statistics.share(groups), 0.5))
    groups = _gather(trials, raters, lambda t, a: (a == "real") != (t.sources == (REAL,)))
    measures.append(Measure(task, "wrong answers", "all", statistics.share(groups), 0.5))
    compared = _by_source(trials, raters, sources, called_real)
    return measures, (task, "called real", compared)


def _rating(task: str, trials: list[Trial], raters: list[Rater], survey: Survey) -> tuple:
    sources = _present(trials, survey)
    value = lambda _, answer: float(answer)  # noqa: E731
    measures = [
        Measure(
            task, "mean rating, 1 to 5", s, statistics.mean(_gather(_of(trials, s), raters, value))
        )
        for s in sources
    ]
    return measures, (task, "rating", _by_source(trials, raters, sources, value))


def _preference(task: str, trials: list[Trial], raters: list[Rater], survey: Survey) -> tuple:
    word = "more varied than" if task == "variety" else "preferred to"
    measures, compared = [], {}
    for one, other in combinations(_present(trials, survey), 2):
        # Of a model and the real pictures, the model's side is told.
        one, other = (other, one) if one == REAL else (one, other)
        pairs = [trial for trial in trials if set(trial.sources) == {one, other}]
        groups = _gather(pairs, raters, lambda t, a, one=one: t.sources["ab".index(a)] == one)
        if groups:
            name = f"{word} {other}"
            measures.append(Measure(task, name, one, statistics.share(groups), 0.5))
            compared[one, other] = np.array([group.mean() for group in groups]) - 0.5
    return measures, (task, word.rpartition(" ")[0], compared)


def _attribute(task: str, trials: list[Trial], raters: list[Rater], survey: Survey) -> tuple:
    sources = sorted({source for trial in trials for source in trial.sources})
    right = lambda t, a: (a == "yes") == t.true  # noqa: E731
    yes = lambda _, a: a == "yes"  # noqa: E731
    measures = []
    for s in sources:
        for name, chosen, value, chance in (
            ("right answers", _of(trials, s), right, 0.5),
            ("seen where asked for", [t for t in _of(trials, s) if t.true], yes, None),
            ("seen where not asked for", [t for t in _of(trials, s) if not t.true], yes, None),
        ):
            groups = _gather(chosen, raters, value)
            if groups:
                measures.append(Measure(task, name, s, statistics.share(groups), chance))
    for attribute in sorted({trial.statement[0] for trial in trials}):
        groups = _gather([t for t in trials if t.statement[0] == attribute], raters, right)
        if groups:
            share = statistics.share(groups)
            measures.append(Measure(task, "right answers about", attribute, share, 0.5))
    compared = _by_source(trials, raters, sources, right)
    return measures, (task, "right answers", compared)


_TASKS = {
    "real": _real,
    "better": _preference,
    "rating": _rating,
    "variety": _preference,
    "attribute": _attribute,
}


def _present(trials: Sequence[Trial], survey: Survey) -> list[str]:
    there = {source for trial in trials for source in trial.sources} - {NOISE}
    return [source for source in (REAL, *survey.models) if source in there]


def _compare(compared: _Compared, seed: int) -> list[Comparison]:
    task, name, values = compared
    if values and isinstance(next(iter(values)), tuple):
        differences = values
    else:
        differences = {
            (one, other): values[one] - values[other] for one, other in combinations(values, 2)
        }
    differences = {pair: d for pair, d in differences.items() if len(d)}
    p = [statistics.sign_flip(d, seed) for d in differences.values()]
    return [
        Comparison(task, name, one, other, float(d.mean()), raw, corrected)
        for ((one, other), d), raw, corrected in zip(
            differences.items(), p, statistics.holm(p) if p else [], strict=True
        )
    ]


def _agreement(task: str, trials: Sequence[Trial], raters: Sequence[Rater]) -> Agreement:
    level = "ordinal" if task == "rating" else "nominal"
    numbers = {value: float(i) for i, value in enumerate(answers.TASKS[task])}
    table = np.array(
        [
            [numbers[r.answers[t.id].value] if t.id in r.answers else np.nan for t in trials]
            for r in raters
        ]
    )
    return Agreement(task, level, statistics.krippendorff_alpha(table, level), len(trials))


def _warnings(kept: Sequence[Rater], rejected: Sequence[Any]) -> list[str]:
    warnings = []
    if len(kept) == 1:
        warnings.append("There is one rater: the intervals of shares are about this person only.")
    if len(kept) < FEW_RATERS:
        warnings.append(
            f"With {len(kept)} rater{'s' if len(kept) > 1 else ''} no comparison can be significant: "
            f"it takes {FEW_RATERS} or more."
        )
    if len(rejected) > len(kept):
        warnings.append(
            "More raters were rejected than kept: look whether the page works on their devices, and "
            "whether the questions are clear."
        )
    return warnings
