"""What the tests kill: processes that save, and train. Each is one life of something longer.

They are forked from a server that has imported Keras and done nothing with it yet: that takes 0.1 s,
and an import of Keras with TensorFlow 4.
"""

import itertools
import multiprocessing
from types import SimpleNamespace

import numpy as np

SHAPES = [(1 << k,) for k in range(18)]  # 2 MB, so that a file is mostly hit while it is written


def server():
    """Where processes come from that have imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "anime_keras.runs", "lives"])
    return context


def save_for_ever(folder):
    """Save one checkpoint after the other; every number in it is its step's."""
    import keras

    from anime_keras import checkpoints

    variables = [keras.Variable(np.zeros(shape, np.float32), name="v") for shape in SHAPES]
    model = SimpleNamespace(variables=variables, metrics_variables=[], optimizers=[])
    begun = 0
    if checkpoints.available(folder):
        begun = checkpoints.load_newest(model, folder)["step"]
        assert all((variable.numpy() == begun).all() for variable in variables)
    for step in itertools.count(begun + 1):
        for variable in variables:
            variable.assign(np.full(variable.shape, step, np.float32))
        checkpoints.save(model, folder, step)


def train(folder, settings, images):
    """Begin a run, or go on with it, until its end."""
    from anime_keras.runs import Run, Settings

    begun = (folder / "settings.json").exists()
    run = Run.open(folder) if begun else Run.create(folder, Settings(**settings))
    run.train(images, progress=False)
