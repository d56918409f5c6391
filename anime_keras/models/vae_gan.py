"""VAE-GAN: a VAE whose decoder plays a GAN, and whose pictures are compared as the opponent sees them.

Larsen, Sonderby, Larochelle and Winther 2016, "Autoencoding beyond pixels using a learned similarity
metric". A VAE's Gaussian compares pixel by pixel, and under it the best answer to an edge whose place
is not known to the pixel is a blur. Here the Gaussian is on an inner layer of the discriminator (the
paper's equations 7 and 8): an edge is to be there, not at that pixel. What the layer does not say, the
game does: a blurred picture is found out. Encoder and decoder are the VAE's, the discriminator is
DCGAN's.
"""

from typing import Any

import keras
from keras import ops

from anime_keras import kernels, losses, replicas, training
from anime_keras.models.dcgan import build_discriminator
from anime_keras.models.vae import Autoencoder, kl_divergence

Tensor = Any
LAYER = (
    "norm_8"  # Dis_l: the discriminator's maps of 8x8, where the paper takes its third convolution
)


@keras.saving.register_keras_serializable("anime_keras")
class VAEGAN(Autoencoder):
    """Encoder, decoder and discriminator, each with its own loss.

        model = VAEGAN(image_size=64)
        model.compile()
        model.fit(batches, epochs=10)            # float32 pictures in [-1, 1], channels last
        pictures = model.generate(64, seed=0)    # uint8, of random codes
        again = model.reconstruct(pictures)      # uint8, there and back

    Args:
        image_size: side of the square pictures in pixels: 32, 64, 128 or 256.
        latent_dim: how many numbers a code has.
        width: channels next to the picture, of all three networks; further in up to eight times more.
        seed: of the noise. The weights' own draw follows `keras.utils.set_random_seed`.
    """

    def __init__(
        self,
        image_size: int = 64,
        latent_dim: int = 64,
        width: int = 32,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(image_size, latent_dim, width, "gaussian", seed, **kwargs)
        self._settings = {
            "image_size": image_size,
            "latent_dim": latent_dim,
            "width": width,
            "seed": seed,
        }
        self.discriminator = build_discriminator(image_size, width)
        self.inner = keras.Model(
            self.discriminator.input,
            [self.discriminator.get_layer(LAYER).output, self.discriminator.output],
            name="discriminator_with_features",
        )
        names = ("d_loss", "g_loss", "real_score", "fake_score", "reconstruction", "kl")
        self.meters = [keras.metrics.Mean(name=name) for name in names]

    def compile(
        self,
        gamma: float = 1e-3,
        beta: float = 1.0,
        learning_rate: float = 3e-4,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        decay: str = "constant",
        decay_steps: int | None = None,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose how the three losses are weighed and lowered.

        Args:
            gamma: the decoder's weight of likeness to the picture beside the game (the paper's γ). It
                counts nats a picture, of which there are thousands, and the game a few.
            beta: weight of the KL term in the encoder's loss, 1 in the paper.
            learning_rate: Adam's, of all three players.
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
        for name, value in (("gamma", gamma), ("beta", beta)):
            if value < 0:
                raise ValueError(f"{name} must be at least 0, not {value}.")
        super().compile(**kwargs)
        self.gamma = gamma
        self.beta = beta

        def adam(network: keras.Model) -> keras.optimizers.Optimizer:
            optimizer = kernels.Adam(
                training.schedule(learning_rate, decay, decay_steps),
                beta_1=beta_1,
                beta_2=beta_2,
                epsilon=1e-8,
                gradient_accumulation_steps=accumulate if accumulate > 1 else None,
            )
            return self.add_optimizer(optimizer, network.trainable_variables)

        self.discriminator_optimizer = adam(self.discriminator)
        self.encoder_optimizer = adam(self.encoder)
        self.decoder_optimizer = adam(self.decoder)

    def train_step(self, images: Tensor) -> dict[str, Tensor]:
        """One round on pictures (batch, size, size, 3) in [-1, 1]: Larsen et al., algorithm 1.

        Each player has its own loss. The encoder is not asked to fool the discriminator, and the
        discriminator not to see alike what should be alike. Random codes are drawn as `generate` draws
        them, from the Gaussian of the codes; the paper's are from p(z), as which that one begins.
        """
        shape = (ops.shape(images)[0], self.latent_dim)
        noise = replicas.normal(shape, dtype="float32", seed=self.noise_seed)
        points = replicas.normal(shape, dtype="float32", seed=self.noise_seed)
        codes = ops.stop_gradient(self.density(points))

        d_loss = self.minimize(
            lambda: self.discriminator_loss(images, noise, codes),
            self.discriminator.trainable_variables,
            self.discriminator_optimizer,
        )
        self.minimize(
            lambda: self.encoder_loss(images, noise),
            self.encoder.trainable_variables,
            self.encoder_optimizer,
        )
        g_loss = self.minimize(
            lambda: self.decoder_loss(images, noise, codes),
            self.decoder.trainable_variables,
            self.decoder_optimizer,
        )
        return self.update_meters(d_loss=d_loss, g_loss=g_loss)

    def discriminator_loss(self, images: Tensor, noise: Tensor, codes: Tensor) -> Tensor:
        """-L_GAN: pictures are real; those that came back, and those of random codes, are not."""
        real = self.discriminator(images, training=True)
        back = self.discriminator(self.there_and_back(images, noise), training=True)
        drawn = self.discriminator(self.decoder(codes, training=True), training=True)
        self.update_meters(
            real_score=ops.mean(ops.sigmoid(real)), fake_score=ops.mean(ops.sigmoid(drawn))
        )
        return losses.cross_entropy_discriminator(real, ops.concatenate([back, drawn]))

    def encoder_loss(self, images: Tensor, noise: Tensor) -> Tensor:
        """L_prior + L_llike: nats a picture that the code costs, and that it leaves to say."""
        mean, log_variance = self.encoder(images, training=True)
        self.density.follow(ops.stop_gradient(mean), ops.stop_gradient(log_variance))
        kl = ops.mean(ops.sum(kl_divergence(mean, log_variance), axis=1))
        back = self.decoder(mean + ops.exp(0.5 * log_variance) * noise, training=True)
        left = self.unlikeness(images, self.inner(back, training=True)[0])
        self.update_meters(kl=kl, reconstruction=left)
        return self.beta * kl + left

    def decoder_loss(self, images: Tensor, noise: Tensor, codes: Tensor) -> Tensor:
        """γ L_llike - L_GAN, where the game is the non-saturating one: it wants its logits up."""
        seen, back = self.inner(self.there_and_back(images, noise), training=True)
        drawn = self.discriminator(self.decoder(codes, training=True), training=True)
        fake = ops.concatenate([back, drawn])
        game = losses.non_saturating_generator(None, fake)
        return self.gamma * self.unlikeness(images, seen) + game

    def there_and_back(self, images: Tensor, noise: Tensor) -> Tensor:
        """x̃: what the decoder makes of the codes of pictures."""
        mean, log_variance = self.encoder(images, training=True)
        return self.decoder(mean + ops.exp(0.5 * log_variance) * noise, training=True)

    def unlikeness(self, images: Tensor, seen: Tensor) -> Tensor:
        """L_llike: -log N(Dis_l(x); Dis_l(x̃), I) but for its constant, nats a picture (equation 8).

        Args:
            images: x.
            seen: Dis_l(x̃), what the discriminator's inner layer makes of what came back.
        """
        wanted = self.inner(images, training=True)[0]
        apart = ops.cast(wanted, "float32") - ops.cast(seen, "float32")
        return 0.5 * ops.mean(ops.sum(ops.square(apart), axis=(1, 2, 3)))

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` resets each epoch: losses, scores, and the two terms of the bound."""
        return self.meters
