"""Dense linear algebra in float64, by whichever library is faster here.

Everything is a TensorFlow operation. Called eagerly on a CPU, LAPACK and BLAS
as NumPy and SciPy hold them take its place: TensorFlow has no symmetric
product, and its float64 operations take 1.5 to 2.5 times as long there.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import scipy.linalg
import tensorflow as tf
import threadpoolctl

_TILE = 512
_LARGE = 128
# Products of fewer multiplications are not worth a second thread.
_MANY_MULTIPLICATIONS = 1e9
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


@contextlib.contextmanager
def enough_blas_threads(num_multiplications: float) -> Iterator[None]:
    """Within it, BLAS has one thread if there is little to multiply.

    OpenBLAS's threads spin for milliseconds after each product, and take the
    cores from TensorFlow: the moments of EfficientNet-Lite0's stages took 1.9
    times the processor time of its forward pass, with one thread 1.3.

    Args:
        num_multiplications: Of the products within.

    Example:
    >>> with enough_blas_threads(1000):
    ...     {pool["num_threads"] for pool in _blas().info()}
    {1}
    """
    limit = 1 if num_multiplications < _MANY_MULTIPLICATIONS else None
    with _blas().limit(limits=limit):
        yield


@functools.cache
def _blas() -> threadpoolctl.ThreadpoolController:
    """NumPy's and SciPy's BLAS; found once, which takes milliseconds."""
    return threadpoolctl.ThreadpoolController().select(user_api="blas")


def upper_products(rows: tf.Tensor) -> tf.Tensor:
    """Computes the upper triangle of `rows^T rows`, tile by tile.

    Args:
        rows: `[num_datapoints, num_neurons]`, float32 or float64.

    Returns:
        `[num_neurons, num_neurons]` of the same dtype, with zeros in the
        tiles below the diagonal.
    """
    strips = []
    for start in range(0, int(rows.shape[1]), _TILE):
        strip = tf.matmul(
            rows[:, start : start + _TILE], rows[:, start:], transpose_a=True
        )
        strips.append(tf.pad(strip, [[0, 0], [start, 0]]))
    return tf.concat(strips, axis=0)


def add_upper_products_by_blas(
    rows: npt.NDArray[np.floating], total: npt.NDArray[np.floating]
) -> None:
    """Adds the upper triangle of `rows^T rows` to `total`, in place.

    Args:
        rows: `[num_datapoints, num_neurons]`, float32 or float64.
        total: `[num_neurons, num_neurons]`, contiguous, of the same dtype;
            what stands below its diagonal is left alone.
    """
    syrk = scipy.linalg.get_blas_funcs("syrk", (rows,))
    # BLAS takes columns first: the lower triangle there is the upper here.
    syrk(1.0, rows.T, beta=1.0, c=total.T, lower=1, overwrite_c=1)


def symmetric_product_by_blas(
    upper: npt.NDArray[np.float64], right: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Multiplies a symmetric matrix, of which the upper triangle is given."""
    return scipy.linalg.blas.dsymm(1.0, upper.T, right, lower=1)


def mirrored(upper: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns a copy whose upper triangle stands below the diagonal too."""
    whole = upper.copy()
    for start in range(0, len(whole), _TILE):
        stop = start + _TILE
        corner = np.triu(whole[start:stop, start:stop])
        whole[start:stop, start:stop] = corner + np.triu(corner, 1).T
        whole[stop:, start:stop] = whole[start:stop, stop:].T
    return whole


def safe_cholesky(matrix: tf.Tensor, least: float) -> tf.Tensor | None:
    """Factors a symmetric matrix, unless it is close to singular.

    Args:
        matrix: `[size, size]`, float64.
        least: Least reciprocal condition number that is safe, in (0, 1).

    Returns:
        The lower factor; or `None` where the matrix is not safe, or where
        nothing here tells how close to singular it is.
    """
    if not uses_blas(matrix):
        return None
    values = matrix.numpy()
    lower, failed = scipy.linalg.lapack.dpotrf(values, lower=1, clean=1)
    if failed:
        return None
    size = np.abs(values).sum(axis=0).max()
    reciprocal, _ = scipy.linalg.lapack.dpocon(lower, size, uplo="L")
    return tf.convert_to_tensor(lower) if reciprocal > least else None


def solve_lower(lower: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Returns `lower^-1 right` of a lower triangular matrix."""
    if uses_blas(lower):
        solved = scipy.linalg.solve_triangular(
            lower.numpy(), right.numpy(), lower=True, check_finite=False
        )
        return tf.convert_to_tensor(solved)
    return tf.linalg.triangular_solve(lower, right)


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


def singular_values(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the singular values, descending.

    Of large matrices by BLAS they are the roots of the eigenvalues of the
    smaller product with itself: exact to 1e-15 of the largest where they are
    not near 0, and to 1e-8 there, in half the time.
    """
    if not uses_blas(matrix):
        return tf.linalg.svd(matrix, compute_uv=False)
    values = matrix.numpy()
    if min(values.shape) <= _LARGE:
        return tf.convert_to_tensor(np.linalg.svd(values, compute_uv=False))
    if values.shape[0] > values.shape[1]:
        values = values.T
    squares = np.linalg.eigvalsh(values @ values.T)
    return tf.convert_to_tensor(np.sqrt(np.maximum(squares[::-1], 0.0)))


def nuclear_norm(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the singular values.

    By a decomposition of the matrix itself: of a wide layer of low rank, the
    roots of `singular_values` that should be 0 would add up.
    """
    if uses_blas(matrix):
        values = np.linalg.svd(matrix.numpy(), compute_uv=False)
        return tf.convert_to_tensor(values.sum())
    return tf.reduce_sum(tf.linalg.svd(matrix, compute_uv=False))


def svd(matrix: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns singular values, left vectors and right vectors as columns."""
    if uses_blas(matrix):
        left, values, right = np.linalg.svd(matrix.numpy(), full_matrices=False)
        return tuple(map(tf.convert_to_tensor, (values, left, right.T.copy())))
    return tf.linalg.svd(matrix)
