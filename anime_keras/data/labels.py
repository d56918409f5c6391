"""Labels from files: from lines to the pictures that they are about."""

import csv
import itertools
import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from anime_keras.data.archives import DAMAGES
from anime_keras.data.people import FACTORS
from anime_keras.data.reading import Unreadable

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
    said: dict[str, list[Row]] = {}
    lost, repeated = _Tally(), _Tally()
    for row in rows:
        names = index.find(row)
        if not names:
            lost.add(row)
        if len(names) > 1 and not several:
            raise ValueError(
                f"{row.file}, line {row.line}: {row.key!r} fits {len(names)} pictures, such as "
                f"{names[0]} and {names[1]}. Write their paths into the file instead."
            )
        for name in names:
            earlier = said.setdefault(name, [])
            for other in earlier:
                _check_agreement(name, other, row)
            if any(row.words.items() <= other.words.items() for other in earlier):
                repeated.add(row)
            earlier.append(row)
    if lost.count and not said:
        raise ValueError(
            f"None of {lost.count} labels belongs to a picture: the first is for {lost.first.key!r} "
            f"({_where(lost.first)}), and the first picture is {pictures[0]}. Keep the label file "
            "beside the pictures that it is about, or pass layout='folder' to do without labels."
        )
    warnings = []
    if lost.count:
        warnings.append(
            f"{lost.count} labels belong to no picture, such as that for {lost.first.key!r} "
            f"({_where(lost.first)})."
        )
    if repeated.count:
        warnings.append(f"{repeated.count} lines repeat a label, such as {_where(repeated.first)}.")
    bare = [name for name in pictures if name not in said]
    if bare and said:
        warnings.append(f"{len(bare)} pictures have no label, such as {bare[0]}.")
    words = {
        name: {column: word for row in about for column, word in row.words.items()}
        for name, about in said.items()
    }
    return Matched(words, warnings)


@dataclass
class _Tally:
    """How many rows, and the first of them to show."""

    count: int = 0
    first: Row | None = None

    def add(self, row: Row) -> None:
        self.count += 1
        self.first = self.first or row


def _check_agreement(name: str, one: Row, other: Row) -> None:
    for column in one.words.keys() & other.words.keys():
        if one.words[column] != other.words[column]:
            raise ValueError(
                f"{name} has two labels for {column}: {one.words[column]!r} ({_where(one)}) and "
                f"{other.words[column]!r} ({_where(other)}). Delete the wrong line."
            )


def _where(row: Row) -> str:
    return f"{row.file}, line {row.line}"


class _Index:
    """Finds pictures by path, by file name and by file name without suffix, in this order."""

    def __init__(self, pictures: Sequence[str]) -> None:
        self._paths: dict[str, str] = {}
        self._names: dict[str, list[str]] = defaultdict(list)
        for picture in pictures:
            path = _composed(picture)
            self._paths[path] = picture
            name = path.rpartition("/")[2]
            for key in {name, posixpath.splitext(name)[0]}:
                self._names[key].append(picture)

    def find(self, row: Row) -> list[str]:
        key = posixpath.normpath(_composed(row.key).replace("\\", "/"))
        folder = row.file[: row.file.rfind("/") + 1]
        for path in (_composed(folder) + key, key):
            if path in self._paths:
                return [self._paths[path]]
        found = self._names.get(key.rpartition("/")[2], [])
        if "/" in key:
            found = [n for n in found if self._ends(n, key)]
        near = [name for name in found if name.startswith(folder)] if len(found) > 1 else []
        return near or found

    @staticmethod
    def _ends(name: str, key: str) -> bool:
        path = "/" + _composed(name)
        return path.endswith("/" + key) or posixpath.splitext(path)[0].endswith("/" + key)


def _composed(name: str) -> str:
    """A name with accents as most systems write them (NFC); a Mac's are letters of their own."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def text_lines(files: Any, name: str) -> Iterator[str]:
    """The lines of a text file, each with "\\n" at its end.

    Raises:
        ValueError: it cannot be read, or is not UTF-8.
    """
    number = 0
    try:
        with files.open(name) as file:
            for number, line in enumerate(file, 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                yield text.rstrip("\r\n") + "\n"
    except UnicodeDecodeError:
        raise ValueError(
            f"{name}, line {number} is not UTF-8. Save the file as UTF-8 (in Excel: CSV UTF-8), and "
            "try again."
        ) from None
    except (*DAMAGES, Unreadable) as error:
        raise ValueError(
            f"{name} cannot be read: {error}. Repair it, or take it away to do without labels."
        ) from None


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
