"""Gives every variable of a model its first value."""

import dataclasses
import numbers
from collections.abc import Iterator
from typing import Any

import keras

from transfusion_tf.initialization import donors, plans, sources
from transfusion_tf.models import StagedModel


@dataclasses.dataclass(frozen=True)
class WeightRecord:
    """What one variable got.

    Attributes:
        variable: Its key, `"layer/variable"`.
        stage: The stage that holds it, or `head`.
        source: Name of the source: `random`, `copy` ...
        detail: The initializer, or the donor's name.
        shape: Of the variable.
        donor_sha256: Of the donor's file; None where nothing was taken.
    """

    variable: str
    stage: str
    source: str
    detail: str
    shape: tuple[int, ...]
    donor_sha256: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns the record as a JSON object."""
        return {**dataclasses.asdict(self), "shape": list(self.shape)}


def initialize(
    staged: StagedModel,
    scheme: str | plans.Plan,
    *,
    seed: int,
    donor: donors.Donor | None = None,
) -> list[WeightRecord]:
    """Assigns every variable of a model, head and moving statistics included.

    It may be called again on the same model, for the next run: nothing of what
    the model held before remains. Draws depend on (seed, variable) alone.
    Everything is checked before anything is assigned.

    Args:
        staged: The model.
        scheme: A scheme of `SCHEMES`, or a plan.
        seed: Not negative. Equal seeds give equal bits.
        donor: What is taken from, where the scheme takes anything.

    Returns:
        One record a variable, in model order.

    Raises:
        ValueError: The scheme is unknown, its donor is missing, is of another
            architecture, or is given where nothing would be taken from it.

    Example:
        >>> from transfusion_tf import models
        >>> staged = models.build(
        ...     "cbr_tiny", num_outputs=5, image_shape=(32, 32, 3)
        ... )
        >>> records = initialize(staged, "random", seed=0)
        >>> records[0].variable, records[0].source
        ('conv1_conv/kernel', 'random')
    """
    stage_names = [stage.name for stage in staged.stages]
    if isinstance(scheme, str):
        scheme = plans.parse_scheme(scheme, stage_names)
    _check(staged, scheme, seed, donor)
    values = [
        (slot, source, source.value(slot, seed=seed, donor=donor))
        for slot, source in _assignments(staged, scheme)
    ]
    records = []
    for slot, source, value in values:
        slot.variable.assign(value.array)
        records.append(_record(slot, source, value))
    return records


def _check(
    staged: StagedModel,
    plan: plans.Plan,
    seed: int,
    donor: donors.Donor | None,
) -> None:
    stage_names = [stage.name for stage in staged.stages]
    if sorted(plan.stages) != sorted(stage_names):
        raise ValueError(
            f"A plan names each stage of {staged.name} once. Received: "
            f"{sorted(plan.stages)}. Its stages are {', '.join(stage_names)}."
        )
    if not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(
            f"A seed is a whole number from 0. Received: seed={seed!r}."
        )
    if donor is None and plan.needs_donor:
        raise ValueError(
            f"The scheme {plan.scheme!r} needs a donor. Received: donor=None. "
            "Give --donor=imagenet, a weights file or the directory of a "
            "finished run."
        )
    if donor is not None and not plan.may_use_donor:
        raise ValueError(
            f"The scheme {plan.scheme!r} takes nothing from a donor. Received: "
            f"donor={donor.name!r}. Leave the donor out, or give "
            "--init=transfer."
        )
    if donor is not None and donor.model != staged.architecture:
        raise ValueError(
            f"The donor is of another model than {staged.architecture}. "
            f"Received: donor={donor.name!r} of model {donor.model!r}. Name a "
            f"donor of {staged.architecture}, or train {donor.model} "
            f"(--model={donor.model})."
        )


def _assignments(
    staged: StagedModel, plan: plans.Plan
) -> Iterator[tuple[sources.Slot, sources.Source]]:
    variables = staged.variables()
    first_kernel = next(key for key in variables if key.endswith("/kernel"))
    for key, variable in variables.items():
        layer = staged.model.get_layer(key.rpartition("/")[0])
        slot = sources.Slot(key, staged.stage_of(layer.name), layer, variable)
        yield slot, _source_of(slot, plan, first_kernel)


def _source_of(
    slot: sources.Slot, plan: plans.Plan, first_kernel: str
) -> sources.Source:
    if slot.stage == "head":
        return sources.Random()
    if isinstance(slot.layer, keras.layers.BatchNormalization):
        return _batch_norm_source(slot, plan)
    source = plan.stages[slot.stage]
    if source.name == "gabor" and slot.key != first_kernel:
        return sources.Random()
    is_bias = slot.key.endswith("/bias")
    is_resampled = is_bias and isinstance(source, sources.Resample)
    if is_resampled and not plan.resample_biases:
        return sources.Random()  # Zeros, by the initializer.
    return source


def _batch_norm_source(slot: sources.Slot, plan: plans.Plan) -> sources.Source:
    match plan.batch_norm(slot.stage):
        case "transfer":
            return sources.Copy()
        case "mean_var":
            return sources.Resample("mean_var")
        case "recalibrate" if "/moving_" in slot.key:
            # Estimated later, on data; until then the identity's.
            return sources.Random("recalibrate")
        case "recalibrate" if plan.stages[slot.stage].name == "copy":
            return sources.Copy()
    return sources.Random()


def _record(
    slot: sources.Slot, source: sources.Source, value: sources.Value
) -> WeightRecord:
    return WeightRecord(
        variable=slot.key,
        stage=slot.stage,
        source=source.name,
        detail=value.detail,
        shape=tuple(slot.variable.shape),
        donor_sha256=value.donor.sha256 if value.donor else None,
    )
