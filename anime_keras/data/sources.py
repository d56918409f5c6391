"""Any collection of pictures, opened: a folder, an archive, parquet files or a known public layout.

```python
with open_source("faces.zip") as source:
    for item in source.items:
        image = reading.read(source.read_bytes(item))
```
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from anime_keras.data import archives, layouts, reading


@dataclass(frozen=True, slots=True)
class Item:
    """A file that ought to be a picture.

    Attributes:
        name: relative POSIX path inside the source, unique in it.
        labels: label column -> word; a column is missing where its word is unknown.
        split: "train", "val" or "test" where the publisher said so.
        domain: "A" or "B" in a collection of two unpaired kinds of pictures.
    """

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    split: str | None = None
    domain: str | None = None


class Source:
    """An open collection. It can be pickled, and read from by many threads and processes.

    Attributes:
        name: what messages call it.
        layout: how its labels were found, a name of `layouts.LAYOUTS`.
        items: what is to be read, sorted by name.
        warnings: what was passed over or looks wrong, a sentence each.
        label_names: label column -> its words, in order.
    """

    def __init__(
        self,
        name: str,
        files: Any,
        items: Sequence[Item],
        layout: str = "folder",
        warnings: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.card = None
        self.layout = layout
        self.items = sorted(items, key=lambda item: item.name)
        self.warnings = list(warnings)
        self.label_names = _label_names(self.items)
        self._files = files

    def read_bytes(self, item: Item) -> bytes:
        """The content of a file.

        Raises:
            reading.Unreadable: it cannot be had; the message is the reason.
        """
        return self._files.read(item.name)

    def close(self) -> None:
        """Close what is open, remove what is temporary."""
        self._files.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _label_names(items: Sequence[Item]) -> dict[str, tuple[str, ...]]:
    """The words of each column, numbers by size and the rest by the alphabet."""
    words: dict[str, set[str]] = {}
    for item in items:
        for column, word in item.labels.items():
            words.setdefault(column, set()).add(word)
    return {
        column: tuple(sorted(found, key=lambda w: (0, int(w), w) if w.isdecimal() else (1, 0, w)))
        for column, found in words.items()
    }


def open_source(source: str | Path, layout: str | None = None) -> Source:
    """Open a collection of pictures, whatever it comes in.

    Args:
        source: a folder, a .zip, a .tar (.gz, .bz2, .xz).
        layout: a name of `layouts.LAYOUTS` to read the labels by; by default it is found out from
            the names of the files. "folder" takes the pictures and no labels.

    Returns:
        The open source, to be used in a `with` statement.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: there is no picture, the archive is damaged or dangerous, or the labels
            contradict each other. The message says what to do.
    """
    path = Path(source)
    files = _open_files(path)
    try:
        pictures = [name for name in files.names if _suffix(name) in layouts.PICTURES]
        if not pictures:
            raise ValueError(_no_pictures(path, files.names))
        found = layouts.annotate(layout, files.names, pictures, files.read)
        items = [
            Item(name, found.labels.get(name, {}), found.splits.get(name), found.domains.get(name))
            for name in found.pictures
        ]
        return Source(path.name, files, items, found.layout, found.warnings)
    except BaseException:
        files.close()
        raise


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _open_files(path: Path) -> Any:
    if path.is_dir():
        return archives.Folder(path)
    if not path.exists():
        raise FileNotFoundError(
            f"There is nothing at {path}. Give the path of a folder, a .zip or a .tar with pictures."
        )
    if archives.is_zip(path):
        return archives.Zip(path)
    if archives.is_tar(path):
        return archives.Tar(path)
    if path.suffix.lower() in layouts.PICTURES:
        raise ValueError(f"{path} is one file, not a collection: pass its folder, {path.parent}.")
    raise ValueError(
        f"{path} is neither a folder nor an archive that is known here (.zip, .tar, .tar.gz, "
        ".tar.bz2, .tar.xz). Unpack it by hand, and pass the folder."
    )


def _no_pictures(path: Path, names: Sequence[str]) -> str:
    if not names:
        return f"{path} is empty. Put pictures there, or pass another folder."
    packed = [name for name in names if _suffix(name) in (".zip", ".tar", ".gz", ".tgz", ".xz")]
    return (
        f"There is no picture in {path}, only {len(names)} other files, such as {names[0]}. "
        f"Looked for {', '.join(reading.SUFFIXES)} at any depth. "
        + (f"Is {packed[0]} the collection? Then pass that file." if packed else "Pass another.")
    )
