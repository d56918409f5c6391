"""Kernel distance between two sets of features (KID): unbiased, so small sets may be compared.

    d² = E k(x, x') + E k(y, y') - 2 E k(x, y)        k(x, y) = (x·y / D + 1)³

over pairs of different real pictures, of different generated ones, and of one of each. Bińkowski et
al. 2018, "Demystifying MMD GANs", section 4 and appendix D. It is right on average at any number
of pictures, and so may come out a little below 0 where the two are alike.
"""

import numpy as np

from anime_keras.metrics.features import BLOCK, Features, as_pair, comparable, thinned
from anime_keras.metrics.results import Z95, Result


def kernel_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    """KID over all pairs of pictures, in float64; the published protocol is `subset_distances`.

    Time grows with the square of the number of pictures, memory does not: beyond its arguments it
    takes at most 16 · 1,024 · (D + 2 · 1,024) bytes, 67 MB at 2,048 features.

    Args:
        real_features: (n, D).
        fake_features: (m, D).

    Raises:
        ValueError: no such features, fewer than two pictures, or NaN or infinity among them.
    """
    real, fake = as_pair(real_features, fake_features)
    return _among(real) + _among(fake) - 2.0 * _across(real, fake)


def subset_distances(
    real_features: np.ndarray,
    fake_features: np.ndarray,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """KID of random subsets: float64 (subsets,). Papers give their mean and standard deviation.

    Args:
        real_features: (n, D).
        fake_features: (m, D).
        subsets: how many.
        subset_size: pictures of each side in each, drawn without replacement.
        seed: of the draws.

    Raises:
        ValueError: as `kernel_distance`, or a side has fewer pictures than a subset.
    """
    real, fake = as_pair(real_features, fake_features)
    if not 2 <= subset_size <= min(len(real), len(fake)):
        raise ValueError(
            f"Subsets of {subset_size} cannot be drawn from {len(real)} and {len(fake)} pictures."
        )
    random = np.random.default_rng(seed)
    return np.array(
        [
            kernel_distance(
                *(
                    side[random.choice(len(side), subset_size, replace=False)]
                    for side in (real, fake)
                )
            )
            for _ in range(subsets)
        ]
    )


def _among(features: np.ndarray) -> float:
    """Mean kernel of two different rows."""
    total = 0.0
    for top in range(0, len(features), BLOCK):
        rows = features[top : top + BLOCK].astype("float64")
        kernel = _kernel(rows, rows)
        total += kernel.sum() - np.trace(kernel)
        for left in range(top + BLOCK, len(features), BLOCK):
            total += 2.0 * _kernel(rows, features[left : left + BLOCK].astype("float64")).sum()
    return float(total / (len(features) * (len(features) - 1.0)))


def _across(first: np.ndarray, second: np.ndarray) -> float:
    """Mean kernel of a row of the one and a row of the other."""
    total = 0.0
    for top in range(0, len(first), BLOCK):
        rows = first[top : top + BLOCK].astype("float64")
        for left in range(0, len(second), BLOCK):
            total += _kernel(rows, second[left : left + BLOCK].astype("float64")).sum()
    return float(total / (len(first) * len(second)))


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    linear = first @ second.T
    linear /= first.shape[1]
    linear += 1.0
    return linear * linear * linear


def measure(
    real: Features, fake: Features, seed: int = 0, subsets: int = 100, subset_size: int = 1000
) -> Result:
    """KID by the published protocol, the mean of 100 subsets of 1,000.

    With fewer than 2,000 pictures a side the subsets hold half of the smaller one. The interval comes
    from the subsets by the jackknife (Shao and Wu 1989, "A General Theory for Jackknife Variance
    Estimation"): their variance times m / (N - m) is that of all N pictures.

    Raises:
        ValueError: different extractors, or fewer than four pictures on a side.
    """
    warnings = comparable(real, fake) + thinned(real) + thinned(fake)
    fewest = min(len(real.sample), len(fake.sample))
    if fewest < 4:
        raise ValueError(f"KID takes at least 4 pictures on each side; there are {fewest}.")
    size = min(subset_size, fewest // 2)
    if size < subset_size:
        warnings.append(
            f"Subsets of {size:,} pictures instead of {subset_size:,}: there are too few."
        )
    distances = subset_distances(real.sample, fake.sample, subsets, size, seed)
    deviation = float(distances.std(ddof=1))
    return Result(
        "KID",
        float(distances.mean()),
        Z95 * deviation * np.sqrt(size / (fewest - size) + 1.0 / subsets),
        fake.extractor,
        real.count,
        fake.count,
        seed,
        fake.preprocessing,
        {"all pairs": kernel_distance(real.sample, fake.sample), "subset deviation": deviation},
        tuple(warnings),
    )
