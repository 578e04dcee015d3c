"""What the tab shows of one run, made of the run's records.

A run writes it while it trains; from published records it is made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transfusion_tf.tensorboard import measures, names, points
from transfusion_tf.tensorboard.points import Point

BEFORE_AFTER = "before_after"
# What stands in every row of `metrics.jsonl` beside what was measured.
_COMMON = ("step", "epoch", "seconds", "split")
_UNKNOWN = "unknown"


def info(
    config: Mapping[str, Any], *, metric: str, num_parameters: int
) -> Point:
    """Returns what a run is.

    Args:
        config: The content of `config.json`.
        metric: "auc" or "accuracy".
        num_parameters: All parameters of the network.
    """
    asked, donor = config["config"], config["donor"]
    environment = config["environment"]
    num_steps = asked["num_steps"]
    if num_steps is None:
        num_steps = asked["num_epochs"] * config["steps_per_epoch"]
    return points.run_info(
        model=asked["model"],
        model_title=names.model_title(asked["model"]),
        init=asked["init"],
        donor=None if donor is None else str(donor["name"]),
        task=asked["task"],
        metric=metric,
        threshold=asked["auc_threshold"],
        seed=asked["seed"],
        fold=asked.get("fold"),
        num_parameters=num_parameters,
        num_training_examples=config["data"]["train"]["num_examples"],
        num_steps=num_steps,
        versions={
            name: environment.get(name, _UNKNOWN)
            for name in ("tensorflow", "keras")
        },
    )


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Returns the scalars of a row of `metrics.jsonl` by tag.

    Args:
        row: The row; what is undefined in it is left out.

    Example:
    >>> scalars({"step": 6, "epoch": 1.0, "seconds": 2.5, "split": "train",
    ...          "loss": 0.5})
    {'train/loss': 0.5}
    """
    if row["split"] == "probe":
        return _flat("similarity", row["similarity"])
    measured = {k: v for k, v in row.items() if k not in _COMMON}
    return _flat(row["split"], measured)


def _flat(prefix: str, scores: Mapping[str, Any]) -> dict[str, float]:
    """Names every number of nested scores; undefined ones are left out."""
    flat: dict[str, float] = {}
    for key, value in scores.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}/{key}", value)
        elif value is not None:
            flat[f"{prefix}/{key}"] = value
    return flat


def probe(row: Mapping[str, Any], described: Mapping[str, Any]) -> list[Point]:
    """Returns matrix and profile of a row of `metrics.jsonl`.

    Args:
        row: The row.
        described: `probe` of the run's `config.json`.

    Returns:
        Both; nothing of a row that holds no matrix.
    """
    if "matrix" not in row:
        return []
    return _matrix(
        row["step"],
        row["matrix"],
        stages=list(row["similarity"]),
        split=described["split"],
        num_images=described["num_images"],
        batch_norm=described["batch_norm"],
    )


def comparison(content: Mapping[str, Any]) -> list[Point]:
    """Returns the profiles of a comparison before and after training.

    Args:
        content: Of `comparison.json`.

    Returns:
        One a measure.
    """
    by_measure = {content["measure"]: content["stages"]}
    by_measure |= content.get("other_measures", {})
    return [
        points.layer_profile(
            content["steps"][1],
            {
                "value": [_number(stage["score"]) for stage in stages],
                "null": [_number(stage["null"]) for stage in stages],
            },
            measure=measures.measure(measure),
            comparison=BEFORE_AFTER,
            layers=[stage["stage"] for stage in stages],
            num_images=content["protocol"]["num_images"],
            what=protocol_text(content["protocol"]),
        )
        for measure, stages in by_measure.items()
    ]


def comparison_matrix(content: Mapping[str, Any]) -> list[Point]:
    """Returns matrix and profile of a comparison, if it holds a matrix.

    They have the tags of `probe`: of a run with both, one is to be written.

    Args:
        content: Of `comparison.json`.
    """
    if "matrix" not in content:
        return []
    return _matrix(
        content["steps"][1],
        content["matrix"]["scores"],
        stages=[stage["stage"] for stage in content["stages"]],
        split=content["protocol"]["split"],
        num_images=content["matrix"]["num_images"],
        batch_norm=content["protocol"]["batch_norm"],
    )


def filters(arrays: Mapping[str, npt.NDArray[Any]]) -> list[Point]:
    """Returns the first convolution's kernels before and after training.

    Args:
        arrays: Of `filters.npz`.
    """
    return [
        points.filters(
            int(step),
            # A filter first, as the tab lists them.
            np.moveaxis(kernel, -1, 0),
            layer=str(arrays["layer"]),
        )
        for step, kernel in zip(arrays["steps"], arrays["kernels"], strict=True)
    ]


def protocol_text(protocol: Mapping[str, Any]) -> str:
    """Says what activations a comparison was made of.

    Args:
        protocol: Of `comparison.json`.
    """
    return (
        f"Activations that end each stage, on {protocol['num_images']} "
        f"{protocol['split']} images: {protocol['num_positions']} positions, "
        "or all where a stage has fewer, and at most "
        f"{protocol['num_channels']} channels; mean of {protocol['repeats']} "
        f"samples. Batch norm {protocol['batch_norm']}. Null level: images of "
        "one side permuted."
    )


def _matrix(
    step: int,
    scores: Sequence[Sequence[float | None]],
    *,
    stages: Sequence[str],
    split: str,
    num_images: int,
    batch_norm: str,
) -> list[Point]:
    values = np.array([[_number(value) for value in row] for row in scores])
    # Debiased CKA of unrelated images is 0, where it is defined.
    null = np.where(np.isnan(values), np.nan, 0.0)
    measure = measures.measure(measures.AVERAGED_CKA)
    what = (
        "Activations that end each stage, averaged over positions, on "
        f"{num_images} {split} images. Batch norm {batch_norm}."
    )
    return [
        points.similarity(
            step,
            {"value": values, "null": null},
            measure=measure,
            comparison=BEFORE_AFTER,
            rows=stages,
            columns=stages,
            row_title="step 0",
            column_title="this step",
            num_images=num_images,
            what=what,
        ),
        points.layer_profile(
            step,
            {"value": np.diag(values), "null": np.diag(null)},
            measure=measure,
            comparison=BEFORE_AFTER,
            layers=stages,
            num_images=num_images,
            what=what,
        ),
    ]


def _number(value: float | None) -> float:
    """JSON has no NaN: an undefined score is stored as null."""
    return float("nan") if value is None else float(value)
