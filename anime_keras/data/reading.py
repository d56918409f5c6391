"""One picture, whatever its format and whatever its file is called, as upright 8-bit RGB.

OpenCV decodes what is ordinary (8-bit grey or colour JPEG and PNG), because it is fast; Pillow takes
the rest, because it knows palettes, inks and transparency. Both are told the format, which is read
from the first bytes: names lie. Colour profiles (ICC) are not applied.
"""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
LARGEST = 100_000_000  # pixels: 300 MB once decoded

# Called directly, since `Image.open` has a size limit of its own, with a warning and a global.
_PILLOW = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "PNM": PpmImagePlugin.PpmImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
}
_PICTURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    *((b"P%d" % kind, "PNM") for kind in range(1, 7)),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"\x1aE\xdf\xa3", "a film (Matroska or WebM)"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"8BPS", "a Photoshop document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
)
_CONVERT = "save it as JPEG or PNG"


class Unreadable(ValueError):
    """There is no picture to be had; the message is the reason, in one phrase without the name."""


def read(source: str | Path | bytes) -> np.ndarray:
    """The picture of a file or of its bytes.

    Upright by its EXIF orientation, transparency laid over white, 16 bits scaled to 8, of an
    animation the first frame.

    Args:
        source: a path, or the content of a file.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        Unreadable: no picture, a damaged one, of a format that is not read, or of more than
            `LARGEST` pixels (known from its header, before anything is decoded).
    """
    if isinstance(source, bytes):
        content = source
    else:
        try:
            content = Path(source).read_bytes()
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from None
    kind = _kind(content)
    if kind == "JPEG":
        ordinary = _check_jpeg(content)
    elif kind == "PNG":
        ordinary = _check_png(content)
    else:
        ordinary = False
    if kind == "WebP" and int.from_bytes(content[4:8], "little") + 8 > len(content):
        raise Unreadable("the file is cut short")
    image = _by_opencv(content) if ordinary else None
    return _by_pillow(content, kind) if image is None else image


def _kind(content: bytes) -> str:
    """The format by the first bytes: a key of `_PILLOW`."""
    if not content:
        raise Unreadable("the file is empty")
    for start, kind in _PICTURES:
        if content.startswith(start):
            return kind
    if content.startswith(b"RIFF"):
        if content[8:12] == b"WEBP":
            return "WebP"
        raise Unreadable("a film or sound (RIFF), not a picture")
    if content[4:8] == b"ftyp":
        brand = content[8:12]
        if brand in (b"avif", b"avis"):
            raise Unreadable(f"an AVIF picture, which is not read here: {_CONVERT}")
        if brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"):
            raise Unreadable(f"a HEIC picture, which is not read here: {_CONVERT}")
        raise Unreadable("a film (MP4 or QuickTime), not a picture")
    for start, name in _OTHERS:
        if content.startswith(start):
            raise Unreadable(f"{name}, which is not read here: {_CONVERT}")
    raise Unreadable(_text(content[:512]))


def _text(start: bytes) -> str:
    """Why a file that begins with no known signature is no picture."""
    words = start.decode("utf-8", "ignore").lstrip("\ufeff").lstrip().lower()
    if "<svg" in words:
        return f"an SVG drawing, which is not read here: {_CONVERT}"
    if words.startswith(("<!doctype html", "<html")):
        return "a web page (HTML), not a picture: download it again"
    if words and all(letter.isprintable() or letter in "\r\n\t" for letter in words):
        return "text, not a picture"
    return "not a picture of a known format"


def _check_size(width: int, height: int) -> None:
    if width * height > LARGEST:
        raise Unreadable(
            f"too large: {width}x{height} pixels, more than {LARGEST // 10**6} megapixels"
        )


def _check_jpeg(content: bytes) -> bool:
    """Whether OpenCV can be trusted with it: 8 bits, grey or colour but no inks (CMYK).

    OpenCV and Pillow both may fill what is missing with grey and say nothing, so a JPEG without its
    end is refused here.
    """
    place, ordinary = 2, False
    # Over the segments to the first scan; a thumbnail on the way has an end of its own.
    while content[place : place + 1] == b"\xff" and content[place + 1 : place + 2] != b"\xda":
        mark = content[place + 1 : place + 2]
        if mark == b"\xff":  # padding
            place += 1
            continue
        if b"\xc0" <= mark <= b"\xcf" and mark not in b"\xc4\xc8\xcc":
            frame = content[place + 4 : place + 10]
            if len(frame) == 6:
                _check_size(int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3]))
                ordinary = frame[0] == 8 and frame[5] in (1, 3)
        place += 2 + int.from_bytes(content[place + 2 : place + 4])
    if content.find(b"\xff\xd9", place) < 0:
        raise Unreadable("the file is cut short")
    return ordinary


def _check_png(content: bytes) -> bool:
    """Whether OpenCV can be trusted with it: 8 bits, grey or colour, opaque, unturned, unmoving."""
    place, names = 8, set()
    while b"IEND" not in names:
        length, name = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        place += 12 + length
        if place > len(content):
            raise Unreadable("the file is cut short")
        names.add(name)
    if content[12:16] != b"IHDR":
        raise Unreadable("a damaged PNG: its header is missing")
    _check_size(int.from_bytes(content[16:20]), int.from_bytes(content[20:24]))
    depth, color = content[24], content[25]
    return depth == 8 and color in (0, 2) and not names & {b"tRNS", b"eXIf", b"acTL"}


def _by_opencv(content: bytes) -> np.ndarray | None:
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        return None
    return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _by_pillow(content: bytes, kind: str) -> np.ndarray:
    try:
        with _PILLOW[kind](io.BytesIO(content)) as image:
            _check_size(*image.size)
            image.load()
            return _rgb(_upright(image), kind)
    except Unreadable:
        raise
    except Exception as error:  # Pillow's decoders raise whatever comes up in them
        raise Unreadable(f"a damaged {kind}: {str(error).rstrip('.') or 'unreadable'}") from None


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken notes about a picture are no reason to lose the picture
        return image


def _rgb(image: Image.Image, kind: str) -> np.ndarray:
    """Any mode of Pillow's as uint8 (height, width, 3)."""
    if image.mode.startswith("I;16") or (image.mode == "I" and kind in ("PNG", "PNM")):
        values = np.asarray(image).astype(np.uint32)
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            grey[values == clear] = 255
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        raise Unreadable(f"a {kind} of 32-bit numbers, whose white is unknown: {_CONVERT}")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image.convert("RGBA"))
        image = paper
    return np.array(image.convert("RGB"))
