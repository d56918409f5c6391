"""Pictures and labels in parquet files, as Hugging Face keeps image collections.

A column `image` holds `{bytes, path}` or the bytes alone; columns of text, whole numbers or truth
values beside it are labels. Class names are taken from the note that the `datasets` library leaves
in the file.
"""

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from anime_keras.data.reading import Unreadable

_SPLIT = re.compile(r"(train|validation|valid|val|test)(?![a-z])")


def _pyarrow() -> ModuleType:
    try:
        import pyarrow.parquet
    except ImportError:
        raise ValueError(
            "Parquet files are read by pyarrow, which is not installed. Run: pip install pyarrow"
        ) from None
    return pyarrow


class Parquet:
    """The pictures of one or many parquet files; another kind of container beside `archives`.

    Attributes:
        names: a name a picture: the file's, the row's number, and the suffix if one was noted.
        words: name -> column -> word; the column "split" is from the files' names.

    Raises:
        ValueError: pyarrow is missing, a file is damaged, or it has no column of pictures.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.names: list[str] = []
        self.words: dict[str, dict[str, str]] = {}
        self._rows: dict[str, tuple[Path, int, int]] = {}
        self._columns: dict[Path, str] = {}
        self._forget()
        pyarrow = _pyarrow()
        stems = _unique_stems(paths)
        for path in paths:
            try:
                with pyarrow.parquet.ParquetFile(path) as file:
                    self._index(path, stems[path], file)
            except (pyarrow.ArrowException, OSError) as error:
                raise ValueError(
                    f"The parquet file {path} cannot be read: it is damaged or cut short ({error}). "
                    "Download it again."
                ) from None

    def _index(self, path: Path, stem: str, file: Any) -> None:
        schema = file.schema_arrow
        self._columns[path] = image = _image_column(path, schema)
        notes = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = notes.get("info", {}).get("features", {})
        columns = [field.name for field in schema if _is_label(field.type)]
        table = file.read(columns, use_threads=False)
        values = {column: table[column].to_pylist() for column in columns}
        for column in columns:
            if words := features.get(column, {}).get("names"):
                values[column] = [
                    words[v] if v is not None and 0 <= v < len(words) else None
                    for v in values[column]
                ]
        paths = _paths(file, image)
        split = _SPLIT.match(path.stem)
        row = 0
        for group in range(file.num_row_groups):
            for place in range(file.metadata.row_group(group).num_rows):
                name = f"{stem}/{row:06d}{PurePosixPath(paths[row] or '').suffix}"
                words = {c: str(v[row]) for c, v in values.items() if v[row] not in (None, "")}
                if split and "split" not in words:
                    words["split"] = split[1]
                self.names.append(name)
                self.words[name] = words
                self._rows[name] = path, group, place
                row += 1

    def read(self, name: str) -> bytes:
        """The content of a picture; raises `Unreadable` where it cannot be had."""
        path, group, place = self._rows[name]
        try:
            value = self._group(path, group)[place].as_py()
        except (_pyarrow().ArrowException, OSError) as error:
            raise Unreadable(f"damaged in the parquet file: {error}") from None
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise Unreadable("the parquet file holds only its path, not its content")
        return content

    def _group(self, path: Path, group: int) -> Any:
        """The pictures of a row group, which can only be read as a whole; the last two are kept."""
        with self._lock:
            if (path, group) not in self._groups:
                with _pyarrow().parquet.ParquetFile(path) as file:
                    column = self._columns[path]
                    table = file.read_row_group(group, [column], use_threads=False)
                self._groups[path, group] = table[column]
                if len(self._groups) > 2:
                    self._groups.popitem(last=False)
            self._groups.move_to_end((path, group))
            return self._groups[path, group]

    def _forget(self) -> None:
        self._groups: OrderedDict = OrderedDict()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k not in ("_groups", "_lock")}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._forget()

    def close(self) -> None:
        """Let go of what is in memory."""
        self._groups.clear()


def _unique_stems(paths: Sequence[Path]) -> dict[Path, str]:
    """A short name for each file: its own, and its folder's where two are called the same."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return dict(zip(paths, stems, strict=True))
    return {path: "/".join(path.with_suffix("").parts[-2:]) for path in paths}


def _image_column(path: Path, schema: Any) -> str:
    found = [field.name for field in schema if _is_image(field.type)]
    if "image" in found:
        return "image"
    if len(found) == 1:
        return found[0]
    raise ValueError(
        f"The parquet file {path} has no column 'image' that holds pictures (its columns: "
        f"{', '.join(schema.names)}). Rename the column that does."
    )


def _is_image(kind: Any) -> bool:
    types = _pyarrow().types
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return types.is_binary(kind) or types.is_large_binary(kind)


def _is_label(kind: Any) -> bool:
    types = _pyarrow().types
    if types.is_dictionary(kind):
        kind = kind.value_type
    simple = (types.is_string, types.is_large_string, types.is_integer, types.is_boolean)
    return any(test(kind) for test in simple)


def _paths(file: Any, image: str) -> list[str | None]:
    """The path noted beside each picture, read without the pictures."""
    kind = file.schema_arrow.field(image).type
    if not _pyarrow().types.is_struct(kind) or kind.get_field_index("path") < 0:
        return [None] * file.metadata.num_rows
    column = file.read([f"{image}.path"], use_threads=False)[image]
    return [None if value is None else value["path"] for value in column.to_pylist()]
