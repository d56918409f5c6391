"""Fréchet distance between two sets of features, each taken for a Gaussian (FID).

    d² = ‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½)

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule …", equation 6.

The matrix root is never taken: only its trace is asked for. With Σ₁ = A Aᵀ and Σ₂ = B Bᵀ the
eigenvalues of Σ₁ Σ₂ are the squared singular values of Aᵀ B, so the trace is the sum of these, real
and not negative whatever the rank. Where both have full rank, A is the Cholesky factor and the
eigenvalues of Aᵀ Σ₂ A are enough; otherwise A and B are pivoted Cholesky factors, which have as many
columns as there is rank, or the centred features themselves.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg

from anime_keras.metrics.features import Features, Moments, as_pair, comparable
from anime_keras.metrics.results import Z95, Result


def frechet_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    """FID of two sets of features (n, D) and (m, D), in float64; 0 for equal means and covariances.

    Raises:
        ValueError: no such features, fewer than two pictures, or NaN or infinity among them.
    """
    real, fake = as_pair(real_features, fake_features)
    if max(len(real), len(fake)) > real.shape[1]:
        moments = Moments.of(real), Moments.of(fake)
        return frechet_from_moments(
            moments[0].mean, moments[0].covariance, moments[1].mean, moments[1].covariance
        )
    (mean, root), (fake_mean, fake_root) = _centred(real), _centred(fake)
    traces = np.square(root).sum() + np.square(fake_root).sum()
    return _distance(mean - fake_mean, traces, np.linalg.svd(root.T @ fake_root, compute_uv=False))


def frechet_from_moments(
    real_mean: np.ndarray,
    real_covariance: np.ndarray,
    fake_mean: np.ndarray,
    fake_covariance: np.ndarray,
) -> float:
    """FID of two Gaussians: means (D,) and covariances (D, D), which may be singular."""
    real_covariance = np.asarray(real_covariance, "float64")
    fake_covariance = np.asarray(fake_covariance, "float64")
    traces = np.trace(real_covariance) + np.trace(fake_covariance)
    roots = _roots_of_full_rank(real_covariance, fake_covariance)
    if roots is None:
        product = _root(real_covariance).T @ _root(fake_covariance)
        roots = np.linalg.svd(product, compute_uv=False)
    return _distance(np.asarray(real_mean) - np.asarray(fake_mean), traces, roots)


def mean_distance(real_features: np.ndarray, fake_features: np.ndarray) -> float:
    """‖μ₁ - μ₂‖², FID's first term alone: what is left to say where pictures are few."""
    real, fake = as_pair(real_features, fake_features, least=1)
    gap = real.mean(axis=0, dtype="float64") - fake.mean(axis=0, dtype="float64")
    return float(gap @ gap)


def _distance(gap: np.ndarray, traces: float, roots: np.ndarray) -> float:
    # rounding may leave a little less than nothing between equal distributions
    return float(max(gap @ gap + traces - 2.0 * roots.sum(), 0.0))


