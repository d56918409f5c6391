"""Labels from files: from lines to the pictures that they are about."""

import csv
import itertools
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from anime_keras.data.people import FACTORS

_ALIKE = {"grey": "gray", "silver": "gray", "blond": "blonde"}
_TAGS = {
    "1girl": ("gender", "feminine"),
    "1boy": ("gender", "masculine"),
    "smile": ("expression", "smile"),
    "laughing": ("expression", "laugh"),
    "sad": ("expression", "sad"),
    "angry": ("expression", "angry"),
    "surprised": ("expression", "surprised"),
    "expressionless": ("expression", "neutral"),
}
_KEYS = ("file", "filename", "file_name", "image", "image_id", "id", "name", "path")


class Row(NamedTuple):
    """What one line of a file says.

    Attributes:
        file: where it stands.
        line: its number, from 1.
        key: the picture's path, file name or file name without suffix.
        words: column -> word.
    """

    file: str
    line: int
    key: str
    words: dict[str, str]


@dataclass
class Matched:
    """Rows brought together with pictures.

    Attributes:
        words: name of the picture -> column -> word.
        warnings: a sentence each.
    """

    words: dict[str, dict[str, str]]
    warnings: list[str] = field(default_factory=list)


def match(rows: Iterable[Row], pictures: Sequence[str], several: bool = False) -> Matched:
    """Finds the picture of each row.

    Args:
        rows: lines of labels.
        pictures: names of the pictures.
        several: a row may be about several files of the same name in different folders.

    Raises:
        ValueError: two rows contradict each other about a picture, a row fits several pictures, or
            no row fits any.
    """
    index = _Index(pictures)
    words: dict[str, dict[str, str]] = {}
    lines: dict[str, Row] = {}
    lost, lost_count, repeated, repeated_count, count = None, 0, None, 0, 0
    for row in rows:
        count += 1
        names = index.find(row)
        if len(names) > 1 and not several:
            raise ValueError(
                f"{row.file}, line {row.line}: {row.key!r} fits {len(names)} pictures, such as "
                f"{names[0]} and {names[1]}. Write their paths into the file instead."
            )
        if not names:
            lost, lost_count = lost or row, lost_count + 1
        for name in names:
            if name not in words:
                words[name], lines[name] = row.words, row
                continue
            known = words[name]
            for column in known.keys() & row.words.keys():
                if known[column] != row.words[column]:
                    raise ValueError(
                        f"{name} has two labels for {column}: {known[column]!r} "
                        f"({_where(lines[name])}) and {row.words[column]!r} ({_where(row)}). "
                        "Delete the wrong line."
                    )
            if row.words.keys() <= known.keys():
                repeated, repeated_count = repeated or row, repeated_count + 1
            words[name] = known | row.words
    if count and not words:
        raise ValueError(
            f"None of {count} labels belongs to a picture: the first is for {lost.key!r} "
            f"({_where(lost)}), and the first picture is {pictures[0]}. Keep the label file beside the "
            "pictures that it is about, or pass layout='folder' to do without labels."
        )
    warnings = []
    if lost_count:
        warnings.append(
            f"{lost_count} labels belong to no picture, such as that for {lost.key!r} ({_where(lost)})."
        )
    if repeated_count:
        warnings.append(f"{repeated_count} lines repeat a label, such as {_where(repeated)}.")
    bare = [name for name in pictures if name not in words]
    if bare and count:
        warnings.append(f"{len(bare)} pictures have no label, such as {bare[0]}.")
    return Matched(words, warnings)


def _where(row: Row) -> str:
    return f"{row.file}, line {row.line}"


class _Index:
    """Finds pictures by path, by file name and by file name without suffix, in this order."""

    def __init__(self, pictures: Sequence[str]) -> None:
        self._paths: dict[str, str] = {}
        self._names: dict[str, list[str]] = defaultdict(list)
        for picture in pictures:
            # A Mac writes accents as letters of their own (NFD), other systems do not (NFC).
            path = PurePosixPath(unicodedata.normalize("NFC", picture))
            self._paths[str(path)] = picture
            for name in {path.name, path.stem}:
                self._names[name].append(picture)

    def find(self, row: Row) -> list[str]:
        key = unicodedata.normalize("NFC", row.key.replace("\\", "/"))
        folder = PurePosixPath(row.file).parent
        for path in (str(folder / key), key):
            if path in self._paths:
                return [self._paths[path]]
        found = self._names.get(PurePosixPath(key).name, [])
        if "/" in key:
            ends = (f"/{key}", f"/{key}{PurePosixPath(found[0]).suffix}") if found else ()
            found = [name for name in found if f"/{name}".endswith(ends)]
        if len(found) > 1 and str(folder) != ".":
            near = [name for name in found if name.startswith(f"{folder}/")]
            found = near or found
        return found


def text_lines(files: Any, name: str) -> Iterator[str]:
    """The lines of a text file, each with "\\n" at its end.

    Raises:
        ValueError: it is not UTF-8.
    """
    with files.open(name) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError:
                raise ValueError(
                    f"{name}, line {number} is not UTF-8. Save the file as UTF-8 (in Excel: "
                    "CSV UTF-8), and try again."
                ) from None
            yield text.rstrip("\r\n") + "\n"


def table(files: Any, name: str) -> Iterator[Row]:
    """The rows of a CSV whose first line names the columns.

    The picture is named in the first column that is called file, filename, file_name, image,
    image_id, id, name or path, or else in the first. Empty cells are unknown words.

    Raises:
        ValueError: a line has more or fewer cells than the header, or names no picture.
    """
    lines = text_lines(files, name)
    first = next(lines, "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(itertools.chain([first], lines), delimiter=delimiter)
    header = [cell.strip() for cell in next(reader)]
    if len(set(header)) < len(header):
        raise ValueError(f"{name}, line 1: two columns have one name. Give them different names.")
    small = [column.lower() for column in header]
    key = next((small.index(k) for k in _KEYS if k in small), 0)
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header) or not cells[key].strip():
            raise ValueError(
                f"{name}, line {reader.line_num}: {delimiter.join(cells)!r} does not fit the header "
                f"{delimiter.join(header)!r}. Correct the line or delete it."
            )
        words = {
            column: cell.strip() for column, cell in zip(header, cells, strict=True) if cell.strip()
        }
        yield Row(name, reader.line_num, words.pop(header[key]), words)


def read_tags(tags: Iterator[str] | Sequence[str]) -> dict[str, str]:
    """The words that tags such as "blue hair" or "red_eyes" come to.

    A column for which the tags name two words (two people, or hair of two colours) is left out.
    """
    found: dict[str, set[str]] = {}
    for tag in tags:
        tag = tag.strip().lower().replace("_", " ")
        color, _, part = tag.partition(" ")
        color = _ALIKE.get(color, color)
        if part == "hair" and color in FACTORS["hair_color"]:
            found.setdefault("hair_color", set()).add(color)
        elif part == "eyes" and color in FACTORS["eye_color"]:
            found.setdefault("eye_color", set()).add(color)
        elif tag in _TAGS:
            column, word = _TAGS[tag]
            found.setdefault(column, set()).add(word)
    return {column: words.pop() for column, words in found.items() if len(words) == 1}
