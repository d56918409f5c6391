"""How public collections tell what is on their pictures: label files, folder names, file names."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from anime_keras.data import reading

# The latter are no picture to `reading`, but they are to people, who want to hear why not.
PICTURES = frozenset((*reading.SUFFIXES, ".heic", ".heif", ".avif", ".svg", ".jxl", ".jp2"))


@dataclass
class Annotation:
    """What a layout says of a collection's pictures.

    Attributes:
        layout: its name.
        pictures: names of the files to take.
        labels: name -> column -> word.
        splits: name -> "train", "val" or "test".
        domains: name -> "A" or "B".
        warnings: a sentence each.
    """

    layout: str
    pictures: Sequence[str]
    labels: dict[str, dict[str, str]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    domains: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def annotate(
    layout: str | None,
    names: Sequence[str],
    pictures: Sequence[str],
    read: Callable[[str], bytes],
) -> Annotation:
    """Labels, splits and domains of the pictures by the layout that is asked for or found out."""
    return Annotation("folder", pictures)
