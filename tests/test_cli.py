"""The command line, as a user meets it: examples, files, and one line for what can be mended."""

import base64
import csv
import json
import re

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from anime_keras import data, plots, report
from anime_keras.cli import app

TINY = ("--size", "32", "--width", "4", "--latent-dim", "8", "--precision", "float32")


@pytest.fixture(autouse=True)
def restore_policy():
    yield
    keras.config.set_dtype_policy("float32")


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def run(*arguments):
    """A command that works; returns what it said."""
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fails(*arguments):
    """A command that fails with exit code 1 and one line; returns that line."""
    result = invoke(*arguments)
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.output.splitlines() if line.startswith("Error:")]
    assert len(lines) == 1, result.output
    assert "Traceback" not in result.output
    return lines[0]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of PNGs whose name HTML, rich and shells would all like to understand."""
    folder = tmp_path_factory.mktemp("data") / "<script>alert('1')< [bold] [/red] 顔"
    (folder / "deeper").mkdir(parents=True)
    for index, image in enumerate(data.render(16, size=32).images):
        Image.fromarray(image).save(folder / ("deeper" if index % 2 else "") / f"{index}.png")
    (folder / "broken [bold].png").write_bytes(b"not a picture")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pictures):
    """A run of one epoch, and what the command said."""
    folder = tmp_path_factory.mktemp("runs") / "tiny run"
    output = run(
        *("train", "dcgan", "--data", pictures, "--epochs", "1", "--batch-size", "8"),
        *("--loss", "hinge", "--out", folder, *TINY),
    )
    keras.config.set_dtype_policy("float32")
    return folder, output


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "data render", "train dcgan", "train conditional", "train cyclegan", "train vae"),
        *("train animegan", "generate", "evaluate"),
    ],
    ids=lambda c: c.replace(" ", "-"),
)
def test_help_has_an_example(command):
    output = run(*command.split(), "--help")
    assert re.search(rf"python -m anime_keras {command}\b", output), output
    assert "Example" in output


def test_help_names_the_commands():
    output = run("--help")
    for command in ("demo", "data", "train", "generate", "evaluate", "survey"):
        assert re.search(rf"\b{command}\b", output)


class TestDataRender:
    def test_files(self, tmp_path):
        out = tmp_path / "faces"
        output = run("data", "render", "--count", 9, "--size", 32, "--seed", 4, "--out", out)
        assert "9 faces of 32 px" in output
        assert sorted(p.name for p in out.iterdir()) == [
            "images",
            "labels.csv",
            "landmarks.npz",
            "sheet.png",
        ]
        faces = data.render(9, size=32, seed=4)
        names = [f"{index:06d}.png" for index in range(9)]
        assert sorted(p.name for p in (out / "images").iterdir()) == names
        for name, image in zip(names, faces.images, strict=True):
            np.testing.assert_array_equal(plots.load(out / "images" / name), image)
        with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [row["file"] for row in rows] == names
        for factor, values in faces.factors.items():
            words = [faces.names[factor][index] for index in values]
            assert [row[factor] for row in rows] == words
        with np.load(out / "landmarks.npz", allow_pickle=False) as held:
            np.testing.assert_array_equal(held["points"], faces.landmarks)
            assert tuple(held["names"]) == faces.landmark_names
        assert plots.load(out / "sheet.png").shape == (2 * 34 + 2, 8 * 34 + 2, 3)

    def test_refuses_a_folder_that_is_not_empty(self, tmp_path):
        (tmp_path / "mine.txt").write_text("precious")
        assert "is not empty" in fails("data", "render", "--count", 2, "--out", tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--size", 31, "size must be between 32 and 512; got 31."),
            ("--style", "cubist", "style must be one of"),
        ],
    )
    def test_what_cannot_be_drawn(self, tmp_path, option, value, message):
        out = tmp_path / "faces"
        line = fails("data", "render", "--count", 2, option, value, "--out", out)
        assert message in line
        assert not out.exists()


class TestTrain:
    def test_says_what_it_read_and_where_to_look(self, trained, pictures):
        folder, output = trained
        assert f"Read 16 pictures from {pictures}." in output
        assert f"left out {pictures / 'broken [bold].png'}: text, not a picture" in output
        assert f"'{folder / 'report.html'}'" in output
        assert f"generate --run '{folder}' --seed 1 --out more.png" in output

    def test_settings(self, trained, pictures):
        folder, _ = trained
        kept = json.loads((folder / "settings.json").read_text())
        assert kept["data"] == str(pictures)
        assert (kept["size"], kept["epochs"], kept["batch_size"]) == (32, 1, 8)
        assert (kept["network"]["width"], kept["network"]["latent_dim"]) == (4, 8)
        assert kept["rules"]["loss"] == "hinge"

    def test_a_run_that_is_there_stays_as_it_is(self, trained, pictures):
        folder, _ = trained
        before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        line = fails("train", "dcgan", "--data", pictures, "--epochs", 9, "--out", folder)
        assert "There is a run in" in line and "--resume" in line
        assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before

    def test_resume_changes_length_only(self, trained):
        folder, _ = trained
        line = fails(
            "train", "dcgan", "--out", folder, "--resume", "--epochs", 2, "--learning-rate", 0.01
        )
        assert "--learning-rate cannot be changed with --resume" in line
        assert json.loads((folder / "settings.json").read_text())["epochs"] == 1

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--data", "nowhere", "--epochs", "1"), "There is no folder nowhere."),
            (("--data", ".", "--epochs", "1"), "There are no pictures in .: no file."),
            (("--size", "48", "--epochs", "1"), "image_size must be one of (32, 64, 128, 256)"),
            ((), "Say how long to train: give epochs, minutes, or both."),
            (("--epochs", "0"), "epochs must be above 0, not 0."),
            (
                ("--epochs", "1", "--loss", "nonsense"),
                "There is no adversarial loss 'nonsense'. Choose one of ['non_saturating',",
            ),
            (("--epochs", "1", "--normalization", "spectral"), "normalization must be one of"),
            (("--epochs", "1", "--augmentation", "blur"), "Unknown augmentation ['blur']"),
            (("--minutes", "1", "--decay", "linear"), "needs its end: give epochs"),
            (
                ("--epochs", "1", "--count", "4", "--size", "32", "--width", "4"),
                "A batch of 64 cannot be made from 4 pictures: use a smaller batch or more pictures.",
            ),
        ],
        ids=lambda value: "_".join(value) if isinstance(value, tuple) else "",
    )
    def test_one_line_for_what_can_be_mended(self, tmp_path, monkeypatch, options, message):
        monkeypatch.chdir(tmp_path)
        assert message in fails("train", "dcgan", "--out", "run", *options)
        assert not (tmp_path / "run" / "settings.json").exists()

    def test_resume_where_no_run_is(self, tmp_path):
        line = fails("train", "dcgan", "--resume", "--out", tmp_path)
        assert f"There is no run in {tmp_path}: it has no settings.json." in line


class TestTrainCycleGAN:
    @pytest.fixture(scope="class")
    def translator(self, tmp_path_factory, pictures):
        folder = tmp_path_factory.mktemp("runs") / "translator"
        output = run(
            *("train", "cyclegan", "--x", pictures, "--y", "anime", "--count", 16, "--epochs", 1),
            *("--size", 32, "--width", 4, "--blocks", 1, "--batch-size", 8, "--score-every", 1),
            *("--precision", "float32", "--out", folder),
        )
        keras.config.set_dtype_policy("float32")
        return folder, output

    def test_says_how_to_use_it(self, translator):
        folder, output = translator
        assert f"translate --run {folder} --input photo.jpg" in output
        kept = json.loads((folder / "settings.json").read_text())
        assert (kept["model"], kept["y"]) == ("cyclegan", "anime")

    def test_sheets(self, translator, pictures):
        """There and back of eight pairs, and the patches' scores of four, four times as large."""
        folder, _ = translator
        assert plots.load(folder / "final.png").shape == (8 * 130 + 2, 6 * 130 + 2, 3)
        sheet = plots.load(folder / "samples" / "patches-0001.png")
        assert sheet.shape == (4 * 130 + 2, 8 * 130 + 2, 3)
        # The first column is what the second judges, in colour and in grey.
        first = sheet[2:130:4, 2:130:4]
        np.testing.assert_array_equal(first, data.render(1, size=32, seed=1).images[0])

    def test_scores_what_x_became(self, translator):
        with (translator[0] / "history.csv").open(newline="") as file:
            row = next(csv.DictReader(file))
        assert float(row["fid"]) > 0 and {"G", "cycle_x", "identity_y", "D_X"} < set(row)

    def test_report(self, translator):
        page = (translator[0] / "report.html").read_text(encoding="utf-8")
        assert "There and back" in page and "patch" in page
        assert page.count('src="data:image/') == 5

    def test_it_makes_nothing_from_noise(self, translator, tmp_path):
        line = fails("generate", "--run", translator[0], "--out", tmp_path / "x.png")
        assert "translates pictures" in line and "anime_keras translate --run" in line

    def test_is_resumed_as_what_it_is(self, translator):
        line = fails("train", "dcgan", "--resume", "--out", translator[0], "--epochs", 2)
        assert "is a cyclegan: python -m anime_keras train cyclegan" in line
        line = fails("train", "cyclegan", "--resume", "--out", translator[0], "--cycle", 5)
        assert "--cycle cannot be changed with --resume" in line

    def test_not_a_number(self, tmp_path):
        """What is advised are options that this command has."""
        line = fails(
            *("train", "cyclegan", "--x", "anime", "--count", 8, "--epochs", 1, "--size", 32),
            *("--width", 4, "--blocks", 1, "--learning-rate", 1e30, "--precision", "float32"),
            *("--out", tmp_path / "run"),
        )
        assert re.search(r"became (nan|inf|NaN).* at step \d", line), line
        advised = set(re.findall(r"\((--[a-z-]+) ", line))
        assert advised == {"--learning-rate", "--cycle", "--precision"}
        options = run("train", "cyclegan", "--help")
        assert all(option in options for option in advised)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--y", "nowhere"), "There is no folder nowhere."),
            (("--size", "50"), "image_size must be a multiple of 4"),
            (("--loss", "hinge"), "loss must be one of"),
            (("--cycle", "-1"), "cycle must be at least 0"),
        ],
        ids=lambda value: "_".join(value) if isinstance(value, tuple) else "",
    )
    def test_one_line_for_what_can_be_mended(self, tmp_path, monkeypatch, options, message):
        monkeypatch.chdir(tmp_path)
        arguments = ("--x", "anime", "--count", "8", "--epochs", "1", "--out", "run")
        assert message in fails("train", "cyclegan", *arguments, *options)
        assert not (tmp_path / "run" / "settings.json").exists()


