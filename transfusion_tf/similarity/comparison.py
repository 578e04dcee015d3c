"""Layer against layer of one model or two, over a stream of images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.similarity import layer_stream, pair_scores, scores, warning
from transfusion_tf.similarity.matrix import ARRAYS, SimilarityMatrix

SPATIAL: tuple[str, ...] = ("positions", "average", "flatten")
_ROUGH_NULL = (
    "null levels of positions are those of as many rows as images, and know "
    "nothing of what all images share at a position; null='permutation' "
    "permutes whole images"
)
_ONE_SIDED = ("pwcca", "linear_regression")


def compare(
    model_a: keras.Model,
    model_b: keras.Model | None,
    dataset: Iterable[Any],
    *,
    layers: Sequence[str] | None = None,
    layers_b: Sequence[str] | None = None,
    measures: Sequence[str] = ("cca", "svcca", "pwcca", "cka"),
    spatial: str = "positions",
    max_positions: int | None = 16,
    max_neurons: int | None = None,
    seed: int = 0,
    null: str | None = "closed_form",
    num_permutations: int = 20,
    max_gigabytes: float = 4.0,
    num_blocks: int = 1,
    confidence: float | None = None,
    allow_small_n: bool = False,
) -> SimilarityMatrix:
    """Compares layers of two models, or of one, on the same images.

    Images are read once. What is collected of them is moments, quadratic in
    the neurons of all layers times `num_blocks`, for any number of images;
    or, where these take more than 1 GB and rows less, and always with
    null="permutation", the rows (float32), datapoints times neurons. Notes
    say which. Models run in inference mode, channels last.

    Args:
        model_a: Any Keras model: functional, sequential or subclassed.
        model_b: The other model; None compares layers of `model_a`.
        dataset: Batches of images as both models take them: tensors, or
            dictionaries with "image", or tuples that begin with either.
        layers: Names of layers of `model_a`, those within another layer as
            "outer/inner". Default: all with weights that lie in no other.
        layers_b: Names of layers of the other side. Default: `layers`.
        measures: Some of `MEASURES`. PWCCA takes the weights of `model_a`,
            linear regression predicts `model_b` from `model_a`.
        spatial: What a datapoint of a convolutional layer is: "positions" in
            the grid, the "average" over it, or the map "flatten"ed. Under
            "positions" the larger of two grids is average-pooled to the
            smaller.
        max_positions: Most positions an image, chosen by `seed` and the
            place of the image in the stream; None takes all.
        max_neurons: Most neurons (channels) a layer, chosen by `seed`; None
            takes all.
        seed: Seed of what is chosen and of permutations.
        null: Null levels and p-values: "closed_form" costs nothing and holds
            where a datapoint is an image; of positions it is rough, or NaN.
            "permutation" permutes whole images of one side, and holds for
            all. None gives none.
        num_permutations: The null level is the mean score of so many, and a
            p-value at least `1 / (num_permutations + 1)`.
        max_gigabytes: Most memory for what is collected.
        num_blocks: Batches are dealt out to so many blocks, for intervals.
        confidence: Of jackknife intervals, in (0, 1); None computes none.
        allow_small_n: As in `cca`.

    Returns:
        By measure a matrix, with null levels and p-values.

    Raises:
        ValueError: If a layer or an option is unknown, grids do not divide,
            images are missing, not finite or of different shapes, there are
            too few for a layer (the message names it), or memory is short.

    Example:
    >>> model = keras.Sequential([
    ...     keras.Input([8, 8, 3]),
    ...     keras.layers.Conv2D(4, 3, name="conv"),
    ...     keras.layers.Dense(2, name="dense")])
    >>> images = tf.random.stateless_uniform([64, 8, 8, 3], seed=[0, 0])
    >>> matrix = compare(model, None, [images], measures=["cka"])
    >>> round(float(matrix.values["cka"][0, 0]), 6)
    1.0
    >>> matrix.layers_a
    ('conv', 'dense')

    Source: Kornblith et al. 2019, arXiv:1905.00414, figure 2; positions as
        datapoints: the paper's appendix on CCA of convolutional layers.
    """
    options = pair_scores.Options(
        measures, null, num_permutations, confidence, allow_small_n
    )
    _check_options(spatial, max_positions, num_blocks, confidence)
    stream = layer_stream.LayerStream(
        model_a,
        None if model_b is model_a else model_b,
        (layers, layers_b),
        spatial=spatial,
        max_positions=max_positions,
        max_neurons=max_neurons,
        seed=seed,
        num_blocks=num_blocks,
        num_batches=_num_batches(dataset),
        keep_rows=null == "permutation",
        max_gigabytes=max_gigabytes,
    )
    for images in _checked_images(dataset):
        stream.update(images)
    return _score_all(stream, options)


def _score_all(
    stream: layer_stream.LayerStream, options: pair_scores.Options
) -> SimilarityMatrix:
    stream.check_not_empty()
    shape = len(stream.rows), len(stream.columns)
    arrays = {
        name: {measure: np.full(shape, np.nan) for measure in options.measures}
        for name in ARRAYS
    }
    num_datapoints = np.zeros(shape, np.int64)
    notes: list[str] = []
    done: dict[frozenset[layer_stream.Layer], dict[str, scores.Score]] = {}
    for row, column in np.ndindex(shape):
        a, b = stream.rows[row], stream.columns[column]
        cells = done.setdefault(frozenset([a, b]), {})
        wanted = [
            measure
            for measure in options.measures
            if measure in _ONE_SIDED or measure not in cells
        ]
        if wanted:
            cells.update(pair_scores.score_pair(stream, a, b, wanted, options))
        for measure in options.measures:
            cell = cells[measure]
            for name in ARRAYS:
                arrays[name][measure][row, column] = getattr(cell, name)
            num_datapoints[row, column] = cell.num_datapoints
            notes += [f"{measure}, {a} and {b}: {n}" for n in cell.notes]
    if notes:
        warning.warn(f"{len(notes)} scores have a note. The first: {notes[0]}")
    if options.confidence is not None and "pwcca" in options.measures:
        notes.append("pwcca: jackknife intervals are too wide")
    if (
        options.null == "closed_form"
        and num_datapoints.max() > stream.num_images
    ):
        notes.append(_ROUGH_NULL)
    return SimilarityMatrix(
        measures=tuple(options.measures),
        layers_a=tuple(layer.name for layer in stream.rows),
        layers_b=tuple(layer.name for layer in stream.columns),
        **arrays,
        num_images=stream.num_images,
        num_datapoints=num_datapoints,
        notes=(*stream.notes(), *notes),
    )


def _checked_images(dataset: Any) -> Iterable[tf.Tensor]:
    if tf.is_tensor(dataset) or isinstance(dataset, np.ndarray):
        raise ValueError(
            "Images come in batches. Received: one array of shape "
            f"{tuple(dataset.shape)}. Give a tf.data.Dataset of batches, or "
            "[images]."
        )
    first: tf.Tensor | None = None
    for place, batch in enumerate(dataset):
        images = tf.convert_to_tensor(_images_of(batch))
        if first is None:
            first = images
        if (images.shape[1:], images.dtype) != (first.shape[1:], first.dtype):
            raise ValueError(
                "All batches hold images of one shape. Received: batch "
                f"{place} of shape {tuple(images.shape)}, "
                f"{images.dtype.name}; the first is of "
                f"{tuple(first.shape)}, {first.dtype.name}. Resize the images."
            )
        if images.dtype.is_floating:
            count = int(tf.math.count_nonzero(~tf.math.is_finite(images)))
            if count:
                raise ValueError(
                    f"Images are not finite. Received: {count} values NaN or "
                    f"infinite in batch {place}. Look at what the dataset "
                    "reads and how it scales it."
                )
        yield images


def _num_batches(dataset: Any) -> int | None:
    """Returns how many there are; None of a generator."""
    try:
        return len(dataset)
    except TypeError:
        return None


def _images_of(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        if "image" not in batch:
            raise ValueError(
                "A batch that is a dictionary has its images at 'image'. "
                f"Received: {sorted(batch)}. Map the dataset to that."
            )
        return batch["image"]
    return _images_of(batch[0]) if isinstance(batch, tuple) else batch


def _check_options(
    spatial: str,
    max_positions: int | None,
    num_blocks: int,
    confidence: float | None,
) -> None:
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
    if confidence is not None and num_blocks < 2:
        raise ValueError(
            "An interval leaves blocks of images out one by one. "
            f"Received: confidence={confidence}, num_blocks={num_blocks}. "
            "Use num_blocks=20, with at least as many batches."
        )
