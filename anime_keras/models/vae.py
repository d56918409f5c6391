"""VAE: pictures from a code that an encoder finds, and that a decoder reads.

Kingma and Welling 2014, "Auto-Encoding Variational Bayes", whose names are used here: q(z|x) is what
the encoder says of the code z of a picture x, p(x|z) what the decoder says of the picture of a code,
p(z) a standard normal. Beta: Higgins et al. 2017, "beta-VAE", equation 4. Free bits: Kingma et al.
2016, "Improved Variational Inference with Inverse Autoregressive Flow", appendix C.8. What a frozen
network sees as part of the loss: Hou et al. 2017, "Deep Feature Consistent Variational Autoencoder",
section 3. Drawing from a Gaussian that is fitted to the codes, not from p(z): Ghosh et al. 2020, "From
Variational to Deterministic Autoencoders", section 4. The networks are DCGAN's, upside down and up.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import kernels, replicas, training
from anime_keras.layers import BatchNormalization, Downsample, Upsample
from anime_keras.metrics import anime_network
from anime_keras.models.generating import Generating

Tensor = Any
SIZES = (32, 64, 128, 256)
LIKELIHOODS = ("gaussian", "bernoulli", "perceptual")
FOLLOWING = 0.95  # of the moving mean of the squared error: some twenty steps
SETTLING = 0.995  # of the moving means of the codes' moments: some two hundred steps
LOG_2PI = math.log(2 * math.pi)


# --- the networks ---------------------------------------------------------------------------------


def _channels(image_size: int, width: int) -> list[int]:
    """Channels at half the picture's size, a quarter, … down to 4x4: more as maps get smaller."""
    if image_size not in SIZES:
        raise ValueError(f"image_size must be one of {SIZES}, not {image_size!r}.")
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width!r}.")
    return [width * min(8, 2**step) for step in range(int(math.log2(image_size // 4)))]


def build_encoder(image_size: int = 64, latent_dim: int = 64, width: int = 32) -> keras.Model:
    """Pictures (batch, image_size, image_size, 3) in [-1, 1] to two rows of (batch, latent_dim).

    Strided 4x4 convolutions down to 4x4, BatchNorm and LeakyReLU 0.2, and a linear layer that names
    mean and log variance of the code, each dimension by itself (Kingma and Welling, equation 9).

    Args:
        image_size: 32, 64, 128 or 256.
        latent_dim: how many numbers a code has.
        width: channels of the first convolution; further in up to eight times as many.

    Raises:
        ValueError: image_size is not 32, 64, 128 or 256, or width is below 1.
    """
    images = x = layers.Input((image_size, image_size, 3), name="images")
    for channels in _channels(image_size, width):
        x = layers.LeakyReLU(negative_slope=0.2)(
            BatchNormalization(momentum=0.9)(Downsample(channels)(x))
        )
    x = layers.Flatten()(x)
    mean = layers.Dense(latent_dim, dtype="float32", name="mean")(x)
    # Begins near the prior's width, so that the first codes are neither blurred nor torn apart.
    log_variance = layers.Dense(
        latent_dim, kernel_initializer="zeros", dtype="float32", name="log_variance"
    )(x)
    return keras.Model(images, [mean, log_variance], name="encoder")


def build_decoder(
    image_size: int = 64, latent_dim: int = 64, width: int = 32, likelihood: str = "gaussian"
) -> keras.Model:
    """Codes (batch, latent_dim) to what p(x|z) is made of, (batch, image_size, image_size, 3).

    A linear layer to 4x4, then fractionally strided 4x4 convolutions, BatchNorm and ReLU between.

    Args:
        image_size: 32, 64, 128 or 256.
        latent_dim: how many numbers a code has.
        width: channels of the last layer but one; further in up to eight times as many.
        likelihood: "gaussian" or "perceptual", where the answer is the mean of each pixel in [-1, 1],
            or "bernoulli", where it is a logit.

    Raises:
        ValueError: as `build_encoder`, or there is no such likelihood.
    """
    if likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood must be one of {LIKELIHOODS}, not {likelihood!r}.")
    *rest, last = _channels(image_size, width)
    code = layers.Input((latent_dim,), name="code")
    x = layers.Reshape((4, 4, last))(layers.Dense(16 * last, use_bias=False)(code))
    x = layers.ReLU()(BatchNormalization(momentum=0.9)(x))
    for channels in reversed(rest):
        x = layers.ReLU()(BatchNormalization(momentum=0.9)(Upsample(channels)(x)))
    x = Upsample(3, name="to_rgb")(x)
    activation = "linear" if likelihood == "bernoulli" else "tanh"
    pixels = layers.Activation(activation, dtype="float32", name="pixels")(x)
    return keras.Model(code, pixels, name="decoder")


# --- the terms of the bound -----------------------------------------------------------------------


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z|x) || p(z)) of each dimension, in nats: (batch, latent_dim).

    ½ (μ² + σ² - 1 - log σ²), Kingma and Welling, appendix B.
    """
    return 0.5 * (ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance)


def gaussian_nll(images: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """-log p(x|z) of pictures if each pixel is normal about its mean: nats a picture, (batch,)."""
    squared = ops.square(images - mean) / variance
    return 0.5 * ops.sum(squared + ops.log(variance) + LOG_2PI, axis=(1, 2, 3))


def bernoulli_nll(images: Tensor, logits: Tensor) -> Tensor:
    """Binary cross-entropy of pictures in [-1, 1], moved to [0, 1]: nats a picture, (batch,).

    For pixels that are 0 or 1 it is -log p(x|z). For those between it is no density, since it does not
    integrate to 1 (Loaiza-Ganem and Cunningham 2019); it is used all the same, as a loss.
    """
    targets = 0.5 * (images + 1.0)
    return ops.sum(ops.softplus(logits) - targets * logits, axis=(1, 2, 3))


def feature_errors(images: Tensor, pixels: Tensor) -> Tensor:
    """How differently the kit's own frozen network sees two batches: (4,), one for each of its stages.

    The mean squared difference of the maps of `metrics.anime_network`, from edges to whole faces (Hou
    et al., equation 4, without the factor). Pictures of other sizes are brought to the 64 px it knows.
    """
    stages = anime_network.stages()

    def seen(batch: Tensor) -> list[Tensor]:
        if batch.shape[1] != anime_network.SIDE:
            batch = ops.image.resize(batch, (anime_network.SIDE,) * 2, antialias=True)
        return [ops.cast(maps, "float32") for maps in stages(batch, training=False)]

    pairs = zip(seen(images), seen(pixels), strict=True)
    return ops.stack([ops.mean(ops.square(one - other)) for one, other in pairs])


# --- what an encoder and a decoder can do, however they were trained ------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class CodeDensity(keras.layers.Layer):
    """The codes of all pictures together, as a Gaussian that follows them through training.

    What the pictures' codes are together, q(z), the mean of q(z|x) over the data, is never quite p(z):
    a code that p(z) draws may be like none that the decoder ever met. So `generate` draws from a
    Gaussian with q(z)'s mean and covariance (Ghosh et al., section 4). Its moments are moving means
    over batches, as BatchNorm's are, and begin as p(z)'s.

    Args:
        latent_dim: how many numbers a code has.
    """

    def __init__(self, latent_dim: int, **kwargs) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_dim = latent_dim
        square = (latent_dim, latent_dim)
        fixed = {"trainable": False}
        self.mean = self.add_weight((latent_dim,), "zeros", name="mean", **fixed)
        self.covariance = self.add_weight(square, "identity", name="covariance", **fixed)
        self.root = self.add_weight(square, "identity", name="root", **fixed)
        self.built = True

    def call(self, points: Tensor) -> Tensor:
        """Standard normal points (batch, latent_dim) to codes that are spread as those of pictures."""
        return self.mean + ops.matmul(points, ops.transpose(self.root))

    def follow(self, mean: Tensor, log_variance: Tensor) -> None:
        """Move towards the moments of a batch of q(z|x), each (batch, latent_dim)."""
        center = replicas.mean(ops.mean(mean, axis=0))
        apart = mean - center
        scatter = ops.matmul(ops.transpose(apart), apart) / ops.cast(ops.shape(mean)[0], "float32")
        scatter = replicas.mean(scatter + ops.diag(ops.mean(ops.exp(log_variance), axis=0)))
        # Two groups as one: their own scatters, and that between their centres.
        step = center - self.mean
        between = SETTLING * (1.0 - SETTLING) * ops.outer(step, step)
        covariance = SETTLING * self.covariance + (1.0 - SETTLING) * scatter + between
        self.mean.assign(self.mean + (1.0 - SETTLING) * step)
        self.covariance.assign(covariance)
        self.root.assign(ops.cholesky(covariance))

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {**super().get_config(), "latent_dim": self.latent_dim}


class Autoencoder(Generating, training.Adversarial):
    """An encoder and a decoder, and what can be done with the two, however they were trained.

    Args:
        image_size, latent_dim, width, likelihood: of `build_encoder` and `build_decoder`.
        seed: of the noise. The weights' own draw follows `keras.utils.set_random_seed`.
    """

    def __init__(
        self, image_size: int, latent_dim: int, width: int, likelihood: str, seed: int, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        if latent_dim < 1:
            raise ValueError(f"latent_dim must be at least 1, not {latent_dim!r}.")
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.likelihood = likelihood
        self.encoder = build_encoder(image_size, latent_dim, width)
        self.decoder = build_decoder(image_size, latent_dim, width, likelihood)
        self.density = CodeDensity(latent_dim)
        self.noise_seed = keras.random.SeedGenerator(seed)

    def draw_code(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """A code from q(z|x), through which gradients reach both its parameters.

        z = μ + σ ε with ε standard normal: the reparameterisation, Kingma and Welling, section 2.4.
        """
        noise = replicas.normal(ops.shape(mean), dtype=mean.dtype, seed=self.noise_seed)
        return mean + ops.exp(0.5 * log_variance) * noise

    # --- drawing ----------------------------------------------------------------------------------

    def call(self, points: Tensor, training: bool = False) -> Tensor:
        """Pictures in [-1, 1] from standard normal points, which `density` turns into codes."""
        return self.pictures(self.density(points), training)

    def pictures(self, codes: Tensor, training: bool = False) -> Tensor:
        """Pictures in [-1, 1] from codes: the mean of p(x|z)."""
        pixels = self.decoder(codes, training=training)
        # 2 σ(l) - 1 = tanh(l / 2)
        return ops.tanh(0.5 * pixels) if self.likelihood == "bernoulli" else pixels

    def draw(self, points: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The pictures of standard normal points (count, latent_dim), as uint8 RGB.

        Codes come from the Gaussian that was fitted to those of the pictures (`density`). Those of p(z)
        are `decode(points)`.
        """
        root = ops.convert_to_numpy(self.density.root)
        codes = ops.convert_to_numpy(self.density.mean) + np.asarray(points, "float32") @ root.T
        return self.decode(codes, batch_size)

    def decode(self, codes: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The pictures of given codes (count, latent_dim), as uint8 RGB."""
        batches = [
            training.forward(self.decoder, np.asarray(codes[i : i + batch_size], "float32"))
            for i in range(0, len(codes), batch_size)
        ]
        pixels = np.concatenate(batches)
        if self.likelihood == "bernoulli":
            pixels = np.tanh(0.5 * pixels)
        return np.round((pixels + 1.0) * 127.5).astype("uint8")

    def encode(self, images: np.ndarray, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the code of each picture, float64 (count, latent_dim) each.

        Args:
            images: uint8 RGB (count, size, size, 3), or float32 in [-1, 1].
            batch_size: how many at a time.

        Raises:
            ValueError: the pictures have another size or type.
        """
        mean, log_variance = self._encode(self._check(images), batch_size)
        return mean, np.exp(0.5 * log_variance)

    def reconstruct(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Pictures there and back, by the means of their codes: uint8 RGB of the same shape."""
        return self.decode(self.encode(images, batch_size)[0], batch_size)

    def _encode(self, x: np.ndarray, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray]:
        found = [
            training.forward(self.encoder, x[i : i + batch_size])
            for i in range(0, len(x), batch_size)
        ]
        mean, log_variance = (
            np.concatenate(part).astype("float64") for part in zip(*found, strict=True)
        )
        return mean, log_variance

    def _check(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        size = self.image_size
        kinds = (np.dtype("uint8"), np.dtype("float32"))
        if images.dtype not in kinds or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"This model takes pictures (count, {size}, {size}, 3), uint8 or float32 in [-1, 1], "
                f"not {images.dtype} {images.shape}."
            )
        if not len(images):
            raise ValueError("There are no pictures.")
        return images.astype("float32") / 127.5 - 1.0 if images.dtype == np.uint8 else images


# --- the model ------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class VAE(Autoencoder):
    """An encoder and a decoder that learn together; no opponent.

        vae = VAE(image_size=64)
        vae.compile()
        vae.fit(batches, epochs=10)            # float32 pictures in [-1, 1], channels last
        pictures = vae.generate(64, seed=0)    # uint8, of random codes
        again = vae.reconstruct(pictures)      # uint8, there and back
        codes, _ = vae.encode(pictures)

    With likelihood "perceptual" the pictures shall also look alike to a network that knows faces, at
    four depths. What it sees counts as further numbers of the picture, each stage as many as there are
    pixels, normal with a variance that follows the error as `sigma` does. The loss is then no bound of
    log p(x) any more: what the network sees follows from the pixels, and is counted beside them. `elbo`
    measures the bound all the same, of the pixels alone.

    Args:
        image_size: side of the square pictures in pixels: 32, 64, 128 or 256.
        latent_dim: how many numbers a code has.
        width: channels of the layers next to the picture; the others have up to eight times as many.
        likelihood: "gaussian", "bernoulli", or "perceptual", which is Gaussian in pixels and in what
            `metrics.anime_network` sees.
        sigma: standard deviation of the Gaussian, in pixels from -1 to 1, the same for all; None for
            the best one, the root of the mean squared error, which is followed through training. It
            weighs the two terms of the bound as the data ask (Rybkin et al. 2021, "Simple and Effective
            VAE Training with Calibrated Decoders", section 3.2).
        seed: of the noise. The weights' own draw follows `keras.utils.set_random_seed`.
    """

    def __init__(
        self,
        image_size: int = 64,
        latent_dim: int = 64,
        width: int = 32,
        likelihood: str = "gaussian",
        sigma: float | None = None,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(image_size, latent_dim, width, likelihood, seed, **kwargs)
        if sigma is not None and not sigma > 0:
            raise ValueError(f"sigma must be above 0, not {sigma!r}.")
        self._settings = {
            "image_size": image_size,
            "latent_dim": latent_dim,
            "width": width,
            "likelihood": likelihood,
            "sigma": sigma,
            "seed": seed,
        }
        self.follows_error = sigma is None and likelihood != "bernoulli"
        self.variance = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant((sigma or 1.0) ** 2),
            trainable=False,
            dtype="float32",
            name="variance",
        )
        if likelihood == "perceptual":
            self.feature_variances = self.add_weight(
                shape=(len(anime_network.stages().outputs),),
                initializer="ones",
                trainable=False,
                dtype="float32",
                name="feature_variances",
            )
        self.meters = [
            keras.metrics.Mean(name=name) for name in ("loss", "reconstruction", "kl", "sigma")
        ]

    def compile(
        self,
        beta: float = 1.0,
        free_bits: float = 0.0,
        perceptual: float = 1.0,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        decay: str = "constant",
        decay_steps: int | None = None,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose how the two terms are weighed and how the loss is lowered.

        Args:
            beta: weight of the KL term. At 1 the loss is the negative bound; above, codes say less of a
                picture, and each dimension more by itself.
            free_bits: nats that each dimension of the code has for nothing: below, on the mean over a
                batch, its KL does not count, so that it is not given up early.
            perceptual: with that likelihood, how much a number that the network sees counts beside a
                pixel's.
            learning_rate: Adam's.
            beta_1: Adam's momentum.
            beta_2: Adam's second one.
            decay: "constant", "linear" to 0 or "cosine" to 0, over decay_steps optimizer steps.
            decay_steps: needed for the latter two.
            accumulate: average the gradients of this many batches before each optimizer step.
            **kwargs: `jit_compile`, `steps_per_execution` … of `keras.Model.compile`.

        Raises:
            ValueError: a weight below 0, or a decay that there is not.
        """
        self._rules = {
            k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")
        }
        self._rules.update(kwargs)
        for name, value in (
            ("beta", beta),
            ("free_bits", free_bits),
            ("perceptual", perceptual),
        ):
            if value < 0:
                raise ValueError(f"{name} must be at least 0, not {value}.")
        rate = training.schedule(learning_rate, decay, decay_steps)
        super().compile(**kwargs)
        self.beta = beta
        self.free_bits = free_bits
        self.perceptual = perceptual
        self.optimizer_of_both = self.add_optimizer(
            kernels.Adam(
                rate,
                beta_1=beta_1,
                beta_2=beta_2,
                epsilon=1e-8,
                gradient_accumulation_steps=accumulate if accumulate > 1 else None,
            ),
            self.trainable_variables,
        )

    def train_step(self, images: Tensor) -> dict[str, Tensor]:
        """One step on pictures (batch, size, size, 3) in [-1, 1].

        Kingma and Welling, algorithm 1, with one code a picture: encode, draw a code, decode, and step
        up the bound.
        """
        loss = self.minimize(
            lambda: self.objective(images), self.trainable_variables, self.optimizer_of_both
        )
        return self.update_meters(loss=loss, sigma=ops.sqrt(self.variance))

    def objective(self, images: Tensor) -> Tensor:
        """What is lowered: nats a picture that the code costs and that it leaves to say."""
        mean, log_variance = self.encoder(images, training=True)
        self.density.follow(ops.stop_gradient(mean), ops.stop_gradient(log_variance))
        pixels = self.decoder(self.draw_code(mean, log_variance), training=True)
        if self.follows_error:
            _follow(self.variance, ops.mean(ops.square(images - pixels)))
        reconstruction = ops.mean(self.nll(images, pixels))
        if self.likelihood == "perceptual":
            reconstruction += self.perceptual * self.feature_nll(images, pixels)
        kl = replicas.mean(ops.mean(kl_divergence(mean, log_variance), axis=0))
        self.update_meters(reconstruction=reconstruction, kl=ops.sum(kl))
        return reconstruction + self.beta * ops.sum(ops.maximum(kl, self.free_bits))

    def nll(self, images: Tensor, pixels: Tensor) -> Tensor:
        """-log p(x|z) of pictures, given what the decoder answered: nats a picture, (batch,)."""
        if self.likelihood == "bernoulli":
            return bernoulli_nll(images, pixels)
        return gaussian_nll(images, pixels, self.variance)

    def feature_nll(self, images: Tensor, pixels: Tensor) -> Tensor:
        """What the frozen network would have to be told yet: nats a picture, a mean over the batch.

        Each stage counts as a Gaussian of as many numbers as the picture has, all with the variance
        that followed the stage's error: ½ n (error / σ² + log 2πσ²).
        """
        errors = feature_errors(images, pixels)
        _follow(self.feature_variances, errors)
        variances = self.feature_variances + 0.0  # as a tensor
        numbers = 3 * self.image_size**2
        return 0.5 * numbers * ops.sum(errors / variances + ops.log(variances) + LOG_2PI)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` resets each epoch, in nats a picture; and sigma, where there is one."""
        return [m for m in self.meters if m.name != "sigma" or self.likelihood != "bernoulli"]

    # --- the bound, measured ----------------------------------------------------------------------

    def elbo(self, images: np.ndarray, samples: int = 1, seed: int = 0) -> np.ndarray:
        """The evidence lower bound of each picture in nats, float64 (count,), with beta 1.

        Args:
            images: uint8 RGB (count, size, size, 3), or float32 in [-1, 1].
            samples: codes a picture that the reconstruction term is averaged over.
            seed: of the codes.

        Raises:
            ValueError: the pictures have another size or type.
        """
        x = self._check(images)
        mean, log_variance = self._encode(x)
        terms = [self._nll_of_codes(x, code) for code in _draws(mean, log_variance, samples, seed)]
        kl = 0.5 * (mean**2 + np.exp(log_variance) - 1.0 - log_variance).sum(axis=1)
        return -np.mean(terms, axis=0) - kl

    def log_likelihood(self, images: np.ndarray, samples: int = 100, seed: int = 0) -> np.ndarray:
        """Estimate log p(x) of each picture in nats, float64 (count,), from below.

        log of the mean of p(x|z) p(z) / q(z|x) over codes from q (Burda et al. 2016, "Importance
        Weighted Autoencoders", equation 8): with one code it is a bound, as `elbo`; with more it comes
        nearer.

        Args:
            images: as for `elbo`.
            samples: codes a picture.
            seed: of the codes.
        """
        x = self._check(images)
        mean, log_variance = self._encode(x)
        logs = []
        for code in _draws(mean, log_variance, samples, seed):
            q = _log_normal(code, mean, log_variance)
            logs.append(-self._nll_of_codes(x, code) + _log_normal(code, 0.0, 0.0) - q)
        highest = np.max(logs, axis=0)
        return highest + np.log(np.mean(np.exp(logs - highest), axis=0))

    def _nll_of_codes(self, x: np.ndarray, code: np.ndarray) -> np.ndarray:
        pixels = training.forward(self.decoder, code.astype("float32"))
        return np.asarray(ops.convert_to_numpy(self.nll(x, pixels)), "float64")


def _follow(variance: keras.Variable, error: Tensor) -> None:
    """Move a variance towards the squared error of a batch."""
    error = replicas.mean(ops.stop_gradient(error))
    variance.assign(FOLLOWING * variance + (1.0 - FOLLOWING) * error)


def _draws(mean: np.ndarray, log_variance: np.ndarray, samples: int, seed: int) -> Any:
    random = np.random.default_rng(seed)
    for _ in range(samples):
        yield mean + np.exp(0.5 * log_variance) * random.standard_normal(mean.shape)


def _log_normal(code: np.ndarray, mean: Any, log_variance: Any) -> np.ndarray:
    """The value log N(z; mean, exp(log_variance)) of rows of codes, summed over their dimensions."""
    squared = (code - mean) ** 2 / np.exp(log_variance)
    return -0.5 * (squared + log_variance + LOG_2PI).sum(axis=1)
