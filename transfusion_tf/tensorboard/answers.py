"""What the front end is told, as JSON, of whatever a reader gives.

What cannot be shown becomes an entry of `problems` (run, tag, message), and
the rest is shown: an event file holds anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import transfusion_tf
from transfusion_tf.tensorboard import grouping, schema
from transfusion_tf.tensorboard.grouping import Curve
from transfusion_tf.tensorboard.points import RUN_INFO_TAG
from transfusion_tf.tensorboard.problems import Contents, Problems
from transfusion_tf.tensorboard.reader import (
    MAX_STEPS,
    Datum,
    Reader,
    ReadError,
    json_numbers,
    newest_by_step,
)

VERSION = 1
# Of one answer; some 40 MB of JSON.
MAX_NUMBERS = 8_000_000


def index(reader: Reader, sampling: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what there is: studies, groups, runs, tags and their contents.

    No tensor is read for it.

    Args:
        reader: Of the log directory.
        sampling: `limit`, steps kept of a tag, and who set it (`set_by`).

    Raises:
        ReadError: If the source does not answer.
    """
    problems = Problems()
    contents = Contents(problems)
    runs: dict[str, dict[str, Any]] = {}
    documents: dict[str, dict[str, Any]] = {}
    series = reader.tensor_series()
    scalars = reader.scalar_tags()
    for run in sorted({*series, *scalars}):
        info, tags = None, {}
        for tag, of_tag in sorted(series.get(run, {}).items()):
            content = contents.get(run, tag, of_tag.content)
            if content is None:
                continue
            if content["kind"] == "run_info":
                if tag == RUN_INFO_TAG:
                    info = content
                    continue
                problems.add(run, tag, f"A run_info stands at {RUN_INFO_TAG}.")
                continue
            tags[tag] = {
                "content": contents.number(of_tag.content),
                "max_step": of_tag.max_step,
            }
            if content["kind"] == "study":
                _add_document(documents, run, tag, of_tag.max_step, problems)
        runs[run] = {
            "study": grouping.study_of_run(run),
            "info": info,
            "group": None,
            "scalars": sorted(scalars.get(run, [])),
            "tags": tags,
        }
    known = {run["study"] for run in runs.values() if run["info"]}
    for name, described in runs.items():
        if described["info"] is None:
            described["study"] = grouping.study_around(
                name, known | {*documents}
            )
    return {
        "version": VERSION,
        "plugin_version": transfusion_tf.__version__,
        "sampling": dict(sampling),
        "contents": contents.listed(),
        "runs": runs,
        "groups": _groups(runs, problems),
        "studies": [
            {
                "study": study,
                "name": study.rpartition("/")[2],
                "num_runs": sum(
                    run["study"] == study and run["info"] is not None
                    for run in runs.values()
                ),
                "document": documents.get(study),
            }
            for study in sorted({run["study"] for run in runs.values()})
        ],
        "problems": problems.listed(),
    }


def _add_document(
    documents: dict[str, dict[str, Any]],
    run: str,
    tag: str,
    max_step: int | None,
    problems: Problems,
) -> None:
    study = grouping.parent(run)
    if study in documents:
        problems.add(
            run,
            tag,
            "There are two reports of one study. Received: this one and "
            f"{documents[study]['run']!r}. The other is shown.",
        )
        return
    documents[study] = {"run": run, "tag": tag, "max_step": max_step}


