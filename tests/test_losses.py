"""Losses against published numbers, TF-GAN's own code and closed forms."""

import sys

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import losses, tfgan

# TF-GAN, losses_impl_test.py
REAL = np.float32([-5.0, 1.4, 12.5, 2.7])
FAKE = np.float32([10.0, 4.4, -5.5, 3.6])


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")


def number(tensor):
    assert tensor.shape == () and keras.backend.standardize_dtype(tensor.dtype) == "float32"
    return float(tensor)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-np.asarray(x, "float64")))


class TestPublished:
    @pytest.mark.parametrize(
        ("name", "generator", "discriminator"),
        [
            ("least_squares", 17.69625, 41.73375),
            ("non_saturating", 1.38582, 5.83387),
            ("wasserstein", -3.125, 0.225),
            ("hinge", -3.125, 6.75),
        ],
    )
    def test_tfgan_table(self, name, generator, discriminator):
        """TF-GAN, losses_impl_test.py; its logits."""
        rule = losses.get(name)
        assert number(rule.generator(REAL, FAKE)) == pytest.approx(generator, abs=1e-4)
        assert number(rule.discriminator(REAL, FAKE)) == pytest.approx(discriminator, abs=1e-4)

    def test_label_smoothing(self):
        """TF-GAN's default of 0.25 goes that far towards ½: its label is 0.875, ours 1 - 0.125."""
        smoothed = losses.cross_entropy_discriminator(REAL, FAKE, label_smoothing=0.125)
        assert number(smoothed) == pytest.approx(6.19637, abs=1e-4)
        plain = losses.cross_entropy_discriminator(REAL, FAKE, label_smoothing=0.0)
        assert number(plain) == pytest.approx(5.83387, abs=1e-4)

    def test_relativistic(self):
        """TF-GAN, losses_impl_test.py, RelativisticLossesTest."""
        real = np.float32([-2.0, 0.4, 12.5, 2.7])
        rule = losses.get("relativistic")
        assert number(rule.discriminator(real, FAKE)) == pytest.approx(4.390114, abs=1e-4)
        assert number(rule.generator(real, FAKE)) == pytest.approx(4.9401135, abs=1e-4)

    def test_mimicry(self):
        """mimicry's tests: ones for all logits."""
        ones = np.ones((4, 1), "float32")
        rule = losses.get("non_saturating")
        assert number(rule.generator(ones, ones)) == pytest.approx(0.3133, abs=1e-4)
        assert number(rule.discriminator(ones, ones)) == pytest.approx(1.6265, abs=1e-4)
        rule = losses.get("hinge")
        assert number(rule.generator(ones, ones)) == pytest.approx(-1.0, abs=1e-6)
        assert number(rule.discriminator(ones, ones)) == pytest.approx(2.0, abs=1e-6)

    def test_gradient_penalty(self):
        """D(x) = 2x on 4 features: slopes of length 4, (4 - 1)² = 9."""
        slopes = np.full((3, 4), 2.0, "float32")
        assert number(losses.gradient_penalty(slopes)) == pytest.approx(9.0, abs=1e-4)


