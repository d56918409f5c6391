"""Small networks that this project trained on faces of its own drawing, each with its card.

Every file NAME.weights.h5 comes with NAME.json: how it was trained, with what result, and its
SHA-256. `path` checks that before anything reads the weights.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

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


def checksum(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
