"""One training on several devices, which takes the very steps that one device would take.

    with replicas.shared_among(2):
        model = models.DCGAN(image_size=64)
        ...

Each device (replica) gets its own rows of a batch, and a copy of every weight. A mean over pictures is
then a mean of the devices' means; whatever else mixes the pictures of a batch has to ask the other
devices, by `mean` or `gather`, and random numbers are drawn for the whole batch, of which each device
takes its own rows. So every device comes to the same new weights, and these are those of one device
with the whole batch.

On JAX `keras.distribution` cuts arrays, not programs: a step never learns that there is more than one
device, and of what is here only the drawing of numbers has anything to do. On TensorFlow
`tf.distribute.MirroredStrategy` runs one program a device. PyTorch trains on one device here.
"""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np

Tensor = Any
BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax
    from jax.experimental import multihost_utils
_cluster: Any = None  # what `join_cluster` made: a strategy on TensorFlow, True on JAX


def join_cluster() -> None:
    """Make this process one of several that train together; to be called before anything is computed.

    Who the others are is in the environment. TensorFlow reads TF_CONFIG. On JAX Keras reads
    KERAS_DISTRIBUTION_JOB_ADDRESSES (that of the first process is enough), _NUM_PROCESSES and
    _PROCESS_ID, which begin alike; where they are missing, JAX asks Slurm or Open MPI. The call
    returns when all are there.

    Raises:
        ValueError: the environment names no others, or the backend is PyTorch.
    """
    global _cluster
    if BACKEND == "torch":
        raise ValueError("A cluster needs KERAS_BACKEND=jax or tensorflow.")
    if BACKEND == "tensorflow":
        try:
            config = json.loads(os.environ["TF_CONFIG"])
            kinds, kind = list(config["cluster"]), config["task"]["type"]
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                "TF_CONFIG is not set, or cannot be read. It names all processes and says which of "
                """them this is: {"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": """
                """{"type": "worker", "index": 0}}."""
            ) from None
        if [*kinds, kind] != ["worker", "worker"]:
            raise ValueError(
                f"TF_CONFIG calls this process a {kind!r}, of {', '.join(kinds)}. List all of them as "
                '"worker" and number them from 0: the first is the chief.'
            )
        _cluster = tf.distribute.MultiWorkerMirroredStrategy()
        _cluster.extended._use_merge_call = lambda: False
        return
    try:
        keras.distribution.initialize()
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            "The other processes are not known. Set KERAS_DISTRIBUTION_JOB_ADDRESSES=host0:2222, "
            "KERAS_DISTRIBUTION_NUM_PROCESSES=2 and KERAS_DISTRIBUTION_PROCESS_ID=0, 1 … "
            f"({str(error).strip()})"
        ) from error
    _cluster = True


def place() -> tuple[int, int]:
    """Which of how many processes that train together this is; the first, 0, is the chief."""
    if _cluster is None:
        return 0, 1
    if BACKEND == "jax":
        return jax.process_index(), jax.process_count()
    resolver = _cluster.cluster_resolver
    return resolver.task_id, len(resolver.cluster_spec().job_tasks(resolver.task_type))


def largest(number: int) -> int:
    """The largest of the numbers that the processes bring, after all have called."""
    if _cluster is None:
        return number
    if BACKEND == "jax":
        return int(np.max(multihost_utils.process_allgather(np.asarray(number))))
    return int(_largest()(tf.constant(number, "int64")))


@functools.cache
def _largest() -> Callable[[Tensor], Tensor]:
    """`largest` on TensorFlow, as a graph."""

    def of_all(mine: Tensor) -> Tensor:
        context = tf.distribute.get_replica_context()
        placed = tf.one_hot(context.replica_id_in_sync_group, count(), dtype="int64") * mine
        return tf.reduce_max(context.all_reduce("SUM", placed))

    @tf.function
    def ask(mine: Tensor) -> Tensor:
        return _cluster.experimental_local_results(_cluster.run(of_all, (mine,)))[0]

    return ask


def is_lost(error: Exception) -> bool:
    """Whether an exception says that another process of the cluster is gone."""
    if _cluster is None:
        return False
    if BACKEND == "tensorflow":
        lost = tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError
        return isinstance(error, lost)
    return "Gloo" in str(error) or "UNAVAILABLE" in str(error)


def devices_here() -> list[str]:
    """The devices that one training can be shared among: GPUs or TPUs if there are any, else CPUs.

    Of a cluster, those of all processes.
    """
    if _cluster is not None and BACKEND == "tensorflow":
        return [f"replica:{index}" for index in range(_cluster.num_replicas_in_sync)]
    return keras.distribution.list_devices()


