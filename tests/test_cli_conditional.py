"""`train conditional`, and what can be asked of its runs, as a user meets it."""

import csv
import hashlib
import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from test_cli import TINY, fails, run

from anime_keras import data, plots, tasks
from anime_keras.data import collections, people, records
from anime_keras.metrics import attributes
from anime_keras.runs import Generated, Run

ASKED = "hair_color,expression"


@pytest.fixture(autouse=True)
def restore_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Twelve drawn faces as records; every third has no hair colour, and none a smile."""
    folder = tmp_path_factory.mktemp("records")
    faces = data.render(12, size=32, seed=3)
    words = {"hair_color": ("black", "silver", "blue"), "mood": ("good", "bad"), "hat": ("top",)}
    rows = [
        records.Record(
            image,
            f"{i}.png",
            hashlib.sha256(image).hexdigest(),
            {"mood": words["mood"][i % 2]}
            | ({"hair_color": words["hair_color"][i % 2]} if i % 3 else {}),
        )
        for i, image in enumerate(faces.images)
    ]
    records.write(folder, {"train": (12, rows)}, size=32, label_names=words, about={"steps": []})
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on drawn faces, and what the command said."""
    folder = tmp_path_factory.mktemp("runs") / "words"
    output = run(
        *("train", "conditional", "--attributes", ASKED, "--conditioning", "both", "--flip"),
        *("--count", 64, "--epochs", 1, "--batch-size", 16, "--out", folder, *TINY),
    )
    keras.config.set_dtype_policy("float32")
    return folder, output


@pytest.fixture(scope="module")
def tagged(tmp_path_factory, prepared):
    folder = tmp_path_factory.mktemp("runs") / "tagged"
    output = run(
        *("train", "conditional", "--data", prepared, "--attributes", "hair_color"),
        *("--epochs", 1, "--batch-size", 4, "--out", folder, *TINY),
    )
    keras.config.set_dtype_policy("float32")
    return folder, output


class TestTrain:
    def test_drawn_faces_lack_nothing(self, trained):
        folder, output = trained
        assert "hair_color: 12 words, missing from 0 of 64 pictures." in output
        kept = json.loads((folder / "settings.json").read_text())["network"]
        assert kept["attributes"]["expression"] == list(people.FACTORS["expression"])
        share = np.mean(data.render(64, size=32).factors["expression"] == 1)
        assert kept["shares"]["expression"][1] == pytest.approx(share)
        with (folder / "history.csv").open(newline="") as file:
            assert float(next(csv.DictReader(file))["class_loss"]) > 0

    def test_sheets(self, trained):
        """After each epoch one person in 12 colours and 6 moods; the last one is in the report."""
        folder, _ = trained
        names = [f"{kind}-000{epoch}.png" for kind in ("asked", "epoch") for epoch in (0, 1)]
        assert sorted(p.name for p in (folder / "samples").iterdir()) == names
        sheet = plots.load(folder / "samples" / "asked-0001.png")
        assert sheet.shape == (12 * 34 + 2, 6 * 34 + 2, 3)
        drawn = Run.open(folder).load_model().sheet("hair_color", "expression")
        np.testing.assert_array_equal(sheet[2:34, 2:34], drawn[0, 0])
        np.testing.assert_array_equal(sheet[-34:-2, -34:-2], drawn[11, 5])
        assert "As asked for" in (folder / "report.html").read_text(encoding="utf-8")

    def test_missing_labels_are_counted(self, tagged):
        folder, output = tagged
        assert "hair_color: 3 words, missing from 4 of 12 pictures." in output
        kept = json.loads((folder / "settings.json").read_text())["network"]
        assert kept["shares"] == {"hair_color": [0.5, 0.5, 0.0]}
        sheet = plots.load(folder / "samples" / "asked-0001.png")
        assert sheet.shape == (3 * 34 + 2, 8 * 34 + 2, 3)  # one attribute: a column a person

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--attributes", "hat"), "no labels 'hat': choose from hair_color, eye_color"),
            (("--attributes", ""), "needs an attribute to be asked for"),
            (("--attributes", "pose", "--flip"), "mirrored picture has another pose"),
            (("--conditioning", "magic"), "conditioning must be one of"),
            (("--loss", "wasserstein"), "The Wasserstein loss is DCGAN's"),
        ],
    )
    def test_one_line_for_what_can_be_mended(self, tmp_path, options, message):
        start = ("train", "conditional", "--count", 16, "--epochs", 1, "--batch-size", 8)
        assert message in fails(*start, "--out", tmp_path / "run", *TINY, *options)

    @pytest.mark.parametrize(
        ("name", "message"), [("hat", "No picture has a label hat"), ("eyes", "no labels 'eyes'")]
    )
    def test_labels_that_are_not_there(self, prepared, tmp_path, name, message):
        start = ("train", "conditional", "--data", prepared, "--attributes", name, "--epochs", 1)
        assert message in fails(*start, "--out", tmp_path / "run", *TINY)

    def test_a_folder_without_labels(self, tmp_path):
        (tmp_path / "bare").mkdir()
        start = ("train", "conditional", "--data", tmp_path / "bare", "--epochs", 1)
        line = fails(*start, "--out", tmp_path / "run", *TINY)
        assert "no labels in" in line and "data prepare" in line

    def test_other_labels_on_resume_are_another_training_set(self):
        """The checksum that a resumed run is held against covers the labels."""
        images = np.zeros((8, 32, 32, 3), np.uint8)
        network = {"attributes": {"a": ["x", "y"]}}
        settings = SimpleNamespace(seed=0, batch_size=4, flip=False, network=network)
        sums = {
            tasks.Conditional(settings, (images, {"a": np.array(labels)})).checksum()
            for labels in ([0, 1] * 4, [0, 1] * 4, [1, 0] * 4)
        }
        assert len(sums) == 2
        with pytest.raises(ValueError, match="no labels 'a': there are b"):
            tasks.Conditional(settings, (images, {"b": np.zeros(8, int)}))


