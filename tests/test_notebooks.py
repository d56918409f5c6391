"""Committed notebooks are executed, complete, small, and readable by everyone."""

import json
import re
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from anime_keras import notebooks

PATHS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
LIMIT = 1_500_000
MOST = 180  # seconds that a notebook may allow itself at laptop scale
# A folder of somebody's machine: at the beginning of a word, so that no part of an address matches.
LOCAL = re.compile(r"(?<![\w./-])(/root|/home|/tmp|/work|/Users|[A-Z]:\\Users)\b")

pytestmark = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)


def _cells(path, kind=None):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if kind in (None, cell["cell_type"])]


def _outputs(path):
    return [output for cell in _cells(path, "code") for output in cell["outputs"]]


class _Images(HTMLParser):
    """The attributes of each img of a page."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.found.append(dict(attrs))


def test_is_executed_in_order(path):
    counts = [cell["execution_count"] for cell in _cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


def test_has_no_error_and_nothing_on_stderr(path):
    for output in _outputs(path):
        assert output["output_type"] != "error", output["evalue"]
        assert output.get("name") != "stderr", output["text"]


# What Python, TensorFlow and absl begin a warning with, whichever stream it goes to.
WARNING = re.compile(r"\w*Warning:|^WARNING|^[EW]0000 |^\d{4}-\d\d-\d\d .*: [EW] ", re.M)


def test_no_output_is_a_stray_warning(path):
    for output in _outputs(path):
        text = "".join(output.get("text", output.get("data", {}).get("text/plain", "")))
        assert not WARNING.search(text), text


@pytest.mark.parametrize(
    "line",
    [
        "x.py:3: RuntimeWarning: divide by zero encountered in log",
        "WARNING:tensorflow:5 out of the last 5 calls triggered retracing",
        "W0000 00:00:1732 gpu_device.cc:2344] Cannot dlopen some GPU libraries",
        "2026-11-22 16:37:09.1: W tensorflow/core/framework/op.cc:1] careful",
    ],
)
def test_a_warning_is_known_when_seen(path, line):
    assert WARNING.search(f"a number\n{line}\n")


def _times(path):
    """When each code cell began and ended, as Jupyter noted it; None for one that was not timed."""

    def moments(cell):
        noted = cell["metadata"].get("execution", {})
        keys = ("iopub.status.busy", "shell.execute_reply")
        if not set(keys) <= set(noted):
            return None
        return tuple(datetime.fromisoformat(noted[key].replace("Z", "+00:00")) for key in keys)

    return [moments(cell) for cell in _cells(path, "code")]


def test_was_run_in_one_go_within_its_declared_budget(path):
    budget = notebooks.read(path)["metadata"]["anime_keras"]["budget_seconds"]
    assert 0 < budget <= MOST
    assert any("laptop scale" in "".join(output.get("text", "")) for output in _outputs(path))
    times = _times(path)
    assert None not in times, "not every cell is timed: run it whole, with make notebooks"
    pauses = [(b - a).total_seconds() for (_, a), (b, _) in pairwise(times)]
    assert all(-0.1 < pause < 10 for pause in pauses), "cells were run one by one"
    took = sum((end - begin).total_seconds() for begin, end in times)
    assert 0 < took <= budget, f"took {took:.0f} s, and may take {budget}"


def test_is_small(path):
    assert path.stat().st_size < LIMIT


def test_names_no_local_folder(path):
    # Base64 is full of slashes and of any four letters: it is no text.
    text = re.sub(r"base64,[\w+/=\\]+", "", path.read_text(encoding="utf-8"))
    assert not LOCAL.findall(text)


def test_every_picture_has_alt_text(path):
    for output in _outputs(path):
        data = output.get("data", {})
        for kind in (kind for kind in data if kind.startswith("image/")):
            alt = output["metadata"].get(kind, {}).get("alt", "")
            assert alt.strip(), f"A {kind} has no alt text: show it with lab.show(…, alt=…)."
        for image in _Images("".join(data.get("text/html", ""))).found:
            assert image.get("alt", "").strip()
    for cell in _cells(path, "markdown"):
        source = "".join(cell["source"])
        assert not re.search(r"!\[\s*\]\(", source)
        assert all(image.get("alt", "").strip() for image in _Images(source).found)


def test_cells_have_names_of_their_own(path):
    ids = [cell["id"] for cell in _cells(path)]
    assert len(set(ids)) == len(ids)


def test_every_exercise_has_a_solution(path):
    def exercises(tag):
        sources = [
            "".join(c["source"]) for c in _cells(path) if tag in c["metadata"].get("tags", [])
        ]
        return [re.search(r'lab\.check\("([\d.]+)"', source)[1] for source in sources]

    assert exercises("exercise") == exercises("solution")


def test_some_text_is_checked(path):
    """nbval compares what these cells print at smoke scale with what is committed."""
    checked = [
        c for c in _cells(path, "code") if "nbval-check-output" in c["metadata"].get("tags", [])
    ]
    assert len(checked) >= 10
    for cell in checked:
        kinds = {(o["output_type"], o.get("name")) for o in cell["outputs"]}
        assert kinds == {("stream", "stdout")}, cell["id"]


def test_runs_on_python_3(path):
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert metadata["kernelspec"]["name"] == "python3"
