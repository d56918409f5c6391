"""Students' copies of the notebooks, for nbgrader.

    python -m anime_keras.assignments notebooks/*.ipynb --out assignments

writes an nbgrader course: `source/` with the solutions, for teachers, and `release/`, made from it by
`nbgrader generate_assignment`, for students. In `assignments/`, `nbgrader autograde` and
`nbgrader generate_feedback` then work on what is put into `submitted/STUDENT/02_dcgan/02_dcgan.ipynb`.

What becomes of an exercise in the committed notebook (`anime_keras.notebooks` has put the marks there):

* the stub stays, and runs; the solution moves into its cell, between the fences that nbgrader empties;
* the check becomes a cell of its own that cannot be edited, gives the points, and on a wrong answer
  raises the sentence that helps (`lab.grade`);
* pictures that the solution made are kept below the cell that made them, as the ones to reach.
"""

import ast
import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Annotated

import typer

from anime_keras.notebooks import (
    BEGIN,
    END,
    Cell,
    Notebook,
    dashed,
    dumped,
    exercise,
    read,
    text,
    write,
)

FOLDED = (
    "A solution follows each stub; in JupyterLab it is folded away, "
    "and a click on the bar unfolds it."
)
"""What the committed notebooks say about their solutions, and the students' copies cannot."""
_CHECKED = "The cell after a stub gives its points; it cannot be edited."

_CONFIG = '''\
"""nbgrader's settings for this course. Written by python -m anime_keras.assignments."""

import os

# Autograding runs whole notebooks: at the scale of seconds, unless the environment says otherwise.
os.environ.setdefault("ANIME_KERAS_SCALE", "smoke")

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "anime_keras"
c.ClearSolutions.code_stub = {"python": ""}  # each exercise brings a stub of its own, which runs
c.Execute.timeout = 300  # seconds a cell; one that does not end costs its own points only
'''

# --- one notebook ---------------------------------------------------------------------------------


def source(notebook: Notebook) -> Notebook:
    """A committed notebook as nbgrader's source version, which `generate_assignment` starts from.

    Run as it is, it gets full points.

    Args:
        notebook: in the common form of `anime_keras.notebooks`; it is not changed.

    Raises:
        ValueError: a stub is not followed by its solution or offers no hint; a solution has no marks.
    """
    notebook = json.loads(json.dumps(notebook))
    cells: list[Cell] = []
    stub: Cell | None = None
    answers: set[str] = set()  # names that the solution of the present exercise defines
    for cell in notebook["cells"]:
        tags = cell["metadata"].pop("tags", [])
        if cell["cell_type"] == "markdown":
            write(cell, text(cell).replace(FOLDED, _CHECKED))
            if re.match(r"#+ ", text(cell)):
                answers = set()
        cells.append(cell)
        if "exercise" in tags:
            stub = cell
        elif "solution" in tags:
            if stub is None or exercise(stub) != exercise(cell):
                raise ValueError(f"The solution {cell['id']} does not follow its stub.")
            answers = _move(cell, stub)
            stub = None
        elif answers & _used(cell):
            cells.extend(_to_reach(cell))
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
            cell["metadata"].pop("execution", None)  # when it ran, and how long
    return {**notebook, "cells": cells}


def _move(solution: Cell, stub: Cell) -> set[str]:
    """Move a solution into its stub's cell, and leave the check; returns the names it defines."""
    found = re.fullmatch(rf".*?{BEGIN}\n(.*?){END}\nassert (.*)", text(solution), re.S)
    if found is None:
        raise ValueError(f"{solution['id']} has no marks: run python -m anime_keras.notebooks.")
    body, check = found.groups()
    # The fences take the place of an empty line: emptied, they leave just that.
    place = re.search(r"^\n?(?=# lab\.hint\()", text(stub), flags=re.M)
    if place is None:
        raise ValueError(f"{stub['id']} offers no hint: # lab.hint(...).")
    before, after = text(stub)[: place.start()], text(stub)[place.end() :]
    write(stub, f"{before}{BEGIN}\n{body.rstrip()}\n{END}\n{after}")
    points = solution["metadata"]["nbgrader"]["points"]
    worth = f"# {points} point" + ("s" if points != 1 else "")
    write(solution, f"{worth}\n{check.replace('lab.check(', 'lab.grade(', 1)}")
    solution["id"] = f"check-{dashed(exercise(stub))}"
    solution["metadata"].pop("jupyter", None)
    solution["metadata"].update(deletable=False, editable=False)
    return _defined(body)


def _defined(code: str) -> set[str]:
    """Names of the functions and variables that code defines."""
    functions = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    targets = [
        t for node in ast.parse(code).body if isinstance(node, ast.Assign) for t in node.targets
    ]
    return functions | {target.id for target in targets if isinstance(target, ast.Name)}


def _used(cell: Cell) -> set[str]:
    """Names in a code cell, not counting attributes."""
    return set(re.findall(r"(?<![.\w])[^\W\d]\w*", text(cell)))


def _to_reach(cell: Cell) -> list[Cell]:
    """A cell with the pictures that a cell shows where the exercise is solved, if it shows any."""
    markup = "".join(
        "".join(output.get("data", {}).get("text/html", "")) for output in cell["outputs"]
    )
    # JupyterLab takes no style from a markdown cell, but a width.
    pictures = [
        re.sub(r' style="width: (\d+)px[^"]*"', r' width="\1"', picture)
        for picture in re.findall(r"<img [^>]*>", markup)
    ]
    if not pictures:
        return []
    words = "**To reach.** With a right answer, the cell above shows this:"
    reach = {"cell_type": "markdown", "id": f"to-reach-{cell['id']}"[:64], "metadata": {}}
    write(reach, "\n\n".join([words, *pictures]))
    return [reach]


# --- a course -------------------------------------------------------------------------------------


def course(notebooks: list[Path], folder: Path) -> list[str]:
    """Write an nbgrader course: its settings, and the source version of each notebook.

    Returns:
        The assignments' names, such as "02_dcgan".
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nbgrader_config.py").write_text(_CONFIG, encoding="utf-8")
    for path in notebooks:
        place = folder / "source" / path.stem / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dumped(source(read(path))), encoding="utf-8")
    return [path.stem for path in notebooks]


def nbgrader(folder: Path, *command: str) -> None:
    """Run an nbgrader command in a course's folder.

    Raises:
        RuntimeError: it failed; the message has what it said.
    """
    # nbgrader starts a program that was installed with it, wherever that is.
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"nbgrader {' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def main(
    notebooks: Annotated[list[Path], typer.Argument(help="Notebooks to give out.")],
    out: Annotated[Path, typer.Option(help="Folder of the course.")] = Path("assignments"),
) -> None:
    """Write the teacher's and the students' copies of notebooks."""
    try:
        for name in course(notebooks, out):
            nbgrader(out, "generate_assignment", name, "--force", "--create")
            print(out / "release" / name / f"{name}.ipynb")
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        print(f"Error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
