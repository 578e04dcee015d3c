"""The one state that every linear measure comes from: float64 moments."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import accumulation, inputs, linalg, replicas
from transfusion_tf.similarity.second_moments import Moments

# Directions below this share of the largest variance are rounding. Measured
# on a spectrum of 16 decades: a smaller cut gives correlations above 1.
RANK_CUTS = {"float64": 1e-10, "float32": 1e-5, "tensor_float_32": 1e-4}
PRECISIONS: tuple[str, ...] = ("float64", "float32")


class RepresentationMoments:
    """Collects the moments of several layers, batch by batch.

    Memory is quadratic in the number of stacked neurons, whatever the number
    of datapoints. Values are cast to float64 before anything is subtracted,
    and centred on the first rows' mean, so a large offset costs no digits.

    It has the protocol of Keras' metrics. `update_state` may be called inside
    `tf.function` and, for a state made in a strategy's scope, inside
    `strategy.run`: each replica collects its own, and `result` adds them.

    Args:
        layers: Layer name -> number of neurons, each at least 1.
        num_blocks: Batches are dealt out to so many blocks, which intervals
            leave out one by one; 1 takes the least memory and gives none.
        precision: Of the products within a batch; "float32" is faster where
            float64 is slow, and its sums are float64 all the same.

    Raises:
        ValueError: If there is no layer, one has no neuron, or an option is
            unknown.

    Example:
    >>> import numpy as np
    >>> state = RepresentationMoments({"conv1": 2, "block1": 1})
    >>> x = np.array([[0., 1.], [2., 5.], [4., 3.]])
    >>> state.update_state({"conv1": x[:2], "block1": x[:2, :1]})
    >>> state.update_state({"conv1": x[2:], "block1": x[2:, :1]})
    >>> state.result().mean("conv1").numpy().tolist()
    [2.0, 3.0]
    """

    def __init__(
        self,
        layers: Mapping[str, int],
        *,
        num_blocks: int = 1,
        precision: str = "float64",
    ) -> None:
        """Starts an empty state."""
        if not layers or min(layers.values()) < 1:
            raise ValueError(
                "Moments need layers with neurons. "
                f"Received: layers={dict(layers)}. Give each layer's name "
                "and its number of neurons, at least 1."
            )
        if num_blocks < 1 or precision not in PRECISIONS:
            raise ValueError(
                "Moments are collected in blocks, with products of a known "
                f"precision. Received: num_blocks={num_blocks}, precision="
                f"{precision!r}. Use 1 block or more, and one of "
                f"{', '.join(PRECISIONS)}."
            )
        self.layers: dict[str, int] = dict(layers)
        self.num_blocks = num_blocks
        self.precision = precision
        size, count = sum(layers.values()), len(layers)
        self._shapes = {
            "shift": [size],
            "num_batches": [],
            "num_datapoints": [num_blocks],
            "num_images": [num_blocks],
            "sums": [num_blocks, size],
            "products": [num_blocks, size, size],
            "norms": [num_blocks, count],
            "norm_products": [num_blocks, count, count],
            "norm_sums": [num_blocks, count, size],
            "num_not_finite": [count],
        }
        # What eager calls have seen, summed in place by BLAS.
        self._own: dict[str, npt.NDArray[np.float64]] | None = None
        # What graphs have seen, of each replica its own: their shifts differ,
        # so no sum means anything before `result` brings all together.
        self._variables = replicas.sum_variables(self._shapes)

    def reset_state(self) -> None:
        """Forgets everything seen."""
        self._own = None
        replicas.set_to_zero(self._variables)

    def update_state(
        self,
        activations: Mapping[str, tf.Tensor],
        groups: tf.Tensor | None = None,
    ) -> None:
        """Adds a batch.

        Args:
            activations: Layer name -> shape `[num_datapoints, num_neurons]`,
                any real dtype; the rows of all layers belong together.
            groups: The image of each row, integers, `[num_datapoints]`, where
                an image has several (positions of a convolutional layer);
                all rows of an image must come in one batch. Default: each
                row is an image.

        Raises:
            ValueError: If layers or shapes do not fit, or a value is not
                finite; the message names the layer. Within a graph the latter
                is raised by `result`.
        """
        layers = self._checked(activations)
        if layers[0].shape[0] == 0:
            return
        num_images = inputs.count_images(groups, layers[0])
        if all(map(linalg.uses_blas, layers)):
            self._update_by_blas(layers, float(num_images))
        else:
            self._update_by_tensorflow(layers, num_images)

    def merge_state(self, others: Iterable[RepresentationMoments]) -> None:
        """Adds what other states have seen, as if this one had seen it.

        Args:
            others: States of the same layers in the same order, with as many
                blocks and the same precision.

        Raises:
            ValueError: If they differ.
        """
        for other in others:
            ours, theirs = self._kind(), other._kind()
            if ours != theirs:
                raise ValueError(
                    "States to merge must hold the same layers, blocks and "
                    f"precision. Received: {ours} and {theirs}."
                )
            both = [self._collected(), other._collected()]
            self._set(accumulation.merge(both, self._shapes, self.layers))

    def result(self) -> Moments:
        """Returns the moments of everything seen, on all replicas.

        Raises:
            ValueError: If nothing was seen, or a value was not finite.
        """
        raw = self._collected()
        for name, count in zip(self.layers, raw["num_not_finite"], strict=True):
            if count:
                inputs.raise_not_finite(name, int(count), None)
        if not raw["num_datapoints"].sum():
            raise ValueError(
                "No datapoint was seen. Received: 0 datapoints. Call "
                "update_state with activations first."
            )
        whole = {
            name: _sum_of_blocks(raw[name]) for name in accumulation.IN_BLOCKS
        }
        whole["shift"] = raw["shift"]
        blocks: tuple[Moments, ...] = ()
        if self.num_blocks > 1:
            blocks = tuple(
                self._moments(
                    {
                        name: values
                        if name == "shift"
                        else values - raw[name][block]
                        for name, values in whole.items()
                    }
                )
                for block in range(self.num_blocks)
                if 0 < raw["num_datapoints"][block] < whole["num_datapoints"]
            )
        return self._moments(whole, blocks)

    def save(self, path: str) -> None:
        """Writes what was seen, on all replicas, into a `.npz` file.

        Args:
            path: Where to; may lie in an object store.
        """
        content = io.BytesIO()
        arrays = {"kind": np.array(json.dumps(self._kind()))}
        np.savez(content, **arrays | self._collected())  # type: ignore[arg-type]
        # A reader, and a run that stops here, finds the file before or after.
        unfinished = f"{path}.unfinished"
        with tf.io.gfile.GFile(unfinished, "wb") as file:
            file.write(content.getvalue())
        tf.io.gfile.rename(unfinished, path, overwrite=True)

    def load(self, path: str) -> None:
        """Puts what `save` wrote in the place of everything seen.

        Args:
            path: A file of a state with the same layers in the same order,
                as many blocks and the same precision.

        Raises:
            ValueError: If the file is of another state.
        """
        with tf.io.gfile.GFile(path, "rb") as file:
            stored = dict(np.load(io.BytesIO(file.read())))
        ours = self._kind()
        theirs = json.loads(str(stored.pop("kind", "null")))
        if ours != theirs:
            raise ValueError(
                "The file is of another state. Received: "
                f"path={path!r} of layers, blocks and precision {theirs}; "
                f"this state has {ours}. Name a file that a state of the same "
                "kind has saved."
            )
        self._set(stored)

    def _kind(self) -> list[Any]:
        """What states have in common whose sums mean the same."""
        layers = [list(layer) for layer in self.layers.items()]
        return [layers, self.num_blocks, self.precision]

    def _update_by_blas(
        self, layers: Sequence[tf.Tensor], num_images: float
    ) -> None:
        size = sum(self.layers.values())
        with linalg.enough_blas_threads(int(layers[0].shape[0]) * size**2):
            self._add_by_blas(layers, num_images)

    def _add_by_blas(
        self, layers: Sequence[tf.Tensor], num_images: float
    ) -> None:
        if self._own is None:
            self._own = {n: np.zeros(s) for n, s in self._shapes.items()}
        own = self._own
        shift = own["shift"]
        if not own["num_batches"]:
            shift = accumulation.pilot_means(layers).numpy()
        with np.errstate(invalid="ignore"):  # Looked for just below.
            rows, norms = accumulation.centred_by_blas(layers, shift)
            sums = np.ones(len(rows)) @ rows
        inputs.check_finite(layers, list(self.layers), sums)
        own["shift"] = shift
        block = int(own["num_batches"]) % self.num_blocks
        products = own["products"][block]
        if self.precision == "float64":
            linalg.add_upper_products_by_blas(rows, products)
        else:
            narrow = np.zeros_like(products, np.float32)
            linalg.add_upper_products_by_blas(rows.astype(np.float32), narrow)
            products += narrow
        own["sums"][block] += sums
        own["norms"][block] += norms.sum(axis=0)
        own["norm_products"][block] += norms.T @ norms
        own["norm_sums"][block] += norms.T @ rows
        own["num_datapoints"][block] += len(rows)
        own["num_images"][block] += num_images
        own["num_batches"] += 1

    def _update_by_tensorflow(
        self, layers: Sequence[tf.Tensor], num_images: tf.Tensor
    ) -> None:
        state = self._variables
        is_first = tf.equal(tf.convert_to_tensor(state["num_batches"]), 0)
        shift = tf.where(
            is_first, accumulation.pilot_means(layers), state["shift"]
        )
        added = accumulation.batch_sums(layers, shift, self.precision)
        if tf.executing_eagerly():
            inputs.check_finite(
                layers, list(self.layers), added["sums"].numpy()
            )
        else:
            counts = [inputs.count_not_finite(layer) for layer in layers]
            state["num_not_finite"].assign_add(tf.stack(counts))
        count = tf.cast(tf.shape(layers[0])[0], tf.float64)
        added["num_datapoints"] = count
        added["num_images"] = num_images
        block = tf.cast(state["num_batches"], tf.int64) % self.num_blocks
        for name in accumulation.IN_BLOCKS:
            _add_to_block(state[name], added[name], block, self.num_blocks)
        state["shift"].assign(shift)
        # One without rows has no mean to be the shift of those that follow.
        state["num_batches"].assign_add(tf.minimum(count, 1.0))

    def _collected(self) -> dict[str, npt.NDArray[np.float64]]:
        """What was seen anywhere, about one shift; not to be written to."""
        owners = zip(
            *map(replicas.parts_of, self._variables.values()), strict=True
        )
        parts = [
            dict(zip(self._variables, owned, strict=True)) for owned in owners
        ]
        seen = [
            {name: variable.numpy() for name, variable in part.items()}
            for part in parts
            if part["num_batches"].numpy() > 0
        ]
        if self._own is not None:
            seen.append(self._own)
        return accumulation.merge(seen, self._shapes, self.layers)

    def _set(self, raw: dict[str, npt.NDArray[np.float64]]) -> None:
        own = {name: np.array(values) for name, values in raw.items()}
        self.reset_state()
        self._own = own

    def _moments(
        self,
        raw: Mapping[str, npt.NDArray[np.float64]],
        blocks: tuple[Moments, ...] = (),
    ) -> Moments:
        count = float(raw["num_datapoints"])
        mean = raw["sums"] / count
        return Moments(
            dict(self.layers),
            int(count),
            int(raw["num_images"]),
            tf.convert_to_tensor(raw["shift"] + mean),
            raw["products"].copy(),  # The state goes on in place.
            mean,
            tf.convert_to_tensor(
                accumulation.about(raw, mean, self.layers)["norm_products"]
            ),
            RANK_CUTS[_effective_precision(self.precision)],
            blocks,
        )

    def _checked(self, activations: Mapping[str, tf.Tensor]) -> list[tf.Tensor]:
        if set(activations) != set(self.layers):
            raise ValueError(
                "The batch must hold each layer of the state. Received: "
                f"{sorted(activations)}. The state holds "
                f"{sorted(self.layers)}."
            )
        layers = [
            inputs.as_matrix(activations[name], name, size)
            for name, size in self.layers.items()
        ]
        inputs.check_equal_rows(layers, list(self.layers))
        return layers


def moments_of_pair(
    x: tf.Tensor, y: tf.Tensor, groups: tf.Tensor | None = None
) -> Moments:
    """Returns the moments of two arrays, as layers "x" and "y".

    Args:
        x: Activations, `[num_datapoints, num_neurons_x]`.
        y: Activations, `[num_datapoints, num_neurons_y]`.
        groups: As in `RepresentationMoments.update_state`.
    """
    x, y = tf.convert_to_tensor(x), tf.convert_to_tensor(y)
    sizes = {
        name: int(side.shape[-1]) if side.shape.rank else 1
        for name, side in (("x", x), ("y", y))
    }
    state = RepresentationMoments(sizes)
    state.update_state({"x": x, "y": y}, groups)
    return state.result()


def _add_to_block(
    variable: tf.Variable, values: tf.Tensor, block: tf.Tensor, num_blocks: int
) -> None:
    if num_blocks > 1:
        weights = tf.one_hot(block, num_blocks, dtype=tf.float64)
        shape = [num_blocks] + [1] * len(values.shape)
        variable.assign_add(tf.reshape(weights, shape) * values)
    else:
        variable.assign_add(values[tf.newaxis])


def _sum_of_blocks(
    values: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    return values[0] if len(values) == 1 else values.sum(axis=0)


def _effective_precision(precision: str) -> str:
    """Says what float32 products are on this machine."""
    is_rounded = (
        precision == "float32"
        and tf.config.list_logical_devices("GPU")
        and tf.config.experimental.tensor_float_32_execution_enabled()
    )
    return "tensor_float_32" if is_rounded else precision
