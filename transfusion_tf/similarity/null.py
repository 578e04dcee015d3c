"""The null level in closed form: what unrelated images score.

Similarities of unrelated layers are not 0. A score means something only above
what it is when the images of one side are permuted. Where each datapoint is
an image of its own, moments of that distribution have a closed form and cost
nothing; where images have several, whole images are permuted (`null_level`).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import scipy.integrate
import scipy.stats


@dataclasses.dataclass(frozen=True)
class GramMoments:
    """What the permutations of a layer's images depend on.

    Of `G = Z Z^T`, where the rows of Z are the centred datapoints.

    Attributes:
        trace: Sum of `G_ii`.
        squared: Sum of the squared entries of G.
        diagonal_squared: Sum of `G_ii` squared.
    """

    trace: float
    squared: float
    diagonal_squared: float


def permutation_moments(
    first: GramMoments, second: GramMoments, num_datapoints: int
) -> tuple[float, float]:
    """Computes mean and variance of `tr(G_x P G_y P^T)` over permutations.

    Args:
        first: Of one layer.
        second: Of the other layer.
        num_datapoints: Rows, at least 4.

    Returns:
        The exact mean and variance over all permutations P.

    Example:
    >>> g = GramMoments(trace=2.0, squared=2.0, diagonal_squared=0.5)
    >>> permutation_moments(g, g, 9)[0]
    0.5

    Source: Kazi-Aoual, Hitier, Sabatier and Lebreton 1995, "Refined
        approximations to permutation tests for multivariate inference".
    """
    n = num_datapoints
    mean = first.trace * second.trace / (n - 1)

    def spread(g: GramMoments) -> float:
        return (n - 1) * g.squared - g.trace**2

    def skew(g: GramMoments) -> float:
        whole = g.trace**2 + 2 * g.squared
        return n * (n + 1) * g.diagonal_squared - (n - 1) * whole

    variance = 2 * spread(first) * spread(second) / (
        (n - 1) ** 2 * (n + 1) * (n - 2)
    ) + skew(first) * skew(second) / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    return mean, max(variance, 0.0)


def whitened_moments(rank: int, num_datapoints: int) -> GramMoments:
    """Returns the moments of a whitened layer: a projection.

    Its leverages are taken to spread as those of normal data; only the
    variance depends on that, and not by much.

    Args:
        rank: Directions kept.
        num_datapoints: Rows.
    """
    n = num_datapoints
    diagonal = (n - 1) * rank * (rank + 2) / (n * (n + 1))
    return GramMoments(float(rank), float(rank), diagonal)


def upper_tail(value: float, mean: float, variance: float) -> float:
    """Returns how often a permutation scores `value` or more.

    The scores are positive and skewed: a gamma distribution of their mean and
    variance stands for them.

    Args:
        value: The score, not negative.
        mean: Of the scores under permutation.
        variance: Of the same.

    Returns:
        The p-value, in [0, 1].

    Example:
    >>> round(upper_tail(2.0, 1.0, 1.0), 4)  # exp(-2)
    0.1353
    """
    if not variance > 0 or not mean > 0:
        return float("nan")
    scale = variance / mean
    return float(scipy.stats.gamma.sf(value, mean / scale, scale=scale))


def exchangeable_null_mean_squared(
    rank: tuple[int, int], num_datapoints: int
) -> float:
    """Computes the exact expected R2_CCA over all permutations of rows.

    It holds where each row is an image of its own. With several positions an
    image it is too low; permute whole images then (`null_level`).

    Args:
        rank: Directions kept of both layers.
        num_datapoints: Rows, more than the larger rank.

    Returns:
        `max(rank) / (num_datapoints - 1)`, in (0, 1].

    Raises:
        ValueError: If there are too few datapoints.

    Example:
    >>> exchangeable_null_mean_squared((64, 32), 641)
    0.1
    """
    if num_datapoints <= max(rank):
        raise ValueError(
            "There are no more datapoints than directions. Received: "
            f"num_datapoints={num_datapoints}, rank={rank}. Use more images."
        )
    return max(rank) / (num_datapoints - 1)


@functools.cache
def exchangeable_null_mean(rank: tuple[int, int], num_datapoints: int) -> float:
    """Computes the expected mean coefficient of CCA of unrelated rows.

    The limit for many directions; of a dozen and 9 it is right within 4 %.

    Args:
        rank: Directions kept of both layers, at least 1.
        num_datapoints: Rows, more than the larger rank.

    Returns:
        The mean of the square roots of Wachter's distribution, in (0, 1].

    Raises:
        ValueError: If there are too few datapoints.

    Example:
    >>> round(exchangeable_null_mean((512, 512), 2000), 3)
    0.442

    Source: Wachter 1980, "The limiting empirical measure of multiple
        discriminant ratios".
    """
    exchangeable_null_mean_squared(rank, num_datapoints)  # Checks.
    small, large = sorted(size / (num_datapoints - 1) for size in rank)
    if large >= 1:
        return 1.0
    roots = np.sqrt(large * (1 - small)), np.sqrt(small * (1 - large))
    low, high = (roots[0] - roots[1]) ** 2, (roots[0] + roots[1]) ** 2
    # Beyond this many directions in all, some are the same on both sides.
    common = max(0.0, small + large - 1) / small

    def density(angle: float) -> float:
        # Half a circle over [low, high]: its ends are no poles then.
        squared = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
        height = ((high - low) / 2 * np.sin(angle)) ** 2
        below = 2 * np.pi * small * squared * (1 - squared)
        return np.sqrt(squared) * height / below if below else 0.0

    mean, _ = scipy.integrate.quad(density, 0, np.pi)
    return float(min(mean + common, 1.0))
