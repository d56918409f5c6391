"""State dicts of the reference, written here, give the outputs that PyTorch recorded for them."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import torch_files as files
from keras import ops

from anime_keras import models
from anime_keras.models import cyclegan

REFERENCE = json.loads((Path(__file__).parent / "reference" / "cyclegan.json").read_text())

# The places of the convolutions in the reference's networks.py, and PyTorch's shapes for width 4 and
# two residual blocks: (out, in, rows, columns), of the two transposed ones (in, out, rows, columns).
GENERATOR = {
    "model.1": (4, 3, 7, 7),
    "model.4": (8, 4, 3, 3),
    "model.7": (16, 8, 3, 3),
    "model.10.conv_block.1": (16, 16, 3, 3),
    "model.10.conv_block.5": (16, 16, 3, 3),
    "model.11.conv_block.1": (16, 16, 3, 3),
    "model.11.conv_block.5": (16, 16, 3, 3),
    "model.12": (16, 8, 3, 3),
    "model.15": (8, 4, 3, 3),
    "model.19": (3, 4, 7, 7),
}
TRANSPOSED = ("model.12", "model.15")
DISCRIMINATOR = {
    "model.0": (4, 3, 4, 4),
    "model.2": (8, 4, 4, 4),
    "model.5": (16, 8, 4, 4),
    "model.8": (32, 16, 4, 4),
    "model.11": (1, 32, 4, 4),
}
RECIPE = "build_generator(width=4, residual_blocks=2)"
KINDS = ["zip", "pickles", "safetensors"]


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")


def state_dict(random, shapes, draw=None):
    draw = draw or (lambda shape: (0.05 * random.standard_normal(shape)).astype("float32"))
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = draw(shape)
        tensors[f"{name}.bias"] = draw((shape[1 if name in TRANSPOSED else 0],))
    return tensors


@pytest.fixture(scope="module")
def recorded():
    """The reference's state dicts by the names of its networks, and its first pictures x and y."""
    random = np.random.default_rng(REFERENCE["seed"])
    networks = {"net_G_A": GENERATOR, "net_G_B": GENERATOR}
    networks |= {"net_D_B": DISCRIMINATOR, "net_D_A": DISCRIMINATOR}  # D_X, D_Y
    drawn = {name: state_dict(random, shapes) for name, shapes in networks.items()}
    size = REFERENCE["size"]
    pictures = random.standard_normal((3, 2, REFERENCE["batch"], size, size, 3))
    return drawn, np.tanh(pictures)[0].astype("float32")


@pytest.fixture
def load(tmp_path):
    """Writes a state dict and loads it."""

    def load(network, tensors, kind="safetensors"):
        path = tmp_path / "latest_net_G.pth"
        path.write_bytes(tensors if isinstance(tensors, bytes) else files.written(tensors, kind))
        cyclegan.load_reference_weights(network, path)

    return load


