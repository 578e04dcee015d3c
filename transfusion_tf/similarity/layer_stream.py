"""Moments of the layers of one model or two, over a stream of images."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.similarity import capturing, collecting, sampling
from transfusion_tf.similarity.collecting import Grid
from transfusion_tf.similarity.kept_rows import KeptRows
from transfusion_tf.similarity.moments import RepresentationMoments
from transfusion_tf.similarity.second_moments import Moments

SPATIAL: tuple[str, ...] = ("positions", "average", "flatten")


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer of one side."""

    side: str
    name: str

    def __str__(self) -> str:
        """Names it in states, messages and notes."""
        return f"{self.side}: {self.name}"


# Which model, and the names of its layers; None names all with weights.
Side = tuple[str, Sequence[str] | None]
Pair = tuple[Layer, Layer]
# Of a state: what it is called, and the grid of its layers.
Place = tuple[str, Grid]


class LayerStream:
    """Collects moments of the layers of several models, batch by batch.

    Layers of different grids have no common datapoints, so there is a state
    for each grid that two layers are compared on, of all layers that are.

    Attributes:
        sides: Layers of each side; known from the first batch on.
        num_images: Images seen.
    """

    sides: list[list[Layer]]

    def __init__(
        self,
        models: Mapping[str, keras.Model],
        sides: Sequence[Side],
        pair_up: Callable[[Sequence[Sequence[Layer]]], Mapping[Pair, str]],
        *,
        spatial: str,
        max_positions: int | None,
        max_neurons: int | None,
        seed: int,
        num_blocks: int,
        num_batches: int | None,
        keep_rows: bool,
        max_gigabytes: float,
    ):
        """Looks at nothing yet; `similarity.compare` describes the options.

        Args:
            models: Each once, by name.
            sides: What is compared with each other.
            pair_up: Takes the layers of each side, returns the pairs to be
                compared and for each the name of its state: pairs that share
                layers belong into one.
            spatial: What a datapoint is.
            max_positions: Most positions an image.
            max_neurons: Most neurons a layer.
            seed: Seed of what is chosen.
            num_blocks: Blocks of batches.
            num_batches: How many will come, or None where nobody knows.
            keep_rows: Whether all rows are kept, for `permuted`. All images
                give the same positions then: an image that is permuted meets
                the other at each of them.
            max_gigabytes: Most memory for what is collected.

        Raises:
            ValueError: If an option is unknown or out of range.
        """
        _check_options(spatial, max_positions)
        self._models = dict(models)
        self._sides = sides
        self._pair_up = pair_up
        self._spatial = spatial
        self._max_positions = max_positions
        self._max_neurons = max_neurons
        self._seed = seed
        self._num_blocks = num_blocks
        self._num_batches = num_batches
        self._keep_rows = keep_rows
        self._max_gigabytes = max_gigabytes
        self.num_images = 0
        self._states: dict[Place, RepresentationMoments | KeptRows] = {}
        self._results: dict[Place, Moments] = {}
        self._rows_of: tf.types.experimental.PolymorphicFunction

    def update(self, images: tf.Tensor) -> None:
        """Runs the models on a batch and adds it.

        Raises:
            ValueError: If a layer is unknown or does not return one tensor,
                grids do not divide, or activations are not finite.
        """
        if not self._states:
            self._open(images)
        size = int(images.shape[0])
        index = np.arange(self.num_images, self.num_images + size)
        rows = self._rows_of(images, tf.constant(index, tf.int64))
        for place, state in self._states.items():
            of_state = rows[str(place)]
            each = int(next(iter(of_state.values())).shape[0]) // max(size, 1)
            state.update_state(of_state, groups=index.repeat(each))
        self.num_images += size
        self._check_kept()

    def check_not_empty(self) -> None:
        """Raises `ValueError` if no image was seen."""
        if not self.num_images:
            raise ValueError(
                "There are no images to compare layers on. Received: an empty "
                "dataset. Give batches of images; an iterator that was read "
                "before is empty."
            )

    def pair(self, a: Layer, b: Layer) -> tuple[Moments, tuple[str, str]]:
        """Returns moments that hold two layers, and their names in them."""
        place = self._places[a, b]
        state = self._states[place]
        if isinstance(state, KeptRows):
            moments = state.pair(str(a), str(b))
            first, second = moments.layers
            return moments, (first, second)
        if place not in self._results:
            self._results[place] = state.result()
        return self._results[place], (str(a), str(b))

    def has_neurons(self, a: Layer, b: Layer) -> bool:
        """Tells whether what `pair` returns has the neurons of `a`.

        Rows of more neurons than rows come in other directions.
        """
        state = self._states[self._places[a, b]]
        return not isinstance(state, KeptRows) or not state.is_wide(str(a))

    def permuted(
        self, a: Layer, b: Layer, moments: Moments, num_permutations: int
    ) -> Iterator[Moments]:
        """Yields what `pair` returned with the images of `b` permuted."""
        state = self._states[self._places[a, b]]
        if isinstance(state, KeptRows):
            yield from state.permuted(
                str(a),
                str(b),
                moments,
                num_permutations=num_permutations,
                seed=self._seed,
            )

    def notes(self) -> list[str]:
        """Says what the datapoints and neurons are."""
        notes = [f"spatial: {self._spatial}", self._collection.note]
        pooled: dict[str, None] = {}
        for pair, (_, grid) in self._places.items():
            for layer in pair:
                if self._grids[layer] != grid:
                    pooled[
                        f"{layer} is average-pooled from "
                        f"{_grid_text(self._grids[layer])} to "
                        f"{_grid_text(grid)} beside layers of that grid"
                    ] = None
        if self._max_positions is not None and any(
            math.prod(grid) > self._max_positions for _, grid in self._states
        ):
            of_images = " and images" if self._keep_rows else ""
            notes.append(
                f"{self._max_positions} positions an image, the same of all "
                f"layers of a grid{of_images} (seed {self._seed})"
            )
        if self._max_neurons is not None:
            notes.append(
                f"at most {self._max_neurons} neurons a layer (seed "
                f"{self._seed})"
            )
        return notes + list(pooled)

    def _open(self, images: tf.Tensor) -> None:
        """Finds the layers, and makes the states for their shapes."""
        for model in self._models.values():
            if not model.built:
                model(images[:1], training=False)
        self.sides = [self._layers(*side) for side in self._sides]
        self._pairs = self._pair_up(self.sides)
        layers = dict.fromkeys(itertools.chain(*self.sides))
        self._found = {
            name: capturing.find_layers(
                model, [layer.name for layer in layers if layer.side == name]
            )
            for name, model in self._models.items()
        }
        self._rows_of = tf.function(
            self._trace,
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, *images.shape[1:]], images.dtype),
                tf.TensorSpec([None], tf.int64),
            ],
        )
        traced = self._rows_of.get_concrete_function().structured_outputs
        sizes = {
            place: {
                str(layer): int(traced[str(place)][str(layer)].shape[1])
                for layer in layers
            }
            for place, layers in self._members.items()
        }
        num_images = None
        if self._num_batches is not None:
            num_images = self._num_batches * int(images.shape[0])
        self._collection = collecting.choose(
            [(grid, sum(own.values())) for (_, grid), own in sizes.items()],
            self._max_positions,
            num_images,
            num_blocks=self._num_blocks,
            keep_rows=self._keep_rows,
            max_gigabytes=self._max_gigabytes,
        )
        kind = KeptRows if self._collection.is_rows else RepresentationMoments
        self._states = {
            place: kind(own, num_blocks=self._num_blocks)
            for place, own in sizes.items()
        }

    def _layers(self, side: str, names: Sequence[str] | None) -> list[Layer]:
        if names is None:
            names = capturing.default_layer_names(self._models[side])
        if not names or len(set(names)) < len(names):
            raise ValueError(
                "There must be layers to compare, each once. Received: "
                f"layers={list(names)} of {side}. Name some of "
                f"{', '.join(capturing.layers_of(self._models[side]))}."
            )
        return [Layer(side, name) for name in names]

    def _check_kept(self) -> None:
        kept = sum(
            state.num_bytes
            for state in self._states.values()
            if isinstance(state, KeptRows)
        )
        if kept > self._max_gigabytes * 1e9:
            collecting.raise_too_large(
                f"{kept / 1e9:.2f} GB after {self.num_images} images",
                "rows of all images",
                self._max_gigabytes,
            )

    def _trace(
        self, images: tf.Tensor, index: tf.Tensor
    ) -> dict[str, dict[str, tf.Tensor]]:
        """Returns the rows of each layer by the grid of its state."""
        outputs = {
            Layer(side, name): self._prepare(values)
            for side, model in self._models.items()
            for name, values in capturing.run(
                model, self._found[side], images
            ).items()
        }
        grids = {layer: _grid_of(values) for layer, values in outputs.items()}
        self._grids = grids
        self._places = {
            pair: (state, _common_grid(*pair, grids))
            for pair, state in self._pairs.items()
        }
        self._members: dict[Place, list[Layer]] = {}
        for pair, place in self._places.items():
            members = self._members.setdefault(place, [])
            members += [layer for layer in pair if layer not in members]
        chosen = {
            grid: self._choose(grid, index)
            for grid in dict.fromkeys(grid for _, grid in self._members)
        }
        return {
            str(place): {
                str(layer): _take_rows(
                    outputs[layer], place[1], chosen[place[1]]
                )
                for layer in members
            }
            for place, members in self._members.items()
        }

    def _prepare(self, values: tf.Tensor) -> tf.Tensor:
        """Brings an output to what its positions and neurons are."""
        if self._spatial == "flatten":
            size = math.prod(values.shape[1:])
            values = tf.reshape(values, [-1, size])
        num_channels = int(values.shape[-1])
        if self._max_neurons is not None and self._max_neurons < num_channels:
            chosen = sampling.sample_channels(
                num_channels, self._max_neurons, seed=self._seed
            )
            values = tf.gather(values, chosen, axis=-1)
        # Sums over a grid would lose digits in half precision.
        if values.dtype != tf.float64:
            values = tf.cast(values, tf.float32)
        return _pool(values, ()) if self._spatial == "average" else values

    def _choose(self, grid: Grid, index: tf.Tensor) -> tf.Tensor | None:
        """Chooses positions of each image, or None where all are taken."""
        size = math.prod(grid)
        if self._max_positions is None or self._max_positions >= size:
            return None
        if self._keep_rows:
            index = tf.zeros_like(index)
        return sampling.positions_of_images(
            index, size, self._max_positions, seed=self._seed
        )


