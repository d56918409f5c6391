"""From pictures in memory or on disk to the batches that a network sees.

    batches = data.batches("prepared", 64, flip=True, rotation=10)
    model.fit(batches.dataset(), steps_per_epoch=batches.per_epoch, epochs=20, shuffle=False)

Batch number n is a pure function of (seed, n): which pictures, in which order, changed in which way.
The number of batches taken is therefore all there is to save of a position, and training that stops
after any step goes on with exactly the batch that would have come next:
`model.fit(batches.dataset(step), ...)`.

The usual way, a stream of shards through a shuffle buffer, has its place in the buffer's contents,
which nobody saves, and mixes only as far as the buffer reaches. Here an epoch is one permutation of
all numbers, drawn from (seed, epoch), and every picture can be fetched by its number: from an array,
or from prepared shards, where pictures lie as they are fed, each at a known offset. 60,000 pictures of
64 px are 737 MB and fit in memory; of 256 px they are 11.8 GB and need not: shards are mapped, not
read, so the operating system's page cache keeps of them what there is room for. The price is that
reads are scattered: nothing to an SSD, but a spinning disk would rather read in a row.

Decoded pictures are all that is ever cached, uint8, before anything random. A cache behind the
augmentation would show every epoch the changes of the first.
"""

import functools
import itertools
import os
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras.data import augmentation as augmenting
from anime_keras.data import folders
from anime_keras.data.augmentation import Augmentation, tensorflow_is_there
from anime_keras.data.records import MANIFEST, Prepared
from anime_keras.data.rendering import Faces

THREADS = 8  # that change pictures, at most: as many batches wait in memory


def normalize(images: np.ndarray, value_range: tuple[float, float] = (-1.0, 1.0)) -> np.ndarray:
    """Pictures from uint8 0..255 to float32 in a range, by default that of the generator's tanh."""
    low, high = value_range
    return images.astype("float32") / np.float32(255.0 / (high - low)) + np.float32(low)


