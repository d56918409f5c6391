"""Shards and their manifest: what is written can be read, and what is damaged is told."""

import errno
import hashlib
import json

import numpy as np
import pytest

from anime_keras.data import records
from anime_keras.data.records import Prepared, Record

WORDS = {"hair_color": ("brown", "blonde"), "domain": ("A", "B")}
NAMES = ["a.png", "深い/顔 1.png", 'q"uo,te.png', "line\nbreak.png", "no \udcff unicode.png"]


def pictures(count, size=16, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)
    labels = [{"hair_color": "blonde"}, {"hair_color": "brown", "domain": "B"}, {}]
    return [
        Record(image, NAMES[i % 5] + f"#{i}", hashlib.sha256(image).hexdigest(), labels[i % 3])
        for i, image in enumerate(images)
    ]


def write(folder, train=7, test=4, **changes):
    folder.mkdir()
    splits = {
        "train": (train, iter(pictures(train))),
        "val": (0, iter(())),
        "test": (test, iter(pictures(test, seed=1))),
    }
    arguments = {"size": 16, "label_names": WORDS, "about": {"steps": []}, "shard_bytes": 3 * 768}
    return records.write(folder, splits, **{**arguments, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records") / "out"
    write(folder)
    return folder


def test_what_is_written_can_be_read(folder):
    prepared = Prepared.open(folder, verify=True)
    assert (prepared.size, prepared.splits) == (16, ("train", "test"))
    assert prepared.label_names == WORDS
    assert [prepared.count(split) for split in ("train", "val", "test")] == [7, 0, 4]
    assert [path.name for path in prepared.shards()] == [
        f"train-0000{i}-of-00003.tfrecord" for i in range(3)
    ]
    assert prepared.shards("val") == []
    for split, written in (("train", pictures(7)), ("test", pictures(4, seed=1))):
        np.testing.assert_array_equal(prepared.images(split), [r.image for r in written])
        assert prepared.names(split) == [record.name for record in written]
    labels = prepared.labels()
    assert labels["hair_color"].tolist() == [1, 0, -1, 1, 0, -1, 1]
    assert labels["domain"].tolist() == [-1, 1, -1, -1, 1, -1, -1]
    assert prepared.images("val").shape == (0, 16, 16, 3)
    assert prepared.images(limit=2).shape == (2, 16, 16, 3)
    assert "7 train, 0 val, 4 test" in repr(prepared)


def test_pictures_are_read_where_they_are_indexed(folder):
    """As NumPy would index the array."""
    array = np.stack([record.image for record in pictures(7)])
    lazy = Prepared.open(folder).pictures()
    assert (lazy.shape, lazy.dtype, len(lazy)) == (array.shape, np.uint8, 7)
    for key in (
        0,
        -1,
        slice(2, 6),
        slice(None, None, -2),
        [6, 0, 0, 3],
        np.array([[1, 2], [3, 4]]),
    ):
        np.testing.assert_array_equal(lazy[key], array[key])
    assert lazy[2].flags.writeable
    with pytest.raises(IndexError):
        lazy[7]


def test_first_pictures_and_their_fingerprint(folder):
    lazy = Prepared.open(folder).pictures()
    part = lazy.first(2)
    assert part.shape == (2, *lazy.shape[1:]) and (part[:] == lazy[:2]).all()
    assert lazy.first(None).shape == lazy.shape == lazy.first(10**6).shape
    assert lazy.fingerprint() == lazy.first(None).fingerprint() != part.fingerprint()


def test_tensorflow_reads_the_records(folder):
    """TensorFlow verifies each record's checksum; names and labels are those of the table."""
    tf = pytest.importorskip("tensorflow")
    prepared = Prepared.open(folder)
    images, labels = zip(*prepared.dataset().as_numpy_iterator(), strict=True)
    np.testing.assert_array_equal(images, prepared.images())
    for label, values in prepared.labels().items():
        np.testing.assert_array_equal([one[label] for one in labels], values)
    raw = tf.data.TFRecordDataset([str(path) for path in prepared.shards()])
    names = [
        tf.train.Example.FromString(record).features.feature["name"].bytes_list.value[0]
        for record in raw.as_numpy_iterator()
    ]
    assert names == [name.encode("utf-8", "surrogateescape") for name in prepared.names()]


def test_the_same_bytes_each_time(folder, tmp_path):
    write(tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_no_labels_one_shard(tmp_path):
    prepared = write(tmp_path / "out", label_names={}, shard_bytes=10**6)
    assert prepared.labels() == {}
    assert len(prepared.shards()) == 1
    assert len(prepared.images()) == 7


def damage(path, how):
    if how == "missing":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-5])
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "how", "message"),
    [
        ("train-00001-of-00003.tfrecord", "missing", "is missing"),
        ("train-00001-of-00003.tfrecord", "cut", "damaged: it has 2,"),
        ("train-00001-of-00003.tfrecord", "flip", "its checksum"),
        ("pictures.csv", "missing", "is missing"),
        ("pictures.csv", "flip", "its checksum"),
        ("manifest.json", "cut", "is damaged"),
    ],
)
def test_damage_is_told_by_the_name_of_the_file(tmp_path, file, how, message):
    write(tmp_path / "out")
    path = tmp_path / "out" / file
    damage(path, how)
    with pytest.raises(ValueError, match=message) as error:
        Prepared.open(path.parent, verify=True)
    assert str(path) in str(error.value) and "--redo" in str(error.value)
    if how == "flip" and path.suffix == ".tfrecord":
        Prepared.open(path.parent)  # reads no shard, unless told to


def test_other_folders_and_formats(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no prepared pictures in .*data prepare"):
        Prepared.open(tmp_path)
    write(tmp_path / "out")
    path = tmp_path / "out" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        Prepared.open(tmp_path / "out")


def test_unknown_split(folder):
    for method in ("count", "shards", "labels", "names", "images", "pictures", "dataset"):
        with pytest.raises(ValueError, match=r"no split 'dev' in .* train, val, test"):
            getattr(Prepared.open(folder), method)("dev")


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "file"
    with records.replacing(path) as partial:
        partial.write_text("old")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), records.replacing(path) as partial:
        partial.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_no_space_left(tmp_path, number):
    """The innermost file is named, and nothing half-written stays."""
    inner = tmp_path / "inner"
    with (
        pytest.raises(records.DiskFull, match=f"to write {inner}\\. Free some"),
        records.replacing(tmp_path / "outer"),
        records.replacing(inner) as partial,
    ):
        partial.write_bytes(b"half")
        raise OSError(number, "No space left on device")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PermissionError), records.replacing(inner):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_no_space_left_for_tensorflow(tmp_path, monkeypatch):
    tf = pytest.importorskip("tensorflow")

    class Writer(tf.io.TFRecordWriter):
        def write(self, record):
            raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io, "TFRecordWriter", Writer)
    with pytest.raises(records.DiskFull, match=r"train-00000-of-00003\.tfrecord"):
        write(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
