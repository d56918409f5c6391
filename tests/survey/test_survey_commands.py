"""`survey build` and `survey score`, as they are typed."""

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from anime_keras import data, survey
from anime_keras.survey import pictures
from anime_keras.survey.commands import app


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fails(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize("command", ["build", "score"])
def test_help_has_an_example(command):
    output = run(command, "--help")
    assert f"python -m anime_keras survey {command}" in re.sub(r"\s+", " ", output)


def test_from_folders_to_scores(evil_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = run(
        *("build", "--real", evil_folder, "--fake", f"[red]mine={evil_folder}", "--count", 4),
        *("--attribute", evil_folder, "--practice", 0, "--out", "my survey.html", "--seed", 3),
    )
    assert "'my survey.key.json'" in output
    key = tmp_path / "my survey.key.json"
    made = survey.Survey.open(key)
    assert made.models == ("[red]mine",)
    assert made.tasks == ["real", "better", "rating", "attribute"]
    assert len(made.trials) == 4 * (4 + 2)
    survey.simulate(made, 6, out=tmp_path / "answers")
    (tmp_path / "answers" / "broken.json").write_text("{")
    output = run("score", *sorted((tmp_path / "answers").glob("*.json")), "--out", "scores")
    assert "6 raters, 1 file refused" in output
    assert "[red]mine" in output
    assert "broken.json" in output
    assert (tmp_path / "scores" / "report.html").is_file()
    saved = json.loads((tmp_path / "scores" / "scores.json").read_text(encoding="utf-8"))
    assert len(saved["raters"]) == 6


def test_a_trained_run_is_asked_about(tmp_path, faces, monkeypatch):
    """Its generator draws the pictures (the run here has one that takes no time to train)."""
    from anime_keras.runs import Run

    class Generator:
        settings = SimpleNamespace(translates=False)

        def load_model(self):
            return self

        def generate(self, count, seed):
            assert isinstance(seed, int)
            return faces.images[:count]

    monkeypatch.setattr(Run, "open", lambda folder: Generator())
    page = tmp_path / "survey.html"
    run(
        *("build", "--real", "rendered", "--run", tmp_path / "tiny", "--tasks", "rating,variety"),
        *("--count", 2, "--out", page),
    )
    made = survey.Survey.open(tmp_path / "survey.key.json")
    assert made.models == ("tiny",)
    assert made.size == 32
    assert {source for trial in made.trials for source in trial.sources} == {
        "real",
        "tiny",
        "noise",
    }


def test_a_run_that_translates_is_asked_what_it_kept(tmp_path, monkeypatch):
    """Here it makes negatives of portraits, whose people are known."""
    from anime_keras.runs import Run

    class Negatives:
        settings = SimpleNamespace(translates=True, data="portraits")
        image_size = 32

        def load_model(self):
            return self

        def translate(self, images):
            return 255 - images

    monkeypatch.setattr(Run, "open", lambda folder: Negatives())
    folder = tmp_path / "negatives"
    folder.mkdir()
    (folder / "settings.json").write_text("{}")
    found = pictures.draw(pictures.of_run(folder), 5, seed=7)
    people = data.render(5, 32, "portrait", seed=2**32 + 7)
    for picture in found:
        (row,) = np.flatnonzero((255 - people.images == picture.image).all(axis=(1, 2, 3)))
        word = people.names["hair_color"][people.factors["hair_color"][row]]
        assert picture.words["hair_color"] == word
    run(
        *("build", "--real", "rendered", "--run", folder, "--attribute", folder, "--count", 4),
        *("--tasks", "better,attribute", "--factor", "hair_color", "--out", tmp_path / "s.html"),
    )
    made = survey.Survey.open(tmp_path / "s.key.json")
    asked = [t for t in made.trials if t.task == "attribute" and t.check is None]
    assert {t.sources for t in asked} == {("negatives",)} and len(asked) == 4
    assert {t.statement[0] for t in asked} == {"hair_color"}


def test_pictures_of_a_folder_are_translated_with_what_their_labels_say(evil_folder):
    class Negatives:
        image_size = 32

        def translate(self, images):
            return 255 - images

    plain = {p.name: p for p in pictures.draw(evil_folder, 5, seed=3)}
    for picture in pictures._translated(Negatives(), evil_folder, 5, 3):
        before = plain[picture.name]
        assert picture.words == before.words and picture.words
        assert (picture.image == 255 - pictures.square(before.image, 32)).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fake", "nameless"), "--fake takes a name and a folder"),
        (("--fake", "a=x", "--fake", "a=y"), "Two sources are called 'a'"),
        (("--run", "no such run"), "There is no run in no such run"),
        (("--fake", "m=no such folder"), "There is no folder"),
        ((), "There is no model"),
        (("--fake", "m=.", "--tasks", "real,nonsense"), "nonsense"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, words, evil_folder, tmp_path):
    out = tmp_path / "page.html"
    output = fails("build", "--real", evil_folder, "--out", out, "--count", 2, *arguments)
    assert words in output
    assert list(tmp_path.iterdir()) == []


def test_mistakes_in_scoring(tmp_path, made):
    assert "There is no file" in fails("score", tmp_path / "nothing.json")
    (tmp_path / "a.json").write_text("[bold]")
    output = fails("score", tmp_path / "a.json", "--key", made.key)
    assert "Nobody's answers count" in output
    assert "no sound JSON" in output


def test_the_command_line_does_not_wait_for_scipy():
    code = (
        "import sys\n"
        "import anime_keras.survey.commands as commands\n"
        "print(sorted({'scipy', 'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)))\n"
        "from anime_keras import survey\n"
        "print(all(hasattr(survey, name) for name in survey.__all__), hasattr(survey, 'nonsense'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[]\nTrue False\n", "")
