"""CKA of layers that are wider than a batch, batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from transfusion_tf.similarity import gram, inputs, replicas
from transfusion_tf.similarity.inputs import as_activations, check_equal_rows


class MinibatchCKA:
    """Estimates linear CKA of all pairs of layers, batch by batch.

    For layers that are wider than a batch (flattened maps): only Gram
    matrices of one batch are ever held. HSIC is averaged without bias over
    the batches, by their numbers of images, and CKA is the ratio of the
    averages. That is an estimate of its own: weakly similar layers score less
    the smaller the batches are. Where the moments of the layers fit into
    memory, `cka_from_moments` gives the debiased score of all images.

    It has the protocol of Keras' metrics. `update_state` may be called inside
    `tf.function` and, for a state made in a strategy's scope, inside
    `strategy.run`, where each replica's part is a batch.

    Args:
        layers: Names of the layers, in the order of rows and columns.

    Raises:
        ValueError: If there is no layer, or a name comes twice.

    Example:
    >>> state = MinibatchCKA(["conv1", "block1"])
    >>> for seed in range(5):
    ...     images = tf.random.stateless_normal([8, 100], seed=[0, seed])
    ...     state.update_state({"conv1": images, "block1": images[:, ::-1]})
    >>> state.result().numpy().round(6).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    >>> state.notes
    ('minibatch estimate: 5 batches of 8.0 datapoints on average',)

    Source: Nguyen, Raghu and Kornblith 2021, arXiv:2010.15327, section 3.
    """

    def __init__(self, layers: Sequence[str]) -> None:
        """Starts an empty state."""
        if not layers or len(set(layers)) < len(layers):
            raise ValueError(
                "CKA compares layers of different names. Received: "
                f"layers={list(layers)}. Give each layer's name once."
            )
        self.layers: tuple[str, ...] = tuple(layers)
        size = len(self.layers)
        shapes: dict[str, list[int]] = {
            "num_batches": [],
            "num_datapoints": [],
            "num_small_batches": [],
            "num_not_finite": [size],
            "hsic": [size, size],
        }
        self._variables = replicas.sum_variables(shapes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of `result` must know."""
        batches = float(self._collected("num_batches"))
        mean = float(self._collected("num_datapoints")) / max(batches, 1.0)
        return (
            f"minibatch estimate: {batches:.0f} batches of {mean:.1f} "
            "datapoints on average",
        )

    def reset_state(self) -> None:
        """Forgets everything seen."""
        replicas.set_to_zero(self._variables)

    def update_state(self, activations: Mapping[str, tf.Tensor]) -> None:
        """Adds a batch.

        Args:
            activations: Layer name -> shape `[num_datapoints, num_neurons]`,
                any real dtype; the same images in all, at least 4 or, for a
                replica that got none, 0.

        Raises:
            ValueError: If layers or shapes do not fit, there are too few
                images, or a value is not finite; the message names the layer.
                What a graph cannot know is raised by `result`.
        """
        if set(activations) != set(self.layers):
            raise ValueError(
                "A batch must have all layers. Received: "
                f"{sorted(activations)}. The state holds "
                f"{sorted(self.layers)}."
            )
        values = [as_activations(activations[n], n) for n in self.layers]
        check_equal_rows(values, list(self.layers))
        if values[0].shape[0] == 0:
            return
        inputs.check_enough_for_cka(
            values[0].shape[0], debiased=True, what="A batch"
        )
        count = tf.cast(tf.shape(values[0])[0], tf.float64)
        hsic, norms = _hsic_of_pairs(values)
        is_empty, is_enough = count < 1, count >= inputs.MIN_DEBIASED
        is_small = ~is_empty & ~is_enough
        # A row with a value that is not finite has a norm that is not.
        not_finite = ~tf.math.is_finite(tf.reduce_sum(norms, axis=1))
        added = {
            "num_batches": tf.cast(is_enough, tf.float64),
            "num_datapoints": tf.where(is_enough, count, 0.0),
            "num_small_batches": tf.cast(is_small, tf.float64),
            "num_not_finite": tf.cast(not_finite, tf.float64),
            "hsic": tf.where(is_enough, count * hsic, 0.0),
        }
        for name, addend in added.items():
            self._variables[name].assign_add(addend)

    def merge_state(self, others: Iterable[MinibatchCKA]) -> None:
        """Adds what other states have seen, as if this one had seen it.

        Args:
            others: States of the same layers in the same order.

        Raises:
            ValueError: If they differ.
        """
        for other in others:
            if other.layers != self.layers:
                raise ValueError(
                    "States to merge must hold the same layers. Received: "
                    f"{self.layers} and {other.layers}."
                )
            for name, variable in self._variables.items():
                own = replicas.parts_of(variable)[0]
                own.assign_add(other._collected(name))

    def result(self) -> tf.Tensor:
        """Returns the minibatch estimate of CKA, on all replicas' batches.

        Returns:
            Shape `[num_layers, num_layers]`, float64, symmetric, in [-1, 1]:
            1 on the diagonal, NaN for a constant layer. Unrelated images
            score 0 on average; negative scores are left so. See `notes`.

        Raises:
            ValueError: If nothing was seen, a value was not finite, or a
                batch was too small.
        """
        for name, bad in zip(
            self.layers, self._collected("num_not_finite").numpy(), strict=True
        ):
            if bad:
                raise ValueError(
                    f"Activations of {name!r} are not finite. Received: NaN "
                    f"or infinite values in {int(bad)} batches. The model has "
                    "diverged, or its float16 activations overflow."
                )
        small = int(self._collected("num_small_batches"))
        if small or not self._collected("num_datapoints"):
            raise ValueError(
                f"CKA needs batches of at least {inputs.MIN_DEBIASED} "
                f"datapoints. Received: {small} smaller batches and "
                f"{int(self._collected('num_batches'))} others. Drop the "
                "remainder of the data set, or choose another batch size; "
                "each replica's part counts as a batch."
            )
        hsic = self._collected("hsic")
        scales = tf.sqrt(tf.linalg.diag_part(hsic))
        return hsic / (scales[:, tf.newaxis] * scales[tf.newaxis])

    def _collected(self, name: str) -> tf.Tensor:
        """The sum of all replicas."""
        parts = replicas.parts_of(self._variables[name])
        return tf.add_n([tf.convert_to_tensor(own) for own in parts])


