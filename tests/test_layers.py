"""Layers against Keras' own, against NumPy, and against what their papers say of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from anime_keras import kernels
from anime_keras.kernels import norms, strided
from anime_keras.layers import (
    AUGMENTATIONS,
    BatchNormalization,
    DifferentiableAugmentation,
    Downsample,
    ImageHistory,
    InstanceNormalization,
    LayerNormalization,
    ReflectedConv2D,
    ReflectionPadding2D,
    Upsample,
    WithoutFirst,
)


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


def array(tensor):
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))


def random(*shape, seed=0, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype("float32")


class TestBatchNormalization:
    @pytest.fixture
    def both(self):
        pair = [
            kind(momentum=0.8, epsilon=1e-5)
            for kind in (BatchNormalization, keras.layers.BatchNormalization)
        ]
        for layer in pair:
            layer.build((None, 5, 5, 3))
            layer.set_weights(
                [
                    np.float32([1.0, 2.0, 0.5]),
                    np.float32([0.0, -1.0, 3.0]),
                    np.float32([0.5, 0.0, 1.0]),
                    np.float32([1.0, 2.0, 3.0]),
                ]
            )
        return pair

    @pytest.mark.parametrize("training", [True, False])
    def test_outputs_and_gradients(self, both, training):
        x = tf.constant(random(4, 5, 5, 3, scale=2.0) + 1.0)
        results = []
        for layer in both:
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=training)
                loss = ops.sum(y * random(4, 5, 5, 3, seed=1))
            wanted = [x, layer.gamma.value, layer.beta.value]
            results.append([array(y), *map(array, tape.gradient(loss, wanted))])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-4, rtol=1e-4)

    def test_moving_statistics(self, both):
        """The mean as in Keras; the variance unbiased, by n / (n - 1), as in PyTorch."""
        x = random(4, 5, 5, 3, scale=2.0) + 1.0
        for layer in both:
            layer(x, training=True)
        ours, theirs = both
        np.testing.assert_allclose(array(ours.moving_mean), array(theirs.moving_mean), atol=1e-6)
        unbiased = x.reshape(-1, 3).astype("float64").var(axis=0, ddof=1)
        expected = 0.8 * np.float64([1.0, 2.0, 3.0]) + 0.2 * unbiased
        np.testing.assert_allclose(array(ours.moving_variance), expected, rtol=1e-5)
        biased = 0.8 * np.float64([1.0, 2.0, 3.0]) + 0.2 * unbiased * 99 / 100
        np.testing.assert_allclose(array(theirs.moving_variance), biased, rtol=1e-5)

    def test_bfloat16_keeps_its_statistics_in_float32(self):
        layer = BatchNormalization(momentum=0.0, dtype="mixed_bfloat16")
        x = ops.cast(random(64, 8, 8, 2, scale=0.1) + 3.0, "bfloat16")
        y = layer(x, training=True)
        assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
        flat = array(x).reshape(-1, 2).astype("float64")
        np.testing.assert_allclose(array(layer.moving_mean), flat.mean(axis=0), rtol=1e-4)
        np.testing.assert_allclose(array(layer.moving_variance), flat.var(axis=0), rtol=1e-2)


# Sizes and channels: colours, patches of 8x8 maps with many, and what the library does best.
STRIDED = [(2, 3, 4), (8, 5, 2), (8, 256, 3), (16, 1, 7), (16, 6, 5), (34, 5, 3)]
PLAIN = {
    "down": lambda x, kernel: ops.conv(x, kernel, strides=2, padding="same"),
    "up": lambda x, kernel: ops.conv_transpose(x, kernel, strides=2, padding="same"),
}


def strided_case(name, size, channels, deeper):
    """Three pictures' maps, large to go down or small to go up, and a kernel."""
    sides = {"down": (size, size, channels), "up": (size // 2, size // 2, deeper)}[name]
    return tf.constant(random(3, *sides)), tf.constant(random(4, 4, channels, deeper, seed=1))


def keras_twin(layer, filters):
    """Keras' own convolution, with the same kernel."""
    kind = keras.layers.Conv2DTranspose if isinstance(layer, Upsample) else keras.layers.Conv2D
    return kind(filters, 4, strides=2, padding="same", use_bias=False, dtype=layer.dtype_policy)


class TestConvolutions:
    @pytest.mark.parametrize("kind", [Downsample, Upsample])
    @pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-5), ("mixed_bfloat16", 3e-2)])
    def test_is_keras_own(self, kind, policy, tolerance):
        """Values, and gradients of the maps and the kernel."""
        layer = kind(6, dtype=policy)
        x = tf.constant(random(3, 8, 8, 5))
        twin = keras_twin(layer, 6)
        for made in (layer, twin):
            made.build(x.shape)
        twin.kernel.assign(layer.kernel)
        results, upstream = [], None
        for made in (layer, twin):
            with tf.GradientTape() as tape:
                tape.watch([x, made.kernel.value])
                y = ops.cast(made(x), "float32")
                upstream = random(*y.shape, seed=2) if upstream is None else upstream
                loss = ops.sum(y * upstream)
            results.append([array(y), *map(array, tape.gradient(loss, [x, made.kernel.value]))])
        assert results[0][0].shape == layer.compute_output_shape((3, 8, 8, 5))
        for ours, theirs in zip(*results, strict=True):
            assert ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, atol=tolerance * np.abs(theirs).max(), rtol=0)

    @pytest.mark.parametrize("name", ["down", "up"])
    @pytest.mark.parametrize(("size", "channels", "deeper"), STRIDED)
    def test_the_special_path_is_the_plain_one(self, name, size, channels, deeper):
        """Values and gradients of both arguments, in float32, where they can be compared closely."""
        x, kernel = strided_case(name, size, channels, deeper)
        results, upstream = [], None
        for function in (getattr(strided, f"_{name}"), PLAIN[name]):
            with tf.GradientTape() as tape:
                tape.watch([x, kernel])
                y = function(x, kernel)
                upstream = random(*y.shape, seed=2) if upstream is None else upstream
                loss = ops.sum(y * upstream)
            results.append([array(y), *map(array, tape.gradient(loss, [x, kernel]))])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-6 * np.abs(theirs).max(), rtol=2e-6)

    @pytest.mark.parametrize("name", ["down", "up"])
    @pytest.mark.parametrize(("size", "channels", "deeper"), STRIDED)
    def test_the_special_path_in_second_order(self, name, size, channels, deeper):
        """A gradient penalty differentiates the gradient: to the same numbers."""
        x, kernel = strided_case(name, size, channels, deeper)
        results = []
        for function in (getattr(strided, f"_{name}"), PLAIN[name]):
            with tf.GradientTape() as outer:
                outer.watch([x, kernel])
                with tf.GradientTape() as inner:
                    inner.watch([x, kernel])
                    out = ops.sum(function(x, kernel) ** 3)
                loss = sum(ops.sum(g**2) for g in inner.gradient(out, [x, kernel]))
            results.append([array(g) for g in outer.gradient(loss, [x, kernel])])
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max(), rtol=1e-5)

    @pytest.mark.parametrize("name", ["down", "up"])
    @pytest.mark.parametrize(
        ("dtype", "devices", "size", "special"),
        [
            ("float32", [], 4, True),
            ("bfloat16", [], 4, True),
            ("float16", [], 4, False),
            ("bfloat16", ["gpu"], 4, False),
            ("float32", [], None, False),
        ],
    )
    def test_which_path(self, monkeypatch, name, dtype, devices, size, special):
        """Where there is more than one: on a CPU, where sizes are known."""
        taken = []
        monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: devices)
        monkeypatch.setattr(strided, f"_{name}", lambda maps, kernel: taken.append(name) or maps)
        kernel = tf.cast(random(4, 4, 2, 2), dtype)

        @tf.function(input_signature=[tf.TensorSpec((1, size, size, 2), dtype)])
        def call(x):
            return getattr(kernels, f"{name}sample")(x, kernel)

        call.get_concrete_function()
        assert bool(taken) is special

    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    @pytest.mark.parametrize("channels", [3, 6])
    @pytest.mark.parametrize("sides", [(8, 12), (34, 16), (7, 10), (25, 25)])
    def test_sides_that_differ_or_are_odd(self, sides, channels, dtype):
        """In a graph that does not know the batch: down and, from what comes, up; with gradients."""
        x = tf.cast(random(2, *sides, channels), dtype)
        kernel = tf.cast(random(4, 4, channels, 5, seed=1) / 8, dtype)

        def steps(down, up):
            @tf.function(input_signature=[tf.TensorSpec((None, *sides, channels), dtype)])
            def call(x):
                with tf.GradientTape() as tape:
                    tape.watch([x, kernel])
                    small = down(x, kernel)
                    large = up(small, kernel)
                    loss = tf.reduce_sum(tf.cast(large, "float32") ** 2)
                return small, large, *tape.gradient(loss, [x, kernel])

            return [array(found) for found in call(x)]

        ours, theirs = (
            steps(kernels.downsample, kernels.upsample),
            steps(PLAIN["down"], PLAIN["up"]),
        )
        for one, other in zip(ours, theirs, strict=True):
            assert one.shape == other.shape
            tolerance = {"float32": 1e-5, "bfloat16": 0.03}[dtype] * np.abs(other).max()
            np.testing.assert_allclose(one, other, atol=tolerance, rtol=0)

    def test_upsample_is_the_transpose(self):
        """<down(x), y> = <x, up(y)> for the same kernel."""
        kernel = random(4, 4, 3, 5)
        x, y = random(2, 8, 8, 3, seed=1), random(2, 4, 4, 5, seed=2)
        left = (array(kernels.downsample(x, kernel)).astype("float64") * y).sum()
        right = (array(kernels.upsample(y, kernel)).astype("float64") * x).sum()
        assert left == pytest.approx(right, rel=1e-4)

    @pytest.mark.parametrize("kind", [Downsample, Upsample])
    def test_saves(self, kind):
        layer = kind(3, spectral_norm=True, kernel_initializer=keras.initializers.RandomNormal())
        again = kind.from_config(layer.get_config())
        assert (again.filters, again.spectral_norm) == (3, True)
        assert isinstance(again.kernel_initializer, keras.initializers.RandomNormal)


