"""What goes into a page, and what does not."""

import base64
import io
import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from anime_keras import data, survey
from anime_keras.survey import design, pictures
from anime_keras.survey.page import embeddable


def content(path):
    """The page's data."""
    found = re.search(
        r'<script type="application/json" id="survey">(.*?)</script>',
        path.read_text(encoding="utf-8"),
    )
    return json.loads(found[1])


def opened(encoded):
    return Image.open(io.BytesIO(base64.b64decode(encoded)))


def test_the_page_does_not_know_the_truth(made):
    page = content(made.page)
    allowed = {"id", "task", "pictures", "statement", "instructed"}
    assert len(page["trials"]) == len(made.trials) == 5 * (2 + 1)
    for trial in page["trials"]:
        assert trial.keys() <= allowed
    text = made.page.read_text(encoding="utf-8")
    for secret in (*made.models, "labelled", "onerror", "x_1", ".png", str(made.page.parent)):
        assert secret not in text, secret
    assert text.count("<script") == 2
    assert "window.hacked=1</script>" not in text


def test_the_order_on_the_page_tells_nothing(faces, tmp_path):
    """Neither where a trial stands, nor where its picture does, nor which of a pair is first."""
    made = survey.build(
        *(tmp_path / "s.html", faces.images[:60], {"m": faces.images[60:]}),
        tasks=("real", "better"),
        count=40,
        checks=0,
        practice=0,
    )
    singles = [t for t in made.trials if t.task == "real"]
    for order in (singles, sorted(singles, key=lambda t: t.pictures)):
        real = [t.sources == ("real",) for t in order]
        assert sum(real) == 20
        runs = 1 + sum(a != b for a, b in itertools.pairwise(real))
        assert 12 <= runs <= 30  # 21 expected, 3.1 standard deviation
    first = sum(t.sources[0] == "real" for t in made.trials if t.task == "better")
    assert 10 <= first <= 30


def test_pictures_are_all_alike_but_for_what_they_show(made):
    found = [opened(encoded) for encoded in content(made.page)["pictures"]]
    assert {(p.format, p.mode, tuple(sorted(p.info))) for p in found} == {
        ("JPEG", "RGB", ("jfif", "jfif_density", "jfif_unit", "jfif_version"))
    }
    # Singles have the side of the smallest picture; a group shows nine of them.
    assert {p.size for p in found} == {(32, 32), (112, 112)}
    assert made.size == 32
    tables = {json.dumps(p.quantization) for p in found}
    assert len(tables) == 1


def test_pictures_are_what_the_key_says(faces, tmp_path):
    made = survey.build(
        *(tmp_path / "s.html", faces.images[:30], {"m": faces.images[30:60]}),
        tasks=("real", "better", "rating"),
        count=6,
        practice=2,
    )
    page = content(made.page)
    shown = [p for t in made.trials if t.check != "noise" for p in t.pictures]
    practised = [p for t in page["practice"] for p in t["pictures"]]
    assert len(set(shown + practised)) == len(shown + practised), "no picture is seen twice"
    for trial in made.trials:
        for source, file, place in zip(trial.sources, trial.files, trial.pictures, strict=True):
            if source == "noise":
                continue
            index = int(re.search(r"\[(\d+)\]", file)[1])
            original = faces.images[index + (30 if source == "m" else 0)].astype(float)
            difference = np.abs(np.asarray(opened(page["pictures"][place]), float) - original)
            assert difference.mean() < 6


def test_the_plan_is_balanced():
    trials = design.plan(("real", "better", "rating"), ["a", "b"], [], 24, checks=0)
    counts = {task: {} for task in ("real", "better", "rating")}
    for trial in trials:
        counts[trial.task][trial.sources] = counts[trial.task].get(trial.sources, 0) + 1
    assert counts["real"] == {("real",): 12, ("a",): 6, ("b",): 6}
    assert counts["better"] == {("real", "a"): 8, ("real", "b"): 8, ("a", "b"): 8}
    assert counts["rating"] == {("real",): 8, ("a",): 8, ("b",): 8}


def test_statements_are_true_as_often_as_not(tmp_path):
    faces = data.render(40, size=32, seed=9)
    made = survey.build(
        *(tmp_path / "s.html", faces, {}),
        attribute=faces,
        tasks=("attribute",),
        count=20,
        checks=2,
        practice=0,
    )
    asked = [t for t in made.trials if not t.check]
    assert sum(t.true for t in asked) == 10
    for trial in asked:
        attribute, word = trial.statement
        index = int(re.search(r"\[(\d+)\]", trial.files[0])[1])
        real = faces.names[attribute][faces.factors[attribute][index]]
        assert (word == real) == trial.true
        assert word in faces.names[attribute]
    # Each of the factors that are easy to see as often as the others, true and false.
    per = [(t.statement[0], t.true) for t in asked]
    assert {per.count(one) for one in set(per)} == {2}
    assert {attribute for attribute, _ in per} == set(design.PLAIN)


def test_checks_ask_for_what_an_attentive_rater_says(made):
    for trial in (t for t in made.trials if t.check):
        assert trial.expected
        if len(trial.sources) == 2:
            assert trial.sources["ab".index(trial.expected[0])] == "real"


