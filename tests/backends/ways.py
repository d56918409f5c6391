"""What JAX computes in ways of its own on a CPU, beside what `keras.ops` and a plain loop would say.

    KERAS_BACKEND=jax python tests/backends/ways.py

Prints JSON: for each operation and dtype how far value, first and second derivatives are apart, as a
part of the largest; and what became of a model that takes one of two steps.
"""

import json
import os

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import keras
import numpy as np
from keras import ops

from anime_keras import kernels, modulation, training

OPERATIONS = {
    "up 4x4": ((2, 5, 7, 3), (4, 4, 6, 3), lambda x, k: kernels.upsample(x, k)),
    "up 3x3": ((2, 5, 7, 3), (3, 3, 6, 3), lambda x, k: kernels.conv_transpose(x, k, 2)),
    "same 3x3": ((2, 6, 4, 3), (3, 3, 5, 3), lambda x, k: kernels.conv_transpose(x, k, 2, "same")),
    "by three": ((2, 4, 5, 3), (5, 5, 2, 3), lambda x, k: kernels.conv_transpose(x, k, 3)),
    "smooth": ((2, 6, 9, 3), (3,), lambda x, k: modulation.smooth(x * k, (2, 1), gain=4.0)),
    "smooth, halved": ((2, 8, 9, 3), (3,), lambda x, k: modulation.smooth(x * k, (1, 1), 2)),
}


def derivatives(operation, inputs) -> list[np.ndarray]:
    """Value, gradients, and the gradients of the gradients' lengths."""

    def first(*inputs):
        value, back = jax.vjp(operation, *inputs)
        return value, back(ops.sin(value))

    def length(*inputs):
        return sum(ops.sum(ops.square(gradient)) for gradient in first(*inputs)[1])

    value, gradients = first(*inputs)
    found = (value, *gradients, *jax.grad(length, (0, 1))(*inputs))
    return [np.asarray(x).astype("float64") for x in found]


def apart(dtype: str) -> dict[str, float]:
    """The largest difference of each operation from its plain form."""
    found = {}
    for name, (*shapes, operation) in OPERATIONS.items():
        random = np.random.default_rng(0)
        inputs = [ops.convert_to_tensor(random.normal(size=s), dtype) for s in shapes]
        ours = derivatives(operation, inputs)
        with kernels.portable():
            theirs = derivatives(operation, inputs)
        pairs = zip(ours, theirs, strict=True)
        found[name] = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
    return found


class Counting(training.Adversarial):
    """Adds 1 in every third step, and 10 in the others."""

    questions = ("third",)

    def __init__(self) -> None:
        super().__init__()
        self.steps = self.add_weight((), "zeros", "int32", trainable=False)
        self.total = self.add_weight((), "zeros", trainable=False)
        self.meters: list = []
        self.traced = 0

    def third(self):
        return ops.equal(self.steps % 3, 2)

    def train_step(self, data):
        self.traced += 1
        self.either(self.third, lambda: self.add(1.0), lambda: self.add(10.0))
        self.steps.assign(self.steps + 1)
        return {"total": self.total + ops.mean(data)}

    def add(self, number):
        self.total.assign(self.total + number)

    def get_config(self):
        return {}


def counted(**rules) -> list[list[float]]:
    """The total, the number of steps and how often they were traced, after each of three trainings.

    Eight steps in two epochs; two steps with larger batches; one after compiling anew.
    """
    model, found = Counting(), []
    for batch_size, epochs, anew in ((1, 2, True), (2, 1, False), (4, 1, True)):
        if anew:
            model.compile(**rules)
            model.add_optimizer(keras.optimizers.SGD(), [])
        model.fit(np.zeros((4, 1), "float32"), batch_size=batch_size, epochs=epochs, verbose=0)
        found.append([float(model.total), int(model.steps), model.traced])
    assert "train_step" not in vars(model)
    return found


if __name__ == "__main__":
    found = {dtype: apart(dtype) for dtype in ("float32", "bfloat16")}
    found |= {"asked": counted(), "conditional": counted(steps_per_execution=2)}
    print(json.dumps(found))
