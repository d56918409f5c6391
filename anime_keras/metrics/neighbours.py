"""Has the generator learnt its training pictures by heart? Ask each picture for its nearest one.

A generated picture always has *some* nearest training picture; the question is whether it lies
nearer than chance would have it. Held-out real pictures say what chance is (Meehan, Chaudhuri and
Dasgupta 2020, "A Three-Sample Test to Detect Data Copying in Generative Models", section 3): the
probability that a generated picture lies nearer to the training set than a held-out one does is ½
for a generator that knows the distribution, and 1 for one that copies.

All distances between two sets are taken block by block: beyond its arguments nothing here needs
more than 16 · 1,024 · (D + 3 · 1,024) bytes, 84 MB at 2,048 features.
"""

from typing import NamedTuple

import numpy as np

from anime_keras.metrics.features import BLOCK, Features, as_pair, comparable, thinned
from anime_keras.metrics.results import Z95, Result


def squared_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances between rows (n, D) and (m, D): float64 (n, m).

    ‖x - y‖² = ‖x‖² + ‖y‖² - 2 x·y is one matrix product, but leaves rounding where x = y. Features
    are float32, so what lies within a millionth of its length is the same and gets 0.
    """
    first, second = np.asarray(first, "float64"), np.asarray(second, "float64")
    scale = np.add.outer(np.square(first).sum(axis=1), np.square(second).sum(axis=1))
    squared = scale - 2.0 * (first @ second.T)
    squared[squared < 1e-12 * scale] = 0.0
    return squared


def nearest_neighbours(
    queries: np.ndarray, references: np.ndarray, k: int = 1, itself: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest references of each query.

    Args:
        queries: features (n, D).
        references: features (m, D).
        k: how many.
        itself: False where both are the same set, and row i is no neighbour of row i.

    Returns:
        Euclidean distances float64 (n, k), nearest first, and rows of `references`, int (n, k).

    Raises:
        ValueError: no such features, or fewer than k references.
    """
    queries, references = as_pair(queries, references, least=1)
    if not 1 <= k <= len(references) - (not itself):
        raise ValueError(f"{k} neighbours cannot be found among {len(references)} pictures.")
    centre = references.mean(axis=0, dtype="float64")  # shorter vectors, less rounding
    distances = np.empty((len(queries), k))
    indices = np.empty((len(queries), k), "int64")
    for top in range(0, len(queries), BLOCK):
        rows = queries[top : top + BLOCK] - centre
        best = np.full((len(rows), k), np.inf)
        where = np.full((len(rows), k), -1)
        for left in range(0, len(references), BLOCK):
            block = squared_distances(rows, references[left : left + BLOCK] - centre)
            if not itself and top == left:
                np.fill_diagonal(block, np.inf)
            block = np.concatenate([best, block], axis=1)
            # the k smallest of what was best and what is new
            order = np.argpartition(block, k - 1, axis=1)[:, :k]
            new = left + order - k
            where = np.where(order < k, np.take_along_axis(where, np.minimum(order, k - 1), 1), new)
            best = np.take_along_axis(block, order, 1)
        order = np.argsort(best, axis=1, kind="stable")
        distances[top : top + BLOCK] = np.sqrt(np.take_along_axis(best, order, 1))
        indices[top : top + BLOCK] = np.take_along_axis(where, order, 1)
    return distances, indices


class Memorisation(NamedTuple):
    """How near generated pictures lie to the training set.

    Attributes:
        nearer: probability that a generated picture lies nearer to it than a held-out one does; ½
            is right, 1 is copying, below ½ the generated pictures lie off the data.
        error: the standard error of `nearer`.
        ratio: median distance of the generated ones by that of the held-out ones.
        copies: part of the generated ones that lie nearer than 99% of the held-out ones do; 0.01 by
            chance.
        distances: float64 (n,), of each generated picture to its nearest training picture.
        indices: int (n,), which that is.
    """

    nearer: float
    error: float
    ratio: float
    copies: float
    distances: np.ndarray
    indices: np.ndarray


def memorisation(
    fake: np.ndarray, training: np.ndarray, held_out: np.ndarray | None = None
) -> Memorisation:
    """Compare the generated pictures' distances to the training set with those of unseen real ones.

    Args:
        fake: features (n, D) of generated pictures.
        training: features (m, D) of those that were trained on.
        held_out: features (h, D) of real ones that were not. Without them each training picture is
            held out from the others in turn.

    Raises:
        ValueError: no such features, or fewer than two pictures in a set.
    """
    fake, training = as_pair(fake, training)
    own, indices = nearest_neighbours(fake, training)
    if held_out is None:
        chance, _ = nearest_neighbours(training, training, itself=False)
    else:
        chance, _ = nearest_neighbours(as_pair(held_out, training)[0], training)
    own, chance = own[:, 0], chance[:, 0]
    wins, losses = _share_above(own, chance), 1.0 - _share_above(chance, own)
    # DeLong et al. 1988: the area's variance is that of its two sides' placements
    error = np.sqrt(wins.var(ddof=1) / len(own) + losses.var(ddof=1) / len(chance))
    typical = np.median(chance)
    ratio = float(np.median(own) / typical) if typical > 0.0 else float("nan")
    copies = float((own < np.quantile(chance, 0.01)).mean())
    return Memorisation(float(wins.mean()), float(error), ratio, copies, own, indices[:, 0])


def _share_above(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each value, which part of the others is larger; equal ones count half."""
    others = np.sort(others)
    larger = len(others) - np.searchsorted(others, values, side="right")
    at_least = len(others) - np.searchsorted(others, values, side="left")
    return (larger + at_least) / (2.0 * len(others))


def measure(training: Features, fake: Features, held_out: Features | None = None) -> Result:
    """Memorisation with its 95% interval; `memorisation` itself says which pictures are nearest.

    Raises:
        ValueError: different extractors, or fewer than two pictures in a set.
    """
    warnings = comparable(training, fake) + thinned(training)
    if held_out is None:
        warnings.append(
            "No held-out pictures: the training pictures stand in for them, one by one."
        )
    else:
        warnings += comparable(held_out, fake)
        if len(held_out.sample) < 100:
            warnings.append(f"Only {len(held_out.sample)} held-out pictures say what chance is.")
    found = memorisation(fake.sample, training.sample, held_out and held_out.sample)
    return Result(
        "memorisation",
        found.nearer,
        Z95 * found.error,
        fake.extractor,
        training.count,
        fake.count,
        preprocessing=fake.preprocessing,
        details={"ratio": found.ratio, "copies": found.copies},
        warnings=tuple(warnings),
    )
