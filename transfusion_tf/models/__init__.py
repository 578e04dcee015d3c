"""Models with stages: `build` makes one by name."""

from transfusion_tf.models.parameters import ParameterCounts, parameter_counts
from transfusion_tf.models.registry import (
    MODEL_NAMES,
    architecture_of,
    build,
    check_name,
    layout,
    stage_names,
)
from transfusion_tf.models.staged_model import (
    LayerLayout,
    Layout,
    Stage,
    StagedModel,
)
from transfusion_tf.models.variants import FORMS as VARIANT_FORMS

__all__ = [
    "MODEL_NAMES",
    "LayerLayout",
    "Layout",
    "ParameterCounts",
    "Stage",
    "StagedModel",
    "VARIANT_FORMS",
    "architecture_of",
    "build",
    "check_name",
    "layout",
    "parameter_counts",
    "stage_names",
]
