"""The one state that every linear measure comes from: float64 moments."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from transfusion_tf.similarity import linalg

# Directions below this share of the largest variance are rounding. Measured
# on a spectrum of 16 decades: a smaller cut gives correlations above 1.
RANK_CUTS = {"float64": 1e-10, "float32": 1e-5, "tensor_float_32": 1e-4}
_RESOLUTION = 1e-14
_PILOT_ROWS = 256
_IN_BLOCKS = (
    "num_datapoints",
    "num_images",
    "sums",
    "products",
    "norms",
    "norm_products",
    "norm_sums",
)
PRECISIONS: tuple[str, ...] = ("float64", "float32")


@dataclasses.dataclass(frozen=True, eq=False)
class Moments:
    """Counts, means and covariances of a set of layers.

    Attributes:
        layers: Layer name -> number of neurons, in the order of stacking.
        num_datapoints: How many datapoints were seen.
        num_images: How many images they are of: what may be permuted.
        means: Stacked means, shape `[num_stacked]`, float64.
        covariances: Stacked covariances, divided by `num_datapoints`, shape
            `[num_stacked, num_stacked]`, float64.
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
    covariances: tf.Tensor
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
        return self.covariances[self._slice(first), self._slice(second)]

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
        total = float(tf.linalg.trace(self.covariance(layer, layer)))
        size = float(tf.reduce_sum(self.mean(layer) ** 2))
        return total if total > _RESOLUTION**2 * size else 0.0

    def spectrum(self, layer: str) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns a layer's variances, descending, and their directions.

        Computed once a layer, so that a heat map does not pay for it a pair.

        Args:
            layer: Name of the layer.

        Returns:
            `[num_neurons]` and `[num_neurons, num_neurons]`, float64, the
            directions in columns.
        """
        if layer not in self._spectra:
            self._spectra[layer] = linalg.eigh(self.covariance(layer, layer))
        return self._spectra[layer]

    @functools.cached_property
    def _spectra(self) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        return {}

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
        shapes = {
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
        # Of each replica its own: their shifts differ, so no sum of theirs
        # means anything before `result` brings them together.
        self._variables = {
            name: tf.Variable(
                tf.zeros(shape, tf.float64),
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.SUM,
                name=name,
            )
            for name, shape in shapes.items()
        }

    def reset_state(self) -> None:
        """Forgets everything seen."""
        for variable in self._variables.values():
            for own in _replicas_of(variable):
                own.assign(tf.zeros_like(own))

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
        state = self._variables
        is_first = tf.equal(tf.convert_to_tensor(state["num_batches"]), 0)
        shift = tf.convert_to_tensor(state["shift"])
        if not tf.executing_eagerly() or is_first:
            shift = tf.where(is_first, _pilot_means(layers), shift)
        by_blas = all(map(linalg.uses_blas, layers))
        sums_of = _batch_sums_by_blas if by_blas else _batch_sums
        with np.errstate(invalid="ignore"):  # Looked for just below.
            added = sums_of(layers, shift, self.precision)
        if tf.executing_eagerly():
            _check_finite(layers, list(self.layers), added["sums"])
        else:
            counts = [_count_not_finite(layer) for layer in layers]
            state["num_not_finite"].assign_add(tf.stack(counts))
        count = tf.cast(tf.shape(layers[0])[0], tf.float64)
        added["num_datapoints"] = count
        added["num_images"] = _count_images(groups, layers[0])
        block = tf.cast(state["num_batches"], tf.int64) % self.num_blocks
        for name in _IN_BLOCKS:
            _add_to_block(state[name], added[name], block, self.num_blocks)
        state["shift"].assign(shift)
        state["num_batches"].assign_add(1.0)

    def merge_state(self, others: Iterable[RepresentationMoments]) -> None:
        """Adds what other states have seen, as if this one had seen it.

        Args:
            others: States of the same layers in the same order, with as many
                blocks and the same precision.

        Raises:
            ValueError: If they differ.
        """
        for other in others:
            ours, theirs = (
                (list(s.layers.items()), s.num_blocks, s.precision)
                for s in (self, other)
            )
            if ours != theirs:
                raise ValueError(
                    "States to merge must hold the same layers, blocks and "
                    f"precision. Received: {ours} and {theirs}."
                )
            merged = _merge([self._collected(), other._collected()], self)
            self._set(merged)

    def result(self) -> Moments:
        """Returns the moments of everything seen, on all replicas.

        Raises:
            ValueError: If nothing was seen, or a value was not finite.
        """
        raw = self._collected()
        for name, count in zip(self.layers, raw["num_not_finite"], strict=True):
            if count:
                _raise_not_finite(name, int(count), None)
        if not raw["num_datapoints"].sum():
            raise ValueError(
                "No datapoint was seen. Received: 0 datapoints. Call "
                "update_state with activations first."
            )
        whole = {
            name: values if name == "shift" else values.sum(axis=0)
            for name, values in raw.items()
            if name in ("shift", *_IN_BLOCKS)
        }
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
        np.savez(content, **self._collected())  # type: ignore[arg-type]
        with tf.io.gfile.GFile(path, "wb") as file:
            file.write(content.getvalue())

    def load(self, path: str) -> None:
        """Puts what `save` wrote in the place of everything seen.

        Args:
            path: A file of a state with the same layers and blocks.

        Raises:
            ValueError: If the file is of another state.
        """
        with tf.io.gfile.GFile(path, "rb") as file:
            stored = dict(np.load(io.BytesIO(file.read())))
        ours, theirs = (
            {name: values.shape for name, values in state.items()}
            for state in (self._collected(), stored)
        )
        if ours != theirs:
            raise ValueError(
                "The file is of another state. Received: "
                f"path={path!r} with shapes {theirs}; this state has {ours}. "
                "Name a file that a state of the same layers, in as many "
                "blocks, has saved."
            )
        self._set(stored)

    def _collected(self) -> dict[str, npt.NDArray[np.float64]]:
        """What all replicas have seen, about one shift."""
        replicas = zip(
            *map(_replicas_of, self._variables.values()), strict=True
        )
        return _merge(
            [
                {
                    name: own.numpy()
                    for name, own in zip(self._variables, owned, strict=True)
                }
                for owned in replicas
            ],
            self,
        )

    def _set(self, raw: Mapping[str, npt.NDArray[np.float64]]) -> None:
        for name, variable in self._variables.items():
            first, *others = _replicas_of(variable)
            first.assign(raw[name])
            for other in others:
                other.assign(tf.zeros_like(other))

    def _moments(
        self,
        raw: Mapping[str, npt.NDArray[np.float64]],
        blocks: tuple[Moments, ...] = (),
    ) -> Moments:
        count = float(raw["num_datapoints"])
        mean = raw["sums"] / count
        products = _symmetric(raw["products"])
        covariances = products / count
        covariances -= np.outer(mean, mean)
        return Moments(
            dict(self.layers),
            int(count),
            int(raw["num_images"]),
            tf.convert_to_tensor(raw["shift"] + mean),
            tf.convert_to_tensor(covariances),
            tf.convert_to_tensor(
                _about({**raw, "products": products}, mean, self.layers)[
                    "norm_products"
                ]
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
            _as_matrix(activations[name], name, size)
            for name, size in self.layers.items()
        ]
        check_equal_rows(layers, list(self.layers))
        return layers


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
    values = tf.cast(_as_matrix(values, name, num_neurons), tf.float64)
    if tf.executing_eagerly():
        _check_finite([values], [name], tf.reduce_sum(values)[tf.newaxis])
    return values


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


def _replicas_of(variable: tf.Variable) -> Sequence[tf.Variable]:
    return getattr(variable, "values", (variable,))


def _as_matrix(
    values: tf.Tensor, name: str, num_neurons: int | None
) -> tf.Tensor:
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


def _pilot_means(layers: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the means of the first rows: near enough to be subtracted."""
    first = [tf.cast(layer[:_PILOT_ROWS], tf.float64) for layer in layers]
    count = tf.cast(tf.shape(first[0])[0], tf.float64)
    sums = tf.concat([tf.reduce_sum(rows, axis=0) for rows in first], axis=0)
    return tf.math.divide_no_nan(sums, count)


