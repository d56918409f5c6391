"""Extractors: pictures to features, the numbers in which metrics compare them.

    extractor = extractors.get("anime")
    features, probabilities = extractor(images)      # uint8 (n, h, w, 3) -> (n, 256), (n, 132)

A distance between features is a distance as one network sees it. Numbers from two extractors, or
from two ways of resizing, cannot be compared: so every result names both.

* "anime": this project's own network, trained on drawn faces; comes with the kit, works offline.
* "inception": keras.applications' InceptionV3, with ImageNet weights. Not the network of published
  numbers, though often taken for it.
* "inception-2015": the graph of 2015-12-05 behind published FIDs and Inception scores, through
  TF-GAN and TF-Hub.
* any keras.Model, such as a classifier of one's own.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from anime_keras.metrics.features import ALIASED

NAMES = ("anime", "inception", "inception-2015")
BATCH = 125  # pictures at a time


class Extractor:
    """A network that pictures are measured with, and how they are made ready for it.

    Args:
        name: printed beside every number, such as "anime-features".
        network: takes float32 (n, side, side, 3) in [-1, 1], returns features (n, d) or (n, h, w, d),
            of which the mean over the places is taken; or features and class logits (n, classes).
        side: of its pictures, in pixels; None takes any.
        dimension: d.
        probabilities: what makes probabilities (n, classes) of its second answer (NumPy to NumPy).
        antialias: smooth before shrinking, as Parmar et al. (2022, arXiv:2104.11222) found to be
            necessary. False looks at single pixels, as many a library's resize does: for showing
            what that does to a number, not for measuring.
        fingerprint: of its weights, a checksum; features are kept for later under it. "" keeps none.
    """

    def __init__(
        self,
        name: str,
        network: Callable[[np.ndarray], Any],
        side: int | None,
        dimension: int,
        probabilities: Callable[[np.ndarray], np.ndarray] | None = None,
        antialias: bool = True,
        fingerprint: str = "",
    ) -> None:
        self.name, self.network, self.side, self.dimension = name, network, side, dimension
        self.probabilities, self.antialias, self.fingerprint = probabilities, antialias, fingerprint

    def preprocessing(self, shape: tuple[int, ...]) -> str:
        """What is done to pictures of a shape (..., height, width, 3), in words."""
        height, width = shape[-3:-1]
        if self.side is None or height == width == self.side:
            return f"{width} px as they are" if height == width else f"{width}x{height} px"
        how = "anti-aliased bicubic" if self.antialias else f"bicubic {ALIASED}"
        return f"{how}, {width if height == width else f'{width}x{height}'} to {self.side} px"

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Features of pictures.

        Args:
            images: uint8 (n, height, width, 3), RGB.

        Returns:
            features: float32 (n, d).
            probabilities: float32 (n, classes), or None where there are no classes.

        Raises:
            ValueError: other pictures than that, or a network that answers NaN.
        """
        images = check(images)
        parts = (images[at : at + BATCH] for at in range(0, len(images), BATCH))
        features, probabilities = zip(
            *(self.look(part.astype(np.float32) / 127.5 - 1) for part in parts), strict=True
        )
        features = np.concatenate(features)
        if not np.isfinite(features).all():
            raise ValueError(f"{self.name} answers with NaN or infinite features.")
        return features, None if probabilities[0] is None else np.concatenate(probabilities)

    def look(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The same of one batch of pictures that were not rounded, float32 in [-1, 1]."""
        if self.side and x.shape[1:3] != (self.side, self.side):
            x = resize(x, self.side, self.antialias)
        answer = self.network(x)
        features, logits = answer if isinstance(answer, tuple | list) else (answer, None)
        features = np.asarray(features, np.float32)
        if features.ndim == 4:
            features = features.mean(axis=(1, 2))
        if logits is None or self.probabilities is None:
            return features, None
        return features, self.probabilities(np.asarray(logits, np.float32))


def check(images: Any) -> np.ndarray:
    """Pictures as an array, if they are some.

    Raises:
        ValueError: they are not uint8 (n, height, width, 3), or there are none.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            "Pictures to measure are uint8 (count, height, width, 3), not "
            f"{images.dtype} {images.shape}."
        )
    if not len(images):
        raise ValueError("There are no pictures to measure.")
    return images


def resize(images: np.ndarray, side: int, antialias: bool = True) -> np.ndarray:
    """Bicubic, per channel, in float and not rounded, as Parmar et al. (2022) describe.

    Shrinking widens the kernel with the ratio, so every pixel counts; without `antialias` it looks at
    the same 4 x 4 pixels whatever the ratio. Values may come out a little beyond their range.

    Args:
        images: (n, height, width, 3), of any range.
        side: wanted height and width in pixels.
        antialias: whether to.

    Returns:
        float32 (n, side, side, 3).
    """
    if not antialias:
        import cv2

        x = np.asarray(images, np.float32)
        return np.stack([cv2.resize(i, (side, side), interpolation=cv2.INTER_CUBIC) for i in x])
    resized = np.empty((len(images), side, side, 3), np.float32)
    for image, out in zip(images, resized, strict=True):
        for channel in range(3):
            plane = Image.fromarray(image[..., channel].astype(np.float32))
            out[..., channel] = np.asarray(plane.resize((side, side), Image.Resampling.BICUBIC))
    return resized


def get(extractor: Any = "anime") -> Extractor:
    """An extractor by its name, or of a keras.Model; an Extractor stays as it is.

    Raises:
        ValueError: there is none of that name, or the model does not make features of pictures.
        RuntimeError: its weights cannot be downloaded; the message says what to do.
    """
    if isinstance(extractor, Extractor):
        return extractor
    if isinstance(extractor, str):
        if extractor not in NAMES:
            raise ValueError(
                f"There is no extractor {extractor!r}: choose from {', '.join(NAMES)}, or give a "
                "keras.Model."
            )
        return {"anime": _anime, "inception": _inception, "inception-2015": _inception_2015}[
            extractor
        ]()
    return of_model(extractor)


