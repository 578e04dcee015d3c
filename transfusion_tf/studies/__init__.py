"""A grid of runs, their comparisons and their report; resumable as a whole."""

from transfusion_tf.studies.executor import Study, run_status, run_study
from transfusion_tf.studies.grid import Arm, StudyConfig
from transfusion_tf.studies.plan import Plan, count_steps, plan_study

__all__ = [
    "Arm",
    "Plan",
    "Study",
    "StudyConfig",
    "count_steps",
    "plan_study",
    "run_status",
    "run_study",
]
