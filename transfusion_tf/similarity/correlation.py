"""CCA, SVCCA and PWCCA from moments, safe for dead and duplicate neurons.

Each layer is whitened through the eigenvectors of its covariance, of which
those below a *relative* cut are dropped: no absolute epsilon, so the scale of
a layer does not matter, and no direction that is rounding only is kept.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import bases, linalg, null, warning
from transfusion_tf.similarity.moments import moments_of_pair
from transfusion_tf.similarity.second_moments import Moments

MIN_DATAPOINTS_PER_DIRECTION = 5
FEW_DATAPOINTS_PER_DIRECTION = 20
WEIGHTS: tuple[str, ...] = ("x", "y", "mean")


@dataclasses.dataclass(frozen=True, eq=False)
class CCAResult:
    """Canonical correlations of two layers and what they were made from.

    Attributes:
        coefficients: Canonical correlations, descending, in [0, 1], shape
            `[min(rank)]`, float64; empty if a layer is constant.
        mean: Mean of all coefficients, weighted for PWCCA; the paper's
            similarity. NaN if a layer is constant.
        mean_squared: Mean of the squared coefficients (R2_CCA), divided by
            the smaller rank.
        rank: Directions kept of the first and the second layer.
        num_datapoints: Rows.
        num_neurons: Neurons of the first and the second layer.
        null: What `mean` is for unrelated images, by Wachter's law.
        null_squared: What `mean_squared` is for unrelated images.
        p_value: How often unrelated images have this `mean_squared` or more.
        adjusted: `mean_squared` with the null level taken out: 0 for
            unrelated images, 1 at most; may be negative. NaN where the null
            level is 1.
        notes: What a reader of the score must know.
    """

    coefficients: npt.NDArray[np.float64]
    mean: float
    mean_squared: float
    rank: tuple[int, int]
    num_datapoints: int
    num_neurons: tuple[int, int]
    null: float = float("nan")
    null_squared: float = float("nan")
    p_value: float = float("nan")
    adjusted: float = float("nan")
    notes: tuple[str, ...] = ()


def cca(
    x: tf.Tensor,
    y: tf.Tensor,
    groups: tf.Tensor | None = None,
    *,
    allow_small_n: bool = False,
) -> CCAResult:
    """Computes canonical correlations between two layers' activations.

    The score is 1 for layers that are invertible linear maps of each other.
    Independent layers do not score 0 but the null level.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, any real
            dtype; convolutional layers are sampled first
            (`sample_positions`).
        y: Activations on the same datapoints in the same order, shape
            `[num_datapoints, num_neurons_y]`.
        groups: The image of each row, integers, `[num_datapoints]`, where an
            image has several: the null level is then that of as many rows as
            images, which is rough; `null_level` permutes whole images.
        allow_small_n: Whether fewer than 5 datapoints for each kept direction
            are accepted, where the score is mostly chance.

    Returns:
        The coefficients and their means, with null level and p-value.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or there are
            too few datapoints.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> mixed = x @ tf.random.stateless_normal([4, 4], seed=[0, 1]) + 7.0
    >>> round(cca(x, mixed).mean, 6)
    1.0

    Source: section on representational similarity; Hotelling 1936. Equals
        google/svcca's plain mean of `cca_coef1` (its `mean` is another one)
        on full-rank data, with the transposed axis order.
    """
    moments = moments_of_pair(x, y, groups)
    return cca_from_moments(moments, "x", "y", allow_small_n=allow_small_n)


def svcca(
    x: tf.Tensor,
    y: tf.Tensor,
    variance: float = 0.99,
    *,
    groups: tf.Tensor | None = None,
    allow_small_n: bool = False,
) -> CCAResult:
    """Computes CCA between the leading principal directions of two layers.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        variance: Each layer keeps the fewest directions that hold at least
            this share of its variance, in (0, 1].
        groups: As in `cca`.
        allow_small_n: As in `cca`.

    Returns:
        The coefficients; `rank` tells how many directions were kept.

    Raises:
        ValueError: As `cca`, or if `variance` is out of range.

    Example:
    >>> x = tf.random.stateless_normal([400, 3], seed=[0, 0]) * [9., 9., .1]
    >>> svcca(x, x).rank
    (2, 2)

    Source: Raghu et al. 2017, arXiv:1706.05806, section 2. Shares of variance
        are of squared singular values.
    """
    moments = moments_of_pair(x, y, groups)
    return svcca_from_moments(
        moments, "x", "y", variance, allow_small_n=allow_small_n
    )


def pwcca(
    x: tf.Tensor,
    y: tf.Tensor,
    weights: str = "x",
    *,
    groups: tf.Tensor | None = None,
    allow_small_n: bool = False,
) -> CCAResult:
    """Computes CCA whose mean weights what a layer consists of.

    A canonical variate's weight is the sum of the sizes of its products with
    the layer's neurons. The measure is not symmetric: whose neurons they are
    is said by `weights`.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        weights: "x", "y", or "mean" of the two scores.
        groups: As in `cca`.
        allow_small_n: As in `cca`.

    Returns:
        The coefficients; `mean` is the weighted one.

    Raises:
        ValueError: As `cca`, or if `weights` is none of the three.

    Example:
    >>> x = tf.random.stateless_normal([400, 3], seed=[0, 0])
    >>> round(pwcca(x, 2.0 * x + 1.0).mean, 6)
    1.0

    Source: Morcos, Raghu and Bengio 2018, arXiv:1806.05759, equation 3.
    """
    moments = moments_of_pair(x, y, groups)
    return pwcca_from_moments(
        moments, "x", "y", weights, allow_small_n=allow_small_n
    )


def cca_from_moments(
    moments: Moments, first: str, second: str, *, allow_small_n: bool = False
) -> CCAResult:
    """Computes CCA of two layers of a collected state; see `cca`.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer.
        second: Name of the other layer.
        allow_small_n: As in `cca`.

    Returns:
        The coefficients and their means.

    Raises:
        ValueError: As `cca`, or if a layer is unknown.
    """
    return _correlate(moments, first, second, None, allow_small_n)


def svcca_from_moments(
    moments: Moments,
    first: str,
    second: str,
    variance: float = 0.99,
    *,
    allow_small_n: bool = False,
) -> CCAResult:
    """Computes SVCCA of two layers of a collected state; see `svcca`.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer.
        second: Name of the other layer.
        variance: As in `svcca`.
        allow_small_n: As in `cca`.

    Returns:
        The coefficients and their means.

    Raises:
        ValueError: As `svcca`, or if a layer is unknown.
    """
    return _correlate(moments, first, second, variance, allow_small_n)


def pwcca_from_moments(
    moments: Moments,
    first: str,
    second: str,
    weights: str = "x",
    *,
    allow_small_n: bool = False,
) -> CCAResult:
    """Computes PWCCA of two layers of a collected state; see `pwcca`.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer, x.
        second: Name of the other layer, y.
        weights: As in `pwcca`.
        allow_small_n: As in `cca`.

    Returns:
        The coefficients and their weighted mean.

    Raises:
        ValueError: As `pwcca`, or if a layer is unknown.
    """
    if weights not in WEIGHTS:
        raise ValueError(
            "The weights are those of one layer, or the mean of both scores. "
            f"Received: weights={weights!r}. Use one of {', '.join(WEIGHTS)}."
        )
    return _correlate(moments, first, second, None, allow_small_n, weights)


def check_num_datapoints(
    rank: tuple[int, int], num_datapoints: int, *, allow_small_n: bool
) -> tuple[str, ...]:
    """Refuses too few datapoints for the kept directions, or warns.

    Args:
        rank: Directions kept of both layers.
        num_datapoints: Rows.
        allow_small_n: Whether fewer than 5 rows a direction are accepted.

    Returns:
        Notes for the result; the same texts are given as warnings.

    Raises:
        ValueError: If coefficients would be 1 by construction, or mostly
            chance and that was not asked for.
    """
    largest = max(rank)
    received = f"num_datapoints={num_datapoints}, rank={rank}"
    if num_datapoints <= largest + 1:
        raise ValueError(
            "There are no more datapoints than directions, so every "
            f"correlation is 1 by construction. Received: {received}. Use "
            "more images or positions, or sample fewer channels."
        )
    ratio = num_datapoints / largest
    if ratio < MIN_DATAPOINTS_PER_DIRECTION and not allow_small_n:
        raise ValueError(
            "There are too few datapoints for the directions: the score "
            f"would be mostly chance. Received: {received}. Use at least "
            f"{MIN_DATAPOINTS_PER_DIRECTION * largest} datapoints, sample "
            "fewer channels, or accept it with allow_small_n=True."
        )
    if ratio >= FEW_DATAPOINTS_PER_DIRECTION:
        return ()
    note = (
        f"{ratio:.1f} datapoints a direction: even independent layers would "
        f"have a mean squared correlation of "
        f"{largest / (num_datapoints - 1):.3f}"
    )
    warning.warn(note)
    return (note,)


def constant_note(names: Sequence[str]) -> str:
    """Says which layers never vary, each once."""
    which = " and ".join(map(repr, dict.fromkeys(names)))
    return f"undefined: {which} constant on these datapoints"


def _undefined(
    names: tuple[str, str],
    rank: tuple[int, int],
    num_datapoints: int,
    num_neurons: tuple[int, int],
) -> CCAResult:
    constant = [n for n, k in zip(names, rank, strict=True) if not k]
    return CCAResult(
        coefficients=np.zeros(0),
        mean=math.nan,
        mean_squared=math.nan,
        rank=rank,
        num_datapoints=num_datapoints,
        num_neurons=num_neurons,
        notes=(constant_note(constant),),
    )


def _correlate(
    moments: Moments,
    first: str,
    second: str,
    variance: float | None,
    allow_small_n: bool,
    weights: str | None = None,
) -> CCAResult:
    sides = [
        bases.basis_of(moments, name, variance) for name in (first, second)
    ]
    rank = (sides[0].rank, sides[1].rank)
    count = moments.num_datapoints
    num_neurons = (moments.layers[first], moments.layers[second])
    if not min(rank):
        return _undefined((first, second), rank, count, num_neurons)
    notes = check_num_datapoints(rank, count, allow_small_n=allow_small_n)
    whitened = bases.whitened_covariance(moments, first, second, sides)
    if weights is None:
        values = linalg.singular_values(whitened)
        coefficients = np.clip(values.numpy(), 0.0, 1.0)
        mean = float(np.mean(coefficients))
    else:
        values, left, right = linalg.svd(whitened)
        coefficients = np.clip(values.numpy(), 0.0, 1.0)
        scores = {
            "x": _weighted_mean(coefficients, left, sides[0]),
            "y": _weighted_mean(coefficients, right, sides[1]),
        }
        mean = scores.get(weights, (scores["x"] + scores["y"]) / 2)
    squared = float(np.mean(coefficients**2))
    return CCAResult(
        coefficients=coefficients,
        mean=mean,
        mean_squared=squared,
        rank=rank,
        num_datapoints=count,
        num_neurons=num_neurons,
        notes=notes,
        **_null_of(squared, rank, moments.num_images),
    )


def _weighted_mean(
    coefficients: npt.NDArray[np.float64],
    vectors: tf.Tensor,
    basis: bases.Basis | bases.CholeskyBasis,
) -> float:
    """Weights by the variates' products with the layer's own neurons."""
    products = linalg.product(
        vectors, basis.loadings, transpose_a=True, transpose_b=True
    )
    weights = tf.reduce_sum(tf.abs(products), axis=1).numpy()
    return float(np.average(coefficients, weights=weights))


def _null_of(
    squared: float, rank: tuple[int, int], num_images: int
) -> dict[str, float]:
    """What a result says of chance; nothing where there are few images."""
    if num_images <= max(max(rank), 3):
        return {}
    grams = [null.whitened_moments(size, num_images) for size in rank]
    mean, variance = null.permutation_moments(grams[0], grams[1], num_images)
    smallest = min(rank)
    null_squared = mean / smallest
    # As many images as directions and one more: chance alone scores 1.
    above = math.nan
    if null_squared < 1:
        above = (squared - null_squared) / (1 - null_squared)
    return {
        "null": null.exchangeable_null_mean(rank, num_images),
        "null_squared": null_squared,
        "p_value": null.upper_tail(squared * smallest, mean, variance),
        "adjusted": above,
    }
