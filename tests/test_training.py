"""How players learn: `Adversarial`'s verbs against gradients worked out by hand."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from anime_keras import models, training

X = np.float32([[1.0, 2.0], [3.0, -1.0], [0.5, 0.0]])
W = np.float32([[2.0], [-1.0]])
V = np.float32([[3.0]])


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")


class Pair(training.Adversarial):
    """A generator g(x) = x W and a judge d(y) = y V, both linear."""

    def __init__(self):
        super().__init__()
        self.generator = self.linear(2, W)
        self.judge = self.linear(1, V)

    @staticmethod
    def linear(inputs, weights):
        layer = keras.layers.Dense(1, use_bias=False)
        network = keras.Sequential([keras.layers.Input((inputs,)), layer])
        layer.kernel.assign(weights)
        return network

    def ready(self):
        self.compile()
        for name in ("generator", "judge"):
            optimizer = keras.optimizers.SGD(0.1)
            self.add_optimizer(optimizer, getattr(self, name).trainable_variables)
        return self


@pytest.fixture
def pair():
    return Pair().ready()


def array(tensor):
    return ops.convert_to_numpy(tensor)


class TestMinimize:
    def test_one_gradient_step(self, pair):
        """Loss E[(x W)²]: d/dW = 2 Xᵀ X W / n."""
        expected = W - 0.1 * 2 * X.T @ X @ W / 3
        variables = pair.generator.trainable_variables
        loss = pair.minimize(
            lambda: ops.mean(ops.square(pair.generator(X))), variables, pair.optimizers[0]
        )
        assert float(loss) == pytest.approx(((X @ W) ** 2).mean(), rel=1e-6)  # before the step
        np.testing.assert_allclose(array(variables[0]), expected, rtol=1e-6)
        np.testing.assert_array_equal(array(pair.judge.trainable_variables[0]), V)
        assert [int(o.iterations) for o in pair.optimizers] == [1, 0]

    def test_only_its_own_variables(self, pair):
        """The loss goes through both players, and one of them moves."""
        variables = pair.judge.trainable_variables
        pair.minimize(
            lambda: ops.mean(pair.judge(pair.generator(X))), variables, pair.optimizers[1]
        )
        np.testing.assert_allclose(array(variables[0]), V - 0.1 * (X @ W).mean(), rtol=1e-6)
        np.testing.assert_array_equal(array(pair.generator.trainable_variables[0]), W)

    def test_with_more_than_a_loss(self, pair):
        """What comes along comes back, and has no part in the gradient."""
        expected = W - 0.1 * 2 * X.T @ X @ W / 3
        variables = pair.generator.trainable_variables

        def loss():
            drawn = pair.generator(X)
            return ops.mean(ops.square(drawn)), (drawn, 3.0 * drawn)

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                tape.watch(variables[0].value)
                value, more = pair.minimize(loss, variables, pair.optimizers[0], has_aux=True)
            return value, more, tape.gradient(more[1], variables[0].value) is None

        value, (drawn, tripled), is_constant = step()
        assert float(value) == pytest.approx(((X @ W) ** 2).mean(), rel=1e-6)
        np.testing.assert_allclose(array(drawn), X @ W, rtol=1e-6)
        np.testing.assert_allclose(array(tripled), 3 * X @ W, rtol=1e-6)
        assert bool(is_constant)
        np.testing.assert_allclose(array(variables[0]), expected, rtol=1e-6)

    def test_through_a_recording(self, pair):
        """Loss E[(x W V)²] through the recorded x W: d/dW = 2 V² Xᵀ X W / n."""
        fake = pair.record(pair.generator, ops.convert_to_tensor(X))
        variables = pair.generator.trainable_variables
        loss = pair.minimize(
            lambda value: ops.mean(ops.square(pair.judge(value))),
            variables,
            pair.optimizers[0],
            through=fake,
        )
        assert float(loss) == pytest.approx(((X @ W * 3.0) ** 2).mean(), rel=1e-6)
        expected = W - 0.1 * 2 * 9.0 * X.T @ X @ W / 3
        np.testing.assert_allclose(array(variables[0]), expected, rtol=1e-5)
        np.testing.assert_array_equal(array(pair.judge.trainable_variables[0]), V)

    def test_after_the_judge_has_moved(self, pair):
        """The recording stays valid while the other player learns, and sees its new weights."""
        fake = pair.record(pair.generator, ops.convert_to_tensor(X))
        judge = pair.judge.trainable_variables
        pair.minimize(lambda: ops.mean(pair.judge(fake.value)), judge, pair.optimizers[1])
        moved = V - 0.1 * (X @ W).mean()
        variables = pair.generator.trainable_variables
        pair.minimize(
            lambda value: ops.mean(pair.judge(value)), variables, pair.optimizers[0], through=fake
        )
        expected = W - 0.1 * X.mean(axis=0)[:, None] * moved
        np.testing.assert_allclose(array(variables[0]), expected, rtol=1e-5)

    def test_within_a_function(self, pair):
        """The same inside `tf.function`, where `fit` runs it."""
        variables = pair.generator.trainable_variables

        @tf.function
        def step(x):
            fake = pair.record(pair.generator, x)
            return pair.minimize(
                lambda value: ops.mean(ops.square(pair.judge(value))),
                variables,
                pair.optimizers[0],
                through=fake,
            )

        step(ops.convert_to_tensor(X))
        expected = W - 0.1 * 2 * 9.0 * X.T @ X @ W / 3
        np.testing.assert_allclose(array(variables[0]), expected, rtol=1e-5)


class TestRecord:
    def test_pull_back(self, pair):
        recording = pair.record(pair.generator, ops.convert_to_tensor(X))
        np.testing.assert_allclose(array(recording.value), X @ W, rtol=1e-6)
        upstream = np.float32([[1.0], [-2.0], [4.0]])
        (gradient,) = recording.pull_back(ops.convert_to_tensor(upstream))
        np.testing.assert_allclose(array(gradient), X.T @ upstream, rtol=1e-6)

    def test_value_is_a_constant_to_others(self, pair):
        kernel = pair.generator.trainable_variables[0]
        with tf.GradientTape() as tape:
            value = pair.record(pair.generator, ops.convert_to_tensor(X)).value
            loss = ops.sum(value)
        assert tape.gradient(loss, kernel.value) is None

    def test_runs_in_training_mode(self):
        model = training.Adversarial()
        norm = keras.layers.BatchNormalization(momentum=0.0)
        network = keras.Sequential([keras.layers.Input((2,)), norm])
        value = model.record(network, ops.convert_to_tensor(X)).value
        assert np.abs(array(value).mean(axis=0)).max() < 1e-6
        np.testing.assert_allclose(array(norm.moving_mean), X.mean(axis=0), rtol=1e-6)


class TestInputGradients:
    def test_cubic(self):
        """D(x) = sum x³: 3x²."""
        model, x = training.Adversarial(), ops.convert_to_tensor(X)
        slopes = model.input_gradients(lambda x: ops.sum(x**3, axis=1), x)
        np.testing.assert_allclose(array(slopes), 3 * X**2, rtol=1e-6)

    def test_each_picture_by_itself(self, pair):
        x = ops.convert_to_tensor(X)
        slopes = pair.input_gradients(pair.generator, x)
        np.testing.assert_allclose(array(slopes), np.tile(W.T, (3, 1)), rtol=1e-6)

    def test_second_order_to_the_inputs(self):
        """d/dx of sum (3x²)²: 36 x³."""
        model, x = training.Adversarial(), ops.convert_to_tensor(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            slopes = model.input_gradients(lambda x: ops.sum(x**3, axis=1), x)
            loss = ops.sum(slopes**2)
        np.testing.assert_allclose(array(tape.gradient(loss, x)), 36 * X**3, rtol=1e-5)

    def test_second_order_to_the_weights(self, pair):
        """A penalty on the slope of (x W)², which is 2 (x W) Wᵀ, as the judge's whole loss."""
        x, variables = ops.convert_to_tensor(X), pair.generator.trainable_variables

        def penalty():
            slopes = pair.input_gradients(lambda x: pair.generator(x) ** 2, x)
            return ops.mean(ops.sum(slopes**2, axis=1))

        # E[4 (x W)² |W|²], so d/dW = 8 |W|² E[(x W) x] + 8 E[(x W)²] W
        out, length = (X @ W).astype("float64"), float((W**2).sum())
        gradient = 8 * length * (out * X).mean(axis=0)[:, None] + 8 * (out**2).mean() * W
        loss = pair.minimize(penalty, variables, pair.optimizers[0])
        assert float(loss) == pytest.approx(4 * (out**2).mean() * length, rel=1e-5)
        np.testing.assert_allclose(array(variables[0]), W - 0.1 * gradient, rtol=1e-5)

    def test_convolution(self):
        """Through the kit's strided convolution, whose gradient some backends take their own way."""
        from anime_keras.layers import Downsample

        keras.utils.set_random_seed(0)
        model, layer = training.Adversarial(), Downsample(3)
        x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(2, 8, 8, 2)), "float32")
        layer.build(x.shape)
        with tf.GradientTape() as tape:
            tape.watch(layer.kernel.value)
            slopes = model.input_gradients(lambda x: ops.sum(layer(x), axis=(1, 2, 3)), x)
            loss = ops.sum(slopes**2)
        gradient = array(tape.gradient(loss, layer.kernel.value))
        # sum over all outputs, so an inner pixel's slope is the sum of the taps that reach it
        kernel = array(layer.kernel).astype("float64").sum(axis=3)
        inner = kernel.reshape(2, 2, 2, 2, 2).sum(axis=(0, 2))
        expected = np.tile(inner, (2, 2, 1))[[1, 0, 3, 2]][:, [1, 0, 3, 2]]
        np.testing.assert_allclose(array(slopes)[0, 2:6, 2:6], expected, atol=1e-5)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1.0


