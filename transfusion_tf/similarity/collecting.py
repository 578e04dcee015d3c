"""What is collected of layers, moments or rows: whichever takes less memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection

# Up to so much, moments are taken without a look at how many images there
# are: all pairs are then scored in the least time.
_LITTLE_GIGABYTES = 1.0
# What eager calls and graphs have summed, and the result made of both.
_BYTES_OF_A_PRODUCT = 3 * 8
_BYTES_OF_A_NUMBER = 4

Grid = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is collected.

    Attributes:
        is_rows: Whether it is rows, not moments.
        note: What was taken, for a reader of the scores.
    """

    is_rows: bool
    note: str


def choose(
    states: Collection[tuple[Grid, int]],
    max_positions: int | None,
    num_images: int | None,
    *,
    num_blocks: int,
    keep_rows: bool,
    max_gigabytes: float,
) -> Choice:
    """Chooses what is collected.

    Moments grow with the square of the neurons, rows with the neurons and the
    images. Scores are the same.

    Args:
        states: Of all layers that are compared with each other, their grid
            and the sum of their neurons.
        max_positions: Most positions that are taken of a grid, or None.
        num_images: How many there will be, or None where nobody knows.
        num_blocks: Blocks of moments.
        keep_rows: Whether rows are needed in any case.
        max_gigabytes: Most memory.

    Raises:
        ValueError: If it would take more.

    Example:
    >>> options = dict(num_blocks=1, keep_rows=False, max_gigabytes=4.0)
    >>> choose([((), 1000)], None, 100_000, **options).note
    'moments of all layers, 0.02 GB'
    >>> choose([((), 50_000)], None, 1000, **options).note
    'rows of all layers, 0.20 GB; their moments would take 60.00 GB'
    """
    squares = sum(size**2 for _, size in states)
    moments = _BYTES_OF_A_PRODUCT * num_blocks * squares / 1e9
    rows = None
    if num_images is not None:
        numbers = sum(
            min(math.prod(grid), max_positions or math.prod(grid)) * size
            for grid, size in states
        )
        rows = _BYTES_OF_A_NUMBER * num_images * numbers / 1e9
    is_rows = keep_rows or (
        moments > _LITTLE_GIGABYTES and (rows is None or rows < moments)
    )
    of_rows = "unknown" if rows is None else f"{rows:.2f} GB"
    taken = rows if is_rows else moments
    if taken is not None and taken > max_gigabytes:
        kind = "rows of all images" if is_rows else "moments of all layers"
        raise_too_large(
            f"{of_rows} of rows, {moments:.2f} GB of moments",
            kind,
            max_gigabytes,
        )
    if is_rows:
        return Choice(
            True,
            f"rows of all layers, {of_rows}; their moments would take "
            f"{moments:.2f} GB",
        )
    return Choice(False, f"moments of all layers, {moments:.2f} GB")


def raise_too_large(received: str, kind: str, max_gigabytes: float) -> None:
    """Raises the `ValueError` of a collection that takes too much memory."""
    raise ValueError(
        f"The {kind} take more memory than they may. Received: {received}, "
        f"max_gigabytes={max_gigabytes}. Name fewer layers, sample neurons "
        "with max_neurons=64, lower max_positions, or raise max_gigabytes."
    )