def _groups(
    runs: Mapping[str, dict[str, Any]], problems: Problems
) -> dict[str, Any]:
    """Returns the groups by key, and notes each run's group in `runs`."""
    members: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        if run["info"] is not None:
            run["group"] = grouping.group_key(run["study"], run["info"])
            members.setdefault(run["group"], {})[name] = run["info"]
    groups = {}
    for key, infos in members.items():
        seeds, left_out = grouping.runs_by_seed(infos)
        for name, message in left_out.items():
            problems.add(name, RUN_INFO_TAG, message)
        first_name, first = next(iter(infos.items()))
        for name, info in infos.items():
            for field in grouping.SHARED_FIELDS:
                if info[field] != first[field]:
                    problems.add(
                        name,
                        RUN_INFO_TAG,
                        f"Runs of one group differ in {field}. Received: "
                        f"{info[field]!r}; of {first_name!r} it is "
                        f"{first[field]!r}. The latter is shown.",
                    )
        groups[key] = {
            "study": runs[first_name]["study"],
            "label": f"{first['model_title']}, {first['init']}",
            "model": first["model"],
            "init": first["init"],
            "task": first["task"],
            **{field: first[field] for field in grouping.SHARED_FIELDS},
            "num_seeds": len(seeds),
            "runs": list(infos),
        }
    return groups


def tensors(
    reader: Reader, tag: str, runs: Sequence[str], step: int | str
) -> dict[str, Any]:
    """Returns a tag's tensors of some runs.

    Args:
        reader: Of the log directory.
        tag: One of ours.
        runs: Their names.
        step: "all", "first", "last", or one step.

    Raises:
        ReadError: If the source does not answer.
    """
    problems = Problems()
    contents = Contents(problems)
    listed = reader.tensor_series(tag, runs)
    kind = None
    answer: dict[str, Any] = {}
    num_numbers = 0
    for run in runs:
        series = listed.get(run, {}).get(tag)
        if series is None:
            problems.add(run, tag, _nothing_there("tensors"))
            continue
        content = contents.get(run, tag, series.content)
        if content is None:
            continue
        kind = kind or content["kind"]
        if content["kind"] != kind:
            problems.add(
                run,
                tag,
                f"Runs differ in what this tag holds. Received: "
                f"{content['kind']} beside {kind}.",
            )
            continue
        try:
            data = newest_by_step(reader.read_tensors(run, tag))
        except ReadError as error:
            problems.add(run, tag, error)
            continue
        data = _checked(content, data, run, tag, problems)
        data = _chosen(data, step, run, tag, problems)
        num_numbers += sum(datum.values.size for datum in data)
        if num_numbers > MAX_NUMBERS:
            num_numbers -= sum(datum.values.size for datum in data)
            problems.add(
                run,
                tag,
                f"The answer is too long. Received: {len(data)} steps of "
                f"{len(runs)} runs, over {MAX_NUMBERS:,} numbers together. "
                "Ask for fewer runs, or for one step.",
            )
            continue
        if data:
            answer[run] = _tensors_of_run(content, data)
    return {
        "tag": tag,
        "kind": kind,
        "runs": answer,
        "problems": problems.listed(),
    }


def _nothing_there(what: str) -> str:
    return (
        f"This run holds no {what} of this tag. TensorBoard may not have "
        "loaded it yet, or it was removed; reload."
    )


def _checked(
    content: Mapping[str, Any],
    data: Sequence[Datum],
    run: str,
    tag: str,
    problems: Problems,
) -> list[Datum]:
    """Returns the tensors that are what their content says, of one shape."""
    checked: list[Datum] = []
    for datum in data:
        try:
            schema.check_values(content, datum.values)
            if content["kind"] == "study":
                schema.load_document(datum.values)
            if datum.step < 0:
                raise schema.SchemaError("It is negative; steps count from 0.")
            if checked and datum.values.shape != checked[0].values.shape:
                raise schema.SchemaError(
                    "Tensors of one tag differ in shape. Received: "
                    f"{list(datum.values.shape)} after "
                    f"{list(checked[0].values.shape)}."
                )
        except schema.SchemaError as error:
            problems.add(run, tag, f"Step {datum.step}: {error}")
            continue
        checked.append(datum)
    if len(data) == MAX_STEPS:
        problems.add(run, tag, _sampled())
    return checked


def _sampled() -> str:
    return f"There may be more steps: {MAX_STEPS:,} of them are shown."


