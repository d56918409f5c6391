"""VAE: its terms against closed forms, its bound against a model whose likelihood is known."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats

from anime_keras import checkpoints, data, models
from anime_keras.metrics import anime_network
from anime_keras.models import vae as module
from anime_keras.models.vae import bernoulli_nll, gaussian_nll, kl_divergence

SMALL = {"image_size": 32, "latent_dim": 5, "width": 4}


def small(**options):
    keras.utils.set_random_seed(0)
    vae = models.VAE(**{**SMALL, **options})
    vae.compile()
    return vae


@pytest.fixture(scope="module")
def images():
    return data.render(24, size=32, seed=3).images


# --- the networks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", module.SIZES)
def test_shapes(size):
    encoder = module.build_encoder(size, 7, 2)
    decoder = module.build_decoder(size, 7, 2)
    assert [o.shape for o in encoder.outputs] == [(None, 7), (None, 7)]
    assert decoder.output.shape == (None, size, size, 3)
    # The smallest maps are 4x4, so each network has log2(size / 4) doublings.
    names = [type(layer).__name__ for layer in encoder.layers]
    assert names.count("Downsample") == int(np.log2(size // 4))


def test_an_untrained_encoder_says_the_priors_width(images):
    _, spread = small().encode(images)
    np.testing.assert_allclose(spread, 1.0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 48}, "must be one of"),
        ({"width": 0}, "width must be at least 1"),
        ({"latent_dim": 0}, "latent_dim must be at least 1"),
        ({"likelihood": "poisson"}, "likelihood must be one of"),
        ({"sigma": 0.0}, "sigma must be above 0"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        models.VAE(**{**SMALL, **options})


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"beta": -1.0}, "beta must be at least 0"),
        ({"free_bits": -0.1}, "free_bits must be at least 0"),
        ({"decay": "stairs"}, "decay must be one of"),
        ({"decay": "linear"}, "needs decay_steps"),
    ],
)
def test_bad_rules(rules, message):
    with pytest.raises(ValueError, match=message):
        models.VAE(**SMALL).compile(**rules)


# --- the terms ------------------------------------------------------------------------------------


def test_kl_is_the_integral():
    mean, log_variance = np.array([[0.0, 1.5, -0.4]]), np.array([[0.0, -2.0, 0.7]])
    found = ops.convert_to_numpy(kl_divergence(mean.astype("f4"), log_variance.astype("f4")))
    z = np.linspace(-12, 12, 200_001)
    for m, v, kl in zip(mean[0], log_variance[0], found[0], strict=True):
        log_q, log_p = stats.norm.logpdf(z, m, np.exp(v / 2)), stats.norm.logpdf(z)
        wanted = np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
        assert kl == pytest.approx(wanted, abs=1e-5)
    assert found[0, 0] == 0


def test_likelihoods_are_scipys():
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (3, 4, 4, 3)).astype("float32")
    answer = random.normal(0, 1, x.shape).astype("float32")
    found = gaussian_nll(x, answer, np.float32(0.2))
    wanted = -stats.norm.logpdf(x, answer, np.sqrt(0.2)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    dots = np.where(x > 0, 1.0, -1.0).astype("float32")  # black or white: a true likelihood
    wanted = -stats.bernoulli.logpmf((dots + 1) / 2, 1 / (1 + np.exp(-answer))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(bernoulli_nll(dots, answer), wanted, rtol=1e-5)


def test_the_best_sigma_is_the_error():
    """The Gaussian term is lowest where σ² is the mean squared error."""
    random = np.random.default_rng(1)
    x, mean = random.uniform(-1, 1, (2, 2, 8, 8, 3)).astype("float32")
    best = np.mean((x - mean) ** 2)
    at = {
        step: float(ops.mean(gaussian_nll(x, mean, np.float32(best * np.exp(2 * step)))))
        for step in (-0.02, -0.01, 0.0, 0.01, 0.02)
    }
    assert min(at, key=at.get) == 0.0
    # To second order in log σ it grows by pixels * step².
    assert at[0.02] - at[0.0] == pytest.approx(192 * 0.02**2, rel=0.05)


def test_sigma_follows_the_error(images):
    vae = small()
    x = ops.convert_to_tensor(images.astype("float32") / 127.5 - 1)
    vae.compile(learning_rate=1e-12)
    for step in range(1, 101):
        logs = vae.train_step(x)
        if step == 50:
            vae.meters[-1].reset_state()
    pixels = vae.decoder(vae.draw_code(*vae.encoder(x, training=True)), training=True)
    error = float(ops.mean(ops.square(x - pixels)))
    assert float(vae.variance) == pytest.approx(error, rel=0.03)
    assert float(logs["sigma"]) == pytest.approx(error**0.5, rel=0.1)


def test_objective_is_the_sum_of_its_parts(images):
    vae = small(sigma=0.5)
    x = images.astype("float32") / 127.5 - 1
    vae.encoder.get_layer("log_variance").bias.assign([-3.0, -0.5, 0.0, 0.1, 1.0])
    mean, log_variance = vae.encoder(x, training=True)
    kl = ops.convert_to_numpy(kl_divergence(mean, log_variance)).mean(axis=0)
    assert (kl < 0.6).any() and (kl > 0.6).any()
    for beta, free_bits in ((1.0, 0.0), (4.0, 0.0), (2.0, 0.6)):
        vae.compile(beta=beta, free_bits=free_bits)
        for meter in vae.meters:
            meter.reset_state()
        loss = float(vae.objective(x))
        found = {meter.name: float(meter.result()) for meter in vae.meters}
        assert found["kl"] == pytest.approx(kl.sum(), rel=1e-4)
        wanted = found["reconstruction"] + beta * np.maximum(kl, free_bits).sum()
        assert loss == pytest.approx(wanted, rel=1e-5)


# --- what a frozen network sees -------------------------------------------------------------------


def seen(x):
    """The maps of the network's four stages, read off the whole network's layers in NumPy."""
    network = anime_network.load()
    stages = [layer.output for layer in network.layers if type(layer).__name__ == "Add"]
    return [np.asarray(maps) for maps in keras.Model(network.input, stages)(x, training=False)]


def test_feature_errors_by_hand():
    x, other = (data.render(3, size=64, seed=s).images.astype("f4") / 127.5 - 1 for s in (1, 2))
    wanted = [np.mean((a - b) ** 2) for a, b in zip(seen(x), seen(other), strict=True)]
    found = ops.convert_to_numpy(module.feature_errors(x, other))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    np.testing.assert_array_equal(module.feature_errors(x, x), 0.0)


def test_pictures_of_other_sizes_are_brought_to_its_own():
    x = data.render(2, size=64, seed=1).images.astype("f4") / 127.5 - 1
    twice = x.repeat(2, axis=1).repeat(2, axis=2)
    found = module.feature_errors(twice, np.zeros_like(twice))
    wanted = module.feature_errors(x, np.zeros_like(x))
    np.testing.assert_allclose(found, wanted, rtol=0.2)


def test_perceptual_loss_is_the_sum_of_its_parts(images):
    """Pixels as a Gaussian, and each stage as one of as many numbers as a picture has."""
    vae = small(likelihood="perceptual", sigma=0.5)
    x = images.astype("float32") / 127.5 - 1
    pixels = ops.convert_to_numpy(vae.decoder(np.zeros((24, 5), "f4"), training=False))
    errors = ops.convert_to_numpy(module.feature_errors(x, pixels)).astype("f8")
    variances = 0.95 + 0.05 * errors  # they began at 1, and have followed one batch
    wanted = 0.5 * 32 * 32 * 3 * (errors / variances + np.log(2 * np.pi * variances)).sum()
    assert float(vae.feature_nll(x, pixels)) == pytest.approx(wanted, rel=1e-5)
    np.testing.assert_allclose(vae.feature_variances, variances, rtol=1e-5)

    for weight in (0.0, 2.0):
        vae = small(likelihood="perceptual", sigma=0.5)
        vae.compile(perceptual=weight)
        vae.objective(x)
        found = {meter.name: float(meter.result()) for meter in vae.meters}
        if weight == 0.0:
            pixels_alone = found["reconstruction"]
    assert found["reconstruction"] > pixels_alone + 2 * 0.5 * 3072 * 4 * np.log(2 * np.pi) * 0.5
    # The bound is that of the pixels, whatever was lowered.
    mean, _ = vae.encode(images)
    nll = vae.nll(x, vae.decoder(mean.astype("f4"), training=False))
    wanted = np.asarray(gaussian_nll(x, vae.decoder(mean.astype("f4")), np.float32(0.25)))
    np.testing.assert_allclose(nll, wanted, rtol=1e-6)


def test_the_network_that_looks_does_not_learn(images):
    vae = small(likelihood="perceptual")
    x = ops.convert_to_tensor(images.astype("float32") / 127.5 - 1)
    before = [w.copy() for w in anime_network.stages().get_weights()]
    vae.train_step(x)
    for old, new in zip(before, anime_network.stages().get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    names = {v.path.split("/")[0] for v in vae.trainable_variables}
    assert not anime_network.stages().trainable_variables
    assert len(vae.trainable_variables) == len(small().trainable_variables), names


# --- the codes of all pictures together -----------------------------------------------------------


def test_density_follows_the_codes():
    """Batches of one q(z): its mean, and its covariance, to which the spread of q(z|x) adds."""
    random = np.random.default_rng(0)
    mixing = np.array([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, -1.0, 1.0]])
    spread = np.array([0.1, 0.5, 1.0])
    density = module.CodeDensity(3)
    log_variance = np.tile(2 * np.log(spread), (64, 1)).astype("f4")
    for _ in range(1500):
        mean = random.normal(size=(64, 3)) @ mixing.T + [3.0, -1.0, 0.0]
        density.follow(ops.convert_to_tensor(mean.astype("f4")), log_variance)
    covariance = mixing @ mixing.T + np.diag(spread**2)
    np.testing.assert_allclose(density.mean, [3.0, -1.0, 0.0], atol=0.1)
    np.testing.assert_allclose(density.covariance, covariance, atol=0.3)
    root = ops.convert_to_numpy(density.root)
    np.testing.assert_allclose(root @ root.T, density.covariance, atol=1e-4)
    drawn = ops.convert_to_numpy(density(random.normal(size=(20_000, 3)).astype("f4")))
    np.testing.assert_allclose(np.cov(drawn.T), density.covariance, atol=0.15)
    np.testing.assert_allclose(drawn.mean(axis=0), density.mean, atol=0.06)


def test_two_groups_are_followed_as_one():
    """One step is exact: the moments of a mixture of what was known and of the batch."""
    density = module.CodeDensity(2)
    mean = np.array([[4.0, 0.0], [6.0, 2.0]], "f4")
    density.follow(ops.convert_to_tensor(mean), np.full((2, 2), -100.0, "f4"))
    share = 1 - module.SETTLING
    centre = share * mean.mean(axis=0)
    second = module.SETTLING * np.eye(2) + share * (mean.T @ mean) / 2
    np.testing.assert_allclose(density.mean, centre, rtol=1e-5)
    np.testing.assert_allclose(density.covariance, second - np.outer(centre, centre), rtol=1e-5)


def test_draws_by_the_codes_density(images):
    vae = small()
    points = np.random.default_rng(0).normal(size=(3, 5)).astype("float32")
    # Before any training it is p(z).
    np.testing.assert_array_equal(vae.draw(points), vae.decode(points))
    root = np.tril(np.full((5, 5), 0.3)).astype("f4")
    vae.density.set_weights([np.full(5, 2.0, "f4"), root @ root.T, root])
    np.testing.assert_array_equal(vae.draw(points), vae.decode(2.0 + points @ root.T))
    floats = ops.convert_to_numpy(vae(points))
    np.testing.assert_array_equal(np.round((floats + 1) * 127.5).astype("uint8"), vae.draw(points))
    # A step of training moves it.
    vae.train_step(ops.convert_to_tensor(images.astype("float32") / 127.5 - 1))
    assert np.abs(ops.convert_to_numpy(vae.density.mean) - 2.0).max() > 1e-4


# --- the bound ------------------------------------------------------------------------------------


class Linear:
    """x = W z + b + σ ε, whose likelihood and posterior are known (Tipping and Bishop 1999)."""

    sigma = 0.6

    def __init__(self):
        random = np.random.default_rng(5)
        pixels = 32 * 32 * 3
        directions, _ = np.linalg.qr(random.normal(size=(pixels, 2)))
        self.w = directions * [3.0, 1.0]  # at right angles, so that the posterior is diagonal
        self.b = random.uniform(-0.2, 0.2, pixels)
        self.shrunk = np.diag(self.w.T @ self.w) / self.sigma**2 + 1.0

    def pictures(self, count):
        random = np.random.default_rng(6)
        z = random.normal(size=(count, 2))
        noise = self.sigma * random.normal(size=(count, len(self.b)))
        return (z @ self.w.T + self.b + noise).reshape(-1, 32, 32, 3).astype("float32")

    def log_likelihood(self, x):
        x = x.reshape(len(x), -1).astype("float64") - self.b
        along = x @ (self.w / np.linalg.norm(self.w, axis=0))
        variances = np.diag(self.w.T @ self.w) + self.sigma**2
        rest = (x**2).sum(axis=1) - (along**2).sum(axis=1)
        pixels = x.shape[1]
        log_determinant = np.log(variances).sum() + (pixels - 2) * np.log(self.sigma**2)
        squares = (along**2 / variances).sum(axis=1) + rest / self.sigma**2
        return -0.5 * (squares + log_determinant + pixels * np.log(2 * np.pi))

    def vae(self, width=1.0, shift=0.0):
        """The exact posterior; or one too wide by a factor, and shifted."""
        vae = models.VAE(32, latent_dim=2, width=1, sigma=self.sigma)
        images = keras.Input((32, 32, 3))
        flat = layers.Flatten()(images)
        mean, spread = layers.Dense(2), layers.Dense(2, kernel_initializer="zeros")
        vae.encoder = keras.Model(images, [mean(flat), spread(flat)])
        to_code = self.w / self.sigma**2 / self.shrunk
        mean.set_weights([to_code, shift - self.b @ to_code])
        spread.bias.assign(-np.log(self.shrunk) + 2 * np.log(width))
        code = keras.Input((2,))
        back = layers.Dense(32 * 32 * 3)
        vae.decoder = keras.Model(code, layers.Reshape((32, 32, 3))(back(code)))
        back.set_weights([self.w.T, self.b])
        return vae


def test_with_the_exact_posterior_one_code_tells_the_likelihood():
    """Then p(x|z) p(z) / q(z|x) is p(x), whatever z is."""
    linear = Linear()
    x = linear.pictures(6)
    wanted = linear.log_likelihood(x)
    for seed in (0, 1):
        found = linear.vae().log_likelihood(x, samples=1, seed=seed)
        np.testing.assert_allclose(found, wanted, atol=0.02)  # of some -2,900 nats, in float32


def test_elbo_lies_below_by_the_kl_to_the_posterior():
    linear = Linear()
    x = linear.pictures(3)
    wanted = linear.log_likelihood(x)
    np.testing.assert_allclose(linear.vae().elbo(x, samples=2000), wanted, atol=0.08)
    width, shift = 1.5, 0.1
    gap = 0.5 * (width**2 + shift**2 * linear.shrunk - 1 - 2 * np.log(width)).sum()
    assert gap > 0.5
    worse = linear.vae(width, shift)
    np.testing.assert_allclose(wanted - worse.elbo(x, samples=2000), gap, atol=0.12)
    # Many codes make up for a posterior that is off.
    np.testing.assert_allclose(worse.log_likelihood(x, samples=2000), wanted, atol=0.12)


# --- the model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_learns_to_give_back(images, likelihood):
    vae = small(likelihood=likelihood, latent_dim=16, width=8)
    x = images.astype("float32") / 127.5 - 1
    before = {v.path: ops.convert_to_numpy(v) for v in vae.trainable_variables}
    first = {name: float(value) for name, value in vae.train_step(ops.convert_to_tensor(x)).items()}
    for variable in vae.trainable_variables:
        assert np.abs(ops.convert_to_numpy(variable) - before[variable.path]).max() > 0
    vae.compile(learning_rate=5e-3)
    log = vae.fit(x, batch_size=24, epochs=120, verbose=0).history
    assert ("sigma" in log) == (likelihood != "bernoulli")
    assert log["loss"][-1] < first["loss"] - 400
    mean_face = np.abs(images - images.mean(axis=0)).mean()
    assert np.abs(vae.reconstruct(images).astype(float) - images).mean() < 0.75 * mean_face


def test_learns_to_look_alike(images):
    """Its features come nearer to those of the pictures, and every number of both networks moves."""
    vae = small(likelihood="perceptual", latent_dim=16, width=8)
    vae.compile(learning_rate=5e-3)
    x = images.astype("float32") / 127.5 - 1
    before = {v.path: ops.convert_to_numpy(v) for v in vae.trainable_variables}
    log = vae.fit(x, batch_size=24, epochs=20, verbose=0).history
    for variable in vae.trainable_variables:
        assert np.abs(ops.convert_to_numpy(variable) - before[variable.path]).max() > 0
    assert log["reconstruction"][-1] < 0.9 * log["reconstruction"][0]
    assert (ops.convert_to_numpy(vae.feature_variances) < 0.98).any() and "sigma" in log


def test_sigma_stays_where_it_is_given(images):
    vae = small(sigma=0.25)
    x = ops.convert_to_tensor(images.astype("float32") / 127.5 - 1)
    assert float(vae.train_step(x)["sigma"]) == pytest.approx(0.25, rel=1e-6)


def test_noise_has_the_spread_that_is_asked_for():
    vae = small()
    log_variance = np.log(np.array([0.25, 1.0, 4.0, 9.0, 0.01], "float32"))
    code = vae.draw_code(np.full((20_000, 5), 2.0, "float32"), np.tile(log_variance, (20_000, 1)))
    code = ops.convert_to_numpy(code)
    np.testing.assert_allclose(code.std(axis=0), [0.5, 1, 2, 3, 0.1], rtol=0.03)
    np.testing.assert_allclose(code.mean(axis=0), 2.0, atol=0.1)


def test_pictures_in_and_out(images):
    vae = small()
    drawn = vae.generate(5, seed=4)
    assert drawn.shape == (5, 32, 32, 3) and drawn.dtype == np.uint8
    np.testing.assert_array_equal(vae.generate(3, seed=4, batch_size=2), drawn[:3])
    mean, spread = vae.encode(images[:7], batch_size=3)
    assert mean.shape == spread.shape == (7, 5)
    np.testing.assert_array_equal(vae.reconstruct(images[:7]), vae.decode(mean))
    for wrong in (images[:, :16], images.astype("int32"), images[0]):
        with pytest.raises(ValueError, match=r"takes pictures \(count, 32, 32, 3\)"):
            vae.encode(wrong)
    with pytest.raises(ValueError, match="no pictures"):
        vae.encode(images[:0])
    with pytest.raises(ValueError, match="count must be at least 1"):
        vae.generate(0)


def test_bernoulli_pictures_are_the_mean():
    vae = small(likelihood="bernoulli")
    code = np.random.default_rng(0).normal(size=(2, 5)).astype("float32")
    logits = ops.convert_to_numpy(vae.decoder(code, training=False))
    mean = 2 / (1 + np.exp(-logits)) - 1
    np.testing.assert_allclose(ops.convert_to_numpy(vae(code)), mean, atol=1e-5)


def test_saves_and_loads(images, tmp_path):
    vae = small()
    x = images.astype("float32") / 127.5 - 1
    vae.fit(x, batch_size=8, epochs=2, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(loaded.generate(4), vae.generate(4))
    assert float(loaded.variance) == float(vae.variance) != 1.0
    # Its noise and its optimizer go on as they would have.
    batch = ops.convert_to_tensor(x[:8])
    vae.reset_metrics()
    for _ in range(2):
        ours, theirs = float(vae.train_step(batch)["loss"]), float(loaded.train_step(batch)["loss"])
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_checkpoint_holds_everything(images, tmp_path):
    x = ops.convert_to_tensor(images[:8].astype("float32") / 127.5 - 1)
    vae, other = small(), small(seed=9)
    vae.train_step(x)
    checkpoints.save(vae, tmp_path, 1)
    vae.train_step(x)
    checkpoints.load(other, tmp_path / "step-000000001.npz")
    other.train_step(x)
    for ours, theirs in zip(vae.variables, other.variables, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ours.value), ops.convert_to_numpy(theirs.value)
        )
