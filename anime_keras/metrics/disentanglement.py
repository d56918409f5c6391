"""Disentanglement: does each number of a code stand for one factor of the picture, and for it alone?

    mig   Chen et al. 2018, "Isolating Sources of Disentanglement in VAEs", equation 6
    dci   Eastwood and Williams 2018, "A Framework for the Quantitative Evaluation of Disentangled
          Representations", section 2: disentanglement, completeness, informativeness

Both ask for the truth of every picture, as drawn faces have it. Both depend on the axes: turned
as a whole, codes that say as much lose their score, and that is the point. Neither proves that training
alone finds such axes (Locatello et al. 2019 show that it cannot without a bias towards them).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

BINS = 20  # of a code's number, as in Locatello et al. 2019, appendix C
RIDGE = 1e-3  # of the squares, as a share of the pictures


@dataclass(frozen=True)
class MIG:
    """The mutual information gap.

    Attributes:
        value: the mean over factors, 0 to 1.
        gaps: factor name -> its gap.
        information: nats, (latent_dim, factors), between each number of a code and each factor.
    """

    value: float
    gaps: dict[str, float]
    information: np.ndarray


@dataclass(frozen=True)
class DCI:
    """Disentanglement, completeness and informativeness, each 0 to 1, higher is better.

    Attributes:
        disentanglement: does a number of the code serve one factor only? A mean, weighed by importance.
        completeness: does a factor use one number of the code only? A mean over factors.
        informativeness: share of held-out faces whose word a linear read-out names, over factors.
        importance: (latent_dim, factors), each column adding up to 1.
        accuracy: factor name -> share named right.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: np.ndarray
    accuracy: dict[str, float]


def mig(codes: np.ndarray, factors: Mapping[str, np.ndarray], bins: int = BINS) -> MIG:
    """How much more of a factor the best number of a code tells than the second best.

    The gap between the two, as a share of the factor's entropy. Numbers are cut into bins of equal
    width from the smallest to the largest. Mutual information of a finite count is a little too large,
    for the best number and the second best alike.

    Args:
        codes: (count, latent_dim), of `encode`.
        factors: name -> index of each picture's word, int (count,).
        bins: for each number of the code.

    Raises:
        ValueError: fewer than two numbers a code, or a factor that is known of others or never varies.
    """
    codes, factors = _checked(codes, factors)
    binned = [np.digitize(z, np.linspace(z.min(), z.max(), bins + 1)[1:-1]) for z in codes.T]
    information = np.array([[_mutual(z, v) for v in factors.values()] for z in binned])
    gaps = {}
    for name, column, v in zip(factors, information.T, factors.values(), strict=True):
        second, best = np.sort(column)[-2:]
        gaps[name] = float((best - second) / stats.entropy(np.bincount(v)))
    return MIG(float(np.mean(list(gaps.values()))), gaps, information)


def dci(codes: np.ndarray, factors: Mapping[str, np.ndarray], ridge: float = RIDGE) -> DCI:
    """Read each factor off the codes by a linear regressor, and ask which numbers it used.

    The regressor is ridge regression from standardised numbers to one indicator for each word; the
    importance of a number for a factor is the length of its coefficients over the words. (Eastwood and
    Williams take the lasso for factors that are numbers.) What a code says in a way that is not linear
    is not found.

    Args:
        codes: (count, latent_dim). The first half is fitted, the second read.
        factors: name -> index of each picture's word, int (count,).
        ridge: added to the squares, as a share of the pictures.

    Raises:
        ValueError: as `mig`.
    """
    codes, factors = _checked(codes, factors)
    spread = codes.std(axis=0)
    codes = (codes - codes.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    half = len(codes) // 2
    fitted, held = codes[:half], codes[half:]
    gram = fitted.T @ fitted + ridge * half * np.eye(codes.shape[1])
    columns, accuracy = [], {}
    for name, v in factors.items():
        wanted = (v[:half, None] == np.arange(v.max() + 1)).astype("float64")
        shares = wanted.mean(axis=0)
        coefficients = np.linalg.solve(gram, fitted.T @ (wanted - shares))
        columns.append(np.linalg.norm(coefficients, axis=1))
        named = (held @ coefficients + shares).argmax(axis=1)
        accuracy[name] = float((named == v[half:]).mean())
    importance = np.stack(columns, axis=1)
    importance = importance / importance.sum(axis=0)
    used = importance.sum(axis=1)
    weight = used / used.sum()
    # 1 - H of a row, the logarithm's base being the number of factors; a row nothing uses weighs 0.
    rows = importance[used > 0]
    one_factor = 1.0 - stats.entropy(rows, axis=1) / np.log(max(len(factors), 2))
    one_number = 1.0 - stats.entropy(importance, axis=0) / np.log(len(importance))
    return DCI(
        float(weight[used > 0] @ one_factor),
        float(one_number.mean()),
        float(np.mean(list(accuracy.values()))),
        importance,
        accuracy,
    )


def _checked(
    codes: np.ndarray, factors: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    codes = np.asarray(codes, "float64")
    if codes.ndim != 2 or codes.shape[1] < 2:
        raise ValueError(f"Codes must be (count, two or more numbers), not {codes.shape}.")
    factors = {name: np.asarray(v) for name, v in factors.items()}
    if not factors:
        raise ValueError("There are no factors to look for.")
    for name, v in factors.items():
        if v.shape != (len(codes),):
            raise ValueError(f"{name} is known of {len(v)} pictures; there are {len(codes)} codes.")
        if v.min() < 0 or v.min() == v.max():
            raise ValueError(f"{name} must be known of every picture, and vary.")
    return codes, factors


def _mutual(one: np.ndarray, other: np.ndarray) -> float:
    """Mutual information in nats of two rows of whole numbers from 0 on."""
    table = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(table, (one, other), 1)
    return float(
        stats.entropy(table.sum(1)) + stats.entropy(table.sum(0)) - stats.entropy(table, axis=None)
    )
