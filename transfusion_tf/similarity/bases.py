"""The directions of a layer along which it has unit variance."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import linalg
from transfusion_tf.similarity.second_moments import Moments

# A layer that is farther from singular than this is whitened by its Cholesky
# factor, which takes a sixth of the time and is as exact there.
_SAFE_CONDITION = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Basis:
    """The principal directions of a layer that are kept.

    Attributes:
        vectors: Unit vectors in columns, `[num_neurons, rank]`, float64.
        variances: Of the layer along each, descending, `[rank]`.
    """

    vectors: tf.Tensor
    variances: tf.Tensor

    @property
    def directions(self) -> tf.Tensor:
        """The vectors, scaled so that the layer has unit variance along."""
        return self.vectors / tf.sqrt(self.variances)

    @property
    def rank(self) -> int:
        """How many are kept."""
        return int(self.vectors.shape[1])

    @property
    def loadings(self) -> tf.Tensor:
        """Products of the neurons with what has unit variance, by column."""
        return self.vectors * tf.sqrt(self.variances)

    def whiten(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns `directions^T rows`, `[rank, ...]`."""
        return linalg.product(self.directions, rows, transpose_a=True)


@dataclasses.dataclass(frozen=True, eq=False)
class CholeskyBasis:
    """All directions of a layer of full rank, none of them principal.

    Attributes:
        loadings: The lower Cholesky factor of its covariance.
    """

    loadings: tf.Tensor

    @property
    def rank(self) -> int:
        """How many there are."""
        return int(self.loadings.shape[1])

    def whiten(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns the rows in these directions, `[rank, ...]`."""
        return linalg.solve_lower(self.loadings, rows)


def whitening_basis(
    moments: Moments, layer: str, variance: float | None = None
) -> Basis:
    """Finds the principal directions of a layer that are kept.

    Args:
        moments: The state.
        layer: Name of the layer.
        variance: Share of variance to keep, in (0, 1]; None keeps all
            directions above the rank cut.

    Returns:
        The directions, largest variance first.

    Raises:
        ValueError: If `variance` is out of range.
    """
    if variance is not None and not 0 < variance <= 1:
        raise ValueError(
            "The share of variance to keep lies above 0 and up to 1. "
            f"Received: variance={variance}. 0.99 is SVCCA's."
        )
    variances, vectors = moments.spectrum(layer)
    rank = 0
    if moments.total_variance(layer):
        rank = _rank(variances.numpy(), variance, moments.rank_cut)
    return Basis(vectors[:, :rank], variances[:rank])


def basis_of(
    moments: Moments, layer: str, variance: float | None
) -> Basis | CholeskyBasis:
    """Returns directions that whiten a layer, found once a layer.

    Args:
        moments: The state.
        layer: Name of the layer.
        variance: As in `whitening_basis`.
    """

    def found() -> Basis | CholeskyBasis:
        # A heat map needs the principal directions anyway.
        is_pair = len(moments.layers) == 2
        if variance is None and is_pair and moments.total_variance(layer):
            lower = linalg.safe_cholesky(
                moments.covariance(layer, layer),
                max(_SAFE_CONDITION, 100 * moments.rank_cut),
            )
            if lower is not None:
                return CholeskyBasis(lower)
        return whitening_basis(moments, layer, variance)

    return moments.remember(("basis", layer, variance), found)


def whitened_covariance(
    moments: Moments,
    first: str,
    second: str,
    bases: Sequence[Basis | CholeskyBasis],
) -> tf.Tensor:
    """Returns the covariance of two layers in their bases."""

    def whiten(sides: Sequence[Basis | CholeskyBasis]) -> tf.Tensor:
        half = sides[0].whiten(moments.covariance(first, second))
        return tf.transpose(sides[1].whiten(tf.transpose(half)))

    whole = [basis_of(moments, name, None) for name in (first, second)]
    if not all(isinstance(basis, Basis) for basis in whole):
        return whiten(bases)
    # Principal directions are a beginning of all of them.
    matrix = moments.remember_last(
        ("whitened", first, second), lambda: whiten(whole)
    )
    return matrix[: bases[0].rank, : bases[1].rank]


def _rank(
    variances: npt.NDArray[np.float64], variance: float | None, cut: float
) -> int:
    """Counts the kept directions of descending variances."""
    rank = int(np.sum(variances > cut * variances[0]))
    if variance is None or variance == 1:
        return rank
    shares = np.cumsum(variances[:rank]) / np.sum(variances[:rank])
    return min(rank, int(np.searchsorted(shares, variance)) + 1)
