"""The shelf: what is there, loading by run or name, and beginning with another's weights."""

import json

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from anime_keras import checkpoints, data, models, plots, shelf, weights
from anime_keras.cli import app
from anime_keras.runs import Run, Settings

TINY = {"width": 4, "latent_dim": 8}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a trained run, one that has only begun, and one that cannot be read."""
    folder = tmp_path_factory.mktemp("runs")
    settings = Settings(
        count=16, size=32, epochs=1, batch_size=8, network=TINY, precision="float32"
    )
    run = Run.create(folder / "faces", settings)
    run.train(data.render(16, size=32).images, progress=False)
    (folder / "begun").mkdir()
    (folder / "begun" / "settings.json").write_text((folder / "faces/settings.json").read_text())
    (folder / "broken").mkdir()
    (folder / "broken" / "settings.json").write_text("{")
    return folder


def test_shipped_models_are_listed_and_load():
    """Every generator of the kit is on the shelf, is what its card says, and can do something."""
    assert "portrait_anime" in shelf.names() and "face_finder" not in shelf.names()
    for entry in shelf.entries("no such folder"):
        model = models.load(entry.name)
        assert model.image_size == entry.size
        assert shelf.can(model) in ("makes pictures", "turns pictures", "makes and turns pictures")
        assert "drawings of this kit" in entry.trained_on
        assert entry.measured, f"{entry.name}'s card has no numbers"
    total = sum(path.stat().st_size for path in weights.FOLDER.glob("*.weights.*"))
    assert total < 40_000_000


def test_runs_are_listed_and_load(runs):
    entries = [e for e in shelf.entries(runs) if e.model == "dcgan" and "runs" in e.name]
    assert [entry.name for entry in entries] == [str(runs / "faces")]
    assert entries[0].size == 32 and entries[0].trained_on == "16 of rendered, 2 steps"
    assert entries[0].measured == {}
    row = {"name": "FID", "value": 12.345678}
    (runs / "faces" / "metrics.json").write_text(json.dumps({"results": [row]}))
    assert shelf.entries(runs)[-1].measured == {"FID": "12.35"}
    (runs / "faces" / "metrics.json").write_text("half a fi")
    assert shelf.entries(runs)[-1].measured == {}
    (runs / "faces" / "metrics.json").unlink()
    expected = Run.open(runs / "faces").load_model().generate(2)
    np.testing.assert_array_equal(models.load(runs / "faces").generate(2), expected)


def test_nothing_of_that_name():
    with pytest.raises(FileNotFoundError, match=r"no model of that name.*portrait_anime"):
        models.load("runs/nobody")


def test_beginning_with_the_weights_of_a_run(runs, tmp_path):
    settings = Settings(
        count=16,
        size=32,
        epochs=1,
        batch_size=8,
        seed=5,
        network={**TINY, "augmentation": ["color"]},
        rules={"learning_rate": 1e-9},
        precision="float32",
        begin=str(runs / "faces"),
    )
    run = Run.create(tmp_path / "tuned", settings)
    run.train(data.render(16, size=32, seed=5).images, progress=False)
    before, after = (models.load(path) for path in (runs / "faces", tmp_path / "tuned"))
    for ours, theirs in zip(
        after.generator.trainable_weights, before.generator.trainable_weights, strict=True
    ):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-7)
    assert json.loads((tmp_path / "tuned/settings.json").read_text())["begin"] == str(
        runs / "faces"
    )
    # Its own optimizers and chance: nothing of the other's.
    assert int(after.generator_optimizer.iterations) == 2
    assert not np.array_equal(after.latent_seed.state.numpy(), before.latent_seed.state.numpy())


def test_beginning_with_what_does_not_fit(runs, tmp_path):
    gan = models.DCGAN(image_size=32, width=6, latent_dim=8)
    with pytest.raises(ValueError, match=r"are others: width 4, not 6\. Choose the same"):
        shelf.begin(gan, runs / "faces")
    with pytest.raises(ValueError, match="is a DCGAN, not a VAE"):
        shelf.begin(models.VAE(image_size=32, width=4), runs / "faces")
    settings = Settings(size=32, epochs=1, network=TINY, begin="nothing")
    with pytest.raises(FileNotFoundError, match="There is no run in nothing"):
        Run.create(tmp_path / "new", settings)
    assert not (tmp_path / "new").exists()


def test_a_dtype_policy_survives_beginning(runs):
    gan = models.DCGAN(image_size=32, **TINY)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        shelf.begin(gan, runs / "faces")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")


def test_the_command(runs):
    result = CliRunner().invoke(app, ["models", "--runs", str(runs)], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert "portrait_anime" in result.output and "64 px" in result.output
    assert "faces" in result.output and "nothing yet" in result.output
    assert len(checkpoints.available(runs / "faces" / "checkpoints")) >= 1


@pytest.mark.parametrize("name", ["DCGAN", "VAE", "StyleGAN2"])
def test_what_cannot_be_asked_says_so(name):
    options = {"width": 4} if name != "StyleGAN2" else {"fmaps": 1 / 128, "max_channels": 8}
    model = getattr(models, name)(image_size=32, latent_dim=8, **options)
    assert model.generate(2, seed=1).shape == (2, 32, 32, 3)
    with pytest.raises(ValueError, match=f"A {name} cannot be asked for hair_color; a conditional"):
        model.generate(2, hair_color="blue")
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        model.generate(0)


def ends(code, *arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result.output


def test_commands_take_names(tmp_path):
    """Wherever a run can be named a model of the kit can: to generate, translate and evaluate."""
    ends(0, "generate", "--run", "vae", "--count", 4, "--out", tmp_path / "faces.png")
    assert plots.load(tmp_path / "faces.png").shape == (132 // 2 + 2, 266, 3)
    ends(0, "data", "render", "--style", "portrait", "--count", 2, "--out", tmp_path / "photos")
    options = "--input", tmp_path / "photos", "--out", tmp_path / "anime", "--already-faces"
    ends(0, "translate", "--run", "portrait_anime", *options)
    assert len(list((tmp_path / "anime").glob("**/*.png"))) >= 2
    ends(0, "evaluate", "--run", "vae", "--count", 60, "--metrics", "fid", "--out", tmp_path / "e")
    assert "results" in json.loads((tmp_path / "e" / "metrics.json").read_text())


def test_commands_say_what_a_model_cannot(tmp_path):
    out = "--out", tmp_path / "x.png"
    assert "translates pictures and makes none" in ends(
        1, "generate", "--run", "portrait_anime", *out
    )
    assert "which cannot be asked for words" in ends(
        1, "generate", "--run", "vae", "--where", "hair_color=blue", *out
    )
    assert "--truncation is for a StyleGAN2" in ends(
        1, "generate", "--run", "vae", "--truncation", 0.5, *out
    )
    for interpolate, to in (((), "x.png"), (("--interpolate",), "x.gif")):
        options = "--truncation", "nan", *interpolate, "--out", tmp_path / to
        assert "must be a finite number" in ends(1, "generate", "--run", "stylegan2", *options)
    assert "also say --out" in ends(1, "evaluate", "--run", "vae")
    assert "no model of that name" in ends(1, "generate", "--run", "nobody", *out)
    photo = plots.save(tmp_path / "photo.png", np.zeros((64, 64, 3), np.uint8))
    assert "makes pictures from noise" in ends(
        1, "translate", "--run", "vae", "--input", photo, "--out", tmp_path / "y"
    )
