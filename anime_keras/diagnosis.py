"""What is wrong with a GAN, told by a number: one detector a failure.

    found = diagnosis.missing_modes(attributes.read(real), attributes.read(fake))
    print(found)            # "missing modes: 0.75, and at most 0 is sound: BROKEN"
    found.broken            # True

Each takes what it needs and no more: pictures, logits, losses, weights or features. Every number
grows with what is wrong, and each has a limit with a reason: a closed form where there is one;
otherwise it is said that it was set between sound runs and broken ones, and for which runs.

    goodfellow  Goodfellow et al. 2014, "Generative Adversarial Networks"
    salimans    Salimans et al. 2016, "Improved Techniques for Training GANs"
    odena       Odena, Dumoulin and Olah 2016, "Deconvolution and Checkerboard Artifacts", Distill
    arjovsky    Arjovsky and Bottou 2017, "Towards Principled Methods for Training Generative
                Adversarial Networks"
    wasserstein Arjovsky, Chintala and Bottou 2017, "Wasserstein GAN"
    heusel      Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule …"
    karras      Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data"
    meehan      Meehan, Chaudhuri and Dasgupta 2020, "A Three-Sample Test to Detect Data Copying …"
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from scipy.special import expit

from anime_keras import metrics
from anime_keras.metrics import attributes

Tensor = Any


class Finding(NamedTuple):
    """A detector's number.

    Attributes:
        name: what was measured.
        value: how much; more is worse.
        limit: what is still sound.
    """

    name: str
    value: float
    limit: float

    @property
    def broken(self) -> bool:
        """Whether the number is beyond its limit; one that is not a number is."""
        return not self.value <= self.limit

    def __str__(self) -> str:
        verdict = "BROKEN" if self.broken else "sound"
        return f"{self.name}: {self.value:.3g}, and at most {self.limit:g} is sound: {verdict}"


def _array(values: Any) -> np.ndarray:
    """Numbers of any backend as float64."""
    return np.asarray(ops.convert_to_numpy(values), "float64")


# --- what the pictures show -----------------------------------------------------------------------


def missing_modes(
    real: attributes.Reading, fake: attributes.Reading, factor: str = "hair_color"
) -> Finding:
    """Mode collapse: which part of the words of a factor do not come any more.

    A word counts as missing if it comes less than a tenth as often as among the real pictures, and
    if so many were drawn that five of it should be there (`attributes.RARE`, `attributes.EXPECTED`).
    Limit 0: of 256 pictures a word that every fourth should show comes at most six times in one of
    10^20 draws, so a single word that is missing is no accident.

    Args:
        real: read off pictures that were trained on.
        fake: read off generated ones.
        factor: whose words are counted.
    """
    missing = attributes.compare(real, fake, factors=(factor,)).spreads[factor].missing
    there = int((real.shares(factor) * len(fake) >= attributes.EXPECTED).sum())
    return Finding("missing modes", len(missing) / there, 0.0)


def checkerboard(images: np.ndarray, period: int = 2) -> Finding:
    """A lattice in the pictures: how much stronger its frequencies are than their neighbours.

    A pattern that repeats every `period` pixels has its power at the multiples of 1 / period and
    nowhere else (odena); a picture's own content is spread smoothly over frequencies. The number is
    the mean power there by the mean power of the eight frequencies around each, 1 for noise of any
    smooth spectrum.

    Limit 4, set between what was measured at 32 px: drawn faces 1.2 to 1.6 and generators that
    resize 1.3 to 2.5, after 100 steps and five seeds; those with transposed convolutions of 3x3 at
    stride 2, 9 and more. A young DCGAN, 4x4 at stride 2, is beyond the limit, too (10 after 200
    steps): even overlap does not forbid a lattice.

    Args:
        images: (count, height, width, channels), any range; height and width multiples of `period`
            and at least 4 * period.
        period: of the lattice, in pixels: the stride of the last layer that enlarges, or a product
            of the last ones.

    Raises:
        ValueError: pictures that are too small, or no multiple.
    """
    images = _array(images)
    height, width = images.shape[1:3]
    if height % period or width % period or min(height, width) < 4 * period:
        raise ValueError(
            f"A period of {period} needs pictures whose sides are multiples of it and at least "
            f"{4 * period}; these have {height} x {width}."
        )
    images = images - images.mean(axis=(1, 2), keepdims=True)
    power = np.square(np.abs(np.fft.fft2(images, axes=(1, 2)))).mean(axis=(0, 3))
    lattice = np.zeros((height, width), bool)
    lattice[:: height // period, :: width // period] = True
    turns = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]
    around = sum(np.roll(power, turn, (0, 1)) for turn in turns) / len(turns)
    lattice[0, 0] = False  # the mean of the picture
    return Finding("checkerboard", float(power[lattice].mean() / around[lattice].mean()), 4.0)


def overlap(kernel: int, stride: int) -> np.ndarray:
    """How many inputs reach each output of a transposed convolution, by its place in the stride.

    A kernel of 3 at a stride of 2 reaches the outputs from 2 and from 1 input by turns; one of 4
    reaches each from 2. Only where the stride divides the kernel are all equal (odena).

    Returns:
        int (stride, stride), the counts in a square of outputs that repeats.
    """
    row = np.bincount(np.arange(kernel) % stride, minlength=stride)
    return np.outer(row, row)


def leak(fake: np.ndarray, clean: np.ndarray, changed: np.ndarray) -> Finding:
    """Augmentation that leaks: which part of the generated pictures shows it.

    A line that separates clean from changed pictures is drawn by ridge regression on one half of
    them. It errs; the other half tells how often, and the share is put right by that (Rogan and
    Gladen 1978): (called changed - false alarms) / (hits - false alarms).

    Limit 0.1: chance alone moves the share of 256 sound pictures by 0.02, one standard error at a
    false alarm in ten.

    Args:
        fake: generated pictures (n, height, width, channels), of one range with the others.
        clean: real pictures (m, height, width, channels).
        changed: real pictures, augmented.

    Raises:
        ValueError: the two kinds cannot be told apart, so nothing can be said.
    """
    fake, clean, changed = (
        _array(some).reshape(len(some), -1) / 127.5 for some in (fake, clean, changed)
    )
    half = [some[::2] for some in (clean, changed)]
    rest = [some[1::2] for some in (clean, changed)]
    rows = np.concatenate(half)
    labels = np.repeat([-1.0, 1.0], [len(some) for some in half])
    middle = (half[0].mean(axis=0) + half[1].mean(axis=0)) / 2
    centred = rows - middle
    # As many unknowns as pictures, not as pixels; one part in ten of the mean square holds it back.
    gram = centred @ centred.T
    weights = centred.T @ np.linalg.solve(
        gram + 0.1 * np.trace(gram) / len(gram) * np.eye(len(gram)), labels
    )
    false, hits, called = (
        float((((some - middle) @ weights) > 0).mean()) for some in (*rest, fake)
    )
    if hits - false < 0.5:
        raise ValueError(
            f"Changed pictures are recognised in {hits:.0%} and clean ones taken for such in "
            f"{false:.0%}: too near to each other to look for a leak."
        )
    return Finding("augmented pictures", max(0.0, (called - false) / (hits - false)), 0.1)


def copying(fake: np.ndarray, training: np.ndarray, held_out: np.ndarray) -> Finding:
    """Memorisation: how likely a generated picture lies nearer to the training set than an unseen one.

    `metrics.memorisation` (meehan); ½ is chance, 1 is copying. Limit: ½ and three standard errors,
    beyond which chance comes once in 700 times. A generator far from all real pictures comes out
    below ½ whatever it does, so this finds copies and does not prove that there are none. Rows of
    pixels will do for faces that are framed alike.

    Args:
        fake: features (n, D) of generated pictures.
        training: features (m, D) of those that were trained on.
        held_out: features (h, D) of real ones that were not.
    """
    found = metrics.memorisation(fake, training, held_out)
    return Finding("nearer than unseen pictures", found.nearer, 0.5 + 3 * found.error)


def range_gap(images: Tensor) -> Finding:
    """Wrong normalisation: how far the darkest and lightest pixels are from -1 and 1.

    The generator's tanh ends there. Pictures in [0, 1] leave its lower half empty: the gap is at
    least 1, in closed form; pictures of 0 to 255 give up to 254. Limit 0.5, half of that least.

    Args:
        images: a batch as it is fed to the discriminator, (count, height, width, channels).
    """
    low, high = np.quantile(_array(images), (0.001, 0.999))
    return Finding("gap of ranges", float(max(abs(low + 1.0), abs(high - 1.0))), 0.5)


# --- what the losses and logits say ---------------------------------------------------------------


def certainty(d_losses: Sequence[float]) -> Finding:
    """A discriminator that wins: how much of the greatest divergence its loss proves.

    At its optimum the cross-entropy is 2 log 2 - 2 JSD(real, fake), the Jensen-Shannon divergence
    in nats (goodfellow, theorem 1), so 1 - loss / (2 log 2) is JSD / log 2, between 0 (it guesses)
    and 1 (nothing that is generated could be real). A discriminator that is not at its optimum
    proves less.

    Limit 0.8: it is then right with a probability of 87%, the mean of logarithms taken. Set between
    sound runs and broken ones (32 px, five seeds: at most 0.53, at least 0.9).

    Args:
        d_losses: the discriminator's loss over training, cross-entropy without smoothing and
            penalties; the mean of its last quarter is taken.
    """
    late = np.mean(d_losses[-max(1, len(d_losses) // 4) :])
    return Finding("certainty of D", float(1.0 - late / (2.0 * math.log(2.0))), 0.8)


def contradiction(d_losses: Sequence[float], g_losses: Sequence[float]) -> Finding:
    """Two players who both win: losses that no fakes can give to both.

    Of one logit x of a fake the discriminator pays softplus(x) and the generator softplus(-x), which
    add up to 2 log 2 at least, at x = 0; and the discriminator pays for real pictures, too. If the
    sum is less, the two were not judged by the same network: BatchNorm saw another mixture in one
    player's turn than in the other's, or `training=` differs. Limit 1, in closed form (but for the
    one step that the discriminator takes in between).

    Args:
        d_losses: the discriminator's loss over training, cross-entropy without smoothing.
        g_losses: the generator's, non-saturating. Of both the mean of the last quarter is taken.

    Returns:
        2 log 2 by the sum of both losses.
    """
    last = -max(1, len(d_losses) // 4)
    total = np.mean(d_losses[last:]) + np.mean(g_losses[last:])
    return Finding("two winners", float(2.0 * math.log(2.0) / total) if total else math.inf, 1.0)


SLOPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minimax": expit,
    "non_saturating": lambda x: expit(-x),
    "least_squares": lambda x: np.abs(x - 1.0),
    "hinge": np.ones_like,
    "wasserstein": np.ones_like,
}
"""Loss of the generator -> |its derivative| by a fake's logit (but for a constant factor)."""


