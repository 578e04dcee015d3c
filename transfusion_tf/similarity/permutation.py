"""Null levels by permuting whole images, for any number of rows an image."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import (
    bases,
    correlation,
    inputs,
    linalg,
    moments,
)

_MEASURES: tuple[str, ...] = ("cca", "svcca")


@dataclasses.dataclass(frozen=True, eq=False)
class NullLevel:
    """Scores of the same activations with the images of one side permuted.

    Attributes:
        mean: Mean over permutations of the mean coefficient; the null level.
        mean_squared: Mean over permutations of R2_CCA.
        scores: The mean coefficient of each permutation, shape
            `[num_permutations]`.
        scores_squared: R2_CCA of each permutation, the same shape.
        num_groups: How many images were permuted.
    """

    mean: float
    mean_squared: float
    scores: npt.NDArray[np.float64]
    scores_squared: npt.NDArray[np.float64]
    num_groups: int


def null_level(
    x: tf.Tensor,
    y: tf.Tensor,
    groups: npt.ArrayLike | None = None,
    *,
    measure: str = "cca",
    variance: float = 0.99,
    num_permutations: int = 20,
    seed: int = 0,
    allow_small_n: bool = False,
) -> NullLevel:
    """Scores two layers with the images of the second one permuted.

    Permuting does not change a layer's own covariance, so both layers are
    whitened once and each permutation costs one product.

    Args:
        x: Activations, shape `[num_datapoints, num_neurons_x]`.
        y: Activations on the same datapoints, `[num_datapoints,
            num_neurons_y]`.
        groups: The image of each row, shape `[num_datapoints]`, integers;
            rows of an image move together and keep their order, so each image
            must have as many rows. None: each row is an image.
        measure: "cca" or "svcca".
        variance: Share of variance kept, for "svcca".
        num_permutations: At least 1.
        seed: Seed of the permutations.
        allow_small_n: As in `cca`.

    Returns:
        The null level, by permutation.

    Raises:
        ValueError: As `cca`; or if the measure is unknown, images have
            different numbers of rows, there is one image only, or a layer is
            constant.

    Example:
    >>> x = tf.random.stateless_normal([500, 10], seed=[0, 0])
    >>> level = null_level(x, x, num_permutations=50)
    >>> round(level.mean_squared, 2), round(
    ...     10 / 499, 2)
    (0.02, 0.02)
    """
    _check_measure(measure)
    blocks = _blocks(groups, len(y))
    _check_permutations(num_permutations, len(blocks))
    kept = variance if measure == "svcca" else None
    left, right = _whiten(x, "x", kept), _whiten(y, "y", kept)
    inputs.check_equal_rows([left, right], ["x", "y"])
    rank = (int(left.shape[1]), int(right.shape[1]))
    correlation.check_num_datapoints(rank, len(y), allow_small_n=allow_small_n)
    left = tf.gather(left, blocks.ravel()) / len(y)
    generator = np.random.default_rng(seed)
    coefficients = []
    for _ in range(num_permutations):
        rows = blocks[generator.permutation(len(blocks))].ravel()
        whitened = linalg.product(
            left, tf.gather(right, rows), transpose_a=True
        )
        values = linalg.singular_values(whitened).numpy()
        coefficients.append(np.clip(values, 0.0, 1.0))
    scores = np.mean(coefficients, axis=1)
    squared = np.mean(np.square(coefficients), axis=1)
    return NullLevel(
        float(scores.mean()),
        float(squared.mean()),
        scores,
        squared,
        len(blocks),
    )


def _check_measure(measure: str) -> None:
    """Raises `ValueError` unless `measure` is one of `_MEASURES`."""
    if measure not in _MEASURES:
        raise ValueError(
            f"Unknown measure. Received: measure={measure!r}. "
            f"Choose one of {', '.join(_MEASURES)}."
        )


def _whiten(
    activations: tf.Tensor, name: str, variance: float | None
) -> tf.Tensor:
    """Returns centred rows in the layer's whitening basis."""
    values = inputs.as_activations(activations, name)
    state = moments.RepresentationMoments({name: int(values.shape[1])})
    state.update_state({name: values})
    collected = state.result()
    basis = bases.whitening_basis(collected, name, variance).directions
    if not basis.shape[1]:
        raise ValueError(
            f"A constant layer has no null level. Received: {name!r}, whose "
            f"{int(values.shape[1])} neurons never vary. Leave it out, or "
            "use more images."
        )
    return linalg.product(values - collected.mean(name), basis)


def _blocks(groups: npt.ArrayLike | None, num_rows: int) -> npt.NDArray:
    """Returns the rows of each image, shape `[num_images, rows_an_image]`."""
    groups = np.arange(num_rows) if groups is None else np.asarray(groups)
    if groups.shape != (num_rows,):
        raise ValueError(
            "Each row has an image. Received: groups of shape "
            f"{groups.shape}, {num_rows} rows. Give one group a row."
        )
    _, counts = np.unique(groups, return_counts=True)
    if len(set(counts)) > 1:
        raise ValueError(
            "Images to permute must have as many rows. Received: from "
            f"{counts.min()} to {counts.max()} rows an image. Sample a "
            "multiple of the number of images, or use paper_protocol, which "
            "permutes images before it samples positions."
        )
    return np.argsort(groups, kind="stable").reshape(len(counts), -1)


def _check_permutations(num_permutations: int, num_groups: int) -> None:
    if num_permutations < 1 or num_groups < 2:
        raise ValueError(
            "A null level needs a permutation of at least 2 images. Received:"
            f" num_permutations={num_permutations}, {num_groups} images."
        )
