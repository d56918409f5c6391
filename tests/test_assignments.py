"""Students' copies of the notebooks, and what the real nbgrader makes of what comes back."""

import json
import logging
import os
import re
import sys
import sysconfig
import warnings
from html import unescape
from pathlib import Path

import pytest

from anime_keras import assignments, lab, notebooks

PATHS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells(notebook, prefix, kind="code"):
    """Cells of one kind whose names begin so."""
    return [
        cell
        for cell in notebook["cells"]
        if cell["id"].startswith(prefix) and cell["cell_type"] == kind
    ]


# --- the committed notebooks ----------------------------------------------------------------------


@each_notebook
def test_a_committed_notebook_is_in_the_common_form(path):
    notebook = notebooks.read(path)
    assert notebooks.normalise(notebook, path.name) == notebook, (
        "run python -m anime_keras.notebooks"
    )
    assert notebooks.dumped(notebook) == path.read_text(encoding="utf-8")


def without_form(notebook):
    """A notebook as a person writes it: without fences, nbgrader's metadata and a budget."""
    bare = json.loads(json.dumps(notebook))
    bare["metadata"].pop("anime_keras")
    for cell in bare["cells"]:
        cell["metadata"].pop("nbgrader", None)
        cell["source"] = [line for line in cell["source"] if " SOLUTION" not in line]
    return bare


@each_notebook
def test_the_common_form_can_be_made_again_and_touches_no_output(path):
    notebook = notebooks.read(path)
    bare = without_form(notebook)
    again = notebooks.normalise(bare, path.name)
    assert again == notebook
    for cell, kept in zip(again["cells"], bare["cells"], strict=True):
        assert cell.get("outputs") == kept.get("outputs")
        assert cell.get("execution_count") == kept.get("execution_count")


def test_points_and_budget_that_somebody_chose_are_kept():
    notebook = notebooks.read(PATHS[0])
    cells(notebook, "solution-")[0]["metadata"]["nbgrader"]["points"] = 5
    notebook["metadata"]["anime_keras"]["budget_seconds"] = 60
    assert notebooks.normalise(notebook, PATHS[0].name) == notebook


def test_a_replaced_set_up_cell_shows_what_the_new_one_prints(capsys):
    notebook = notebooks.read(PATHS[0])
    set_up = cells(notebook, "set-up")[0]
    set_up.update(source=["print('an older one')"], outputs=[])
    (output,) = cells(notebooks.normalise(notebook, PATHS[0].name), "set-up")[0]["outputs"]
    lab.set_up(seed=0)
    assert "".join(output["text"]) == capsys.readouterr().out


@pytest.mark.parametrize(
    ("cell", "source", "message"),
    [
        ("title", "no heading", "does not begin with a heading"),
        ("exercise-", "pass", "checks no exercise"),
        ("solution-", 'lab.check("01.1", 0)', r"ends with assert lab\.check"),
    ],
)
def test_what_is_not_in_the_house_style_is_named(cell, source, message):
    notebook = notebooks.read(PATHS[0])
    kind = "markdown" if cell == "title" else "code"
    cells(notebook, cell, kind)[0]["source"] = [source]
    with pytest.raises(ValueError, match=message):
        notebooks.normalise(notebook, PATHS[0].name)


def test_main_names_and_rewrites_what_differs(tmp_path, capsys):
    path = tmp_path / PATHS[0].name
    path.write_text(notebooks.dumped(without_form(notebooks.read(PATHS[0]))), encoding="utf-8")
    for check, status, word in ((True, 1, "differs"), (False, 0, "brought"), (True, 0, "")):
        with pytest.raises(SystemExit) as left:
            notebooks.main([path], check)
        assert left.value.code == status
        assert word in capsys.readouterr().out
    assert path.read_bytes() == PATHS[0].read_bytes()


# --- the source version ---------------------------------------------------------------------------


@each_notebook
def test_the_source_version_has_everything_nbgrader_wants(path):
    committed = notebooks.read(path)
    source = assignments.source(committed)
    stubs, checks = cells(source, "exercise-"), cells(source, "check-")
    assert len(stubs) == len(checks) == len(cells(committed, "solution-")) > 0
    ids = [cell["id"] for cell in source["cells"]]
    assert len(set(ids)) == len(ids)
    assert not any(cell.get("outputs") for cell in source["cells"])
    assert not any(assignments.FOLDED in notebooks.text(cell) for cell in source["cells"])
    for stub, check in zip(stubs, checks, strict=True):
        assert ids.index(check["id"]) == ids.index(stub["id"]) + 1
        marks = stub["metadata"]["nbgrader"], check["metadata"]["nbgrader"]
        assert [mark["solution"] for mark in marks] == [True, False]
        assert [(mark["grade"], mark["locked"]) for mark in marks] == [(False, False), (True, True)]
        assert notebooks.text(check).splitlines()[1].startswith("lab.grade(")
        assert notebooks.BEGIN not in notebooks.text(check)