class Batches:
    """Endless batches of pictures, of which any can be asked for by its number.

    `batches` makes them from whatever there is; this is for pictures that are at hand already.

    Args:
        images: uint8 (count, height, width, 3), RGB; an array, or anything with its `shape`, `dtype`
            and indexing by an array of numbers, such as pictures that stay on disk.
        batch_size: pictures a batch.
        seed: of the order and of the changes, 0 or more.
        shuffle: a new order each epoch; otherwise the order in which they lie there.
        labels: name -> int (count,), to come along with the pictures.
        drop_remainder: leave out what is left over at the end of an epoch, so that all batches have
            one shape; another shuffle leaves out others. Otherwise the last batch is smaller.
        value_range: what black and white become: (-1, 1), or (0, 1).
        prefetch: how many batches `dataset` prepares ahead.
        part: (index, count): of every batch only this one of so many equal parts, for one of several
            processes that train together. Nothing else is read.
        **augmentation: what is changed at random, such as `flip=True`: see `Augmentation`.

    Raises:
        ValueError: there are fewer pictures than a batch holds, they are not uint8 RGB, or an
            argument is out of its range.
        TypeError: there is no such augmentation.
    """

    def __init__(
        self,
        images: Any,
        batch_size: int = 64,
        seed: int = 0,
        *,
        shuffle: bool = True,
        labels: Mapping[str, np.ndarray] | None = None,
        drop_remainder: bool = True,
        value_range: tuple[float, float] = (-1.0, 1.0),
        prefetch: int = 2,
        part: tuple[int, int] = (0, 1),
        **augmentation: float,
    ) -> None:
        if images.dtype != np.uint8 or len(images.shape) != 4 or images.shape[-1] != 3:
            raise ValueError(
                "Pictures must be uint8 of shape (count, height, width, 3), "
                f"not {images.dtype} of shape {images.shape}."
            )
        count = images.shape[0]
        if batch_size < 1 or count < (batch_size if drop_remainder else 1):
            raise ValueError(
                f"A batch of {batch_size} cannot be made from {count} pictures: "
                "use a smaller batch or more pictures."
            )
        index, parts = part
        if not 0 <= index < parts or (parts > 1 and (batch_size % parts or not drop_remainder)):
            raise ValueError(
                f"A batch of {batch_size} has no part {index} of {parts} equal ones: choose a multiple "
                "of the number of processes, and drop the remainder."
            )
        if tuple(value_range) not in ((-1, 1), (0, 1)):
            raise ValueError(f"value_range must be (-1, 1) or (0, 1), not {value_range}.")
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.labels = {name: np.asarray(values) for name, values in (labels or {}).items()}
        for name, values in self.labels.items():
            if values.shape != (count,):
                raise ValueError(
                    f"There must be one label {name!r} for each of the {count} pictures, "
                    f"not an array of shape {values.shape}."
                )
        self.drop_remainder = drop_remainder
        self.value_range = value_range
        self.prefetch = prefetch
        size = batch_size // parts
        self.rows = slice(index * size, (index + 1) * size)
        self.augmentation = Augmentation(**augmentation)
        self._order = functools.lru_cache(maxsize=2)(self._shuffle)

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the pictures."""
        whole, rest = divmod(self.images.shape[0], self.batch_size)
        return whole + (rest > 0 and not self.drop_remainder)

    def _shuffle(self, epoch: int) -> np.ndarray:
        count = self.images.shape[0]
        if not self.shuffle:
            return np.arange(count)
        return np.random.default_rng((self.seed, epoch)).permutation(count)

    def chosen(self, number: int) -> np.ndarray:
        """Which pictures form batch `number`: int (batch_size,), their places in `images`."""
        epoch, place = divmod(int(number), self.per_epoch)
        return self._order(epoch)[place * self.batch_size : (place + 1) * self.batch_size]

    def batch(self, number: int) -> Any:
        """Batch `number` of the endless stream.

        Returns:
            float32 (batch_size, height, width, 3) in `value_range`; with labels, a pair of that and
            a dict of their names -> int (batch_size,). Of a part, its rows.
        """
        images, key, *labels = self._load(number)
        if self.augmentation:
            images = np.asarray(self._change(images, key))[self.rows]
        return (images, dict(zip(self.labels, labels, strict=True))) if labels else images

    def _load(self, number: int) -> list[np.ndarray]:
        """The pictures of a batch, normalised; the key of their changes; their labels."""
        chosen = self.chosen(number)[self.rows]
        value_range = (0.0, 1.0) if self.augmentation else self.value_range
        images = normalize(self.images[chosen], value_range)
        if self.augmentation and len(chosen) < len(self.chosen(number)):
            # Changes are drawn for the whole batch, so that a picture's do not depend on the parts.
            whole = np.zeros((self.batch_size, *images.shape[1:]), images.dtype)
            whole[self.rows], images = images, whole
        key = augmenting.key(self.seed, int(number))
        return [images, key, *(values[chosen] for values in self.labels.values())]

    def _change(self, images: Any, key: Any) -> Any:
        low, high = self.value_range
        return self.augmentation(images, key) * (high - low) + low

    def __iter__(self) -> Iterator[Any]:
        """One epoch of batches, the first."""
        return (self.batch(number) for number in range(self.per_epoch))

    def dataset(self, start: int = 0) -> Any:
        """An endless `tf.data.Dataset` of these batches from number `start` on.

        Its elements are those of `batch`, as tensors. For one pass, as evaluation wants it, say
        `batches.dataset().take(batches.per_epoch)`.
        """
        import tensorflow as tf

        size = self.rows.stop - self.rows.start if self.drop_remainder else None
        loaded = self.batch_size if self.augmentation and self.drop_remainder else size
        types = [tf.float32, tf.int32, *(values.dtype for values in self.labels.values())]

        def load(number: Any) -> tuple[Any, Any, dict[str, Any]]:
            images, key, *labels = tf.numpy_function(self._load, [number], types)
            images = tf.ensure_shape(images, (loaded, *self.images.shape[1:]))
            labels = [tf.ensure_shape(values, (size,)) for values in labels]
            return images, tf.ensure_shape(key, (2,)), dict(zip(self.labels, labels, strict=True))

        def change(images: Any, key: Any, labels: dict[str, Any]) -> Any:
            if self.augmentation:
                images = self._change(images, key)[self.rows]
            return (images, labels) if labels else images

        dataset = tf.data.Dataset.range(start, np.iinfo(np.int64).max).map(load)
        # A thread holds a batch; what is only passed on needs none.
        threads = min(os.cpu_count() or 1, THREADS) if self.augmentation else None
        return _untuned(dataset.map(change, num_parallel_calls=threads).prefetch(self.prefetch))

    def feed(self, start: int = 0) -> Any:
        """What `fit` takes: `dataset`, or where TensorFlow is not installed a generator of the same."""
        return self.dataset(start) if tensorflow_is_there() else stream(self, start)


class Pairs:
    """Batches of X beside batches of Y, unpaired: what a model that translates learns from.

        pairs = Pairs(portraits, drawings, batch_size=4)
        model.fit(pairs.dataset(), steps_per_epoch=pairs.per_epoch, epochs=20, shuffle=False)

    Each domain goes round in an order of its own, so that the same two pictures hardly ever meet
    twice. Pair number n is, like a batch, a pure function of (seed, n).

    Args:
        x: pictures of X, as for `Batches`.
        y: pictures of Y of the same size, of which there may be more or fewer.
        batch_size: pictures of each domain a batch.
        seed: of both orders and of the changes, 0 or more; Y's are drawn from seed + 1.
        **options: of `Batches`, for both, such as `flip=True`.

    Raises:
        ValueError: the two are not of one size, or a domain is none that `Batches` takes.
    """

    def __init__(self, x: Any, y: Any, batch_size: int = 1, seed: int = 0, **options: Any) -> None:
        if tuple(x.shape[1:]) != tuple(y.shape[1:]):
            raise ValueError(
                f"Both domains must be of one size: X is {x.shape[2]}x{x.shape[1]}, "
                f"Y {y.shape[2]}x{y.shape[1]} pixels."
            )
        self.x = Batches(x, batch_size, seed, **options)
        self.y = Batches(y, batch_size, seed + 1, **options)
        self.batch_size = batch_size

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the larger domain; the smaller begins again meanwhile."""
        return max(self.x.per_epoch, self.y.per_epoch)

    def batch(self, number: int) -> tuple[Any, Any]:
        """Pair of batches `number` of the endless stream: X's and Y's, each as of `Batches`."""
        return self.x.batch(number), self.y.batch(number)

    def dataset(self, start: int = 0) -> Any:
        """An endless `tf.data.Dataset` of these pairs from number `start` on."""
        import tensorflow as tf

        return tf.data.Dataset.zip((self.x.dataset(start), self.y.dataset(start)))

    def feed(self, start: int = 0) -> Any:
        """What `fit` takes: `dataset`, or where TensorFlow is not installed a generator of the same."""
        return self.dataset(start) if tensorflow_is_there() else stream(self, start)


