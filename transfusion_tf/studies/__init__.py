"""A grid of runs, their comparisons and their report; resumable as a whole."""

from transfusion_tf.studies.executor import (
    ExecutorConfig,
    Outcome,
    prepare_executor,
    run_study,
)
from transfusion_tf.studies.grid import Arm, StudyConfig
from transfusion_tf.studies.plan import Plan, count_steps, plan_study
from transfusion_tf.studies.run_pairs import (
    PairComparison,
    RunPairs,
    compare_run_pairs,
    find_run_pairs,
)
from transfusion_tf.studies.status import RunStatus, study_status
from transfusion_tf.studies.study import Study

__all__ = [
    "Arm",
    "ExecutorConfig",
    "Outcome",
    "PairComparison",
    "Plan",
    "RunPairs",
    "RunStatus",
    "Study",
    "StudyConfig",
    "compare_run_pairs",
    "count_steps",
    "find_run_pairs",
    "plan_study",
    "prepare_executor",
    "run_study",
    "study_status",
]
