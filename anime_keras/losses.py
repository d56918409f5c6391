"""Every loss of the paper (section 3.2.3, "Loss Functions"), as plain functions.

Adversarial losses take *logits*: the discriminator's raw output, before any sigmoid, of any shape.
Each returns a float32 scalar, the mean over all logits, and each player *minimises* its own. They
are written with `softplus`, because log(sigmoid(x)) = -softplus(-x) never overflows.

    goodfellow  Goodfellow et al. 2014, "Generative Adversarial Networks", section 3
    mao         Mao et al. 2017, "Least Squares Generative Adversarial Networks", equation 9
    lim         Lim and Ye 2017, "Geometric GAN", section 4
    arjovsky    Arjovsky et al. 2017, "Wasserstein GAN", equation 2
    gulrajani   Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", equation 3
    mescheder   Mescheder et al. 2018, "Which Training Methods for GANs do actually Converge?", eq. 9
    salimans    Salimans et al. 2016, "Improved Techniques for Training GANs", sections 3.1 and 3.4
    zhu         Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent
                Adversarial Networks", sections 3 and 4
    jolicoeur   Jolicoeur-Martineau 2019, "The relativistic discriminator", section 4
    odena       Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs", eq. 3
    gatys       Gatys et al. 2016, "Image Style Transfer Using Convolutional Neural Networks", 2.2
    chen        Chen et al. 2019, "AnimeGAN: A Novel Lightweight GAN for Photo Animation", section 2.3
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from anime_keras import replicas

Tensor = Any  # a tensor of whichever backend Keras runs on


class AdversarialLoss(NamedTuple):
    """The two players' losses, each a function of (real_logits, fake_logits).

    Most generators ignore the real logits; a relativistic one compares with them.
    """

    discriminator: Callable[..., Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def _float32(*tensors: Tensor) -> list[Tensor]:
    """Losses are summed in float32, whatever precision the network computed in."""
    return [ops.cast(tensor, "float32") for tensor in tensors]


# --- the discriminator's side ---------------------------------------------------------------------


def cross_entropy_discriminator(
    real_logits: Tensor, fake_logits: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Binary cross-entropy with real = 1 and fake = 0 (goodfellow, equation 1).

    Args:
        real_logits: D(x) for real pictures.
        fake_logits: D(G(z)) for generated ones.
        label_smoothing: in [0, 1). Real pictures get the label 1 - label_smoothing; fake ones keep 0,
            because smoothing those would reward the generator for staying bad (salimans, 3.4).
    """
    real, fake = _float32(real_logits, fake_logits)
    # target * softplus(-x) + (1 - target) * softplus(x), and softplus(x) = x + softplus(-x)
    return ops.mean(ops.softplus(-real) + label_smoothing * real) + ops.mean(ops.softplus(fake))


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½ E[(D(x) - 1)²] + ½ E[D(G(z))²] (mao, with a = 0, b = c = 1)."""
    real, fake = _float32(real_logits, fake_logits)
    return 0.5 * (ops.mean(ops.square(real - 1.0)) + ops.mean(ops.square(fake)))


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (lim): content once a margin of 1 is kept."""
    real, fake = _float32(real_logits, fake_logits)
    return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)] (arjovsky): minus the distance, if D is 1-Lipschitz."""
    real, fake = _float32(real_logits, fake_logits)
    return ops.mean(fake) - ops.mean(real)


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Cross-entropy of "more real than the average fake", both ways (jolicoeur, RaSGAN)."""
    real, fake = _float32(real_logits, fake_logits)
    real_mean, fake_mean = (replicas.mean(ops.mean(logits)) for logits in (real, fake))
    real_lead, fake_lead = real - fake_mean, fake - real_mean
    return ops.mean(ops.softplus(-real_lead)) + ops.mean(ops.softplus(fake_lead))


# --- the generator's side -------------------------------------------------------------------------


def minimax_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[log(1 - sigmoid(D(G(z))))] (goodfellow, eq. 1): vanishes while D is sure of the fakes."""
    (fake,) = _float32(fake_logits)
    return -ops.mean(ops.softplus(fake))


def non_saturating_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log sigmoid(D(G(z)))] (goodfellow, section 3): strongest while D is sure of the fakes."""
    (fake,) = _float32(fake_logits)
    return ops.mean(ops.softplus(-fake))


