"""Means of similarity scores within groups of models and between them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.stats

Array = npt.NDArray[np.float64]
# Models that are kept, by their places, of each group.
Kept = Sequence[npt.NDArray[np.int64]]


@dataclasses.dataclass(frozen=True)
class SeedBand:
    """Scores of one layer, within a group or between two.

    Attributes:
        measure: What was computed.
        layer: The layer.
        groups: The group twice, or the two groups.
        mean: Mean score over pairs of models.
        low: Low end of its interval over seeds; NaN below 3 models a group.
        high: High end.
        null: Mean of the pairs' null levels.
        drop: Between groups: the mean within the two groups less `mean`.
            Above 0 the groups are apart by more than their seeds are. NaN
            within a group.
        drop_low: Low end of its interval over seeds.
        drop_high: High end.
        scores: Score of each pair of models.
    """

    measure: str
    layer: str
    groups: tuple[str, str]
    mean: float
    low: float
    high: float
    null: float
    drop: float
    drop_low: float
    drop_high: float
    scores: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class SeedComparison:
    """What `compare_seeds` returns.

    Attributes:
        bands: Of each layer and measure, groups by themselves and in pairs.
        num_images: Images seen.
        notes: What a reader of the scores must know.
    """

    bands: tuple[SeedBand, ...]
    num_images: int
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, Any]]:
        """Returns a row a band, ready for a CSV file or a data frame."""
        rows = []
        for band in self.bands:
            row = dataclasses.asdict(band)
            first, second = row.pop("groups")
            num_pairs = len(row.pop("scores"))
            rows.append(
                {"group_a": first, "group_b": second}
                | row
                | {"num_pairs": num_pairs, "num_images": self.num_images}
            )
        return rows

    def markdown(self, measure: str) -> str:
        """Returns a table: a layer a row, within and between in columns.

        A cell is the mean, [interval over seeds] where there is one, (null
        level); of two groups a second one is how far the mean is below that
        within them.

        Args:
            measure: One of those computed.

        Raises:
            ValueError: If it was not.
        """
        bands = [band for band in self.bands if band.measure == measure]
        if not bands:
            known = dict.fromkeys(band.measure for band in self.bands)
            raise ValueError(
                f"This measure was not computed. Received: measure="
                f"{measure!r}. Choose one of {', '.join(known)}."
            )
        table: dict[str, dict[str, str]] = {}
        for band in bands:
            table.setdefault(band.layer, {}).update(_cells(band))
        columns = list(next(iter(table.values())))
        lines = [[measure, *columns], ["---"] + ["---:"] * len(columns)]
        lines += [[layer, *cells.values()] for layer, cells in table.items()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bands_of(
    measure: str,
    layer: str,
    values: Array,
    nulls: Array,
    sizes: Mapping[str, int],
    confidence: float,
) -> list[SeedBand]:
    """Summarizes one layer.

    Pairs share models, so they are not independent, and a bootstrap of models
    would pair a model with itself. Intervals are by the jackknife over
    models: each mean is computed anew without one of them, and the variances
    that the groups bring are added (for a mean over pairs this errs on the
    side of too wide). Student's t has the degrees of freedom of Welch and
    Satterthwaite.

    Args:
        measure: What was computed.
        layer: The layer.
        values: Scores of all pairs of models, symmetric, `[num_models,
            num_models]`; the diagonal is not looked at.
        nulls: Their null levels, the same shape.
        sizes: Models of each group, in the order of `values`.
        confidence: Of intervals.

    Returns:
        Each group with itself that has two models or more, then each two.

    Source: Arvesen 1969, "Jackknifing U-statistics".
    """
    ends = np.cumsum(list(sizes.values()))
    places = np.split(np.arange(len(values)), ends[:-1])
    members = dict(zip(sizes, places, strict=True))
    bands = []
    for pair in [(g, g) for g in sizes] + [*itertools.combinations(sizes, 2)]:
        groups = [members[name] for name in dict.fromkeys(pair)]
        pairs = _pairs(groups)
        if not pairs:
            continue
        mean = _jackknife(groups, lambda kept: _mean(values, kept), confidence)
        drop = (math.nan,) * 3
        if len(groups) == 2:
            drop = _jackknife(
                groups, lambda kept: _drop(values, kept), confidence
            )
        bands.append(
            SeedBand(
                measure,
                layer,
                pair,
                *mean,
                _mean(nulls, groups),
                *drop,
                tuple(float(values[place]) for place in pairs),
            )
        )
    return bands


def _pairs(groups: Kept) -> list[tuple[int, int]]:
    """Returns the pairs within one group, or between two."""
    if len(groups) == 1:
        return [*itertools.combinations(groups[0].tolist(), 2)]
    return [*itertools.product(*(group.tolist() for group in groups))]


def _mean(values: Array, groups: Kept) -> float:
    pairs = _pairs(groups)
    return float(np.mean([values[p] for p in pairs])) if pairs else math.nan


def _drop(values: Array, groups: Kept) -> float:
    within = [_mean(values, [group]) for group in groups]
    return float(np.mean(within)) - _mean(values, groups)


def _jackknife(
    groups: Kept, score: Callable[[Kept], float], confidence: float
) -> tuple[float, float, float]:
    """Returns a score of models, and the ends of its interval."""
    whole = score(groups)
    variances = []
    for place, group in enumerate(groups):
        without = [
            score([*groups[:place], np.delete(group, i), *groups[place + 1 :]])
            for i in range(len(group))
        ]
        variances.append((len(group) - 1) * np.var(without))
    total = sum(variances)
    if min(map(len, groups)) < 3 or math.isnan(total):
        return whole, math.nan, math.nan
    if not total:
        return whole, whole, whole
    freedom = total**2 / sum(
        variance**2 / (len(group) - 1)
        for variance, group in zip(variances, groups, strict=True)
    )
    reach = scipy.stats.t.ppf((1 + confidence) / 2, freedom) * math.sqrt(total)
    return whole, float(whole - reach), float(whole + reach)


def _cells(band: SeedBand) -> dict[str, str]:
    first, second = band.groups
    cell = _text(band.mean, band.low, band.high)
    if not math.isnan(band.null):
        cell += f" ({band.null:.3f})"
    if first == second:
        return {first: cell}
    return {
        f"{first} and {second}": cell,
        f"below within, {first} and {second}": _text(
            band.drop, band.drop_low, band.drop_high
        ),
    }


def _text(value: float, low: float, high: float) -> str:
    if math.isnan(value):
        return "-"
    interval = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
    return f"{value:.3f}{interval}"
