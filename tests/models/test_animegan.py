"""AnimeGAN against an independent NumPy implementation, its losses by hand, its two phases."""

import cv2
import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import checkpoints, losses
from anime_keras.metrics import anime_network
from anime_keras.models import AnimeGAN, animegan

ONCE = {"epochs": 1, "verbose": 0, "shuffle": False}


@pytest.fixture(autouse=True)
def float32():
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


def pictures(*shape, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (*shape, 3)).astype("float32")


def uint8(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype("uint8")


def array(tensor):
    return ops.convert_to_numpy(tensor)


def small(image_size=16, width=2, **options):
    return AnimeGAN(image_size, width, **options)


def fit(gan, x, y, blurred, batch_size=2):
    """One pass, in order: (x, y, blurred) triples as `Model.fit` takes them from a generator."""
    starts = range(0, len(x), batch_size)
    batches = (tuple(part[i : i + batch_size] for part in (x, y, blurred)) for i in starts)
    return gan.fit(batches, steps_per_epoch=len(starts), **ONCE).history


def changed(before, network):
    """The largest change of any of a network's trainable weights."""
    after = [array(v) for v in network.trainable_variables]
    return max(np.abs(a - b).max() for a, b in zip(after, before, strict=True))


def values(network):
    return [array(v).copy() for v in network.trainable_variables]


# --- the networks, in NumPy -----------------------------------------------------------------------


def convolve(x, kernel, stride=1):
    size = kernel.shape[0]
    height, width = ((side - size) // stride + 1 for side in x.shape[:2])
    out = np.zeros((height, width, kernel.shape[3]))
    for row in range(size):
        for column in range(size):
            taken = x[row::stride, column::stride][:height, :width]
            out += taken @ kernel[row, column]
    return out


def framed(x, top, bottom):
    return np.pad(x, ((top, bottom), (top, bottom), (0, 0)), mode="reflect")


def normalized(x, gamma, beta):
    return gamma * (x - x.mean()) / np.sqrt(x.var() + 1e-5) + beta


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def numpy_generator(x, weights):
    """`net/generator.py` of AnimeGANv2 over one picture, taking the weights in their order."""
    weights = iter(weights)

    def conv(x, stride=1):
        kernel = next(weights)
        frame = (0, 1) if stride == 2 else (kernel.shape[0] // 2,) * 2
        x = convolve(framed(x, *frame), kernel, stride)
        return leaky(normalized(x, next(weights), next(weights)))

    def block(x):
        inner = conv(x)
        kernel, bias = next(weights), next(weights)
        wide = framed(inner, 1, 1)
        height, width = inner.shape[:2]
        inner = bias + sum(
            wide[row : row + height, column : column + width] * kernel[row, column, :, 0]
            for row in range(3)
            for column in range(3)
        )
        inner = leaky(normalized(inner, next(weights), next(weights)))
        inner = normalized(convolve(inner, next(weights)), next(weights), next(weights))
        return x + inner if inner.shape == x.shape else inner

    def doubled(x):
        return cv2.resize(x, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)

    x = conv(conv(conv(x), 2))
    x = conv(conv(conv(x, 2)))
    for _ in range(4):
        x = block(x)
    x = conv(x)
    x = conv(conv(doubled(x)))
    x = conv(conv(conv(doubled(x))))
    x = np.tanh(convolve(x, next(weights)))
    assert not list(weights)
    return x


def numpy_discriminator(x, weights):
    """`net/discriminator.py`: kernels divided by their true largest singular values."""
    weights = iter(weights)

    def conv(x, stride=1):
        kernel = next(weights)
        kernel = kernel / np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]))[1][0]
        return convolve(np.pad(x, ((1, 1), (1, 1), (0, 0))), kernel, stride)

    def norm(x):
        return leaky(normalized(x, next(weights), next(weights)))

    x = leaky(conv(x))
    x = norm(conv(leaky(conv(x, 2))))
    x = norm(conv(leaky(conv(x, 2))))
    return conv(norm(conv(x)))[..., 0]


def shaken(network):
    """Weights that hide no mistake: no norm's beta is 0, no gamma 1."""
    random = np.random.default_rng(1)
    for variable in network.trainable_variables:
        variable.assign(array(variable) + random.normal(0, 0.1, variable.shape))
    return [array(v).astype("float64") for v in network.trainable_variables]


