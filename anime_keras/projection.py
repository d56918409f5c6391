"""Which styles make a given picture: projection into the latent space of a StyleGAN2.

Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 5 and appendix D:
starting from the mean style, w is moved by Adam until the picture looks alike to a network that knows
pictures, with noise on w that dies out, so that it does not settle in the first dent. The authors look
with LPIPS; here the kit's own network looks (`metrics.anime_network`), and pixels count as well.
"""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from anime_keras import latents, training
from anime_keras.data import pipelines
from anime_keras.metrics import anime_network

Tensor = Any
RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25  # appendix D
NOISE, NOISE_UNTIL = 0.05, 0.75  # in standard deviations of w; the share of steps it lives for
DRAWN = 10_000  # latents to estimate the mean and spread of w from


class Projection(training.Adversarial):
    """One player, the styles, against a picture that does not move.

    Args:
        gan: a `models.StyleGAN2`; its averaged networks stay as they are.
        images: uint8 (count, size, size, 3), each projected by itself.
        steps: of Adam.
        layers: True gives every layer a style of its own ("W+", Abdal et al. 2019, "Image2StyleGAN"):
            nearer pictures, but styles that the mapping never makes.
        pixels: weight of the squared difference of pixels beside what the network sees.
        seed: of the noise.

    Raises:
        ValueError: the pictures have another size or type.
    """

    def __init__(
        self,
        gan: Any,
        images: np.ndarray,
        steps: int = 300,
        layers: bool = False,
        pixels: float = 1.0,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        size = gan.image_size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"This model's pictures are uint8 (count, {size}, {size}, 3), not {images.dtype} "
                f"{images.shape}: cut and shrink them first, see data.faces.align."
            )
        self.synthesis = gan.average_synthesis
        self.stages = anime_network.stages()
        self.synthesis.trainable = self.stages.trainable = False
        self.style_count, self.steps, self.pixels = gan.style_count, steps, pixels
        drawn = gan.styles(latents.draw(DRAWN, gan.latent_dim, seed))
        mean = ops.convert_to_numpy(gan.means.w)
        self.spread = math.sqrt(np.mean(np.sum((drawn - mean) ** 2, axis=1)))
        rows = self.style_count if layers else 1
        self.w = self.add_weight(
            shape=(len(images), rows, gan.latent_dim), initializer="zeros", name="w"
        )
        self.w.assign(np.broadcast_to(mean, self.w.shape))
        self.noise = [np.repeat(maps, len(images), axis=0) for maps in gan.fixed_noise]
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.meters = [keras.metrics.Mean(name="distance")]
        self.compile()

    def compile(self) -> None:
        """Adam, its rate rising at first and falling to 0 at the end."""
        super().compile()
        self.player = self.add_optimizer(
            keras.optimizers.Adam(_Ramp(self.steps), beta_1=0.9, beta_2=0.999), [self.w]
        )

    def train_step(self, images: Tensor) -> dict[str, Tensor]:
        """Move w by one step towards pictures (count, size, size, 3) in [-1, 1]."""
        distance = self.minimize(lambda: self.distance(images), [self.w], self.player)
        return self.update_meters(distance=distance)

    def distance(self, images: Tensor) -> Tensor:
        """What the network sees otherwise, and pixels, summed over pictures: each is on its own."""
        done = ops.cast(self.player.iterations, "float32") / self.steps
        noise = keras.random.normal(ops.shape(self.w), seed=self.seed_generator)
        strength = NOISE * self.spread * ops.square(ops.maximum(0.0, 1.0 - done / NOISE_UNTIL))
        noises = [ops.convert_to_tensor(maps) for maps in self.noise]
        found = self.synthesis([self.styles(self.w + strength * noise), *noises])
        apart = self.pixels * ops.mean(ops.square(found - images), axis=(1, 2, 3))
        seen, wanted = self.stages(self.fitted(found)), self.stages(self.fitted(images))
        for ours, theirs in zip(seen, wanted, strict=True):
            squared = ops.sum(ops.square(_unit(ours) - _unit(theirs)), axis=-1)
            apart += ops.mean(squared, axis=(1, 2))
        return ops.sum(apart)

    def fitted(self, images: Tensor) -> Tensor:
        """Pictures in the size that the network looks at."""
        side = anime_network.SIDE
        if images.shape[1] == side:
            return images
        return ops.image.resize(images, (side, side), antialias=True)

    def styles(self, w: Tensor) -> Tensor:
        """Styles of w (count, 1 or style_count, latent_dim), one for every layer."""
        shape = (ops.shape(w)[0], self.style_count, w.shape[-1])
        return ops.broadcast_to(w, shape)


@keras.saving.register_keras_serializable("anime_keras")
class _Ramp(keras.optimizers.schedules.LearningRateSchedule):
    """Up within the first 5% of the steps, down by a cosine within the last 25%."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: Tensor) -> Tensor:
        done = ops.cast(step, "float32") / self.steps
        down = ops.minimum(1.0, (1.0 - done) / RAMP_DOWN)
        return RATE * (0.5 - 0.5 * ops.cos(math.pi * down)) * ops.minimum(1.0, done / RAMP_UP)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return {"steps": self.steps}


def _unit(maps: Tensor) -> Tensor:
    """Each place's channels brought to length 1, as LPIPS compares them (Zhang et al. 2018, eq. 1)."""
    maps = ops.cast(maps, "float32")
    return maps * ops.rsqrt(ops.sum(ops.square(maps), axis=-1, keepdims=True) + 1e-8)


def project(
    gan: Any,
    images: np.ndarray,
    steps: int = 300,
    layers: bool = False,
    seed: int = 0,
    **options: Any,
) -> np.ndarray:
    """Find the styles under which a StyleGAN2 draws given pictures, as nearly as it can.

    Args:
        gan: a `models.StyleGAN2`.
        images: uint8 (count, size, size, 3).
        steps: of Adam.
        layers: a style for each layer, rather than one for all.
        seed: of the noise.
        **options: of `Projection`.

    Returns:
        Styles for `gan.paint`: float32 (count, style_count, latent_dim), equal for all layers unless
        `layers`.

    Raises:
        ValueError: the pictures have another size or type.
    """
    player = Projection(gan, images, steps, layers, seed=seed, **options)
    x = images.astype("float32") / 127.5 - 1.0
    try:
        player.fit(pipelines.repeated(x), steps_per_epoch=steps, shuffle=False, verbose=0)
    finally:
        player.synthesis.trainable = True
    return ops.convert_to_numpy(player.styles(player.w))
