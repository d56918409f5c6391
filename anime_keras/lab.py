"""What the notebooks need beside the kit itself: scale, pictures with alt text, hints and checks.

    lab.scale()                                       # "smoke", "laptop" or "full"
    steps = lab.pick(smoke=4, laptop=600, full=6000)
    lab.show(faces.images, alt="64 drawn anime faces")
    lab.hint("02.1")
    lab.check("02.1", my_answer)                      # prints what is wrong; True if nothing is

An exercise is a function that looks at an answer and raises `Wrong` with the sentence that helps. All
of them stand at the end of this file, under the names by which the notebooks call them.
"""

import base64
import html
import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from PIL import Image

from anime_keras import losses, models, plots

# --- scale ----------------------------------------------------------------------------------------

SCALES = ("smoke", "laptop", "full")


def scale() -> str:
    """How much a notebook may compute: "smoke" (seconds), "laptop" (under three minutes) or "full".

    The environment variable ANIME_KERAS_SCALE decides; without it, "full" where Keras finds a GPU and
    "laptop" where it does not.

    Raises:
        ValueError: ANIME_KERAS_SCALE is set to something else.
    """
    chosen = os.environ.get("ANIME_KERAS_SCALE", "").strip().lower()
    if not chosen:
        devices = keras.distribution.list_devices()
        return "full" if any("gpu" in device.lower() for device in devices) else "laptop"
    if chosen not in SCALES:
        raise ValueError(f"ANIME_KERAS_SCALE must be one of {', '.join(SCALES)}, not {chosen!r}.")
    return chosen


def pick(*, smoke: Any, laptop: Any, full: Any) -> Any:
    """The one of three values that belongs to the present scale."""
    return {"smoke": smoke, "laptop": laptop, "full": full}[scale()]


# --- pictures that say what they show -------------------------------------------------------------


def show(picture: Any, alt: str, columns: int = 8, width: int | None = None) -> None:
    """Show pictures, or a matplotlib figure, in the notebook, with a text for who cannot see them.

    The picture is embedded, so the notebook shows it offline and on any machine.

    Args:
        picture: uint8 (count, height, width, 3), laid out as a grid; uint8 (height, width, 3); or a
            figure.
        alt: what there is to see.
        columns: pictures a row.
        width: on the screen, in pixels; one picture of 64 px, say, can be looked at from nearby.
    """
    _display(_img(*_encode(picture, columns), alt, width))


def animate(frames: Sequence[np.ndarray], alt: str, seconds: float = 0.15) -> None:
    """Show frames, each uint8 (height, width, 3), as an endless GIF that rests on its last frame."""
    with tempfile.TemporaryDirectory() as folder:
        content = plots.gif(Path(folder) / "frames.gif", frames, seconds).read_bytes()
    _display(_img(content, "gif", alt))


def _encode(picture: Any, columns: int = 8) -> tuple[bytes, str]:
    """A picture as the bytes of a PNG or, where that is smaller, of a JPEG; and which it is."""
    if hasattr(picture, "savefig"):
        file = io.BytesIO()
        picture.savefig(file, format="png", dpi=90)
        return file.getvalue(), "png"
    picture = np.asarray(picture)
    if picture.ndim == 4:
        picture = plots.grid(picture, columns)
    if picture.ndim != 3 or picture.dtype != np.uint8:
        raise ValueError(
            "show takes uint8 pictures, (count, height, width, 3) or (height, width, 3), or a figure; "
            f"not {picture.dtype} {picture.shape}."
        )
    files = {"png": {"optimize": True}, "jpeg": {"quality": 85, "subsampling": 0}}
    encoded = {}
    for kind, options in files.items():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind, **options)
        encoded[kind] = file.getvalue()
    kind = min(encoded, key=lambda name: len(encoded[name]))
    return encoded[kind], kind


def _img(content: bytes, kind: str, alt: str, width: int | None = None) -> str:
    if not alt.strip():
        raise ValueError("alt says what there is to see, for who cannot see it; it is empty.")
    size = f' style="width: {width}px; image-rendering: pixelated"' if width else ""
    data = base64.b64encode(content).decode()
    return f'<img alt="{html.escape(alt)}"{size} src="data:image/{kind};base64,{data}">'


