"""Training steps of this kit beside PyTorch's: processes that take turns on one machine.

Every setting lives in a process of its own; the processes take turns, round by round, while the
others wait. The first two seconds of each turn are not counted, for either side: the memory of a
process that has waited may have been taken from it, and comes back page by page. Measure on an idle
machine.
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
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WARM_UP = 2.0  # seconds
Train = Callable[[float], list[float]]  # for so many seconds; returns when each step ended
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests/models/reference"))
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def by_fit(model: Any, batch: Any) -> Train:
    """A Keras model's training by `fit`, on one batch again and again."""
    import keras

    from anime_keras.data.pipelines import repeated

    batches = repeated(batch)

    class Watch(keras.callbacks.Callback):
        def __init__(self, seconds: float) -> None:
            super().__init__()
            self.seconds = seconds

        def on_train_begin(self, logs=None):
            self.times = [time.perf_counter()]

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())
            self.model.stop_training = self.times[-1] - self.times[0] > self.seconds

    def train(seconds: float) -> list[float]:
        watch = Watch(seconds)
        model.fit(batches, epochs=1, steps_per_epoch=100_000, callbacks=[watch], verbose=0)
        return watch.times

    return train


def by_loop(step: Callable[[], None]) -> Train:
    """A loop over a step."""

    def train(seconds: float) -> list[float]:
        times = [time.perf_counter()]
        while times[-1] - times[0] <= seconds:
            step()
            times.append(time.perf_counter())
        return times

    return train


def autocast(bfloat16: bool) -> contextlib.AbstractContextManager:
    """PyTorch's bfloat16 on a CPU, or nothing."""
    import torch

    return torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()


def work(train: Train, batch: int, reply: Any) -> None:
    """A worker: warm up, then answer each line of seconds with pictures a second."""
    train(1.0)
    print("ready", file=reply, flush=True)
    for line in sys.stdin:
        seconds, counted = WARM_UP + float(line), []
        while len(counted) < 3:  # where a step takes seconds
            times = train(seconds)
            counted = [moment for moment in times if moment - times[0] >= WARM_UP]
            seconds *= 2
        rate = batch * (len(counted) - 1) / (counted[-1] - counted[0])
        print(rate, file=reply, flush=True)


def measure(script: str, names: list[str], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Pictures a second of every setting in every round; those that cannot start are left out."""
    workers = {}
    for name in names:
        command = [sys.executable, script, "--worker", name]
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
            print(f"{name}: {results[name][-1]:.3g}", file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.kill()  # some take minutes to end by themselves
        worker.wait()
    return results


def ratio(results: dict[str, list[float]], ours: str, peers: list[str]) -> tuple[str, list[float]]:
    """Round by round, ours over the peer setting with the best median."""
    best = max(peers, key=lambda name: statistics.median(results[name]))
    return best, [a / b for a, b in zip(results[ours], results[best], strict=True)]


def run(
    script: str,
    doc: str,
    batch: int,
    ours: dict[str, Callable[[], Train]],
    peers: dict[str, Callable[[], Train]],
    seconds: float,
) -> None:
    """The command line of a benchmark.

    Args:
        script: its path, which is started once more for every setting.
        doc: what it says of itself.
        batch: pictures a step.
        ours: this kit's settings, by names that say "float32" where they compute in it.
        peers: PyTorch's, likewise.
        seconds: of each setting in each round, unless the command line says otherwise.
    """
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=seconds, help="of each setting in each round"
    )
    parser.add_argument("--only", nargs="*", metavar="SETTING", help="these settings, by full name")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        reply = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # whatever the frameworks print must not be taken for an answer
        return work({**ours, **peers}[arguments.worker](), batch, reply)
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Load average {load:.1f}: not idle, these ratios prove nothing.", file=sys.stderr)
    names = arguments.only or [*ours, *peers]
    results = measure(script, names, arguments.rounds, arguments.seconds)
    print("| setting | pictures/s, median | min | max | s a step, median |\n|---|---|---|---|---|")
    for name, rates in results.items():
        middle = statistics.median(rates)
        numbers = f"{middle:.3g} | {min(rates):.3g} | {max(rates):.3g} | {batch / middle:.3g}"
        print(f"| {name} | {numbers} |")
    ratios = {}
    rivals = [name for name in results if name in peers]
    for name in ours:
        # The kit's float32 is measured against their float32 and, like its bfloat16, against all.
        for group in ([r for r in rivals if "float32" in r], rivals):
            if name not in results or not group or (group is not rivals and "float32" not in name):
                continue
            best, values = ratio(results, name, group)
            if f"{name} / {best}" in ratios:
                continue
            ratios[f"{name} / {best}"] = values
            low, high = min(values), max(values)
            print(f"\n{name} / {best}: {statistics.median(values):.2f} ({low:.2f} to {high:.2f})")
    print(f"\nload average before the start: {load:.1f} on {os.cpu_count()} cores")
    if arguments.json:
        record = {"pictures_per_second": results, "ratios": ratios, "load_before": load}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")
