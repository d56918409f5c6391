"""Small networks that this project trained on faces of its own drawing, each with its card.

Every file NAME.weights.h5 comes with NAME.json: how it was trained, with what result, and its
SHA-256. `path` checks that before anything reads the weights. Generators are kept as NAME.weights.npz,
in float16, which halves them.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def path(name: str) -> Path:
    """Path of a weights file such as "face_finder.weights.h5".

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not the file that was trained.
    """
    file = _there(name)
    if checksum(file) != card(name.split(".")[0])["sha256"]:
        raise ValueError(f"{file} is damaged: its checksum differs. Install anime_keras again.")
    return file


def card(name: str) -> dict[str, Any]:
    """How the network of a name such as "face_finder" was trained.

    Raises:
        FileNotFoundError: it is not there.
    """
    return json.loads(_there(f"{name}.json").read_text(encoding="utf-8"))


def _there(name: str) -> Path:
    file = FOLDER / name
    if not file.is_file():
        raise FileNotFoundError(
            f"{file} is missing: install anime_keras again, or train the weights with "
            f"python -m anime_keras.weights.{name.split('.')[0]}"
        )
    return file


def save(networks: Mapping[str, Any], file: Path) -> None:
    """Write the weights of networks, each under its name, as one file of float16 arrays."""
    arrays = {
        f"{name}/{index}": value.astype("float16")
        for name, network in networks.items()
        for index, value in enumerate(network.get_weights())
    }
    np.savez_compressed(file, **arrays)


def restore(name: str, networks: Mapping[str, Any]) -> None:
    """Give networks the weights of a shipped file such as "portrait_anime.weights.npz".

    Args:
        name: of the file.
        networks: as they were given to `save`, by the same names.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not the file that was trained.
    """
    with np.load(path(name), allow_pickle=False) as file:
        for key, network in networks.items():
            count = len(network.weights)
            network.set_weights([file[f"{key}/{i}"].astype("float32") for i in range(count)])


def refuse_unfinished(run: Any) -> None:
    """Stop before the weights that ship are overwritten by a training of which no epoch ended.

    Raises:
        SystemExit: with what to do; what is trained so far is kept in the run.
    """
    if not (run.folder / "history.csv").exists():
        raise SystemExit(
            f"No epoch ended, so no weights were written. {run.folder} keeps what there is: the same "
            "command with more --minutes goes on from there."
        )


def write_card(name: str, folder: Path, run: Any, **about: Any) -> None:
    """Write NAME.json beside NAME.weights.npz: what was trained, from which commit, with which log.

    Args:
        name: of the weights.
        folder: where both lie.
        run: the `runs.Run` that trained them.
        **about: what else the card should say: `trained_on` in words, `measured` as what -> value.
    """
    import keras

    from anime_keras.callbacks import read_history

    settings, history = run.settings, read_history(run.folder / "history.csv")
    card = {
        "model": settings.model,
        "data": settings.data,
        "y": settings.y,
        "count": settings.count,
        **about,
        "commit": _commit(),
        "steps": int(history["step"][-1]),
        "batch": settings.batch_size,
        "minutes": round(history["seconds"][-1] / 60, 1),
        "seed": settings.seed,
        "network": {"image_size": settings.size, **settings.network},
        "rules": settings.rules,
        "versions": {"keras": keras.__version__, "backend": keras.backend.backend()},
        "python": sys.version.split()[0],
        "sha256": checksum(folder / f"{name}.weights.npz"),
        "log": [
            dict(zip(history, row, strict=True)) for row in zip(*history.values(), strict=True)
        ],
    }
    text = json.dumps(card, indent=1) + "\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def _commit() -> str:
    """The commit that trained, if this is a checkout."""
    command = ["git", "-C", str(FOLDER), "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def checksum(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
