"""What the metrics know of a set of pictures, in memory that does not grow with their number.

An extractor turns each picture into a row of D features; what is kept of all rows is

    moments        count, mean and covariance: all that FID asks for
    sample         up to 10,000 rows drawn uniformly: for KID, precision and recall, neighbours
    probabilities  sums over ten contiguous splits: all that the Inception score asks for

In bytes: 16 D² + 4 D · capacity + 80 · classes; 149 MB at Inception's 2,048 features and 10,000 rows,
and up to three times that for a moment while blocks are merged.

    collector = Collector("anime-features", "64 px", count=50_000)
    for images in batches:
        collector.add(*extractor(images))
    features = collector.features()
"""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CAPACITY = 10_000
"""Rows kept for the metrics that need more than moments."""
BLOCK = 1024
"""Rows taken into the moments at once."""
ALIASED = "without anti-aliasing"
"""What a preprocessing is called that skips pixels."""
_FORMAT = 1


def as_features(features: np.ndarray, name: str = "features", least: int = 0) -> np.ndarray:
    """The array itself, once it is known to be one that a metric can use.

    Args:
        features: numbers (n, D), D at least 1.
        name: what to call it in errors.
        least: the fewest rows that will do.

    Raises:
        ValueError: another shape, fewer rows, or numbers that are NaN or infinite.
    """
    features = np.asarray(features)
    if features.ndim != 2 or features.shape[1] == 0:
        raise ValueError(
            f"The {name} must be an array (pictures, dimensions), not of shape {features.shape}. "
            "Flatten or pool what lies between."
        )
    if not np.issubdtype(features.dtype, np.number) or np.iscomplexobj(features):
        raise ValueError(f"The {name} must be real numbers, not {features.dtype}.")
    if len(features) < least:
        raise ValueError(
            f"The {name} are of {len(features)} pictures; this metric takes at least {least}."
        )
    broken = sum(
        int((~np.isfinite(features[i : i + BLOCK])).any(axis=1).sum())
        for i in range(0, len(features), BLOCK)
    )
    if broken:
        raise ValueError(
            f"The {name} of {broken:,} of {len(features):,} pictures hold NaN or infinity: "
            "look at the pictures (a generator that diverged?) and at the extractor's weights."
        )
    return features


def as_pair(real: np.ndarray, fake: np.ndarray, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays that a metric can compare, of the same number of features.

    Raises:
        ValueError: as `as_features` does, or the two differ in their number of features.
    """
    real = as_features(real, "real features", least)
    fake = as_features(fake, "generated features", least)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"The two sides have {real.shape[1]} and {fake.shape[1]} features. "
            "Use the same extractor for both."
        )
    return real, fake


# --- moments --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """Count, mean and scatter of rows; two of them add up exactly.

    Attributes:
        count: rows, n.
        mean: float64 (D,).
        scatter: float64 (D, D), the sum over rows of (x - mean)(x - mean)ᵀ.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray, weights: np.ndarray | None = None) -> "Moments":
        """Of an array (n, D), taken in blocks; row i counts `weights[i]` times, whole numbers."""
        features = np.asarray(features)
        total = cls.none(features.shape[1])
        for start in range(0, len(features), BLOCK):
            rows = slice(start, start + BLOCK)
            total += cls._of_block(features[rows], None if weights is None else weights[rows])
        return total

    @classmethod
    def none(cls, dimension: int) -> "Moments":
        """Of no rows."""
        return cls(0, np.zeros(dimension), np.zeros((dimension, dimension)))

    @classmethod
    def _of_block(cls, features: np.ndarray, weights: np.ndarray | None) -> "Moments":
        rows = features.astype("float64")
        weights = np.ones(len(rows)) if weights is None else np.asarray(weights, "float64")
        count = int(weights.sum())
        mean = weights @ rows / max(count, 1)
        rows -= mean
        rows *= np.sqrt(weights)[:, None]
        return cls(count, mean, rows.T @ rows)

    def __add__(self, other: "Moments") -> "Moments":
        """Chan, Golub and LeVeque 1979, "Updating Formulae … for Computing Sample Variances"."""
        count = self.count + other.count
        if count == 0:
            return self
        gap = other.mean - self.mean
        mean = self.mean + gap * (other.count / count)
        scatter = self.scatter + other.scatter
        scatter += np.outer(gap * (self.count * other.count / count), gap)
        return Moments(count, mean, scatter)

    @property
    def dimension(self) -> int:
        """D."""
        return len(self.mean)

    @property
    def covariance(self) -> np.ndarray:
        """Float64 (D, D), unbiased: divided by n - 1.

        Raises:
            ValueError: fewer than two rows.
        """
        if self.count < 2:
            raise ValueError(f"A covariance takes at least 2 pictures; there are {self.count}.")
        return self.scatter / (self.count - 1)


