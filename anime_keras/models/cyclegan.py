"""CycleGAN: pictures of one kind become pictures of another and come back, without any pairs.

Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
and Begum et al. 2025, section 2.5, whose names are used here: G turns X into Y, F turns Y into X, D_Y
and D_X judge patches of either kind. Layers, initialisation and the order of a training step are
those of the authors' PyTorch implementation (`networks.py`, `cycle_gan_model.py`), weight for weight.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import kernels, losses, replicas, state_dicts, training
from anime_keras.layers import (
    Conv2DTranspose,
    ImageHistory,
    InstanceNormalization,
    ReflectedConv2D,
    WithoutFirst,
)

Tensor = Any
DIRECTIONS = ("x2y", "y2x")
DOMAINS = ("x", "y")
DECAYS = ("constant", "linear")
PARTS = ("G", "F", "cycle_x", "cycle_y", "identity_x", "identity_y", "D_X", "D_Y")


# --- the networks ---------------------------------------------------------------------------------


def _check(image_size: int, width: int) -> None:
    if image_size < 32 or image_size % 4:
        raise ValueError(
            f"image_size must be a multiple of 4, at least 32 (such as 64, 128 or 256), "
            f"not {image_size!r}."
        )
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width!r}.")


def _kernel() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(0.0, 0.02)  # Zhu et al., section 7.1


def _conv(filters: int, size: int, strides: int = 1, name: str | None = None) -> layers.Layer:
    return layers.Conv2D(filters, size, strides, kernel_initializer=_kernel(), name=name)


def _reflected_conv(filters: int, size: int, name: str) -> layers.Layer:
    return ReflectedConv2D(filters, size, kernel_initializer=_kernel(), name=name)


def _residual_block(x: Tensor, number: int) -> Tensor:
    """The maps, plus what two 3x3 convolutions want changed in them."""
    channels = x.shape[-1]
    inner = _reflected_conv(channels, 3, name=f"block{number}_a")(x)
    inner = layers.ReLU()(InstanceNormalization()(inner))
    inner = _reflected_conv(channels, 3, name=f"block{number}_b")(inner)
    return layers.Add()([x, InstanceNormalization()(inner)])


def build_generator(
    image_size: int = 256, width: int = 64, residual_blocks: int = 9, first_norm: bool = True
) -> keras.Model:
    """Pictures (batch, image_size, image_size, 3) in [-1, 1] to pictures of the same shape.

    Encoder: a 7x7 convolution, then two at stride 2. Transformer: residual blocks. Decoder: two
    fractionally strided convolutions, and a 7x7 one (Zhu et al., section 7.2). Instance norm and
    ReLU after all but the last. With the default width 11,378,179 parameters, and 7,837,699 with 6
    residual blocks, the reference's numbers.

    Args:
        image_size: a multiple of 4, at least 32.
        width: channels at full size; twice and four times as many further in.
        residual_blocks: 9 for 256 px and more, 6 below, in Zhu et al.
        first_norm: instance norm after the first convolution, as in the reference. It takes away each
            picture's own brightness and contrast before anything has looked at them: 0.5 x plus a
            colour then becomes the same picture as x.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check(image_size, width)
    if residual_blocks < 0:
        raise ValueError(f"residual_blocks must be at least 0, not {residual_blocks!r}.")
    inputs = layers.Input((image_size, image_size, 3), name="images")
    x = _reflected_conv(width, 7, name="encode_1")(inputs)
    x = layers.ReLU()(InstanceNormalization()(x) if first_norm else x)
    for times in (2, 4):
        x = layers.ZeroPadding2D(1)(x)  # on both sides: "same" would pad the end alone
        x = _conv(times * width, 3, strides=2, name=f"encode_{times}")(x)
        x = layers.ReLU()(InstanceNormalization()(x))
    for number in range(residual_blocks):
        x = _residual_block(x, number)
    for times in (2, 1):
        x = Conv2DTranspose(
            times * width, 3, 2, kernel_initializer=_kernel(), name=f"decode_{times}"
        )(x)
        x = WithoutFirst()(x)  # PyTorch's padding=1, output_padding=1
        x = layers.ReLU()(InstanceNormalization()(x))
    x = _reflected_conv(3, 7, name="to_rgb")(x)
    images = layers.Activation("tanh", dtype="float32", name="translated")(x)
    return keras.Model(inputs, images, name="generator")


