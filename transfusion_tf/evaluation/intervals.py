"""Intervals over patients, over seeds, and over both.

Three sources of chance, three intervals:

* *patient*: had other patients been tested? Bootstrap of whole patients
  within one run.
* *seed*: had the model been trained again? Student's t over runs.
* *joint*: both. Seeds are resampled, then patients, and a difference of two
  arms sees the same resampled patients on both sides.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from transfusion_tf.evaluation import metrics, resampling
from transfusion_tf.evaluation.predictions import Predictions, align

MIN_SEEDS = 3
DEFAULT_LEVEL = 0.95
DEFAULT_RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Attributes:
        estimate: The statistic of the data as they are.
        low: Lower end.
        high: Upper end.
        level: Confidence level, in (0, 1).
        method: What was resampled or assumed, in words.
        num_redrawn: Resamples drawn again, or left out, because they held
            one class only.

    Example:
    >>> str(Interval(0.7, 0.6, 0.8, 0.95, "patients"))
    '0.700 [0.600, 0.800]'
    """

    estimate: float
    low: float
    high: float
    level: float
    method: str
    num_redrawn: int = 0

    def __str__(self) -> str:
        """Returns the estimate and the ends to three places."""
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def excludes(self, value: float) -> bool:
        """Tells whether `value` lies outside the interval."""
        return not self.low <= value <= self.high

    def to_json(self) -> dict[str, float | int | str]:
        """Returns the fields as plain JSON values."""
        return dataclasses.asdict(self)


def patient_interval(
    predictions: Predictions,
    metric: str = "auc",
    *,
    level: float = DEFAULT_LEVEL,
    num_resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Computes the percentile bootstrap interval over the patients of a run.

    Whole patients are drawn with replacement, so the two eyes of a patient
    stay together. A resample with one class only is drawn again.

    Args:
        predictions: The run's scores.
        metric: One of `METRIC_NAMES`.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling; equal seeds give equal intervals.

    Returns:
        The interval around the metric of all examples.

    Raises:
        ValueError: If an argument is out of range, the metric is undefined,
            or there is one patient only.

    Example:
    >>> predictions = Predictions(
    ...     example_id=range(8), patient=[0, 0, 1, 1, 2, 2, 3, 3],
    ...     label=[0, 0, 0, 1, 1, 1, 0, 1],
    ...     score=[.1, .2, .6, .5, .7, .9, .3, .8])
    >>> interval = patient_interval(predictions)
    >>> interval.low <= interval.estimate <= interval.high
    True
    """
    values, num_redrawn = _resample(
        [predictions], metric, level, num_resamples, seed
    )
    return percentile(
        predictions.metric(metric),
        values[0],
        level,
        "percentile bootstrap of patients",
        num_redrawn,
    )


def patient_difference_interval(
    first: Predictions,
    second: Predictions,
    metric: str = "auc",
    *,
    level: float = DEFAULT_LEVEL,
    num_resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Computes the interval of `first - second` over patients, paired.

    Both runs see the same resampled patients. Chance of training is not in
    it: for that, see `joint_difference_interval`.

    Args:
        first: Scores of one run.
        second: Scores of the other run on the same examples.
        metric: One of `METRIC_NAMES`.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling.

    Returns:
        The interval of the difference.

    Raises:
        ValueError: As `patient_interval`, or if the examples differ.

    Example:
    >>> run = Predictions(example_id=range(4), patient=range(4),
    ...                   label=[0, 1, 0, 1], score=[.1, .2, .3, .4])
    >>> str(patient_difference_interval(run, run))
    '0.000 [0.000, 0.000]'
    """
    runs = align([first, second])
    values, num_redrawn = _resample(runs, metric, level, num_resamples, seed)
    return percentile(
        runs[0].metric(metric) - runs[1].metric(metric),
        values[0] - values[1],
        level,
        "percentile bootstrap of patients, paired",
        num_redrawn,
    )


def seed_interval(
    values: npt.ArrayLike, *, level: float = DEFAULT_LEVEL
) -> Interval:
    """Computes Student's t interval of the mean over runs.

    Args:
        values: Shape `[num_seeds]`, one metric a run, at least 3.
        level: Confidence level, in (0, 1).

    Returns:
        The interval of the mean over training runs. It holds the test
        patients fixed.

    Raises:
        ValueError: If there are fewer than 3 runs, or a value is not finite.

    Example:
    >>> str(seed_interval([0.70, 0.72, 0.74]))
    '0.720 [0.670, 0.770]'
    """
    values = np.asarray(values, dtype=np.float64)
    _check_level(level)
    _check_seeds(values.shape[0] if values.ndim == 1 else 0)
    if not np.all(np.isfinite(values)):
        raise ValueError(
            "A run's metric is not finite. "
            f"Received: values={values.tolist()}. Leave no failed run in."
        )
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / np.sqrt(len(values))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1)) * error
    method = f"Student's t over {len(values)} seeds"
    return Interval(mean, mean - half, mean + half, level, method)


