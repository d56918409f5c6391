"""Notebook 03 holds the losses to account: turn one sign in losses.py, and one of its cells fails.

Its cells run once, in this process and at smoke scale. Then those tagged "identity", which are quick
and need nothing but what ran before, run again for each mutant of losses.py until one of them fails.
"""

import ast
import contextlib
import inspect
import json
import linecache
import types
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from anime_keras import lab, losses

PATH = Path(__file__).parents[1] / "notebooks" / "03_loss_theory.ipynb"
# They train for seconds, and hold no loss to account that the quick cells do not.
SLOW = {"set-up", "dcgan", "dcgan-drawn", "gp-critics", "gp-drawn"}


# --- the notebook ---------------------------------------------------------------------------------


def _cells():
    """Id and source of the code cells that run here; whether each is tagged "identity"."""
    for cell in json.loads(PATH.read_text(encoding="utf-8"))["cells"]:
        tags = cell["metadata"].get("tags", [])
        asked = {"exercise", "solution"} & {*tags}
        if cell["cell_type"] == "code" and not asked and cell["id"] not in SLOW:
            yield cell["id"], "".join(cell["source"]), "identity" in tags


def _run(name, source, space):
    filename = f"<cell {name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(compile(source, filename, "exec"), space)


class Notebook:
    """The notebook's names after all of its cells ran, and what it claimed on the way."""

    def __init__(self, monkeypatch):
        self.claims = []
        equal = lab.equal

        def recorded(claim, left, right, tolerance=1e-5):
            equal(claim, left, right, tolerance)
            self.claims.append((claim, tolerance))

        monkeypatch.setattr(lab, "_display", lambda markup, handle=None: None)
        monkeypatch.setattr(lab, "equal", recorded)
        self.space = {"__name__": "notebook_03"}
        for name, source, _ in _cells():
            if name == "own":  # it runs the plan of the exercise before it
                break
            _run(name, source, self.space)
        self.before = dict(self.space)

    def identities(self, module):
        """Run the quick cells with another `losses`; raises what the first failing one raises."""
        try:
            self.space["losses"] = module
            for name, source, quick in _cells():
                if quick:
                    _run(name, source, self.space)
        finally:
            self.space.clear()
            self.space.update(self.before)


@pytest.fixture(scope="module")
def notebook():
    level = tf.get_logger().level
    keras.config.set_dtype_policy("float32")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("ANIME_KERAS_SCALE", "smoke")
        yield Notebook(monkeypatch)
    tf.get_logger().setLevel(level)


# --- losses.py with one sign turned ---------------------------------------------------------------

SOURCE = inspect.getsource(losses)
# Of notebooks 06 and 11; tests/models/test_conditional.py and tests/test_style_losses.py hold them.
ELSEWHERE = {
    *("classification", "yuv", "grey", "huber", "color", "total_variation", "gram", "style"),
}
LOSSES = [
    node.name
    for node in ast.parse(SOURCE).body
    if isinstance(node, ast.FunctionDef)
    and not node.name.startswith("_")
    and node.name not in {"get", *ELSEWHERE}
]
TURNED = {ast.Add: ast.Sub, ast.Sub: ast.Add}


def _signs(function):
    """The signs in a function's body, in the order of the walk."""
    for node in ast.walk(function):
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        if minus or (isinstance(node, ast.BinOp) and type(node.op) in TURNED):
            yield node


def _mutants():
    """Name of a function, and which of its signs is turned; -1 for that of all it returns."""
    for node in ast.parse(SOURCE).body:
        if isinstance(node, ast.FunctionDef) and node.name in LOSSES:
            for number, sign in enumerate(_signs(node)):
                text = ast.unparse(sign)
                yield pytest.param(node.name, number, id=f"{node.name}: {text}")
            yield pytest.param(node.name, -1, id=f"-{node.name}")


def _mutant(name, number):
    """The module `losses`, from its source, with that sign turned."""
    tree = ast.parse(SOURCE)
    (function,) = (n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    if number < 0:
        for node in ast.walk(function):
            if isinstance(node, ast.Return):
                node.value = ast.UnaryOp(ast.USub(), node.value)
    else:
        sign = [*_signs(function)][number]
        if isinstance(sign, ast.UnaryOp):
            sign.operand = ast.UnaryOp(ast.USub(), sign.operand)
        else:
            sign.op = TURNED[type(sign.op)]()
    module = types.ModuleType(f"losses_with_another_sign_in_{name}")
    exec(compile(ast.fix_missing_locations(tree), module.__name__, "exec"), module.__dict__)
    return module


# --- tests ----------------------------------------------------------------------------------------


def test_the_notebook_states_many_identities_with_tolerances(notebook):
    claims = {claim for claim, _ in notebook.claims}
    assert len(claims) >= 25
    assert all(0 < tolerance <= 0.2 for _, tolerance in notebook.claims)


def test_the_quick_cells_hold_with_the_true_losses(notebook):
    notebook.identities(losses)


def test_the_source_without_a_change_is_no_mutant(notebook):
    module = types.ModuleType("the_same_losses")
    exec(compile(SOURCE, module.__name__, "exec"), module.__dict__)
    notebook.identities(module)


@pytest.mark.parametrize(("name", "number"), _mutants())
def test_another_sign_makes_a_cell_fail(notebook, name, number):
    with contextlib.redirect_stdout(None), pytest.raises(AssertionError):
        notebook.identities(_mutant(name, number))


def test_every_loss_has_mutants():
    mutated = {mutant.values[0] for mutant in _mutants()}
    public = {
        name
        for name, value in vars(losses).items()
        if inspect.isfunction(value) and value.__module__ == losses.__name__ and name[0] != "_"
    }
    assert mutated == set(LOSSES) == public - {"get", *ELSEWHERE}
