"""Failures on purpose: small GANs, each broken in one way, and the same ones mended.

    run = failures.train(failures.faces(600), **failures.CASES["mode collapse"].broken)
    run.history["d_loss"], run.gan.generate(16)

All learn the same faces of 32 pixels, who differ in the colour of their hair and, a little, in how
they hold their heads: four modes that can be counted. Notebook 12 shows them, `diagnosis` tells
broken from mended, and `benchmarks/failures.py` does so for five seeds.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from anime_keras import data, losses
from anime_keras.data.pipelines import Batches
from anime_keras.models.dcgan import DCGAN

Tensor = Any

# --- what is learned ------------------------------------------------------------------------------

HAIR = ("pink", "green", "blonde", "blue")
"""The modes."""

ALIKE = {
    "eye_color": "blue",
    "gender": "feminine",
    "fringe": "straight",
    "back_hair": "long",
    "expression": "smile",
    "skin_tone": "fair",
    "glasses": "none",
    "ornament": "none",
    "clothes": "sailor",
    "pose": "front",
    "background": "plain",
}
"""What all the faces have in common."""


def faces(count: int, seed: int = 0, start: int = 0) -> np.ndarray:
    """Faces that differ in the colour of their hair: uint8 (count, 32, 32, 3), colours by turns.

    Args:
        count: a multiple of four.
        seed: which people.
        start: leave out the first so many, such as those that were trained on; a multiple of four.
    """
    modes = len(HAIR)
    each = [
        data.render(
            count // modes,
            32,
            seed=modes * seed + mode,
            start=start // modes,
            where={**ALIKE, "hair_color": color},
        ).images
        for mode, color in enumerate(HAIR)
    ]
    return np.stack(each, axis=1).reshape(-1, 32, 32, 3)


def upside_down(images: np.ndarray, probability: float, seed: int = 0) -> np.ndarray:
    """Turn some pictures (count, height, width, channels) over, as a careless augmentation would."""
    turned = np.random.default_rng(seed).random((len(images), 1, 1, 1)) < probability
    return np.where(turned, images[:, ::-1], images)


# --- models that break ----------------------------------------------------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class ManyTurns(DCGAN):
    """The discriminator takes four turns to the generator's one."""

    turns = 4

    def train_step(self, real: Tensor) -> dict[str, Tensor]:
        """Turns of the discriminator alone, then a round of the game."""
        for _ in range(self.turns - 1):
            train_discriminator(self, real)
        return super().train_step(real)


@keras.saving.register_keras_serializable("anime_keras")
class LoneDiscriminator(DCGAN):
    """Only the discriminator learns; the generator stays as it is."""

    def train_step(self, real: Tensor) -> dict[str, Tensor]:
        """One turn of the discriminator."""
        return self.update_meters(d_loss=train_discriminator(self, real))


def train_discriminator(gan: DCGAN, real: Tensor) -> Tensor:
    """One turn of the discriminator, against new fakes; returns its loss."""
    latents = gan.draw_latents(ops.shape(real)[0])
    fake = ops.stop_gradient(gan.generator(latents, training=True))
    return gan.minimize(
        lambda: gan.discriminator_loss(real, fake),
        gan.discriminator.trainable_variables,
        gan.discriminator_optimizer,
    )


@keras.saving.register_keras_serializable("anime_keras")
class MixedBatches(DCGAN):
    """Real and fake pictures go through the discriminator's BatchNorm as one batch."""

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """The cross-entropy of one pass over both."""
        logits = self.discriminator(ops.concatenate([real, fake]), training=True)
        real_logits, fake_logits = ops.split(logits, 2)
        self.update_meters(
            real_score=ops.mean(ops.sigmoid(real_logits)),
            fake_score=ops.mean(ops.sigmoid(fake_logits)),
        )
        return losses.get(self.rule).discriminator(real_logits, fake_logits)


@keras.saving.register_keras_serializable("anime_keras")
class ForgottenTraining(DCGAN):
    """No network is told that it is being trained."""

    def train_step(self, real: Tensor) -> dict[str, Tensor]:
        """A round of the game, right but for `training=`."""
        latents = self.draw_latents(ops.shape(real)[0])
        rule = losses.get(self.rule)

        def d_loss() -> Tensor:
            real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
            self.update_meters(
                real_score=ops.mean(ops.sigmoid(real_logits)),
                fake_score=ops.mean(ops.sigmoid(fake_logits)),
            )
            return rule.discriminator(real_logits, fake_logits)

        def g_loss() -> Tensor:
            return rule.generator(None, self.discriminator(self.generator(latents)))

        fake = self.generator(latents)
        return self.update_meters(
            d_loss=self.minimize(
                d_loss, self.discriminator.trainable_variables, self.discriminator_optimizer
            ),
            g_loss=self.minimize(
                g_loss, self.generator.trainable_variables, self.generator_optimizer
            ),
        )