def joint_interval(
    runs: Sequence[Predictions],
    metric: str = "auc",
    *,
    level: float = DEFAULT_LEVEL,
    num_resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Computes the interval of an arm's mean metric over seeds and patients.

    In each resample the seeds are drawn with replacement, then the patients;
    the drawn runs are scored on the same drawn patients and averaged. With
    few seeds the part of it that is due to seeds is narrow: read it beside
    `seed_interval`.

    Args:
        runs: Scores of at least 3 runs, on the same examples.
        metric: One of `METRIC_NAMES`.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling.

    Returns:
        The interval around the mean over runs.

    Raises:
        ValueError: If there are fewer than 3 runs or their examples differ.

    Example:
    >>> run = Predictions(example_id=range(4), patient=range(4),
    ...                   label=[0, 0, 1, 1], score=[.1, .2, .3, .4])
    >>> str(joint_interval([run, run, run]))
    '1.000 [1.000, 1.000]'
    """
    _check_seeds(len(runs))
    runs = align(list(runs))
    values, num_redrawn = _resample(runs, metric, level, num_resamples, seed)
    draws = _draw_seeds(len(runs), num_resamples, seed, stream=1)
    return percentile(
        float(np.mean([run.metric(metric) for run in runs])),
        _mean_of_drawn(values, draws),
        level,
        f"bootstrap of {len(runs)} seeds, then patients",
        num_redrawn,
    )


def joint_difference_interval(
    first: Sequence[Predictions],
    second: Sequence[Predictions],
    metric: str = "auc",
    *,
    paired_seeds: bool = True,
    level: float = DEFAULT_LEVEL,
    num_resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Computes the interval of the difference of two arms, `first - second`.

    As `joint_interval`, with the same resampled patients for both arms and,
    where the k-th runs of both arms were trained with the same seed, the same
    resampled seeds.

    Args:
        first: Scores of at least 3 runs of one arm.
        second: Scores of at least 3 runs of the other, on the same examples.
        metric: One of `METRIC_NAMES`.
        paired_seeds: Whether the k-th runs belong together.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling.

    Returns:
        The interval around the difference of the means over runs.

    Raises:
        ValueError: If an arm has fewer than 3 runs, examples differ, or
            paired arms differ in their number of runs.

    Example:
    >>> run = Predictions(example_id=range(4), patient=range(4),
    ...                   label=[0, 1, 0, 1], score=[.1, .2, .3, .4])
    >>> str(joint_difference_interval([run] * 3, [run] * 3))
    '0.000 [0.000, 0.000]'
    """
    _check_seeds(min(len(first), len(second)))
    if paired_seeds and len(first) != len(second):
        raise ValueError(
            "Paired arms need as many runs. Received: "
            f"{len(first)} and {len(second)} runs. Train the missing seeds, "
            "or give paired_seeds=False."
        )
    runs = align([*first, *second])
    values, num_redrawn = _resample(runs, metric, level, num_resamples, seed)
    split = len(first)
    ours = _draw_seeds(split, num_resamples, seed, stream=1)
    theirs = (
        ours
        if paired_seeds
        else _draw_seeds(len(second), num_resamples, seed, stream=2)
    )
    resampled = _mean_of_drawn(values[:split], ours) - _mean_of_drawn(
        values[split:], theirs
    )
    points = [run.metric(metric) for run in runs]
    return percentile(
        float(np.mean(points[:split]) - np.mean(points[split:])),
        resampled,
        level,
        f"bootstrap of {'paired ' if paired_seeds else ''}seeds, then "
        "patients, paired",
        num_redrawn,
    )


def _resample(
    runs: list[Predictions],
    metric: str,
    level: float,
    num_resamples: int,
    seed: int,
) -> tuple[npt.NDArray[np.float64], int]:
    """Scores every run on the same resampled patients."""
    metrics.check_metric_name(metric)
    _check_level(level)
    if num_resamples < 2:
        raise ValueError(
            "A bootstrap needs resamples. "
            f"Received: num_resamples={num_resamples}. Use at least 2; "
            "1000 is usual."
        )
    if runs[0].num_patients < 2:
        raise ValueError(
            "An interval over patients needs patients. Received: 1 patient "
            f"with {runs[0].num_examples} examples. Check the patient ids "
            "of the task."
        )
    runs[0].metric(metric)  # An undefined metric is an error before any draw.
    counts, num_redrawn = resampling.draw_patient_counts(
        runs[0],
        num_resamples,
        np.random.default_rng([seed, 0]),
        both_classes=runs[0].is_simple and metric not in metrics.CLASS_METRICS,
    )
    values = [resampling.resampled_metric(metric, r, counts) for r in runs]
    return np.stack(values), num_redrawn


def _draw_seeds(
    num_seeds: int, num_resamples: int, seed: int, *, stream: int
) -> npt.NDArray[np.int64]:
    generator = np.random.default_rng([seed, stream])
    return generator.integers(num_seeds, size=(num_seeds, num_resamples))


def _mean_of_drawn(
    values: npt.NDArray[np.float64], draws: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    return np.take_along_axis(values, draws, axis=0).mean(axis=0)


def percentile(
    estimate: float,
    values: npt.NDArray[np.float64],
    level: float,
    method: str,
    num_redrawn: int = 0,
) -> Interval:
    """Puts the percentiles of resampled values around an estimate.

    Args:
        estimate: The statistic of the data as they are.
        values: The statistic of each resample; NaN where it has none.
        level: Confidence level, in (0, 1).
        method: What was resampled, in words.
        num_redrawn: Resamples that were drawn again before.

    Returns:
        The interval; undefined resamples are left out and counted.

    Raises:
        ValueError: If most resamples are undefined.
    """
    _check_level(level)
    # A finding of few positives may have none in a whole resample.
    defined = values[~np.isnan(values)]
    num_redrawn += len(values) - len(defined)
    if len(defined) < len(values) / 2:
        raise ValueError(
            "Most resamples leave the statistic undefined. Received: "
            f"{len(values) - len(defined)} of {len(values)} resamples. An "
            "interval over patients needs more of both classes, one over runs "
            "needs scores that differ."
        )
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(
        estimate, float(low), float(high), level, method, num_redrawn
    )


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(
            "The confidence level lies between 0 and 1. "
            f"Received: level={level}. 0.95 is usual."
        )


def _check_seeds(num_seeds: int) -> None:
    if num_seeds < MIN_SEEDS:
        raise ValueError(
            f"An interval over seeds needs at least {MIN_SEEDS} runs. "
            f"Received: {num_seeds} runs. Train more seeds (--seeds=0,1,2), "
            "or show each run with its patient interval."
        )
