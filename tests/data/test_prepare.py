"""Any collection made ready: every file kept or told of, whatever happens on the way."""

import csv
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from typer.testing import CliRunner

from anime_keras import cli, data
from anime_keras.data import duplicates, prepare_choice, prepare_work, reading, records
from anime_keras.data.faces import Face, align
from anime_keras.data.folders import square

REAL = os.environ.get("ANIME_KERAS_REAL_DATA")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(prepare_work, "CHUNK", 8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tofile(path)


def draw(folder, count=20, seed=0, size=96):
    """Different faces, f00.png and so on; their hashes may be near, their lines are not."""
    images = data.render(count, size, seed=seed).images
    for i, image in enumerate(images):
        save(folder / f"f{i:02d}.png", image)
    return images


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def rejected(out):
    return {row["file"]: (row["step"], row["reason"]) for row in rows(out / "rejected.csv")}


def kept(prepared):
    return {name: split for split in prepared.splits for name in prepared.names(split)}


@pytest.fixture(scope="module")
def messy(tmp_path_factory):
    """A folder as people have them."""
    folder = tmp_path_factory.mktemp("messy") / "pictures"
    images = draw(folder)
    save(folder / "deep" / "顔 <b>1&2.png", data.render(1, 128, seed=77).images[0])
    (folder / "z copy.png").write_bytes((folder / "f03.png").read_bytes())
    # Larger than its twin, so it stays and the twin goes.
    save(folder / "z large.jpg", cv2.resize(images[4], (192, 192), interpolation=cv2.INTER_CUBIC))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "empty2.jpg").write_bytes(b"")
    (folder / "page.jpg").write_text("<html>404</html>")
    (folder / "cut.png").write_bytes((folder / "f00.png").read_bytes()[:900])
    save(folder / "tiny.png", images[5][::4, ::4])
    save(folder / "wide.png", np.tile(images[6][:20], (1, 5, 1)))
    save(folder / "white.png", np.full((90, 90, 3), 255, np.uint8))
    save(folder / "soft.png", cv2.GaussianBlur(images[7], (0, 0), 3))
    return folder


