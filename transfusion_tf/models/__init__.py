"""Models with stages: `build` makes one by name."""

from transfusion_tf.models.parameters import ParameterCounts, parameter_counts
from transfusion_tf.models.registry import (
    MODEL_NAMES,
    build,
    layout,
    stage_names,
)
from transfusion_tf.models.staged_model import (
    LayerLayout,
    Layout,
    Stage,
    StagedModel,
)

__all__ = [
    "MODEL_NAMES",
    "LayerLayout",
    "Layout",
    "ParameterCounts",
    "Stage",
    "StagedModel",
    "build",
    "layout",
    "parameter_counts",
    "stage_names",
]
