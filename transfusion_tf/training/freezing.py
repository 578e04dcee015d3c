"""Which stages learn, and what the batch norms of the others do."""

from collections.abc import Sequence

import keras

from transfusion_tf import models

ALL, HEAD, AFTER = "all", "head", "after:"


def frozen_stages(trainable: str, stages: Sequence[str]) -> tuple[str, ...]:
    """Returns the stages that do not learn.

    Args:
        trainable: `all`; `head`, which freezes every stage; or `after:S`,
            which freezes up to and including stage S.
        stages: Names of the model's stages, in model order.

    Raises:
        ValueError: It is none of these, or there is no such stage.

    Example:
        >>> frozen_stages("after:conv2", ["conv1", "conv2", "conv3"])
        ('conv1', 'conv2')

    Source: Figure 8 and the appendix of the paper (fixed features); `after:S`
        is layer-wise finetuning.
    """
    if trainable == ALL:
        return ()
    if trainable == HEAD:
        return tuple(stages)
    last = trainable.removeprefix(AFTER)
    if not trainable.startswith(AFTER) or last not in stages:
        raise ValueError(
            f"What learns is {ALL}, {HEAD} or {AFTER}STAGE. Received: "
            f"trainable={trainable!r}. Stages are {', '.join(stages)}."
        )
    return tuple(stages[: list(stages).index(last) + 1])


def freeze(
    staged: models.StagedModel, frozen: Sequence[str], *, batch_norm: str
) -> list[keras.Variable]:
    """Sets batch norm's mode in frozen stages and tells what learns.

    Args:
        staged: The model; a batch norm's mode is its layer's `trainable`.
        frozen: Names of the stages that do not learn.
        batch_norm: "moving" lets frozen batch norms use their moving
            statistics in training, "batch" those of the batch.

    Returns:
        The variables that learn, in model order.
    """
    learns = []
    for layer in staged.model.layers:
        if not layer.weights:
            continue
        is_frozen = staged.stage_of(layer.name) in frozen
        if not is_frozen:
            learns += layer.trainable_variables
        elif isinstance(layer, keras.layers.BatchNormalization):
            # Keras ties a batch norm's mode to whether it may learn.
            layer.trainable = batch_norm == "batch"
    return learns
