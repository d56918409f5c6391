"""Attributes: what a face shows, read off by the network that knows drawn faces.

    seen = attributes.read(images)
    seen.words["hair_color"]                     # int64 (n,), an index into seen.names["hair_color"]
    print(attributes.compare(attributes.read(training), seen))

For a conditional model: how often is the attribute there that was asked for? For any model: does it
draw all that the training set shows, as often? The network errs now and then (its card says how
often), on real and generated pictures alike where both are drawn alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from anime_keras.data.people import FACTORS
from anime_keras.metrics import anime_network, extractors

COMBINATION = ("hair_color", "eye_color")
EXPECTED = 5  # so many must be expected before their absence means something
RARE = 0.1  # a word is missing that comes less than this part as often as it should


@dataclass(frozen=True)
class Reading:
    """What was read off pictures.

    Attributes:
        words: factor name -> index of the likeliest word, int64 (n,).
        probabilities: factor name -> float32 (n, words).
        names: factor name -> its words.
        angles: yaw, pitch and roll in degrees, float32 (n, 3), as `data.render` counts them.
        landmarks: float32 (n, points, 2), as fractions of the picture's side, x then y.
    """

    words: dict[str, np.ndarray]
    probabilities: dict[str, np.ndarray]
    names: dict[str, tuple[str, ...]]
    angles: np.ndarray
    landmarks: np.ndarray

    def __len__(self) -> int:
        return len(self.angles)

    def shares(self, factor: str) -> np.ndarray:
        """How often each word of a factor was read, (words,), adding up to 1."""
        counts = np.bincount(self.words[factor], minlength=len(self.names[factor]))
        return counts / len(self)

    def combinations(self, factors: tuple[str, str] = COMBINATION) -> np.ndarray:
        """How many pictures show each pair of words, int64 (words of one, words of the other)."""
        rows, columns = (self.words[name] for name in factors)
        counts = np.zeros([len(self.names[name]) for name in factors], np.int64)
        np.add.at(counts, (rows, columns), 1)
        return counts


def read(images: Any, limit: int | None = None) -> Reading:
    """Read every factor off faces.

    Args:
        images: uint8 (n, height, width, 3), an array or anything that gives such when sliced; faces
            framed about as `data.render` and `data.faces.align` frame them.
        limit: look at the first so many only.

    Raises:
        ValueError: other pictures than that, or none.
    """
    extractors.check(images[:1])
    answers = []
    network = anime_network.load()
    count = len(images) if limit is None else min(len(images), limit)
    for start in range(0, count, extractors.BATCH):
        part = extractors.check(images[start : min(start + extractors.BATCH, count)])
        if part.shape[1:3] != (anime_network.SIDE,) * 2:
            part = extractors.resize(part, anime_network.SIDE)
        answers.append(network.predict_on_batch(part.astype(np.float32) / 127.5 - 1)[1])
    return interpret(np.concatenate(answers))


def interpret(answers: np.ndarray) -> Reading:
    """The network's answers (n, 153) as words, probabilities and numbers."""
    said = anime_network.read(answers)
    probabilities = {name: extractors.softmax(said[name]) for name in anime_network.WORDS}
    return Reading(
        {name: p.argmax(axis=1) for name, p in probabilities.items()},
        probabilities,
        dict(anime_network.WORDS),
        said["angles"] * np.array(anime_network.ANGLES, np.float32),
        (said["landmarks"].reshape(len(answers), -1, 2) + 1) / 2,
    )


# --- asked for, and there -------------------------------------------------------------------------


@dataclass(frozen=True)
class Accuracy:
    """How often what was asked for is there.

    Attributes:
        factor: its name.
        right: how many pictures show the word that was asked for.
        count: of so many.
        low: lower end of the 95% interval of the share (Wilson 1927).
        high: upper end.
        confusion: int64 (words, words), rows what was asked for, columns what was read.
    """

    factor: str
    right: int
    count: int
    low: float
    high: float
    confusion: np.ndarray

    @property
    def value(self) -> float:
        """Share of pictures that show what was asked for."""
        return self.right / self.count

    def __str__(self) -> str:
        return (
            f"{self.factor.replace('_', ' ')} as asked for: {self.value:.1%} "
            f"({self.low:.1%} to {self.high:.1%}, {self.count:,} pictures)"
        )


def accuracy(seen: Reading, asked: Mapping[str, np.ndarray]) -> dict[str, Accuracy]:
    """How often each factor that was asked for is there.

    Args:
        seen: what was read off the pictures.
        asked: factor name -> index of the word, int (n,), -1 where nothing was asked for.

    Raises:
        ValueError: an unknown factor, another number of pictures, or no word at all.
    """
    found = {}
    for factor, wanted in asked.items():
        if factor not in seen.names:
            raise ValueError(f"There is no factor {factor!r}: choose from {', '.join(seen.names)}.")
        wanted = np.asarray(wanted)
        if wanted.shape != (len(seen),):
            raise ValueError(
                f"{factor} is asked for {len(wanted)} pictures; there are {len(seen)}."
            )
        known = wanted >= 0
        if not known.any():
            raise ValueError(f"No picture was asked for a {factor}.")
        words = len(seen.names[factor])
        if wanted.max() >= words:
            raise ValueError(
                f"{factor} has {words} words; word number {wanted.max()} is asked for."
            )
        confusion = np.zeros((words, words), np.int64)
        np.add.at(confusion, (wanted[known], seen.words[factor][known]), 1)
        right, count = int(np.trace(confusion)), int(known.sum())
        interval = stats.binomtest(right, count).proportion_ci(method="wilson")
        found[factor] = Accuracy(factor, right, count, interval.low, interval.high, confusion)
    return found


