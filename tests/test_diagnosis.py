"""Detectors: closed forms, independent computations, and both sides of every limit."""

import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy.spatial.distance import jensenshannon

from anime_keras import data, diagnosis, layers, losses, metrics, models
from anime_keras.diagnosis import Finding
from anime_keras.metrics.attributes import Reading


def test_a_finding_says_on_which_side_of_its_limit_it_is():
    assert not Finding("number", 1.0, 1.0).broken
    assert Finding("number", 1.001, 1.0).broken
    assert Finding("number", math.nan, 1.0).broken and Finding("number", math.inf, 1.0).broken
    assert str(Finding("number", 0.5, 1.0)) == "number: 0.5, and at most 1 is sound: sound"
    assert str(Finding("number", 2.0, 1.0)) == "number: 2, and at most 1 is sound: BROKEN"


# --- what the pictures show -----------------------------------------------------------------------


def _reading(counts):
    words = np.repeat(np.arange(12), counts)
    names = {name: data.people.FACTORS[name] for name in ("hair_color", "eye_color")}
    nothing = np.zeros((len(words), 3), "float32")
    return Reading({"hair_color": words, "eye_color": 0 * words}, {}, names, nothing, nothing)


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ([64, 64, 64, 64], 0.0),
        ([100, 100, 49, 7], 0.0),
        ([100, 100, 50, 6], 0.25),  # a tenth of 64 is 6.4
        ([0, 128, 128, 0], 0.5),
        ([0, 0, 0, 256], 0.75),
    ],
)
def test_missing_modes_are_counted(counts, missing):
    real, fake = _reading([150] * 4 + [0] * 8), _reading(counts + [0] * 8)
    found = diagnosis.missing_modes(real, fake)
    assert found.value == missing
    assert found.broken == (missing > 0)


def test_words_that_were_never_real_cover_nothing():
    real, fake = _reading([150] * 4 + [0] * 8), _reading([0] * 9 + [256, 0, 0])
    assert diagnosis.missing_modes(real, fake).value == 1.0


def _noise(count=200, size=32, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, size, size, 3))


@pytest.mark.parametrize("period", [2, 4])
def test_noise_has_no_checkerboard(period):
    assert 0.9 < diagnosis.checkerboard(_noise(), period).value < 1.1


@pytest.mark.parametrize("amplitude", [0.05, 0.1, 0.5])
def test_the_power_of_a_lattice_is_computed(amplitude):
    row, column = np.mgrid[:32, :32]
    lattice = amplitude * (-1.0) ** (row + column)
    found = diagnosis.checkerboard(_noise() + lattice[..., None])
    # The lattice puts (a N²)² into one of three frequencies, noise puts N² into each.
    assert found.value == pytest.approx(1 + amplitude**2 * 32**2 / 3, rel=0.1)


def test_a_mean_and_a_scale_change_no_checkerboard():
    images = _noise()
    value = diagnosis.checkerboard(images).value
    assert diagnosis.checkerboard(127 + 20 * images).value == pytest.approx(value)


def test_drawn_faces_have_no_checkerboard():
    found = diagnosis.checkerboard(data.render(100, 32, seed=5).images)
    assert 0.6 < found.value < 1.6


@pytest.mark.parametrize("shape", [(2, 30, 32, 3), (2, 4, 4, 3)])
def test_pictures_that_do_not_fit_the_period_are_refused(shape):
    with pytest.raises(ValueError, match="period of 4"):
        diagnosis.checkerboard(np.zeros(shape), period=4)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (4, 2), (5, 2), (4, 3), (6, 3)])
def test_overlap_is_what_a_kernel_of_ones_gives(kernel, stride):
    layer = keras.layers.Conv2DTranspose(1, kernel, stride, kernel_initializer="ones")
    output = ops.convert_to_numpy(layer(np.ones((1, 8, 8, 1), "float32")))[0, :, :, 0]
    inside = output[4 * stride : 5 * stride, 4 * stride : 5 * stride]
    counts = diagnosis.overlap(kernel, stride)
    np.testing.assert_array_equal(counts, inside)
    assert (counts.min() == counts.max()) == (kernel % stride == 0)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 1.0])
def test_the_share_of_augmented_pictures_is_found(share):
    def some(count, seed):
        return data.render(count, 32, seed=seed).images

    train, fake = some(400, 1), some(200, 2)
    turned = round(share * len(fake))
    fake = np.concatenate([fake[:turned, ::-1], fake[turned:]])
    found = diagnosis.leak(fake, train, train[:, ::-1])
    assert found.value == pytest.approx(share, abs=0.05)
    assert found.broken == (share > 0.1)


