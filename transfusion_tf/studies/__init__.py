"""A grid of runs, their comparisons and their report; resumable as a whole."""

from transfusion_tf.studies.executor import Study, run_status, run_study
from transfusion_tf.studies.grid import Arm, StudyConfig
from transfusion_tf.studies.plan import Plan, count_steps, plan_study
from transfusion_tf.studies.run_pairs import (
    PairComparison,
    RunPairs,
    compare_run_pairs,
    find_run_pairs,
)

__all__ = [
    "Arm",
    "PairComparison",
    "Plan",
    "RunPairs",
    "Study",
    "StudyConfig",
    "compare_run_pairs",
    "count_steps",
    "find_run_pairs",
    "plan_study",
    "run_status",
    "run_study",
]
