"""How training scales over processes: strong (one batch, cut) and weak (a batch each).

    python benchmarks/scaling.py [--processes 1 2 4] [--width 64] [--json out.json]
    KERAS_BACKEND=jax python benchmarks/scaling.py

Runs of `train dcgan --cluster` on the loopback, each process kept to one core, as if it were a machine
of its own; more processes than cores share them, which shows what sharing costs and not what they
would do apart. Pictures a second are those of all epochs but the first, in which steps are compiled.
Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STRONG, WEAK = 64, 32  # pictures a step: of all processes, of each
EPOCHS = 3


def addresses(count: int) -> list[str]:
    """Free places on the loopback."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    found = [f"localhost:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    return found


def rate(processes: int, batch: int, width: int, steps: int) -> float:
    """Pictures a second that so many processes learn from together."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "anime_keras", "train", "dcgan", "--width", str(width)]
        command += ["--count", str(steps * batch), "--batch-size", str(batch)]
        command += ["--epochs", str(EPOCHS), "--checkpoint-minutes", "60", "--out", str(out)]
        others = addresses(processes)
        running = []
        for index in range(processes):
            task = {"type": "worker", "index": index}
            more = {
                "TF_CONFIG": json.dumps({"cluster": {"worker": others}, "task": task}),
                "KERAS_DISTRIBUTION_JOB_ADDRESSES": others[0],
                "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
                "KERAS_DISTRIBUTION_PROCESS_ID": str(index),
                "TF_CPP_MIN_LOG_LEVEL": "3",
            }
            pin = ["taskset", "-c", str(cores[index % len(cores)])]
            running.append(
                subprocess.Popen(
                    [*pin, *command, *(["--cluster"] if processes > 1 else [])],
                    env={**os.environ, **more},
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        if any(process.wait() for process in running):
            raise RuntimeError(f"A process of {processes} failed.")
        with (out / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
    seconds = float(rows[-1]["seconds"]) - float(rows[0]["seconds"])
    return batch * (int(rows[-1]["step"]) - int(rows[0]["step"])) / seconds


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20, help="an epoch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Load average {load:.1f}: not idle, these ratios prove nothing.", file=sys.stderr)
    found = {
        "strong": {n: rate(n, STRONG, options.width, options.steps) for n in options.processes},
        "weak": {n: rate(n, n * WEAK, options.width, options.steps) for n in options.processes},
    }
    first = options.processes[0]
    print("| processes | strong, pictures/s | speed-up | weak, pictures/s | speed-up |")
    print("|---|---|---|---|---|")
    for n in options.processes:
        cells = [f"{rates[n]:.3g} | {rates[n] / rates[first]:.2f}" for rates in found.values()]
        print(f"| {n} | {' | '.join(cells)} |")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
