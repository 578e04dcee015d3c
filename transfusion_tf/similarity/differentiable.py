"""Similarities that a gradient passes through, in TensorFlow alone.

For losses and regularizers: scalar tensors of two batches of activations, to
be used under a `tf.GradientTape` and inside of `tf.function`. Values are those
of `cca(...).mean_squared`, `cka(..., debiased=False)` and `procrustes`.
"""

from __future__ import annotations

import tensorflow as tf

# Added to each covariance, as a share of its mean variance: a layer that is
# singular has no gradient through its inverse.
_RIDGE = 1e-12


def mean_squared_cca(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Computes the mean squared canonical correlation (R2_CCA).

    Args:
        x: Activations, `[num_datapoints, num_neurons_x]`, float; of full
            rank, with more datapoints than neurons.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.

    Returns:
        A scalar in [0, 1], float64.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(float(mean_squared_cca(x, 2.0 * x + 1.0)), 6)
    1.0
    """
    x, y = _centred(x), _centred(y)
    cross = tf.matmul(x, y, transpose_a=True)
    lower = [tf.linalg.cholesky(_with_ridge(side)) for side in (x, y)]
    half = tf.linalg.triangular_solve(lower[0], cross)
    whole = tf.linalg.triangular_solve(lower[1], tf.transpose(half))
    smallest = tf.cast(tf.minimum(tf.shape(x)[1], tf.shape(y)[1]), x.dtype)
    return tf.reduce_sum(tf.square(whole)) / smallest


def linear_cka(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Computes biased linear CKA.

    Args:
        x: Activations, `[num_datapoints, num_neurons_x]`, float.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.

    Returns:
        A scalar in [0, 1], float64.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(float(linear_cka(x, 2.0 * x + 1.0)), 6)
    1.0
    """
    x, y = _centred(x), _centred(y)

    def size(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        products = tf.matmul(first, second, transpose_a=True)
        return tf.reduce_sum(tf.square(products))

    return size(x, y) / tf.sqrt(size(x, x) * size(y, y))


def procrustes_similarity(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Computes the cosine between layers after the best rotation.

    Args:
        x: Activations, `[num_datapoints, num_neurons_x]`, float.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.

    Returns:
        A scalar in [0, 1], float64.

    Example:
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(float(procrustes_similarity(x, x[:, ::-1])), 6)
    1.0
    """
    x, y = _centred(x), _centred(y)
    # Through the left and right vectors: the gradient of the sum of singular
    # values is their product, whatever values coincide.
    cross = tf.matmul(x, y, transpose_a=True)
    _, left, right = tf.linalg.svd(tf.stop_gradient(cross))
    rotation = tf.matmul(left, right, transpose_b=True)
    return tf.reduce_sum(cross * rotation) / (tf.norm(x) * tf.norm(y))


def _centred(values: tf.Tensor) -> tf.Tensor:
    values = tf.cast(values, tf.float64)
    return values - tf.reduce_mean(values, axis=0)


def _with_ridge(centred: tf.Tensor) -> tf.Tensor:
    products = tf.matmul(centred, centred, transpose_a=True)
    variances = tf.linalg.diag_part(products)
    ridge = _RIDGE * tf.reduce_mean(variances)
    return tf.linalg.set_diag(products, variances + ridge)
