"""Evaluation: several metrics on the same pictures, as one table, one file, one page.

    evaluation = evaluate(real, fake, metrics=("fid", "kid", "prdc", "attributes"))
    print(evaluation)
    evaluation.write("runs/demo")          # metrics.json and pictures for the report

`real` and `fake` are pictures: an array uint8 (count, height, width, 3), or what gives such when it
is sliced, so that neither need be held in memory.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras import plots
from anime_keras.metrics import (
    attributes,
    extractors,
    frechet,
    inception_score,
    kernel,
    neighbours,
    precision_recall,
    references,
    sliced_wasserstein,
)
from anime_keras.metrics.features import Features
from anime_keras.metrics.results import Result

METRICS: dict[str, str] = {
    "fid": "Fréchet distance, and its extrapolation to infinitely many pictures",
    "kid": "kernel distance, unbiased at any number of pictures",
    "is": "Inception score: of the generated pictures alone",
    "prdc": "precision, recall, density and coverage",
    "swd": "sliced Wasserstein distance of patches, by size of detail (needs TF-GAN)",
    "neighbours": "is the training set copied? The nearest training pictures, to look at",
    "attributes": "hair, eyes, expression … as often as in the training set, as asked for",
}
"""What can be measured on two sets of pictures, and what it says."""
DEFAULT = ("fid", "kid", "is", "prdc", "neighbours", "attributes")
FEWEST = 50  # pictures a side; below, no number says anything
FILE = "metrics.json"

Progress = Callable[[str, int, int], None]


@dataclass
class Evaluation:
    """What was measured.

    Attributes:
        results: one a number, in the order they were asked for.
        comparison: of the attributes, or None.
        accuracy: factor -> how often it is there where it was asked for.
        nearest: uint8 sheet of generated pictures, each beside its nearest training picture, or None.
        about: what was compared: names, numbers, seed, seconds.
    """

    results: list[Result] = field(default_factory=list)
    comparison: attributes.Comparison | None = None
    accuracy: dict[str, attributes.Accuracy] = field(default_factory=dict)
    nearest: np.ndarray | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [str(result) for result in self.results]
        lines += [str(value) for value in self.accuracy.values()]
        if self.comparison:
            lines.append(str(self.comparison))
        return "\n".join(lines)

    @property
    def warnings(self) -> list[str]:
        """Why a number may mean less than it seems to; each once."""
        return list(dict.fromkeys(text for result in self.results for text in result.warnings))

    def to_dict(self) -> dict[str, Any]:
        """All of it in JSON's types."""
        return {
            "about": self.about,
            "results": [result.to_dict() for result in self.results],
            "attributes": self.comparison.to_dict() if self.comparison else None,
            "as_asked_for": {
                name: {
                    "right": value.right,
                    "count": value.count,
                    "share": value.value,
                    "interval": [value.low, value.high],
                }
                for name, value in self.accuracy.items()
            },
        }

    def write(self, folder: str | Path) -> Path:
        """Write `metrics.json`, and `attributes.png` and `neighbours.png` where there are such.

        Returns:
            The path of the JSON file.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("attributes.png", "neighbours.png"):
            (folder / name).unlink(missing_ok=True)  # those of an earlier evaluation
        if self.comparison:
            figure = plots.combinations(
                self.comparison.real,
                self.comparison.fake,
                *(self.comparison.spreads[name].names for name in attributes.COMBINATION),
            )
            figure.savefig(folder / "attributes.png", dpi=110)
        if self.nearest is not None:
            plots.save(folder / "neighbours.png", self.nearest)
        path = folder / FILE
        partial = path.with_name(FILE + ".partial")
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
        return path


def evaluate(
    real: Any,
    fake: Any,
    metrics: Sequence[str] = DEFAULT,
    extractor: Any = "anime",
    seed: int = 0,
    held_out: Any = None,
    asked: Mapping[str, np.ndarray] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure generated pictures against real ones.

    Args:
        real: the training pictures.
        fake: the generated ones.
        metrics: names out of `METRICS`.
        extractor: as for `extractors.get`.
        seed: of all that is drawn at random.
        held_out: real pictures that were not trained on: how near to the training set real ones lie.
        asked: factor -> index of the word that each generated picture should show, -1 for none.
        progress: called as progress(what, done, total) on the way.

    Raises:
        ValueError: an unknown metric, or pictures that cannot be compared; the message says why.
    """
    check(metrics, real, fake)
    began = time.time()
    extractor = extractors.get(extractor)
    evaluation = Evaluation()

    def during(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(what, done, total) if progress else None

    features: dict[str, Features] = {}
    if {"fid", "kid", "is", "prdc", "neighbours"} & set(metrics):
        features["real"] = references.reference(real, extractor, seed, during("real pictures"))
        features["fake"] = references.collect(fake, extractor, seed, during("generated pictures"))
    for name in metrics:
        if progress:
            progress(METRICS[name].split(",")[0].split(":")[0], 0, 1)
        if name == "attributes":
            seen = attributes.read(_some(fake))
            evaluation.comparison = attributes.compare(
                attributes.read(_some(real)), seen, seed=seed
            )
            if asked:
                wanted = {factor: words[: len(seen)] for factor, words in asked.items()}
                evaluation.accuracy = attributes.accuracy(seen, wanted)
        elif name == "neighbours":
            other = held_out is not None and references.reference(held_out, extractor, seed)
            found = neighbours.measure(features["real"], features["fake"], other or None, seed=seed)
            evaluation.results += _listed(found)
            evaluation.nearest = _sheet(real, fake, features)
        elif name == "swd":
            evaluation.results += _listed(
                sliced_wasserstein.measure(_some(real), _some(fake), seed)
            )
        elif name == "is":
            if features["fake"].probabilities is None:
                raise ValueError(
                    f"{extractor.name} gives no class probabilities, which an Inception score needs: "
                    'take another extractor, or leave "is" out.'
                )
            evaluation.results += _listed(inception_score.measure(features["fake"], seed=seed))
        else:
            module = {"fid": frechet, "kid": kernel, "prdc": precision_recall}[name]
            evaluation.results += _listed(
                module.measure(features["real"], features["fake"], seed=seed)
            )
    evaluation.about = {
        "real": len(real),
        "fake": len(fake),
        "size": list(fake.shape[1:3]),
        "extractor": extractor.name,
        "preprocessing": {k: f.preprocessing for k, f in features.items()},
        "seed": seed,
        "seconds": round(time.time() - began, 1),
    }
    return evaluation


def check(metrics: Sequence[str], real: Any, fake: Any) -> None:
    """Raise ValueError for what cannot be measured, before the long work begins."""
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise ValueError(
            f"There is no metric {', '.join(map(repr, unknown)) or 'asked for'}: choose from "
            f"{', '.join(METRICS)}."
        )
    for what, pictures in (("real", real), ("generated", fake)):
        if len(pictures) < FEWEST:
            raise ValueError(
                f"There are {len(pictures)} {what} pictures; below {FEWEST} no number says anything, "
                "and trust begins at some thousands."
            )
    if "swd" in metrics and real.shape[1:] != fake.shape[1:]:
        raise ValueError(
            f"The sliced Wasserstein distance compares pictures of one size, not "
            f"{real.shape[2]}x{real.shape[1]} and {fake.shape[2]}x{fake.shape[1]}."
        )


SOME = 10_000


def _some(pictures: Any) -> Any:
    """At most the first 10,000, for metrics that look at the pictures themselves."""
    return pictures if len(pictures) <= SOME else pictures[:SOME]


def _listed(found: Any) -> list[Result]:
    return [found] if isinstance(found, Result) else list(found)


def _sheet(real: Any, fake: Any, features: dict[str, Features], count: int = 12) -> np.ndarray:
    """Generated pictures that lie nearest to a training picture, each above it, and random ones."""
    indices, distances = neighbours.nearest_neighbours(
        features["fake"].sample, features["real"].sample
    )
    order = np.argsort(distances)[:count]
    mine, theirs = features["fake"].indices[order], features["real"].indices[indices[order]]
    pairs = [np.concatenate([fake[i : i + 1] for i in mine])]
    nearest = np.concatenate([real[i : i + 1] for i in theirs])
    if nearest.shape[1:] != pairs[0].shape[1:]:
        nearest = extractors.resize(nearest, pairs[0].shape[1]).clip(0, 255).round().astype("uint8")
    pairs.append(nearest)
    return plots.grid(np.concatenate(pairs), columns=count)
