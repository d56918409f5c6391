"""The metrics as `keras.metrics.Metric`s, for `compile(metrics=…)`, `evaluate` and callbacks.

Each takes batches of pictures as (real, generated) and keeps sums, never pictures. They are written
in `keras.ops`, so they run within a compiled step on any backend; sums are float64 where the backend
has it. What the sample-based metrics ask for (precision, neighbours) does not fit into sums: collect
`features.Features` in a callback for those.

Keras asks for `result()` after every step of `fit`; that of `FrechetDistance` takes two eigenvalue
decompositions. Use it there with extractors of up to a few hundred features, or in a callback.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from anime_keras.metrics.translation import psnr, ssim

Tensor = Any  # a tensor of whichever backend Keras runs on
Extractor = Callable[[Tensor], Tensor]
_register = keras.saving.register_keras_serializable("anime_keras")


class _FeatureMetric(keras.metrics.Metric):
    """What metrics on features share: the extractor, its width, and float64 sums.

    Args:
        extractor: a keras.Model or any function from pictures, as the model sees them, to features
            (batch, dimension). It is neither trained nor saved with the metric.
        dimension: features a picture; asked of a built keras.Model if it is not given.
        name: in the logs.
    """

    def __init__(self, extractor: Extractor, dimension: int | None = None, name: str = "") -> None:
        super().__init__(name=name, dtype="float64")
        if dimension is None:
            shape = getattr(extractor, "output_shape", None)
            if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
                raise ValueError(
                    f"The metric {name!r} must know how many features its extractor gives: "
                    "pass dimension=…, or a built keras.Model with one output (batch, features)."
                )
            dimension = shape[1]
        self.extractor, self.dimension = extractor, dimension

    def _sum(self, name: str, *shape: int) -> keras.Variable:
        return self.add_weight(name=name, shape=shape, initializer="zeros", dtype=self.dtype)

    def _features(self, images: Tensor, sample_weight: Tensor | None) -> Tensor:
        if sample_weight is not None:
            raise ValueError(f"The metric {self.name!r} counts every picture once: no weights.")
        training = {"training": False} if isinstance(self.extractor, keras.Layer) else {}
        return ops.cast(self.extractor(images, **training), self.dtype)

    def get_config(self) -> dict:
        """The extractor's structure, not its weights."""
        return {
            "extractor": keras.saving.serialize_keras_object(self.extractor),
            "dimension": self.dimension,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict) -> "_FeatureMetric":
        """A metric with what `get_config` said."""
        extractor = keras.saving.deserialize_keras_object(config["extractor"], safe_mode=True)
        return cls(**config | {"extractor": extractor})


@_register
class FrechetDistance(_FeatureMetric):
    """FID of all pictures seen since the last reset; see `frechet`. NaN before two of each.

    The state is 16 · (D² + D + 1) bytes.
    """

    def __init__(
        self, extractor: Extractor, dimension: int | None = None, name: str = "fid"
    ) -> None:
        super().__init__(extractor, dimension, name)
        self._sides = [
            (
                self._sum(f"{side}_count"),
                self._sum(f"{side}_mean", self.dimension),
                self._sum(f"{side}_scatter", self.dimension, self.dimension),
            )
            for side in ("real", "fake")
        ]

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> None:
        """Take in real pictures `y_true` and generated ones `y_pred`, as many of each or not."""
        for side, images in zip(self._sides, (y_true, y_pred), strict=True):
            self._merge(*side, self._features(images, sample_weight))

    @staticmethod
    def _merge(count: Tensor, mean: Tensor, scatter: Tensor, features: Tensor) -> None:
        """As `features.Moments` adds them."""
        new = ops.cast(ops.shape(features)[0], count.dtype)
        total = count + new
        batch_mean = ops.sum(features, axis=0) / ops.maximum(new, 1.0)
        centred = features - batch_mean
        gap = batch_mean - mean
        scatter.assign_add(
            ops.matmul(ops.transpose(centred), centred)
            + ops.outer(gap, gap) * (count * new / ops.maximum(total, 1.0))
        )
        mean.assign_add(gap * (new / ops.maximum(total, 1.0)))
        count.assign(total)

    def result(self) -> Tensor:
        """The distance, a scalar."""
        (real_count, real_mean, real), (fake_count, fake_mean, fake) = self._sides
        real = real / ops.maximum(real_count - 1.0, 1.0)
        fake = fake / ops.maximum(fake_count - 1.0, 1.0)
        roots = ops.svd(ops.matmul(ops.transpose(_root(real)), _root(fake)), compute_uv=False)
        gap = real_mean - fake_mean
        distance = ops.sum(gap * gap) + ops.trace(real) + ops.trace(fake) - 2.0 * ops.sum(roots)
        enough = ops.minimum(real_count, fake_count) >= 2.0
        return ops.where(enough, ops.maximum(distance, 0.0), float("nan"))