class UpsideDown(keras.layers.Layer):
    """Turns each picture of a batch over with some probability; gradients pass.

    Args:
        probability: below ½: at ½ upright and turned pictures give the same mixture, whichever of
            them the generator draws (Karras et al. 2020, section 2.2).
        seed: of its own random state.
    """

    def __init__(self, probability: float, seed: int = 0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.probability = probability
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, images: Tensor) -> Tensor:
        """(batch, height, width, channels), each upright or turned."""
        chance = keras.random.uniform((ops.shape(images)[0], 1, 1, 1), seed=self.seed_generator)
        return ops.where(chance < self.probability, ops.flip(images, axis=1), images)


@keras.saving.register_keras_serializable("anime_keras")
class TurnsBoth(DCGAN):
    """What turns real pictures over turns the generator's, too."""

    probability = 0.3

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.augment = UpsideDown(self.probability, self._settings["seed"] + 1)


ENLARGEMENTS = ("transposed 3", "transposed 4", "resize")
"""Ways to double a feature map: transposed convolution of 3x3 or 4x4; or repeat, then convolve."""


def build_generator(enlarge: str, latent_dim: int = 16, width: int = 16) -> keras.Model:
    """Latents to pictures of 32 pixels, as DCGAN's generator but for how maps are enlarged.

    Args:
        enlarge: a name out of `ENLARGEMENTS`.
        latent_dim: numbers a picture is made from.
        width: channels of the last layer but one.

    Raises:
        ValueError: there is no such enlargement.
    """
    if enlarge not in ENLARGEMENTS:
        raise ValueError(f"enlarge must be one of {ENLARGEMENTS}, not {enlarge!r}.")
    layers = keras.layers
    options = {
        "use_bias": False,
        "kernel_initializer": keras.initializers.RandomNormal(0.0, 0.02),
        "padding": "same",
    }

    def double(x: Tensor, channels: int) -> Tensor:
        if enlarge == "resize":
            return layers.Conv2D(channels, 3, **options)(layers.UpSampling2D()(x))
        return layers.Conv2DTranspose(channels, int(enlarge[-1]), 2, **options)(x)

    noise = layers.Input((latent_dim,))
    x = layers.Dense(16 * 4 * width, use_bias=False)(noise)
    x = layers.Reshape((4, 4, 4 * width))(x)
    for channels in (2 * width, width, 3):
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
        x = double(x, channels)
    return keras.Model(noise, layers.Activation("tanh", dtype="float32")(x), name="generator")


@keras.saving.register_keras_serializable("anime_keras")
class Enlarging(DCGAN):
    """A DCGAN whose generator enlarges in another way."""

    def __init__(self, enlarge: str = "transposed 3", **kwargs) -> None:
        super().__init__(**{**kwargs, "ema": 0.0})
        self.generator = build_generator(enlarge, self.latent_dim, self._settings["width"])
        self._settings["enlarge"] = enlarge


# --- training -------------------------------------------------------------------------------------


class Run(NamedTuple):
    """A GAN that was trained.

    Attributes:
        gan: the model.
        history: name -> one value every few steps: "step", and the means of the model's meters.
        first: weights of the generator, and of the discriminator: before training, and when the
            first row of the history was written.
    """

    gan: DCGAN
    history: dict[str, list[float]]
    first: tuple[tuple[list, list], tuple[list, list]]


def train(
    images: np.ndarray,
    steps: int = 200,
    seed: int = 0,
    *,
    kind: type[DCGAN] = DCGAN,
    build: dict[str, Any] | None = None,
    batch_size: int = 32,
    value_range: tuple[float, float] = (-1.0, 1.0),
    few: int | None = None,
    turned: float = 0.0,
    share: float = 1.0,
    **rules: Any,
) -> Run:
    """Train a small GAN; with no settings at all, a sound one.

    Args:
        images: uint8 (count, 32, 32, 3).
        steps: rounds of the game.
        seed: of the weights, the latents and the order of the pictures.
        kind: which model.
        build: of its arguments, those that differ.
        batch_size: pictures a step.
        value_range: what black and white become.
        few: train on the first so many pictures only.
        turned: part of the pictures that is turned over before training.
        share: train for this part of the steps.
        **rules: of `compile`, those that differ; by default both rates are 0.002.
    """
    keras.utils.set_random_seed(seed)
    gan = kind(image_size=32, seed=seed, **{"width": 16, "latent_dim": 16, **(build or {})})
    gan.compile(**{"learning_rate": 2e-3, **rules})
    weights = _Weights(gan)
    images = upside_down(images[:few], turned, seed)
    history = proceed(
        gan, images, max(1, round(share * steps)), seed, batch_size, value_range, [weights]
    )
    return Run(gan, history, weights.first)


