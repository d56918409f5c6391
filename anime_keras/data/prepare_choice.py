"""The part of `prepare` that sees all pictures at once: which copies go, and who is in which split.

Nothing but hashes and names is held here, some hundred bytes a picture.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from anime_keras.data import duplicates
from anime_keras.data.prepare_work import Chunk, Reason, Seen
from anime_keras.data.sources import Item

STEPS = {
    "open": "open and check",
    "exact duplicate": "remove exact duplicates",
    "find faces": "find faces",
    "size": "drop too small",
    "blank": "drop blank",
    "blurred": "drop blurred",
    "near duplicate": "remove near duplicates",
}
"""Key of a step, as in rejected.csv -> what it does, in the order of the work."""
_HELD_OUT = {"test": 0, "val": 1, "train": 2, None: 3}


@dataclass(slots=True)
class Picture:
    """A crop of a file.

    Attributes:
        item: the file.
        sha256: of its bytes.
        number: 0 for the file's first crop.
        hash: uint64 (2,).
        side: how many of the file's pixels its side was.
        face: as in `prepare_work.Crop`.
        chunk: where its pixels are.
        place: which they are in it.
        labels: of the file, filled up from its exact duplicates, with its domain.
        split: where it goes.
    """

    item: Item
    sha256: str
    number: int
    hash: np.ndarray
    side: float
    face: dict[str, Any] | None
    chunk: Chunk
    place: int
    labels: dict[str, str]
    split: str | None = None

    @property
    def name(self) -> str:
        """The file's name, with `#2` for its second face."""
        return _name(self.item, self.number)

    def image(self) -> np.ndarray:
        """uint8 (size, size, 3)."""
        return self.chunk.image(self.place)


class Rejected(NamedTuple):
    """A file or a face that is left out.

    Attributes:
        item: the file.
        number: which of its crops.
        reason: the step and why.
        face: as in `prepare_work.Crop`, where it is known.
        picture: of a near duplicate, what would have been used.
        twin: of a near duplicate, what stays in its place.
    """

    item: Item
    number: int
    reason: Reason
    face: dict[str, Any] | None = None
    picture: Picture | None = None
    twin: Picture | None = None

    @property
    def name(self) -> str:
        """As of `Picture`."""
        return _name(self.item, self.number)


@dataclass
class Choice:
    """What is kept and what is not.

    Attributes:
        kept: pictures in the order of their files' checksums, which is as good as shuffled.
        rejected: in the order of the source.
        files: how many files there were.
        faces: how many faces were found in them; None where nobody looked.
        together: pairs of near duplicates that are both kept, in one split.
    """

    kept: list[Picture]
    rejected: list[Rejected]
    files: int
    faces: int | None
    together: list[tuple[Picture, Picture]]

    def split(self, name: str) -> list[Picture]:
        """The pictures of a split."""
        return [picture for picture in self.kept if picture.split == name]

    def steps(self) -> list[dict[str, Any]]:
        """For each step its name, and how many pictures it `removed` and how many were `left`."""
        rows, left = [], self.files
        for step in STEPS:
            if step == "find faces" and self.faces is None:
                continue
            removed = sum(rejected.reason.step == step for rejected in self.rejected)
            # Where faces are found, faces are counted from here on.
            left = self.faces if step == "find faces" else left - removed
            rows.append({"step": step, "removed": removed, "left": left})
        return rows


