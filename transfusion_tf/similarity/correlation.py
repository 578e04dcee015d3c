"""CCA and SVCCA from moments, safe for dead, duplicate and constant neurons.

Each layer is whitened through the eigenvectors of its covariance, of which
those below a *relative* cut are dropped: no absolute epsilon, so the scale of
a layer does not matter, and no direction that is rounding only is kept.
"""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity.moments import Moments, RepresentationMoments

# Directions below this share of the largest variance are rounding in float64.
RANK_CUT = 1e-10
MIN_DATAPOINTS_PER_DIRECTION = 5
FEW_DATAPOINTS_PER_DIRECTION = 20


@dataclasses.dataclass(frozen=True, eq=False)
class CCAResult:
    """Canonical correlations of two layers and what they were made from.

    Attributes:
        coefficients: Canonical correlations, descending, in [0, 1], shape
            `[min(rank)]`, float64; empty if a layer is constant.
        mean: Mean of all coefficients; the paper's similarity. NaN if a layer
            is constant.
        mean_squared: Mean of the squared coefficients (R2_CCA), divided by
            the smaller rank.
        rank: Directions kept of the first and the second layer.
        num_datapoints: Rows.
        num_neurons: Neurons of the first and the second layer.
        notes: What a reader of the score must know.
    """

    coefficients: npt.NDArray[np.float64]
    mean: float
    mean_squared: float
    rank: tuple[int, int]
    num_datapoints: int
    num_neurons: tuple[int, int]
    notes: tuple[str, ...] = ()


def cca(
    x: tf.Tensor, y: tf.Tensor, *, allow_small_n: bool = False
) -> CCAResult:
    """Computes canonical correlations between two layers' activations.

    The score is 1 for layers that are invertible linear maps of each other.
    Independent layers do not score 0 but the null level: see `null_level`.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, any real
            dtype; convolutional layers are sampled first
            (`sample_positions`).
        y: Activations on the same datapoints in the same order, shape
            `[num_datapoints, num_neurons_y]`.
        allow_small_n: Whether fewer than 5 datapoints for each kept direction
            are accepted, where the score is mostly chance.

    Returns:
        The coefficients and their means.

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
    moments = _moments_of_pair(x, y)
    return cca_from_moments(moments, "x", "y", allow_small_n=allow_small_n)


def svcca(
    x: tf.Tensor,
    y: tf.Tensor,
    variance: float = 0.99,
    *,
    allow_small_n: bool = False,
) -> CCAResult:
    """Computes CCA between the leading principal directions of two layers.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        variance: Each layer keeps the fewest directions that hold at least
            this share of its variance, in (0, 1].
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
    return svcca_from_moments(
        _moments_of_pair(x, y),
        "x",
        "y",
        variance,
        allow_small_n=allow_small_n,
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


def whitening_basis(
    covariance: tf.Tensor, variance: float | None = None
) -> tf.Tensor:
    """Finds the directions of a layer, each scaled to unit variance.

    Args:
        covariance: Shape `[num_neurons, num_neurons]`, float64.
        variance: Share of variance to keep, in (0, 1]; None keeps all
            directions above the rank cut.

    Returns:
        Shape `[num_neurons, rank]`, float64, largest variance first.

    Raises:
        ValueError: If `variance` is out of range.
    """
    if variance is not None and not 0 < variance <= 1:
        raise ValueError(
            "The share of variance to keep lies above 0 and up to 1. "
            f"Received: variance={variance}. 0.99 is SVCCA's."
        )
    variances, directions = tf.linalg.eigh(covariance)
    variances, directions = variances[::-1], directions[:, ::-1]
    rank = _rank(variances.numpy(), variance)
    return directions[:, :rank] / tf.sqrt(variances[:rank])


def _rank(variances: npt.NDArray[np.float64], variance: float | None) -> int:
    """Counts the kept directions of descending variances."""
    if not variances[0] > 0:
        return 0
    rank = int(np.sum(variances > RANK_CUT * variances[0]))
    if variance is None or variance == 1:
        return rank
    shares = np.cumsum(variances[:rank]) / np.sum(variances[:rank])
    return min(rank, int(np.searchsorted(shares, variance)) + 1)


def canonical_correlations(whitened: tf.Tensor) -> npt.NDArray[np.float64]:
    """Returns the singular values of a whitened cross-covariance, clipped."""
    values = tf.linalg.svd(whitened, compute_uv=False)
    return np.clip(values.numpy(), 0.0, 1.0)


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
    warnings.warn(note, stacklevel=5)
    return (note,)


def constant_layer_result(
    names: tuple[str, str],
    rank: tuple[int, int],
    num_datapoints: int,
    num_neurons: tuple[int, int],
) -> CCAResult:
    """Returns the undefined similarity of a layer that never varies."""
    constant = [n for n, k in zip(names, rank, strict=True) if not k]
    return CCAResult(
        coefficients=np.zeros(0),
        mean=float("nan"),
        mean_squared=float("nan"),
        rank=rank,
        num_datapoints=num_datapoints,
        num_neurons=num_neurons,
        notes=(
            f"undefined: {' and '.join(map(repr, constant))} constant on "
            "these datapoints",
        ),
    )


def _moments_of_pair(x: tf.Tensor, y: tf.Tensor) -> Moments:
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    sizes = {
        name: int(side.shape[-1]) if side.shape.rank else 1
        for name, side in (("x", x), ("y", y))
    }
    state = RepresentationMoments(sizes)
    state.update_state({"x": x, "y": y})
    return state.result()


def _correlate(
    moments: Moments,
    first: str,
    second: str,
    variance: float | None,
    allow_small_n: bool,
) -> CCAResult:
    bases = [
        whitening_basis(moments.covariance(name, name), variance)
        for name in (first, second)
    ]
    rank = (int(bases[0].shape[1]), int(bases[1].shape[1]))
    count = moments.num_datapoints
    num_neurons = (moments.layers[first], moments.layers[second])
    if not min(rank):
        return constant_layer_result((first, second), rank, count, num_neurons)
    notes = check_num_datapoints(rank, count, allow_small_n=allow_small_n)
    whitened = tf.matmul(
        bases[0],
        tf.matmul(moments.covariance(first, second), bases[1]),
        transpose_a=True,
    )
    coefficients = canonical_correlations(whitened)
    return CCAResult(
        coefficients=coefficients,
        mean=float(np.mean(coefficients)),
        mean_squared=float(np.mean(coefficients**2)),
        rank=rank,
        num_datapoints=count,
        num_neurons=num_neurons,
        notes=notes,
    )
