"""How many pictures a second a StyleGAN2 learns from: this kit beside PyTorch, on the same machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/stylegan2_step.py [--rounds 5] [--seconds 6] [--only SETTING …] [--json out.json]

The small network of the shipped weights: 64 px, batches of 16, latents of 128, 16 channels at 64 px, no
noise. Both sides do the same mathematics: styles of two latents mixed, a step of G, a step of D on
pictures drawn anew, the average followed; the penalties of every eighth and sixteenth step are off on
both. PyTorch modulates what goes in and what comes out, as the kit does, and in a second setting each
picture's own kernels in one grouped convolution, as the reference does. How the settings take turns:
`_turns.py`.
"""

from __future__ import annotations

import copy
import math
import os
from functools import partial
from typing import Any

import _turns

BATCH, CODE, SIZES = 16, 128, (4, 8, 16, 32, 64)
CHANNELS = {size: min(1024 // size, 128) for size in SIZES}
NETWORK = {"latent_dim": CODE, "fmaps": 1 / 32, "max_channels": 128, "noise": False}


def keras_side(policy: str) -> _turns.Train:
    """A StyleGAN2 of this kit, by `fit`."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy(policy)
    from anime_keras import models

    gan = models.StyleGAN2(image_size=64, **NETWORK)
    gan.compile(r1=0.0, path_length=0.0)
    real = np.tanh(np.random.default_rng(0).standard_normal((BATCH, 64, 64, 3))).astype("float32")
    return _turns.by_fit(gan, real)


def networks(grouped: bool) -> tuple[Any, Any, Any]:
    """Mapping, synthesis of a list of styles, and discriminator."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    taps = torch.outer(taps, taps) / 64
    gain = math.sqrt(2.0)

    def smooth(maps: Any, padding: tuple[int, int], stride: int = 1, times: float = 1.0) -> Any:
        kernel = (times * taps).to(maps.dtype).expand(maps.shape[1], 1, 4, 4)
        return F.conv2d(F.pad(maps, padding * 2), kernel, stride=stride, groups=maps.shape[1])

    def upsample(images: Any) -> Any:
        n, c, h, w = images.shape
        spread = images.new_zeros(n, c, h, 2, w, 2)
        spread[:, :, :, 0, :, 0] = images
        return smooth(spread.reshape(n, c, 2 * h, 2 * w), (2, 1), times=4.0)

    class Dense(nn.Module):
        def __init__(
            self,
            inner: int,
            outer: int,
            activate: bool = False,
            start: float = 0.0,
            rate: float = 1,
        ) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(outer, inner) / rate)
            self.bias = nn.Parameter(torch.full((outer,), start / rate))
            self.scale, self.rate, self.activate = rate / math.sqrt(inner), rate, activate

        def forward(self, x: Any) -> Any:
            x = F.linear(x.float(), self.weight * self.scale, self.bias * self.rate)
            return gain * F.leaky_relu(x, 0.2) if self.activate else x

    class Styled(nn.Module):
        def __init__(self, inner: int, outer: int, size: int = 3, up: bool = False) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(outer, inner, size, size))
            self.bias = nn.Parameter(torch.zeros(outer, 1, 1))
            self.affine = Dense(CODE, inner, start=1.0)
            self.size, self.up = size, up

        def forward(self, x: Any, w: Any) -> Any:
            style = self.affine(w)
            if self.size == 1:
                style = style / math.sqrt(self.weight.shape[1])
                return F.conv2d(x * style[:, :, None, None], self.weight).float() + self.bias
            if grouped:
                n, inner, height, width = x.shape
                kernel = self.weight[None] * style[:, None, :, None, None]
                lengths = (kernel.square().sum((2, 3, 4)) + 1e-8).rsqrt()
                kernel = (kernel * lengths[:, :, None, None, None]).to(x.dtype)
                x = x.reshape(1, n * inner, height, width)
                if self.up:
                    kernel = kernel.transpose(1, 2).reshape(n * inner, -1, 3, 3)
                    x = F.conv_transpose2d(x, kernel, stride=2, groups=n)
                else:
                    x = F.conv2d(x, kernel.reshape(-1, inner, 3, 3), padding=1, groups=n)
                x = x.reshape(n, -1, *x.shape[2:])
                x = smooth(x, (1, 1), times=4.0) if self.up else x
            else:
                squares = self.weight.square().sum((2, 3))
                lengths = (style.square() @ squares.T + 1e-8).rsqrt()
                x = x * style[:, :, None, None]
                if self.up:
                    x = F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
                    x = smooth(x, (1, 1), times=4.0)
                else:
                    x = F.conv2d(x, self.weight, padding=1)
                x = x * lengths[:, :, None, None]
            return gain * F.leaky_relu(x + self.bias, 0.2)

    class Synthesis(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.constant = nn.Parameter(torch.randn(1, CHANNELS[4], 4, 4))
            self.layers, self.colours = nn.ModuleList(), nn.ModuleList()
            inner = CHANNELS[4]
            for size in SIZES:
                outer = CHANNELS[size]
                if size > 4:
                    self.layers.append(Styled(inner, outer, up=True))
                self.layers.append(Styled(outer, outer))
                self.colours.append(Styled(outer, 3, 1))
                inner = outer

        def forward(self, styles: Any) -> Any:
            x, picture, index = self.constant.expand(len(styles), -1, -1, -1), None, 0
            for size, colours in zip(SIZES, self.colours, strict=True):
                for _ in range(1 if size == 4 else 2):
                    x = self.layers[index](x, styles[:, index])
                    index += 1
                more = colours(x, styles[:, index])
                picture = more if picture is None else upsample(picture) + more
            return picture

    class Conv(nn.Module):
        def __init__(
            self, inner: int, outer: int, size: int, down: bool = False, times: float = 1.0
        ) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(outer, inner, size, size))
            straight = down and size == 1
            self.bias = None if straight else nn.Parameter(torch.zeros(outer, 1, 1))
            self.times = times if straight else gain * times
            self.scale, self.down = 1 / math.sqrt(inner * size * size), down

        def forward(self, x: Any) -> Any:
            kernel, around = self.weight * (self.scale * self.times), self.weight.shape[-1] // 2
            if not self.down:
                x = F.conv2d(x, kernel, padding=around)
            elif around:
                x = F.conv2d(smooth(x, (around + 1, around + 1)), kernel, stride=2)
            else:
                return F.conv2d(smooth(x, (1, 1), 2), kernel)
            return F.leaky_relu(x + self.bias * self.times, 0.2)

    class Discriminator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = Conv(3, CHANNELS[64], 1)
            self.blocks = nn.ModuleList()
            half = math.sqrt(0.5)
            for size in SIZES[:0:-1]:
                wide, thin = CHANNELS[size], CHANNELS[size // 2]
                ways = Conv(wide, thin, 1, True, half), Conv(wide, wide, 3)
                self.blocks.append(nn.ModuleList([*ways, Conv(wide, thin, 3, True, half)]))
            self.conv = Conv(CHANNELS[4] + 1, CHANNELS[4], 3)
            self.dense = Dense(16 * CHANNELS[4], CHANNELS[4], activate=True)
            self.logits = Dense(CHANNELS[4], 1)

        def forward(self, images: Any) -> Any:
            x = self.first(images)
            for straight, conv, down in self.blocks:
                x = straight(x) + down(conv(x))
            groups = x.float().reshape(4, -1, *x.shape[1:])
            deviation = (groups.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
            channel = deviation.repeat(4)[:, None, None, None].expand(-1, 1, 4, 4)
            x = self.conv(torch.cat([x, channel.to(x.dtype)], 1))
            return self.logits(self.dense(x.flatten(1)))

    mapping = nn.Sequential(*[Dense(CODE, CODE, True, rate=0.01) for _ in range(2)])
    synthesis = Synthesis()
    total = sum(p.numel() for network in (mapping, synthesis) for p in network.parameters())
    assert total == 764_680 - 9  # the kit's, which also holds the strengths of nine noises
    return mapping, synthesis, Discriminator()


def torch_side(
    channels_last: bool = False, bfloat16: bool = False, grouped: bool = False
) -> _turns.Train:
    """The same by a loop."""
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    mapping, synthesis, discriminator = (n.to(memory_format=layout) for n in networks(grouped))
    averages = copy.deepcopy(mapping), copy.deepcopy(synthesis)
    players = [*mapping.parameters(), *synthesis.parameters()]
    options = {"lr": 2.5e-3, "betas": (0.0, 0.99), "foreach": True}
    g_adam = torch.optim.Adam(players, **options)
    d_adam = torch.optim.Adam(discriminator.parameters(), **options)
    real = torch.tanh(torch.randn(BATCH, 3, 64, 64)).contiguous(memory_format=layout)
    count = 2 * len(SIZES)

    def imagine() -> torch.Tensor:
        w, other = (
            mapping(F.normalize(torch.randn(BATCH, CODE)) * math.sqrt(CODE)) for _ in range(2)
        )
        start = torch.randint(1, count, (BATCH, 1, 1))
        first = (torch.arange(count)[None, :, None] < start) | (torch.rand(BATCH, 1, 1) >= 0.9)
        with _turns.autocast(bfloat16):
            return synthesis(torch.where(first, w[:, None], other[:, None])).float()

    def judge(images: torch.Tensor) -> torch.Tensor:
        with _turns.autocast(bfloat16):
            logits = discriminator(images.contiguous(memory_format=layout))
        return logits.float()

    def step() -> None:
        discriminator.requires_grad_(False)
        g_adam.zero_grad(set_to_none=True)
        F.softplus(-judge(imagine())).mean().backward()
        g_adam.step()
        discriminator.requires_grad_(True)
        d_adam.zero_grad(set_to_none=True)
        with torch.no_grad():
            fake = imagine()
        (F.softplus(-judge(real)).mean() + F.softplus(judge(fake)).mean()).backward()
        d_adam.step()
        with torch.no_grad():
            for average, network in zip(averages, (mapping, synthesis), strict=True):
                slow, fast = list(average.parameters()), list(network.parameters())
                torch._foreach_lerp_(slow, fast, 0.002)

    return _turns.by_loop(step)


OURS = {f"keras {policy}": partial(keras_side, policy) for policy in ("float32", "mixed_bfloat16")}
PEERS = {
    "torch float32": torch_side,
    "torch float32, channels last": partial(torch_side, channels_last=True),
    "torch float32, grouped": partial(torch_side, grouped=True),
    "torch bfloat16": partial(torch_side, bfloat16=True),
    "torch bfloat16, channels last": partial(torch_side, bfloat16=True, channels_last=True),
}

if __name__ == "__main__":
    _turns.run(__file__, __doc__ or "", BATCH, OURS, PEERS, seconds=6.0)
