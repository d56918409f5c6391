"""DCGAN against the PyTorch reference, recorded by reference/make_dcgan.py, and against itself."""

import json
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import losses, models
from anime_keras.data.pipelines import normalize

REFERENCE = json.loads((Path(__file__).parent / "reference" / "dcgan.json").read_text())


def trainable(network):
    return sum(int(np.prod(variable.shape)) for variable in network.trainable_variables)


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


@pytest.fixture
def noise():
    return np.random.default_rng(0).uniform(-1, 1, (8, 32, 32, 3)).astype("float32")


def small(**options):
    return models.DCGAN(**{"image_size": 32, "width": 8, "latent_dim": 16, **options})


class TestReference:
    """The same weights in the reference's layers and in ours give the same numbers."""

    @pytest.fixture(scope="class")
    def recorded(self):
        keras.config.set_dtype_policy("float32")
        random = np.random.default_rng(REFERENCE["seed"])

        def norm(channels):
            return [
                1 + 0.1 * random.standard_normal(channels),
                0.1 * random.standard_normal(channels),
                0.1 * random.standard_normal(channels),
                np.exp(0.2 * random.standard_normal(channels)),
            ]

        def kernel(*channels):
            return (0.04 * random.standard_normal((*channels, 4, 4))).transpose(2, 3, 1, 0)

        channels = [100, 512, 256, 128, 64, 3]
        weights = []
        for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
            weights.append(kernel(fan_in, fan_out))
            if index == 0:  # (4, 4, out, in) at one place is a matrix from the latents
                weights[0] = weights[0].transpose(3, 0, 1, 2).reshape(100, -1)
            if index < 4:
                weights += norm(fan_out)
        generator = models.dcgan.build_generator()
        generator.set_weights(weights)

        channels = [3, 64, 128, 256, 512, 1]
        weights = []
        for index, (fan_in, fan_out) in enumerate(pairwise(channels)):
            weights.append(kernel(fan_out, fan_in))
            if index == 4:
                weights[-1] = weights[-1].reshape(-1, 1)
            if 0 < index < 4:
                weights += norm(fan_out)
        discriminator = models.dcgan.build_discriminator()
        discriminator.set_weights(weights)
        latents = random.standard_normal((4, 100)).astype("float32")
        images = np.tanh(random.standard_normal((4, 64, 64, 3))).astype("float32")
        return {"generator": (generator, latents), "discriminator": (discriminator, images)}

    @pytest.mark.parametrize("name", ["generator", "discriminator"])
    def test_outputs(self, recorded, name):
        network, inputs = recorded[name]
        for mode in ("eval", "train"):  # in this order: training moves the statistics
            outputs = ops.convert_to_numpy(network(inputs, training=mode == "train"))
            outputs = outputs[:, ::16, ::16, :] if name == "generator" else outputs[:, 0]
            np.testing.assert_allclose(outputs, REFERENCE[f"{name}_{mode}"], atol=1e-4, rtol=0)
        last = [layer for layer in network.layers if hasattr(layer, "moving_mean")][-1]
        for which in ("mean", "variance"):
            moving = ops.convert_to_numpy(getattr(last, f"moving_{which}"))
            expected = REFERENCE[f"{name}_moving_{which}_after_train"]
            np.testing.assert_allclose(moving[: len(expected)], expected, atol=1e-4, rtol=0)

    def test_parameter_counts(self):
        assert trainable(models.dcgan.build_generator()) == 3_576_704
        assert trainable(models.dcgan.build_discriminator()) == 2_765_568
        # with BatchNorm's moving statistics, as Keras counts
        assert models.dcgan.build_generator().count_params() == 3_578_624
        assert models.dcgan.build_discriminator().count_params() == 2_767_360

    def test_initialisation(self):
        """Kernels N(0, 0.02), gamma N(1, 0.02): within five standard errors."""
        for network in (models.dcgan.build_generator(), models.dcgan.build_discriminator()):
            for variable in network.trainable_variables:
                values = ops.convert_to_numpy(variable)
                if variable.name == "beta":
                    assert not values.any()
                    continue
                mean = 1.0 if variable.name == "gamma" else 0.0
                error = 0.02 / np.sqrt(values.size)
                assert abs(values.mean() - mean) < 5 * error
                assert abs(values.std() - 0.02) < 5 * error