def _batch_sums(
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


def _batch_sums_by_blas(
    layers: Sequence[tf.Tensor], shift: tf.Tensor, precision: str
) -> dict[str, tf.Tensor]:
    """Sums a batch as `_batch_sums` does, in place and by BLAS."""
    ends = np.cumsum([0, *(layer.shape[1] for layer in layers)])
    count = layers[0].shape[0]
    rows = np.empty((count, ends[-1]))
    norms = np.empty((count, len(layers)))
    for place, layer in enumerate(layers):
        part = rows[:, ends[place] : ends[place + 1]]
        values = layer.numpy()
        if values.dtype not in (np.float32, np.float64):
            values = values.astype(np.float64)
        offset = shift.numpy()[ends[place] : ends[place + 1]]
        np.subtract(values, offset, out=part, dtype=np.float64)
        norms[:, place] = np.einsum("ij,ij->i", part, part)
    products = linalg.upper_products_by_blas(rows.astype(precision, copy=False))
    return {
        "sums": np.ones(count) @ rows,
        "products": products.astype(np.float64, copy=False),
        "norms": norms.sum(axis=0),
        "norm_products": norms.T @ norms,
        "norm_sums": norms.T @ rows,
    }


def _check_finite(
    layers: Sequence[tf.Tensor], names: Sequence[str], sums: tf.Tensor
) -> None:
    """Raises `ValueError` if a value is not finite.

    A sum is finite only where all its terms are, so that in almost all cases
    no layer is looked through.
    """
    if np.isfinite(sums).all():
        return
    for layer, name in zip(layers, names, strict=True):
        count = int(_count_not_finite(layer))
        if count:
            _raise_not_finite(name, count, int(tf.size(layer)))


def _count_images(groups: tf.Tensor | None, stacked: tf.Tensor) -> tf.Tensor:
    if groups is None:
        return tf.cast(tf.shape(stacked)[0], tf.float64)
    groups = tf.sort(tf.reshape(tf.convert_to_tensor(groups), [-1]))
    if groups.shape[0] not in (None, stacked.shape[0]):
        raise ValueError(
            "Each row has an image. Received: groups of shape "
            f"{tuple(groups.shape)}, {stacked.shape[0]} rows. Give one group "
            "a row."
        )
    changes = tf.not_equal(groups[1:], groups[:-1])
    return 1.0 + tf.reduce_sum(tf.cast(changes, tf.float64))


def _count_not_finite(values: tf.Tensor) -> tf.Tensor:
    if not values.dtype.is_floating:
        return tf.constant(0.0, tf.float64)
    return tf.reduce_sum(tf.cast(~tf.math.is_finite(values), tf.float64))


def _raise_not_finite(name: str, count: int, size: int | None) -> None:
    of_all = "" if size is None else f" of {size}"
    raise ValueError(
        f"Activations of {name!r} are not finite. Received: {count}{of_all} "
        "values NaN or infinite. The model has diverged, or its float16 "
        "activations overflow."
    )


def _add_to_block(
    variable: tf.Variable, values: tf.Tensor, block: tf.Tensor, num_blocks: int
) -> None:
    if num_blocks > 1:
        weights = tf.one_hot(block, num_blocks, dtype=tf.float64)
        shape = [num_blocks] + [1] * len(values.shape)
        variable.assign_add(tf.reshape(weights, shape) * values)
    else:
        variable.assign_add(values[tf.newaxis])


def _merge(
    parts: Sequence[Mapping[str, npt.NDArray[np.float64]]],
    state: RepresentationMoments,
) -> dict[str, npt.NDArray[np.float64]]:
    """Adds sums that were taken about different shifts, about the first's."""
    seen = [part for part in parts if part["num_batches"] > 0] or parts[:1]
    merged = {name: values.copy() for name, values in seen[0].items()}
    for part in seen[1:]:
        step = merged["shift"] - part["shift"]
        for block in range(state.num_blocks):
            own = {name: part[name][block] for name in _IN_BLOCKS}
            own["products"] = _symmetric(own["products"])
            for name, values in {
                **own,
                **_about(own, step, state.layers),
                "products": _products_about(own, step),
            }.items():
                merged[name][block] += values
        for name in ("num_batches", "num_not_finite"):
            merged[name] += part[name]
    return merged


def _about(
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
    along = own["products"] @ owned.T  # Sums of z (s_l.x_l).
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
    return own["products"] - cross - cross.T + count * np.outer(step, step)


def _symmetric(
    upper: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Mirrors an upper triangle below the diagonal."""
    triangle = np.triu(upper)
    triangle += np.triu(upper, 1).T
    return triangle


def _owned(
    stacked: npt.NDArray[np.float64], layers: Mapping[str, int]
) -> npt.NDArray[np.float64]:
    """Returns `[num_layers, num_stacked]`: each row one layer's part."""
    layer_of = np.repeat(np.arange(len(layers)), list(layers.values()))
    return np.where(np.arange(len(layers))[:, None] == layer_of, stacked, 0.0)


def _effective_precision(precision: str) -> str:
    """Says what float32 products are on this machine."""
    is_rounded = (
        precision == "float32"
        and tf.config.list_logical_devices("GPU")
        and tf.config.experimental.tensor_float_32_execution_enabled()
    )
    return "tensor_float_32" if is_rounded else precision
