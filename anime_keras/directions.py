"""Arithmetic with codes: what a word such as "blue hair" adds to the code of a face.

    fitted = directions.fit(codes, faces.factors, faces.names)
    moved = fitted.move(codes, hair_color="blue")      # everything else stays, as far as codes allow
    pictures = vae.decode(moved)

Radford et al. 2016, section 6.3.2, take the mean code of faces with glasses minus that of faces
without (Larsen et al. 2016, section 4.2, likewise). Such a difference brings along whatever else those
faces have in common: who has short hair is more often masculine. So here all factors explain the codes
together, by least squares, and each word gets what is left to it when the others are accounted for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Directions:
    """What each word adds to a code.

    Attributes:
        mean: code of the average face, (latent_dim,).
        words: factor name -> (words, latent_dim), the mean over the faces being 0.
        names: factor name -> its words.
        precision: inverse covariance of what no word explains, (latent_dim, latent_dim).
    """

    mean: np.ndarray
    words: dict[str, np.ndarray]
    names: Mapping[str, Sequence[str]]
    precision: np.ndarray

    def between(self, factor: str, word: str, instead_of: str) -> np.ndarray:
        """What to add to a code to go from one word to another, (latent_dim,).

        Raises:
            ValueError: there is no such factor or word.
        """
        return self._row(factor, word) - self._row(factor, instead_of)

    def move(self, codes: np.ndarray, strength: float = 1.0, **wanted: str) -> np.ndarray:
        """Codes (count, latent_dim) that say other words: `move(codes, hair_color="blue")`.

        What a code says of a factor now is estimated from the code itself, as a mixture of the
        factor's words; the difference between the wanted word and that is added.

        Args:
            codes: of the faces to change.
            strength: 1 for as much as the word means on average, 0 for nothing.
            **wanted: factor -> word.

        Raises:
            ValueError: there is no such factor or word.
        """
        codes = np.asarray(codes, "float64")
        said = self.said(codes)
        change = sum(self._row(name, word) - said[name] for name, word in wanted.items())
        return codes + strength * change

    def said(self, codes: np.ndarray) -> dict[str, np.ndarray]:
        """The part of each code that each factor's words account for: name -> (count, latent_dim).

        Generalised least squares: the words' amounts under which the rest of the code is likeliest,
        given how codes vary where all words are equal. As in linear discriminant analysis.
        """
        stacked = np.concatenate(list(self.words.values()))
        weighed = stacked @ self.precision
        amounts = (
            (codes - self.mean) @ weighed.T @ np.linalg.pinv(weighed @ stacked.T, hermitian=True)
        )
        parts, start = {}, 0
        for name, rows in self.words.items():
            parts[name] = amounts[:, start : start + len(rows)] @ rows
            start += len(rows)
        return parts

    def _row(self, factor: str, word: str) -> np.ndarray:
        if factor not in self.words:
            raise ValueError(f"There is no factor {factor!r}: choose from {', '.join(self.words)}.")
        names = list(self.names[factor])
        if word not in names:
            raise ValueError(f"{factor} has no word {word!r}: choose from {', '.join(names)}.")
        return self.words[factor][names.index(word)]


def fit(
    codes: np.ndarray,
    factors: Mapping[str, np.ndarray],
    names: Mapping[str, Sequence[str]],
    ridge: float = 1e-3,
) -> Directions:
    """Fit what each word adds to a code, all factors together.

    Args:
        codes: (count, latent_dim), such as the means that `encode` gives.
        factors: factor name -> index of each face's word, int (count,), of no face -1.
        names: factor name -> its words.
        ridge: added to the normal equations, as a share of the faces; it settles the words of factors
            that always come together.

    Raises:
        ValueError: another number of words than of codes, or fewer codes than words.
    """
    codes = np.asarray(codes, "float64")
    columns = []
    for name, index in factors.items():
        if len(index) != len(codes):
            raise ValueError(
                f"{name} is known of {len(index)} faces; there are {len(codes)} codes."
            )
        columns.append(np.asarray(index)[:, None] == np.arange(len(names[name])))
    design = np.concatenate(columns, axis=1).astype("float64")
    if len(codes) <= design.shape[1]:
        raise ValueError(f"{design.shape[1]} words take more than {len(codes)} codes.")
    mean, shares = codes.mean(axis=0), design.mean(axis=0)
    design = design - shares
    gram = design.T @ design + ridge * len(codes) * np.eye(design.shape[1])
    weights = np.linalg.solve(gram, design.T @ (codes - mean))
    left = codes - mean - design @ weights
    covariance = left.T @ left / len(codes)
    # A hair's breadth in every direction, so that unused dimensions can be inverted.
    covariance += 1e-6 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    words, start = {}, 0
    for name in factors:
        rows = weights[start : start + len(names[name])]
        words[name] = rows - shares[start : start + len(rows)] @ rows
        start += len(rows)
    return Directions(mean, words, dict(names), np.linalg.inv(covariance))