@pytest.mark.parametrize("size", models.dcgan.SIZES)
def test_shapes(size):
    generator = models.dcgan.build_generator(size, latent_dim=7, width=4)
    discriminator = models.dcgan.build_discriminator(size, width=4)
    images = generator(np.zeros((2, 7), "float32"))
    assert images.shape == (2, size, size, 3)
    assert discriminator(images).shape == (2, 1)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (models.dcgan.build_generator, {"image_size": 48}, "image_size must be one of"),
        (models.dcgan.build_generator, {"width": 0}, "width must be at least 1"),
        (models.dcgan.build_discriminator, {"normalization": "x"}, "normalization must be one of"),
        (models.DCGAN, {"ema": 1.0}, "ema must be in"),
        (models.DCGAN, {"augmentation": ("blur",)}, "Unknown augmentation"),
    ],
)
def test_bad_arguments(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"loss": "nonsense"}, "no adversarial loss"),
        ({"loss": "wasserstein"}, "normalization='layer'"),
        ({"loss": "hinge", "label_smoothing": 0.1}, "cross-entropy"),
        ({"decay": "linear"}, "needs decay_steps"),
        ({"decay": "stepwise"}, "decay must be one of"),
    ],
)
def test_bad_rules(rules, message):
    with pytest.raises(ValueError, match=message):
        small().compile(**rules)


class TestTrainStep:
    def test_is_the_algorithm(self, noise):
        """One step by `fit` is Goodfellow's algorithm 1, done by hand on a copy."""
        import tensorflow as tf

        gan = small(ema=0.0)
        gan.compile(learning_rate=1e-3)
        twin = small(ema=0.0)
        twin.set_weights(gan.get_weights())
        twin.compile(learning_rate=1e-3)
        points = twin.draw_latents(8)
        real = ops.convert_to_tensor(noise)

        with tf.GradientTape() as tape:
            fake = twin.generator(points, training=True)
            d_loss = losses.cross_entropy_discriminator(
                twin.discriminator(real, training=True), twin.discriminator(fake, training=True)
            )
        variables = twin.discriminator.trainable_variables
        gradients = tape.gradient(d_loss, [v.value for v in variables])
        twin.discriminator_optimizer.apply(gradients, variables)
        with tf.GradientTape() as tape:
            fake = twin.generator(points, training=True)
            logits = twin.discriminator(fake, training=True)
            g_loss = losses.non_saturating_generator(None, logits)
        variables = twin.generator.trainable_variables
        gradients = tape.gradient(g_loss, [v.value for v in variables])
        twin.generator_optimizer.apply(gradients, variables)

        logs = gan.fit(noise, batch_size=8, verbose=0, shuffle=False).history
        assert logs["d_loss"][0] == pytest.approx(float(d_loss), abs=1e-5)
        assert logs["g_loss"][0] == pytest.approx(float(g_loss), abs=1e-5)
        # Adam's first step is the gradient's sign times the rate, so rounding decides where a
        # gradient is all but zero: nearly all weights agree closely, and the mean very closely.
        for network in ("generator", "discriminator"):
            pairs = zip(
                getattr(gan, network).trainable_variables,
                getattr(twin, network).trainable_variables,
                strict=True,
            )
            for ours, by_hand in pairs:
                difference = np.abs(ops.convert_to_numpy(ours) - ops.convert_to_numpy(by_hand))
                assert np.mean(difference > 1e-5) < 0.01
                assert difference.mean() < 1e-5

    @pytest.mark.parametrize(
        "options",
        [
            ({}, {"loss": "minimax"}),
            ({}, {"loss": "least_squares"}),
            ({"spectral_norm": True, "normalization": "none"}, {"loss": "hinge"}),
            ({"normalization": "layer"}, {"loss": "wasserstein"}),
            ({}, {"loss": "relativistic"}),
            ({}, {"label_smoothing": 0.1, "feature_matching": 1.0, "content": 1.0}),
            ({"normalization": "none"}, {"r1": 1.0, "decay": "cosine", "decay_steps": 10}),
            (
                {"augmentation": ("color", "translation", "cutout")},
                {"decay": "linear", "decay_steps": 10},
            ),
        ],
        ids=lambda options: "-".join(map(str, [*options[0].values(), *options[1].values()])),
    )  # fmt: skip
    def test_every_rule_moves_both_players(self, noise, options):
        network, rules = options
        gan = small(**network)
        gan.compile(**rules)
        before = [gan.generator.get_weights(), gan.discriminator.get_weights()]
        logs = gan.fit(np.concatenate([noise] * 2), batch_size=8, verbose=0).history
        assert all(np.isfinite(values).all() for values in logs.values())
        for network, old in zip((gan.generator, gan.discriminator), before, strict=True):
            for new, was, variable in zip(network.get_weights(), old, network.weights, strict=True):
                if variable.name != "u":
                    assert np.abs(new - was).max() > 0, variable.path

    def test_accumulation_is_a_larger_batch(self, noise):
        """Two batches of 4 with accumulation are one of 8, where no BatchNorm couples the pictures."""
        results = []
        for batch_size, accumulate in ((8, 1), (4, 2)):
            keras.utils.set_random_seed(0)
            gan = small(normalization="none", ema=0.0)
            # The generator has BatchNorm; only the discriminator's step can be the same.
            gan.compile(
                accumulate=accumulate, learning_rate=1e-12, discriminator_learning_rate=1e-3
            )
            fixed = ops.convert_to_tensor(
                np.random.default_rng(1).uniform(-1, 1, noise.shape), "float32"
            )
            for start in range(0, 8, batch_size):
                rows = slice(start, start + batch_size)
                real, fake = ops.convert_to_tensor(noise[rows]), fixed[rows]
                gan.minimize(
                    lambda real=real, fake=fake, gan=gan: gan.discriminator_loss(real, fake),
                    gan.discriminator.trainable_variables,
                    gan.discriminator_optimizer,
                )
            results.append(gan.discriminator.get_weights())
        for whole, halves in zip(*results, strict=True):
            assert np.mean(np.abs(whole - halves) > 1e-5) < 0.01

    def test_xla_gives_the_same_step(self, noise, monkeypatch):
        """`jit_compile=True` is what a GPU uses by default, and a CPU never."""
        # XLA draws random numbers by another algorithm, so both are given the same ones.
        points = ops.convert_to_tensor(np.random.default_rng(0).standard_normal((8, 16)), "float32")
        monkeypatch.setattr(models.DCGAN, "draw_latents", lambda self, count: points)
        logs = []
        for jit_compile in (False, True):
            keras.utils.set_random_seed(0)
            gan = small()
            gan.compile(jit_compile=jit_compile)
            logs.append(gan.fit(noise, batch_size=8, epochs=2, verbose=0, shuffle=False).history)
        assert logs[0]["d_loss"] == pytest.approx(logs[1]["d_loss"], rel=1e-3)
        assert logs[0]["g_loss"] == pytest.approx(logs[1]["g_loss"], rel=1e-3)

    def test_learns(self):
        """Shown nothing but one blue, the generator comes to draw that blue."""
        blue = normalize(np.tile(np.uint8([40, 80, 220]), (64, 32, 32, 1)))
        gan = small(ema=0.9)
        gan.compile(learning_rate=1e-3)
        gan.fit(blue, batch_size=16, epochs=60, verbose=0)
        mean = gan.generate(64, seed=1).mean(axis=(0, 1, 2))
        assert np.abs(mean - [40, 80, 220]).max() < 40


