"""Warnings that point at the line that asked, outside of this package."""

from __future__ import annotations

import sys
import warnings

_PACKAGE = __name__.rpartition(".")[0]


def warn(message: str) -> None:
    """Warns at the caller of whichever public function led here.

    Example:
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     warn("few datapoints")
    >>> [str(warning.message) for warning in caught]
    ['few datapoints']
    """
    level = 1
    while _is_ours(level):
        level += 1
    warnings.warn(message, stacklevel=level)


def _is_ours(level: int) -> bool:
    """Tells whether the function so many calls up is of this package."""
    name = sys._getframe(level).f_globals.get("__name__", "")
    return name.startswith(_PACKAGE)
