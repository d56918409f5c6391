"""Every trained model that is at hand: those that come with the kit, and those of runs.

    model = models.load("stylegan2")            # or models.load("runs/mine")
    model.generate(64, seed=0)                  # uint8 pictures, or
    model.translate(photos)                     # whichever it can

Which paper a model came from decides what it can do: `makes` or `turns`, or both.
"""

import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anime_keras import weights


@dataclass(frozen=True)
class Entry:
    """A trained model, without its weights in memory.

    Attributes:
        name: what `load` takes: the name of shipped weights, or a run's folder.
        model: its kind, a name out of `runs.MODELS`.
        size: side of its pictures in pixels.
        trained_on: in words.
        bytes: of the weights on disk.
        measured: what was measured -> value, in words; empty if nothing was.
    """

    name: str
    model: str
    size: int
    trained_on: str
    bytes: int
    measured: dict[str, str] = field(default_factory=dict)


def names() -> list[str]:
    """The names of the models that come with the kit."""
    return sorted(
        path.name.split(".")[0]
        for path in weights.FOLDER.glob("*.weights.npz")
        if path.with_name(path.name.split(".")[0] + ".json").is_file()
    )


@dataclass(frozen=True)
class Shipped:
    """A model that comes with the kit, in the place of a `runs.Run`.

    Attributes:
        name: out of `names()`.
        settings: `runs.Settings` that say what it is and what it was trained on.
    """

    name: str
    settings: Any

    def load_model(self, precision: str = "float32") -> Any:
        """The model, computing in a dtype policy."""
        import keras

        keras.config.set_dtype_policy(precision)
        return importlib.import_module(f"anime_keras.weights.{self.name}").load()


def find(run_or_name: str | Path) -> Any:
    """The run in a folder, or a model of the kit: something with `settings` and `load_model()`.

    Raises:
        FileNotFoundError: there is neither; the message says what there is.
        ValueError: the settings of the run cannot be read.
    """
    from anime_keras.runs import Run, Settings

    if (Path(run_or_name) / "settings.json").is_file():
        return Run.open(run_or_name)
    if str(run_or_name) in names():
        card = weights.card(str(run_or_name))
        settings = Settings(
            model=card["model"],
            data=card["data"],
            y=card["y"],
            count=card["count"],
            size=card["network"]["image_size"],
            seed=card["seed"],
        )
        return Shipped(str(run_or_name), settings)
    raise FileNotFoundError(
        f"There is no run in {run_or_name}, and no model of that name comes with the kit: choose "
        f"from {', '.join(names())}, or name the folder of a run."
    )


def load(run_or_name: str | Path) -> Any:
    """A trained model, ready to `generate` or `translate`.

    Args:
        run_or_name: the folder of a run, of which the newest checkpoint is taken, or a name out of
            `names()`. A folder of that name comes first.

    Raises:
        FileNotFoundError: there is neither; the message says what there is.
        ValueError: its files are damaged.
    """
    return find(run_or_name).load_model()


def entries(runs: str | Path = "runs") -> list[Entry]:
    """The kit's models, then those of the runs in a folder, by name.

    Runs without a checkpoint yet are left out, and so are folders whose settings cannot be read.
    """
    kit = [_shipped(name) for name in names()]
    folders = sorted(path.parent for path in Path(runs).glob("*/settings.json"))
    return kit + [entry for folder in folders if (entry := _of_run(folder))]


def _shipped(name: str) -> Entry:
    card = weights.card(name)
    file = weights.FOLDER / f"{name}.weights.npz"
    return Entry(
        name=name,
        model=card["model"],
        size=card["network"]["image_size"],
        trained_on=card["trained_on"],
        bytes=file.stat().st_size,
        measured=card.get("measured", {}),
    )


def _of_run(folder: Path) -> Entry | None:
    from anime_keras import checkpoints
    from anime_keras.runs import Run

    try:
        settings = Run.open(folder).settings
    except ValueError:
        return None
    saved = checkpoints.available(folder / "checkpoints")
    if not saved:
        return None
    data = f"{settings.data} and {settings.y}" if settings.translates else settings.data
    count = f"{settings.count} of " if settings.count else ""
    return Entry(
        name=str(folder),
        model=settings.model,
        size=settings.size,
        trained_on=f"{count}{data}, {int(saved[0].stem.split('-')[1]):,} steps",
        bytes=saved[0].stat().st_size,
        measured=_measured(folder / "metrics.json"),
    )


def _measured(path: Path) -> dict[str, str]:
    """The numbers that `evaluate` left in a run's folder."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            row["name"]: f"{row['value']:.4g}"
            for row in found["results"]
            if row["value"] is not None
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def can(model: Any) -> str:
    """What a model does: "makes pictures", "turns pictures", or both."""
    does = [("generate", "makes"), ("translate", "turns")]
    return " and ".join(word for name, word in does if hasattr(model, name)) + " pictures"


def begin(model: Any, run_or_name: str | Path) -> None:
    """Give a model the weights of another one of the same kind and size, to be trained further.

    Raises:
        FileNotFoundError: as `load`.
        ValueError: the other one is of another kind, or its networks are.
    """
    import keras

    policy = keras.config.dtype_policy()
    try:
        other = load(run_or_name)
    finally:
        keras.config.set_dtype_policy(policy)
    if type(other) is not type(model):
        raise ValueError(
            f"{run_or_name} is a {type(other).__name__}, not a {type(model).__name__}."
        )
    for ours, theirs in zip(_learned(model), _learned(other), strict=True):
        shapes = [[tuple(v.shape) for v in layer.weights] for layer in (ours, theirs)]
        if shapes[0] != shapes[1]:
            wanted, found = model.get_config(), other.get_config()
            differences = [
                f"{name} {found[name]!r}, not {wanted[name]!r}"
                for name in wanted
                if name in found and name != "seed" and wanted[name] != found[name]
            ]
            raise ValueError(
                f"The networks of {run_or_name} are others: {'; '.join(differences)}. Choose the same."
            )
        ours.set_weights(theirs.get_weights())


def _learned(model: Any) -> list[Any]:
    """The parts of a model that hold what was learned, and not chance or memories."""
    return [part for part in model.layers if part.weights and not hasattr(part, "seed_generator")]
