"""The optimizers of training."""

from typing import Any

import keras
import tensorflow as tf

_SGD_MOMENTUM = 0.9


class FusedAdam(keras.optimizers.Adam):
    """Keras' Adam, of which each weight's update is one operation.

    With a dozen operations a weight, as Keras has it, Adam is more than half
    of what ResNet50, with 214 weights, traces and optimizes before its first
    step.

    Example:
    >>> weight = keras.Variable(1.0)
    >>> FusedAdam(learning_rate=0.1).apply([tf.constant(5.0)], [weight])
    >>> round(float(weight.numpy()), 4)
    0.9

    Source: section 2 of Kingma and Ba 2015, as Keras computes it (the bias
        correction in the step size).
    """

    def __init__(self, learning_rate: float):
        """Takes Keras' defaults for the rest.

        Args:
            learning_rate: Learning rate.
        """
        super().__init__(learning_rate=learning_rate)

    def update_step(
        self, gradient: tf.Tensor, variable: Any, learning_rate: Any
    ) -> None:
        """Does the step of one weight; `apply` calls it."""
        dtype = variable.dtype
        place = self._get_variable_index(variable)
        number = tf.cast(self.iterations.value + 1, dtype)
        beta_1 = tf.constant(self.beta_1, dtype)
        beta_2 = tf.constant(self.beta_2, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[place]),
            v=_handle(self._velocities[place]),
            beta1_power=tf.pow(beta_1, number),
            beta2_power=tf.pow(beta_2, number),
            lr=tf.cast(learning_rate, dtype),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


def make_optimizer(name: str, precision: str) -> keras.optimizers.Optimizer:
    """Returns an optimizer whose learning rate is assigned before each step.

    Args:
        name: "adam" or "sgd".
        precision: Keras' name of a policy; `mixed_float16` scales the loss.
    """
    optimizer = keras.optimizers.SGD(learning_rate=0.0, momentum=_SGD_MOMENTUM)
    if name == "adam":
        optimizer = FusedAdam(learning_rate=0.0)
    if precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def _handle(variable: Any) -> tf.Tensor:
    if isinstance(variable, keras.Variable):
        variable = variable.value
    return variable.handle
