"""Sizes of models, in parameters."""

import dataclasses
import math
from typing import Any

import keras

from transfusion_tf.models import cbr, staged_model


@dataclasses.dataclass(frozen=True)
class ParameterCounts:
    """Numbers of parameters of a model.

    Attributes:
        total: All of them, moving statistics of batch norm included.
        trainable: Those that an optimizer may change.
        paper_rule: As the paper counts the CBR family: convolution kernels but
            the first, and the kernel of the head. None for other models, whose
            reported count no rule is known to reproduce.
    """

    total: int
    trainable: int
    paper_rule: int | None

    def to_json(self) -> dict[str, Any]:
        """Returns the counts as a JSON object."""
        return dataclasses.asdict(self)


def parameter_counts(staged: staged_model.StagedModel) -> ParameterCounts:
    """Counts the parameters of a model.

    Args:
        staged: A model of `models.build`.

    Returns:
        Its counts.

    Example:
        >>> from transfusion_tf import models
        >>> staged = models.build(
        ...     "cbr_tiny", num_outputs=5, image_shape=(32, 32, 3)
        ... )
        >>> parameter_counts(staged).paper_rule
        1076480

    Source: Table 1, column "Parameters".
    """
    return ParameterCounts(
        total=_count(staged.model.weights),
        trainable=_count(staged.model.trainable_weights),
        paper_rule=_paper_rule(staged) if staged.name in cbr.FAMILY else None,
    )


def _count(variables: list[keras.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _paper_rule(staged: staged_model.StagedModel) -> int:
    kernels = [
        variable
        for key, variable in staged.variables().items()
        if key.endswith("/kernel")
    ]
    return _count(kernels[1:])
