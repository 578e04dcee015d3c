"""The questions that the paper asks of runs, one file a question."""

from transfusion_tf.analysis.activations import (
    MAX_GRID_POSITIONS,
    StageActivations,
)
from transfusion_tf.analysis.layer_change import (
    Checkpoint,
    ProtocolConfig,
    compare,
    compare_runs,
)

__all__ = [
    "MAX_GRID_POSITIONS",
    "Checkpoint",
    "ProtocolConfig",
    "StageActivations",
    "compare",
    "compare_runs",
]