def build_discriminator(image_size: int = 256, width: int = 64) -> keras.Model:
    """Pictures (batch, image_size, image_size, 3) in [-1, 1] to a grid of logits, one a patch.

    The 70x70 PatchGAN (Isola et al. 2017, section 3.2.2): each logit sees 70x70 pixels, so it judges
    line and texture, not the whole. 4x4 convolutions with LeakyReLU 0.2, three at stride 2, two at
    1; no normalisation on the first. Grids of (batch, 30, 30, 1) at 256 px, 14x14 at 128, 6x6 at 64.
    With the default width 2,764,737 parameters, the reference's number.

    Args:
        image_size: a multiple of 4, at least 32.
        width: channels of the first convolution.

    Raises:
        ValueError: an argument is out of its range.
    """
    _check(image_size, width)
    images = layers.Input((image_size, image_size, 3), name="images")
    x = images
    for times in (1, 2, 4, 8):
        x = layers.ZeroPadding2D(1)(x)
        x = _conv(times * width, 4, strides=2 if times < 8 else 1, name=f"judge_{times}")(x)
        if times > 1:
            x = InstanceNormalization()(x)
        x = layers.LeakyReLU(negative_slope=0.2)(x)
    x = layers.ZeroPadding2D(1)(x)
    x = _conv(1, 4, name="judge")(x)
    logits = layers.Activation("linear", dtype="float32", name="patch_logits")(x)
    return keras.Model(images, logits, name="discriminator")


def joined(network: keras.Model, *batches: Tensor) -> list[Tensor]:
    """The network's outputs for several batches of one size, in one pass in place of several.

    Exact where the network treats each picture by itself, as instance norm does; BatchNorm would
    mix them. One pass over two pictures keeps a processor busier than two over one.
    """
    return ops.split(network(ops.concatenate(batches), training=True), len(batches))


# --- weights of the reference ---------------------------------------------------------------------


def load_reference_weights(network: keras.Model, path: str | Path) -> None:
    """Give a generator or a discriminator the weights that the reference implementation saved.

        load_reference_weights(gan.G, "checkpoints/horse2zebra/latest_net_G_A.pth")

    PyTorch is not needed, and nothing in the file is run (see `state_dicts`). The reference's A and B
    are X and Y: `net_G_A` is G and `net_G_B` is F, but `net_D_A` judges what G_A draws, so it is D_Y,
    and `net_D_B` is D_X. A model with averaged generators draws with those:
    `gan.generator("x2y")` and `gan.generator("y2x")`.

    Args:
        network: of `build_generator` or `build_discriminator`, of any `image_size`.
        path: a state dict, as `.pth` of any version of PyTorch or as `.safetensors`; trained on one
            GPU or several (then each name begins with `module.`), with dropout or without. What
            InstanceNorm counted before PyTorch 0.4 is passed over, as in the reference.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no state dict, or one of another network; the message says of which.
            The network's weights are then as they were.
    """
    tensors = {
        name.removeprefix("module."): tensor
        for name, tensor in state_dicts.read(path).items()
        if not name.endswith((".running_mean", ".running_var", ".num_batches_tracked"))
    }
    dropout = any(".conv_block.6." in name for name in tensors)
    convolutions = _by_reference_names(network, dropout)
    _check_fit(
        path, {name: tensor.shape for name, tensor in tensors.items()}, _shapes(convolutions)
    )
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            raise ValueError(f"The file {path} holds {name} as {tensor.dtype}: save it as float32.")
    for name, layer in convolutions.items():
        # (row, column, in, out) from (out, in, row, column); transposed ones from (in, out, …) alike
        kernel = tensors[f"{name}.weight"].transpose(2, 3, 1, 0)
        layer.set_weights([kernel, tensors[f"{name}.bias"]])


def _by_reference_names(network: keras.Model, dropout: bool) -> dict[str, layers.Layer]:
    """The convolutions, by their places in the reference's `nn.Sequential`."""
    convolutions = [layer for layer in network.layers if layer.weights]
    first = convolutions[0].name if convolutions else None
    if first == "encode_1":
        blocks = (len(convolutions) - 6) // 2
        inner = (1, 6 if dropout else 5)  # dropout is a layer there, between the two
        names = ["model.1", "model.4", "model.7"]
        names += [f"model.{10 + n}.conv_block.{place}" for n in range(blocks) for place in inner]
        names += [f"model.{place + blocks}" for place in (10, 13, 17)]
    elif first == "judge_1":
        names = ["model.0", "model.2", "model.5", "model.8", "model.11"]
    else:
        raise ValueError(
            "load_reference_weights takes one generator or discriminator, such as gan.G or gan.D_Y, "
            f"not the model {network.name!r}."
        )
    return dict(zip(names, convolutions, strict=True))


