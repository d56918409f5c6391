"""Data: rendered faces, collections of pictures made ready, and the batches that networks see.

Everything here works without TensorFlow until a `tf.data.Dataset` or the face finder is asked for.
"""

from anime_keras.data import faces
from anime_keras.data.people import CHANCES, FACTORS, RANGES
from anime_keras.data.pipelines import Batches, Pairs, batches
from anime_keras.data.prepare import prepare
from anime_keras.data.records import Prepared
from anime_keras.data.rendering import Faces, render
from anime_keras.data.scenes import Scene, render_scene

__all__ = [
    "CHANCES",
    "FACTORS",
    "RANGES",
    "Batches",
    "Faces",
    "Pairs",
    "Prepared",
    "Scene",
    "batches",
    "faces",
    "prepare",
    "render",
    "render_scene",
]
