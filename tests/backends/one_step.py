"""One step of every model on whatever backend Keras has here, with the draws of a step fixed.

    KERAS_BACKEND=jax python tests/backends/one_step.py OUT.npz [WEIGHTS.npz] [--cases …] [--devices 2]
        [--pictures 11]

Random generators differ between backends, so all that a step draws comes from NumPy here; so do the
pictures. Weights are those of the other file, where one is given. What is written for each case: the
weights that it began with, the losses that it showed, each optimizer's first moments (the gradients
times 1 - beta_1) and all weights after the step.
"""

import argparse

import keras
import numpy as np
from keras import ops

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
if keras.backend.backend() == "jax":
    import jax

from anime_keras import replicas

BATCH, SIZE = 4, 32
WORDS = {"hair_color": ("blue", "pink", "red"), "glasses": ("none", "round")}
LABELS = {"hair_color": [0, 1, 2, -1], "glasses": [0, 1, 1, 0]}
NARROW = {"latent_dim": 16, "fmaps": 1 / 64, "max_channels": 32}
# name -> (model, its arguments, its rules). "within" after a model's name: without the questions that
# JAX on a CPU would be asked before a step, so that it decides within, as it does on a GPU.
CASES = {
    "dcgan": ("DCGAN", {"width": 8, "augmentation": ("translation", "cutout")}, {}),
    "dcgan_hinge": (
        "DCGAN",
        {
            "width": 8,
            "spectral_norm": True,
            "normalization": "none",
            # What moves in or is cut out is exactly 0, where a LeakyReLU has no derivative, and
            # JAX chooses the other side: a penalty on slopes would differ.
            "augmentation": ("color",),
        },
        {"loss": "hinge", "r1": 0.5},
    ),
    "dcgan_wasserstein": (
        "DCGAN",
        {"width": 8, "normalization": "layer"},
        {"loss": "wasserstein"},
    ),
    "conditional": (
        "ConditionalDCGAN",
        {"attributes": WORDS, "conditioning": "both", "width": 8},
        {},
    ),
    "cyclegan": (
        "CycleGAN",
        {"width": 8, "residual_blocks": 2, "history": 4},
        {"cycle_noise": 0.05},
    ),
    "animegan_begins": ("AnimeGAN", {"width": 4}, {"first_steps": 5}),
    "animegan_plays": ("AnimeGAN", {"width": 4}, {"first_steps": 0}),
    "animegan_within": ("AnimeGAN", {"width": 4}, {"first_steps": 0}),
    "vae": ("VAE", {"width": 8, "latent_dim": 8}, {"free_bits": 0.1}),
    "vae_perceptual": ("VAE", {"width": 8, "latent_dim": 8, "likelihood": "perceptual"}, {}),
    "vae_gan": ("VAEGAN", {"width": 8, "latent_dim": 8}, {}),
    "stylegan2": ("StyleGAN2", {**NARROW, "adaptive": True}, {}),
    "stylegan2_within": ("StyleGAN2", NARROW, {}),
}


class Draws:
    """Stands in for `keras.random`: the n-th draw of a step is the same on every backend."""

    def __init__(self) -> None:
        self.count = 0

    def _array(self, shape, draw):
        self.count += 1
        known = [side if isinstance(side, int) else BATCH for side in shape]
        return draw(np.random.default_rng(self.count), known)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype="float32", seed=None):
        """As `keras.random.normal`."""
        values = self._array(shape, lambda random, known: random.standard_normal(known))
        return mean + stddev * ops.convert_to_tensor(values, dtype)

    def uniform(self, shape, minval=0.0, maxval=1.0, dtype="float32", seed=None):
        """As `keras.random.uniform`."""
        values = self._array(shape, lambda random, known: random.random(known))
        return minval + (maxval - minval) * ops.convert_to_tensor(values, dtype or "float32")

    def randint(self, shape, minval, maxval, dtype="int32", seed=None):
        """As `keras.random.randint`."""
        values = self._array(shape, lambda random, known: random.integers(minval, maxval, known))
        return ops.convert_to_tensor(values, dtype)


def pictures(seed: int) -> np.ndarray:
    """A batch of smooth pictures in [-1, 1], as drawings are: noise would favour no backend.

    Nowhere of one colour: where many places compute the same number and that is all but 0, rounding
    decides for all of them at once which side of a ReLU they are on.
    """
    rows = np.random.default_rng(seed).normal(size=(BATCH, 5, 5, 3))
    places = np.linspace(0, 4, SIZE)
    between = np.stack([np.interp(places, range(5), one) for one in np.eye(5)], axis=1)
    return np.tanh(np.einsum("yi,bijc,xj->byxc", between, rows, between)).astype("float32")


