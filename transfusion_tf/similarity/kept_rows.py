"""The rows of several layers, kept whole, and the moments of any two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import inputs, linalg
from transfusion_tf.similarity.moments import RepresentationMoments
from transfusion_tf.similarity.second_moments import Moments

# Of a wide layer, so many at a time are held in float64.
_COLUMNS = 4096


class KeptRows:
    """Keeps the rows of several layers, batch by batch.

    Memory grows with the number of datapoints and only linearly with the
    neurons, `num_datapoints * num_neurons` numbers as they come: it is the
    place for few images of wide layers, and for what needs the rows
    themselves, as permutations do.

    A layer of more neurons than rows is turned, so that all it has lies in as
    many directions as there are rows. Those follow from the Gram matrix of
    the rows, and any measure that a rotation of the neurons does not change
    is the same to rounding: all but PWCCA.

    Args:
        layers: Layer name -> number of neurons.
        num_blocks: As in `RepresentationMoments`.

    Example:
    >>> rows = KeptRows({"conv1": 2, "block1": 1})
    >>> x = np.array([[0., 1.], [2., 5.], [4., 3.]])
    >>> rows.update_state({"conv1": x, "block1": x[:, :1]}, np.arange(3))
    >>> moments = rows.pair("conv1", "block1")
    >>> moments.covariance("conv1", "block1").numpy().round(3)
    array([[2.667],
           [1.333]])
    """

    def __init__(self, layers: Mapping[str, int], *, num_blocks: int = 1):
        """Starts without rows."""
        self.layers: dict[str, int] = dict(layers)
        self.num_blocks = num_blocks
        self._batches: dict[str, list[npt.NDArray]] = {n: [] for n in layers}
        self._groups: list[npt.NDArray] = []
        self._turned: dict[str, list[npt.NDArray]] = {}

    @property
    def num_bytes(self) -> int:
        """What is kept, in bytes."""
        return sum(
            batch.nbytes
            for batches in self._batches.values()
            for batch in batches
        )

    def update_state(
        self, activations: Mapping[str, tf.Tensor], groups: npt.NDArray
    ) -> None:
        """Adds a batch.

        Args:
            activations: Layer name -> `[num_datapoints, num_neurons]`.
            groups: The image of each row, `[num_datapoints]`; each image has
                as many rows, one after the other.

        Raises:
            ValueError: If a value is not finite; the message names the layer.
        """
        layers = [tf.convert_to_tensor(activations[n]) for n in self.layers]
        sums = np.array([layer.numpy().sum() for layer in layers])
        inputs.check_finite(layers, list(self.layers), sums)
        for name, layer in zip(self.layers, layers, strict=True):
            self._batches[name].append(layer.numpy())
        self._groups.append(np.asarray(groups))

    def pair(self, first: str, second: str) -> Moments:
        """Returns the moments of two layers.

        Args:
            first: Name of one layer.
            second: Name of the other, or of the same one, which then is
                there twice.

        Returns:
            The moments, whose `layers` are these two in this order.
        """
        names = first, second if second != first else f"{second}, again"
        x, y = self._rows(first), self._rows(second)
        sizes = {
            name: rows[0].shape[1]
            for name, rows in zip(names, (x, y), strict=True)
        }
        state = RepresentationMoments(sizes, num_blocks=self.num_blocks)
        for *rows, groups in zip(x, y, self._groups, strict=True):
            state.update_state(dict(zip(names, rows, strict=True)), groups)
        return state.result()

    def is_wide(self, layer: str) -> bool:
        """Tells whether a layer has more neurons than rows, of all batches."""
        return self.layers[layer] > sum(map(len, self._groups))

    def permuted(
        self,
        first: str,
        second: str,
        moments: Moments,
        *,
        num_permutations: int,
        seed: int,
    ) -> Iterator[Moments]:
        """Yields the moments with whole images of one layer permuted.

        Each layer's own moments do not change, so a permutation costs one
        product of the two layers.

        Args:
            first: Name of the layer that stays.
            second: Name of the layer whose images are permuted.
            moments: What `pair` returned of them.
            num_permutations: How many.
            seed: Seed of the permutations; the same for all layers.
        """
        own_x, own_y = moments.layers
        x, y = (
            np.concatenate(self._rows(layer)) - moments.mean(own).numpy()
            for layer, own in ((first, own_x), (second, own_y))
        )
        norms = [np.einsum("ij,ij->i", rows, rows) for rows in (x, y)]
        left = tf.convert_to_tensor(x / len(x))
        images = np.arange(len(x)).reshape(moments.num_images, -1)
        generator = np.random.default_rng(seed)
        for _ in range(num_permutations):
            rows = images[generator.permutation(len(images))].ravel()
            right = tf.convert_to_tensor(y[rows])
            yield moments.paired_anew(
                own_x,
                own_y,
                linalg.product(left, right, transpose_a=True).numpy(),
                float(norms[0] @ norms[1][rows]),
            )

    def _rows(self, layer: str) -> list[npt.NDArray]:
        """Returns the rows of each batch, those of a wide layer turned."""
        if not self.is_wide(layer):
            return self._batches[layer]
        if layer not in self._turned:
            ends = np.cumsum([len(groups) for groups in self._groups])[:-1]
            turned = _turn(np.concatenate(self._batches[layer]))
            self._turned[layer] = np.split(turned, ends)
        return self._turned[layer]


def _turn(rows: npt.NDArray) -> npt.NDArray[np.float64]:
    """Returns rows, less the first one, in the directions that they span.

    Args:
        rows: `[num_datapoints, num_neurons]`.

    Returns:
        `[num_datapoints, num_datapoints]`, with the same Gram matrix.
    """
    gram = np.zeros([len(rows), len(rows)])
    for start in range(0, rows.shape[1], _COLUMNS):
        part = rows[:, start : start + _COLUMNS].astype(np.float64)
        part -= part[:1].copy()  # Exactly 0 where a neuron is constant.
        gram += part @ part.T
    variances, vectors = linalg.eigh(tf.convert_to_tensor(gram))
    return vectors.numpy() * np.sqrt(np.maximum(variances.numpy(), 0.0))