class TestKnownLabels:
    def test_of_drawn_faces(self):
        labels, names = collections.known_labels("portraits", 9, seed=5)
        faces = data.render(9, size=32, style="portrait", seed=5)
        assert names == faces.names
        for name, places in faces.factors.items():
            np.testing.assert_array_equal(labels[name], places)

    def test_of_records(self, prepared):
        labels, names = collections.known_labels(prepared, 5)
        assert names["mood"] == ("good", "bad")
        assert labels["hair_color"].tolist() == [-1, 1, 0, -1, 0]


class TestGenerate:
    def test_where(self, trained, tmp_path):
        folder, _ = trained
        where = "hair_color=blue, expression=smile"
        out = tmp_path / "blue.png"
        run("generate", "--run", folder, "--where", where, "--count", 4, "--out", out)
        model = Run.open(folder).load_model()
        pictures = model.generate(4, seed=0, hair_color="blue", expression="smile")
        np.testing.assert_array_equal(plots.load(out), plots.grid(pictures))

    def test_sheet_and_walk(self, trained, tmp_path):
        folder, _ = trained
        out = tmp_path / "sheet.png"
        run("generate", "--run", folder, "--sheet", "expression,hair_color", "--out", out)
        assert plots.load(out).shape == (6 * 34 + 2, 12 * 34 + 2, 3)
        walk = tmp_path / "walk.gif"
        asked = ("--interpolate", "--count", 2, "--where", "hair_color=pink")
        run("generate", "--run", folder, *asked, "--out", walk)
        assert walk.stat().st_size > 0

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--where", "hat=red"), "no attribute 'hat': choose from hair_color, expression"),
            (("--where", "hair_color=bleu"), "hair_color has no word 'bleu'"),
            (("--where", "blue"), "--where takes attribute=word"),
            (("--sheet", "hair_color"), "--sheet takes two attributes"),
            (("--sheet", "hair_color,hat"), "no attribute 'hat'"),
        ],
    )
    def test_what_cannot_be_asked(self, trained, tmp_path, options, message):
        start = ("generate", "--run", trained[0], "--out", tmp_path / "x.png")
        assert message in fails(*start, *options)
        assert not (tmp_path / "x.png").exists()


class TestEvaluate:
    def test_as_asked_for(self, trained):
        """The words that were asked for are held against what an independent network reads."""
        folder, _ = trained
        output = run("evaluate", "--run", folder, "--count", 60, "--metrics", "attributes")
        model = Run.open(folder).load_model()
        seen = attributes.read(model.generate(60))
        asked = model.ask(60)
        found = json.loads((folder / "metrics.json").read_text())["as_asked_for"]
        assert set(found) == {"expression", "hair_color"}
        for name, row in found.items():
            assert row["right"] == int(np.sum(seen.words[name] == asked[name]))
            assert row["count"] == 60
        assert "hair color as asked for" in output
        assert "What was asked for is there" in (folder / "report.html").read_text()

    def test_words_of_ones_own(self, tagged):
        """Silver is no word of the network: nothing is asked where it was asked for."""
        model = Run.open(tagged[0]).load_model()
        fake = Generated(model, 50, seed=2)
        np.testing.assert_array_equal(fake[3:7], model.generate(50, seed=2)[3:7])
        found = attributes.in_factors(fake.asked, model.attributes)
        black = people.FACTORS["hair_color"].index("black")
        np.testing.assert_array_equal(
            found["hair_color"], np.where(fake.asked["hair_color"] == 0, black, -1)
        )
        assert attributes.in_factors({"mood": np.zeros(3, int)}, {"mood": ("good",)}) == {}

    def test_path_length(self, trained, tmp_path):
        start = ("evaluate", "--run", trained[0], "--count", 60, "--metrics", "ppl")
        run(*start, "--out", tmp_path)
        (row,) = json.loads((tmp_path / "metrics.json").read_text())["results"]
        assert row["value"] > 0


def test_a_dcgan_cannot_be_asked(tmp_path):
    start = ("train", "dcgan", "--count", 16, "--epochs", 1, "--batch-size", 8)
    run(*start, "--out", tmp_path / "run", *TINY)
    line = fails(
        *("generate", "--run", tmp_path / "run", "--where", "hair_color=blue"),
        *("--out", tmp_path / "x.png"),
    )
    assert "which cannot be asked for words" in line