def _display(markup: str, handle: Any = None) -> Any:
    """Show markup, in place of what the handle shows if there is one; returns the handle."""
    from IPython.display import HTML, display

    if handle is None:
        return display(HTML(markup), display_id=True)
    handle.update(HTML(markup))
    return handle


class Watch(keras.callbacks.Callback):
    """Shows training as it goes: a bar with the time left, and pictures of the same latents.

    Args:
        latents: (count, latent_dim), drawn again and again.
        alt: what the pictures show.
        every: steps between two pictures.
        seconds: stop training after so much time, even if steps are left; None for no limit.
        columns: pictures a row.

    Attributes:
        frames: the pictures, one grid uint8 (height, width, 3) each; the first is untrained.
        steps: training steps done.
    """

    def __init__(
        self,
        latents: np.ndarray,
        alt: str,
        every: int = 50,
        seconds: float | None = None,
        columns: int = 8,
    ) -> None:
        super().__init__()
        self.latents = latents
        self.alt = alt
        self.every = every
        self.seconds = seconds
        self.columns = columns
        self.frames: list[np.ndarray] = []
        self.steps = 0

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: D102
        self._begun = time.monotonic()
        self._draw()
        self._handle = _display(self._markup())

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: D102
        self.steps += 1
        if self.steps % self.every == 0:
            self._draw()
            _display(self._markup(), self._handle)
        if self.seconds and time.monotonic() - self._begun > self.seconds:
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:  # noqa: D102
        if self.steps % self.every:
            self._draw()
        _display(self._markup(done=True), self._handle)

    def _draw(self) -> None:
        self.frames.append(plots.grid(self.model.draw(self.latents), self.columns))

    def _markup(self, done: bool = False) -> str:
        picture = _img(*_encode(self.frames[-1]), self.alt)
        if done:
            return f"{picture}<br>{self.steps} steps done"
        total = (self.params.get("epochs") or 1) * (self.params.get("steps") or 1)
        spent = time.monotonic() - self._begun
        share = max(self.steps / total, spent / self.seconds if self.seconds else 0.0)
        left = f"about {spent * (1 - share) / share:.0f} s left" if self.steps else "compiling"
        bar = f'<progress value="{share:.3f}" aria-label="training"></progress>'
        return f"{picture}<br>{bar} step {self.steps}, {left}"


# --- exercises ------------------------------------------------------------------------------------


class Wrong(Exception):
    """What is wrong with an answer, in a sentence that helps."""


class Verdict:
    """What `check` found: true if the answer is right, and its message. Shown without an echo."""

    def __init__(self, right: bool, message: str) -> None:
        self.right = right
        self.message = message

    def __bool__(self) -> bool:
        return self.right

    def _ipython_display_(self) -> None:
        """Show nothing at the end of a cell: `check` has printed the message."""


class Exercise(NamedTuple):
    """A hint, and a check that returns praise or raises `Wrong`."""

    hint: str
    check: Callable[[Any], str]


EXERCISES: dict[str, Exercise] = {}


def hint(name: str) -> None:
    """Print the hint of an exercise, such as "02.1"."""
    print(_exercise(name).hint)


def check(name: str, answer: Any) -> Verdict:
    """Say what is wrong with an answer, or that it is right. Never raises for a wrong answer.

    Returns:
        A verdict, for `assert lab.check(...)`.

    Raises:
        ValueError: there is no exercise of that name.
    """
    exercise = _exercise(name)
    try:
        verdict = Verdict(True, f"{name}: right. {exercise.check(answer)}")
    except Wrong as wrong:
        verdict = Verdict(False, f"{name}: not yet. {wrong}")
    except Exception as error:
        verdict = Verdict(False, f"{name}: not yet. It raised {type(error).__name__}: {error}")
    print(verdict.message)
    return verdict


def _exercise(name: str) -> Exercise:
    if name not in EXERCISES:
        raise ValueError(
            f"There is no exercise {name!r}; there are {', '.join(sorted(EXERCISES))}."
        )
    return EXERCISES[name]


def exercise(name: str, hint: str) -> Callable[[Callable], Callable]:
    """Register a check under the name of its exercise."""

    def register(function: Callable[[Any], str]) -> Callable[[Any], str]:
        EXERCISES[name] = Exercise(hint, function)
        return function

    return register


