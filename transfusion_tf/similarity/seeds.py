"""Groups of runs compared: is a group apart by more than its seeds are?"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from transfusion_tf.similarity import (
    batches,
    intervals,
    layer_stream,
    pair_scores,
    scores,
    seed_bands,
    warning,
)


def compare_seeds(
    groups: Mapping[str, Sequence[keras.Model]],
    dataset: Iterable[Any],
    *,
    layers: Sequence[str] | None = None,
    measures: Sequence[str] = ("cca", "cka"),
    spatial: str = "positions",
    max_positions: int | None = 16,
    max_neurons: int | None = None,
    seed: int = 0,
    null: str | None = "closed_form",
    num_permutations: int = 20,
    max_gigabytes: float = 4.0,
    confidence: float = 0.95,
    allow_small_n: bool = False,
) -> seed_bands.SeedComparison:
    """Compares each layer of all models, within groups and between them.

    Two networks from different random starts are not alike either: what a
    scheme changes shows only beside what a seed changes. Each layer is scored
    between any two models; scores of two models of one group are the baseline
    of those of two groups. Intervals are over seeds, for these images.

    Args:
        groups: Name -> models of one kind that differ in their seeds; at
            least 2 in all. Intervals need 3 a group.
        dataset: As in `compare`; read once.
        layers: Names of layers that all models have. Default: all of a
            model's with weights.
        measures: Some of `MEASURES`; of those with two sides, the mean of
            both.
        spatial: As in `compare`, as are all that follow.
        max_positions: Most positions an image.
        max_neurons: Most neurons a layer.
        seed: Seed of what is chosen and of permutations.
        null: Where null levels are from.
        num_permutations: For null="permutation".
        max_gigabytes: Most memory for what is collected.
        confidence: Of intervals over seeds, in (0, 1).
        allow_small_n: As in `cca`.

    Returns:
        By layer and measure the means within and between groups.

    Raises:
        ValueError: As `compare`; or if there are fewer than 2 models, or
            they have different layers.

    Example:
    >>> def model(seed):
    ...     kernel = keras.initializers.GlorotUniform(seed)
    ...     return keras.Sequential([keras.Input([6]), keras.layers.Dense(
    ...         4, "relu", kernel_initializer=kernel, name="hidden")])
    >>> images = np.random.default_rng(0).normal(size=[200, 6])
    >>> found = compare_seeds({"random": [model(0), model(1), model(2)]},
    ...                       [images], measures=["cka"])
    >>> [(band.layer, len(band.scores)) for band in found.bands]
    [('hidden', 3)]

    Source: the paper's Figure 2, whose baseline is pairs of random starts.
    """
    options = pair_scores.Options(
        measures, null, num_permutations, None, 1, allow_small_n
    )
    intervals.check_confidence(confidence)
    models = {
        f"{group} {place}": model
        for group, of_group in groups.items()
        for place, model in enumerate(of_group)
    }
    _check_models(models)
    stream = layer_stream.LayerStream(
        models,
        [(name, layers) for name in models],
        _pairs_of_one_layer,
        spatial=spatial,
        max_positions=max_positions,
        max_neurons=max_neurons,
        seed=seed,
        num_blocks=1,
        num_batches=batches.num_batches(dataset),
        keep_rows=null == "permutation",
        max_gigabytes=max_gigabytes,
    )
    for images in batches.checked_images(dataset):
        stream.update(images)
    stream.check_not_empty()
    sizes = {group: len(of_group) for group, of_group in groups.items()}
    return _bands_of(stream, sizes, options, confidence)


def _check_models(models: Mapping[str, keras.Model]) -> None:
    if len(models) < 2:
        raise ValueError(
            "Seeds are compared between models. Received: "
            f"{len(models)} models. Give at least 2, of one group or several."
        )
    if len(set(map(id, models.values()))) < len(models):
        raise ValueError(
            "A model with itself says nothing of seeds. Received: one model "
            f"twice among {', '.join(models)}. Give each model once."
        )


def _pairs_of_one_layer(
    sides: Sequence[Sequence[layer_stream.Layer]],
) -> dict[layer_stream.Pair, str]:
    """Pairs each layer with the same one of other models, a state a layer."""
    first = [layer.name for layer in sides[0]]
    for side in sides[1:]:
        names = [layer.name for layer in side]
        if names != first:
            raise ValueError(
                "Models to compare have the same layers. Received: "
                f"{', '.join(first)} of {sides[0][0].side}; "
                f"{', '.join(names)} of {side[0].side}. Give names that all "
                "have as layers=, or give layers names."
            )
    return {
        pair: pair[0].name
        for of_layer in zip(*sides, strict=True)
        for pair in itertools.permutations(of_layer, 2)
    }


def _bands_of(
    stream: layer_stream.LayerStream,
    sizes: Mapping[str, int],
    options: pair_scores.Options,
    confidence: float,
) -> seed_bands.SeedComparison:
    bands: list[seed_bands.SeedBand] = []
    notes: list[str] = []
    for of_layer in zip(*stream.sides, strict=True):
        count = len(of_layer)
        values, nulls = (
            {m: np.full([count, count], np.nan) for m in options.measures}
            for _ in range(2)
        )
        for first, second in itertools.combinations(range(count), 2):
            a, b = of_layer[first], of_layer[second]
            for measure, cells in _both_ways(stream, a, b, options).items():
                for place in ((first, second), (second, first)):
                    values[measure][place] = np.mean([c.values for c in cells])
                    nulls[measure][place] = np.mean([c.null for c in cells])
                notes += [
                    f"{measure}, {a} and {b}: {note}"
                    for note in dict.fromkeys(n for c in cells for n in c.notes)
                ]
        for measure in options.measures:
            bands += seed_bands.bands_of(
                measure,
                of_layer[0].name,
                values[measure],
                nulls[measure],
                sizes,
                confidence,
            )
    if notes:
        warning.warn(f"{len(notes)} scores have a note. The first: {notes[0]}")
    return seed_bands.SeedComparison(
        tuple(bands), stream.num_images, (*stream.notes(), *notes)
    )


def _both_ways(
    stream: layer_stream.LayerStream,
    a: layer_stream.Layer,
    b: layer_stream.Layer,
    options: pair_scores.Options,
) -> dict[str, list[scores.Score]]:
    """Scores two layers, and once more the other way round where it counts."""
    there = pair_scores.score_pair(stream, a, b, options.measures, options)
    found = {measure: [cell] for measure, cell in there.items()}
    one_sided = [m for m in options.measures if m in scores.ONE_SIDED]
    if one_sided:
        back = pair_scores.score_pair(stream, b, a, one_sided, options)
        for measure, cell in back.items():
            found[measure].append(cell)
    return found
