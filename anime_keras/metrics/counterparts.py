"""Translations scored against the truth: what is kept, and how near the true counterpart comes.

    x, y = drawn(500, size=64)                    # portraits, and the same people as anime faces
    found = measure(gan_x2y, gan_y2x, x, y)       # two functions, uint8 pictures to the same
    print(found)

A CycleGAN never sees pairs, but each drawn portrait has one: `data.render` draws the same person as
an anime face. So a translation can be asked what it kept of that person, and how far it lies from
the picture that it should have been. A distance alone says little; so beside each stand those of
three answers that need no learning:

* itself: the picture as it came,
* colour transfer: moved to the mean and spread that the other kind's pictures have in each channel
  of CIELAB (after Reinhard et al. 2001, "Color Transfer between Images"),
* nearest: of an album of the other kind, the picture nearest in features.

Photographs have no true counterparts (`unpaired`). There the network's reading of a translation is
compared with its own reading of the picture it came from, which tells change, not truth.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import cv2
import numpy as np

from anime_keras import data, plots
from anime_keras.data import anime, collections, people
from anime_keras.metrics import attributes, extractors, frechet, kernel, references
from anime_keras.metrics.anime_network import WORDS
from anime_keras.metrics.features import Features
from anime_keras.metrics.neighbours import nearest_neighbours
from anime_keras.metrics.results import Z95, Result

Translate = Callable[[np.ndarray], np.ndarray]
"""Pictures uint8 (n, side, side, 3) to as many of the same shape."""
Progress = Callable[[str, int, int], None]

HELD_OUT = 2**33
"""First of the seeds that no command trains with or asks people about."""
ALBUM = (
    1_000_000  # where in a seed's row of people the album begins: others than those of the pairs
)
LOOKED_AT = 200  # pictures of an album that tell its colours
CHUNK = 100  # pictures at a time
SHEET = 8  # faces on the sheet
BASELINES = ("itself", "colour transfer", "nearest")


# --- pictures of two kinds ------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """What pictures show.

    Attributes:
        words: factor name -> index of its word, int (n,), -1 where it cannot be seen.
        landmarks: float (n, points, 2), as fractions of the picture's side, x then y.
        yaw: degrees, float (n,).
    """

    words: dict[str, np.ndarray]
    landmarks: np.ndarray
    yaw: np.ndarray


@dataclass(frozen=True)
class Domain:
    """Pictures of one kind.

    Attributes:
        name: of the kind, such as "portraits".
        pictures: uint8 (n, side, side, 3), those that are translated.
        album: uint8 (m, side, side, 3), an array or what gives such when sliced: pictures of this
            kind that the translations of the other one are compared with as a whole.
        truth: what `pictures` show; None where nobody knows.
    """

    name: str
    pictures: np.ndarray
    album: Any
    truth: Truth | None = None


class Palette(NamedTuple):
    """Mean and standard deviation of pictures' pixels in each channel of CIELAB, (3,)."""

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, pictures: Any) -> "Palette":
        """Of the first of some pictures, uint8 (m, height, width, 3), which are enough to tell."""
        lab = _lab(np.asarray(pictures[:LOOKED_AT]))
        return cls(*(f(lab, axis=(0, 1, 2), dtype="float64") for f in (np.mean, np.std)))


def drawn(
    count: int = 500, size: int = 64, seed: int = 0, album: int | None = None, processes: int = 1
) -> tuple[Domain, Domain]:
    """Drawn portraits and anime faces of the same people, whom no command trains with.

    Args:
        count: of pairs.
        size: side of the pictures in pixels.
        seed: of the people.
        album: pictures of other people in either domain's album; four times as many by default.
        processes: to draw with.

    Returns:
        Portraits and anime faces; picture i of the one is the true counterpart of i of the other.
    """
    domains = []
    crowd = people.sample(count, HELD_OUT + seed)
    shut = np.array([anime.eyes_shut(crowd.person(row)) for row in range(count)], bool)
    for name, style in (("portraits", "portrait"), ("anime", "anime")):
        faces = data.render(count, size, style, HELD_OUT + seed, processes=processes)
        words = faces.factors | {
            "eye_color": np.where(shut, -1, faces.factors["eye_color"]),
            "eyes": shut.astype(int),
            "style": np.full(count, WORDS["style"].index(style)),
        }
        truth = Truth(words, faces.landmarks / size, faces.continuous["yaw"])
        others = collections.Rendered(album or 4 * count, size, style, HELD_OUT + seed, ALBUM)
        domains.append(Domain(name, faces.images, others, truth))
    return domains[0], domains[1]