class _Weights(keras.callbacks.Callback):
    """Keeps the players' weights of the beginning, and those after the first epoch."""

    def __init__(self, gan: DCGAN) -> None:
        super().__init__()
        self.networks = gan.generator, gan.discriminator
        self.before = [network.get_weights() for network in self.networks]

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch == 0:
            after = [network.get_weights() for network in self.networks]
            self.first = tuple(zip(self.before, after, strict=True))


def proceed(
    gan: DCGAN,
    images: np.ndarray,
    steps: int,
    seed: int = 0,
    batch_size: int = 32,
    value_range: tuple[float, float] = (-1.0, 1.0),
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> dict[str, list[float]]:
    """Train on, and return the history: twenty rows at most, and their steps."""
    every = max(1, steps // 20)
    stream = Batches(images, min(batch_size, len(images)), seed, value_range=value_range).dataset()
    # An epoch here is nothing but the time between two rows of the history.
    done = gan.fit(
        stream,
        steps_per_epoch=every,
        epochs=steps // every,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    ).history
    return {"step": [every * (row + 1) for row in range(steps // every)], **done}


def confident(gan: DCGAN, images: np.ndarray, steps: int = 100, seed: int = 0) -> DCGAN:
    """Let a copy of the discriminator learn alone, against a generator that stands still.

    This is what a discriminator comes to that is trained "to optimality" (Arjovsky and Bottou 2017,
    figure 2).
    """
    rate = float(ops.convert_to_numpy(gan.discriminator_optimizer.learning_rate))
    lone = LoneDiscriminator(**{**gan.get_config(), "ema": 0.0})
    lone.generator.set_weights(gan.generator.get_weights())
    lone.discriminator.set_weights(gan.discriminator.get_weights())
    lone.compile(learning_rate=rate)
    proceed(lone, images, steps, seed)
    return lone


def judge_together(gan: DCGAN) -> Callable[[Tensor, Tensor], Tensor]:
    """The logits of real pictures that go through the discriminator in one batch with fakes."""
    return lambda real, fake: gan.discriminator(ops.concatenate([real, fake]), training=True)[
        : len(real)
    ]


def judge_apart(gan: DCGAN) -> Callable[[Tensor, Tensor], Tensor]:
    """The logits of real pictures that go through it by themselves, and fakes after them."""

    def judge(real: Tensor, fake: Tensor) -> Tensor:
        logits = gan.discriminator(real, training=True)
        gan.discriminator(fake, training=True)
        return logits

    return judge


class Case(NamedTuple):
    """Settings of `train` that break a GAN, and those that mend it."""

    broken: dict[str, Any]
    mended: dict[str, Any]


CASES: dict[str, Case] = {
    # With beta_1 = 0.5 alone a sound run of 200 steps still left out a colour in one of five seeds.
    "mode collapse": Case({"beta_1": 0.9}, {"beta_1": 0.5, "r1": 1.0, "share": 0.8}),
    "winning discriminator": Case(
        {"kind": ManyTurns, "share": 0.2}, {"kind": ManyTurns, "share": 0.2, "r1": 5.0}
    ),
    "mixed batches": Case({"kind": MixedBatches, "share": 0.5}, {}),
    "checkerboard": Case(
        {"kind": Enlarging, "build": {"enlarge": "transposed 3"}, "share": 0.5},
        {"kind": Enlarging, "build": {"enlarge": "resize"}, "share": 0.5},
    ),
    "forgotten training": Case({"kind": ForgottenTraining, "share": 0.5}, {}),
    "range": Case({"value_range": (0.0, 1.0), "share": 0.5}, {}),
    "leak": Case({"turned": 0.3}, {"kind": TurnsBoth}),
    "small data": Case(
        {"few": 8, "batch_size": 8, "r1": 5.0, "share": 1.5},
        {"batch_size": 8, "r1": 5.0, "share": 1.5},
    ),
    "learning rates": Case({"discriminator_learning_rate": 2e-5, "share": 0.5}, {}),
    "exploding losses": Case(
        {
            "loss": "wasserstein",
            "gradient_penalty": 0.0,
            "build": {"normalization": "layer"},
            "share": 0.5,
        },
        {"loss": "wasserstein", "build": {"normalization": "layer"}, "share": 0.5},
    ),
}
"""Failure -> what breaks and what mends; where nothing is said, it is the sound one of all."""
