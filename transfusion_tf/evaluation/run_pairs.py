"""Intervals of what is measured on pairs of runs.

Pairs that share a run are not independent: three runs make three pairs, and
no more than three draws of chance. So runs are resampled, not pairs: a pair
counts as often as its two runs were drawn, a run is no pair with itself, and
a run has the same weight in every set of pairs that it is part of. Then the
samples are, the same of every pair.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

from transfusion_tf.evaluation import intervals

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Run:
    """A run: which arm it is of, and its seed."""

    arm: str
    seed: int


Pair = tuple[Run, Run]


@dataclasses.dataclass(frozen=True)
class LinearFit:
    """A fitted line.

    Attributes:
        slope: Of y against x.
        intercept: Of y where x is 0.
        r_squared: Part of the variance of y that the line explains, in
            [0, 1], with its interval over runs and samples.
    """

    slope: float
    intercept: float
    r_squared: intervals.Interval


def pairs_interval(
    pairs: Sequence[Pair],
    scores: npt.ArrayLike,
    *,
    level: float = intervals.DEFAULT_LEVEL,
    num_resamples: int = intervals.DEFAULT_RESAMPLES,
    seed: int = 0,
) -> intervals.Interval:
    """Computes the interval of the mean score over pairs of runs.

    Args:
        pairs: The two runs of each pair; at least 3 runs of each arm.
        scores: Shape `[num_pairs, num_samples]`, finite.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling.

    Returns:
        The interval around the mean. It holds the test images fixed. With
        few runs it is too narrow, as a bootstrap of few is.

    Raises:
        ValueError: If an arm has fewer than 3 runs, or a score is not
            finite.

    Example:
    >>> runs = [Run("random", seed) for seed in range(3)]
    >>> pairs = [(runs[0], runs[1]), (runs[0], runs[2]), (runs[1], runs[2])]
    >>> str(pairs_interval(pairs, [[0.3], [0.3], [0.6]]))
    '0.400 [0.300, 0.600]'
    """
    scores = _checked(pairs, scores)
    (weights,) = _draw_weights([pairs], scores.shape[1], num_resamples, seed)
    return intervals.percentile(
        float(scores.mean()),
        _weighted_mean(weights, scores),
        level,
        _method(pairs, scores),
    )


def pairs_difference_interval(
    first_pairs: Sequence[Pair],
    first_scores: npt.ArrayLike,
    second_pairs: Sequence[Pair],
    second_scores: npt.ArrayLike,
    *,
    level: float = intervals.DEFAULT_LEVEL,
    num_resamples: int = intervals.DEFAULT_RESAMPLES,
    seed: int = 0,
) -> intervals.Interval:
    """Computes the interval of the difference of two means, `first - second`.

    A run that is part of both sets is drawn once for both.

    Args:
        first_pairs: As `pairs_interval`.
        first_scores: Shape `[num_first_pairs, num_samples]`.
        second_pairs: As `pairs_interval`.
        second_scores: Shape `[num_second_pairs, num_samples]`.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling.

    Returns:
        The interval around the difference of the means.

    Raises:
        ValueError: As `pairs_interval`, or if the numbers of samples differ.

    Example:
    >>> runs = [Run("random", seed) for seed in range(3)]
    >>> pairs = [(runs[0], runs[1]), (runs[0], runs[2]), (runs[1], runs[2])]
    >>> scores = np.array([[0.3], [0.3], [0.6]])
    >>> str(pairs_difference_interval(pairs, scores, pairs, scores - 0.1))
    '0.100 [0.100, 0.100]'
    """
    first = _checked(first_pairs, first_scores)
    second = _checked(second_pairs, second_scores)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            "Samples are drawn once for both sides. Received: "
            f"{first.shape[1]} and {second.shape[1]} samples a pair. Compare "
            "both with the same number of repeats."
        )
    ours, theirs = _draw_weights(
        [first_pairs, second_pairs], first.shape[1], num_resamples, seed
    )
    return intervals.percentile(
        float(first.mean() - second.mean()),
        _weighted_mean(ours, first) - _weighted_mean(theirs, second),
        level,
        _method([*first_pairs, *second_pairs], first),
    )


def fit_pairs(
    pairs: Sequence[Pair],
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    level: float = intervals.DEFAULT_LEVEL,
    num_resamples: int = intervals.DEFAULT_RESAMPLES,
    seed: int = 0,
) -> LinearFit:
    """Fits a line to one point a pair and sample.

    Args:
        pairs: The two runs of each pair; at least 3 runs of each arm.
        x: Shape `[num_pairs, num_samples]`, finite, not all equal.
        y: The same shape, finite.
        level: Confidence level, in (0, 1).
        num_resamples: Number of resamples, at least 2.
        seed: Seed of the resampling.

    Returns:
        The line by least squares, and the interval of its R^2. R^2 is biased
        upwards where there are few points, and in resamples of few runs more
        so: the estimate may lie at the lower end of its interval.

    Raises:
        ValueError: If an arm has fewer than 3 runs, a score is not finite,
            or all of `x` is one value.

    Example:
    >>> runs = [Run("random", seed) for seed in range(3)]
    >>> pairs = [(runs[0], runs[1]), (runs[0], runs[2]), (runs[1], runs[2])]
    >>> x = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.7]])
    >>> fit = fit_pairs(pairs, x, 2 * x + 1)
    >>> round(fit.slope, 6), round(fit.intercept, 6), str(fit.r_squared)
    (2.0, 1.0, '1.000 [1.000, 1.000]')
    """
    x, y = _checked(pairs, x), _checked(pairs, y)
    if np.ptp(x) == 0:
        raise ValueError(
            "A line needs points that differ. Received: x is "
            f"{x.flat[0]} of all {x.size} points. Compare runs that differ at "
            "step 0."
        )
    fit = stats.linregress(x.ravel(), y.ravel())
    (weights,) = _draw_weights([pairs], x.shape[1], num_resamples, seed)
    r_squared = intervals.percentile(
        float(fit.rvalue**2),
        _weighted_r_squared(weights, x, y),
        level,
        _method(pairs, x),
    )
    return LinearFit(float(fit.slope), float(fit.intercept), r_squared)


def has_enough_runs(pairs: Sequence[Pair]) -> bool:
    """Tells whether there are the 3 runs an arm that an interval needs.

    Example:
    >>> has_enough_runs([(Run("random", 0), Run("random", 1))])
    False
    """
    counts = [len(runs) for runs in _runs_by_arm(pairs).values()]
    return bool(counts) and min(counts) >= intervals.MIN_SEEDS


def _runs_by_arm(pairs: Sequence[Pair]) -> dict[str, list[Run]]:
    runs = sorted(
        {run for pair in pairs for run in pair}, key=dataclasses.astuple
    )
    by_arm: dict[str, list[Run]] = {}
    for run in runs:
        by_arm.setdefault(run.arm, []).append(run)
    return by_arm


def _checked(pairs: Sequence[Pair], scores: npt.ArrayLike) -> Array:
    scores = np.asarray(scores, dtype=np.float64)
    if not has_enough_runs(pairs):
        counts = {arm: len(runs) for arm, runs in _runs_by_arm(pairs).items()}
        raise ValueError(
            "An interval over runs needs at least "
            f"{intervals.MIN_SEEDS} runs of each arm. Received: {counts}. "
            "Train more seeds (--seeds=0,1,2), or show each pair."
        )
    if scores.ndim != 2 or len(scores) != len(pairs):
        raise ValueError(
            "Scores are [num_pairs, num_samples]. Received: shape="
            f"{scores.shape}, {len(pairs)} pairs. Give a row a pair."
        )
    if not np.all(np.isfinite(scores)):
        raise ValueError(
            "A score is not finite. Received: "
            f"{int((~np.isfinite(scores)).sum())} of {scores.size} undefined. "
            "Leave out the stage: a constant one has no similarity."
        )
    return scores


def _draw_weights(
    sets: Sequence[Sequence[Pair]],
    num_samples: int,
    num_resamples: int,
    seed: int,
) -> list[Array]:
    """Draws how often each pair and sample counts in each resample.

    Returns:
        Of each set of pairs `[num_resamples, num_pairs, num_samples]`. All
        are 0 where no two runs of a pair were drawn.
    """
    generator = np.random.default_rng(seed)
    drawn: dict[Run, npt.NDArray[np.int64]] = {}
    for runs in _runs_by_arm(
        [pair for pairs in sets for pair in pairs]
    ).values():
        counts = generator.multinomial(
            len(runs), np.full(len(runs), 1 / len(runs)), size=num_resamples
        )
        drawn |= dict(zip(runs, counts.T, strict=True))
    samples = generator.multinomial(
        num_samples, np.full(num_samples, 1 / num_samples), size=num_resamples
    )
    return [
        np.stack([drawn[a] * drawn[b] for a, b in pairs], axis=1)[:, :, None]
        * samples[:, None, :].astype(np.float64)
        for pairs in sets
    ]


def _weighted_mean(weights: Array, scores: Array) -> Array:
    """Mean of each resample; NaN where it holds no pair."""
    total = weights.sum(axis=(1, 2))
    return np.divide(
        np.sum(weights * scores, axis=(1, 2)),
        total,
        out=np.full_like(total, np.nan),
        where=total > 0,
    )


def _weighted_r_squared(weights: Array, x: Array, y: Array) -> Array:
    """R^2 of each resample; NaN where x or y is one value in it."""
    is_defined = _differs(weights, x) & _differs(weights, y)
    x = x - _weighted_mean(weights, x)[:, None, None]
    y = y - _weighted_mean(weights, y)[:, None, None]
    xy, xx, yy = (
        np.sum(weights * product, axis=(1, 2))
        for product in (x * y, x * x, y * y)
    )
    r_squared = np.divide(
        xy**2, xx * yy, out=np.full_like(xy, np.nan), where=is_defined
    )
    return np.minimum(r_squared, 1)  # Rounding leaves the range.


def _differs(weights: Array, values: Array) -> npt.NDArray[np.bool_]:
    """Tells of each resample whether it holds two values or more.

    By the values themselves: about their mean they differ by rounding.
    """
    is_drawn = weights > 0
    low = np.where(is_drawn, values, np.inf).min(axis=(1, 2))
    high = np.where(is_drawn, values, -np.inf).max(axis=(1, 2))
    return low < high


def _method(pairs: Sequence[Pair], scores: Array) -> str:
    runs = ", ".join(
        f"{len(runs)} runs of {arm}"
        for arm, runs in _runs_by_arm(pairs).items()
    )
    return f"bootstrap of {runs}, then of {scores.shape[1]} samples"
