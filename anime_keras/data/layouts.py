"""How public collections tell what is on their pictures: label files, folder names, file names.

The layouts were written down from public code that reads these collections and from their readmes.
Not verified on the collections themselves: the bucket folders of Danbooru (post 5263 lies in
0263/5263.jpg; nothing here depends on it, pictures are found by their number) and the names of
Danbooru's metadata files (any .json or .jsonl whose first line is a post is taken).
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from anime_keras.data import reading
from anime_keras.data.labels import Matched, Row, match, read_tags, table, text_lines

# The latter are no picture to `reading`, but they are to people, who want to hear why not.
PICTURES = frozenset((*reading.SUFFIXES, ".heic", ".heif", ".avif", ".svg", ".jxl", ".jp2"))
SPLITS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
}


@dataclass
class Annotation:
    """What a layout says of a collection's pictures.

    Attributes:
        pictures: names of the files to take.
        words: name -> column -> word; the columns "split" and "domain" are no labels.
        warnings: a sentence each.
        layout: its name.
    """

    pictures: Sequence[str]
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    layout: str = "folder"


class Layout(NamedTuple):
    """A layout: whether files are laid out so, and what it says of the pictures."""

    fits: Callable[[Any, Sequence[str]], bool]
    read: Callable[[Any, Sequence[str]], Annotation]


def annotate(files: Any, pictures: Sequence[str], layout: str | None = None) -> Annotation:
    """What a collection says of its pictures.

    Args:
        files: an object of `archives`.
        pictures: those of its names that ought to be pictures.
        layout: one of `LAYOUTS`; by default the first that fits.

    Raises:
        ValueError: there is no such layout, the files are not laid out so, or the labels cannot be
            trusted; the message names file and line.
    """
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"There is no layout {layout!r}. Known are {', '.join(LAYOUTS)}.")
    layout = layout or next(name for name, known in LAYOUTS.items() if known.fits(files, pictures))
    if not LAYOUTS[layout].fits(files, pictures):
        raise ValueError(
            f"The files are not laid out as {layout!r} tells. Leave the layout out to have it "
            "found, or pass layout='folder' to take the pictures without labels."
        )
    annotation = LAYOUTS[layout].read(files, pictures)
    annotation.layout = layout
    return annotation


def _named(files: Any, *names: str) -> list[str]:
    return [name for name in files.names if name.rpartition("/")[2].lower() in names]


def _annotation(matched: Matched, pictures: Sequence[str]) -> Annotation:
    return Annotation(pictures, matched.words, matched.warnings)


# A file labels.csv whose header names the columns, as `data render` writes it.


def _fits_table(files: Any, pictures: Sequence[str]) -> bool:
    return bool(_named(files, "labels.csv"))


def _read_table(files: Any, pictures: Sequence[str]) -> Annotation:
    sheets = _named(files, "labels.csv")
    rows = [row for sheet in sheets for row in table(files, sheet)]
    matched = match(rows, pictures)
    # Where labels.csv lies beside a folder images, other pictures beside it show the set as a whole.
    folders = [sheet[: sheet.rfind("/") + 1] for sheet in sheets]
    deeper = {f for f in folders if any(name.startswith(f"{f}images/") for name in pictures)}
    extra = {
        name
        for name in pictures
        if name[: name.rfind("/") + 1] in deeper and name not in matched.words
    }
    if not extra:
        return _annotation(matched, pictures)
    pictures = [name for name in pictures if name not in extra]
    matched = match(rows, pictures)
    matched.warnings.append(
        f"Left out because they have no label and lie beside images/: {', '.join(sorted(extra))}."
    )
    return _annotation(matched, pictures)


# NTU's course sets: tags.csv with lines "id,aqua hair black eyes", or tags_clean.csv with lines
# "id,tag:count<tab>tag:count".


def _fits_tags(files: Any, pictures: Sequence[str]) -> bool:
    return bool(_named(files, "tags.csv", "tags_clean.csv"))


def _read_tags(files: Any, pictures: Sequence[str]) -> Annotation:
    return _annotation(match(_tag_rows(files), pictures), pictures)


def _tag_rows(files: Any) -> Iterator[Row]:
    for name in _named(files, "tags.csv", "tags_clean.csv"):
        for number, line in enumerate(text_lines(files, name), 1):
            line = line.strip()
            key, comma, tags = line.partition(",")
            if not line or (number == 1 and key.strip().lower() == "id"):
                continue
            if not comma or not key.strip():
                raise ValueError(
                    f"{name}, line {number}: {line!r} is not of the form "
                    "'id,aqua hair black eyes'. Correct the line or delete it."
                )
            if "\t" in tags or ":" in tags:
                words = read_tags(tag.rpartition(":")[0] for tag in tags.split("\t"))
            else:
                words = read_tags(re.findall(r"\S+ (?:hair|eyes)", tags.lower()))
            yield Row(name, number, key.strip(), words)


# Two unpaired domains, as CycleGAN and its followers keep them.

_DOMAIN = re.compile(r"(train|val|test)(A|B)")


def _domain(name: str) -> tuple[str, str] | None:
    for part in name.split("/")[:-1]:
        if found := _DOMAIN.fullmatch(part):
            return found[1], found[2]
    return None


def _fits_domains(files: Any, pictures: Sequence[str]) -> bool:
    found = {_domain(name) for name in pictures}
    return {("train", "A"), ("train", "B")} <= found


def _read_domains(files: Any, pictures: Sequence[str]) -> Annotation:
    found = {name: pair for name in pictures if (pair := _domain(name))}
    words = {name: {"split": split, "domain": domain} for name, (split, domain) in found.items()}
    annotation = Annotation([name for name in pictures if name in found], words)
    if other := [name for name in pictures if name not in found]:
        annotation.warnings.append(
            f"{len(other)} pictures lie in no folder such as trainA or testB and were left out, "
            f"such as {other[0]}."
        )
    return annotation


# Danbooru: a post a line, as JSON.


def _posts(files: Any) -> list[str]:
    """The files whose first line is a post."""
    names = [name for name in files.names if name.lower().endswith((".json", ".jsonl"))]
    found = []
    for name in names if len(names) < 1000 else ():  # many are notes about a picture each
        with files.open(name) as file:
            try:
                post = json.loads(file.readline(1 << 20))
            except ValueError:
                continue
        if isinstance(post, dict) and "id" in post and {"tags", "tag_string"} & post.keys():
            found.append(name)
    return found


def _fits_danbooru(files: Any, pictures: Sequence[str]) -> bool:
    return bool(_posts(files))


def _read_danbooru(files: Any, pictures: Sequence[str]) -> Annotation:
    """Pictures that are rated safe, general or sensitive, with what their tags say.

    Before the middle of 2022 Danbooru's "s" was "safe"; since then it is "sensitive", and "g" is
    "general". Which is meant is told by any "g", or by any date from then on.
    """
    newer = False

    def rows() -> Iterator[Row]:
        nonlocal newer
        for name in _posts(files):
            for number, line in enumerate(text_lines(files, name), 1):
                if not line.strip():
                    continue
                try:
                    post = json.loads(line)
                    key, rating = str(int(post["id"])), str(post.get("rating", ""))[:1]
                    words = read_tags(_post_tags(post))
                except (ValueError, TypeError, KeyError, AttributeError):
                    raise ValueError(
                        f"{name}, line {number} is not a post as JSON, with an id and tags. Was the "
                        "file cut short? Correct the line or delete it."
                    ) from None
                dates = (str(post.get("created_at", "")), str(post.get("updated_at", "")))
                newer = newer or rating == "g" or max(dates) >= "2022-06"
                yield Row(name, number, key, {**words, "rating": rating} if rating else words)

    matched = match(rows(), pictures, several=True)
    ratings = {"g": "general", "s": "sensitive" if newer else "safe"}
    kept, left_out = [], Counter()
    for name in pictures:
        rating = matched.words.get(name, {}).get("rating", "")
        if rating in ratings:
            matched.words[name] = {**matched.words[name], "rating": ratings[rating]}
            kept.append(name)
        else:
            left_out[{"q": "questionable", "e": "explicit"}.get(rating, "not rated")] += 1
    if left_out:
        counts = ", ".join(f"{count} {rating}" for rating, count in left_out.items())
        matched.warnings.append(
            f"Left out for their rating: {counts}. layout='folder' takes all, without labels."
        )
    if not kept:
        raise ValueError(
            f"Every picture would be left out for its rating ({counts}). Pass layout='folder' to take "
            "them all, without labels."
        )
    return _annotation(matched, kept)


def _post_tags(post: dict) -> Iterator[str]:
    """Tags of a post: one string, or a list of names or of objects with a name."""
    tags = post.get("tag_string", post.get("tags"))
    for tag in tags.split() if isinstance(tags, str) else tags:
        yield tag["name"] if isinstance(tag, dict) else tag


# CelebA: list_attr_celeba and list_eval_partition, as .txt from the authors or .csv from Kaggle.

_CELEBA = ("list_attr_celeba", "list_eval_partition")


def _fits_celeba(files: Any, pictures: Sequence[str]) -> bool:
    return bool(
        _named(files, *(f"{name}{suffix}" for name in _CELEBA for suffix in (".txt", ".csv")))
    )


def _read_celeba(files: Any, pictures: Sequence[str]) -> Annotation:
    return _annotation(match(_celeba_rows(files), pictures), pictures)


def _celeba_rows(files: Any) -> Iterator[Row]:
    words = {"-1": "no", "0": "no", "1": "yes"}
    splits = {"0": "train", "1": "val", "2": "test"}
    for name in _named(files, "list_attr_celeba.txt", "list_attr_celeba.csv"):
        for row in _celeba_lines(files, name):
            yield row._replace(words={c: words[v] for c, v in row.words.items() if v in words})
    for name in _named(files, "list_eval_partition.txt", "list_eval_partition.csv"):
        for row in _celeba_lines(files, name):
            if row.words.get("partition") not in splits:
                raise ValueError(
                    f"{name}, line {row.line}: the partition of {row.key} is none of 0, 1, 2. "
                    "Correct the line or delete it."
                )
            yield row._replace(words={"split": splits[row.words["partition"]]})


def _celeba_lines(files: Any, name: str) -> Iterator[Row]:
    if name.endswith(".csv"):
        yield from table(files, name)
        return
    header = ["partition"] if "partition" in name else None
    for number, line in enumerate(text_lines(files, name), 1):
        cells = line.split()
        if header is None and (not cells or (number == 1 and len(cells) == 1)):
            continue  # the number of pictures
        if header is None:
            header = cells
        elif cells and len(cells) != len(header) + 1:
            raise ValueError(
                f"{name}, line {number} has {len(cells) - 1} values, not {len(header)}. "
                "Correct the line or delete it."
            )
        elif cells:
            yield Row(name, number, cells[0], dict(zip(header, cells[1:], strict=True)))


# UTKFace: age_gender_race_date.jpg, its aligned faces age_gender_race_date.jpg.chip.jpg.

_UTKFACE = re.compile(r"(\d{1,3})_([01])_([0-4])_\d{12,}")
_GENDERS = ("male", "female")
_RACES = ("white", "black", "asian", "indian", "other")


def _fits_utkface(files: Any, pictures: Sequence[str]) -> bool:
    found = sum(bool(_UTKFACE.match(name.rpartition("/")[2])) for name in pictures)
    return found > 0.9 * len(pictures)


def _read_utkface(files: Any, pictures: Sequence[str]) -> Annotation:
    annotation = Annotation(pictures)
    for name in pictures:
        if found := _UTKFACE.match(name.rpartition("/")[2]):
            gender, race = _GENDERS[int(found[2])], _RACES[int(found[3])]
            annotation.words[name] = {"age": str(int(found[1])), "gender": gender, "race": race}
    if bare := [name for name in pictures if name not in annotation.words]:
        annotation.warnings.append(
            f"{len(bare)} names lack age, gender or race and give no label, such as {bare[0]}."
        )
    return annotation


LAYOUTS: dict[str, Layout] = {
    "labels": Layout(_fits_table, _read_table),
    "ntu-tagged": Layout(_fits_tags, _read_tags),
    "celeba": Layout(_fits_celeba, _read_celeba),
    "danbooru": Layout(_fits_danbooru, _read_danbooru),
    "two-domains": Layout(_fits_domains, _read_domains),
    "utkface": Layout(_fits_utkface, _read_utkface),
    "folder": Layout(lambda files, pictures: True, lambda files, pictures: Annotation(pictures)),
}
