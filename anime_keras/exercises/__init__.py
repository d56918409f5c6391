"""The exercises of the notebooks: a module for each notebook, loaded when one of it is asked for.

An exercise is a function that looks at an answer and returns a word of praise, or raises `Wrong` with
the sentence that helps. The notebooks call it by its name, "02.1" for the first of notebook 02, through
`lab.hint` and `lab.check`.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

MODULES = {
    "01": "preprocessing",
    "02": "dcgan",
    "03": "loss_theory",
    "04": "practice",
    "05": "evaluation",
    "06": "conditional",
    "07": "cyclegan",
    "08": "cyclegan_losses",
    "09": "vae",
    "10": "stylegan2",
    "11": "animegan",
    "12": "failures",
}
"""Number of a notebook -> the module here that holds its exercises."""


class Wrong(Exception):
    """What is wrong with an answer, in a sentence that helps."""


class Exercise(NamedTuple):
    """A hint, and a check that returns praise or raises `Wrong`."""

    hint: str
    check: Callable[[Any], str]


_REGISTERED: dict[str, Exercise] = {}


def exercise(name: str, hint: str) -> Callable[[Callable], Callable]:
    """Register a check under the name of its exercise."""

    def register(check: Callable[[Any], str]) -> Callable[[Any], str]:
        _REGISTERED[name] = Exercise(hint, check)
        return check

    return register


def find(name: str) -> Exercise:
    """An exercise by its name.

    Raises:
        ValueError: there is none of that name; the message lists those there are.
    """
    notebook = name.partition(".")[0]
    if notebook in MODULES:
        _load(notebook)
    if name not in _REGISTERED:
        raise ValueError(f"There is no exercise {name!r}; there are {', '.join(names())}.")
    return _REGISTERED[name]


def names() -> list[str]:
    """Names of all exercises, in order."""
    for notebook in MODULES:
        _load(notebook)
    return sorted(_REGISTERED)


def _load(notebook: str) -> None:
    importlib.import_module(f"{__name__}.{MODULES[notebook]}")


# --- what checks have in common -------------------------------------------------------------------


def function(answer: Any) -> None:
    """Raise `Wrong` if the answer is no function."""
    if not callable(answer):
        raise Wrong("Hand over the function itself, without calling it.")


def number(value: Any, what: str) -> float:
    """A number that an answer returned, as a float; raises `Wrong` if it is none."""
    if value is None or value is ...:
        raise Wrong(f"{what} is {value}: nothing is returned yet.")
    shape = tuple(getattr(value, "shape", ()))
    if shape:
        raise Wrong(f"{what} has the shape {shape}, and one number is wanted: take the mean.")
    return float(value)


def plan(answer: Any, *keys: str) -> None:
    """Raise `Wrong` if a plan of an experiment is no dict, or lacks one of its keys."""
    if not isinstance(answer, dict):
        raise Wrong(f"A plan is a dict, not {type(answer).__name__}.")
    if missing := [key for key in keys if key not in answer]:
        raise Wrong(f"The plan lacks {', '.join(missing)}.")


def one_change(answer: dict, knobs: Sequence[str]) -> tuple[str, Sequence]:
    """The one knob that a plan changes, and its values; raises `Wrong` if it is not just one.

    Args:
        answer: with "change" and "keep", each knob -> what it is set to.
        knobs: all that can be turned.
    """
    change, keep = answer["change"], answer["keep"]
    for name in [*change, *keep]:
        if name not in knobs:
            raise Wrong(f"There is no knob {name!r}; choose from {', '.join(knobs)}.")
    if not change:
        raise Wrong("Nothing changes yet: name one knob in `change`, with the values to try.")
    if len(change) > 1:
        raise Wrong(
            f"{' and '.join(change)} change together: whichever it was, you could not tell. Change one."
        )
    ((name, values),) = change.items()
    if isinstance(values, str) or not isinstance(values, Sequence) or len(set(values)) < 2:
        raise Wrong(f"{name} needs a list of two different values or more, to compare.")
    if name in keep:
        raise Wrong(f"{name} is both changed and kept.")
    return name, values


def expectation(answer: dict) -> None:
    """Raise `Wrong` if a plan's "prediction" is no sentence."""
    prediction = answer["prediction"]
    if not isinstance(prediction, str) or len(prediction.split()) < 5:
        raise Wrong("Say in a sentence what you expect, and why: a surprise needs an expectation.")


def close(value: float, wanted: float, tolerance: float = 1e-4) -> bool:
    """Whether two numbers are equal but for rounding."""
    return bool(np.isclose(value, wanted, rtol=tolerance, atol=tolerance))
