"""What the committed notebooks have in common, made in one place: badges, set-up cell, marks, budget.

    python -m anime_keras.notebooks notebooks/*.ipynb            # rewrite what differs
    python -m anime_keras.notebooks --check notebooks/*.ipynb    # only say what differs

All addresses come from `anime_keras.ADDRESS`. The marks are nbgrader's: the stub of an exercise is a
cell for an answer, its solution is fenced by ### BEGIN SOLUTION and ### END SOLUTION, and the check
beneath gives the points. `anime_keras.assignments` makes the students' copies from them.

Outputs and execution counts stay as they are, with one exception: where the set-up cell is replaced,
its output is what the new one prints here.
"""

import contextlib
import io
import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import anime_keras

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
POINTS = 1
"""Points of an exercise whose solution cell names no others in its metadata."""
BUDGET = 180
"""Seconds of a notebook at laptop scale, on an idle machine of two cores."""

Notebook = dict[str, Any]
Cell = dict[str, Any]

# --- the first two cells --------------------------------------------------------------------------

_TITLE = """\
{heading}

[![Open in Colab](https://img.shields.io/badge/Colab-open-f9ab00)]({colab})
[![Open in Kaggle](https://img.shields.io/badge/Kaggle-open-20beff)]({kaggle})

The next cell makes the notebook run where you are. On Colab and Kaggle it installs the kit \
(on Kaggle, switch the internet on first). Then it says what it runs on, and sets the seed."""

_SET_UP = """\
import importlib.util

PROJECT = "{address}"
if importlib.util.find_spec("anime_keras") is None:
    %pip install --quiet "anime_keras[tensorflow] @ git+{{PROJECT}}"

from anime_keras import lab  # before TensorFlow, whose greeting it holds back

lab.set_up(seed=0)"""


def title(heading: str, file: str, address: str = anime_keras.ADDRESS) -> str:
    """The first cell of a notebook: its heading, and badges that open it on Colab and on Kaggle."""
    place = f"{address}/blob/main/notebooks/{file}"
    return _TITLE.format(
        heading=heading,
        colab="https://colab.research.google.com/github/"
        + place.removeprefix("https://github.com/"),
        kaggle=f"https://kaggle.com/kernels/welcome?src={place}",
    )


def set_up(address: str = anime_keras.ADDRESS) -> str:
    """The second cell: install the kit where it is missing, name the accelerator, set the seed."""
    return _SET_UP.format(address=address)


# --- the whole notebook ---------------------------------------------------------------------------


def normalise(notebook: Notebook, file: str) -> Notebook:
    """A notebook with its frame and its marks as they should be; doing it twice changes no more.

    Args:
        notebook: as read by `json.load`; it is not changed.
        file: its name, such as "02_dcgan.ipynb".

    Raises:
        ValueError: a cell does not look as an exercise, a solution or a title should.
    """
    notebook = json.loads(json.dumps(notebook))
    notebook["metadata"].setdefault("anime_keras", {}).setdefault("budget_seconds", BUDGET)
    first, second = notebook["cells"][:2]
    heading = text(first).partition("\n")[0]
    if first["cell_type"] != "markdown" or not heading.startswith("# "):
        raise ValueError(f"{file} does not begin with a heading.")
    if second["id"] != "set-up":
        raise ValueError(f"The second cell of {file} is {second['id']}, where set-up is expected.")
    write(first, title(heading, file))
    if text(second) != set_up():
        write(second, set_up())
        second["outputs"] = [{"name": "stdout", "output_type": "stream", "text": _printed()}]
    for cell in notebook["cells"]:
        tags = cell["metadata"].get("tags", [])
        if "exercise" in tags:
            _mark(cell, f"exercise-{dashed(exercise(cell))}", solution=True)
        elif "solution" in tags:
            points = cell["metadata"].get("nbgrader", {}).get("points", POINTS)
            name = f"check-{dashed(exercise(cell))}"
            _mark(cell, name, grade=True, locked=True, points=points)
            write(cell, _fenced(text(cell)))
    return notebook


def _printed() -> list[str]:
    """What the set-up cell prints here."""
    from anime_keras import lab

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        lab.set_up(seed=0)
    return printed.getvalue().splitlines(keepends=True)


def _mark(cell: Cell, name: str, **given: Any) -> None:
    flags = {"grade": False, "locked": False, "solution": False, "task": False, **given}
    cell["metadata"]["nbgrader"] = dict(
        sorted({**flags, "grade_id": name, "schema_version": 3}.items())
    )


def _fenced(source: str) -> str:
    """A solution between its fences; the comment above and the check beneath stay outside."""
    if BEGIN in source:
        return source
    found = re.fullmatch(r"(# A solution\.\n)?(.*?)(^assert lab\.check\(.*)", source, re.M | re.S)
    if found is None:
        raise ValueError(f"A solution ends with assert lab.check(...); this does not: {source!r}")
    comment, body, check = found.groups(default="")
    return f"{comment}{BEGIN}\n{body}{END}\n{check}"


# --- cells ----------------------------------------------------------------------------------------


def text(cell: Cell) -> str:
    """The source of a cell, in one piece."""
    return "".join(cell["source"])


def write(cell: Cell, source: str) -> None:
    """Give a cell another source, in lines, as notebooks on disk have it."""
    cell["source"] = source.splitlines(keepends=True)


def exercise(cell: Cell) -> str:
    """The name of the exercise that a cell checks, such as "02.1"."""
    found = re.search(r'lab\.check\(\s*"([\d.]+)"', text(cell))
    if found is None:
        raise ValueError(f"The cell {cell['id']} checks no exercise.")
    return found[1]


def dashed(name: str) -> str:
    """An exercise's name as part of an identifier: "02-1"."""
    return name.replace(".", "-")


def read(path: Path) -> Notebook:
    """A notebook from its file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no notebook.
    """
    if not path.is_file():
        raise FileNotFoundError(f"There is no notebook {path}.")
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no UTF-8
        raise ValueError(f"{path} is no notebook: {error}. Restore it from Git.") from error
    if not isinstance(notebook, dict) or len(notebook.get("cells", ())) < 2:
        raise ValueError(f"{path} is no notebook with a title and a set-up cell.")
    return notebook


def dumped(notebook: Notebook) -> str:
    """A notebook as Jupyter writes it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(
    paths: Annotated[list[Path], typer.Argument(help="Notebooks.")],
    check: Annotated[bool, typer.Option("--check", help="Change nothing.")] = False,
) -> None:
    """Bring notebooks into the common form, or with --check only name those that are not in it."""
    changed = []
    for path in paths:
        try:
            notebook = read(path)
            new = normalise(notebook, path.name)
        except (FileNotFoundError, ValueError) as error:
            print(f"Error: {error}")
            sys.exit(1)
        if new != notebook:
            changed.append(path)
            if not check:
                partial = path.with_name(path.name + ".partial")
                partial.write_text(dumped(new), encoding="utf-8")
                partial.replace(path)
    for path in changed:
        print(f"{path}: {'differs from' if check else 'brought into'} the common form")
    sys.exit(1 if check and changed else 0)


if __name__ == "__main__":
    typer.run(main)