class TestSpectralNorm:
    @pytest.fixture
    def layer(self):
        layer = Downsample(6, spectral_norm=True, kernel_initializer="random_normal")
        layer.build((None, 8, 8, 5))
        return layer

    @staticmethod
    def largest(kernel):
        return np.linalg.svd(array(kernel).reshape(-1, 6), compute_uv=False)[0]

    def test_largest_singular_value_becomes_one(self, layer):
        assert abs(self.largest(layer.kernel) - 1.0) > 0.2
        for _ in range(100):
            layer.normalized_kernel(training=True)
        normalized = layer.normalized_kernel(training=False)
        assert self.largest(normalized) == pytest.approx(1.0, abs=1e-3)
        expected = array(layer.kernel) / self.largest(layer.kernel)
        np.testing.assert_allclose(array(normalized), expected, rtol=1e-3, atol=1e-6)

    def test_moves_its_estimate_in_training_only(self, layer):
        before = array(layer.singular_vector)
        layer(random(1, 8, 8, 5), training=False)
        np.testing.assert_array_equal(array(layer.singular_vector), before)
        layer(random(1, 8, 8, 5), training=True)
        assert np.abs(array(layer.singular_vector) - before).max() > 1e-3
        assert [v.name for v in layer.trainable_variables] == ["kernel"]

    def test_vectors_are_constants_to_the_gradient(self, layer):
        """With u and v fixed: d/dW of <A, W / (v W u)> is A / s - <A, W> v uᵀ / s²."""
        upstream = random(4, 4, 5, 6, seed=3)
        with tf.GradientTape() as tape:
            tape.watch(layer.kernel.value)
            loss = ops.sum(layer.normalized_kernel(training=False) * upstream)
        gradient = array(tape.gradient(loss, layer.kernel.value)).reshape(-1, 6)
        matrix = array(layer.kernel).reshape(-1, 6).astype("float64")
        v = array(layer.singular_vector).astype("float64") @ matrix.T
        v /= np.linalg.norm(v)
        u = v @ matrix
        u /= np.linalg.norm(u)
        s = (v @ matrix @ u.T).item()
        a = upstream.reshape(-1, 6).astype("float64")
        expected = a / s - (a * matrix).sum() * v.T @ u / s**2
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)


