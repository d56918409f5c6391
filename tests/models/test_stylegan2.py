"""StyleGAN2: sizes as published, penalties against finite differences, styles, averages, files."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import checkpoints, data, latents, models
from anime_keras.models import stylegan2 as module

SMALL = {"image_size": 32, "latent_dim": 8, "fmaps": 1 / 128, "max_channels": 16}


def small(seed=0, **rules):
    keras.utils.set_random_seed(seed)
    gan = models.StyleGAN2(**SMALL, seed=seed)
    gan.compile(**rules)
    return gan


def shaken(gan):
    """The same with noise, biases and moving means that are not zero."""
    random = np.random.default_rng(5)
    for variable in gan.variables:
        if variable.name in ("noise_strength", "bias", "w"):
            variable.assign_add(0.3 * random.standard_normal(variable.shape).astype("float32"))
    return gan


@pytest.fixture(scope="module")
def gan():
    return shaken(small())


@pytest.fixture(scope="module")
def real():
    return data.render(8, size=32, seed=3).images.astype("float32") / 127.5 - 1.0


def batches(real, steps):
    import tensorflow as tf

    return tf.data.Dataset.from_tensors(real).repeat(steps)


# --- the networks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "fmaps", "depth", "generator", "discriminator", "styles"),
    [
        (64, 0.5, 2, 22_243_608, 23_407_361, 10),
        (128, 0.5, 2, 22_949_277, 23_882_369, 12),
        (256, 0.5, 8, 24_767_458, 24_001_089, 14),
        (512, 1.0, 8, 30_276_583, 28_982_849, 16),
    ],
)
def test_as_many_weights_as_the_reference(
    size, fmaps, depth, generator, discriminator, styles, monkeypatch
):
    """stylegan2-ada-pytorch at its `auto` settings, counted by running it (REFERENCE)."""
    # Only counted: zeros need no random numbers.
    monkeypatch.setattr(
        keras.initializers.RandomNormal,
        "__call__",
        lambda self, shape, dtype=None: ops.zeros(shape, dtype=dtype),
    )
    found = module.build_mapping(depth=depth).count_params()
    assert found + module.build_synthesis(size, fmaps=fmaps).count_params() == generator
    assert module.build_discriminator(size, fmaps=fmaps).count_params() == discriminator
    assert module.style_count(size) == styles


def test_sizes_of_noise():
    assert module.noise_sizes(64) == [4, 8, 8, 16, 16, 32, 32, 64, 64]


def test_mapping_sees_only_the_direction_of_latents():
    """Latents are brought to one length first."""
    mapping = module.build_mapping(8, 8)
    z = latents.draw(3, 8)
    np.testing.assert_allclose(mapping(z), mapping(5 * z), atol=1e-5)
    normalized = keras.Model(mapping.input, mapping.get_layer("normalized").output)(z)
    np.testing.assert_allclose(np.mean(np.square(normalized), axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 48}, "image_size must be one of"),
        ({"fmaps": 1e-4}, "leaves no channels at"),
        ({"latent_dim": 0}, "latent_dim must be at least 1, not 0"),
        ({"mapping_layers": 0}, "mapping_layers must be at least 1, not 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        models.StyleGAN2(**{**SMALL, **options})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"accumulate": 2}, "accumulate must be 1"),
        ({"freeze": -1}, "freeze must be at least 0"),
        ({"freeze": 4}, "There are 3 blocks of the discriminator to freeze, not 4"),
        ({"every_g": 0}, "every_g must be at least 1"),
        ({"every_d": 0}, "every_d must be at least 1"),
        ({"style_mixing": 1.5}, r"style_mixing must be in \[0, 1\]"),
        ({"r1": -1.0}, "r1 must be at least 0"),
        ({"path_length": -1.0}, "path_length must be at least 0"),
    ],
)
def test_bad_rules(gan, rules, message):
    with pytest.raises(ValueError, match=message):
        models.StyleGAN2(**SMALL).compile(**rules)


# --- the penalties --------------------------------------------------------------------------------


def test_r1_against_finite_differences(real):
    """Every one of the 3,072 slopes of one logit, by the difference of two of D's answers."""
    gan = shaken(small())
    # Pictures are judged by themselves, so that one can be varied in a batch of its variants.
    gan.discriminator = module.build_discriminator(32, 1 / 128, 16, group=1)
    x, step = real[:1], 0.01
    slopes = []
    for start in range(0, 3072, 512):
        moved = np.repeat(x, 512, axis=0).reshape(512, -1)
        moved[np.arange(512), start + np.arange(512)] += step
        up = ops.convert_to_numpy(gan.discriminator(moved.reshape(512, 32, 32, 3)))
        moved[np.arange(512), start + np.arange(512)] -= 2 * step
        down = ops.convert_to_numpy(gan.discriminator(moved.reshape(512, 32, 32, 3)))
        slopes.append((up - down)[:, 0].astype("float64") / (2 * step))
    expected = 0.5 * np.sum(np.concatenate(slopes) ** 2)
    gan.r1 = 3.0
    assert float(gan.r1_loss(ops.convert_to_tensor(x))) == pytest.approx(3 * expected, rel=0.01)
    gan.r1 = None  # 0.0002 * 32² / 1
    assert float(gan.r1_loss(ops.convert_to_tensor(x))) == pytest.approx(
        0.2048 * expected, rel=0.01
    )


