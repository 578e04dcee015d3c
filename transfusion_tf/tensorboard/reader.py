"""Where the tab's numbers are read: TensorBoard, or points in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from tensorboard import errors, plugin_util
from tensorboard.data import provider

from transfusion_tf.tensorboard import PLUGIN_NAME
from transfusion_tf.tensorboard.points import Point

# Above what the loaders keep of a tag by default, which is 1,000 of each.
MAX_STEPS = 10_000

_T = TypeVar("_T")


class ReadError(RuntimeError):
    """What was asked for is there, but cannot be read."""


@dataclasses.dataclass(frozen=True)
class Series:
    """A tag of ours in a run.

    Attributes:
        content: `plugin_data.content`, not checked.
        max_step: Its last step, where it is known.
    """

    content: bytes
    max_step: int | None


@dataclasses.dataclass(frozen=True, eq=False)
class Datum:
    """A tensor or scalar at a step.

    Attributes:
        step: As it was written.
        wall_time: Seconds since 1970.
        values: Any array, not checked; a float of a scalar.
    """

    step: int
    wall_time: float
    values: Any


class Reader(Protocol):
    """What `answers` asks of a source; nothing it gives is checked."""

    def tensor_series(
        self, tag: str | None = None, runs: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, Series]]:
        """Returns our tags by run: all, or one of some runs.

        Raises:
            ReadError: If the source does not answer.
        """
        ...

    def scalar_tags(self) -> Mapping[str, Collection[str]]:
        """Returns the tags of scalars by run.

        Raises:
            ReadError: If the source does not answer.
        """
        ...

    def read_tensors(self, run: str, tag: str) -> Sequence[Datum]:
        """Returns a tag's tensors in any order; none if it is not there.

        Raises:
            ReadError: If they cannot be read.
        """
        ...

    def read_scalars(self, run: str, tag: str) -> Sequence[Datum]:
        """Returns a tag's scalars in any order; none if it is not there.

        Raises:
            ReadError: If they cannot be read.
        """
        ...


class ProviderReader:
    """Reads what TensorBoard has loaded, whichever of its loaders did."""

    def __init__(
        self, data_provider: provider.DataProvider, environ: Mapping[str, Any]
    ):
        """Reads on behalf of one request.

        Args:
            data_provider: TensorBoard's.
            environ: WSGI environment of the request.
        """
        self._provider = data_provider
        self._context = plugin_util.context(environ)
        self._experiment_id = plugin_util.experiment_id(environ)

    def tensor_series(
        self, tag: str | None = None, runs: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, Series]]:
        """Returns our tags by run; see `Reader`."""
        listed = self._called(
            self._provider.list_tensors, PLUGIN_NAME, tag and {tag}, runs
        )
        return {
            run: {
                tag: Series(series.plugin_content, series.max_step)
                for tag, series in tags.items()
            }
            for run, tags in listed.items()
        }

    def scalar_tags(self) -> Mapping[str, Collection[str]]:
        """Returns the tags of scalars by run; see `Reader`."""
        return self._called(self._provider.list_scalars, "scalars", None, None)

    def read_tensors(self, run: str, tag: str) -> Sequence[Datum]:
        """Returns a tag's tensors; see `Reader`."""
        read = self._read(self._provider.read_tensors, PLUGIN_NAME, run, tag)
        return [Datum(x.step, x.wall_time, x.numpy) for x in read]

    def read_scalars(self, run: str, tag: str) -> Sequence[Datum]:
        """Returns a tag's scalars; see `Reader`."""
        read = self._read(self._provider.read_scalars, "scalars", run, tag)
        return [Datum(x.step, x.wall_time, x.value) for x in read]

    def _read(
        self, call: Callable[..., Any], plugin_name: str, run: str, tag: str
    ) -> Sequence[Any]:
        # One at a time: one tensor that cannot be read fails a whole call.
        data = self._called(
            call, plugin_name, {tag}, {run}, downsample=MAX_STEPS
        )
        return data.get(run, {}).get(tag, [])

    def _called(
        self,
        call: Callable[..., _T],
        plugin_name: str,
        tags: Collection[str] | None,
        runs: Collection[str] | None,
        **options: Any,
    ) -> _T:
        try:
            return call(
                self._context,
                experiment_id=self._experiment_id,
                plugin_name=plugin_name,
                run_tag_filter=provider.RunTagFilter(runs=runs, tags=tags),
                **options,
            )
        except errors.PublicError:
            raise
        # An event file holds anything, and TensorBoard's reading of it raises
        # as much: TypeError for bfloat16, ValueError for a wrong shape ...
        except Exception as error:
            raise ReadError(
                f"TensorBoard cannot read it. Received: "
                f"{type(error).__name__}: {str(error)[:200]}."
            ) from error