def deal(batches: Any) -> Any:
    """What `fit` takes of this process's part of the batches: on TensorFlow each device has its own."""
    if _cluster is None or BACKEND != "tensorflow":
        return batches
    here = _cluster.num_replicas_in_sync // place()[1]
    if here > 1:
        rows = tf.nest.flatten(batches.element_spec)[0].shape[0]
        batches = batches.rebatch(rows // here)
    return _cluster.distribute_datasets_from_function(lambda context: batches)


@contextlib.contextmanager
def shared_among(wanted: int) -> Iterator[None]:
    """Within, each batch is cut among so many devices, and every weight has a copy on each.

    Raises:
        ValueError: there are not so many devices, or the backend is PyTorch.
    """
    if wanted == 1 and _cluster is None:
        yield
        return
    if BACKEND == "torch":
        raise ValueError(
            f"{wanted} devices need KERAS_BACKEND=jax or tensorflow: on torch the kit trains on one."
        )
    found = devices_here()
    if wanted > len(found):
        raise ValueError(
            f"There are {len(found)} devices here, not {wanted}: {', '.join(found)}. Say --devices "
            f"{len(found)}, or fewer."
        )
    if _cluster is not None and wanted != len(found):
        raise ValueError(f"A cluster trains on all of its {len(found)} devices, not on {wanted}.")
    with _mirrored(found[:wanted]) if BACKEND == "tensorflow" else _cut(found[:wanted]):
        yield


@contextlib.contextmanager
def _cut(devices: list[str]) -> Iterator[None]:
    before = keras.distribution.distribution()
    # Each process brings its own part of a batch: nothing is left for Keras to share out.
    among = keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
    keras.distribution.set_distribution(among)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)


@contextlib.contextmanager
def _mirrored(devices: list[str]) -> Iterator[None]:
    strategy = _cluster or tf.distribute.MirroredStrategy(devices)
    # Devices then talk by collective operations, which a step that is taken only now and then
    # (`Adversarial.either`) can hold; TensorFlow's other way is for the outermost level alone. It does
    # the same by itself on GPUs with XLA.
    strategy.extended._use_merge_call = lambda: False
    with strategy.scope(), tf.variable_creator_scope(_each_its_own):
        yield


def _each_its_own(create: Callable[..., Any], **options: Any) -> Any:
    """Let a device assign its own copy of a variable: all assign the same, and nobody need ask."""
    if options.get("aggregation") == tf.VariableAggregation.ONLY_FIRST_REPLICA:
        options["aggregation"] = tf.VariableAggregation.NONE
    return create(**options)


def alone(function: Callable[[], Any]) -> Any:
    """Call a function that shares nothing: what it builds and asks is this process's own.

    TensorFlow keeps who shares by thread, so on TensorFlow it gets a thread.
    """
    if BACKEND != "tensorflow" or not tf.distribute.has_strategy():
        return function()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(function).result()


# --- within a step --------------------------------------------------------------------------------


def count() -> int:
    """How many programs share the batch of the step that is being taken: 1 outside of one."""
    context = tf.distribute.get_replica_context() if BACKEND == "tensorflow" else None
    return context.num_replicas_in_sync if context else 1


def mean(value: Tensor) -> Tensor:
    """The mean over all replicas of a tensor that each has; gradients flow to all of them."""
    return value if count() == 1 else tf.distribute.get_replica_context().all_reduce("MEAN", value)


def gather(rows: Tensor) -> Tensor:
    """The rows (batch / count, …) of all replicas, in their order: (batch, …). With gradients."""
    if count() == 1:
        return rows
    context = tf.distribute.get_replica_context()
    mine = tf.one_hot(context.replica_id_in_sync_group, count(), dtype=rows.dtype)
    placed = tf.reshape(mine, (-1, *[1] * len(rows.shape))) * rows[None]
    return tf.reshape(context.all_reduce("SUM", placed), (-1, *rows.shape[1:]))


def own(rows: Tensor) -> Tensor:
    """This replica's part of the rows (batch, …) of all.

    On JAX these stay all rows, but lie among the devices as those of a batch do. Drawn numbers would
    lie on each, and all that is made of them, the generator's work, would be done on each for all.
    """
    among = keras.distribution.distribution() if BACKEND == "jax" else None
    if among is not None and rows.shape[0] % among.device_mesh.shape[0] == 0:
        return keras.distribution.distribute_tensor(rows, among.get_data_layout(rows.shape))
    if count() == 1:
        return rows
    size = tf.shape(rows)[0] // count()
    first = size * tf.distribute.get_replica_context().replica_id_in_sync_group
    return rows[first : first + size]


def told(number: Tensor) -> Tensor:
    """A number that a step returns, as Keras wants it: of a cluster it averages rows of them."""
    if _cluster is None or count() == 1 or BACKEND != "tensorflow":
        return number
    return tf.reshape(number, (1,))


def normal(shape: tuple, *args: Any, **options: Any) -> Tensor:
    """`keras.random.normal`, a row a picture."""
    return own(keras.random.normal(_whole(shape), *args, **options))


def uniform(shape: tuple, *args: Any, **options: Any) -> Tensor:
    """`keras.random.uniform`, a row a picture."""
    return own(keras.random.uniform(_whole(shape), *args, **options))


def randint(shape: tuple, *args: Any, **options: Any) -> Tensor:
    """`keras.random.randint`, a row a picture."""
    return own(keras.random.randint(_whole(shape), *args, **options))


def _whole(shape: tuple) -> tuple:
    """The shape of the same for the whole batch."""
    return shape if count() == 1 else (shape[0] * count(), *shape[1:])
