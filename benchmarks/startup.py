"""How long until something is there: an import, a command, the demo's first pictures.

    python benchmarks/startup.py [--rounds 5]

Imports and commands each in a process of its own, by turns, files in the system's cache. The demo is
watched until its first sheets appear: real faces, the untrained model's, and that of the first epoch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import keras": ["-c", "import keras"],
    "import tensorflow": ["-c", "import tensorflow"],
    "import anime_keras": ["-c", "import anime_keras"],
    "from anime_keras import models": ["-c", "from anime_keras import models"],
    "python -m anime_keras --help": ["-m", "anime_keras", "--help"],
    "python -m anime_keras models": ["-m", "anime_keras", "models"],
    "64 faces drawn": ["-c", "from anime_keras import data; data.render(64, 64)"],
}
SHEETS = ("real.png", "samples/epoch-0000.png", "samples/epoch-0001.png")
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}


def seconds(command: list[str]) -> float:
    """How long a process takes."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *command], check=True, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - start


def first_pictures() -> dict[str, float]:
    """Seconds from the demo's start until each of its first sheets is there."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "demo"
        start = time.perf_counter()
        demo = subprocess.Popen(
            [sys.executable, "-m", "anime_keras", "demo", "--out", str(out)],
            env=ENVIRONMENT,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        while len(found) < len(SHEETS) and demo.poll() is None:
            for name in SHEETS:
                if name not in found and (out / name).exists():
                    found[name] = time.perf_counter() - start
            time.sleep(0.05)
        demo.kill()
        demo.wait()
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Load average {load:.1f}: not idle, these numbers prove nothing.", file=sys.stderr)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.rounds + 1):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    print("| | s, median | min | max |\n|---|---|---|---|")
    for name, all_of_them in times.items():
        rest = all_of_them[1:]  # the first round fills the cache
        print(f"| {name} | {statistics.median(rest):.2f} | {min(rest):.2f} | {max(rest):.2f} |")
    for name, value in first_pictures().items():
        print(f"| demo: {name} | {value:.1f} | | |")


if __name__ == "__main__":
    main()
