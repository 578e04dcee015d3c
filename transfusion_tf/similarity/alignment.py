"""Linear CKA, Procrustes, shape distances and regression, from moments."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from transfusion_tf.similarity import bases, correlation, inputs, linalg, null
from transfusion_tf.similarity.moments import moments_of_pair
from transfusion_tf.similarity.second_moments import Moments


@dataclasses.dataclass(frozen=True)
class AlignmentResult:
    """A score of two layers and what it was made from.

    Attributes:
        measure: What was computed.
        score: 1 for layers that are alike; NaN if a layer is constant.
        num_datapoints: Rows.
        num_neurons: Neurons of the first and the second layer.
        null: What `score` is for unrelated images; NaN where no closed form
            is known.
        p_value: How often unrelated images score as much or more.
        notes: What a reader of the score must know.
    """

    measure: str
    score: float
    num_datapoints: int
    num_neurons: tuple[int, int]
    null: float = float("nan")
    p_value: float = float("nan")
    notes: tuple[str, ...] = ()


def procrustes(
    x: tf.Tensor, y: tf.Tensor, groups: tf.Tensor | None = None
) -> AlignmentResult:
    """Computes how alike layers are after the best rotation of one.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        groups: As in `cka`.

    Returns:
        The cosine between the layers as vectors after the best rotation, in
        [0, 1]. The squared Procrustes distance of layers scaled to unit size
        is `2 - 2 score`.

    Raises:
        ValueError: If shapes do not fit or a value is not finite.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(procrustes(x, x[:, ::-1] * 2.0 - 1.0).score, 6)
    1.0

    Source: Ding, Denain and Steinhardt 2021, arXiv:2108.01661.
    """
    return procrustes_from_moments(moments_of_pair(x, y, groups), "x", "y")


def shape_distance(x: tf.Tensor, y: tf.Tensor, alpha: float = 1.0) -> float:
    """Computes a metric between layers: the angle after the best rotation.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        alpha: In [0, 1]: 1 compares the layers as they are (Procrustes), 0
            whitens them first (CCA, with the root of the product of the ranks
            as divisor); between, partly.

    Returns:
        The angle in radians, in [0, pi / 2]; it obeys the triangle
        inequality. NaN if a layer is constant.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, or `alpha` is
            out of range.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(shape_distance(x, 2.0 * x + 1.0), 4)
    0.0

    Source: Williams et al. 2021, arXiv:2110.14739, section 2.
    """
    return shape_distance_from_moments(moments_of_pair(x, y), "x", "y", alpha)


def linear_regression(
    x: tf.Tensor,
    y: tf.Tensor,
    groups: tf.Tensor | None = None,
    *,
    allow_small_n: bool = False,
) -> AlignmentResult:
    """Computes how much of a layer's variance a map of the other explains.

    Args:
        x: Activations to predict from, `[num_datapoints, num_neurons_x]`.
        y: Activations to be predicted, `[num_datapoints, num_neurons_y]`.
        groups: As in `cka`.
        allow_small_n: As in `cca`.

    Returns:
        R2 over all neurons of y, in [0, 1]; it is not symmetric.

    Raises:
        ValueError: As `cca`.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(linear_regression(x, x[:, :2]).score, 6)
    1.0

    Source: Kornblith et al. 2019, arXiv:1905.00414, section 5.
    """
    return linear_regression_from_moments(
        moments_of_pair(x, y, groups), "x", "y", allow_small_n=allow_small_n
    )


def cka_from_moments(
    moments: Moments, first: str, second: str, *, debiased: bool = True
) -> AlignmentResult:
    """Computes linear CKA of two layers of a collected state.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer.
        second: Name of the other layer.
        debiased: Whether the expectation for unrelated images is taken out,
            exactly. A debiased score may be negative, and is left so.

    Raises:
        ValueError: As `cka`, or if a layer is unknown.
    """
    n = moments.num_datapoints
    inputs.check_enough_for_cka(n, debiased=debiased)
    pairs = [(first, second), (first, first), (second, second)]
    dots = [_alignment(moments, *pair, debiased=debiased) for pair in pairs]
    undefined = _constant_layers("cka", moments, first, second)
    if undefined is not None:
        return undefined
    if min(dots[1:]) <= 0:
        note = "undefined: a layer's own debiased alignment is not positive"
        return _undefined("cka", moments, first, second, note)
    score = float(dots[0] / np.sqrt(dots[1] * dots[2]))
    images = moments.num_images
    level = p_value = float("nan")
    if images >= 4:
        grams = [_gram_moments(moments, name) for name in (first, second)]
        mean, variance = null.permutation_moments(grams[0], grams[1], images)
        size = np.sqrt(grams[0].squared * grams[1].squared)
        is_of_images = images == n
        if not debiased:
            level = float(mean / size)
        elif is_of_images:  # Only what a row has with itself is taken out.
            level = 0.0
        if is_of_images:  # The variance of whole images is not in the state.
            biased = _alignment(moments, first, second, debiased=False)
            p_value = null.upper_tail(biased, mean, variance)
    return AlignmentResult(
        "debiased cka" if debiased else "cka",
        min(score, 1.0),
        n,
        (moments.layers[first], moments.layers[second]),
        level,
        p_value,
    )


def procrustes_from_moments(
    moments: Moments, first: str, second: str
) -> AlignmentResult:
    """Computes `procrustes` of two layers of a collected state.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer.
        second: Name of the other layer.

    Raises:
        ValueError: If a layer is unknown.
    """
    undefined = _constant_layers("procrustes", moments, first, second)
    if undefined is not None:
        return undefined
    total = linalg.nuclear_norm(moments.covariance(first, second))
    sizes = [moments.total_variance(name) for name in (first, second)]
    score = float(total) / np.sqrt(sizes[0] * sizes[1])
    return AlignmentResult(
        "procrustes",
        float(min(score, 1.0)),
        moments.num_datapoints,
        (moments.layers[first], moments.layers[second]),
    )


def shape_distance_from_moments(
    moments: Moments, first: str, second: str, alpha: float = 1.0
) -> float:
    """Computes `shape_distance` of two layers of a collected state.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer.
        second: Name of the other layer.
        alpha: As in `shape_distance`.

    Raises:
        ValueError: If a layer is unknown or `alpha` out of range.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(
            "Layers are whitened between wholly and not at all. Received: "
            f"alpha={alpha}. Use 1 for Procrustes, 0 for CCA."
        )
    maps, sizes = [], []
    for name in (first, second):
        basis = bases.whitening_basis(moments, name)
        if not basis.rank:
            return float("nan")
        scales = alpha + (1 - alpha) / tf.sqrt(basis.variances)
        maps.append(basis.vectors * scales)
        sizes.append(float(tf.reduce_sum(scales**2 * basis.variances)))
    cross = linalg.product(
        maps[0],
        linalg.product(moments.covariance(first, second), maps[1]),
        transpose_a=True,
    )
    total = float(linalg.nuclear_norm(cross))
    cosine = total / np.sqrt(sizes[0] * sizes[1])
    return float(np.arccos(np.clip(cosine, 0.0, 1.0)))