class TestClosedForms:
    def test_cross_entropy_is_the_papers_equation(self):
        expected = -np.log(sigmoid(REAL)).mean() - np.log(1.0 - sigmoid(FAKE)).mean()
        ours = losses.get("minimax").discriminator(REAL, FAKE)
        assert number(ours) == pytest.approx(expected, abs=1e-5)

    def test_minimax_generator(self):
        """E[log(1 - sigmoid(D(G(z))))]: the game's value, as far as the generator has a say in it."""
        expected = np.log(1.0 - sigmoid(FAKE)).mean()
        assert number(losses.minimax_generator(REAL, FAKE)) == pytest.approx(expected, abs=1e-5)

    def test_non_saturating_generator(self):
        expected = -np.log(sigmoid(FAKE)).mean()
        ours = losses.non_saturating_generator(REAL, FAKE)
        assert number(ours) == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.25, 0.9])
    def test_smoothing_is_cross_entropy_with_a_softer_label(self, smoothing):
        target, p = 1.0 - smoothing, sigmoid(REAL)
        real = -(target * np.log(p) + (1.0 - target) * np.log(1.0 - p)).mean()
        expected = real - np.log(1.0 - sigmoid(FAKE)).mean()
        ours = losses.cross_entropy_discriminator(REAL, FAKE, label_smoothing=smoothing)
        assert number(ours) == pytest.approx(expected, abs=1e-4)

    def test_smoothed_cross_entropy_is_lowest_at_the_label(self):
        logits = np.linspace(-5, 5, 1001, dtype="float32")
        values = [
            float(losses.cross_entropy_discriminator(logits[i : i + 1], REAL * 0, 0.2))
            for i in range(0, 1001, 10)
        ]
        best = logits[::10][int(np.argmin(values))]
        assert sigmoid(best) == pytest.approx(0.8, abs=0.01)

    def test_hinge_is_content_beyond_its_margin(self):
        rule = losses.get("hinge")
        assert number(rule.discriminator(np.float32([1.0, 7.0]), np.float32([-1.0, -3.0]))) == 0.0
        assert number(rule.discriminator(np.float32([0.5]), np.float32([-1.0]))) == 0.5
        assert number(rule.discriminator(np.float32([1.0]), np.float32([-0.25]))) == 0.75

    def test_relativistic(self):
        real_lead, fake_lead = REAL - FAKE.mean(), FAKE - REAL.mean()
        expected = -np.log(sigmoid(real_lead)).mean() - np.log(1.0 - sigmoid(fake_lead)).mean()
        ours = losses.get("relativistic").discriminator(REAL, FAKE)
        assert number(ours) == pytest.approx(expected, abs=1e-5)
        expected = -np.log(sigmoid(fake_lead)).mean() - np.log(1.0 - sigmoid(real_lead)).mean()
        ours = losses.get("relativistic").generator(REAL, FAKE)
        assert number(ours) == pytest.approx(expected, abs=1e-5)

    def test_gradient_penalty(self):
        slopes = np.random.default_rng(0).standard_normal((5, 4, 4, 3)).astype("float32")
        norms = np.sqrt((slopes.astype("float64") ** 2).sum(axis=(1, 2, 3)))
        for target in (0.0, 1.0, 3.0):
            expected = ((norms - target) ** 2).mean()
            ours = losses.gradient_penalty(slopes, target)
            assert number(ours) == pytest.approx(expected, rel=1e-5)

    def test_gradient_penalty_has_a_gradient_at_zero(self):
        import tensorflow as tf

        slopes = tf.Variable(tf.zeros((2, 4)))
        with tf.GradientTape() as tape:
            penalty = losses.gradient_penalty(slopes.value())
        assert float(penalty) == pytest.approx(1.0, abs=1e-4)
        assert np.isfinite(tape.gradient(penalty, slopes).numpy()).all()

    def test_r1_penalty(self):
        """½ E[‖∇D‖²]; D(x) = 2x on 4 features: ½ · 16."""
        assert number(losses.r1_penalty(np.full((3, 4), 2.0, "float32"))) == 8.0
        slopes = np.random.default_rng(1).standard_normal((5, 4, 4, 3)).astype("float32")
        expected = 0.5 * (slopes.astype("float64") ** 2).sum(axis=(1, 2, 3)).mean()
        assert number(losses.r1_penalty(slopes)) == pytest.approx(expected, rel=1e-5)

    def test_feature_matching(self):
        """Compares means over the batch, so the order of the pictures does not matter."""
        real = np.float32([[0.0, 2.0], [2.0, 4.0]])
        fake = np.float32([[4.0, 0.0], [0.0, 0.0]])
        assert number(losses.feature_matching(real, fake)) == pytest.approx(5.0)  # (1² + 3²) / 2
        assert number(losses.feature_matching(real, real[::-1])) == 0.0

    def test_content(self):
        target = np.zeros((2, 2, 2, 3), "float32")
        images = np.full((2, 2, 2, 3), 0.5, "float32")
        assert number(losses.content(target, images)) == 0.25
        assert number(losses.content(images, images)) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_tfgan(seed):
    """The same logits through TF-GAN's own code."""
    theirs = tfgan.losses()
    random = np.random.default_rng(seed)
    real, fake = (random.normal(0, 4, (16, 3, 3, 1)).astype("float32") for _ in range(2))
    pairs = [
        ("minimax", theirs.minimax_generator_loss, theirs.minimax_discriminator_loss),
        ("non_saturating", theirs.modified_generator_loss, theirs.modified_discriminator_loss),
        (
            "least_squares",
            theirs.least_squares_generator_loss,
            theirs.least_squares_discriminator_loss,
        ),
        ("wasserstein", theirs.wasserstein_generator_loss, theirs.wasserstein_discriminator_loss),
        (
            "hinge",
            theirs.wasserstein_hinge_generator_loss,
            theirs.wasserstein_hinge_discriminator_loss,
        ),
    ]
    for name, generator, discriminator in pairs:
        rule, options = losses.get(name), {}
        if name in ("minimax", "non_saturating"):
            options = {"label_smoothing": 0.0}
        ours = number(rule.discriminator(real, fake))
        assert ours == pytest.approx(float(discriminator(real, fake, **options)), abs=1e-4), name
        expected = float(generator(fake))
        if name == "minimax":  # theirs keeps the real pictures' term, for logits of 1
            expected += np.log1p(np.exp(-1.0))
        ours = number(rule.generator(real, fake))
        assert ours == pytest.approx(expected, abs=1e-4), name
    rule = losses.get("relativistic")
    expected = theirs.relativistic_discriminator_loss(real, fake)
    assert number(rule.discriminator(real, fake)) == pytest.approx(float(expected), abs=1e-4)
    expected = theirs.relativistic_generator_loss(real, fake)
    assert number(rule.generator(real, fake)) == pytest.approx(float(expected), abs=1e-4)
    smoothed = losses.cross_entropy_discriminator(real, fake, label_smoothing=0.15)
    expected = theirs.modified_discriminator_loss(real, fake, label_smoothing=0.3)
    assert number(smoothed) == pytest.approx(float(expected), abs=1e-4)


