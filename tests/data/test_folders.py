"""Folders of pictures as people have them: any depth, any kind of file, some of them broken."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from anime_keras.data import folders

REAL = os.environ.get("ANIME_KERAS_REAL_DATA")
RED, BLUE = (220, 30, 40), (20, 60, 210)


def halves(height=48, width=48):
    """Red above, blue below."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2], image[height // 2 :] = RED, BLUE
    return image


def assert_upright(image, tolerance=4):
    """Red above and blue below, away from the edge between them."""
    size = len(image)
    for part, colour in ((image[: size // 2 - 2], RED), (image[size // 2 + 2 :], BLUE)):
        assert np.abs(part.astype(int) - colour).max() <= tolerance


def load_one(path, size=32):
    pictures = folders.load(path.parent, size)
    assert pictures.paths == [path] and pictures.rejected == {}
    assert pictures.images.shape == (1, size, size, 3) and pictures.images.dtype == np.uint8
    return pictures.images[0]


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.webp", "a.JPG", "a.jpeg", "a.ppm"])
def test_formats(tmp_path, name):
    Image.fromarray(halves()).save(tmp_path / name, lossless=True, quality=95)
    assert_upright(load_one(tmp_path / name), tolerance=12)


def test_grey(tmp_path):
    Image.fromarray(np.full((40, 40), 77, np.uint8)).save(tmp_path / "grey.png")
    assert (load_one(tmp_path / "grey.png") == 77).all()


def test_palette(tmp_path):
    Image.fromarray(halves()).quantize(8).save(tmp_path / "palette.png")
    assert_upright(load_one(tmp_path / "palette.png"))


def test_transparency_becomes_white(tmp_path):
    """Where a picture is clear, the colours that lie hidden there do not come out."""
    image = np.dstack([halves(), np.full((48, 48), 255, np.uint8)])
    image[24:, :, 3] = 0
    Image.fromarray(image).save(tmp_path / "alpha.png")
    loaded = load_one(tmp_path / "alpha.png", 48)
    assert (loaded[:24] == RED).all() and (loaded[24:] == 255).all()


def test_sixteen_bit(tmp_path):
    """The upper eight bits count."""
    assert cv2.imwrite(str(tmp_path / "deep.png"), halves()[:, :, ::-1].astype(np.uint16) * 257)
    assert_upright(load_one(tmp_path / "deep.png"))


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, None), (3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)],
)
def test_exif_orientation(tmp_path, orientation, turn):
    """A telephone's picture stands upright."""
    image = Image.fromarray(halves())
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = image.transpose(turn) if turn is not None else image
    image.save(tmp_path / "phone.jpg", exif=exif, quality=98, subsampling=0)
    assert_upright(load_one(tmp_path / "phone.jpg"), tolerance=12)


@pytest.mark.parametrize(("height", "width"), [(48, 48), (48, 90), (90, 48), (49, 77), (17, 400)])
def test_middle_square(tmp_path, height, width):
    """Nothing is stretched: what is left over at both ends is cut."""
    image = np.full((height, width, 3), 255, np.uint8)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image[top : top + side, left : left + side] = halves(side, side)
    Image.fromarray(image).save(tmp_path / "wide.png")
    loaded = load_one(tmp_path / "wide.png", 32)
    assert (np.abs(loaded[0].astype(int) - RED).max(), loaded[-1, 0, 2]) == (0, BLUE[2])
    assert not (loaded == 255).all(axis=-1).any()


def test_shrinks_without_aliasing():
    """A chessboard of single pixels becomes the grey between, not stripes."""
    board = np.uint8(255) * (np.indices((256, 256)).sum(axis=0) % 2).astype(np.uint8)
    small = folders.square(np.repeat(board[:, :, None], 3, axis=2), 64)
    assert np.abs(small.astype(int) - 127.5).max() <= 1


def test_square_keeps_a_picture_of_the_size():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(folders.square(image, 32), image)


