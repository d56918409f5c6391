"""What happens around training steps: progress, pictures on the way, checkpoints, reasons to stop.

Each is a `keras.callbacks.Callback` and works with any model of the kit. They share a `Position`,
because Keras counts steps from the start of each `fit`, and a resumed run starts in mid-epoch.
"""

import contextlib
import csv
import math
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from anime_keras import checkpoints, plots, replicas, training
from anime_keras.files import replacing


@dataclass
class Position:
    """Where training stands.

    Attributes:
        step: training steps done since the run began.
        seconds: time spent in training since the run began, over all its sessions.
        per_epoch: steps an epoch.
        pictures: a checksum of those that are trained on, so that no others are taken on resume.
        stopped: why training ended before its time, if it did: "interrupt", or "time".
    """

    step: int = 0
    seconds: float = 0.0
    per_epoch: int = 1
    pictures: int = 0
    stopped: str = ""

    @property
    def epoch(self) -> int:
        """Whole epochs done."""
        return self.step // self.per_epoch

    @property
    def at_epoch_end(self) -> bool:
        """Whether the last step completed an epoch; `fit` calls one that was cut short ended, too."""
        return self.step > 0 and self.step % self.per_epoch == 0


class Clock(keras.callbacks.Callback):
    """Counts steps and time. Stands first, so that the others find the position up to date.

    Args:
        position: what it moves.
        meters: values of the model's meters in mid-epoch, to go on from; `fit` clears them.
    """

    def __init__(self, position: Position, meters: list[np.ndarray] | None = None) -> None:
        super().__init__()
        self.position = position
        self.meters = meters

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: D102
        self._last = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:  # noqa: D102
        if self.meters:
            for variable, value in zip(self.model.metrics_variables, self.meters, strict=True):
                variable.assign(value)
            self.meters = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: D102
        now = time.monotonic()
        self.position.seconds += now - self._last
        self._last = now
        self.position.step += 1


_REMEDIES = {
    "CycleGAN": "a lower learning rate (--learning-rate 0.0001), a lower lambda (--cycle 5)",
    "AnimeGAN": "a lower learning rate (--learning-rate 0.00001)",
    "VAE": "a lower learning rate (--learning-rate 0.0003)",
    "VAEGAN": "a lower learning rate (--learning-rate 0.0001)",
    "DCGAN": "a lower learning rate (--learning-rate 0.0001), spectral normalisation "
    "(--spectral-norm), another loss (--loss hinge)",
}


def _broken(what: str, step: int, model: keras.Model | None) -> FloatingPointError:
    remedies = _REMEDIES.get(type(model).__name__, _REMEDIES["DCGAN"])
    return FloatingPointError(
        f"{what} at step {step}. Nothing of that step was saved: the last checkpoint is sound. "
        f"Try {remedies} or float32 (--precision float32)."
    )


