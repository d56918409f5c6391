"""How many pictures does a StyleGAN2 need of another kind, if it knows one kind already?

    python benchmarks/fine_tuning.py --steps 300 --record fine_tuning.jsonl

From drawn anime faces to drawn portraits, of 64 px: for each number of portraits, once from the
shipped weights, once from them with the first blocks of D frozen, once from scratch, each for as many
steps of 16. The Fréchet distance is between 1,000 generated pictures and 1,000 portraits of other
people, in the features of the kit's network. What is in the record already is not trained again.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np

from anime_keras import data, metrics, models
from anime_keras.metrics import extractors

COUNTS = (16, 64, 256, 1024)
WAYS = {
    "from scratch": (False, {}),
    "tuned": (True, {}),
    "tuned, two blocks of D frozen": (True, {"freeze": 2}),
}
RULES = {"r1": 0.5, "path_length": 0.0}
MEASURED = 1000


def train(few: np.ndarray, way: str, steps: int, seed: int) -> models.StyleGAN2:
    """One training."""
    tuned, rules = WAYS[way]
    keras.utils.set_random_seed(seed)
    gan = models.load("stylegan2")
    if not tuned:
        gan = models.StyleGAN2(**{**gan.get_config(), "seed": seed})
    gan.compile(**RULES, **rules)
    batches = data.Batches(few, batch_size=16, seed=seed)
    gan.fit(batches.feed(), steps_per_epoch=steps, shuffle=False, verbose=0)
    return gan


def main() -> None:
    """Train what the record lacks, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    parser.add_argument("--record", type=Path, default=Path("fine_tuning.jsonl"))
    options = parser.parse_args()
    keras.config.set_dtype_policy("float32")
    extractor = extractors.get("anime")
    truth = data.render(MEASURED, size=64, style="portrait", seed=600).images
    real = extractor(truth)[0]
    portraits = data.render(max(options.counts), size=64, style="portrait", seed=500).images
    rows = []
    if options.record.exists():
        rows = [json.loads(line) for line in options.record.read_text().splitlines()]
    rows = [row for row in rows if row["steps"] == options.steps]
    for seed in options.seeds:
        for count in options.counts:
            for way in WAYS:
                if any((r["seed"], r["count"], r["way"]) == (seed, count, way) for r in rows):
                    continue
                start = time.perf_counter()
                gan = train(portraits[:count], way, options.steps, seed)
                fake = extractor(gan.generate(MEASURED, seed=1))[0]
                fid = float(metrics.frechet_distance(real, fake))
                row = {"seed": seed, "count": count, "way": way, "steps": options.steps, "fid": fid}
                print(row, f"{time.perf_counter() - start:.0f} s", flush=True)
                rows.append(row)
                with options.record.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    untouched = extractor(models.load("stylegan2").generate(MEASURED, seed=1))[0]
    print(f"\nnot tuned: {metrics.frechet_distance(real, untouched):.0f}\n")
    print("| portraits | " + " | ".join(WAYS) + " |\n|---|" + "---|" * len(WAYS))
    for count in options.counts:
        means = [
            np.mean([r["fid"] for r in rows if (r["count"], r["way"]) == (count, way)])
            for way in WAYS
        ]
        print(f"| {count:,} | " + " | ".join(f"{value:.0f}" for value in means) + " |")


if __name__ == "__main__":
    main()
