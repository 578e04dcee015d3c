"""From records to what TensorBoard shows: event files, or points in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from etils import epath

from transfusion_tf import records
from transfusion_tf.reporting.study import comparison_files, run_directories
from transfusion_tf.tensorboard import points as points_lib
from transfusion_tf.tensorboard import run_points, writer
from transfusion_tf.tensorboard.points import Point

_METRICS = ("auc", "accuracy")


@dataclasses.dataclass(frozen=True)
class RunView:
    """What TensorBoard shows of a run.

    Attributes:
        scalars: Step and scalars by tag, in order of steps.
        points: Of our tab, those of a tag in order of steps.
    """

    scalars: tuple[tuple[int, dict[str, float]], ...]
    points: tuple[Point, ...]


def view_run(
    run_dir: epath.PathLike, comparison: Mapping[str, Any] | None
) -> RunView:
    """Makes what is shown of a finished run from its records.

    Args:
        run_dir: Its directory, or its published records.
        comparison: The content of its comparison before and after training,
            if there is one. Of a run that compared its stages while it
            trained, the matrix is its own: that has more steps.

    Raises:
        FileNotFoundError: If the run is not finished.
        ValueError: If a record cannot be read.
    """
    run = records.RunDirectory(run_dir)
    config, result, rows = run.config(), run.result(), run.metrics()
    points = [
        run_points.info(
            config,
            metric=next(m for m in _METRICS if m in result["test"]),
            num_parameters=result["parameters"]["total"],
        )
    ]
    probe = config.get("probe")
    probed = [p for row in rows for p in run_points.probe(row, probe or {})]
    points += probed
    if comparison is not None:
        points += run_points.comparison(comparison)
        if not probed:
            points += run_points.comparison_matrix(comparison)
    if run.filters_path.exists():
        points += run_points.filters(records.read_npz(run.filters_path))
    scalars = tuple((row["step"], run_points.scalars(row)) for row in rows)
    return RunView(scalars, tuple(points))


def view_runs(study_dir: epath.PathLike) -> dict[str, RunView]:
    """Makes what is shown of the finished runs of a study; see `view_run`.

    Args:
        study_dir: A study's directory, or its published records.

    Returns:
        By name of the run.
    """
    contents = map(records.read_json, comparison_files(study_dir))
    comparisons = {
        content["run"]: content
        for content in contents
        if content["kind"] == run_points.BEFORE_AFTER
    }
    return {
        path.name: view_run(path, comparisons.get(path.name))
        for path in run_directories(study_dir)
        if records.RunDirectory(path).is_finished
    }


def write_events(
    study_dir: epath.PathLike,
    document: Mapping[str, Any],
    output_dir: epath.PathLike,
) -> epath.Path:
    """Writes a study's event files from its records alone.

    Args:
        study_dir: A study's directory, or its published records.
        document: What `study_document` returned of it.
        output_dir: Where to: `tensorboard --logdir` of it shows the study.
            Each study has a directory of its own in it.

    Returns:
        The study's directory there: event files of `runs/<run>` and
        `report`; those of an earlier call are replaced.

    Raises:
        OSError: If they cannot be written, for example on a full disk.
    """
    target = epath.Path(output_dir) / study_name(study_dir)
    for name, view in view_runs(study_dir).items():
        _write_view(view, target / "runs" / name)
    write_document(document, target / "report")
    return target


def write_run(run: records.RunDirectory, comparison: Mapping[str, Any]) -> None:
    """Writes a finished run's event files anew, with its comparison.

    They take the place of those that it wrote while it trained, so that no
    tag is there twice: the records hold all that was in them.

    Args:
        run: The run.
        comparison: The content of its comparison before and after training.

    Raises:
        OSError: If they cannot be written, for example on a full disk.
    """
    _write_view(view_run(run.path, comparison), run.path)


def write_document(
    document: Mapping[str, Any], directory: epath.PathLike
) -> None:
    """Writes a study's document as event file; it replaces an earlier one.

    Args:
        document: What `study_document` returned.
        directory: Where to; no other writer may use it.

    Raises:
        OSError: If it cannot be written, for example on a full disk.
    """
    view = RunView((), (points_lib.study(document),))
    _write_view(view, epath.Path(directory))


def study_name(study_dir: epath.PathLike) -> str:
    """Returns what TensorBoard calls a study: its directory's name."""
    return epath.Path(study_dir).resolve().name


def _write_view(view: RunView, directory: epath.Path) -> None:
    writer.remove_event_files(directory)
    events = writer.EventWriter(directory)
    for step, scalars in view.scalars:
        events.write(step, scalars)
    events.write_points(view.points)
    events.close()
