"""Players take turns: how an adversarial model learns, whichever backend Keras runs on.

A GAN's training step is a short story: each player in turn lowers its own loss with its own
optimizer. `Adversarial` gives a model the words to tell it in:

    record(network, inputs)                   one forward pass that several players can use
    minimize(loss_fn, variables, optimizer)   one optimizer step of one player
    either(question, then, otherwise)         one of two steps, as a count says
    input_gradients(fn, inputs)               d fn(x) / d x, for gradient penalties

Networks, layers and losses use `keras.ops` alone. This is the only file of the kit that knows how a
backend differentiates: `tf.GradientTape` on TensorFlow, `torch.autograd.grad` on PyTorch, `jax.vjp`
on JAX.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
from keras import ops

from anime_keras import files, replicas

BACKEND = keras.backend.backend()
DECAYS = ("constant", "linear", "cosine")
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "torch":
    import torch
elif BACKEND == "jax":
    import jax
    from keras.src.backend.common.stateless_scope import StatelessScope, get_stateless_scope

Tensor = Any
LossFunction = Callable[..., Tensor]


class Recording(NamedTuple):
    """The value of a network's forward pass, and the way back through it.

    Attributes:
        value: what the pass returned. No gradient flows through it by itself.
        pull_back: takes d loss / d value; returns d loss / d each of the recorded variables.
    """

    value: Tensor
    pull_back: Callable[[Tensor], list[Tensor]]


class Adversarial(keras.Model):
    """A `keras.Model` whose players take turns.

    A subclass builds its networks in `__init__`, adds an optimizer for each player in `compile`, and
    writes `train_step(self, data)` the way its paper does. For example:

        fake = self.record(self.generator, latents)
        d_loss = self.minimize(
            lambda: hinge(self.discriminator(real), self.discriminator(fake.value)),
            self.discriminator.trainable_variables,
            self.discriminator_optimizer,
        )

    Attributes:
        questions: names of the methods that `either` is called with.
    """

    questions: tuple[str, ...] = ()

    def __init__(self, **kwargs) -> None:
        super().__init__(**kwargs)
        self.optimizers: list[keras.optimizers.Optimizer] = []
        self._answers: dict[str, bool] = {}  # to those questions, while a step is traced for them
        # The model is a container: its networks are built when they are made, and `fit` never calls
        # the container itself, so without this `save_weights` would refuse.
        self.built = True

    def __init_subclass__(cls, **kwargs) -> None:
        super().__init_subclass__(**kwargs)
        if BACKEND == "tensorflow" or "train_step" not in cls.__dict__:
            return
        cls.train_step = _unpacked(cls.train_step)
        if BACKEND == "jax":
            # Its trainer passes the state in and wants it back; the step itself need not know.
            cls.train_step = _stateless(cls.train_step)

    def compile(self, **kwargs) -> None:
        """Forget earlier optimizers, and keep Keras from making a single one of its own."""
        self.optimizers = []
        super().compile(optimizer=None, **kwargs)

    def add_optimizer(
        self, optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
    ) -> keras.optimizers.Optimizer:
        """Register a player's optimizer; it is built at once, so that checkpoints hold its state."""
        optimizer.build(variables)
        self.optimizers = [*self.optimizers, optimizer]
        if BACKEND == "jax":
            self.optimizer = _JoinedOptimizers(self.optimizers)
        return optimizer

    def get_config(self) -> dict:
        """The arguments of `__init__`, which a model of the kit keeps as `_settings`."""
        return dict(self._settings) if hasattr(self, "_settings") else super().get_config()

    def get_compile_config(self) -> dict:
        """The arguments of `compile`, kept as `_rules`."""
        return dict(self._rules) if hasattr(self, "_rules") else super().get_compile_config()

    def compile_from_config(self, config: dict) -> None:
        """Compile as the saved model was; the optimizers' state follows from the file."""
        self.compile(**config)

    def update_meters(self, **values: Tensor) -> dict[str, Tensor]:
        """Feed the epoch's means, a model's `meters`, by name; returns those that are shown."""
        for meter in self.meters:
            if meter.name in values:
                meter.update_state(values[meter.name])
        return {meter.name: replicas.told(meter.result()) for meter in self.metrics}

    def save_own_variables(self, store: dict) -> None:
        """Keras leaves random state out of its files; without it a loaded model draws other noise."""
        super().save_own_variables(store)
        for index, variable in enumerate(self._random_state()):
            store[f"random_state{index}"] = variable

    def load_own_variables(self, store: dict) -> None:
        """The other half of `save_own_variables`."""
        for index, variable in enumerate(self._trainable_variables + self._non_trainable_variables):
            variable.assign(store[str(index)])  # what is the model's own and no network's
        for index, variable in enumerate(self._random_state()):
            variable.assign(store[f"random_state{index}"])

    def _random_state(self) -> list[keras.Variable]:
        return [v for v in self.variables if v.name == "seed_generator_state"]

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing: there is nothing to build, and with replicas Keras would take a batch for it."""

    def record(self, network: keras.Model, inputs: Tensor) -> Recording:
        """Run `network(inputs, training=True)` once, so that several players can use the result.

        The generator's pictures serve the discriminator's step and the generator's own. Its forward
        pass, a tenth of the work of a DCGAN's step, then need not be run twice.
        """
        variables = network.trainable_variables
        if BACKEND == "tensorflow":
            # Watching the variables alone keeps the tape from following frozen ones.
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch([variable.value for variable in variables])
                value = network(inputs, training=True)

            def pull_back(upstream: Tensor) -> list[Tensor]:
                return tape.gradient(value, [v.value for v in variables], output_gradients=upstream)

            return Recording(tf.stop_gradient(value), pull_back)
        if BACKEND == "torch":
            value = network(inputs, training=True)

            def pull_back(upstream: Tensor) -> list[Tensor]:
                return list(torch.autograd.grad(value, [v.value for v in variables], upstream))

            return Recording(value.detach(), pull_back)
        value, backward = self._vjp(lambda: network(inputs, training=True), variables)
        return Recording(value, backward)

    def minimize(
        self,
        loss_fn: LossFunction,
        variables: Sequence[keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        through: Recording | None = None,
        has_aux: bool = False,
    ) -> Any:
        """Lower a loss by one optimizer step on one player's variables.

        Args:
            loss_fn: returns a scalar. Called without arguments; or, where `through` is given, with
                the recorded value.
            variables: what this player may change.
            optimizer: how it changes them.
            through: a recorded forward pass of this player's network, on whose value the loss
                depends. The gradient is taken to that value, and from there through the recording.
            has_aux: loss_fn returns a pair: the scalar, and tensors made on the way (one, or a
                tuple of them) that the step needs afterwards. Not together with `through`.

        Returns:
            The loss before the step, a scalar without gradient; with `has_aux` the pair, neither
            half with gradient.
        """
        if through is None:
            loss, gradients = self._value_and_gradients(loss_fn, variables, has_aux)
        else:
            loss, upstream = self._value_and_input_gradients(loss_fn, through.value)
            gradients = through.pull_back(upstream)
        if (sharing := replicas.count()) > 1:  # whose gradients the optimizer adds up
            if optimizer.gradient_accumulation_steps:
                # What is kept until the next step must be the same everywhere: one is saved for all.
                gradients = [replicas.mean(gradient) for gradient in gradients]
            gradients = [gradient / sharing for gradient in gradients]
        if BACKEND == "torch":
            with torch.no_grad():
                optimizer.apply(gradients, variables)
        else:
            optimizer.apply(gradients, variables)
        return keras.tree.map_structure(ops.stop_gradient, loss)

    def either(
        self,
        question: Callable[[], Tensor],
        then: Callable[[], Any],
        otherwise: Callable[[], Any],
    ) -> None:
        """Take one of two steps, by a value that is known only while training, such as a count.

        Args:
            question: a method without arguments: whether it shall be `then`, a scalar, bool, made of
                variables that this step has not changed yet. Its name should be among `questions`.
            then: a step that changes variables of this model; what it returns is not used.
            otherwise: the other one.
        """
        if (answer := self._answers.get(question.__name__)) is not None:
            (then if answer else otherwise)()
            return
        steps = [lambda step=step: (step(), ops.zeros(()))[1] for step in (then, otherwise)]
        if BACKEND != "jax":
            ops.cond(question(), *steps)
            return
        variables = [*self.variables, *self.optimizer.variables, *self.metrics_variables]

        def pure(step: Callable[[], Any]) -> Callable[[list[Tensor]], list[Tensor]]:
            def changed(values: list[Tensor]) -> list[Tensor]:
                mapping = list(zip(variables, values, strict=True))
                with StatelessScope(state_mapping=mapping) as scope:
                    step()
                return [scope.get_current_value(variable) for variable in variables]

            return changed

        outer = get_stateless_scope()
        values = jax.lax.cond(question(), *map(pure, steps), [v.value for v in variables])
        for variable, value in zip(variables, values, strict=True):
            outer.add_update((variable, value))

    def make_train_function(self, force: bool = False) -> None:
        """As Keras does; but JAX on a CPU is asked the `questions` before a step, not within it.

        XLA computes the gradients of a convolution that is inside of a conditional by plain loops on a
        CPU: a step of an AnimeGAN took 21 seconds so, and takes one. So there is one step for each set
        of answers, which JAX compiles when it first comes up. Several steps in one execution, and eager
        ones, keep the conditional.
        """
        on_cpu = BACKEND == "jax" and jax.default_backend() == "cpu"
        if not (self.questions and on_cpu) or self.run_eagerly or self.steps_per_execution > 1:
            super().make_train_function(force)
            return
        if self.train_function is not None and not force:
            return
        before, step = vars(self).get("train_step"), self.train_step
        steps = {}
        try:
            for answers in itertools.product((False, True), repeat=len(self.questions)):
                known = dict(zip(self.questions, answers, strict=True))
                self.train_step = functools.partial(self._knowing, known, step)
                super().make_train_function(force=True)
                steps[answers] = self.train_function
        finally:
            if before is None:
                del self.train_step
            else:
                self.train_step = before

        def train_function(state: tuple, iterator: Any) -> tuple[dict, tuple]:
            with StatelessScope(state_mapping=_state_mapping(self, state)):
                answers = tuple(bool(getattr(self, question)()) for question in self.questions)
            return steps[answers](state, iterator)

        self.train_function = train_function

    def _knowing(self, answers: dict[str, bool], step: Callable, *arguments: Any) -> Any:
        """A step, while JAX traces it, for which questions have these answers."""
        self._answers = answers
        try:
            return step(*arguments)
        finally:
            self._answers = {}

    def input_gradients(self, fn: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """Gradients of sum(fn(inputs)) with respect to the inputs, themselves differentiable.

        Where fn treats each picture of the batch by itself, row i is the gradient of picture i's own
        output. With BatchNorm in training mode it is not: every output depends on every picture.
        """
        if BACKEND == "tensorflow":
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                outputs = fn(inputs)
            return tape.gradient(outputs, inputs)
        if BACKEND == "torch":
            if not inputs.requires_grad:
                inputs = inputs.detach().requires_grad_(True)
            return torch.autograd.grad(fn(inputs).sum(), inputs, create_graph=True)[0]
        outputs, backward = self._vjp(fn, [], inputs)
        return backward(ops.ones_like(outputs))

    def _value_and_gradients(
        self, loss_fn: LossFunction, variables: Sequence[keras.Variable], has_aux: bool
    ) -> tuple[Any, list[Tensor]]:
        """What loss_fn returned, and the gradients of its loss."""

        def loss_of(result: Any) -> Tensor:
            return result[0] if has_aux else result

        if BACKEND == "tensorflow":
            values = [variable.value for variable in variables]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)
                result = loss_fn()
            # A penalty need not depend on every variable; to the others it is flat.
            zero = tf.UnconnectedGradients.ZERO
            return result, tape.gradient(loss_of(result), values, unconnected_gradients=zero)
        if BACKEND == "torch":
            result = loss_fn()
            values = [v.value for v in variables]
            gradients = torch.autograd.grad(loss_of(result), values, materialize_grads=True)
            return result, list(gradients)
        result, backward = self._vjp(loss_fn, variables)
        # What comes along with the loss does not count: its upstream gradient is zero.
        upstream = keras.tree.map_structure(ops.zeros_like, result)
        one = ops.ones_like(loss_of(result))
        return result, backward((one, *upstream[1:]) if has_aux else one)

    def _value_and_input_gradients(
        self, loss_fn: LossFunction, inputs: Tensor
    ) -> tuple[Tensor, Tensor]:
        if BACKEND == "tensorflow":
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(inputs)
                loss = loss_fn(inputs)
            return loss, tape.gradient(loss, inputs)
        if BACKEND == "torch":
            inputs = inputs.detach().requires_grad_(True)
            loss = loss_fn(inputs)
            return loss, torch.autograd.grad(loss, inputs)[0]
        loss, backward = self._vjp(loss_fn, [], inputs)
        return loss, backward(ops.ones_like(loss))

    def _vjp(
        self, fn: Callable[..., Tensor], variables: Sequence[keras.Variable], *inputs: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], Any]]:
        """JAX: fn's value, and the way back to the variables, or to the one input that is given.

        What fn assigns on the way (BatchNorm's statistics, random state) is carried out of the pure
        function and into the state of the step that encloses it.
        """
        outer = get_stateless_scope()
        chosen = {id(variable) for variable in variables}
        others = [v for v in [*self.variables, *self.metrics_variables] if id(v) not in chosen]

        def pure(values: list[Tensor], *inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
            mapping = [*zip(variables, values, strict=True), *((v, v.value) for v in others)]
            with StatelessScope(state_mapping=mapping) as scope:
                value = fn(*inputs)
            return value, [scope.get_current_value(v) for v in others]

        value, backward, assigned = jax.vjp(
            pure, [v.value for v in variables], *inputs, has_aux=True
        )
        for variable, new in zip(others, assigned, strict=True):
            outer.add_update((variable, new))
        if inputs:
            return value, lambda upstream: backward(upstream)[1]
        return value, lambda upstream: backward(upstream)[0]


class _JoinedOptimizers:
    """What Keras' JAX trainer asks of `model.optimizer`, for several optimizers at once."""

    built = True

    def __init__(self, optimizers: Sequence[keras.optimizers.Optimizer]) -> None:
        self.optimizers = optimizers

    @property
    def variables(self) -> list[keras.Variable]:
        return [v for optimizer in self.optimizers for v in optimizer.variables]


def _unpacked(train_step: Callable) -> Callable:
    """Take pictures that come alone out of the tuple that Keras wants a generator to yield."""

    @functools.wraps(train_step)
    def step(self: Adversarial, data: Any) -> dict:
        return train_step(
            self, data[0] if isinstance(data, tuple | list) and len(data) == 1 else data
        )

    return step


def _stateless(train_step: Callable) -> Callable:
    """Wrap `train_step(self, data) -> logs` as JAX's `train_step(self, state, data)`."""

    @functools.wraps(train_step)
    def step(self: Adversarial, state: tuple, data: Any) -> tuple[dict, tuple]:
        with StatelessScope(state_mapping=_state_mapping(self, state)) as scope:
            logs = train_step(self, data)

        def current(variable: keras.Variable, old: Tensor) -> Tensor:
            new = scope.get_current_value(variable)
            return old if new is None else new

        new_state = tuple(
            [current(variable, old) for variable, old in zip(group, values, strict=True)]
            for group, values in zip(_state(self), state, strict=True)
        )
        return logs, new_state

    return step


def _state(model: Adversarial) -> tuple[list[keras.Variable], ...]:
    """The variables of what Keras' JAX trainer passes in, in its order."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _state_mapping(model: Adversarial, state: tuple) -> list[tuple[keras.Variable, Tensor]]:
    """Each of those with its value."""
    return [
        pair
        for group, values in zip(_state(model), state, strict=True)
        for pair in zip(group, values, strict=True)
    ]


def schedule(
    rate: float, decay: str, steps: int | None
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A learning rate that stays ("constant"), or falls to 0 by the end ("linear", "cosine").

    Raises:
        ValueError: the rate is below 0, there is no such decay, or it lacks the number of optimizer
            steps until 0.
    """
    if not rate >= 0:  # NaN is no more above 0 than below
        raise ValueError(f"A learning rate must be at least 0, not {rate}.")
    if decay not in DECAYS:
        raise ValueError(f"decay must be one of {DECAYS}, not {decay!r}.")
    if decay == "constant":
        return rate
    if not steps:
        raise ValueError(f"decay={decay!r} needs decay_steps, the number of steps until 0.")
    if decay == "linear":
        return keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    return keras.optimizers.schedules.CosineDecay(rate, steps)


def update_average(average: keras.Model, network: keras.Model, decay: Tensor | float) -> None:
    """Move an exponential moving average of a network's weights one step towards the network.

    BatchNorm's moving statistics are left alone: those of an average are not an average of those.
    """
    pairs = zip(average.trainable_weights, network.trainable_weights, strict=True)
    for slow, fast in pairs:
        slow.assign(slow * decay + fast * (1.0 - decay))


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that the device's (or the machine's) memory is full."""
    if files.is_full(error):
        return False
    if BACKEND == "tensorflow" and isinstance(error, tf.errors.ResourceExhaustedError):
        return True
    if BACKEND == "torch" and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error)


def forward(network: keras.Model, inputs: Any) -> Any:
    """What a network makes of a batch (an array, or a list of several), for use: no gradient.

    JAX compiles each operation that is called by itself, so there the network is compiled as one.
    """
    if BACKEND == "jax":
        return network.predict_on_batch(inputs)
    outputs = network(keras.tree.map_structure(ops.convert_to_tensor, inputs), training=False)
    return keras.tree.map_structure(ops.convert_to_numpy, outputs)


def settle(model: keras.Model) -> None:
    """Bring a model's variables up to date in the middle of `fit`: JAX carries them beside it."""
    if BACKEND == "jax":
        model.jax_state_sync()


