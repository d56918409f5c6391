"""One file a paper; the classes are here by name."""

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
    "stylegan2",
    "vae",
    "vae_gan",
]