def _chosen(
    data: list[Datum], step: int | str, run: str, tag: str, problems: Problems
) -> list[Datum]:
    """Returns the data of the step asked for."""
    if step == "all" or not data:
        return data
    if step == "first":
        return data[:1]
    if step == "last":
        return data[-1:]
    chosen = [datum for datum in data if datum.step == step]
    if not chosen:
        problems.add(
            run,
            tag,
            f"This run has no such step. Received: step={step}. It has "
            f"{len(data)} from {data[0].step} to {data[-1].step}.",
        )
    return chosen


def _tensors_of_run(
    content: Mapping[str, Any], data: Sequence[Datum]
) -> dict[str, Any]:
    is_study = content["kind"] == "study"
    wall_times = [datum.wall_time for datum in data]
    return {
        "steps": [datum.step for datum in data],
        "wall_times": [t if math.isfinite(t) else None for t in wall_times],
        "shape": list(data[0].values.shape),
        "values": [
            schema.load_document(datum.values)
            if is_study
            else json_numbers(datum.values)
            for datum in data
        ],
    }


def curves(reader: Reader, tag: str, runs: Sequence[str]) -> dict[str, Any]:
    """Returns a scalar of some runs, and of the groups that they form.

    Args:
        reader: Of the log directory.
        tag: Of a scalar, such as "validation/auc".
        runs: Their names.

    Raises:
        ReadError: If the source does not answer.
    """
    problems = Problems()
    contents = Contents(problems)
    read: dict[str, Curve] = {}
    for run in runs:
        curve = _curve(reader, run, tag, problems)
        if curve is not None:
            read[run] = curve
    members: dict[str, dict[str, Any]] = {}
    for run, tags in sorted(reader.tensor_series(RUN_INFO_TAG, runs).items()):
        if run not in read:
            continue
        info = contents.get(run, RUN_INFO_TAG, tags[RUN_INFO_TAG].content)
        if info is not None and info["kind"] == "run_info":
            key = grouping.group_key(grouping.study_of_run(run), info)
            members.setdefault(key, {})[run] = info
    return {
        "tag": tag,
        "runs": {run: _json_curve(curve) for run, curve in read.items()},
        "groups": {
            key: _group_curve(infos, read, tag, problems)
            for key, infos in members.items()
        },
        "problems": problems.listed(),
    }


def _curve(
    reader: Reader, run: str, tag: str, problems: Problems
) -> Curve | None:
    """Returns a run's curve; None where there is none, which is added."""
    try:
        data = newest_by_step(reader.read_scalars(run, tag))
    except ReadError as error:
        problems.add(run, tag, error)
        return None
    if not data:
        problems.add(run, tag, _nothing_there("scalars"))
        return None
    if not all(isinstance(datum.values, int | float) for datum in data):
        problems.add(run, tag, "Its values are no numbers.")
        return None
    if len(data) == MAX_STEPS:
        problems.add(run, tag, _sampled())
    return Curve([x.step for x in data], [float(x.values) for x in data])


def _group_curve(
    infos: Mapping[str, Any],
    read: Mapping[str, Curve],
    tag: str,
    problems: Problems,
) -> dict[str, Any]:
    seeds, left_out = grouping.runs_by_seed(infos)
    for run, message in left_out.items():
        problems.add(run, RUN_INFO_TAG, message)
    by_seed = {
        seed: grouping.average_folds([read[run] for run in folds])
        for seed, folds in seeds.items()
    }
    band = grouping.band(list(by_seed.values()))
    if band.mean == []:
        problems.add(
            next(iter(infos)),
            tag,
            f"The {len(seeds)} seeds of this run's group share no step, so "
            "that no mean is shown. Evaluate all at the same steps.",
        )
    return {
        "steps": list(band.steps),
        "mean": None if band.mean is None else json_numbers(band.mean),
        "low": None if band.low is None else json_numbers(band.low),
        "high": None if band.high is None else json_numbers(band.high),
        "num_seeds": len(seeds),
        "seeds": {
            str(seed): _json_curve(curve) for seed, curve in by_seed.items()
        },
    }


def _json_curve(curve: Curve) -> dict[str, Any]:
    return {"steps": list(curve.steps), "values": json_numbers(curve.values)}
