"""Metrics of many weighted resamples at once, and patients drawn whole.

`tests/evaluation` holds these equal to scikit-learn's `sample_weight`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transfusion_tf.evaluation import metrics
from transfusion_tf.evaluation.predictions import (
    Predictions,
    Problem,
    mean_of_defined,
)

Array = npt.NDArray[np.float64]

# Resamples weighed at once: bounds the memory of a large split.
_CHUNK_ELEMENTS = 4_000_000
_MAX_ROUNDS = 1000


def weighted_metric(
    name: str, predictions: Predictions, weights: Array
) -> Array:
    """Computes a metric under each row of example weights.

    Args:
        name: One of `METRIC_NAMES`.
        predictions: Scores of n examples.
        weights: Shape `[num_resamples, n]`, not negative.

    Returns:
        Shape `[num_resamples]`, float64.
    """
    if name in metrics.CLASS_METRICS:
        top = 1 if name == "accuracy" else 5
        right = metrics.correct(predictions.label, predictions.score, top=top)
        return weights @ right.astype(np.float64) / weights.sum(axis=1)
    # Findings that lack a class in a resample have no part in its mean.
    of_findings = [
        mean_of_defined(
            np.stack(
                [
                    _binary_metric(name, problem, weights[:, problem.rows])
                    for problem in predictions.problems(finding)
                ],
                axis=-1,
            )
        )
        for finding in range(predictions.num_findings)
    ]
    return mean_of_defined(np.stack(of_findings, axis=-1))


def _binary_metric(name: str, problem: Problem, weights: Array) -> Array:
    """A metric under each row of weights; NaN where a class has none."""
    if not problem.is_defined:
        return np.full(len(weights), np.nan)
    positives, negatives = _weights_by_score(problem, weights)
    computed = (
        _weighted_auc(positives, negatives)
        if name == "auc"
        else _weighted_average_precision(positives, negatives)
    )
    has_both = (positives.sum(axis=1) > 0) & (negatives.sum(axis=1) > 0)
    return np.where(has_both, computed, np.nan)


def _weights_by_score(
    predictions: Problem, weights: Array
) -> tuple[Array, Array]:
    """Sums the weights of each class over tied scores, highest score first."""
    order = np.argsort(-predictions.score, kind="stable")
    scores = predictions.score[order]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    weights = weights[:, order]
    positive = predictions.label[order].astype(np.float64)
    positives = np.add.reduceat(weights * positive, starts, axis=1)
    negatives = np.add.reduceat(weights * (1 - positive), starts, axis=1)
    return positives, negatives


def _weighted_auc(positives: Array, negatives: Array) -> Array:
    above = np.cumsum(positives, axis=1) - positives
    won = np.sum(negatives * (above + positives / 2), axis=1)
    return _ratio(won, positives.sum(axis=1) * negatives.sum(axis=1))


def _weighted_average_precision(positives: Array, negatives: Array) -> Array:
    found = np.cumsum(positives, axis=1)
    called = found + np.cumsum(negatives, axis=1)
    precision = np.divide(
        found, called, out=np.zeros_like(found), where=called > 0
    )
    total = positives.sum(axis=1)
    return _ratio(np.sum(positives * precision, axis=1), total)


def _ratio(numerator: Array, denominator: Array) -> Array:
    return np.divide(
        numerator,
        denominator,
        out=np.full_like(numerator, np.nan),
        where=denominator > 0,
    )


def draw_patient_counts(
    predictions: Predictions,
    num_resamples: int,
    generator: np.random.Generator,
    *,
    both_classes: bool,
) -> tuple[npt.NDArray[np.int64], int]:
    """Draws bootstrap samples of whole patients.

    With folds, as many patients are drawn of each fold as it has, so that
    every network is scored in every sample.

    Args:
        predictions: The split to draw from.
        num_resamples: How many samples to draw.
        generator: Source of chance.
        both_classes: Whether a sample must hold positives and negatives;
            one that does not is drawn again.

    Returns:
        How often each patient (in the order of the sorted patient ids) is in
        each sample, shape `[num_resamples, num_patients]`, and how many
        samples were drawn again.

    Raises:
        ValueError: If samples with both classes hardly ever come.
    """
    patients, index = np.unique(predictions.patient, return_inverse=True)
    num_patients = len(patients)
    folds = np.zeros(num_patients, np.int64)
    folds[index] = predictions.fold
    counts = _draw_patients(folds, num_resamples, generator)
    if not both_classes:
        return counts, 0
    has = [
        np.bincount(index[predictions.label == k], minlength=num_patients) > 0
        for k in (0, 1)
    ]
    num_redrawn = 0
    for _ in range(_MAX_ROUNDS):
        bad = np.any([counts @ h == 0 for h in has], axis=0)
        if not bad.any():
            return counts, num_redrawn
        num_redrawn += int(bad.sum())
        counts[bad] = _draw_patients(folds, int(bad.sum()), generator)
    raise ValueError(
        "Resamples of the patients hold one class only. "
        f"Received: {num_patients} patients, "
        f"{int(has[0].sum())} with negatives, {int(has[1].sum())} with "
        "positives. An interval over patients needs more of each."
    )


def _draw_patients(
    folds: npt.NDArray[np.int64],
    num_resamples: int,
    generator: np.random.Generator,
) -> npt.NDArray[np.int64]:
    counts = np.zeros((num_resamples, len(folds)), np.int64)
    for fold in np.unique(folds):
        members = np.flatnonzero(folds == fold)
        chances = np.full(len(members), 1 / len(members))
        counts[:, members] = generator.multinomial(
            len(members), chances, size=num_resamples
        )
    return counts


def resampled_metric(
    name: str, predictions: Predictions, patient_counts: npt.NDArray[np.int64]
) -> Array:
    """Computes a metric on each bootstrap sample of patients.

    Args:
        name: One of `METRIC_NAMES`.
        predictions: The split that the counts were drawn for.
        patient_counts: Shape `[num_resamples, num_patients]`.

    Returns:
        Shape `[num_resamples]`, float64.
    """
    index = np.unique(predictions.patient, return_inverse=True)[1]
    rows = max(1, _CHUNK_ELEMENTS // predictions.num_examples)
    chunks = [
        weighted_metric(
            name,
            predictions,
            patient_counts[start : start + rows, index].astype(np.float64),
        )
        for start in range(0, len(patient_counts), rows)
    ]
    return np.concatenate(chunks)
