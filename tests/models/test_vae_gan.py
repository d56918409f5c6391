"""VAE-GAN: its three losses by hand, and who gets which gradient."""

import keras
import numpy as np
import pytest
from keras import ops

from anime_keras import checkpoints, data, models
from anime_keras.models.vae import kl_divergence

SMALL = {"image_size": 32, "latent_dim": 5, "width": 4}


def small(seed=0, **rules):
    keras.utils.set_random_seed(0)
    model = models.VAEGAN(**SMALL, seed=seed)
    model.compile(**rules)
    return model


@pytest.fixture(scope="module")
def x():
    images = data.render(8, size=32, seed=3).images
    return ops.convert_to_tensor(images.astype("float32") / 127.5 - 1)


def noise_and_codes():
    random = np.random.default_rng(0)
    return [ops.convert_to_tensor(random.normal(size=(8, 5)).astype("f4")) for _ in range(2)]


def softplus(logits):
    return np.logaddexp(0, ops.convert_to_numpy(logits).astype("f8"))


def passes(model, x, noise, codes):
    """What the three networks answer: Dis_l and logits of x, of x̃ and of x_p."""
    mean, log_variance = model.encoder(x, training=True)
    back = model.decoder(mean + ops.exp(0.5 * log_variance) * noise, training=True)
    drawn = model.decoder(codes, training=True)
    return [model.inner(images, training=True) for images in (x, back, drawn)], (mean, log_variance)


# --- the losses -----------------------------------------------------------------------------------


def test_losses_by_hand(x):
    model = small(gamma=0.02, beta=3.0)
    noise, codes = noise_and_codes()
    ((wanted, real), (seen, back), (_, drawn)), q = passes(model, x, noise, codes)
    apart = ops.convert_to_numpy(wanted).astype("f8") - ops.convert_to_numpy(seen)
    like = 0.5 * (apart**2).sum(axis=(1, 2, 3)).mean()
    kl = ops.convert_to_numpy(kl_divergence(*q)).sum(axis=1).mean()

    loss = float(model.discriminator_loss(x, noise, codes))
    # The mean over both kinds of fakes: each of them counts half.
    fakes = (softplus(back).mean() + softplus(drawn).mean()) / 2
    assert loss == pytest.approx(softplus(-real).mean() + fakes, rel=1e-4)

    model.reset_metrics()
    assert float(model.encoder_loss(x, noise)) == pytest.approx(3.0 * kl + like, rel=1e-4)
    meters = {meter.name: float(meter.result()) for meter in model.metrics}
    assert meters["reconstruction"] == pytest.approx(like, rel=1e-4)
    assert meters["kl"] == pytest.approx(kl, abs=1e-5)

    game = (softplus(-back).mean() + softplus(-drawn).mean()) / 2
    loss = float(model.decoder_loss(x, noise, codes))
    assert loss == pytest.approx(0.02 * like + game, rel=1e-4)


def test_a_perfect_copy_is_like(x):
    model = small()
    seen = model.inner(x, training=True)[0]
    assert seen.shape == (8, 8, 8, 8)  # maps of 8x8, of 2 * width channels at 32 px
    assert float(model.unlikeness(x, seen)) == 0.0
    off_by_one = model.unlikeness(x, seen + 1.0)
    assert float(off_by_one) == pytest.approx(0.5 * 8 * 8 * 8, rel=1e-6)


# --- who learns from what -------------------------------------------------------------------------


def moved(model, step):
    before = {v.path: ops.convert_to_numpy(v) for v in model.trainable_variables}
    step()
    return {
        name: max(
            np.abs(ops.convert_to_numpy(v) - before[v.path]).max()
            for v in getattr(model, name).trainable_variables
        )
        > 0
        for name in ("encoder", "decoder", "discriminator")
    }


@pytest.mark.parametrize("player", ["encoder", "decoder", "discriminator"])
def test_each_player_moves_itself_alone(x, player):
    model = small()
    noise, codes = noise_and_codes()
    given = (x, noise) if player == "encoder" else (x, noise, codes)
    found = moved(
        model,
        lambda: model.minimize(
            lambda: getattr(model, f"{player}_loss")(*given),
            getattr(model, player).trainable_variables,
            getattr(model, f"{player}_optimizer"),
        ),
    )
    assert found == {name: name == player for name in found}


def test_all_three_move_in_a_step(x):
    assert all(moved(model := small(), lambda: model.train_step(x)).values())


def gradients(model, loss, network):
    tf = pytest.importorskip("tensorflow")
    with tf.GradientTape() as tape:
        value = loss()
    found = tape.gradient(value, [v.value for v in network.trainable_variables])
    return np.concatenate([np.zeros(1) if g is None else np.ravel(g) for g in found])


def test_the_game_does_not_reach_the_encoder(x):
    """With the same seen features the encoder's gradient is that of L_prior + L_llike, γ or not."""
    noise, _ = noise_and_codes()
    model = small(gamma=0.0)
    encoder = gradients(model, lambda: model.encoder_loss(x, noise), model.encoder)
    same = gradients(small(gamma=9.0), lambda: model.encoder_loss(x, noise), model.encoder)
    np.testing.assert_allclose(encoder, same, rtol=1e-4, atol=1e-4 * np.abs(encoder).max())
    assert np.abs(encoder).max() > 0


def test_gamma_weighs_likeness_for_the_decoder(x):
    """Its gradient is linear in γ: two weights tell the third."""
    noise, codes = noise_and_codes()
    found = {}
    for gamma in (0.0, 0.01, 0.02):
        model = small(gamma=gamma)
        found[gamma] = gradients(
            model, lambda m=model: m.decoder_loss(x, noise, codes), model.decoder
        )
    likeness = found[0.01] - found[0.0]
    assert np.abs(likeness).max() > 1e-3 * np.abs(found[0.0]).max()
    np.testing.assert_allclose(
        found[0.02], found[0.0] + 2 * likeness, atol=1e-4 * np.abs(found[0.02]).max()
    )


# --- the model ------------------------------------------------------------------------------------


def test_learns_to_tell_pictures_apart(x):
    model = small(learning_rate=2e-3, gamma=1e-2)
    log = model.fit(ops.convert_to_numpy(x), batch_size=8, epochs=20, verbose=0).history
    assert set(log) == {"d_loss", "g_loss", "real_score", "fake_score", "reconstruction", "kl"}
    assert all(np.isfinite(values).all() for values in log.values())
    assert log["kl"][-1] > log["kl"][0]  # codes have begun to tell


def test_pictures_in_and_out(x):
    model = small()
    images = data.render(6, size=32, seed=3).images
    drawn = model.generate(5, seed=4)
    assert drawn.shape == (5, 32, 32, 3) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(model.generate(3, seed=4, batch_size=2), drawn[:3])
    mean, _ = model.encode(images)
    np.testing.assert_array_equal(model.reconstruct(images), model.decode(mean))


def test_bad_rules():
    for name in ("gamma", "beta"):
        with pytest.raises(ValueError, match=f"{name} must be at least 0"):
            small(**{name: -1.0})
    with pytest.raises(ValueError, match="decay must be one of"):
        small(decay="stairs")


def test_saves_and_goes_on(x, tmp_path):
    model, other = small(), small(seed=9)
    model.train_step(x)
    checkpoints.save(model, tmp_path, 1)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.generate(4), model.generate(4))
    model.train_step(x)
    checkpoints.load(other, tmp_path / "step-000000001.npz")
    other.train_step(x)
    for ours, theirs in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ours.value), ops.convert_to_numpy(theirs.value)
        )
