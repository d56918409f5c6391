"""Features of whole collections; those of a reference set are computed once and kept.

A reference is the same for every run that is compared with it. What is kept is filed under a
checksum of the pictures' content, of the extractor's weights and of all that was done to them, so
that what has changed is computed anew. The folder is `~/.cache/anime_keras/features`, or the one
that ANIME_KERAS_CACHE names, or none when that is empty; it may be deleted at any time.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from anime_keras.data import collections
from anime_keras.metrics import extractors
from anime_keras.metrics.features import CAPACITY, Collector, Features

CHUNK = 500  # pictures at a time


def collect(
    pictures: Any,
    extractor: Any = "anime",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    capacity: int = CAPACITY,
) -> Features:
    """Features of pictures, in memory that does not grow with their number.

    Args:
        pictures: uint8 (count, height, width, 3), an array or what gives such when it is sliced.
        extractor: as for `extractors.get`.
        seed: of the sample that is kept of more than `capacity` pictures.
        progress: called as progress(done, total) on the way.
        capacity: rows of the sample.

    Raises:
        ValueError: they are no pictures, or there are none.
    """
    extractor = extractors.get(extractor)
    extractors.check(pictures[:1])
    total = len(pictures)
    prepared = extractor.preprocessing(pictures.shape)
    collector = Collector(extractor.name, prepared, total, capacity, seed)
    for start in range(0, total, CHUNK):
        part = np.asarray(pictures[start : start + CHUNK])
        collector.add(*extractor(part))
        if progress:
            progress(start + len(part), total)
    return collector.features()


def reference(
    pictures: Any,
    extractor: Any = "anime",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """The same, but kept for the next time, as far as there is room."""
    extractor = extractors.get(extractor)
    folder = cache_folder()
    if folder is None or not extractor.fingerprint:
        return collect(pictures, extractor, seed, progress)
    what = (
        collections.fingerprint(pictures),
        extractor.name,
        extractor.fingerprint,
        extractor.preprocessing(pictures.shape),
        seed,
        CAPACITY,
    )
    path = folder / f"{hashlib.sha256(repr(what).encode()).hexdigest()[:32]}.npz"
    # A file that cannot be read, or not be written, costs time and nothing else.
    if path.exists():
        with contextlib.suppress(ValueError, OSError):
            return Features.load(path)
    features = collect(pictures, extractor, seed, progress)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        features.save(path)
    return features


def cache_folder() -> Path | None:
    """Where features are kept, or None for nowhere."""
    named = os.environ.get("ANIME_KERAS_CACHE")
    if named is None:
        return Path.home() / ".cache" / "anime_keras" / "features"
    return Path(named) / "features" if named else None
