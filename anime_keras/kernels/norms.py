"""Normalisation by statistics of the maps themselves, in float32 whatever the maps are."""

from typing import Any

import keras
from keras import ops

from anime_keras import replicas
from anime_keras.kernels import where

Tensor = Any
BACKEND = keras.backend.backend()
UNROLLED = 16  # pictures that `instance_norm` takes one by one; more would swell the graph
if BACKEND == "tensorflow":
    import tensorflow as tf


def batch_norm(
    inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise each channel over a batch of feature maps (batch, height, width, channels).

    Statistics are float32, whatever the inputs are.

    Returns:
        The normalised maps, in the inputs' dtype; each channel's mean; its unbiased variance, which
        is what PyTorch keeps for inference. (The normalisation itself uses the biased one.)
    """
    if BACKEND == "tensorflow":
        if replicas.count() > 1:
            return _shared_batch_norm(inputs, gamma, beta, epsilon)
        fused = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon
        )
        return fused.y, fused.batch_mean, fused.batch_variance
    maps = ops.cast(inputs, "float32")
    mean, variance = ops.moments(maps, axes=(0, 1, 2))
    count = ops.cast(ops.size(maps) / maps.shape[-1], "float32")
    outputs = (maps - mean) * (gamma * ops.rsqrt(variance + epsilon)) + beta
    return ops.cast(outputs, inputs.dtype), mean, variance * count / (count - 1.0)


def instance_norm(maps: Tensor, epsilon: float) -> Tensor:
    """Normalise each channel of each picture by itself, with float32 statistics.

    Args:
        maps: (batch, height, width, channels).
        epsilon: added to the variance, the biased one.

    Returns:
        Maps of mean 0 and variance 1 in the inputs' shape and dtype.
    """
    few = maps.shape[0] is not None and maps.shape[0] <= UNROLLED
    if BACKEND == "tensorflow" and few and where.may_differ():
        # BatchNorm over a batch of one picture.
        ones, zeros = tf.ones(maps.shape[-1]), tf.zeros(maps.shape[-1])
        return tf.concat(
            [
                tf.raw_ops.FusedBatchNormV3(
                    x=one, scale=ones, offset=zeros, mean=[], variance=[], epsilon=epsilon
                ).y
                for one in tf.split(maps, maps.shape[0])
            ],
            axis=0,
        )
    inputs = ops.cast(maps, "float32")
    mean, variance = ops.moments(inputs, axes=(1, 2), keepdims=True)
    return ops.cast((inputs - mean) * ops.rsqrt(variance + epsilon), maps.dtype)


if BACKEND == "tensorflow":

    def _shared_batch_norm(
        inputs: Tensor, gamma: Tensor, beta: Tensor, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`batch_norm` over the pictures of all replicas, from what each finds in its own.

        The variance of all is the mean of the replicas' variances and of the squares of what lies
        between their means and that of all.
        """
        fused = {"scale": gamma, "offset": beta, "epsilon": epsilon}
        own = tf.raw_ops.FusedBatchNormV3(x=inputs, mean=[], variance=[], **fused)
        here = tf.cast(tf.size(inputs) / inputs.shape[-1], "float32")
        everywhere = here * replicas.count()
        found = tf.stop_gradient(tf.stack([own.batch_mean, own.batch_variance]))
        means, variances = tf.unstack(
            replicas.gather(found[None]), axis=1
        )  # each (replicas, channels)
        mean = tf.reduce_mean(means, axis=0)
        within, between = variances * ((here - 1.0) / here), tf.square(means - mean)
        variance = tf.reduce_mean(within + between, axis=0)  # the biased one

        @tf.custom_gradient
        def normalized(maps: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Any]:
            fixed = {"epsilon": epsilon, "is_training": False}
            outputs = tf.raw_ops.FusedBatchNormV3(
                x=maps, scale=gamma, offset=beta, mean=mean, variance=variance, **fixed
            ).y

            def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
                back = tf.raw_ops.FusedBatchNormGradV3(
                    y_backprop=upstream,
                    x=maps,
                    scale=gamma,
                    reserve_space_1=mean,
                    reserve_space_2=variance,
                    reserve_space_3=tf.zeros((0,)),
                    **fixed,
                )
                # So far as if mean and variance were constants. What they change is the same linear
                # function of every value of a channel.
                scale = tf.math.rsqrt(variance + epsilon)
                sums = replicas.mean(tf.stack([back.scale_backprop, back.offset_backprop]))
                steepness = -gamma * scale * scale * sums[0] / here
                offset = -gamma * scale * sums[1] / here - steepness * mean
                through = tf.raw_ops.FusedBatchNormV3(  # in one pass: maps * steepness + offset
                    x=maps,
                    scale=steepness,
                    offset=offset,
                    mean=tf.zeros_like(mean),
                    variance=tf.ones_like(mean) - epsilon,
                    **fixed,
                ).y
                return back.x_backprop + through, back.scale_backprop, back.offset_backprop

            return outputs, gradient

        outputs = normalized(inputs, gamma, beta)
        return outputs, mean, variance * everywhere / (everywhere - 1.0)
