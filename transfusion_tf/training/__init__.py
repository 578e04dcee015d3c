"""Config, strategy, the one loop, the one predict loop, and checkpoints."""

from transfusion_tf.training.checkpoints import load_weights
from transfusion_tf.training.config import (
    DEVICE_FIELDS,
    LOCATION_FIELDS,
    TrainConfig,
    differences,
    num_steps_of,
)
from transfusion_tf.training.environment import (
    describe_environment,
    prepare_runtime,
)
from transfusion_tf.training.interruption import (
    Interrupted,
    StopRequest,
    stop_on_signals,
)
from transfusion_tf.training.program import (
    Batch,
    BatchChange,
    OverImages,
    Program,
    ProgramSpec,
)
from transfusion_tf.training.run_events import first_kernel, write_filters
from transfusion_tf.training.schedules import learning_rate_at
from transfusion_tf.training.scoring import score_run
from transfusion_tf.training.strategies import (
    death_of_others_told,
    is_chief,
    is_stop_agreed,
    make_strategy,
)
from transfusion_tf.training.task_data import TaskData, TaskDataKey
from transfusion_tf.training.trainer import (
    Progress,
    Trainer,
    check_same_config,
    load_donor,
)

__all__ = [
    "Batch",
    "BatchChange",
    "DEVICE_FIELDS",
    "LOCATION_FIELDS",
    "Interrupted",
    "OverImages",
    "Program",
    "ProgramSpec",
    "Progress",
    "StopRequest",
    "TaskData",
    "TaskDataKey",
    "TrainConfig",
    "Trainer",
    "check_same_config",
    "death_of_others_told",
    "describe_environment",
    "differences",
    "first_kernel",
    "is_chief",
    "is_stop_agreed",
    "learning_rate_at",
    "load_donor",
    "load_weights",
    "make_strategy",
    "num_steps_of",
    "prepare_runtime",
    "score_run",
    "stop_on_signals",
    "write_filters",
]