def test_the_same_seed_builds_the_same(faces, tmp_path):
    arguments = (faces.images[:40], {"m": faces.images[40:]})
    one = survey.build(tmp_path / "1.html", *arguments, count=4, seed=1)
    same = survey.build(tmp_path / "2.html", *arguments, count=4, seed=1)
    other = survey.build(tmp_path / "3.html", *arguments, count=4, seed=2)
    assert one.page.read_bytes() == same.page.read_bytes()
    assert one.key.read_bytes() == same.key.read_bytes()
    assert one.id == same.id != other.id


def test_a_key_is_read_as_it_was_written(made):
    read = survey.Survey.open(made.key)
    assert (read.id, read.trials, read.models, read.page) == (
        *(made.id, made.trials, made.models, made.page),
    )


def test_a_key_that_was_changed_is_refused(made, tmp_path):
    text = made.key.read_text(encoding="utf-8")
    for wrong, words in (
        (text.replace('"real"', '"fake"', 1), "checksum"),
        (text[:-40], "no key"),
        ("[]", "no key"),
        ('{"sha256": ""}', "no key"),
    ):
        path = tmp_path / "wrong.key.json"
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match=words) as error:
            survey.Survey.open(path)
        assert str(path) in str(error.value)
    with pytest.raises(FileNotFoundError, match="no key"):
        survey.Survey.open(tmp_path / "nothing.key.json")


def test_folders_run_over_what_is_no_picture(evil_folder, tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    for i, path in enumerate(sorted(evil_folder.glob("*.png"))[:3]):
        (folder / f"{i}.png").write_bytes(path.read_bytes())
    (folder / "broken.png").write_bytes(b"nothing")
    Image.new("RGB", (8, 8)).save(folder / "tiny.png")
    assert sorted(p.name for p in pictures.draw(folder, 3, 0)) == ["0.png", "1.png", "2.png"]
    with pytest.raises(
        ValueError, match=r"needs 4 different pictures of .*, and there are 3\."
    ) as e:
        pictures.draw(folder, 4, 0)
    assert "Passed over" in str(e.value)


def test_prepared_pictures_come_from_what_was_held_out(tmp_path, faces):
    source = tmp_path / "source"
    source.mkdir()
    for i, image in enumerate(faces.images):
        Image.fromarray(image).save(source / f"{i}.png")
    data.prepare(
        source, tmp_path / "done", 32, val=0.0, test=0.2, near="together", least_sharpness=0
    )
    prepared = data.Prepared.open(tmp_path / "done")
    held = prepared.pictures("test")[:]
    for picture in pictures.draw(tmp_path / "done", 5, 0):
        assert (held == picture.image).all(axis=(1, 2, 3)).any()


def test_rendered_faces_take_the_side_of_the_others(tmp_path, faces):
    made = survey.build(
        tmp_path / "s.html", "rendered", {"m": faces.images}, tasks=("rating",), count=2, practice=0
    )
    assert made.size == 32
    assert made.warnings == []


def test_enlarging_is_warned_about(tmp_path, faces):
    made = survey.build(
        *(tmp_path / "s.html", faces.images, {"m": faces.images}),
        tasks=("rating",),
        count=2,
        size=64,
    )
    assert "enlarged to 64 px" in made.warnings[0]
    assert opened(content(made.page)["pictures"][0]).size == (64, 64)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"out": "page.txt"}, "must end in .html"),
        ({"tasks": ("real", "nonsense")}, "nonsense"),
        ({"tasks": ()}, "choose from"),
        ({"tasks": ("attribute",)}, "need pictures with labels"),
        ({"fakes": {}}, "no model"),
        ({"fakes": {"real": None}}, "cannot be called 'real'"),
        ({"fakes": {" ": None}}, "cannot be called"),
        ({"fakes": {"m": np.zeros((9, 8, 8, 3))}}, "uint8"),
        ({"count": 1}, "count must be between 2"),
        ({"count": 60}, "m: The survey needs 66 different pictures|real: The survey needs"),
        ({"exposure": 5}, "exposure must be between 16"),
        ({"size": 8}, "size must be between 32"),
        ({"fakes": {"m": "no folder"}}, "no folder"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_written(tmp_path, faces, changes, words):
    arguments = {
        "out": "page.html",
        "real": faces.images,
        "fakes": {"m": faces.images},
        "count": 2,
        **changes,
    }
    arguments["out"] = tmp_path / arguments["out"]
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        survey.build(**arguments)
    assert list(tmp_path.iterdir()) == []


def test_labels_that_cannot_be_asked_for(tmp_path, faces, evil_folder):
    arguments = (tmp_path / "s.html", faces.images, {"m": faces.images})
    with pytest.raises(ValueError, match=r"no labels \['age'\]"):
        survey.build(*arguments, attribute=evil_folder, tasks=("attribute",), factors=["age"])
    with pytest.raises(ValueError, match="have no label to ask for"):
        survey.build(*arguments, attribute=faces.images, tasks=("attribute",), count=2, checks=0)


def test_json_cannot_end_its_element():
    text = embeddable({"</script>": "<!-- &amp; ]]> \u2028"})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script>": "<!-- &amp; ]]> \u2028"}