class TestAugmentation:
    SIZE = 32

    def images(self, count=64):
        return np.random.default_rng(0).uniform(-1, 1, (count, 32, 32, 3)).astype("float32")

    def test_empty_policy_changes_nothing(self):
        x = self.images(4)
        np.testing.assert_array_equal(array(DifferentiableAugmentation(())(x)), x)

    def test_seed(self):
        x = self.images(4)
        first, second = (DifferentiableAugmentation(seed=3) for _ in range(2))
        once = array(first(x))
        np.testing.assert_array_equal(once, array(second(x)))
        assert np.abs(array(first(x)) - once).max() > 0.1  # another draw at the next call
        assert np.abs(array(DifferentiableAugmentation(seed=4)(x)) - once).max() > 0.1

    @pytest.mark.parametrize("name", AUGMENTATIONS)
    def test_each_picture_has_its_own(self, name):
        x = np.tile(self.images(1), (16, 1, 1, 1))
        y = array(DifferentiableAugmentation((name,))(x))
        assert len({picture.tobytes() for picture in y}) >= 14

    def test_translation(self):
        """A shift by whole pixels, at most an eighth of the size; what moves in is 0."""
        x = self.images(256)
        y = array(DifferentiableAugmentation(("translation",))(x))
        shifts = []
        for before, after in zip(x, y, strict=True):
            rows, columns = (
                np.flatnonzero(np.abs(after).sum(axis=axis) > 0) for axis in ((1, 2), (0, 2))
            )
            found = [
                (down, right)
                for down in {rows[0], rows[-1] - 31}
                for right in {columns[0], columns[-1] - 31}
                if np.array_equal(after, shifted(before, down, right))
            ]
            assert len(found) == 1
            shifts.append(found[0])
        for axis in (0, 1):
            counts = np.unique([shift[axis] for shift in shifts], return_counts=True)
            assert list(counts[0]) == list(range(-4, 5))
            assert counts[1].min() >= 12  # 28 each, were they all alike; five standard deviations

    def test_cutout(self):
        """A square of half the size, cut at the borders: nowhere else is anything changed."""
        x = self.images(512)
        y = array(DifferentiableAugmentation(("cutout",))(x))
        cut = (y == 0.0).all(axis=-1)
        np.testing.assert_array_equal(y[~cut], x[~cut])
        for mask in cut:
            rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert box.all()
            for line in (rows, columns):
                assert 8 <= len(line) <= 16
                assert len(line) == 16 or line[0] == 0 or line[-1] == 31
        # A side that is centred uniformly over the picture keeps 7/8 of its half: (7/16)² of it.
        assert cut.mean() == pytest.approx((7 / 16) ** 2, abs=0.012)

    def test_color(self):
        """Undone for each picture by itself: brightness ±0.5, saturation 0..2, contrast 0.5..1.5."""
        x = self.images(512).astype("float64")
        y = array(DifferentiableAugmentation(("color",))(x.astype("float32"))).astype("float64")
        brightness = (y - x).mean(axis=(1, 2, 3))
        grey_x, grey_y = (t.mean(axis=-1, keepdims=True) for t in (x, y))
        flat = [
            (g - g.mean(axis=(1, 2, 3), keepdims=True)).reshape(512, -1) for g in (grey_x, grey_y)
        ]
        contrast = (flat[0] * flat[1]).sum(1) / (flat[0] ** 2).sum(1)
        hue_x, hue_y = (x - grey_x).reshape(512, -1), (y - grey_y).reshape(512, -1)
        saturation = (hue_x * hue_y).sum(1) / (hue_x**2).sum(1) / contrast
        for values, low, high in (
            (brightness, -0.5, 0.5),
            (saturation, 0.0, 2.0),
            (contrast, 0.5, 1.5),
        ):
            assert low - 1e-3 <= values.min() < low + 0.05 * (high - low)
            assert high + 1e-3 >= values.max() > high - 0.05 * (high - low)
            assert values.mean() == pytest.approx((low + high) / 2, abs=0.07 * (high - low))
        # and these three numbers are all that was done
        c, s, b = (v[:, None, None, None] for v in (contrast, saturation, brightness))
        bright = x + b
        vivid = (bright - grey_x - b) * s + grey_x + b
        mean = vivid.mean(axis=(1, 2, 3), keepdims=True)
        np.testing.assert_allclose(y, (vivid - mean) * c + mean, atol=1e-4)

    @pytest.mark.parametrize("name", AUGMENTATIONS)
    def test_gradient_flows(self, name):
        """All three are linear in the picture, so the gradient is the same map transposed."""
        x = tf.constant(self.images(8))
        layer = DifferentiableAugmentation((name,))
        upstream = random(8, 32, 32, 3, seed=5)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = ops.sum(y * upstream)
        gradient = array(tape.gradient(loss, x))
        assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0.1).all()
        layer.seed_generator.state.assign(DifferentiableAugmentation().seed_generator.state)
        offset = array(layer(tf.zeros_like(x)))
        left = ((array(y) - offset) * upstream).astype("float64").sum()
        assert left == pytest.approx((gradient * x.numpy()).astype("float64").sum(), abs=0.05)

    def test_unknown(self):
        with pytest.raises(ValueError, match=r"Unknown augmentation \['blur'\]"):
            DifferentiableAugmentation(("color", "blur"))

    def test_saves(self):
        layer = DifferentiableAugmentation(("cutout",), seed=7)
        again = DifferentiableAugmentation.from_config(layer.get_config())
        assert (again.policy, again.seed) == (("cutout",), 7)