def _roots_of_full_rank(first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    """Roots of the eigenvalues of Σ₁ Σ₂; None if some are mere rounding, whose roots are not small.

    They are those of the symmetric Lᵀ Σ₂ L with Σ₁ = L Lᵀ, which LAPACK forms in place.
    """
    try:  # transposed, symmetric matrices have the order in memory that LAPACK works in
        factor = linalg.cholesky(first.T, lower=True, check_finite=False)
    except linalg.LinAlgError:
        return None
    product, _ = linalg.lapack.dsygst(second.T, factor, itype=2, lower=1)
    values = linalg.eigvalsh(
        product, lower=True, driver="evd", overwrite_a=True, check_finite=False
    )
    rounding = len(values) * np.finfo("float64").eps * values[-1]
    return np.sqrt(values) if values[0] > rounding else None


def _root(covariance: np.ndarray) -> np.ndarray:
    """A with A Aᵀ = Σ, of as many columns as Σ has rank: Cholesky's factor, largest pivot first."""
    factor, order, rank, _ = linalg.lapack.dpstrf(covariance, lower=1)
    root = np.empty((len(covariance), rank))
    root[order - 1] = np.tril(factor)[:, :rank]  # LAPACK counts from 1
    return root


def _centred(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,), and A (D, n) with A Aᵀ = Σ: the centred features themselves."""
    mean = features.mean(axis=0, dtype="float64")
    return mean, (features - mean).T / np.sqrt(len(features) - 1)


# --- how sure, and how biased ---------------------------------------------------------------------


def bootstrap(real: Features, fake: Features, resamples: int = 20, seed: int = 0) -> float:
    """Half the width of FID's 95% interval, from pictures drawn again with replacement.

    Only the spread of the redrawn FIDs is used. Their mean is not: a set drawn with replacement
    holds fewer different pictures, and so has a larger FID.

    Args:
        real: features of the real pictures.
        fake: features of the generated ones.
        resamples: times that both sides are drawn anew. Twenty know the width to about 16%.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    distances = []
    for _ in range(resamples):
        first, second = (_redrawn(side, random) for side in (real, fake))
        distances.append(_between(first, second))
    return float(Z95 * np.std(distances, ddof=1))


def _redrawn(features: Features, random: np.random.Generator) -> Moments:
    rows = len(features.sample)
    times = random.multinomial(features.count, np.full(rows, 1.0 / rows))
    return Moments.of(features.sample[times > 0], times[times > 0])


def _between(real: Moments, fake: Moments) -> float:
    return frechet_from_moments(real.mean, real.covariance, fake.mean, fake.covariance)


class Extrapolation(NamedTuple):
    """A straight line through FID against 1/N.

    Attributes:
        infinite: its value at 1/N = 0.
        slope: its rise; FID at N is about infinite + slope / N.
        fit: R², the part of the variation that the line explains. Below 0.9 do not believe it.
        sizes: the N it was fitted to.
        distances: FID at each.
    """

    infinite: float
    slope: float
    fit: float
    sizes: np.ndarray
    distances: np.ndarray


def extrapolate(
    real: Features, fake: Features, points: int = 10, both: bool = False, seed: int = 0
) -> Extrapolation:
    """FID at infinitely many generated pictures (Chong and Forsyth 2020, "Effectively Unbiased FID").

    The FID of N pictures is too large by about a constant by N, and that constant differs from
    generator to generator: hence a line through the FIDs of random subsets.

    Args:
        real: features of the real pictures.
        fake: features of the generated ones.
        points: subsets, from a tenth of the sample (or 2 D if that is more) to all of it.
        both: take subsets of the real pictures too. The paper does not: a training set is all there
            is. Where the real pictures are themselves a sample, this takes out their bias as well.
        seed: of the subsets.

    Raises:
        ValueError: fewer than 20 pictures.
    """
    most = min(len(fake.sample), len(real.sample)) if both else len(fake.sample)
    if most < 20:
        raise ValueError(f"Extrapolating takes at least 20 pictures; there are {most}.")
    random = np.random.default_rng(seed)
    sizes = np.linspace(_smallest(most, fake.dimension), most, points).astype(int)
    distances = np.array(
        [
            _between(
                _subset(real, size, random) if both else real.moments,
                _subset(fake, size, random),
            )
            for size in sizes
        ]
    )
    slope, infinite = np.polyfit(1.0 / sizes, distances, 1)
    left = distances - (infinite + slope / sizes)
    fit = 1.0 - left.var() / distances.var() if distances.var() > 0.0 else 1.0
    return Extrapolation(float(infinite), float(slope), float(fit), sizes, distances)


def _smallest(most: int, dimension: int) -> int:
    """Below about 2 D pictures the bias no longer goes as 1/N."""
    return max(most // 10, min(2 * dimension, most // 2), 2)


def _subset(features: Features, size: int, random: np.random.Generator) -> Moments:
    return Moments.of(features.sample[random.permutation(len(features.sample))[:size]])


def measure(real: Features, fake: Features, seed: int = 0, resamples: int = 20) -> Result:
    """FID with its 95% interval and, among the details, its value at infinite N.

    Args:
        real: features of the real pictures.
        fake: features of the generated ones.
        seed: of the bootstrap and of the extrapolation's subsets.
        resamples: of the bootstrap; 0 leaves the interval out.

    Raises:
        ValueError: different extractors, or fewer than two pictures on a side.
    """
    warnings = comparable(real, fake)
    value = _between(real.moments, fake.moments)
    gap = real.moments.mean - fake.moments.mean
    details = {"mean only": float(gap @ gap)}
    for side, features in (("real", real), ("generated", fake)):
        if features.count <= features.dimension:
            warnings.append(
                f"{features.count:,} {side} pictures for {features.dimension:,} features: the "
                "covariance is singular and FID far too large. Compare only with the same number."
            )
    if len(fake.sample) >= 20:
        line = extrapolate(real, fake, seed=seed)
        details |= {"infinite": line.infinite, "infinite fit": line.fit}
        if line.fit < 0.9:
            warnings.append(f"The extrapolation to infinite N fits badly (R² {line.fit:.2f}).")
    return Result(
        "FID",
        value,
        bootstrap(real, fake, resamples, seed) if resamples else None,
        fake.extractor,
        real.count,
        fake.count,
        seed,
        fake.preprocessing,
        details,
        tuple(warnings),
    )
