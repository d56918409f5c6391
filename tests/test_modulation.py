"""StyleGAN2's layers against the explicit computations of the papers, in NumPy and float64."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops
from scipy import signal

from anime_keras import modulation

RANDOM = np.random.default_rng


def normal(*shape, seed=0):
    return RANDOM(seed).standard_normal(shape).astype("float32")


def built(layer, *shapes):
    layer.build(list(shapes) if len(shapes) > 1 else shapes[0])
    for index, variable in enumerate(layer.weights):
        variable.assign(normal(*variable.shape, seed=index + 7))
    return layer


def convolved(maps, kernel):
    """Each picture by each kernel's channels, plainly: (h, w, i) and (k, k, i, o) to (h, w, o)."""
    return np.stack(
        [
            sum(
                signal.correlate2d(maps[:, :, i], kernel[:, :, i, o], "same")
                for i in range(maps.shape[2])
            )
            for o in range(kernel.shape[3])
        ],
        axis=2,
    )


def spread(maps, kernel):
    """A transposed 3x3 convolution at stride 2: every value leaves the kernel, scaled, behind."""
    height, width, _ = maps.shape
    out = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[3]))
    for y in range(height):
        for x in range(width):
            out[2 * y : 2 * y + 3, 2 * x : 2 * x + 3] += np.einsum(
                "i,abio->abo", maps[y, x], kernel
            )
    return out


def smoothed(maps, gain=1.0):
    """The filter, one pixel of zeros around."""
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) * gain / 64
    framed = np.pad(maps, ((1, 1), (1, 1), (0, 0)))
    planes = [signal.correlate2d(framed[:, :, c], taps, "valid") for c in range(maps.shape[2])]
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("up", [False, True])
def test_modulated_convolution_is_the_explicit_one(up):
    """Kernels of their own for each picture: scaled (equation 1), brought to length 1 (equation 3)."""
    layer = built(modulation.StyledConv2D(5, up=up), (None, 6, 6, 4), (None, 8))
    maps, style = normal(3, 6, 6, 4, seed=1), normal(3, 4, seed=2)
    found = ops.convert_to_numpy(layer.convolve(ops.convert_to_tensor(maps), style))
    kernel = ops.convert_to_numpy(layer.kernel).astype("float64")
    for picture in range(3):
        own = style[picture][None, None, :, None] * kernel
        own = own / np.sqrt((own**2).sum(axis=(0, 1, 2)) + 1e-8)
        x = maps[picture].astype("float64")
        expected = smoothed(spread(x, own), 4.0) if up else convolved(x, own)
        np.testing.assert_allclose(found[picture], expected, atol=1e-5)
    assert found.std() > 0.5


def test_a_style_scales_what_comes_in_but_not_how_much_leaves():
    """Demodulation: for inputs of variance 1, outputs of variance 1, whatever the style."""
    layer = built(modulation.StyledConv2D(64), (None, 32, 32, 64), (None, 8))
    maps = normal(2, 32, 32, 64)
    for scale in (0.1, 1.0, 30.0):
        style = scale * normal(2, 64, seed=3)
        found = ops.convert_to_numpy(layer.convolve(ops.convert_to_tensor(maps), style))
        assert found[:, 1:-1, 1:-1].std() == pytest.approx(1.0, abs=0.03)


