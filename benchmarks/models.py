"""What a training step of every model costs at every size: time, memory, and how much is products.

    python benchmarks/models.py [--models dcgan …] [--sizes 64 128] [--batch-size N] [--json out.json]
    python benchmarks/models.py --backends tensorflow jax torch --sizes 64 128 256

The networks are those of the models' own defaults, the papers', unless `--small` asks for narrow ones;
StyleGAN2 without its occasional penalties. Each runs in a process of its own, by `fit` on one batch
again and again, in the precision that "auto" takes. The first step includes compiling. Memory is the
process's largest, or on a GPU the device's. Products are counted in TensorFlow's graph of a step in its
plain form, multiplications and additions of convolutions and matrix products; the share is of the
rate that one large matrix product reaches on the same machine in the same precision. Where fewer
multiplications are done than the plain form has (`kernels`), the share flatters.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
BATCHES = {
    "dcgan": 64,
    "conditional": 64,
    "vae": 64,
    "vae-gan": 64,
    "stylegan2": 16,
    "animegan": 8,
    "cyclegan": 1,
}
WORDS = {"hair_color": ("blue", "pink", "red"), "glasses": ("none", "round")}
STEPS = 4  # at least, beside the first two


def build(name: str, size: int, small: bool) -> Any:
    """A compiled model."""
    from anime_keras import runs

    network: dict[str, Any] = {"conditional": {"attributes": WORDS}}.get(name, {})
    if small:
        narrow = {"latent_dim": 128, "fmaps": 1 / 32, "max_channels": 128, "noise": False}
        network |= narrow if name == "stylegan2" else {"width": 16}
    rules = {
        "stylegan2": {"r1": 0.0, "path_length": 0.0},
        "animegan": {"first_steps": 0},
    }.get(name, {})
    model = runs.MODELS[name](image_size=size, **network)
    model.compile(**rules)
    return model


def batch_of(name: str, size: int, count: int) -> Any:
    """What the model's step takes."""
    import numpy as np

    random = np.random.default_rng(0)
    kinds = {"cyclegan": 2, "animegan": 3}.get(name, 1)
    found = tuple(
        np.tanh(random.standard_normal((count, size, size, 3))).astype("float32")
        for _ in range(kinds)
    )
    if name == "conditional":
        labels = {key: random.integers(0, len(words), count) for key, words in WORDS.items()}
        return found[0], {key: values.astype("int32") for key, values in labels.items()}
    return found if kinds > 1 else found[0]


def counted(name: str, size: int, count: int, small: bool) -> float:
    """GFLOP of a step's convolutions and matrix products, in TensorFlow's plain graph of it."""
    import tensorflow as tf

    from anime_keras.kernels import portable

    def elements(tensor: Any) -> int:
        return tf.TensorShape(tensor.shape).num_elements()

    def of(op: Any) -> int:
        kernel = None
        if op.type in ("Conv2D", "DepthwiseConv2dNative"):
            kernel, places = op.inputs[1].shape, op.outputs[0]
        elif op.type in ("Conv2DBackpropInput", "DepthwiseConv2dNativeBackpropInput"):
            kernel, places = op.inputs[1].shape, op.inputs[2]
        elif op.type in ("Conv2DBackpropFilter", "DepthwiseConv2dNativeBackpropFilter"):
            kernel, places = op.outputs[0].shape, op.inputs[2]
        if kernel is not None:
            taps = kernel[0] * kernel[1] * (1 if op.type.startswith("Depthwise") else kernel[2])
            return 2 * elements(places) * taps
        if op.type in ("MatMul", "BatchMatMulV2"):
            turned = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
            return 2 * elements(op.outputs[0]) * op.inputs[0].shape[-2 if turned else -1]
        return 0

    model = build(name, size, small)
    step = getattr(model, "game_step", None)  # the one that matters, where there is a choice
    batch = tf.nest.map_structure(tf.constant, batch_of(name, size, count))
    with portable():
        if step is None:
            graph = tf.function(model.train_step).get_concrete_function(batch).graph
        else:
            graph = tf.function(step).get_concrete_function(*batch).graph
    # TensorFlow writes down both gradients of a convolution, and later leaves out what nobody wants.
    wanted: set[Any] = set()
    left = [t.op for t in graph.outputs]
    left += [op for op in graph.get_operations() if op.type.startswith(("Assign", "ResourceApply"))]
    while left:
        op = left.pop()
        if op not in wanted:
            wanted.add(op)
            left += [*(t.op for t in op.inputs), *op.control_inputs]
    assert not any(op.type in ("If", "StatelessIf", "While") for op in wanted)  # not looked into
    return sum(map(of, wanted)) / 1e9


