"""Pictures of any size and shape, through a network that translates squares of one size.

    network = CycleGAN(image_size=128)
    found = translating.each_face(photo, network.translate, 128)       # cut out, and translated
    photo = translating.paste(photo, found)                            # put back, with soft edges
    scene = translating.whole(landscape, network.translate, 128)       # by tiles that overlap

    network = AnimeGAN()                                               # all convolutions
    scene = translating.at_once(landscape, network.translate)          # in one piece

A translator is any function of pictures uint8 (count, size, size, 3), RGB, to as many of the same
shape: what draws them is none of this module's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from anime_keras.data import faces
from anime_keras.data.folders import square

Translator = Callable[[np.ndarray], np.ndarray]

EYES = {
    "portrait": ((0.392, 0.4815), (0.608, 0.4815)),
    "anime": ((0.35, 0.5202), (0.65, 0.5202)),
}
"""Where `data.render` has the eyes of either style on the mean, as fractions of the side."""

BATCH = 16  # tiles translated at once
AT_ONCE = 2_000_000  # pixels: AnimeGAN's maps of 32 channels then take a quarter of a gigabyte each
SOFT = 0.2  # of a pasted face's side: how wide its edge is blended


@dataclass(frozen=True)
class TranslatedFace:
    """A face of a picture, before and after.

    Attributes:
        face: as it was found.
        before: uint8 (size, size, 3), cut out and aligned.
        after: uint8 (size, size, 3), the translation.
        move: float64 (2, 3): where pixels of the picture lie on the crop; see `faces.alignment`.
    """

    face: faces.Face
    before: np.ndarray
    after: np.ndarray
    move: np.ndarray


# --- one face, or several -------------------------------------------------------------------------


def middle(image: np.ndarray, translate: Translator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The middle square of a picture that is a face already, and its translation.

    Args:
        image: uint8 (height, width, 3), RGB, of any size.
        translate: a translator of squares.
        size: their side in pixels.

    Returns:
        Both uint8 (size, size, 3).
    """
    before = square(_checked(image), size)
    return before, _translate(translate, before[None])[0]


def each_face(
    image: np.ndarray,
    translate: Translator,
    size: int,
    eyes: Sequence = EYES["portrait"],
    detector: faces.Detector | None = None,
    limit: int | None = None,
) -> list[TranslatedFace]:
    """Find the faces of a picture, cut them out as the network knows faces, and translate them.

    Args:
        image: uint8 (height, width, 3), RGB, of any size.
        translate: a translator of squares.
        size: their side in pixels.
        eyes: where the network's training pictures have the eyes, as fractions of the side: the
            viewer's left one (x, y), then the right. See `EYES` and `mean_eyes`.
        detector: who finds the faces; see `faces.find`.
        limit: translate at most so many.

    Returns:
        The faces, the surest first; an empty list if there are none. Where a crop reaches beyond the
        picture, the picture's edge goes on.

    Raises:
        ValueError: this is no such picture.
    """
    found, moves, crops = [], [], []
    for face in faces.find(image, detector, limit):
        move = faces.alignment(face, size, eyes)
        found.append(face)
        moves.append(move)
        # The edge goes on beyond the edge: in a mirror, close photos had a second chin under the first.
        crops.append(faces.cut(image, move, size, size, cv2.BORDER_REPLICATE))
    if not found:
        return []
    after = _translate(translate, np.stack(crops))
    return [TranslatedFace(*row) for row in zip(found, crops, after, moves, strict=True)]


