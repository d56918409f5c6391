"""Any collection of pictures, opened: a folder, an archive, parquet files or a known public layout.

```python
with open_source("faces.zip") as source:
    for item in source.items:
        image = reading.read(source.read_bytes(item))
```
"""

import posixpath
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anime_keras.data import archives, catalog, layouts, reading
from anime_keras.data.parquet import Parquet
from anime_keras.data.people import FACTORS


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
        card: what is known of it in `catalog.CATALOG`, or None.
        layout: how its labels were found: a name of `layouts.LAYOUTS`, or "parquet".
        items: what is to be read, sorted by name.
        warnings: what was passed over or looks wrong, a sentence each.
        label_names: label column -> its words. Where a column has the name and only words of one of
            this kit's factors, they are all of the factor's words in the factor's order, so that a
            word has one number in drawn and in collected pictures.
    """

    def __init__(
        self,
        name: str,
        files: Any,
        items: Sequence[Item],
        layout: str = "folder",
        warnings: Sequence[str] = (),
        card: catalog.Card | None = None,
    ) -> None:
        self.name = name
        self.card = card
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
    words: dict[str, set[str]] = defaultdict(set)
    for item in items:
        for column, word in item.labels.items():
            words[column].add(word)
    return {
        column: FACTORS[column] if found <= {*FACTORS.get(column, ())} else _in_order(found)
        for column, found in sorted(words.items())
    }


def _in_order(words: set[str]) -> tuple[str, ...]:
    """Numbers by their size, then the rest by the alphabet."""
    return tuple(sorted(words, key=lambda w: (0, int(w), w) if w.isdecimal() else (1, 0, w)))


def open_source(source: str | Path, layout: str | None = None) -> Source:
    """Open a collection of pictures, whatever it comes in.

    Args:
        source: a folder, a .zip, a .tar (.gz, .bz2, .xz), a parquet file or a folder of them, or
            "kaggle:owner/name" or "hf:owner/name" to be downloaded first.
        layout: a name of `catalog.CATALOG` or `layouts.LAYOUTS` to read the labels by; by default
            it is found out from the files. "folder" takes the pictures and no labels.

    Returns:
        The open source, to be used in a `with` statement.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: there is no picture, the archive is damaged or dangerous, the labels contradict
            each other, or the download failed. The message says what to do.
        OSError: there is no space to read a compressed tar.
    """
    if catalog.is_remote(source):
        path, name = catalog.download(source), str(source)
    else:
        path = Path(source)
        name = path.resolve().name
    if layout is not None:
        catalog.check_layout(layout)
    card = catalog.CATALOG.get(layout) or catalog.by_address(name)
    if card and layout:
        layout = card.layout
    files = _open_files(path)
    try:
        if isinstance(files, Parquet):
            items = [_item(picture, files.words[picture]) for picture in files.names]
            return Source(name, files, items, "parquet", card=card)
        pictures = [file for file in files.names if _suffix(file) in layouts.PICTURES]
        if not pictures:
            raise ValueError(_no_pictures(path, files.names))
        found = layouts.annotate(files, pictures, layout)
        items = [_item(picture, found.words.get(picture, {})) for picture in found.pictures]
        others = [file for file in files.names if _suffix(file) not in layouts.PICTURES]
        warnings = [*found.warnings, *_passed_over(others)]
        card = card or catalog.detect(name, found.pictures, others, found.layout)
        return Source(name, files, items, found.layout, warnings, card)
    except BaseException:
        files.close()
        raise


def _item(name: str, words: dict[str, str]) -> Item:
    labels = dict(words)
    split = layouts.SPLITS.get(labels.get("split", "").lower())
    if split:
        del labels["split"]
    return Item(name, labels, split, labels.pop("domain", None))


def _passed_over(names: Sequence[str]) -> list[str]:
    """A warning where files are neither pictures nor what usually lies beside them."""
    beside = (".csv", ".txt", ".md", ".json", ".jsonl", ".npz", ".html")
    other = [name for name in names if _suffix(name) not in beside]
    if not other:
        return []
    return [
        f"{len(other)} files are not called like pictures and were passed over, such as {other[0]}."
    ]


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _open_files(path: Path) -> Any:
    if path.is_dir():
        folder = archives.Folder(path)
        parquet = [path / name for name in folder.names if _suffix(name) == ".parquet"]
        pictures = any(_suffix(name) in layouts.PICTURES for name in folder.names)
        return Parquet(parquet) if parquet and not pictures else folder
    if not path.exists():
        raise FileNotFoundError(
            f"There is nothing at {path}. Give the path of a folder, a .zip or a .tar with pictures."
        )
    if path.suffix.lower() == ".parquet":
        return Parquet([path])
    if archives.is_zip(path):
        return archives.Zip(path)
    if archives.is_tar(path):
        return archives.Tar(path)
    if path.suffix.lower() in layouts.PICTURES:
        raise ValueError(f"{path} is one file, not a collection: pass its folder, {path.parent}.")
    raise ValueError(
        f"{path} is neither a folder nor an archive that is known here (.zip, .tar, .tar.gz, "
        ".tar.bz2, .tar.xz, .parquet). Unpack it by hand, and pass the folder."
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
