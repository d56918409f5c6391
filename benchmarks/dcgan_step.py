"""How many images a second a DCGAN learns from: this kit beside PyTorch, on the same machine.

    pip install -r benchmarks/requirements.txt
    python benchmarks/dcgan_step.py [--rounds 5] [--seconds 5] [--only SETTING …] [--json out.json]

Both sides do the same mathematics, that of pytorch/examples dcgan/main.py: 64 px, batches of 64,
width 64, 100 latents; D on real and on fake pictures in separate passes, one optimizer step; D
again on the same fake pictures, one optimizer step of G. One draw of latents and one forward pass
of G a step. The generator's moving average, which the reference does not have, is off. Every
setting lives in a process of its own; the processes take turns, round by round, while the others
wait. The first two seconds of each turn are not counted, for either side: the memory of a process
that has waited may have been taken from it, and comes back page by page. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BATCH = 64
KERAS = {
    "keras float32": {"policy": "float32"},
    "keras mixed_bfloat16": {"policy": "mixed_bfloat16"},
}
# "reference": as the example is written, G's step also computes D's weight gradients, for nothing.
TORCH = {
    "torch float32, reference": {"skip_unused": False},
    "torch float32": {},
    "torch float32, channels last": {"channels_last": True},
    "torch float32, channels last, compiled": {"channels_last": True, "compiled": True},
    "torch bfloat16": {"bfloat16": True},
    "torch bfloat16, channels last": {"bfloat16": True, "channels_last": True},
    "torch bfloat16, channels last, compiled": {
        "bfloat16": True,
        "channels_last": True,
        "compiled": True,
    },
}


WARM_UP = 2.0  # seconds


def keras_side(policy: str) -> Callable[[float], list[float]]:
    """A function that trains for so many seconds, by `fit`, and returns when each step ended."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(ROOT))
    import keras
    import numpy as np
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    from anime_keras import models

    gan = models.DCGAN(image_size=64, ema=0.0)
    gan.compile()
    real = np.tanh(np.random.default_rng(0).standard_normal((BATCH, 64, 64, 3))).astype("float32")
    batches = tf.data.Dataset.from_tensors(real).repeat()

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.times = [time.perf_counter()]

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())
            self.model.stop_training = self.times[-1] - self.times[0] > self.seconds

    def train(seconds: float) -> list[float]:
        watch = Watch()
        watch.seconds = seconds
        gan.fit(batches, epochs=1, steps_per_epoch=100_000, callbacks=[watch], verbose=0)
        return watch.times

    return train


def torch_side(
    channels_last: bool = False,
    bfloat16: bool = False,
    compiled: bool = False,
    skip_unused: bool = True,
) -> Callable[[float], list[float]]:
    """The same by the example's own loop."""
    import torch
    from torch import nn

    sys.path.insert(0, str(ROOT / "tests/models/reference"))
    from make_dcgan import build_discriminator, build_generator

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

    def precision() -> contextlib.AbstractContextManager:
        return torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()

    def judge(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with precision():
            logits = d_run(images)
        return bce(logits.flatten().float(), labels)

    def step() -> None:
        d.zero_grad(set_to_none=True)
        real_loss = judge(real, ones)
        real_loss.backward()
        with precision():
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

    def train(seconds: float) -> list[float]:
        times = [time.perf_counter()]
        while times[-1] - times[0] <= seconds:
            step()
            times.append(time.perf_counter())
        return times

    return train


def work(name: str) -> None:
    """A worker: warm up, then answer each line of seconds with images a second."""
    reply = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the frameworks print must not be taken for an answer
    train = keras_side(**KERAS[name]) if name in KERAS else torch_side(**TORCH[name])
    train(1.0)
    print("ready", file=reply, flush=True)
    for line in sys.stdin:
        times = train(WARM_UP + float(line))
        counted = [moment for moment in times if moment - times[0] >= WARM_UP]
        rate = BATCH * (len(counted) - 1) / (counted[-1] - counted[0])
        print(rate, file=reply, flush=True)


def measure(names: list[str], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Images a second of every setting in every round; settings that cannot start are left out."""
    workers = {}
    for name in names:
        command = [sys.executable, __file__, "--worker", name]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        worker = subprocess.Popen(command, text=True, **pipes)
        if worker.stdout.readline().strip() == "ready":  # one at a time: compiling takes both cores
            workers[name] = worker
        else:
            print(f"{name}: could not start", file=sys.stderr)
    results: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            print(seconds, file=worker.stdin, flush=True)
            results[name].append(float(worker.stdout.readline()))
            print(f"{name}: {results[name][-1]:.1f}", file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    return results


def ratio(results: dict[str, list[float]], ours: str, peers: list[str]) -> tuple[str, list[float]]:
    """Round by round, ours over the peer setting with the best median."""
    best = max(peers, key=lambda name: statistics.median(results[name]))
    return best, [a / b for a, b in zip(results[ours], results[best], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each setting in each round")
    parser.add_argument("--only", nargs="*", metavar="SETTING", help="these settings, by full name")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker)
    names = arguments.only or [*KERAS, *TORCH]
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Load average {load:.1f}: not idle, these ratios prove nothing.", file=sys.stderr)
    results = measure(names, arguments.rounds, arguments.seconds)
    print("| setting | images/s, median | min | max |\n|---|---|---|---|")
    for name, rates in results.items():
        print(f"| {name} | {statistics.median(rates):.1f} | {min(rates):.1f} | {max(rates):.1f} |")
    ratios = {}
    peers = [name for name in results if name in TORCH]
    exact = [name for name in peers if "float32" in name]
    for ours, rivals in (("keras float32", exact), ("keras mixed_bfloat16", peers)):
        if ours in results and rivals:
            best, values = ratio(results, ours, rivals)
            ratios[f"{ours} / {best}"] = values
            low, high = min(values), max(values)
            print(f"\n{ours} / {best}: {statistics.median(values):.2f} ({low:.2f} to {high:.2f})")
    print(f"\nload average before the start: {load:.1f} on {os.cpu_count()} cores")
    if arguments.json:
        record = {"images_per_second": results, "ratios": ratios, "load_before": load}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
