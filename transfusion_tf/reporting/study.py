"""Reads the records of a study, and says which of its runs are missing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

from transfusion_tf import evaluation
from transfusion_tf.reporting import runs as runs_lib
from transfusion_tf.reporting.runs import Arm, RunRecord

# Findings with fewer positives than this among the test images are not scored.
MIN_POSITIVES = 20


@dataclasses.dataclass(frozen=True)
class StageScore:
    """Similarity of a stage before and after the training of a run."""

    stage: str
    score: float
    null: float


@dataclasses.dataclass(frozen=True, eq=False)
class StudyRecords:
    """The records of a study.

    Attributes:
        name: The study's name.
        task: The task of all its runs.
        metric: "auc" or "accuracy".
        threshold: What validation must rise above; fixed before training.
        command: What made the study, or "".
        arms: In the order of the study.
        seeds: In ascending order.
        runs: Finished runs, by arm and then seed.
        missing: Names of asked for but unfinished runs.
        layers: Name of a run -> its stages before and after training.
        protocol: How the stages were compared; empty without comparisons.
        notes: What else a reader must know.
        num_folds: Folds of the cross-validation, or None.
    """

    name: str
    task: str
    metric: str
    threshold: float
    command: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    runs: tuple[RunRecord, ...]
    missing: tuple[str, ...]
    layers: Mapping[str, tuple[StageScore, ...]]
    protocol: Mapping[str, Any]
    notes: tuple[str, ...]
    num_folds: int | None = None

    @property
    def findings(self) -> tuple[str, ...]:
        """Names of the findings that are scored; empty of one label."""
        return self.runs[0].findings if self.runs else ()

    @property
    def second_metric(self) -> str | None:
        """What stands beside the metric: of AUC the average precision.

        Of accuracy it is top-5 accuracy, where there are more classes.
        """
        if self.metric == "auc":
            return "average_precision"
        num_classes = self.runs[0].test.score.shape[1] if self.runs else 0
        return "top5_accuracy" if num_classes > 5 else None

    def runs_of(self, arm: Arm) -> list[RunRecord]:
        """Returns the finished runs of an arm, by seed."""
        return [run for run in self.runs if run.arm == arm]


def read_study(study_dir: epath.PathLike) -> StudyRecords:
    """Reads a study directory or its published records.

    Args:
        study_dir: Holds `study.json`, `runs/` and, if layers were compared,
            `comparisons/`.

    Returns:
        The records of its finished runs.

    Raises:
        FileNotFoundError: If there is no study.
        ValueError: If tasks are mixed, a record contradicts itself, a run
            comes twice, or it was written with another schema.
    """
    study_dir = epath.Path(study_dir)
    study = _read_study_json(study_dir)
    arms = tuple(Arm(a["model"], a["init"]) for a in study["arms"])
    seeds = tuple(sorted(study["seeds"]))
    num_folds = study.get("num_folds")
    folds = (
        tuple(range(1, num_folds + 1))
        if num_folds
        else (_fold_number(study.get("fold")),)
    )
    found, notes = _find_runs(study_dir, study["task"], arms, seeds, folds)
    ordered = [(arm, seed) for arm in arms for seed in seeds]
    runs = tuple(
        _merged([found[(*key, fold)] for fold in folds])
        for key in ordered
        if all((*key, fold) in found for fold in folds)
    )
    runs, more_notes = _with_enough_positives(runs)
    notes += more_notes
    metrics = {run.metric for run in runs}
    if len(metrics) > 1:
        raise ValueError(
            "Runs of one study must have one metric. Received: "
            f"{sorted(metrics)} in {os.fspath(study_dir)!r}. Report each "
            "task from a directory of its own."
        )
    names = {name: run.name for run in runs for name in run.directories}
    layers, protocol = _read_comparisons(study_dir, names)
    return StudyRecords(
        name=study["name"],
        task=study["task"],
        metric=next(iter(metrics), "auc"),
        threshold=float(study["auc_threshold"]),
        command=study.get("command", ""),
        arms=arms,
        seeds=seeds,
        runs=runs,
        missing=tuple(
            f"{arm.model}-{arm.init}{_fold_text(fold)}-seed{seed}"
            for arm, seed in ordered
            for fold in folds
            if (arm, seed, fold) not in found
        ),
        layers=layers,
        protocol=protocol,
        notes=tuple(notes),
        num_folds=num_folds,
    )


def _fold_text(fold: int | None) -> str:
    return "" if fold is None else f"-fold{fold}"


def _merged(folds: list[RunRecord]) -> RunRecord:
    """Puts the folds of one arm and seed together.

    Folds differ a little in their number of images and so of steps: curves
    are averaged evaluation by evaluation.
    """
    if len(folds) == 1:
        return folds[0]
    first = folds[0]
    count = min(len(fold.curve) for fold in folds)
    sizes = [fold.num_training_examples for fold in folds]
    return dataclasses.replace(
        first,
        name=f"{first.arm.model}-{first.arm.init}-seed{first.seed}",
        curve_steps=np.rint(
            np.mean([fold.curve_steps[:count] for fold in folds], axis=0)
        ).astype(np.int64),
        curve=np.mean([fold.curve[:count] for fold in folds], axis=0),
        test=evaluation.merge_folds([fold.test for fold in folds]),
        num_training_examples=None
        if None in sizes
        else round(float(np.mean(sizes))),  # type: ignore[arg-type]
        directories=tuple(fold.name for fold in folds),
    )


def _with_enough_positives(
    runs: tuple[RunRecord, ...],
) -> tuple[tuple[RunRecord, ...], list[str]]:
    """Leaves out findings of which too few positives were scored."""
    if not runs or not runs[0].findings:
        return runs, []
    positives = (runs[0].test.label == 1).sum(axis=0)
    kept = np.flatnonzero(positives >= MIN_POSITIVES)
    if not len(kept):
        raise ValueError(
            f"No finding has {MIN_POSITIVES} positives in the test images. "
            "Received: "
            f"{dict(zip(runs[0].findings, positives.tolist(), strict=True))}. "
            "Score more images, or cross-validate (--num_folds=5)."
        )
    left_out = [
        f"{name} ({count})"
        for name, count in zip(runs[0].findings, positives, strict=True)
        if count < MIN_POSITIVES
    ]
    names = tuple(runs[0].findings[place] for place in kept)
    reduced = tuple(
        dataclasses.replace(
            run, test=run.test.with_findings(kept.tolist()), findings=names
        )
        for run in runs
    )
    notes = [
        f"Not scored, fewer than {MIN_POSITIVES} positives: "
        f"{', '.join(left_out)}"
    ]
    return reduced, notes if left_out else []


def run_directories(study_dir: epath.PathLike) -> Iterator[epath.Path]:
    """Yields the directories under `runs/`, sorted by name."""
    runs_dir = epath.Path(study_dir) / "runs"
    if runs_dir.exists():
        yield from sorted(
            (path for path in runs_dir.iterdir() if path.is_dir()),
            key=lambda path: path.name,
        )


def comparison_files(study_dir: epath.PathLike) -> Iterator[epath.Path]:
    """Yields the files `comparisons/*/comparison.json`, sorted by name."""
    parent = epath.Path(study_dir) / "comparisons"
    if parent.exists():
        for path in sorted(parent.iterdir(), key=lambda path: path.name):
            if (path / "comparison.json").exists():
                yield path / "comparison.json"


def _read_study_json(study_dir: epath.Path) -> dict[str, Any]:
    path = study_dir / "study.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{os.fspath(study_dir)!r} holds no study. Received: a directory "
            "without study.json. Name the directory that "
            "`python -m launch.study` wrote, or published records."
        )
    return runs_lib.read_json(path)


def _find_runs(
    study_dir: epath.Path,
    task: str,
    arms: tuple[Arm, ...],
    seeds: tuple[int, ...],
    folds: tuple[int | None, ...],
) -> tuple[dict[tuple[Arm, int, int | None], RunRecord], list[str]]:
    found: dict[tuple[Arm, int, int | None], RunRecord] = {}
    notes = []
    for path in run_directories(study_dir):
        if not (path / "config.json").exists():
            continue
        config = runs_lib.read_json(path / "config.json")
        key = _check_task(path, config, task)
        if key[0] not in arms or key[1] not in seeds or key[2] not in folds:
            notes.append(f"{path.name} is not part of the study: left out")
        elif key in found:
            raise ValueError(
                f"Two runs are the same arm and seed. Received: {path.name} "
                f"and {found[key].name}. Move one out of "
                f"{os.fspath(study_dir)!r}."
            )
        elif (path / "result.json").exists():
            found[key] = runs_lib.read_run(path, config, *key[:2])
    return found, notes


def _check_task(
    path: epath.Path, config: Mapping[str, Any], task: str
) -> tuple[Arm, int, int | None]:
    asked = config["config"]
    if asked["task"] != task:
        raise ValueError(
            "A study has one task; runs of two are never put side by side. "
            f"Received: {path.name} with task={asked['task']!r}, the study "
            f"with task={task!r}. Report each task from its own directory."
        )
    return (
        Arm(asked["model"], asked["init"]),
        int(asked["seed"]),
        _fold_number(asked.get("fold")),
    )


def _fold_number(fold: str | None) -> int | None:
    """Returns 2 of "2/5"."""
    return None if fold is None else int(fold.partition("/")[0])


def _read_comparisons(
    study_dir: epath.Path, run_names: Mapping[str, str]
) -> tuple[dict[str, tuple[StageScore, ...]], dict[str, Any]]:
    layers: dict[str, tuple[StageScore, ...]] = {}
    protocol: dict[str, Any] = {}
    for path in comparison_files(study_dir):
        content = runs_lib.read_json(path)
        if content["kind"] != "before_after" or content["run"] not in run_names:
            continue
        layers[run_names[content["run"]]] = tuple(
            StageScore(s["stage"], _number(s["score"]), _number(s["null"]))
            for s in content["stages"]
        )
        protocol = common_protocol(path, content, protocol)
    return layers, protocol


def common_protocol(
    path: epath.Path,
    content: Mapping[str, Any],
    protocol: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns how a comparison was made, which is how all others were.

    Args:
        path: Its `comparison.json`.
        content: What stands there.
        protocol: How those before it were made; empty at the first.

    Raises:
        ValueError: If they were made in another way.
    """
    own = {"measure": content["measure"], **content["protocol"]}
    if protocol and own != protocol:
        raise ValueError(
            "Scores of different procedures are never put side by side. "
            f"Received: {path.parent.name} with {own}, others with "
            f"{protocol}. Make the comparisons again in one way."
        )
    return own


def _number(value: float | None) -> float:
    """JSON has no NaN: an undefined score is stored as null."""
    return float("nan") if value is None else float(value)
