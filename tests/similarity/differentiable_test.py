"""Values against the measures, gradients against finite differences."""

import numpy as np
import pytest
import tensorflow as tf

from tests.similarity import oracles
from transfusion_tf import similarity
from transfusion_tf.similarity import differentiable

PAIRS = {
    "cca": (
        differentiable.mean_squared_cca,
        lambda x, y: similarity.cca(x, y).mean_squared,
    ),
    "cka": (
        differentiable.linear_cka,
        lambda x, y: similarity.cka(x, y, debiased=False).score,
    ),
    "procrustes": (
        differentiable.procrustes_similarity,
        lambda x, y: similarity.procrustes(x, y).score,
    ),
}


@pytest.fixture
def layers():
    return [
        side.astype(np.float64)
        for side in oracles.layers(num_datapoints=300, sizes=(6, 4))
    ]


@pytest.mark.parametrize("name", PAIRS)
def test_values_are_those_of_the_measures(layers, name):
    tensor, measure = PAIRS[name]
    found = float(tf.function(tensor)(*layers))
    assert found == pytest.approx(measure(*layers), abs=1e-9)


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("side", [0, 1])
def test_gradients_are_those_of_finite_differences(layers, name, side):
    tensor = PAIRS[name][0]
    values = [tf.constant(rows) for rows in layers]
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = tensor(*values)
    gradient = tape.gradient(score, values[side]).numpy()
    generator = np.random.default_rng(0)
    for _ in range(3):
        direction = generator.normal(size=layers[side].shape)
        ends = []
        for step in (-1e-5, 1e-5):
            moved = list(layers)
            moved[side] = layers[side] + step * direction
            ends.append(float(tensor(*moved)))
        slope = (ends[1] - ends[0]) / 2e-5
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=1e-5)


def test_a_map_learns_to_align_a_layer_with_another(layers):
    x, y = (tf.constant(rows) for rows in layers)
    weights = tf.Variable(tf.eye(6, dtype=tf.float64)[:, :4])
    scores = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            score = differentiable.linear_cka(x @ weights, y)
        scores.append(float(score))
        weights.assign_add(2.0 * tape.gradient(score, weights))
    assert scores[-1] > scores[0] + 0.05