def least_squares_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """½ E[(D(G(z)) - 1)²] (mao)."""
    (fake,) = _float32(fake_logits)
    return 0.5 * ops.mean(ops.square(fake - 1.0))


def wasserstein_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))] (arjovsky); the hinge loss's generator as well (lim)."""
    (fake,) = _float32(fake_logits)
    return -ops.mean(fake)


def relativistic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The relativistic discriminator's loss with the two sides exchanged (jolicoeur, RaSGAN)."""
    return relativistic_discriminator(fake_logits, real_logits)


ADVERSARIAL: dict[str, AdversarialLoss] = {
    "non_saturating": AdversarialLoss(cross_entropy_discriminator, non_saturating_generator),
    "minimax": AdversarialLoss(cross_entropy_discriminator, minimax_generator),
    "least_squares": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "hinge": AdversarialLoss(hinge_discriminator, wasserstein_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator),
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator),
}


def get(name: str) -> AdversarialLoss:
    """The two players' losses by name.

    Raises:
        ValueError: there is no loss of that name; the message lists those there are.
    """
    if name not in ADVERSARIAL:
        raise ValueError(
            f"There is no adversarial loss {name!r}. Choose one of {list(ADVERSARIAL)}."
        )
    return ADVERSARIAL[name]


# --- what may be added, each with a weight --------------------------------------------------------


def gradient_penalty(gradients: Tensor, target: float = 1.0) -> Tensor:
    """E[(‖∇D(x)‖₂ - target)²] (gulrajani): holds the slope of D near `target` where it is taken.

    Args:
        gradients: (batch, ...) gradients of each logit with respect to its own input picture.
        target: the slope wished for; 1 for Wasserstein.
    """
    # The small constant keeps the square root's own derivative finite where a gradient is zero.
    norms = ops.sqrt(_squared_norms(gradients) + 1e-12)
    return ops.mean(ops.square(norms - target))


def r1_penalty(gradients: Tensor) -> Tensor:
    """½ E[‖∇D(x)‖²] over real pictures (mescheder; gamma is the weight that it is given)."""
    return 0.5 * ops.mean(_squared_norms(gradients))


def _squared_norms(gradients: Tensor) -> Tensor:
    (gradients,) = _float32(gradients)
    return ops.sum(ops.square(gradients), axis=tuple(range(1, len(gradients.shape))))


def feature_matching(real_features: Tensor, fake_features: Tensor) -> Tensor:
    """Mean squared difference of the batch means of D's inner features (salimans, section 3.1).

    Salimans et al. take the squared L2 norm, a sum over features; the mean over features used here
    differs by a constant factor and keeps the weight independent of the network's width.

    Args:
        real_features: (batch, ...) an inner layer of D for real pictures.
        fake_features: (batch, ...) the same layer for generated ones.
    """
    real, fake = _float32(real_features, fake_features)
    real, fake = (replicas.mean(ops.mean(features, axis=0)) for features in (real, fake))
    return ops.mean(ops.square(real - fake))


def content(target_images: Tensor, images: Tensor) -> Tensor:
    """Mean squared pixel difference, the paper's "L2 loss / content loss" (section 3.2.3).

    A plain DCGAN has no pair for a generated picture: against random real ones this pulls each
    picture towards the mean of the data, which is blur. Use it where pairs exist.
    """
    target, images = _float32(target_images, images)
    return ops.mean(ops.square(target - images))


def classification(scores: Tensor, target: Tensor) -> Tensor:
    """-log softmax of the right word, the mean over all pictures whose word is known (odena, eq. 3).

    Args:
        scores: (batch, words), before the softmax.
        target: (batch, words), 1 at the right word; all 0 where it is not known, which counts for
            nothing: neither in the sum nor in the number that it is divided by.
    """
    scores, target = _float32(scores, target)
    known = ops.sum(target, axis=1)
    surprise = known * ops.logsumexp(scores, axis=1) - ops.sum(target * scores, axis=1)
    # Of all replicas: where one of them knows none, the others know more than their share.
    share = replicas.mean(ops.sum(known))
    return ops.sum(surprise) / ops.maximum(share, 1.0 / replicas.count())


# --- for pictures that are translated -------------------------------------------------------------

VERDICTS = ("least_squares", "cross_entropy")


