"""Precision and recall, density and coverage: how true the pictures are, and how varied.

FID is one number for two faults. Here a set of pictures is the union of balls around its features,
each reaching to its kth nearest neighbour (not counting itself), and

    precision  part of the generated pictures that lie in some real ball
    recall     part of the real pictures that lie in some generated ball
    density    real balls that a generated picture lies in, on average, by k
    coverage   part of the real balls that hold a generated picture

Kynkäänniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models",
equations 1 and 2 (k = 3); Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative
Models", section 3 (k = 5). The latter two mind outliers less: one real outlier has a huge ball, and
everything in it counts as precise.

All distances are taken block by block: beyond its arguments nothing here needs more than
16 · 1,024 · (D + 3 · 1,024) bytes, 84 MB at 2,048 features.
"""

import numpy as np

from anime_keras.metrics.features import BLOCK, Features, as_pair, comparable, thinned
from anime_keras.metrics.neighbours import nearest_neighbours, squared_distances
from anime_keras.metrics.results import Z95, Result


def precision_recall(
    real_features: np.ndarray, fake_features: np.ndarray, k: int = 3
) -> tuple[float, float]:
    """Precision and recall, both in [0, 1].

    Args:
        real_features: (n, D).
        fake_features: (m, D). Both depend on the numbers of pictures; keep n and m alike.
        k: the neighbour that balls reach to.

    Raises:
        ValueError: no such features, or no more than k pictures on a side.
    """
    real, fake = as_pair(real_features, fake_features)
    around_fake, _ = balls_around(fake, real, radii(real, k))
    around_real, _ = balls_around(real, fake, radii(fake, k))
    return float((around_fake > 0).mean()), float((around_real > 0).mean())


def density_coverage(
    real_features: np.ndarray, fake_features: np.ndarray, k: int = 5
) -> tuple[float, float]:
    """Density, 1 on average for a perfect generator and not bounded by it, and coverage in [0, 1].

    Args:
        real_features: (n, D).
        fake_features: (m, D).
        k: the neighbour that balls reach to.

    Raises:
        ValueError: no such features, or no more than k real pictures.
    """
    real, fake = as_pair(real_features, fake_features)
    around_fake, filled = balls_around(fake, real, radii(real, k))
    return float(around_fake.mean() / k), float(filled.mean())


def radii(features: np.ndarray, k: int) -> np.ndarray:
    """Distance of each row (n, D) to its kth nearest neighbour among the others: float64 (n,).

    Raises:
        ValueError: there are no more than k rows.
    """
    return nearest_neighbours(features, features, k, itself=False)[0][:, -1]


def balls_around(
    points: np.ndarray, centres: np.ndarray, reach: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How many balls each point lies in, and which balls hold a point.

    Args:
        points: features (m, D).
        centres: features (n, D).
        reach: radii (n,); a point on the rim is inside.

    Returns:
        int (m,) in [0, n], and bool (n,).
    """
    points, centres = as_pair(points, centres, least=1)
    origin = centres.mean(axis=0, dtype="float64")
    around = np.zeros(len(points), "int64")
    filled = np.zeros(len(centres), bool)
    for left in range(0, len(centres), BLOCK):
        columns = slice(left, left + BLOCK)
        block = centres[columns] - origin
        for top in range(0, len(points), BLOCK):
            rows = slice(top, top + BLOCK)
            distances = np.sqrt(squared_distances(points[rows] - origin, block))
            # the same pair of pictures may differ by rounding from when its radius was taken
            inside = distances <= reach[columns] * (1.0 + 1e-9)
            around[rows] += inside.sum(axis=1)
            filled[columns] |= inside.any(axis=0)
    return around, filled


def measure(
    real: Features, fake: Features, k: int = 3, density_k: int = 5
) -> tuple[Result, Result, Result, Result]:
    """Precision, recall, density and coverage, each with its 95% interval.

    The intervals are those of counting pictures: they hold the balls for given.

    Raises:
        ValueError: different extractors, or no more than `density_k` pictures on a side.
    """
    warnings = comparable(real, fake) + thinned(real) + thinned(fake)
    counts = len(real.sample), len(fake.sample)
    if counts[0] != counts[1]:
        warnings.append(
            f"{counts[0]:,} real and {counts[1]:,} generated pictures: the side with fewer has larger "
            "balls, which flatters what is measured by them. Take the same number."
        )
    first, second = as_pair(real.sample, fake.sample, least=density_k + 1)
    reach = nearest_neighbours(first, first, max(k, density_k), itself=False)[0]
    around_fake, _ = balls_around(second, first, reach[:, k - 1])
    around_real, _ = balls_around(first, second, radii(second, k))
    density, filled = balls_around(second, first, reach[:, density_k - 1])
    density = density / density_k
    values = {
        "precision": _share(around_fake > 0),
        "recall": _share(around_real > 0),
        "density": (float(density.mean()), Z95 * float(density.std(ddof=1)) / len(density) ** 0.5),
        "coverage": _share(filled),
    }
    precision, recall, density, coverage = (
        Result(
            name,
            value,
            spread,
            fake.extractor,
            real.count,
            fake.count,
            preprocessing=fake.preprocessing,
            details={"k": k if name in ("precision", "recall") else density_k},
            warnings=tuple(warnings),
            better="higher",
        )
        for name, (value, spread) in values.items()
    )
    return precision, recall, density, coverage


def _share(hits: np.ndarray) -> tuple[float, float]:
    """Part that is true, and half its 95% interval (Agresti and Coull 1998), above 0 even at 0 or 1."""
    smoothed = (hits.sum() + 2.0) / (len(hits) + 4.0)
    return float(hits.mean()), Z95 * float(smoothed * (1.0 - smoothed) / (len(hits) + 4.0)) ** 0.5
