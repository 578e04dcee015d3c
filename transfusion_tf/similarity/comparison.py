"""Layer against layer of one model or two, over a stream of images."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf.similarity import intervals, layer_stream, scores
from transfusion_tf.similarity.matrix import ARRAYS, SimilarityMatrix
from transfusion_tf.similarity.second_moments import Moments

SPATIAL: tuple[str, ...] = ("positions", "average", "flatten")


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
    num_blocks: int = 1,
    confidence: float | None = None,
    allow_small_n: bool = False,
) -> SimilarityMatrix:
    """Compares layers of two models, or of one, on the same images.

    Images are read once. Memory is quadratic in the neurons of all layers,
    times `num_blocks`, and does not grow with the number of images. Models
    run in inference mode, channels last.

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
        seed: Seed of what is chosen.
        num_blocks: Batches are dealt out to so many blocks, for intervals.
        confidence: Of jackknife intervals, in (0, 1); None computes none.
        allow_small_n: As in `cca`.

    Returns:
        By measure a matrix, with null levels, and p-values where a datapoint
        is an image.

    Raises:
        ValueError: If a layer or an option is unknown, grids do not divide,
            images are missing, not finite or of different shapes, or there
            are too few for a layer; the message names it.

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
    _check_options(measures, spatial, max_positions, num_blocks, confidence)
    stream = layer_stream.LayerStream(
        model_a,
        None if model_b is model_a else model_b,
        (layers, layers_b),
        spatial=spatial,
        max_positions=max_positions,
        max_neurons=max_neurons,
        seed=seed,
        num_blocks=num_blocks,
    )
    for images in _checked_images(dataset):
        stream.update(images)
    return _score_all(stream, measures, confidence, allow_small_n)


def _score_all(
    stream: layer_stream.LayerStream,
    measures: Sequence[str],
    confidence: float | None,
    allow_small_n: bool,
) -> SimilarityMatrix:
    moments = stream.moments()
    shape = len(stream.rows), len(stream.columns)
    arrays = {
        name: {measure: np.full(shape, np.nan) for measure in measures}
        for name in ARRAYS
    }
    num_datapoints = np.zeros(shape, np.int64)
    notes: list[str] = []
    done: dict[tuple[str, frozenset[layer_stream.Layer]], scores.Score] = {}
    for row, column in np.ndindex(shape):
        a, b = stream.rows[row], stream.columns[column]
        of_pair = moments[a, b]
        num_datapoints[row, column] = of_pair.num_datapoints
        for measure in measures:
            key = measure, frozenset([a, b])
            if measure in _ONE_SIDED or key not in done:
                done[key] = _score(
                    measure, of_pair, a, b, confidence, allow_small_n
                )
            cell = done[key]
            for name in ARRAYS:
                arrays[name][measure][row, column] = getattr(cell, name)
            notes += [f"{measure}, {a} and {b}: {n}" for n in cell.notes]
    if notes:
        warnings.warn(
            f"{len(notes)} scores have a note. The first: {notes[0]}",
            stacklevel=3,
        )
    if confidence is not None and "pwcca" in measures:
        notes.append("pwcca: jackknife intervals are too wide")
    return SimilarityMatrix(
        measures=tuple(measures),
        layers_a=tuple(layer.name for layer in stream.rows),
        layers_b=tuple(layer.name for layer in stream.columns),
        **arrays,
        num_images=stream.num_images,
        num_datapoints=num_datapoints,
        notes=(*stream.notes(), *notes),
    )


def _score(
    measure: str,
    moments: Moments,
    first: layer_stream.Layer,
    second: layer_stream.Layer,
    confidence: float | None,
    allow_small_n: bool,
) -> scores.Score:
    def compute(of: Moments, small: bool) -> scores.Score:
        return scores.compute(
            measure, of, str(first), str(second), allow_small_n=small
        )

    with warnings.catch_warnings():
        # What they say is in the notes, with the layers' names.
        warnings.simplefilter("ignore", UserWarning)
        try:
            cell = compute(moments, allow_small_n)
            if confidence is None:
                return cell
            low, high = intervals.jackknife(
                moments,
                lambda rest: compute(rest, True).values,
                confidence,
            )
        except ValueError as error:
            raise ValueError(
                f"{measure} of {first} and {second}: {error}"
            ) from error
    return dataclasses.replace(cell, low=low, high=high)


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
    measures: Sequence[str],
    spatial: str,
    max_positions: int | None,
    num_blocks: int,
    confidence: float | None,
) -> None:
    scores.check_measures(measures)
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
    if confidence is not None:
        intervals.check_confidence(confidence)
        if num_blocks < 2:
            raise ValueError(
                "An interval leaves blocks of images out one by one. "
                f"Received: confidence={confidence}, num_blocks={num_blocks}. "
                "Use num_blocks=20, with at least as many batches."
            )