@pytest.fixture(scope="module")
def prepared(messy, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "out"
    patch = pytest.MonkeyPatch()
    patch.setattr(prepare_work, "CHUNK", 8)
    yield data.prepare(messy, out, 64)
    patch.undo()


def test_every_file_is_kept_or_told_of_once(messy, prepared):
    told = rejected(prepared.folder)
    names = [str(p.relative_to(messy)) for p in messy.rglob("*") if p.is_file()]
    assert sorted([*kept(prepared), *told]) == sorted(names)
    assert {name: step for name, (step, _) in told.items()} == {
        "empty.jpg": "open",
        "empty2.jpg": "open",
        "page.jpg": "open",
        "cut.png": "open",
        "tiny.png": "size",
        "wide.png": "size",
        "white.png": "blank",
        "soft.png": "blurred",
        "z copy.png": "exact duplicate",
        "f04.png": "near duplicate",
    }
    assert told["empty.jpg"][1] == "the file is empty"
    assert told["tiny.png"][1] == "too small: 24x24 pixels, where 32 are needed"
    assert told["z copy.png"][1] == "the same file as f03.png"
    assert told["f04.png"][1] == "nearly the same as z large.jpg"


def test_counts_of_the_steps(prepared):
    steps = [tuple(row.values()) for row in prepared.manifest["steps"]]
    assert steps == [
        ("open", 4, 27),
        ("exact duplicate", 1, 26),
        ("size", 2, 24),
        ("blank", 1, 23),
        ("blurred", 1, 22),
        ("near duplicate", 1, 21),
    ]
    assert sum(prepared.count(split) for split in prepared.splits) == 21
    assert prepared.manifest["source"]["files"] == 31


def test_pictures_are_the_files_resized(messy, prepared):
    for split in prepared.splits:
        for name, image in zip(prepared.names(split), prepared.images(split), strict=True):
            np.testing.assert_array_equal(image, square(reading.read(messy / name), 64))


def test_only_the_result_is_left(prepared):
    assert {re.sub(r"\w+-0.*\.tf", "tf", p.name) for p in prepared.folder.iterdir()} == {
        *("manifest.json", "pictures.csv", "rejected.csv", "source.csv", "report.html"),
        "tfrecord",
    }
    assert records.Prepared.open(prepared.folder, verify=True).manifest == prepared.manifest


def test_the_page(messy, prepared):
    page = (prepared.folder / "report.html").read_text(encoding="utf-8")
    assert "21 pictures" in page and "from 31 files" in page
    assert "顔 &lt;b&gt;1&amp;2.png" in page and "<b>1&2" not in page
    for text in ("the file is empty", "too small: 24x24 pixels", "z large.jpg | f04.png"):
        assert text in page
    assert set(re.findall(r'(?:src|href)="([^"]{0,11})', page)) == {"data:image/"}
    assert prepared.manifest["command"].endswith(f"data prepare {messy} --size 64 --out DIR")


# --- splits and duplicates ------------------------------------------------------------------------


def test_split_is_a_function_of_the_checksum():
    """The first 64 bits are a number in [0, 1): test below its part, val in the next."""
    for chance, split in ((0, "test"), (0.0999, "test"), (0.1001, "val"), (0.2999, "val")):
        digest = f"{int(chance * 2**64):016x}" + "f" * 48
        assert prepare_choice.draw_split(digest, val=0.2, test=0.1) == split
    assert prepare_choice.draw_split("f" * 64, 0.2, 0.1) == "train"
    digests = [hashlib.sha256(bytes([i, j])).hexdigest() for i in range(100) for j in range(100)]
    counts = Counter(prepare_choice.draw_split(digest, 0.2, 0.1) for digest in digests)
    for split, part in (("test", 0.1), ("val", 0.2), ("train", 0.7)):
        assert abs(counts[split] - 10_000 * part) < 4 * np.sqrt(10_000 * part * (1 - part))
    # Another val moves nothing into test.
    assert {d for d in digests if prepare_choice.draw_split(d, 0.5, 0.1) == "test"} == {
        d for d in digests if prepare_choice.draw_split(d, 0, 0.1) == "test"
    }


def test_a_picture_has_one_split_in_every_collection(tmp_path):
    draw(tmp_path / "a", 30)
    (tmp_path / "b").mkdir()
    for path in list((tmp_path / "a").iterdir())[::2]:
        shutil.copy(path, tmp_path / "b" / f"other {path.name}")
    draw(tmp_path / "b" / "more", 10, seed=5)
    settings = {"val": 0.3, "test": 0.3}
    a = kept(data.prepare(tmp_path / "a", tmp_path / "out a", 32, **settings))
    b = kept(data.prepare(tmp_path / "b", tmp_path / "out b", 32, **settings))
    assert set(a.values()) == {"train", "val", "test"}
    for name in a.keys() & {other.removeprefix("other ") for other in b}:
        assert b["other " + name] == a[name]
    digest = hashlib.sha256((tmp_path / "a" / "f07.png").read_bytes()).hexdigest()
    assert a["f07.png"] == prepare_choice.draw_split(digest, 0.3, 0.3)


@pytest.fixture
def twins(tmp_path):
    """Twelve drawings, each twice: once more as a smaller JPEG, named to come first."""
    images = draw(tmp_path / "in", 12)
    for i, image in enumerate(images):
        copy = cv2.resize(image, (80, 80), interpolation=cv2.INTER_AREA)
        save(tmp_path / "in" / f"a{i:02d}.jpg", copy)
    return tmp_path / "in"


def test_near_duplicates_are_removed(twins, tmp_path):
    """The larger of two stays, and goes by its own checksum."""
    prepared = data.prepare(twins, tmp_path / "out", 64, val=0.3, test=0.3)
    found = kept(prepared)
    assert sorted(found) == [f"f{i:02d}.png" for i in range(12)]
    assert rejected(tmp_path / "out") == {
        f"a{i:02d}.jpg": ("near duplicate", f"nearly the same as f{i:02d}.png") for i in range(12)
    }
    for name, split in found.items():
        digest = hashlib.sha256((twins / name).read_bytes()).hexdigest()
        assert split == prepare_choice.draw_split(digest, 0.3, 0.3)


def test_of_twins_as_large_the_labelled_one_stays(tmp_path):
    """The copy is read first and has as many pixels; without its labels the drawing is worth less."""
    images = draw(tmp_path / "in", 6)
    for i, image in enumerate(images):
        save(tmp_path / "in" / f"a{i:02d}.jpg", image)
    rows = "".join(f"f{i:02d}.png,blue\n" for i in range(6))
    (tmp_path / "in" / "labels.csv").write_text("file,hair_color\n" + rows)
    prepared = data.prepare(tmp_path / "in", tmp_path / "out", 64)
    assert sorted(kept(prepared)) == [f"f{i:02d}.png" for i in range(6)]


def test_near_duplicates_are_kept_together(twins, tmp_path):
    """Apart they would be in two splits half of the time."""
    prepared = data.prepare(twins, tmp_path / "out", 64, near="together", val=0.3, test=0.3)
    found = kept(prepared)
    assert len(found) == 24 and rejected(tmp_path / "out") == {}
    assert len(set(found.values())) == 3
    for i in range(12):
        assert found[f"a{i:02d}.jpg"] == found[f"f{i:02d}.png"]


def cross(prepared):
    """Pairs of one drawing in two splits, by comparing all with all."""
    images = np.concatenate([prepared.images(split) for split in prepared.splits])
    splits = np.concatenate([[split] * prepared.count(split) for split in prepared.splits])
    return [(i, j) for i, j in duplicates.find(images) if splits[i] != splits[j]]


@pytest.mark.parametrize("near", ["remove", "together"])
def test_splits_of_the_source_stay_and_lose_what_leaks(tmp_path, near):
    """The test half of a published collection is left whole; its copies in the train half go."""
    images = draw(tmp_path / "in" / "trainA", 8)
    draw(tmp_path / "in" / "trainB", 6, seed=9)
    draw(tmp_path / "in" / "testB", 3, seed=10)
    for i in (2, 3):
        copy = cv2.resize(images[i], (70, 70), interpolation=cv2.INTER_AREA)
        save(tmp_path / "in" / "testA" / f"t{i}.png", copy)
    # The same bytes in both halves, too.
    shutil.copy(tmp_path / "in" / "trainA" / "f05.png", tmp_path / "in" / "testA" / "t5.png")
    prepared = data.prepare(tmp_path / "in", tmp_path / "out", 64, near=near)
    assert {name: step for name, (step, _) in rejected(tmp_path / "out").items()} == {
        "trainA/f02.png": "near duplicate",
        "trainA/f03.png": "near duplicate",
        "trainA/f05.png": "exact duplicate",
    }
    for name, split in kept(prepared).items():
        assert name.startswith(split)
    assert cross(prepared) == []
    assert prepared.label_names["domain"] == ("A", "B")
    for split in ("train", "test"):
        domains = prepared.labels(split)["domain"]
        for name, domain in zip(prepared.names(split), domains, strict=True):
            assert name.split("/")[0] == split + "AB"[domain]


# --- labels ---------------------------------------------------------------------------------------


def test_labels_are_kept_and_may_be_missing(tmp_path):
    draw(tmp_path / "in", 9)
    lines = ["file,hair_color,mood", "f00.png,red,calm", "f01.png,blue,", "f02.png,,wild"]
    (tmp_path / "in" / "labels.csv").write_text("\n".join(lines))
    prepared = data.prepare(tmp_path / "in", tmp_path / "out", 64, val=0, test=0)
    assert prepared.label_names["mood"] == ("calm", "wild")
    found = {}
    for label, values in prepared.labels().items():
        words = [*prepared.label_names[label], None]
        for name, value in zip(prepared.names(), values, strict=True):
            found.setdefault(name, {})[label] = words[value]
    assert found.pop("f00.png") == {"hair_color": "red", "mood": "calm"}
    assert found.pop("f01.png") == {"hair_color": "blue", "mood": None}
    assert found.pop("f02.png") == {"hair_color": None, "mood": "wild"}
    assert len(found) == 6
    assert all(labels == {"hair_color": None, "mood": None} for labels in found.values())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "mood" in page and "unknown" in page


def test_exact_duplicates_share_their_labels_and_contradictions_are_told(tmp_path):
    draw(tmp_path / "in", 4)
    shutil.copy(tmp_path / "in" / "f00.png", tmp_path / "in" / "x.png")
    shutil.copy(tmp_path / "in" / "f01.png", tmp_path / "in" / "y.png")
    lines = [
        "file,hair_color,mood",
        "f00.png,red,",
        "x.png,blue,calm",
        "f01.png,red,",
        "y.png,red,",
    ]
    (tmp_path / "in" / "labels.csv").write_text("\n".join(lines))
    prepared = data.prepare(tmp_path / "in", tmp_path / "out", 64, val=0, test=0)
    place = prepared.names().index("f00.png")
    for label, word in (("hair_color", "red"), ("mood", "calm")):
        value = prepared.labels()[label][place]
        assert value == prepared.label_names[label].index(word)
    assert rejected(tmp_path / "out") == {
        "x.png": (
            "exact duplicate",
            "the same file as f00.png, but labelled hair_color blue instead of red",
        ),
        "y.png": ("exact duplicate", "the same file as f01.png"),
    }


# --- faces ----------------------------------------------------------------------------------------


class Eyes:
    """Finds a face in each 96 px square of a picture, the second surer; in dark ones none."""

    def __init__(self, gap=28.0):
        self.gap = gap

    def find(self, image):
        if image.mean() < 40:
            return []
        found = []
        for left in range(0, image.shape[1] - 95, 96):
            eyes = np.array([[left + 34, 46], [left + 34 + self.gap, 48]], np.float32)
            found.append(Face((left + 14.0, 20.0, left + 82.0, 90.0), 0.5 + left / 400, eyes))
        return sorted(found, key=lambda face: -face.score)


@pytest.fixture
def scenes(tmp_path):
    images = data.render(8, 96, seed=4).images
    for i in range(3):
        save(tmp_path / "in" / f"two{i}.png", np.hstack(images[2 * i : 2 * i + 2]))
    save(tmp_path / "in" / "one.png", images[6])
    save(tmp_path / "in" / "night.png", images[7] // 16)
    return tmp_path / "in"


def test_faces_are_cut_out_aligned(scenes, tmp_path):
    prepared = data.prepare(scenes, tmp_path / "out", 48, faces=Eyes(), margin=1.2, val=0.4, test=0)
    found = kept(prepared)
    assert set(found) == {"one.png", *(f"two{i}.png{n}" for i in range(3) for n in ("", "#2"))}
    assert rejected(tmp_path / "out") == {"night.png": ("find faces", "no face was found")}
    for split in prepared.splits:
        for name, crop in zip(prepared.names(split), prepared.images(split), strict=True):
            file, _, number = name.partition("#")
            image = reading.read(scenes / file)
            face = Eyes().find(image)[int(number or 1) - 1]
            np.testing.assert_array_equal(crop, align(image, face, 48, 1.2))
    for i in range(3):  # both faces of a file are on one side
        assert found[f"two{i}.png"] == found[f"two{i}.png#2"]
    steps = {row["step"]: (row["removed"], row["left"]) for row in prepared.manifest["steps"]}
    assert (steps["exact duplicate"], steps["find faces"]) == ((0, 5), (1, 7))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Found and aligned" in page and "7 faces were found" in page


def test_a_labelled_picture_gives_its_surest_face(scenes, tmp_path):
    (scenes / "labels.csv").write_text("file,hair_color\ntwo1.png,red\n")
    prepared = data.prepare(scenes, tmp_path / "out", 48, faces=Eyes(), val=0, test=0)
    assert "two1.png" in prepared.names() and "two1.png#2" not in prepared.names()
    assert "two0.png#2" in prepared.names()
    image = reading.read(scenes / "two1.png")
    expected = align(image, Eyes().find(image)[0], 48)
    np.testing.assert_array_equal(prepared.images()[prepared.names().index("two1.png")], expected)


def test_a_small_face_is_dropped_by_its_own_size(scenes, tmp_path):
    """Eyes 6 px apart make a crop of 6 / 0.29 = 21 px."""
    small = Eyes(gap=np.sqrt(32.0))
    with pytest.raises(ValueError, match=r"one\.png: the face is too small: 21 pixels, where 24"):
        data.prepare(scenes, tmp_path / "out", 48, faces=small)
    assert data.prepare(scenes, tmp_path / "out", 48, faces=small, least_side=20).splits


def test_many_at_once_is_the_same(scenes, tmp_path):
    """A detector that takes many pictures at once is given them so."""
    seen = []

    class Many(Eyes):
        def find_all(self, images):
            seen.append(len(images))
            return [self.find(image) for image in images]

    one = data.prepare(scenes, tmp_path / "one", 48, faces=Eyes())
    many = data.prepare(scenes, tmp_path / "many", 48, faces=Many())
    for split in one.splits:
        np.testing.assert_array_equal(one.images(split), many.images(split))
    assert sum(seen) == 5 and max(seen) > 1


# --- going on -------------------------------------------------------------------------------------

KILL = """
import os, signal, sys
from anime_keras import data
from anime_keras.data import prepare_work
prepare_work.CHUNK = 8
source, out, when = sys.argv[1:]

def progress(what, done, total):
    if what.startswith(when) and done >= (8 if when == "looking" else 0):
        os.kill(os.getpid(), signal.SIGKILL)

data.prepare(source, out, 64, workers=1, progress=progress)
"""


def watch(events):
    return lambda what, done, total: events.append((what, done, total))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize("when", ["looking", "writing train"])
def test_killed_and_gone_on_gives_the_same_bytes(messy, prepared, tmp_path, when):
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILL, str(messy), str(out), when]
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL
    assert [path.name for path in out.iterdir()] == [".work"]
    done = list((out / ".work").glob("*.chunk"))
    if when == "looking":
        torn = done.pop()
        torn.write_bytes(torn.read_bytes()[:-5])  # as after a power cut
    events = []
    data.prepare(messy, out, 64, progress=watch(events))
    looked = [done for what, done, _ in events if what.startswith("looking")]
    assert 8 * len(done) - looked[0] in (0, 1)  # the last chunk has 7 files
    assert files_of(out) == files_of(prepared.folder)


def test_stopped_by_ctrl_c_goes_on_where_it_was(messy, prepared, tmp_path):
    out = tmp_path / "out"

    def stop(what, done, total):
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.prepare(messy, out, 64, workers=1, progress=stop)
    assert not list(out.rglob("*.partial"))
    with pytest.raises(ValueError, match=r"holds work that was begun with other .*size 64, not 32"):
        data.prepare(messy, out, 32)
    events = []
    data.prepare(messy, out, 64, progress=watch(events))
    assert events[0][0].startswith("looking") and 16 <= events[0][1] < 31
    assert files_of(out) == files_of(prepared.folder)


def test_any_number_of_workers_gives_the_same_bytes(messy, prepared, tmp_path):
    data.prepare(messy, tmp_path / "out", 64, workers=5)
    assert files_of(tmp_path / "out") == files_of(prepared.folder)


def test_machines_share_the_looking_and_the_bytes_are_the_same(messy, prepared, tmp_path):
    """Two of three parts are looked at elsewhere; the last call does the third, and the whole."""
    out = tmp_path / "parts"
    looked = []
    for index in (2, 0):
        done = data.prepare(
            messy, out, part=(index, 3), progress=lambda what, done, total: looked.append(total)
        )
        assert done is None and not (out / "manifest.json").exists()
    finish = []
    data.prepare(messy, out, progress=lambda *told: finish.append(told))
    assert 0 < finish[0][1] < finish[0][2] and max(looked) < finish[0][2]
    assert files_of(out) == files_of(prepared.folder)


def test_a_part_that_somebody_is_at(messy, tmp_path):
    out = tmp_path / "parts"
    data.prepare(messy, out, part=(0, 2))
    with FileLock(out / ".work" / "part-1-of-2.lock"):
        for part in ((1, 2), None):
            with pytest.raises(RuntimeError, match=r"into .*parts \(part-1-of-2\)"):
                data.prepare(messy, out, part=part)
        data.prepare(messy, out, part=(0, 2))  # another one is not in the way
    with FileLock(out / ".work" / "lock"), pytest.raises(RuntimeError, match=r"into .*parts"):
        data.prepare(messy, out, part=(1, 2))  # a part that comes when the whole is being made


@pytest.mark.parametrize(
    ("part", "message"),
    [("3", "such as 3/64"), ("-1/2", "such as 3/64"), ("2/2", "There is no part 2 of 2")],
)
def test_no_such_part(messy, tmp_path, part, message):
    command = ["data", "prepare", str(messy), "--out", str(tmp_path / "out"), f"--part={part}"]
    done = CliRunner().invoke(cli.app, command)
    assert done.exit_code == 1 and message in " ".join(done.output.split())
    assert not (tmp_path / "out").exists()


def test_twice_does_nothing(messy, prepared):
    before = {p: p.stat().st_mtime_ns for p in [prepared.folder, *prepared.folder.iterdir()]}
    events = []
    again = data.prepare(messy, prepared.folder, 64, progress=watch(events))
    assert again.manifest == prepared.manifest and events == []
    assert {
        p: p.stat().st_mtime_ns for p in [prepared.folder, *prepared.folder.iterdir()]
    } == before


def test_killed_after_the_last_step(messy, prepared):
    """The result is there, and only the work is left to be swept."""
    before = files_of(prepared.folder)
    (prepared.folder / ".work").mkdir()
    (prepared.folder / ".work" / "0.chunk").write_bytes(b"old")
    with FileLock(prepared.folder / ".work" / "lock"):
        data.prepare(messy, prepared.folder, 64)
        assert (prepared.folder / ".work" / "0.chunk").exists()  # somebody is at it
    data.prepare(messy, prepared.folder, 64)
    assert files_of(prepared.folder) == before


def test_other_settings_need_another_folder_or_redo(tmp_path):
    draw(tmp_path / "in", 6)
    out = tmp_path / "out"
    data.prepare(tmp_path / "in", out, 64)
    before = files_of(out)
    with pytest.raises(ValueError, match=r"test 0\.05, not 0\.5\. Choose another folder.*redo"):
        data.prepare(tmp_path / "in", out, 64, test=0.5)
    assert files_of(out) == before
    data.prepare(tmp_path / "in", out, 64, test=0.5, redo=True)
    data.prepare(tmp_path / "in", tmp_path / "fresh", 64, test=0.5)
    assert files_of(out) == files_of(tmp_path / "fresh")


def test_a_changed_source_is_told(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    draw(folder, 8)
    data.prepare(folder, out, 64)
    os.utime(folder / "f00.png", (1, 1))  # a new date is no change
    data.prepare(folder, out, 64)
    save(folder / "new.png", data.render(1, 96, seed=50).images[0])
    (folder / "f01.png").unlink()
    shutil.copy(folder / "f03.png", folder / "f02.png")
    changed = r"1 file added \(new\.png\), 1 file removed \(f01\.png\), 1 file changed \(f02\.png\)"
    with pytest.raises(ValueError, match=changed):
        data.prepare(folder, out, 64)
    data.prepare(folder, out, 64, redo=True)
    data.prepare(folder, out, 64)
    (folder / "labels.csv").write_text("file,hair_color\nf05.png,red\n")
    with pytest.raises(ValueError, match=r"1 file labelled anew \(f05\.png\)"):
        data.prepare(folder, out, 64)


def test_a_changed_archive_is_told(tmp_path):
    """Its date alone is no change; what is in it is."""
    draw(tmp_path / "in", 6)
    archive = shutil.make_archive(tmp_path / "faces", "zip", tmp_path / "in")
    prepared = data.prepare(archive, tmp_path / "out", 64)
    assert len(kept(prepared)) == 6
    os.utime(archive, (1, 1))
    data.prepare(archive, tmp_path / "out", 64)
    shutil.copy(tmp_path / "in" / "f03.png", tmp_path / "in" / "f02.png")
    shutil.make_archive(tmp_path / "faces", "zip", tmp_path / "in")
    with pytest.raises(ValueError, match=r"changed since .*: 1 file changed \(f02\.png\)"):
        data.prepare(archive, tmp_path / "out", 64)


def test_a_picture_is_in_one_split_whatever_it_is_packed_in(tmp_path):
    draw(tmp_path / "in", 20)
    archive = shutil.make_archive(tmp_path / "faces", "gztar", tmp_path / "in")
    a = data.prepare(tmp_path / "in", tmp_path / "a", 32, val=0.3, test=0.3)
    b = data.prepare(archive, tmp_path / "b", 32, val=0.3, test=0.3)
    assert kept(a) == kept(b) and set(kept(a).values()) == {"train", "val", "test"}
    for split in a.splits:
        assert a.shards(split)[0].read_bytes() == b.shards(split)[0].read_bytes()


def test_work_begun_goes_on_when_files_change(tmp_path):
    """What was looked at before is not looked at again, but for the file that is another now."""
    folder, out = tmp_path / "in", tmp_path / "out"
    draw(folder, 24)

    def stop(what, done, total):
        if done >= 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.prepare(folder, out, 64, workers=1, progress=stop)
    images = data.render(2, 96, seed=50).images
    save(folder / "z.png", images[0])
    save(folder / "f01.png", images[1])
    events = []
    prepared = data.prepare(folder, out, 64, progress=watch(events))
    assert 8 <= events[0][1] < 24 and events[0][2] == 25
    found = kept(prepared)
    assert len(found) == 25
    split = found["f01.png"]
    image = prepared.images(split)[prepared.names(split).index("f01.png")]
    np.testing.assert_array_equal(image, square(images[1], 64))


def test_no_space_left(messy, prepared, tmp_path, monkeypatch):
    """The fourth chunk does not fit any more; with more space it goes on there."""
    out, opened = tmp_path / "out", []
    path_open = Path.open

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def write(self, content):
            self.file.write(content[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    def limited(path, mode="r", *args, **kwargs):
        file = path_open(path, mode, *args, **kwargs)
        if path.name.endswith(".chunk.partial"):
            opened.append(path)
            return Full(file) if len(opened) > 3 else file
        return file

    monkeypatch.setattr(Path, "open", limited)
    with pytest.raises(records.DiskFull, match=r"no space left to write .*\.chunk\. Free some"):
        data.prepare(messy, out, 64, workers=1)
    assert not list(out.rglob("*.partial")) and len(list(out.rglob("*.chunk"))) == 3
    monkeypatch.undo()
    monkeypatch.setattr(prepare_work, "CHUNK", 8)
    events = []
    data.prepare(messy, out, 64, progress=watch(events))
    assert events[0][1] == 24
    assert files_of(out) == files_of(prepared.folder)


# --- refusals -------------------------------------------------------------------------------------


def test_nothing_is_left_behind_when_nothing_is_left(tmp_path):
    save(tmp_path / "in" / "a.png", np.full((90, 90, 3), 7, np.uint8))
    (tmp_path / "in" / "b.png").write_bytes(b"")
    message = r"None of the 2 files of in is left: 1 at 'open' \(b\.png: the file is .*1 at 'blank'"
    with pytest.raises(ValueError, match=message):
        data.prepare(tmp_path / "in", tmp_path / "out", 64)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 4}, "size must be 8 to 1024 pixels, not 4"),
        ({"val": 0.6, "test": 0.5}, "less than 1 together with test"),
        ({"test": -0.1}, "test must be a part"),
        ({"near": "drop"}, "near must be remove or together, not drop"),
        ({"margin": 0}, "margin must be positive"),
        ({"least_side": 0}, "least_side must be at least 1"),
        ({"faces": "yes"}, "a detector with a method find"),
    ],
)
def test_wrong_settings(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        data.prepare(tmp_path, tmp_path / "out", **settings)
    assert list(tmp_path.iterdir()) == []


def test_folders_that_are_in_the_way(messy, tmp_path):
    with pytest.raises(ValueError, match="lies inside of"):
        data.prepare(messy, messy / "out")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="mine is not empty"):
        data.prepare(messy, tmp_path / "mine")
    with pytest.raises(ValueError, match=r"thesis\.txt is a file"):
        data.prepare(messy, tmp_path / "mine" / "thesis.txt")
    (tmp_path / "busy" / ".work").mkdir(parents=True)
    with (
        FileLock(tmp_path / "busy" / ".work" / "lock"),
        pytest.raises(RuntimeError, match=r"Another process is preparing pictures into .*busy"),
    ):
        data.prepare(messy, tmp_path / "busy")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        data.prepare(tmp_path / "nowhere", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- what is blurred, what is blank ---------------------------------------------------------------


def test_sharpness_of_noise_and_of_a_wave():
    """The Laplacian of white noise has 4^2 + 4 = 20 times its variance; that of a wave is the wave
    times 2 - 2 cos(2 pi / period), at the edges too if they are crests."""
    noise = np.random.default_rng(0).normal(128, 20, (64, 64)).clip(0, 255)
    image = np.repeat(noise[:, :, None], 3, axis=2).astype(np.uint8)
    assert prepare_work.sharpness(image) == pytest.approx(np.sqrt(20), rel=0.05)
    wave = 128 + 100 * np.cos(2 * np.pi * np.arange(64) / 18)  # 63 is seven halves of 18
    image = np.rint(np.broadcast_to(wave[None, :, None], (64, 64, 3))).astype(np.uint8)
    expected = 2 - 2 * np.cos(2 * np.pi / 18)
    assert prepare_work.sharpness(image) == pytest.approx(expected, rel=0.02)
    assert prepare_work.sharpness(np.full((64, 64, 3), 9, np.uint8)) == 0


@pytest.mark.parametrize("size", [64, 128, 256])
def test_blur_is_told_at_any_size_and_contrast(size):
    for image in data.render(8, size, seed=2).images:
        faint = (image // 8 + 100).astype(np.uint8)
        soft = cv2.GaussianBlur(image, (0, 0), 2 * size / 64)
        assert prepare_work.sharpness(image) > 0.5 and prepare_work.sharpness(faint) > 0.5
        assert prepare_work.sharpness(soft) < 0.2


def test_contrast_counts_any_channel():
    """Red and green of one lightness are no blank picture."""
    image = np.zeros((40, 40, 3), np.uint8)
    image[:, :20, 0], image[:, 20:, 1] = 100, 51  # 0.299 * 100 = 0.587 * 51
    assert prepare_work.contrast(image) == pytest.approx(50)
    assert prepare_work.contrast(np.full((40, 40, 3), 77, np.uint8)) == 0


# --- the command ----------------------------------------------------------------------------------


def test_the_command(tmp_path):
    draw(tmp_path / "my in", 9)
    run = CliRunner().invoke
    arguments = ["data", "prepare", str(tmp_path / "my in"), "--size", "32", "--out"]
    result = run(cli.app, [*arguments, str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "near duplicate" in result.output and "pictures of 32 px" in result.output
    again = run(cli.app, [*arguments, str(tmp_path / "out")])
    assert again.exit_code == 0 and "Nothing to do" in again.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert f"data prepare '{tmp_path / 'my in'}' --size 32" in manifest["command"]
    other = run(cli.app, [*arguments, str(tmp_path / "out"), "--near", "together"])
    assert other.exit_code == 1 and "Error: " in other.output and "redo" in other.output
    neither = run(cli.app, ["data", "prepare", "--out", str(tmp_path / "none")])
    assert neither.exit_code == 1 and "--source" in neither.output


# --- real pictures --------------------------------------------------------------------------------

real = pytest.mark.skipif(not REAL, reason="ANIME_KERAS_REAL_DATA names no folder")


@pytest.mark.real
@real
def test_odd_files(tmp_path):
    prepared = data.prepare(Path(REAL) / "odd_files", tmp_path / "out", 64)
    assert {name: step for name, (step, _) in rejected(tmp_path / "out").items()} == {
        **dict.fromkeys(["empty_269.jpg", "empty_297.jpg", "empty_345.jpg"], "open"),
        **dict.fromkeys(["notes.jpg", "truncated.jpg"], "open"),
        **dict.fromkeys(["one_pixel.png", "panorama_3000x20.jpg"], "size"),
    }
    assert len(kept(prepared)) == 12


@pytest.mark.real
@real
def test_anime_tagged(tmp_path):
    """Counts of the steps, labels as in labels.csv, and no drawing in two splits."""
    prepared = data.prepare(Path(REAL) / "anime_tagged", tmp_path / "out", 64)
    told = rejected(tmp_path / "out")
    assert {step for step, _ in told.values()} == {"near duplicate"}
    assert 76 <= len(told) <= 130 and len(kept(prepared)) + len(told) == 7656
    words = {
        f"images/{row['id']}.jpg": row for row in rows(Path(REAL) / "anime_tagged" / "labels.csv")
    }
    for split in prepared.splits:
        for label, values in prepared.labels(split).items():
            for name, value in zip(prepared.names(split), values, strict=True):
                assert prepared.label_names[label][value] == words[name][label]
    assert cross(prepared) == []
