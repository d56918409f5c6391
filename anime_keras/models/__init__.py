"""One file a paper; the classes are here by name, and `load` gives any that was trained."""

from pathlib import Path
from typing import Any

from anime_keras.models import animegan, conditional, cyclegan, dcgan, stylegan2, vae, vae_gan
from anime_keras.models.animegan import AnimeGAN
from anime_keras.models.conditional import ConditionalDCGAN
from anime_keras.models.cyclegan import CycleGAN
from anime_keras.models.dcgan import DCGAN
from anime_keras.models.stylegan2 import StyleGAN2
from anime_keras.models.vae import VAE
from anime_keras.models.vae_gan import VAEGAN

__all__ = [
    "DCGAN",
    "VAE",
    "VAEGAN",
    "AnimeGAN",
    "ConditionalDCGAN",
    "CycleGAN",
    "StyleGAN2",
    "animegan",
    "conditional",
    "cyclegan",
    "dcgan",
    "load",
    "stylegan2",
    "vae",
    "vae_gan",
]


def load(run_or_name: str | Path) -> Any:
    """A trained model: of a run's folder, or by the name of one that comes with the kit.

        models.load("stylegan2").generate(64, seed=0)
        models.load("portrait_anime").translate(photos)

    `python -m anime_keras models` lists what there is.

    Raises:
        FileNotFoundError: there is neither; the message says what there is.
        ValueError: its files are damaged.
    """
    from anime_keras import shelf

    return shelf.load(run_or_name)