def test_an_augmentation_that_nobody_sees_is_refused():
    images = data.render(200, 32, seed=1).images
    with pytest.raises(ValueError, match="too near"):
        diagnosis.leak(images, images[:100], images[100:])


def test_copying_is_the_kits_memorisation_against_its_own_error():
    random = np.random.default_rng(0)
    training, unseen, own = random.normal(0, 1, (3, 200, 8))
    copies = training + random.normal(0, 0.01, training.shape)
    for fake, broken in ((copies, True), (own, False)):
        found = diagnosis.copying(fake, training, unseen)
        wanted = metrics.memorisation(fake, training, unseen)
        assert found.value == wanted.nearer
        assert found.limit == pytest.approx(0.5 + 3 * wanted.error)
        assert found.broken == broken


@pytest.mark.parametrize(
    ("low", "high", "gap"), [(-1, 1, 0.002), (0, 1, 1.001), (0, 255, 253.745), (-1, -0.99, 1.99001)]
)
def test_the_gap_of_uniform_pixels_is_known(low, high, gap):
    images = np.linspace(low, high, 32 * 32 * 3 * 4).reshape(4, 32, 32, 3)
    found = diagnosis.range_gap(images)
    assert found.value == pytest.approx(gap, rel=0.01)
    assert found.broken == (gap > 0.5)


# --- what the losses and logits say ---------------------------------------------------------------


def test_certainty_of_the_best_discriminator_is_the_divergence():
    random = np.random.default_rng(0)
    for sharpness in (0.1, 1.0, 8.0):
        p, q = (w / w.sum() for w in np.exp(sharpness * random.normal(0, 1, (2, 50))))
        best = p / (p + q)
        loss = -(p * np.log(best)).sum() - (q * np.log(1 - best)).sum()
        wanted = jensenshannon(p, q, base=2) ** 2
        assert diagnosis.certainty([loss]).value == pytest.approx(wanted, abs=1e-9)


def test_certainty_looks_at_the_last_quarter():
    guess = 2 * math.log(2)
    assert diagnosis.certainty([0.0] * 6 + [guess] * 2).value == pytest.approx(0.0)
    assert diagnosis.certainty([guess] * 6 + [0.0] * 2).value == 1.0
    assert diagnosis.certainty([guess / 4] * 3).value == pytest.approx(0.75)
    assert diagnosis.certainty([0.0]).broken and not diagnosis.certainty([guess]).broken


def test_both_players_cannot_win_over_the_same_logits():
    random = np.random.default_rng(0)
    rule = losses.get("non_saturating")
    for spread in (0.0, 0.1, 3.0, 50.0):
        real, fake = spread * random.normal(0, 1, (2, 64, 1))
        d_loss, g_loss = float(rule.discriminator(real, fake)), float(rule.generator(real, fake))
        found = diagnosis.contradiction([d_loss], [g_loss])
        assert found.value == pytest.approx(2 * math.log(2) / (d_loss + g_loss))
        assert found.value < 1 and not found.broken
    sure = np.full((4, 1), 30.0)  # the least that there can be
    least = float(rule.discriminator(sure, 0 * sure)), float(rule.generator(sure, 0 * sure))
    assert diagnosis.contradiction(*([loss] for loss in least)).value == pytest.approx(1.0)
    assert diagnosis.contradiction([9.0, 0.1], [9.0, 0.1]).broken
    assert diagnosis.contradiction([0.0], [0.0]).value == math.inf


@pytest.mark.parametrize("loss", diagnosis.SLOPES)
def test_slopes_are_the_derivatives_of_the_kits_losses(loss):
    logits = np.linspace(-6, 6, 9, dtype="float32")[:, None]
    gan = models.DCGAN(image_size=32, width=1, ema=0.0)
    generator = losses.get(loss).generator

    def each(x):  # a mean over one logit is the loss of that logit
        return ops.stack([generator(None, x[i : i + 1]) for i in range(len(logits))])

    slopes = np.abs(ops.convert_to_numpy(gan.input_gradients(each, ops.convert_to_tensor(logits))))
    ours = diagnosis.SLOPES[loss](logits.astype("float64"))
    factor = slopes.sum() / ours.sum()
    np.testing.assert_allclose(slopes, factor * ours, atol=1e-5)


def test_a_sure_discriminator_weakens_minimax_and_nothing_else():
    sure = np.full((8, 1), -6.0)
    assert diagnosis.weakening(sure, "minimax").value == pytest.approx((1 + math.exp(6)) / 2)
    assert diagnosis.weakening(sure, "minimax").broken
    for loss in ("non_saturating", "least_squares", "hinge", "wasserstein"):
        assert not diagnosis.weakening(sure, loss).broken
    for loss in diagnosis.SLOPES:
        assert diagnosis.weakening(np.zeros(3), loss).value == pytest.approx(1.0)