def _shapes(convolutions: Mapping[str, layers.Layer]) -> dict[str, tuple[int, ...]]:
    """What the reference's state dict of these convolutions holds."""
    shapes = {}
    for name, layer in convolutions.items():
        rows, columns, *channels = layer.kernel.shape
        shapes[f"{name}.weight"] = (*reversed(channels), rows, columns)
        shapes[f"{name}.bias"] = tuple(layer.bias.shape)
    return shapes


def _check_fit(path: str | Path, held: Mapping[str, tuple], wanted: Mapping[str, tuple]) -> None:
    """Refuse a state dict (name -> shape) that is not this network's, in words that help."""
    theirs, ours = _recipe(held), _recipe(wanted)
    if theirs is None:
        first = next((f"{name} {shape}" for name, shape in held.items()), "none")
        unet = any(name.startswith("model.model.") for name in held)
        what = "a U-Net (such as pix2pix's)" if unet else f"other tensors (first: {first})"
        raise ValueError(
            f"The file {path} holds {what}, not a resnet generator or a PatchGAN discriminator for "
            f"pictures of three channels. Choose a file that fits {ours}."
        )
    if theirs != ours:
        raise ValueError(
            f"The file {path} holds the weights of {theirs}, and this network is {ours}. Build it as "
            "the file asks, with any image_size, or choose another file."
        )
    for name in sorted({*held, *wanted}):
        if held.get(name) != wanted.get(name):
            raise ValueError(
                f"The file {path} holds {held.get(name, 'nothing')} as {name}, where {ours} has "
                f"{wanted.get(name, 'nothing')}. It was trained with other options than the "
                "reference's own for CycleGAN (such as --norm batch), which are not built here."
            )


def _recipe(shapes: Mapping[str, tuple]) -> str | None:
    """The call that builds the network of a state dict, as far as its first layer tells."""
    blocks = len({block[0] for name in shapes if (block := re.match(r"model\.\d+\.conv_", name))})
    match shapes.get("model.0.weight"), shapes.get("model.1.weight"):
        case None, (width, 3, 7, 7):
            return f"build_generator(width={width}, residual_blocks={blocks})"
        case (width, 3, 4, 4), _:
            return f"build_discriminator(width={width})"
    return None


