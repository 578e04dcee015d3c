"""Fabricated predictions for the tests of statistics."""

import numpy as np

from transfusion_tf.evaluation import Predictions


def predictions(
    num_examples=60, per_patient=2, seed=0, signal=1.0, num_levels=None
):
    """Draws scores of patients with some signal; `num_levels` makes ties."""
    generator = np.random.default_rng(seed)
    patient = np.arange(num_examples) // per_patient
    label = (np.random.default_rng(99).random(num_examples) < 0.4).astype(int)
    label[:2] = [0, 1]
    score = generator.normal(size=num_examples) + signal * label
    if num_levels:
        score = np.round(score * num_levels) / num_levels
    return Predictions(np.arange(num_examples), patient, label, score)
