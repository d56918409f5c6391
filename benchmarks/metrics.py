"""The numeric parts of the metrics beside SciPy's, clean-fid's and torch-fidelity's, on one set.

    python benchmarks/metrics.py [--pictures 10000] [--features 2048] [--rounds 3]
                                 [--only fid kid prdc] [--threads N]

No network runs: features are drawn, with the falling spectrum and the zeros that a ReLU network's
have. Each turn is a process of its own that loads them, warms up on a few and reports seconds,
result, and by how much its peak of resident memory grew during the call. The sides take turns, so
what else the machine does hits all alike; what to read is the ratio within one run.

Peers (the kit needs neither): pip install clean-fid torch-fidelity. Both import torchvision for
their networks; where that is missing an empty stand-in takes its place.
"""

import argparse
import importlib.abc
import importlib.machinery
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


class Anything(type):
    """A class of empty classes, each of which has any attribute, again such a class."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name, (), {})


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules in the place of a missing package, which hold any name."""

    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):  # noqa: D102
        if name.split(".")[0] == self.package:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module):  # noqa: D102
        module.__getattr__ = lambda name: getattr(Anything("", (), {}), name)


def peers():
    """The peers' packages may now be imported."""
    import importlib.util

    for package in ("torchvision", "requests"):
        if importlib.util.find_spec(package) is None:
            sys.meta_path.append(Absent(package))


# --- sides: what is not to be timed first, then a function of two arrays --------------------------


def moments(*sides):
    """Means and covariances, one after the other; FID's turns are given these."""
    return [part for side in sides for part in (side.mean(0), np.cov(side, rowvar=False))]


def ours_fid():
    from anime_keras.metrics import frechet_from_moments

    return moments, frechet_from_moments


def scipy_fid():
    import scipy.linalg

    def distance(mean, covariance, other_mean, other_covariance):
        root = scipy.linalg.sqrtm(covariance @ other_covariance).real
        gap = mean - other_mean
        return gap @ gap + np.trace(covariance + other_covariance - 2.0 * root)

    return moments, distance


def clean_fid():
    peers()
    from cleanfid.fid import frechet_distance

    return moments, frechet_distance


def torch_fid():
    peers()
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    def distance(*parts):
        first, second = ({"mu": parts[i], "sigma": parts[i + 1]} for i in (0, 2))
        return fid_statistics_to_metric(first, second, False)["frechet_inception_distance"]

    return moments, distance


def as_they_are(*sides):
    return sides


def ours_kid():
    from anime_keras.metrics import subset_distances

    def distance(real, fake):
        return subset_distances(real, fake, subset_size=min(1000, len(real))).mean()

    return as_they_are, distance


def ours_kid_all_pairs():
    from anime_keras.metrics import kernel_distance

    return as_they_are, kernel_distance


def clean_kid():
    peers()
    from cleanfid.fid import kernel_distance

    return as_they_are, kernel_distance


def tensors(*sides):
    import torch

    return [torch.from_numpy(side) for side in sides]


def torch_kid():
    peers()
    from torch_fidelity.metric_kid import kid_features_to_metric

    def distance(real, fake):
        settings = {"kid_subset_size": min(1000, len(real)), "verbose": False}
        return kid_features_to_metric(real, fake, **settings)["kernel_inception_distance_mean"]

    return tensors, distance


def ours_prdc():
    from anime_keras.metrics import precision_recall

    return as_they_are, precision_recall


def ours_density():
    from anime_keras.metrics import density_coverage

    return as_they_are, density_coverage


def torch_prdc(part):
    peers()
    from torch_fidelity import metric_prc

    function = getattr(metric_prc, f"calculate_precision_recall_{part}")
    return tensors, lambda real, fake: function(fake, real)


