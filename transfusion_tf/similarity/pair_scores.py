"""All measures of a pair of layers: scores, null levels and intervals."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from transfusion_tf.similarity import intervals, scores
from transfusion_tf.similarity.layer_stream import Layer, LayerStream
from transfusion_tf.similarity.second_moments import Moments

# Of the measures that the jackknife of single blocks does not serve.
_INTERVALS = {"pwcca": intervals.half_sampling}
NULLS: tuple[str | None, ...] = ("closed_form", "permutation", None)


@dataclasses.dataclass(frozen=True)
class Options:
    """How pairs of layers are scored; as `similarity.compare` describes them.

    Attributes:
        measures: Some of `MEASURES`.
        null: One of `NULLS`.
        num_permutations: Of whole images, for null="permutation".
        confidence: Of intervals, or None.
        num_blocks: Blocks of batches, for intervals.
        allow_small_n: As in `cca`.
    """

    measures: Sequence[str]
    null: str | None
    num_permutations: int
    confidence: float | None
    num_blocks: int
    allow_small_n: bool

    def __post_init__(self) -> None:
        """Raises `ValueError` if an option is unknown or out of range."""
        scores.check_measures(self.measures)
        if self.null not in NULLS:
            raise ValueError(
                "There is no such null level. Received: "
                f"null={self.null!r}. Use one of {NULLS}."
            )
        if self.num_permutations < 1:
            raise ValueError(
                "A null level needs a permutation. Received: "
                f"num_permutations={self.num_permutations}. 20 are usual."
            )
        if self.confidence is not None:
            intervals.check_confidence(self.confidence)
            if self.num_blocks < 2:
                raise ValueError(
                    "An interval leaves blocks of images out one by one. "
                    f"Received: confidence={self.confidence}, num_blocks="
                    f"{self.num_blocks}. Use num_blocks=20, with at least as "
                    "many batches."
                )


def score_pair(
    stream: LayerStream,
    a: Layer,
    b: Layer,
    measures: Sequence[str],
    options: Options,
) -> dict[str, scores.Score]:
    """Scores two layers of a stream.

    Args:
        stream: What has seen all images.
        a: A layer of one side.
        b: A layer of the other, whose images are permuted.
        measures: Those of the options' that are wanted.
        options: How.

    Returns:
        By measure its score.

    Raises:
        ValueError: As a measure does; the message names measure and layers.
    """
    if "pwcca" in measures and not stream.has_neurons(a, b):
        raise ValueError(
            "PWCCA weighs neurons, and of a layer with more neurons than "
            f"datapoints they are not kept. Received: {a}. Use more images, "
            "sample neurons with max_neurons=64, or leave pwcca out."
        )
    moments, names = stream.pair(a, b)
    with warnings.catch_warnings():
        # What they say is in the notes.
        warnings.simplefilter("ignore", UserWarning)
        cells = {
            measure: _score(measure, moments, names, options)
            for measure in measures
        }
        if options.null is None:
            return {
                measure: dataclasses.replace(
                    cell, null=math.nan, p_value=math.nan
                )
                for measure, cell in cells.items()
            }
        if options.null == "permutation":
            permuted = stream.permuted(a, b, moments, options.num_permutations)
            return _with_null_of(cells, permuted, names)
    return cells


def _score(
    measure: str, moments: Moments, names: tuple[str, str], options: Options
) -> scores.Score:
    try:
        cell = scores.compute(
            measure, moments, *names, allow_small_n=options.allow_small_n
        )
        if options.confidence is None:
            return cell
        low, high = _INTERVALS.get(measure, intervals.jackknife)(
            moments.only(*names),
            lambda part: (
                scores.compute(measure, part, *names, allow_small_n=True).values
            ),
            options.confidence,
        )
    except ValueError as error:
        layers = " and ".join(names)
        raise ValueError(f"{measure} of {layers}: {error}") from error
    return dataclasses.replace(cell, low=low, high=high)


def _with_null_of(
    cells: dict[str, scores.Score],
    permuted: Iterable[Moments],
    names: tuple[str, str],
) -> dict[str, scores.Score]:
    """Returns the scores with the null levels of permuted images."""
    found: dict[str, list[float]] = {measure: [] for measure in cells}
    for moments in permuted:  # Measures share what is found of each.
        for measure, of_measure in found.items():
            cell = scores.compute(measure, moments, *names, allow_small_n=True)
            of_measure.append(cell.values)
    return {
        measure: dataclasses.replace(
            cell,
            null=float(np.mean(found[measure])),
            p_value=_share_as_high(cell.values, found[measure]),
        )
        for measure, cell in cells.items()
    }


def _share_as_high(score: float, permuted: Sequence[float]) -> float:
    """Returns the p-value; the images as they are count as a permutation."""
    if math.isnan(score):
        return math.nan
    count = sum(value >= score for value in permuted)
    return (1 + count) / (1 + len(permuted))