def unpaired(x: Any, y: Any, count: int = 500, names: tuple[str, str] = ("x", "y")) -> tuple:
    """Two collections of pictures without counterparts, as domains.

    Args:
        x: uint8 (n, side, side, 3), an array or what gives such when sliced; all are its album.
        y: the same of the other kind.
        count: of how many, the first, translations are made.
        names: of the two kinds.
    """
    return tuple(
        Domain(name, np.asarray(side[:count]), side)
        for name, side in zip(names, (x, y), strict=True)
    )


# --- what is found --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """How often one attribute is still there.

    Attributes:
        after: read off the translations.
        before: share read off the pictures they came from.
        ceiling: share read off the true counterparts, all that this network can give; None without.
        floor: share that the most frequent word has: what the same face for everybody would get.
    """

    after: attributes.Accuracy
    before: float
    ceiling: float | None
    floor: float


@dataclass(frozen=True)
class Direction:
    """One direction's scores.

    Attributes:
        source: name of the kind that is translated.
        target: of the kind it becomes.
        paired: whether the true counterparts are known.
        results: distances, errors and FID; what they are compared with is among their details.
        kept: factor name -> how often it is still there.
        sheet: uint8, a picture of some faces, a column each.
    """

    source: str
    target: str
    paired: bool
    results: list[Result]
    kept: dict[str, Kept]
    sheet: np.ndarray = field(repr=False)

    def __getitem__(self, name: str) -> Result:
        """A result by its name."""
        return next(result for result in self.results if result.name == name)

    def to_dict(self) -> dict[str, Any]:
        """All numbers in JSON's types."""
        return {
            "source": self.source,
            "target": self.target,
            "paired": self.paired,
            "results": [result.to_dict() for result in self.results],
            "kept": {
                name: {
                    "right": kept.after.right,
                    "count": kept.after.count,
                    "share": kept.after.value,
                    "interval": [kept.after.low, kept.after.high],
                    "before": kept.before,
                    "ceiling": kept.ceiling,
                    "floor": kept.floor,
                }
                for name, kept in self.kept.items()
            },
        }


@dataclass(frozen=True)
class Translation:
    """Both directions' scores, or those of the only one that there is.

    Attributes:
        x2y: portraits to anime, say.
        y2x: and back; None where nothing leads back.
        about: numbers of pictures, their size, the seed.
    """

    x2y: Direction
    y2x: Direction | None
    about: dict[str, Any]

    @property
    def directions(self) -> dict[str, Direction]:
        """Those that there are, by their names."""
        both = {"x2y": self.x2y, "y2x": self.y2x}
        return {name: direction for name, direction in both.items() if direction}

    def __str__(self) -> str:
        return "\n\n".join(str(table) for table in tables(self.to_dict()))

    @property
    def warnings(self) -> list[str]:
        """Why a number may mean less than it seems to; each once."""
        results = [result for one in self.directions.values() for result in one.results]
        return list(dict.fromkeys(text for result in results for text in result.warnings))

    @property
    def sheet(self) -> np.ndarray:
        """Some faces of either direction, one above the other."""
        return np.concatenate([one.sheet for one in self.directions.values()])

    def to_dict(self) -> dict[str, Any]:
        """All numbers in JSON's types."""
        directions = {name: one.to_dict() for name, one in self.directions.items()}
        return {"about": self.about, **directions, "warnings": self.warnings}


def measure(
    there: Translate,
    back: Translate | None,
    x: Domain,
    y: Domain,
    extractor: Any = "anime",
    seed: int = 0,
    progress: Progress | None = None,
) -> Translation:
    """Score a translator and the one that leads back.

    Args:
        there: pictures of X to pictures of Y.
        back: pictures of Y to pictures of X; None for a translator that knows no way back.
        x: as `drawn` or `unpaired` give it. If both know the truth, their pictures are pairs.
        y: likewise.
        extractor: as for `extractors.get`; in its features distances, FID and KID are measured.
        seed: of bootstrap and subsets.
        progress: called as progress(what, done, total) on the way.

    Raises:
        ValueError: fewer than four pictures, unequal pairs, pictures of two sizes, or a translator
            that gives other pictures than it was asked for.
    """
    paired = x.truth is not None and y.truth is not None
    fewest = min(len(x.pictures), len(y.pictures), len(x.album), len(y.album))
    if fewest < 4:
        raise ValueError(
            f"Scoring a translator takes at least 4 pictures of each kind, not {fewest}."
        )
    if paired and len(x.pictures) != len(y.pictures):
        raise ValueError(f"{len(x.pictures)} and {len(y.pictures)} pictures cannot be pairs.")
    if x.pictures.shape[1:] != y.pictures.shape[1:]:
        raise ValueError(
            f"Pictures of {x.name} and {y.name} must have one size, not {x.pictures.shape[1:3]} and "
            f"{y.pictures.shape[1:3]}."
        )
    extractor = extractors.get(extractor)
    palettes = (Palette.of(x.album), Palette.of(y.album)) if paired else None
    ways = [(there, back, x, y, palettes), (back, there, y, x, palettes and palettes[::-1])]
    found = [_direction(*way, extractor, seed, progress) if way[0] else None for way in ways]
    about = {
        "pictures": [len(x.pictures), len(y.pictures)],
        "albums": [len(x.album), len(y.album)],
        "size": int(x.pictures.shape[1]),
        "extractor": extractor.name,
        "seed": seed,
    }
    return Translation(found[0], found[1], about)


