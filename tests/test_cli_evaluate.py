"""`evaluate`, and scores on the way, as a user meets them."""

import csv
import dataclasses
import json
import math
from functools import partial

import keras
import numpy as np
import pytest
from PIL import Image
from test_cli import TINY, fails, run

from anime_keras import checkpoints, data
from anime_keras.metrics import counterparts, extractors
from anime_keras.runs import Run, Settings


@pytest.fixture(autouse=True)
def restore_policy():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs, the second of which was scored."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    options = ("--count", 64, "--epochs", 2, "--batch-size", 32, "--score-every", 2)
    run("train", "dcgan", *options, "--out", folder, *TINY)
    keras.config.set_dtype_policy("float32")
    return folder


def folder_of(path, count=60, size=32, seed=0):
    """A folder of pictures with labels.csv, as `data render` writes it."""
    run("data", "render", "--count", count, "--size", size, "--seed", seed, "--out", path)
    return path


def test_scores_on_the_way_are_in_the_history(trained):
    with (trained / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert math.isnan(float(rows[0]["fid"])) and math.isnan(float(rows[0]["kid"]))
    # what the callback measured is what the finished model gives
    from anime_keras import metrics
    from anime_keras.metrics import references

    model = Run.open(trained).load_model()
    real = references.collect(data.render(64, size=32).images)
    fake = references.collect(model.generate(1000))
    expected = metrics.frechet_distance(real.sample, fake.sample)
    assert float(rows[1]["fid"]) == pytest.approx(expected, rel=1e-3)
    assert (trained / "curves.png").exists()


def test_a_run_is_measured_against_its_own_pictures(trained):
    output = run("evaluate", "--run", trained, "--count", 60)
    assert "60 generated and 60 real pictures, anime-features, seed 0" in output
    for name in ("FID", "KID", "IS", "precision", "recall", "density", "coverage", "memorisation"):
        assert f"\n{name} " in output
    assert "of the combinations are there" in output
    found = json.loads((trained / "metrics.json").read_text())
    assert [row["name"] for row in found["results"]][:2] == ["FID", "KID"]
    assert found["about"]["data"] == "rendered" and found["about"]["model"] == "tiny"
    page = (trained / "report.html").read_text()
    assert "<h2>Measured</h2>" in page and "Nearest to the training pictures" in page
    assert f"{found['results'][0]['value']:.4g} ±" in page
    assert page.count("data:image/png;base64") >= 5
    # training on keeps it
    run("train", "dcgan", "--resume", "--epochs", 3, "--out", trained)
    assert "<h2>Measured</h2>" in (trained / "report.html").read_text()


def test_path_length_of_a_run(trained):
    run("evaluate", "--run", trained, "--count", 60, "--metrics", "ppl", "--out", trained / "ppl")
    (row,) = json.loads((trained / "ppl" / "metrics.json").read_text())["results"]
    assert row["name"] == "PPL in Z" and row["value"] > 0
    assert not (trained / "ppl" / "report.html").exists()


def test_pictures_of_any_generator_with_what_was_asked_for(tmp_path):
    real, fake = (folder_of(tmp_path / name, 80, 64, seed) for name, seed in (("r", 1), ("f", 2)))
    (fake / "images" / "broken.png").write_bytes(b"text")
    output = run(
        *("evaluate", "--pictures", fake, "--data", real, "--out", tmp_path / "out"),
        *("--metrics", "kid,attributes"),
    )
    assert "left out" in output and "broken.png" in output
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    hair = found["as_asked_for"]["hair_color"]
    assert hair["count"] == 80 and hair["share"] >= 0.97  # drawn as it was asked for
    assert "hair color as asked for" in output
    assert (tmp_path / "out" / "attributes.png").exists()
    # the labels of others' pictures, one row on: hardly any face is as asked for
    lines = (fake / "labels.csv").read_text().splitlines()
    header, *rows = (line.split(",") for line in lines)
    moved = [[row[0], *other[1:]] for row, other in zip(rows, rows[1:] + rows[:1], strict=True)]
    (fake / "labels.csv").write_text("\n".join(",".join(row) for row in [header, *moved]) + "\n")
    run(
        *("evaluate", "--pictures", fake, "--data", real, "--out", tmp_path / "out"),
        *("--metrics", "attributes"),
    )
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["as_asked_for"]["hair_color"]["share"] < 0.3


def test_a_keras_model_as_extractor(trained, tmp_path):
    inputs = keras.Input((32, 32, 3))
    means = keras.layers.AveragePooling2D(8)(inputs)
    keras.Model(inputs, means).save(tmp_path / "means.keras")
    options = ("--metrics", "fid", "--extractor", tmp_path / "means.keras")
    output = run("evaluate", "--run", trained, "--count", 60, *options, "--out", tmp_path / "o")
    assert "means, seed 0" in output


class TestErrors:
    def test_what_to_measure(self, trained, tmp_path):
        assert "Say what to measure" in fails("evaluate")
        assert "Say what to measure" in fails("evaluate", "--run", trained, "--pictures", tmp_path)
        assert "also say --data" in fails("evaluate", "--pictures", tmp_path)

    def test_folders(self, trained, tmp_path):
        assert "There is no run in" in fails("evaluate", "--run", tmp_path)
        nowhere = tmp_path / "nowhere"
        assert "There is no folder" in fails("evaluate", "--run", trained, "--data", nowhere)
        (tmp_path / "empty").mkdir()
        line = fails("evaluate", "--run", trained, "--data", tmp_path / "empty")
        assert "There are no pictures in" in line
        options = ("--data", "rendered", "--out", tmp_path / "o")
        line = fails("evaluate", "--pictures", tmp_path / "empty", *options)
        assert "There are no pictures in" in line
        assert not (tmp_path / "o").exists()

    def test_mixed_sizes(self, trained, tmp_path):
        for index, side in enumerate((32, 32, 40)):
            Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(tmp_path / f"{index}.png")
        line = fails("evaluate", "--run", trained, "--data", tmp_path)
        assert "of mixed sizes: 0.png is 32x32, 2.png 40x40" in line and "data prepare" in line

    def test_too_few(self, trained):
        line = fails("evaluate", "--run", trained, "--count", 20)
        assert "There are 20 real pictures; below 50 no number says anything" in line

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--metrics", "fid,beauty", "no metric 'beauty'"),
            ("--metrics", ",", "Name a metric"),
            ("--extractor", "vgg", "no extractor 'vgg'"),
            ("--extractor", "mine.keras", "There is no file mine.keras"),
        ],
    )
    def test_names(self, trained, option, value, message):
        assert message in fails("evaluate", "--run", trained, "--count", 60, option, value)