class TestOptimizers:
    def test_built_at_once_and_forgotten_at_compile(self, pair):
        assert len(pair.optimizers) == 2
        assert all(optimizer.built for optimizer in pair.optimizers)
        pair.ready()
        assert len(pair.optimizers) == 2
        assert pair.optimizer is None  # Keras made none of its own


@pytest.mark.parametrize("rate", [-1e-3, float("nan")])
@pytest.mark.parametrize(
    ("model", "name"),
    [
        (lambda: models.DCGAN(32, width=2), "learning_rate"),
        (lambda: models.DCGAN(32, width=2), "discriminator_learning_rate"),
        (lambda: models.CycleGAN(32, width=2, residual_blocks=1), "learning_rate"),
        (lambda: models.VAE(32, width=2), "learning_rate"),
        (lambda: models.VAEGAN(32, width=2), "learning_rate"),
        (lambda: models.AnimeGAN(32, width=2), "first_learning_rate"),
        (lambda: models.AnimeGAN(32, width=2), "discriminator_learning_rate"),
        (lambda: models.StyleGAN2(32, 8, fmaps=1 / 64, max_channels=8), "learning_rate"),
    ],
)
def test_no_learning_rate(model, name, rate):
    with pytest.raises(ValueError, match=f"A learning rate must be at least 0, not {rate}"):
        model().compile(**{name: rate})


