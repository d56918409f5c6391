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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras import plots
from anime_keras.files import replacing
from anime_keras.metrics import (
    attributes,
    counterparts,
    extractors,
    frechet,
    kernel,
    neighbours,
    path_length,
    references,
    sliced_wasserstein,
)
from anime_keras.metrics.features import Features
from anime_keras.metrics.inception_score import measure as measure_inception_score
from anime_keras.metrics.precision_recall import measure as measure_precision_recall
from anime_keras.metrics.results import Result

METRICS: dict[str, str] = {
    "fid": "Fréchet distance, and its extrapolation to infinitely many pictures",
    "kid": "kernel distance, unbiased at any number of pictures",
    "is": "Inception score: of the generated pictures alone",
    "prdc": "precision, recall, density and coverage",
    "swd": "sliced Wasserstein distance of patches, by size of detail (needs TF-GAN)",
    "ppl": "perceptual path length: how smoothly pictures change with the latents",
    "neighbours": "is the training set copied? The nearest training pictures, to look at",
    "attributes": "hair, eyes, expression … as often as in the training set, as asked for",
    "translation": "what a translation keeps, how near the true counterpart it comes, and comes back",
}
"""What can be measured on two sets of pictures, and what it says."""
DEFAULT = ("fid", "kid", "is", "prdc", "neighbours", "attributes")
FEWEST = 50  # pictures a side; below, no number says anything
SOME = 10_000  # pictures are looked at, for what is not a mere sum over all of them
FILE = "metrics.json"
PICTURES = ("translation.png", "attributes.png", "neighbours.png")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Generator:
    """What path lengths need of a model.

    Attributes:
        draw: latents float32 (n, latent_dim) to pictures in [-1, 1], computed in float32: a step of
            1e-4 is lost in the rounding of bfloat16.
        latent_dim: length of a latent.
    """

    draw: Callable[[np.ndarray], np.ndarray]
    latent_dim: int


@dataclass(frozen=True)
class Translator:
    """What scoring a translation needs of a model, and the pictures that it is asked about.

    Attributes:
        there: pictures uint8 (n, side, side, 3) of X to as many of Y.
        back: of Y to X; None where nothing leads back.
        x: pictures of X, as `counterparts.drawn` or `counterparts.unpaired` give them.
        y: pictures of Y.
    """

    there: counterparts.Translate
    back: counterparts.Translate | None
    x: counterparts.Domain
    y: counterparts.Domain


