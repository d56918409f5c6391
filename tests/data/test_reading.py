"""Any file is read rightly or refused with its reason."""

import io
import os
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import pytest
from PIL import Image

from anime_keras.data.reading import LARGEST, Unreadable, read

REAL = os.environ.get("ANIME_KERAS_REAL_DATA")
RED, GREEN, BLUE, WHITE = (220, 30, 40), (20, 160, 60), (20, 60, 210), (255, 255, 255)


def quarters(side=32):
    """Four colours, so that every turn and every mirroring of it is another picture."""
    image = np.empty((side, side + 16, 3), np.uint8)
    half = side // 2
    image[:half, :half], image[:half, half:] = RED, GREEN
    image[half:, :half], image[half:, half:] = BLUE, (240, 220, 30)
    return image


def saved(image, kind, **options):
    stream = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(stream, kind, **options)
    return stream.getvalue()


def assert_alike(image, expected, tolerance):
    assert image.shape == expected.shape and image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected).max() <= tolerance


@pytest.fixture(autouse=True)
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class TestFormats:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WebP", "PPM"])
    def test_lossless(self, kind):
        noise = np.random.default_rng(0).integers(0, 256, (21, 34, 3), np.uint8)
        image = read(saved(noise, kind, lossless=True))
        np.testing.assert_array_equal(image, noise)
        assert image.flags.writeable and image.flags.c_contiguous

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2}])
    def test_jpeg(self, options):
        smooth = cv2.GaussianBlur(cv2.resize(quarters(), (64, 48)), (0, 0), 8)
        assert_alike(read(saved(smooth, "JPEG", quality=97, **options)), smooth, 6)

    def test_path_and_bytes(self, tmp_path):
        path = tmp_path / "顔 写真 ☆.jpg"  # PNG bytes under a .jpg name
        path.write_bytes(saved(quarters(), "PNG"))
        for source in (path, str(path), path.read_bytes()):
            np.testing.assert_array_equal(read(source), quarters())

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "PPM"])
    def test_grey(self, kind):
        ramp = np.tile(np.arange(0, 256, 4, np.uint8), (16, 1))
        assert_alike(read(saved(ramp, kind)), np.repeat(ramp[:, :, None], 3, 2), 3)

    def test_black_and_white(self):
        board = np.indices((8, 8)).sum(0) % 2 == 1
        expected = np.repeat(np.uint8(255) * board[:, :, None], 3, 2)
        np.testing.assert_array_equal(read(saved(Image.fromarray(board), "PNG")), expected)

    def test_palette(self):
        image = Image.fromarray(quarters()).quantize(4)
        for kind in ("PNG", "GIF", "BMP"):
            assert_alike(read(saved(image, kind)), quarters(), 1)

    def test_first_frame(self):
        frames = [Image.new("RGB", (20, 20), color) for color in (RED, GREEN, BLUE)]
        options = {"save_all": True, "append_images": frames[1:], "duration": 100}
        for kind in ("GIF", "PNG", "WebP", "TIFF"):
            extra = {"lossless": True} if kind == "WebP" else {}
            assert_alike(
                read(saved(frames[0], kind, **options, **extra)), np.full((20, 20, 3), RED), 2
            )

    @pytest.mark.parametrize("size", [(1, 1), (1, 300), (3000, 20)])
    def test_extreme_sides(self, size):
        image = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
        np.testing.assert_array_equal(read(saved(image, "PNG")), image)


