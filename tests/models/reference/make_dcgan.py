"""Record what PyTorch's DCGAN (pytorch/examples, dcgan/main.py) answers on repeatable weights.

    pip install torch==2.13.0 numpy && python make_dcgan.py    # writes dcgan.json beside it

The tests draw the same weights and inputs with NumPy alone and compare; they never need torch.
Every array is `rng.standard_normal(shape)` (float64), scaled, then cast to float32, from ONE
generator `rng = numpy.random.default_rng(seed)` in the order of `DRAWS` below.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

SEED = 20240607
BATCH, LATENT, WIDTH, SIZE = 4, 100, 64, 64
G_CHANNELS = [LATENT, 8 * WIDTH, 4 * WIDTH, 2 * WIDTH, WIDTH, 3]
D_CHANNELS = [3, WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH, 1]
RECIPE = [
    "rng = numpy.random.default_rng(seed); n(shape) = rng.standard_normal(shape)",
    "generator, for each of its 5 transposed convolutions in order: kernel = 0.04 * n((in, out, 4,"
    " 4)) in PyTorch's ConvTranspose2d layout (in, out, row, column); Keras' layout is"
    " kernel.transpose(2, 3, 1, 0); then, for all but the last, its batch normalisation",
    "discriminator, for each of its 5 convolutions in order: kernel = 0.04 * n((out, in, 4, 4)) in"
    " PyTorch's Conv2d layout; Keras' layout is kernel.transpose(2, 3, 1, 0); then, for all but"
    " the first and the last, its batch normalisation",
    "a batch normalisation draws: gamma = 1 + 0.1 * n(c); beta = 0.1 * n(c);"
    " moving_mean = 0.1 * n(c); moving_variance = exp(0.2 * n(c)); epsilon 1e-5",
    "latents = n((4, 100)); images = tanh(n((4, 64, 64, 3))), channels last",
    "everything is cast to float32; 'generator_*' is output[:, ::16, ::16, :] (channels last,"
    " after tanh), 'discriminator_*' the four logits (before the sigmoid)",
    "'train' uses the batch's own statistics (on fresh weights), 'eval' the moving ones;"
    " 'moving_*_after_train' is the LAST batch normalisation's statistic after that one train"
    " pass with momentum 0.9; PyTorch's moving variance takes the unbiased estimate"
    " (n / (n - 1)), Keras' the biased one: undo that before comparing",
]


def build_generator() -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(G_CHANNELS)):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers.append(nn.ConvTranspose2d(fan_in, fan_out, 4, stride, padding, bias=False))
        last = i == len(G_CHANNELS) - 2
        layers += [nn.Tanh()] if last else [nn.BatchNorm2d(fan_out), nn.ReLU()]
    return nn.Sequential(*layers)


def build_discriminator() -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(D_CHANNELS)):
        last = i == len(D_CHANNELS) - 2
        stride, padding = (1, 0) if last else (2, 1)
        layers.append(nn.Conv2d(fan_in, fan_out, 4, stride, padding, bias=False))
        if i > 0 and not last:
            layers.append(nn.BatchNorm2d(fan_out))
        if not last:
            layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


@torch.no_grad()
def set_weights(network: nn.Module, rng: np.random.Generator) -> None:
    def put(target: torch.Tensor, values: np.ndarray) -> None:
        target.copy_(torch.from_numpy(values.astype("float32")))

    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            put(layer.weight, 0.04 * rng.standard_normal(tuple(layer.weight.shape)))
        elif isinstance(layer, nn.BatchNorm2d):
            size = layer.num_features
            put(layer.weight, 1 + 0.1 * rng.standard_normal(size))
            put(layer.bias, 0.1 * rng.standard_normal(size))
            put(layer.running_mean, 0.1 * rng.standard_normal(size))
            put(layer.running_var, np.exp(0.2 * rng.standard_normal(size)))


def last_norm(network: nn.Module) -> nn.BatchNorm2d:
    return [layer for layer in network if isinstance(layer, nn.BatchNorm2d)][-1]


@torch.no_grad()
def main() -> None:
    rng = np.random.default_rng(SEED)
    generator, discriminator = build_generator(), build_discriminator()
    set_weights(generator, rng)
    set_weights(discriminator, rng)
    latents = torch.from_numpy(rng.standard_normal((BATCH, LATENT)).astype("float32"))
    images = np.tanh(rng.standard_normal((BATCH, SIZE, SIZE, 3))).astype("float32")
    images_nchw = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())

    record: dict[str, object] = {
        "source": "pytorch/examples dcgan/main.py, layers as there; torch " + torch.__version__,
        "seed": SEED,
        "recipe": RECIPE,
        "parameters": {
            "generator": sum(p.numel() for p in generator.parameters()),
            "discriminator": sum(p.numel() for p in discriminator.parameters()),
        },
    }
    for mode in ("eval", "train"):  # eval first: the train pass moves the statistics
        generator.train(mode == "train")
        discriminator.train(mode == "train")
        fake = generator(latents[:, :, None, None]).permute(0, 2, 3, 1)
        record[f"generator_{mode}"] = fake[:, ::16, ::16, :].tolist()
        record[f"generator_{mode}_mean"] = fake.double().mean().item()
        record[f"generator_{mode}_std"] = fake.double().std(unbiased=False).item()
        record[f"discriminator_{mode}"] = discriminator(images_nchw).flatten().tolist()
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        norm = last_norm(network)
        record[f"{name}_moving_mean_after_train"] = norm.running_mean[:8].tolist()
        record[f"{name}_moving_variance_after_train"] = norm.running_var[:8].tolist()
    Path(__file__).with_name("dcgan.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
