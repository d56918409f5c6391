"""A run: one training, in one folder, from its settings to its report.

runs/NAME/
    settings.json       everything that was chosen
    checkpoints/        the newest two, exact
    real.png            some of the pictures it learns from
    samples/            a sheet an epoch, of the same latents
    history.csv         a row an epoch
    tensorboard/        the same for TensorBoard
    training.gif  curves.png  final.png
    model.keras         the trained model
    report.html         all of it on one page that can be sent to a friend
"""

import dataclasses
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_origin

import keras
import numpy as np
from filelock import FileLock, Timeout
from keras import ops

from anime_keras import (
    callbacks,
    checkpoints,
    files,
    models,
    plots,
    replicas,
    report,
    shelf,
    tasks,
    training,
)
from anime_keras.data.augmentation import tensorflow_is_there
from anime_keras.data.records import Pictures
from anime_keras.files import replacing

MODELS = {
    "dcgan": models.DCGAN,
    "conditional": models.ConditionalDCGAN,
    "stylegan2": models.StyleGAN2,
    "vae": models.VAE,
    "vae-gan": models.VAEGAN,
    "cyclegan": models.CycleGAN,
    "animegan": models.AnimeGAN,
}
TASKS = {
    "dcgan": tasks.Generation,
    "conditional": tasks.Conditional,
    "stylegan2": tasks.Styling,
    "vae": tasks.Coding,
    "vae-gan": tasks.Coding,
    "cyclegan": tasks.Translation,
    "animegan": tasks.Drawing,
}
PRECISIONS = ("auto", "float32", "mixed_bfloat16")
GIF_FRAMES = 60
MANY = 10**6  # steps an epoch, enough for whatever a model begins with before its rates fall


