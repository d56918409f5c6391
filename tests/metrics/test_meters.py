"""The Keras metrics against the plain functions, alone and within `fit`."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import metrics
from anime_keras.metrics.meters import PSNR, SSIM, FrechetDistance, InceptionScore, KernelDistance


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")


def flat(images):
    return ops.reshape(images, (-1, 12))


def softmax(images):
    return ops.softmax(flat(images))


@pytest.fixture
def images():
    random = np.random.default_rng(0)
    shape = (90, 2, 2, 3)
    return random.normal(size=shape).astype("float32"), random.normal(0.3, 2, shape).astype(
        "float32"
    )


def fed(metric, real, fake, size):
    for start in range(0, len(fake), size):
        metric.update_state(real[start : start + size], fake[start : start + size])
    return float(metric.result())


class TestFrechetDistance:
    @pytest.mark.parametrize("size", [90, 64, 7, 1])
    def test_any_batches(self, images, size):
        real, fake = images
        expected = metrics.frechet_distance(real.reshape(-1, 12), fake.reshape(-1, 12))
        assert fed(FrechetDistance(flat, 12), real, fake, size) == pytest.approx(expected, rel=1e-6)

    @pytest.mark.parametrize("count", [2, 5, 12])
    def test_fewer_pictures_than_features(self, images, count):
        real, fake = (side[:count] for side in images)
        expected = metrics.frechet_distance(real.reshape(-1, 12), fake.reshape(-1, 12))
        assert fed(FrechetDistance(flat, 12), real, fake, 3) == pytest.approx(expected, rel=1e-11)

    def test_sides_of_unlike_size(self, images):
        metric = FrechetDistance(flat, 12)
        metric.update_state(images[0][:50], images[1][:31])
        expected = metrics.frechet_distance(
            images[0][:50].reshape(-1, 12), images[1][:31].reshape(-1, 12)
        )
        assert float(metric.result()) == pytest.approx(expected, rel=1e-6)

    def test_far_from_zero(self, images):
        """Sums of squares in float32 would lose the covariance beside a mean of 10,000."""
        real, fake = (side * 10.0 + 1e4 for side in images)
        expected = metrics.frechet_distance(real.reshape(-1, 12), fake.reshape(-1, 12))
        assert fed(FrechetDistance(flat, 12), real, fake, 10) == pytest.approx(expected, rel=1e-6)

    def test_equal_sides_and_none(self, images):
        metric = FrechetDistance(flat, 12)
        assert np.isnan(float(metric.result()))
        assert 0.0 <= fed(metric, images[0], images[0], 30) < 1e-9


class TestKernelDistance:
    def test_mean_of_batches(self, images):
        real, fake = (side.reshape(-1, 12) for side in images)
        parts = [slice(0, 40), slice(40, 80), slice(80, 90)]
        expected = np.mean([metrics.kernel_distance(real[part], fake[part]) for part in parts])
        assert fed(KernelDistance(flat, 12), *images, 40) == pytest.approx(expected, rel=1e-9)

    def test_a_batch_of_one_is_left_out(self, images):
        metric = KernelDistance(flat, 12)
        assert np.isnan(fed(metric, images[0][:1], images[1][:1], 1))
        expected = metrics.kernel_distance(*(side[:89].reshape(-1, 12) for side in images))
        metric.reset_state()
        assert fed(metric, *images, 89) == pytest.approx(expected, rel=1e-9)


class TestInceptionScore:
    @pytest.mark.parametrize("size", [90, 7])
    def test_one_split(self, images, size):
        p = np.exp(images[1].reshape(-1, 12).astype(float))
        expected, _ = metrics.inception_score(p / p.sum(axis=1, keepdims=True), splits=1)
        assert fed(InceptionScore(softmax, 12), *images, size) == pytest.approx(expected, rel=1e-6)

    def test_needs_no_real_pictures_and_stands_zeros(self):
        metric = InceptionScore(lambda p: p, 4)
        assert np.isnan(float(metric.result()))
        metric.update_state(None, np.eye(4, dtype="float32"))
        assert float(metric.result()) == pytest.approx(4.0, rel=1e-12)


@pytest.mark.parametrize(("metric", "function"), [(SSIM, metrics.ssim), (PSNR, metrics.psnr)])
def test_pairs(metric, function):
    random = np.random.default_rng(0)
    real, fake = random.uniform(-1, 1, (2, 10, 16, 16, 3)).astype("float32")
    expected = ops.convert_to_numpy(function(real, fake)).mean()
    assert fed(metric(), real, fake, 4) == pytest.approx(expected, rel=1e-5)
    expected = ops.convert_to_numpy(function(real + 1, fake + 1, 4.0)).mean()
    assert fed(metric(4.0), real + 1, fake + 1, 4) == pytest.approx(expected, rel=1e-5)


def feature_network():
    return keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(5)]
    )


def all_of_them(network):
    classes = keras.Sequential([network, keras.layers.Softmax()])
    classes.build((None, 16, 16, 3))
    return [
        FrechetDistance(network),
        KernelDistance(network),
        InceptionScore(classes),
        SSIM(),
        PSNR(),
    ]


class TestWithKeras:
    def test_within_fit(self):
        """Compiled by `fit` and `evaluate`, reset each epoch; the numbers are the plain functions'."""
        random = np.random.default_rng(0)
        x, y = random.uniform(-1, 1, (2, 40, 16, 16, 3)).astype("float32")
        network = feature_network()
        before = network.get_weights()
        model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(3, 1)])
        model.compile("sgd", "mse", metrics=all_of_them(network))
        history = model.fit(
            x, y, batch_size=16, epochs=2, validation_data=(x, y), verbose=0
        ).history
        made = model.predict(x, verbose=0)
        real, fake = (network.predict(side, verbose=0) for side in (y, made))
        last = {name: values[-1] for name, values in history.items()}
        expected = metrics.frechet_distance(real, fake)
        assert last["val_fid"] == pytest.approx(expected, rel=1e-5)
        parts = [slice(0, 16), slice(16, 32), slice(32, 40)]
        expected = np.mean([metrics.kernel_distance(real[part], fake[part]) for part in parts])
        assert last["val_kid"] == pytest.approx(expected, rel=1e-4)
        p = np.exp(fake.astype(float))
        expected, _ = metrics.inception_score(p / p.sum(axis=1, keepdims=True), splits=1)
        assert last["val_inception_score"] == pytest.approx(expected, rel=1e-5)
        expected = ops.convert_to_numpy(metrics.ssim(y, made)).mean()
        assert last["val_ssim"] == pytest.approx(expected, rel=1e-4)
        expected = ops.convert_to_numpy(metrics.psnr(y, made)).mean()
        assert last["val_psnr"] == pytest.approx(expected, rel=1e-4)
        assert np.isfinite(list(last.values())).all()
        for weights, now in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, now)

    def test_extractors_run_as_for_inference(self, images):
        """Dropout would make two looks at one picture differ."""
        network = keras.Sequential(
            [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dropout(0.5)]
        )
        assert fed(FrechetDistance(network), images[0], images[0], 90) < 1e-9

    def test_reset(self, images):
        for metric in all_of_them(feature_network()):
            for variable in metric.variables:
                variable.assign(ops.ones_like(variable))
            metric.reset_state()
            assert metric.variables
            assert all((ops.convert_to_numpy(variable) == 0).all() for variable in metric.variables)

    def test_from_config(self):
        network = feature_network()
        for metric in all_of_them(network):
            again = type(metric).from_config(metric.get_config())
            assert again.get_config() == metric.get_config()
            assert again.name == metric.name
            shapes = [variable.shape for variable in metric.variables]
            assert [variable.shape for variable in again.variables] == shapes

    def test_registered(self):
        for metric in (SSIM(), PSNR(3.0), FrechetDistance(feature_network())):
            saved = keras.saving.serialize_keras_object(metric)
            assert type(keras.saving.deserialize_keras_object(saved)) is type(metric)

    def test_width_must_be_known(self):
        with pytest.raises(ValueError, match="pass dimension="):
            FrechetDistance(flat)
        assert FrechetDistance(feature_network()).dimension == 5

    def test_weights_are_refused(self, images):
        with pytest.raises(ValueError, match="no weights"):
            FrechetDistance(flat, 12).update_state(*images, sample_weight=np.ones(90))
