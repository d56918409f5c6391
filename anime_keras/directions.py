"""Arithmetic with codes: what a word such as "blue hair" adds to the code of a face.

    fitted = directions.fit(codes, faces.factors, faces.names)
    moved = fitted.move(codes, faces.factors, hair_color="blue")
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
        words: factor name -> (words, latent_dim); over the faces that were fitted their mean is 0.
        names: factor name -> its words.
    """

    mean: np.ndarray
    words: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]

    def between(self, factor: str, word: str, instead_of: str) -> np.ndarray:
        """What to add to a code to go from one word to another, (latent_dim,).

        Raises:
            ValueError: there is no such factor or word.
        """
        rows = self.words[self._checked(factor)]
        return rows[self._index(factor, word)] - rows[self._index(factor, instead_of)]

    def move(
        self,
        codes: np.ndarray,
        now: Mapping[str, np.ndarray],
        strength: float = 1.0,
        **wanted: str | np.ndarray,
    ) -> np.ndarray:
        """Codes (count, latent_dim) of the same faces with other words.

        Args:
            codes: of the faces to change.
            now: factor name -> index of each face's word, int (count,): `faces.factors`, or
                `metrics.attributes.read(images).words` where the truth is not known.
            strength: 1 adds the whole difference between two words, 0 nothing.
            **wanted: factor -> word, or the index of one for each face.

        Raises:
            ValueError: there is no such factor or word.
        """
        codes = np.asarray(codes, "float64")
        change = np.zeros_like(codes)
        for factor, word in wanted.items():
            rows = self.words[self._checked(factor)]
            index = self._index(factor, word) if isinstance(word, str) else np.asarray(word)
            change += rows[index] - rows[np.asarray(now[factor])]
        return codes + strength * change

    def _checked(self, factor: str) -> str:
        if factor not in self.words:
            raise ValueError(f"There is no factor {factor!r}: choose from {', '.join(self.words)}.")
        return factor

    def _index(self, factor: str, word: str) -> int:
        if word not in self.names[factor]:
            known = ", ".join(self.names[factor])
            raise ValueError(f"{factor} has no word {word!r}: choose from {known}.")
        return self.names[factor].index(word)


def fit(
    codes: np.ndarray,
    factors: Mapping[str, np.ndarray],
    names: Mapping[str, Sequence[str]],
) -> Directions:
    """Fit what each word adds to a code, all factors together.

    Args:
        codes: (count, latent_dim), such as the means that `encode` gives.
        factors: factor name -> index of each face's word, int (count,), of no face -1.
        names: factor name -> its words.

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
    # A face has one word of each factor, so many weights fit alike: lstsq takes the smallest.
    weights = np.linalg.lstsq(design - shares, codes - mean, rcond=None)[0]
    words, start = {}, 0
    for name in factors:
        rows = weights[start : start + len(names[name])]
        words[name] = rows - shares[start : start + len(rows)] @ rows
        start += len(rows)
    return Directions(mean, words, {name: tuple(names[name]) for name in factors})