@dataclass
class Evaluation:
    """What was measured.

    Attributes:
        results: one a number, in the order they were asked for.
        comparison: of the attributes, or None.
        accuracy: factor -> how often it is there where it was asked for.
        nearest: uint8 sheet of generated pictures, each beside its nearest training picture, or None.
        translation: scores of a translator, or None.
        about: what was compared: names, numbers, seed, seconds.
    """

    results: list[Result] = field(default_factory=list)
    comparison: attributes.Comparison | None = None
    accuracy: dict[str, attributes.Accuracy] = field(default_factory=dict)
    nearest: np.ndarray | None = None
    translation: counterparts.Translation | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [str(result) for result in self.results]
        lines += [str(value) for value in self.accuracy.values()]
        if self.comparison:
            lines.append(str(self.comparison))
        if self.translation:
            lines.append(str(self.translation))
        return "\n".join(lines)

    @property
    def warnings(self) -> list[str]:
        """Why a number may mean less than it seems to; each once."""
        texts = [text for result in self.results for text in result.warnings]
        texts += self.translation.warnings if self.translation else []
        return list(dict.fromkeys(texts))

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
            "translation": self.translation.to_dict() if self.translation else None,
        }

    def write(self, folder: str | Path) -> Path:
        """Write `metrics.json`, and the pictures out of `PICTURES` that there are.

        Returns:
            The path of the JSON file.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in PICTURES:
            (folder / name).unlink(missing_ok=True)  # those of an earlier evaluation
        if self.comparison:
            figure = plots.combinations(
                self.comparison.real,
                self.comparison.fake,
                *(self.comparison.spreads[name].names for name in attributes.COMBINATION),
            )
            with replacing(folder / "attributes.png") as partial:
                figure.savefig(partial, dpi=110, format="png")
        if self.nearest is not None:
            plots.save(folder / "neighbours.png", self.nearest)
        if self.translation:
            plots.save(folder / "translation.png", self.translation.sheet)
        path = folder / FILE
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        with replacing(path) as partial:
            partial.write_text(text + "\n", encoding="utf-8")
        return path


def evaluate(
    real: Any,
    fake: Any,
    metrics: Sequence[str] = DEFAULT,
    extractor: Any = "anime",
    seed: int = 0,
    held_out: Any = None,
    asked: Mapping[str, np.ndarray] | None = None,
    generator: Generator | None = None,
    translator: Translator | None = None,
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
        generator: of the generated pictures; path lengths need it.
        translator: which made them of others; scoring a translation needs it.
        progress: called as progress(what, done, total) on the way.

    Raises:
        ValueError: an unknown metric, or pictures that cannot be compared; the message says why.
    """
    check(metrics, real, fake)
    if "ppl" in metrics and generator is None:
        raise ValueError("Path lengths need the generator itself: leave ppl out, or give a --run.")
    if "translation" in metrics and translator is None:
        raise ValueError(
            "Scoring a translation needs what translates: leave translation out, or give the --run "
            "of a CycleGAN."
        )
    began = time.monotonic()
    extractor = extractors.get(extractor)
    evaluation = Evaluation()

    def during(what: str) -> Callable[[int, int], None]:
        return lambda done, total: progress(what, done, total) if progress else None

    features: dict[str, Features] = {}
    if {"fid", "kid", "is", "prdc", "neighbours"} & set(metrics):
        features["real"] = references.reference(real, extractor, seed, during("real pictures"))
        features["fake"] = references.collect(fake, extractor, seed, during("generated pictures"))
    results = evaluation.results
    for name in metrics:
        if progress:
            progress(METRICS[name].split(",")[0].split(":")[0], 0, 1)
        match name:
            case "fid" | "kid":
                module = {"fid": frechet, "kid": kernel}[name]
                results.append(module.measure(features["real"], features["fake"], seed))
            case "is":
                results.append(measure_inception_score(features["fake"]))
            case "prdc":
                results += measure_precision_recall(*_equally_many(features, seed))
            case "swd":
                count = min(len(real), len(fake), SOME * 64**2 // int(np.prod(fake.shape[1:3])))
                results.append(sliced_wasserstein.measure(real[:count], fake[:count], seed))
            case "ppl":
                results.append(_path_length(generator, extractor, seed))
            case "neighbours":
                other = held_out if held_out is None else references.reference(held_out, extractor)
                results.append(neighbours.measure(features["real"], features["fake"], other))
                evaluation.nearest = _sheet(real, fake, features)
            case "attributes":
                seen = attributes.read(fake, SOME)
                evaluation.comparison = attributes.compare(attributes.read(real, SOME), seen, seed)
                if asked:
                    wanted = {factor: words[: len(seen)] for factor, words in asked.items()}
                    evaluation.accuracy = attributes.accuracy(seen, wanted)
            case "translation":
                evaluation.translation = counterparts.measure(
                    translator.there,
                    translator.back,
                    translator.x,
                    translator.y,
                    extractor,
                    seed,
                    progress,
                )
    evaluation.about = {
        "real": len(real),
        "fake": len(fake),
        "size": list(fake.shape[1:3]),
        "extractor": extractor.name,
        "preprocessing": {k: f.preprocessing for k, f in features.items()},
        "seed": seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    return evaluation


def check_names(metrics: Sequence[str]) -> None:
    """Raise ValueError for metrics that there are not, or none at all."""
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        what = f"There is no metric {', '.join(map(repr, unknown))}" if unknown else "Name a metric"
        raise ValueError(f"{what}: choose from {', '.join(METRICS)}.")


def check(metrics: Sequence[str], real: Any, fake: Any) -> None:
    """Raise ValueError for what cannot be measured, before the long work begins."""
    check_names(metrics)
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


def _equally_many(features: dict[str, Features], seed: int) -> list[Features]:
    """Both with samples of one size: the balls of the side with fewer would be larger."""
    rows = min(len(f.sample) for f in features.values())
    random, equal = np.random.default_rng(seed), []
    for side in (features["real"], features["fake"]):
        kept = np.sort(random.permutation(len(side.sample))[:rows])
        equal.append(replace(side, sample=side.sample[kept], indices=side.indices[kept]))
    return equal


def _path_length(generator: Generator, extractor: extractors.Extractor, seed: int) -> Result:
    def features(pictures: np.ndarray) -> np.ndarray:
        return extractor.look(np.asarray(pictures, np.float32))[0]

    return path_length.measure(
        generator.draw, features, generator.latent_dim, extractor.name, seed=seed
    )


def _sheet(real: Any, fake: Any, features: dict[str, Features], count: int = 12) -> np.ndarray:
    """The generated pictures that lie nearest to a training picture, each above it."""
    distances, rows = neighbours.nearest_neighbours(
        features["fake"].sample, features["real"].sample
    )
    order = np.argsort(distances[:, 0])[:count]
    mine, theirs = features["fake"].indices[order], features["real"].indices[rows[order, 0]]
    pairs = [np.concatenate([fake[i : i + 1] for i in mine])]
    nearest = np.concatenate([real[i : i + 1] for i in theirs])
    if nearest.shape[1:] != pairs[0].shape[1:]:
        nearest = extractors.resize(nearest, pairs[0].shape[1]).clip(0, 255).round().astype("uint8")
    pairs.append(nearest)
    return plots.grid(np.concatenate(pairs), columns=count)
