"""How long a CycleGAN's training step takes: this kit beside PyTorch, on the same machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/cyclegan_step.py [--rounds 5] [--seconds 10] [--only SETTING …] [--json FILE]

Both sides do the same mathematics, that of junyanz/pytorch-CycleGAN-and-pix2pix: 128 px, batches of
one, width 64, 6 residual blocks, least squares, identity loss on, a history of 50 pictures. PyTorch
makes six passes through the generators and six through the discriminators one by one, as the
reference does; as a setting, also those joined that this kit joins: identity and forward, real and
fake. How the settings take turns: `_turns.py`.
"""

from __future__ import annotations

import os
import random
from functools import partial

import _turns

SIZE, WIDTH, BLOCKS, HISTORY, BATCH = 128, 64, 6, 50, 1


def keras_side(policy: str) -> _turns.Train:
    """A CycleGAN of this kit, by `fit`."""
    import keras
    import numpy as np

    keras.config.set_dtype_policy(policy)
    from anime_keras.models import cyclegan

    gan = cyclegan.CycleGAN(SIZE, WIDTH, BLOCKS, history=HISTORY)
    gan.compile()
    numbers = np.random.default_rng(0).standard_normal((2, BATCH, SIZE, SIZE, 3))
    x, y = np.tanh(numbers).astype("float32")
    return _turns.by_fit(gan, (x, y))


def torch_side(
    channels_last: bool = False,
    bfloat16: bool = False,
    compiled: bool = False,
    joined: bool = False,
) -> _turns.Train:
    """The same in the order of the reference's `cycle_gan_model.py`.

    Args:
        channels_last: the layout of weights and pictures.
        bfloat16: autocast.
        compiled: by `torch.compile`.
        joined: passes that instance norm allows to be joined are.
    """
    import torch
    from make_cyclegan import build_discriminator, build_generator, convolutions
    from torch.nn import functional

    torch.set_num_threads(os.cpu_count() or 1)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    networks = [build_generator(WIDTH, BLOCKS) for _ in "GF"]
    networks += [build_discriminator(WIDTH) for _ in "XY"]
    for network in networks:
        network.to(memory_format=layout)
        for layer in convolutions(network):
            torch.nn.init.normal_(layer.weight, 0.0, 0.02)
            torch.nn.init.zeros_(layer.bias)
    g, f, d_x, d_y = (torch.compile(n, dynamic=False) if compiled else n for n in networks)
    players = [[*a.parameters(), *b.parameters()] for a, b in (networks[:2], networks[2:])]
    g_adam, d_adam = (torch.optim.Adam(p, 2e-4, (0.5, 0.999), foreach=True) for p in players)
    x, y = (
        torch.tanh(torch.randn(BATCH, 3, SIZE, SIZE)).contiguous(memory_format=layout) for _ in "xy"
    )
    histories: list[list[torch.Tensor]] = [[], []]

    def passes(network: torch.nn.Module, *batches: torch.Tensor) -> list[torch.Tensor]:
        with _turns.autocast(bfloat16):
            if joined:
                return list(network(torch.cat(batches)).float().split(BATCH))
            return [network(batch).float() for batch in batches]

    def verdict(logits: torch.Tensor, label: float) -> torch.Tensor:
        return functional.mse_loss(logits, torch.full_like(logits, label))

    def exchange(history: list[torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        image = image.detach()
        if len(history) < HISTORY:
            history.append(image)
            return image
        if random.random() < 0.5:
            return image
        place = random.randrange(HISTORY)
        history[place], image = image, history[place]
        return image

    def step() -> None:
        for parameter in players[1]:
            parameter.requires_grad_(False)
        (fake_y, same_y), (fake_x, same_x) = passes(g, x, y), passes(f, y, x)
        (back_x,), (back_y,) = passes(f, fake_y), passes(g, fake_x)
        loss = verdict(*passes(d_y, fake_y), 1.0) + verdict(*passes(d_x, fake_x), 1.0)
        loss = loss + 10.0 * (functional.l1_loss(back_x, x) + functional.l1_loss(back_y, y))
        loss = loss + 5.0 * (functional.l1_loss(same_x, x) + functional.l1_loss(same_y, y))
        g_adam.zero_grad(set_to_none=True)
        loss.backward()
        g_adam.step()
        for parameter in players[1]:
            parameter.requires_grad_(True)
        d_adam.zero_grad(set_to_none=True)
        for network, history, real, fake in (
            (d_x, histories[0], x, fake_x),
            (d_y, histories[1], y, fake_y),
        ):
            real_logits, fake_logits = passes(network, real, exchange(history, fake))
            (0.5 * (verdict(real_logits, 1.0) + verdict(fake_logits, 0.0))).backward()
        d_adam.step()

    return _turns.by_loop(step)


OURS = {f"keras {policy}": partial(keras_side, policy) for policy in ("float32", "mixed_bfloat16")}
PEERS = {
    f"torch {precision}{''.join(f', {name}' for name in options)}": partial(
        torch_side,
        bfloat16=precision == "bfloat16",
        **{name.replace(" ", "_"): True for name in options},
    )
    for precision in ("float32", "bfloat16")
    for options in (
        (),
        ("joined",),
        ("channels last",),
        ("channels last", "joined"),
        ("joined", "compiled"),
        ("channels last", "joined", "compiled"),
    )
}

if __name__ == "__main__":
    _turns.run(__file__, __doc__, BATCH, OURS, PEERS, seconds=10.0)
