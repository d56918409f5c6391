"""Small networks that this project trained on faces of its own drawing, each with its card.

Every file NAME.weights.h5 comes with NAME.json: how it was trained, with what result, and its
SHA-256. `path` checks that before anything reads the weights.
"""

import hashlib
import json
from pathlib import Path

FOLDER = Path(__file__).parent


def path(name: str) -> Path:
    """Path of a weights file such as "face_finder.weights.h5".

    Raises:
        FileNotFoundError: it is not there.
        ValueError: it is not the file that was trained.
    """
    file = FOLDER / name
    card = FOLDER / f"{name.split('.')[0]}.json"
    for wanted in (file, card):
        if not wanted.is_file():
            raise FileNotFoundError(
                f"{wanted} is missing: install anime_keras again, or train the weights with "
                f"python -m anime_keras.weights.{name.split('.')[0]}"
            )
    if checksum(file) != json.loads(card.read_text(encoding="utf-8"))["sha256"]:
        raise ValueError(f"{file} is damaged: its checksum differs. Install anime_keras again.")
    return file


def checksum(file: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
