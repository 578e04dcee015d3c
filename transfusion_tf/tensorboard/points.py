"""What the Transfusion tab shows, as points: one tag's tensor at one step.

`writer` puts them into event files; the report in HTML shows the same points
without any.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from transfusion_tf.tensorboard import schema

RUN_INFO_TAG = "transfusion/run"
STUDY_TAG = "transfusion/study"


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A tensor of a tag at a step.

    Attributes:
        tag: Its name in TensorBoard.
        content: `plugin_data.content`; the same at every step of a tag.
        step: Steps of training done, from 0.
        values: float32; for a study's document one string of bytes.
    """

    tag: str
    content: bytes
    step: int
    values: npt.NDArray[Any]


def run_info(
    *,
    model: str,
    model_title: str,
    init: str,
    donor: str | None,
    task: str,
    metric: str,
    threshold: float | None,
    seed: int,
    fold: str | None,
    num_parameters: int,
    num_training_examples: int,
    num_steps: int,
    versions: Mapping[str, str],
) -> Point:
    """Returns what a run is; one a run directory, at step 0.

    Args:
        model: Name as in `models.build`.
        model_title: The model in print.
        init: Scheme.
        donor: What the first values were taken from, in words, if anything.
        task: Name of the task.
        metric: Metric by which runs are compared, such as "auc".
        threshold: Value of the metric whose first step is reported, if any.
        seed: Of the run, from 0.
        fold: Fold left out, such as "2/5", in a cross-validated study.
        num_parameters: Of the model.
        num_training_examples: Images trained on.
        num_steps: Steps of the whole training.
        versions: Of "tensorflow" and "keras".

    Raises:
        schema.SchemaError: If one of them is not what it should be.

    Example:
    >>> point = run_info(
    ...     model="cbr_tiny", model_title="CBR-Tiny", init="random",
    ...     donor=None, task="eyepacs_referable", metric="auc",
    ...     threshold=None, seed=0, fold=None, num_parameters=68_000,
    ...     num_training_examples=1_000, num_steps=500,
    ...     versions={"tensorflow": "2.21.0", "keras": "3.15.0"})
    >>> point.tag, point.step, point.values.shape
    ('transfusion/run', 0, (0,))
    """
    content = {
        "kind": "run_info",
        "model": model,
        "model_title": model_title,
        "init": init,
        "donor": donor,
        "task": task,
        "metric": metric,
        "threshold": threshold,
        "seed": seed,
        "fold": fold,
        "num_parameters": num_parameters,
        "num_training_examples": num_training_examples,
        "num_steps": num_steps,
        "versions": dict(versions),
    }
    return _point(RUN_INFO_TAG, content, 0, np.zeros([0], np.float32))


def similarity(
    step: int,
    planes: Mapping[str, npt.ArrayLike],
    *,
    measure: Mapping[str, Any],
    comparison: str,
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str,
    column_title: str,
    num_images: int,
    what: str,
) -> Point:
    """Returns scores of every layer of one network with every one of another.

    Args:
        step: As in `Point`.
        planes: "value", and where there are some "null", "low" and "high",
            each `[num_rows, num_columns]`; NaN where undefined.
        measure: `id`, `label`, `larger_is_more_similar`, `is_symmetric`,
            `range` (two numbers; null at an end without a bound) and
            `invariances` (words).
        comparison: Which networks: "before_after" or "between_runs".
        rows: Names of the first network's layers.
        columns: Names of the second network's layers.
        row_title: The first network in words.
        column_title: The second network in words.
        num_images: Images whose activations were compared.
        what: One sentence: which activations, sampled how.

    Raises:
        schema.SchemaError: If one of them is not what it should be.
    """
    content = {
        "kind": "similarity",
        "planes": list(planes),
        "measure": dict(measure),
        "comparison": comparison,
        "rows": {"title": row_title, "layers": list(rows)},
        "columns": {"title": column_title, "layers": list(columns)},
        "num_images": num_images,
        "what": what,
    }
    tag = f"transfusion/similarity/{comparison}/{measure.get('id')}"
    return _point(tag, content, step, _stacked(planes))


