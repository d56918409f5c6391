"""Do the detectors of `anime_keras.diagnosis` tell broken GANs from mended ones? Five seeds each.

    python benchmarks/failures.py --record failures.jsonl

Trains what notebook 12 trains, by the settings of `anime_keras.failures`, and prints for each failure
and each seed the detector's number, broken and mended, and whether the limit lies between. What is in
the record already is not trained again, so the script can be stopped and started. About five minutes
a seed on one core of a machine that is shared.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np

from anime_keras import diagnosis, failures, latents
from anime_keras.data.pipelines import normalize
from anime_keras.diagnosis import Finding
from anime_keras.failures import CASES, Run
from anime_keras.metrics import attributes

PICTURES = 256  # generated for each number
Examine = Callable[[str, int, int], tuple[Finding, Finding]]  # case, seed, steps -> broken, mended


@lru_cache
def real() -> np.ndarray:
    return failures.faces(600)


@lru_cache
def unseen() -> np.ndarray:
    return failures.faces(PICTURES, start=600)


@lru_cache(maxsize=1)
def sound(seed: int, steps: int) -> Run:
    return failures.train(real(), steps, seed)


@lru_cache(maxsize=1)
def pair(case: str, seed: int, steps: int) -> tuple[Run, Run]:
    """The broken run and the mended one; the sound one where that mends it."""
    broken, mended = CASES[case]
    runs = (
        failures.train(real(), steps, seed, **broken),
        (failures.train(real(), steps, seed, **mended) if mended else sound(seed, steps)),
    )
    return runs


def both(look: Callable[[Run], Finding]) -> Examine:
    """A detector that asks broken and mended run the same."""
    return lambda case, seed, steps: tuple(look(run) for run in pair(case, seed, steps))


def draw(run: Run) -> np.ndarray:
    return run.gan.generate(PICTURES, seed=1)


def modes(run: Run) -> Finding:
    return diagnosis.missing_modes(attributes.read(real()), attributes.read(draw(run)))


def certainty(run: Run) -> Finding:
    return diagnosis.certainty(run.history["d_loss"])


def vanishing(case: str, seed: int, steps: int) -> tuple[Finding, Finding]:
    gan = failures.confident(sound(seed, steps).gan, real(), steps // 2, seed)
    fake = gan.generator(latents.draw(64, gan.latent_dim, seed=1), training=True)
    logits = gan.discriminator(fake, training=True)
    return tuple(diagnosis.weakening(logits, loss) for loss in ("minimax", "non_saturating"))


def mixing(case: str, seed: int, steps: int) -> tuple[Finding, Finding]:
    gan = sound(seed, steps).gan
    pictures = normalize(real()[:32])
    fakes = [gan.generator(latents.draw(32, gan.latent_dim, s), training=True) for s in (1, 2)]
    return tuple(
        diagnosis.mixing(judge, pictures, fakes)
        for judge in (failures.judge_together(gan), failures.judge_apart(gan))
    )


def contradiction(run: Run) -> Finding:
    return diagnosis.contradiction(run.history["d_loss"], run.history["g_loss"])


def forgotten(run: Run) -> Finding:
    return diagnosis.untouched(run.gan.discriminator)


def company(case: str, seed: int, steps: int) -> tuple[Finding, Finding]:
    gan = sound(seed, steps).gan
    points = latents.draw(32, gan.latent_dim, seed=1)
    return tuple(
        diagnosis.company(lambda z, mode=mode: gan.generator(z, training=mode), points)
        for mode in (True, False)
    )


def value_range(case: str, seed: int, steps: int) -> tuple[Finding, Finding]:
    pictures = failures.faces(64, seed=seed)
    return tuple(diagnosis.range_gap(normalize(pictures, ends)) for ends in ((0, 1), (-1, 1)))


def checkerboard(run: Run) -> Finding:
    return diagnosis.checkerboard(draw(run))


def leak(run: Run) -> Finding:
    return diagnosis.leak(draw(run), real(), real()[:, ::-1])


def small_data(case: str, seed: int, steps: int) -> Iterator[tuple[Run, np.ndarray]]:
    """Each run, and the pictures that it was trained on."""
    few = CASES[case].broken["few"]
    return zip(pair(case, seed, steps), (real()[:few], real()), strict=True)


def copying(case: str, seed: int, steps: int) -> tuple[Finding, Finding]:
    return tuple(
        diagnosis.copying(*(some.reshape(len(some), -1) for some in (draw(run), shown, unseen())))
        for run, shown in small_data(case, seed, steps)
    )


def overfitting(case: str, seed: int, steps: int) -> tuple[Finding, Finding]:
    found = []
    for run, shown in small_data(case, seed, steps):
        sets = (shown[:PICTURES], unseen(), draw(run))
        logits = [run.gan.discriminator(normalize(some), training=False) for some in sets]
        found.append(diagnosis.overfitting(*logits))
    return tuple(found)


def rates(run: Run) -> Finding:
    return diagnosis.imbalance(*run.first)


def exploding(run: Run) -> Finding:
    pictures = normalize(real()[:PICTURES])
    fakes = normalize(draw(run))
    logits = [run.gan.discriminator(some, training=False) for some in (pictures, fakes)]
    return diagnosis.steepness(*logits, pictures, fakes)


EXAMINATIONS: dict[str, tuple[str, Examine]] = {
    "mode collapse": ("mode collapse", both(modes)),
    "a discriminator that wins": ("winning discriminator", both(certainty)),
    "vanishing gradients": ("", vanishing),
    "BatchNorm over mixed batches": ("", mixing),
    "… as the curves show it": ("mixed batches", both(contradiction)),
    "checkerboards": ("checkerboard", both(checkerboard)),
    "training= forgotten in training": ("forgotten training", both(forgotten)),
    "training=True in drawing": ("", company),
    "wrong normalisation range": ("", value_range),
    "augmentation that leaks": ("leak", both(leak)),
    "memorisation": ("small data", copying),
    "too small data, as D sees it": ("small data", overfitting),
    "learning rates out of balance": ("learning rates", both(rates)),
    "exploding losses": ("exploding losses", both(exploding)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--only", nargs="*", metavar="FAILURE", default=list(EXAMINATIONS))
    parser.add_argument("--record", type=Path, required=True)
    arguments = parser.parse_args()
    done = {}
    if arguments.record.exists():
        rows = map(json.loads, arguments.record.read_text().splitlines())
        done = {(row["failure"], row["seed"], row["steps"]): row for row in rows}
    for seed in arguments.seeds:
        for failure in arguments.only:
            key = failure, seed, arguments.steps
            if key in done:
                continue
            case, examine = EXAMINATIONS[failure]
            begun = time.perf_counter()
            broken, mended = examine(case, seed, arguments.steps)
            row = dict(zip(("failure", "seed", "steps"), key, strict=True))
            row |= {"broken": broken, "mended": mended, "seconds": time.perf_counter() - begun}
            done[key] = row
            with arguments.record.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(failure, seed, broken, mended, sep="  |  ", flush=True)
            keras.backend.clear_session(free_memory=False)
    report(done, arguments)


def report(done: dict, arguments: argparse.Namespace) -> None:
    columns = " | ".join(f"seed {seed}" for seed in arguments.seeds)
    print(f"\n| failure | number | limit | {columns} | told apart |")
    print("|---|---|---|" + "---|" * (len(arguments.seeds) + 1))
    for failure in arguments.only:
        rows = [done[failure, seed, arguments.steps] for seed in arguments.seeds]
        pairs = [(Finding(*row["broken"]), Finding(*row["mended"])) for row in rows]
        right = sum(broken.broken and not mended.broken for broken, mended in pairs)
        limits = sorted({found.limit for some in pairs for found in some})
        limit = f"{limits[0]:.3g}" + (f" to {limits[-1]:.3g}" if len(limits) > 1 else "")
        cells = " | ".join(f"{broken.value:.3g} / {mended.value:.3g}" for broken, mended in pairs)
        print(f"| {failure} | {pairs[0][0].name} | {limit} | {cells} | {right} of {len(pairs)} |")
    seconds = sum(row["seconds"] for row in done.values())
    print(f"\n{seconds / 60:.0f} minutes; {os.cpu_count()} cores; {PICTURES} pictures a number")


if __name__ == "__main__":
    main()
