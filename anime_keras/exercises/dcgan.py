"""The exercises of notebook 02, DCGAN: its loss, its size, its sight, a step, an experiment."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from anime_keras import exercises, losses, models
from anime_keras.exercises import Wrong, close, exercise, function, number


@exercise(
    "02.1",
    hint="-log(sigmoid(x)) and softplus(-x) are the same function, but only the second survives "
    "x = -200. Then take the mean over the batch.",
)
def _non_saturating(loss: Callable) -> str:
    function(loss)
    logits = np.array([[-2.0], [0.5], [3.0], [-0.25]], "float32")
    value = number(loss(ops.convert_to_tensor(logits)), "The loss")
    wanted = float(losses.non_saturating_generator(logits, logits))
    others = {
        "That is the mean logit: G would push it down, and it wants it up.": float(logits.mean()),
        "That is log(1 - sigmoid), the loss that fades while D is sure. Which log should go up "
        "instead?": float(losses.minimax_generator(logits, logits)),
        "The sign is turned round: this falls when the logits fall, and G wants them up.": float(
            np.mean(np.logaddexp(0, logits))
        ),
        "That is +log(sigmoid). An optimizer lowers what it is given, so G needs it with a minus.": (
            -wanted
        ),
        "That is the Wasserstein loss, -mean(logits): it has no sigmoid in it.": -float(
            logits.mean()
        ),
        "That is the sum over the batch: a batch twice as large would give steps twice as long. Take "
        "the mean.": wanted * len(logits),
    }
    for message, other in others.items():
        if close(value, other):
            raise Wrong(message)
    if not close(value, wanted):
        raise Wrong(
            f"For the logits {logits.ravel().tolist()} it gives {value:.4f}; -log(sigmoid) has a mean "
            f"of {wanted:.4f}."
        )
    far = number(loss(ops.convert_to_tensor([[-200.0]])), "The loss")
    if not close(far, 200.0):
        raise Wrong(
            f"Right for small logits, but at a logit of -200 it gives {far}: sigmoid(-200) is 0 in "
            "float32, and its log is lost. Is there one operation for both?"
        )
    return "At a logit of -200 it gives 200, not infinity."


@exercise(
    "02.2",
    hint="A kernel has size * size * inputs * outputs numbers. A bias adds one for each output, and "
    "BatchNorm learns two for each: a scale and a shift.",
)
def _parameters(count: Callable) -> str:
    function(count)

    def ask(size: int, inputs: int, outputs: int, **flags: bool) -> float:
        flags = {"bias": False, "batch_norm": False, **flags}
        return number(count(size, inputs, outputs, **flags), f"count{(size, inputs, outputs)}")

    plain = ask(4, 3, 64)
    if plain == 4 * 3 * 64:
        raise Wrong("A kernel is as high as it is wide: its size counts twice.")
    if plain == 4 * 4 * 64:
        raise Wrong("Each output looks at all the inputs: where are they?")
    if plain in (4 * 4 * 3 * 64 + 64, 4 * 4 * 3 * 64 + 3):
        raise Wrong("A bias was counted where bias=False.")
    if plain != 4 * 4 * 3 * 64:
        raise Wrong(f"4x4, 3 in, 64 out, no bias, no BatchNorm: you count {plain:g}, Keras 3,072.")
    extra = ask(4, 3, 64, bias=True) - plain
    if extra != 64:
        raise Wrong(f"A bias is one number for each of the 64 outputs; yours adds {extra:g}.")
    extra = ask(4, 3, 64, batch_norm=True) - plain
    if extra == 4 * 64:
        raise Wrong(
            "Keras stores four numbers a channel, but the moving mean and variance are measured, not "
            "learned: two are trained."
        )
    if extra != 2 * 64:
        raise Wrong(f"BatchNorm trains a scale and a shift a channel; yours adds {extra:g} for 64.")
    if ask(5, 7, 11, bias=True, batch_norm=True) != 5 * 5 * 7 * 11 + 3 * 11:
        raise Wrong("Right for 4x4 with 3 in and 64 out, but not for 5x5 with 7 in and 11 out.")
    return "You can now price any layer before you build it."


@exercise(
    "02.3",
    hint="Start with one pixel, and with neighbours one pixel apart. A layer adds (kernel - 1) times "
    "the distance of its neighbours, and then its stride multiplies that distance.",
)
def _receptive_field(field: Callable) -> str:
    function(field)
    one = number(field([(4, 2)]), "receptive_field([(4, 2)])")
    if one == 7:
        raise Wrong("The stride of a layer spreads the layers after it, not the layer itself.")
    if one != 4:
        raise Wrong(
            f"One convolution of 4x4 sees 4 pixels whatever its stride; yours says {one:g}. Does it "
            "begin with one pixel, and add kernel - 1?"
        )
    two = number(field([(4, 2), (4, 2)]), "receptive_field([(4, 2), (4, 2)])")
    if two == 7:
        raise Wrong(
            "The second layer's neighbours are 2 pixels apart in the picture, because the first has a "
            "stride of 2: its reach counts twice."
        )
    if two in (8, 12):
        raise Wrong(
            "Squares of neighbours overlap: a layer brings kernel - 1 new ones, not kernel."
        )
    if two == 16:
        raise Wrong("Multiplying is too much: each layer adds (kernel - 1) times a distance.")
    if two != 10:
        raise Wrong(f"Two 4x4 convolutions of stride 2 see 10 pixels; yours says {two:g}.")
    patch = number(field([(4, 2)] * 3 + [(4, 1)] * 2), "receptive_field of a PatchGAN")
    if patch != 70:
        raise Wrong(
            f"Three layers of stride 2 and two of stride 1 see 70 pixels; yours says {patch:g}. Is "
            "each layer's own stride used?"
        )
    if field([]) != 1:
        raise Wrong("Without any layer a pixel sees itself: 1.")
    return "Three layers of stride 2 and two of stride 1 see 70 pixels: CycleGAN's patches."


@exercise(
    "02.4",
    hint="gan.minimize(loss_fn, variables, optimizer): loss_fn takes no arguments (lambda: ...), and "
    "variables and optimizer are the discriminator's. Return what minimize returns.",
)
def _discriminator_step(step: Callable) -> str:
    function(step)
    # Plain float32 and a tiny network: fast, and the same for everyone.
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yours, ours = _tiny_gan(), _tiny_gan()
    finally:
        keras.config.set_dtype_policy(policy)
    ours.set_weights(yours.get_weights())
    random = np.random.default_rng(0)
    real, fake = (
        ops.convert_to_tensor(random.uniform(-1, 1, (4, 32, 32, 3)).astype("float32"))
        for _ in range(2)
    )
    before_d = yours.discriminator.get_weights()
    before_g = yours.generator.get_weights()
    value = number(step(yours, real, fake), "What the step returns")
    wanted = ours.minimize(
        lambda: ours.discriminator_loss(real, fake),
        ours.discriminator.trainable_variables,
        ours.discriminator_optimizer,
    )
    if not _same(yours.generator.get_weights(), before_g):
        raise Wrong("The generator changed in the discriminator's turn: whose variables are those?")
    trained = [v.path for v in ours.discriminator.trainable_variables]
    moved = [
        not np.array_equal(old, new)
        for old, new, weight in zip(
            before_d, yours.discriminator.get_weights(), yours.discriminator.weights, strict=True
        )
        if weight.trainable
    ]
    if not any(moved):
        raise Wrong(
            "The loss is computed, but none of the discriminator's weights moved: minimize takes the "
            "step."
        )
    if not all(moved):
        raise Wrong(f"Only {sum(moved)} of the discriminator's {len(trained)} variables moved.")
    if not close(value, float(wanted)):
        raise Wrong(
            f"The loss is {value:.4f} and should be {float(wanted):.4f}. Are real and fake in their "
            "places, each in its own pass?"
        )
    if int(yours.discriminator_optimizer.iterations) != 1:
        times = int(yours.discriminator_optimizer.iterations)
        raise Wrong(f"The discriminator's optimizer took {times} steps, and one was wanted.")
    if not _same(yours.discriminator.get_weights(), ours.discriminator.get_weights()):
        raise Wrong("The loss is right, but the weights end elsewhere than by the kit's own step.")
    return "The discriminator's weights moved, the generator's did not."


def _tiny_gan() -> models.DCGAN:
    gan = models.DCGAN(image_size=32, width=2, latent_dim=4, ema=0.0)
    gan.compile()
    return gan


def _same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all(np.allclose(a, b, atol=1e-5) for a, b in zip(first, second, strict=True))


KNOBS = ("learning_rate", "beta_1", "batch_size", "width", "loss", "label_smoothing", "latent_dim")
"""What an experiment of exercise 02.5 can turn."""


@exercise(
    "02.5",
    hint="One entry in `change`, with two values or more; everything else in `keep`. Two seeds or "
    "more, because a single run may just have been lucky. And say what you expect before you look.",
)
def _experiment(plan: dict) -> str:
    exercises.plan(plan, "change", "keep", "seeds", "prediction")
    name, values = exercises.one_change(plan, KNOBS)
    if len(set(plan["seeds"])) < 2:
        raise Wrong(
            "One seed shows one run, and its luck. With two you see how far apart two runs are that "
            "differ in nothing else."
        )
    exercises.expectation(plan)
    return f"{len(values) * len(set(plan['seeds']))} runs that differ in {name} and in luck alone."
