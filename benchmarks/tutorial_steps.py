"""A DCGAN's step by this kit, beside the steps that tutorials teach: same networks, batch and machine.

    python benchmarks/tutorial_steps.py [--rounds 5] [--seconds 4] [--json out.json]

64 px, batches of 64, width 64, 100 latents; all have the kit's networks, the tutorials from Keras' own
layers. What differs is how a step is taken:

* keras.io, "DCGAN to generate face images": a `train_step` in which D sees generated and real
  pictures in one batch of 128, with noise on the labels, and G then draws anew.
* tensorflow.org, "Deep Convolutional Generative Adversarial Network": a `tf.function` with two tapes
  around one pass; both players step at once.

How the settings take turns: `_turns.py`.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import _turns

BATCH, LATENTS, WIDTH = 64, 100, 64
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def pictures() -> Any:
    """A batch in [-1, 1]."""
    import numpy as np

    return np.tanh(np.random.default_rng(0).standard_normal((BATCH, 64, 64, 3))).astype("float32")


def kit(policy: str) -> _turns.Train:
    """This kit's DCGAN, by `fit`."""
    import keras

    keras.config.set_dtype_policy(policy)
    from anime_keras import models

    gan = models.DCGAN(image_size=64, latent_dim=LATENTS, width=WIDTH, ema=0.0)
    gan.compile()
    return _turns.by_fit(gan, pictures())


def networks() -> tuple[Any, Any]:
    """Generator and discriminator as the kit's, of Keras' own layers."""
    import keras
    from keras import layers

    def norm() -> Any:
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)

    generator = keras.Sequential([keras.Input((LATENTS,)), layers.Reshape((1, 1, LATENTS))])
    generator.add(layers.Conv2DTranspose(8 * WIDTH, 4, use_bias=False))
    for times in (4, 2, 1):
        generator.add(norm())
        generator.add(layers.ReLU())
        generator.add(layers.Conv2DTranspose(times * WIDTH, 4, 2, padding="same", use_bias=False))
    generator.add(norm())
    generator.add(layers.ReLU())
    generator.add(layers.Conv2DTranspose(3, 4, 2, padding="same", use_bias=False))
    generator.add(layers.Activation("tanh", dtype="float32"))

    discriminator = keras.Sequential([keras.Input((64, 64, 3))])
    for times in (1, 2, 4, 8):
        discriminator.add(layers.Conv2D(times * WIDTH, 4, 2, padding="same", use_bias=False))
        if times > 1:
            discriminator.add(norm())
        discriminator.add(layers.LeakyReLU(negative_slope=0.2))
    discriminator.add(layers.Conv2D(1, 4, use_bias=False))
    discriminator.add(layers.Flatten(dtype="float32"))
    return generator, discriminator


def keras_tutorial(policy: str) -> _turns.Train:
    """One batch of both kinds for D; then G draws anew."""
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    generator, discriminator = networks()
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    g_optimizer, d_optimizer = (keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2))

    class GAN(keras.Model):
        def train_step(self, real: Any) -> dict[str, Any]:
            count = tf.shape(real)[0]
            both = tf.concat([generator(tf.random.normal((count, LATENTS))), real], axis=0)
            labels = tf.concat([tf.ones((count, 1)), tf.zeros((count, 1))], axis=0)
            labels += 0.05 * tf.random.uniform(tf.shape(labels))
            with tf.GradientTape() as tape:
                d_loss = cross_entropy(labels, discriminator(both, training=True))
            gradients = tape.gradient(d_loss, discriminator.trainable_weights)
            d_optimizer.apply(gradients, discriminator.trainable_weights)
            with tf.GradientTape() as tape:
                drawn = generator(tf.random.normal((count, LATENTS)), training=True)
                g_loss = cross_entropy(tf.zeros((count, 1)), discriminator(drawn, training=True))
            gradients = tape.gradient(g_loss, generator.trainable_weights)
            g_optimizer.apply(gradients, generator.trainable_weights)
            return {"d_loss": d_loss, "g_loss": g_loss}

    gan = GAN()
    gan.built = True
    gan.compile()
    return _turns.by_fit(gan, pictures())


def tensorflow_tutorial(policy: str) -> _turns.Train:
    """Two tapes around one pass."""
    import keras
    import tensorflow as tf

    keras.config.set_dtype_policy(policy)
    generator, discriminator = networks()
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)
    g_optimizer, d_optimizer = (keras.optimizers.Adam(1e-4) for _ in range(2))

    @tf.function
    def train_step(real: Any) -> Any:
        latents = tf.random.normal((BATCH, LATENTS))
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            drawn = generator(latents, training=True)
            called_real = discriminator(real, training=True)
            called_fake = discriminator(drawn, training=True)
            g_loss = cross_entropy(tf.ones_like(called_fake), called_fake)
            d_loss = cross_entropy(tf.ones_like(called_real), called_real)
            d_loss += cross_entropy(tf.zeros_like(called_fake), called_fake)
        for tape, loss, network, optimizer in (
            (g_tape, g_loss, generator, g_optimizer),
            (d_tape, d_loss, discriminator, d_optimizer),
        ):
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply(gradients, network.trainable_variables)
        return g_loss

    batch = tf.constant(pictures())
    return _turns.by_loop(lambda: float(train_step(batch)))


POLICIES = ("float32", "mixed_bfloat16")
OURS = {f"this kit, {policy}": partial(kit, policy) for policy in POLICIES}
TUTORIALS = {
    f"{name}, {policy}": partial(side, policy)
    for name, side in (("keras.io", keras_tutorial), ("tensorflow.org", tensorflow_tutorial))
    for policy in POLICIES
}

if __name__ == "__main__":
    _turns.run(__file__, __doc__ or "", BATCH, OURS, TUTORIALS, seconds=4.0)
