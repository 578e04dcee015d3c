"""Every linear measure by its name, from one collected state."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

from transfusion_tf.similarity import alignment, correlation
from transfusion_tf.similarity.second_moments import Moments


@dataclasses.dataclass(frozen=True)
class Score:
    """A score of two layers; what `SimilarityMatrix` holds in its arrays.

    Attributes:
        values: The score; NaN if a layer is constant.
        null: What it is for unrelated images.
        p_value: How often unrelated images score as much or more.
        num_datapoints: Rows that it is of.
        notes: What a reader of the score must know.
        low: Low end of its interval; NaN without one.
        high: High end.
    """

    values: float
    null: float
    p_value: float
    num_datapoints: int
    notes: tuple[str, ...]
    low: float = math.nan
    high: float = math.nan


def _score_of(
    value: float, result: correlation.CCAResult | alignment.AlignmentResult
) -> Score:
    return Score(
        values=value,
        null=result.null,
        p_value=result.p_value,
        num_datapoints=result.num_datapoints,
        notes=result.notes,
    )


def _of_correlation(result: correlation.CCAResult) -> Score:
    return _score_of(result.mean, result)


def _of_alignment(result: alignment.AlignmentResult) -> Score:
    return _score_of(result.score, result)


# Each takes moments, the names of two layers, and allow_small_n.
_SCORES: Mapping[str, Callable[[Moments, str, str, bool], Score]] = {
    "cca": lambda m, a, b, small: _of_correlation(
        correlation.cca_from_moments(m, a, b, allow_small_n=small)
    ),
    "svcca": lambda m, a, b, small: _of_correlation(
        correlation.svcca_from_moments(m, a, b, allow_small_n=small)
    ),
    "pwcca": lambda m, a, b, small: _of_correlation(
        correlation.pwcca_from_moments(m, a, b, allow_small_n=small)
    ),
    "cka": lambda m, a, b, _: _of_alignment(
        alignment.cka_from_moments(m, a, b)
    ),
    "procrustes": lambda m, a, b, _: _of_alignment(
        alignment.procrustes_from_moments(m, a, b)
    ),
    "linear_regression": lambda m, a, b, small: _of_alignment(
        alignment.linear_regression_from_moments(m, a, b, allow_small_n=small)
    ),
}
MEASURES: tuple[str, ...] = tuple(_SCORES)
# Those that change when the layers change places.
ONE_SIDED: tuple[str, ...] = ("pwcca", "linear_regression")


def compute(
    measure: str,
    moments: Moments,
    first: str,
    second: str,
    *,
    allow_small_n: bool = False,
) -> Score:
    """Computes one measure of two layers of a collected state.

    Args:
        measure: One of `MEASURES`.
        moments: Result of a `RepresentationMoments`.
        first: Name of one layer.
        second: Name of the other layer.
        allow_small_n: As in `cca`.

    Raises:
        ValueError: If the measure is unknown, or as it raises.

    Example:
    >>> from transfusion_tf.similarity.moments import moments_of_pair
    >>> import tensorflow as tf
    >>> x = tf.random.stateless_normal([400, 4], seed=[0, 0])
    >>> round(compute("cca", moments_of_pair(x, 2 * x), "x", "y").values, 6)
    1.0
    """
    check_measures([measure])
    return _SCORES[measure](moments, first, second, allow_small_n)


def check_measures(measures: Sequence[str]) -> None:
    """Raises `ValueError` unless all are of `MEASURES`, and one is there."""
    unknown = [measure for measure in measures if measure not in MEASURES]
    if unknown or not measures or isinstance(measures, str):
        raise ValueError(
            f"Unknown measures. Received: measures={measures!r}. Give a list "
            f"of some of {', '.join(MEASURES)}."
        )