def of_model(model: Any, name: str | None = None) -> Extractor:
    """An extractor out of a keras.Model that makes features (n, d) or (n, h, w, d) of pictures.

    The model is given float32 pictures in [-1, 1]: one that wants others should begin with a
    Rescaling layer.

    Raises:
        ValueError: it takes or gives something else.
    """
    shapes = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    taken, given = shapes
    if not (isinstance(taken, tuple) and len(taken) == 4 and taken[-1] == 3):
        raise ValueError(f"An extractor takes pictures (n, side, side, 3), this model {taken}.")
    if not (isinstance(given, tuple) and len(given) in (2, 4) and given[-1]):
        raise ValueError(f"An extractor gives features (n, d) or (n, h, w, d), this model {given}.")
    if taken[1] != taken[2]:
        raise ValueError(f"An extractor takes square pictures, this model {taken[1:3]}.")
    digest = hashlib.sha256(name.encode() if name else b"")
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array))
    fingerprint = digest.hexdigest()
    network = _calling(model)
    return Extractor(name or model.name, network, taken[1], given[-1], fingerprint=fingerprint)


def _calling(model: Any) -> Callable[[np.ndarray], Any]:
    return lambda x: model.predict_on_batch(x)


# --- those that come with a name ------------------------------------------------------------------


def _anime() -> Extractor:
    from anime_keras import weights
    from anime_keras.metrics import anime_network

    def probabilities(answers: np.ndarray) -> np.ndarray:
        """Of the 132 combinations of hair and eye colour: a picture's two words are independent."""
        logits = anime_network.read(answers)
        hair, eyes = (softmax(logits[f"{part}_color"]) for part in ("hair", "eye"))
        return (hair[:, :, None] * eyes[:, None, :]).reshape(len(answers), -1)

    network = anime_network.load()
    width = network.output_shape[0][-1]
    side = anime_network.SIDE
    fingerprint = weights.card("anime_features")["sha256"]
    return Extractor(
        "anime-features", _calling(network), side, width, probabilities, fingerprint=fingerprint
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of the last axis."""
    x = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def _inception() -> Extractor:
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        # get_file checks the file's checksum against the one that Keras holds.
        network = keras.applications.InceptionV3(weights="imagenet", classifier_activation=None)
    except Exception as error:  # every kind of broken connection
        raise RuntimeError(
            f"InceptionV3's weights could not be downloaded ({_first_line(error)}). On a machine with "
            'a network, run: python -c "import keras; keras.applications.InceptionV3()" and copy '
            "~/.keras/models/inception_v3_weights_tf_dim_ordering_tf_kernels.h5 to the same place "
            "here; or measure with --extractor anime, which needs no download."
        ) from error
    finally:
        keras.config.set_dtype_policy(policy)
    pool = network.get_layer("avg_pool").output
    both = keras.Model(network.inputs, [pool, network.outputs[0]])
    name = "inception-keras-v3"
    return Extractor(name, _calling(both), 299, pool.shape[-1], softmax, fingerprint=name)


def _inception_2015() -> Extractor:
    try:
        from anime_keras import tfgan

        module = tfgan.module("eval.inception_metrics")
        import tensorflow_hub
    except ImportError as error:
        raise RuntimeError(
            f"The Inception graph of 2015 needs TF-GAN and TF-Hub ({_first_line(error)}): "
            "pip install 'tensorflow-gan>=2.1,<3' 'tensorflow-hub>=0.16,<1'."
        ) from error
    handle = os.environ.get("ANIME_KERAS_INCEPTION_2015", module.INCEPTION_TFHUB)
    try:
        folder = Path(tensorflow_hub.resolve(handle))
        digest = check_download(folder)
        graph = tensorflow_hub.load(str(folder))
    except ChangedDownload:
        raise
    except Exception as error:  # every kind of broken connection
        raise RuntimeError(
            f"The Inception graph of 2015 could not be had ({_first_line(error)}). On a machine with "
            f"a network, download {module.INCEPTION_TFHUB}?tf-hub-format=compressed, unpack it into a "
            "folder here, and set ANIME_KERAS_INCEPTION_2015 to that folder; or measure with "
            "--extractor anime, which needs no download."
        ) from error

    def network(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import tensorflow as tf

        answers = graph(tf.constant(x))
        pool, logits = (
            np.asarray(answers[name]).reshape(len(x), -1)
            for name in (module.INCEPTION_FINAL_POOL, module.INCEPTION_OUTPUT)
        )
        return pool, logits

    side = module.INCEPTION_DEFAULT_IMAGE_SIZE
    return Extractor("inception-2015", network, side, 2048, softmax, fingerprint=digest)


class ChangedDownload(RuntimeError):
    """What was downloaded is no longer what it was."""


def check_download(folder: Path) -> str:
    """SHA-256 of a downloaded graph's files; the first is noted beside it, later ones must be equal.

    Nobody publishes a checksum of this graph, so the first download has to be trusted.

    Raises:
        ChangedDownload: the files have changed since.
    """
    digest = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode())
        digest.update(file.read_bytes())
    note = folder.with_name(folder.name + ".sha256")
    if not note.exists():
        note.write_text(digest.hexdigest() + "\n")
    elif note.read_text().strip() != digest.hexdigest():
        raise ChangedDownload(
            f"{folder} has changed since it was downloaded. Remove it and {note.name}, and it will be "
            "downloaded again."
        )
    return digest.hexdigest()


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