class TestGenerate:
    def test_png(self, trained, tmp_path):
        folder, _ = trained
        for name, seed in (("a.png", 0), ("b.png", 0), ("c.png", 1)):
            output = run(
                *("generate", "--run", folder, "--count", 5, "--seed", seed),
                *("--scale", 2, "--out", tmp_path / "new" / name),
            )
            assert name in output
        a, b, c = (plots.load(tmp_path / "new" / f"{name}.png") for name in "abc")
        assert a.shape == (66 + 2, 5 * 66 + 2, 3)
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()

    def test_gif(self, trained, tmp_path):
        folder, _ = trained
        out = tmp_path / "walk.gif"
        run("generate", "--run", folder, "--count", 3, "--interpolate", "--out", out)
        with Image.open(out) as animation:
            assert animation.size == (32, 32)
            assert animation.n_frames > 12  # 36, less those that are equal to the one before
            assert animation.info["loop"] == 0

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--out", "x.gif"), "x.gif must end in .png or .jpg."),
            (("--out", "x.png", "--interpolate"), "x.png must end in .gif."),
            (("--out", "x"), "x must end in .png or .jpg."),
        ],
    )
    def test_wrong_suffix(self, trained, options, message):
        assert message in fails("generate", "--run", trained[0], *options)

    def test_not_a_run(self, tmp_path):
        line = fails("generate", "--run", tmp_path, "--out", tmp_path / "x.png")
        assert f"There is no run in {tmp_path}" in line
        (tmp_path / "settings.json").write_text('{"epochs": 1, "size": 32}')
        line = fails("generate", "--run", tmp_path, "--out", tmp_path / "x.png")
        assert "There is no checkpoint in" in line


