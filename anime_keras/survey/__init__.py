"""People's opinion, measured properly: build a survey page, score the answers.

    from anime_keras import survey

    made = survey.build("survey.html", real="my_faces", fakes={"mine": "generated"})
    survey.in_notebook(made)
    scores = survey.score("answers/", key=made)
    scores.write("scores")

`survey.raters_needed()` says beforehand how many to ask, and `survey.simulate(made)` makes answers
of raters whose sensitivity is known.
"""

import importlib
from typing import Any

# Imported when first asked for: the command line, which knows this package, need not wait for SciPy.
_WHERE = {
    "Rules": "answers",
    "Scores": "scoring",
    "Survey": "building",
    "build": "building",
    "in_notebook": "notebook",
    "of_run": "pictures",
    "raters_needed": "planning",
    "score": "scoring",
    "simulate": "simulation",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'anime_keras.survey' has no attribute {name!r}")
    return getattr(importlib.import_module(f"anime_keras.survey.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