# --- models that translate ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """The run of a CycleGAN as it begins, on drawn faces."""
    return begun(tmp_path_factory.mktemp("portraits") / "run", "portraits", "anime")


def begun(folder, x, y, model="cyclegan", **network):
    settings = Settings(
        model=model,
        data=str(x),
        y=str(y),
        size=32,
        epochs=1,
        precision="float32",
        network={"width": 4, **(network or {"residual_blocks": 1})},
    )
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(dataclasses.asdict(settings)))
    checkpoints.save(Run.open(folder).build_model(), folder / "checkpoints", step=0)
    return folder


@pytest.fixture
def small_albums(monkeypatch):
    monkeypatch.setattr(counterparts, "drawn", partial(counterparts.drawn, album=60))


def test_a_run_that_translates_is_scored_against_the_truth(portraits, small_albums):
    output = run("evaluate", "--run", portraits, "--count", 50)
    for words in (
        "Portraits to anime: distance to the true counterpart",
        "Anime to portraits: read by the network, against the truth",
        "times nearer",
        "Mind: ",
    ):
        assert words in output
    found = json.loads((portraits / "metrics.json").read_text())
    assert found["results"] == [] and found["about"]["data"] == "portraits and anime"
    x2y = found["translation"]["x2y"]
    assert (x2y["source"], x2y["target"], x2y["paired"]) == ("portraits", "anime", True)
    # what the command says of the model is what it says of its pictures
    model = Run.open(portraits).load_model()
    x, y = counterparts.drawn(50, 32)
    distance = np.abs(model.translate(x.pictures).astype(float) - y.pictures).mean() / 255
    assert x2y["results"][0]["name"] == "L1"
    assert x2y["results"][0]["value"] == pytest.approx(distance, rel=1e-3)
    features = extractors.get("anime")
    apart = features(model.translate(x.pictures))[0] - features(y.pictures)[0]
    assert x2y["results"][2]["extractor"] == "anime-features"
    assert x2y["results"][2]["value"] == pytest.approx(np.linalg.norm(apart, axis=1).mean(), 1e-3)
    back = np.abs(model.translate(y.pictures, "y2x").astype(float) - x.pictures).mean() / 255
    assert found["translation"]["y2x"]["results"][0]["value"] == pytest.approx(back, rel=1e-3)
    page = (portraits / "report.html").read_text()
    assert "the true counterparts are known" in page and "<td>hair color</td>" in page
    assert "cyclegan on portraits and anime pictures" in page
    assert (portraits / "translation.png").stat().st_size > 10_000