# --- probabilities --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probabilities:
    """What the Inception score asks of class probabilities p(y|x), split by split.

    Attributes:
        counts: int (splits,), pictures.
        negentropy: float64 (splits,), the sum over pictures of Σ_y p(y|x) log p(y|x).
        classes: float64 (splits, classes), the sum over pictures of p(y|x).
    """

    counts: np.ndarray
    negentropy: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, probabilities: np.ndarray, split: np.ndarray, splits: int) -> "Probabilities":
        """Of rows (n, classes) that sum to 1, where row i belongs to `split[i]`.

        Raises:
            ValueError: the rows are no probabilities.
        """
        p = as_features(probabilities, "probabilities").astype("float64")
        if len(p) and (p.min() < 0.0 or np.abs(p.sum(axis=1) - 1.0).max() > 1e-3):
            raise ValueError(
                "Probabilities must be positive and sum to 1: apply softmax to logits."
            )
        member = np.equal.outer(np.arange(splits), split).astype("float64")
        # 0 log 0 = 0, its limit
        negentropy = (p * np.log(np.where(p > 0.0, p, 1.0))).sum(axis=1)
        return cls(member.sum(axis=1).astype(int), member @ negentropy, member @ p)

    def __add__(self, other: "Probabilities") -> "Probabilities":
        return Probabilities(
            self.counts + other.counts,
            self.negentropy + other.negentropy,
            self.classes + other.classes,
        )


def splits_of(first: int, count: int, total: int, splits: int) -> np.ndarray:
    """Which of `splits` contiguous parts of `total` rows those from `first` on lie in: int (count,).

    Part i begins at ⌊i · total / splits⌋, as in Salimans et al.'s code.
    """
    bounds = np.arange(1, splits) * total // splits
    return np.searchsorted(bounds, np.arange(first, first + count), side="right")


# --- a set of pictures ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Features:
    """A set of pictures as the metrics see it.

    Attributes:
        extractor: the name of the network.
        preprocessing: what was done to the pictures before it.
        moments: of all pictures.
        sample: float32 (rows, D), all rows or as many as fit, drawn uniformly, in their order.
        indices: int (rows,), which picture of the stream each row of the sample is.
        probabilities: sums for the Inception score, or None.
    """

    extractor: str
    preprocessing: str
    moments: Moments
    sample: np.ndarray
    indices: np.ndarray
    probabilities: Probabilities | None = None

    @property
    def count(self) -> int:
        """Pictures seen."""
        return self.moments.count

    @property
    def dimension(self) -> int:
        """D, features a picture."""
        return self.moments.dimension

    @classmethod
    def of(
        cls,
        features: np.ndarray,
        extractor: str = "features",
        preprocessing: str = "",
        probabilities: np.ndarray | None = None,
        capacity: int = CAPACITY,
        seed: int = 0,
    ) -> "Features":
        """Of an array (n, D) that is already there, and of probabilities (n, classes).

        Raises:
            ValueError: not such an array, no rows, or NaN or infinity among them.
        """
        collector = Collector(extractor, preprocessing, len(features), capacity, seed)
        collector.add(features, probabilities)
        return collector.features()

    def save(self, path: str | Path) -> None:
        """Write to an .npz file, whole or not at all."""
        path = Path(path)
        arrays = {
            "format": _FORMAT,
            "extractor": self.extractor,
            "preprocessing": self.preprocessing,
            "count": self.moments.count,
            "mean": self.moments.mean,
            "scatter": self.moments.scatter,
            "sample": self.sample,
            "indices": self.indices,
        }
        if self.probabilities is not None:
            arrays["split_counts"] = self.probabilities.counts
            arrays["split_negentropy"] = self.probabilities.negentropy
            arrays["split_classes"] = self.probabilities.classes
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                np.savez(file, **arrays)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> "Features":
        """What `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, or no such file; the message says what to do.
        """
        path = Path(path)
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            if int(arrays["format"]) != _FORMAT:
                raise ValueError(f"format {arrays['format']}")
            features = cls(
                str(arrays["extractor"]),
                str(arrays["preprocessing"]),
                Moments(int(arrays["count"]), arrays["mean"], arrays["scatter"]),
                arrays["sample"],
                arrays["indices"],
                Probabilities(
                    arrays["split_counts"], arrays["split_negentropy"], arrays["split_classes"]
                )
                if "split_counts" in arrays
                else None,
            )
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{path} holds no features that this version can read ({error}). "
                "Delete it; it will be computed anew."
            ) from error
        return features


