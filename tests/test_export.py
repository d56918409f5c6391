"""What leaves the kit makes the pictures that the kit makes, says what it is, and fails in one line."""

import importlib.util
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from test_cli import fails, run

from anime_keras import checkpoints, export, kernels, latents, models, weights
from anime_keras.export import networks, page, recipe
from anime_keras.runs import Run, Settings

SIZE, LATENTS = 32, 16
WORDS = {"hair_color": ("blue", "pink"), "expression": ("sad", "smile", "neutral")}
GENERATORS = ("dcgan", "conditional", "vae", "bernoulli", "stylegan2")
TRANSLATORS = ("cyclegan", "animegan")


@pytest.fixture(autouse=True)
def fewer_samples(monkeypatch):
    """Directions are not found well by so few pictures, but soon."""
    monkeypatch.setattr(recipe, "SAMPLES", 64)


def stirred(model):
    """A model whose biases, statistics, noise and means are no longer those it began with."""
    rng = np.random.default_rng(0)
    variables = [*model.weights, *(v for layer in model.layers for v in layer.weights)]
    for variable in {v.path: v for v in variables}.values():
        if len(variable.shape) > 1 or not variable.dtype.startswith("float"):
            continue
        if variable.path.endswith(("bias", "beta", "moving_mean", "noise_strength", "/w", "/mean")):
            variable.assign(0.3 * rng.standard_normal(variable.shape))
        elif variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    return model


@pytest.fixture(scope="module")
def nets(kinds):
    return {name: networks.network(model) for name, model in kinds.items()}


@pytest.fixture(scope="module")
def kinds():
    keras.utils.set_random_seed(0)
    small = {"image_size": SIZE, "latent_dim": LATENTS, "width": 4}
    made = {
        "dcgan": models.DCGAN(**small),
        "conditional": models.ConditionalDCGAN(WORDS, **small),
        "vae": models.VAE(**small),
        "bernoulli": models.VAE(likelihood="bernoulli", **small),
        "stylegan2": models.StyleGAN2(SIZE, LATENTS, 2, fmaps=1 / 128, max_channels=16),
        "cyclegan": models.CycleGAN(SIZE, width=4, residual_blocks=2),
        "animegan": models.AnimeGAN(SIZE, width=4),
    }
    for name in ("vae", "bernoulli"):
        root = np.linalg.cholesky(np.cov(np.random.default_rng(1).standard_normal((LATENTS, 40))))
        made[name].density.root.assign(root)
    return {name: stirred(model) for name, model in made.items()}


def to_uint8(images):
    return np.round((np.asarray(images) + 1.0) * 127.5).astype("uint8")