@pytest.mark.parametrize("decay", [0.0, 0.75, 1.0])
def test_update_average(decay):
    def network(value):
        layers = [
            keras.layers.Input((2,)),
            keras.layers.Dense(3),
            keras.layers.BatchNormalization(),
        ]
        made = keras.Sequential(layers)
        for variable in made.weights:
            variable.assign(np.full(variable.shape, value, "float32"))
        return made

    average, live = network(1.0), network(5.0)
    training.update_average(average, live, decay)
    for variable in average.trainable_weights:
        np.testing.assert_allclose(array(variable), decay + 5.0 * (1.0 - decay), rtol=1e-6)
    for variable in average.non_trainable_weights:  # BatchNorm's statistics are not averaged
        np.testing.assert_array_equal(array(variable), 1.0)
    for variable in live.weights:
        np.testing.assert_array_equal(array(variable), 5.0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate"), True),
        (MemoryError(), True),
        (tf.errors.InvalidArgumentError(None, None, "shapes differ"), False),
        (ValueError("memory"), False),
        (KeyError("x"), False),
    ],
)
def test_is_out_of_memory(error, expected):
    assert training.is_out_of_memory(error) is expected


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("AuthenticAMD", "fpu avx512f avx512_bf16 sse2", "mixed_bfloat16"),
        ("AuthenticAMD", "fpu avx512f avx512_bf16_not sse2", "float32"),
        ("GenuineIntel", "fpu avx512_bf16 amx_bf16 sse2", "mixed_bfloat16"),
        ("GenuineIntel", "fpu avx512f avx512_bf16", "float32"),  # half as fast as float32
    ],
)
def test_best_precision(monkeypatch, vendor, flags, expected):
    from anime_keras.runs import PRECISIONS

    assert training.best_precision() in PRECISIONS
    keras.mixed_precision.DTypePolicy(training.best_precision())
    information = f"processor\t: 0\nvendor_id\t: {vendor}\nflags\t\t: {flags}\n"
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: information)
    assert training.best_precision() == expected


@pytest.mark.parametrize(("platform", "expected"), [("cpu", "float32"), ("tpu", "mixed_bfloat16")])
def test_best_precision_of_jax(monkeypatch, platform, expected):
    """Whatever the processor has."""
    device = SimpleNamespace(platform=platform)
    jax = SimpleNamespace(default_backend=lambda: platform, devices=lambda: [device])
    monkeypatch.setattr(training, "BACKEND", "jax")
    monkeypatch.setattr(training, "jax", jax, raising=False)
    assert training.best_precision() == expected


@pytest.mark.parametrize(
    ("capability", "expected"),
    [
        ((8, 0), "mixed_bfloat16"),
        ((9, 0), "mixed_bfloat16"),
        ((7, 5), "float32"),
        (None, "float32"),
    ],
)
def test_best_precision_of_a_gpu(monkeypatch, capability, expected):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["gpu"])
    monkeypatch.setattr(
        "tensorflow.config.experimental.get_device_details",
        lambda gpu: {"compute_capability": capability},
    )
    assert training.best_precision() == expected