class Collector:
    """Takes batches of features and keeps what `Features` holds.

    How the rows are cut into batches changes nothing: moments take them in blocks of 1,024, and the
    sample draws one number for each.

    Args:
        extractor_name: the network's name.
        preprocessing: what was done to the pictures before it.
        count: how many pictures will come. Needed for probabilities, whose ten splits are
            contiguous; without it those are not kept.
        capacity: rows of the sample.
        seed: of the sample.
        splits: parts that the Inception score is computed on.
    """

    def __init__(
        self,
        extractor_name: str,
        preprocessing: str = "",
        count: int | None = None,
        capacity: int = CAPACITY,
        seed: int = 0,
        splits: int = 10,
    ) -> None:
        if capacity < 2:
            raise ValueError(f"A sample needs room for at least 2 rows, not {capacity}.")
        self._names = extractor_name, preprocessing
        self._total, self._capacity, self._splits = count, capacity, splits
        self._random = np.random.default_rng(seed)
        self._seen = 0
        self._moments: Moments | None = None
        self._pending: list[np.ndarray] = []
        self._probabilities: Probabilities | None = None

    def add(self, features: np.ndarray, probabilities: np.ndarray | None = None) -> None:
        """Take the next batch.

        Args:
            features: (n, D).
            probabilities: (n, classes), rows that sum to 1; in all batches or in none.

        Raises:
            ValueError: other shapes than before, NaN or infinity, more pictures than announced.
        """
        features = as_features(features)
        if self._moments is None:
            self._moments = Moments.none(features.shape[1])
            self._sample = np.empty((self._capacity, features.shape[1]), "float32")
            self._indices = np.empty(self._capacity, "int64")
        if features.shape[1] != self._moments.dimension:
            raise ValueError(
                f"A batch has {features.shape[1]} features a picture, "
                f"those before had {self._moments.dimension}."
            )
        if self._total is not None and probabilities is not None:
            self._add_probabilities(probabilities, len(features))
        self._add_sample(features)
        self._seen += len(features)
        self._pending.append(np.array(features))
        if sum(map(len, self._pending)) >= BLOCK:
            rows = np.concatenate(self._pending)
            whole = len(rows) // BLOCK * BLOCK
            self._moments += Moments.of(rows[:whole])
            self._pending = [rows[whole:]]

    def _add_probabilities(self, probabilities: np.ndarray, count: int) -> None:
        if len(probabilities) != count:
            raise ValueError(f"{count} rows of features, {len(probabilities)} of probabilities.")
        if self._seen + count > self._total:
            raise ValueError(
                f"{self._total:,} pictures were announced, and more came: "
                "the splits of the Inception score would be wrong. Give the right count."
            )
        split = splits_of(self._seen, count, self._total, self._splits)
        batch = Probabilities.of(probabilities, split, self._splits)
        self._probabilities = batch if self._probabilities is None else self._probabilities + batch

    def _add_sample(self, features: np.ndarray) -> None:
        """Algorithm R (Vitter 1985): row i takes the place of a random one with odds capacity : i."""
        index = np.arange(self._seen, self._seen + len(features))
        place = (self._random.random(len(features)) * (index + 1)).astype("int64")
        place = np.where(index < self._capacity, index, place)
        kept = place < self._capacity
        # where two rows of a batch fall on one place, NumPy keeps the later, as the algorithm does
        self._sample[place[kept]] = features[kept]
        self._indices[place[kept]] = index[kept]

    def features(self) -> Features:
        """What has been collected so far; more may be added afterwards.

        Raises:
            ValueError: nothing has.
        """
        if self._seen == 0:
            raise ValueError("There are no pictures to compute features of.")
        rows = min(self._seen, self._capacity)
        order = np.argsort(self._indices[:rows])
        probabilities = self._probabilities
        if probabilities is not None and probabilities.counts.sum() != self._seen:
            raise ValueError("Some batches came with probabilities, and some without.")
        return Features(
            *self._names,
            self._moments + Moments.of(np.concatenate(self._pending)),
            self._sample[order],
            self._indices[order],
            probabilities,
        )


def comparable(real: Features, fake: Features) -> list[str]:
    """What to warn of before two sets are compared.

    Raises:
        ValueError: they come from different extractors, or have different numbers of features.
    """
    if real.extractor != fake.extractor or real.dimension != fake.dimension:
        raise ValueError(
            f"The real pictures were seen by {real.extractor!r} ({real.dimension} features), the "
            f"generated ones by {fake.extractor!r} ({fake.dimension}). Use one extractor for both."
        )
    warnings = []
    if real.preprocessing != fake.preprocessing:
        warnings.append(
            f"The two sides were prepared differently ({real.preprocessing!r} and "
            f"{fake.preprocessing!r}): part of the number is due to that."
        )
    if any(ALIASED in side.preprocessing for side in (real, fake)):
        warnings.append(
            "Pictures were resized without anti-aliasing, which leaves false detail in them (Parmar et "
            "al. 2022): the number compares with no other."
        )
    return warnings


def thinned(features: Features) -> list[str]:
    """A warning where a metric sees only the sample and not all pictures."""
    if len(features.sample) < features.count:
        return [
            f"Measured on {len(features.sample):,} of {features.count:,} pictures, drawn at random."
        ]
    return []