def in_factors(
    asked: Mapping[str, np.ndarray], names: Mapping[str, Sequence[str]]
) -> dict[str, np.ndarray]:
    """What a model was asked for in its own words, as `accuracy` takes it.

    Args:
        asked: attribute -> place of the word, int (n,), -1 for none.
        names: attribute -> the model's words, which may be others than the network's, or in another
            order. An attribute that the network does not know, or shares no word with, is left out;
            of a word that it does not know nothing is asked.
    """
    found = {}
    for name in sorted(asked.keys() & FACTORS.keys()):
        words = [FACTORS[name].index(w) if w in FACTORS[name] else -1 for w in names[name]]
        places = np.array([*words, -1])[asked[name]]
        if (places >= 0).any():
            found[name] = places
    return found


# --- as in the training set -----------------------------------------------------------------------


@dataclass(frozen=True)
class Spread:
    """One factor in the training set and in generated pictures.

    Attributes:
        factor: its name.
        names: its words.
        real: share of each word among the real pictures (words,).
        fake: the same among the generated ones.
        divergence: Jensen-Shannon divergence of the two in bits, 0 for equal shares, at most 1.
        chance: what 19 of 20 draws of as many pictures from *one* set stay below.
        missing: words that hardly come though they should.
    """

    factor: str
    names: tuple[str, ...]
    real: np.ndarray
    fake: np.ndarray
    divergence: float
    chance: float
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """All factors, and the combinations of hair and eye colour.

    Attributes:
        spreads: factor name -> its Spread.
        real, fake: int64 (12, 11), pictures of each combination.
        covered: part of the combinations of the real pictures that are among the generated ones.
        possible: that part for as many *real* pictures, drawn at random: the most to expect.
    """

    spreads: dict[str, Spread]
    real: np.ndarray
    fake: np.ndarray
    covered: float
    possible: float

    def __str__(self) -> str:
        lines = [
            f"hair and eye colours together: {self.covered:.1%} of the combinations are there; "
            f"of as many real pictures {self.possible:.1%} would be"
        ]
        for spread in self.spreads.values():
            lines.append(
                f"{spread.factor.replace('_', ' ')}: divergence {spread.divergence:.4f} bit "
                f"(by chance up to {spread.chance:.4f})"
                + (f"; missing: {', '.join(spread.missing)}" if spread.missing else "")
            )
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """For a JSON file."""
        return {
            "combinations_covered": self.covered,
            "combinations_possible": self.possible,
            "combinations": {"real": self.real.tolist(), "fake": self.fake.tolist()},
            "factors": {
                name: {
                    "words": list(s.names),
                    "real": s.real.tolist(),
                    "fake": s.fake.tolist(),
                    "divergence_bits": s.divergence,
                    "chance_bits": s.chance,
                    "missing": list(s.missing),
                }
                for name, s in self.spreads.items()
            },
        }


def divergence(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence in bits of shares (..., words) that each add up to 1; (...)."""
    p, q = np.asarray(p, float), np.asarray(q, float)
    middle = (p + q) / 2
    return (
        stats.entropy(p, middle, base=2, axis=-1) / 2
        + stats.entropy(q, middle, base=2, axis=-1) / 2
    )


def compare(
    real: Reading, fake: Reading, seed: int = 0, factors: Sequence[str] = tuple(FACTORS)
) -> Comparison:
    """How the factors of generated pictures are spread, beside those of the real ones.

    Raises:
        ValueError: there are no pictures on one of the sides.
    """
    if not len(real) or not len(fake):
        raise ValueError("Attributes are compared between pictures; there are none on one side.")
    random = np.random.default_rng(seed)
    spreads = {name: _spread(real, fake, name, random) for name in factors}
    tables = real.combinations(), fake.combinations()
    there = tables[0] > 0
    flat = tables[0].ravel() / tables[0].sum()
    again = random.multinomial(len(fake), flat, size=200)[:, there.ravel()] > 0
    return Comparison(spreads, *tables, float((tables[1][there] > 0).mean()), float(again.mean()))


def _spread(real: Reading, fake: Reading, name: str, random: np.random.Generator) -> Spread:
    p, q = real.shares(name), fake.shares(name)
    both = (p * len(real) + q * len(fake)) / (len(real) + len(fake))
    draws = [random.multinomial(n, both, size=1000) / n for n in (len(real), len(fake))]
    missing = (p * len(fake) >= EXPECTED) & (q < RARE * p)
    names = real.names[name]
    return Spread(
        name,
        names,
        p,
        q,
        float(divergence(p, q)),
        float(np.quantile(divergence(*draws), 0.95)),
        tuple(word for word, gone in zip(names, missing, strict=True) if gone),
    )
