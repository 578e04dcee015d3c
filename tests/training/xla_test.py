"""What a TPU asks of a step: it compiles with XLA, all shapes known.

`pytest --full` (make exactness) looks at the other models too.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.exactness_test import noisy_split, spec_of
from transfusion_tf import data, initialization, models, training

FORBIDDEN = ("PyFunc", "EagerPyFunc", "PyFuncStateless")
IN_CI = ("cbr_tiny",)


def datasets_of(spec):
    reader = data.SplitReader(noisy_split(spec.image_size), spec.image_size)
    return (
        reader.train_batches(seed=0, batch_size=spec.batch_size),
        reader.evaluation_batches(spec.batch_size),
    )


def graphs_of(function, dataset):
    """The graph of a traced function and of all that it calls."""
    concrete = function.get_concrete_function(dataset.element_spec)
    graphs = [concrete.graph]
    seen = set()
    while graphs:
        graph = graphs.pop()
        yield graph
        for name, inner in graph._functions.items():
            if name not in seen and hasattr(inner, "graph"):
                seen.add(name)
                graphs.append(inner.graph)


def assert_fit_for_a_tpu(function, dataset):
    num_operations = 0
    for graph in graphs_of(function, dataset):
        for operation in graph.get_operations():
            num_operations += 1
            assert operation.type not in FORBIDDEN, operation.name
            for tensor in operation.outputs:
                assert tensor.dtype != tf.string, tensor.name
                if tensor.dtype != tf.resource:
                    assert tensor.shape.is_fully_defined(), tensor.name
    assert num_operations > 100


@pytest.mark.parametrize(
    "name",
    [
        name if name in IN_CI else pytest.param(name, marks=pytest.mark.full)
        for name in models.MODEL_NAMES
    ],
)
def test_a_step_and_a_prediction_compile_whole(name):
    """In float64; the augmentation is in float32 whatever the precision.

    In training, batch norm of a deep network multiplies its rounding.
    """
    spec = spec_of(
        model=name,
        image_size=75 if name == "inception_v3" else 32,
        augmentation="fundus",
    )
    train, evaluation = datasets_of(spec)
    results = []
    for is_compiled in (False, True):
        program = training.Program(spec, tf.distribute.get_strategy())
        initialization.initialize(program.staged, "random", seed=0)
        program.reset_optimizer()
        step, predict = (
            tf.function(function, autograph=False, jit_compile=is_compiled)
            for function in (program._train_replica, program._predict_batch)
        )
        if not is_compiled:
            assert_fit_for_a_tpu(step, train)
            assert_fit_for_a_tpu(predict, evaluation)
        logits = predict(next(iter(evaluation)))["logits"].numpy()
        results.append((logits, float(step(next(iter(train))))))
    (logits, loss), (logits_of_xla, loss_of_xla) = results
    np.testing.assert_allclose(logits_of_xla, logits, atol=1e-5)
    np.testing.assert_allclose(loss_of_xla, loss, rtol=5e-3)