def shifted(image, down, right):
    """By whole pixels, zeros moving in."""
    moved = np.zeros_like(image)
    height, width = image.shape[:2]
    moved[max(0, down) : height + min(0, down), max(0, right) : width + min(0, right)] = image[
        max(0, -down) : height - max(0, down), max(0, -right) : width - max(0, right)
    ]
    return moved


class TestReflectionPadding:
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    @pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 8, 9, 3)])  # sides that meet, and not
    @pytest.mark.parametrize("padding", [1, 3])
    def test_is_numpys(self, padding, shape, dtype):
        x = random(*shape).round(1)
        expected = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)), mode="reflect")
        layer = ReflectionPadding2D(padding, dtype=dtype)
        np.testing.assert_allclose(array(layer(x)), expected, rtol=0.004 * (dtype == "bfloat16"))
        assert layer.compute_output_shape((None, 5, None, 3)) == (None, 5 + 2 * padding, None, 3)
        assert ReflectionPadding2D.from_config(layer.get_config()).padding == padding

    @pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 8, 9, 3)])
    @pytest.mark.parametrize("padding", [1, 3])
    def test_gradients_in_bfloat16(self, padding, shape):
        """Whole numbers, which are exact: each pixel gets back what its images were given."""
        x = tf.zeros(shape, "bfloat16")
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = kernels.reflected_frame(x, padding, padding)
        upstream = np.random.default_rng(0).integers(-4, 5, y.shape)
        found = tape.gradient(y, x, output_gradients=tf.cast(upstream, "bfloat16"))
        places = np.arange(shape[1] * shape[2]).reshape(shape[1:3])
        places = np.pad(places, padding, mode="reflect").ravel()
        expected = np.zeros((shape[0], shape[1] * shape[2], shape[3]))
        for picture, given in zip(expected, upstream, strict=True):
            np.add.at(picture, places, given.reshape(-1, shape[3]))
        np.testing.assert_array_equal(array(found), expected.reshape(shape))