def best_precision() -> str:
    """The dtype policy that trains fastest here without loss scaling.

    bfloat16 has float32's range, so a GAN's losses need no scaling in it, and it pays where the
    processor multiplies it faster: CPUs with AMX, AMD's with AVX512-BF16, GPUs from Ampere on. On an
    Intel Xeon with AVX512-BF16 but without AMX products took twice as long as in float32. JAX gains
    nothing from it on a CPU: steps of five models took from 7% less to 23% more time on an AMD EPYC
    that has it. (AMX was not tried.)
    """
    capability = _gpu_capability()
    if capability is not None:
        return "mixed_bfloat16" if capability >= (8, 0) else "float32"
    if BACKEND == "jax":
        return "float32" if jax.default_backend() == "cpu" else "mixed_bfloat16"  # that is a TPU
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return "float32"
    words = set(processor.split())
    faster = "amx_bf16" in words or {"AuthenticAMD", "avx512_bf16"} <= words
    return "mixed_bfloat16" if faster else "float32"


def _gpu_capability() -> tuple[int, int] | None:
    """NVIDIA's version of the first GPU that the backend sees, such as (8, 0) for Ampere."""
    if BACKEND == "tensorflow":
        if not (gpus := tf.config.list_physical_devices("GPU")):
            return None
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability") or (0, 0)
    if BACKEND == "torch":
        return torch.cuda.get_device_capability() if torch.cuda.is_available() else None
    if BACKEND == "jax" and (device := jax.devices()[0]).platform == "gpu":
        major, minor = str(device.compute_capability).split(".")
        return int(major), int(minor)
    return None


def use_deterministic_ops() -> None:
    """Ask the backend for operations that give the same bits in every run; some are slower."""
    if BACKEND == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    elif BACKEND == "torch":
        torch.use_deterministic_algorithms(True)