def test_path_length_against_finite_differences(gan):
    """The Jacobian, style by style, from differences of pictures; then (length - mean)²."""
    styles = np.stack([gan.styles(latents.draw(2, 8, seed=s)) for s in range(10)], axis=1)
    styles = styles[:, : gan.style_count].astype("float32")
    random = np.random.default_rng(0)
    noises = [random.standard_normal((2, n, n, 1), "float32") for n in module.noise_sizes(32)]
    y = random.standard_normal((2, 32, 32, 3), "float32")

    drawn = shaken(small())
    drawn.draw_styles = lambda count: (ops.convert_to_tensor(styles), None)
    drawn.draw_noise = lambda count: [ops.convert_to_tensor(noise) for noise in noises]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.random, "normal", lambda *_, **__: ops.convert_to_tensor(y))
        loss = float(drawn.path_length_loss(2))

    step, slopes = 1e-2, np.zeros(styles.shape)
    for layer in range(gan.style_count):
        for place in range(8):
            ends = []
            for sign in (1, -1):
                moved = styles.copy()
                moved[:, layer, place] += sign * step
                pictures = ops.convert_to_numpy(drawn.synthesis([moved, *noises]))
                ends.append((pictures.astype("float64") * y / 32).sum(axis=(1, 2, 3)))
            slopes[:, layer, place] = (ends[0] - ends[1]) / (2 * step)
    lengths = np.sqrt((slopes**2).sum(axis=2).mean(axis=1))
    mean = 0.01 * lengths.mean()  # of the moving mean, which began at 0
    assert lengths.min() > 0.1
    assert loss == pytest.approx(2.0 * np.mean((lengths - mean) ** 2), rel=0.01)
    assert float(drawn.means.length) == pytest.approx(mean, rel=0.01)


def test_penalties_move_what_they_are_of(real):
    """Their gradients reach the weights, through the gradients that they are made of."""
    gan = shaken(small())
    before = [v.numpy() for v in gan.variables]
    gan.minimize(
        lambda: gan.r1_loss(ops.convert_to_tensor(real)),
        gan.discriminator.trainable_variables,
        gan.discriminator_optimizer,
    )
    gan.minimize(lambda: gan.path_length_loss(4), gan.generator_variables, gan.generator_optimizer)
    moved = {
        v.path for v, old in zip(gan.variables, before, strict=True) if np.any(v.numpy() != old)
    }
    for network in (gan.mapping, gan.synthesis, gan.discriminator):
        kernels = [v for v in network.trainable_variables if v.name == "kernel"]
        assert all(v.path in moved for v in kernels)
    # The last bias shifts all logits alike: no slope knows of it.
    assert gan.discriminator.get_layer("logits").bias.path not in moved


# --- training -------------------------------------------------------------------------------------


def test_penalties_are_steps_of_their_own_now_and_then(real):
    """In 9 steps: G 9 and 3 more (steps 0, 4, 8), D 9 and 3 more (steps 0, 3, 6)."""
    gan = small(every_g=4, every_d=3)
    gan.fit(batches(real, 9), verbose=0)
    assert int(gan.generator_optimizer.iterations) == 12
    assert int(gan.discriminator_optimizer.iterations) == 12
    assert int(gan.steps) == 9 and float(gan.seen) == 72
    without = small(path_length=0.0, r1=0.0)
    without.fit(batches(real, 3), verbose=0)
    assert int(without.generator_optimizer.iterations) == 3
    assert int(without.discriminator_optimizer.iterations) == 3