def _take_rows(
    values: tf.Tensor, grid: Grid, chosen: tf.Tensor | None
) -> tf.Tensor:
    channels = values.shape[-1]
    rows = tf.reshape(_pool(values, grid), [-1, math.prod(grid), channels])
    if chosen is not None:
        rows = tf.gather(rows, chosen, axis=1, batch_dims=1)
    return tf.reshape(rows, [-1, channels])


def _grid_of(values: tf.Tensor) -> Grid:
    grid = tuple(values.shape[1:-1])
    return grid if math.prod(grid) > 1 else ()


def _common_grid(a: Layer, b: Layer, grids: Mapping[Layer, Grid]) -> Grid:
    small, large = sorted((grids[a], grids[b]), key=math.prod)
    fits = len(small) == len(large) and not any(
        size % part for size, part in zip(large, small, strict=True)
    )
    if small and not fits:
        raise ValueError(
            "The positions of these layers do not fit: the larger grid must "
            "be a multiple of the smaller. Received: "
            f"{a} of {_grid_text(grids[a])} and {b} of {_grid_text(grids[b])}."
            " Use spatial='average', or leave one out."
        )
    return small


def _grid_text(grid: Grid) -> str:
    return " x ".join(map(str, grid)) or "one position"


def _pool(values: tf.Tensor, grid: Grid) -> tf.Tensor:
    """Averages `[batch, *larger grid, channels]` to a grid; () is one cell."""
    sizes = values.shape[1:-1]
    if not grid:
        return tf.reduce_mean(values, axis=list(range(1, 1 + len(sizes))))
    if tuple(sizes) == grid:
        return values
    factors = [size // n for n, size in zip(grid, sizes, strict=True)]
    return tf.nn.avg_pool(values, factors, factors, "VALID")


def _check_options(spatial: str, max_positions: int | None) -> None:
    if spatial not in SPATIAL:
        raise ValueError(
            "There is no such way with the positions of a grid. Received: "
            f"spatial={spatial!r}. Use one of {', '.join(SPATIAL)}."
        )
    if max_positions is not None and max_positions < 1:
        raise ValueError(
            "There must be positions. Received: max_positions="
            f"{max_positions}. Use 1 or more, or None for all."
        )
