"""What activations must be: real, finite, of one shape, on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

# Fewest datapoints of which HSIC is more than a constant.
MIN_DEBIASED, MIN_BIASED = 4, 3


def as_activations(
    values: tf.Tensor, name: str, num_neurons: int | None = None
) -> tf.Tensor:
    """Casts activations to float64 and checks them.

    Args:
        values: Shape `[num_datapoints, num_neurons]`, any real dtype.
        name: The layer's name, for messages.
        num_neurons: How many neurons there must be, or None for any.

    Returns:
        The same values, float64.

    Raises:
        ValueError: If the shape does not fit or, outside of a graph, a value
            is not finite.
    """
    values = tf.cast(as_matrix(values, name, num_neurons), tf.float64)
    if tf.executing_eagerly():
        check_finite([values], [name], tf.reduce_sum(values).numpy())
    return values


def as_arrays(
    x: tf.Tensor, y: tf.Tensor
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Checks two layers, and returns them as arrays; see `as_activations`."""
    sides = as_activations(x, "x"), as_activations(y, "y")
    check_equal_rows(sides, ["x", "y"])
    return sides[0].numpy(), sides[1].numpy()


def check_equal_rows(layers: Sequence[tf.Tensor], names: Sequence[str]) -> None:
    """Raises `ValueError` unless all layers have as many datapoints."""
    rows = {
        name: layer.shape[0] for name, layer in zip(names, layers, strict=True)
    }
    # Within a graph a number of rows can be unknown.
    if len(set(rows.values()) - {None}) > 1:
        raise ValueError(
            "Layers must be seen on the same datapoints. "
            f"Received: num_datapoints={rows}. Give the activations of the "
            "same images in the same order."
        )


def check_enough_for_cka(
    count: int | None, *, debiased: bool, what: str = "CKA"
) -> None:
    """Raises `ValueError` where too few datapoints are known of."""
    least = MIN_DEBIASED if debiased else MIN_BIASED
    if count is not None and count < least:
        raise ValueError(
            f"{what} needs at least {least} datapoints. Received: "
            f"num_datapoints={count}, debiased={debiased}. Use more images."
        )


def as_matrix(
    values: tf.Tensor, name: str, num_neurons: int | None
) -> tf.Tensor:
    """Checks the shape of activations; see `as_activations`."""
    values = tf.convert_to_tensor(values)
    wanted = "num_neurons" if num_neurons is None else num_neurons
    if values.shape.rank != 2 or values.shape[1] != (
        values.shape[1] if num_neurons is None else num_neurons
    ):
        raise ValueError(
            f"Activations of {name!r} have the wrong shape. Received: shape="
            f"{tuple(values.shape)}. Give [num_datapoints, {wanted}]; for "
            "convolutional layers sample positions first "
            "(similarity.sample_positions)."
        )
    return values


def check_finite(
    layers: Sequence[tf.Tensor],
    names: Sequence[str],
    sums: npt.NDArray[np.float64],
) -> None:
    """Raises `ValueError` if a value is not finite.

    A sum is finite only where all its terms are, so that in almost all cases
    no layer is looked through.
    """
    if np.isfinite(sums).all():
        return
    for layer, name in zip(layers, names, strict=True):
        count = int(count_not_finite(layer))
        if count:
            raise_not_finite(name, count, int(tf.size(layer)))


def count_images(groups: tf.Tensor | None, stacked: tf.Tensor) -> tf.Tensor:
    """Counts the different images of a batch's rows, a float64 scalar.

    Args:
        groups: The image of each row, or None where each row is one.
        stacked: Anything of as many rows.

    Raises:
        ValueError: If there is not one group a row.
    """
    if groups is None:
        return tf.cast(tf.shape(stacked)[0], tf.float64)
    groups = tf.sort(tf.reshape(tf.convert_to_tensor(groups), [-1]))
    if not groups.shape.is_compatible_with(stacked.shape[:1]):
        raise ValueError(
            "Each row has an image. Received: groups of shape "
            f"{tuple(groups.shape)}, {stacked.shape[0]} rows. Give one group "
            "a row."
        )
    changes = tf.not_equal(groups[1:], groups[:-1])
    first = tf.cast(tf.minimum(tf.size(groups), 1), tf.float64)
    return first + tf.reduce_sum(tf.cast(changes, tf.float64))


def count_not_finite(values: tf.Tensor) -> tf.Tensor:
    """Counts the values that are NaN or infinite, a float64 scalar."""
    if not values.dtype.is_floating:
        return tf.constant(0.0, tf.float64)
    return tf.reduce_sum(tf.cast(~tf.math.is_finite(values), tf.float64))


def raise_not_finite(name: str, count: int, size: int | None) -> None:
    """Raises the `ValueError` of values that are not finite."""
    of_all = "" if size is None else f" of {size}"
    raise ValueError(
        f"Activations of {name!r} are not finite. Received: {count}{of_all} "
        "values NaN or infinite. The model has diverged, or its float16 "
        "activations overflow."
    )
