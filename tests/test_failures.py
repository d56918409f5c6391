"""Failures on purpose: that each breaks what it says, and nothing but that."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import data, diagnosis, failures, losses, models
from anime_keras.data.pipelines import normalize
from anime_keras.metrics import attributes

TINY = {"build": {"width": 2, "latent_dim": 4}, "batch_size": 4, "run_eagerly": True}


@pytest.fixture(scope="module")
def faces():
    return failures.faces(16)


def _train(faces, steps=2, **settings):
    build = {**settings.pop("build", {}), **TINY["build"]}
    return failures.train(faces, steps, **{**TINY, **settings, "build": build})


def test_the_faces_are_four_modes_that_can_be_read(faces):
    assert faces.shape == (16, 32, 32, 3) and faces.dtype == np.uint8
    seen = attributes.read(faces)
    words = [seen.names["hair_color"][i] for i in seen.words["hair_color"]]
    assert words == [*failures.HAIR] * 4
    assert set(failures.ALIKE) | {"hair_color"} == set(data.people.FACTORS)
    assert len(np.unique(faces.reshape(16, -1), axis=0)) == 16


def test_later_faces_are_others_and_the_same_whatever_the_count(faces):
    np.testing.assert_array_equal(failures.faces(8, start=8), faces[8:])
    assert not (failures.faces(16, seed=1) == faces).all(axis=(1, 2, 3)).any()


def test_upside_down_turns_so_many(faces):
    some = np.repeat(faces, 50, axis=0)
    turned = failures.upside_down(some, 0.3)
    over = (turned == some[:, ::-1]).all(axis=(1, 2, 3))
    assert ((turned == some).all(axis=(1, 2, 3)) | over).all()
    assert abs(over.mean() - 0.3) < 0.06
    np.testing.assert_array_equal(failures.upside_down(faces, 0.0), faces)


def test_the_layer_turns_so_many_and_lets_gradients_pass(faces):
    layer = failures.UpsideDown(0.3, seed=1)
    images = ops.convert_to_tensor(normalize(np.repeat(faces, 50, axis=0)))
    turned = ops.convert_to_numpy(layer(images))
    over = (turned == np.asarray(images)[:, ::-1]).all(axis=(1, 2, 3))
    assert abs(over.mean() - 0.3) < 0.06
    gan = models.DCGAN(image_size=32, width=1, ema=0.0)
    slope = gan.input_gradients(lambda x: ops.sum(layer(x), axis=(1, 2, 3)), images[:4])
    np.testing.assert_array_equal(ops.convert_to_numpy(slope), 1.0)


def test_a_mixed_batch_is_one_pass(faces):
    keras.utils.set_random_seed(0)
    mixed = failures.MixedBatches(image_size=32, **TINY["build"], ema=0.0)
    mixed.compile()
    real = ops.convert_to_tensor(normalize(faces[:4]))
    fake = 0.1 * real[::-1]
    logits = mixed.discriminator(ops.concatenate([real, fake]), training=True)
    rule = losses.get("non_saturating")
    wanted = float(rule.discriminator(logits[:4], logits[4:]))
    assert float(mixed.discriminator_loss(real, fake)) == pytest.approx(wanted, abs=1e-6)
    apart = models.DCGAN.discriminator_loss(mixed, real, fake)
    assert abs(float(apart) - wanted) > 1e-4


def test_judges_differ_in_company_alone(faces):
    gan = _train(faces).gan
    real, fake = normalize(faces[:4]), normalize(faces[4:8])
    together, apart = failures.judge_together(gan), failures.judge_apart(gan)
    logits = gan.discriminator(real, training=True)
    np.testing.assert_array_equal(apart(real, fake), logits)
    assert np.abs(np.asarray(together(real, fake)) - np.asarray(logits)).max() > 1e-4


def test_forgotten_training_learns_and_leaves_the_statistics(faces):
    run = _train(faces, kind=failures.ForgottenTraining)
    for network, (before, after) in zip(
        (run.gan.generator, run.gan.discriminator), run.first, strict=True
    ):
        assert diagnosis.untouched(network).value == 1.0
        moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert any(moved)
    assert diagnosis.untouched(_train(faces).gan.discriminator).value == 0.0


def test_many_turns_are_the_discriminators(faces):
    gan = _train(faces, steps=3, kind=failures.ManyTurns).gan
    assert int(gan.discriminator_optimizer.iterations) == 3 * failures.ManyTurns.turns
    assert int(gan.generator_optimizer.iterations) == 3


def test_a_confident_discriminator_leaves_the_generator_alone(faces):
    gan = _train(faces).gan
    lone = failures.confident(gan, faces, steps=2)
    for a, b in zip(
        gan.generator.trainable_variables, lone.generator.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    assert int(lone.discriminator_optimizer.iterations) == 2
    assert int(gan.discriminator_optimizer.iterations) == 2  # its own, from before


@pytest.mark.parametrize("enlarge", failures.ENLARGEMENTS)
def test_every_enlargement_draws_32_pixels(enlarge):
    network = failures.build_generator(enlarge, latent_dim=4, width=2)
    assert network.output_shape == (None, 32, 32, 3)


def test_an_unknown_enlargement_is_refused():
    with pytest.raises(ValueError, match="'transposed 5'"):
        failures.build_generator("transposed 5")


def test_an_untrained_lattice_is_there_in_transposed_convolutions_alone():
    points = np.random.default_rng(0).normal(0, 1, (64, 16)).astype("float32")
    for seed in (0, 1, 2):
        keras.utils.set_random_seed(seed)
        for enlarge, broken in (("transposed 3", True), ("resize", False)):
            network = failures.build_generator(enlarge)
            images = ops.convert_to_numpy(network(points, training=True))
            assert diagnosis.checkerboard(images).broken == broken


@pytest.mark.parametrize("name", failures.CASES)
def test_broken_and_mended_train_and_differ(faces, name):
    weights = []
    for settings in failures.CASES[name]:
        few = {"few": 8} if "few" in settings else {}
        run = _train(faces, steps=4, **{**settings, **few})
        rows = {len(column) for column in run.history.values()}
        assert len(rows) == 1 and len(run.history["step"]) == rows.pop()
        assert all(np.isfinite(column).all() for column in run.history.values())
        assert run.gan.generate(4).shape == (4, 32, 32, 3)
        weights.append(run.gan.discriminator.get_weights())
    same = [np.array_equal(a, b) for a, b in zip(*weights, strict=True)]
    assert not all(same)


def test_the_same_seed_trains_the_same(faces):
    first, second = (_train(faces).gan.generate(4) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = _train(faces, seed=1).gan.generate(4)
    assert (first != other).any()


def test_the_history_has_twenty_rows_at_most(faces):
    assert _train(faces, steps=3).history["step"] == [1, 2, 3]
    steps = _train(faces, steps=41).history["step"]
    assert len(steps) == 20 and steps[:2] == [2, 4]