def test_styled_convolution_adds_noise_and_bias_before_its_activation():
    layer = built(modulation.StyledConv2D(5), (None, 6, 6, 4), (None, 8))
    maps, w, noise = normal(2, 6, 6, 4), normal(2, 8, seed=1), normal(2, 6, 6, 1, seed=2)
    found = ops.convert_to_numpy(layer([maps, w, noise]))
    before = ops.convert_to_numpy(layer.convolve(ops.convert_to_tensor(maps), layer.style(w)))
    before = before + noise * float(layer.strength) + ops.convert_to_numpy(layer.bias)
    expected = np.where(before > 0, before, 0.2 * before) * np.sqrt(2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_to_rgb_modulates_and_does_not_demodulate():
    layer = built(modulation.ToRGB(), (None, 4, 4, 6), (None, 8))
    maps, w = normal(2, 4, 4, 6), normal(2, 8, seed=1)
    kernel, bias = (ops.convert_to_numpy(v) for v in (layer.kernel, layer.bias))
    affine, shift = (ops.convert_to_numpy(v) for v in (layer.affine.kernel, layer.affine.bias))
    style = w @ affine / np.sqrt(8) + shift
    expected = np.einsum("bhwi,bi,io->bhwo", maps, style, kernel[0, 0]) / np.sqrt(6) + bias
    np.testing.assert_allclose(ops.convert_to_numpy(layer([maps, w])), expected, atol=1e-5)


def test_styles_begin_at_one():
    """With untrained weights A(0) = 1: a mean picture is not modulated."""
    layer = modulation.ToRGB()
    layer.build([(None, 4, 4, 6), (None, 8)])
    np.testing.assert_array_equal(ops.convert_to_numpy(layer.style(np.zeros((2, 8), "float32"))), 1)


def test_smooth():
    maps = normal(2, 7, 7, 3)
    found = ops.convert_to_numpy(modulation.smooth(ops.convert_to_tensor(maps), (1, 1), gain=2.0))
    for picture in range(2):
        np.testing.assert_allclose(found[picture], smoothed(maps[picture], 2.0), atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a way of TensorFlow's")
def test_smooth_at_stride_2_in_bfloat16():
    """Every second value of the filtered maps; there and back by operations in float32."""
    import tensorflow as tf

    maps = tf.cast(normal(2, 8, 8, 3), "bfloat16")
    upstream = tf.cast(normal(2, 4, 4, 3), "bfloat16")

    @tf.function
    def both(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            found = modulation.smooth(maps, (1, 1), stride=2)
        return found, tape.gradient(found, maps, output_gradients=upstream)

    graph = both.get_concrete_function(maps).graph
    types = {op.outputs[0].dtype for op in graph.get_operations() if "Depthwise" in op.type}
    assert types == {tf.float32}
    found, gradient = both(maps)
    assert found.dtype == gradient.dtype == tf.bfloat16
    plain = tf.cast(maps, "float32")
    with tf.GradientTape() as tape:
        tape.watch(plain)
        expected = modulation.smooth(plain, (1, 1), stride=2)
    back = tape.gradient(expected, plain, output_gradients=tf.cast(upstream, "float32"))
    np.testing.assert_allclose(tf.cast(found, "float32"), expected, rtol=0.004)
    np.testing.assert_allclose(tf.cast(gradient, "float32"), back, rtol=0.004)


def test_upsample_is_bilinear_inside():
    maps = normal(1, 8, 8, 3)
    found = ops.convert_to_numpy(modulation.upsample(ops.convert_to_tensor(maps)))[0]
    expected = cv2.resize(maps[0], (16, 16), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found[1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-5)
    # Beyond the edge there are zeros, of which a quarter is mixed in along each axis.
    np.testing.assert_allclose(found[0, 5], 0.75 * expected[0, 5], atol=1e-5)


@pytest.mark.parametrize("size", [1, 3])
def test_downsampling_convolution(size):
    """The filter, then every second place of the convolution."""
    layer = built(modulation.EqualizedConv2D(5, size, activate=False, down=True), (None, 8, 8, 4))
    maps = normal(2, 8, 8, 4)
    found = ops.convert_to_numpy(layer(maps))
    kernel = ops.convert_to_numpy(layer.kernel) / np.sqrt(size * size * 4)
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    for picture in range(2):
        framed = np.pad(maps[picture], ((1 + size // 2,) * 2, (1 + size // 2,) * 2, (0, 0)))
        soft = np.stack(
            [signal.correlate2d(framed[:, :, c], taps, "valid") for c in range(4)], axis=2
        )
        full = convolved(soft, kernel)
        inside = full[size // 2 : full.shape[0] - size // 2, size // 2 : full.shape[1] - size // 2]
        expected = inside[::2, ::2] + ops.convert_to_numpy(layer.bias)
        np.testing.assert_allclose(found[picture], expected, atol=1e-5)


def test_equalized_layers_keep_variance():
    """Drawn from N(0, 1) and scaled when used: what comes in with variance 1 leaves with it."""
    keras.utils.set_random_seed(1)
    dense = modulation.EqualizedDense(256)
    found = ops.convert_to_numpy(dense(normal(256, 512)))
    assert found.std() == pytest.approx(1.0, abs=0.02)
    assert float(ops.std(dense.kernel)) == pytest.approx(1.0, abs=0.01)
    conv = modulation.EqualizedConv2D(64, 3, activate=False)
    found = ops.convert_to_numpy(conv(normal(2, 32, 32, 64)))
    assert found[:, 1:-1, 1:-1].std() == pytest.approx(1.0, abs=0.03)
    # The activation, with its gain, keeps the mean square.
    active = modulation.EqualizedConv2D(64, 3)
    found = ops.convert_to_numpy(active(normal(2, 32, 32, 64)))[:, 1:-1, 1:-1]
    assert np.mean(found**2) == pytest.approx(1.04, abs=0.06)  # (1 + 0.2²) / 2 * 2


def test_a_learning_rate_multiplier_changes_how_fast_and_not_what():
    """Weights are a hundred times larger and used a hundredth: steps weigh a hundredth."""
    keras.utils.set_random_seed(1)
    slow = modulation.EqualizedDense(256, bias=1.0, multiplier=0.01)
    found = ops.convert_to_numpy(slow(normal(256, 512)))
    assert found.std() == pytest.approx(1.0, abs=0.02)
    assert found.mean() == pytest.approx(1.0, abs=0.02)
    assert float(ops.std(slow.kernel)) == pytest.approx(100.0, abs=1.0)
    before = slow(normal(1, 512))
    slow.bias.assign_add(np.full(256, 0.5, "float32"))
    np.testing.assert_allclose(
        ops.convert_to_numpy(slow(normal(1, 512)) - before), 0.005, atol=1e-5
    )


def test_minibatch_deviation():
    """By hand: within groups of pictures that stand `batch / group` apart."""
    maps = normal(6, 2, 2, 3)
    found = ops.convert_to_numpy(modulation.MinibatchDeviation(3)(maps))
    np.testing.assert_array_equal(found[..., :3], maps)
    for group in (0, 1):
        members = maps[group::2]
        expected = np.sqrt(members.var(axis=0) + 1e-8).mean()
        np.testing.assert_allclose(found[group::2, ..., 3], expected, rtol=1e-5)
    same = ops.convert_to_numpy(modulation.MinibatchDeviation(4)(np.ones((4, 2, 2, 3), "float32")))
    np.testing.assert_allclose(same[..., 3], 1e-4, atol=1e-8)


def test_styles_are_float32_in_mixed_precision():
    layer = modulation.StyledConv2D(5, dtype="mixed_bfloat16")
    layer.build([(None, 4, 4, 3), (None, 8)])
    w = np.full((1, 8), 1.001, "float32")  # bfloat16 would make it 1
    maps = layer([normal(1, 4, 4, 3), w, normal(1, 4, 4, 1)])
    assert keras.backend.standardize_dtype(maps.dtype) == "bfloat16"
    style = layer.style(ops.convert_to_tensor(w))
    assert keras.backend.standardize_dtype(style.dtype) == "float32"
    twice = layer.style(ops.convert_to_tensor(w * 2))
    assert float(ops.max(ops.abs(twice - 1 - 2 * (style - 1)))) < 1e-5
