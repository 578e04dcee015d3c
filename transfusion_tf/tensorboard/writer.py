"""Writes scalars for TensorBoard."""

from collections.abc import Mapping

import tensorflow as tf
from etils import epath


class ScalarWriter:
    """Writes scalar summaries beside a run's records."""

    def __init__(self, directory: epath.PathLike):
        """Opens an event file when the first scalar is written.

        Args:
            directory: Where to; TensorBoard takes its name for the run's.
        """
        self._directory = str(directory)
        self._writer: tf.summary.SummaryWriter | None = None

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Writes scalars of a step and flushes them.

        Args:
            step: Steps of training done, from 0, not falling.
            scalars: Value by tag.

        Raises:
            OSError: If they cannot be written, for example on a full disk.
        """
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(self._directory)
            with self._writer.as_default(step=step):
                for tag, value in scalars.items():
                    tf.summary.scalar(tag, value)
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
