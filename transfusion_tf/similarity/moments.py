"""The one state that every linear measure comes from: float64 moments."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Counts, means and covariances of a set of layers.

    Attributes:
        layers: Layer name -> number of neurons, in the order of stacking.
        num_datapoints: How many datapoints were seen.
        means: Stacked means, shape `[num_stacked]`, float64.
        covariances: Stacked covariances, divided by `num_datapoints`, shape
            `[num_stacked, num_stacked]`, float64.
    """

    layers: Mapping[str, int]
    num_datapoints: int
    means: tf.Tensor
    covariances: tf.Tensor

    def mean(self, layer: str) -> tf.Tensor:
        """Returns a layer's mean, shape `[num_neurons]`, float64."""
        return self.means[self._slice(layer)]

    def covariance(self, first: str, second: str) -> tf.Tensor:
        """Returns the covariance of two layers.

        Args:
            first: Name of the layer of the rows.
            second: Name of the layer of the columns; may be the same.

        Returns:
            Shape `[num_neurons_first, num_neurons_second]`, float64.

        Raises:
            ValueError: If a layer is unknown; the message lists them.
        """
        return self.covariances[self._slice(first), self._slice(second)]

    def _slice(self, layer: str) -> slice:
        start = 0
        for name, size in self.layers.items():
            if name == layer:
                return slice(start, start + size)
            start += size
        raise ValueError(
            f"Unknown layer. Received: layer={layer!r}. "
            f"The state holds {', '.join(self.layers)}."
        )


class RepresentationMoments:
    """Collects the moments of several layers, batch by batch.

    Memory is quadratic in the number of stacked neurons, whatever the number
    of datapoints. Values are cast to float64 before anything is subtracted,
    and centred on the first batch's mean, so a large offset costs no digits.

    Args:
        layers: Layer name -> number of neurons, each at least 1.

    Raises:
        ValueError: If there is no layer, or one has no neuron.

    Example:
    >>> import numpy as np
    >>> state = RepresentationMoments({"conv1": 2, "block1": 1})
    >>> x = np.array([[0., 1.], [2., 5.], [4., 3.]])
    >>> state.update_state({"conv1": x[:2], "block1": x[:2, :1]})
    >>> state.update_state({"conv1": x[2:], "block1": x[2:, :1]})
    >>> state.result().mean("conv1").numpy().tolist()
    [2.0, 3.0]
    """

    def __init__(self, layers: Mapping[str, int]) -> None:
        """Starts an empty state."""
        if not layers or min(layers.values()) < 1:
            raise ValueError(
                "Moments need layers with neurons. "
                f"Received: layers={dict(layers)}. Give each layer's name "
                "and its number of neurons, at least 1."
            )
        self.layers: dict[str, int] = dict(layers)
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets everything seen."""
        size = sum(self.layers.values())
        self._num_datapoints = 0
        self._shift = tf.zeros([size], tf.float64)
        self._sum = tf.zeros([size], tf.float64)
        self._products = tf.zeros([size, size], tf.float64)

    def update_state(self, activations: Mapping[str, tf.Tensor]) -> None:
        """Adds a batch.

        Args:
            activations: Layer name -> shape `[num_datapoints, num_neurons]`,
                any real dtype; the rows of all layers belong together.

        Raises:
            ValueError: If layers or shapes do not fit, or a value is not
                finite; the message names the layer.
        """
        stacked = self._stack(activations)
        if not stacked.shape[0]:
            return
        if not self._num_datapoints:
            self._shift = tf.reduce_mean(stacked, axis=0)
        centred = stacked - self._shift
        self._num_datapoints += int(stacked.shape[0])
        self._sum += tf.reduce_sum(centred, axis=0)
        self._products += tf.matmul(centred, centred, transpose_a=True)

    def merge_state(self, others: Iterable[RepresentationMoments]) -> None:
        """Adds what other states have seen, as if this one had seen it.

        Args:
            others: States of the same layers in the same order.

        Raises:
            ValueError: If the layers differ.
        """
        for other in others:
            if list(other.layers.items()) != list(self.layers.items()):
                raise ValueError(
                    "States to merge must hold the same layers. Received: "
                    f"{self.layers} and {other.layers}."
                )
            self._add(other)

    def result(self) -> Moments:
        """Returns the moments of everything seen.

        Raises:
            ValueError: If nothing was seen.
        """
        if not self._num_datapoints:
            raise ValueError(
                "No datapoint was seen. Received: 0 datapoints. Call "
                "update_state with activations first."
            )
        mean = self._sum / self._num_datapoints
        covariances = self._products / self._num_datapoints - _outer(mean, mean)
        return Moments(
            dict(self.layers),
            self._num_datapoints,
            self._shift + mean,
            covariances,
        )

    def _add(self, other: RepresentationMoments) -> None:
        if not other._num_datapoints:
            return
        if not self._num_datapoints:
            self._shift = other._shift
        # sum (z-c)(z-c)' about our centre c, from the sums about theirs.
        step = other._shift - self._shift
        count = tf.cast(other._num_datapoints, tf.float64)
        self._products += (
            other._products
            + _outer(other._sum, step)
            + _outer(step, other._sum)
            + count * _outer(step, step)
        )
        self._sum += other._sum + count * step
        self._num_datapoints += other._num_datapoints

    def _stack(self, activations: Mapping[str, tf.Tensor]) -> tf.Tensor:
        if set(activations) != set(self.layers):
            raise ValueError(
                "The batch must hold each layer of the state. Received: "
                f"{sorted(activations)}. The state holds "
                f"{sorted(self.layers)}."
            )
        layers = [
            as_activations(activations[name], name, size)
            for name, size in self.layers.items()
        ]
        check_equal_rows(layers, list(self.layers))
        return tf.concat(layers, axis=1)


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
        ValueError: If the shape does not fit or a value is not finite.
    """
    values = tf.cast(tf.convert_to_tensor(values), tf.float64)
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
    finite = tf.math.is_finite(values)
    if not bool(tf.reduce_all(finite)):
        count = int(tf.reduce_sum(tf.cast(~finite, tf.int64)))
        raise ValueError(
            f"Activations of {name!r} are not finite. Received: {count} of "
            f"{int(tf.size(values))} values NaN or infinite. The model has "
            "diverged, or its float16 activations overflow."
        )
    return values


def check_equal_rows(layers: Sequence[tf.Tensor], names: Sequence[str]) -> None:
    """Raises `ValueError` unless all layers have as many datapoints."""
    rows = {
        name: int(layer.shape[0])
        for name, layer in zip(names, layers, strict=True)
    }
    if len(set(rows.values())) > 1:
        raise ValueError(
            "Layers must be seen on the same datapoints. "
            f"Received: num_datapoints={rows}. Give the activations of the "
            "same images in the same order."
        )


def _outer(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    return first[:, tf.newaxis] * second[tf.newaxis, :]
