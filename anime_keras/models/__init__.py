"""One file a paper; the classes are here by name."""

from anime_keras.models import cyclegan, dcgan
from anime_keras.models.cyclegan import CycleGAN
from anime_keras.models.dcgan import DCGAN

__all__ = ["DCGAN", "CycleGAN", "cyclegan", "dcgan"]