def generator(width=4, blocks=2, size=32):
    return cyclegan.build_generator(size, width, blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_pytorch(load, recorded, kind):
    drawn, (x, y) = recorded
    network = generator()
    load(network, drawn["net_G_A"], kind)
    fake = ops.convert_to_numpy(network(x))[:, ::8, ::8]
    np.testing.assert_allclose(fake, REFERENCE["G"], atol=1e-4, rtol=0)
    assert fake.std() > 0.2

    judge = cyclegan.build_discriminator(32, 4)
    load(judge, drawn["net_D_A"], kind)
    logits = ops.convert_to_numpy(judge(y))
    np.testing.assert_allclose(logits, REFERENCE["D_Y"], atol=1e-4, rtol=0)
    assert logits.std() > 0.01


def test_inside_a_model(load, recorded):
    """With averaged generators too, each of which is a network of its own."""
    drawn, (x, _) = recorded
    gan = models.CycleGAN(image_size=32, width=4, residual_blocks=2, ema=0.9)
    load(gan.generator("x2y"), drawn["net_G_A"])
    fake = ops.convert_to_numpy(gan(x))[:, ::8, ::8]
    np.testing.assert_allclose(fake, REFERENCE["G"], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: "module." + name,  # from several GPUs
        lambda name: name.replace("conv_block.5", "conv_block.6"),  # --no_dropout not given
        lambda name: "module." + name.replace("conv_block.5", "conv_block.6"),
    ],
)
def test_other_names_for_the_same(load, recorded, rename):
    drawn, _ = recorded
    plain, other = generator(), generator()
    load(plain, drawn["net_G_A"])
    load(other, {rename(name): tensor for name, tensor in drawn["net_G_A"].items()})
    for ours, theirs in zip(plain.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_statistics_of_old_instance_norm_are_passed_over(load, recorded):
    drawn, _ = recorded
    plain, other = generator(), generator()
    load(plain, drawn["net_G_A"])
    norms = ["model.2", "model.10.conv_block.2", "model.10.conv_block.6", "model.16"]
    old = {f"{norm}.running_mean": np.full(4, 9.0) for norm in norms}
    old |= {f"{norm}.running_var": np.full(4, 9.0) for norm in norms}
    old |= {f"{norm}.num_batches_tracked": np.int64(9) for norm in norms}
    load(other, old | drawn["net_G_A"])
    for ours, theirs in zip(plain.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["float16", "float64"])
def test_other_precisions(load, recorded, kind):
    drawn, _ = recorded
    network = generator()
    load(network, {name: tensor.astype(kind) for name, tensor in drawn["net_G_A"].items()})
    kernel, bias, *_ = network.get_weights()
    expected = drawn["net_G_A"]["model.1.weight"].astype(kind).astype("float32")
    np.testing.assert_array_equal(kernel, np.moveaxis(expected, (0, 1), (3, 2)))
    np.testing.assert_array_equal(bias, drawn["net_G_A"]["model.1.bias"].astype(kind))


def with_blocks(blocks, width=1):
    """The generator's tensors, each number its own; places as of the published weights' names."""
    channels = 4 * width
    shapes = {
        "model.1": (width, 3, 7, 7),
        "model.4": (2 * width, width, 3, 3),
        "model.7": (channels, 2 * width, 3, 3),
    }
    for block in range(10, 10 + blocks):
        for place in (1, 5):
            shapes[f"model.{block}.conv_block.{place}"] = (channels, channels, 3, 3)
    up, again, last = {9: (19, 22, 26), 6: (16, 19, 23), 2: (12, 15, 19)}[blocks]
    tensors = state_dict(None, shapes, np.ones)
    tensors[f"model.{up}.weight"] = np.ones((channels, 2 * width, 3, 3))
    tensors[f"model.{up}.bias"] = np.ones(2 * width)
    tensors[f"model.{again}.weight"] = np.ones((2 * width, width, 3, 3))
    tensors[f"model.{again}.bias"] = np.ones(width)
    tensors[f"model.{last}.weight"] = np.ones((3, width, 7, 7))
    tensors[f"model.{last}.bias"] = np.ones(3)
    return {name: n * tensor for n, (name, tensor) in enumerate(tensors.items(), 1)}


@pytest.mark.parametrize("blocks", [9, 6])
def test_the_published_depths(load, blocks):
    network = generator(width=1, blocks=blocks)
    load(network, with_blocks(blocks))
    for number, weight in enumerate(network.get_weights(), 1):
        np.testing.assert_array_equal(weight, number)


# --- what does not fit ----------------------------------------------------------------------------


def renamed(tensors, old, new):
    return {name.replace(old, new): tensor for name, tensor in tensors.items()}


GREY = with_blocks(2, 4) | {"model.1.weight": np.ones((4, 1, 7, 7))}
TURNED = {"model.12.weight": np.ones((8, 16, 3, 3))}
NORMS = {f"model.{place}.{part}": np.ones(4) for place in (2, 5) for part in ("weight", "bias")}


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (with_blocks(9, 4), f"residual_blocks=9), and this network is {RECIPE}"),
        (with_blocks(2, 8), "build_generator(width=8, residual_blocks=2)"),
        (with_blocks(6, 1), "build_generator(width=1, residual_blocks=6)"),
        (state_dict(None, DISCRIMINATOR, np.ones), "build_discriminator(width=4)"),
        ({"model.model.0.weight": np.ones((4, 3, 4, 4))}, "a U-Net"),
        ({"features.0.weight": np.ones((4, 3, 3, 3))}, "first: features.0.weight (4, 3, 3, 3)"),
        ({}, "first: none"),
        (GREY, "first: model.1.weight (4, 1, 7, 7)"),
        (with_blocks(2, 4) | NORMS, "holds (4,) as model.2.bias, where"),
        (renamed(with_blocks(2, 4), "conv_block.5", "conv_block.3"), "conv_block.3.bias"),
        (renamed(with_blocks(2, 4), "model.19.bias", "other"), f"where {RECIPE} has (3,)"),
        (with_blocks(2, 4) | TURNED, "(8, 16, 3, 3) as model.12.weight"),
        (with_blocks(2, 4) | {"model.1.bias": np.ones(4, "int64")}, "model.1.bias as int64"),
    ],
)  # fmt: skip
def test_other_networks_are_refused_and_nothing_changes(load, tmp_path, tensors, words):
    network = generator()
    before = network.get_weights()
    with pytest.raises(ValueError) as raised:
        load(network, tensors)
    assert str(raised.value).startswith(f"The file {tmp_path / 'latest_net_G.pth'} holds ")
    assert words in str(raised.value)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_recipe_of_the_message_mends_it(load):
    """Followed to the letter, it builds a network that the file fits."""
    tensors = with_blocks(9, 2)
    with pytest.raises(ValueError) as raised:
        load(generator(), tensors)
    recipe = str(raised.value).split("weights of ")[1].split(", and this")[0]
    network = eval(recipe, {"build_generator": cyclegan.build_generator})
    load(network, tensors)
    assert network.get_weights()[-1].tolist() == [len(tensors)] * 3


def test_a_generator_for_a_discriminator(load):
    with pytest.raises(ValueError, match=r"residual_blocks=2\), and this network is build_disc"):
        load(cyclegan.build_discriminator(32, 4), with_blocks(2, 4))


def test_code_is_refused(load):
    program = files.program(files.call("os", "system", files.text("true")))
    with pytest.raises(ValueError, match=r"latest_net_G\.pth is no plain state dict.*'os\.system'"):
        load(generator(), files.zipped(program, {}))


def test_whole_models_and_missing_files(load, tmp_path):
    gan = models.CycleGAN(image_size=32, width=1, residual_blocks=1)
    for network in (gan, keras.Sequential([keras.layers.ReLU()])):
        with pytest.raises(ValueError, match=r"such as gan\.G"):
            load(network, with_blocks(2, 4))
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.pth"):
        cyclegan.load_reference_weights(gan.G, tmp_path / "gone.pth")