class TestTransparency:
    def test_rgba(self):
        """Hidden colours stay hidden, half of a colour is mixed with white."""
        image = np.dstack([np.full((3, 4, 3), RED, np.uint8), np.full((3, 4), 255, np.uint8)])
        image[1, :, 3], image[2, :, 3] = 0, 128
        half = np.round(np.array(RED) * 128 / 255 + 255 * 127 / 255)
        for kind in ("PNG", "WebP", "TIFF"):
            options = {"lossless": True, "exact": True} if kind == "WebP" else {}
            loaded = read(saved(image, kind, **options))
            assert (loaded[0] == RED).all() and (loaded[1] == WHITE).all()
            assert_alike(loaded[2], np.tile(half, (4, 1)), 1)

    def test_grey_and_alpha(self):
        image = np.dstack([np.full((2, 4), 60, np.uint8), np.full((2, 4), 255, np.uint8)])
        image[1, :, 1] = 0
        loaded = read(saved(image, "PNG"))
        assert (loaded[0] == 60).all() and (loaded[1] == 255).all()

    def test_palette(self):
        image = Image.fromarray(quarters()).quantize(4)
        clear = image.getpixel((0, 0))
        for kind in ("PNG", "GIF"):
            loaded = read(saved(image, kind, transparency=clear))
            assert (loaded[:16, :16] == 255).all()
            assert_alike(loaded[16:], quarters()[16:], 1)
        halves = bytes([255] * clear + [128])  # an alpha for each colour
        loaded = read(saved(image, "PNG", transparency=halves))
        assert_alike(loaded[0, 0], np.round((np.array(RED) * 128 + 255 * 127) / 255), 1)

    def test_one_clear_colour(self):
        """PNG's tRNS: of colour, of grey, and of 16-bit grey."""
        loaded = read(saved(quarters(), "PNG", transparency=RED))
        assert (loaded[:16, :16] == 255).all() and (loaded[16:, :16] == BLUE).all()
        grey = np.array([[60, 90]], np.uint8)
        assert read(saved(grey, "PNG", transparency=60))[0, :, 0].tolist() == [255, 90]
        deep = np.array([[60 * 257, 90 * 257, 60 * 257 + 9]], np.uint16)
        stream = saved(deep, "PNG")
        clear = _chunk(b"tRNS", struct.pack(">H", 60 * 257))
        assert read(stream[:33] + clear + stream[33:])[0, :, 0].tolist() == [255, 90, 60]


def _chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


class TestInks:
    """CMYK: compared with Pillow's own conversion of the numbers that were written."""

    @staticmethod
    def inks():
        return Image.fromarray(cv2.resize(quarters(), (64, 64))).convert("CMYK")

    def test_adobe_inverted(self):
        content = saved(self.inks(), "JPEG", quality=98, subsampling=0)  # Pillow writes Adobe's way
        assert b"Adobe" in content
        expected = np.asarray(self.inks().convert("RGB"))
        assert_alike(read(content)[::7, ::7], expected[::7, ::7], 60)
        assert np.abs(read(content).mean((0, 1)) - expected.mean((0, 1))).max() < 2
        for x, y, color in ((10, 10, RED), (50, 10, GREEN), (10, 50, BLUE)):
            assert_alike(read(content)[y, x], np.array(color), 8)

    def test_tiff(self):
        expected = np.asarray(self.inks().convert("RGB"))
        np.testing.assert_array_equal(read(saved(self.inks(), "TIFF")), expected)


class TestSixteenBits:
    def test_grey_is_scaled(self):
        values = np.array([[0, 128, 129, 257, 32768, 65000, 65535]], np.uint16)
        expected = np.round(values / 257).astype(int).tolist()[0]
        for kind in ("PNG", "TIFF"):
            loaded = read(saved(values, kind))
            assert loaded.shape == (1, 7, 3)
            assert loaded[0].tolist() == [[v] * 3 for v in expected]

    def test_grey_pgm(self):
        values = np.array([[0, 257, 32896, 65535]], ">u2")
        loaded = read(b"P5 4 1 65535\n" + values.tobytes())
        assert loaded[0, :, 0].tolist() == [0, 1, 128, 255]

    def test_colour(self):
        _, content = cv2.imencode(".png", quarters()[:, :, ::-1].astype(np.uint16) * 257)
        np.testing.assert_array_equal(read(content.tobytes()), quarters())

    def test_numbers_without_a_white(self):
        for dtype in (np.int32, np.float32):
            with pytest.raises(Unreadable, match="32-bit numbers"):
                read(saved(np.ones((4, 4), dtype), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright(kind, orientation):
    """All eight ways to hold a telephone, after the table of the Exif standard."""
    upright = quarters()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 98, "subsampling": 0}, "WebP": {"lossless": True}}.get(kind, {})
    content = saved(np.ascontiguousarray(stored), kind, exif=exif, **options)
    assert_alike(read(content), upright, 20 if kind == "JPEG" else 0)


