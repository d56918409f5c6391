"""How many pictures a second an AnimeGAN's game takes: this kit beside PyTorch, on the same machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/animegan_step.py [--rounds 5] [--seconds 6] [--only SETTING …] [--json out.json]

Both sides do the same mathematics: 64 px, batches of 8, width 16, the discriminator of one halving, and
a frozen network of the size of the kit's as content maps; a step of D on all four kinds of pictures in
one batch, a step of G by all its losses. How the settings take turns: `_turns.py`.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import _turns

BATCH, WIDTH = 8, 16
RULES = {"first_steps": 0, "content": 20.0, "style": 20.0, "color": 150.0, "adversarial": 10.0}


def keras_side(policy: str) -> _turns.Train:
    """An AnimeGAN of this kit, by `fit`."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy(policy)
    from anime_keras import models

    gan = models.AnimeGAN(image_size=64, width=WIDTH, halvings=1)
    gan.compile(**RULES)
    random = np.random.default_rng(0)
    x, y, blurred = (
        np.tanh(random.standard_normal((BATCH, 64, 64, 3))).astype("float32") for _ in range(3)
    )
    return _turns.by_fit(gan, (x, y, blurred))


def networks() -> tuple[Any, Any, Any]:
    """Generator, discriminator, and what tells content."""
    import torch
    from torch import nn
    from torch.nn.utils.parametrizations import spectral_norm

    def normed(channels: int) -> list[Any]:
        return [nn.GroupNorm(1, channels), nn.LeakyReLU(0.2)]

    def conv(inner: int, outer: int, size: int = 3, stride: int = 1) -> list[Any]:
        padding = (0, 1, 0, 1) if stride == 2 else (size // 2,) * 4
        frame = [nn.ReflectionPad2d(padding)] if size > 1 else []
        return [*frame, nn.Conv2d(inner, outer, size, stride, bias=False), *normed(outer)]

    class Residual(nn.Module):
        def __init__(self, inner: int, outer: int) -> None:
            super().__init__()
            wide = 2 * inner
            self.inner = nn.Sequential(
                *conv(inner, wide, 1),
                nn.ReflectionPad2d(1),
                nn.Conv2d(wide, wide, 3, groups=wide),
                *normed(wide),
                nn.Conv2d(wide, outer, 1, bias=False),
                nn.GroupNorm(1, outer),
            )
            self.same = inner == outer

        def forward(self, x: Any) -> Any:
            return x + self.inner(x) if self.same else self.inner(x)

    w = WIDTH
    generator = nn.Sequential(
        *conv(3, w, 7),
        *conv(w, 2 * w, 3, 2),
        *conv(2 * w, 2 * w),
        *conv(2 * w, 4 * w, 3, 2),
        *conv(4 * w, 4 * w),
        *conv(4 * w, 4 * w),
        Residual(4 * w, 8 * w),
        *[Residual(8 * w, 8 * w) for _ in range(3)],
        *conv(8 * w, 4 * w),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        *conv(4 * w, 4 * w),
        *conv(4 * w, 4 * w),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        *conv(4 * w, 2 * w),
        *conv(2 * w, 2 * w),
        *conv(2 * w, w, 7),
        nn.Conv2d(w, 3, 1, bias=False),
        nn.Tanh(),
    )

    def judging(inner: int, outer: int, stride: int = 1) -> Any:
        return spectral_norm(nn.Conv2d(inner, outer, 3, stride, 1, bias=False))

    discriminator = nn.Sequential(
        judging(3, w),
        nn.LeakyReLU(0.2),
        judging(w, 2 * w, 2),
        nn.LeakyReLU(0.2),
        judging(2 * w, 4 * w),
        *normed(4 * w),
        judging(4 * w, 8 * w),
        *normed(8 * w),
        judging(8 * w, 1),
    )

    class Stage(nn.Module):
        def __init__(self, inner: int, outer: int) -> None:
            super().__init__()

            def unit(inner: int, stride: int) -> list[Any]:
                layer = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
                return [layer, nn.BatchNorm2d(outer), nn.ReLU()]

            self.first = nn.Sequential(*unit(inner, 2))
            self.block = nn.Sequential(*unit(outer, 1), *unit(outer, 1))

        def forward(self, x: Any) -> Any:
            x = self.first(x)
            return x + self.block(x)

    content = nn.Sequential(Stage(3, 24), Stage(24, 48), Stage(48, 96)).eval()
    content.requires_grad_(False)
    assert sum(p.numel() for p in generator.parameters()) == 544_416  # as the kit's
    assert isinstance(content(torch.zeros(1, 3, 64, 64)), torch.Tensor)
    return generator, discriminator, content


def torch_side(channels_last: bool = False, bfloat16: bool = False) -> _turns.Train:
    """The same by a loop."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    generator, discriminator, content = (n.to(memory_format=layout) for n in networks())
    g_adam = torch.optim.Adam(generator.parameters(), 2e-5, betas=(0.5, 0.999), foreach=True)
    d_adam = torch.optim.Adam(discriminator.parameters(), 4e-5, betas=(0.5, 0.999), foreach=True)
    x, y, blurred = (
        torch.tanh(torch.randn(BATCH, 3, 64, 64)).contiguous(memory_format=layout) for _ in range(3)
    )
    to_yuv = torch.tensor(
        [
            [0.299, -0.14714119, 0.61497538],
            [0.587, -0.28886916, -0.51496512],
            [0.114, 0.43601035, -0.10001026],
        ]
    )

    def yuv(images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nchw,cd->ndhw", (images + 1) / 2, to_yuv)

    def grey(images: torch.Tensor) -> torch.Tensor:
        return (2 * yuv(images)[:, :1] - 1).expand(-1, 3, -1, -1)

    def gram(maps: torch.Tensor) -> torch.Tensor:
        rows = maps.flatten(2)
        return rows @ rows.transpose(1, 2) / rows[0].numel()

    def maps(images: torch.Tensor) -> torch.Tensor:
        with _turns.autocast(bfloat16):
            found = content(images)
        return found.float()

    def judge(images: torch.Tensor) -> torch.Tensor:
        with _turns.autocast(bfloat16):
            logits = discriminator(images)
        return logits.float()

    def step() -> None:
        with _turns.autocast(bfloat16):
            drawn = generator(x)
        drawn = drawn.float()
        d_adam.zero_grad(set_to_none=True)
        kinds = judge(torch.cat([y, drawn.detach(), grey(y), blurred])).chunk(4)
        weights = (1.2, 1.2, 1.2, 0.8)
        parts = [
            w * (k - float(i == 0)).square().mean()
            for i, (w, k) in enumerate(zip(weights, kinds, strict=True))
        ]
        (10.0 * sum(parts)).backward()
        d_adam.step()

        g_adam.zero_grad(set_to_none=True)
        discriminator.requires_grad_(False)
        seen = maps(drawn)
        loss = 10.0 * (judge(drawn) - 1).square().mean()
        loss = loss + 20.0 * (maps(x) - seen).abs().mean()
        loss = loss + 20.0 * (gram(maps(grey(y))) - gram(seen)).abs().mean()
        apart = yuv(x), yuv(drawn)
        colour = (apart[0][:, 0] - apart[1][:, 0]).abs().mean()
        for channel in (1, 2):
            colour = colour + functional.huber_loss(apart[1][:, channel], apart[0][:, channel])
        loss = loss + 150.0 * colour
        for axis in (2, 3):
            loss = loss + 0.5 * drawn.diff(dim=axis).square().mean()
        loss.backward()
        g_adam.step()
        discriminator.requires_grad_(True)

    return _turns.by_loop(step)


OURS = {f"keras {policy}": partial(keras_side, policy) for policy in ("float32", "mixed_bfloat16")}
PEERS = {
    "torch float32": torch_side,
    "torch float32, channels last": partial(torch_side, channels_last=True),
    "torch bfloat16": partial(torch_side, bfloat16=True),
    "torch bfloat16, channels last": partial(torch_side, bfloat16=True, channels_last=True),
}

if __name__ == "__main__":
    _turns.run(__file__, __doc__ or "", BATCH, OURS, PEERS, seconds=6.0)