def mean_eyes(
    images: Sequence[np.ndarray], detector: faces.Detector | None = None
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where square pictures of single faces have the eyes, for `each_face` to cut others alike.

    Args:
        images: each uint8 (side, side, 3), such as a few dozen of a network's training pictures.
        detector: who finds the faces; see `faces.find`.

    Returns:
        The median place of the viewer's left eye, then of the right, as fractions of the side, level
        and equally far from the middle.

    Raises:
        ValueError: no face was found on any.
    """
    places = [
        face.landmarks / image.shape[0]
        for image in images
        for face in faces.find(image, detector, limit=1)
    ]
    if not places:
        raise ValueError(f"No face was found on {len(images)} pictures: where do they have eyes?")
    (left, _), (right, _) = np.median(places, axis=0)
    height = float(np.median(np.array(places)[..., 1]))
    half = float(right - left) / 2
    return (0.5 - half, height), (0.5 + half, height)


def paste(image: np.ndarray, found: Sequence[TranslatedFace]) -> np.ndarray:
    """Put translated faces back where they were cut out: turned, scaled, with soft edges.

    Args:
        image: uint8 (height, width, 3), RGB, the picture that they are from; it stays as it is.
        found: faces of `each_face`, the surest first; it ends on top.

    Returns:
        uint8 (height, width, 3).
    """
    image = image.copy()
    height, width = image.shape[:2]
    for face in reversed(found):
        size = len(face.after)
        back = cv2.invertAffineTransform(face.move)
        corners = np.array([(x, y, 1) for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)])
        reached = corners @ back.T
        left, top = np.clip(np.floor(reached.min(axis=0)).astype(int), 0, (width, height))
        right, bottom = np.clip(np.ceil(reached.max(axis=0)).astype(int) + 1, 0, (width, height))
        if right <= left or bottom <= top:
            continue
        here = back - np.array([[0, 0, left], [0, 0, top]])
        drawn = faces.cut(face.after, here, right - left, bottom - top).astype(np.float32)
        seen = _softness(face.move, size, left, top, right, bottom)[..., None]
        part = image[top:bottom, left:right]
        part[:] = np.rint(part + seen * (drawn - part))
    return image


def _softness(
    move: np.ndarray, size: int, left: int, top: int, right: int, bottom: int
) -> np.ndarray:
    """How much of a crop is seen at each pixel of a box: 1 inside, falling to 0 at its edge."""
    x, y = np.meshgrid(np.arange(left, right), np.arange(top, bottom))
    place = move[:, 0] * x[..., None] + move[:, 1] * y[..., None] + move[:, 2]
    place = (place + 0.5) / size
    inside = np.clip(np.minimum(place, 1 - place) / SOFT, 0, 1)
    return (inside**2 * (3 - 2 * inside)).prod(axis=-1).astype(np.float32)


# --- the whole picture ----------------------------------------------------------------------------


def whole(
    image: np.ndarray,
    translate: Translator,
    size: int,
    overlap: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Translate a picture of any size by tiles that overlap and are blended, so that no seam shows.

    Args:
        image: uint8 (height, width, 3), RGB. Where it is smaller than a tile its mirror image goes
            on around it.
        translate: a translator of squares.
        size: their side in pixels.
        overlap: at least this part of a tile's side is its neighbour's too, in [0, 1).
        progress: called as progress(done, total) on the way, in tiles.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: this is no such picture, or no such overlap.
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be in [0, 1), not {overlap!r}.")
    height, width = _checked(image).shape[:2]
    rest = [max(size - side, 0) for side in (height, width)]
    (before_y, before_x) = (side // 2 for side in rest)
    if any(rest):
        around = [(before_y, rest[0] - before_y), (before_x, rest[1] - before_x), (0, 0)]
        image = np.pad(image, around, mode="symmetric")
    tops, weights_y = _tiles(image.shape[0], size, overlap)
    lefts, weights_x = _tiles(image.shape[1], size, overlap)

    result = np.empty_like(image)
    # A row of tiles at a time, so that only a band of the picture is ever held in float.
    band = np.zeros((size, image.shape[1], 3), np.float32)
    for row, top in enumerate(tops):
        for start in range(0, len(lefts), BATCH):
            some = lefts[start : start + BATCH]
            tiles = np.stack([image[top : top + size, left : left + size] for left in some])
            for column, tile in enumerate(_translate(translate, tiles), start):
                weight = weights_y[row][:, None, None] * weights_x[column][:, None]
                band[:, lefts[column] : lefts[column] + size] += weight * tile
            if progress:
                progress(row * len(lefts) + start + len(some), len(tops) * len(lefts))
        done = (tops[row + 1] if row + 1 < len(tops) else image.shape[0]) - top
        result[top : top + done] = np.rint(band[:done]).clip(0, 255)
        band = np.concatenate([band[done:], np.zeros_like(band[:done])])
    return result[before_y : before_y + height, before_x : before_x + width]


def at_once(
    image: np.ndarray, translate: Translator, multiple: int = 4, smallest: int = 8
) -> np.ndarray:
    """Translate a picture of any size in one piece, by a network that takes nearly any.

    Args:
        image: uint8 (height, width, 3), RGB, of at most `AT_ONCE` pixels.
        translate: a translator of pictures of any height and width that are multiples of `multiple`.
            The picture goes on as its mirror image as far as that takes.
        multiple: see there.
        smallest: sides that the translator takes at least.

    Returns:
        uint8 (height, width, 3).

    Raises:
        ValueError: this is no such picture, or a larger one.
    """
    height, width = _checked(image).shape[:2]
    if height * width > AT_ONCE:
        raise ValueError(
            f"{width}x{height} pixels are too many to be held at once: shrink it to at most "
            f"{AT_ONCE:,} pixels (--longest {int(AT_ONCE**0.5) // 100 * 100})."
        )
    more = [max(-side % multiple, smallest - side) for side in (height, width)]
    framed = np.pad(image, [(0, more[0]), (0, more[1]), (0, 0)], mode="symmetric")
    return _translate(translate, framed[None])[0, :height, :width]


def _tiles(length: int, size: int, overlap: float) -> tuple[list[int], list[np.ndarray]]:
    """Where tiles begin along a side, and how much each counts at each of its pixels.

    A tile counts by a squared sine (a Hann window), which is smooth and next to nothing at its ends;
    divided by what all together count there, so that they add up to 1.
    """
    step = max(round(size * (1 - overlap)), 1)
    count = -(-(length - size) // step) + 1
    starts = [round(start) for start in np.linspace(0, length - size, count)]
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    total = np.zeros(length)
    for start in starts:
        total[start : start + size] += window
    weights = [(window / total[start : start + size]).astype(np.float32) for start in starts]
    return starts, weights


def _translate(translate: Translator, images: np.ndarray) -> np.ndarray:
    """Call a translator, and see that it kept its word."""
    translated = np.asarray(translate(images))
    if translated.dtype != np.uint8 or translated.shape != images.shape:
        raise ValueError(
            f"A translator must give uint8 {images.shape} for such pictures, not {translated.dtype} "
            f"{translated.shape}."
        )
    return translated


def _checked(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(
            "A picture must be uint8 of shape (height, width, 3), "
            f"not {image.dtype} of shape {image.shape}."
        )
    return image


# --- looked at side by side -----------------------------------------------------------------------


def side_by_side(before: np.ndarray, after: np.ndarray, side: int = 192) -> np.ndarray:
    """A picture and what became of it next to each other, on white; several make a `plots.grid`.

    Args:
        before: uint8 (any, any, 3).
        after: the same, of any other size.
        side: each is fitted into a square of so many pixels.

    Returns:
        uint8 (side, 2 * side + 2, 3).
    """
    sheet = np.full((side, 2 * side + 2, 3), 255, np.uint8)
    for left, image in zip((0, side + 2), (before, after), strict=True):
        scale = side / max(image.shape[:2])
        height, width = (max(round(scale * length), 1) for length in image.shape[:2])
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        top, left = (side - height) // 2, left + (side - width) // 2
        fitted = cv2.resize(image, (width, height), interpolation=kind)
        sheet[top : top + height, left : left + width] = fitted
    return sheet
