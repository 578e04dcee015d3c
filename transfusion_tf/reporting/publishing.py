"""Copies of a study the part that is kept and published for good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epath

from transfusion_tf import records
from transfusion_tf.reporting.study import (
    comparison_files,
    read_study,
    run_directories,
)

_RUN_FILES = ("config.json", "initialization.json", "metrics.jsonl")
_SEED = 20190214
# An absolute path of two parts or more, but not the path of a URL.
_PATH = re.compile(r"(?<![\w/.])/(?:[^\s/,;\"']+/)+([^\s/,;\"']*)")

Arrays = Mapping[str, npt.NDArray]


def publish_records(
    study_dir: epath.PathLike, records_dir: epath.PathLike
) -> tuple[epath.Path, ...]:
    """Copies a study's records: no weights, no events, no ids of patients.

    Of weights only the first convolution's, which are few.

    Where patients or examples are not yet numbered from 0, their ids are
    replaced by numbers drawn in a seeded order, the same in every run. Of
    absolute paths only the last part is kept. Unfinished runs are not copied;
    the report of the copy lists them as missing.

    Args:
        study_dir: A study's directory.
        records_dir: Where to; `write_report` reads it like a study.

    Returns:
        The files written, in order.

    Raises:
        FileNotFoundError: If `study_dir` holds no study.
        ValueError: If its records contradict themselves.

    Example:
    >>> publish_records("/nowhere", "/tmp")
    Traceback (most recent call last):
        ...
    FileNotFoundError: '/nowhere' holds no study. Received: a directory \
without study.json. Name the directory that `python -m launch.study` wrote, \
or published records.
    """
    source, target = epath.Path(study_dir), epath.Path(records_dir)
    study = read_study(source)  # Only records that can be read are published.
    finished = [
        path
        for path in run_directories(source)
        if (path / "result.json").exists()
        and path.name in {n for run in study.runs for n in run.directories}
    ]
    written = [_copy_json(source / "study.json", target / "study.json")]
    for run in finished:
        written += _copy_run(run, target / "runs" / run.name)
    written += _copy_predictions(finished, target / "runs")
    for run in finished:  # Last: it marks the record as complete.
        destination = target / "runs" / run.name / "result.json"
        written.append(_copy_json(run / "result.json", destination))
    names = {run.name for run in finished}
    for path in comparison_files(source):
        comparison = records.read_json(path)
        if {comparison["run"], comparison["other_run"]} <= names:
            destination = target / "comparisons" / path.parent.name / path.name
            written.append(_copy_json(path, destination))
    return tuple(written)


def _copy_run(run: epath.Path, target: epath.Path) -> list[epath.Path]:
    written = []
    for name in _RUN_FILES:
        if not (run / name).exists():
            continue
        if name.endswith(".jsonl"):
            records.write_bytes(target / name, (run / name).read_bytes())
        else:
            _copy_json(run / name, target / name)
        written.append(target / name)
    filters = records.RunDirectory(run).filters_path
    if filters.exists():
        copy = target / filters.name
        records.write_bytes(copy, filters.read_bytes())
        written.append(copy)
    return written


def _copy_json(source: epath.Path, target: epath.Path) -> epath.Path:
    records.write_json(target, _without_paths(records.read_json(source)))
    return target


def _without_paths(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_paths(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_without_paths(value) for value in content]
    return _PATH.sub(r"\1", content) if isinstance(content, str) else content


def _copy_predictions(
    runs: list[epath.Path], target: epath.Path
) -> list[epath.Path]:
    splits = sorted(
        {path.name for run in runs for path in run.glob("predictions_*.npz")}
    )
    arrays = {
        (run.name, split): records.read_npz(run / split)
        for run in runs
        for split in splits
        if (run / split).exists()
    }
    _number(list(arrays.values()), "patient")
    for split in splits:  # Ids of examples are unique within a split only.
        of_split = [a for (_, name), a in arrays.items() if name == split]
        _number(of_split, "example_id")
    for (run_name, split), content in arrays.items():
        records.write_npz(target / run_name / split, **content)
    return [target / run_name / split for run_name, split in arrays]


def _number(predictions: list[Arrays], field: str) -> None:
    """Replaces ids by seeded numbers from 0, unless they are such already."""
    if not predictions:
        return
    ids = np.unique(np.concatenate([arrays[field] for arrays in predictions]))
    if np.array_equal(ids, np.arange(len(ids))):
        return
    numbers = np.random.default_rng(_SEED).permutation(len(ids))
    for arrays in predictions:
        places = np.searchsorted(ids, arrays[field])
        arrays[field] = numbers[places].astype(np.int64)  # type: ignore[index]
