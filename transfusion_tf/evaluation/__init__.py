"""Metrics, intervals and convergence: every statistic of the project.

NumPy, SciPy and scikit-learn only; nothing here imports TensorFlow, so a
report can be made where TensorFlow is not installed.
"""

from transfusion_tf.evaluation.convergence import (
    StepsSummary,
    StepsToThreshold,
    steps_to_threshold,
    summarize_steps,
)
from transfusion_tf.evaluation.intervals import (
    MIN_SEEDS,
    Interval,
    joint_difference_interval,
    joint_interval,
    patient_difference_interval,
    patient_interval,
    seed_interval,
)
from transfusion_tf.evaluation.metrics import (
    METRIC_NAMES,
    accuracy,
    auc,
    average_precision,
    compute_metric,
    top5_accuracy,
)
from transfusion_tf.evaluation.predictions import (
    UNKNOWN,
    Predictions,
    merge_folds,
)

__all__ = [
    "METRIC_NAMES",
    "MIN_SEEDS",
    "UNKNOWN",
    "Interval",
    "Predictions",
    "StepsSummary",
    "StepsToThreshold",
    "accuracy",
    "auc",
    "average_precision",
    "compute_metric",
    "joint_difference_interval",
    "joint_interval",
    "merge_folds",
    "patient_difference_interval",
    "patient_interval",
    "seed_interval",
    "steps_to_threshold",
    "summarize_steps",
    "top5_accuracy",
]