def test_one_picture_a_step(real):
    """Half of a batch of one, on which path lengths are measured, is still one picture."""
    gan = small(every_g=1)
    gan.fit(batches(real[:1], 1), verbose=0)
    assert int(gan.generator_optimizer.iterations) == 2
    assert np.isfinite(float(gan.means.length)) and float(gan.means.length) > 0


def test_rates_are_lowered_for_the_additional_steps():
    """Appendix B: c = k / (k + 1) on the rate, and as an exponent on both betas."""
    gan = small()
    for optimizer, share in (
        (gan.generator_optimizer, 4 / 5),
        (gan.discriminator_optimizer, 16 / 17),
    ):
        assert float(optimizer.learning_rate) == pytest.approx(0.0025 * share)
        assert optimizer.beta_1 == 0.0
        assert optimizer.beta_2 == pytest.approx(0.99**share)


def test_without_noise(real):
    """No strength moves, and the noise that pictures are drawn with makes no difference."""
    keras.utils.set_random_seed(0)
    gan = models.StyleGAN2(**SMALL, noise=False)
    gan.compile()
    gan.fit(batches(real, 1), verbose=0)
    strengths = [v for v in gan.synthesis.weights if v.name == "noise_strength"]
    assert len(strengths) == 7 and all(float(v) == 0.0 for v in strengths)
    w = gan.styles(latents.draw(2, 8))
    np.testing.assert_array_equal(gan.paint(w), gan.paint(w, noise=None))


def test_frozen_blocks_stay(real):
    """Freeze-D: the two largest sizes and the first colours; all else is trained."""
    gan = small(freeze=2)
    names = {v.path.split("/")[0] for v in gan.discriminator_variables}
    everything = {v.path.split("/")[0] for v in gan.discriminator.trainable_variables}
    assert everything - names == {
        *("from_rgb", "conv_32", "down_32", "skip_32", "conv_16", "down_16", "skip_16"),
    }
    before = [v.numpy() for v in gan.discriminator.trainable_variables]
    gan.fit(batches(real, 1), verbose=0)
    for variable, old in zip(gan.discriminator.trainable_variables, before, strict=True):
        moved = np.any(variable.numpy() != old)
        assert moved == (variable.path.split("/")[0] in names), variable.path


def test_adaptive_augmentation_is_seen_by_both_players(real):
    """At p = 1 other pictures are judged: other losses from the same weights; p starts to move."""
    keras.utils.set_random_seed(0)
    gan = models.StyleGAN2(**SMALL, adaptive=True)
    gan.compile()
    for loss in (
        lambda: gan.generator_loss(8),
        lambda: gan.discriminator_loss(ops.convert_to_tensor(real), ops.convert_to_tensor(-real)),
        lambda: gan.r1_loss(ops.convert_to_tensor(real)),
    ):
        found = []
        for p in (0.0, 0.0, 1.0):
            gan.augment.probability.assign(p)
            gan.seed_generator.state.assign(gan.seed_generator.state * 0 + 5)
            found.append(float(loss()))
        assert found[0] == pytest.approx(found[1], rel=1e-6)
        assert abs(found[2] - found[0]) > 1e-4 * abs(found[0])
    gan.augment.probability.assign(0.5)
    gan.augment.looks.assign(3)
    gan.fit(batches(real, 1), verbose=0)
    assert abs(float(gan.augment.probability) - 0.5) == pytest.approx(8 * 4 / 500_000, rel=1e-2)
    assert "augmentation" in [meter.name for meter in gan.metrics]


def test_averages(real):
    """By hand: w drawn to the mean at 0.995, networks with a half-life that is ramped up."""
    gan = small()
    start = gan.average_synthesis.get_weights()
    gan.fit(batches(real, 1), verbose=0)
    now = gan.synthesis.get_weights()
    # 8 pictures seen: half-life 0.4 pictures, so 2^-20 of the start is left.
    share = 0.5 ** (8 / (8 * 0.05))
    for old, live, average in zip(start, now, gan.average_synthesis.get_weights(), strict=True):
        np.testing.assert_allclose(average, share * old + (1 - share) * live, atol=1e-6)
    assert np.any(gan.means.w.numpy() != 0)


