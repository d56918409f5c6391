"""Faces on a picture: find them, and cut them out aligned.

    face = faces.find(image)[0]
    crop = faces.align(image, face, size=64)        # eyes level, and where the drawn faces have them

Two detectors stand behind one method, `find`. `Network` is a small network of this project that was
trained on drawn scenes and portraits alone; its weights come with the kit. `Cascade` is OpenCV's
cascade with the file `lbpcascade_animeface.xml` of nagadomi, for those who have it.

The network answers for every eighth pixel, as in CenterNet (Zhou et al. 2019, "Objects as Points"):
is there the middle of a face, how large is it, and where are its eyes? It knows faces of an eighth
of its picture to all of it, so a picture is shown to it in several sizes.
"""

import hashlib
import math
import urllib.request
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

STRIDE = 8
"""Pixels from one answer of the network to the next."""
OUTPUTS = 9
"""Logit; log size; offset of the middle x, y; log aspect; left eye x, y; right eye x, y."""
TYPICAL = 32.0
"""Size in pixels at which the network's log size is 0. Offsets are in sizes of the face."""

EYES = ((0.355, 0.485), (0.645, 0.485))
"""Where `align` puts the eyes at margin 1, as fractions of the crop: as in the drawn faces."""


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        box: left, top, right, bottom in pixels: hair line, jaw and chin. May reach over the edge.
        score: in [0, 1], how sure the detector is.
        landmarks: float32 (2, 2), the viewer's left eye, then the right, x then y in pixels; the
            centre of the first pixel is at (0.5, 0.5).
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray

    @property
    def size(self) -> float:
        """Geometric mean of the box's width and height, in pixels."""
        left, top, right, bottom = self.box
        return math.sqrt(max(right - left, 0) * max(bottom - top, 0))


class Detector(Protocol):
    """Anything that finds faces."""

    def find(self, image: np.ndarray) -> list[Face]:
        """Faces of a picture uint8 (height, width, 3), RGB, best first."""
        ...


