"""Numbers of other tools, reproduced on purpose.

To compare with a published figure one needs the number that its tool gives,
not the right one. Each function here follows one tool, its mistakes included,
and says where it leaves the definition; `cca` and `svcca` of this package are
the definitions. `README.md` beside this file tells why the numbers differ, on
an example.

Activations are `[num_datapoints, num_neurons]`, as everywhere here; the
functions of google/svcca themselves take the transpose. All is computed in
float64, whatever the precision in which a tool usually runs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from transfusion_tf.similarity import inputs

Array = npt.NDArray[np.float64]

# What google/svcca's `mean` counts, of the sum of the coefficients.
GOOGLE_SHARE_OF_SUM = 0.98
# The ridge of its tutorial, added to covariances whose largest entry is 1.
GOOGLE_TUTORIAL_EPSILON = 1e-10
RESI_SHARE_OF_VARIANCE = 0.99


def google_cca(
    x: npt.ArrayLike, y: npt.ArrayLike, epsilon: float = 0.0
) -> Array:
    """Computes the canonical correlations of google/svcca (`cca_coef1`).

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, more
            datapoints than neurons.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`. As in the original, their number is not checked.
        epsilon: Added to the diagonal of both covariances after each is
            divided by its largest entry; neurons of less variance than this
            are left out. In [0, 1).

    Returns:
        Descending coefficients, float64, shape `[min(num_neurons)]` of the
        neurons that are not left out; in [0, 1] up to rounding.

    Raises:
        ValueError: If shapes do not fit, a value is not finite, a layer is
            constant (the original reports 0), or a covariance is singular such
            that the original fails.

    Example:
    >>> x = np.random.default_rng(0).normal(size=[100, 2])
    >>> google_cca(x, x[:, ::-1] * 3 + 1).round(6).tolist()
    [1.0, 1.0]

    Source: google/svcca 1f3fbf1, `get_cca_similarity`, which takes the
        transpose. On full-rank data and with epsilon 0 it is the definition;
        epsilon shrinks every coefficient; dead and duplicate neurons make it
        fail or count rounding as directions, which `cca` does not.
    """
    return _google_decomposition(*_pair(x, y), epsilon)[1]


def google_mean(coefficients: npt.ArrayLike) -> float:
    """Averages coefficients as google/svcca's `mean` does.

    Args:
        coefficients: Descending, at least 0, shape `[num_coefficients]`.

    Returns:
        The mean of the fewest leading coefficients that hold 98 % of the sum
        of all; never less than the plain mean.

    Raises:
        ValueError: If there are none, or they are not descending from above
            0.

    Example:
    >>> round(google_mean([0.8, 0.6, 0.5, 0.09, 0.01]), 4)
    0.4975

    Source: google/svcca 1f3fbf1, entry `mean` of `get_cca_similarity`; not
        the mean of the coefficients (0.4 in the example).
    """
    values = np.asarray(coefficients, np.float64)
    if (
        values.ndim != 1
        or not values.size
        or not (values[-1] >= 0 and values[0] > 0)
        or np.any(np.diff(values) > 0)
    ):
        raise ValueError(
            "The trimmed mean is of descending coefficients. Received: "
            f"{values.tolist()}. Give those of google_cca."
        )
    shares = np.cumsum(values) / np.sum(values)
    count = int(np.argmax(shares >= GOOGLE_SHARE_OF_SUM)) + 1
    return float(np.mean(values[:count]))


def google_svcca(
    x: npt.ArrayLike, y: npt.ArrayLike, num_directions: int = 20
) -> float:
    """Computes SVCCA by the recipe of google/svcca's tutorial.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        num_directions: Principal directions kept of each layer, from 1 to
            the smaller number of neurons.

    Returns:
        Plain mean of the coefficients of the kept directions, in [0, 1].

    Raises:
        ValueError: As `google_cca`, or if there are fewer directions.

    Example:
    >>> x = np.random.default_rng(0).normal(size=[100, 3])
    >>> round(google_svcca(x, x * 5, num_directions=2), 6)
    1.0

    Source: google/svcca 1f3fbf1, `tutorials/001_Introduction.ipynb`. A fixed
        number of directions where SVCCA keeps a share of the variance.
    """
    x, y = _pair(x, y)
    available = min(*x.shape, *y.shape)
    if not 1 <= num_directions <= available:
        raise ValueError(
            "The recipe keeps as many directions of both layers. Received: "
            f"num_directions={num_directions}, shapes {x.shape} and "
            f"{y.shape}. Choose from 1 to {available}."
        )
    leading = [_principal_components(s)[:, :num_directions] for s in (x, y)]
    return _google_mean_of_directions(leading[0], leading[1])


def google_pwcca(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Computes what google/svcca calls PWCCA.

    Unlike the definition it changes when a constant is added to a neuron, when
    neurons are reordered, and with the signs that LAPACK happens to give
    singular vectors: the same data can score otherwise on another machine.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`, at least as many neurons as `x`.

    Returns:
        The weighted mean of the coefficients, in [0, 1].

    Raises:
        ValueError: As `google_cca`, or if `x` has more neurons than `y`,
            where the original ends in an IndexError.

    Example:
    >>> x = np.random.default_rng(0).normal(size=[100, 3])
    >>> round(google_pwcca(x, x * 5 + 1), 6)
    1.0

    Source: google/svcca 1f3fbf1, `compute_pwcca` with epsilon 0; also the
        PWCCA of ReSi and ecco. In place of the canonical variables it takes
        singular vectors of the whitened covariance times the centred but not
        whitened activations, adds the means back, orthonormalizes these in
        order, and weighs by their products with uncentred activations.
    """
    x, y = _pair(x, y)
    if x.shape[1] > y.shape[1]:
        raise ValueError(
            "google/svcca's PWCCA ends in an IndexError if the first layer has"
            f" more neurons. Received: {x.shape[1]} and {y.shape[1]} neurons. "
            "Exchange the layers; the weights are then those of the other one."
        )
    directions, coefficients = _google_decomposition(x, y, 0.0)
    mean = x.mean(0)
    basis = np.linalg.qr((x - mean) @ directions + mean)[0]
    return _weighted_mean(np.abs(basis.T @ x).sum(1), coefficients)


def anatome_svcca(
    x: npt.ArrayLike, y: npt.ArrayLike, accept_rate: float = 0.99
) -> float:
    """Computes one minus anatome's `svcca_distance`.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, no fewer
            datapoints than neurons.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`, likewise.
        accept_rate: Leading directions are kept while the share of the sum of
            singular values stays below it, in (0, 1].

    Returns:
        Mean of the coefficients of the kept directions, in [0, 1].

    Raises:
        ValueError: If shapes do not fit, a value is not finite, a layer is
            constant, or no direction is kept.

    Example:
    >>> x = np.random.default_rng(0).normal(size=[100, 3])
    >>> round(anatome_svcca(x, x * 5), 6)
    1.0

    Source: moskomule/anatome 2212a8c, backend "svd". Shares are of singular
        values, not of variances (their squares); of uncentred activations, so
        that the mean is the first direction; and the direction that crosses
        the share is left out.
    """
    x, y = _anatome_pair(x, y)
    if not 0 < accept_rate <= 1:
        raise ValueError(
            "The share to keep lies above 0 and up to 1. Received: "
            f"accept_rate={accept_rate}. 0.99 is anatome's."
        )
    kept = []
    for name, side in (("x", x), ("y", y)):
        _, values, directions = np.linalg.svd(side, full_matrices=False)
        count = int(np.sum(np.cumsum(values) < accept_rate * np.sum(values)))
        if not count:
            raise ValueError(
                "anatome's SVCCA keeps no direction. Received: "
                f"accept_rate={accept_rate}, and the first direction of "
                f"{name!r} alone holds it. The tool's number is undefined "
                "here; similarity.svcca keeps this direction."
            )
        kept.append(side @ directions[:count].T)
    return float(np.mean(_anatome_cca(*kept)[1]))


def anatome_pwcca(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Computes one minus anatome's `pwcca_distance`.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`, no fewer
            datapoints than neurons; the layer that weighs.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`, likewise.

    Returns:
        The weighted mean of the coefficients, in [0, 1].

    Raises:
        ValueError: If shapes do not fit, a value is not finite, a layer is
            constant, or `x` has a direction without variance, where the tool
            weighs by rounding.

    Example:
    >>> x = np.random.default_rng(0).normal(size=[100, 3])
    >>> round(anatome_pwcca(x, x * 5 + 1), 6)
    1.0

    Source: moskomule/anatome 2212a8c, backend "svd" (issue 30). It
        orthonormalizes the coefficients of the canonical variables, not the
        variables, and weighs by the absolute sums of uncentred activations in
        these directions.
    """
    x, y = _anatome_pair(x, y)
    rank = int(np.linalg.matrix_rank(x - x.mean(0)))
    if rank < x.shape[1]:
        raise ValueError(
            "anatome's PWCCA divides by a variance of zero, and its number is "
            f"rounding. Received: {x.shape[1]} neurons of 'x' that vary in "
            f"{rank} directions. Leave out dead and duplicate neurons."
        )
    weights, coefficients = _anatome_cca(x, y)
    basis = np.linalg.qr(weights)[0]
    return _weighted_mean(np.abs(x @ basis).sum(0), coefficients)


def resi_svcca(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Computes the SVCCA of the ReSi benchmark.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.

    Returns:
        Mean of the coefficients of the kept directions, in [0, 1]; with
        activations of a usual size one direction is kept, and this is the
        correlation of the two first principal components.

    Raises:
        ValueError: As `google_cca`.

    Example:
    >>> x = np.random.default_rng(0).normal(size=[100, 3])
    >>> round(resi_svcca(x, x * 5), 6)
    1.0

    Source: mklabunde/resi 24ab9e5, `repsim/measures/cca.py`. The share of the
        variance is compared not with 0.99 but with 0.99 times the total sum
        of squares: above a total of 1.01 no share is enough, and one direction
        is kept; below 1 too few are kept. It depends on the scale of a layer.
    """
    kept = []
    for side in _pair(x, y):
        components = _principal_components(side)
        squares = np.sum(components**2, axis=0)
        shares = np.cumsum(squares / np.sum(squares))
        enough = shares >= RESI_SHARE_OF_VARIANCE * np.sum(squares)
        # The index of the first; of the very first where none is.
        kept.append(components[:, : int(np.argmax(enough)) + 1])
    return _google_mean_of_directions(kept[0], kept[1])


def _google_mean_of_directions(x: Array, y: Array) -> float:
    coefficients = _google_decomposition(x, y, GOOGLE_TUTORIAL_EPSILON)[1]
    return float(np.mean(coefficients))


def _google_decomposition(
    x: Array, y: Array, epsilon: float
) -> tuple[Array, Array]:
    """Returns left singular vectors of the whitened covariance, and values."""
    if not 0 <= epsilon < 1:
        raise ValueError(
            "The ridge lies from 0 to below 1, the largest scaled variance. "
            f"Received: epsilon={epsilon}. google/svcca's default is 0, its "
            "tutorial's is 1e-10."
        )
    if x.shape[1] >= len(x):
        raise ValueError(
            "google/svcca wants more datapoints than neurons in the first "
            f"layer. Received: x of shape {x.shape}, [num_datapoints, "
            "num_neurons]. Use more datapoints; google's own axis order is "
            "the transpose."
        )
    sides, roots = [], []
    for side in (x, y):
        centred = side - side.mean(0)
        covariance = centred.T @ centred / (len(side) - 1)
        scale = np.max(np.abs(covariance))
        used = np.diag(covariance) / scale >= epsilon
        sides.append(centred[:, used] / np.sqrt(scale))
        roots.append(
            _google_inverse_root(covariance[used][:, used] / scale, epsilon)
        )
    cross = sides[0].T @ sides[1] / (len(x) - 1)
    left, values, _ = np.linalg.svd(roots[0] @ cross @ roots[1])
    return left, values


def _google_inverse_root(covariance: Array, epsilon: float) -> Array:
    ridge = epsilon * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(np.linalg.pinv(covariance + ridge))
    if values[0] < 0:
        raise ValueError(
            "google/svcca takes the root of a negative number here and fails "
            "('SVD did not converge'): the covariance is singular. Received: "
            f"epsilon={epsilon}, least eigenvalue of the inverse {values[0]}. "
            "Use a larger epsilon as its users do, or similarity.cca, which "
            "leaves out directions without variance."
        )
    return vectors * np.sqrt(values) @ vectors.T


def _principal_components(values: Array) -> Array:
    """Returns centred rows in the layer's principal directions, descending."""
    left, scales, _ = np.linalg.svd(
        values - values.mean(0), full_matrices=False
    )
    return left * scales


def _anatome_cca(x: Array, y: Array) -> tuple[Array, Array]:
    """Returns coefficients of x's canonical variables, and correlations."""
    left, scales, directions = np.linalg.svd(x - x.mean(0), full_matrices=False)
    right = np.linalg.svd(y - y.mean(0), full_matrices=False)[0]
    rotation, values, _ = np.linalg.svd(left.T @ right, full_matrices=False)
    return (directions.T / scales) @ rotation, values


def _weighted_mean(weights: Array, coefficients: Array) -> float:
    return float(weights @ coefficients / np.sum(weights))


def _anatome_pair(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
    x, y = _pair(x, y)
    for name, side in (("x", x), ("y", y)):
        if side.shape[0] < side.shape[1]:
            raise ValueError(
                "anatome wants no fewer datapoints than neurons. Received: "
                f"{name} of shape {side.shape}, [num_datapoints, "
                "num_neurons]. Use more datapoints."
            )
    return x, y


def _pair(x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
    """Casts both layers to float64 and checks them."""
    sides = inputs.as_arrays(
        np.asarray(x, np.float64), np.asarray(y, np.float64)
    )
    for name, side in zip("xy", sides, strict=True):
        if not np.any(side != side[:1]):
            raise ValueError(
                f"A constant layer has no similarity. Received: {name!r}, "
                f"whose {side.shape[1]} neurons never vary over {len(side)} "
                "datapoints. google/svcca reports 0 here, others NaN or "
                "rounding: leave the layer out."
            )
    return sides