def test_any_depth_and_names(tmp_path):
    paths = [
        tmp_path / "b.png",
        tmp_path / "deep" / "er" / "顔 写真 ☆.png",
        tmp_path / "Ünïcode" / "[a] 'b' \"c\".png",
        tmp_path / "a.png",
    ]
    for value, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 32, 3), 10 * value, np.uint8)).save(path)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    for hidden in ("__MACOSX/._a.png", ".trash/a.png", ".a.png"):
        (tmp_path / hidden).parent.mkdir(exist_ok=True)
        (tmp_path / hidden).write_bytes(b"no picture")
    pictures = folders.load(tmp_path, 32)
    assert pictures.paths == sorted(paths)
    assert pictures.rejected == {}
    for path, image in zip(pictures.paths, pictures.images, strict=True):
        assert (image == 10 * paths.index(path)).all()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_cut_short(tmp_path, progressive):
    """Decoders fill what is missing with grey: such a file is left out, at whatever place it ends."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg", quality=90, progressive=progressive)
    content = (tmp_path / "whole.jpg").read_bytes()
    for percent in (20, 60, 99):
        (tmp_path / f"{percent}.jpg").write_bytes(content[: len(content) * percent // 100])
    (tmp_path / "with more behind.jpg").write_bytes(content + b"\xff\xda of a film" * 200)
    thumbnail = b"Exif\0\0" + content[:500] + b"\xff\xd9"  # has an end of its own
    inserted = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2) + thumbnail
    for name, cut in (("with a thumbnail", None), ("of it the half", len(content) // 2)):
        (tmp_path / f"{name}.jpg").write_bytes(content[:2] + inserted + content[2:cut])
    Image.fromarray(noise).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "60.png").write_bytes(content[: len(content) * 60 // 100])
    pictures = folders.load(tmp_path, 32)
    assert [path.name for path in pictures.paths] == [
        "whole.jpg",
        "whole.png",
        "with a thumbnail.jpg",
        "with more behind.jpg",
    ]
    assert {p.name for p in pictures.rejected} == {
        *("20.jpg", "60.jpg", "99.jpg", "60.png", "of it the half.jpg"),
    }
    assert pictures.rejected[tmp_path / "60.jpg"] == "the file is cut short"


def test_broken_files_are_named_with_a_reason(tmp_path, capfd):
    good = tmp_path / "good.png"
    Image.fromarray(halves()).save(good)
    content = good.read_bytes()
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "garbage.jpg").write_bytes(b"<html>404</html>")
    (tmp_path / "header.png").write_bytes(content[:20])
    Image.fromarray(halves(15, 60)).save(tmp_path / "small.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "wrong suffix.jpg").write_bytes(content)
    pictures = folders.load(tmp_path, 32)
    assert pictures.paths == [good, tmp_path / "wrong suffix.jpg"]
    for image in pictures.images:
        assert_upright(image)
    assert capfd.readouterr().err == ""  # the reasons are enough
    assert {path.name: reason for path, reason in pictures.rejected.items()} == {
        "empty.png": "the file is empty",
        "garbage.jpg": "a web page (HTML), not a picture: download it again",
        "gone.png": "No such file or directory",
        "header.png": "the file is cut short",
        "small.png": "too small: 60x15 pixels",
    }


def test_unreadable_file(tmp_path, monkeypatch):
    Image.fromarray(halves()).save(tmp_path / "a.png")
    Image.fromarray(halves()).save(tmp_path / "b.png")
    read = Path.read_bytes

    def read_bytes(path):
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    pictures = folders.load(tmp_path, 32)
    assert pictures.rejected == {tmp_path / "a.png": "Permission denied"}
    assert pictures.paths == [tmp_path / "b.png"]


def test_the_sheet_that_render_writes_is_no_face(tmp_path):
    """Beside images and labels.csv it is left out, and said to be; elsewhere it is a picture."""
    (tmp_path / "images").mkdir()
    for name in ("images/a.png", "images/sheet.png", "sheet.png"):
        Image.fromarray(halves()).save(tmp_path / name)
    assert len(folders.load(tmp_path, 32).paths) == 3
    (tmp_path / "labels.csv").write_text("file\na.png\n")
    pictures = folders.load(tmp_path, 32)
    assert [path.parent.name for path in pictures.paths] == ["images", "images"]
    assert list(pictures.rejected) == [tmp_path / "sheet.png"]
    assert len(folders.load(tmp_path, 32, limit=2).paths) == 2


def test_limit_and_progress(tmp_path):
    for index in range(5):
        Image.fromarray(np.full((32, 32, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    seen = []
    pictures = folders.load(tmp_path, 32, 3, lambda done, total: seen.append((done, total)))
    assert [path.name for path in pictures.paths] == ["0.png", "1.png", "2.png"]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(folders.load(tmp_path, 32, 99).images) == 5
    assert len(folders.load(str(tmp_path), 32).images) == 5


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        folders.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no file\. Looked for \.jpg, .* at any depth"):
        folders.load(tmp_path)
    (tmp_path / "file.png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        folders.load(tmp_path / "file.png")
    with pytest.raises(ValueError, match=r"1 files that cannot be read, such as .*file\.png"):
        folders.load(tmp_path)


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="ANIME_KERAS_REAL_DATA names no folder of real pictures")
class TestReal:
    def test_anime(self):
        pictures = folders.load(Path(REAL) / "anime_tagged" / "images", 64, limit=50)
        assert len(pictures.images) + len(pictures.rejected) == 50
        assert len(pictures.images) >= 45
        # Pictures, not noise or grey: neighbours are alike, and no two pictures are the same.
        images = pictures.images.astype(int)
        assert images.std(axis=(1, 2, 3)).min() > 10
        assert np.abs(np.diff(images, axis=2)).mean() < 25
        assert len({image.tobytes() for image in pictures.images}) == len(images)

    def test_odd_files(self):
        """Every one is read, or rejected with a reason."""
        folder = Path(REAL) / "odd_files"
        pictures = folders.load(folder, 64)
        there = {p for p in folder.rglob("*") if p.suffix.lower() in folders.SUFFIXES}
        assert {*pictures.paths, *pictures.rejected} == there
        assert all(isinstance(reason, str) and reason for reason in pictures.rejected.values())
        rejected = {path.name for path in pictures.rejected}
        assert {"empty_269.jpg", "one_pixel.png", "notes.jpg", "truncated.jpg"} <= rejected
        read = {path.name for path in pictures.paths}
        assert {"exif_rotated.jpg", "grey.jpg", "sixteen_bit.png", "transparent.png"} <= read
        assert "顔 写真 テスト 01.jpg" in read
