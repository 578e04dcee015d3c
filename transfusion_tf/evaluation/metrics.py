"""Exact metrics of stored scores, from scikit-learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sklearn_metrics

CLASS_METRICS = ("accuracy", "top5_accuracy")
METRIC_NAMES: tuple[str, ...] = ("auc", "average_precision", *CLASS_METRICS)
_TOP = 5


def auc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Computes the area under the ROC curve, exactly.

    Args:
        labels: Shape `[n]`, integers, 0 (negative) or 1 (positive).
        scores: Shape `[n]`, finite; a higher score means "more positive".
            Only the order matters; ties count one half.

    Returns:
        The AUC, in [0, 1].

    Raises:
        ValueError: If only one class is present, a label is neither 0 nor 1,
            a score is not finite, or the shapes do not fit.

    Example:
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    labels, scores = _binary(labels, scores, "AUC")
    return float(sklearn_metrics.roc_auc_score(labels, scores))


def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Computes the average precision (area under precision against recall).

    Args:
        labels: Shape `[n]`, integers, 0 (negative) or 1 (positive).
        scores: Shape `[n]`, finite; a higher score means "more positive".

    Returns:
        The average precision, in (0, 1]; uninformative scores give the share
        of positives, not one half.

    Raises:
        ValueError: As `auc`.

    Example:
    >>> round(average_precision([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    labels, scores = _binary(labels, scores, "average precision")
    return float(sklearn_metrics.average_precision_score(labels, scores))


def accuracy(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Computes the share of examples whose highest score is the true class.

    Args:
        labels: Shape `[n]`, integers, the class index from 0.
        scores: Shape `[n, num_classes]`, finite, a score a class; of equal
            highest scores the first class is taken.

    Returns:
        The accuracy, in [0, 1].

    Raises:
        ValueError: If the shapes do not fit, a label has no column, or a
            score is not finite.

    Example:
    >>> accuracy([0, 2], [[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]])
    0.5
    """
    return float(np.mean(correct(labels, scores)))


def top5_accuracy(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Computes the share of examples whose class is among the five highest.

    Args:
        labels: Shape `[n]`, integers, the class index from 0.
        scores: Shape `[n, num_classes]`, finite, a score a class; of equal
            scores the first classes are taken.

    Returns:
        The accuracy, in [0, 1].

    Raises:
        ValueError: As `accuracy`.

    Example:
    >>> top5_accuracy([0, 5], [[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1]])
    0.5
    """
    return float(np.mean(correct(labels, scores, top=_TOP)))


def correct(
    labels: npt.ArrayLike, scores: npt.ArrayLike, *, top: int = 1
) -> npt.NDArray[np.bool_]:
    """Tells for each example whether the true class scores among the highest.

    Args:
        labels: Shape `[n]`, integers, the class index from 0.
        scores: Shape `[n, num_classes]`.
        top: How many highest scores count.

    Returns:
        Shape `[n]`, bool.

    Raises:
        ValueError: As `accuracy`.
    """
    labels, scores = check_labels_and_scores(labels, scores)
    if scores.ndim != 2:
        raise ValueError(
            "Accuracy needs one score a class. "
            f"Received: scores of shape {scores.shape}. Give scores of "
            "shape [n, num_classes], or use the metric 'auc' for a binary "
            "task."
        )
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ValueError(
            "A label has no score. Received: labels from "
            f"{labels.min()} to {labels.max()}, num_classes="
            f"{scores.shape[1]}. Labels are class indices from 0."
        )
    highest = np.argsort(-scores, axis=1, kind="stable")[:, :top]
    return np.any(highest == labels[:, None], axis=1)


def compute_metric(
    name: str, labels: npt.ArrayLike, scores: npt.ArrayLike
) -> float:
    """Computes one metric by its name.

    Args:
        name: One of `METRIC_NAMES`.
        labels: Shape `[n]`, integers.
        scores: Shape `[n]`, or `[n, num_classes]` for `accuracy`.

    Returns:
        The metric, in [0, 1].

    Raises:
        ValueError: If the name is unknown or the metric refuses its input.

    Example:
    >>> compute_metric("auc", [0, 1], [0.2, 0.7])
    1.0
    """
    check_metric_name(name)
    functions = {
        "auc": auc,
        "average_precision": average_precision,
        "accuracy": accuracy,
        "top5_accuracy": top5_accuracy,
    }
    return functions[name](labels, scores)


def check_metric_name(name: str) -> None:
    """Raises `ValueError` unless `name` is one of `METRIC_NAMES`."""
    if name not in METRIC_NAMES:
        raise ValueError(
            f"Unknown metric. Received: metric={name!r}. "
            f"Choose one of {', '.join(METRIC_NAMES)}."
        )


def check_labels_and_scores(
    labels: npt.ArrayLike, scores: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Checks and converts labels and scores, or says what is wrong.

    Args:
        labels: Shape `[n]`, or `[n, num_findings]`, whole numbers.
        scores: Shape `[n]`, `[n, num_classes]` or `[n, num_findings]`,
            finite.

    Returns:
        The labels as int64 and the scores as float64.

    Raises:
        ValueError: If the input is empty, the lengths differ, labels are not
            whole numbers or a score is not finite.
    """
    raw_labels = np.asarray(labels)
    scores = np.asarray(scores, dtype=np.float64)
    is_findings = raw_labels.ndim == 2 and raw_labels.shape == scores.shape
    if not is_findings and (
        raw_labels.ndim != 1 or raw_labels.shape[0] != len(scores)
    ):
        raise ValueError(
            "Labels and scores must be as many. Received: labels of shape "
            f"{raw_labels.shape}, scores of shape {scores.shape}. Give "
            "labels [n] and scores [n] or [n, num_classes], or both "
            "[n, num_findings]."
        )
    if not len(raw_labels):
        raise ValueError(
            "There is nothing to score. Received: 0 examples. "
            "Check that the split holds examples."
        )
    if not np.all(np.isfinite(raw_labels)) or np.any(raw_labels % 1):
        raise ValueError(
            "Labels must be whole numbers. Received: labels of type "
            f"{raw_labels.dtype} with other values. Give class indices."
        )
    bad = np.flatnonzero(~np.isfinite(scores.reshape(len(scores), -1)).all(1))
    if len(bad):
        raise ValueError(
            "A score is not a finite number. Received: "
            f"{len(bad)} of {len(scores)} scores NaN or infinite, the first "
            f"at position {bad[0]}. The model has diverged: lower "
            "--learning_rate, or predict from an earlier checkpoint."
        )
    return raw_labels.astype(np.int64), scores


def _binary(
    labels: npt.ArrayLike, scores: npt.ArrayLike, metric: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    labels, scores = check_labels_and_scores(labels, scores)
    if scores.ndim != 1:
        raise ValueError(
            f"The {metric} needs one score an example. Received: scores of "
            f"shape {scores.shape}. Give scores of shape [n]."
        )
    classes = np.unique(labels)
    if not np.all(np.isin(classes, (0, 1))):
        raise ValueError(
            f"The {metric} needs labels 0 and 1. "
            f"Received: labels={classes[:10].tolist()}. "
            "Use a binary task, or the metric 'accuracy'."
        )
    if len(classes) < 2:
        raise ValueError(
            f"The {metric} is undefined with one class. Received: "
            f"{len(labels)} examples, all with label {classes[0]}. "
            "Score a split that holds positives and negatives."
        )
    return labels, scores