def linear_regression_from_moments(
    moments: Moments, first: str, second: str, *, allow_small_n: bool = False
) -> AlignmentResult:
    """Computes `linear_regression` of two layers of a collected state.

    Args:
        moments: Result of a `RepresentationMoments`.
        first: Name of the layer to predict from.
        second: Name of the layer to be predicted.
        allow_small_n: As in `cca`.

    Raises:
        ValueError: As `linear_regression`, or if a layer is unknown.
    """
    undefined = _constant_layers("linear regression", moments, first, second)
    if undefined is not None:
        return undefined
    basis = bases.whitening_basis(moments, first)
    notes = correlation.check_num_datapoints(
        (basis.rank, 1), moments.num_datapoints, allow_small_n=allow_small_n
    )
    explained = linalg.product(
        basis.directions, moments.covariance(first, second), transpose_a=True
    )
    score = float(tf.reduce_sum(explained**2)) / moments.total_variance(second)
    images = moments.num_images
    level = p_value = float("nan")
    if images > max(basis.rank, 3):
        whole = _gram_moments(moments, second)
        mean, variance = null.permutation_moments(
            null.whitened_moments(basis.rank, images), whole, images
        )
        level = mean / whole.trace
        if images == moments.num_datapoints:
            p_value = null.upper_tail(score * whole.trace, mean, variance)
    return AlignmentResult(
        "linear regression",
        min(score, 1.0),
        moments.num_datapoints,
        (moments.layers[first], moments.layers[second]),
        level,
        p_value,
        notes,
    )


def _gram_moments(moments: Moments, layer: str) -> null.GramMoments:
    """Returns what permutations of a layer's images depend on."""
    return null.GramMoments(
        trace=moments.num_datapoints * moments.total_variance(layer),
        squared=_alignment(moments, layer, layer, debiased=False),
        diagonal_squared=moments.norm_product(layer, layer),
    )


def _alignment(
    moments: Moments, first: str, second: str, *, debiased: bool
) -> float:
    """Returns `|X^T Y|_F^2` of centred layers, or its unbiased form."""
    n = moments.num_datapoints
    remember = moments.remember if first == second else moments.remember_last
    product = remember(
        ("alignment", first, second),
        lambda: (
            n**2
            * float(tf.reduce_sum(tf.square(moments.covariance(first, second))))
        ),
    )
    if not debiased:
        return product
    traces = [n * moments.total_variance(name) for name in (first, second)]
    return (
        product
        - n / (n - 2) * moments.norm_product(first, second)
        + traces[0] * traces[1] / ((n - 1) * (n - 2))
    )


def _constant_layers(
    measure: str, moments: Moments, first: str, second: str
) -> AlignmentResult | None:
    """Returns the undefined score of layers that never vary, if one does."""
    names = [n for n in (first, second) if not moments.total_variance(n)]
    if not names:
        return None
    note = correlation.constant_note(names)
    return _undefined(measure, moments, first, second, note)


def _undefined(
    measure: str, moments: Moments, first: str, second: str, note: str
) -> AlignmentResult:
    return AlignmentResult(
        measure,
        float("nan"),
        moments.num_datapoints,
        (moments.layers[first], moments.layers[second]),
        notes=(note,),
    )