class TestNetworks:
    def test_generator_is_the_references(self):
        network = animegan.build_generator(width=3)
        x = pictures(2, 12, 20)
        weights = shaken(network)
        for picture, found in zip(x, array(network(x)), strict=True):
            expected = numpy_generator(picture.astype("float64"), weights)
            np.testing.assert_allclose(found, expected, atol=2e-5)
            assert expected.std() > 0.1

    def test_discriminator_is_the_references(self):
        network = animegan.build_discriminator(width=3)
        weights = shaken(network)
        for layer in network.layers:
            if hasattr(layer, "singular_vector"):
                matrix = array(layer.kernel).reshape(-1, layer.filters)
                layer.singular_vector.assign(np.linalg.svd(matrix)[2][:1])
        x = pictures(2, 12, 20)
        found = array(network(x))[..., 0]
        assert found.shape == (2, 3, 5)
        for picture, logits in zip(x, found, strict=True):
            np.testing.assert_allclose(logits, numpy_discriminator(picture, weights), atol=2e-5)

    def test_parameter_counts(self):
        """2,143,552 is the reference's (`net/generator.py`, counted by running it)."""
        assert animegan.build_generator().count_params() == 2_143_552
        counts = [int(np.prod(v.shape)) for v in animegan.build_discriminator().trainable_variables]
        assert sum(counts) == 1_128_800
        assert animegan.build_generator(16).count_params() == 544_416

    @pytest.mark.parametrize(("halvings", "patch"), [(2, 37), (1, 17)])
    def test_how_far_a_patch_sees(self, halvings, patch):
        """A change of one pixel reaches logits at most a patch away, but for the norms."""
        network = animegan.build_discriminator(2, halvings)
        assert network(pictures(1, 16, 24)).shape == (1, 16 // 2**halvings, 24 // 2**halvings, 1)
        seen = 1
        for layer in reversed([la for la in network.layers if hasattr(la, "kernel")]):
            seen = (seen - 1) * layer.strides[0] + layer.kernel_size[0]
        assert seen == patch

    def test_spectral_norm_follows_its_kernel(self):
        """Some steps of training and the largest singular value of what convolves is 1."""
        network = animegan.build_discriminator(width=4)
        x = pictures(1, 16, 16)
        before = array(network(x, training=False))
        for _ in range(60):
            network(x, training=True)
        layer = network.layers[2]
        kernel = array(layer.kernel).reshape(-1, 4)
        sigma = np.linalg.svd(kernel)[1][0]
        v = array(layer.singular_vector) @ kernel.T
        assert np.linalg.norm(v) == pytest.approx(sigma, rel=1e-3)
        assert np.abs(array(network(x, training=False)) - before).max() > 1e-6

    @pytest.mark.parametrize("build", [animegan.build_generator, animegan.build_discriminator])
    def test_bad_width(self, build):
        with pytest.raises(ValueError, match="width must be at least 1, not 0"):
            build(0)

    def test_bad_halvings(self):
        with pytest.raises(ValueError, match="halvings must be 1 or 2, not 3"):
            animegan.build_discriminator(halvings=3)


class TestContent:
    def test_of_the_kit(self):
        maps = animegan.content_maps("kit")
        x = pictures(2, 64, 64)
        expected = array(anime_network.stages()(x, training=False)[2])
        np.testing.assert_allclose(array(maps(x)), expected, atol=1e-5)
        assert array(maps(pictures(1, 40, 72))).shape == (1, 5, 9, 96)

    def test_of_vgg19(self, monkeypatch):
        """Keras' own architecture and preprocessing: conv4_4 before its activation, of any size."""
        build = keras.applications.VGG19
        networks = []

        def untrained(weights, **options):
            networks.append(build(weights=None, **options))
            return networks[-1]

        monkeypatch.setattr(keras.applications, "VGG19", untrained)
        found = array(animegan.content_maps("vgg19")(pictures(1, 32, 40)))
        assert found.shape == (1, 4, 5, 512) and found.min() < 0 < found.max()
        other = build(weights=None, include_top=False)
        other.set_weights(networks[0].get_weights())
        conv4_4 = keras.Model(other.input, other.get_layer("block4_conv4").output)
        bgr = keras.applications.vgg19.preprocess_input(127.5 * (pictures(1, 32, 40) + 1))
        np.testing.assert_allclose(
            np.maximum(found, 0), array(conv4_4(bgr)), atol=1e-4 * found.max()
        )

    def test_without_a_connection(self, monkeypatch):
        def offline(**options):
            raise OSError("no route to host")

        monkeypatch.setattr(keras.applications, "VGG19", offline)
        with pytest.raises(FileNotFoundError, match=r'choose features="kit".*no route'):
            AnimeGAN(64, features="vgg19")

    def test_is_no_part_of_the_model(self):
        """Neither trained nor saved: what never changes."""
        gan = small()
        own = gan.generator.count_params() + gan.discriminator.count_params()
        assert sum(int(np.prod(w.shape)) for w in gan.weights) == own


# --- the losses -----------------------------------------------------------------------------------


class Stub:
    """In place of a network: logits that a function makes of pictures."""

    def __init__(self, function):
        self.function = function

    def __call__(self, images, training=None):
        return self.function(images)


class TestLosses:
    def test_of_the_generator(self):
        """Each part by hand, with maps that are the picture's own quarter and D's logits its red."""
        gan = small()
        gan.compile(content=2, style=3, color=5, total_variation=7, adversarial=11)
        gan.content_maps = lambda images: images[:, ::2, ::2]
        gan.discriminator = Stub(lambda images: images[..., :1])
        x, y, drawn = (pictures(2, 8, 8, seed=seed) for seed in range(3))
        loss = float(gan.generator_loss(x, y, drawn))
        found = {meter.name: float(meter.result()) for meter in gan.meters}

        def gram(images):
            return np.einsum("nhwi,nhwj->nij", images, images) / images[0].size

        grey = 2 * ((y + 1) / 2 @ np.float32([0.299, 0.587, 0.114]))[..., None].repeat(3, -1) - 1
        steps = [np.diff(drawn, axis=axis) for axis in (1, 2)]
        expected = {
            "G": 11 * np.mean((drawn[..., 0] - 1) ** 2),
            "content": 2 * np.abs(x - drawn)[:, ::2, ::2].mean(),
            "style": 3 * np.abs(gram(grey[:, ::2, ::2]) - gram(drawn[:, ::2, ::2])).mean(),
            "color": 5 * float(losses.color(x, drawn)),
            "total_variation": 7 * sum(0.5 * np.mean(step**2) for step in steps),
        }
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=1e-4), name
        assert loss == pytest.approx(sum(expected.values()), rel=1e-4)

    def test_before_the_game(self):
        """Content, and pixels if asked for, by hand."""
        x, drawn = (pictures(2, 8, 8, seed=seed) for seed in range(2))
        content = 2 * np.abs(x - drawn)[:, ::2, ::2].mean()
        for weight in (0.0, 5.0):
            gan = small()
            gan.compile(content=2, first_pixels=weight)
            gan.content_maps = lambda images: images[:, ::2, ::2]
            gan.generator = Stub(lambda images: drawn)
            expected = content + weight * np.abs(x - drawn).mean()
            assert float(gan.first_loss(x)) == pytest.approx(expected, rel=1e-5)

    def test_of_the_discriminator(self):
        """Logits 0.9, 0.2, 0.6, 0.4: 300 (1.2 · 0.1² + 1.2 · 0.2² + 1.2 · 0.6² + 0.8 · 0.4²)."""
        gan = small()
        gan.compile()
        gan.discriminator = Stub(lambda images: images[:, ::4, ::4, :1])
        kinds = [np.full((2, 8, 8, 3), level, "float32") for level in (0.9, 0.2, 0.6, 0.4)]
        expected = 300 * (1.2 * 0.01 + 1.2 * 0.04 + 1.2 * 0.36 + 0.8 * 0.16)
        assert float(gan.discriminator_loss(*kinds)) == pytest.approx(expected, rel=1e-5)
        scores = {m.name: float(m.result()) for m in gan.meters if m.name.endswith("_score")}
        assert list(scores.values()) == [1.0, 0.0, 1.0, 0.0]

    def test_published_weights(self):
        """`train.py` and `tools/ops.py` of AnimeGANv2, as REFERENCE.md has them for Hayao."""
        gan = small()
        gan.compile()
        assert gan.weight_of == {
            "G": 300.0, "content": 1.5, "style": 2.5, "color": 15.0, "total_variation": 1.0
        }  # fmt: skip
        assert tuple(gan.verdicts.values()) == (1.2, 1.2, 1.2, 0.8)
        rates = [o.learning_rate for o in gan.optimizers]
        assert np.allclose(rates, (2e-4, 2e-5, 4e-5)) and gan.optimizers[0].beta_1 == 0.5
        for maker, weights in animegan.STYLES.items():
            gan.compile(**weights)
            assert gan.weight_of["style"] == weights["style"], maker

    @pytest.mark.parametrize(
        ("rules", "message"),
        [
            ({"content": -1}, "content must be at least 0, not -1"),
            ({"verdicts": (1, 1, -0.5, 1)}, "grey must be at least 0"),
            ({"first_steps": -1}, "first_steps must be at least 0"),
            ({"decay": "sudden"}, "decay must be one of"),
            ({"decay": "linear"}, "needs decay_steps"),
            ({"decay": "linear", "decay_steps": 99, "first_steps": 99}, "no game yet"),
        ],
    )
    def test_bad_rules(self, rules, message):
        with pytest.raises(ValueError, match=message):
            small().compile(**rules)