class TestGenerate:
    def test_a_seed_is_a_picture(self):
        gan = small()
        gan.compile()
        images = gan.generate(5, seed=3)
        assert images.shape == (5, 32, 32, 3) and images.dtype == np.uint8
        np.testing.assert_array_equal(gan.generate(9, seed=3)[:5], images)
        np.testing.assert_array_equal(gan.generate(5, seed=3, batch_size=2), images)
        assert (gan.generate(5, seed=4) != images).mean() > 0.5

    def test_settled_statistics(self, noise):
        """The averaged generator's own statistics are those of its own activations."""
        gan = small()
        gan.compile(learning_rate=1e-2)
        gan.fit(np.concatenate([noise] * 4), batch_size=8, verbose=0)
        images = gan.generate(512) / 127.5 - 1.0
        by_batch = gan.average(
            np.random.default_rng(0).standard_normal((512, 16), "float32"), training=True
        )
        assert np.abs(images - ops.convert_to_numpy(by_batch)).max() < 0.02

    def test_untrained_and_not_compiled(self):
        assert small().generate(2).shape == (2, 32, 32, 3)

    def test_count(self):
        gan = small()
        gan.compile()
        with pytest.raises(ValueError, match="count must be at least 1"):
            gan.generate(0)


def test_saves_and_loads(noise, tmp_path):
    """A `.keras` file holds networks, average, both optimizers' moments and the rules."""
    gan = small(augmentation=("color",))
    gan.compile(loss="hinge", learning_rate=1e-3)
    gan.fit(noise, batch_size=4, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    np.testing.assert_array_equal(loaded.generate(4), gan.generate(4))
    assert loaded.rule == "hinge"
    assert len(loaded.optimizers) == 2
    for ours, theirs in zip(gan.optimizers, loaded.optimizers, strict=True):
        assert int(ours.iterations) == int(theirs.iterations) == 2
        for a, b in zip(ours.variables, theirs.variables, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    # and goes on alike
    again = [m.fit(noise, batch_size=8, verbose=0, shuffle=False).history for m in (gan, loaded)]
    assert again[0] == again[1]


@pytest.mark.parametrize(
    "rules", [{"loss": "wasserstein"}, {"r1": 1.0}, {"feature_matching": 1.0, "content": 1.0}]
)
def test_penalties_in_mixed_precision(noise, rules):
    """Networks compute in bfloat16; pictures, penalties and losses are float32, and finite."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    gan = small(normalization="layer", augmentation=("color", "translation"))
    gan.compile(**rules, run_eagerly=True)
    logs = {
        name: float(value) for name, value in gan.train_step(ops.convert_to_tensor(noise)).items()
    }
    assert all(np.isfinite(value) for value in logs.values()), logs
    assert keras.backend.standardize_dtype(gan.augment(noise).dtype) == "float32"
