"""Read raters' answers, which come from anywhere, and decide whose count.

A file is *refused* if it cannot have come from the survey's page: nothing of it is used. A rater is
*rejected* if the answers are sound but not those of somebody who looked at the pictures.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras.survey.building import Survey
from anime_keras.survey.design import TASKS, Trial

FORMAT = "anime_keras survey answers"
VERSION = 1
LARGEST = 2_000_000  # bytes; 500 trials of five kinds take 300,000
LONGEST_COMMENT = 1000  # letters, as on the page
DAY = 86_400_000  # milliseconds


class Refused(ValueError):
    """An answers file that cannot be used; the message says why."""


@dataclass
class Answer:
    """One answer.

    Attributes:
        value: one of the task's answers.
        ms: from the picture's appearance, in milliseconds.
        flipped: the first picture of a pair was on the right.
    """

    value: Any
    ms: float
    flipped: bool = False

    @property
    def key(self) -> Any:
        """Which button it was: of a pair, the side."""
        return {"a": "b", "b": "a"}.get(self.value, self.value) if self.flipped else self.value


@dataclass
class Rater:
    """One rater's sound answers.

    Attributes:
        id: the random number in place of a name.
        file: where they came from.
        answers: trial's id -> answer.
        comment: free text, as it was typed.
        trials: how many the survey has.
    """

    id: str
    file: str
    answers: dict[str, Answer]
    comment: str
    trials: int


@dataclass(frozen=True)
class Rules:
    """When a rater's answers do not count.

    Attributes:
        checks: least part of the attention checks to be passed.
        fastest: milliseconds; a median below it is too fast to have looked. People who hurry as much
            as they can take about 400 to say whether there is an animal in a picture (Thorpe et al.
            1996).
        same: so many answers or more, in each kind of trial always by the same button.
        unfinished: whether raters who stopped early count.
    """

    checks: float = 0.75
    fastest: float = 400
    same: int = 8
    unfinished: bool = False


def read(source: str | Path | Mapping[str, Any], survey: Survey) -> Rater:
    """One rater's answers, checked.

    Args:
        source: the file, or what is in it.
        survey: that it must belong to.

    Raises:
        Refused: it cannot be used; the message says why, without naming the file.
    """
    content = dict(source) if isinstance(source, Mapping) else parse(Path(source))
    if content.get("format") != FORMAT:
        raise Refused(f"is no survey's answers: its format is {_short(content.get('format'))}")
    if content.get("version") != VERSION:
        raise Refused(f"is of version {_short(content.get('version'))}, and {VERSION} is read")
    if content.get("survey") != survey.id:
        raise Refused(
            f"belongs to another survey ({_short(content.get('survey'))}, not {survey.id})"
        )
    identity = content.get("rater")
    if not isinstance(identity, str) or not re.fullmatch(r"[0-9a-f]{16}", identity):
        raise Refused(f"has no proper rater's number, but {_short(identity)}")
    comment = content.get("comment", "")
    if not isinstance(comment, str):
        raise Refused(f"has a comment that is no text, but {_short(comment)}")
    listed = content.get("answers")
    if not isinstance(listed, list):
        raise Refused("has no list of answers")
    trials = {trial.id: trial for trial in survey.trials}
    answers: dict[str, Answer] = {}
    for place, one in enumerate(listed, 1):
        try:
            trial, answer = _answer(one, trials)
            if trial in answers:
                raise Refused(f"trial {trial} was answered before")
        except Refused as reason:
            raise Refused(f"answer {place}: {reason}") from None
        answers[trial] = answer
    name = f"rater {identity}" if isinstance(source, Mapping) else str(source)
    return Rater(identity, name, answers, comment[:LONGEST_COMMENT], len(trials))


def parse(path: Path) -> dict[str, Any]:
    """What a file of answers holds.

    Raises:
        Refused: it is no such file.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise Refused(f"is too large: {path.stat().st_size:,} bytes, at most {LARGEST:,}")
        content = json.loads(path.read_bytes().decode("utf-8-sig"), parse_constant=_no_constant)
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused("is no text in UTF-8") from None
    except Refused:
        raise
    except (ValueError, RecursionError) as error:
        raise Refused(f"is no sound JSON: {error}") from None
    if not isinstance(content, dict):
        raise Refused(f"is no survey's answers, but {_short(content)}")
    return content


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")