# --- the model ------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class CycleGAN(training.Adversarial):
    """Two generators that undo each other, and two discriminators.

        gan = CycleGAN(image_size=128)
        gan.compile()
        gan.fit(pairs_of_batches, epochs=10)    # (x, y), float32 in [-1, 1], unpaired
        anime = gan.translate(portraits)        # uint8 to uint8
        portraits = gan.translate(anime, "y2x")

    Args:
        image_size: side of the square pictures in pixels: a multiple of 4, at least 32.
        width: channels of the outermost layers.
        residual_blocks: of the generators; by default 9 from 256 px on and 6 below (Zhu et al.,
            section 7.2).
        history: generated pictures that each discriminator remembers; 0 for none.
        ema: decay per step of a moving average of the generators' weights that `translate` draws
            with; 0 for none, as in the paper. Early on it follows faster, by (1 + step) / (10 + step).
        seed: of the histories. The weights' own draw follows `keras.utils.set_random_seed`.
        first_norm: as for `build_generator`.
    """

    def __init__(
        self,
        image_size: int = 256,
        width: int = 64,
        residual_blocks: int | None = None,
        history: int = 50,
        ema: float = 0.0,
        seed: int = 0,
        first_norm: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if not 0.0 <= ema < 1.0:
            raise ValueError(f"ema must be in [0, 1), not {ema!r}.")
        if residual_blocks is None:
            residual_blocks = 9 if image_size >= 256 else 6
        self.image_size = image_size
        self._settings = {
            "image_size": image_size,
            "width": width,
            "residual_blocks": residual_blocks,
            "history": history,
            "ema": ema,
            "seed": seed,
            "first_norm": first_norm,
        }
        shape = (image_size, width, residual_blocks, first_norm)
        self.G, self.F = (build_generator(*shape) for _ in "GF")
        self.D_X, self.D_Y = (build_discriminator(image_size, width) for _ in "XY")
        pictures = (image_size, image_size, 3)
        self.history_x = ImageHistory(history, pictures, seed)
        self.history_y = ImageHistory(history, pictures, seed + 1)
        self.ema = ema
        self.average_G = self.average_F = None
        if ema:
            self.average_G, self.average_F = (build_generator(*shape) for _ in "GF")
            self.average_G.set_weights(self.G.get_weights())
            self.average_F.set_weights(self.F.get_weights())
        self.noise_seed = keras.random.SeedGenerator(seed + 2)
        self.identity = 0.0
        self.meters = [
            keras.metrics.Mean(name=name)
            for name in ("d_loss", "g_loss", *PARTS, "real_score", "fake_score")
        ]

    def compile(
        self,
        loss: str = "least_squares",
        cycle: float = 10.0,
        identity: float = 0.5,
        cycle_noise: float = 0.0,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        decay: str = "constant",
        decay_steps: int | None = None,
        epoch_steps: int = 1,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose the weights of the objective and how it is lowered.

        Args:
            loss: the adversarial one, "least_squares" or "cross_entropy".
            cycle: lambda, the weight of the cycle loss.
            identity: weight of the identity loss as a share of lambda; 0 leaves it out.
            cycle_noise: standard deviation of noise on translated pictures, in [-1, 1], before they go
                back; 0 in the paper. Generators hide what they need for the way back in patterns too
                faint to see (Chu et al. 2017, "CycleGAN, a Master of Steganography"); noise drowns
                those, and what is to come back must be there to see (Bashkirova et al. 2019).
            learning_rate: Adam's, of both optimizers.
            beta_1: Adam's momentum.
            beta_2: Adam's second one.
            decay: "constant", or "linear": constant for the first half of decay_steps, then in a
                line towards 0, as in Zhu et al., section 7.1.
            decay_steps: optimizer steps of the whole training; needed for "linear".
            epoch_steps: optimizer steps between two changes of a falling rate. The reference changes
                it each epoch.
            accumulate: average the gradients of this many batches before each optimizer step.
            **kwargs: `jit_compile`, `steps_per_execution` … of `keras.Model.compile`.

        Raises:
            ValueError: a rule or a decay that there is not, or a weight below 0.
        """
        # Everything that was chosen, so that a saved model can be compiled alike.
        self._rules = {
            k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")
        }
        self._rules.update(kwargs)
        if loss not in losses.VERDICTS:
            raise ValueError(f"loss must be one of {losses.VERDICTS}, not {loss!r}.")
        for name, value in (("cycle", cycle), ("identity", identity), ("cycle_noise", cycle_noise)):
            if value < 0:
                raise ValueError(f"{name} must be at least 0, not {value}.")
        rates = [_schedule(learning_rate, decay, decay_steps, epoch_steps) for _ in "GD"]
        super().compile(**kwargs)
        self.rule = loss
        self.cycle = cycle
        self.identity = identity
        self.cycle_noise = cycle_noise
        self.accumulate = accumulate

        def adam(rate: Any) -> keras.optimizers.Optimizer:
            return kernels.Adam(
                rate,
                beta_1=beta_1,
                beta_2=beta_2,
                epsilon=1e-8,
                gradient_accumulation_steps=accumulate if accumulate > 1 else None,
            )

        self.generator_optimizer = self.add_optimizer(adam(rates[0]), self.generator_variables)
        self.discriminator_optimizer = self.add_optimizer(
            adam(rates[1]), self.discriminator_variables
        )

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """Those of G, then those of F: one optimizer moves both."""
        return self.G.trainable_variables + self.F.trainable_variables

    @property
    def discriminator_variables(self) -> list[keras.Variable]:
        """Those of D_X, then those of D_Y: one optimizer moves both."""
        return self.D_X.trainable_variables + self.D_Y.trainable_variables

    def train_step(self, data: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """One round on pictures x and y, each (batch, size, size, 3) in [-1, 1], unpaired.

        Both generators first, against discriminators that stand still; then both discriminators, on
        the pictures that the generators have drawn on the way, or drew some time ago.
        """
        x, y = data
        g_loss, (fake_x, fake_y) = self.minimize(
            lambda: self.generator_loss(x, y),
            self.generator_variables,
            self.generator_optimizer,
            has_aux=True,
        )
        shown_x, shown_y = self.history_x(fake_x), self.history_y(fake_y)
        d_loss = self.minimize(
            lambda: self.discriminator_loss(x, y, shown_x, shown_y),
            self.discriminator_variables,
            self.discriminator_optimizer,
        )
        self.follow()
        return self.update_meters(g_loss=g_loss, d_loss=d_loss)

    def generator_loss(self, x: Tensor, y: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """What G and F lower together; with it the pictures that they drew, F(y) and G(x)."""
        if self.identity:
            (fake_y, same_y), (fake_x, same_x) = joined(self.G, x, y), joined(self.F, y, x)
        else:
            fake_y, fake_x = self.G(x, training=True), self.F(y, training=True)
        back_x = self.F(self.noisy(fake_y), training=True)
        back_y = self.G(self.noisy(fake_x), training=True)

        parts = {
            "G": losses.verdict(self.D_Y(fake_y, training=True), True, self.rule),
            "F": losses.verdict(self.D_X(fake_x, training=True), True, self.rule),
            "cycle_x": self.cycle * losses.absolute_error(x, back_x),
            "cycle_y": self.cycle * losses.absolute_error(y, back_y),
        }
        if self.identity:
            weight = self.identity * self.cycle
            parts["identity_x"] = weight * losses.absolute_error(x, same_x)
            parts["identity_y"] = weight * losses.absolute_error(y, same_y)
        self.update_meters(**parts)
        return _total(parts), (fake_x, fake_y)

    def noisy(self, images: Tensor) -> Tensor:
        """Pictures with `cycle_noise` on them, if there shall be any."""
        if not self.cycle_noise:
            return images
        noise = replicas.normal(ops.shape(images), seed=self.noise_seed, dtype=images.dtype)
        return images + self.cycle_noise * noise

    def discriminator_loss(self, x: Tensor, y: Tensor, shown_x: Tensor, shown_y: Tensor) -> Tensor:
        """What D_X and D_Y lower, each its own: own pictures called real, shown ones fake."""
        parts, real_scores, fake_scores = {}, [], []
        for name, network, real, fake in (
            ("D_X", self.D_X, x, shown_x),
            ("D_Y", self.D_Y, y, shown_y),
        ):
            real_logits, fake_logits = joined(network, real, fake)
            # Halved, so that it learns at half the generators' pace (Zhu et al., section 7.1).
            parts[name] = 0.5 * (
                losses.verdict(real_logits, True, self.rule)
                + losses.verdict(fake_logits, False, self.rule)
            )
            real_scores.append(self.called_real(real_logits))
            fake_scores.append(self.called_real(fake_logits))
        self.update_meters(
            **parts, real_score=sum(real_scores) / 2, fake_score=sum(fake_scores) / 2
        )
        return _total(parts)

    def called_real(self, logits: Tensor) -> Tensor:
        """The share of patches whose logit is nearer to "real" than to "fake"."""
        return ops.mean(ops.cast(logits > self.border, "float32"))

    @property
    def border(self) -> float:
        """The logit halfway between "real" and "fake"."""
        return 0.5 if self.rule == "least_squares" else 0.0

    def follow(self) -> None:
        """Move the averaged generators one step towards the live ones."""
        if self.ema:
            step = ops.cast(self.generator_optimizer.iterations, "float32")
            decay = ops.minimum(self.ema, (1.0 + step) / (10.0 + step)) ** (1 / self.accumulate)
            training.update_average(self.average_G, self.G, decay)
            training.update_average(self.average_F, self.F, decay)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` resets each epoch.

        The parts of the two losses, with their weights; the losses themselves, which are their sums;
        and the shares of patches of real and of shown pictures that are called real.
        """
        return [m for m in self.meters if self.identity or not m.name.startswith("identity")]

    # --- translating ------------------------------------------------------------------------------

    def generator(self, direction: str = "x2y") -> keras.Model:
        """The network that translates in a direction, averaged where there is an average.

        Raises:
            ValueError: the direction is neither "x2y" nor "y2x".
        """
        if direction not in DIRECTIONS:
            raise ValueError(f"direction must be one of {DIRECTIONS}, not {direction!r}.")
        if direction == "x2y":
            return self.average_G or self.G
        return self.average_F or self.F

    def call(self, images: Tensor, direction: str = "x2y", training: bool = False) -> Tensor:
        """Translate pictures in [-1, 1]."""
        return self.generator(direction)(images, training=training)

    def translate(
        self, images: np.ndarray, direction: str = "x2y", batch_size: int = 16
    ) -> np.ndarray:
        """Translate pictures: uint8 RGB (count, size, size, 3), of the model's size, to the same.

        Args:
            images: any number of them.
            direction: "x2y" by G, or "y2x" by F.
            batch_size: how many at a time; the result does not depend on it.

        Raises:
            ValueError: the pictures have another size or type, or there is no such direction.
        """
        return _to_uint8(self._apply(self.generator(direction), images, batch_size))

    def judge(self, images: np.ndarray, domain: str = "y", batch_size: int = 16) -> np.ndarray:
        """The patch logits of D_X or D_Y for pictures: float32 (count, rows, columns).

        With least squares 1 means real and 0 fake; with cross-entropy 0 is the border.

        Args:
            images: uint8 RGB (count, size, size, 3).
            domain: "x" or "y".
            batch_size: how many at a time.

        Raises:
            ValueError: the pictures have another size or type, or there is no such domain.
        """
        if domain not in DOMAINS:
            raise ValueError(f"domain must be one of {DOMAINS}, not {domain!r}.")
        network = self.D_X if domain == "x" else self.D_Y
        return self._apply(network, images, batch_size)[..., 0]

    def draw(self, pairs: tuple[np.ndarray, np.ndarray], batch_size: int = 16) -> np.ndarray:
        """There and back, as a sheet of six columns: x, G(x), F(G(x)), y, F(y), G(F(y)).

        Args:
            pairs: pictures of X and as many of Y, each uint8 RGB (count, size, size, 3).
            batch_size: how many at a time.

        Returns:
            uint8 (6 * count, size, size, 3), row by row, for `plots.grid(..., columns=6)`.
        """
        columns = []
        for images, there, back in zip(pairs, DIRECTIONS, reversed(DIRECTIONS), strict=True):
            translated = self.translate(images, there, batch_size)
            columns += [images, translated, self.translate(translated, back, batch_size)]
        return np.stack(columns, axis=1).reshape(-1, *columns[0].shape[1:])

    def _apply(self, network: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
        images = np.asarray(images)
        size = self.image_size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise ValueError(
                f"This model takes uint8 pictures (count, {size}, {size}, 3), not {images.dtype} "
                f"{images.shape}."
            )
        outputs = [np.zeros((0, *network.output_shape[1:]), "float32")]
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].astype("float32") / 127.5 - 1.0
            outputs.append(training.forward(network, batch))
        return np.concatenate(outputs)


def _total(parts: dict[str, Tensor]) -> Tensor:
    """The sum of a loss's parts, in one operation.

    A chain of additions TensorFlow may regroup, in one trace of a step so and in another so; the
    last bit of the sum, which a resumed run must reproduce, then differs.
    """
    return ops.sum(ops.stack(list(parts.values())))


def _to_uint8(images: np.ndarray) -> np.ndarray:
    return np.round((images + 1.0) * 127.5).astype("uint8")


@keras.saving.register_keras_serializable("anime_keras")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that stays for some epochs and then falls in a line, epoch by epoch.

    The rate of epoch e, counted from 0, is `rate * (1 - max(0, e + 1 - constant) / (falling + 1))`:
    the reference's rule, by which the last epoch still moves a little.

    Args:
        rate: at first.
        constant: epochs at that rate.
        falling: epochs after those.
        epoch_steps: optimizer steps an epoch.
    """

    def __init__(self, rate: float, constant: int, falling: int, epoch_steps: int = 1) -> None:
        self.settings = {
            "rate": rate,
            "constant": constant,
            "falling": falling,
            "epoch_steps": epoch_steps,
        }

    def __call__(self, step: Tensor) -> Tensor:
        """The rate of an optimizer step, counted from 0."""
        s = self.settings
        epoch = ops.cast(ops.floor_divide(step, s["epoch_steps"]), "float32")
        fallen = ops.maximum(0.0, epoch + 1.0 - s["constant"]) / (s["falling"] + 1.0)
        return s["rate"] * ops.maximum(0.0, 1.0 - fallen)

    def get_config(self) -> dict:
        """The arguments of `__init__`."""
        return dict(self.settings)


def _schedule(rate: float, decay: str, steps: int | None, epoch_steps: int) -> float | LinearDecay:
    """A learning rate that stays, or one that falls from the middle of training on."""
    if decay not in DECAYS:
        raise ValueError(f"decay must be one of {DECAYS}, not {decay!r}.")
    rate = training.schedule(rate, "constant", None)
    if decay == "constant":
        return rate
    if not steps:
        raise ValueError(f"decay={decay!r} needs decay_steps, the steps of the whole training.")
    epochs = -(-steps // epoch_steps)
    return LinearDecay(rate, epochs - epochs // 2, epochs // 2, epoch_steps)