def layer_profile(
    step: int,
    planes: Mapping[str, npt.ArrayLike],
    *,
    measure: Mapping[str, Any],
    comparison: str,
    layers: Sequence[str],
    num_images: int,
    what: str,
) -> Point:
    """Returns a score a layer: the layer at a step against itself at step 0.

    Args:
        step: As in `Point`.
        planes: As in `similarity`, each `[num_layers]`.
        measure: As in `similarity`.
        comparison: As in `similarity`.
        layers: Their names.
        num_images: As in `similarity`.
        what: As in `similarity`.

    Raises:
        schema.SchemaError: If one of them is not what it should be.

    Example:
    >>> point = layer_profile(
    ...     44, {"value": [0.9, 0.4], "null": [0.1, 0.1]},
    ...     measure={"id": "cka", "label": "linear CKA",
    ...              "larger_is_more_similar": True, "is_symmetric": True,
    ...              "range": [0, 1], "invariances": ["rotation", "scale"]},
    ...     comparison="before_after", layers=["block1", "block2"],
    ...     num_images=256, what="Activations of 256 validation images.")
    >>> point.tag, point.values.shape
    ('transfusion/profile/before_after/cka', (2, 2))
    """
    content = {
        "kind": "layer_profile",
        "planes": list(planes),
        "measure": dict(measure),
        "comparison": comparison,
        "layers": list(layers),
        "num_images": num_images,
        "what": what,
    }
    tag = f"transfusion/profile/{comparison}/{measure.get('id')}"
    return _point(tag, content, step, _stacked(planes))


def filters(step: int, weights: npt.ArrayLike, *, layer: str) -> Point:
    """Returns a convolution's raw weights.

    Args:
        step: As in `Point`; 0 and the last are shown beside one another.
        weights: `[num_filters, height, width, num_channels]`; Keras holds a
            kernel the other way round, `[height, width, num_channels,
            num_filters]`.
        layer: Its name.

    Raises:
        schema.SchemaError: If one of them is not what it should be.

    Example:
    >>> point = filters(0, np.zeros([32, 7, 7, 3]), layer="conv1")
    >>> point.tag, point.values.dtype
    ('transfusion/filters/conv1', dtype('float32'))
    """
    values = np.asarray(weights, np.float32)
    is_rgb = values.shape[-1:] == (3,)
    content = {
        "kind": "filters",
        "layer": layer,
        "channels": "rgb" if is_rgb else None,
    }
    return _point(f"transfusion/filters/{layer}", content, step, values)


def study(document: Mapping[str, Any]) -> Point:
    """Returns a study's report, at step 0 of its own directory.

    Args:
        document: JSON without NaN; undefined numbers are null.

    Raises:
        schema.SchemaError: If it is not JSON, or over 8 MiB.

    Example:
    >>> study({"schema_version": 1, "name": "demo"}).values
    array([b'{"schema_version":1,"name":"demo"}'], dtype=object)
    """
    try:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise schema.SchemaError(
            f"The study's document is not JSON: {error}. Received: "
            f"{reprlib.repr(document)}. Undefined numbers should be None."
        ) from error
    values = np.array([text.encode()], dtype=object)
    return _point(STUDY_TAG, {"kind": "study"}, 0, values)


def _stacked(planes: Mapping[str, npt.ArrayLike]) -> npt.NDArray[np.float32]:
    arrays = [np.asarray(plane, np.float32) for plane in planes.values()]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise schema.SchemaError(
            "Planes should all have one shape. Received: "
            f"{[list(array.shape) for array in arrays]}."
        )
    return np.stack(arrays)


def _point(
    tag: str, content: Mapping[str, Any], step: int, values: npt.NDArray[Any]
) -> Point:
    if step < 0:
        raise schema.SchemaError(
            f"A step is negative. Received: {step}. Steps of {tag} count from "
            "0, before training."
        )
    encoded = schema.encode(content)
    schema.check_values(content, values)
    return Point(tag, encoded, step, values)