def weakening(fake_logits: Tensor, loss: str) -> Finding:
    """Vanishing gradients: how many times weaker the generator is pushed than by one who guesses.

    What the generator learns from comes through the derivative of its loss by the logit. For the
    loss of the minimax game it is σ(logit), which is 0 where the discriminator is sure of a fake
    (goodfellow, section 3; arjovsky, theorem 2.4); for the others see `SLOPES`.

    Limit 10: a tenth of the push, where a learning rate may be wrong by as much.

    Args:
        fake_logits: what the discriminator says of generated pictures, any shape.
        loss: a name out of `SLOPES`.

    Raises:
        ValueError: there is no such loss.
    """
    if loss not in SLOPES:
        raise ValueError(f"There is no slope of {loss!r}. Choose one of {list(SLOPES)}.")
    slope = SLOPES[loss]
    guessing, now = slope(np.zeros(1)).mean(), slope(_array(fake_logits)).mean()
    return Finding("weakening of G's push", float(guessing / now) if now else math.inf, 10.0)


def steepness(real_logits: Tensor, fake_logits: Tensor, real: Tensor, fake: Tensor) -> Finding:
    """Exploding losses: how steep a critic must be to judge two kinds of pictures so differently.

    A critic whose slope is 1 at most cannot change by more than the distance that it goes, so
    |E D(x) - E D(G(z))| is at most the mean distance between real and generated pictures, in any
    pairing (wasserstein, equation 2). Their ratio is a slope that it has somewhere. Limit 1, by
    that theorem: beyond it the critic is not what its loss is made for.

    Args:
        real_logits: D(x), (count, 1).
        fake_logits: D(G(z)), (count, 1).
        real: x, float (count, height, width, channels).
        fake: G(z), as many.
    """
    gap = abs(_array(real_logits).mean() - _array(fake_logits).mean())
    apart = (_array(real) - _array(fake)).reshape(len(real), -1)
    return Finding("slope of D", float(gap / np.linalg.norm(apart, axis=1).mean()), 1.0)