class StopOnNaN(keras.callbacks.Callback):
    """Raises at the first loss that is not a number, before a checkpoint could keep it."""

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.position = position

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Raises FloatingPointError with the step, the loss and what to try."""
        for name, value in (logs or {}).items():
            if not math.isfinite(float(value)):
                raise _broken(f"{name} became {float(value)}", self.position.step, self.model)


class Checkpoint(keras.callbacks.Callback):
    """Saves at the end of each epoch, every so many minutes between, and when training stops.

    Stands last: what the others write at the end of an epoch is then there before the checkpoint
    that says so, and a run that is killed between the two writes it again.

    Args:
        folder: of the checkpoints.
        position: saved with the model.
        minutes: at most so long between two checkpoints.
    """

    def __init__(self, folder: Path, position: Position, minutes: float = 5.0) -> None:
        super().__init__()
        self.folder = folder
        self.position = position
        self.minutes = minutes
        self._saved_step = position.step
        self._saved_at = time.monotonic()

    def _save(self) -> None:
        if self.position.step != self._saved_step:
            training.settle(self.model)
            try:
                checkpoints.save(
                    self.model,
                    self.folder,
                    self.position.step,
                    seconds=self.position.seconds,
                    pictures=self.position.pictures,
                )
            except FloatingPointError as error:
                raise _broken(str(error), self.position.step, self.model) from error
        self._saved_step = self.position.step
        self._saved_at = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: D102
        if self.position.at_epoch_end:  # that one follows at once
            return
        due = time.monotonic() - self._saved_at > 60 * self.minutes
        if replicas.place()[1] > 1:
            # Reading the meters asks all processes, so all must save, and at the same step.
            if self.position.step % Stop.EVERY:
                return
            due = bool(replicas.largest(int(due)))
        if due:
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: D102
        self._save()


class SampleSheet(keras.callbacks.Callback):
    """Draws the same sheet after each epoch, from the same latents or pictures, to see progress by.

    Args:
        folder: receives `epoch-0001.png`, …; 0000 is the untrained model's.
        position: numbers the files.
        sheet: called with the model; returns the sheet, uint8 (height, width, 3).
        name: of the files, before the number.
        on_picture: called with the path of each new sheet.
    """

    def __init__(
        self,
        folder: Path,
        position: Position,
        sheet: Callable[[keras.Model], np.ndarray],
        name: str = "epoch",
        on_picture: Callable[[Path], None] | None = None,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.position = position
        self.sheet = sheet
        self.name = name
        self.on_picture = on_picture

    def draw(self) -> Path:
        """Draw and save the sheet of the current epoch."""
        path = self.folder / f"{self.name}-{self.position.epoch:04d}.png"
        plots.save(path, self.sheet(self.model))
        if self.on_picture:
            self.on_picture(path)
        return path

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: D102
        if self.position.step == 0:
            self.draw()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: D102
        if self.position.at_epoch_end:
            self.draw()


SCORES: dict[str, tuple[str, ...]] = {
    "fid": ("fid",),
    "kid": ("kid",),
    "is": ("inception_score",),
    "prdc": ("precision", "recall", "density", "coverage"),
    "swd": ("swd",),
    "neighbours": ("memorisation",),
}
"""What `Score` can measure, by the names of `evaluate --metrics`, and what it is called in the logs."""


class Score(keras.callbacks.Callback):
    """Measures the pictures after every so many epochs: losses do not tell when to stop.

    The same latents, or pictures to translate, each time, so that the numbers of two epochs differ by
    the networks alone. They are added to the epoch's logs, as `SCORES` calls them; epochs in between
    get NaN. With 1,000 pictures FID is too large by some amount at every epoch alike: compare epochs
    with it, not papers.

    Path length is not among them: its step is lost in the rounding of bfloat16, in which most
    generators are trained. `evaluate` measures it in float32.

    Args:
        real: real pictures, of which the first 5,000 are compared with.
        draw: called with the model and a count; returns so many of the model's pictures.
        position: tells the epoch.
        every: epochs.
        count: of the model's pictures.
        extractor: as for `metrics.extractors.get`.
        metrics: names out of `SCORES`. "prdc" and "swd" take as many real pictures as generated ones.

    Raises:
        ValueError: there is no such metric.
    """

    def __init__(
        self,
        real: Any,
        draw: Callable[[keras.Model, int], np.ndarray],
        position: Position,
        every: int = 1,
        count: int = 1000,
        extractor: Any = "anime",
        metrics: Sequence[str] = ("fid", "kid"),
    ) -> None:
        super().__init__()
        unknown = [name for name in metrics if name not in SCORES]
        if unknown:
            raise ValueError(
                f"{', '.join(map(repr, unknown))} cannot be measured during training: choose from "
                f"{', '.join(SCORES)}."
            )
        self.real, self.draw, self.position = real, draw, position
        self.every, self.count, self.extractor = every, count, extractor
        self.metrics = tuple(metrics)
        self._features: Any = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: D102
        if logs is None or not self.position.at_epoch_end:
            return
        logs |= {key: float("nan") for name in self.metrics for key in SCORES[name]}
        if self.position.epoch % self.every == 0:
            logs |= self.measure()

    def measure(self) -> dict[str, float]:
        """The numbers of the model as it is now."""
        images = self.draw(self.model, self.count)
        return replicas.alone(lambda: self._measure(images))

    def _measure(self, images: np.ndarray) -> dict[str, float]:
        from anime_keras.metrics import extractors, references

        extractor = extractors.get(self.extractor)
        if self._features is None:
            self._features = references.collect(self.real[:5000], extractor)
        fake = references.collect(images, extractor)
        numbers: dict[str, float] = {}
        for name in self.metrics:
            numbers |= zip(SCORES[name], self._score(name, images, fake), strict=True)
        return numbers

    def _score(self, name: str, images: np.ndarray, fake: Any) -> tuple[float, ...]:
        from anime_keras import metrics
        from anime_keras.metrics import kernel, neighbours, sliced_wasserstein
        from anime_keras.metrics.inception_score import measure as measure_inception_score

        real = self._features
        rows = min(len(real.sample), len(fake.sample))
        match name:
            case "fid":
                return (metrics.frechet_distance(real.sample, fake.sample),)
            case "kid":
                return (kernel.measure(real, fake).value,)
            case "is":
                return (measure_inception_score(fake).value,)
            case "prdc":
                sides = real.sample[:rows], fake.sample[:rows]
                return *metrics.precision_recall(*sides), *metrics.density_coverage(*sides)
            case "swd":
                return (sliced_wasserstein.measure(np.asarray(self.real[:rows]), images).value,)
            case _:
                return (neighbours.measure(real, fake).value,)


class History(keras.callbacks.Callback):
    """Appends a row to a CSV file after each epoch: epoch, step, seconds, and the epoch's means.

    On resume, rows later than the checkpoint are dropped first, so none is there twice.
    """

    def __init__(self, path: Path, position: Position) -> None:
        super().__init__()
        self.path = path
        self.position = position

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: D102
        rows = read_history(self.path) if self.path.exists() else {}
        kept = [i for i, step in enumerate(rows.get("step", [])) if step <= self.position.step]
        if not kept:
            self.path.unlink(missing_ok=True)
        elif len(kept) < len(rows["step"]):
            with replacing(self.path) as partial, partial.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(rows)
                writer.writerows([column[i] for column in rows.values()] for i in kept)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: D102
        if not self.position.at_epoch_end:
            return
        row = {
            "epoch": self.position.epoch,
            "step": self.position.step,
            "seconds": round(self.position.seconds, 1),
            **{name: f"{float(value):.6g}" for name, value in (logs or {}).items()},
        }
        # Written anew, since what is appended to a full disk would be half a row.
        before = self.path.read_bytes() if self.path.exists() else b""
        with replacing(self.path) as partial, partial.open("w", newline="") as file:
            file.write(before.decode())
            writer = csv.DictWriter(file, row)
            if not before:
                writer.writeheader()
            writer.writerow(row)


def read_history(path: Path) -> dict[str, list[float]]:
    """The columns of a `history.csv`, whole numbers as int."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def number(text: str) -> float:
        return int(text) if text.isdigit() else float(text)

    return {name: [number(row[name]) for row in rows] for name in (rows[0] if rows else [])}


