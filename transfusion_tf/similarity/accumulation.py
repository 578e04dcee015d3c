"""Sums of a batch about a shift, and what they are about another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import linalg

PILOT_ROWS = 256
# What is summed for each block of batches.
IN_BLOCKS = (
    "num_datapoints",
    "num_images",
    "sums",
    "products",
    "norms",
    "norm_products",
    "norm_sums",
)


def pilot_means(layers: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the means of the first rows: near enough to be subtracted."""
    first = [tf.cast(layer[:PILOT_ROWS], tf.float64) for layer in layers]
    count = tf.cast(tf.shape(first[0])[0], tf.float64)
    sums = tf.concat([tf.reduce_sum(rows, axis=0) for rows in first], axis=0)
    return tf.math.divide_no_nan(sums, count)


def batch_sums(
    layers: Sequence[tf.Tensor], shift: tf.Tensor, precision: str
) -> dict[str, tf.Tensor]:
    """Sums a batch about a shift, in TensorFlow.

    Values are cast before the shift is subtracted: in float32 the difference
    would have lost digits already.
    """
    sizes = [layer.shape[1] for layer in layers]
    cast = [tf.cast(layer, tf.float64) for layer in layers]
    rows = tf.concat(cast, axis=1) - shift
    norms = tf.stack(
        [
            tf.reduce_sum(tf.square(part), axis=1)
            for part in tf.split(rows, sizes, axis=1)
        ],
        axis=1,
    )
    narrow = tf.cast(rows, precision)
    return {
        "sums": tf.reduce_sum(rows, axis=0),
        "products": tf.cast(linalg.upper_products(narrow), tf.float64),
        "norms": tf.reduce_sum(norms, axis=0),
        "norm_products": tf.matmul(norms, norms, transpose_a=True),
        "norm_sums": tf.matmul(norms, rows, transpose_a=True),
    }


def centred_by_blas(
    layers: Sequence[tf.Tensor], shift: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the rows of all layers about a shift, and their squared norms.

    As `batch_sums`, with one pass over the values.
    """
    ends = np.cumsum([0, *(layer.shape[1] for layer in layers)])
    rows = np.empty((layers[0].shape[0], ends[-1]))
    norms = np.empty((len(rows), len(layers)))
    for place, layer in enumerate(layers):
        part = rows[:, ends[place] : ends[place + 1]]
        values = layer.numpy()
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        offset = shift[ends[place] : ends[place + 1]]
        np.subtract(values, offset, out=part, dtype=np.float64)
        norms[:, place] = np.einsum("ij,ij->i", part, part)
    return rows, norms


def merge(
    parts: Sequence[Mapping[str, npt.NDArray[np.float64]]],
    shapes: Mapping[str, list[int]],
    layers: Mapping[str, int],
) -> dict[str, npt.NDArray[np.float64]]:
    """Adds sums that were taken about different shifts, about the first's."""
    # Where nothing was seen the shift is still 0, perhaps far from the values.
    parts = [part for part in parts if part["num_batches"]]
    if len(parts) == 1:
        return dict(parts[0])
    if not parts:
        return {name: np.zeros(s) for name, s in shapes.items()}
    merged = {name: np.array(values) for name, values in parts[0].items()}
    for part in parts[1:]:
        step = merged["shift"] - part["shift"]
        for block in range(shapes["num_datapoints"][0]):
            own = {name: part[name][block] for name in IN_BLOCKS}
            for name, values in {
                **own,
                **about(own, step, layers),
                "products": _products_about(own, step),
            }.items():
                merged[name][block] += values
        for name in ("num_batches", "num_not_finite"):
            merged[name] += part[name]
    return merged


def about(
    own: Mapping[str, npt.NDArray[np.float64]],
    step: npt.NDArray[np.float64],
    layers: Mapping[str, int],
) -> dict[str, npt.NDArray[np.float64]]:
    """Returns the sums as if they had been taken about a shift further on.

    With z' = z - s, a squared norm of the part x of z that is a layer's is
    a' = a - 2 s_x.x + |s_x|^2, and all sums of z', a' and their products
    follow from those of z and a.
    """
    count, sums = own["num_datapoints"], own["sums"]
    # Row l holds s of layer l, and zeros elsewhere.
    owned = _owned(step, layers)
    squared = (owned**2).sum(axis=1)
    onto = owned @ sums  # Sums of s_l.x_l.
    norms = own["norms"] - 2 * onto + count * squared
    # Sums of z (s_l.x_l).
    along = linalg.symmetric_product_by_blas(own["products"], owned.T)
    norm_sums = (
        own["norm_sums"]
        - 2 * along.T
        + np.outer(squared, sums)
        - np.outer(norms, step)
    )
    mixed = -2 * own["norm_sums"] @ owned.T + np.outer(own["norms"], squared)
    both = (
        4 * owned @ along
        - 2 * np.outer(onto, squared)
        - 2 * np.outer(squared, onto)
        + count * np.outer(squared, squared)
    )
    return {
        "sums": sums - count * step,
        "norms": norms,
        "norm_sums": norm_sums,
        "norm_products": own["norm_products"] + mixed + mixed.T + both,
    }


def _products_about(
    own: Mapping[str, npt.NDArray[np.float64]], step: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    cross = np.outer(own["sums"], step)
    count = own["num_datapoints"]
    products = np.triu(own["products"])
    return products - cross - cross.T + count * np.outer(step, step)


def _owned(
    stacked: npt.NDArray[np.float64], layers: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """Returns `[num_layers, num_stacked]`: each row one layer's part."""
    layer_of = np.repeat(np.arange(len(layers)), list(layers.values()))
    return np.where(np.arange(len(layers))[:, None] == layer_of, stacked, 0.0)