SIDES = {
    "fid": {
        "ours": ours_fid,
        "scipy.linalg.sqrtm": scipy_fid,
        "clean-fid": clean_fid,
        "torch-fidelity": torch_fid,
    },
    "kid": {
        "ours, 100 subsets of 1,000": ours_kid,
        "ours, all pairs": ours_kid_all_pairs,
        "clean-fid, 100 subsets of 1,000": clean_kid,
        "torch-fidelity, 100 subsets of 1,000": torch_kid,
    },
    "prdc": {
        "ours, precision and recall": ours_prdc,
        "ours, density and coverage": ours_density,
        "torch-fidelity, precision and recall": lambda: torch_prdc("full"),
        "torch-fidelity, the same, saving memory": lambda: torch_prdc("part"),
    },
}


def peak():
    """Most resident memory so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def turn(metric, side, folder):
    paths = [Path(folder) / f"{name}.npy" for name in ("real", "fake")]
    try:
        prepare, function = SIDES[metric][side]()
    except ModuleNotFoundError as error:
        if side.startswith("ours"):
            raise
        return {"missing": error.name or str(error)}
    function(*prepare(*(np.load(path, mmap_mode="r")[:64, :16].copy() for path in paths)))
    if prepare is moments:  # they take as long as a distance, and were taken once, by `draw`
        ready = list(np.load(Path(folder) / "moments.npz").values())
    else:
        ready = prepare(*map(np.load, paths))
    before, cpu, start = peak(), time.process_time(), time.perf_counter()
    value = function(*ready)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    grown = peak() - before
    return {"seconds": seconds, "cpu": cpu, "grown": grown, "value": np.ravel(value).tolist()}


def draw(folder, pictures, features):
    random = np.random.default_rng(0)
    spectrum = 1.0 / np.sqrt(1.0 + np.arange(features))
    mixing = random.standard_normal((features, features)).astype("float32") * spectrum[:, None]
    sides = []
    for name, scale in (("real", 1.0), ("fake", 1.1)):
        rows = random.standard_normal((pictures, features), "float32") @ mixing.astype("float32")
        sides.append(np.maximum(0.5 + scale * rows, 0.0))
        np.save(Path(folder) / f"{name}.npy", sides[-1])
    np.savez(Path(folder) / "moments.npz", *moments(*sides))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=10_000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turn", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        what, *rest = options.turn
        if what == "draw":
            draw(rest[0], options.pictures, options.features)
        else:
            print(json.dumps(turn(what, *rest)))
        return
    print(
        f"{options.pictures:,} x {options.features:,} features a side, {options.threads} threads\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        # by another process: a child's peak of memory starts from what its parent holds
        size = ["--pictures", str(options.pictures), "--features", str(options.features)]
        subprocess.run([sys.executable, __file__, *size, "--turn", "draw", folder], check=True)
        for metric in options.only:
            print_table(metric, folder, options.rounds, options.threads)


def print_table(metric, folder, rounds, threads):
    turns = {side: [] for side in SIDES[metric]}
    limits = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)
    )
    for _, side in itertools.product(range(rounds), turns):
        command = [sys.executable, __file__, "--turn", metric, side, folder]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | limits)
        if done.returncode:
            sys.exit(f"{side}:\n{done.stderr}")
        turns[side].append(json.loads(done.stdout.splitlines()[-1]))
    ours = statistics.median(row["seconds"] for row in next(iter(turns.values())))
    print(
        f"| {metric} | seconds, median (range) | of the first row | CPU s | memory grown by | result |"
    )
    print("|---|---|---|---|---|---|")
    for side, rows in turns.items():
        if "missing" in rows[0]:
            print(f"| {side} | not installed ({rows[0]['missing']}) | | | | |")
            continue
        seconds = [row["seconds"] for row in rows]
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        grown = max(row["grown"] for row in rows) / 1e6
        value = ", ".join(f"{number:.9g}" for number in rows[0]["value"])
        median, cpu = statistics.median(seconds), statistics.median(row["cpu"] for row in rows)
        cells = (side, f"{median:.2f} ({spread})", f"x {median / ours:.2f}", f"{cpu:.2f}")
        print("|", " | ".join((*cells, f"{grown:,.0f} MB", value)), "|")
    print(flush=True)


if __name__ == "__main__":
    main()
