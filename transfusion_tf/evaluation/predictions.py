"""A split's stored predictions: what every statistic is computed from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from transfusion_tf.evaluation import metrics

_FIELDS = ("example_id", "patient", "label", "score")
UNKNOWN = -1  # A finding that is not known, and not scored.


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A binary question on some of the examples.

    Attributes:
        rows: Places of the examples, int64 `[n]`.
        label: 0 or 1, int64 `[n]`.
        score: float64 `[n]`.
    """

    rows: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    score: npt.NDArray[np.float64]

    @property
    def is_defined(self) -> bool:
        """Whether there are positives and negatives."""
        return len(np.unique(self.label)) == 2


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """The scores of one run on one split, with who they belong to.

    Attributes:
        example_id: Shape `[n]`, int64, not negative, unique.
        patient: Shape `[n]`, int64; examples of one patient share it.
        label: Shape `[n]`, int64; 0 or 1, or a class index. Of findings,
            shape `[n, num_findings]`; 0, 1, or -1 where it is not known.
        score: Shape `[n]`, `[n, num_classes]` for class tasks, or
            `[n, num_findings]`, float64.
        fold: Shape `[n]`, int64; which fold of a cross-validation tested the
            example. Scores of different folds come from different networks
            and are never ranked together. All 0 without folds.

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
    fold: npt.NDArray[np.int64] = dataclasses.field(
        default_factory=lambda: np.zeros(0, np.int64)
    )

    def __post_init__(self) -> None:
        """Checks and converts the arrays."""
        label, score = metrics.check_labels_and_scores(self.label, self.score)
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "score", score)
        if not len(self.fold):
            fold = np.zeros(len(label), np.int64)
            object.__setattr__(self, "fold", fold)
        for name in ("example_id", "patient", "fold"):
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

    @property
    def num_findings(self) -> int:
        """The number of findings, 1 where there is one label."""
        return self.label.shape[1] if self.label.ndim == 2 else 1

    @property
    def is_simple(self) -> bool:
        """Whether a metric is one number of all examples, not a mean."""
        return self.label.ndim == 1 and not np.any(self.fold)

    def metric(self, name: str) -> float:
        """Computes the metric of this name, one of `METRIC_NAMES`.

        Of findings it is the mean over the findings, and with folds each
        finding's is the mean over the folds: networks' scores are compared
        with scores of the same network only. What lacks positives or
        negatives is left out of the mean.

        Source: Forman and Scholz, "Apples-to-apples in cross-validation
            studies", SIGKDD Explorations 2010: AUCs are averaged over
            folds, not computed from merged scores.
        """
        if self.is_simple or name in metrics.CLASS_METRICS:
            return metrics.compute_metric(name, self.label, self.score)
        values = [
            self.metric_of(name, finding)
            for finding in range(self.num_findings)
        ]
        mean = mean_of_defined(np.array(values))
        if np.isnan(mean):
            raise ValueError(
                f"The {name} is undefined: no finding has positives and "
                f"negatives in a fold. Received: {self.num_examples} examples. "
                "Score a split that holds both."
            )
        return float(mean)

    def metric_of(self, name: str, finding: int) -> float:
        """Computes a binary metric of one finding, the mean over folds.

        Args:
            name: "auc" or "average_precision".
            finding: Its place.

        Returns:
            The metric, or NaN where no fold has positives and negatives.
        """
        values = [
            metrics.compute_metric(name, problem.label, problem.score)
            if problem.is_defined
            else np.nan
            for problem in self.problems(finding)
        ]
        return float(mean_of_defined(np.array(values)))

    def problems(self, finding: int) -> list[Problem]:
        """Returns the binary questions of a finding, one a fold.

        Args:
            finding: Its place; 0 where there is one label.
        """
        label = self.label.reshape(self.num_examples, -1)[:, finding]
        score = self.score.reshape(self.num_examples, -1)[:, finding]
        return [
            Problem(rows, label[rows], score[rows])
            for fold in np.unique(self.fold)
            for rows in [
                np.flatnonzero((self.fold == fold) & (label != UNKNOWN))
            ]
        ]

    def with_findings(self, places: Sequence[int]) -> Self:
        """Returns the predictions of some findings, in this order."""
        return dataclasses.replace(
            self, label=self.label[:, places], score=self.score[:, places]
        )

    def finding(self, place: int) -> Self:
        """Returns the predictions of one finding, where it is known."""
        known = np.flatnonzero(self.label[:, place] != UNKNOWN)
        return type(self)(
            example_id=self.example_id[known],
            patient=self.patient[known],
            label=self.label[known, place],
            score=self.score[known, place],
            fold=self.fold[known],
        )

    def describe_findings(
        self, names: Sequence[str]
    ) -> dict[str, dict[str, float | int | None]]:
        """Computes each finding's metrics and counts.

        Args:
            names: Names of the findings.

        Returns:
            Name to `auc` and `average_precision`, `None` where undefined,
            `num_positives` and `num_negatives`.
        """
        described = {}
        for place, name in enumerate(names):
            values = {
                metric: self.metric_of(metric, place)
                for metric in ("auc", "average_precision")
            }
            described[name] = {
                **{k: None if np.isnan(v) else v for k, v in values.items()},
                "num_positives": int((self.label[:, place] == 1).sum()),
                "num_negatives": int((self.label[:, place] == 0).sum()),
            }
        return described

    def sorted(self) -> Self:
        """Returns the same predictions in the order of their ids."""
        order = np.argsort(self.example_id, kind="stable")
        arrays = self.to_arrays()
        return type(self)(**{k: v[order] for k, v in arrays.items()})

    def to_arrays(self) -> dict[str, npt.NDArray]:
        """Returns the arrays by name, as a predictions file holds them."""
        arrays = {name: getattr(self, name) for name in _FIELDS}
        return arrays | ({"fold": self.fold} if np.any(self.fold) else {})

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
        names = [*_FIELDS, "fold"] if "fold" in arrays else _FIELDS
        return cls(**{name: np.asarray(arrays[name]) for name in names})


def merge_folds(folds: Sequence[Predictions]) -> Predictions:
    """Puts the test predictions of a cross-validation together.

    Args:
        folds: Predictions of each fold's network on its own test patients,
            who are numbered anew in every fold.

    Returns:
        All of them, with `fold` counted from 0 and patients numbered on.

    Raises:
        ValueError: If an example is in two folds.

    Example:
    >>> fold = {"patient": [0, 0], "label": [0, 1], "score": [0.1, 0.9]}
    >>> merged = merge_folds([Predictions(example_id=[0, 2], **fold),
    ...                       Predictions(example_id=[1, 3], **fold)])
    >>> merged.num_patients, merged.metric("auc")
    (2, 1.0)
    """
    arrays = {
        name: np.concatenate([getattr(fold, name) for fold in folds])
        for name in _FIELDS
    }
    sizes = [fold.num_examples for fold in folds]
    starts = np.cumsum([0, *(1 + fold.patient.max() for fold in folds[:-1])])
    arrays["patient"] = arrays["patient"] + np.repeat(starts, sizes)
    return Predictions(**arrays, fold=np.repeat(np.arange(len(folds)), sizes))


def mean_of_defined(
    values: npt.NDArray[np.float64], axis: int = -1
) -> npt.NDArray[np.float64]:
    """Means along an axis without NaNs; NaN where there is nothing else."""
    is_defined = ~np.isnan(values)
    count = is_defined.sum(axis=axis)
    total = np.where(is_defined, values, 0.0).sum(axis=axis)
    return np.divide(
        total, count, out=np.full(np.shape(total), np.nan), where=count > 0
    )


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
        for name in ("example_id", "patient", "label", "fold"):
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
