"""StyleGAN2: a style, found by one network, steers every layer of another.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN" (karras20), in the form of
the authors' PyTorch implementation, stylegan2-ada-pytorch, with its adaptive augmentation: Karras et
al. 2020, "Training Generative Adversarial Networks with Limited Data" (ada). Mapping network, style
mixing and truncation are those of Karras et al. 2019, "A Style-Based Generator Architecture for
Generative Adversarial Networks" (karras19). What the layers compute is in `anime_keras.modulation`.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import kernels, losses, replicas, training
from anime_keras.adaptive import AdaptiveAugmentation
from anime_keras.models.generating import Generating
from anime_keras.modulation import (
    EqualizedConv2D,
    EqualizedDense,
    LearnedConstant,
    MinibatchDeviation,
    StyledConv2D,
    ToRGB,
    Upsampled,
)

Tensor = Any
SIZES = (32, 64, 128, 256, 512, 1024)
STYLE_DECAY = 0.995  # of the moving mean of w (karras19, appendix C; stylegan2-ada-pytorch)
PATH_DECAY = 0.01  # share of the newest in the mean path length (karras20, appendix B)
PATH_SHRINK = 2  # path lengths are measured on half a batch (karras20, appendix B)
EMA_RAMP = 0.05  # the average looks back on a twentieth of what was seen, at most (config `auto`)


# --- the networks ---------------------------------------------------------------------------------


def _resolutions(image_size: int) -> list[int]:
    if image_size not in SIZES:
        raise ValueError(f"image_size must be one of {SIZES}, not {image_size!r}.")
    return [2**power for power in range(2, int(math.log2(image_size)) + 1)]


def _channels(resolution: int, fmaps: float, max_channels: int) -> int:
    channels = min(int(32768 * fmaps / resolution), max_channels)
    if channels < 1:
        raise ValueError(f"fmaps={fmaps} leaves no channels at {resolution} px: take a larger one.")
    return channels


def style_count(image_size: int) -> int:
    """How many styles a picture has: one for each convolution, and one for the last colours."""
    return 2 * len(_resolutions(image_size))


def noise_sizes(image_size: int) -> list[int]:
    """Side of the noise that each convolution adds: 4, 8, 8, 16, 16 … in pixels."""
    return [size for size in _resolutions(image_size) for _ in range(1 if size == 4 else 2)]


def build_mapping(latent_dim: int = 512, style_dim: int = 512, depth: int = 8) -> keras.Model:
    """Latents z (batch, latent_dim) to w (batch, style_dim).

    Latents are brought to length √latent_dim; the layers learn at a hundredth of the rate (karras19,
    section 2 and appendix C).

    Args:
        latent_dim: of z.
        style_dim: of w.
        depth: layers; 8 in the papers, 2 in the implementation's `auto` setting below 256 px.
    """
    latents_in = layers.Input((latent_dim,), name="latents")
    x = layers.UnitNormalization(dtype="float32")(latents_in)
    x = layers.Rescaling(math.sqrt(latent_dim), dtype="float32", name="normalized")(x)
    for index in range(depth):
        x = EqualizedDense(style_dim, activate=True, multiplier=0.01, name=f"dense_{index}")(x)
    return keras.Model(latents_in, x, name="mapping")


def build_synthesis(
    image_size: int = 64, style_dim: int = 512, fmaps: float = 0.5, max_channels: int = 512
) -> keras.Model:
    """Styles (batch, style_count, style_dim) and noise to pictures (batch, size, size, 3).

    A learned constant goes through pairs of modulated convolutions, the first of which doubles the
    size; at each size colours are added to those of the sizes before (karras20, figure 7b). The
    range is not bounded: real pictures are in [-1, 1], and so will these be.

    The inputs are [styles, noise of the first convolution, of the second …], each noise
    (batch or 1, size, size, 1); `noise_sizes` says how large.

    Args:
        image_size: 32 to 1024, a power of 2.
        style_dim: of w.
        fmaps: channels at a size are 32768 * fmaps / size …
        max_channels: … but at most so many.

    Raises:
        ValueError: a size that there is not, or so few fmaps that no channel is left.
    """
    styles = layers.Input((style_count(image_size), style_dim), name="styles", dtype="float32")
    noises = [
        layers.Input((n, n, 1), name=f"noise_{i}") for i, n in enumerate(noise_sizes(image_size))
    ]
    maps = colours = None
    index = 0
    for size in _resolutions(image_size):
        channels = _channels(size, fmaps, max_channels)
        if size == 4:
            maps = LearnedConstant(channels, name="constant")(styles[:, 0])
        for up in (False,) if size == 4 else (True, False):
            name = f"conv_{size}_{'up' if up else 'same'}"
            layer = StyledConv2D(channels, up=up, name=name)
            maps = layer([maps, styles[:, index], noises[index]])
            index += 1
        # The colours' style is that of the convolution which comes next.
        rgb = ToRGB(name=f"rgb_{size}")([maps, styles[:, index]])
        if colours is None:
            colours = rgb
        else:
            larger = Upsampled(name=f"upsampled_{size}")(colours)
            colours = layers.Add(dtype="float32", name=f"colours_{size}")([larger, rgb])
    return keras.Model([styles, *noises], colours, name="synthesis")


def build_discriminator(
    image_size: int = 64, fmaps: float = 0.5, max_channels: int = 512, group: int = 4
) -> keras.Model:
    """Pictures (batch, image_size, image_size, 3) in [-1, 1] to logits (batch, 1).

    Residual blocks that halve the size, down to 4x4 (karras20, figure 7c); there the deviation within
    a group of pictures is one more channel.

    Args:
        image_size: 32 to 1024, a power of 2.
        fmaps: channels at a size are 32768 * fmaps / size …
        max_channels: … but at most so many.
        group: pictures whose deviation is measured; the batch must be a multiple.

    Raises:
        ValueError: as `build_synthesis`.
    """
    images = layers.Input((image_size, image_size, 3), name="images")
    sizes = _resolutions(image_size)
    channels = _channels(image_size, fmaps, max_channels)
    x = EqualizedConv2D(channels, 1, name="from_rgb")(images)
    for size in reversed(sizes[1:]):
        smaller = _channels(size // 2, fmaps, max_channels)
        # Two ways of variance 1/2 add up to 1.
        half = math.sqrt(0.5)
        straight = EqualizedConv2D(
            smaller, 1, activate=False, down=True, use_bias=False, gain=half, name=f"skip_{size}"
        )(x)
        x = EqualizedConv2D(channels, 3, name=f"conv_{size}")(x)
        x = EqualizedConv2D(smaller, 3, down=True, gain=half, name=f"down_{size}")(x)
        x = layers.Add(name=f"block_{size}")([x, straight])
        channels = smaller
    x = MinibatchDeviation(group, name="deviation")(x)
    x = EqualizedConv2D(channels, 3, name="conv_4")(x)
    x = EqualizedDense(channels, activate=True, name="dense")(layers.Flatten(name="flatten")(x))
    logits = EqualizedDense(1, name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


# --- the model ------------------------------------------------------------------------------------


def _part(count: int | Tensor) -> int | Tensor:
    """So many pictures of a batch that path lengths are measured on, one at least."""
    part = count // PATH_SHRINK
    return max(part, 1) if isinstance(part, int) else ops.maximum(part, 1)


class Means(keras.layers.Layer):
    """What training keeps the moving mean of: w, and how long paths are (`path_length_loss`)."""

    def __init__(self, style_dim: int, **kwargs) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.w = self.add_weight((style_dim,), "zeros", trainable=False, name="w")
        self.length = self.add_weight((), "zeros", trainable=False, name="length")
        self.built = True


@keras.saving.register_keras_serializable("anime_keras")
class StyleGAN2(Generating, training.Adversarial):
    """A mapping and a synthesis network against a discriminator.

        gan = StyleGAN2(image_size=64, latent_dim=128, fmaps=1 / 32, max_channels=128)
        gan.compile()
        gan.fit(batches, epochs=10)                            # float32 pictures in [-1, 1]
        pictures = gan.generate(64, seed=0, truncation=0.7)    # uint8
        w = gan.styles(latents.draw(2, 128))                   # (2, 128)
        mixed = gan.paint(gan.mix(w[:1], w[1:], 4))            # coarse of one, fine of the other

    Args:
        image_size: side of the square pictures in pixels, a power of 2 from 32 to 1024.
        latent_dim: of z and of w.
        mapping_layers: depth of the mapping network.
        fmaps: channels at a size are 32768 * fmaps / size, 0.5 below 512 px in the implementation …
        max_channels: … but at most so many.
        ema: half-life of the averaged generator in thousands of pictures; None for 10/32 of a batch.
        noise: whether fresh noise is added after each convolution while training (karras19, section
            3.2): for hair and skin, where chance is. A drawing has none, and then it is in the way.
        adaptive: augment what the discriminator sees as strongly as its overfitting asks for
            (`adaptive.AdaptiveAugmentation`), where pictures are few.
        seed: of latents, noise and style mixing. The weights' own draw follows
            `keras.utils.set_random_seed`.
    """

    def __init__(
        self,
        image_size: int = 64,
        latent_dim: int = 512,
        mapping_layers: int = 2,
        fmaps: float = 0.5,
        max_channels: int = 512,
        ema: float | None = None,
        noise: bool = True,
        adaptive: bool = False,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("latent_dim", latent_dim), ("mapping_layers", mapping_layers)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value!r}.")
        self._settings = {
            "image_size": image_size,
            "latent_dim": latent_dim,
            "mapping_layers": mapping_layers,
            "fmaps": fmaps,
            "max_channels": max_channels,
            "ema": ema,
            "noise": noise,
            "adaptive": adaptive,
            "seed": seed,
        }
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.style_count = style_count(image_size)
        self.ema = ema
        self.noise = noise
        shape = (image_size, latent_dim, fmaps, max_channels)
        self.mapping = build_mapping(latent_dim, latent_dim, mapping_layers)
        self.synthesis = build_synthesis(*shape)
        self.discriminator = build_discriminator(image_size, fmaps, max_channels)
        self.average_mapping = build_mapping(latent_dim, latent_dim, mapping_layers)
        self.average_synthesis = build_synthesis(*shape)
        self.average_mapping.set_weights(self.mapping.get_weights())
        self.average_synthesis.set_weights(self.synthesis.get_weights())
        self.augment = AdaptiveAugmentation(seed=seed + 1) if adaptive else None
        self.means = Means(latent_dim, name="means")
        self.seen = self.add_weight((), "zeros", trainable=False, name="seen")  # pictures
        self.steps = self.add_weight((), "zeros", "int32", trainable=False, name="steps")
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.fixed_noise = [
            np.random.default_rng([seed, i]).standard_normal((1, n, n, 1), "float32")
            for i, n in enumerate(noise_sizes(image_size))
        ]
        self.meters = [
            keras.metrics.Mean(name=name)
            for name in ("d_loss", "g_loss", "real_score", "fake_score", "r1", "path_length")
        ]
        if adaptive:
            self.meters.append(keras.metrics.Mean(name="augmentation"))

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """What the generating player may change."""
        return self.mapping.trainable_variables + self.synthesis.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """What the judging player may change: all but its first blocks, where those are frozen."""
        largest = sorted(_resolutions(self.image_size), reverse=True)[: self.freeze]
        frozen = {f"{kind}_{size}" for size in largest for kind in ("conv", "down", "skip")}
        if self.freeze:
            frozen.add("from_rgb")
        layers_left = [x for x in self.discriminator.layers if x.name not in frozen]
        return [variable for layer in layers_left for variable in layer.trainable_variables]

    def compile(
        self,
        learning_rate: float = 0.0025,
        r1: float | None = None,
        path_length: float = 2.0,
        style_mixing: float = 0.9,
        every_g: int = 4,
        every_d: int = 16,
        freeze: int = 0,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose the game's rules; the defaults are the implementation's `auto` ones.

        Args:
            learning_rate: Adam's, of both players; beta1 is 0, beta2 0.99.
            r1: gamma of γ/2 ‖∇D‖² at real pictures; by default 0.0002 size² / batch.
            path_length: weight of the generator's path length penalty; 0 for none.
            style_mixing: share of the pictures that are made of two styles (karras19, section 3.1).
            every_g: the path length penalty is only looked at in every so manieth step …
            every_d: … and R1 in every so manieth ("lazy regularisation", karras20, section 3.1).
            freeze: blocks of the discriminator, from the largest size on, that stay as they are: what
                a tuned one knows of edges and colours then is not lost to a few pictures (Mo et al.
                2020, "Freeze the Discriminator").
            accumulate: 1; here for what all models of the kit understand.
            **kwargs: `jit_compile` … of `keras.Model.compile`.

        Raises:
            ValueError: a number out of its range, or accumulated gradients.
        """
        self._rules = {
            k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")
        }
        self._rules.update(kwargs)
        if accumulate != 1:
            raise ValueError(
                "StyleGAN2's players take two kinds of steps, which cannot be averaged: "
                "accumulate must be 1. Take smaller batches where memory is short."
            )
        for name, value in (("r1", r1 or 0), ("path_length", path_length), ("freeze", freeze)):
            if value < 0:
                raise ValueError(f"{name} must be at least 0, not {value}.")
        for name, value in (("every_g", every_g), ("every_d", every_d)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}.")
        if not 0.0 <= style_mixing <= 1.0:
            raise ValueError(f"style_mixing must be in [0, 1], not {style_mixing}.")
        blocks = len(_resolutions(self.image_size)) - 1
        if freeze > blocks:
            raise ValueError(
                f"There are {blocks} blocks of the discriminator to freeze, not {freeze}."
            )
        rate = training.schedule(learning_rate, "constant", None)
        super().compile(**kwargs)
        self.r1 = r1
        self.path_length = path_length
        self.style_mixing = style_mixing
        self.every_g = every_g
        self.every_d = every_d
        self.freeze = freeze
        due = {"path_length_is_due": path_length, "r1_is_due": r1 != 0.0}
        self.questions = tuple(question for question, matters in due.items() if matters)

        def adam(every: int) -> keras.optimizers.Optimizer:
            # One more step than before in so many: each is made that much smaller (appendix B).
            share = every / (every + 1)
            return kernels.Adam(rate * share, beta_1=0.0, beta_2=0.99**share, epsilon=1e-8)

        self.generator_optimizer = self.add_optimizer(adam(every_g), self.generator_variables)
        self.discriminator_optimizer = self.add_optimizer(
            adam(every_d), self.discriminator_variables
        )

    # --- training ---------------------------------------------------------------------------------

    def train_step(self, real: Tensor) -> dict[str, Tensor]:
        """One round on real pictures (batch, size, size, 3) in [-1, 1].

        Both players lower the non-saturating logistic loss of Goodfellow et al. 2014, each on
        pictures of its own; every few steps they also step against their penalties.
        """
        count = ops.shape(real)[0]

        g_loss = self.minimize(
            lambda: self.generator_loss(count), self.generator_variables, self.generator_optimizer
        )
        if self.path_length:
            self.either(
                self.path_length_is_due,
                lambda: self.minimize(
                    lambda: self.every_g * self.path_length_loss(_part(count)),
                    self.generator_variables,
                    self.generator_optimizer,
                ),
                lambda: None,
            )
        fake = ops.stop_gradient(self.imagine(count)[0])
        d_loss = self.minimize(
            lambda: self.discriminator_loss(real, fake),
            self.discriminator_variables,
            self.discriminator_optimizer,
        )
        if self.r1 != 0.0:
            self.either(
                self.r1_is_due,
                lambda: self.minimize(
                    lambda: self.every_d * self.r1_loss(real),
                    self.discriminator_variables,
                    self.discriminator_optimizer,
                ),
                lambda: None,
            )
        self.follow(count)
        return self.update_meters(d_loss=d_loss, g_loss=g_loss)

    def path_length_is_due(self) -> Tensor:
        """Whether the generator steps against its penalty this time."""
        return ops.equal(self.steps % self.every_g, 0)

    def r1_is_due(self) -> Tensor:
        """Whether the discriminator does."""
        return ops.equal(self.steps % self.every_d, 0)

    def generator_loss(self, count: int | Tensor) -> Tensor:
        """-log σ(D(G(z))): the generator wants its pictures' logits up."""
        fake, w = self.imagine(count)
        mean = STYLE_DECAY * self.means.w + (1.0 - STYLE_DECAY) * replicas.mean(ops.mean(w, axis=0))
        self.means.w.assign(ops.stop_gradient(mean))
        fake_logits = self.judge(fake)
        return losses.non_saturating_generator(None, fake_logits)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """-log σ(D(x)) - log(1 - σ(D(G(z)))): real logits up, fake logits down."""
        real_logits, fake_logits = self.judge(real), self.judge(fake)
        if self.augment:
            self.augment.adapt(real_logits)
            self.update_meters(augmentation=self.augment.probability)
        self.update_meters(
            real_score=ops.mean(ops.sigmoid(real_logits)),
            fake_score=ops.mean(ops.sigmoid(fake_logits)),
        )
        return losses.cross_entropy_discriminator(real_logits, fake_logits)

    def r1_loss(self, real: Tensor) -> Tensor:
        """γ/2 ‖∇D‖² at real pictures (Mescheder et al. 2018, equation 9)."""
        gamma = self.r1
        if gamma is None:
            batch = replicas.count() * ops.shape(real)[0]
            gamma = 0.0002 * self.image_size**2 / ops.cast(batch, "float32")
        slopes = self.input_gradients(self.judge, real)
        penalty = losses.r1_penalty(slopes)
        self.update_meters(r1=penalty)
        return gamma * penalty

    def path_length_loss(self, count: int | Tensor) -> Tensor:
        """(‖Jᵀy‖ - a)²: a step in w changes the picture as much wherever it is taken, and whither.

        J is the Jacobian of the picture by its styles, y a picture of noise, a the moving mean of the
        lengths (karras20, equation 4).
        """
        styles, _ = self.draw_styles(count)
        noises = self.draw_noise(count)
        shape = (count, self.image_size, self.image_size, 3)
        y = replicas.normal(shape, seed=self.seed_generator) / self.image_size

        def shade(styles: Tensor) -> Tensor:
            return ops.sum(self.synthesis([styles, *noises], training=True) * y, axis=(1, 2, 3))

        slopes = self.input_gradients(shade, styles)
        lengths = ops.sqrt(ops.mean(ops.sum(ops.square(slopes), axis=2), axis=1))
        newest = replicas.mean(ops.stop_gradient(ops.mean(lengths)))
        mean = self.means.length + PATH_DECAY * (newest - self.means.length)
        self.means.length.assign(mean)
        self.update_meters(path_length=newest)
        return self.path_length * ops.mean(ops.square(lengths - mean))

    def judge(self, images: Tensor) -> Tensor:
        """Logits (batch, 1) of pictures, changed first where augmentation is on."""
        return self.discriminator(self.augment(images) if self.augment else images, training=True)

    def imagine(self, count: int | Tensor) -> tuple[Tensor, Tensor]:
        """New pictures of the live generator, (count, size, size, 3), and the w they began from."""
        styles, w = self.draw_styles(count)
        return self.synthesis([styles, *self.draw_noise(count)], training=True), w

    def draw_styles(self, count: int | Tensor) -> tuple[Tensor, Tensor]:
        """Random styles (count, style_count, latent_dim), some mixed, and the w of the first layer.

        From a layer drawn at random on, a mixed picture has the style of other latents, so that the
        network cannot rely on neighbouring styles being alike (karras19, section 3.1).
        """
        seed = self.seed_generator
        w, other = (
            self.mapping(replicas.normal((count, self.latent_dim), seed=seed), training=True)
            for _ in range(2)
        )
        start = replicas.randint((count, 1, 1), 1, self.style_count, seed=seed)
        unmixed = replicas.uniform((count, 1, 1), seed=seed) >= self.style_mixing
        layer = ops.arange(self.style_count)[None, :, None]
        first = ops.logical_or(layer < start, unmixed)
        return ops.where(first, w[:, None], other[:, None]), w

    def draw_noise(self, count: int | Tensor) -> list[Tensor]:
        """Fresh noise for each convolution and picture; or zeros, if the model does without."""
        shapes = [(count, size, size, 1) for size in noise_sizes(self.image_size)]
        if not self.noise:
            return [ops.zeros((1, *shape[1:])) for shape in shapes]
        return [replicas.normal(shape, seed=self.seed_generator) for shape in shapes]

    def follow(self, count: int | Tensor) -> None:
        """Count, and move the averaged networks one step towards the live ones."""
        batch = replicas.count() * ops.cast(count, "float32")
        self.steps.assign(self.steps + 1)
        self.seen.assign(self.seen + batch)
        half_life = batch * 10_000 / 32 if self.ema is None else self.ema * 1000
        half_life = ops.minimum(half_life, self.seen * EMA_RAMP)
        decay = 0.5 ** (batch / half_life)
        training.update_average(self.average_mapping, self.mapping, decay)
        training.update_average(self.average_synthesis, self.synthesis, decay)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` resets each epoch."""
        return self.meters

    # --- drawing ----------------------------------------------------------------------------------

    def call(self, points: Tensor, training: bool = False) -> Tensor:
        """Pictures, real ones in [-1, 1], from latents by the averaged networks, with fixed noise."""
        w = self.average_mapping(points, training=training)
        styles = ops.repeat(w[:, None], self.style_count, axis=1)
        noises = [ops.convert_to_tensor(maps) for maps in self.fixed_noise]
        return self.average_synthesis([styles, *noises], training=training)

    def generate(
        self,
        count: int,
        seed: int = 0,
        batch_size: int = 64,
        truncation: float = 1.0,
        **attributes: Any,
    ) -> np.ndarray:
        """Draw pictures, as `Generating.generate` does.

        Args:
            count: how many.
            seed: of the latents.
            batch_size: how many at a time.
            truncation: psi; below 1 styles are drawn nearer to their mean, so that pictures are
                better and less various (karras19, section 4.2 and appendix B).
            **attributes: nothing can be asked for.

        Raises:
            ValueError: count is below 1, or something was asked for.
        """
        return self.draw(self.points(count, seed, **attributes), truncation, batch_size)

    def draw(self, points: np.ndarray, truncation: float = 1.0, batch_size: int = 64) -> np.ndarray:
        """The pictures of given latents (count, latent_dim), as uint8 RGB."""
        return self.paint(self.styles(points, truncation), batch_size=batch_size)

    def styles(self, points: np.ndarray, truncation: float = 1.0) -> np.ndarray:
        """Styles w of given latents: float32 (count, latent_dim), drawn to the mean by truncation.

        Raises:
            ValueError: truncation is no finite number.
        """
        if not math.isfinite(truncation):
            raise ValueError(f"truncation must be a finite number, not {truncation}.")
        w = training.forward(self.average_mapping, np.asarray(points, "float32"))
        mean = ops.convert_to_numpy(self.means.w)
        return mean + truncation * (w - mean)

    def mix(self, coarse: np.ndarray, fine: np.ndarray, layer: int) -> np.ndarray:
        """Styles (count, style_count, latent_dim): of `coarse` below a layer, of `fine` from it on.

        Args:
            coarse: w (count or 1, latent_dim).
            fine: the same.
            layer: from 0, all `fine`, to style_count, all `coarse`.
        """
        coarse, fine = np.broadcast_arrays(coarse, fine)
        first = np.arange(self.style_count)[None, :, None] < layer
        return np.where(first, coarse[:, None], fine[:, None]).astype("float32")

    def paint(
        self,
        styles: np.ndarray,
        noise: int | str | None = "fixed",
        batch_size: int = 64,
    ) -> np.ndarray:
        """The pictures of styles: uint8 RGB (count, size, size, 3).

        Args:
            styles: w (count, latent_dim), or (count, style_count, latent_dim) with one for each layer.
            noise: "fixed", the same for all pictures; None for none; or a seed, each picture its own.
            batch_size: how many at a time.

        Raises:
            ValueError: styles of another shape.
        """
        styles = np.asarray(styles, "float32")
        if styles.ndim == 2:
            styles = np.repeat(styles[:, None], self.style_count, axis=1)
        if styles.shape[1:] != (self.style_count, self.latent_dim):
            raise ValueError(
                f"styles must be (count, {self.latent_dim}) or (count, {self.style_count}, "
                f"{self.latent_dim}), not {styles.shape}."
            )
        parts = []
        for start in range(0, len(styles), batch_size):
            part = styles[start : start + batch_size]
            noises = self._noise(noise, start, len(part))
            images = training.forward(self.average_synthesis, [part, *noises])
            parts.append(np.round((np.clip(images, -1.0, 1.0) + 1.0) * 127.5).astype("uint8"))
        return np.concatenate(parts)

    def _noise(self, noise: int | str | None, start: int, count: int) -> list[np.ndarray]:
        if noise == "fixed":
            chosen = self.fixed_noise
        elif noise is None:
            chosen = [np.zeros_like(maps) for maps in self.fixed_noise]
        else:
            return [
                np.random.default_rng([noise, start, i])
                .standard_normal((count, *maps.shape[1:]))
                .astype("float32")
                for i, maps in enumerate(self.fixed_noise)
            ]
        return [np.repeat(maps, count, axis=0) for maps in chosen]