@dataclass
class Settings:
    """Everything that is chosen before training; kept as `settings.json`.

    Attributes:
        model: a name out of `MODELS`.
        data: "rendered" (or "anime"), "portraits", a folder of pictures, or one that `data prepare`
            wrote. For a model that translates: its X.
        y: the same of Y, for a model that translates.
        count: how many faces to draw, or at most so many pictures of a folder; None for all.
        size: side of the pictures in pixels.
        epochs: stop after so many; None for no limit.
        minutes: stop after so much time in training; None for no limit.
        batch_size: pictures a step, over all devices.
        devices: how many share a batch (`replicas.shared_among`).
        seed: of weights, latents, order of the pictures, and of the drawn faces.
        flip: mirror pictures at random.
        precision: "auto" computes in bfloat16 where that is faster on this machine.
        deterministic: ask the backend for bit-exact operations.
        checkpoint_minutes: at most so long between two checkpoints.
        score_every: measure FID and KID after every so many epochs; 0 for never.
        begin: begin with the weights of this run or model of the kit (`shelf.begin`); None for
            weights drawn at random.
        network: further arguments of the model's `__init__`.
        rules: arguments of its `compile`.
    """

    model: str = "dcgan"
    data: str = "rendered"
    y: str | None = None
    count: int | None = None
    size: int = 64
    epochs: int | None = None
    minutes: float | None = None
    batch_size: int = 64
    devices: int = 1
    seed: int = 0
    flip: bool = False
    precision: str = "auto"
    deterministic: bool = False
    checkpoint_minutes: float = 5.0
    score_every: int = 0
    begin: str | None = None
    network: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raise ValueError for what cannot work, before anything is drawn or written."""
        for setting in dataclasses.fields(self):
            kind, value = setting.type, getattr(self, setting.name)
            kind = dict if get_origin(kind) is dict else kind
            if float in (kind, *get_args(kind)):  # for which a whole number does
                kind |= int
            if not isinstance(value, kind):
                named = getattr(setting.type, "__name__", setting.type)
                raise ValueError(f"{setting.name} must be {named}, not {value!r}.")
        if self.model not in MODELS:
            raise ValueError(f"There is no model {self.model!r}: choose from {list(MODELS)}.")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, not {self.precision!r}.")
        for name in ("epochs", "minutes", "batch_size", "devices", "count", "checkpoint_minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:  # NaN is no more above 0 than below
                raise ValueError(f"{name} must be above 0, not {value}.")
        if self.batch_size % self.devices:
            raise ValueError(
                f"A batch of {self.batch_size} cannot be cut among {self.devices} devices: choose a "
                "multiple."
            )
        if self.epochs is None and self.minutes is None:
            raise ValueError("Say how long to train: give epochs, minutes, or both.")
        if self.rules.get("decay", "constant") != "constant" and self.epochs is None:
            raise ValueError("A learning rate that decays needs its end: give epochs.")
        if self.translates != (self.y is not None):
            raise ValueError(
                f"{self.model} {'needs pictures of X and of Y' if self.translates else 'takes no y'}."
            )

    @property
    def translates(self) -> bool:
        """Whether the model turns pictures into others, rather than making them from noise."""
        return issubclass(TASKS[self.model], tasks.Translation)

    @property
    def labelled(self) -> bool:
        """Whether the model learns from labels, too."""
        return TASKS[self.model] is tasks.Conditional


class Run:
    """One training in one folder. Make it with `Run.create` or `Run.open`, then `train`."""

    def __init__(self, folder: str | Path, settings: Settings) -> None:
        self.folder = Path(folder)
        self.settings = settings
        self._new = False

    @classmethod
    def create(cls, folder: str | Path, settings: Settings) -> "Run":
        """Begin a run in a folder of its own.

        The folder is made when training begins, so that a mistake in the settings or the pictures
        leaves nothing behind.

        Raises:
            FileExistsError: there is a run in it already; it is not touched.
            ValueError: settings that cannot work.
        """
        settings.check()
        run = cls(folder, settings)
        run._new = True
        run._refuse_another()
        with replicas.shared_among(settings.devices):  # raises for devices that there are not
            model = run.build_model()  # … and this for networks and rules
        if settings.begin:
            shelf.begin(model, settings.begin)
        return run

    @classmethod
    def open(cls, folder: str | Path, **changes: Any) -> "Run":
        """Open a run to resume it or to draw with it.

        Args:
            folder: where it lies.
            **changes: settings to change, such as `epochs` or `minutes`; kept when it trains.

        Raises:
            FileNotFoundError: there is no run in the folder.
            ValueError: its settings cannot be read or cannot work, or the changes cannot.
        """
        path = Path(folder) / "settings.json"
        if not path.exists():
            raise FileNotFoundError(f"There is no run in {folder}: it has no settings.json.")
        try:
            settings = Settings(**json.loads(path.read_text()))
            settings.check()
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is not a run's settings: {error}") from error
        run = cls(folder, dataclasses.replace(settings, **changes))
        run.settings.check()
        return run

    @property
    def settings_path(self) -> Path:
        """Where the settings are kept."""
        return self.folder / "settings.json"

    def _refuse_another(self) -> None:
        """Raise FileExistsError if this run is to begin, and one has begun here."""
        if self._new and self.settings_path.exists():
            raise FileExistsError(
                f"There is a run in {self.folder} already. Continue it with --resume, or choose "
                "another folder."
            )

    def _write_settings(self) -> None:
        self._new = False
        text = json.dumps(dataclasses.asdict(self.settings), indent=2) + "\n"
        with replacing(self.settings_path) as partial:
            partial.write_text(text)

    def build_model(self, epoch_steps: int = MANY) -> training.Adversarial:
        """The model of the settings, compiled, with the weights that its seed draws.

        Args:
            epoch_steps: training steps an epoch; a falling learning rate follows them. Where the model
                is not to be trained nobody need know.
        """
        settings = self.settings
        precision = settings.precision
        if precision == "auto":
            # Unlike machines of a cluster take what suits all of them.
            fast = training.best_precision() == "mixed_bfloat16"
            precision = "float32" if replicas.largest(int(not fast)) else "mixed_bfloat16"
        keras.config.set_dtype_policy(precision)
        keras.utils.set_random_seed(settings.seed)
        if settings.deterministic:
            training.use_deterministic_ops()
        model = MODELS[settings.model](
            image_size=settings.size, seed=settings.seed, **settings.network
        )
        rules = dict(settings.rules)
        if rules.get("decay", "constant") != "constant":
            # The optimizer counts its own steps, of which an accumulated one takes several of ours.
            rules["decay_steps"] = settings.epochs * epoch_steps // rules.get("accumulate", 1)
            if settings.model == "cyclegan":
                rules["epoch_steps"] = max(1, epoch_steps // rules.get("accumulate", 1))
        try:
            model.compile(**rules)
        except TypeError as error:
            raise ValueError(
                f"{self.settings_path} holds a rule that this version of the kit does not know "
                f"({error}). Go on with the version that began the run, or begin another."
            ) from error
        return model

    def load_model(self) -> training.Adversarial:
        """The model as of its newest sound checkpoint.

        Raises:
            FileNotFoundError: the run has no checkpoint yet.
        """
        model = self.build_model()
        checkpoints.load_newest(model, self.folder / "checkpoints")
        return model

    # --- training ---------------------------------------------------------------------------------

    def train(
        self,
        images: Any,
        extra_callbacks: Sequence[keras.callbacks.Callback] = (),
        on_picture: Callable[[Path], None] | None = None,
        progress: bool = True,
    ) -> callbacks.Position:
        """Train, or go on training, until the settings' end; then write the report.

        A run that was stopped, by Ctrl-C, a cut session or SIGKILL, goes on from its newest
        checkpoint and ends in the same weights as if nothing had happened.

        Args:
            images: uint8 (count, size, size, 3), RGB, an array or prepared pictures left on disk; for
                a model that translates a pair of such, X and Y; for one that learns from labels such
                and the labels, name -> int (count,). On resume the same as before.
            extra_callbacks: of Keras, beside the run's own.
            on_picture: called with the path of each new sample sheet.
            progress: show a bar in the terminal.

        Returns:
            The position at the end; `stopped` is "interrupt" after Ctrl-C.

        Raises:
            FloatingPointError: a loss became NaN or infinite; the last checkpoint is sound.
            FileExistsError: another run has begun in this folder since this one was made.
            RuntimeError: another process is training in this folder; or one of a cluster is gone.
            ValueError: a resumed run was given other pictures than before.
        """
        try:
            if replicas.place()[0] > 0:
                return self._train_beside(images, extra_callbacks)
            return self._train_here(images, extra_callbacks, on_picture, progress)
        except Exception as error:
            if not replicas.is_lost(error):
                raise
            raise RuntimeError(
                "Another process of the cluster is gone, and none can go on without it. Start all of "
                "them again with --resume: they go on from the last checkpoint."
            ) from error

    def _train_here(
        self,
        images: Any,
        extra_callbacks: Sequence[keras.callbacks.Callback],
        on_picture: Callable[[Path], None] | None,
        progress: bool,
    ) -> callbacks.Position:
        """Train in the run's folder, which is this process's alone meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with (
                FileLock(self.folder / ".lock", blocking=False),
                replicas.shared_among(self.settings.devices),
            ):
                self._refuse_another()
                while True:
                    try:
                        return self._train(images, extra_callbacks, on_picture, progress)
                    except Exception as error:
                        if files.is_full(error) and not isinstance(error, OSError):  # TensorBoard's
                            raise files.DiskFull(
                                f"There is no space left in {self.folder}. Free some, and go on with "
                                "what is saved (--resume)."
                            ) from error
                        alone = replicas.place()[1] == 1
                        if not (alone and training.is_out_of_memory(error) and self._halve_batch()):
                            raise
        except Timeout as error:
            raise RuntimeError(f"Another process is training in {self.folder}.") from error

    def _train_beside(
        self, images: Any, extra_callbacks: Sequence[keras.callbacks.Callback]
    ) -> callbacks.Position:
        """Train as a process of a cluster that is not its chief: what it writes is thrown away.

        It takes every step and draws every sheet as the chief does, since on some backends neither can
        be done without the others, but in a folder of its own.
        """
        with tempfile.TemporaryDirectory() as scratch:
            beside = Run(Path(scratch) / "run", self.settings)
            beside.folder.mkdir()
            saved = self.folder / "checkpoints"
            if newest := checkpoints.available(saved)[:2]:
                (beside.folder / "checkpoints").mkdir()
                for path in newest:
                    shutil.copy(path, beside.folder / "checkpoints")
            with replicas.shared_among(self.settings.devices):
                return beside._train(images, extra_callbacks, None, False)

    def _train(
        self,
        images: Pictures | np.ndarray | tuple,
        extra_callbacks: Sequence[keras.callbacks.Callback],
        on_picture: Callable[[Path], None] | None,
        progress: bool,
    ) -> callbacks.Position:
        settings = self.settings
        task = TASKS[settings.model](settings, images)
        position = callbacks.Position(per_epoch=task.batches.per_epoch, pictures=task.checksum())
        saved = checkpoints.available(self.folder / "checkpoints")
        self._agree(int(saved[0].stem.partition("-")[2]) if saved else 0)  # before all load it
        model = self.build_model(task.batches.per_epoch)
        meters = None
        if saved:
            then = checkpoints.load_newest(model, self.folder / "checkpoints")
            if then.get("pictures") != position.pictures:
                raise ValueError(
                    f"The pictures are not those that the run in {self.folder} was trained on so far "
                    f"(now there are {task.count}). Bring those back, or start a new run."
                )
            position.step, position.seconds = then["step"], then.get("seconds", 0.0)
            if not position.at_epoch_end:
                meters = [ops.convert_to_numpy(v) for v in model.metrics_variables]
        elif settings.begin:
            shelf.begin(model, settings.begin)
        self._agree(position.step)  # from here on the chief writes; the others have read

        self._write_settings()
        plots.save(self.folder / "real.png", task.real())
        interrupt = callbacks.Interrupt(position)
        scores = []
        if settings.score_every:
            scores.append(callbacks.Score(*task.compared(), position, settings.score_every))
        sheets = [
            callbacks.SampleSheet(self.folder / "samples", position, draw, name, on_picture)
            for name, draw in task.sheets().items()
        ]
        around = [
            callbacks.Clock(position, meters),
            callbacks.StopOnNaN(position),
            interrupt,
            *sheets,
            *scores,
            callbacks.History(self.folder / "history.csv", position),
            *extra_callbacks,
        ]
        if tensorflow_is_there():  # Keras writes its logs with it, whatever the backend
            around.append(
                keras.callbacks.TensorBoard(self.folder / "tensorboard", write_graph=False)
            )
        if settings.minutes:
            around.append(callbacks.TimeBudget(settings.minutes, position))
        around.append(callbacks.Stop(position))
        bar = callbacks.ProgressBar(
            position, settings.batch_size, settings.epochs, settings.minutes
        )
        if progress:
            around.append(bar)
        folder = self.folder / "checkpoints"
        around.append(callbacks.Checkpoint(folder, position, settings.checkpoint_minutes))
        try:
            # `fit` counts in whole epochs: what is left of a broken one comes first, by itself.
            while bar.fraction() < 1.0 and not position.stopped:
                started = position.step % position.per_epoch
                model.fit(
                    replicas.deal(task.batches.feed(position.step)),
                    initial_epoch=position.epoch,
                    epochs=position.epoch + 1 if started else settings.epochs or 10**9,
                    steps_per_epoch=position.per_epoch - started,
                    callbacks=around,
                    shuffle=False,  # the batches come in their own reproducible order
                    verbose=0,
                )
        finally:
            interrupt.restore()
            bar.close()
        self.finish(model, task)
        return position

    def _agree(self, step: int) -> None:
        """Raise ValueError where the processes of a cluster do not begin at the same step."""
        last, first = replicas.largest(step), -replicas.largest(-step)
        if first != last:
            raise ValueError(
                f"The processes do not begin at the same step, but at {first} to {last} (this one at "
                f"{step}): all must see the same folder and be given it as --out."
            )

    def _halve_batch(self) -> bool:
        """Half the batch, twice as many a step: the same gradients from less memory, if it can be.

        Not in the middle of a run: its checkpoints would no longer fit.
        """
        settings = self.settings
        if settings.batch_size % (2 * settings.devices) or checkpoints.available(
            self.folder / "checkpoints"
        ):
            return False
        settings.batch_size //= 2
        settings.rules = {**settings.rules, "accumulate": 2 * settings.rules.get("accumulate", 1)}
        self._write_settings()
        keras.backend.clear_session()
        warnings.warn(
            f"The memory is full. Trying again with batches of {settings.batch_size}, gradients "
            f"averaged over {settings.rules['accumulate']} of them.",
            stacklevel=3,
        )
        return True

    def finish(self, model: training.Adversarial, task: Any) -> Path:
        """Write what is to be looked at: final sheet, curves, animation, model and report."""
        plots.save(self.folder / "final.png", task.final(model))
        paths = sorted((self.folder / "samples").glob("epoch-*.png"))
        chosen = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), GIF_FRAMES)).round())
        frames = [plots.load(paths[int(i)]) for i in chosen]
        # The upper half of the sheet is enough to watch, and keeps the file small.
        frames = [plots.fit_width(frame[: len(frame) // 2], 640) for frame in frames]
        plots.gif(self.folder / "training.gif", frames)
        history = self.folder / "history.csv"
        if history.exists():
            figure = plots.curves(callbacks.read_history(history))
            with replacing(self.folder / "curves.png") as partial:
                figure.savefig(partial, dpi=110, format="png")
        with replacing(self.folder / "model.keras", beside="partial.keras") as partial:
            model.save(partial)
        return report.write(self.folder, dataclasses.asdict(self.settings), task.count)

    def report(self) -> Path:
        """Write the report again, with what has been measured since."""
        return report.write(self.folder, dataclasses.asdict(self.settings))


class Generated:
    """Pictures of a model, drawn when they are asked for, those of `generate` with the same seed.

    Attributes:
        shape: (count, size, size, 3).
        dtype: uint8.
        asked: attribute -> place of the word (count,) that each was asked for; of other models empty.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, model: training.Adversarial, count: int, seed: int = 0) -> None:
        self.model = model
        self.shape = (count, model.image_size, model.image_size, 3)
        self.asked = model.ask(count, seed) if hasattr(model, "ask") else {}
        self._points = model.points(count, seed)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """The pictures of a slice."""
        return self.model.draw(self._points[rows])
