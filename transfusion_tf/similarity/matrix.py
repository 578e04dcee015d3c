"""Scores of each layer of one side against each of the other, to be shown."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_COLOURS = np.array(  # From 0 to 1; dark to light in grey print too.
    [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]]
)
_UNDEFINED_COLOUR = 200
# What there is of each score, as `SimilarityMatrix` names it.
ARRAYS = ("values", "null", "p_value", "low", "high")

Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class SimilarityMatrix:
    """Scores of each layer of one side against each of the other.

    Attributes:
        measures: What was computed.
        layers_a: Layers of the first side, in rows.
        layers_b: Layers of the second side, in columns.
        values: By measure the scores, float64 `[layers_a, layers_b]`; NaN
            where a layer is constant. CCA, SVCCA and PWCCA: the (weighted)
            mean coefficient; CKA: debiased.
        null: By measure the scores of unrelated images, the same shape; NaN
            where no closed form is known and none was permuted.
        p_value: By measure how often unrelated images score as much.
        low: By measure the low ends of the intervals over images, by
            `jackknife`, of PWCCA by `half_sampling`; NaN without
            `confidence`.
        high: The same, high ends.
        num_images: Images seen.
        num_datapoints: Rows that each score is of, int64 `[layers_a,
            layers_b]`: images, or positions in them.
        notes: What a reader of the scores must know.
    """

    measures: tuple[str, ...]
    layers_a: tuple[str, ...]
    layers_b: tuple[str, ...]
    values: Mapping[str, Array]
    null: Mapping[str, Array]
    p_value: Mapping[str, Array]
    low: Mapping[str, Array]
    high: Mapping[str, Array]
    num_images: int
    num_datapoints: npt.NDArray[np.int64]
    notes: tuple[str, ...] = ()

    def to_rows(self) -> list[dict[str, Any]]:
        """Returns a row a score, ready for a CSV file or a data frame."""
        return [
            {
                "measure": measure,
                "layer_a": self.layers_a[row],
                "layer_b": self.layers_b[column],
                **{
                    "value" if name == "values" else name: float(
                        getattr(self, name)[measure][row, column]
                    )
                    for name in ARRAYS
                },
                "num_datapoints": int(self.num_datapoints[row, column]),
                "num_images": self.num_images,
            }
            for measure in self.measures
            for row, column in np.ndindex(self.num_datapoints.shape)
        ]

    def markdown(self, measure: str) -> str:
        """Returns a table: score, [interval] where there is one, (null level).

        Args:
            measure: One of `measures`.

        Raises:
            ValueError: If it was not computed.
        """
        self._check_measure(measure)
        lines = [
            [measure, *self.layers_b],
            ["---"] + ["---:"] * len(self.layers_b),
        ]
        for row, layer in enumerate(self.layers_a):
            cells = range(len(self.layers_b))
            lines.append(
                [layer, *(self._text(measure, row, column) for column in cells)]
            )
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def heatmap(self, measure: str, cell_size: int = 16) -> npt.NDArray:
        """Draws the scores: dark is 0 or less, light is 1, grey undefined.

        Args:
            measure: One of `measures`.
            cell_size: Height and width of a cell in pixels, at least 1.

        Returns:
            An RGB image, uint8 `[layers_a * cell_size, layers_b * cell_size,
            3]`; layers from top to bottom and from left to right.

        Raises:
            ValueError: If the measure was not computed.
        """
        self._check_measure(measure)
        values = self.values[measure]
        stops = np.linspace(0, 1, len(_COLOURS))
        image = np.stack(
            [np.interp(values, stops, _COLOURS[:, i]) for i in range(3)], -1
        )
        image[np.isnan(values)] = _UNDEFINED_COLOUR
        pixels = np.rint(image).astype(np.uint8)
        return pixels.repeat(cell_size, axis=0).repeat(cell_size, axis=1)

    def _text(self, measure: str, row: int, column: int) -> str:
        value, null, _, low, high = (
            getattr(self, name)[measure][row, column] for name in ARRAYS
        )
        if math.isnan(value):
            return "-"
        interval = "" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]"
        return f"{value:.3f}{interval}" + (
            "" if math.isnan(null) else f" ({null:.3f})"
        )

    def _check_measure(self, measure: str) -> None:
        if measure not in self.measures:
            raise ValueError(
                f"This measure was not computed. Received: measure="
                f"{measure!r}. Choose one of {', '.join(self.measures)}."
            )