def test_broken_exif_loses_no_picture():
    content = saved(quarters(), "PNG")
    broken = _chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\x05broken")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow may mention it
        np.testing.assert_array_equal(read(content[:33] + broken + content[33:]), quarters())


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "the file is empty"),
            (b"just words,\nand more\twords", "text, not a picture"),
            ("Wörter und 文字".encode(), "text, not a picture"),
            (b"<!DOCTYPE html><html>404</html>", "a web page"),
            (b'<?xml version="1.0"?>\n<svg width="9">', "an SVG drawing"),
            (b"%PDF-1.7", "a PDF document"),
            (b"\0\0\0\x18ftypheic\0\0", "a HEIC picture"),
            (b"\0\0\0\x18ftypavif\0\0", "an AVIF picture"),
            (b"\0\0\0\x18ftypisom\0\0", "a film (MP4"),
            (b"\x1aE\xdf\xa3....webm", "a film (Matroska"),
            (b"RIFF\x10\0\0\0AVI LIST", "a film or sound"),
            (b"PK\x03\x04rest", "a zip archive"),
            (b"\0" * 100, "not a picture of a known format"),
            (b"\x93\xf0\x01\x02binary", "not a picture of a known format"),
        ],
    )
    def test_other_files(self, content, reason):
        with pytest.raises(Unreadable) as caught:
            read(content)
        assert str(caught.value).startswith(reason)

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "BMP", "TIFF", "PPM", "GIF"])
    def test_cut_short_at_any_place(self, kind):
        noise = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
        content = saved(noise, kind)
        read(content)
        whole = len(content) - (2 if kind == "GIF" else 0)  # a GIF ends in two bytes of no pixel
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for end in {*range(1, whole, 37), whole // 2, whole - 1}:
                with pytest.raises(Unreadable):
                    read(content[:end])

    def test_cut_short_says_so(self):
        for kind in ("JPEG", "PNG", "WebP"):
            content = saved(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8), kind)
            with pytest.raises(Unreadable, match=r"^the file is cut short$"):
                read(content[: len(content) * 6 // 10])

    def test_a_thumbnail_is_not_the_end(self):
        content = saved(quarters(), "JPEG")
        inner = b"Exif\0\0" + content[:300] + b"\xff\xd9"
        marked = content[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2) + inner + content[2:]
        np.testing.assert_array_equal(read(marked), read(content))
        with pytest.raises(Unreadable, match="cut short"):
            read(marked[:-2])

    def test_damaged(self):
        content = bytearray(
            saved(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8), "PNG")
        )
        content[300] ^= 255
        with pytest.raises(Unreadable, match=r"^a damaged PNG: "):
            read(bytes(content))

    def test_missing(self, tmp_path):
        with pytest.raises(Unreadable, match=r"^No such file or directory$"):
            read(tmp_path / "gone.png")
        with pytest.raises(Unreadable, match=r"^Is a directory$"):
            read(tmp_path)


class TestBombs:
    """The size is known from the header; decoding would end in another error, or in none."""

    SIDES = (40_000, 30_000)

    def refused(self, content):
        with pytest.raises(
            Unreadable, match=r"^too large: 40000x30000 pixels, more than 100 megapixels$"
        ):
            read(content)

    def test_png(self):
        header = struct.pack(">IIBBBBB", *self.SIDES, 8, 2, 0, 0, 0)
        self.refused(
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", header)
            + _chunk(b"IDAT", zlib.compress(b"\0" * 1000))
            + _chunk(b"IEND", b"")
        )

    def test_jpeg(self):
        content = bytearray(saved(quarters(), "JPEG"))
        place = content.index(b"\xff\xc0")
        content[place + 5 : place + 9] = struct.pack(">HH", self.SIDES[1], self.SIDES[0])
        self.refused(bytes(content))

    def test_gif(self):
        content = bytearray(saved(quarters(), "GIF"))
        content[6:10] = struct.pack("<HH", *self.SIDES)
        self.refused(bytes(content))

    def test_bmp(self):
        content = bytearray(saved(quarters(), "BMP"))
        content[18:26] = struct.pack("<ii", *self.SIDES)
        self.refused(bytes(content))

    def test_ppm(self):
        self.refused(b"P6 40000 30000 255\n" + b"\0" * 100)

    def test_limit(self):
        """One row more than the limit is refused for its size, the limit itself is not."""
        for rows, reason in ((10_000, "cut short|damaged"), (10_001, "too large")):
            with pytest.raises(Unreadable, match=reason):
                read(b"P6 %d %d 255\n" % (LARGEST // 10_000, rows) + b"\0" * 10)


def test_threads():
    contents = [saved(np.full((20, 20, 3), value, np.uint8), "PNG") for value in range(100)]
    contents += [saved(np.full((20, 20, 3), value, np.uint8), "BMP") for value in range(100)]
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(read, contents))
    assert [int(image.mean()) for image in images] == 2 * list(range(100))


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="ANIME_KERAS_REAL_DATA names no folder of real pictures")
class TestOddFiles:
    """Each one against what its folder's README.txt says of it."""

    REFUSED: ClassVar = {
        **{f"empty_{n}.jpg": "the file is empty" for n in (269, 297, 345)},
        "notes.jpg": "text, not a picture",
        "truncated.jpg": "the file is cut short",
    }
    SIZES: ClassVar = {
        **{f"png_bytes_000{n}.jpg": (64, 64) for n in (1, 2, 4)},
        **{f"{n}": (128, 128) for n in ("grey.jpg", "transparent.png", "palette.png", "cmyk.jpg")},
        **{"sixteen_bit.png": (96, 96), "exif_rotated.jpg": (128, 96), "animated.gif": (64, 64)},
        **{"photo.webp": (128, 128), "one_pixel.png": (1, 1), "panorama_3000x20.jpg": (20, 3000)},
        "顔 写真 テスト 01.jpg": (128, 128),
    }

    @staticmethod
    def folder():
        return Path(REAL) / "odd_files"

    def test_all_are_here(self):
        names = {path.name for path in self.folder().iterdir()} - {"README.txt"}
        assert names == {*self.REFUSED, *self.SIZES}

    @pytest.mark.parametrize("name", REFUSED)
    def test_refused(self, name):
        with pytest.raises(Unreadable) as caught:
            read(self.folder() / name)
        assert str(caught.value) == self.REFUSED[name]

    @pytest.mark.parametrize("name", SIZES)
    def test_read(self, name):
        image = read(self.folder() / name)
        assert image.shape == (*self.SIZES[name], 3) and image.dtype == np.uint8
        if name not in ("one_pixel.png", "panorama_3000x20.jpg"):
            # A picture: not flat, and neighbours alike.
            assert image.std() > 15 and np.abs(np.diff(image.astype(int), axis=1)).mean() < 25

    def test_colours(self):
        read_by_pillow = {
            name: np.asarray(Image.open(self.folder() / name).convert("RGB")).astype(int)
            for name in ("cmyk.jpg", "palette.png", "photo.webp", "grey.jpg", "png_bytes_0001.jpg")
        }
        for name, expected in read_by_pillow.items():
            assert np.abs(read(self.folder() / name) - expected).mean() < 1, name
        with Image.open(self.folder() / "animated.gif") as film:
            assert film.n_frames == 4
            assert_alike(read(self.folder() / "animated.gif"), np.asarray(film.convert("RGB")), 0)

    def test_sixteen_bit(self):
        stored = cv2.imread(str(self.folder() / "sixteen_bit.png"), cv2.IMREAD_UNCHANGED)
        assert stored.dtype == np.uint16 and stored.max() > 255
        expected = np.repeat(np.round(stored / 257)[:, :, None], 3, 2)
        assert_alike(read(self.folder() / "sixteen_bit.png"), expected, 0)

    def test_transparent(self):
        stored = cv2.imread(str(self.folder() / "transparent.png"), cv2.IMREAD_UNCHANGED).astype(
            float
        )
        color, alpha = stored[:, :, 2::-1], stored[:, :, 3:] / 255
        expected = color * alpha + 255 * (1 - alpha)
        assert ((alpha > 0) & (alpha < 1)).any() and (color[alpha[:, :, 0] == 0] < 200).any()
        assert_alike(read(self.folder() / "transparent.png"), np.round(expected), 1)

    def test_upright(self):
        stored = cv2.imread(
            str(self.folder() / "exif_rotated.jpg"),
            cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
        )
        expected = np.rot90(stored[:, :, ::-1], -1)  # orientation 6: turn by 90 degrees clockwise
        assert_alike(read(self.folder() / "exif_rotated.jpg"), expected, 0)
