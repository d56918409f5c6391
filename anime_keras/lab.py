"""What the notebooks need beside the kit itself: scale, pictures with alt text, hints and checks.

    lab.set_up(seed=0)                                # seeds everything; says what it runs on
    lab.scale()                                       # "smoke", "laptop" or "full"
    steps = lab.pick(smoke=4, laptop=600, full=6000)
    lab.show(faces.images, alt="64 drawn anime faces")
    lab.equal("log 4 is 2 log 2", np.log(4), 2 * np.log(2), tolerance=1e-12)
    lab.hint("02.1")
    lab.check("02.1", my_answer)                      # prints what is wrong; True if nothing is
    lab.grade("02.1", my_answer)                      # raises what is wrong: how nbgrader counts

The exercises themselves are in `anime_keras.exercises`.
"""

import base64
import contextlib
import html
import io
import logging
import os
import sys
import tempfile
import textwrap
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

import anime_keras
from anime_keras import exercises, plots

# --- where, and how much --------------------------------------------------------------------------


def set_up(seed: int = 0) -> None:
    """Seed Python's, NumPy's and Keras' random numbers, and print what the notebook runs on."""
    keras.utils.set_random_seed(seed)
    name = keras.backend.backend()
    backend = "TensorFlow" if name == "tensorflow" else name
    version = getattr(sys.modules.get(name), "__version__", "")
    print(f"anime_keras {anime_keras.__version__}, Keras {keras.__version__}, {backend} {version}")
    print(f"{accelerator()}; seed {seed}")


def accelerator() -> str:
    """What Keras computes on, in words: "1 GPU", "8 TPUs" or "no GPU, 2 CPU cores"."""
    devices = [device.lower() for device in keras.distribution.list_devices()]
    for kind in ("GPU", "TPU"):
        if count := sum(kind.lower() in device for device in devices):
            return _several(count, kind)
    return f"no GPU, {_several(os.cpu_count() or 1, 'CPU core')}"


def _several(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count > 1 else "")


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


# --- what a text claims ---------------------------------------------------------------------------


def equal(claim: str, left: Any, right: Any, tolerance: float = 1e-5) -> None:
    """Assert that two sides, computed in two ways, are equal; print the claim with both of them.

    Args:
        claim: what the equation says, in words or symbols.
        left: a number, or an array of them.
        right: the same; a number stands for an array of that number.
        tolerance: how far apart the two may be, up or down, at any place.

    Raises:
        AssertionError: they are farther apart at some place, or not finite.
    """
    left, right = (np.asarray(side, "float64") for side in (left, right))
    left, right = np.broadcast_arrays(left, right)
    apart = np.abs(left - right).max()
    if left.ndim == 0:
        sides = f"{left:.6g} and {right:.6g}"
    else:
        sides = f"{left.size} pairs, {apart:.1g} apart at most"
    # Not "apart > tolerance": of what is not a number neither is true.
    if not apart <= tolerance:
        where = np.unravel_index(
            np.argmax(np.nan_to_num(np.abs(left - right), nan=np.inf)), left.shape
        )
        raise AssertionError(
            f"{claim}: {left[where]:.6g} and {right[where]:.6g} are more than {tolerance:g} apart"
            + (f", at {tuple(int(i) for i in where)}." if where else ".")
        )
    print(f"✓ {claim}: {sides} (within {tolerance:g})")


# --- exercises ------------------------------------------------------------------------------------


class Verdict:
    """What `check` found: true if the answer is right, and its message. Shown without an echo."""

    def __init__(self, right: bool, message: str) -> None:
        self.right = right
        self.message = message

    def __bool__(self) -> bool:
        return self.right

    def _ipython_display_(self) -> None:
        """Show nothing at the end of a cell: `check` has printed the message."""


def hint(name: str) -> None:
    """Print the hint of an exercise, such as "02.1"."""
    print(exercises.find(name).hint)


class NotYet(AssertionError):
    """What is wrong with a graded answer. A notebook shows the sentence, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [textwrap.fill(line, 88) for line in str(self).splitlines()]


def check(name: str, answer: Any) -> Verdict:
    """Say what is wrong with an answer, or that it is right. Never raises for a wrong answer.

    Returns:
        A verdict, for `assert lab.check(...)`.

    Raises:
        ValueError: there is no exercise of that name.
    """
    verdict = _judge(name, answer)
    print(verdict.message)
    return verdict


def grade(name: str, answer: Any) -> None:
    """`check` for copies that nbgrader grades: no error, full points; an error, none.

    nbgrader takes anything on stderr for an error too, so what a right answer may be warned about
    (a logarithm of 0 that is not used, say) is held back.

    Raises:
        NotYet: what is wrong with the answer.
        ValueError: there is no exercise of that name.
    """
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            verdict = _judge(name, answer)
    finally:
        logging.disable(logging.NOTSET)
    if not verdict:
        raise NotYet(verdict.message)
    print(verdict.message)


def _judge(name: str, answer: Any) -> Verdict:
    exercise = exercises.find(name)
    try:
        return Verdict(True, f"{name}: right. {exercise.check(answer)}")
    except exercises.Wrong as wrong:
        return Verdict(False, f"{name}: not yet. {wrong}")
    except Exception as error:
        return Verdict(False, f"{name}: not yet. It raised {type(error).__name__}: {error}")