def timed(name: str, size: int, count: int, small: bool, seconds: float) -> dict[str, Any]:
    """A row of the table, but for the products."""
    import keras

    from anime_keras import training
    from anime_keras.data.pipelines import repeated

    policy = training.best_precision()
    keras.config.set_dtype_policy(policy)
    model = build(name, size, small)

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.times = [time.perf_counter()]

        def on_train_batch_end(self, batch, logs=None):
            self.times.append(time.perf_counter())
            long = self.times[-1] - self.times[min(2, len(self.times) - 1)] > seconds
            self.model.stop_training = long and len(self.times) > STEPS + 2

    watch = Watch()
    batches = repeated(batch_of(name, size, count))
    model.fit(batches, steps_per_epoch=10**6, callbacks=[watch], shuffle=False, verbose=0)
    moments = watch.times
    steps = [after - before for before, after in itertools.pairwise(moments[2:])]
    return {
        "precision": policy.removeprefix("mixed_"),
        "first": moments[1] - moments[0],
        "step": statistics.median(steps),
        "memory": memory(),
        "rate": rate(policy.removeprefix("mixed_")),
    }


def memory() -> float:
    """GiB at most so far: of the GPU where there is one, else of this process."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        if stats := jax.devices()[0].memory_stats():
            return stats["peak_bytes_in_use"] / 2**30
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def rate(dtype: str) -> float:
    """GFLOP/s of a large matrix product in that dtype, the best of a few."""
    import numpy as np
    from keras import ops

    side = 4096
    a = ops.cast(np.random.default_rng(0).standard_normal((side, side)).astype("float32"), dtype)
    times = []
    for _ in range(8):
        begun = time.perf_counter()
        float(ops.matmul(a, a)[0, 0])  # so that it must be there
        times.append(time.perf_counter() - begun)
    return 2 * side**3 / min(times) / 1e9


def rounded(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def ask(backend: str, **arguments: Any) -> Any:
    """Another process's answer."""
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(
        [sys.executable, __file__, "--worker", json.dumps(arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stderr[-2000:], file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", choices=list(BATCHES), default=list(BATCHES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument(
        "--backends",
        nargs="+",
        choices=["tensorflow", "jax", "torch"],
        default=[os.environ.get("KERAS_BACKEND", "tensorflow")],
    )
    parser.add_argument("--batch-size", type=int, help="the same for all, in place of their own")
    parser.add_argument(
        "--small", action="store_true", help="width 16; StyleGAN2 as the shipped one"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="of steps that are timed")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        asked = json.loads(options.worker)
        print(json.dumps({"counted": counted, "timed": timed}[asked.pop("what")](**asked)))
        return
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Load average {load:.1f}: not idle, these times prove nothing.", file=sys.stderr)
    head = [
        "model",
        "px",
        "batch",
        "backend",
        "precision",
        "first step, s",
        "a step, s",
        "pictures/s",
    ]
    head += ["memory, GiB", "GFLOP a step", "of a product's rate", "that rate, GFLOP/s"]
    print("|", " | ".join(head), "|\n" + len(head) * "|---" + "|", flush=True)
    found = []
    for name, size in itertools.product(options.models, options.sizes):
        count = options.batch_size or BATCHES[name]
        what = {"name": name, "size": size, "count": count, "small": options.small}
        flop = ask("tensorflow", what="counted", **what) or float("nan")
        for backend in options.backends:
            row = ask(backend, what="timed", seconds=options.seconds, **what)
            if row is None:
                print(f"| {name} | {size} | {count} | {backend} | did not run |", flush=True)
                continue
            share = flop / row["step"] / row["rate"]
            found.append({**what, "backend": backend, **row, "gflop": flop, "share": share})
            cells = [name, size, count, backend, row["precision"], f"{row['first']:.1f}"]
            cells += [f"{row['step']:.3f}", rounded(count / row["step"]), f"{row['memory']:.1f}"]
            cells += [rounded(flop), f"{share:.0%}", rounded(row["rate"])]
            print("|", " | ".join(map(str, cells)), "|", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
