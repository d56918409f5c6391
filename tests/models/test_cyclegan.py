"""CycleGAN against the PyTorch reference, recorded by reference/make_cyclegan.py, and itself."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from anime_keras import checkpoints, models
from anime_keras.models import cyclegan

REFERENCE = json.loads((Path(__file__).parent / "reference" / "cyclegan.json").read_text())
NETWORKS = ("G", "F", "D_X", "D_Y")


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


def array(tensor):
    return ops.convert_to_numpy(tensor)


def small(**options):
    return models.CycleGAN(
        **{"image_size": 32, "width": 4, "residual_blocks": 1, "history": 4, **options}
    )


def pictures(count=4, size=32, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (2, count, size, size, 3)).astype("float32")


def state(gan):
    return {k: array(v.value).copy() for k, v in checkpoints.state(gan).items()}


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name].tobytes() != theirs[name].tobytes()] == []


# --- the networks ---------------------------------------------------------------------------------


def recorded(**options):
    """The model with the reference's weights, and the reference's pictures."""
    gan = models.CycleGAN(
        image_size=REFERENCE["size"],
        width=REFERENCE["width"],
        residual_blocks=REFERENCE["blocks"],
        **options,
    )
    random = np.random.default_rng(REFERENCE["seed"])
    for name in NETWORKS:
        weights = []
        for variable in getattr(gan, name).weights:
            shape = variable.shape
            if len(shape) == 4:  # (row, column, in, out) from PyTorch's (out, in, row, column)
                kernel = 0.05 * random.standard_normal((shape[3], shape[2], shape[0], shape[1]))
                weights.append(kernel.transpose(2, 3, 1, 0))
            else:
                weights.append(0.05 * random.standard_normal(shape))
        getattr(gan, name).set_weights(weights)
    size = REFERENCE["size"]
    images = np.tanh(random.standard_normal((3, 2, REFERENCE["batch"], size, size, 3)))
    return gan, images.astype("float32")


# Keras adds Adam's epsilon before the bias correction and PyTorch after it, by which its 1e-8 is here
# 1e-8 * sqrt(1 - beta_2^step): 3e-10 in the first steps, and the same 1e-8 after a few thousand.
PYTORCH_EPSILON = 1e-8 * np.sqrt(1 - 0.999)


def compile_as_recorded(gan, **options):
    gan.compile(learning_rate=REFERENCE["rate"], **options)
    for optimizer in gan.optimizers:
        optimizer.epsilon = PYTORCH_EPSILON


class TestReference:
    """The same weights in the reference's layers and in ours give the same numbers."""

    def test_outputs(self):
        gan, images = recorded()
        x, y = images[0]
        fake = array(gan.G(x))[:, ::8, ::8]
        np.testing.assert_allclose(fake, REFERENCE["G"], atol=1e-4, rtol=0)
        assert fake.std() > 0.2
        np.testing.assert_allclose(array(gan.D_Y(y)), REFERENCE["D_Y"], atol=1e-4, rtol=0)

    def test_cross_entropy_under_xla(self):
        """`jit_compile=True` is what a GPU uses by default, and a CPU never."""
        gan, images = recorded()
        compile_as_recorded(gan, loss="cross_entropy", identity=0.0, jit_compile=True)
        logs = gan.fit(*np.concatenate(images, axis=1), batch_size=2, **ONCE).history
        steps = REFERENCE["cross_entropy"]["steps"]
        for name in steps[0]:  # `fit` gives their mean over the epoch
            mean = np.mean([step[name] for step in steps])
            assert logs[name][0] == pytest.approx(mean, abs=1e-4), name
        assert not [name for name in logs if name.startswith("identity")]

    def test_each_step_and_the_weights_after_the_first(self):
        """A step's losses depend on all the weights that those before it changed."""
        gan, images = recorded()
        compile_as_recorded(gan)
        before = {name: getattr(gan, name).get_weights() for name in NETWORKS}
        expected = REFERENCE["least_squares"]
        for number, (x, y) in enumerate(images):
            logs = gan.fit(x, y, batch_size=2, **ONCE).history
            for name, value in expected["steps"][number].items():
                assert logs[name][0] == pytest.approx(value, abs=1e-4), name
            total = sum(v for k, v in expected["steps"][number].items() if k[0] != "D")
            assert logs["g_loss"][0] == pytest.approx(total, abs=1e-4)
            assert logs["d_loss"][0] == pytest.approx(logs["D_X"][0] + logs["D_Y"][0], rel=1e-6)
            if number > 0:
                continue
            for name in NETWORKS:
                kernels = [w for w in getattr(gan, name).get_weights() if w.ndim == 4]
                old = [w for w in before[name] if w.ndim == 4]
                for kernel, was, values in zip(
                    kernels, old, expected["weights"][name], strict=True
                ):
                    ours = kernel.transpose(3, 2, 0, 1).flatten()[:6]
                    np.testing.assert_allclose(ours, values, atol=1e-4, rtol=0)
                    # Adam's first step has the rate's length, so the tolerance means something.
                    moved = np.abs(kernel - was)
                    assert np.median(moved) == pytest.approx(REFERENCE["rate"], rel=0.01)

    def test_parameter_counts(self):
        counts = {
            "generator_9": cyclegan.build_generator().count_params(),
            "generator_6": cyclegan.build_generator(residual_blocks=6).count_params(),
            "discriminator": cyclegan.build_discriminator().count_params(),
        }
        assert counts == REFERENCE["parameters"]
        assert list(counts.values()) == [11_378_179, 7_837_699, 2_764_737]

    def test_initialisation(self):
        """Kernels N(0, 0.02): within five standard errors; biases zero."""
        for network in (cyclegan.build_generator(64, 32, 2), cyclegan.build_discriminator(64, 32)):
            for variable in network.trainable_variables:
                values = array(variable)
                if variable.name == "bias":
                    assert not values.any()
                    continue
                error = 0.02 / np.sqrt(values.size)
                assert abs(values.mean()) < 5 * error
                assert abs(values.std() - 0.02) < 5 * error