@each_notebook
def test_a_stub_whose_fences_are_emptied_is_the_committed_one(path):
    """Byte for byte but for empty lines: nbgrader leaves one in place of the solution."""
    fences = re.compile(rf"{notebooks.BEGIN}\n.*?{notebooks.END}", re.S)
    committed = notebooks.read(path)
    for stub, filled in zip(
        cells(committed, "exercise-"),
        cells(assignments.source(committed), "exercise-"),
        strict=True,
    ):
        emptied, count = fences.subn("", notebooks.text(filled))
        assert count == 1
        assert emptied.split() == notebooks.text(stub).split()
        assert emptied.count("\n") - notebooks.text(stub).count("\n") in (0, 1)


def test_pictures_of_the_solution_are_kept_to_reach():
    committed = notebooks.read(next(path for path in PATHS if path.stem.startswith("02")))
    source = assignments.source(committed)
    kept = {cell["id"]: notebooks.text(cell) for cell in cells(source, "to-reach-", "markdown")}
    assert set(kept) == {
        "to-reach-field",
        "to-reach-own",
    }  # and not the slopes, which no answer made
    (shown,) = (
        "".join(output["data"]["text/html"])
        for cell in cells(committed, "field")
        if cell["id"] == "field"
        for output in cell["outputs"]
        if "data" in output
    )
    picture = re.search(r'src="(data:[^"]+)"', shown)[1]
    assert picture in kept["to-reach-field"]
    assert 'width="192"' in kept["to-reach-field"]
    ids = [cell["id"] for cell in source["cells"]]
    assert ids.index("to-reach-field") == ids.index("field") + 1


def test_a_solution_that_is_not_marked_or_not_in_place_is_named():
    committed = notebooks.read(PATHS[0])
    with pytest.raises(ValueError, match=r"has no marks: run python -m anime_keras\.notebooks"):
        assignments.source(without_form(committed))
    stub = cells(committed, "exercise-")[0]
    whole = stub["source"]
    stub["source"] = [line for line in whole if "lab.hint" not in line]
    with pytest.raises(ValueError, match="exercise-01-1 offers no hint"):
        assignments.source(committed)
    committed["cells"].remove(stub)
    with pytest.raises(ValueError, match="does not follow its stub"):
        assignments.source(committed)


# --- nbgrader itself ------------------------------------------------------------------------------

NAME = "08_cyclegan_losses"
WRONG = {
    # What a student writes -> what the feedback says. The others of the notebook stay as given.
    "08.1": (
        "def cycle_loss(G, F, x, y, weight):\n"
        "    return weight * ((F(G(x)) - x).mean() + (G(F(y)) - y).mean())\n",
        None,
    ),
    "08.2": ("def judges_loss(real_logits, fake_logits):\n    return 1 / 0\n", "ZeroDivisionError"),
    "08.3": ("", "NameError"),
    "08.4": ("def grid_side(size, layers):\n    return None\n", None),
}


def answer(release, texts):
    """A released notebook whose stubs are replaced by texts {exercise: code}."""
    notebook = json.loads(json.dumps(release))
    for cell in cells(notebook, "exercise-"):
        name = notebooks.exercise(cell)
        if name in texts:
            notebooks.write(cell, texts[name])
    return notebook


def said(code, name):
    """What the kit's check says about an answer, given as code."""
    space = {}
    exec(code, space)
    (function,) = (value for key, value in space.items() if key != "__builtins__")
    return lab.check(name, function).message


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course in which three students have handed in, graded; and its release.

    The notebook is cut to its exercises, since the rest of it takes a minute a student.
    """
    folder = tmp_path_factory.mktemp("course")
    committed = notebooks.read(PATHS[0].with_name(f"{NAME}.ipynb"))
    turn = next(
        i
        for i, cell in enumerate(committed["cells"])
        if "· Your turn" in notebooks.text(cell).partition("\n")[0]
    )
    kept = [cell for cell in committed["cells"] if cell["id"] in ("title", "set-up", "imports")]
    small = folder / f"{NAME}.ipynb"
    small.write_text(
        notebooks.dumped({**committed, "cells": [*kept, *committed["cells"][turn:]]}), "utf-8"
    )
    course = folder / "course"
    assignments.main([small], course)
    release = notebooks.read(course / "release" / NAME / f"{NAME}.ipynb")
    solutions = {
        notebooks.exercise(cell): notebooks.text(cell).split(notebooks.BEGIN)[1]
        for cell in cells(committed, "solution-")
    }
    hands = {
        "solved": solutions,
        "unsolved": {},
        "wrong": {**solutions, **{name: code for name, (code, _) in WRONG.items()}},
    }
    for student, texts in hands.items():
        place = course / "submitted" / student / NAME / f"{NAME}.ipynb"
        place.parent.mkdir(parents=True)
        place.write_text(notebooks.dumped(answer(release, texts)), "utf-8")
    assignments.nbgrader(course, "autograde", NAME)
    assignments.nbgrader(course, "generate_feedback", NAME)
    return course, release


@pytest.fixture(scope="module")
def points(graded):
    """{student: {exercise: (points, of how many)}}, out of nbgrader's own book."""
    with pytest.MonkeyPatch.context() as patch:
        scripts = sysconfig.get_path("scripts")
        patch.setenv("PATH", os.pathsep.join([scripts, os.environ["PATH"]]))
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{graded[0] / 'gradebook.db'}", "anime_keras") as book:
            return {
                student: {
                    grade.name.removeprefix("check-").replace("-", "."): (
                        grade.score,
                        grade.max_score,
                    )
                    for grade in book.find_submission_notebook(NAME, NAME, student).grades
                }
                for student in ("solved", "unsolved", "wrong")
            }