def overfitting(train_logits: Tensor, held_out_logits: Tensor, fake_logits: Tensor) -> Finding:
    """Too small data: how far the discriminator tells its own real pictures from unseen real ones.

    r_v = (E D_train - E D_held_out) / (E D_train - E D_fake) (karras, equation 1): 0 where unseen
    pictures are as real to it as its own, 1 where they are as false as generated ones.

    Limit 0.5: unseen faces are then nearer to fakes, for it, than to faces.

    Args:
        train_logits: of pictures that were trained on, any shape.
        held_out_logits: of real ones that were not.
        fake_logits: of generated ones.
    """
    train, held_out, fake = (
        _array(some).mean() for some in (train_logits, held_out_logits, fake_logits)
    )
    return Finding("overfitting of D", float((train - held_out) / (train - fake)), 0.5)


# --- what the networks do -------------------------------------------------------------------------


def mixing(
    judge: Callable[[Tensor, Tensor], Tensor], real: Tensor, fakes: Sequence[Tensor]
) -> Finding:
    """BatchNorm over mixed batches: how much a verdict on real pictures depends on the fakes.

    The judge is asked about the same real pictures twice, in the company of other fakes. Where the
    two kinds go through the discriminator separately nothing changes. X
    spread, a thousand times float32's rounding.

    Args:
        judge: takes real and fake pictures, returns the real ones' logits.
        real: (count, height, width, channels).
        fakes: two batches of fakes.
    """
    first, second = (_array(judge(real, fake)) for fake in fakes)
    spread = np.std([first, second])
    return Finding("influence of fakes", float(np.abs(first - second).mean() / spread), 1e-4)