ONCE = {"epochs": 1, "verbose": 0, "shuffle": False}


@pytest.mark.parametrize(("size", "grid"), [(32, 2), (64, 6), (128, 14), (256, 30)])
def test_shapes(size, grid):
    """Zhu et al.'s 30x30 at 256 px; the recorded grids are PyTorch's."""
    assert REFERENCE["D_Y_grids"].get(str(size), 2) == grid
    generator = cyclegan.build_generator(size, width=2, residual_blocks=1)
    discriminator = cyclegan.build_discriminator(size, width=2)
    assert generator.output_shape == (None, size, size, 3)
    assert discriminator.output_shape == (None, grid, grid, 1)
    images = generator(np.zeros((2, size, size, 3), "float32"))
    assert images.shape == (2, size, size, 3)
    assert discriminator(images).shape == (2, grid, grid, 1)


def test_a_patch_is_70_pixels():
    """The gradient of one logit reaches 70x70 pixels, where no normalisation carries it further."""
    network = cyclegan.build_discriminator(128, width=2)

    def without_norm(layer):
        if isinstance(layer, cyclegan.InstanceNormalization):
            return keras.layers.Activation("linear", name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    bare = keras.models.clone_model(network, clone_function=without_norm)
    for variable in bare.trainable_variables:  # positive everywhere, so that nothing cancels
        variable.assign(ops.ones_like(variable))
    images = tf.zeros((1, 128, 128, 3))
    with tf.GradientTape() as tape:
        tape.watch(images)
        logit = bare(images)[0, 7, 7, 0]
    reached = np.any(array(tape.gradient(logit, images))[0] != 0, axis=-1)
    rows, columns = np.flatnonzero(reached.any(axis=1)), np.flatnonzero(reached.any(axis=0))
    assert len(rows) == len(columns) == 70
    assert rows[-1] - rows[0] == columns[-1] - columns[0] == 69
    assert reached.sum() == 70 * 70


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (cyclegan.build_generator, {"image_size": 30}, "image_size must be a multiple of 4"),
        (cyclegan.build_generator, {"image_size": 28}, "at least 32"),
        (cyclegan.build_generator, {"width": 0}, "width must be at least 1"),
        (cyclegan.build_generator, {"residual_blocks": -1}, "residual_blocks must be at least 0"),
        (cyclegan.build_discriminator, {"image_size": 66}, "image_size must be a multiple of 4"),
        (models.CycleGAN, {"ema": 1.0}, "ema must be in"),
        (models.CycleGAN, {"image_size": 32, "width": 2, "history": -1}, "size must be at least 0"),
    ],
)
def test_bad_arguments(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"cycle": -1.0}, "must be at least 0"),
        ({"identity": -0.5}, "must be at least 0"),
        ({"cycle_noise": -0.1}, "cycle_noise must be at least 0"),
        ({"decay": "linear"}, "needs decay_steps"),
        ({"decay": "cosine"}, "decay must be one of"),
    ],
)
def test_bad_rules(rules, message):
    with pytest.raises(ValueError, match=message):
        small().compile(**rules)


