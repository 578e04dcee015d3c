import keras
import numpy as np
import pytest
import tensorflow as tf

from transfusion_tf.training import optimizers

NUM_STEPS = 30


def learning_rate(step):
    return 0.1 / (1 + step)


def gradients(size):
    return np.random.default_rng(1).normal(size=[NUM_STEPS, size])


def weights_after_steps(optimizer, start, dtype):
    """Weights `[NUM_STEPS, size]`, as two variables of the optimizer's."""
    weights = [keras.Variable(half, dtype=dtype) for half in np.split(start, 2)]
    optimizer.build(weights)
    step = tf.function(
        lambda gradient: optimizer.apply(tf.split(gradient, 2), weights),
        autograph=False,
    )
    after = []
    for number, gradient in enumerate(gradients(len(start))):
        optimizer.learning_rate.assign(learning_rate(number))
        step(tf.constant(gradient, dtype))
        after.append(np.concatenate([weight.numpy() for weight in weights]))
    return np.array(after)


def adam_in_numpy(weights):
    """The update as the paper of Adam has it at the end of section 2."""
    first, second, after = 0.0, 0.0, []
    for number, gradient in enumerate(gradients(len(weights))):
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        correction = np.sqrt(1 - 0.999 ** (number + 1)) / (
            1 - 0.9 ** (number + 1)
        )
        # The optimizer's learning rate is a float32.
        size = np.float64(np.float32(learning_rate(number))) * correction
        weights = weights - size * first / (np.sqrt(second) + 1e-7)
        after.append(weights)
    return np.array(after)


START = np.random.default_rng(0).normal(size=8)


def test_adam_is_the_papers_in_float64():
    ours = weights_after_steps(optimizers.FusedAdam(0.0), START, "float64")
    np.testing.assert_allclose(ours, adam_in_numpy(START), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_is_keras_adam_up_to_rounding(dtype):
    # Keras rounds 0.999 to float32 in one of two places: 6e-6 of a step.
    ours, theirs = (
        weights_after_steps(make(0.0), START, dtype)
        for make in (optimizers.FusedAdam, keras.optimizers.Adam)
    )
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=5e-6)


def test_adam_is_one_operation_a_weight():
    weights = [keras.Variable(np.zeros([2])) for _ in range(3)]
    optimizer = optimizers.FusedAdam(0.1)
    optimizer.build(weights)

    @tf.function(autograph=False)
    def step(gradient):
        optimizer.apply([gradient] * 3, weights)

    graph = step.get_concrete_function(tf.TensorSpec([2])).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert kinds.count("ResourceApplyAdam") == 3
    assert not {"Sqrt", "RealDiv", "AssignSubVariableOp"} & set(kinds)