def repeated(batch: Any) -> Any:
    """What `fit` takes, with the same batch again and again: for learning from a few pictures alone."""
    if not tensorflow_is_there():  # Keras wants a generator, of tuples
        one = batch if isinstance(batch, tuple) else (batch,)
        return (one for _ in itertools.count())
    import tensorflow as tf

    return _untuned(tf.data.Dataset.from_tensors(batch).repeat())


def _untuned(dataset: Any) -> Any:
    """A `tf.data.Dataset` whose degrees of parallelism are those that it was made with.

    TensorFlow's tuning sleeps for 10 ms, 20 ms … a minute, and whoever stops taking elements may have
    to wait until it wakes: a short training took up to half as long again, after its last step.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def stream(batches: Batches | Pairs, start: int = 0, ahead: int = 4) -> Iterator[Any]:
    """Endless batches from number `start` on, the next few made in a thread of their own meanwhile.

    NumPy alone does it. Keras wants tuples of a generator, so pictures that come alone come as
    `(pictures,)`.
    """
    with ThreadPoolExecutor(1) as maker:
        numbers = itertools.count(start)
        waiting = deque(maker.submit(batches.batch, next(numbers)) for _ in range(ahead))
        while True:
            waiting.append(maker.submit(batches.batch, next(numbers)))
            batch = waiting.popleft().result()
            yield batch if isinstance(batch, tuple) else (batch,)


def batches(
    source: np.ndarray | Faces | Prepared | str | Path,
    batch_size: int = 64,
    *,
    split: str = "train",
    size: int | None = None,
    labels: bool | Sequence[str] | None = None,
    seed: int = 0,
    shuffle: bool = True,
    drop_remainder: bool = True,
    value_range: tuple[float, float] = (-1.0, 1.0),
    prefetch: int = 2,
    **augmentation: float,
) -> Batches:
    """Feed a network from whatever pictures there are.

    Args:
        source: uint8 pictures (count, height, width, 3), RGB; faces from `data.render`; a folder that
            `data.prepare` wrote (it has a manifest.json); or any other folder of pictures.
        batch_size: pictures a batch.
        split: "train", "val" or "test" of a prepared folder; the others are not split.
        size: side in pixels to resize the pictures of an unprepared folder to, 64 by default; all
            others have theirs already.
        labels: True for all that are known, or their names; the batches are then pairs of pictures
            and a dict: name -> int (batch_size,), -1 where a picture's is not known.
        seed: of the order and of the changes, 0 or more.
        shuffle: a new order each epoch.
        drop_remainder: leave out what does not fill a batch at the end of an epoch.
        value_range: what black and white become: (-1, 1), or (0, 1).
        prefetch: how many batches are prepared ahead.
        **augmentation: what is changed at random and how much: `flip=True`, `rotation` in degrees,
            `translation`, `brightness`, `contrast`, `saturation`, `hue`, `cutout`: see `Augmentation`.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are no pictures, fewer than a batch holds, or no such labels or split.
        TypeError: there is no such augmentation.
    """
    images, known = _open(source, split, size)
    if isinstance(labels, str):
        labels = [labels]
    names = [] if labels in (None, False) else known if labels is True else labels
    for name in names:
        if name not in known:
            there = (
                ", ".join(known)
                or "none at all; `data.prepare` finds those that come with pictures"
            )
            raise ValueError(f"There are no labels {name!r}. There are {there}.")
    return Batches(
        images,
        batch_size,
        seed,
        labels={name: known[name] for name in names},
        shuffle=shuffle,
        drop_remainder=drop_remainder,
        value_range=value_range,
        prefetch=prefetch,
        **augmentation,
    )


def _open(source: Any, split: str, size: int | None) -> tuple[Any, dict[str, np.ndarray]]:
    """The pictures of a source, and all its labels."""
    if not isinstance(source, np.ndarray | Faces | Prepared):
        if (Path(source) / MANIFEST).is_file():
            source = Prepared.open(source)
        else:
            source = _load(source, size or 64)
    if isinstance(source, Prepared):
        images, labels = source.pictures(split), source.labels(split)
    elif split != "train":
        raise ValueError(f"Only prepared pictures are split; there is no split {split!r} of these.")
    elif isinstance(source, Faces):
        images, labels = source.images, source.factors
    else:
        images, labels = source, {}
    if size and images.shape[1:3] != (size, size):
        raise ValueError(
            f"The pictures are {images.shape[2]}x{images.shape[1]} pixels, not {size}x{size}. "
            "Prepare or draw them anew in that size."
        )
    return images, labels


def _load(folder: str | Path, size: int) -> np.ndarray:
    """All pictures of a plain folder; warns of those that cannot be read."""
    pictures = folders.load(folder, size)
    if pictures.rejected:
        path, reason = next(iter(pictures.rejected.items()))
        warnings.warn(
            f"Left out {len(pictures.rejected)} of {folder} that cannot be read, such as "
            f"{path}: {reason}",
            stacklevel=4,
        )
    return pictures.images
