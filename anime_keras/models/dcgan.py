"""DCGAN: pictures from noise, by two convolutional networks that play against each other.

Radford, Metz and Chintala 2016, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks"; the game itself is Goodfellow et al. 2014, algorithm 1. Layers,
initialisation and defaults are those of the PyTorch project's reference example (`dcgan/main.py`),
weight for weight, and of Begum et al. 2025, section 3.2: latents of 100 numbers, batches of 64, Adam
with a learning rate of 0.0002.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import kernels, losses, replicas, training
from anime_keras.layers import (
    BatchNormalization,
    DifferentiableAugmentation,
    Downsample,
    LayerNormalization,
    Upsample,
)
from anime_keras.models.generating import Generating

Tensor = Any
SIZES = (32, 64, 128, 256)
NORMALIZATIONS = ("batch", "layer", "none")


# --- the networks ---------------------------------------------------------------------------------


def _kernel() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, 0.02)  # Radford et al., section 4


def _normalization(
    kind: str = "batch", momentum: float = 0.9, name: str | None = None
) -> layers.Layer:
    """A normalisation with the reference's epsilon, momentum and initialisation."""
    gamma = keras.initializers.RandomNormal(1.0, 0.02)
    if kind == "batch":
        return BatchNormalization(
            momentum=momentum, epsilon=1e-5, gamma_initializer=gamma, name=name
        )
    # As Gulrajani et al. advise where every picture must be judged by itself.
    return LayerNormalization(epsilon=1e-5, gamma_initializer=gamma, name=name)


