"""Collections in whatever they come in, and the labels that come with them."""

import io
import json
import multiprocessing
import os
import pickle
import random
import stat
import sys
import tarfile
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from anime_keras.data import archives, reading
from anime_keras.data.people import FACTORS
from anime_keras.data.sources import open_source

REAL = os.environ.get("ANIME_KERAS_REAL_DATA")
PACKINGS = ("folder", "zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def picture(value=0, size=20):
    stream = io.BytesIO()
    Image.fromarray(np.full((size, size, 3), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def pack(path, files, kind="folder"):
    """Writes name -> content as a folder or an archive; returns its path."""
    if kind == "folder":
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        path.mkdir(exist_ok=True)
        return path
    path = path.with_name(f"{path.name}.{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w" + kind.removeprefix("tar").replace(".", ":")) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def labelled(source):
    return {item.name: item.labels for item in source.items}


def text(*lines):
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """A folder of its own for temporary files, to see what is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


MESS = {
    "b.PNG": picture(1),
    "deep/er/顔 写真 ☆.png": picture(2),
    "deep/no picture.jpg": b"words",
    "a.png": picture(3),
    "deep/a.png": picture(4),
    "photo.heic": b"\0\0\0\x18ftypheic",
    "__MACOSX/._a.png": b"no picture",
    ".hidden/a.png": picture(),
    "deep/.DS_Store": b"",
    "deep/Thumbs.db": b"",
    "README.md": b"",
}
PICTURES = [
    "a.png",
    "b.PNG",
    "deep/a.png",
    "deep/er/顔 写真 ☆.png",
    "deep/no picture.jpg",
    "photo.heic",
]


@pytest.mark.parametrize("kind", PACKINGS)
class TestPackings:
    def test_items(self, tmp_path, kind):
        path = pack(tmp_path / "mess", MESS, kind)
        with open_source(path) as source:
            assert [item.name for item in source.items] == PICTURES
            assert (source.name, source.layout, source.warnings, source.card) == (
                *(path.name, "folder", []),
                None,
            )
            for item in source.items:
                assert source.read_bytes(item) == MESS[item.name]
                assert (item.labels, item.split, item.domain) == ({}, None, None)

    def test_dots_and_folders_in_names(self, tmp_path, kind):
        path = pack(tmp_path / "dots", {"./x/1.png": picture(1), "x/./2.png": picture(2)}, kind)
        with open_source(path) as source:
            assert [item.name for item in source.items] == ["x/1.png", "x/2.png"]

    def test_threads_and_processes(self, tmp_path, kind):
        """Thirty-two readers at once get what is theirs, in this process, in forked and in new ones."""
        files = {
            f"{n:03d}.png": picture(n) + os.urandom(random.Random(n).randrange(9999))
            for n in range(60)
        }
        path = pack(tmp_path / "many", files, kind)
        with open_source(path) as source:
            order = random.Random(0).choices(source.items, k=300)
            with ThreadPoolExecutor(32) as pool:
                contents = pool.map(source.read_bytes, order)
                assert all(c == files[i.name] for c, i in zip(contents, order, strict=True))
            for start in ("fork", "spawn"):
                if start == "spawn" and kind not in ("zip", "tar.gz"):
                    continue  # starting anew takes a second
                context = multiprocessing.get_context(start)
                with ProcessPoolExecutor(2, mp_context=context) as pool:
                    contents = pool.map(source.read_bytes, order, chunksize=5)
                    assert all(c == files[i.name] for c, i in zip(contents, order, strict=True))
            again = pickle.loads(pickle.dumps(source))
            assert again.items == source.items
            assert again.read_bytes(again.items[7]) == files[again.items[7].name]

    def test_a_forked_process_that_ends_takes_nothing_along(self, tmp_path, kind):
        with open_source(pack(tmp_path / "mess", MESS, kind)) as source:
            child = multiprocessing.get_context("fork").Process(target=source.close)
            child.start()
            child.join()
            assert child.exitcode == 0
            assert source.read_bytes(source.items[0]) == MESS["a.png"]

    def test_nothing_stays_behind(self, tmp_path, temporary, kind):
        path = pack(tmp_path / "mess", MESS, kind)
        before = sorted(tmp_path.rglob("*"))
        with open_source(path) as source:
            source.read_bytes(source.items[0])
            copies = pickle.loads(pickle.dumps(source))
        assert sorted(tmp_path.rglob("*")) == before
        del copies
        open_source(path)  # never closed, but let go
        assert sorted(tmp_path.rglob("*")) == before

    def test_labels_in_it(self, tmp_path, kind):
        files = {"set/tags.csv": b"1,aqua hair black eyes\n", "set/faces/1.png": picture()}
        with open_source(pack(tmp_path / "tagged", files, kind)) as source:
            assert labelled(source) == {
                "set/faces/1.png": {"hair_color": "aqua", "eye_color": "black"},
            }

    def test_nothing_in_it(self, tmp_path, kind):
        path = pack(tmp_path / "empty", {}, kind)
        with pytest.raises(ValueError, match=r"empty\S* is empty\. Put pictures there"):
            open_source(path)
        path = pack(tmp_path / "notes", {"a/notes.txt": b"", "a/faces.zip": b""}, kind)
        with pytest.raises(
            ValueError, match=r"no picture in .*notes.* 2 other files.* Is a/faces\.zip"
        ):
            open_source(path)


class TestFolder:
    def test_links(self, tmp_path):
        """A link to a folder above ends no walk, one to another place is followed."""
        files = pack(tmp_path / "set", {"one/a.png": picture(1)})
        (files / "one" / "loop").symlink_to(files)
        (files / "again").symlink_to(files / "one")
        (files / "dead.png").symlink_to(tmp_path / "nowhere")
        source = open_source(files)
        names = [item.name for item in source.items]
        assert names == ["again/a.png", "dead.png", "one/a.png"]
        with pytest.raises(reading.Unreadable, match="No such file"):
            source.read_bytes(source.items[1])

    def test_folder_that_cannot_be_opened(self, tmp_path, monkeypatch):
        pack(tmp_path, {"a.png": picture(), "locked/b.png": picture()})
        scandir = os.scandir

        def refuse(folder):
            if Path(folder).name == "locked":
                raise PermissionError(13, "Permission denied")
            return scandir(folder)

        monkeypatch.setattr("os.scandir", refuse)
        with pytest.raises(
            ValueError, match=r"folder .*locked cannot be read: Permission denied\. "
        ):
            open_source(tmp_path)

    def test_a_file_that_is_gone(self, tmp_path):
        source = open_source(pack(tmp_path / "set", {"a.png": picture()}))
        (tmp_path / "set" / "a.png").unlink()
        with pytest.raises(reading.Unreadable, match=r"^No such file or directory$"):
            source.read_bytes(source.items[0])

    def test_no_collection(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"nothing at .*nowhere\. Give the path"):
            open_source(tmp_path / "nowhere")
        pack(tmp_path, {"a.png": picture(), "film.mkv": b"\x1aE\xdf\xa3"})
        with pytest.raises(
            ValueError, match=r"a\.png is one file, not a collection: pass its folder"
        ):
            open_source(tmp_path / "a.png")
        with pytest.raises(ValueError, match=r"film\.mkv is neither a folder nor an archive"):
            open_source(tmp_path / "film.mkv")

    def test_other_files_are_told_of(self, tmp_path):
        (warning,) = open_source(
            pack(tmp_path, {"a.png": picture(), "film.mkv": b"", "notes.txt": b""})
        ).warnings
        assert warning.startswith("1 files are not called like pictures") and "film.mkv" in warning


class TestDangerousArchives:
    """Refused by name and member, with what to do, and nothing is written anywhere."""

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, tmp_path, temporary):
        yield
        assert not list(temporary.iterdir())
        assert not [p for p in tmp_path.rglob("evil*") if p.is_file()]

    OUTSIDE = (
        "../evil.png",
        "a/../../evil.png",
        "/evil.png",
        "..\\evil.png",
        "C:\\evil.png",
        "C:evil.png",
    )

    @pytest.mark.parametrize("kind", PACKINGS[1:])
    @pytest.mark.parametrize("name", OUTSIDE)
    def test_names_that_lead_out(self, tmp_path, kind, name):
        path = pack(tmp_path / "archive", {"ok.png": picture(), name: picture()}, kind)
        with pytest.raises(ValueError) as caught:
            open_source(path)
        message = str(caught.value)
        assert str(path) in message and repr(name) in message and "pass the folder" in message

    @pytest.mark.parametrize("kind", PACKINGS[2:])
    @pytest.mark.parametrize(
        "sort",
        [
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
            tarfile.GNUTYPE_SPARSE,
        ],
    )
    def test_links_and_devices_in_a_tar(self, tmp_path, kind, sort):
        path = pack(tmp_path / "archive", {}, kind)
        with tarfile.open(path, "w" + kind.removeprefix("tar").replace(".", ":")) as archive:
            good = tarfile.TarInfo("ok.png")
            good.size = len(picture())
            archive.addfile(good, io.BytesIO(picture()))
            member = tarfile.TarInfo("evil.png")
            member.type, member.linkname = sort, "ok.png"
            archive.addfile(member)
        with pytest.raises(ValueError, match=r"archive\.tar.*'evil\.png' is a link, a device or"):
            open_source(path)

    def test_link_in_a_zip(self, tmp_path):
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w") as archive:
            member = zipfile.ZipInfo("evil.png")
            member.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(member, "/etc/passwd")
        with pytest.raises(
            ValueError, match=r"archive\.zip is refused: its member 'evil\.png' is a link"
        ):
            open_source(path)

    def test_encrypted(self, tmp_path):
        path = pack(tmp_path / "archive", {"a.png": picture()}, "zip")
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"archive\.zip is encrypted \(member a\.png\)\. Unpack"
        ):
            open_source(path)

    def test_unknown_compression(self, tmp_path):
        """Windows packs large files by Deflate64 (method 9)."""
        path = pack(tmp_path / "archive", {"a.png": picture()}, "zip")
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\x01\x02") + 10] = 9
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"by method 9 \(member a\.png\), which Python cannot read"
        ):
            open_source(path)

    @pytest.mark.parametrize("kind", PACKINGS[1:])
    @pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.75])
    def test_cut_short(self, tmp_path, kind, share):
        noise = {f"{n}.png": os.urandom(3000) for n in range(9)}
        path = pack(tmp_path / "archive", noise, kind)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(
            ValueError, match=r"archive\S+ cannot be read: it is damaged, cut short"
        ):
            open_source(path)

    def test_tar_cut_between_two_files(self, tmp_path):
        path = pack(tmp_path / "archive", {"a.png": bytes(512), "b.png": bytes(512)}, "tar")
        path.write_bytes(path.read_bytes()[:2048])
        with pytest.raises(ValueError, match="cut short"):
            open_source(path)

    def test_tar_with_a_damaged_header(self, tmp_path):
        path = pack(tmp_path / "archive", {f"{n}.png": bytes(512) for n in range(5)}, "tar")
        content = bytearray(path.read_bytes())
        content[2048 + 20] ^= 255
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            open_source(path)

    def test_each_process_opens_its_own_zip(self, tmp_path, monkeypatch):
        """Two that share a file also share its position, and read each other's bytes."""
        archive = archives.Zip(pack(tmp_path / "archive", {"a.png": picture()}, "zip"))
        first = archive._archive()
        assert archive._archive() is first
        monkeypatch.setattr("os.getpid", lambda: -1)
        assert archive._archive() is not first and archive.read("a.png") == picture()

    def test_damaged_member(self, tmp_path):
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", picture(1))
            archive.writestr("b.png", picture(2))
        content = bytearray(path.read_bytes())
        content[60] ^= 255
        path.write_bytes(content)
        with open_source(path) as source:
            with pytest.raises(reading.Unreadable, match="damaged in the archive"):
                source.read_bytes(source.items[0])
            assert source.read_bytes(source.items[1]) == picture(2)

    @pytest.mark.parametrize("kind", PACKINGS)
    def test_huge_member(self, tmp_path, monkeypatch, kind):
        monkeypatch.setattr(archives, "LARGEST", 1000)
        path = pack(tmp_path / "bomb", {"a.png": bytes(1001)}, kind)
        too_large = pytest.raises(reading.Unreadable, match="too large a file for a picture")
        with open_source(path) as source, too_large:
            source.read_bytes(source.items[0])

    def test_labels_that_are_refused(self, tmp_path):
        """What was copied out of a compressed tar goes, even while the error is looked at."""
        files = {"1.png": picture(), "labels.csv": text("id,mood", "1,calm", "1,wild")}
        with pytest.raises(ValueError, match="two labels") as caught:
            open_source(pack(tmp_path / "archive", files, "tar.gz"))
        assert caught.tb is not None and not list((tmp_path / "temporary").iterdir())

    @pytest.mark.parametrize("kind", PACKINGS[3:])
    def test_no_space(self, tmp_path, monkeypatch, kind):
        def copy(source, target):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("shutil.copyfileobj", copy)
        path = pack(tmp_path / "archive", {"a.png": picture()}, kind)
        with pytest.raises(OSError, match=r"no space in .*temporary to read .*archive.*TMPDIR"):
            open_source(path)


class TestTable:
    """labels.csv with a header."""

    FILES: ClassVar = {f"images/{n}.png": picture(n) for n in (1, 2, 3)}

    def open(self, tmp_path, *lines, files=FILES, **options):
        table = lines[0] if isinstance(lines[0], bytes) else text(*lines)
        return open_source(pack(tmp_path / "set", {**files, "labels.csv": table}), **options)

    def test_labels(self, tmp_path):
        source = self.open(
            tmp_path,
            "id,hair_color,mood,split",
            "1,blue,calm,train",
            "2,red,,Validation",
            "3,,wild,x",
        )
        assert labelled(source) == {
            "images/1.png": {"hair_color": "blue", "mood": "calm"},
            "images/2.png": {"hair_color": "red"},
            "images/3.png": {"mood": "wild", "split": "x"},
        }
        assert [item.split for item in source.items] == ["train", "val", None]
        assert source.label_names["hair_color"] == FACTORS["hair_color"]
        assert source.label_names["mood"] == ("calm", "wild")
        assert source.warnings == []

    @pytest.mark.parametrize(
        "key", ["{}", "{}.png", "images/{}.png", "./images/{}.png", "images\\{}.png"]
    )
    @pytest.mark.parametrize("column", ["id", "file", "Image_ID", "whatever"])
    def test_keys(self, tmp_path, key, column):
        rows = [f"{key.format(n)},{n}" for n in (1, 2, 3)]
        source = self.open(tmp_path, f"{column},number", *rows)
        assert [item.labels["number"] for item in source.items] == ["1", "2", "3"]

    def test_key_need_not_be_first(self, tmp_path):
        source = self.open(tmp_path, "hair,id", "blue,1", "red,2", "green,3")
        assert [item.labels["hair"] for item in source.items] == ["blue", "red", "green"]

    def test_what_spreadsheets_write(self, tmp_path):
        """Semicolons, a byte-order mark, Windows line ends, quotes, blank lines."""
        table = b'\xef\xbb\xbfid;mood\r\n1;"a;b"\r\n\r\n2;calm\r\n3;"two\r\nlines"\r\n'
        source = self.open(tmp_path, table)
        assert [item.labels["mood"] for item in source.items] == ["a;b", "calm", "two\nlines"]
        marked = self.open(tmp_path / "marked", b"\xef\xbb\xbfmood,id\ncalm,1\n")
        assert list(marked.label_names) == ["mood"]

    def test_names_in_both_spellings_of_accents(self, tmp_path):
        files = {"images/か\u3099é.png": picture()}
        source = self.open(tmp_path, "file,mood", "が\u0065\u0301.png,calm", files=files)
        assert source.items[0].labels == {"mood": "calm"}

    def test_numbers_in_order(self, tmp_path):
        source = self.open(tmp_path, "id,age", "1,10", "2,9", "3,100")
        assert source.label_names == {"age": ("9", "10", "100")}

    def test_factors_keep_their_numbers(self, tmp_path):
        source = self.open(
            tmp_path, "id,hair_color,eye_color", "1,red,red", "2,blue,octarine", "3,,"
        )
        assert source.label_names["hair_color"] == FACTORS["hair_color"]
        assert source.label_names["eye_color"] == ("octarine", "red")

    def test_contradiction(self, tmp_path):
        message = (
            r"images/2\.png has two labels for mood: 'calm' \(labels\.csv, line 3\) and 'wild' "
            r"\(labels\.csv, line 5\)\. Delete"
        )
        with pytest.raises(ValueError, match=message):
            self.open(tmp_path, "id,mood", "1,calm", "2,calm", "3,calm", "images/2.png,wild")

    def test_repetition(self, tmp_path):
        source = self.open(
            tmp_path, "id,mood", "1,calm", "2,calm", "3,calm", "2.png,calm", "1,calm"
        )
        assert source.warnings == ["2 lines repeat a label, such as labels.csv, line 5."]

    def test_labels_without_pictures_and_pictures_without_labels(self, tmp_path):
        source = self.open(tmp_path, "id,mood", "7,calm", "2,calm", "8,calm")
        assert source.warnings == [
            "2 labels belong to no picture, such as that for '7' (labels.csv, line 2).",
            "2 pictures have no label, such as images/1.png.",
        ]
        assert len(source.items) == 3

    def test_no_label_fits(self, tmp_path):
        with pytest.raises(ValueError, match=r"None of 2 labels .* '7' \(labels\.csv, line 2\)"):
            self.open(tmp_path, "id,mood", "7,calm", "8,calm")
        assert len(self.open(tmp_path, "id,mood", "7,calm", layout="folder").items) == 3

    def test_ambiguous(self, tmp_path):
        files = {"a/1.png": picture(1), "b/1.png": picture(2)}
        with pytest.raises(
            ValueError, match=r"line 2: '1' fits 2 pictures, such as a/1\.png and b/1"
        ):
            self.open(tmp_path, "id,mood", "1,calm", files=files)
        source = self.open(tmp_path, "id,mood", "a/1,calm", "b/1,wild", files=files)
        assert [item.labels["mood"] for item in source.items] == ["calm", "wild"]

    def test_each_folder_its_table(self, tmp_path):
        files = {f"{part}/images/1.png": picture() for part in ("one", "two")}
        tables = {f"{part}/labels.csv": text("id,part", f"1,{part}") for part in ("one", "two")}
        source = open_source(pack(tmp_path, {**files, **tables}))
        assert [item.labels["part"] for item in source.items] == ["one", "two"]

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (
                ("id,mood", "1,calm", "2,calm,more"),
                r"labels\.csv, line 3: '2,calm,more' does not fit",
            ),
            (("id,mood", "1,calm", "", "2"), r"labels\.csv, line 4: '2' does not fit"),
            (("id,mood", ",calm"), r"labels\.csv, line 2: ',calm' does not fit"),
            (("id,mood,mood", "1,calm,wild"), r"labels\.csv, line 1: two columns have one name"),
            ((b"id,mood\n1,calm\n2,\xe4\n",), r"labels\.csv, line 3 is not UTF-8"),
        ],
    )
    def test_malformed(self, tmp_path, lines, message):
        with pytest.raises(ValueError, match=message):
            self.open(tmp_path, *lines)

    def test_damaged(self, tmp_path):
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("1.png", picture())
            archive.writestr("labels.csv", text("id,mood", "1,calm"))
        path.write_bytes(path.read_bytes().replace(b"calm", b"clam"))
        with pytest.raises(ValueError, match=r"labels\.csv cannot be read: Bad CRC.* Repair it"):
            open_source(path)

    @pytest.mark.parametrize("lines", [(b"",), ("id,mood",)])
    def test_nothing_said(self, tmp_path, lines):
        source = self.open(tmp_path, *lines)
        assert (len(source.items), source.label_names, source.warnings) == (3, {}, [])

    def test_overview_beside_images_is_left_out(self, tmp_path):
        files = {**self.FILES, "sheet.png": picture()}
        source = self.open(tmp_path, "id,mood", "1,calm", "2,calm", files=files)
        assert [item.name for item in source.items] == sorted(self.FILES)
        assert source.warnings == [
            "1 pictures have no label, such as images/3.png.",
            "Left out because they have no label and lie beside images/: sheet.png.",
        ]


class TestTags:
    """NTU's course sets."""

    def open(self, tmp_path, content, name="tags.csv"):
        files = {f"images/{n}.png": picture(n) for n in (0, 1, 2)}
        return open_source(pack(tmp_path / "set", {**files, name: content}))

    def test_tags(self, tmp_path):
        source = self.open(
            tmp_path,
            text("0,aqua hair black eyes", "1,grey hair bicolored eyes", "2,Red Hair blue eyes"),
        )
        assert labelled(source) == {
            "images/0.png": {"hair_color": "aqua", "eye_color": "black"},
            "images/1.png": {"hair_color": "gray"},
            "images/2.png": {"hair_color": "red", "eye_color": "blue"},
        }
        assert (source.layout, source.card.name) == ("ntu-tagged", "ntu-tagged")
        assert source.label_names["eye_color"] == FACTORS["eye_color"]

    def test_counted_tags(self, tmp_path):
        source = self.open(
            tmp_path,
            text(
                *(
                    "0,touhou:17705\tlong hair:9\tgreen hair:3\tre:zero:4\t",
                    "1,blue hair:1\tpink hair:1",
                ),
                "2,red eyes:8\tblue hair :1",
            ),
            "tags_clean.csv",
        )
        assert [item.labels for item in source.items] == [
            {"hair_color": "green"},
            {},
            {"eye_color": "red", "hair_color": "blue"},
        ]

    @pytest.mark.parametrize("line", ["aqua hair", ",aqua hair"])
    def test_malformed(self, tmp_path, line):
        with pytest.raises(ValueError, match=rf"tags\.csv, line 2: '{line}' is not of the form"):
            self.open(tmp_path, text("0,aqua hair black eyes", line))

    def test_contradiction(self, tmp_path):
        with pytest.raises(
            ValueError, match=r"images/0\.png has two labels for eye_color: 'black' .* 'red'"
        ):
            self.open(tmp_path, text("0,aqua hair black eyes", "0,aqua hair red eyes"))


class TestDomains:
    FILES: ClassVar = {
        f"x/{part}/{n}.png": picture()
        for part in ("trainA", "trainB", "testA", "testB")
        for n in (1, 2)
    }

    def test_domains(self, tmp_path):
        source = open_source(
            pack(tmp_path / "selfie2anime", {**self.FILES, "x/preview.png": picture()})
        )
        assert [(item.name, item.split, item.domain) for item in source.items[::2]] == [
            ("x/testA/1.png", "test", "A"),
            ("x/testB/1.png", "test", "B"),
            ("x/trainA/1.png", "train", "A"),
            ("x/trainB/1.png", "train", "B"),
        ]
        assert all(item.labels == {} for item in source.items) and source.label_names == {}
        assert source.card.name == "selfie2anime"
        (warning,) = source.warnings
        assert (
            warning.startswith("1 pictures lie in no folder such as trainA")
            and "preview" in warning
        )

    def test_another_pair_of_domains_gets_no_card(self, tmp_path):
        source = open_source(pack(tmp_path / "horse2zebra", self.FILES))
        assert (source.layout, source.card) == ("two-domains", None)

    def test_asked_for(self, tmp_path):
        path = pack(tmp_path / "mine", self.FILES)
        source = open_source(path, layout="selfie2anime")
        assert (source.layout, source.card.name) == ("two-domains", "selfie2anime")
        plain = open_source(path, layout="folder")
        assert (plain.layout, {i.domain for i in plain.items}) == ("folder", {None})

    def test_layouts_that_do_not_fit(self, tmp_path):
        path = pack(tmp_path / "mine", {"a.png": picture()})
        with pytest.raises(ValueError, match=r"no layout 'nonsense'\. Known are .*celeba.*folder"):
            open_source(path, layout="nonsense")
        for name in ("selfie2anime", "celeba", "danbooru", "ntu-tagged", "utkface", "labels"):
            with pytest.raises(ValueError, match="not laid out as"):
                open_source(path, layout=name)


class TestDanbooru:
    FILES: ClassVar = {
        f"512px/0{n % 1000:03d}/{n}.jpg": picture() for n in (5001, 5002, 5003, 5004)
    }

    def open(self, tmp_path, *posts, name="metadata/posts.json", **options):
        lines = [post if isinstance(post, str) else json.dumps(post) for post in posts]
        return open_source(pack(tmp_path / "set", {**self.FILES, name: text(*lines)}), **options)

    @staticmethod
    def post(number, rating, *tags, **more):
        return {"id": number, "rating": rating, "tag_string": " ".join(tags), **more}

    def test_older(self, tmp_path):
        """Up to 2021: numbers as strings, tags as objects, and s is safe."""
        tags = [
            {"id": "1", "name": name, "category": "0"} for name in ("blue_hair", "1girl", "smile")
        ]
        source = self.open(
            tmp_path,
            {"id": "5001", "rating": "s", "created_at": "2017-11-25 08:15:55 UTC", "tags": tags},
            *({"id": n, "rating": "s", "tags": ["red_eyes", "hat"]} for n in ("5002", "5003")),
            {"id": "5004", "rating": "q", "tags": []},
        )
        assert labelled(source) == {
            "512px/0001/5001.jpg": {
                **{
                    "hair_color": "blue",
                    "gender": "feminine",
                    "expression": "smile",
                    "rating": "safe",
                }
            },
            "512px/0002/5002.jpg": {"eye_color": "red", "rating": "safe"},
            "512px/0003/5003.jpg": {"eye_color": "red", "rating": "safe"},
        }
        assert (source.layout, source.card.name) == ("danbooru", "danbooru")
        assert source.warnings == [
            "Left out for their rating: 1 questionable. layout='folder' takes all, without labels."
        ]

    def test_newer(self, tmp_path):
        """Since 2022 g is general and s is sensitive."""
        source = self.open(
            tmp_path,
            self.post(5001, "g", "blonde_hair", "green_eyes", "1boy"),
            self.post(5002, "s", "grey_hair", "pink_hair"),  # two people, or two-tone
            self.post(5003, "e", "red_hair"),
            name="posts.jsonl",
        )
        assert labelled(source) == {
            "512px/0001/5001.jpg": {
                **{"hair_color": "blonde", "eye_color": "green", "gender": "masculine"},
                "rating": "general",
            },
            "512px/0002/5002.jpg": {"rating": "sensitive"},
        }
        assert "1 explicit, 1 not rated" in source.warnings[-1]
        assert source.warnings[0] == "1 pictures have no label, such as 512px/0004/5004.jpg."

    @pytest.mark.parametrize("date", ["created_at", "updated_at"])
    def test_newer_by_its_date(self, tmp_path, date):
        """A selection of s alone is told by when it was posted."""
        for year, word in (("2021-12-31", "safe"), ("2023-01-01", "sensitive")):
            source = self.open(tmp_path / word, self.post(5001, "s", **{date: f"{year}T00:00:00"}))
            assert source.items[0].labels == {"rating": word}

    def test_two_sizes_of_a_post(self, tmp_path):
        files = {**self.FILES, "original/0001/5001.png": picture()}
        line = json.dumps(self.post(5001, "g", "red_hair"))
        source = open_source(pack(tmp_path, {**files, "posts.json": text(line)}))
        assert labelled(source) == {
            name: {"hair_color": "red", "rating": "general"}
            for name in ("512px/0001/5001.jpg", "original/0001/5001.png")
        }

    @pytest.mark.parametrize(
        "line", ['{"id": 5002, "tag_st', '{"id": "x", "tags": []}', "[1]", '{"id": 5002}']
    )
    def test_malformed(self, tmp_path, line):
        with pytest.raises(ValueError, match=r"metadata/posts\.json, line 2 is not a post"):
            self.open(tmp_path, self.post(5001, "g"), line)

    def test_nothing_fit_for_class(self, tmp_path):
        with pytest.raises(ValueError, match=r"1 explicit, 3 not rated.*layout='folder'"):
            self.open(tmp_path, self.post(5001, "e"))

    def test_other_json_is_no_metadata(self, tmp_path):
        for number, content in enumerate((b"{}", b"[]", b'{"id": 1}', b"broken", b"\xff\xfe")):
            files = {"1.png": picture(), "notes.json": content}
            assert open_source(pack(tmp_path / str(number), files)).layout == "folder"


class TestCelebA:
    FILES: ClassVar = {f"img_align_celeba/00000{n}.jpg": picture(n) for n in (1, 2, 3)}
    WORDS: ClassVar = (("no", "yes"), ("yes", "no"), ("yes", "yes"))

    def check(self, source):
        assert [(i.labels["Smiling"], i.labels["Male"]) for i in source.items] == list(self.WORDS)
        assert [item.split for item in source.items] == ["train", "val", "test"]
        assert source.label_names == {"Male": ("no", "yes"), "Smiling": ("no", "yes")}
        assert (source.layout, source.card.name, source.warnings) == ("celeba", "celeba", [])

    def test_txt(self, tmp_path):
        lists = {
            "Anno/list_attr_celeba.txt": text(
                *("3", "Smiling Male ", "000001.jpg -1  1", "000002.jpg  1 -1", "000003.jpg  1  1")
            ),
            "Eval/list_eval_partition.txt": text("000001.jpg 0", "000002.jpg 1", "000003.jpg 2"),
        }
        self.check(open_source(pack(tmp_path, {**self.FILES, **lists})))

    def test_csv(self, tmp_path):
        lists = {
            "list_attr_celeba.csv": text(
                *("image_id,Smiling,Male", "000001.jpg,-1,1", "000002.jpg,1,-1", "000003.jpg,1,1")
            ),
            "list_eval_partition.csv": text(
                *("image_id,partition", "000001.jpg,0", "000002.jpg,1", "000003.jpg,2")
            ),
        }
        self.check(open_source(pack(tmp_path, {**self.FILES, **lists})))

    def test_malformed(self, tmp_path):
        for name, lines, message in (
            (
                "list_attr_celeba.txt",
                ("1", "Smiling Male", "000001.jpg 1"),
                "line 3 has 1 values, not 2",
            ),
            (
                "list_eval_partition.txt",
                ("000001.jpg 7",),
                "line 1: the partition of 000001.jpg is none",
            ),
        ):
            path = pack(tmp_path / name, {**self.FILES, name: text(*lines)})
            with pytest.raises(ValueError, match=f"{name}, {message}"):
                open_source(path)

    def test_contradiction_names_the_lines_that_differ(self, tmp_path):
        lists = {
            "list_attr_celeba.txt": text("1", "Male", "000001.jpg 1"),
            "list_eval_partition.txt": text("000001.jpg 0", "000002.jpg 1", "000001.jpg 2"),
        }
        message = (
            r"has two labels for split: 'train' \(list_eval_partition\.txt, line 1\) and 'test' "
            r"\(list_eval_partition\.txt, line 3\)"
        )
        with pytest.raises(ValueError, match=message):
            open_source(pack(tmp_path, {**self.FILES, **lists}))


class TestUTKFace:
    def test_names(self, tmp_path):
        names = [
            "part1/26_1_2_20170116171716287.jpg",
            "part1/100_0_4_20170110182846340.jpg.chip.jpg",
            "part1/39_1_20170116174525125.jpg",  # the set has a few without a race
            *(f"part2/{age}_0_0_2017010915055{age:04d}.jpg" for age in range(1, 20)),
        ]
        source = open_source(pack(tmp_path, {name: picture() for name in names}))
        assert (source.layout, source.card.name) == ("utkface", "utkface")
        labels = labelled(source)
        assert labels[names[0]] == {"age": "26", "gender": "female", "race": "asian"}
        assert labels[names[1]] == {"age": "100", "gender": "male", "race": "other"}
        assert labels[names[2]] == {}
        assert source.label_names["age"] == (*map(str, range(1, 20)), "26", "100")
        assert source.warnings == [
            f"1 names lack age, gender or race and give no label, such as {names[2]}."
        ]

    def test_not_any_number_is_an_age(self, tmp_path):
        files = {"26_1_2_20170116171716287.jpg": picture(), "holiday.jpg": picture()}
        assert open_source(pack(tmp_path, files)).layout == "folder"


class TestPlainCollections:
    @pytest.mark.parametrize(
        ("names", "card"),
        [
            (("images/1_2000.jpg", "images/46651_2014.jpg"), "animefacedataset"),
            (("data/1.png", "data/21551.png"), "anime-faces"),
            (("data/data/1.png",), "anime-faces"),
            (("images/1.jpg", "images/2.jpg"), None),
        ],
    )
    def test_cards(self, tmp_path, names, card):
        source = open_source(pack(tmp_path, {name: picture() for name in names}))
        assert source.layout == "folder" and (source.card and source.card.name) == card

    def test_what_this_kit_draws(self, tmp_path):
        """`data render` writes labels.csv, landmarks.npz and sheet.png beside images/."""
        files = {f"images/{n:06d}.png": picture() for n in range(2)}
        table = text("file,hair_color", "000000.png,red", "000001.png,blue")
        others = {"labels.csv": table, "landmarks.npz": b"", "sheet.png": picture()}
        source = open_source(pack(tmp_path, {**files, **others}))
        assert source.card.name == "rendered"
        assert [item.labels["hair_color"] for item in source.items] == ["red", "blue"]


class TestParquet:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")

    def write(self, path, columns, features=None, group=2):
        import pyarrow.parquet

        table = self.pa.table(columns)
        if features:
            note = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": note})
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(table, path, row_group_size=group)
        return path

    def test_as_hugging_face_writes_them(self, tmp_path):
        for split, start in (("train", 0), ("validation", 5)):
            self.write(
                tmp_path / "data" / f"{split}-00000-of-00001.parquet",
                {
                    "image": [{"bytes": picture(start + n), "path": f"{n}.png"} for n in range(5)],
                    "label": [0, 1, None, 1, -1],
                    "smiling": [True, False, True, None, True],
                    "caption": ["", "b", "c", None, "e"],
                    "embedding": [[0.5]] * 5,
                    "score": [0.5] * 5,
                },
                {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}},
            )
        with open_source(tmp_path) as source:
            assert (source.layout, source.card, len(source.items)) == ("parquet", None, 10)
            first = source.items[0]
            assert first.name == "train-00000-of-00001/000000.png"
            assert [item.split for item in source.items] == ["train"] * 5 + ["val"] * 5
            assert [item.labels for item in source.items[:5]] == [
                {"label": "cat", "smiling": "True"},
                {"label": "dog", "smiling": "False", "caption": "b"},
                {"smiling": "True", "caption": "c"},
                {"label": "dog"},
                {"smiling": "True", "caption": "e"},
            ]
            order = random.Random(0).choices(range(10), k=100)
            with ThreadPoolExecutor(8) as pool:
                contents = list(pool.map(lambda n: source.read_bytes(source.items[n]), order))
            assert contents == [picture(n) for n in order]
            assert len(source._files._groups) <= 2  # of six row groups
            again = pickle.loads(pickle.dumps(source))
            assert again.read_bytes(again.items[7]) == picture(7)

    @pytest.mark.parametrize("column", ["image", "picture"])
    def test_bytes_alone(self, tmp_path, column):
        path = self.write(tmp_path / "x.parquet", {column: [picture(1), picture(2)], "id": [7, 8]})
        source = open_source(path)
        assert [item.name for item in source.items] == ["x/000000", "x/000001"]
        assert source.read_bytes(source.items[1]) == picture(2)
        assert source.items[1].labels == {"id": "8"} and source.items[1].split is None

    def test_same_name_in_two_folders(self, tmp_path):
        for part in ("a", "b"):
            self.write(tmp_path / part / "0000.parquet", {"image": [picture(ord(part))]})
        source = open_source(tmp_path)
        assert [item.name for item in source.items] == ["a/0000/000000", "b/0000/000000"]
        assert source.read_bytes(source.items[1]) == picture(ord("b"))

    def test_no_content(self, tmp_path):
        rows = [{"bytes": None, "path": "a.png"}, {"bytes": picture(), "path": "b.png"}]
        source = open_source(self.write(tmp_path / "x.parquet", {"image": rows}))
        with pytest.raises(reading.Unreadable, match="holds only its path"):
            source.read_bytes(source.items[0])

    def test_no_pictures(self, tmp_path):
        path = self.write(tmp_path / "x.parquet", {"text": ["a"], "number": [1]})
        with pytest.raises(ValueError, match=r"x\.parquet has no column 'image'.*text, number"):
            open_source(path)

    def test_damaged(self, tmp_path):
        path = self.write(tmp_path / "x.parquet", {"image": [picture()]})
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(ValueError, match=r"parquet file .*x\.parquet cannot be read"):
            open_source(path)


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match="pip install pyarrow"):
        open_source(tmp_path)


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="ANIME_KERAS_REAL_DATA names no folder of real pictures")
class TestReal:
    def test_anime_tagged(self):
        with open_source(Path(REAL) / "anime_tagged") as source:
            assert (len(source.items), source.layout, source.warnings) == (7656, "labels", [])
            assert source.label_names == {n: FACTORS[n] for n in ("eye_color", "hair_color")}
            words = [item.labels["hair_color"] for item in source.items]
            assert (words.count("brown"), words.count("orange")) == (1415, 145)
            assert reading.read(source.read_bytes(source.items[0])).shape == (96, 96, 3)

    @pytest.mark.parametrize("kind", PACKINGS[1:])
    def test_odd_files(self, tmp_path, kind):
        """An archive gives the bytes that the folder gives."""
        folder = open_source(Path(REAL) / "odd_files")
        files = {item.name: folder.read_bytes(item) for item in folder.items}
        assert len(files) == 19
        with open_source(pack(tmp_path / "odd", files, kind)) as source:
            assert {item.name: source.read_bytes(item) for item in source.items} == files
