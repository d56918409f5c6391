"""Record how PyTorch's CycleGAN (junyanz/pytorch-CycleGAN-and-pix2pix) answers and learns.

    pip install torch==2.13.0 numpy && python make_cyclegan.py    # writes cyclegan.json beside it

The tests draw the same weights and pictures with NumPy alone and compare; they never need torch.
The networks are built from PyTorch's own layers in the order of the reference's `networks.py`; a
training step follows its `cycle_gan_model.py`: six passes through the generators one by one, one
backward pass, one Adam over both; then either discriminator's, and one Adam over both.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

SEED = 20241122
SIZE, WIDTH, BLOCKS, BATCH, STEPS, RATE = 32, 4, 2, 2, 3, 2e-3
RECIPE = [
    "rng = numpy.random.default_rng(seed); n(shape) = rng.standard_normal(shape)",
    "the networks in the order G, F, D_X, D_Y; of each its convolutions in order; of each of those"
    " kernel = 0.05 * n(PyTorch's shape), then bias = 0.05 * n((out,)); Conv2d's kernel is (out, in,"
    " row, column) and ConvTranspose2d's (in, out, row, column): in Keras both are"
    " kernel.transpose(2, 3, 1, 0)",
    "then the pictures, one array (steps, 2, batch, size, size, 3) = tanh(n(shape)), channels last:"
    " for each step x and y",
    "everything is cast to float32; 'G' is G(x)[:, ::8, ::8] of the first x, channels last, and 'D_Y'"
    " the patch logits of the first y; losses carry the reference's weights (10, 5 for identity)",
    "'weights' are those after the first step: of each convolution the first six numbers of its"
    " kernel, flattened in PyTorch's order",
]


def normed(convolution: nn.Module, activation: nn.Module) -> list[nn.Module]:
    return [convolution, nn.InstanceNorm2d(convolution.out_channels), activation]


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.ReflectionPad2d(1),
            *normed(nn.Conv2d(channels, channels, 3), nn.ReLU()),
            nn.ReflectionPad2d(1),
            *normed(nn.Conv2d(channels, channels, 3), nn.Identity()),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.inner(x)


def build_generator(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ReflectionPad2d(3),
        *normed(nn.Conv2d(3, width, 7), nn.ReLU()),
        *normed(nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU()),
        *normed(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), nn.ReLU()),
        *[Block(4 * width) for _ in range(blocks)],
        *normed(nn.ConvTranspose2d(4 * width, 2 * width, 3, 2, 1, 1), nn.ReLU()),
        *normed(nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1), nn.ReLU()),
        nn.ReflectionPad2d(3),
        nn.Conv2d(width, 3, 7),
        nn.Tanh(),
    )


def build_discriminator(width: int) -> nn.Sequential:
    leaky = nn.LeakyReLU(0.2)
    return nn.Sequential(
        nn.Conv2d(3, width, 4, 2, 1),
        leaky,
        *normed(nn.Conv2d(width, 2 * width, 4, 2, 1), leaky),
        *normed(nn.Conv2d(2 * width, 4 * width, 4, 2, 1), leaky),
        *normed(nn.Conv2d(4 * width, 8 * width, 4, 1, 1), leaky),
        nn.Conv2d(8 * width, 1, 4, 1, 1),
    )


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


def draw() -> tuple[list[nn.Sequential], torch.Tensor]:
    """The four networks and the pictures of RECIPE."""
    rng = np.random.default_rng(SEED)

    def tensor(scale: float, *shape: int) -> torch.Tensor:
        return torch.from_numpy((scale * rng.standard_normal(shape)).astype("float32"))

    networks = [build_generator(WIDTH, BLOCKS), build_generator(WIDTH, BLOCKS)]
    networks += [build_discriminator(WIDTH), build_discriminator(WIDTH)]
    with torch.no_grad():
        for network in networks:
            for layer in convolutions(network):
                layer.weight.copy_(tensor(0.05, *layer.weight.shape))
                layer.bias.copy_(tensor(0.05, *layer.bias.shape))
    pictures = np.tanh(rng.standard_normal((STEPS, 2, BATCH, SIZE, SIZE, 3))).astype("float32")
    return networks, torch.from_numpy(pictures).permute(0, 1, 2, 5, 3, 4).contiguous()


def judge(logits: torch.Tensor, label: float, kind: str) -> torch.Tensor:
    target = torch.full_like(logits, label)
    if kind == "least_squares":
        return functional.mse_loss(logits, target)
    return functional.binary_cross_entropy_with_logits(logits, target)


def train(kind: str, identity: float) -> tuple[list[dict[str, float]], dict[str, list]]:
    """A few steps; the history of 50 pictures is not full yet, so it returns what it is given."""
    (g, f, d_x, d_y), pictures = draw()
    generators = torch.optim.Adam([*g.parameters(), *f.parameters()], RATE, (0.5, 0.999))
    discriminators = torch.optim.Adam([*d_x.parameters(), *d_y.parameters()], RATE, (0.5, 0.999))
    steps, weights = [], {}
    for x, y in pictures:
        fake_y, fake_x = g(x), f(y)
        losses = {
            "G": judge(d_y(fake_y), 1.0, kind),
            "F": judge(d_x(fake_x), 1.0, kind),
            "cycle_x": 10.0 * functional.l1_loss(f(fake_y), x),
            "cycle_y": 10.0 * functional.l1_loss(g(fake_x), y),
        }
        if identity:
            losses["identity_x"] = 10.0 * identity * functional.l1_loss(f(x), x)
            losses["identity_y"] = 10.0 * identity * functional.l1_loss(g(y), y)
        generators.zero_grad()
        sum(losses.values()).backward()
        generators.step()
        discriminators.zero_grad()
        for name, network, real, fake in (("D_X", d_x, x, fake_x), ("D_Y", d_y, y, fake_y)):
            real_loss = judge(network(real), 1.0, kind)
            fake_loss = judge(network(fake.detach()), 0.0, kind)
            losses[name] = (real_loss + fake_loss) * 0.5
            losses[name].backward()
        discriminators.step()
        steps.append({name: loss.item() for name, loss in losses.items()})
        if not weights:
            for name, network in zip(("G", "F", "D_X", "D_Y"), (g, f, d_x, d_y), strict=True):
                kernels = [layer.weight.detach() for layer in convolutions(network)]
                weights[name] = [kernel.flatten()[:6].tolist() for kernel in kernels]
    return steps, weights


def main() -> None:
    torch.set_num_threads(1)
    networks, pictures = draw()
    x, y = pictures[0]
    with torch.no_grad():
        fake = networks[0](x).permute(0, 2, 3, 1)
        logits = networks[3](y).permute(0, 2, 3, 1)

    def count(network: nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    record: dict[str, object] = {
        "source": "pytorch-CycleGAN-and-pix2pix, layers and step as there; torch "
        + torch.__version__,
        "seed": SEED,
        "size": SIZE,
        "width": WIDTH,
        "blocks": BLOCKS,
        "batch": BATCH,
        "rate": RATE,
        "recipe": RECIPE,
        "parameters": {
            "generator_9": count(build_generator(64, 9)),
            "generator_6": count(build_generator(64, 6)),
            "discriminator": count(build_discriminator(64)),
        },
        "G": fake[:, ::8, ::8].tolist(),
        "D_Y": logits.tolist(),
        "D_Y_grids": {
            size: build_discriminator(2)(torch.zeros(1, 3, size, size)).shape[-1]
            for size in (64, 128, 256)
        },
    }
    steps, weights = train("least_squares", 0.5)
    record["least_squares"] = {"steps": steps, "weights": weights}
    record["cross_entropy"] = {"steps": train("cross_entropy", 0.0)[0]}
    text = json.dumps(record, indent=1)
    Path(__file__).with_name("cyclegan.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
