"""Means and covariances of a set of layers, as a state collected them."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import linalg

T = TypeVar("T")
# What is less than this share of a layer's size is rounding in float64.
_RESOLUTION = 1e-14


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Counts, means and covariances of a set of layers.

    Attributes:
        layers: Layer name -> number of neurons, in the order of stacking.
        num_datapoints: How many datapoints were seen.
        num_images: How many images they are of: what may be permuted.
        means: Stacked means, shape `[num_stacked]`, float64.
        products: Upper triangle of the summed products of the stacked rows
            about a shift, `[num_stacked, num_stacked]`, float64.
        offsets: The means about that shift, `[num_stacked]`, float64.
        norm_products: Sum over datapoints of the product of two layers'
            squared distances from their means, `[num_layers, num_layers]`,
            float64.
        rank_cut: Share of the largest variance below which a direction is
            rounding.
        blocks: Moments without each of the blocks, for intervals; empty
            where the state has one.
    """

    layers: Mapping[str, int]
    num_datapoints: int
    num_images: int
    means: tf.Tensor
    products: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    norm_products: tf.Tensor
    rank_cut: float
    blocks: tuple[Moments, ...] = ()

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
        rows, columns = self._slice(first), self._slice(second)
        if rows.start > columns.start:
            return tf.transpose(self.covariance(second, first))
        products = self.products[rows, columns]
        if rows == columns:
            products = linalg.mirrored(products)
        offsets = np.outer(self.offsets[rows], self.offsets[columns])
        return tf.convert_to_tensor(products / self.num_datapoints - offsets)

    def paired_anew(
        self,
        first: str,
        second: str,
        covariance: npt.NDArray[np.float64],
        norm_product: float,
    ) -> Moments:
        """Returns moments of the same layers, of which two met otherwise.

        As when the rows of one are permuted: each layer's own moments, and
        what is remembered of it, stay.

        Args:
            first: Name of the layer that stands before `second`.
            second: Name of the other one.
            covariance: Of the two, `[num_neurons_first, num_neurons_second]`.
            norm_product: Of the two, as in `norm_products`.

        Returns:
            The moments, without blocks.
        """
        rows, columns = self._slice(first), self._slice(second)
        offsets = np.outer(self.offsets[rows], self.offsets[columns])
        products = self.products.copy()
        products[rows, columns] = (covariance + offsets) * self.num_datapoints
        names = list(self.layers)
        places = names.index(first), names.index(second)
        norms = np.array(self.norm_products)
        norms[places] = norms[places[::-1]] = norm_product
        moments = dataclasses.replace(
            self,
            products=products,
            norm_products=tf.convert_to_tensor(norms),
            blocks=(),
        )
        vars(moments)["_of_layers"] = self._of_layers
        return moments

    def only(self, *layers: str) -> Moments:
        """Returns the moments of some of the layers, without blocks too."""
        names = [name for name in self.layers if name in layers]
        columns = np.arange(sum(self.layers.values()))
        chosen = np.concatenate([columns[self._slice(name)] for name in names])
        places = [list(self.layers).index(name) for name in names]
        return dataclasses.replace(
            self,
            layers={name: self.layers[name] for name in names},
            means=tf.gather(self.means, chosen),
            products=self.products[np.ix_(chosen, chosen)],
            offsets=self.offsets[chosen],
            norm_products=tf.convert_to_tensor(
                self.norm_products.numpy()[np.ix_(places, places)]
            ),
            blocks=tuple(rest.only(*layers) for rest in self.blocks),
        )

    def of_blocks(self, places: Iterable[int]) -> Moments:
        """Returns the moments of some of the blocks.

        Products of norms are about the mean of all blocks and cannot be
        taken apart; they are NaN.

        Args:
            places: Which ones, by their places in `blocks`, each once.
        """
        rests = [self.blocks[place] for place in places]
        num_datapoints = sum(
            self.num_datapoints - rest.num_datapoints for rest in rests
        )
        # All sums are about one shift, so a block is the whole less the rest.
        sums = sum(
            self.offsets * self.num_datapoints
            - rest.offsets * rest.num_datapoints
            for rest in rests
        )
        offsets = np.asarray(sums) / num_datapoints
        products = np.zeros_like(self.products)
        for rest in rests:
            products += self.products - rest.products
        return dataclasses.replace(
            self,
            num_datapoints=num_datapoints,
            num_images=sum(self.num_images - r.num_images for r in rests),
            means=self.means + (offsets - self.offsets),
            products=products,
            offsets=offsets,
            norm_products=tf.fill(self.norm_products.shape, math.nan),
            blocks=(),
        )

    def norm_product(self, first: str, second: str) -> float:
        """Returns an entry of `norm_products` by the layers' names."""
        names = list(self.layers)
        return float(
            self.norm_products[names.index(first), names.index(second)]
        )

    def total_variance(self, layer: str) -> float:
        """Returns the sum of a layer's variances; 0 of a constant layer.

        What is less than float64 can tell of values of this size is 0.
        """
        return self.remember(
            ("total variance", layer), lambda: self._total_variance(layer)
        )

    def _total_variance(self, layer: str) -> float:
        total = float(tf.linalg.trace(self.covariance(layer, layer)))
        size = float(tf.reduce_sum(self.mean(layer) ** 2))
        return total if total > _RESOLUTION**2 * size else 0.0

    def remember(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Returns what `compute` returned when it was first asked for.

        What is of one layer is needed by all of its pairs in a heat map.
        """
        if key not in self._of_layers:
            self._of_layers[key] = compute()
        return self._of_layers[key]

    def remember_last(self, key: Hashable, compute: Callable[[], T]) -> T:
        """As `remember`, until another key is asked for.

        What is of one pair is needed by its measures, and of a heat map's
        pairs there are many.
        """
        last = self._of_pair.get("last")
        if last is None or last[0] != key:
            last = self._of_pair["last"] = (key, compute())
        return last[1]

    @functools.cached_property
    def _of_layers(self) -> dict[Hashable, Any]:
        return {}

    @functools.cached_property
    def _of_pair(self) -> dict[str, Any]:
        return {}

    def spectrum(self, layer: str) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a layer's variances, descending, and their directions.

        Args:
            layer: Name of the layer.

        Returns:
            `[num_neurons]` and `[num_neurons, num_neurons]`, float64, the
            directions in columns.
        """
        return self.remember(
            ("spectrum", layer),
            lambda: linalg.eigh(self.covariance(layer, layer)),
        )

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