def test_weakening_without_any_slope_is_infinite_and_unknown_losses_are_refused():
    assert diagnosis.weakening(np.full(3, -1e4), "minimax").value == math.inf
    with pytest.raises(ValueError, match=r"'relativistic'.*minimax"):
        diagnosis.weakening(np.zeros(3), "relativistic")


@pytest.mark.parametrize("slope", [0.5, 3.0])
def test_steepness_of_a_linear_critic_is_at_most_its_slope(slope):
    random = np.random.default_rng(0)
    real, fake = random.normal(0, 1, (2, 64, 4, 4, 3))
    direction = random.normal(0, 1, (4, 4, 3))
    direction *= slope / np.linalg.norm(direction)

    def critic(images):
        return (images * direction).sum(axis=(1, 2, 3))[:, None]

    assert 0 < diagnosis.steepness(critic(real), critic(fake), real, fake).value < slope
    moved = real - 2.0 * direction  # straight along the slope: the bound is reached
    found = diagnosis.steepness(critic(real), critic(moved), real, moved)
    assert found.value == pytest.approx(slope)
    assert found.broken == (slope > 1)


def test_overfitting_runs_from_0_to_1():
    def found(held_out):
        return diagnosis.overfitting(np.array([2.0, 4.0]), np.array([held_out]), np.array([-1.0]))

    assert found(3.0).value == 0.0 and found(-1.0).value == 1.0
    assert found(2.0).value == pytest.approx(0.25) and not found(2.0).broken
    assert found(0.0).value == pytest.approx(0.75) and found(0.0).broken


# --- what the networks do -------------------------------------------------------------------------


def _discriminator():
    keras.utils.set_random_seed(0)
    return models.dcgan.build_discriminator(image_size=32, width=4)


def test_mixing_is_found_where_batches_are_mixed():
    network = _discriminator()
    real, first, second = np.random.default_rng(0).uniform(-1, 1, (3, 8, 32, 32, 3)).astype("f4")
    second *= 0.1

    def together(real, fake):
        return network(ops.concatenate([real, fake]), training=True)[: len(real)]

    def apart(real, fake):
        return network(real, training=True)

    assert diagnosis.mixing(together, real, (first, second)).broken
    assert diagnosis.mixing(apart, real, (first, second)).value == 0.0


def test_company_matters_in_training_mode_alone():
    keras.utils.set_random_seed(0)
    network = models.dcgan.build_generator(image_size=32, latent_dim=4, width=4)
    network.layers[-1].activation = lambda x: ops.tanh(100 * x)  # untrained pictures are faint
    points = np.random.default_rng(0).normal(0, 1, (8, 4)).astype("float32")
    assert diagnosis.company(lambda z: network(z, training=True), points).broken
    found = diagnosis.company(lambda z: network(z, training=False), points)
    assert found.value < 0.01 and not found.broken


def test_untouched_counts_layers():
    network = _discriminator()
    assert diagnosis.untouched(network).value == 1.0
    network(np.zeros((4, 32, 32, 3), "float32"))  # training= forgotten
    assert diagnosis.untouched(network).broken
    norms = [x for x in network.layers if isinstance(x, layers.BatchNormalization)]
    norms[0].moving_mean.assign(norms[0].moving_mean + 0.1)
    assert diagnosis.untouched(network).value == pytest.approx(1 - 1 / len(norms))
    network(np.random.default_rng(0).normal(0, 1, (4, 32, 32, 3)).astype("f4"), training=True)
    assert diagnosis.untouched(network).value == 0.0


def test_untouched_needs_batch_norm():
    plain = models.dcgan.build_discriminator(image_size=32, width=1, normalization="none")
    with pytest.raises(ValueError, match="discriminator has no BatchNormalization"):
        diagnosis.untouched(plain)


def test_imbalance_compares_ways_by_the_lengths_of_kernels():
    kernel, bias = np.ones((2, 2)), np.zeros(2)
    slow = [kernel, bias], [1.01 * kernel, bias + 9]
    fast = [10 * kernel, bias], [12 * kernel, bias]
    assert diagnosis.imbalance(slow, fast).value == pytest.approx(20.0)
    assert diagnosis.imbalance(fast, slow).value == pytest.approx(20.0)
    assert diagnosis.imbalance(slow, slow).value == pytest.approx(1.0)
    assert diagnosis.imbalance(slow, fast).broken and not diagnosis.imbalance(slow, slow).broken
    still = [kernel, bias], [kernel, bias]
    assert diagnosis.imbalance(slow, still).value == math.inf