def apart(one, other):
    """The largest difference in grey levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# --- the networks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENERATORS)
def test_a_network_draws_what_its_model_draws(kinds, nets, name):
    model, network = kinds[name], nets[name]
    inputs = networks.examples(model, network, 5, seed=3)
    if "truncation" in inputs:
        inputs["truncation"] = np.ones((5, 1), "float32")
    found = to_uint8(network(inputs)["images"])
    assert found.shape == (5, SIZE, SIZE, 3)
    assert found.std() > 2  # something is on these pictures
    assert apart(found, model.generate(5, seed=3)) <= 1


def test_truncation_is_the_models(kinds):
    model = kinds["stylegan2"]
    points = latents.draw(4, LATENTS)
    psi = np.full((4, 1), 0.3, "float32")
    found = networks.network(model)({"latents": points, "truncation": psi})["images"]
    assert apart(to_uint8(found), model.draw(points, truncation=0.3)) <= 1
    assert apart(to_uint8(found), model.draw(points, truncation=0.6)) > 5


def test_words_are_inputs(kinds):
    model = kinds["conditional"]
    words = {"hair_color": np.ones(3, "int32"), "expression": np.full(3, 2, "int32")}
    inputs = {"latents": latents.draw(3, LATENTS, 7), **words}
    found = to_uint8(networks.network(model)(inputs)["images"])
    asked = model.generate(3, seed=7, hair_color="pink", expression="neutral")
    assert apart(found, asked) <= 1
    assert apart(found, model.generate(3, seed=7, hair_color="blue", expression="neutral")) > 1


@pytest.mark.parametrize(
    ("name", "direction"), [("cyclegan", "x2y"), ("cyclegan", "y2x"), ("animegan", "x2y")]
)
def test_translators_translate(kinds, name, direction):
    model = kinds[name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    network = networks.network(model, direction)
    found = network({"pictures": (pixels / 127.5 - 1.0).astype("float32")})["images"]
    ways = (direction,) if name == "cyclegan" else ()
    assert apart(to_uint8(found), model.translate(pixels, *ways)) <= 1


def test_a_network_says_what_goes_in(kinds):
    model = kinds["conditional"]
    meaning = networks.meaning(model, networks.network(model))
    assert list(meaning) == ["latents", "hair_color", "expression"]
    assert meaning["expression"].endswith("0 sad, 1 smile, 2 neutral")


def test_other_precisions_and_models_are_refused(kinds):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.DCGAN(SIZE, LATENTS, 4)
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="computes in bfloat16"):
        networks.network(model)
    with pytest.raises(ValueError, match="no way to export a Sequential"):
        networks.network(keras.Sequential())
    with pytest.raises(ValueError, match="direction must be one of"):
        networks.network(kinds["cyclegan"], "up")


# --- the formats ----------------------------------------------------------------------------------

SUFFIXES = {"onnx": ".onnx", "savedmodel": "", "litert": ".tflite"}


@pytest.fixture(scope="module")
def written(kinds, tmp_path_factory):
    """Writes a model in a format, once."""
    folder, done = tmp_path_factory.mktemp("exported"), {}

    def write(name, format):
        if format == "onnx":
            pytest.importorskip("tf2onnx", reason="tf2onnx is not installed")
            pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
        if (name, format) not in done:
            out = folder / name / f"model{SUFFIXES[format]}"
            done[name, format] = export.export(kinds[name], out, source={"run": "runs/x"})
        return done[name, format]

    return write


@pytest.mark.parametrize("name", sorted({*GENERATORS, *TRANSLATORS} - {"bernoulli"}))
@pytest.mark.parametrize("format", SUFFIXES)
def test_each_format_makes_keras_pictures(kinds, nets, written, name, format):
    done = written(name, format)
    assert 0.0 <= done.difference <= 1e-4
    network = networks.network(kinds[name])
    inputs = networks.examples(
        kinds[name], network, 3, seed=11
    )  # others than those that were checked
    found = export.FORMATS[format].run(done.path, inputs)
    assert found.dtype == np.float32
    assert found.shape == (3, SIZE, SIZE, 3)
    np.testing.assert_allclose(found, np.asarray(network(inputs)["images"]), rtol=0, atol=1e-4)
    assert sorted(path.name for path in done.path.parent.glob("*.partial*")) == []


def test_onnx_has_named_inputs_of_any_number(written):
    import onnxruntime

    session = onnxruntime.InferenceSession(written("conditional", "onnx").path)
    kinds_of_inputs = [(i.name, i.type, i.shape[1:]) for i in session.get_inputs()]
    assert kinds_of_inputs == [
        ("latents", "tensor(float)", [LATENTS]),
        ("hair_color", "tensor(int32)", []),
        ("expression", "tensor(int32)", []),
    ]
    (images,) = session.get_outputs()
    assert (images.name, images.type, images.shape[1:]) == (
        "images",
        "tensor(float)",
        [SIZE, SIZE, 3],
    )
    for count in (1, 5):
        words = np.zeros(count, "int32")
        feed = {"latents": latents.draw(count, LATENTS), "hair_color": words, "expression": words}
        assert session.run(None, feed)[0].shape == (count, SIZE, SIZE, 3)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_files_hold_each_weight_once(nets, written, name):
    # Kernels that were prepared for a fast convolution on this machine are four times as large.
    done = written(name, "onnx")
    floats = 4 * nets[name].count_params()
    onnx = pytest.importorskip("onnx")
    held = sum(len(t.raw_data) for t in onnx.load(done.path).graph.initializer)
    assert 0.99 * floats <= held <= floats + 4096
    litert = written(name, "litert").path.stat().st_size
    assert floats <= litert <= 1.6 * floats + 100_000


def test_portable_operations_are_back_to_fast_ones_afterwards():
    maps = np.random.default_rng(0).standard_normal((2, 8, 8, 64)).astype("float32")
    kernel = np.random.default_rng(1).standard_normal((3, 3, 64, 64)).astype("float32") / 24

    def traced():
        graph = tf.function(lambda x: kernels.reflected_conv(x, ops.convert_to_tensor(kernel)))
        return {op.type for op in graph.get_concrete_function(maps).graph.get_operations()}

    before = traced()
    assert "Conv2D" not in before
    fast = kernels.reflected_conv(ops.convert_to_tensor(maps), ops.convert_to_tensor(kernel))
    with pytest.raises(RuntimeError, match="inside"), kernels.portable():
        assert "Conv2D" in traced()
        plain = kernels.reflected_conv(ops.convert_to_tensor(maps), ops.convert_to_tensor(kernel))
        np.testing.assert_allclose(plain, fast, atol=1e-4)
        raise RuntimeError("inside")
    assert traced() == before


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_litert_takes_one_picture_at_a_time(written):
    interpreter = tf.lite.Interpreter(str(written("stylegan2", "litert").path))
    shapes = sorted(detail["shape"].tolist() for detail in interpreter.get_input_details())
    assert shapes == [[1, 1], [1, LATENTS]]
    (names,) = interpreter.get_signature_list().values()
    assert names == {"inputs": ["latents", "truncation"], "outputs": ["images"]}


def test_the_card_says_what_it_is(kinds, written):
    done = written("stylegan2", "litert")
    assert done.card.name == "model.tflite.json"
    card = json.loads(done.card.read_text())
    assert card["what"] == "The generator of a StyleGAN2 of anime_keras"
    assert card["from"] == {"run": "runs/x"}
    assert card["parameters"] == networks.network(kinds["stylegan2"]).count_params()
    assert {name: i["shape"] for name, i in card["inputs"].items()} == {
        "latents": [1, LATENTS],
        "truncation": [1, 1],
    }
    assert card["outputs"]["images"]["shape"] == [1, SIZE, SIZE, 3]
    assert card["checked"]["inputs"] == 8
    assert card["checked"]["largest_difference_of_a_range_of_2"] == done.difference
    assert str(done.path.parent) not in done.card.read_text()


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "said"), [(0.02, r"up to 0\.02 of"), (np.nan, "up to nan of")])
def test_other_pictures_than_keras_are_removed(kinds, tmp_path, monkeypatch, more, said):
    page_format = export.FORMATS["web"]
    wrong = replace(page_format, run=lambda path, inputs: page_format.run(path, inputs) + more)
    monkeypatch.setitem(export.FORMATS, "web", wrong)
    with pytest.raises(ArithmeticError, match=said):
        export.export(kinds["vae"], tmp_path / "vae.html")
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_named(kinds, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in ("tf2onnx", "onnx") else find(name, *rest),
    )
    with pytest.raises(ImportError, match=r"Run: pip install onnx tf2onnx$"):
        export.export(kinds["dcgan"], tmp_path / "a.onnx")


def test_other_backends_are_told_what_to_say(kinds, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        export.export(kinds["dcgan"], tmp_path / "a.tflite")


@pytest.mark.parametrize(
    ("out", "format", "message"),
    [
        ("a.png", None, r"ends in none of \.onnx, no suffix, \.tflite, \.html"),
        ("a.onnx", "coreml", "must be one of onnx, savedmodel, litert, web, not 'coreml'"),
        ("a.onnx", "litert", r"LiteRT is written to \.tflite"),
        ("a.onnx", "savedmodel", "SavedModel is written to a folder without suffix"),
        ("file/a.tflite", None, "cannot be written: .*a.tflite: (Not a directory|File exists)"),
    ],
)
def test_wrong_places(kinds, tmp_path, out, format, message):
    (tmp_path / "file").write_text("precious")
    with pytest.raises(ValueError, match=message):
        export.export(kinds["dcgan"], tmp_path / out, format)
    assert (tmp_path / "file").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_folders_are_not_written_over(kinds, tmp_path):
    (tmp_path / "saved").mkdir()
    with pytest.raises(FileExistsError, match="is there already"):
        export.export(kinds["dcgan"], tmp_path / "saved")


# --- the recipe of a page -------------------------------------------------------------------------


@pytest.mark.parametrize("name", GENERATORS)
def test_a_recipe_makes_keras_pictures(kinds, nets, name):
    model, network = kinds[name], nets[name]
    inputs = networks.examples(model, network, 3, seed=5)
    found = recipe.of(model).draw(**inputs)
    np.testing.assert_allclose(found, np.asarray(network(inputs)["images"]), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("size", "padding", "name"), [(4, 1, "same"), (3, 0, "valid")])
def test_a_transposed_convolution_is_four_plain_ones(size, padding, name):
    rng = np.random.default_rng(0)
    kernel = rng.standard_normal((size, size, 5, 3)).astype("float32")  # (…, out, in)
    maps = rng.standard_normal((3, 6, 6)).astype("float32")
    step = recipe._transposed(kernel, padding)
    batch = ops.convert_to_tensor(maps.transpose(1, 2, 0)[None])
    wanted = ops.conv_transpose(batch, ops.convert_to_tensor(kernel), 2, padding=name)[0]
    found = recipe._conv(step, maps).transpose(1, 2, 0)
    np.testing.assert_allclose(found, np.asarray(wanted), rtol=0, atol=1e-5)
    taps = sum(part["kernel"].shape[0] * part["kernel"].shape[1] for part in step["parts"])
    assert taps == size**2  # each is used once: nothing is multiplied by the zeros between


def a_linear_world():
    """Codes of deviations 1 and 3, uncorrelated, and pictures of a pixel for each, of slopes 4, -1."""
    codes = np.random.default_rng(0).standard_normal((4096, 2))
    codes -= codes.mean(axis=0)
    codes = codes @ np.linalg.inv(np.linalg.cholesky(np.cov(codes.T, bias=True))).T * [1.0, 3.0]
    pictures = np.zeros((4096, 16, 16, 3))
    pictures[:, 0, 0, 0], pictures[:, 8, 8, 0] = 4.0 * codes[:, 0], -1.0 * codes[:, 1]
    return codes, pictures


def test_directions_are_found_where_pictures_change_most():
    found = recipe.directions(*a_linear_world(), count=8)
    # Of 4 x 1 and 1 x 3 the first is more; and along either pictures become brighter.
    np.testing.assert_allclose(found, [[1.0, 0.0], [0.0, -3.0]], atol=1e-5)


def test_pages_hold_rounded_weights_and_the_same_recipe(kinds, tmp_path):
    model = kinds["stylegan2"]
    done = export.export(model, tmp_path / "faces.html")
    assert 0.0 < done.difference <= 2 * 2 / 255
    held, made = page.recipe_of(done.path), recipe.of(model)
    assert [step["op"] for step in held.synthesis] == [step["op"] for step in made.synthesis]
    kernel = made.synthesis[1]["parts"][0]["kernel"]
    rounded = held.synthesis[1]["parts"][0]["kernel"]
    np.testing.assert_array_equal(rounded, kernel.astype("float16").astype("float32"))
    np.testing.assert_array_equal(held.mean, made.mean)
    text = done.path.read_text("utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert str(tmp_path) not in text


def test_translators_have_no_page(kinds, tmp_path):
    with pytest.raises(ValueError, match="Export it as onnx, savedmodel or litert"):
        export.export(kinds["cyclegan"], tmp_path / "a.html")


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """The folder of a run that computes in bfloat16, with a checkpoint."""
    folder = tmp_path_factory.mktemp("runs") / "words"
    settings = Settings(
        model="conditional",
        size=SIZE,
        epochs=1,
        precision="mixed_bfloat16",
        network={"width": 4, "latent_dim": LATENTS, "attributes": WORDS},
    )
    begun = Run.create(folder, settings)
    folder.mkdir()
    begun._write_settings()
    checkpoints.save(begun.build_model(), folder / "checkpoints", 0, seconds=0.0, pictures="none")
    keras.config.set_dtype_policy("float32")
    return folder


def test_the_command_exports_a_run(a_run, tmp_path):
    before = (a_run / "settings.json").read_text()
    said = run("export", "--run", a_run, "--out", tmp_path / "words.tflite")
    assert "makes the same pictures as Keras, on 8 inputs to within" in said
    card = json.loads((tmp_path / "words.tflite.json").read_text())
    assert card["from"] == {"run": "words", "trained_on": "drawn anime faces"}
    assert list(card["inputs"]) == ["latents", "hair_color", "expression"]
    assert (a_run / "settings.json").read_text() == before
    said = run("export", "--run", a_run, "--web", "--out", tmp_path / "words.html")
    assert "Open it in a browser" in said


def test_the_command_exports_what_comes_with_the_kit(tmp_path):
    out = tmp_path / "deep" / "portraits"
    run("export", "--run", "portrait_anime", "--direction", "y2x", "--out", out)
    card = json.loads((tmp_path / "deep" / "portraits.json").read_text())
    assert card["direction"] == "y2x"
    assert card["from"]["weights"] == "portrait_anime"
    assert card["from"]["sha256"] == weights.card("portrait_anime")["sha256"]


def test_help_has_an_example():
    assert "python -m anime_keras export --run runs/mine --web --out" in run("export", "--help")


def test_the_command_fails_in_one_line(a_run, tmp_path, monkeypatch):
    out = tmp_path / "a.tflite"
    assert "no run in nowhere" in fails("export", "--run", "nowhere", "--out", out)
    said = fails("export", "--run", a_run, "--web", "--format", "onnx", "--out", out)
    assert "--web is --format web" in said
    assert "ends in none of" in fails("export", "--run", a_run, "--out", tmp_path / "a.jpg")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    said = fails("export", "--run", a_run, "--out", tmp_path / "a.onnx")
    assert "pip install onnx onnxruntime tf2onnx" in said
    assert list(tmp_path.iterdir()) == []
