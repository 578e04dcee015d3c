"""The questions that the paper asks of runs, one file a question."""

from transfusion_tf.analysis.activations import (
    MAX_GRID_POSITIONS,
    StageActivations,
)
from transfusion_tf.analysis.block_shuffling import (
    ShuffledScore,
    score_shuffled_blocks,
    shuffle_blocks,
)
from transfusion_tf.analysis.comparison_request import (
    Checkpoint,
    ComparisonRequest,
    ProtocolConfig,
    finished_comparison,
    two_checkpoints,
)
from transfusion_tf.analysis.interpolation import LinePoint, interpolate
from transfusion_tf.analysis.layer_change import (
    capture_checkpoint,
    check_comparable,
    compare,
    compare_runs,
    describe,
    score_checkpoints,
    stage_matrix,
)
from transfusion_tf.analysis.nearest_neighbors import (
    StageNeighbors,
    score_neighbors,
    vote,
)
from transfusion_tf.analysis.network import Network
from transfusion_tf.analysis.reinitialization import (
    StageReset,
    reinitialize_stages,
)
from transfusion_tf.analysis.weight_movement import Movement, weight_movement

__all__ = [
    "MAX_GRID_POSITIONS",
    "Checkpoint",
    "ComparisonRequest",
    "LinePoint",
    "Movement",
    "Network",
    "ProtocolConfig",
    "ShuffledScore",
    "StageActivations",
    "StageNeighbors",
    "StageReset",
    "capture_checkpoint",
    "check_comparable",
    "compare",
    "compare_runs",
    "describe",
    "finished_comparison",
    "interpolate",
    "reinitialize_stages",
    "score_checkpoints",
    "score_neighbors",
    "score_shuffled_blocks",
    "shuffle_blocks",
    "stage_matrix",
    "two_checkpoints",
    "vote",
    "weight_movement",
]
