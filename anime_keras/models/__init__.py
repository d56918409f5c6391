"""One file a paper; the classes are here by name."""

from anime_keras.models import dcgan
from anime_keras.models.dcgan import DCGAN

__all__ = ["DCGAN", "dcgan"]