def _direction(
    there: Translate,
    back: Translate | None,
    source: Domain,
    target: Domain,
    palettes: tuple[Palette, Palette] | None,
    extractor: extractors.Extractor,
    seed: int,
    progress: Progress | None,
) -> Direction:
    """One way; with the palettes of both kinds, where they are pairs."""
    paired = palettes is not None
    what = f"{source.name} to {target.name}"
    translated = _apply(there, source.pictures, what, progress)
    returned = _apply(back, translated, f"{what} and back", progress) if back else None
    before, after = attributes.read(source.pictures), attributes.read(translated)
    own, new = _features(source.pictures, extractor), _features(translated, extractor)
    album = references.reference(
        target.album, extractor, seed, progress and (lambda *at: progress("the album", *at))
    )

    rows = [source.pictures, translated]
    if paired:
        truth, ceiling = target.truth, attributes.read(target.pictures)
        wanted = _features(target.pictures, extractor)
        nearest = nearest_neighbours(own.sample, album.sample)[1][:, 0]
        answers = {
            "itself": source.pictures,
            "colour transfer": color_transfer(source.pictures, *palettes),
            "nearest": np.concatenate([target.album[i : i + 1] for i in album.indices[nearest]]),
        }
        results = _distances(translated, answers, target.pictures, extractor)
        seen_as = results[-1].details
        rows += [target.pictures, answers[min(answers, key=seen_as.get)]]
    else:
        truth, ceiling, wanted = _as_truth(before, target), None, None
        results = []
    results += _pose(truth, before, after, ceiling, translated.shape[1])
    if back:
        results += _round_trip(source.pictures, returned)
        rows.append(returned)
    results += _as_a_whole(album, own, new, wanted, seed)
    sheet = np.concatenate([row[:SHEET] for row in rows])
    return Direction(
        source.name,
        target.name,
        paired,
        results,
        _kept(truth, before, after, ceiling),
        plots.grid(sheet, columns=min(SHEET, len(translated))),
    )


def _apply(
    translate: Translate, pictures: np.ndarray, what: str, progress: Progress | None
) -> np.ndarray:
    translated = np.empty_like(pictures)
    for start in range(0, len(pictures), CHUNK):
        asked = pictures[start : start + CHUNK]
        given = np.asarray(translate(asked))
        if given.dtype != np.uint8 or given.shape != asked.shape:
            raise ValueError(
                f"A translator gives uint8 pictures of the shape that it takes, {asked.shape}; this "
                f"one, {what}, gives {given.dtype} {given.shape}."
            )
        translated[start : start + CHUNK] = given
        if progress:
            progress(what, start + len(asked), len(pictures))
    return translated


def _features(pictures: np.ndarray, extractor: extractors.Extractor) -> Features:
    """Of all pictures, in their order: the sample has room for every row."""
    rows = extractor(pictures)[0]
    preprocessing = extractor.preprocessing(pictures.shape)
    return Features.of(rows, extractor.name, preprocessing, capacity=max(len(rows), 2))


# --- the true counterpart -------------------------------------------------------------------------


def color_transfer(pictures: np.ndarray, own: Palette, other: Palette) -> np.ndarray:
    """Move pictures to the mean and spread of another kind's colours.

    Reinhard et al. (2001) move one picture to one other. Here the numbers are those of all pixels of
    either kind: moved one by one, all pictures would get the same mean colour, whatever the hair.

    Args:
        pictures: uint8 (n, height, width, 3).
        own: of pictures of their kind.
        other: of pictures of the other kind.

    Returns:
        uint8, of the shape of `pictures`.
    """
    moved = np.empty_like(pictures)
    for out, lab in zip(moved, _lab(pictures), strict=True):
        lab = (lab - own.mean) / np.maximum(own.spread, 1e-6) * other.spread + other.mean
        rgb = cv2.cvtColor(lab.astype("float32"), cv2.COLOR_LAB2RGB)
        out[:] = np.round(np.clip(rgb, 0, 1) * 255)
    return moved


