"""Where a DCGAN step's time goes: every kind of work timed alone, times how often a step does it.

    python benchmarks/dcgan_profile.py [--dtype bfloat16|float32]

64 px, width 64, batch 64, one core, processor time, the best of several runs; TensorFlow. What is
timed is what `anime_keras.kernels` does, so the sum is what the step would cost if nothing else were
in it and both cores were always busy.
"""

import argparse
import time
from collections.abc import Callable

import tensorflow as tf

import anime_keras  # noqa: F401  (before TensorFlow, whose greeting it holds back)
from anime_keras import kernels, models

BATCH = 64
# One step runs D three times (real, fake, and the fake again for G) and G once. D's kernels get two
# gradients, its inputs three but for the first layer's, whose inputs are pictures: there, one.
LAYERS = [(64, 3, 64), (32, 64, 128), (16, 128, 256), (8, 256, 512)]  # size, channels in, out


def milliseconds(function: Callable, *arguments: tf.Tensor) -> float:
    """Processor time of one call, the best of seven."""
    compiled = tf.function(function)
    compiled(*arguments)
    times = []
    for _ in range(7):
        begun = time.process_time()
        compiled(*arguments)
        times.append(time.process_time() - begun)
    return 1e3 * min(times)


def gradients_of(function: Callable, index: int) -> Callable:
    """The gradient of a function of two tensors with respect to one of them, given the upstream."""

    def backward(first: tf.Tensor, second: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch((first, second))
            value = function(first, second)
        return tape.gradient(value, (first, second)[index], output_gradients=upstream)

    return backward


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32"])
    dtype = parser.parse_args().dtype
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def normal(*shape: int) -> tf.Tensor:
        return tf.cast(tf.random.normal(shape), dtype)

    def norm(maps: tf.Tensor, gamma: tf.Tensor) -> tf.Tensor:
        return kernels.batch_norm(maps, gamma, tf.zeros_like(gamma), 1e-5)[0]

    spent = {"convolutions, forward": 0.0, "… to their inputs": 0.0, "… to their kernels": 0.0}
    spent |= {"BatchNorm, both ways": 0.0, "ReLU and LeakyReLU, both ways": 0.0}
    for size, inputs, outputs in LAYERS:
        large, small = (
            normal(BATCH, size, size, inputs),
            normal(BATCH, size // 2, size // 2, outputs),
        )
        kernel = normal(4, 4, inputs, outputs)
        down = milliseconds(kernels.downsample, large, kernel)
        up = milliseconds(kernels.upsample, small, kernel)
        # A function that also runs forward is timed; the forward part is pruned where it can be.
        taps = milliseconds(gradients_of(kernels.downsample, 1), large, kernel, small)
        spent["convolutions, forward"] += 3 * down + up
        spent["… to their inputs"] += (1 if size == 64 else 3) * up + down
        spent["… to their kernels"] += 3 * taps
        gamma = tf.ones(outputs)
        both = milliseconds(gradients_of(norm, 0), small, gamma, small)
        act = milliseconds(gradients_of(lambda x, _: tf.nn.leaky_relu(x), 0), small, gamma, small)
        spent["BatchNorm, both ways"] += (3 if size < 64 else 0) * both + both
        spent["ReLU and LeakyReLU, both ways"] += 4 * act

    gan = models.DCGAN(ema=0.0)
    gan.compile()
    players = (
        (gan.discriminator_optimizer, gan.discriminator.trainable_variables),
        (gan.generator_optimizer, gan.generator.trainable_variables),
    )
    gradients = [[tf.ones(v.shape) for v in variables] for _, variables in players]

    def update() -> tf.Tensor:
        for (optimizer, variables), ones in zip(players, gradients, strict=True):
            optimizer.apply(ones, variables)
        return tf.constant(0.0)

    spent["Adam"] = milliseconds(update)
    total = sum(spent.values())
    print(f"| work ({dtype}, one core) | ms a step | share |\n|---|---|---|")
    for name, value in spent.items():
        print(f"| {name} | {value:.0f} | {value / total:.0%} |")
    print(f"| together | {total:.0f} | at most {2e3 * BATCH / total:.0f} pictures/s on two cores |")
    a, b = normal(4096, 2048), normal(2048, 1024)
    rate = 2 * 4096 * 2048 * 1024 / milliseconds(tf.matmul, a, b) / 1e6
    multiplications = 11 * 16 * sum((s // 2) ** 2 * i * o for s, i, o in LAYERS) * BATCH
    print(f"\nmatrix products alone: {rate:.0f} GFLOP/s on one core; the step's convolutions are")
    flop = 2 * multiplications / 1e9
    print(f"about {flop:.0f} GFLOP, {1e3 * flop / rate:.0f} ms at that rate")


if __name__ == "__main__":
    main()
