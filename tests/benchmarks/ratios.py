"""Compares two ways of doing the same work, on a machine that drifts."""

import time
from collections.abc import Callable

import numpy as np
import scipy.stats


def paired_ratio(
    ours: Callable[[], float | None],
    reference: Callable[[], float | None],
    *,
    num_pairs: int = 12,
) -> tuple[float, float, float]:
    """Times two blocks of work in turn and compares them pair by pair.

    Args:
        ours: Does a block of work; may return the seconds that count, if not
            all of it does.
        reference: Does as much work another way.
        num_pairs: Pairs to time, after one that is not counted.

    Returns:
        Median of reference time / our time (above 1: ours is faster), with
        the low and high end of its 95 % interval by order statistics.
    """
    ratios = []
    for pair in range(num_pairs + 1):
        order = (ours, reference) if pair % 2 else (reference, ours)
        seconds = {work: _seconds(work) for work in order}
        ratios.append(seconds[reference] / seconds[ours])
    ratios = np.sort(ratios[1:])
    rank = int(scipy.stats.binom.ppf(0.025, num_pairs, 0.5))
    return float(np.median(ratios)), ratios[rank], ratios[-1 - rank]


def _seconds(work: Callable[[], float | None]) -> float:
    started = time.perf_counter()
    counted = work()
    return time.perf_counter() - started if counted is None else counted
