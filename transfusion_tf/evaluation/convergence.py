"""Steps to a threshold, with runs that never reach it counted as censored."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class StepsToThreshold:
    """When a run first rose above a threshold.

    Attributes:
        threshold: The value to rise above.
        steps: The step of the first evaluation above it, or None (censored).
        last_step: The last step evaluated.

    Example:
    >>> str(StepsToThreshold(0.8, 24, 60)), str(StepsToThreshold(0.8, None, 60))
    ('24', '>60')
    """

    threshold: float
    steps: int | None
    last_step: int

    @property
    def is_censored(self) -> bool:
        """Whether the threshold was not reached."""
        return self.steps is None

    def __str__(self) -> str:
        """Returns the steps, or `>last_step` where censored."""
        return f">{self.last_step}" if self.steps is None else f"{self.steps}"

    def to_json(self) -> dict[str, float | int | None]:
        """Returns the fields as plain JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class StepsSummary:
    """Steps to a threshold over the runs of an arm; no run is left out.

    Attributes:
        num_runs: All runs.
        num_reached: Runs that reached the threshold.
        median: The median over all runs, or a lower bound of it.
        median_is_lower_bound: Whether the median lies among censored runs.
        restricted_mean: The mean with a censored run counted at its last
            step.
        restricted_mean_is_lower_bound: Whether any run is censored.

    Example:
    >>> summary = summarize_steps([StepsToThreshold(0.8, 24, 60),
    ...                            StepsToThreshold(0.8, 36, 60),
    ...                            StepsToThreshold(0.8, None, 60)])
    >>> str(summary)
    '36 (2 of 3 reached)'
    """

    num_runs: int
    num_reached: int
    median: float
    median_is_lower_bound: bool
    restricted_mean: float
    restricted_mean_is_lower_bound: bool

    def __str__(self) -> str:
        """Returns the median, or its lower bound, and how many reached."""
        bound = ">" if self.median_is_lower_bound else ""
        reached = f"{self.num_reached} of {self.num_runs} reached"
        return f"{bound}{self.median:.10g} ({reached})"


def steps_to_threshold(
    steps: npt.ArrayLike, values: npt.ArrayLike, threshold: float
) -> StepsToThreshold:
    """Finds the first evaluation with a value strictly above a threshold.

    Args:
        steps: Shape `[num_evaluations]`, strictly increasing integers.
        values: Shape `[num_evaluations]`, the metric at each step, finite.
        threshold: The value to rise above; equal is not above.

    Returns:
        The first step above, or a censored result with the last step.

    Raises:
        ValueError: If there is no evaluation, the shapes differ, the steps
            do not increase or a value is not finite.

    Example:
    >>> steps_to_threshold([10, 20, 30], [0.6, 0.8, 0.85], 0.8).steps
    30

    Source: the first evaluation with AUC > 0.91 of the paper's section on
        convergence (Figures 7 and 8).
    """
    steps = np.asarray(steps)
    values = np.asarray(values, dtype=np.float64)
    if steps.ndim != 1 or steps.shape != values.shape or not len(steps):
        raise ValueError(
            "Each evaluation has a step and a value. Received: "
            f"{steps.size} steps, {values.size} values. Give as many of "
            "each, at least one; a run without evaluations needs a smaller "
            "--eval_every_steps."
        )
    if np.any(np.diff(steps) <= 0) or not np.all(np.isfinite(values)):
        raise ValueError(
            "Evaluations must be in the order of their steps, each once, "
            f"with finite values. Received: steps={steps[:20].tolist()}, "
            f"values={values[:20].tolist()}. The metrics file is damaged."
        )
    above = np.flatnonzero(values > threshold)
    first = int(steps[above[0]]) if len(above) else None
    return StepsToThreshold(float(threshold), first, int(steps[-1]))


def summarize_steps(runs: Sequence[StepsToThreshold]) -> StepsSummary:
    """Summarizes steps to a threshold over runs, censored ones included.

    Args:
        runs: One result a run, at least one, all with the same threshold.

    Returns:
        The summary. Where a censored run could change the median, the median
        is the lower bound that has every censored run at its last step.

    Raises:
        ValueError: If there is no run, or thresholds differ.

    Example:
    >>> str(summarize_steps([StepsToThreshold(0.8, None, 60)]))
    '>60 (0 of 1 reached)'
    """
    thresholds = sorted({run.threshold for run in runs})
    if len(thresholds) != 1:
        raise ValueError(
            "Steps are summarized over runs with one threshold. "
            f"Received: {len(runs)} runs, thresholds={thresholds}. "
            "Give at least one run and fix --auc_threshold for all."
        )
    at_least = [r.last_step if r.steps is None else r.steps for r in runs]
    at_most = [np.inf if r.steps is None else r.steps for r in runs]
    median = float(np.median(at_least))
    num_reached = sum(not run.is_censored for run in runs)
    return StepsSummary(
        num_runs=len(runs),
        num_reached=num_reached,
        median=median,
        median_is_lower_bound=bool(np.median(at_most) > median),
        restricted_mean=float(np.mean(at_least)),
        restricted_mean_is_lower_bound=num_reached < len(runs),
    )
