"""anime_keras: learn image generation by drawing, training and measuring anime faces with Keras 3.

    from anime_keras import data, models

    faces = data.render(64, size=64, seed=0)
    gan = models.DCGAN(image_size=64)

Sub-packages are imported when they are first asked for, so drawing faces does not wait for
TensorFlow.
"""

import importlib
import os
from types import ModuleType

from anime_keras import _quiet

_quiet.install()
# Take a GPU's memory as it is needed: a notebook beside a training, or two trainings, can share one.
# Read when the first operation is computed; PyTorch does so anyway.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

__version__ = "0.1.0"
ADDRESS = "https://github.com/anime-keras/anime_keras"
"""Where the project lives: badges and set-up cells of the notebooks are made from it."""

_SUBMODULES = [
    "callbacks",
    "checkpoints",
    "cli",
    "data",
    "exercises",
    "latents",
    "lab",
    "layers",
    "losses",
    "metrics",
    "models",
    "plots",
    "report",
    "runs",
    "state_dicts",
    "survey",
    "tfgan",
    "training",
]


def __getattr__(name: str) -> ModuleType:
    if name not in _SUBMODULES:
        raise AttributeError(f"module 'anime_keras' has no attribute {name!r}")
    return importlib.import_module(f"anime_keras.{name}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBMODULES])