def _channels(image_size: int, width: int) -> list[int]:
    """Channels at 4x4, 8x8, … up to half the picture's size: wide while small, 8 * width at most."""
    if image_size not in SIZES:
        raise ValueError(f"image_size must be one of {SIZES}, not {image_size!r}.")
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width!r}.")
    doublings = int(math.log2(image_size // 4))
    return [width * min(8, 2 ** (doublings - 1 - step)) for step in range(doublings)]


def build_generator(
    image_size: int = 64, latent_dim: int = 100, width: int = 64, momentum: float = 0.9
) -> keras.Model:
    """Latents (batch, latent_dim) to pictures (batch, image_size, image_size, 3) in [-1, 1].

    The latents are projected to 4x4 and doubled in size by fractionally strided convolutions, with
    BatchNorm and ReLU between them (Radford et al., figure 1). At 64 px with the default width:
    3,576,704 trainable parameters, the reference's number.

    Args:
        image_size: 32, 64, 128 or 256.
        latent_dim: how many numbers a picture is made from.
        width: channels of the last layer but one.
        momentum: of BatchNorm's moving statistics.

    Raises:
        ValueError: image_size is not 32, 64, 128 or 256, or width is below 1.
    """
    first, *rest = _channels(image_size, width)
    noise = layers.Input((latent_dim,), name="latents")
    x = layers.Dense(16 * first, use_bias=False, kernel_initializer=_kernel(), name="project")(
        noise
    )
    x = layers.Reshape((4, 4, first), name="to_4x4")(x)
    x = layers.ReLU()(_normalization(momentum=momentum, name="norm_4")(x))
    size = 4
    for channels in rest:
        size *= 2
        x = Upsample(channels, kernel_initializer=_kernel(), name=f"up_{size}")(x)
        x = layers.ReLU()(_normalization(momentum=momentum, name=f"norm_{size}")(x))
    x = Upsample(3, kernel_initializer=_kernel(), name="to_rgb")(x)
    images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model(noise, images, name="generator")


def build_discriminator(
    image_size: int = 64, width: int = 64, normalization: str = "batch", spectral_norm: bool = False
) -> keras.Model:
    """Pictures (batch, image_size, image_size, 3) in [-1, 1] to logits (batch, 1).

    Strided convolutions with LeakyReLU 0.2, no normalisation on the first (Radford et al., section
    3). At 64 px with the default width: 2,765,568 trainable parameters, the reference's number.

    Args:
        image_size: 32, 64, 128 or 256.
        width: channels of the first convolution.
        normalization: "batch" as in the paper; "layer" or "none" where each picture must be judged
            by itself, as under a gradient penalty.
        spectral_norm: divide every kernel by its largest singular value (Miyato et al. 2018).

    Raises:
        ValueError: a size, a width or a normalisation that there is not.
    """
    if normalization not in NORMALIZATIONS:
        raise ValueError(f"normalization must be one of {NORMALIZATIONS}, not {normalization!r}.")
    images = layers.Input((image_size, image_size, 3), name="images")
    x, size = images, image_size
    for depth, channels in enumerate(reversed(_channels(image_size, width))):
        size //= 2
        x = Downsample(channels, spectral_norm, _kernel(), name=f"down_{size}")(x)
        if depth > 0 and normalization != "none":
            x = _normalization(normalization, name=f"norm_{size}")(x)
        # The last of these is what feature matching compares.
        x = layers.LeakyReLU(negative_slope=0.2, name="features" if size == 4 else None)(x)
    # A 4x4 convolution over a 4x4 map: one sum over all of it.
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        1,
        use_bias=False,
        kernel_initializer=_kernel(),
        # A matrix with one column has its length for singular value.
        kernel_constraint=keras.constraints.UnitNorm() if spectral_norm else None,
        name="judge",
    )(x)
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


# --- the model ------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class DCGAN(Generating, training.Adversarial):
    """A generator and a discriminator that take turns.

        gan = DCGAN(image_size=64)
        gan.compile()
        gan.fit(batches, epochs=10)          # float32 pictures in [-1, 1], channels last
        pictures = gan.generate(64, seed=0)  # uint8

    Args:
        image_size: side of the square pictures in pixels: 32, 64, 128 or 256.
        latent_dim: how many numbers a picture is made from.
        width: channels of the layers next to the picture; the others have up to eight times as many.
        normalization: of the discriminator: "batch", "layer" or "none".
        spectral_norm: of the discriminator.
        augmentation: names out of `layers.AUGMENTATIONS`, applied to all that the discriminator sees.
        ema: decay per step of the moving average of the generator's weights that `generate` draws
            with; 0 for none. Early on the average follows faster, by (1 + step) / (10 + step).
        seed: of the latents and the augmentation. The weights' own draw follows
            `keras.utils.set_random_seed`.
    """

    def __init__(
        self,
        image_size: int = 64,
        latent_dim: int = 100,
        width: int = 64,
        normalization: str = "batch",
        spectral_norm: bool = False,
        augmentation: tuple[str, ...] = (),
        ema: float = 0.99,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= ema < 1.0:
            raise ValueError(f"ema must be in [0, 1), not {ema!r}.")
        self.image_size = image_size
        self.latent_dim = latent_dim
        self._settings = {
            "image_size": image_size,
            "latent_dim": latent_dim,
            "width": width,
            "normalization": normalization,
            "spectral_norm": spectral_norm,
            "augmentation": list(augmentation),
            "ema": ema,
            "seed": seed,
        }
        self.generator = build_generator(image_size, latent_dim, width)
        self.discriminator = build_discriminator(image_size, width, normalization, spectral_norm)
        self.inner = keras.Model(
            self.discriminator.input,
            [self.discriminator.get_layer("features").output, self.discriminator.output],
            name="discriminator_with_features",
        )
        self.augment = DifferentiableAugmentation(tuple(augmentation), seed + 1)
        self.ema = ema
        self.average = None
        if ema:
            self.average = build_generator(image_size, latent_dim, width, momentum=0.0)
            self.average.set_weights(self.generator.get_weights())
            self._settled_at = None
        self.latent_seed = keras.random.SeedGenerator(seed)
        self.meters = [
            keras.metrics.Mean(name=name)
            for name in ("d_loss", "g_loss", "real_score", "fake_score")
        ]

    def compile(
        self,
        loss: str = "non_saturating",
        learning_rate: float = 2e-4,
        discriminator_learning_rate: float | None = None,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        label_smoothing: float = 0.0,
        gradient_penalty: float | None = None,
        r1: float = 0.0,
        feature_matching: float = 0.0,
        content: float = 0.0,
        decay: str = "constant",
        decay_steps: int | None = None,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose the game's rules.

        Args:
            loss: a name out of `losses.ADVERSARIAL`.
            learning_rate: Adam's, of both players unless the discriminator's is given.
            discriminator_learning_rate: where the two should differ (Heusel et al. 2017).
            beta_1: Adam's momentum; 0.5 by Radford et al., section 4.
            beta_2: Adam's second one.
            label_smoothing: real pictures get the label 1 - label_smoothing; cross-entropy only.
            gradient_penalty: weight of (‖∇D‖ - 1)² between real and fake pictures (Gulrajani et
                al.); by default 10 for the Wasserstein loss and 0 for the others.
            r1: gamma of ½ ‖∇D‖² at real pictures (Mescheder et al.).
            feature_matching: weight of the generator's loss on D's inner features.
            content: weight of the generator's L2 loss on pixels, against random real pictures.
            decay: "constant", "linear" to 0 or "cosine" to 0, over decay_steps optimizer steps.
            decay_steps: needed for the latter two.
            accumulate: average the gradients of this many batches before each optimizer step.
            **kwargs: `jit_compile`, `steps_per_execution` … of `keras.Model.compile`.

        Raises:
            ValueError: an unknown name, or options that cannot work together, with what to change.
        """
        self._rules = {
            k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")
        }
        self._rules.update(kwargs)
        if gradient_penalty is None:
            gradient_penalty = 10.0 if loss == "wasserstein" else 0.0
        if gradient_penalty and self._settings["normalization"] == "batch":
            raise ValueError(
                "A gradient penalty needs the gradient of each picture's own logit, and BatchNorm "
                "mixes the pictures of a batch: build the model with normalization='layer'."
            )
        cross_entropy = losses.get(loss).discriminator is losses.cross_entropy_discriminator
        if label_smoothing and not cross_entropy:
            raise ValueError(f"label_smoothing is for cross-entropy losses, not for {loss!r}.")
        super().compile(**kwargs)
        self.rule = loss
        self.discriminator_options = {"label_smoothing": label_smoothing} if label_smoothing else {}
        self.gradient_penalty = gradient_penalty
        self.r1 = r1
        self.feature_matching = feature_matching
        self.content = content
        self.accumulate = accumulate

        def adam(rate: float) -> keras.optimizers.Optimizer:
            return kernels.Adam(
                training.schedule(rate, decay, decay_steps),
                beta_1=beta_1,
                beta_2=beta_2,
                epsilon=1e-8,
                gradient_accumulation_steps=accumulate if accumulate > 1 else None,
            )

        other = (
            learning_rate if discriminator_learning_rate is None else discriminator_learning_rate
        )
        self.discriminator_optimizer = self.add_optimizer(adam(other), self.discriminator_variables)
        self.generator_optimizer = self.add_optimizer(
            adam(learning_rate), self.generator.trainable_variables
        )

    def train_step(self, real: Tensor) -> dict[str, Tensor]:
        """One round of the game on real pictures (batch, size, size, 3) in [-1, 1].

        Goodfellow et al., algorithm 1 with k = 1: first the discriminator learns to tell real from
        fake, then the generator learns from the discriminator that has just become a little better.
        """
        fake = self.record(self.generator, self.draw_latents(ops.shape(real)[0]))

        d_loss = self.minimize(
            lambda: self.discriminator_loss(real, fake.value),
            self.discriminator.trainable_variables,
            self.discriminator_optimizer,
        )
        g_loss = self.minimize(
            lambda images: self.generator_loss(real, images),
            self.generator.trainable_variables,
            self.generator_optimizer,
            through=fake,
        )
        self.follow()
        return self.update_meters(d_loss=d_loss, g_loss=g_loss)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the discriminator lowers: real logits up, fake logits down, within its penalties."""
        real, fake = self.augment(real), self.augment(fake)
        # Two passes, because BatchNorm over a mixture would tell the two kinds apart by itself.
        real_logits = self.discriminator(real, training=True)
        fake_logits = self.discriminator(fake, training=True)
        self.update_meters(
            real_score=ops.mean(ops.sigmoid(real_logits)),
            fake_score=ops.mean(ops.sigmoid(fake_logits)),
        )
        rule = losses.get(self.rule)
        loss = rule.discriminator(real_logits, fake_logits, **self.discriminator_options)
        if self.gradient_penalty:
            share = replicas.uniform((ops.shape(real)[0], 1, 1, 1), seed=self.latent_seed)
            between = share * real + (1.0 - share) * fake
            slopes = self.input_gradients(self._judge, between)
            loss += self.gradient_penalty * losses.gradient_penalty(slopes)
        if self.r1:
            loss += self.r1 * losses.r1_penalty(self.input_gradients(self._judge, real))
        return loss

    def generator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """What the generator lowers: it wants its pictures' logits up."""
        real_logits = None
        shown = self.augment(fake)
        if self.feature_matching or self.rule == "relativistic":
            real_features, real_logits = self.inner(self.augment(real), training=True)
        fake_features, fake_logits = self.inner(shown, training=True)
        loss = losses.get(self.rule).generator(real_logits, fake_logits)
        if self.feature_matching:
            matching = losses.feature_matching(ops.stop_gradient(real_features), fake_features)
            loss += self.feature_matching * matching
        if self.content:
            loss += self.content * losses.content(real, fake)
        return loss

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """What the discriminator may change."""
        return self.discriminator.trainable_variables

    def _judge(self, images: Tensor) -> Tensor:
        return self.discriminator(images, training=True)

    def draw_latents(self, count: int | Tensor) -> Tensor:
        """Standard normal latents (count, latent_dim) from the model's own random state."""
        return replicas.normal((count, self.latent_dim), dtype="float32", seed=self.latent_seed)

    def follow(self) -> None:
        """Move the averaged generator one step towards the live one."""
        if self.average is not None:
            step = ops.cast(self.generator_optimizer.iterations, "float32")
            decay = ops.minimum(self.ema, (1.0 + step) / (10.0 + step)) ** (1 / self.accumulate)
            training.update_average(self.average, self.generator, decay)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` resets each epoch: losses, and how real D finds either kind."""
        return self.meters

    # --- drawing ----------------------------------------------------------------------------------

    def call(self, points: Tensor, training: bool = False) -> Tensor:
        """Pictures in [-1, 1] from latents, by the averaged generator where there is one."""
        return (self.average or self.generator)(points, training=training)

    def settle(self) -> None:
        """Measure BatchNorm's statistics for the averaged generator.

        Those gathered in training belong to other weights than the averaged ones, and would wash its
        pictures out. One pass over fixed latents gives its own (the "standing statistics" of Brock et
        al. 2019, appendix B); its momentum of 0 makes them those of that pass.
        """
        steps = self.optimizers[-1].iterations if self.optimizers else 0
        step = int(ops.convert_to_numpy(steps))
        if self.average is not None and self._settled_at != step:
            # 512 at up to 64 px, and as many pixels at larger sizes, so that memory suffices.
            count = min(512, 512 * 64**2 // self.image_size**2)
            self.average(ops.convert_to_tensor(self.points(count)), training=True)
            self._settled_at = step

    def draw(self, points: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The pictures of given latents (count, latent_dim), as uint8 RGB."""
        self.settle()
        batches = [
            training.forward(self, points[i : i + batch_size])
            for i in range(0, len(points), batch_size)
        ]
        return np.round((np.concatenate(batches) + 1.0) * 127.5).astype("uint8")
