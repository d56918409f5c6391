"""What sharing costs: a DCGAN's step on one device, and the same batch cut between two on one machine.

    BATCH=128 python benchmarks/replicas.py [--rounds 5] [--seconds 8]
    KERAS_BACKEND=jax BATCH=64 python benchmarks/replicas.py

Both take the same steps on the same two cores (`replicas`), so what lies between them is the price of
having two: a copy of all weights each, gradients added up, BatchNorm's statistics asked for. Of two
devices each has a core (on TensorFlow, which otherwise gives both to both); one has both. How settings
take turns: `_turns.py`.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial

import _turns

BATCH = int(os.environ.get("BATCH", "128"))  # pictures a step, of all devices
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
FOR_EVER = contextlib.ExitStack()  # a scope that nobody holds ends when it is collected
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=2")


def share(devices: int, policy: str) -> _turns.Train:
    """A DCGAN of this kit on so many logical devices, by `fit`."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, parts)
        if devices > 1:
            tf.config.threading.set_inter_op_parallelism_threads(devices)
            tf.config.threading.set_intra_op_parallelism_threads(1)
    import keras
    import numpy as np

    from anime_keras import models, replicas

    keras.config.set_dtype_policy(policy)
    real = np.tanh(np.random.default_rng(0).standard_normal((BATCH, 64, 64, 3))).astype("float32")
    FOR_EVER.enter_context(replicas.shared_among(devices))
    gan = models.DCGAN(image_size=64, ema=0.0)
    gan.compile()
    return _turns.by_fit(gan, real)


TWO = {f"two, {policy}": partial(share, 2, policy) for policy in ("float32", "mixed_bfloat16")}
ONE = {f"one, {policy}": partial(share, 1, policy) for policy in ("float32", "mixed_bfloat16")}

if __name__ == "__main__":
    _turns.run(__file__, __doc__ or "", BATCH, TWO, ONE, seconds=8.0)