def test_a_run_that_knows_no_way_back(tmp_path, small_albums):
    folder = begun(tmp_path / "run", "portraits", "anime", "animegan", ema=0.5)
    output = run("evaluate", "--run", folder, "--count", 50)
    assert "Portraits to anime: distance to the true counterpart" in output
    assert "Anime to portraits" not in output and "there and back" not in output
    found = json.loads((folder / "metrics.json").read_text())["translation"]
    assert "y2x" not in found
    model = Run.open(folder).load_model()
    x, y = counterparts.drawn(50, 32)
    distance = np.abs(model.translate(x.pictures).astype(float) - y.pictures).mean() / 255
    assert found["x2y"]["results"][0]["value"] == pytest.approx(distance, rel=1e-3)
    page = (folder / "report.html").read_text()
    assert "50 pictures of 32 px were translated, and compared with 60 others" in page


def test_folders_without_counterparts(tmp_path):
    x, y = (folder_of(tmp_path / name, 50, 32, seed) for name, seed in (("x", 1), ("y", 2)))
    folder = begun(tmp_path / "run", x, y)
    options = ("--count", 50, "--metrics", "translation,kid", "--out", tmp_path / "out")
    output = run("evaluate", "--run", folder, *options)
    assert (
        "X to y: read by the network, against what it read before; the truth is not known" in output
    )
    assert "x has no held-out pictures" in output and "y has no held-out pictures" in output
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert found["about"]["data"] == "x and y" and not found["translation"]["x2y"]["paired"]
    # KID as every model has it: translations of X against Y
    by_name = {row["name"]: row for row in found["translation"]["x2y"]["results"]}
    assert [row["name"] for row in found["results"]] == ["KID"]
    assert found["results"][0]["value"] == pytest.approx(by_name["KID"]["value"], rel=1e-6)
    assert (tmp_path / "out" / "translation.png").exists()


def test_the_kits_own_translator(tmp_path, monkeypatch, portraits, small_albums):
    from anime_keras.cli import translate

    monkeypatch.setattr(translate, "load_shipped", Run.open(portraits).load_model)
    options = ("--metrics", "translation", "--count", 50, "--out", tmp_path)
    run("evaluate", *options)
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["about"]["model"] == "portrait_anime" and found["translation"]["x2y"]["paired"]


class TestErrorsOfTranslation:
    def test_models(self, trained, portraits):
        options = ("--count", 60, "--metrics", "translation")
        assert "needs what translates" in fails("evaluate", "--run", trained, *options)
        assert "--y is for the run of a CycleGAN" in fails("evaluate", "--run", trained, "--y", "a")
        assert "also say --out" in fails("evaluate", "--metrics", "translation")
        line = fails("evaluate", "--run", portraits, "--metrics", "ppl,neighbours")
        assert "neighbours, ppl cannot be measured of a model that translates" in line

    def test_pictures(self, portraits, tmp_path, small_albums):
        line = fails("evaluate", "--run", portraits, "--data", tmp_path / "none")
        assert "There is no folder" in line
        line = fails("evaluate", "--run", portraits, "--count", 20)
        assert "below 50 no number says anything" in line
