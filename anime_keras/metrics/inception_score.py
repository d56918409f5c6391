"""Inception score: is each picture clearly of one class, and are all classes there?

    IS = exp E_x KL(p(y|x) ‖ p(y))

Salimans et al. 2016, "Improved Techniques for Training GANs", section 4; the mean over ten contiguous
splits as in their code. It lies between 1 and the number of classes, never looks at real pictures,
and says little where the classifier's classes are not what the pictures differ in: faces have none
of ImageNet's (Barratt and Sharma 2018, "A Note on the Inception Score").
"""

import numpy as np

from anime_keras.metrics.features import Features, Probabilities, as_features, splits_of
from anime_keras.metrics.results import Z95, Result


def inception_score(probabilities: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """Mean and standard deviation of the score over contiguous splits.

    Args:
        probabilities: p(y|x), (n, classes), rows that sum to 1, in the order of generation.
        splits: how many parts to score each by itself.

    Raises:
        ValueError: no probabilities, or fewer pictures than splits.
    """
    probabilities = as_features(probabilities, "probabilities", least=max(splits, 1))
    count = len(probabilities)
    scores = split_scores(
        Probabilities.of(probabilities, splits_of(0, count, count, splits), splits)
    )
    return float(scores.mean()), float(scores.std())


def split_scores(sums: Probabilities) -> np.ndarray:
    """The score of each split that holds pictures: float64, at most (splits,).

    E KL(p(y|x) ‖ p(y)) = E Σ p(y|x) log p(y|x) - Σ p(y) log p(y), so sums are enough.
    """
    there = sums.counts > 0
    counts = sums.counts[there]
    marginal = sums.classes[there] / counts[:, None]
    negentropy = (marginal * np.log(np.where(marginal > 0.0, marginal, 1.0))).sum(axis=1)
    return np.exp(sums.negentropy[there] / counts - negentropy)


def measure(fake: Features) -> Result:
    """Inception score of the generated pictures; its interval is that of the mean over the splits.

    Raises:
        ValueError: the features were collected without probabilities, or of fewer pictures than
            splits.
    """
    sums = fake.probabilities
    if sums is None:
        raise ValueError(
            f"The extractor {fake.extractor!r} gave no class probabilities, or the number of "
            "pictures was not known beforehand: there is no Inception score."
        )
    splits, classes = sums.classes.shape
    if fake.count < splits:
        raise ValueError(
            f"{splits} splits take at least {splits} pictures; there are {fake.count}."
        )
    warnings = []
    if fake.count < splits * classes:
        warnings.append(
            f"{fake.count / splits:,.0f} pictures in each split for {classes:,} classes: "
            "the score comes out too low. Compare only with the same number."
        )
    if (sums.counts * splits < 0.5 * fake.count).any():
        warnings.append("Fewer pictures came than were announced: the splits are uneven.")
    scores = split_scores(sums)
    deviation = float(scores.std())
    spread = Z95 * scores.std(ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else None
    return Result(
        "IS",
        float(scores.mean()),
        spread,
        fake.extractor,
        fake=fake.count,
        preprocessing=fake.preprocessing,
        details={"split deviation": deviation},
        warnings=tuple(warnings),
        better="higher",
    )
