"""Adam as one pass over each variable."""

from typing import Any

import keras

Tensor = Any
BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf


@keras.saving.register_keras_serializable("anime_keras")
class Adam(keras.optimizers.Adam):
    """Keras' Adam (Kingma and Ba 2015, algorithm 1, in the form of the end of section 2).

    TensorFlow has the whole update as one operation, which reads and writes each number once.
    """

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Update one variable (on TensorFlow a `tf.Variable`) and its two moments."""
        if BACKEND != "tensorflow" or self.amsgrad or _outside_of_replicas():
            super().update_step(gradient, variable, learning_rate)
            return
        step = tf.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, variable.dtype), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, variable.dtype), step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=tf.cast(self.beta_1, variable.dtype),
            beta2=tf.cast(self.beta_2, variable.dtype),
            epsilon=tf.cast(self.epsilon, variable.dtype),
            grad=tf.cast(gradient, variable.dtype),
        )


def _outside_of_replicas() -> bool:
    """Whether variables are now those of several devices at once, not of one of them."""
    # With a single device Keras asks for a variable's update in such a context, too.
    return tf.distribute.has_strategy() and tf.distribute.in_cross_replica_context()