@pytest.mark.parametrize("first_norm", [True, False])
def test_first_norm_takes_away_brightness_and_tint(first_norm):
    """IN(a v + b) = IN(v): behind the first norm 0.5 x and a colour are x again."""
    keras.utils.set_random_seed(0)
    network = cyclegan.build_generator(32, width=8, residual_blocks=1, first_norm=first_norm)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    pale = 0.5 * x + np.array([0.3, -0.1, 0.2], "float32")
    answers = [ops.convert_to_numpy(network(ops.convert_to_tensor(p))) for p in (x, pale)]
    changed = np.abs(answers[0] - answers[1]).mean() / answers[0].std()
    assert changed < 0.01 if first_norm else changed > 0.05
    assert network.count_params() == cyclegan.build_generator(32, 8, 1).count_params()


def test_blocks_follow_the_size():
    """Zhu et al., section 7.2: 6 residual blocks at 128 px, 9 from 256 px on."""
    for size, blocks in ((32, 6), (128, 6), (256, 9)):
        gan = models.CycleGAN(image_size=size, width=1, history=0)
        assert gan.get_config()["residual_blocks"] == blocks


# --- training -------------------------------------------------------------------------------------


class TestJoined:
    """One pass over two batches is two passes over one."""

    @pytest.mark.parametrize("batch", [1, 3])
    def test_outputs_and_gradients(self, batch):
        gan = recorded()[0]
        x, y = (tf.constant(images) for images in pictures(batch))
        for network in (gan.G, gan.D_X):
            wanted = [v.value for v in network.trainable_variables]
            results = []
            for once in (True, False):
                with tf.GradientTape() as tape:
                    outputs = cyclegan.joined(network, x, y) if once else [network(x), network(y)]
                    loss = ops.mean(ops.square(outputs[0] - 1)) + ops.mean(ops.abs(outputs[1]))
                results.append([*map(array, outputs), *map(array, tape.gradient(loss, wanted))])
            for ours, theirs in zip(*results, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=1e-5)

    def test_whole_losses(self, monkeypatch):
        """So are both players' losses and all their gradients."""
        gan = recorded()[0]
        gan.compile()
        x, y = (tf.constant(images) for images in pictures(2))

        def separately(network, *batches):
            return [network(batch, training=True) for batch in batches]

        results = []
        for way in (cyclegan.joined, separately):
            monkeypatch.setattr(cyclegan, "joined", way)
            with tf.GradientTape(persistent=True) as tape:
                g_loss, (fake_x, fake_y) = gan.generator_loss(x, y)
                d_loss = gan.discriminator_loss(x, y, fake_x, fake_y)
            gradients = tape.gradient(g_loss, [v.value for v in gan.generator_variables])
            gradients += tape.gradient(d_loss, [v.value for v in gan.discriminator_variables])
            results.append([g_loss, d_loss, *gradients])
        for ours, theirs in zip(*results, strict=True):
            # To 1e-5 of the largest entry, where that is above 1: such a sum rounds in its last bits.
            scale = max(1.0, float(np.abs(array(theirs)).max()))
            np.testing.assert_allclose(array(ours), array(theirs), atol=1e-5 * scale, rtol=1e-4)


