"""Layer against layer of one model or two, over a stream of images."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from transfusion_tf.similarity import (
    batches,
    layer_stream,
    pair_scores,
    scores,
    warning,
)
from transfusion_tf.similarity.matrix import ARRAYS, SimilarityMatrix

_ROUGH_NULL = (
    "null levels of positions are those of as many rows as images, and know "
    "nothing of what all images share at a position; null='permutation' "
    "permutes whole images"
)


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
    >>> images = np.random.default_rng(0).random([64, 8, 8, 3], np.float32)
    >>> matrix = compare(model, None, [images], measures=["cka"])
    >>> round(float(matrix.values["cka"][0, 0]), 6)
    1.0
    >>> matrix.layers_a
    ('conv', 'dense')

    Source: Kornblith et al. 2019, arXiv:1905.00414, figure 2; positions as
        datapoints: the paper's appendix on CCA of convolutional layers.
    """
    options = pair_scores.Options(
        measures, null, num_permutations, confidence, num_blocks, allow_small_n
    )
    models, sides = _sides(model_a, model_b, layers, layers_b)
    stream = layer_stream.LayerStream(
        models,
        sides,
        _all_pairs,
        spatial=spatial,
        max_positions=max_positions,
        max_neurons=max_neurons,
        seed=seed,
        num_blocks=num_blocks,
        num_batches=batches.num_batches(dataset),
        keep_rows=null == "permutation",
        max_gigabytes=max_gigabytes,
    )
    for images in batches.checked_images(dataset):
        stream.update(images)
    return _score_all(stream, options)


def _sides(
    model_a: keras.Model,
    model_b: keras.Model | None,
    layers: Sequence[str] | None,
    layers_b: Sequence[str] | None,
) -> tuple[dict[str, keras.Model], list[layer_stream.Side]]:
    """Returns the models, and of both sides the model and its layers."""
    models, second = {"model_a": model_a}, "model_a"
    if model_b is not None and model_b is not model_a:
        second = "model_b"
        models[second] = model_b
    return models, [
        ("model_a", layers),
        (second, layers if layers_b is None else layers_b),
    ]


def _all_pairs(
    sides: Sequence[Sequence[layer_stream.Layer]],
) -> dict[layer_stream.Pair, str]:
    """Pairs each layer of one side with each of the other, in one state."""
    rows, columns = sides
    return dict.fromkeys(itertools.product(rows, columns), "all layers")


def _score_all(
    stream: layer_stream.LayerStream, options: pair_scores.Options
) -> SimilarityMatrix:
    stream.check_not_empty()
    rows, columns = stream.sides
    shape = len(rows), len(columns)
    arrays = {
        name: {measure: np.full(shape, np.nan) for measure in options.measures}
        for name in ARRAYS
    }
    num_datapoints = np.zeros(shape, np.int64)
    notes: list[str] = []
    done: dict[frozenset[layer_stream.Layer], dict[str, scores.Score]] = {}
    for row, column in np.ndindex(shape):
        a, b = rows[row], columns[column]
        cells = done.setdefault(frozenset([a, b]), {})
        wanted = [
            measure
            for measure in options.measures
            if measure in scores.ONE_SIDED or measure not in cells
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
    if (
        options.null == "closed_form"
        and num_datapoints.max() > stream.num_images
    ):
        notes.append(_ROUGH_NULL)
    return SimilarityMatrix(
        measures=tuple(options.measures),
        layers_a=tuple(layer.name for layer in rows),
        layers_b=tuple(layer.name for layer in columns),
        **arrays,
        num_images=stream.num_images,
        num_datapoints=num_datapoints,
        notes=(*stream.notes(), *notes),
    )
