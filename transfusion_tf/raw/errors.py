"""What can be wrong with a data set; every message names file and mend.

What is wrong with one example of many is given to `report`, which raises it
unless a caller collects: to list all that is wrong with a directory, or
because the user asked that bad examples be skipped.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterable, Iterator


class DataError(ValueError):
    """A data set cannot be prepared or read as asked.

    Attributes:
        names: The examples or files that the error is about, where it is
            about several.
    """

    def __init__(self, message: str = "", *, names: Iterable[str] = ()):
        """Takes the message, and what it is about."""
        super().__init__(message)
        self.names = tuple(names)

    @property
    def count(self) -> int:
        """How many examples the error is about, at least 1."""
        return max(1, len(self.names))


class ManualDirError(DataError):
    """The directory of raw files is missing, wrong or incomplete."""


class DataDirError(DataError):
    """The directory for prepared data cannot be written."""


class DatasetNameError(DataError):
    """No data set or configuration has this name."""


class LabelFileError(DataError):
    """A label file has a bad header, an unknown level or a repeated id."""


class MissingImageError(DataError):
    """The label file lists an image that is not there."""


class UnlabelledImageError(DataError):
    """An image is there that no label file lists."""


class BadImageError(DataError):
    """An image file is empty, truncated, corrupt or of an unfit kind."""


class CircleNotFoundError(DataError):
    """No circular field of view was found in a photograph."""


class PatientLeakError(DataError):
    """A patient stands in more than one split."""


class EmptySplitError(DataError):
    """A split would hold no photograph."""


class PathError(DataError):
    """A path leads out of the directory that it is relative to."""


class DuplicateError(DataError):
    """An id stands twice, or one image stands in two splits."""


class CorruptRecordError(DataError):
    """A record file is truncated, damaged, or no record file."""


class RecordCountError(DataError):
    """A file holds another number of records than was written."""


class MappingError(DataError):
    """Records do not hold what the key map says."""


class TooManyBadError(DataError):
    """More examples are unusable than was allowed."""


_Handler = Callable[[DataError, bool], None]


def _raise(error: DataError, is_skippable: bool) -> None:
    del is_skippable
    raise error


_handler: contextvars.ContextVar[_Handler] = contextvars.ContextVar(
    "handler", default=_raise
)


def report(error: DataError, *, is_skippable: bool = True) -> None:
    """Raises an error after which reading could go on, or notes it.

    Args:
        error: What is wrong.
        is_skippable: Whether leaving out what it is about would mend it, as
            with an unreadable image and unlike a patient in two splits.

    Raises:
        DataError: `error`, unless it is collected.

    Example:
    >>> with collecting() as found:
    ...     report(BadImageError("truncated"))
    ...     report(BadImageError("empty"))
    >>> len(found)
    2
    """
    _handler.get()(error, is_skippable)


@contextlib.contextmanager
def collecting(
    max_skipped: int | None = None,
) -> Iterator[list[DataError]]:
    """Collects the errors that are reported in its block.

    Args:
        max_skipped: `None` to collect everything, for a list of all that is
            wrong. Otherwise what is not skippable is raised, and so is
            `TooManyBadError` as soon as the collected errors are about more
            examples than this.

    Yields:
        The errors, in the order of their reporting.
    """
    found: list[DataError] = []

    def collect(error: DataError, is_skippable: bool) -> None:
        if max_skipped is not None and not is_skippable:
            raise error
        found.append(error)
        num_bad = sum(e.count for e in found)
        if max_skipped is not None and num_bad > max_skipped:
            raise TooManyBadError(
                f"More examples are unusable than may be skipped. Received: "
                f"{num_bad} with --max_bad={max_skipped}, the last: {error} "
                "See all of them with --check, mend them, or allow more with "
                "--max_bad=N."
            )

    token = _handler.set(collect)
    try:
        yield found
    finally:
        _handler.reset(token)
