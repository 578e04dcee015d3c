"""Writes scalars and images for TensorBoard."""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from etils import epath


class ScalarWriter:
    """Writes summaries beside a run's records."""

    def __init__(self, directory: epath.PathLike):
        """Opens an event file when the first summary is written.

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
        with self._written(step):
            for tag, value in scalars.items():
                tf.summary.scalar(tag, value)

    def write_images(
        self, step: int, images: Mapping[str, npt.NDArray[np.uint8]]
    ) -> None:
        """Writes images of a step and flushes them.

        Args:
            step: As in `write`.
            images: By tag RGB, uint8 `[height, width, 3]`, such as
                `SimilarityMatrix.heatmap` returns.

        Raises:
            OSError: As `write`.

        Example:
        >>> import tempfile
        >>> writer = ScalarWriter(tempfile.mkdtemp())
        >>> writer.write_images(0, {"cka": np.zeros([32, 48, 3], np.uint8)})
        >>> writer.close()
        """
        with self._written(step):
            for tag, image in images.items():
                tf.summary.image(tag, image[np.newaxis])

    @contextlib.contextmanager
    def _written(self, step: int) -> Iterator[None]:
        """Within it, summaries are of this step; they are flushed behind it."""
        try:
            if self._writer is None:
                self._writer = tf.summary.create_file_writer(self._directory)
            with self._writer.as_default(step=step):
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
