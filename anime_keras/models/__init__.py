"""One file a paper; the classes are here by name."""

from anime_keras.models import conditional, cyclegan, dcgan, vae
from anime_keras.models.conditional import ConditionalDCGAN
from anime_keras.models.cyclegan import CycleGAN
from anime_keras.models.dcgan import DCGAN
from anime_keras.models.vae import VAE

__all__ = [
    "DCGAN",
    "VAE",
    "ConditionalDCGAN",
    "CycleGAN",
    "conditional",
    "cyclegan",
    "dcgan",
    "vae",
]
