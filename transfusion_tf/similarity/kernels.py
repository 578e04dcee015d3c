"""CKA of two arrays, by whichever of moments and Gram matrices costs less."""

from __future__ import annotations

import math

import tensorflow as tf

from transfusion_tf.similarity import gram, null
from transfusion_tf.similarity.alignment import (
    AlignmentResult,
    cka_from_moments,
)
from transfusion_tf.similarity.moments import moments_of_pair

KERNELS: tuple[str, ...] = ("linear", "rbf")


def cka(
    x: tf.Tensor,
    y: tf.Tensor,
    groups: tf.Tensor | None = None,
    *,
    kernel: str = "linear",
    threshold: float = 1.0,
    debiased: bool = True,
) -> AlignmentResult:
    """Computes centred kernel alignment.

    With the linear kernel, moments of the neurons take
    `num_datapoints * num_neurons^2` operations and Gram matrices
    `num_datapoints^2 * num_neurons`: the lesser is taken, and a note says so
    where it is the Gram matrices. The score is the same.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        groups: The image of each row, where an image has several; only the
            null level depends on it. With the linear kernel.
        kernel: "linear", or "rbf", the Gaussian kernel.
        threshold: Its bandwidth as a share of the median distance.
        debiased: Whether the expectation for unrelated images is taken out,
            exactly. A debiased score may be negative, and is left so.

    Returns:
        The score, at most 1 (biased: in [0, 1]), with null level and p-value.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, there are
            fewer than 4 datapoints (biased: 3), or an option is unknown.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(cka(x, 3.0 * x + 7.0).score, 6)
    1.0

    Source: Kornblith et al. 2019, arXiv:1905.00414; debiased: the estimator
        of Song et al. 2012, from centred features as in the former's notebook.
    """
    if kernel not in KERNELS or (kernel == "rbf" and groups is not None):
        raise ValueError(
            "CKA has a kernel, and groups with the linear one only. Received: "
            f"kernel={kernel!r}, groups={groups is not None}. Use one of "
            f"{', '.join(KERNELS)}."
        )
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    is_wide = x.shape.rank == y.shape.rank == 2 and (
        x.shape[1] + y.shape[1] > x.shape[0]
    )
    if kernel == "linear" and not (is_wide and groups is None):
        moments = moments_of_pair(x, y, groups)
        return cka_from_moments(moments, "x", "y", debiased=debiased)
    grams = [
        gram.linear_gram(side)
        if kernel == "linear"
        else gram.rbf_gram(side, threshold)
        for side in (x, y)
    ]
    score = float(gram.cka_from_grams(*grams, debiased=debiased))
    count, sizes = int(x.shape[0]), (int(x.shape[1]), int(y.shape[1]))
    if math.isnan(score):
        note = (
            "undefined: a layer is constant on these datapoints, or its "
            "distances between them are all equal"
        )
        if kernel == "rbf":
            note += ", or half of them 0"
        return AlignmentResult("cka", score, count, sizes, notes=(note,))
    level, p_value = _null_of(grams, count)
    return AlignmentResult(
        "debiased cka" if debiased else "cka",
        score,
        count,
        sizes,
        0.0 if debiased else level,
        p_value,
        (f"from Gram matrices of {count} datapoints",),
    )


def _null_of(grams: list[tf.Tensor], count: int) -> tuple[float, float]:
    """Returns the biased score of unrelated images, and the p-value."""
    if count < 4:
        return float("nan"), float("nan")
    centred = [gram.centre_gram(matrix) for matrix in grams]
    parts = [
        null.GramMoments(
            trace=float(tf.linalg.trace(matrix)),
            squared=float(tf.reduce_sum(tf.square(matrix))),
            diagonal_squared=float(
                tf.reduce_sum(tf.square(tf.linalg.diag_part(matrix)))
            ),
        )
        for matrix in centred
    ]
    mean, variance = null.permutation_moments(parts[0], parts[1], count)
    product = float(tf.reduce_sum(centred[0] * centred[1]))
    size = (parts[0].squared * parts[1].squared) ** 0.5
    return mean / size, null.upper_tail(product, mean, variance)
