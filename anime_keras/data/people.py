"""Who is drawn: the factors of a person, their words, their chances, and how they are sampled.

A person is a row of words (hair colour, expression, pose ...) and of numbers (yaw in degrees, width
of the eyes ...). Nothing here knows how a person looks on a picture: `anime.py` draws them.

Every face owns a random stream that is named by (seed, index): Philox is a counter-based generator,
so face 1,000 needs no draws of the 999 before it and is the same in any batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

FACTORS: dict[str, tuple[str, ...]] = {
    "hair_color": (
        *("brown", "blonde", "black", "blue", "pink", "purple"),
        *("aqua", "green", "red", "gray", "white", "orange"),
    ),
    "eye_color": (
        *("blue", "red", "brown", "green", "purple", "aqua"),
        *("yellow", "pink", "orange", "black", "gray"),
    ),
    "gender": ("feminine", "masculine"),
    "fringe": ("straight", "swept left", "swept right", "parted", "spiky", "wispy", "swept back"),
    "back_hair": (
        *("short", "bob", "long", "wavy", "twin tails", "ponytail"),
        *("buns", "braids", "spiky"),
    ),
    "expression": ("neutral", "smile", "laugh", "sad", "angry", "surprised"),
    "skin_tone": ("porcelain", "fair", "tan", "brown", "dark"),
    "glasses": ("none", "round", "square", "half-rim"),
    "ornament": ("none", "ribbon", "hairpin", "headband", "flower", "cat ears"),
    "clothes": ("sailor", "shirt", "hoodie", "t-shirt", "kimono", "jacket", "dress"),
    "pose": ("left", "slightly left", "front", "slightly right", "right"),
    "background": ("plain", "gradient", "bokeh", "stripes", "sky", "dark", "shapes"),
}
"""Factor name -> its words. Poses and sweeps are named from the viewer's side of the picture."""

CHANCES: dict[str, np.ndarray] = {
    "hair_color": np.full(12, 1 / 12),
    "eye_color": np.full(11, 1 / 11),
    "gender": np.array([0.62, 0.38]),
    "fringe": np.array(
        [[0.22, 0.14, 0.14, 0.15, 0.10, 0.18, 0.07], [0.08, 0.16, 0.16, 0.12, 0.26, 0.12, 0.10]]
    ),
    "back_hair": np.array(
        [
            [0.06, 0.15, 0.20, 0.15, 0.14, 0.11, 0.08, 0.08, 0.03],
            [0.42, 0.06, 0.08, 0.05, 0.02, 0.08, 0.02, 0.02, 0.25],
        ]
    ),
    "expression": np.array([0.22, 0.22, 0.16, 0.13, 0.14, 0.13]),
    "skin_tone": np.array([0.30, 0.30, 0.17, 0.13, 0.10]),
    "glasses": np.array([0.80, 0.08, 0.07, 0.05]),
    "ornament": np.array(
        [[0.58, 0.10, 0.09, 0.08, 0.08, 0.07], [0.76, 0.02, 0.06, 0.06, 0.03, 0.07]]
    ),
    "clothes": np.array(
        [[0.22, 0.15, 0.13, 0.12, 0.10, 0.12, 0.16], [0.05, 0.24, 0.18, 0.18, 0.11, 0.22, 0.02]]
    ),
    "pose": np.array([0.14, 0.22, 0.28, 0.22, 0.14]),
    "background": np.array([0.14, 0.20, 0.14, 0.12, 0.14, 0.12, 0.14]),
}
"""Factor name -> chance of each word, shape (words,); or (2, words): one row a gender."""

YAW_EDGES = (-30.0, -18.0, -6.0, 6.0, 18.0, 30.0)
"""Degrees between which each word of `pose` lies; positive turns to the right of the picture."""

