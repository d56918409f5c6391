"""The formats: how a network is written into each, and how what was written is run again."""

import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from anime_keras import kernels
from anime_keras.export import page

Inputs = Mapping[str, np.ndarray]
Card = Mapping[str, Any]
EXACT = 1e-4  # of a range of 2: an eightieth of a grey level
ROUNDED = 2 * 2 / 255  # two grey levels, for weights in float16


@dataclass(frozen=True)
class Format:
    """A way to write a network.

    Attributes:
        what: in words.
        suffix: of its files; "" for a folder.
        write: writes a model and its network to a path; what the card says can go in.
        run: what the written makes of inputs, float32 (count, size, size, 3) in [-1, 1].
        tolerance: largest difference from what Keras makes of them.
        packages: that it takes, beside TensorFlow.
        tensorflow: whether it is written by way of TensorFlow.
    """

    what: str
    suffix: str
    write: Callable[[keras.Model, keras.Model, Path, Card], None]
    run: Callable[[Path, Inputs], np.ndarray]
    tolerance: float = EXACT
    packages: tuple[str, ...] = ()
    tensorflow: bool = True

    def check(self) -> None:
        """Raise ImportError or ValueError where something is missing, with what to do about it."""
        if self.tensorflow and keras.backend.backend() != "tensorflow":
            raise ValueError(
                f"{self.what} is written by way of TensorFlow, and Keras runs on "
                f"{keras.backend.backend()}: say KERAS_BACKEND=tensorflow before the command."
            )
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise ImportError(
                f"{self.what} takes {', '.join(self.packages)}. Run: pip install {' '.join(missing)}"
            )


def _write_onnx(model: keras.Model, network: keras.Model, path: Path, card: Card) -> None:
    with kernels.portable(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Keras asks NumPy for a name of old
        network.export(path, format="onnx", verbose=False)


def _run_onnx(path: Path, inputs: Inputs) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["images"], dict(inputs))[0]


def _write_saved_model(model: keras.Model, network: keras.Model, path: Path, card: Card) -> None:
    with kernels.portable():
        network.export(path, format="tf_saved_model", verbose=False)


def _run_saved_model(path: Path, inputs: Inputs) -> np.ndarray:
    import tensorflow as tf

    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    return signature(**{name: tf.constant(value) for name, value in inputs.items()})[
        "images"
    ].numpy()


def _write_litert(model: keras.Model, network: keras.Model, path: Path, card: Card) -> None:
    import tensorflow as tf

    # One picture at a time: then all sizes are known, and a phone can plan its memory.
    one = [
        keras.Input(batch_shape=(1, *t.shape[1:]), dtype=t.dtype, name=t.name)
        for t in network.inputs
    ]
    with kernels.portable(), tempfile.TemporaryDirectory() as folder:
        keras.Model(one, network(one)).export(folder, format="tf_saved_model", verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        path.write_bytes(converter.convert())


def _run_litert(path: Path, inputs: Inputs) -> np.ndarray:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that its interpreter will move house
        interpreter = tf.lite.Interpreter(str(path))
    run = interpreter.get_signature_runner()
    count = len(next(iter(inputs.values())))
    pictures = [
        run(**{name: value[i : i + 1] for name, value in inputs.items()})["images"]
        for i in range(count)
    ]
    return np.concatenate(pictures)


def _write_page(model: keras.Model, network: keras.Model, path: Path, card: Card) -> None:
    path.write_text(page.compose(model, network, card), encoding="utf-8")


def _run_page(path: Path, inputs: Inputs) -> np.ndarray:
    return page.recipe_of(path).draw(**inputs)


FORMATS = {
    "onnx": Format(
        "ONNX",
        ".onnx",
        _write_onnx,
        _run_onnx,
        packages=("onnx", "onnxruntime", "tf2onnx"),
    ),
    "savedmodel": Format("SavedModel", "", _write_saved_model, _run_saved_model),
    "litert": Format("LiteRT", ".tflite", _write_litert, _run_litert),
    "web": Format(
        "A web page", ".html", _write_page, _run_page, tolerance=ROUNDED, tensorflow=False
    ),
}