def test_style_mixing():
    gan = shaken(small(style_mixing=1.0))
    styles, w = (ops.convert_to_numpy(part) for part in gan.draw_styles(200))
    changes = np.any(styles[:, 1:] != styles[:, :-1], axis=2)
    assert np.all(changes.sum(axis=1) == 1)
    assert set(changes.argmax(axis=1) + 1) == set(range(1, gan.style_count))
    np.testing.assert_array_equal(styles[:, 0], w)
    gan.style_mixing = 0.0
    styles, w = (ops.convert_to_numpy(part) for part in gan.draw_styles(20))
    np.testing.assert_array_equal(styles, np.repeat(w[:, None], gan.style_count, axis=1))
    gan.style_mixing = 0.9
    styles, _ = (ops.convert_to_numpy(part) for part in gan.draw_styles(2000))
    mixed = np.any(styles != styles[:, :1], axis=(1, 2)).mean()
    assert mixed == pytest.approx(0.9, abs=0.03)


def test_same_bits_after_a_checkpoint(real, tmp_path):
    """Two steps, a checkpoint, two more; and two by another model that begins from the checkpoint."""
    whole, other = small(), small(seed=1)
    whole.fit(batches(real, 2), verbose=0)
    checkpoints.save(whole, tmp_path, 2, pictures=0, seconds=0.0)
    whole.fit(batches(real, 2), verbose=0)
    checkpoints.load_newest(other, tmp_path)
    other.fit(batches(real, 2), verbose=0)
    for ours, theirs in zip(other.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


def test_saved_and_loaded(gan, tmp_path):
    gan.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.generate(3, seed=1), gan.generate(3, seed=1))
    np.testing.assert_array_equal(again.means.w.numpy(), gan.means.w.numpy())


# --- drawing --------------------------------------------------------------------------------------


def test_pictures(gan):
    pictures = gan.generate(5, seed=1, batch_size=2)
    assert pictures.dtype == np.uint8 and pictures.shape == (5, 32, 32, 3)
    assert np.abs(pictures.astype(int) - gan.generate(5, seed=1)).max() <= 1
    np.testing.assert_array_equal(gan.generate(2, seed=1, batch_size=2), pictures[:2])
    with pytest.raises(ValueError, match="count must be at least 1"):
        gan.generate(0)


def test_called_it_draws_what_generate_does(gan):
    images = ops.convert_to_numpy(gan(gan.points(3, seed=1)))
    pictures = np.round((np.clip(images, -1, 1) + 1) * 127.5)
    assert np.abs(pictures - gan.generate(3, seed=1)).max() <= 1


def test_truncation(gan):
    """Styles on the straight line to their mean: at 0 one picture for all."""
    points = latents.draw(4, 8)
    w, mean = gan.styles(points), gan.means.w.numpy()
    np.testing.assert_allclose(gan.styles(points, 0.25), mean + 0.25 * (w - mean), atol=1e-6)
    with pytest.raises(ValueError, match="truncation must be a finite number, not nan"):
        gan.generate(2, truncation=float("nan"))
    one = gan.draw(points, truncation=0.0)
    assert np.ptp(one.astype(int), axis=0).max() <= 1
    assert np.ptp(gan.draw(points).astype(int), axis=0).max() > 1


def test_mix_and_paint(gan):
    w = gan.styles(latents.draw(2, 8))
    everything = gan.mix(w[:1], w[1:], gan.style_count)
    np.testing.assert_array_equal(gan.paint(everything), gan.paint(w[:1]))
    np.testing.assert_array_equal(gan.paint(gan.mix(w[:1], w[1:], 0)), gan.paint(w[1:]))
    half = gan.mix(w[:1], w[1:], 3)
    assert np.all(half[0, :3] == w[0]) and np.all(half[0, 3:] == w[1])
    with pytest.raises(ValueError, match=r"styles must be \(count, 8\)"):
        gan.paint(w[:, :5])


def test_noise_of_pictures(gan):
    """The same noise for all, none, or each its own."""
    w = np.repeat(gan.styles(latents.draw(1, 8)), 2, axis=0)
    for noise, same in (("fixed", True), (None, True), (3, False)):
        first, second = gan.paint(w, noise=noise)
        assert np.array_equal(first, second) == same
    assert not np.array_equal(gan.paint(w), gan.paint(w, noise=None))
    np.testing.assert_array_equal(gan.paint(w, noise=3), gan.paint(w, noise=3))