def _lab(pictures: np.ndarray) -> np.ndarray:
    lab = np.empty(pictures.shape, "float32")
    for out, picture in zip(lab, pictures, strict=True):
        out[:] = cv2.cvtColor(picture.astype("float32") / 255, cv2.COLOR_RGB2LAB)
    return lab


def _distances(
    translated: np.ndarray,
    baselines: Mapping[str, np.ndarray],
    truth: np.ndarray,
    extractor: extractors.Extractor,
) -> list[Result]:
    """L1, SSIM and feature distance to the truth, and by how much the best baseline is exceeded."""
    wanted = extractor(truth)[0]

    def feature_distance(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return np.linalg.norm(extractor(pictures)[0] - wanted, axis=1).astype("float64")

    results = []
    for name, distance in (("L1", _l1), ("SSIM", _ssim), ("features", feature_distance)):
        own = distance(translated, truth)
        others = {which: distance(pictures, truth) for which, pictures in baselines.items()}
        away, *theirs = (1.0 - d if name == "SSIM" else d for d in (own, *others.values()))
        times, spread = _times_nearer(away, min(theirs, key=np.mean))
        result = _mean(
            name,
            own,
            {which: float(values.mean()) for which, values in others.items()}
            | {"times nearer": times, "±": spread},
        )
        results.append(result)
    preprocessing = extractor.preprocessing(truth.shape)
    results[-1] = replace(results[-1], extractor=extractor.name, preprocessing=preprocessing)
    return results


def _l1(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean absolute difference of each pair, 1 from black to white."""
    return np.array(
        [np.abs(a.astype("float32") - b).mean() / 255 for a, b in zip(pictures, truth, strict=True)]
    )


def _ssim(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    from keras import ops  # here, so that who only reads numbers need not wait for Keras

    from anime_keras.metrics.translation import ssim

    parts = (slice(at, at + CHUNK) for at in range(0, len(truth), CHUNK))
    values = [ops.convert_to_numpy(ssim(truth[part], pictures[part])) for part in parts]
    return np.concatenate(values).astype("float64")


def _times_nearer(own: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The mean of `other` by that of `own`, and half its 95% interval (delta method, same faces)."""
    if not own.any():
        return (np.inf if other.any() else np.nan), np.nan
    times = other.mean() / own.mean()
    error = np.std(other - times * own, ddof=1) / len(own) ** 0.5 / own.mean()
    return float(times), float(Z95 * error)


def _mean(name: str, values: np.ndarray, details: dict[str, float] | None = None) -> Result:
    error = values.std(ddof=1) / len(values) ** 0.5
    better = "higher" if name.endswith("SSIM") else "lower"
    count = len(values)
    return Result(
        name,
        float(values.mean()),
        float(Z95 * error),
        real=count,
        fake=count,
        details=details or {},
        better=better,
    )


def _round_trip(pictures: np.ndarray, returned: np.ndarray) -> list[Result]:
    """The cycle's error: a picture beside what comes back of it."""
    return [
        _mean("cycle L1", _l1(returned, pictures)),
        _mean("cycle SSIM", _ssim(returned, pictures)),
    ]


# --- what is kept ---------------------------------------------------------------------------------


def _as_truth(before: attributes.Reading, target: Domain) -> Truth:
    """A reading in the place of the truth, but for the style, which should become the target's."""
    words = dict(before.words)
    words["eye_color"] = np.where(words["eyes"] == 1, -1, words["eye_color"])
    styles = attributes.read(target.pictures).words["style"]
    words["style"] = np.full(len(before), np.bincount(styles).argmax())
    return Truth(words, before.landmarks, before.angles[:, 0])


def _kept(
    truth: Truth,
    before: attributes.Reading,
    after: attributes.Reading,
    ceiling: attributes.Reading | None,
) -> dict[str, Kept]:
    asked = {name: words for name, words in truth.words.items() if (words >= 0).any()}
    now, then = attributes.accuracy(after, asked), attributes.accuracy(before, asked)
    best = attributes.accuracy(ceiling, asked) if ceiling else {}
    return {
        name: Kept(
            now[name],
            then[name].value,
            best[name].value if ceiling else None,
            float(np.bincount(words[words >= 0]).max() / now[name].count),
        )
        for name, words in asked.items()
    }


def _pose(
    truth: Truth,
    before: attributes.Reading,
    after: attributes.Reading,
    ceiling: attributes.Reading | None,
    side: int,
) -> list[Result]:
    """Landmarks in pixels and yaw in degrees off the truth, the median over the faces."""

    def landmarks(points: np.ndarray) -> np.ndarray:
        return side * np.linalg.norm(points - truth.landmarks, axis=-1).mean(axis=-1)

    def yaw(degrees: np.ndarray) -> np.ndarray:
        return np.abs(degrees - truth.yaw)

    results = []
    for name, off, read, known in (
        ("landmarks, px", landmarks, lambda r: r.landmarks, truth.landmarks),
        ("yaw, degrees", yaw, lambda r: r.angles[:, 0], truth.yaw),
    ):
        distance = off(read(after))
        others = {"itself": before, "true counterpart": ceiling} if ceiling else {}
        details = {"mean": distance.mean()}
        details |= {which: np.median(off(read(reading))) for which, reading in others.items()}
        # the same pose for everybody
        details["mean face"] = np.median(off(known.mean(axis=0)))
        details = {which: float(value) for which, value in details.items()}
        count = len(distance)
        results.append(
            Result(name, float(np.median(distance)), real=count, fake=count, details=details)
        )
    return results


def _as_a_whole(
    album: Features, own: Features, new: Features, truth: Features | None, seed: int
) -> list[Result]:
    """FID and KID to the target's album, beside those of the pictures before and of the truth."""
    results = []
    for measured, distance in ((frechet.measure, _fid), (kernel.measure, _kid)):
        found, itself = measured(album, new, seed), distance(album, own)
        details = {"itself": itself, "share of that": found.value / itself if itself else np.nan}
        if truth is not None:
            details["true counterparts"] = distance(album, truth)
        results.append(replace(found, details=details))
    return results


def _fid(album: Features, other: Features) -> float:
    one, two = album.moments, other.moments
    return frechet.frechet_from_moments(one.mean, one.covariance, two.mean, two.covariance)


def _kid(album: Features, other: Features) -> float:
    return kernel.kernel_distance(album.sample, other.sample)


# --- to print -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Texts in columns, of which the first names the row."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [
            "  ".join(
                text.rjust(width) if place else text.ljust(width)
                for place, (text, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.columns, *self.rows)
        ]
        return "\n".join([self.title, *lines])


_TITLES = {
    "L1": "distance to the true counterpart",
    "landmarks, px": "how far the pose is off, in the median",
    "cycle L1": "there and back",
    "FID": "as a whole, against others of the kind",
}


def tables(found: Mapping[str, Any]) -> list[Table]:
    """The scores as tables, from what `Translation.to_dict` gave or a metrics.json holds."""
    made = []
    for one in (found[name] for name in ("x2y", "y2x") if name in found):
        title = f"{one['source'].capitalize()} to {one['target']}"
        against = "the truth" if one["paired"] else "what it read before; the truth is not known"
        groups: dict[tuple, list] = {}
        for row in one["results"]:
            groups.setdefault(tuple(row["details"]), []).append(row)
        for rows in groups.values():
            made.append(
                Table(
                    f"{title}: {_TITLES[rows[0]['name']]}",
                    ("", "translated", *_details(rows[0])),
                    [
                        (_label(row), _number(row["value"], row["spread"]), *_details(row).values())
                        for row in rows
                    ],
                )
            )
        made.append(
            Table(
                f"{title}: read by the network, against {against}",
                ("", "kept", "95% interval", "before", "ceiling", "most frequent", "pictures"),
                [
                    (
                        factor.replace("_", " "),
                        f"{row['share']:.1%}",
                        "{:.1%} to {:.1%}".format(*row["interval"]),
                        *(
                            "–" if row[which] is None else f"{row[which]:.1%}"
                            for which in ("before", "ceiling", "floor")
                        ),
                        f"{row['count']:,}",
                    )
                    for factor, row in one["kept"].items()
                ],
            )
        )
    return made


def _label(row: Mapping[str, Any]) -> str:
    return row["name"] + (" ↑" if row["better"] == "higher" else "")


def _number(value: float | None, spread: float | None) -> str:
    return "–" if value is None else Result("", value, spread).number


def _details(row: Mapping[str, Any]) -> dict[str, str]:
    """The texts of a row's further columns: a spread stands behind its number."""
    details = dict(row["details"])
    times = (
        {"times nearer": _number(details["times nearer"], details.pop("±"))}
        if "±" in details
        else {}
    )
    return {name: _text(value) for name, value in details.items()} | times


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