class TimeBudget(keras.callbacks.Callback):
    """Ends training once the run has had its minutes, counted over all its sessions."""

    def __init__(self, minutes: float, position: Position) -> None:
        super().__init__()
        self.minutes = minutes
        self.position = position

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: D102
        if self.position.seconds >= 60 * self.minutes:
            self.position.stopped = "time"


class Stop(keras.callbacks.Callback):
    """Ends `fit` once there is a reason to; processes that train together end at the same step.

    Stands behind those that find reasons. A cluster asks around every so many steps, since none can
    take a step without the others.
    """

    EVERY = 10  # steps
    REASONS = ("", "time", "interrupt")  # the last of them wins

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.position = position

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: D102
        position = self.position
        if position.step % self.EVERY and replicas.place()[1] > 1 and not position.at_epoch_end:
            return
        position.stopped = self.REASONS[replicas.largest(self.REASONS.index(position.stopped))]
        if position.stopped:
            self.model.stop_training = True


class Interrupt(keras.callbacks.Callback):
    """Lets Ctrl-C finish the step under way; a second Ctrl-C stops at once."""

    def __init__(self, position: Position) -> None:
        super().__init__()
        self.position = position
        self._previous: Any = None

    def _ask(self, number: int, frame: Any) -> None:
        self.position.stopped = "interrupt"
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: D102
        if self._previous is not None:  # a run may call `fit` more than once
            return
        # Elsewhere than in the main thread Python refuses, and whoever runs us handles Ctrl-C.
        with contextlib.suppress(ValueError):
            self._previous = signal.signal(signal.SIGINT, self._ask)

    def restore(self) -> None:
        """Give Ctrl-C back; to be called however training ended."""
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None


class ProgressBar(keras.callbacks.Callback):
    """A bar over the whole run, with pictures a second, losses and the time left.

    Args:
        position: what it shows.
        batch_size: for the rate.
        epochs: how many there will be, or None.
        minutes: the time budget, or None; the bar follows whichever is nearer to its end.
    """

    def __init__(
        self, position: Position, batch_size: int, epochs: int | None, minutes: float | None
    ) -> None:
        super().__init__()
        self.position = position
        self.batch_size = batch_size
        self.epochs = epochs
        self.minutes = minutes
        self._bar: Progress | None = None

    def fraction(self) -> float:
        """How much of the run is done, in [0, 1]."""
        position = self.position
        by_steps = position.step / (self.epochs * position.per_epoch) if self.epochs else 0.0
        by_time = position.seconds / (60 * self.minutes) if self.minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def on_train_begin(self, logs: dict | None = None) -> None:  # noqa: D102
        self._start = (time.monotonic(), self.position.step, self.fraction())
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[status]}"),
        )
        self._task = self._bar.add_task("compiling the step", total=1.0, status="")
        self._bar.start()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: D102
        begun, first_step, first_fraction = self._start
        elapsed = time.monotonic() - begun
        done = self.fraction()
        left = elapsed * (1 - done) / max(done - first_fraction, 1e-9)
        rate = (self.position.step - first_step) * self.batch_size / elapsed
        numbers = "  ".join(f"{n} {float(v):.2f}" for n, v in (logs or {}).items() if "loss" in n)
        self._bar.update(
            self._task,
            completed=done,
            description=f"epoch {(self.position.step - 1) // self.position.per_epoch + 1}",
            status=f"{_minutes(left)} left  {rate:.0f} pictures/s  {numbers}",
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:  # noqa: D102
        # A log file shows no bar that moves, so it gets a line an epoch.
        if self._bar is not None and not self._bar.console.is_terminal:
            task = self._bar.tasks[self._task]
            self._bar.console.print(f"{task.description}  {task.fields['status']}", soft_wrap=True)

    def on_train_end(self, logs: dict | None = None) -> None:  # noqa: D102
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was; to be called however training ended."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _minutes(seconds: float) -> str:
    seconds = round(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}"
