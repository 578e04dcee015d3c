"""The paper's own numbers, where we know them and how."""

from __future__ import annotations

import csv
import dataclasses
import functools
import pathlib

_FILE = pathlib.Path(__file__).with_name("paper_values.csv")


@dataclasses.dataclass(frozen=True)
class PaperValue:
    """A number of the paper.

    Attributes:
        value: The number.
        low: Lower end of what the paper shows beside it.
        high: Upper end.
        source: How it came to us.
    """

    value: float
    low: float
    high: float
    source: str


def paper_value(item: str, row: str, column: str) -> PaperValue | None:
    """Returns a number of the paper, or None where it is not known to us.

    Args:
        item: A table or figure, such as "figure 2".
        row: A model.
        column: What is shown of it.

    Example:
    >>> paper_value("figure 2", "resnet50", "random-transfer").value
    0.239
    >>> paper_value("figure 2", "efficientnet_lite0", "random-random") is None
    True

    Source: as each row of `paper_values.csv` says.
    """
    return _values().get((item, row, column))


@functools.cache
def _values() -> dict[tuple[str, str, str], PaperValue]:
    with _FILE.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {(r["item"], r["row"], r["column"]): _parse(r) for r in rows}


def _parse(row: dict[str, str]) -> PaperValue:
    low, high = map(float, row["spread"].split("-"))
    return PaperValue(float(row["value"]), low, high, row["source"])
