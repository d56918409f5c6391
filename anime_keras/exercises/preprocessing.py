"""The exercises of notebook 01: ranges, 16 bits, a hash, alignment, and splits that do not leak."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import cv2
import numpy as np

from anime_keras.data.faces import EYES
from anime_keras.exercises import Wrong, exercise, function

# --- 01.1 -----------------------------------------------------------------------------------------


@exercise(
    "01.1",
    hint="There are 255 steps from black to white, and from -1 to 1 it is 2: so divide by 127.5, and "
    "take away 1. Back again: the same the other way round, then np.rint and np.clip before astype.",
)
def _range_and_back(pair: tuple[Callable, Callable]) -> str:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise Wrong("Hand over both functions, as a pair: (to_network, to_picture).")
    to_network, to_picture = pair
    function(to_network)
    function(to_picture)
    every = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1).repeat(3, axis=-1)
    values = _array(to_network(every.copy()), "to_network's result", every.shape)
    _check_range(values)
    wanted = every / 127.5 - 1.0
    back = _array(to_picture(wanted.astype("float32")), "to_picture's result", every.shape)
    _check_picture(back, every)
    wide = np.full((1, 2, 2, 3), 1.2, "float32") * [[[[1.0]], [[-1.0]]]]
    if not np.array_equal(to_picture(wide.astype("float32"))[0, :, 0, 0], [255, 0]):
        raise Wrong(
            "Some networks overshoot: of 1.2 and -1.2 must become 255 and 0, but in uint8 what is too "
            "large begins again at 0. Clip first."
        )
    return "All 256 greys come back as they were, and what overshoots stays white or black."


def _check_range(values: np.ndarray) -> None:
    low, high = float(values.min()), float(values.max())
    if values.dtype == np.uint8:
        raise Wrong("The result is uint8 still, which has neither halves nor negative numbers.")
    if np.isclose(high - low, 2 / 255, atol=1e-4):
        raise Wrong(
            f"All values lie between {low:.3f} and {high:.3f}: they were divided twice, and white is "
            "as good as black."
        )
    if np.isclose(low, 0) and np.isclose(high, 1, atol=0.01):
        raise Wrong("That is [0, 1]. Black should be -1, where the generator's tanh ends.")
    if np.isclose(low, -0.5) and np.isclose(high, 0.5):
        raise Wrong("That is [-0.5, 0.5]: in the middle already, but only half as wide as tanh.")
    if np.isclose(low, -1) and np.isclose(high, 255 / 128 - 1):
        raise Wrong(f"White becomes {high:.4f}, not 1: there are 255 steps from black to white.")
    if not (np.isclose(low, -1, atol=1e-5) and np.isclose(high, 1, atol=1e-5)):
        raise Wrong(f"0 to 255 becomes {low:.4g} to {high:.4g}, and -1 to 1 was wanted.")
    if not np.allclose(values.ravel()[::3], np.linspace(-1, 1, 256), atol=1e-5):
        raise Wrong("Black and white are right, but the greys between are not in equal steps.")
    if values.dtype != np.float32:
        raise Wrong(
            f"Right, but {values.dtype}: a network computes in float32, in half the memory."
        )


def _check_picture(back: np.ndarray, every: np.ndarray) -> None:
    if back.dtype != np.uint8:
        raise Wrong(f"to_picture gives {back.dtype}, and pictures are uint8.")
    lost = int((back != every).sum()) // 3
    if lost and (every.astype(int) - back <= 1).all() and (every.astype(int) >= back).all():
        raise Wrong(
            f"{lost} of 256 greys come back one too dark: astype cuts off what is behind the point, "
            "and float32 has 99.99999 for 100. Round first."
        )
    if lost:
        raise Wrong(f"{lost} of 256 greys do not come back as they were.")


# --- 01.2 -----------------------------------------------------------------------------------------


@exercise(
    "01.2",
    hint="65535 is 255 * 257, so white becomes white if you divide by 257. Compute in float64 or in "
    "uint32, where nothing overflows, round, and turn to uint8 last.",
)
def _sixteen_to_eight(convert: Callable) -> str:
    function(convert)
    every = np.arange(65536).astype("uint16").reshape(256, 256)
    grey = _array(convert(every.copy()), "The result", every.shape)
    wanted = np.rint(every / 257).astype("uint8")
    if np.array_equal(grey, every.astype("uint8")) and grey.dtype == np.uint8:
        raise Wrong(
            "That keeps the lower 8 of the 16 bits, the fine print: neighbours that are alike come out "
            "as noise."
        )
    if grey.dtype != np.uint8:
        if float(grey.max()) <= 1:
            raise Wrong("The range is [0, 1]: as a picture, 0 to 255 is wanted.")
        raise Wrong(f"The result is {grey.dtype}; a picture is uint8.")
    if len(np.unique(grey)) < 128:
        raise Wrong("Times 255 a number of 16 bits overflows: give it more room first.")
    if grey[-1, -1] == 0:
        raise Wrong("White comes out black: 65535 / 256 rounds to 256, and in uint8 that is 0.")
    off = np.abs(grey.astype(int) - wanted)
    if off.max() > 1:
        worst = off.argmax()
        raise Wrong(
            f"{every.flat[worst]} becomes {grey.flat[worst]}, and {wanted.flat[worst]} was wanted."
        )
    dim = np.linspace(1000, 30000, 100).astype("uint16").reshape(10, 10)
    if np.ptp(_array(convert(dim), "The result", dim.shape)) == 255:
        raise Wrong(
            "A dim picture comes out with full black and white: you stretch each by its own lightest "
            "pixel, so what it was is lost, and one white pixel changes all others."
        )
    if off.any():
        return "It rounds down where the kit rounds to the nearest; nobody will see the difference."
    return "Each of the 65,536 greys goes to the nearest of 256."


# --- 01.3 -----------------------------------------------------------------------------------------


@exercise(
    "01.3",
    hint="cv2.cvtColor to grey; cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA), where the "
    "width comes first; then fields[:, 1:] > fields[:, :-1], compared and not subtracted.",
)
def _difference_hash(hash_of: Callable) -> str:
    function(hash_of)
    image = _test_picture()
    bits = np.asarray(hash_of(image.copy()))
    if bits.dtype == object or bits.size <= 1:
        raise Wrong("64 answers are wanted, true or false; nothing like that is returned yet.")
    if bits.size in (63, 72, 81):
        raise Wrong(
            f"There are {bits.size} bits. 8 rows of 9 fields make 8 x 8 comparisons; cv2.resize wants "
            "(width, height)."
        )
    if bits.size != 64:
        raise Wrong(f"There are {bits.size} bits, and 64 are wanted.")
    bits = bits.astype(bool).ravel()
    fields, across = _fields(image), _fields(image, 8, 9)
    others = {
        "Those are the fields brighter than the mean, the average hash: light from one side flips half "
        "of it. Compare each field with the one to its left.": _average(image),
        "That is the other way round: true where it gets *brighter* from left to right.": (
            fields[:, 1:] < fields[:, :-1]
        ),
        "That compares with the field above; the one to the left is wanted.": (
            across[1:] > across[:-1]
        ),
        "In uint8 there is nothing below zero, 3 - 5 is 254: so nearly all differences are positive. "
        "Compare, do not subtract.": (fields[:, 1:] - fields[:, :-1]) > 0,
        "That takes single pixels, or the mean of four, where the whole field should have a say: "
        "INTER_AREA.": None,
    }
    wanted = (fields[:, 1:] > fields[:, :-1]).ravel()
    for message, other in others.items():
        if other is not None and np.array_equal(bits, other.ravel()):
            raise Wrong(message)
    for kind in (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC):
        sampled = _fields(image, kind=kind)
        if np.array_equal(bits, (sampled[:, 1:] > sampled[:, :-1]).ravel()):
            raise Wrong(list(others)[-1])
    differing = int((bits != wanted).sum())
    if differing > 3:  # another way to grey may turn a close decision
        raise Wrong(f"{differing} of 64 bits are others than those of the difference hash.")
    return "64 bits, which a change of size or light hardly touches."


def _test_picture() -> np.ndarray:
    """Smooth shapes under noise, uint8 (72, 90, 3); hardly coloured, so any kind of grey will do."""
    random = np.random.default_rng(3)
    coarse = random.uniform(40, 215, (6, 7)).astype("float32")
    smooth = cv2.resize(coarse, (90, 72), interpolation=cv2.INTER_CUBIC)
    noisy = smooth + random.normal(0, 40, smooth.shape)
    return np.clip(noisy[..., None] * [0.97, 1.0, 0.99], 0, 255).astype("uint8")


def _fields(
    image: np.ndarray, width: int = 9, height: int = 8, kind: int = cv2.INTER_AREA
) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (width, height), interpolation=kind)


def _average(image: np.ndarray) -> np.ndarray:
    fields = _fields(image, 8, 8)
    return fields > fields.mean()


# --- 01.4 -----------------------------------------------------------------------------------------


@exercise(
    "01.4",
    hint="A turn with a scale is [[c, s], [-s, c]]. With across = right - left and the wanted distance "
    "d, (c, s) = d * across / |across|**2. The third column takes the middle of the eyes to its place: "
    "place - turn @ middle.",
)
def _align(matrix_of: Callable) -> str:
    function(matrix_of)
    size = 64
    wanted = np.array(EYES) * size
    cases = {
        "level": ([40.0, 60.0], [80.0, 60.0]),
        "tilted": ([30.0, 80.0], [70.0, 50.0]),
        "the other way": ([100.0, 20.0], [112.0, 36.0]),
    }
    found = {}
    for name, eyes in cases.items():
        left, right = (np.array(eye) for eye in eyes)
        matrix = _array(matrix_of(left.copy(), right.copy(), size), "The matrix", (2, 3))
        found[name] = (matrix, np.stack([left, right]) @ matrix[:, :2].T + matrix[:, 2])
    for name, (matrix, eyes) in found.items():
        if np.allclose(eyes, wanted, atol=0.05):
            continue
        _explain(name, matrix, eyes, wanted, np.array(cases[name]))
    for matrix, _ in found.values():
        turn = matrix[:, :2]
        if not np.allclose(turn @ turn.T, np.eye(2) * (turn @ turn.T)[0, 0], atol=1e-4):
            raise Wrong("The eyes arrive, but the face is sheared or squeezed on the way.")
        if np.linalg.det(turn) < 0:
            raise Wrong("The eyes arrive, but the face is mirrored: up and down are exchanged.")
    return "Both eyes arrive within a twentieth of a pixel, level, whatever the tilt."


def _explain(
    name: str, matrix: np.ndarray, eyes: np.ndarray, wanted: np.ndarray, source: np.ndarray
) -> None:
    """Raise `Wrong` about eyes (2, 2) that arrive elsewhere than wanted."""
    across, goal = eyes[1] - eyes[0], wanted[1] - wanted[0]
    turn = matrix[:, :2]
    if np.allclose(eyes, wanted[::-1], atol=0.05):
        raise Wrong("The eyes arrive exchanged, and the face upside down.")
    if name != "level" and np.allclose(turn, np.eye(2) * turn[0, 0]):
        raise Wrong("Level eyes arrive, tilted ones do not: nothing is turned yet.")
    if np.allclose(turn @ turn.T, np.eye(2), atol=1e-4):
        raise Wrong("It turns but does not scale: the eyes are as far apart as they were.")
    if name != "level" and np.isclose(np.hypot(*across), np.hypot(*goal), atol=0.05):
        slope = np.degrees(np.arctan2(across[1], across[0]))
        before = np.degrees(np.arctan2(*(source[1] - source[0])[::-1]))
        if np.isclose(slope, 2 * before, atol=0.5):
            raise Wrong(f"It turns the wrong way: {before:.0f} degrees become {slope:.0f}.")
    if np.allclose(across, goal, atol=0.05):
        off = (eyes - wanted).mean(axis=0)
        raise Wrong(
            "Turn and scale are right, but the eyes are off by "
            f"{off[0]:.1f} pixels across and {off[1]:.1f} down: the third column."
        )
    raise Wrong(
        f"For {name} eyes, {source.round().tolist()}, they arrive at {eyes.round(1).tolist()}, and "
        f"{wanted.round(1).tolist()} is wanted."
    )


# --- 01.5 -----------------------------------------------------------------------------------------


@exercise(
    "01.5",
    hint="hashlib.sha256(group.encode()).digest() is the same everywhere and always. Its first bytes "
    "are a number as good as a die: int.from_bytes(digest[:8]) / 2**64 lies between 0 and 1.",
)
def _split(split: Callable) -> str:
    function(split)
    random = np.random.default_rng(0)
    groups = [f"person {i}" for i in random.integers(0, 1000, 3000)]

    def ask(groups: Sequence[str], test: float = 0.2) -> np.ndarray:
        return _words(split(list(groups), test), len(groups))

    with mock.patch("builtins.hash", _unsalted):
        told = ask(groups)
    if not np.array_equal(told, ask(groups)):
        raise Wrong("Called twice, it gives two answers: a die is thrown anew each time.")
    share = float((told == "test").mean())
    if share in (0, 1):
        raise Wrong(f"All pictures are {told[0]}.")
    torn = [g for g, words in _by_group(groups, told).items() if len(words) > 1]
    if torn:
        raise Wrong(
            f"{len(torn)} of 1000 people are in both, such as {torn[0]!r}: their copies leak. Ask the "
            "group's name, not the picture's place."
        )
    first, turned = ask(groups[:1500]), ask(groups[::-1])[::-1]
    if not np.array_equal(first, told[:1500]):
        raise Wrong(
            "With more pictures, some that were there before change sides: a group's side must follow "
            "from its own name alone."
        )
    if not np.array_equal(turned, told):
        raise Wrong("In another order of the files people change sides.")
    if not 0.14 < share < 0.26:  # four standard deviations
        raise Wrong(f"With test=0.2 a part of {share:.2f} is test.")
    small = float((ask(groups, 0.05) == "test").mean())
    if not 0.02 < small < 0.08:
        raise Wrong(f"With test=0.2 right, but with test=0.05 a part of {small:.2f} is test.")
    return f"1000 people, none in both; {share:.1%} to test; more files move nobody."


_HASH = hash


def _unsalted(value: Any) -> int:
    """In place of `hash`: refuses what is another number in each process."""
    if isinstance(value, str | bytes):
        raise Wrong(
            "hash() of a string is salted: another number in each Python process, so tomorrow's split "
            "is another one. Take a checksum, such as hashlib's."
        )
    return _HASH(value)


def _words(told: Any, count: int) -> np.ndarray:
    if told is None or isinstance(told, str | Mapping) or np.shape(told) != (count,):
        raise Wrong(f"For {count} pictures a list of {count} words is wanted, one for each.")
    words = np.asarray(told)
    if not set(words.tolist()) <= {"train", "test"}:
        raise Wrong(f'The words are "train" and "test", not {sorted(set(words.tolist()))[:3]}.')
    return words


def _by_group(groups: Sequence[str], told: np.ndarray) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for group, word in zip(groups, told.tolist(), strict=True):
        found.setdefault(group, set()).add(word)
    return found


def _array(value: Any, what: str, shape: tuple[int, ...]) -> np.ndarray:
    if value is None or value is ...:
        raise Wrong(f"{what} is {value}: nothing is returned yet.")
    array = np.asarray(value)
    if array.shape != shape:
        raise Wrong(f"{what} has the shape {array.shape}, and {shape} is wanted.")
    return array
