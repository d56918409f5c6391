"""Prepared pictures on disk: TFRecord shards, and a manifest that says what is in them.

A record is a `tf.train.Example` with the features `image` (the bytes of uint8 (size, size, 3), RGB),
`name` and, for every label, `label/NAME`: the index of its word, or -1 where it is unknown.

Pictures are stored as they are fed, not compressed. As PNG 64 px would take 8.9 instead of 12.3 kB,
but 170 microseconds of one core to decode, and raw ones 17 (measured on 4,000 anime faces). It also
lets any picture be read by its place alone: `pictures.csv` has the offset of its first byte, so
shuffling needs no buffer, and reading no TensorFlow.
"""

import copy
import csv
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anime_keras.files import DiskFull as DiskFull
from anime_keras.files import replacing

FORMAT = 1
SPLITS = ("train", "val", "test")
SHARD_BYTES = 100_000_000
MANIFEST, PICTURES = "manifest.json", "pictures.csv"
_COLUMNS = ("split", "shard", "offset", "name", "sha256")
_LABEL = "label/"


class Record(NamedTuple):
    """A picture to be written.

    Attributes:
        image: uint8 (size, size, 3), RGB.
        name: where it came from.
        sha256: of the file it came from, in hexadecimal.
        labels: label -> word; a label is missing where it is unknown.
    """

    image: np.ndarray
    name: str
    sha256: str
    labels: dict[str, str]