@tf.function(reduce_retracing=True)
def _hsic_of_pairs(
    layers: Sequence[tf.Tensor],
) -> tuple[tf.Tensor, tf.Tensor]:
    """HSIC of each pair, and the squared norms `[layers, datapoints]`.

    Compiled, as these are many small operations.
    """
    count = tf.shape(layers[0])[0]
    half = count // 2
    rows, norms = [], []
    for layer in layers:
        centred = gram.centre(layer)
        above, below = centred[:half], centred[half:]
        # The fourth block repeats the second, whose square counts twice.
        blocks = (
            _without_diagonal(above),
            math.sqrt(2.0) * tf.matmul(above, below, transpose_b=True),
            _without_diagonal(below),
        )
        rows.append(tf.concat([tf.reshape(b, [-1]) for b in blocks], axis=0))
        norms.append(tf.reduce_sum(centred * centred, axis=1))
    stacked, diagonals = tf.stack(rows), tf.stack(norms)
    sums = tf.reduce_sum(diagonals, axis=1)
    hsic = gram.unbiased_hsic(
        tf.matmul(stacked, stacked, transpose_b=True),
        tf.matmul(diagonals, diagonals, transpose_b=True),
        sums[:, tf.newaxis] * sums[tf.newaxis],
        tf.cast(count, tf.float64),
    )
    return hsic, diagonals


def _without_diagonal(x: tf.Tensor) -> tf.Tensor:
    products = tf.matmul(x, x, transpose_b=True)
    return products * gram.off_diagonal(tf.shape(x)[0])