class PointReader:
    """Reads points in memory."""

    def __init__(
        self,
        points: Mapping[str, Sequence[Point]],
        scalars: Mapping[str, Mapping[str, Mapping[int, float]]],
    ):
        """Takes the place of a log directory.

        Args:
            points: By run.
            scalars: By run and tag, the value by step.
        """
        self._points = points
        self._scalars = scalars

    def tensor_series(
        self, tag: str | None = None, runs: Collection[str] | None = None
    ) -> Mapping[str, Mapping[str, Series]]:
        """Returns our tags by run; see `Reader`."""
        listed: dict[str, dict[str, Series]] = {}
        for run, points in self._points.items():
            if runs is not None and run not in runs:
                continue
            for point in points:
                if tag is not None and point.tag != tag:
                    continue
                tags = listed.setdefault(run, {})
                known = tags.get(point.tag, Series(point.content, point.step))
                tags[point.tag] = Series(
                    known.content, max(known.max_step or 0, point.step)
                )
        return listed

    def scalar_tags(self) -> Mapping[str, Collection[str]]:
        """Returns the tags of scalars by run; see `Reader`."""
        return self._scalars

    def read_tensors(self, run: str, tag: str) -> Sequence[Datum]:
        """Returns a tag's tensors; see `Reader`."""
        return [
            Datum(point.step, 0.0, point.values)
            for point in self._points.get(run, [])
            if point.tag == tag
        ]

    def read_scalars(self, run: str, tag: str) -> Sequence[Datum]:
        """Returns a tag's scalars; see `Reader`."""
        values = self._scalars.get(run, {}).get(tag, {})
        return [Datum(step, 0.0, value) for step, value in values.items()]


def newest_by_step(data: Sequence[Datum]) -> list[Datum]:
    """Returns the data in order of steps, one a step.

    Where a step was written again, by a second writer or a rerun, the newest
    by wall time is kept.

    Example:
    >>> [(x.step, x.values) for x in newest_by_step(
    ...     [Datum(8, 2.0, "new"), Datum(4, 1.0, "x"), Datum(8, 1.0, "old")])]
    [(4, 'x'), (8, 'new')]
    """
    newest: dict[int, Datum] = {}
    for datum in data:
        known = newest.get(datum.step)
        if known is None or not datum.wall_time < known.wall_time:
            newest[datum.step] = datum
    return [newest[step] for step in sorted(newest)]


def json_numbers(values: npt.ArrayLike) -> Any:
    """Returns numbers as JSON has them.

    Args:
        values: Numbers of any shape.

    Returns:
        Nested lists of floats of 5 significant digits, None for NaN and
        infinities; one such number for a scalar.

    Example:
    >>> json_numbers([[0.123456789, 2.0], [float("nan"), 1234567.0]])
    [[0.12346, 2.0], [None, 1234600.0]]
    """
    array = np.asarray(values, np.float64)
    finite = np.where(np.isfinite(array), array, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        exponent = np.floor(np.log10(np.abs(finite)))
        # Powers of ten from 0 on are exact, so that the last product or
        # quotient is the number nearest to the decimal, which prints short.
        digits = np.clip(4 - np.where(finite == 0, 0, exponent), -304, 300)
        up, down = 10.0 ** np.maximum(digits, 0), 10.0 ** np.maximum(-digits, 0)
        rounded = np.round(finite * up / down) * down / up
    is_finite = np.isfinite(array) & np.isfinite(rounded)
    listed = np.asarray(rounded, dtype=object)
    listed[~is_finite] = None
    return listed.tolist()
