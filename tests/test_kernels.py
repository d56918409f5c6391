"""The fast ways compute what the plain ways do. `test_layers.py` holds the convolutions."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import kernels, models


@pytest.mark.parametrize("accumulate", [None, 2])
@pytest.mark.parametrize("decaying", [False, True])
def test_adam_is_keras_adam(accumulate, decaying):
    ends = []
    for cls in (keras.optimizers.Adam, kernels.Adam):
        random = np.random.default_rng(0)
        rate = keras.optimizers.schedules.CosineDecay(1e-2, 20) if decaying else 1e-2
        optimizer = cls(
            rate, beta_1=0.5, beta_2=0.9, epsilon=1e-8, gradient_accumulation_steps=accumulate
        )
        variables = [
            keras.Variable(random.normal(size=shape), dtype="float32") for shape in ((7, 3), (5,))
        ]
        optimizer.build(variables)
        for _ in range(10):
            optimizer.apply(
                [ops.convert_to_tensor(random.normal(size=v.shape), "float32") for v in variables],
                variables,
            )
        ends.append([ops.convert_to_numpy(v) for v in [*variables, *optimizer.variables]])
    assert len(ends[0]) == len(ends[1])
    for theirs, ours in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_adam_is_one_operation_in_a_step(monkeypatch):
    """Keras asks for updates in a context of its own, in which this was once not taken."""

    def plain(*arguments):
        raise AssertionError("a dozen operations")

    monkeypatch.setattr(keras.optimizers.Adam, "update_step", plain)
    gan = models.DCGAN(image_size=32, width=4, latent_dim=4)
    gan.compile()
    gan.fit(np.zeros((2, 32, 32, 3), "float32"), epochs=1, batch_size=2, verbose=0)
    assert [int(optimizer.iterations) for optimizer in gan.optimizers] == [1, 1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_batch_norm(dtype):
    random = np.random.default_rng(0)
    maps = ops.cast(random.normal(3.0, 2.0, (8, 6, 6, 5)), dtype)
    gamma, beta = random.normal(size=5).astype("float32"), random.normal(size=5).astype("float32")
    outputs, mean, variance = kernels.batch_norm(maps, gamma, beta, 1e-5)
    assert keras.backend.standardize_dtype(outputs.dtype) == dtype
    plain = ops.convert_to_numpy(ops.cast(maps, "float32")).reshape(-1, 5).astype("float64")
    expected = (plain - plain.mean(0)) / np.sqrt(plain.var(0) + 1e-5) * gamma + beta
    tolerance = 1e-5 if dtype == "float32" else 0.03  # half a unit in bfloat16's last place at 4
    difference = ops.convert_to_numpy(ops.cast(outputs, "float32")).reshape(-1, 5) - expected
    assert np.abs(difference).max() < tolerance
    np.testing.assert_allclose(mean, plain.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, plain.var(0, ddof=1), rtol=1e-5)