@pytest.fixture(scope="module")
def feedback(graded):
    """What nbgrader's pages tell each student, as words with a space between them."""

    def words(student):
        page = graded[0] / "feedback" / student / NAME / f"{NAME}.html"
        return " ".join(unescape(re.sub(r"<[^>]+>", "", page.read_text("utf-8"))).split())

    return {student: words(student) for student in ("solved", "unsolved", "wrong")}


EXERCISES = [f"08.{number}" for number in range(1, 7)]


def test_the_students_copy_has_stubs_and_no_solution(graded):
    release = graded[1]
    text = json.dumps(release)
    assert "SOLUTION" not in text
    assert "NotImplementedError" not in text
    assert "A solution" not in text
    for cell in cells(release, "exercise-"):
        assert "TODO" in notebooks.text(cell)
        assert "# lab.hint(" in notebooks.text(cell)
    for cell in cells(release, "check-"):
        assert cell["metadata"]["editable"] is False
        assert cell["metadata"]["nbgrader"]["points"] == 1


def test_a_solved_copy_gets_full_points(points, feedback):
    assert points["solved"] == dict.fromkeys(EXERCISES, (1, 1))
    assert "not yet" not in feedback["solved"]
    for name in EXERCISES:
        assert f"{name}: right." in feedback["solved"]


def test_an_unsolved_copy_gets_none(points, feedback):
    assert points["unsolved"] == dict.fromkeys(EXERCISES, (0, 1))
    for name in EXERCISES:
        assert f"{name}: not yet. " in feedback["unsolved"]


def test_each_wrong_answer_costs_its_own_points_and_gets_its_message(points, feedback):
    expected = {name: (0 if name in WRONG else 1, 1) for name in EXERCISES}
    assert points["wrong"] == expected
    for name, (code, word) in WRONG.items():
        assert (word or said(code, name)) in feedback["wrong"]
    messages = {said(code, name) for name, (code, word) in WRONG.items() if word is None}
    assert len(messages) == 2


# --- one answer -----------------------------------------------------------------------------------


def test_grade_raises_what_check_prints(capsys):
    wrong = {"change": {}, "keep": {}, "seeds": [0], "prediction": ""}
    message = lab.check("02.5", wrong).message
    capsys.readouterr()
    with pytest.raises(lab.NotYet) as raised:
        lab.grade("02.5", wrong)
    assert str(raised.value) == message
    shown = raised.value._render_traceback_()
    assert " ".join(" ".join(shown).split()) == message
    assert max(map(len, "\n".join(shown).splitlines())) <= 88
    assert capsys.readouterr() == ("", "")


def test_grade_praises_and_lets_no_warning_cost_a_point(capsys, caplog):
    def warns(p, q, fake_label, real_label):
        warnings.warn("careful", RuntimeWarning, stacklevel=1)
        logging.getLogger("student").warning("careful")
        print("careful", file=sys.stderr)
        return (p * real_label + q * fake_label) / (p + q)

    lab.grade("08.3", warns)
    out, err = capsys.readouterr()
    assert out.startswith("08.3: right. ")
    assert err == caplog.text == ""
    logging.getLogger("student").warning("heard again")
    assert "heard again" in caplog.text


def test_grade_knows_no_other_exercise():
    with pytest.raises(ValueError, match=r"no exercise '99\.1'"):
        lab.grade("99.1", 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no notebook"),
        ("{", "is no notebook"),
        ('{"cells": []}', "no notebook with"),
    ],
)
def test_what_is_no_notebook_is_named(tmp_path, content, message):
    path = tmp_path / "broken.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises((FileNotFoundError, ValueError), match=message) as raised:
        notebooks.read(path)
    assert str(path) in str(raised.value)
    assert content is None or path.read_text() == content
