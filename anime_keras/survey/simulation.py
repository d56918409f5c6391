"""Raters that are simulated, with a sensitivity that is known: to try out a survey and its score."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras.data.records import replacing
from anime_keras.survey import answers
from anime_keras.survey.building import Survey
from anime_keras.survey.design import NOISE, REAL, Trial

_RATING_CUTS = (-1.5, -0.5, 0.5, 1.5)  # between the marks 1 to 5, around the middle of the scale


def simulate(
    survey: Survey | str | Path,
    raters: int = 20,
    sensitivity: float | Mapping[str, float] = 1.0,
    spread: float = 0.3,
    attributes: float = 0.9,
    careless: int = 0,
    seed: int = 0,
    out: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Answers of raters as signal detection theory has them (Green & Swets 1966).

    Each picture looks as real to a rater as a draw from a normal distribution of spread 1. Its mean is
    0 for real pictures and -d' for those of a model, d' being the sensitivity; so d' of 0 is a perfect
    model. A rater says "real" above a threshold halfway, prefers the more real of two pictures (a share
    Phi(d' / sqrt 2) of real ones), and rates in even steps.

    Args:
        survey: as built, or its key.
        raters: how many attentive ones.
        sensitivity: d', of all models or of each by name.
        spread: between raters' thresholds, a standard deviation.
        attributes: chance to be right about an attribute.
        careless: so many more who press any key, fast.
        seed: of all.
        out: a folder to write them to as files, as raters would send them.

    Returns:
        What is in the files, one a rater.

    Raises:
        ValueError: a model of the survey is missing in `sensitivity`.
    """
    survey = survey if isinstance(survey, Survey) else Survey.open(survey)
    if not isinstance(sensitivity, Mapping):
        sensitivity = dict.fromkeys(survey.models, float(sensitivity))
    missing = sorted(set(survey.models) - set(sensitivity))
    if missing:
        raise ValueError(f"How sensitive are raters to {', '.join(missing)}? Say so too.")
    means = {REAL: 0.0, NOISE: -9.0, **{model: -d for model, d in sensitivity.items()}}
    middle = -np.mean(list(sensitivity.values())) / 2 if sensitivity else 0.0
    files = []
    for number in range(raters + careless):
        rng = np.random.default_rng([seed, number])
        threshold = middle + spread * rng.standard_normal()
        attentive = number < raters
        given = []
        for place in rng.permutation(len(survey.trials)):
            trial = survey.trials[place]
            if attentive:
                value = _judged(trial, means, threshold, attributes, rng)
            else:
                value = rng.choice(np.array(answers.TASKS[trial.task], object))
            one = {
                "trial": trial.id,
                "answer": value,
                "ms": round(
                    (1500 if attentive else 250) * float(np.exp(0.4 * rng.standard_normal()))
                ),
            }
            if len(trial.sources) == 2:
                one["flipped"] = bool(rng.random() < 0.5)
            given.append(one)
        files.append(
            {
                "format": answers.FORMAT,
                "version": answers.VERSION,
                "survey": survey.id,
                "rater": f"{rng.integers(2**63):016x}",
                "complete": True,
                "order": [one["trial"] for one in given],
                "answers": given,
                "comment": "",
            }
        )
    if out is not None:
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            with replacing(folder / f"answers-{file['rater']}.json") as partial:
                partial.write_text(json.dumps(file, indent=1) + "\n", encoding="utf-8")
    return files


def _judged(
    trial: Trial,
    means: Mapping[str, float],
    threshold: float,
    attributes: float,
    rng: np.random.Generator,
) -> Any:
    if trial.check:
        return trial.expected[0]
    if trial.task == "attribute":
        return "yes" if (rng.random() < attributes) == trial.true else "no"
    looks = [means[source] + rng.standard_normal() for source in trial.sources]
    if len(looks) == 2:
        return "a" if looks[0] > looks[1] else "b"
    if trial.task == "real":
        return "real" if looks[0] > threshold else "generated"
    return 1 + int(np.searchsorted(_RATING_CUTS, looks[0] - threshold))