def _function(answer: Any) -> None:
    if not callable(answer):
        raise Wrong("Hand over the function itself, without calling it.")


def _number(value: Any, what: str) -> float:
    if value is None or value is ...:
        raise Wrong(f"{what} is {value}: nothing is returned yet.")
    shape = tuple(getattr(value, "shape", ()))
    if shape:
        raise Wrong(f"{what} has the shape {shape}, and one number is wanted: take the mean.")
    return float(value)


def _close(value: float, wanted: float, tolerance: float = 1e-4) -> bool:
    return bool(np.isclose(value, wanted, rtol=tolerance, atol=tolerance))


# --- 02, DCGAN ------------------------------------------------------------------------------------


@exercise(
    "02.1",
    hint="-log(sigmoid(x)) and softplus(-x) are the same function, but only the second survives "
    "x = -200. Then take the mean over the batch.",
)
def _non_saturating(loss: Callable) -> str:
    _function(loss)
    logits = np.array([[-2.0], [0.5], [3.0], [-0.25]], "float32")
    value = _number(loss(ops.convert_to_tensor(logits)), "The loss")
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
        if _close(value, other):
            raise Wrong(message)
    if not _close(value, wanted):
        raise Wrong(
            f"For the logits {logits.ravel().tolist()} it gives {value:.4f}; -log(sigmoid) has a mean "
            f"of {wanted:.4f}."
        )
    far = _number(loss(ops.convert_to_tensor([[-200.0]])), "The loss")
    if not _close(far, 200.0):
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
    _function(count)

    def ask(size: int, inputs: int, outputs: int, **flags: bool) -> float:
        flags = {"bias": False, "batch_norm": False, **flags}
        return _number(count(size, inputs, outputs, **flags), f"count{(size, inputs, outputs)}")

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
    _function(field)
    one = _number(field([(4, 2)]), "receptive_field([(4, 2)])")
    if one == 7:
        raise Wrong("The stride of a layer spreads the layers after it, not the layer itself.")
    if one != 4:
        raise Wrong(
            f"One convolution of 4x4 sees 4 pixels whatever its stride; yours says {one:g}. Does it "
            "begin with one pixel, and add kernel - 1?"
        )
    two = _number(field([(4, 2), (4, 2)]), "receptive_field([(4, 2), (4, 2)])")
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
    patch = _number(field([(4, 2)] * 3 + [(4, 1)] * 2), "receptive_field of a PatchGAN")
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
    _function(step)
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
    value = _number(step(yours, real, fake), "What the step returns")
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
    if not _close(value, float(wanted)):
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
    if not isinstance(plan, dict):
        raise Wrong(f"A plan is a dict, not {type(plan).__name__}.")
    missing = [key for key in ("change", "keep", "seeds", "prediction") if key not in plan]
    if missing:
        raise Wrong(f"The plan lacks {', '.join(missing)}.")
    change, keep = plan["change"], plan["keep"]
    for name in [*change, *keep]:
        if name not in KNOBS:
            raise Wrong(f"There is no knob {name!r}; choose from {', '.join(KNOBS)}.")
    if not change:
        raise Wrong("Nothing changes yet: name one knob in `change`, with the values to try.")
    if len(change) > 1:
        raise Wrong(
            f"{' and '.join(change)} change together: whichever it was, you could not tell. Change one."
        )
    (name, values), *_ = change.items()
    if isinstance(values, str) or not isinstance(values, Sequence) or len(set(values)) < 2:
        raise Wrong(f"{name} needs a list of two different values or more, to compare.")
    if name in keep:
        raise Wrong(f"{name} is both changed and kept.")
    if len(set(plan["seeds"])) < 2:
        raise Wrong(
            "One seed shows one run, and its luck. With two you see how far apart two runs are that "
            "differ in nothing else."
        )
    prediction = plan["prediction"]
    if not isinstance(prediction, str) or len(prediction.split()) < 5:
        raise Wrong("Say in a sentence what you expect, and why: a surprise needs an expectation.")
    return f"{len(values) * len(set(plan['seeds']))} runs that differ in {name} and in luck alone."
