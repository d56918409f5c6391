"""AnimeGAN: photographs become drawings by one small generator that only goes one way.

Chen, Liu and Chen 2019, "AnimeGAN: A Novel Lightweight GAN for Photo Animation", in the form of
AnimeGANv2, which its authors published as code (TachibanaYoshino/AnimeGANv2: `net/generator.py`,
`net/discriminator.py`, `tools/ops.py`, `AnimeGANv2.py`); networks, losses, their weights and the order
of a training step are those of that code. Begum et al. 2025, section 2.3, name it beside CycleGAN.

Where CycleGAN keeps a picture's content by asking for a way back, AnimeGAN compares what a network
that was trained for something else sees in the photograph and in the drawing. That leaves one
generator in place of two; and because all of it is convolution, pictures of any size pass through it.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from anime_keras import kernels, losses, training
from anime_keras.layers import (
    ReflectedConv2D,
    ReflectionPadding2D,
    SpectralConv2D,
    WithoutFirst,
)
from anime_keras.metrics import anime_network

Tensor = Any
FEATURES = ("kit", "vgg19")
MULTIPLE = 4  # of sides of pictures, which are halved twice
SMALLEST = 8  # pixels: below, the innermost maps could not be framed by their mirror image

STYLES = {
    "hayao": {
        "content": 1.5,
        "style": 2.5,
        "color": 15.0,
        "total_variation": 1.0,
        "verdicts": (1.2, 1.2, 1.2, 0.8),
    },
    "paprika": {
        "content": 2.0,
        "style": 0.6,
        "color": 50.0,
        "total_variation": 0.1,
        "verdicts": (1.0, 1.0, 1.0, 0.005),
    },
    "shinkai": {
        "content": 1.2,
        "style": 2.0,
        "color": 10.0,
        "total_variation": 1.0,
        "verdicts": (1.7, 1.7, 1.7, 1.0),
    },
}
"""The weights that AnimeGANv2 gives for the films of three makers: those of losses from `train.py`, and
from `tools/ops.py` the discriminator's verdicts. Hayao's are the defaults here."""

PARTS = ("G", "content", "style", "color", "total_variation")
BORDER = 0.5  # between D's 1 for a drawing and its 0 for anything else
SHOWN = ("real", "fake", "grey", "blurred")  # what D judges, in the order of `verdicts`


# --- the networks ---------------------------------------------------------------------------------


def _check_width(width: int) -> None:
    if width < 1:
        raise ValueError(f"width must be at least 1, not {width!r}.")


def _normalized(x: Tensor) -> Tensor:
    """Layer norm: mean 0 and variance 1 over all maps of a picture together, then a scale a channel.

    Brightness and contrast of the whole go, but unlike with instance norm no channel loses its own.
    """
    # The reference's epsilon is 1e-12; the difference is felt only where maps are all but constant.
    return layers.GroupNormalization(groups=1, epsilon=1e-5)(x)


def _activated(x: Tensor) -> Tensor:
    return layers.LeakyReLU(negative_slope=0.2)(_normalized(x))


def _conv(x: Tensor, filters: int, size: int = 3) -> Tensor:
    """A convolution over maps framed by their mirror image, layer norm, and LeakyReLU."""
    convolve = ReflectedConv2D(filters, size, use_bias=False, kernel_initializer="he_normal")
    return _activated(convolve(x))


def _halving_conv(x: Tensor, filters: int) -> Tensor:
    """The same at stride 2, which asks for a mirrored row and column at the end alone."""
    x = WithoutFirst()(ReflectionPadding2D(1)(x))
    x = layers.Conv2D(filters, 3, 2, use_bias=False, kernel_initializer="he_normal")(x)
    return _activated(x)


def _doubled(x: Tensor) -> Tensor:
    """Twice the size, by bilinear interpolation: a transposed convolution can leave a chequerboard."""
    # In float32 this takes a third of the time that it takes in bfloat16.
    return layers.UpSampling2D(2, interpolation="bilinear", dtype="float32")(x)


def _inverted_residual(x: Tensor, filters: int) -> Tensor:
    """More channels, each looked at by a 3x3 kernel of its own, then fewer again, without activation.

    Sandler et al. 2018, "MobileNetV2", section 3.3. Between 256 channels it has less than half the
    weights of one 3x3 convolution, and a residual block of CycleGAN has two of those.
    """
    inner = _conv(x, 2 * x.shape[-1], 1)
    inner = ReflectionPadding2D(1)(inner)
    inner = _activated(layers.DepthwiseConv2D(3, depthwise_initializer="he_normal")(inner))
    inner = ReflectedConv2D(filters, 1, use_bias=False, kernel_initializer="he_normal")(inner)
    inner = _normalized(inner)
    return layers.Add()([x, inner]) if x.shape[-1] == filters else inner


def build_generator(width: int = 32) -> keras.Model:
    """Pictures (batch, height, width, 3) in [-1, 1] to pictures of the same shape.

    Height and width are multiples of 4, at least 8, each time any. Two halvings, four inverted
    residual blocks, two doublings; between them 3x3 convolutions, at both ends one of 7x7. With the
    default width 2,143,552 parameters, the reference's number.

    Bilinear interpolation has its samples in the middle of pixels, as all of today's libraries do.
    TensorFlow 1, in which the reference's weights were trained, had them in the corner.

    Args:
        width: channels at full size; twice as many at half, four times at a quarter, where the
            blocks have eight times as many.

    Raises:
        ValueError: width is below 1.
    """
    _check_width(width)
    images = layers.Input((None, None, 3), name="images")
    x = _conv(images, width, 7)
    x = _conv(_halving_conv(x, 2 * width), 2 * width)
    x = _conv(_halving_conv(x, 4 * width), 4 * width)
    x = _conv(x, 4 * width)
    for _ in range(4):
        x = _inverted_residual(x, 8 * width)
    x = _conv(x, 4 * width)
    x = _conv(_conv(_doubled(x), 4 * width), 4 * width)
    x = _conv(_conv(_doubled(x), 2 * width), 2 * width)
    x = _conv(x, width, 7)
    x = ReflectedConv2D(3, 1, use_bias=False, kernel_initializer="he_normal", name="to_rgb")(x)
    drawn = layers.Activation("tanh", dtype="float32", name="drawn")(x)
    return keras.Model(images, drawn, name="generator")


def build_discriminator(width: int = 32, halvings: int = 2) -> keras.Model:
    """Pictures (batch, height, width, 3) in [-1, 1] to logits (batch, height / 4, width / 4, 1).

    Each judges a patch of 37x37 pixels: of 256 a line or a lock of hair, of 64 half a face, eyes that
    no portrait has among them. With one halving logits are (batch, height / 2, width / 2, 1), of
    patches of 17x17. 3x3 convolutions without bias, spectrally normalised, two of them (one) at stride
    2; layer norm after the deeper ones; LeakyReLU 0.2. With the default settings 1,128,800 trainable
    parameters, the reference's number.

    Args:
        width: channels of the first convolution.
        halvings: 2 as in the reference, or 1 for small pictures.

    Raises:
        ValueError: width is below 1, or halvings neither 1 nor 2.
    """
    _check_width(width)
    if halvings not in (1, 2):
        raise ValueError(f"halvings must be 1 or 2, not {halvings!r}.")
    images = layers.Input((None, None, 3), name="images")

    def conv(x: Tensor, filters: int, strides: int = 1, name: str | None = None) -> Tensor:
        x = layers.ZeroPadding2D(1)(x)  # on both sides: "same" would pad the end alone at stride 2
        kernel = keras.initializers.RandomNormal(0.0, 0.02)
        return SpectralConv2D(
            filters, 3, strides, use_bias=False, kernel_initializer=kernel, name=name
        )(x)

    x = layers.LeakyReLU(negative_slope=0.2)(conv(images, width))
    for times in (2, 4)[:halvings]:
        x = layers.LeakyReLU(negative_slope=0.2)(conv(x, times * width, strides=2))
        x = _activated(conv(x, 2 * times * width))
    x = _activated(conv(x, 8 * width))
    x = conv(x, 1, name="judge")
    logits = layers.Activation("linear", dtype="float32", name="patch_logits")(x)
    return keras.Model(images, logits, name="discriminator")


# --- what content is ------------------------------------------------------------------------------


def content_maps(features: str = "kit") -> Callable[[Tensor], Tensor]:
    """A frozen network that says what is where on pictures, whatever they are painted with.

    Args:
        features: "vgg19" is the paper's: conv4_4 of VGG19 (Simonyan and Zisserman 2015) before its
            activation, of 512 channels at an eighth of the size, trained on photographs (ImageNet).
            "kit" is the kit's own network (`metrics.anime_network`), which was trained to read drawn
            faces: its third stage, of 96 channels, at an eighth of the size as well.

    Returns:
        Pictures (batch, height, width, 3) in [-1, 1] to maps (batch, rows, columns, channels).

    Raises:
        ValueError: there is no such network.
        FileNotFoundError: VGG19's weights are not on this machine and cannot be fetched either.
    """
    if features not in FEATURES:
        raise ValueError(f"features must be one of {FEATURES}, not {features!r}.")
    # Neither is part of the model that uses it: checkpoints need not hold what never changes.
    return _vgg19() if features == "vgg19" else _kit()


def _kit() -> Callable[[Tensor], Tensor]:
    stages = anime_network.stages()
    third = keras.Model(stages.input, stages.outputs[2])
    any_size = keras.models.clone_model(third, input_tensors=keras.Input((None, None, 3)))
    any_size.set_weights(third.get_weights())
    return lambda images: any_size(images, training=False)


VGG_MEAN = (103.939, 116.779, 123.68)  # of ImageNet's blue, green and red, from 0 to 255


def _vgg19() -> Callable[[Tensor], Tensor]:
    try:
        network = keras.applications.VGG19(include_top=False, weights="imagenet")
    except Exception as error:  # whatever the connection or the disk raise
        raise FileNotFoundError(
            "VGG19's weights (80 MB) are not in ~/.keras/models and cannot be fetched: go online, or "
            f'choose features="kit", which needs nothing. ({error})'
        ) from None
    last = network.get_layer("block4_conv4")
    last.activation = keras.activations.linear
    maps = keras.Model(network.input, last.output)
    return lambda images: maps(127.5 * (images[..., ::-1] + 1.0) - VGG_MEAN, training=False)


# --- the model ------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("anime_keras")
class AnimeGAN(training.Adversarial):
    """A generator that draws what it is shown, and a discriminator that knows drawings.

        gan = AnimeGAN(image_size=64)
        gan.compile(first_steps=1000)
        gan.fit(batches, epochs=10)       # (x, y, y with blurred edges), float32 in [-1, 1], unpaired
        anime = gan.translate(photos)     # uint8 to uint8, of any size

    Args:
        image_size: side in pixels of the square pictures that it is trained on: a multiple of 4, at
            least 8.
        width: channels at full size, of both networks.
        features: what tells the content, "kit" or "vgg19": see `content_maps`.
        halvings: of the discriminator: see `build_discriminator`.
        ema: decay per step of a moving average of the generator's weights that `translate` draws
            with; 0 for none, as in the reference. Early on it follows faster, by (1 + step) / (10 +
            step).
        seed: has no effect here, since a step draws nothing at random. The weights' own draw follows
            `keras.utils.set_random_seed`.
    """

    questions = ("begins",)

    def __init__(
        self,
        image_size: int = 256,
        width: int = 32,
        features: str = "kit",
        halvings: int = 2,
        ema: float = 0.0,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if image_size < SMALLEST or image_size % MULTIPLE:
            raise ValueError(
                f"image_size must be a multiple of {MULTIPLE}, at least {SMALLEST}, not "
                f"{image_size!r}."
            )
        if not 0.0 <= ema < 1.0:
            raise ValueError(f"ema must be in [0, 1), not {ema!r}.")
        self.image_size = image_size
        self._settings = {
            "image_size": image_size,
            "width": width,
            "features": features,
            "halvings": halvings,
            "ema": ema,
            "seed": seed,
        }
        self.generator = build_generator(width)
        self.discriminator = build_discriminator(width, halvings)
        self.ema = ema
        self.average = None
        if ema:
            self.average = build_generator(width)
            self.average.set_weights(self.generator.get_weights())
        # Last, since it draws weights too the first time, which those of a seed must not depend on.
        self.content_maps = content_maps(features)
        self.meters = [
            keras.metrics.Mean(name=name)
            for name in ("first_loss", "d_loss", "g_loss", *PARTS, *(f"{n}_score" for n in SHOWN))
        ]

    def compile(
        self,
        content: float = STYLES["hayao"]["content"],
        style: float = STYLES["hayao"]["style"],
        color: float = STYLES["hayao"]["color"],
        total_variation: float = STYLES["hayao"]["total_variation"],
        verdicts: tuple[float, float, float, float] = STYLES["hayao"]["verdicts"],
        adversarial: float = 300.0,
        first_steps: int = 5546,
        first_learning_rate: float = 2e-4,
        first_pixels: float = 0.0,
        learning_rate: float = 2e-5,
        discriminator_learning_rate: float = 4e-5,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        decay: str = "constant",
        decay_steps: int | None = None,
        accumulate: int = 1,
        **kwargs,
    ) -> None:
        """Choose the weights of the objective and how it is lowered.

        Args:
            content: weight of the L1 of content maps.
            style: weight of the L1 of Gram matrices, of translations and of grey drawings.
            color: weight of the loss of brightness and colours, in YUV.
            total_variation: weight of the difference of neighbouring pixels.
            verdicts: weights of the discriminator's verdicts on drawings, which it is to call real,
                and on translations, grey drawings and edge-blurred ones, which it is not.
            adversarial: weight of both players' least-squares losses beside all others.
            first_steps: optimizer steps that the generator first learns from the content loss alone;
                the game begins after them. The default is 10 epochs of 6,656 photographs, 12 a step.
            first_learning_rate: Adam's, meanwhile.
            first_pixels: weight of the L1 of pixels, meanwhile; 0 in the reference. The kit's content
                maps see less of colours than VGG19's, and a game that begins with false ones takes
                long to mend them: the squares of the loss of colours hardly weigh where these are
                nearly right.
            learning_rate: Adam's, of the generator in the game.
            discriminator_learning_rate: Adam's, of the discriminator.
            beta_1: Adam's momentum.
            beta_2: Adam's second one.
            decay: of the game's two rates, "constant", "linear" or "cosine": see `training.schedule`.
            decay_steps: optimizer steps of the whole training, the first ones included; needed where
                rates fall.
            accumulate: average the gradients of this many batches before each optimizer step.
            **kwargs: `jit_compile`, `steps_per_execution` … of `keras.Model.compile`.

        Raises:
            ValueError: a weight below 0, a decay that there is not, or one that ends before it begins.
        """
        # Everything that was chosen, so that a saved model can be compiled alike.
        self._rules = {
            k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")
        }
        self._rules.update(kwargs)
        self.weight_of = {
            "G": adversarial,
            "content": content,
            "style": style,
            "color": color,
            "total_variation": total_variation,
        }
        self.verdicts = dict(zip(SHOWN, verdicts, strict=True))
        for name, value in {
            **self.weight_of,
            **self.verdicts,
            "first_steps": first_steps,
            "first_pixels": first_pixels,
        }.items():
            if value < 0:
                raise ValueError(f"{name} must be at least 0, not {value}.")
        game_steps = decay_steps and decay_steps - first_steps
        if game_steps is not None and game_steps <= 0:
            raise ValueError(
                f"The rates cannot fall: of {decay_steps} steps the first {first_steps} are no game "
                "yet. Train longer, or give fewer first_steps."
            )
        rates = [
            training.schedule(rate, decay, game_steps)
            for rate in (learning_rate, discriminator_learning_rate)
        ]
        first_rate = training.schedule(first_learning_rate, "constant", None)
        super().compile(**kwargs)
        self.first_steps = first_steps
        self.first_pixels = first_pixels
        self.accumulate = accumulate

        def adam(rate: Any, network: keras.Model) -> keras.optimizers.Optimizer:
            optimizer = kernels.Adam(
                rate,
                beta_1=beta_1,
                beta_2=beta_2,
                epsilon=1e-8,
                gradient_accumulation_steps=accumulate if accumulate > 1 else None,
            )
            return self.add_optimizer(optimizer, network.trainable_variables)

        # The generator's is another in the game: what was learned of one loss's size and direction is
        # wrong for the next. The first one's count of steps also says when the game begins, and is
        # kept in checkpoints as all that optimizers know.
        self.first_optimizer = adam(first_rate, self.generator)
        self.generator_optimizer = adam(rates[0], self.generator)
        self.discriminator_optimizer = adam(rates[1], self.discriminator)

    def train_step(self, data: tuple[Tensor, Tensor, Tensor]) -> dict[str, Tensor]:
        """One step on photographs x, drawings y, and drawings with blurred edges, unpaired.

        Each is (batch, height, width, 3) in [-1, 1]. At first the generator learns to give back what
        it is shown, as far as its content goes; then the game begins.
        """
        x, y, blurred = data
        self.either(
            self.begins,
            lambda: self.first_step(x),
            lambda: self.game_step(x, y, blurred),
        )
        self.follow()
        return self.update_meters()

    def begins(self) -> Tensor:
        """Whether the generator learns alone yet."""
        return self.first_optimizer.iterations < self.first_steps

    def first_step(self, x: Tensor) -> None:
        """The generator alone, without the discriminator."""
        first_loss = self.minimize(
            lambda: self.first_loss(x),
            self.generator.trainable_variables,
            self.first_optimizer,
        )
        self.update_meters(first_loss=first_loss)

    def game_step(self, x: Tensor, y: Tensor, blurred: Tensor) -> None:
        """The discriminator on what the generator draws now, then the generator against it."""
        drawn = self.record(self.generator, x)
        d_loss = self.minimize(
            lambda: self.discriminator_loss(y, drawn.value, losses.grey(y), blurred),
            self.discriminator.trainable_variables,
            self.discriminator_optimizer,
        )
        g_loss = self.minimize(
            lambda drawn: self.generator_loss(x, y, drawn),
            self.generator.trainable_variables,
            self.generator_optimizer,
            through=drawn,
        )
        self.update_meters(d_loss=d_loss, g_loss=g_loss)

    def first_loss(self, x: Tensor) -> Tensor:
        """How different the content of photographs and of their drawings is, and if asked pixels."""
        drawn = self.generator(x, training=True)
        maps = self.content_maps(x), self.content_maps(drawn)
        loss = self.weight_of["content"] * losses.absolute_error(*maps)
        return loss + self.first_pixels * losses.absolute_error(x, drawn)

    def discriminator_loss(self, y: Tensor, drawn: Tensor, grey: Tensor, blurred: Tensor) -> Tensor:
        """Drawings are to be called real; what lacks an artist, colours or clear edges is not."""
        pictures = ops.concatenate([y, drawn, grey, blurred])  # no norm here mixes them
        logits = ops.split(self.discriminator(pictures, training=True), len(SHOWN))
        parts = []
        for name, patches in zip(SHOWN, logits, strict=True):
            parts.append(self.verdicts[name] * losses.verdict(patches, name == "real"))
            called_real = ops.mean(ops.cast(patches > BORDER, "float32"))
            self.update_meters(**{f"{name}_score": called_real})
        return self.weight_of["G"] * ops.sum(ops.stack(parts))

    def generator_loss(self, x: Tensor, y: Tensor, drawn: Tensor) -> Tensor:
        """Drawn as drawings are, in the photograph's content and colours."""
        maps = self.content_maps(drawn)
        parts = {
            "G": losses.verdict(self.discriminator(drawn, training=False), True),
            "content": losses.absolute_error(self.content_maps(x), maps),
            # Grey, so that texture and line are taken over, and the drawings' colours are not.
            "style": losses.style(self.content_maps(losses.grey(y)), maps),
            "color": losses.color(x, drawn),
            "total_variation": losses.total_variation(drawn),
        }
        parts = {name: self.weight_of[name] * loss for name, loss in parts.items()}
        self.update_meters(**parts)
        return ops.sum(ops.stack(list(parts.values())))

    def follow(self) -> None:
        """Move the averaged generator one step towards the live one."""
        if self.ema:
            optimizers = (self.first_optimizer, self.generator_optimizer)
            step = ops.cast(sum(o.iterations for o in optimizers), "float32")
            decay = ops.minimum(self.ema, (1.0 + step) / (10.0 + step)) ** (1 / self.accumulate)
            training.update_average(self.average, self.generator, decay)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means that `fit` resets each epoch: 0 for what has not begun, or is over.

        The loss before the game; the two players' losses; the generator's parts, with their weights;
        and the shares of patches that D calls real, of all four kinds that it is shown.
        """
        return self.meters

    # --- translating ------------------------------------------------------------------------------

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        """Draw pictures in [-1, 1] of any size that the generator takes."""
        return (self.average or self.generator)(images, training=training)

    def translate(self, images: np.ndarray, batch_size: int = 16) -> np.ndarray:
        """Draw pictures: uint8 RGB (count, height, width, 3) to the same.

        Args:
            images: any number of them, height and width any multiples of 4 from 8 on.
            batch_size: how many at a time; the result does not depend on it.

        Raises:
            ValueError: the pictures have another size or type.
        """
        drawn = self._apply(self.average or self.generator, images, batch_size)
        return np.round((drawn + 1.0) * 127.5).astype("uint8").reshape(images.shape)

    def draw(self, images: np.ndarray, batch_size: int = 16) -> np.ndarray:
        """As `translate`, each picture followed by what it becomes, for a sheet of even columns."""
        pairs = np.stack([images, self.translate(images, batch_size)], axis=1)
        return pairs.reshape(-1, *images.shape[1:])

    def judge(self, images: np.ndarray, batch_size: int = 16) -> np.ndarray:
        """D's patch logits, 1 for a drawing and 0 for none: float32 (count, height / 4, width / 4).

        With one halving (count, height / 2, width / 2).

        Args:
            images: as for `translate`.
            batch_size: how many at a time.

        Raises:
            ValueError: the pictures have another size or type.
        """
        return self._apply(self.discriminator, images, batch_size)[..., 0]

    def _apply(self, network: keras.Model, images: np.ndarray, batch_size: int) -> np.ndarray:
        images = np.asarray(images)
        sides = images.shape[1:3]
        fits = images.ndim == 4 and images.shape[-1] == 3 and images.dtype == np.uint8
        if not fits or min(sides) < SMALLEST or any(side % MULTIPLE for side in sides):
            raise ValueError(
                f"This model takes uint8 pictures (count, height, width, 3), height and width "
                f"multiples of {MULTIPLE} from {SMALLEST} on, not {images.dtype} {images.shape}."
            )
        outputs = [
            training.forward(network, images[i : i + batch_size].astype("float32") / 127.5 - 1.0)
            for i in range(0, len(images), batch_size)
        ]
        return np.concatenate(outputs) if outputs else np.zeros((0, 1, 1, 1), "float32")
