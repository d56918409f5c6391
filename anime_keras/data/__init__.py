"""Data: rendered faces, folders of pictures, records and pipelines."""

from anime_keras.data.people import CHANCES, FACTORS, RANGES
from anime_keras.data.rendering import Faces, render

__all__ = ["CHANCES", "FACTORS", "RANGES", "Faces", "render"]