def company(draw: Callable[[Tensor], Tensor], latents: Tensor) -> Finding:
    """`training=True` where pictures are drawn: how much a picture depends on those drawn with it.

    Limit 0.5 grey levels: less is not seen once it is rounded.

    Args:
        draw: takes latents (count, latent_dim), returns pictures in [-1, 1].
        latents: at least four; the first half is drawn with and without the others.
    """
    half = len(latents) // 2
    alone, together = _array(draw(latents[:half])), _array(draw(latents))[:half]
    return Finding("change by company", float(127.5 * np.abs(alone - together).mean()), 0.5)


def untouched(network: keras.Model) -> Finding:
    """`training=True` forgotten in training: which part of BatchNorm still has its first statistics.

    In training mode every step moves the moving mean and variance; in inference mode none does, and
    they stay at 0 and 1. Limit 0.

    Raises:
        ValueError: the network has no BatchNorm.
    """
    layers = [
        layer
        for layer in network._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    if not layers:
        raise ValueError(f"{network.name} has no BatchNormalization.")
    first = [
        not np.any(_array(layer.moving_mean)) and np.all(_array(layer.moving_variance) == 1.0)
        for layer in layers
    ]
    return Finding("untouched BatchNorm", float(np.mean(first)), 0.0)


def imbalance(
    generator: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    discriminator: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
) -> Finding:
    """Learning rates out of balance: how many times farther one player goes than the other.

    How far: the length of the way over the length of where it began, over all kernels (arrays of
    two dimensions or more; scales and biases begin at 0 or 1, which says nothing). Limit 5: rates
    that differ by 4 are in use (heusel gives each player its own; Zhang et al. 2019 take 0.0001 and
    0.0004), and Adam's first ways are as far apart as the rates, or less.

    Args:
        generator: its weights before and after some steps, as `get_weights` gives them.
        discriminator: likewise, over the same steps.
    """

    def way(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> float:
        kernels = [(a, b) for a, b in zip(before, after, strict=True) if np.ndim(a) >= 2]
        moved = sum(float(np.square(_array(b) - _array(a)).sum()) for a, b in kernels)
        return math.sqrt(moved / sum(float(np.square(_array(a)).sum()) for a, _ in kernels))

    ways = way(*generator), way(*discriminator)
    worst = max(ways) / min(ways) if min(ways) else math.inf
    return Finding("one player's way by the other's", worst, 5.0)