def verdict(logits: Tensor, real: bool, rule: str = "least_squares") -> Tensor:
    """How far a discriminator's verdict on each patch is from "real", or from "fake".

    CycleGAN's three adversarial terms are this one: the discriminator wants its own pictures called
    real and the generator's fake, the generator wants the generator's called real (zhu, section 3.1
    for the cross-entropy, equation 1; section 4 for least squares).

    Args:
        logits: of any shape; the mean over all patches of all pictures is taken.
        real: what they should say.
        rule: "least_squares", E[(D - label)²], or "cross_entropy", -E[log sigmoid(±D)].

    Raises:
        ValueError: there is no such rule.
    """
    if rule not in VERDICTS:
        raise ValueError(f"There is no verdict {rule!r}. Choose one of {list(VERDICTS)}.")
    (logits,) = _float32(logits)
    if rule == "least_squares":
        return ops.mean(ops.square(logits - float(real)))
    return ops.mean(ops.softplus(-logits if real else logits))


def absolute_error(target_images: Tensor, images: Tensor) -> Tensor:
    """Mean absolute pixel difference, the L1 norm of cycle and identity loss (zhu, section 3.2)."""
    target, images = _float32(target_images, images)
    return ops.mean(ops.abs(target - images))


# --- for pictures that keep their content and change their style ----------------------------------

# ITU-R BT.601, as TensorFlow's `rgb_to_yuv` has it: a row for each of R, G, B, a column for Y, U, V.
YUV = (
    (0.299, -0.14714119, 0.61497538),
    (0.587, -0.28886916, -0.51496512),
    (0.114, 0.43601035, -0.10001026),
)


def yuv(images: Tensor) -> Tensor:
    """Brightness Y in [0, 1], and the colours U in [-0.44, 0.44] and V in [-0.62, 0.62].

    Args:
        images: (batch, height, width, 3), RGB in [-1, 1].
    """
    (images,) = _float32(images)
    return ops.matmul((images + 1.0) / 2.0, ops.convert_to_tensor(YUV, "float32"))


def grey(images: Tensor) -> Tensor:
    """Pictures (batch, height, width, 3) in [-1, 1] without their colours: Y three times."""
    return ops.repeat(2.0 * yuv(images)[..., :1] - 1.0, 3, axis=-1)


def huber(target: Tensor, values: Tensor) -> Tensor:
    """Mean of ½ d² for differences d up to 1, and of |d| - ½ beyond.

    Source: Huber 1964, "Robust Estimation of a Location Parameter", with k = 1.
    """
    target, values = _float32(target, values)
    distance = ops.abs(target - values)
    return ops.mean(
        ops.where(distance <= 1.0, 0.5 * ops.square(distance), ops.maximum(distance, 0.5) - 0.5)
    )


def color(target_images: Tensor, images: Tensor) -> Tensor:
    """L1 of Y, and Huber's loss of U and of V (chen, equation 8).

    Both are (batch, height, width, 3), RGB in [-1, 1].
    """
    target, values = yuv(target_images), yuv(images)
    return absolute_error(target[..., 0], values[..., 0]) + sum(
        huber(target[..., channel], values[..., channel]) for channel in (1, 2)
    )


def total_variation(images: Tensor) -> Tensor:
    """Half the mean squared step to the next row, and half that to the next column.

    Source: Rudin et al. 1992, "Nonlinear total variation based noise removal algorithms", in
    AnimeGANv2's form: squares in place of lengths, means in place of sums.
    """
    (images,) = _float32(images)
    down = images[:, 1:] - images[:, :-1]
    right = images[:, :, 1:] - images[:, :, :-1]
    return 0.5 * (ops.mean(ops.square(down)) + ops.mean(ops.square(right)))


def gram(maps: Tensor) -> Tensor:
    """Which channels are strong at the same places, wherever those are (gatys, equation 3).

    Args:
        maps: (batch, height, width, channels).

    Returns:
        (batch, channels, channels): sums over places of products of channels, divided by height,
        width and channels, as in AnimeGANv2.
    """
    (maps,) = _float32(maps)
    height, width, channels = maps.shape[1:]
    rows = ops.reshape(maps, (-1, height * width, channels))
    return ops.matmul(ops.transpose(rows, (0, 2, 1)), rows) / (height * width * channels)


def style(target_maps: Tensor, maps: Tensor) -> Tensor:
    """L1 of two Gram matrices (chen, equation 7, whose target are maps of grey pictures)."""
    return absolute_error(gram(target_maps), gram(maps))