def _answer(one: Any, trials: Mapping[str, Trial]) -> tuple[str, Answer]:
    if not isinstance(one, dict):
        raise Refused(f"is no answer, but {_short(one)}")
    name = one.get("trial")
    trial = trials.get(name) if isinstance(name, str) else None
    if trial is None:
        raise Refused(f"there is no trial {_short(name)} in this survey")
    value, ms, flipped = one.get("answer"), one.get("ms"), one.get("flipped", False)
    # True == 1 in Python, and would pass as a rating.
    if type(value) not in (int, str) or value not in TASKS[trial.task]:
        raise Refused(f"{_short(value)} is no answer to trial {name}")
    if type(ms) not in (int, float) or not 0 <= ms <= DAY:
        raise Refused(f"{_short(ms)} are no milliseconds")
    if type(flipped) is not bool:
        raise Refused(f"flipped is {_short(flipped)}")
    return name, Answer(value, float(ms), flipped)


def _short(value: Any) -> str:
    """Any value in few and printable letters."""
    text = (
        ascii(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    )
    return text if len(text) <= 40 else text[:37] + "..."


def screen(
    raters: Iterable[Rater], survey: Survey, rules: Rules
) -> tuple[list[Rater], list[tuple[Rater, str]]]:
    """Those whose answers count, and those whose do not, each with the reasons."""
    kept, rejected = [], []
    first, complete = {}, {}
    # Of several files of one rater, the fullest is the latest.
    for rater in sorted(raters, key=lambda one: -len(one.answers)):
        earlier = first.setdefault(rater.id, rater)
        # The same answers in the same milliseconds, under whatever number, are a copy.
        content = tuple(sorted((t, str(a.value), a.ms) for t, a in rater.answers.items()))
        copied = complete.setdefault(content, rater) if content else rater
        if earlier is not rater:
            reasons = [f"duplicate of {earlier.file}: the same rater"]
        elif copied is not rater:
            reasons = [f"duplicate of {copied.file}: the same answers in the same times"]
        else:
            reasons = _reasons(rater, survey, rules)
        if reasons:
            rejected.append((rater, "; ".join(reasons)))
        else:
            kept.append(rater)
    return kept, rejected


def _reasons(rater: Rater, survey: Survey, rules: Rules) -> list[str]:
    reasons = []
    if not rater.answers:
        return ["unfinished: no answer"]
    if not rules.unfinished and len(rater.answers) < rater.trials:
        reasons.append(f"unfinished: {len(rater.answers)} of {rater.trials} answers")
    checks = [trial for trial in survey.trials if trial.check and trial.id in rater.answers]
    passed = sum(rater.answers[trial.id].value in trial.expected for trial in checks)
    if checks and passed < rules.checks * len(checks):
        reasons.append(f"passed {passed} of {len(checks)} attention checks")
    median = float(np.median([answer.ms for answer in rater.answers.values()]))
    if median < rules.fastest:
        reasons.append(f"too fast: half of the answers took less than {median:.0f} ms")
    if _monotonous(rater, survey.trials, rules.same):
        reasons.append("always the same button")
    return reasons


def _monotonous(rater: Rater, trials: Sequence[Trial], least: int) -> bool:
    buttons: dict[str, list[Any]] = {}
    for trial in trials:
        if trial.id in rater.answers and not trial.check:
            buttons.setdefault(trial.task, []).append(rater.answers[trial.id].key)
    same = all(len(set(pressed)) == 1 for pressed in buttons.values())
    return same and sum(map(len, buttons.values())) >= least


def plain(text: str) -> str:
    """Text that cannot change a terminal or the direction of writing: such letters are spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
