"""Variables in which each replica sums what it has seen itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf


def sum_variables(shapes: Mapping[str, list[int]]) -> dict[str, tf.Variable]:
    """Makes float64 variables of zeros; in a strategy's scope, one a replica.

    Args:
        shapes: Name -> shape.
    """
    return {
        name: tf.Variable(
            tf.zeros(shape, tf.float64),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
            name=name,
        )
        for name, shape in shapes.items()
    }


def parts_of(variable: tf.Variable) -> Sequence[tf.Variable]:
    """Returns the variable of each replica."""
    return getattr(variable, "values", (variable,))


def set_to_zero(variables: Mapping[str, tf.Variable]) -> None:
    """Forgets what any replica has summed."""
    for variable in variables.values():
        for own in parts_of(variable):
            own.assign(tf.zeros_like(own))