def choose(
    chunks: Sequence[Chunk],
    val: float = 0.05,
    test: float = 0.05,
    near: str = "remove",
    faces: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Choice:
    """Decide about all pictures.

    Args:
        chunks: of the whole source, done.
        val: part of the pictures, in [0, 1), to validate on, where the source has no splits itself.
        test: the same to test on.
        near: "remove" all but one of near duplicates, or keep them "together" in one split.
        faces: whether faces were looked for.
        progress: called as progress(done, total) while candidates are compared.
    """
    pictures, rejected = _gather(chunks)
    found = len(pictures) + sum(one.face is not None for one in rejected) if faces else None
    pairs = _near_duplicates(pictures, progress)
    twins = np.arange(len(pictures))
    if near == "remove":
        twins = duplicates.originals(len(pictures), pairs, _order(pictures))
    _assign(pictures, twins, pairs, val, test)
    if near == "together":
        # Where the source's own splits hold the same drawing, the rest of it must go.
        splits = np.array([_HELD_OUT[picture.split] for picture in pictures], int)
        crossing = pairs[splits[pairs[:, 0]] != splits[pairs[:, 1]]]
        twins = duplicates.originals(len(pictures), crossing, _order(pictures))
    for place, twin in enumerate(twins.tolist()):
        if place != twin:
            reason = Reason("near duplicate", f"nearly the same as {pictures[twin].name}")
            picture = pictures[place]
            rejected.append(
                Rejected(
                    picture.item, picture.number, reason, picture.face, picture, pictures[twin]
                )
            )
    stay = twins == np.arange(len(pictures))
    return Choice(
        kept=sorted(
            (picture for picture, stays in zip(pictures, stay, strict=True) if stays),
            key=lambda picture: (picture.sha256, picture.number),
        ),
        rejected=sorted(rejected, key=lambda one: (one.item.name, one.number)),
        files=sum(len(chunk.items) for chunk in chunks),
        faces=found,
        together=[(pictures[i], pictures[j]) for i, j in pairs if stay[i] and stay[j]],
    )


def _gather(chunks: Sequence[Chunk]) -> tuple[list[Picture], list[Rejected]]:
    """All pictures but the exact duplicates; and what was left out up to here."""
    first: dict[str, Item] = {}
    labels: dict[str, dict[str, str]] = {}
    for _, item, seen in _files(chunks):
        if seen.rejected and seen.rejected.step == "open":
            continue
        own = {**item.labels, **({"domain": item.domain} if item.domain else {})}
        known = first.get(seen.sha256)
        if known is None or _HELD_OUT[item.split] < _HELD_OUT[known.split]:
            first[seen.sha256] = item
            labels[seen.sha256] = {**labels.get(seen.sha256, {}), **own}
        else:
            labels[seen.sha256] = {**own, **labels[seen.sha256]}
    pictures, rejected = [], []
    for chunk, place, item, seen in _placed(chunks):
        kept = first.get(seen.sha256)
        if kept is not None and kept is not item:
            rejected.append(Rejected(item, 0, Reason("exact duplicate", _same(item, kept))))
        elif seen.rejected:
            rejected.append(Rejected(item, 0, seen.rejected))
        else:
            for number, crop in enumerate(seen.crops):
                if crop.rejected:
                    rejected.append(Rejected(item, number, crop.rejected, crop.face))
                    continue
                pictures.append(
                    Picture(
                        item,
                        seen.sha256,
                        number,
                        crop.hash,
                        crop.side,
                        crop.face,
                        chunk,
                        place,
                        labels[seen.sha256],
                    )
                )
                place += 1
    return pictures, rejected


def _files(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, Item, Seen]]:
    for chunk in chunks:
        for item, seen in zip(chunk.items, chunk.read(), strict=True):
            yield chunk, item, seen


def _placed(chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, int, Item, Seen]]:
    """As `_files`, with the place in the chunk of the first crop of each."""
    last, place = None, 0
    for chunk, item, seen in _files(chunks):
        place = place if chunk is last else 0
        last = chunk
        yield chunk, place, item, seen
        place += sum(crop.rejected is None for crop in seen.crops)


def _same(item: Item, kept: Item) -> str:
    text = f"the same file as {kept.name}"
    for label, word in item.labels.items():
        other = kept.labels.get(label, word)
        if other != word:
            text += f", but labelled {label} {word} instead of {other}"
    return text


def _near_duplicates(
    pictures: Sequence[Picture], progress: Callable[[int, int], None] | None
) -> np.ndarray:
    """Pairs (pairs, 2) of pictures that are one drawing."""
    hashes = np.array([picture.hash for picture in pictures], np.uint64).reshape(-1, 2)
    found = duplicates.candidates(hashes)
    lines = lru_cache(4096)(lambda place: duplicates.lines(pictures[place].image()))
    same = np.zeros(len(found), bool)
    for number, (i, j) in enumerate(found.tolist()):
        same[number] = duplicates.agreement(lines(i), lines(j)) >= duplicates.AGREEMENT
        if progress and number % 256 == 0:
            progress(number, len(found))
    return found[same]


def _order(pictures: Sequence[Picture]) -> list[int]:
    """Whom to keep first.

    What is held out, so that a published test set stays whole; then the larger; and of two that are
    as large, give or take a tenth, the one with more labels.
    """
    return sorted(
        range(len(pictures)),
        key=lambda i: (
            _HELD_OUT[pictures[i].split or pictures[i].item.split],
            -round(8 * math.log2(pictures[i].side)),
            -len(pictures[i].labels),
            -pictures[i].side,
            i,
        ),
    )


def _assign(
    pictures: Sequence[Picture], twins: np.ndarray, pairs: np.ndarray, val: float, test: float
) -> None:
    """Give every picture its split: the source's own, or one by the file's checksum.

    A checksum is as good as a die, and the same in every run and every collection, whatever else is
    in it. What hangs together goes by one: near duplicates, and all faces of a file.
    """
    files: dict[str, int] = {}
    siblings = [(files.setdefault(p.item.name, i), i) for i, p in enumerate(pictures)]
    links = np.concatenate([pairs, np.array(siblings, np.int64).reshape(-1, 2)])
    together: dict[int, list[int]] = {}
    for place, group in enumerate(duplicates.groups(len(pictures), links).tolist()):
        together.setdefault(group, []).append(place)
    for group in together.values():
        given = min((pictures[i].item.split for i in group), key=_HELD_OUT.__getitem__)
        lead = min(pictures[i].sha256 for i in group if twins[i] == i)
        for i in group:
            pictures[i].split = pictures[i].item.split or given or draw_split(lead, val, test)


def draw_split(sha256: str, val: float, test: float) -> str:
    """The split of a file by its checksum in hexadecimal: "train", "val" or "test".

    Another `val` moves no picture into `test` or out of it.
    """
    chance = int(sha256[:16], 16) / 2**64
    return "test" if chance < test else "val" if chance < test + val else "train"


def _name(item: Item, number: int) -> str:
    return item.name + (f"#{number + 1}" if number else "")