class TestStability:
    """Logits far out, where log(sigmoid(x)) overflows."""

    @pytest.mark.parametrize("name", list(losses.ADVERSARIAL))
    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    def test_values_and_gradients_are_finite(self, name, sign):
        import tensorflow as tf

        rule = losses.get(name)
        real = tf.Variable(sign * np.float32([1e4, 1e4, -3.0]))
        fake = tf.Variable(-sign * np.float32([1e4, 1e4, 2.0]))
        for player in (rule.discriminator, rule.generator):
            with tf.GradientTape() as tape:
                loss = player(real.value(), fake.value())
            gradient = tape.gradient(loss, fake)
            assert np.isfinite(number(loss))
            assert np.isfinite(gradient.numpy()).all()

    def test_exact_far_out(self):
        """softplus(1e4) is 1e4, and softplus(-1e4) is 0."""
        far = np.float32([1e4])
        assert number(losses.cross_entropy_discriminator(-far, far)) == 2e4
        assert number(losses.cross_entropy_discriminator(far, -far)) == 0.0
        assert number(losses.non_saturating_generator(None, -far)) == 1e4
        assert number(losses.minimax_generator(None, far)) == -1e4
        assert number(losses.minimax_generator(None, -far)) == 0.0

    def test_bfloat16_logits_are_summed_in_float32(self):
        logits = ops.cast(np.full((4096, 1), 1.0, "float32"), "bfloat16")
        for name in losses.ADVERSARIAL:
            rule = losses.get(name)
            for player in (rule.discriminator, rule.generator):
                ours = number(player(logits, logits))
                expected = number(player(np.float32([[1.0]]), np.float32([[1.0]])))
                assert ours == pytest.approx(expected, abs=1e-4), name


def test_unknown_name():
    with pytest.raises(ValueError, match=r"no adversarial loss 'nonsense'.*'relativistic'"):
        losses.get("nonsense")


class TestTfgan:
    def test_metrics(self):
        """TF-GAN, classifier_metrics_test.py: FID of seed 0, and the Inception score's logits."""
        import tensorflow as tf

        random = np.random.RandomState(0)
        real, fake = (tf.constant(random.randn(512, 256), tf.float32) for _ in range(2))
        distance = tfgan.metrics().frechet_classifier_distance_from_activations(real, fake)
        assert float(distance) == pytest.approx(65.742724, rel=1e-4)

    def test_other_modules(self):
        assert hasattr(tfgan.module("features.virtual_batchnorm"), "VBN")
        with pytest.raises(ModuleNotFoundError, match="nothing_like_it"):
            tfgan.module("losses.nothing_like_it")

    def test_not_installed(self, monkeypatch):
        for name in [n for n in sys.modules if n.split(".")[0] == "tensorflow_gan"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ImportError, match="pip install 'tensorflow-gan"):
            tfgan.losses()


class TestTranslation:
    """CycleGAN's terms, on the logits of the table above."""

    def test_verdicts_are_the_players_losses(self):
        for rule, name, share in (
            ("least_squares", "least_squares", 0.5),
            ("cross_entropy", "non_saturating", 1.0),
        ):
            pair = losses.get(name)
            both = losses.verdict(REAL, True, rule) + losses.verdict(FAKE, False, rule)
            assert share * number(both) == pytest.approx(number(pair.discriminator(REAL, FAKE)))
            wanted = losses.verdict(FAKE, True, rule)
            assert share * number(wanted) == pytest.approx(number(pair.generator(REAL, FAKE)))

    def test_verdict_by_hand(self):
        logits = np.float32([[[2.0], [-1.0]]])
        assert number(losses.verdict(logits, True)) == pytest.approx((1 + 4) / 2)
        assert number(losses.verdict(logits, False)) == pytest.approx((4 + 1) / 2)
        expected = -np.log(sigmoid([2.0, -1.0])).mean()
        assert number(losses.verdict(logits, True, "cross_entropy")) == pytest.approx(expected)
        expected = -np.log(1 - sigmoid([2.0, -1.0])).mean()
        assert number(losses.verdict(logits, False, "cross_entropy")) == pytest.approx(expected)
        assert number(losses.verdict(np.float32([-200.0]), True, "cross_entropy")) == 200.0
        with pytest.raises(ValueError, match="no verdict 'hinge'"):
            losses.verdict(logits, True, "hinge")

    def test_absolute_error(self):
        a, b = np.float32([[1.0, -1.0], [0.5, 0.0]]), np.float32([[0.0, 1.0], [0.5, -0.25]])
        assert number(losses.absolute_error(a, b)) == pytest.approx(3.25 / 4)
        half = ops.cast(a, "bfloat16")
        assert number(losses.absolute_error(half, half + 1.0)) == 1.0