def batch(model: str, seed: int):
    """What the model's `train_step` takes."""
    if model == "ConditionalDCGAN":
        return pictures(seed), {name: np.int32(values) for name, values in LABELS.items()}
    count = {"CycleGAN": 2, "AnimeGAN": 3}.get(model, 1)
    return tuple(pictures(seed + i) for i in range(count)) if count > 1 else pictures(seed)


def step(name: str, weights: dict[str, np.ndarray] | None, seed: int) -> dict[str, np.ndarray]:
    """One step of one case on pictures of that seed; all numbers of it."""
    from anime_keras import models

    kind, arguments, rules = CASES[name]
    keras.utils.set_random_seed(0)
    model = getattr(models, kind)(image_size=SIZE, **arguments)
    model.compile(**rules)
    if name.endswith("_within"):
        model.questions = ()
    if kind == "StyleGAN2":
        if model.augment:
            model.augment.probability.assign(0.7)
        for (
            layer
        ) in model.synthesis.layers:  # begun at 0 it would stay unseen whether noise is added
            if hasattr(layer, "strength"):
                layer.strength.assign(0.1)
    # Random state is the backend's own business.
    variables = [v for v in model.variables if v.name != "seed_generator_state"]
    before = [np.array(ops.convert_to_numpy(v)) for v in variables]
    if weights is not None:
        before = [weights[f"{name}/before/{i}"] for i in range(len(variables))]
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)

    draws, inner = Draws(), model.train_step
    shardings, shares = [], set()

    def train_step(*arguments):  # may be traced more than once: each time from the first draw on
        draws.count = 0
        shares.add(replicas.count())
        if keras.distribution.distribution() is not None:
            for images in keras.tree.flatten(arguments[-1]):
                jax.debug.inspect_array_sharding(images, callback=shardings.append)
        return inner(*arguments)

    def own(rows):  # what is drawn, too
        rows = kept_own(rows)
        if keras.distribution.distribution() is not None:
            jax.debug.inspect_array_sharding(rows, callback=shardings.append)
        return rows

    model.train_step = train_step
    kept_own, replicas.own = replicas.own, own
    kept = {word: getattr(keras.random, word) for word in ("normal", "uniform", "randint")}
    for word in kept:
        setattr(keras.random, word, getattr(draws, word))
    try:
        data = batch(kind, seed)
        if keras.backend.backend() == "tensorflow":
            data = tf.data.Dataset.from_tensors(data).repeat(4)
        else:
            one = data if isinstance(data, tuple) else (data,)
            data = (one for _ in range(4))
        logs = model.fit(data, steps_per_epoch=1, epochs=1, verbose=0).history
    finally:
        replicas.own = kept_own
        for word, function in kept.items():
            setattr(keras.random, word, function)

    found = {f"{name}/before/{i}": value for i, value in enumerate(before)}
    for i, variable in enumerate(variables):
        found[f"{name}/after/{i}"] = np.array(ops.convert_to_numpy(variable))
    for sharding in shardings:  # each device has its part of the batch, and no other
        assert not sharding.is_fully_replicated, sharding
    devices = len(shardings[0].device_set) if shardings else max(shares)
    found[f"{name}/devices"] = devices
    for word, values in logs.items():
        found[f"{name}/loss/{word}"] = np.float64(values[-1])
    place = {id(variable): i for i, variable in enumerate(variables)}
    for player, optimizer in enumerate(model.optimizers):
        for variable, moment in zip(
            optimizer._trainable_variables, optimizer._momentums, strict=True
        ):
            array = np.array(ops.convert_to_numpy(moment))
            found[f"{name}/moment/{player}/{place[id(variable)]}"] = array
    return found


def main() -> None:
    """Take all steps and write them down."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("weights", nargs="?")
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--pictures", type=int, default=11, help="seed of the first batch")
    options = parser.parse_args()
    keras.config.set_dtype_policy("float32")
    if keras.backend.backend() == "tensorflow":  # of JAX an environment variable asks for devices
        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * options.devices
        tf.config.set_logical_device_configuration(cpu, parts)
    known = dict(np.load(options.weights)) if options.weights else None
    found = {}
    with replicas.shared_among(options.devices):
        for name in options.cases:
            found |= step(name, known, options.pictures)
    np.savez(options.out, **found)


if __name__ == "__main__":
    main()