# --- training -------------------------------------------------------------------------------------


class TestPhases:
    def test_who_moves_when_and_how_far(self):
        """Adam's first step moves by the rate itself: so each phase, each player shows its own."""
        gan = small()
        gan.compile(
            first_steps=2,
            first_learning_rate=1e-2,
            learning_rate=1e-3,
            discriminator_learning_rate=3e-3,
            run_eagerly=True,
        )
        parts = [pictures(2, 16, 16, seed=seed) for seed in range(3)]
        moved = []
        for _ in range(4):
            before = values(gan.generator), values(gan.discriminator)
            logs = fit(gan, *parts)
            networks = (gan.generator, gan.discriminator)
            moved.append([changed(b, n) for b, n in zip(before, networks, strict=True)])
            counts = [int(optimizer.iterations) for optimizer in gan.optimizers]
        assert moved[0] == pytest.approx([1e-2, 0.0], rel=0.01)
        assert moved[1][1] == 0.0
        assert moved[2] == pytest.approx([1e-3, 3e-3], rel=0.01)
        assert counts == [2, 2, 2]
        assert logs["first_loss"] == [0.0] and logs["g_loss"][0] > 0

    def test_the_first_phase_looks_at_content_alone(self):
        """Other drawings, other weights of other losses: the same generator."""
        results = []
        for seed, weights in ((1, {}), (9, {"color": 99.0, "style": 0.0, "adversarial": 1.0})):
            keras.utils.set_random_seed(0)
            gan = small()
            gan.compile(first_steps=5, run_eagerly=True, **weights)
            x = pictures(4, 16, 16)
            fit(gan, x, *(pictures(4, 16, 16, seed=seed + i) for i in (0, 1)))
            results.append(gan.generator.get_weights())
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_without_a_first_phase(self):
        gan = small()
        gan.compile(first_steps=0, run_eagerly=True)
        before = values(gan.discriminator)
        fit(gan, *(pictures(2, 16, 16, seed=seed) for seed in range(3)))
        assert changed(before, gan.discriminator) > 0

    @pytest.mark.parametrize("saved_after", [1, 3])
    def test_resumes_to_the_same_bits(self, tmp_path, saved_after):
        """From a checkpoint before the game, and from one in its midst."""
        rules = {"first_steps": 2, "decay": "linear", "decay_steps": 8, "run_eagerly": True}
        parts = [pictures(2 * 4, 16, 16, seed=seed) for seed in range(3)]
        cut = 2 * saved_after
        gan = small(ema=0.5)
        gan.compile(**rules)
        fit(gan, *(part[:cut] for part in parts))
        path = checkpoints.save(gan, tmp_path, saved_after)
        fit(gan, *(part[cut:] for part in parts))
        keras.utils.set_random_seed(5)
        other = small(ema=0.5)
        other.compile(**rules)
        checkpoints.load(other, path)
        fit(other, *(part[cut:] for part in parts))
        pairs = zip(gan.variables, other.variables, strict=True)
        for ours, theirs in [*pairs, *zip(*(
            [v for o in model.optimizers for v in o.variables] for model in (gan, other)
        ), strict=True)]:  # fmt: skip
            np.testing.assert_array_equal(array(ours), array(theirs), err_msg=ours.path)

    def test_rates_fall_over_the_game(self):
        gan = small()
        gan.compile(first_steps=4, decay="linear", decay_steps=14, learning_rate=1.0)
        rate = gan.generator_optimizer._learning_rate
        assert [float(rate(step)) for step in (0, 5, 10)] == pytest.approx([1.0, 0.5, 0.0])

    def test_average(self):
        """Two steps of it: (1 + 1) / (10 + 1), then (1 + 2) / (10 + 2), over both phases."""
        gan = small(ema=0.9)
        gan.compile(first_steps=1, first_learning_rate=1e-2, learning_rate=1e-2, run_eagerly=True)
        expected = gan.generator.get_weights()
        for step in (1, 2):
            fit(gan, *(pictures(2, 16, 16, seed=seed) for seed in range(3)))
            decay = (1 + step) / (10 + step)
            pairs = zip(expected, gan.generator.get_weights(), strict=True)
            expected = [decay * slow + (1 - decay) * fast for slow, fast in pairs]
        for ours, theirs in zip(gan.average.get_weights(), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
        x = pictures(1, 16, 16)
        np.testing.assert_array_equal(array(gan(x)), array(gan.average(x)))

    def test_bfloat16(self):
        """Networks compute in bfloat16; pictures, losses and weights stay float32, and near."""
        logs = {}
        for policy in ("float32", "mixed_bfloat16"):
            keras.config.set_dtype_policy(policy)
            keras.utils.set_random_seed(0)
            gan = small(width=4)
            gan.compile(first_steps=1, learning_rate=1e-4, run_eagerly=True)
            logs[policy] = fit(gan, *(pictures(4, 16, 16, seed=seed) for seed in range(3)))
        assert {v.dtype for v in gan.generator.trainable_variables} == {"float32"}
        assert keras.backend.standardize_dtype(gan(pictures(1, 8, 8)).dtype) == "float32"
        for name in ("first_loss", "g_loss", "d_loss", "content", "color"):
            assert logs["mixed_bfloat16"][name] == pytest.approx(logs["float32"][name], rel=0.03)
            assert logs["mixed_bfloat16"][name] != logs["float32"][name], name

    def test_learns(self):
        """Told to keep brightness and colours and no more, it soon gives back what it is shown."""
        x = pictures(16, 2, 2).repeat(8, axis=1).repeat(8, axis=2)
        gan = small(width=8)
        only_color = {"content": 0, "style": 0, "total_variation": 0, "adversarial": 0}
        gan.compile(**only_color, first_steps=0, learning_rate=1e-2, run_eagerly=True)
        untrained = float(losses.color(x, gan(x)))
        for _ in range(3):
            fit(gan, x, x, x, batch_size=4)
        assert float(losses.color(x, gan(x))) < 0.75 * untrained


# --- translating ----------------------------------------------------------------------------------


class TestTranslate:
    def test_any_size(self):
        gan = small()
        for shape in ((3, 16, 16), (1, 8, 20), (2, 40, 12)):
            images = uint8(*shape)
            drawn = gan.translate(images, batch_size=2)
            assert drawn.shape == images.shape and drawn.dtype == np.uint8
            alone = [gan.translate(image[None])[0] for image in images]
            assert np.abs(drawn - np.stack(alone).astype(int)).max() <= 1
            assert gan.judge(images).shape == (shape[0], shape[1] // 4, shape[2] // 4)
        assert gan.translate(uint8(0, 16, 16)).shape == (0, 16, 16, 3)

    def test_draw(self):
        gan, images = small(), uint8(3, 16, 16)
        sheet = gan.draw(images)
        np.testing.assert_array_equal(sheet[::2], images)
        np.testing.assert_array_equal(sheet[1::2], gan.translate(images))

    def test_values(self):
        gan = small()
        x = pictures(2, 16, 16)
        images = np.round((x + 1) * 127.5).astype("uint8")
        drawn = array(gan.generator(images / np.float32(127.5) - 1))
        np.testing.assert_array_equal(gan.translate(images), np.round((drawn + 1) * 127.5))

    @pytest.mark.parametrize(
        "images",
        [
            uint8(2, 16, 18),
            uint8(2, 4, 16),
            uint8(16, 16),
            pictures(2, 16, 16),
            uint8(1, 8, 8)[..., :1],
        ],
    )
    def test_what_cannot_be_translated(self, images):
        with pytest.raises(ValueError, match="multiples of 4 from 8 on"):
            small().translate(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 30}, "image_size must be a multiple of 4, at least 8, not 30"),
        ({"image_size": 4}, "at least 8"),
        ({"ema": 1.0}, "ema must be in"),
        ({"features": "inception"}, "features must be one of"),
    ],
)
def test_bad_settings(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_saves_and_loads(tmp_path):
    gan = small(ema=0.5)
    gan.compile(first_steps=1, content=7.0, run_eagerly=True)
    fit(gan, *(pictures(4, 16, 16, seed=seed) for seed in range(3)))
    gan.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.translate(uint8(1, 8, 8)), gan.translate(uint8(1, 8, 8)))
    assert loaded.weight_of["content"] == 7.0
    assert [int(o.iterations) for o in loaded.optimizers] == [1, 1, 1]