def find(
    image: np.ndarray, detector: Detector | None = None, limit: int | None = None
) -> list[Face]:
    """Finds the faces of a picture.

    Args:
        image: uint8 (height, width, 3), RGB, of any size.
        detector: who looks; the network that comes with the kit unless told.
        limit: give back at most so many.

    Returns:
        The faces, the surest first; an empty list if there are none.

    Raises:
        ValueError: this is no such picture.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
        raise ValueError(
            "A picture must be uint8 of shape (height, width, 3), "
            f"not {image.dtype} of shape {image.shape}."
        )
    return (detector or default_detector()).find(image)[:limit]


def align(image: np.ndarray, face: Face, size: int = 64, margin: float = 1.0) -> np.ndarray:
    """Cuts a face out: turned so that the eyes are level, scaled so that they are equally far apart.

    Args:
        image: uint8 (height, width, 3), RGB.
        face: one of `find`.
        size: side of the crop in pixels.
        margin: how much is seen; at 1 the eyes are 0.29 of the side apart, as in the drawn faces, at
            1.5 two thirds of that.

    Returns:
        uint8 (size, size, 3). What lies beyond the picture's edge is its mirror image.

    Raises:
        ValueError: the eyes of the face are at one place, or size or margin is not positive.
    """
    if size < 1 or margin <= 0:
        raise ValueError(f"size and margin must be positive; got {size} and {margin}.")
    eyes = 0.5 + (np.array(EYES) - 0.5) / margin
    return cut(image, alignment(face, size, eyes), size, size)


def alignment(face: Face, size: int, eyes: Any = EYES) -> np.ndarray:
    """Where the pixels of a picture go when its face is cut out, turned and scaled, not sheared.

    Args:
        face: one of `find`.
        size: side of the crop in pixels.
        eyes: where the eyes go, ((left x, left y), (right x, right y)) as fractions of the side.

    Returns:
        float64 (2, 3), for `cut` and for OpenCV, to whom the centre of the first pixel is (0, 0).

    Raises:
        ValueError: the eyes of the face are at one place.
    """
    (left, right), wanted = np.asarray(face.landmarks, float), np.asarray(eyes, float) * size
    across, level = right - left, wanted[1] - wanted[0]
    distance = math.hypot(*across)
    if distance < 1e-3:
        raise ValueError("The eyes of the face are at one place: it cannot be aligned.")
    # The quotient of two complex numbers turns and scales the one into the other.
    turn = complex(*level) / complex(*across)
    turn = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    # A pixel's centre is at .5 for a landmark and at .0 for OpenCV.
    shift = wanted.mean(axis=0) - 0.5 - turn @ ((left + right) / 2 - 0.5)
    return np.column_stack([turn, shift])


def cut(
    image: np.ndarray,
    move: np.ndarray,
    width: int,
    height: int,
    border: int = cv2.BORDER_REFLECT_101,
) -> np.ndarray:
    """A picture as `move` of `alignment` places it, without aliasing.

    Args:
        image: uint8 (any, any, 3).
        move: float (2, 3).
        width: of what is cut out, in pixels.
        height: the same.
        border: one of OpenCV's: what lies beyond the picture's edge, its mirror image by default.

    Returns:
        uint8 (height, width, 3).
    """
    turn, shift = move[:, :2], move[:, 2]
    scale = math.sqrt(abs(np.linalg.det(turn)))
    if scale < 0.5:  # warpAffine looks at four pixels only: make the picture smaller first
        part = max(2 * scale, 1 / min(image.shape[:2]))
        sides = [max(round(part * side), 1) for side in image.shape[1::-1]]
        small = cv2.resize(image, sides, interpolation=cv2.INTER_AREA)
        ratio = np.array(image.shape[1::-1]) / small.shape[1::-1]
        image, turn, shift = small, turn * ratio, shift + turn @ (ratio / 2 - 0.5)
    move = np.column_stack([turn, shift])
    kind = cv2.INTER_LINEAR if scale <= 1 else cv2.INTER_CUBIC
    return cv2.warpAffine(image, move, (width, height), flags=kind, borderMode=border)


# --- the network ----------------------------------------------------------------------------------


def build_network(width: int = 16) -> Any:
    """The face finder: pictures (n, h, w, 3) in [-1, 1] to answers (n, h / 8, w / 8, 9).

    Height and width are multiples of 32. Five times the picture is halved and its channels grow; the
    last three stages are joined again from the coarse to the fine, so that an answer knows the whole
    face as well as the eye's place (a feature pyramid, Lin et al. 2017). With width 16 it has
    645,689 parameters, 2.7 MB.
    """
    import keras
    from keras import layers

    def conv(x: Any, filters: int, kernel: int = 3, stride: int = 1) -> Any:
        x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.95, epsilon=1e-3)(x)
        return layers.Activation("relu")(x)

    inputs = x = keras.Input((None, None, 3))
    stages = []
    for filters in (width, 2 * width, 4 * width, 6 * width, 8 * width):
        x = conv(x, filters, stride=2)
        if filters > width:
            x = layers.Add()([x, conv(x, filters)])
        stages.append(x)
    for stage in (stages[3], stages[2]):
        x = layers.UpSampling2D(2, interpolation="nearest")(conv(x, stage.shape[-1], 1))
        x = layers.Add()([x, stage])
        x = layers.Add()([x, conv(x, stage.shape[-1])])
    x = conv(x, 4 * width)
    start = np.zeros(OUTPUTS)
    start[
        0
    ] = -4.0  # most places are no face: begin with that opinion (Lin et al. 2017, focal loss)
    outputs = layers.Conv2D(
        OUTPUTS, 1, bias_initializer=lambda shape, dtype=None: keras.ops.cast(start, dtype)
    )(x)
    return keras.Model(inputs, outputs, name="face_finder")


class Network:
    """The kit's own detector.

    Args:
        model: a network as of `build_network`; the one that comes with the kit unless told.
        threshold: least score of a face. From 0.35 to 0.5 no face of 2,000 real anime pictures is
            lost, and of 94 second finds, most of them no faces, 18 stay; from 0.6 on faces are lost.
        smallest: least size of a face to look for, as a part of the picture's shorter side. Half of
            it can take four times as long.
    """

    VIEW = 128
    LEAST = 16  # pixels: faces from here on are found for sure

    def __init__(self, model: Any = None, threshold: float = 0.5, smallest: float = 0.1) -> None:
        self.model = model or _load()
        self.threshold = threshold
        self.smallest = smallest

    def find(self, image: np.ndarray) -> list[Face]:
        """Faces of a picture uint8 (height, width, 3), RGB, best first."""
        return self.find_all([image])[0]

    def find_all(self, images: list[np.ndarray]) -> list[list[Face]]:
        """The same for many pictures; those of one size are looked at together, which is faster."""
        found: list[list[np.ndarray]] = [[] for _ in images]
        views: dict[tuple, list] = {}
        for number, image in enumerate(images):
            for scale, pad in self._scales(*image.shape[:2]):
                view = _view(image, scale, pad)
                views.setdefault(view.shape, []).append((number, scale, pad, view))
        for group in views.values():
            for at in range(0, len(group), 32):
                part = group[at : at + 32]
                answers = self._ask(np.stack([view for *_, view in part]))
                for (number, scale, pad, _), answer in zip(part, answers, strict=True):
                    rows = read(answer, self.threshold)
                    rows[:, 1:] = (rows[:, 1:] - pad) / scale
                    found[number].append(rows)
        return [[_face(row) for row in _merge(np.concatenate(rows))] for rows in found]

    def _scales(self, height: int, width: int) -> list[tuple[float, int]]:
        """Factors to show a picture at, and pixels to put around it."""
        short, side = min(height, width), 3 * self.VIEW // 4
        scales = [(side / short, self.VIEW // 8)]  # a face may fill the picture, so with some room
        while self.LEAST / side > self.smallest and 1.5 * side <= short:
            side = 2 * side
            scales.append((side / short, 0))
        return scales

    def _ask(self, views: np.ndarray) -> np.ndarray:
        import keras

        answers = self.model(views.astype("float32") / 127.5 - 1, training=False)
        return keras.ops.convert_to_numpy(answers)


def _view(image: np.ndarray, scale: float, pad: int) -> np.ndarray:
    """A picture resized, with `pad` pixels of its edge around it and up to a multiple of 32."""
    size = [max(round(side * scale), 1) for side in image.shape[1::-1]]
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=kind)
    rest = [-(side + 2 * pad) % 32 for side in small.shape[:2]]
    return cv2.copyMakeBorder(small, pad, pad + rest[0], pad, pad + rest[1], cv2.BORDER_REPLICATE)


def read(answer: np.ndarray, threshold: float) -> np.ndarray:
    """Faces from an answer of the network, float (h, w, 9).

    Returns:
        Float (faces, 9): score; left, top, right, bottom; left eye x, y; right eye x, y, in pixels of
        what the network saw.
    """
    score = 1 / (1 + np.exp(-answer[..., 0]))
    down, across = np.nonzero(score >= threshold)
    values = answer[down, across]
    cell = (np.stack([across, down], axis=1) + 0.5) * STRIDE
    size = TYPICAL * np.exp(np.clip(values[:, 1:2], -3, 3))
    middle = cell + size * values[:, 2:4]
    half = size / 2 * np.exp(np.clip(values[:, 4:5], -1, 1) * [0.5, -0.5])
    eyes = np.tile(cell, 2) + size * values[:, 5:9]
    return np.concatenate([score[down, across, None], middle - half, middle + half, eyes], axis=1)


def _merge(rows: np.ndarray, overlap: float = 0.4) -> np.ndarray:
    """One row for each face (faces, 9): what overlaps the best is averaged with it by its score."""
    kept = []
    rows = rows[np.argsort(-rows[:, 0])]
    while len(rows):
        same = _overlap(rows[0, 1:5], rows[:, 1:5]) > overlap
        near = rows[same]
        best = np.average(near, axis=0, weights=near[:, 0] ** 4)
        best[0] = near[0, 0]
        kept.append(best)
        rows = rows[~same]
    return np.array(kept).reshape(-1, 9)


def _overlap(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of a box (4,) with boxes (n, 4); 1 where one holds the other."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    own, others = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return both / np.minimum(own, others).clip(1e-9)


def _face(row: np.ndarray) -> Face:
    box = tuple(float(v) for v in row[1:5])
    return Face(box, float(row[0]), row[5:].reshape(2, 2).astype(np.float32))


@cache
def default_detector() -> Network:
    """The detector that comes with the kit."""
    return Network()


@cache
def _load() -> Any:
    from anime_keras import weights

    model = build_network()
    model.load_weights(weights.path("face_finder.weights.h5"))
    return model


# --- OpenCV's cascade -----------------------------------------------------------------------------

CASCADE_URL = "https://raw.githubusercontent.com/nagadomi/lbpcascade_animeface/master/lbpcascade_animeface.xml"


class Cascade:
    """OpenCV's cascade with a file such as `lbpcascade_animeface.xml` (nagadomi, 2011).

    It gives boxes only. The eyes are put level, where by rule of thumb such a box (brows to chin)
    has them, so its crops are scaled but not turned.

    Args:
        path: the file; `download_cascade` gets it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: OpenCV finds no cascade in it.
    """

    EYES = ((0.29, 0.42), (0.71, 0.42))
    """Of a box, as fractions of its sides."""

    def __init__(self, path: str | Path) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(
                f"There is no file {path}. Get lbpcascade_animeface.xml with "
                f"faces.download_cascade(...) or by hand from {CASCADE_URL}"
            )
        try:
            self._cascade = cv2.CascadeClassifier(str(path))
        except (cv2.error, SystemError) as error:
            raise ValueError(f"{path} is no cascade that OpenCV can read.") from error
        if self._cascade.empty():
            raise ValueError(f"{path} is no cascade that OpenCV can read.")

    def find(self, image: np.ndarray) -> list[Face]:
        """Faces of a picture uint8 (height, width, 3), RGB, best first."""
        grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        boxes, _, sure = self._cascade.detectMultiScale3(
            grey, scaleFactor=1.1, minNeighbors=4, minSize=(24, 24), outputRejectLevels=True
        )
        found = []
        for (x, y, w, h), weight in zip(boxes, np.ravel(sure), strict=True):
            eyes = np.array([(x + w * u, y + h * v) for u, v in self.EYES], np.float32)
            box = (float(x), float(y), float(x + w), float(y + h))
            found.append(Face(box, float(1 / (1 + np.exp(-weight))), eyes))
        return sorted(found, key=lambda face: -face.score)


def download_cascade(path: str | Path, sha256: str | None = None, url: str = CASCADE_URL) -> Path:
    """Gets `lbpcascade_animeface.xml` (MIT licence) from its author's repository, once.

    The checksum of what came is written beside it (`….sha256`), and a file that is there already is
    held against that, so that a term's exercises run on one and the same file.

    Args:
        path: where to put the file.
        sha256: refuse any other content.
        url: where it lies.

    Returns:
        The path.

    Raises:
        ConnectionError: it cannot be reached; the message says what to do by hand.
        ValueError: what came, or what was there, is another file than wanted, or no cascade.
    """
    path = Path(path)
    note = path.with_name(path.name + ".sha256")
    if path.is_file():
        content = path.read_bytes()
        wanted = sha256 or (note.read_text().strip() if note.is_file() else None)
    else:
        wanted = sha256
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                content = answer.read()
        except OSError as error:
            raise ConnectionError(
                f"{url} cannot be reached ({error}). Download it in a browser, and pass its path to "
                "faces.Cascade."
            ) from error
    found = hashlib.sha256(content).hexdigest()
    if wanted not in (None, found):
        raise ValueError(
            f"{path}: the checksum is {found}, not {wanted}. Remove the file and its .sha256 to "
            "download it again, or check where it came from."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    try:
        Cascade(part)
    except ValueError:
        part.unlink()
        raise ValueError(f"What {url} gave is no cascade that OpenCV can read.") from None
    part.replace(path)
    note.write_text(found + "\n")
    return path
