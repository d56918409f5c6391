"""How many pictures a second a VAE learns from: this kit beside PyTorch, on the same machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/vae_step.py [--rounds 5] [--seconds 4] [--only SETTING …] [--json out.json]

Both sides do the same mathematics: 64 px, batches of 64, width 32, codes of 64 numbers; a Gaussian
likelihood whose variance follows the error, KL in closed form, the moving moments of the codes that
`generate` draws from, one Adam. How the settings take turns: `_turns.py`.
"""

from __future__ import annotations

import itertools
import math
import os
from functools import partial
from typing import Any

import _turns

BATCH, CODE, WIDTH = 64, 64, 32


def keras_side(policy: str) -> _turns.Train:
    """A VAE of this kit, by `fit`."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy(policy)
    from anime_keras import models

    vae = models.VAE(image_size=64, latent_dim=CODE, width=WIDTH)
    vae.compile()
    real = np.tanh(np.random.default_rng(0).standard_normal((BATCH, 64, 64, 3))).astype("float32")
    return _turns.by_fit(vae, real)


def networks() -> tuple[Any, Any]:
    """Encoder, to mean and log variance side by side, and decoder."""
    from torch import nn

    channels = [3, WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH]
    encoder = nn.Sequential()
    for inner, outer in itertools.pairwise(channels):
        encoder.append(nn.Conv2d(inner, outer, 4, 2, 1, bias=False))
        encoder.append(nn.BatchNorm2d(outer))
        encoder.append(nn.LeakyReLU(0.2))
    encoder.append(nn.Flatten()).append(nn.Linear(16 * 8 * WIDTH, 2 * CODE))
    decoder = nn.Sequential(
        nn.Linear(CODE, 16 * 8 * WIDTH, bias=False), nn.Unflatten(1, (8 * WIDTH, 4, 4))
    )
    for inner, outer in zip(channels[:0:-1], channels[-2::-1], strict=True):
        decoder.append(nn.BatchNorm2d(inner)).append(nn.ReLU())
        decoder.append(nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False))
    return encoder, decoder.append(nn.Tanh())


def torch_side(
    channels_last: bool = False, bfloat16: bool = False, compiled: bool = False
) -> _turns.Train:
    """The same by a loop."""
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    encoder, decoder = (network.to(memory_format=layout) for network in networks())
    parameters = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(parameters, 1e-3, foreach=True)
    encode, decode = (
        torch.compile(network, dynamic=False) if compiled else network
        for network in (encoder, decoder)
    )
    images = torch.tanh(torch.randn(BATCH, 3, 64, 64)).contiguous(memory_format=layout)
    variance, center, covariance = torch.ones(()), torch.zeros(CODE), torch.eye(CODE)

    def follow(mean: torch.Tensor, log_variance: torch.Tensor) -> None:
        nonlocal covariance
        new = mean.mean(0)
        apart = mean - new
        scatter = apart.T @ apart / BATCH + torch.diag(log_variance.exp().mean(0))
        step = new - center
        covariance = 0.995 * covariance + 0.005 * scatter + 0.995 * 0.005 * torch.outer(step, step)
        center.add_(0.005 * step)
        torch.linalg.cholesky(covariance)

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        with _turns.autocast(bfloat16):
            answer = encode(images)
        mean, log_variance = answer.float().chunk(2, dim=1)
        code = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        with _turns.autocast(bfloat16):
            pixels = decode(code)
        squared = (images - pixels.float()).square()
        with torch.no_grad():
            follow(mean, log_variance)
            variance.mul_(0.9).add_(0.1 * squared.mean())
        nats = 0.5 * (squared / variance + variance.log() + math.log(2 * math.pi))
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
        (nats.sum((1, 2, 3)).mean() + kl.mean(0).sum()).backward()
        adam.step()

    return _turns.by_loop(step)


OURS = {f"keras {policy}": partial(keras_side, policy) for policy in ("float32", "mixed_bfloat16")}
PEERS = {
    "torch float32": torch_side,
    "torch float32, channels last": partial(torch_side, channels_last=True),
    "torch float32, channels last, compiled": partial(
        torch_side, channels_last=True, compiled=True
    ),
    "torch bfloat16, channels last": partial(torch_side, bfloat16=True, channels_last=True),
    "torch bfloat16, channels last, compiled": partial(
        torch_side, bfloat16=True, channels_last=True, compiled=True
    ),
}

if __name__ == "__main__":
    _turns.run(__file__, __doc__ or "", BATCH, OURS, PEERS, seconds=4.0)
