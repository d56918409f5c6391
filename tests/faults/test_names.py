"""Folders with more files than anybody looks at, and files that go while somebody looks."""

import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from anime_keras import data, plots
from anime_keras.data import archives, collections, folders, reading, records, sources

MANY = 9_000  # of which a million has little more a name


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A folder of empty files, in three folders, as quickly as they can be made."""
    folder = tmp_path_factory.mktemp("many")
    for part in "abc":
        (folder / part).mkdir()
        for number in range(MANY // 3):
            os.close(os.open(folder / part / f"{number:07d}.png", os.O_CREAT | os.O_WRONLY))
    yield folder
    shutil.rmtree(folder)


def limited(folder):
    with pytest.raises(ValueError, match=r"10 files that cannot be read.*the file is empty"):
        folders.load(folder, 32, limit=10)


def loaded(folder):
    with pytest.raises(ValueError, match=f"{MANY} files that cannot be read"):
        folders.load(folder, size=1)  # so that what the pictures themselves take is nothing


def looked_through(folder):
    with pytest.raises(ValueError, match=f"{MANY} files such as"):
        collections.Folder(folder)


@pytest.mark.parametrize(
    ("look", "most"),
    [
        (archives.Folder, 200),
        (limited, 300),
        (loaded, 1500),
        (looked_through, 1500),
        (sources.open_source, 700),
    ],
)
def test_bytes_a_name(many, look, most):
    """The most that a name takes on the way: so much times a million is what a million takes.

    It was 2,000 where every picture of a folder waited in a queue of its own.
    """
    tracemalloc.start()
    try:
        result = look(many)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    del result
    print(f"{peak / MANY:.0f} bytes a name")
    assert peak / MANY < most


def test_the_order_is_that_of_paths(tmp_path):
    names = ["a/2.png", "a-b/1.png", "a.png", "a b/c.png", "ab.png", "a/b/3.png", "ä.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    expected = [p.relative_to(tmp_path).as_posix() for p in sorted(map(tmp_path.joinpath, names))]
    assert folders.pictures_in(tmp_path) == expected


def test_a_thousand_folders_deep_and_links_in_circles(tmp_path):
    """Neither is a reason to stop; a link to itself is told of, like a dead one."""
    place = tmp_path
    for _ in range(1200):
        place = place / "d"
        place.mkdir()
    (place / "deep.png").touch()
    (tmp_path / "circle.png").symlink_to("circle.png")
    found = archives.Folder(tmp_path)
    assert found.names == ["circle.png", "d/" * 1200 + "deep.png"]
    with pytest.raises(reading.Unreadable, match="symbolic links"):
        found.read("circle.png")
    # By ourselves, from the bottom: pytest's own tidying is recursive, and would give up.
    (place / "deep.png").unlink()
    for folder in [place, *place.parents][:1200]:
        folder.rmdir()


# --- pictures that go -----------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    images = data.render(12, size=32).images
    for number, image in enumerate(images):
        plots.save(tmp_path / "pictures" / f"{number:02d}.png", image)
    return tmp_path / "pictures"


def test_one_goes_between_its_name_and_its_picture(pictures, monkeypatch):
    """It is told of among what was left out; the others are there."""
    listed = archives.Folder.__init__

    def and_gone(self, path):
        listed(self, path)
        (pictures / "05.png").unlink(missing_ok=True)

    monkeypatch.setattr(archives.Folder, "__init__", and_gone)
    found = folders.load(pictures, 32)
    assert len(found.images) == 11
    assert found.rejected == {pictures / "05.png": "No such file or directory"}


def test_one_goes_while_they_are_prepared(pictures, tmp_path):
    """It is in rejected.csv; and when it is back, the folder says that it has changed."""
    taken = (pictures / "05.png").read_bytes()

    def progress(what, done, total):
        (pictures / "05.png").unlink(missing_ok=True)

    prepared = data.prepare(pictures, tmp_path / "out", 32, val=0, test=0, progress=progress)
    assert prepared.count() == 11
    assert "05.png,open,No such file" in (tmp_path / "out" / "rejected.csv").read_text()
    (pictures / "05.png").write_bytes(taken)
    with pytest.raises(ValueError, match=r"changed since .*05\.png.*--redo"):
        data.prepare(pictures, tmp_path / "out", 32, val=0, test=0)


def test_one_goes_after_it_was_looked_at(pictures):
    """A collection whose pictures are read twice names the one that is gone, and what to do."""
    found = collections.Folder(pictures)
    (pictures / "05.png").unlink()
    with pytest.raises(ValueError, match=r"05\.png could be read, and cannot any more: No such"):
        found[:]
    plots.save(pictures / "05.png", np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=r"05\.png has another size than it had\. Leave"):
        found[:]
    assert len(found[:5]) == 5


def test_prepared_pictures_go(pictures, tmp_path):
    """Opened, they stay readable for as long as somebody trains on them; afterwards a line says it."""
    prepared = data.prepare(pictures, tmp_path / "out", 32, val=0, test=0)
    opened = prepared.pictures()
    before = opened[:]
    for shard in prepared.shards():
        Path(shard).unlink()
    np.testing.assert_array_equal(opened[:], before)
    with pytest.raises(ValueError, match=r"tfrecord is missing, which manifest\.json names"):
        records.Prepared.open(tmp_path / "out")