def _root(covariance: Tensor) -> Tensor:
    """A with A Aᵀ = Σ; columns of eigenvalues that are mere rounding are 0."""
    values, vectors = ops.eigh(covariance)
    eps = np.finfo(keras.backend.standardize_dtype(values.dtype)).eps
    rounding = values.shape[0] * eps * values[-1]
    return vectors * ops.sqrt(ops.where(values > rounding, values, 0.0))


@_register
class KernelDistance(_FeatureMetric):
    """KID averaged over batches, each an unbiased estimate of its own; see `kernel`.

    That is the block estimator (Zaremba et al. 2013, "B-tests"): right on average at any batch size
    of at least two, and noisier than over all pairs.
    """

    def __init__(
        self, extractor: Extractor, dimension: int | None = None, name: str = "kid"
    ) -> None:
        super().__init__(extractor, dimension, name)
        self._total, self._batches = self._sum("total"), self._sum("batches")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> None:
        """Take in real pictures `y_true` and generated ones `y_pred`; a batch of one is left out."""
        real = self._features(y_true, sample_weight)
        fake = self._features(y_pred, sample_weight)
        rows, others = (ops.cast(ops.shape(side)[0], self.dtype) for side in (real, fake))
        estimate = self._among(real, rows) + self._among(fake, others)
        estimate -= 2.0 * ops.mean(self._kernel(real, fake))
        counts = ops.minimum(rows, others) >= 2.0
        self._total.assign_add(ops.where(counts, estimate, 0.0))
        self._batches.assign_add(ops.cast(counts, self.dtype))

    def _among(self, features: Tensor, rows: Tensor) -> Tensor:
        kernel = self._kernel(features, features)
        return (ops.sum(kernel) - ops.trace(kernel)) / ops.maximum(rows * (rows - 1.0), 1.0)

    def _kernel(self, first: Tensor, second: Tensor) -> Tensor:
        linear = ops.matmul(first, ops.transpose(second)) / self.dimension + 1.0
        return linear * linear * linear

    def result(self) -> Tensor:
        """The mean over batches, a scalar; NaN before the first."""
        return ops.where(
            self._batches > 0.0, self._total / ops.maximum(self._batches, 1.0), float("nan")
        )


@_register
class InceptionScore(_FeatureMetric):
    """Inception score of all generated pictures seen since the last reset, as one split.

    Its extractor gives class probabilities (batch, classes) that sum to 1; see `inception_score`.
    """

    def __init__(
        self, extractor: Extractor, dimension: int | None = None, name: str = "inception_score"
    ) -> None:
        super().__init__(extractor, dimension, name)
        self._count, self._negentropy = self._sum("count"), self._sum("negentropy")
        self._classes = self._sum("classes", self.dimension)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> None:
        """Take in generated pictures `y_pred`; `y_true` is not looked at and may be None."""
        p = self._features(y_pred, sample_weight)
        self._count.assign_add(ops.cast(ops.shape(p)[0], self.dtype))
        self._negentropy.assign_add(ops.sum(_negentropy(p)))
        self._classes.assign_add(ops.sum(p, axis=0))

    def result(self) -> Tensor:
        """The score, a scalar of at least 1; NaN before the first picture."""
        count = ops.maximum(self._count, 1.0)
        score = ops.exp(self._negentropy / count - ops.sum(_negentropy(self._classes / count)))
        return ops.where(self._count > 0.0, score, float("nan"))


def _negentropy(p: Tensor) -> Tensor:
    """P log p, with its limit 0 at p = 0."""
    return p * ops.log(ops.where(p > 0.0, p, 1.0))


class _PairMetric(keras.metrics.Mean):
    """Mean over pairs of pictures of a function (target, images, data_range) -> (batch,)."""

    _measure: Callable[..., Tensor]

    def __init__(self, data_range: float | None = None, name: str = "") -> None:
        super().__init__(name=name)
        self.data_range = data_range

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Any = None) -> None:
        """Take in targets and pictures (batch, height, width, channels), pair by pair."""
        super().update_state(type(self)._measure(y_true, y_pred, self.data_range), sample_weight)

    def get_config(self) -> dict:
        """What `from_config` asks for."""
        return {"data_range": self.data_range, "name": self.name}


@_register
class SSIM(_PairMetric):
    """Mean structural similarity of pairs, at most 1; see `translation.ssim`."""

    _measure = staticmethod(ssim)

    def __init__(self, data_range: float | None = None, name: str = "ssim") -> None:
        super().__init__(data_range, name)


@_register
class PSNR(_PairMetric):
    """Mean peak signal-to-noise ratio of pairs, in dB; see `translation.psnr`."""

    _measure = staticmethod(psnr)

    def __init__(self, data_range: float | None = None, name: str = "psnr") -> None:
        super().__init__(data_range, name)
