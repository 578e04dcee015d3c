"""What a run shows in TensorBoard while it trains, and its filters' record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from transfusion_tf import models, records
from transfusion_tf.tensorboard import run_points, writer

_FIRST, _LAST = 0, -1


class RunEvents:
    """Writes event files beside the run's records, of the same numbers.

    A resumed run writes into a file of its own what comes after its
    checkpoint.
    """

    def __init__(
        self,
        run: records.RunDirectory,
        shared: records.RunDirectory,
        staged: models.StagedModel,
        *,
        probe: Mapping[str, Any] | None,
    ):
        """Writes nothing yet.

        Args:
            run: Where to.
            shared: Where the record of its start stands.
            staged: The network.
            probe: How stages are compared with step 0, if they are.
        """
        self._run = run
        self._probe = probe
        self._shared = shared
        self._staged = staged
        self._writer = writer.EventWriter(run.path)

    def start(self, config: Mapping[str, Any], metric: str) -> None:
        """Writes what the run is, and its first filters.

        Args:
            config: The content of its `config.json`.
            metric: "auc" or "accuracy".
        """
        counts = models.parameter_counts(self._staged)
        info = run_points.info(
            config, metric=metric, num_parameters=counts.total
        )
        layer, kernel = first_kernel(self._staged)
        filters = write_filters(self._run, layer, {0: kernel})
        self._writer.write_points([info, *run_points.filters(filters)])

    def write_row(self, row: Mapping[str, Any]) -> None:
        """Writes a row of `metrics.jsonl`."""
        self._writer.write(row["step"], run_points.scalars(row))
        if self._probe is not None:
            self._writer.write_points(run_points.probe(row, self._probe))

    def finish(self, step: int) -> None:
        """Writes the last filters; a run begun without them has none.

        Args:
            step: Whose weights the network holds, those that are scored.
        """
        if not self._shared.filters_path.exists():
            return
        start = records.read_npz(self._shared.filters_path)
        layer, kernel = first_kernel(self._staged)
        filters = write_filters(
            self._run, layer, {0: start["kernels"][_FIRST], step: kernel}
        )
        self._writer.write_points(run_points.filters(filters)[_LAST:])

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()


def first_kernel(staged: models.StagedModel) -> tuple[str, npt.NDArray]:
    """Returns the first convolution's name and kernel.

    Args:
        staged: The network.

    Returns:
        Its name, and float32 `[height, width, channels, filters]`.
    """
    layer = next(
        layer
        for layer in staged.model.layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    return layer.name, layer.kernel.numpy().astype(np.float32)


def write_filters(
    run: records.RunDirectory, layer: str, kernels: Mapping[int, npt.NDArray]
) -> dict[str, npt.NDArray[Any]]:
    """Writes `filters.npz`, which is small, so that it is published.

    Args:
        run: The run.
        layer: Name of its first convolution.
        kernels: By step, in order, what `first_kernel` returned.

    Returns:
        The arrays: `steps` int64 `[k]`, `kernels` float32 `[k, height, width,
        channels, filters]`, and `layer`.
    """
    arrays: dict[str, npt.NDArray[Any]] = {
        "steps": np.array(list(kernels), np.int64),
        "kernels": np.stack(list(kernels.values())),
        "layer": np.array(layer),
    }
    records.write_npz(run.filters_path, **arrays)
    return arrays
