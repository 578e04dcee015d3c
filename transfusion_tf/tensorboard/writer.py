"""Writes scalars and points for TensorBoard; alone here it uses TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

from transfusion_tf.tensorboard import PLUGIN_NAME
from transfusion_tf.tensorboard.points import Point


class EventWriter:
    """Writes summaries into a directory, which is its alone while it does.

    TensorBoard takes the directory for a run.
    """

    def __init__(self, directory: epath.PathLike):
        """Opens an event file when the first summary is written.

        Args:
            directory: Where to; TensorBoard takes its name for the run's.
        """
        self._directory = str(directory)
        self._writer: Any = None
        self._last_steps: dict[str, int] = {}

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars of a step and flushes them.

        Args:
            step: Steps of training done, from 0, not falling.
            scalars: Value by tag.

        Raises:
            OSError: If they cannot be written, for example on a full disk.
        """
        import tensorflow as tf

        with self._written():
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value, step=step)

    def write_points(self, points: Iterable[Point]) -> None:
        """Writes points and flushes them; numbers become float32.

        Args:
            points: In the order of their steps, where a tag comes twice.

        Raises:
            ValueError: If a tag's step is not above its last one: one of
                TensorBoard's loaders would delete what it read before.
            OSError: If they cannot be written, for example on a full disk.

        Example:
        >>> import tempfile
        >>> from transfusion_tf.tensorboard import points
        >>> writer = EventWriter(tempfile.mkdtemp())
        >>> kernel = np.zeros([64, 7, 7, 3])
        >>> writer.write_points([points.filters(0, kernel, layer="conv1")])
        >>> writer.close()
        """
        import tensorflow as tf
        from tensorboard.compat.proto import summary_pb2

        with self._written():
            for point in points:
                self._check_order(point)
                values = point.values
                if values.dtype != object:
                    values = np.asarray(values, np.float32)
                metadata = summary_pb2.SummaryMetadata(
                    plugin_data=summary_pb2.SummaryMetadata.PluginData(
                        plugin_name=PLUGIN_NAME, content=point.content
                    ),
                    # A tag without it is not shown.
                    data_class=summary_pb2.DATA_CLASS_TENSOR,
                )
                tf.summary.write(
                    point.tag,
                    tf.convert_to_tensor(values),
                    step=point.step,
                    metadata=metadata,
                )
                self._last_steps[point.tag] = point.step

    def _check_order(self, point: Point) -> None:
        last = self._last_steps.get(point.tag)
        if last is not None and point.step <= last:
            raise ValueError(
                "Steps of a tag must increase. Received: "
                f"step={point.step} of {point.tag!r}, whose last step is "
                f"{last}. Write into another directory, or in order."
            )

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Within it, summaries are written here; they are flushed behind it."""
        import tensorflow as tf

        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(self._directory)
            with self._writer.as_default():
                yield
            self._writer.flush()
        except tf.errors.OpError as error:
            raise OSError(
                "Could not write TensorBoard events. Received: "
                f"{error.message}. Make space in {self._directory!r}, then "
                "repeat the command."
            ) from error

    def close(self) -> None:
        """Closes the event file, if one was opened."""
        if self._writer is not None:
            self._writer.close()


def remove_event_files(directory: epath.PathLike) -> None:
    """Deletes the event files of a directory, not those of its children.

    So that no tag is there twice when they are written anew.

    Args:
        directory: It need not be there.

    Example:
    >>> remove_event_files("/nowhere")
    """
    directory = epath.Path(directory)
    if directory.exists():
        for path in directory.glob("events.out.tfevents.*"):
            path.unlink()
