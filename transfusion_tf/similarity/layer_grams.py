"""Debiased CKA of every layer of one side with every layer of another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from transfusion_tf.similarity import inputs

# So many rows of the Gram matrices are held at a time.
_ROWS = 512
# A Gram matrix that centring shrinks to less than this is rounding: constant.
_CONSTANT_CUT = 1e-13


def cka_matrix(
    first: Sequence[npt.ArrayLike], second: Sequence[npt.ArrayLike]
) -> npt.NDArray[np.float64]:
    """Computes debiased linear CKA of each layer with each other one.

    As `cka` of every pair, but the Gram matrix of a layer is computed once,
    not once a pair.

    Args:
        first: Layers of one side, each `[num_datapoints, num_neurons]` of any
            real dtype, at least 4 datapoints.
        second: Layers of the other side, on the same datapoints.

    Returns:
        Shape `[len(first), len(second)]`, at most 1, below 0 for unrelated
        layers by chance; NaN where a layer is constant or has a value that is
        not finite. The null level is 0.

    Raises:
        ValueError: If there are too few datapoints or their numbers differ.

    Example:
    >>> layer = np.random.default_rng(0).normal(size=[50, 4])
    >>> cka_matrix([layer, layer[:, :2]], [7 - 2 * layer]).round(6).tolist()
    [[1.0], [0.590011]]

    Source: Kornblith et al. 2019, arXiv:1905.00414; debiased: Szekely and
        Rizzo 2014.
    """
    sides = [[_centred(values) for values in side] for side in (first, second)]
    num_rows = {len(layer) for side in sides for layer in side}
    if len(num_rows) != 1:
        raise ValueError(
            "Layers must be seen on the same datapoints. Received: "
            f"num_datapoints={sorted(num_rows)}. Give the activations of the "
            "same images in the same order."
        )
    (count,) = num_rows
    inputs.check_enough_for_cka(count, debiased=True)
    products = np.zeros([len(side) for side in sides])
    squares = [np.zeros(len(side)) for side in sides]
    is_constant = [np.zeros(len(side), bool) for side in sides]
    sizes = [np.zeros(len(side)) for side in sides]
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, count, _ROWS):
            rows = slice(start, start + _ROWS)
            blocks = []
            for place, side in enumerate(sides):
                grams = [_gram_rows(layer, rows) for layer in side]
                sizes[place] += [np.square(gram).sum() for gram, _ in grams]
                block = np.stack([centred.ravel() for _, centred in grams])
                squares[place] += np.einsum("ij,ij->i", block, block)
                blocks.append(block)
            products += blocks[0] @ blocks[1].T
        for place in range(2):
            cut = _CONSTANT_CUT**2 * sizes[place]
            is_constant[place] = ~(squares[place] > cut)
        scores = products / np.sqrt(np.outer(*squares))
    scores[is_constant[0]] = np.nan
    scores[:, is_constant[1]] = np.nan
    return np.minimum(scores, 1.0)


def _centred(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Subtracts each neuron's mean; exactly 0 where a neuron is constant."""
    layer = np.asarray(values, np.float64)
    with np.errstate(invalid="ignore"):
        moved = layer - layer[:1]
        return moved - moved.mean(axis=0)


def _gram_rows(
    layer: npt.NDArray[np.float64], rows: slice
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns rows of a Gram matrix off its diagonal, as is and centred.

    The unbiased centring. Rows of the whole matrix sum to 0, so without the
    diagonal a row sums to minus that.
    """
    count = len(layer)
    norms = np.einsum("ij,ij->i", layer, layer)
    gram = layer[rows] @ layer.T
    shift = norms / (count - 2.0)
    mean = norms.sum() / ((count - 1.0) * (count - 2.0))
    centred = gram + shift[rows, None] + shift - mean
    for matrix in (gram, centred):
        places = np.arange(len(matrix))
        matrix[places, places + rows.start] = 0.0
    return gram, centred