class TestReflectedConv2D:
    @pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
    @pytest.mark.parametrize(
        ("size", "shape", "filters"),
        [
            (3, (2, 8, 8, 5), 4),
            (3, (2, 8, 8, 64), 64),  # from 64 channels on by tiles
            (3, (1, 4, 12, 65), 70),
            (3, (3, 9, 6, 64), 64),  # which do not fit
            (3, (1, 2, 3, 64), 64),
            (7, (2, 8, 9, 4), 3),
            (7, (2, 8, 12, 3), 4),
            (7, (1, 6, 8, 2), 3),  # four outputs at once
            (7, (1, 8, 8, 2), 5),
        ],
    )
    def test_outputs_and_gradients(self, size, shape, filters, dtype):
        """Those of a mirrored frame and Keras' convolution, of the same weights, in float64."""
        x = tf.cast(random(*shape), dtype)
        layer = ReflectedConv2D(filters, size, dtype=dtype, bias_initializer="random_normal")
        layer.build(x.shape)
        plain = keras.layers.Conv2D(filters, size, dtype="float64")
        plain.build((None, None, None, shape[-1]))
        plain.set_weights([array(weight) for weight in layer.weights])
        upstream = random(*shape[:3], filters, seed=1)
        results = []
        for convolve, maps, weights in (
            (layer, x, layer.trainable_weights),
            (
                lambda maps: plain(ReflectionPadding2D(size // 2, dtype="float64")(maps)),
                tf.cast(x, "float64"),
                plain.trainable_weights,
            ),
        ):
            with tf.GradientTape() as tape:
                tape.watch(maps)
                y = convolve(maps)
                loss = tf.reduce_sum(tf.cast(y, "float64") * upstream)
            gradients = tape.gradient(loss, [maps, *(weight.value for weight in weights)])
            results.append([array(value) for value in (y, *gradients)])
        # bfloat16 has 8 bits, and the sums have up to 196 terms of it.
        tolerance = 5e-6 if dtype == "float32" else 0.04
        for ours, plainly in zip(*results, strict=True):
            assert ours.shape == plainly.shape
            assert np.abs(ours - plainly).max() < tolerance * np.abs(plainly).max()

    def test_any_batch(self):
        """The size of the batch may be unknown when the network is built, and so may the maps'."""
        x = random(3, 8, 6, 2)
        layer = ReflectedConv2D(4, 3)
        expected = array(layer(x))
        for shape in ((8, 6, 2), (None, None, 2)):
            inputs = keras.Input(shape)
            model = keras.Model(inputs, layer(inputs))
            assert model.output_shape == (None, *shape[:2], 4)
            np.testing.assert_allclose(array(model(x)), expected, atol=1e-5)

    def test_is_as_exact_as_a_plain_sum(self):
        """With 128 channels the error of rounding stays below twice the plain convolution's."""
        x, kernel = random(1, 16, 16, 128), random(3, 3, 128, 64, seed=1)
        framed = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        exact = tf.nn.conv2d(tf.cast(framed, "float64"), tf.cast(kernel, "float64"), 1, "VALID")
        ours = kernels.reflected_conv(tf.constant(x), tf.constant(kernel))
        error = np.sqrt(np.mean((ours - tf.cast(exact, "float32")) ** 2))
        assert error < 2e-6 * np.std(exact)

    def test_comes_back(self):
        layer = ReflectedConv2D(4, 7, name="to_rgb", kernel_initializer="zeros")
        copy = ReflectedConv2D.from_config(layer.get_config())
        assert (copy.filters, copy.kernel_size, copy.name) == (4, (7, 7), "to_rgb")
        assert copy.compute_output_shape((None, 9, 8, 2)) == (None, 9, 8, 4)


def test_without_first():
    x = random(2, 5, 4, 3)
    layer = WithoutFirst()
    np.testing.assert_array_equal(array(layer(x)), x[:, 1:, 1:])
    assert layer.compute_output_shape((None, 5, None, 3)) == (None, 4, None, 3)


class TestInstanceNormalization:
    @pytest.mark.parametrize("batch", [1, 3, norms.UNROLLED + 1])
    def test_outputs_and_gradients(self, batch):
        """Against its definition, both by the fused operation and, above 16 pictures, without."""
        x = tf.constant(random(batch, 6, 5, 3, scale=2.0) + 1.0)
        weight = random(batch, 6, 5, 3, seed=1)
        layer = InstanceNormalization(epsilon=1e-2)
        results = []
        for ours in (True, False):
            with tf.GradientTape() as tape:
                tape.watch(x)
                if ours:
                    y = layer(x)
                else:
                    mean = tf.reduce_mean(x, (1, 2), keepdims=True)
                    variance = tf.reduce_mean((x - mean) ** 2, (1, 2), keepdims=True)
                    y = (x - mean) / tf.sqrt(variance + 1e-2)
                loss = tf.reduce_sum(y * weight)
            results.append([array(y), array(tape.gradient(loss, x))])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, atol=2e-5)
        assert layer.get_config()["epsilon"] == 1e-2
        assert layer.weights == []

    @pytest.mark.parametrize("batch", [2, norms.UNROLLED + 1])
    def test_bfloat16_keeps_its_statistics_in_float32(self, batch):
        """A mean of 1,000 within 16 bits would be 4 off, twice what there is to measure."""
        x = ops.cast(1000 + random(batch, 32, 32, 2, scale=8.0), "bfloat16")
        y = InstanceNormalization(dtype="mixed_bfloat16")(x)
        assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
        exact = array(x).astype("float64")
        exact -= exact.mean(axis=(1, 2), keepdims=True)
        exact /= np.sqrt(exact.var(axis=(1, 2), keepdims=True) + 1e-5)
        np.testing.assert_allclose(array(y), exact, atol=0.02)


class Pool:
    """Zhu et al.'s history, one picture after the other, in plain Python."""

    def __init__(self, size):
        self.size, self.images = size, []

    def query(self, images, slots, swaps):
        shown = []
        for image, slot, swap in zip(images, slots, swaps, strict=True):
            if len(self.images) < self.size:
                self.images.append(image)
                shown.append(image)
            elif swap:
                shown.append(self.images[slot])
                self.images[slot] = image
            else:
                shown.append(image)
        return shown


class TestImageHistory:
    @pytest.mark.parametrize(("size", "batch"), [(1, 1), (4, 1), (4, 3), (5, 8), (3, 20)])
    def test_is_one_picture_after_the_other(self, size, batch):
        """Whatever the dice say, and however often one batch comes back to a slot."""
        dice = np.random.default_rng(0)
        history, pool = ImageHistory(size, (1, 1, 1)), Pool(size)
        exchange = tf.function(history.exchange)
        for step in range(60):
            numbers = np.arange(step * batch, (step + 1) * batch, dtype="float32")
            slots, swaps = dice.integers(0, size, batch), dice.random(batch) > 0.5
            shown = exchange(
                tf.constant(numbers.reshape(-1, 1, 1, 1)),
                tf.constant(slots, "int32"),
                tf.constant(swaps),
            )
            assert array(shown).ravel().tolist() == pool.query(numbers, slots, swaps)
            held = array(history.images).ravel()[: int(history.count)].tolist()
            assert held == pool.images

    @pytest.mark.parametrize(("batch", "jit_compile"), [(1, False), (4, True)])
    def test_statistics(self, batch, jit_compile):
        """Half are exchanged, from every slot alike, for pictures of geometric age."""
        history = ImageHistory(10, (1, 1, 1), seed=3)
        query = tf.function(history, jit_compile=jit_compile)
        count = 8000
        shown = []
        for start in range(0, count, batch):
            numbers = tf.range(start, start + batch, dtype="float32")
            shown.append(array(query(tf.reshape(numbers, (-1, 1, 1, 1)))).ravel())
        ages = np.arange(count) - np.concatenate(shown)
        assert (ages[:10] == 0).all() and (ages >= 0).all()
        old = ages[10:] > 0
        assert abs(old.mean() - 0.5) < 5 * 0.5 / np.sqrt(count)
        # A picture leaves its slot with probability 1/20 at each turn: it waits 20 turns on average.
        assert abs(ages[10:][old].mean() - 20) < 5 * 20 / np.sqrt(count / 2)
        # None is shown from memory twice.
        exchanged = np.concatenate(shown)[10:][old]
        assert len(set(exchanged)) == len(exchanged)

    def test_none(self):
        history = ImageHistory(0, (1, 1, 1))
        x = random(3, 1, 1, 1)
        np.testing.assert_array_equal(array(history(x)), x)
        assert history.weights == []
        with pytest.raises(ValueError, match="size must be at least 0"):
            ImageHistory(-1)

    def test_is_float32_and_described(self):
        keras.config.set_dtype_policy("mixed_bfloat16")
        history = ImageHistory(3, (2, 2, 1), seed=7)
        x = random(2, 2, 2, 1)
        shown = history(tf.constant(x))
        assert shown.dtype == history.images.dtype == "float32"
        np.testing.assert_array_equal(array(history.images)[:2], x)
        again = ImageHistory.from_config(history.get_config())
        assert (again.size, again.shape, again.seed) == (3, (2, 2, 1), 7)
        assert again.get_config() == history.get_config()


class TestLayerNormalization:
    def layer(self):
        layer = LayerNormalization()
        layer.build((None, 4, 4, 3))
        layer.gamma.assign([1.0, 2.0, 0.5])
        layer.beta.assign([0.0, 1.0, -1.0])
        return layer

    def test_as_keras_group_normalization_of_one_group(self):
        x = np.random.default_rng(0).normal(3.0, 2.0, (2, 4, 4, 3)).astype("float32")
        theirs = keras.layers.GroupNormalization(groups=1, epsilon=1e-5)
        theirs.build(x.shape)
        ours = self.layer()
        theirs.set_weights(ours.get_weights())
        np.testing.assert_allclose(array(ours(x)), array(theirs(x)), atol=2e-6)

    def test_second_derivative(self):
        """That of a slope's length behind another layer, against differences in float64.

        Keras' layer on TensorFlow misses it: as it does not anywhere else, this is why ours is here.
        """
        layer = self.layer()
        random = np.random.default_rng(1)
        x, before, behind, direction = random.normal(size=(4, 1, 4, 4, 3))
        gamma, beta = (array(v).astype("float64") for v in (layer.gamma, layer.beta))

        def value(x):
            maps = x * before
            apart = maps - maps.mean()
            normal = apart / np.sqrt((apart**2).mean() + 1e-5)
            return (np.tanh(normal * gamma + beta) * behind).sum()

        def length(x, step=1e-5):
            moves = step * np.eye(x.size).reshape(-1, *x.shape)
            return sum(((value(x + m) - value(x - m)) / (2 * step)) ** 2 for m in moves)

        step = 1e-4
        expected = (length(x + step * direction) - length(x - step * direction)) / (2 * step)

        def found(normalize):
            inputs = tf.constant(x, "float32")
            with tf.GradientTape() as outer:
                outer.watch(inputs)
                with tf.GradientTape() as inner:
                    inner.watch(inputs)
                    outputs = tf.reduce_sum(tf.tanh(normalize(inputs * before)) * behind)
                length = tf.reduce_sum(inner.gradient(outputs, inputs) ** 2)
            return float(tf.reduce_sum(outer.gradient(length, inputs) * direction))

        theirs = keras.layers.GroupNormalization(groups=1, epsilon=1e-5)
        theirs.build(x.shape)
        theirs.set_weights(layer.get_weights())
        assert found(layer) == pytest.approx(expected, rel=1e-4)
        assert found(theirs) != pytest.approx(expected, rel=2e-4)
