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
from transfusion_tf.evaluation.run_pairs import (
    LinearFit,
    Run,
    fit_pairs,
    has_enough_runs,
    pairs_difference_interval,
    pairs_interval,
)

__all__ = [
    "METRIC_NAMES",
    "MIN_SEEDS",
    "UNKNOWN",
    "Interval",
    "LinearFit",
    "Predictions",
    "Run",
    "StepsSummary",
    "StepsToThreshold",
    "accuracy",
    "auc",
    "average_precision",
    "compute_metric",
    "fit_pairs",
    "has_enough_runs",
    "joint_difference_interval",
    "joint_interval",
    "merge_folds",
    "pairs_difference_interval",
    "pairs_interval",
    "patient_difference_interval",
    "patient_interval",
    "seed_interval",
    "steps_to_threshold",
    "summarize_steps",
    "top5_accuracy",
]
