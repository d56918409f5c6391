"""How many pictures a second a DCGAN learns from: this kit beside PyTorch, on the same machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/dcgan_step.py [--rounds 5] [--seconds 5] [--only SETTING …] [--json out.json]

Both sides do the same mathematics, that of pytorch/examples dcgan/main.py: 64 px, batches of 64,
width 64, 100 latents; D on real and on fake pictures in separate passes, one optimizer step; D
again on the same fake pictures, one optimizer step of G. One draw of latents and one forward pass
of G a step. The generator's moving average, which the reference does not have, is off. How the
settings take turns: `_turns.py`.
"""

from __future__ import annotations

import os
from functools import partial

import _turns

BATCH = 64


def keras_side(policy: str) -> _turns.Train:
    """A DCGAN of this kit, by `fit`."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy(policy)
    from anime_keras import models

    gan = models.DCGAN(image_size=64, ema=0.0)
    gan.compile()
    real = np.tanh(np.random.default_rng(0).standard_normal((BATCH, 64, 64, 3))).astype("float32")
    return _turns.by_fit(gan, real)


def torch_side(
    channels_last: bool = False,
    bfloat16: bool = False,
    compiled: bool = False,
    skip_unused: bool = True,
) -> _turns.Train:
    """The same by the example's own loop.

    Args:
        channels_last: the layout of weights and pictures.
        bfloat16: autocast.
        compiled: by `torch.compile`.
        skip_unused: the example as it is written does not: G's step also computes D's weight
            gradients, for nothing.
    """
    import torch
    from make_dcgan import build_discriminator, build_generator
    from torch import nn

    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    g, d = (build().to(memory_format=layout) for build in (build_generator, build_discriminator))
    for layer in [*g, *d]:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        elif hasattr(layer, "weight"):
            nn.init.normal_(layer.weight, 0.0, 0.02)
    g_adam, d_adam = (
        torch.optim.Adam(n.parameters(), 2e-4, betas=(0.5, 0.999), foreach=True) for n in (g, d)
    )
    g_run, d_run = (torch.compile(n, dynamic=False) if compiled else n for n in (g, d))
    real = torch.tanh(torch.randn(BATCH, 3, 64, 64)).contiguous(memory_format=layout)
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
    bce = nn.BCEWithLogitsLoss()

    def judge(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with _turns.autocast(bfloat16):
            logits = d_run(images)
        return bce(logits.flatten().float(), labels)

    def step() -> None:
        d.zero_grad(set_to_none=True)
        real_loss = judge(real, ones)
        real_loss.backward()
        with _turns.autocast(bfloat16):
            fake = g_run(torch.randn(BATCH, 100, 1, 1))
        fake_loss = judge(fake.detach(), zeros)
        fake_loss.backward()
        d_adam.step()
        g.zero_grad(set_to_none=True)
        if skip_unused:
            d.requires_grad_(False)
        judge(fake, ones).backward()
        g_adam.step()
        d.requires_grad_(True)

    return _turns.by_loop(step)


OURS = {f"keras {policy}": partial(keras_side, policy) for policy in ("float32", "mixed_bfloat16")}
PEERS = {
    "torch float32, reference": partial(torch_side, skip_unused=False),
    "torch float32": torch_side,
    "torch float32, channels last": partial(torch_side, channels_last=True),
    "torch float32, channels last, compiled": partial(
        torch_side, channels_last=True, compiled=True
    ),
    "torch bfloat16": partial(torch_side, bfloat16=True),
    "torch bfloat16, channels last": partial(torch_side, bfloat16=True, channels_last=True),
    "torch bfloat16, channels last, compiled": partial(
        torch_side, bfloat16=True, channels_last=True, compiled=True
    ),
}

if __name__ == "__main__":
    _turns.run(__file__, __doc__, BATCH, OURS, PEERS, seconds=5.0)