class TestReport:
    @pytest.fixture
    def page(self, trained):
        return (trained[0] / "report.html").read_text(encoding="utf-8")

    def test_holds_everything(self, page, trained):
        """Nothing is loaded from elsewhere: pictures are inside, and are those of the run."""
        sources = re.findall(r"""(?:src|href|data|action)\s*=\s*["']?([^"'> ]+)""", page)
        assert len(sources) == 4
        assert "http:" not in page and "https:" not in page and "url(" not in page
        names = ["final.png", "real.png", "training.gif", "curves.png"]
        for source, name in zip(sources, names, strict=True):
            head, content = source.split(",")
            assert head == f"data:image/{name[-3:]};base64"
            assert base64.b64decode(content) == (trained[0] / name).read_bytes()

    def test_is_escaped(self, page, pictures):
        assert "<script" not in page
        assert "&lt;script&gt;alert(&#x27;1&#x27;)&lt; [bold] [/red] 顔" in page

    def test_numbers(self, page):
        assert "1 whole epoch over 16 pictures, 2 steps of 8 pictures (16 in all)" in page
        for word in ("d_loss", "real_score", "hinge", "latent_dim"):
            assert word in page

    def test_long_histories_are_thinned(self):
        thinned = report._thinned({"epoch": list(range(1, 202))})["epoch"]
        assert 10 <= len(thinned) <= 20 and thinned[-1] == 201
        assert report._thinned({"epoch": [1, 2, 3]})["epoch"] == [1, 2, 3]
        assert report._thinned({}) == {}


def test_demo_takes_afree_folder(tmp_path):
    from anime_keras.cli.shared import free_folder

    assert free_folder(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo-2").mkdir()
    assert free_folder(tmp_path / "demo") == tmp_path / "demo-3"


def test_demo(tmp_path, monkeypatch):
    """The whole of it, with few and small faces, for one step."""
    monkeypatch.setattr("anime_keras.cli.demo.DEMO_FACES", 64)
    monkeypatch.setattr("anime_keras.cli.demo.DEMO_NETWORK", {"width": 4, "latent_dim": 8})
    monkeypatch.setattr("anime_keras.cli.demo.DEMO_MEASURED", 50)
    out = tmp_path / "demo"
    output = run("demo", "--minutes", "0.00001", "--out", out)
    assert "report.html" in output and "50 generated and 50 real pictures" in output
    assert json.loads((out / "metrics.json").read_text())["about"]["data"] == "rendered"
    assert (out / "report.html").exists() and (out / "final.png").exists()
    assert "There is a run in" in fails("demo", "--out", out)
