"""A split's stored predictions: what every statistic is computed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt

from transfusion_tf.evaluation import metrics

_FIELDS = ("example_id", "patient", "label", "score")


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """The scores of one run on one split, with who they belong to.

    Attributes:
        example_id: Shape `[n]`, int64, not negative, unique.
        patient: Shape `[n]`, int64; examples of one patient share it.
        label: Shape `[n]`, int64; 0 or 1, or a class index.
        score: Shape `[n]`, or `[n, num_classes]` for class tasks, float64.

    Raises:
        ValueError: If lengths differ, an id comes twice or is negative
            (padding), or a score is not finite.

    Example:
    >>> predictions = Predictions(
    ...     example_id=[0, 1, 2], patient=[0, 0, 1],
    ...     label=[0, 1, 1], score=[0.2, 0.6, 0.9])
    >>> predictions.num_examples, predictions.num_patients
    (3, 2)
    >>> predictions.metric("auc")
    1.0
    """

    example_id: npt.NDArray[np.int64]
    patient: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        """Checks and converts the arrays."""
        label, score = metrics.check_labels_and_scores(self.label, self.score)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "score", score)
        for name in ("example_id", "patient"):
            values = _whole_numbers(name, getattr(self, name), len(label))
            object.__setattr__(self, name, values)
        _check_ids(self.example_id)

    @property
    def num_examples(self) -> int:
        """The number of scored examples."""
        return len(self.label)

    @property
    def num_patients(self) -> int:
        """The number of different patients."""
        return len(np.unique(self.patient))

    def metric(self, name: str) -> float:
        """Computes the metric of this name, one of `METRIC_NAMES`."""
        return metrics.compute_metric(name, self.label, self.score)

    def sorted(self) -> Self:
        """Returns the same predictions in the order of their ids."""
        order = np.argsort(self.example_id, kind="stable")
        arrays = self.to_arrays()
        return type(self)(**{k: v[order] for k, v in arrays.items()})

    def to_arrays(self) -> dict[str, npt.NDArray]:
        """Returns the arrays by name, as a predictions file holds them."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.ArrayLike]) -> Self:
        """Makes predictions from arrays by name, as a file holds them.

        Args:
            arrays: The arrays `example_id`, `patient`, `label`, `score`;
                others are left alone.

        Returns:
            The checked predictions.

        Raises:
            ValueError: If an array is missing or the checks fail.
        """
        missing = [name for name in _FIELDS if name not in arrays]
        if missing:
            raise ValueError(
                f"Predictions lack {', '.join(missing)}. "
                f"Received: arrays {', '.join(sorted(arrays)) or 'none'}. "
                f"A predictions file holds {', '.join(_FIELDS)}; "
                "evaluate the run again."
            )
        return cls(**{name: np.asarray(arrays[name]) for name in _FIELDS})


def align(runs: list[Predictions]) -> list[Predictions]:
    """Brings predictions on the same examples into one order.

    Args:
        runs: Predictions of several runs.

    Returns:
        The same predictions, each sorted by example id.

    Raises:
        ValueError: If two runs differ in examples, patients or labels.
    """
    runs = [run.sorted() for run in runs]
    for index, run in enumerate(runs[1:], start=1):
        for name in ("example_id", "patient", "label"):
            if not np.array_equal(getattr(run, name), getattr(runs[0], name)):
                raise ValueError(
                    "Runs to compare must be scored on the same examples. "
                    f"Received: run 0 and run {index} differ in {name} "
                    f"({runs[0].num_examples} and {run.num_examples} "
                    "examples). Evaluate both on the same task and split."
                )
    return runs


def _whole_numbers(
    name: str, values: npt.ArrayLike, length: int
) -> npt.NDArray[np.int64]:
    values = np.asarray(values)
    if values.shape != (length,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"`{name}` must hold one whole number an example. Received: "
            f"shape={values.shape}, dtype={values.dtype}, {length} "
            "examples. Give an integer array of shape [n]."
        )
    return values.astype(np.int64)


def _check_ids(example_id: npt.NDArray[np.int64]) -> None:
    if np.any(example_id < 0):
        raise ValueError(
            "Padding stands among the predictions. Received: "
            f"{int(np.sum(example_id < 0))} negative example ids. Drop rows "
            "whose example_id is -1 before storing predictions."
        )
    unique, counts = np.unique(example_id, return_counts=True)
    if len(unique) < len(example_id):
        twice = unique[counts > 1]
        raise ValueError(
            "An example is scored more than once. Received: example_id="
            f"{twice[:5].tolist()} ({len(twice)} ids come again). "
            "Each example of a split is scored exactly once."
        )
