"""Dense linear algebra in float64, by whichever library is faster here.

Everything is a TensorFlow operation. Called eagerly on a CPU, LAPACK and BLAS
as NumPy and SciPy hold them take its place: TensorFlow has no symmetric
product, and its float64 operations take 1.5 to 2.5 times as long there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import scipy.linalg
import tensorflow as tf

_TILE = 512
_only_tensorflow = False


@contextlib.contextmanager
def only_tensorflow() -> Iterator[None]:
    """Within it, TensorFlow computes everything; for tests and measurements.

    Example:
    >>> with only_tensorflow():
    ...     uses_blas(tf.eye(2, dtype=tf.float64))
    False
    """
    global _only_tensorflow
    before, _only_tensorflow = _only_tensorflow, True
    try:
        yield
    finally:
        _only_tensorflow = before


def uses_blas(matrix: tf.Tensor) -> bool:
    """Tells whether NumPy's and SciPy's routines take a matrix.

    They do where it lies in this process's memory and no graph is being
    built. A gradient does not pass through them: `only_tensorflow`.
    """
    if _only_tensorflow or not tf.executing_eagerly():
        return False
    return "CPU" in matrix.device


def upper_products(rows: tf.Tensor) -> tf.Tensor:
    """Computes the upper triangle of `rows^T rows`.

    Args:
        rows: `[num_datapoints, num_neurons]`, float32 or float64.

    Returns:
        `[num_neurons, num_neurons]` of the same dtype; what stands below the
        diagonal is of no meaning.
    """
    if rows.dtype == tf.float64 and uses_blas(rows):
        transposed = rows.numpy().T  # In the order that BLAS takes.
        upper = scipy.linalg.blas.dsyrk(1.0, transposed, trans=0, lower=1)
        return tf.convert_to_tensor(upper.T)
    size = int(rows.shape[1])
    strips = []
    for start in range(0, size, _TILE):
        strip = tf.matmul(
            rows[:, start : start + _TILE], rows[:, start:], transpose_a=True
        )
        strips.append(tf.pad(strip, [[0, 0], [start, 0]]))
    return strips[0] if len(strips) == 1 else tf.concat(strips, axis=0)


def symmetric(upper: tf.Tensor) -> tf.Tensor:
    """Mirrors an upper triangle below the diagonal, `[..., size, size]`."""
    triangle = tf.linalg.band_part(upper, 0, -1)
    above = tf.linalg.set_diag(triangle, tf.zeros_like(upper[..., 0]))
    return triangle + tf.linalg.matrix_transpose(above)


def product(
    first: tf.Tensor,
    second: tf.Tensor,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> tf.Tensor:
    """Multiplies two matrices, perhaps transposed, as `tf.matmul` does."""
    if uses_blas(first) and uses_blas(second):
        left, right = first.numpy(), second.numpy()
        return tf.convert_to_tensor(
            (left.T if transpose_a else left)
            @ (right.T if transpose_b else right)
        )
    return tf.matmul(
        first, second, transpose_a=transpose_a, transpose_b=transpose_b
    )


def eigh(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns eigenvalues, descending, and their vectors as columns."""
    if uses_blas(matrix):
        values, vectors = scipy.linalg.eigh(
            matrix.numpy(), check_finite=False, driver="evd"
        )
        return (
            tf.convert_to_tensor(values[::-1].copy()),
            tf.convert_to_tensor(vectors[:, ::-1].copy()),
        )
    values, vectors = tf.linalg.eigh(matrix)
    return values[::-1], vectors[:, ::-1]


def eigenvalues(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the eigenvalues of a symmetric matrix, descending."""
    if uses_blas(matrix):
        values = np.linalg.eigvalsh(matrix.numpy())
        return tf.convert_to_tensor(values[::-1].copy())
    return tf.linalg.eigvalsh(matrix)[::-1]


def singular_values(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the singular values, descending."""
    if uses_blas(matrix):
        values = np.linalg.svd(matrix.numpy(), compute_uv=False)
        return tf.convert_to_tensor(values)
    return tf.linalg.svd(matrix, compute_uv=False)


def svd(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns singular values, left vectors and right vectors as columns."""
    if uses_blas(matrix):
        left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
        return tuple(map(tf.convert_to_tensor, (values, left, right.T.copy())))
    return tf.linalg.svd(matrix)