RANGES: dict[str, tuple[float, float]] = {
    "pitch": (-9, 9),
    "roll": (-13, 13),
    "zoom": (0.93, 1.08),
    "shift_x": (-0.05, 0.05),
    "shift_y": (-0.04, 0.04),
    "light": (-1, 1),
    "line_weight": (0.8, 1.5),
    "line_tint": (0.25, 0.9),
    "saturation": (0.82, 1.12),
    "eye_width": (0.92, 1.1),
    "eye_height": (0.9, 1.14),
    "eye_tilt": (-7, 9),
    "eye_spacing": (0.96, 1.05),
    "iris_size": (0.92, 1.1),
    "gaze_x": (-0.14, 0.14),
    "gaze_y": (-0.06, 0.08),
    "brow_weight": (0.7, 1.4),
    "jaw_width": (0.93, 1.06),
    "chin_length": (0.94, 1.06),
    "hair_volume": (0.96, 1.08),
    "hair_shade": (0, 1),
    "hair_hue": (-1, 1),
    "eye_shade": (0, 1),
    "eye_hue": (-1, 1),
    "blush": (0.25, 1),
    "clothes_hue": (0, 360),
    "background_hue": (0, 360),
    "accent_hue": (0, 360),
}
"""Continuous value -> (lowest, highest). Degrees: pitch (up is positive), roll (clockwise is
positive), eye_tilt, the last three hues. `light` runs from the left of the picture (-1) to the right
(1). `shift_x` and `shift_y` are fractions of half the picture. `saturation`, `zoom`, sizes and
weights are factors of the usual. `hair_hue`, `hair_shade`, `eye_hue`, `eye_shade` place the colour
inside its word."""

_PEAKED = ("pitch", "roll", "shift_x", "shift_y", "gaze_x", "gaze_y", "eye_tilt")
_SPARE = 40
_DRAWS = len(FACTORS) + 1 + len(RANGES) + len(_PEAKED) + _SPARE


@dataclass(frozen=True)
class People:
    """Sampled people, one row a person.

    Attributes:
        factors: Factor name -> index of its word, int64 (count,).
        continuous: Name -> value, float64 (count,): `yaw` in degrees and those of `RANGES`.
        spare: Uniform numbers in [0, 1) for a drawing's small irregularities, (count, 40).
    """

    factors: dict[str, np.ndarray]
    continuous: dict[str, np.ndarray]
    spare: np.ndarray

    def __len__(self) -> int:
        return len(self.spare)

    def person(self, row: int) -> SimpleNamespace:
        """One person: words as strings, values as floats, `spare` as an array (40,)."""
        words = {name: FACTORS[name][index[row]] for name, index in self.factors.items()}
        values = {name: float(value[row]) for name, value in self.continuous.items()}
        return SimpleNamespace(**words, **values, spare=self.spare[row])

    def part(self, rows: slice) -> "People":
        """The people of a slice of rows."""
        return People(
            {name: index[rows] for name, index in self.factors.items()},
            {name: value[rows] for name, value in self.continuous.items()},
            self.spare[rows],
        )


def sample(
    count: int, seed: int = 0, start: int = 0, where: Mapping[str, str] | None = None
) -> People:
    """Samples people; person number i of a seed is the same whatever `count` and `start`.

    Args:
        count: Number of people, 0 or more.
        seed: Name of the endless row of people, 0 <= seed < 2**64.
        start: Index of the first person in that row.
        where: Factor name -> word, forced on everyone; nothing else of a person changes, but for
            `pose`, which takes `yaw` along.

    Returns:
        The people.

    Raises:
        ValueError: For an unknown factor or word in `where`.
    """
    forced = _indices(where or {})
    uniform = np.empty((count, _DRAWS))
    for row in range(count):
        key = np.array([seed, start + row], np.uint64)
        uniform[row] = np.random.Generator(np.random.Philox(key=key)).random(_DRAWS)
    columns = iter(uniform.T)

    factors: dict[str, np.ndarray] = {}
    for name, chances in CHANCES.items():
        table = np.broadcast_to(chances, (2, chances.shape[-1])).cumsum(axis=1)
        gender = factors["gender"] if chances.ndim == 2 else np.zeros(count, int)
        edges = table[gender][:, :-1]
        factors[name] = (next(columns)[:, None] >= edges).sum(axis=1)
    for name, index in forced.items():
        factors[name] = np.full(count, index)

    left = np.take(YAW_EDGES, factors["pose"])
    continuous = {"yaw": left + next(columns) * (YAW_EDGES[1] - YAW_EDGES[0])}
    for name, (low, high) in RANGES.items():
        # The mean of two uniform numbers is most often near the middle: few heads lean far.
        draw = (next(columns) + next(columns)) / 2 if name in _PEAKED else next(columns)
        continuous[name] = low + (high - low) * draw
    return People(factors, continuous, uniform[:, -_SPARE:])


def _indices(where: Mapping[str, str]) -> dict[str, int]:
    """Words of `where` as indices, checked."""
    for name, word in where.items():
        if name not in FACTORS:
            raise ValueError(f"where: no factor {name!r}; the factors are {', '.join(FACTORS)}.")
        if word not in FACTORS[name]:
            raise ValueError(
                f"where: {name} has no word {word!r}; its words are {', '.join(FACTORS[name])}."
            )
    return {name: FACTORS[name].index(word) for name, word in where.items()}