class TestTrainStep:
    def test_histories_decide_what_is_shown(self):
        """The discriminators see what the histories hand on; the generators never do."""
        x, y = pictures(2)
        losses = []
        for other in (False, True):
            gan = recorded()[0]
            gan.compile(run_eagerly=True)
            if other:
                gan.history_x.call = gan.history_y.call = lambda images: ops.zeros_like(images)
            losses.append(gan.fit(x, y, batch_size=2, **ONCE).history)
        for name in ("g_loss", "G", "F", "cycle_x"):
            assert losses[0][name] == pytest.approx(losses[1][name], rel=1e-6)
        for name in ("D_X", "D_Y"):
            assert abs(losses[0][name][0] - losses[1][name][0]) > 1e-3

    def test_histories_fill(self):
        """They hold what the generators drew, in the order in which it was drawn."""
        x, y = pictures(6)
        gan = small(history=6)
        gan.compile(learning_rate=0.0, run_eagerly=True)
        gan.fit(x, y, batch_size=2, **ONCE)
        np.testing.assert_allclose(array(gan.history_y.images), array(gan.G(x)), atol=1e-5)
        np.testing.assert_allclose(array(gan.history_x.images), array(gan.F(y)), atol=1e-5)
        assert int(gan.history_x.count) == int(gan.history_y.count) == 6

    def test_scores(self):
        """The share of patches nearer to the label of real: above ½, or above 0 as a logit."""
        gan = small()
        logits = np.float32([-1.0, 0.2, 0.6, 3.0])
        for loss, share in (("least_squares", 0.5), ("cross_entropy", 0.75)):
            gan.compile(loss=loss)
            assert float(gan.called_real(logits)) == share

    def test_cycle_noise(self):
        """Noise of the given size is on what goes back, and on nothing else."""
        x, y = pictures(4)
        gan = small()
        losses = {}
        for noise in (0.0, 0.5):
            gan.compile(cycle_noise=noise)
            gan.generator_loss(x, y)
            losses[noise] = {meter.name: float(meter.result()) for meter in gan.meters}
            for meter in gan.meters:
                meter.reset_state()
        for name in ("G", "F", "identity_x", "identity_y"):
            assert losses[0.5][name] == losses[0.0][name], name
        for name in ("cycle_x", "cycle_y"):
            assert losses[0.5][name] != losses[0.0][name], name
        noise = array(gan.noisy(x) - x)
        assert noise.std() == pytest.approx(0.5, rel=0.02) and abs(noise.mean()) < 0.01
        assert np.abs(noise - array(gan.noisy(x) - x)).max() > 0.5  # another draw each time
        gan.compile()
        assert gan.noisy(x) is x

    def test_bfloat16(self):
        """Networks compute in bfloat16; pictures, losses and weights stay float32, and near."""
        x, y = pictures(4)
        logs = {}
        for policy in ("float32", "mixed_bfloat16"):
            keras.config.set_dtype_policy(policy)
            keras.utils.set_random_seed(0)
            gan = small(width=8)
            gan.compile(learning_rate=1e-4, run_eagerly=True)
            logs[policy] = gan.fit(x, y, batch_size=2, **ONCE).history
        assert gan.G.get_layer("block0_a").compute_dtype == "bfloat16"
        assert {v.dtype for v in gan.generator_variables} == {"float32"}
        for output in (gan.G(x), gan.D_X(x), gan.history_x.images, gan.generator_loss(x, y)[0]):
            assert keras.backend.standardize_dtype(output.dtype) == "float32"
        for name, values in logs["float32"].items():
            if not name.endswith("score"):
                assert logs["mixed_bfloat16"][name] == pytest.approx(values, rel=0.02), name
                assert logs["mixed_bfloat16"][name] != values, name

    def test_average(self):
        """Two steps of the average: (1 + 1) / (10 + 1), then (1 + 2) / (10 + 2)."""
        x, y = pictures(2)
        gan = small(ema=0.9)
        gan.compile(learning_rate=1e-2, run_eagerly=True)
        start = gan.F.get_weights()
        expected = [w.copy() for w in start]
        for step in (1, 2):
            gan.fit(x, y, batch_size=2, **ONCE)
            decay = (1 + step) / (10 + step)
            expected = [
                decay * slow + (1 - decay) * fast
                for slow, fast in zip(expected, gan.F.get_weights(), strict=True)
            ]
        for ours, theirs in zip(gan.average_F.get_weights(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        assert gan.generator("y2x") is gan.average_F
        assert np.abs(gan.average_F.get_weights()[0] - gan.F.get_weights()[0]).max() > 1e-3

    def test_accumulation_is_a_larger_batch(self):
        """Gradients of two batches of 1, averaged, are those of one of 2."""
        x, y = pictures(2)
        results = []
        for batch_size, accumulate in ((2, 1), (1, 2)):
            gan = recorded(history=0)[0]
            gan.compile(learning_rate=1e-3, accumulate=accumulate, run_eagerly=True)
            gan.fit(x, y, batch_size=batch_size, **ONCE)
            results.append([w for n in NETWORKS for w in getattr(gan, n).get_weights()])
        for whole, halves in zip(*results, strict=True):
            if whole.ndim == 4:  # the biases before a norm have no gradient but rounding
                assert np.mean(np.abs(whole - halves) > 1e-5) < 0.01

    def test_resumes_to_the_same_bits(self, tmp_path):
        """Swaps and slots included: the histories are full and their dice are in the checkpoint."""
        x, y = pictures(8)
        gan = small(ema=0.5)
        gan.compile(learning_rate=1e-3)
        gan.fit(x, y, batch_size=2, **ONCE)
        path = checkpoints.save(gan, tmp_path, 4)
        gan.fit(x, y, batch_size=2, **ONCE)
        keras.utils.set_random_seed(5)
        other = small(ema=0.5)
        other.compile(learning_rate=1e-3)
        checkpoints.load(other, path)
        other.fit(x, y, batch_size=2, **ONCE)
        assert_same(state(gan), state(other))

    def test_learns(self):
        """Light discs on dark ground become dark ones on light, in place, though never in pairs."""
        random = np.random.default_rng(0)
        row, column = np.mgrid[:32, :32]
        light, dark = np.float32([0.8, 0.5, -0.2]), np.float32([-0.8, -0.6, -0.4])

        def discs(count):
            y, x = random.uniform(9, 23, (2, count, 1, 1))
            inside = (row - y) ** 2 + (column - x) ** 2 < random.uniform(5, 9, (count, 1, 1)) ** 2
            return np.where(inside[..., None], light, dark)

        x, y, test = discs(64), -discs(64), discs(16)
        gan = small(width=8, history=50)
        gan.compile(learning_rate=2e-3, identity=0.0)

        def cycle_error():
            return np.abs(array(gan.F(gan.G(test))) - test).mean()

        untrained = cycle_error()
        gan.fit(x, y, batch_size=4, epochs=4, verbose=0, shuffle=False)
        error = np.abs(array(gan.G(test)) + test).mean()
        # Two ways to be wrong: pictures left as they are, and a ground without a disc.
        assert error < 0.2 * np.abs(2 * test).mean()
        assert error < 0.8 * np.abs(test - dark).mean()
        assert cycle_error() < 0.25 * untrained


class TestDecay:
    def test_is_the_references(self):
        """`1 - max(0, epoch + 1 - 100) / 101` for 200 epochs of 7 steps (REFERENCE: train.py)."""
        rate = cyclegan._schedule(2e-4, "linear", 200 * 7, 7)
        for epoch in (0, 50, 99, 100, 101, 150, 199):
            expected = 2e-4 * (1 - max(0, epoch + 1 - 100) / 101)
            for step in (7 * epoch, 7 * epoch + 6):
                assert float(rate(step)) == pytest.approx(expected, rel=1e-5)
        assert float(rate(200 * 7 - 1)) > 0
        assert float(rate(10**6)) == 0

    def test_step_by_step(self):
        rate = cyclegan._schedule(1.0, "linear", 5, 1)
        assert [float(rate(step)) for step in range(6)] == pytest.approx([1, 1, 1, 2 / 3, 1 / 3, 0])

    def test_both_optimizers_follow_it(self):
        gan = small()
        gan.compile(
            learning_rate=1e-3, decay="linear", decay_steps=4, epoch_steps=2, run_eagerly=True
        )
        x, y = pictures(8)
        rates = []
        for _ in range(2):
            gan.fit(x[:4], y[:4], batch_size=2, **ONCE)
            rates.append([float(o.learning_rate) for o in gan.optimizers])
        assert rates[0] == pytest.approx([5e-4, 5e-4])  # that of the next step, in epoch 1
        assert rates[1] == [0.0, 0.0]


# --- use ------------------------------------------------------------------------------------------


class TestTranslate:
    @pytest.fixture
    def images(self):
        return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), "uint8")

    def test_both_directions(self, images):
        gan = recorded()[0]
        for direction, network in (("x2y", gan.G), ("y2x", gan.F)):
            outputs = gan.translate(images, direction)
            expected = array(network(images.astype("float32") / 127.5 - 1))
            np.testing.assert_allclose(outputs, (expected + 1) * 127.5, atol=0.51)
            assert outputs.dtype == np.uint8 and outputs.shape == images.shape
            # Whatever the batch, but for a last bit that rounds the other way (TensorFlow 2.18).
            by_two = gan.translate(images, direction, batch_size=2)
            np.testing.assert_allclose(by_two.astype(int), outputs, atol=1)
            assert (by_two != outputs).mean() < 0.001
        assert gan.translate(images[:0]).shape == (0, 32, 32, 3)
        assert (gan.translate(images) != gan.translate(images, "y2x")).mean() > 0.5

    def test_judge(self, images):
        gan = recorded()[0]
        for domain, network in (("x", gan.D_X), ("y", gan.D_Y)):
            expected = array(network(images.astype("float32") / 127.5 - 1))[..., 0]
            scores = gan.judge(images, domain, batch_size=2)
            np.testing.assert_allclose(scores, expected, atol=1e-5)
            assert scores.shape == (5, 2, 2)

    def test_draw(self, images):
        gan = recorded()[0]
        x, y = images[:2], images[2:4]
        rows = gan.draw((x, y)).reshape(2, 6, 32, 32, 3)
        np.testing.assert_array_equal(rows[:, 0], x)
        np.testing.assert_array_equal(rows[:, 3], y)
        np.testing.assert_array_equal(rows[:, 1], gan.translate(x))
        np.testing.assert_array_equal(rows[:, 2], gan.translate(gan.translate(x), "y2x"))
        np.testing.assert_array_equal(rows[:, 4], gan.translate(y, "y2x"))
        np.testing.assert_array_equal(rows[:, 5], gan.translate(gan.translate(y, "y2x"), "x2y"))

    def test_call(self, images):
        gan = recorded()[0]
        x = images.astype("float32") / 127.5 - 1
        np.testing.assert_array_equal(array(gan(x)), array(gan.G(x)))
        np.testing.assert_array_equal(array(gan(x, direction="y2x")), array(gan.F(x)))

    def test_what_cannot_be_translated(self, images):
        gan = small()
        with pytest.raises(ValueError, match=r"uint8 pictures \(count, 32, 32, 3\), not float32"):
            gan.translate(images.astype("float32"))
        with pytest.raises(ValueError, match=r"not uint8 \(5, 16, 32, 3\)"):
            gan.translate(images[:, :16])
        with pytest.raises(ValueError, match=r"not uint8 \(32, 32, 3\)"):
            gan.translate(images[0])
        with pytest.raises(ValueError, match="direction must be one of"):
            gan.translate(images, "a2b")
        with pytest.raises(ValueError, match="domain must be one of"):
            gan.judge(images, "z")


def test_saves_and_loads(tmp_path):
    """A `.keras` file holds networks, averages, histories, both optimizers' moments, the rules."""
    x, y = pictures(6)
    gan = small(ema=0.9)
    gan.compile(
        loss="cross_entropy", identity=0.1, learning_rate=1e-3, decay="linear", decay_steps=100
    )
    gan.fit(x, y, batch_size=2, **ONCE)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert loaded.get_config() == gan.get_config()
    assert loaded.get_compile_config() == gan.get_compile_config()
    assert [int(o.iterations) for o in loaded.optimizers] == [3, 3]
    ours, theirs = ({k: v for k, v in state(m).items() if "meters" not in k} for m in (gan, loaded))
    assert_same(ours, theirs)
    # and goes on alike
    again = [m.fit(x, y, batch_size=2, **ONCE).history for m in (gan, loaded)]
    assert again[0] == again[1]
    assert_same(state(gan), state(loaded))