def write(
    folder: Path,
    splits: Mapping[str, tuple[int, Iterable[Record]]],
    size: int,
    label_names: Mapping[str, Sequence[str]],
    about: Mapping[str, Any],
    shard_bytes: int = SHARD_BYTES,
) -> "Prepared":
    """Write shards, their table and, last of all, the manifest.

    Pictures are taken from the iterables one by one, so memory does not grow with their number.

    Args:
        folder: an existing one.
        splits: name of a split -> how many pictures it has, and these.
        size: their side in pixels.
        label_names: label -> its words; a record's words must be among them.
        about: what else the manifest should tell.
        shard_bytes: about how large a shard may be.

    Raises:
        DiskFull: there is no space left.
    """
    per_shard = max(1, shard_bytes // (size * size * 3))
    manifest = {
        "format": FORMAT,
        "size": size,
        "labels": {label: list(words) for label, words in label_names.items()},
        "splits": {},
        **about,
    }
    with (
        replacing(folder / PICTURES) as table,
        table.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow([*_COLUMNS, *(_LABEL + label for label in label_names)])
        for split, (count, records) in splits.items():
            shards = manifest["splits"][split] = {"count": count, "shards": []}
            records = iter(records)
            total = -(-count // per_shard)
            for number in range(total):
                path = folder / f"{split}-{number:05d}-of-{total:05d}.tfrecord"
                held = itertools.islice(records, per_shard)
                shards["shards"].append(_write_shard(path, held, split, label_names, rows))
    manifest[PICTURES] = {"sha256": checksum(folder / PICTURES)}
    with replacing(folder / MANIFEST) as partial:
        partial.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return Prepared.open(folder)


def _write_shard(
    path: Path,
    records: Iterable[Record],
    split: str,
    label_names: Mapping[str, Sequence[str]],
    rows: Any,
) -> dict[str, Any]:
    """Write one file and its rows of the table; returns its entry of the manifest."""
    import tensorflow as tf

    def integers(value: int) -> Any:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def content(value: bytes) -> Any:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    count = place = 0
    with replacing(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
        for record in records:
            image = record.image.tobytes()
            features = {
                "image": content(image),
                "name": content(record.name.encode("utf-8", "surrogateescape")),
            }
            for label, words in label_names.items():
                word = record.labels.get(label)
                features[_LABEL + label] = integers(-1 if word is None else words.index(word))
            example = tf.train.Example(features=tf.train.Features(feature=features))
            # Otherwise the order of the features is another in each process.
            serialized = example.SerializeToString(deterministic=True)
            writer.write(serialized)
            # A record is framed by its length (8 bytes) and the length's checksum (4) before it, and
            # its own checksum (4) after it.
            offset = place + 12 + serialized.index(image)
            place += 16 + len(serialized)
            words = [record.labels.get(label, "") for label in label_names]
            rows.writerow([split, path.name, offset, record.name, record.sha256, *words])
            count += 1
    return {"file": path.name, "count": count, "bytes": place, "sha256": checksum(path)}


class Prepared:
    """A folder of prepared pictures. `open` it.

    Attributes:
        folder: where they lie.
        manifest: all that is known of them, as in manifest.json.
        size: their side in pixels.
        label_names: label -> its words, by whose places the labels are numbered.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.manifest = manifest
        self.size: int = manifest["size"]
        self.label_names = {label: tuple(words) for label, words in manifest["labels"].items()}

    @classmethod
    def open(cls, folder: str | Path, verify: bool = False) -> "Prepared":
        """Open what `data prepare` wrote.

        Args:
            folder: of the shards and the manifest.
            verify: also compute every shard's checksum, which reads all of it.

        Raises:
            FileNotFoundError: there is no such folder, or no manifest in it.
            ValueError: the manifest cannot be read, or a file it names is missing or damaged. The
                message names the file.
        """
        folder = Path(folder)
        path = folder / MANIFEST
        if not path.is_file():
            raise FileNotFoundError(
                f"There are no prepared pictures in {folder}: it has no {MANIFEST}. "
                f"Make them: python -m anime_keras data prepare SOURCE --out {folder}"
            )
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            version = manifest["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}). {_AGAIN}") from None
        if version != FORMAT:
            raise ValueError(
                f"{path} is of format {version}; this version of anime_keras reads {FORMAT}. {_AGAIN}"
            )
        prepared = cls(folder, manifest)
        prepared._check(verify)
        return prepared

    def _check(self, verify: bool) -> None:
        shards = [shard for entry in self._splits.values() for shard in entry["shards"]]
        for shard in [{"file": PICTURES, **self.manifest[PICTURES]}, *shards]:
            path = self.folder / shard["file"]
            if not path.is_file():
                raise ValueError(f"{path} is missing, which {MANIFEST} names. {_AGAIN}")
            found = path.stat().st_size
            if found != shard.get("bytes", found):
                raise ValueError(
                    f"{path} is damaged: it has {found:,} bytes instead of {shard['bytes']:,}. "
                    f"{_AGAIN}"
                )
            if (verify or path.name == PICTURES) and checksum(path) != shard["sha256"]:
                raise ValueError(f"{path} has changed: its checksum is another one. {_AGAIN}")

    @property
    def _splits(self) -> dict[str, Any]:
        return self.manifest["splits"]

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that hold pictures."""
        return tuple(split for split, entry in self._splits.items() if entry["count"])

    def count(self, split: str = "train") -> int:
        """How many pictures a split has."""
        return self._split(split)["count"]

    def shards(self, split: str = "train") -> list[Path]:
        """The TFRecord files of a split, in order."""
        return [self.folder / shard["file"] for shard in self._split(split)["shards"]]

    def labels(self, split: str = "train") -> dict[str, np.ndarray]:
        """Label -> int64 (count,): the place of each picture's word in `label_names`, or -1."""
        rows = self._rows(split)
        found = {}
        for label, words in self.label_names.items():
            places = {"": -1, **{word: place for place, word in enumerate(words)}}
            found[label] = np.array([places[row[_LABEL + label]] for row in rows], np.int64)
        return found

    def names(self, split: str = "train") -> list[str]:
        """Where each picture came from: its path in the source, with `#2` for its second face."""
        return [row["name"] for row in self._rows(split)]

    def pictures(self, split: str = "train") -> "Pictures":
        """The pictures of a split, left on disk: an array that is read where it is indexed."""
        rows = self._rows(split)
        files = [path.name for path in self.shards(split)]
        return Pictures(
            self.shards(split),
            np.array([files.index(row["shard"]) for row in rows], np.int64),
            np.array([int(row["offset"]) for row in rows], np.int64),
            self.size,
        )

    def images(self, split: str = "train", limit: int | None = None) -> np.ndarray:
        """The first `limit` pictures of a split, or all, in memory: uint8 (count, size, size, 3)."""
        return self.pictures(split)[:limit]

    def dataset(self, split: str = "train") -> Any:
        """A `tf.data.Dataset` of (image, labels), in the order of the records.

        Its elements are uint8 (size, size, 3) and a dict of label -> int64 scalars.
        """
        import tensorflow as tf

        spec = {"image": tf.io.FixedLenFeature([], tf.string)}
        for label in self.label_names:
            spec[_LABEL + label] = tf.io.FixedLenFeature([], tf.int64)

        def parse(batch: Any) -> tuple[Any, dict[str, Any]]:
            features = tf.io.parse_example(batch, spec)
            flat = tf.io.decode_raw(features.pop("image"), tf.uint8)
            labels = {name.removeprefix(_LABEL): value for name, value in features.items()}
            return tf.reshape(flat, (-1, self.size, self.size, 3)), labels

        # Many records parsed at once cost a fifth of the same one by one.
        files = [str(path) for path in self.shards(split)]
        return tf.data.TFRecordDataset(files).batch(64).map(parse).unbatch()

    def _split(self, split: str) -> dict[str, Any]:
        if split not in self._splits:
            raise ValueError(
                f"There is no split {split!r} in {self.folder}, but {', '.join(self._splits)}."
            )
        return self._splits[split]

    def _rows(self, split: str) -> list[dict[str, str]]:
        self._split(split)
        return self._table.get(split, [])

    @cached_property
    def _table(self) -> dict[str, list[dict[str, str]]]:
        path = self.folder / PICTURES
        found: dict[str, list[dict[str, str]]] = {}
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            for row in csv.DictReader(file):
                found.setdefault(row["split"], []).append(row)
        return found

    def __repr__(self) -> str:
        counts = ", ".join(f"{self.count(split):,} {split}" for split in self._splits)
        return f"Prepared({str(self.folder)!r}, {self.size} px: {counts})"


class Pictures:
    """Pictures in shards, read when indexed by an integer, a slice or an array of integers.

    Attributes:
        shape: (count, size, size, 3).
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(
        self, shards: Sequence[Path], which: np.ndarray, offsets: np.ndarray, size: int
    ) -> None:
        """`which` and `offsets` (count,) say in which shard a picture lies, and from which byte on."""
        self.shape = (len(which), size, size, 3)
        self._shards = [np.memmap(path, np.uint8, "r") for path in shards]
        self._which, self._offsets = which, offsets

    def __len__(self) -> int:
        return self.shape[0]

    def first(self, count: int | None) -> "Pictures":
        """The first so many of them, still on disk; all for None."""
        part = copy.copy(self)
        part._which, part._offsets = self._which[:count], self._offsets[:count]
        part.shape = (len(part._which), *self.shape[1:])
        return part

    def fingerprint(self) -> str:
        """SHA-256 of all pictures, in their order."""
        digest = hashlib.sha256(repr(self.shape).encode())
        for start in range(0, len(self), 1024):
            digest.update(self[start : start + 1024])
        return digest.hexdigest()

    def __getitem__(self, key: Any) -> np.ndarray:
        """uint8 (size, size, 3) for an integer, else (chosen, size, size, 3)."""
        which, offsets = self._which[key], self._offsets[key]
        images = np.empty((np.size(which), *self.shape[1:]), np.uint8)
        length = images[:1].size
        for image, shard, offset in zip(images, which.flat, offsets.flat, strict=True):
            image.reshape(-1)[:] = self._shards[shard][offset : offset + length]
        return images.reshape(np.shape(which) + self.shape[1:])


def checksum(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_AGAIN = "Prepare the pictures again with --redo, or into a new folder."
