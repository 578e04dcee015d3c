"""Compares pairs of runs of a study, before training and after it.

How alike are networks that differ in seed, or in seed and initialization? The
comparisons are what the paper's Figures 2 and 4 are drawn from.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from transfusion_tf import analysis, records, training
from transfusion_tf.studies.grid import Arm

_BASELINE_INIT = "random"
_DEFAULT_INITS = (_BASELINE_INIT, "transfer")

Activations = Mapping[str, np.ndarray]
Requests = Mapping[epath.Path, analysis.ComparisonRequest]


@dataclasses.dataclass(frozen=True)
class PairComparison:
    """A comparison of two runs of a study at one step each.

    Attributes:
        first: One side.
        second: The other side.
        path: Where its `comparison.json` stands.
    """

    first: analysis.Checkpoint
    second: analysis.Checkpoint
    path: epath.Path


@dataclasses.dataclass(frozen=True)
class RunPairs:
    """What there is to compare in a study.

    Attributes:
        comparisons: Those of finished runs; of one model next to one another,
            and in them all before training, then all after it.
        unfinished: Runs, in words, that are not compared, for they have not
            come to their end.
    """

    comparisons: tuple[PairComparison, ...]
    unfinished: tuple[str, ...]

    @property
    def num_threads(self) -> int:
        """Threads that the first run was trained with."""
        first = self.comparisons[0].first.run
        return int(first.config()["config"]["num_threads"])


def find_run_pairs(
    study_dir: epath.PathLike, arms: Sequence[Arm] = ()
) -> RunPairs:
    """Lists the pairs of runs that are compared.

    Of each model, the runs of the first arm named are compared with one
    another and with the runs of every other arm. Of a cross-validated study
    the runs of the first fold are: another fold has other test images.

    Args:
        study_dir: A study's directory.
        arms: The arms. Default: `random` and, where there is one, `transfer`,
            of each model that has `random`.

    Returns:
        Two comparisons a pair of runs: at step 0, and after the last step.

    Raises:
        FileNotFoundError: If there is no study.
        ValueError: If an arm is not of the study, or no two runs are to be
            compared.

    Source: sections 3 and 4, Figures 2 and 4.
    """
    study_dir = epath.Path(study_dir)
    study = _read_study(study_dir)
    chosen = _chosen_arms([Arm(**arm) for arm in study["arms"]], arms)
    finished = _finished_runs(study_dir, study, chosen)
    unfinished = [
        f"{arm} seed {seed}"
        for arm, runs in finished.items()
        for seed in study["seeds"]
        if seed not in {run.config()["config"]["seed"] for run in runs}
    ]
    comparisons = []
    for model in dict.fromkeys(arm.model for arm in chosen):
        baseline, *others = (arm for arm in chosen if arm.model == model)
        pairs = list(itertools.combinations(finished[baseline], 2))
        for other in others:
            pairs += itertools.product(finished[baseline], finished[other])
        for is_before in (True, False):
            comparisons += [
                _comparison(study_dir, pair, is_before) for pair in pairs
            ]
    if not comparisons:
        raise ValueError(
            "There are no two finished runs to compare. Received: "
            f"arms={', '.join(map(str, chosen)) or 'none'}; not finished: "
            f"{', '.join(unfinished) or 'none'}. Finish the study by repeating "
            "its command, with two seeds or more, or name other --arms."
        )
    return RunPairs(tuple(comparisons), tuple(unfinished))


def compare_run_pairs(
    pairs: RunPairs,
    trainer: training.Trainer,
    *,
    config: analysis.ProtocolConfig,
    data_dir: str | None = None,
    stages: Sequence[str] | None = None,
    other_measures: Sequence[str] = (),
    start: Callable[[int, int], None] = lambda total, done: None,
) -> None:
    """Makes the comparisons that are missing; the same call again goes on.

    A checkpoint's activations are captured once, not once a pair. Memory
    holds those of one checkpoint; those of all runs of a model at one step
    are kept in a temporary directory on disk until their pairs are scored.

    Args:
        pairs: What there is to compare.
        trainer: Keeps networks and data. Its progress is told of every part:
            a checkpoint captured, or a pair scored.
        config: How to sample and score.
        data_dir: Where the runs' data set is prepared.
        stages: The stages to score. Default: all.
        other_measures: Measures beside the configuration's.
        start: Told once how many parts there are and how many are done.

    Raises:
        ValueError: If a comparison answers another request, runs cannot be
            compared, or a stage or a measure is unknown.
        FileNotFoundError: If a run did not keep its weights.
        RuntimeError: If another worker has stopped.
        training.Interrupted: If a worker's trainer was asked to stop; what is
            done is saved.
    """
    requests = {
        comparison.path: analysis.ComparisonRequest(
            comparison.first, comparison.second, config, stages, other_measures
        )
        for comparison in pairs.comparisons
    }
    missing = {
        path: request
        for path, request in requests.items()
        if analysis.finished_comparison(path, request) is None
    }
    groups = _by_model_and_step(missing)
    captured = _check_before_any_work(groups)
    start(len(requests) + len(captured), len(requests) - len(missing))

    strategy = trainer.strategy_of(_config_of(requests, data_dir))

    def stop_if_asked(count: int) -> None:
        if training.is_stop_agreed(strategy, trainer.stop_request, count):
            raise training.Interrupted(
                "Stopped; the comparisons that are finished are kept. Repeat "
                "the same command to go on."
            )

    def report(description: str) -> None:
        trainer.report(1, description)
        stop_if_asked(0)

    with training.death_of_others_told(strategy, "these comparisons"):
        for group in groups:
            capture = _open_capture(group, trainer, config, data_dir)
            for path, content in _scored(group, capture, report, stop_if_asked):
                if training.is_chief(strategy):
                    records.write_json(path, content)
                report(path.parent.name)


def _scored(
    group: Requests,
    capture: Callable[[analysis.Checkpoint], Activations],
    report: Callable[[str], None],
    stop_if_asked: Callable[[int], None],
) -> Iterator[tuple[epath.Path, dict[str, Any]]]:
    """Yields the comparisons of a group, and where they are written."""
    with tempfile.TemporaryDirectory(prefix="transfusion-") as directory:
        kept = _KeptActivations(directory, capture, report)
        for path, request in group.items():
            sides = [kept.of(request.first), kept.of(request.second)]
            yield (
                path,
                analysis.score_checkpoints(request, sides, stop_if_asked),
            )


class _KeptActivations:
    """Activations on disk, each checkpoint's captured when first asked for."""

    def __init__(
        self,
        directory: str,
        capture: Callable[[analysis.Checkpoint], Activations],
        report: Callable[[str], None],
    ):
        self._directory = epath.Path(directory)
        self._capture = capture
        self._report = report
        self._stages: dict[analysis.Checkpoint, list[str]] = {}

    def of(self, checkpoint: analysis.Checkpoint) -> Activations:
        folder = self._directory / checkpoint.run.path.name
        if checkpoint not in self._stages:
            folder.mkdir()
            activations = self._capture(checkpoint)
            for stage, values in activations.items():
                np.save(folder / f"{stage}.npy", values)
            self._stages[checkpoint] = list(activations)
            name, step = checkpoint.run.path.name, checkpoint.step
            self._report(f"captured {name} at step {step}")
        return {
            stage: np.load(folder / f"{stage}.npy", mmap_mode="r")
            for stage in self._stages[checkpoint]
        }


def _by_model_and_step(requests: Requests) -> list[Requests]:
    def key(path: epath.Path) -> tuple[str, bool]:
        first = requests[path].first
        return first.run.config()["config"]["model"], first.step == 0

    return [
        {path: requests[path] for path in group}
        for _, group in itertools.groupby(requests, key)
    ]


def _check_before_any_work(
    groups: Sequence[Requests],
) -> set[analysis.Checkpoint]:
    """Returns the checkpoints, which were kept and can be compared."""
    captured = set()
    for group in groups:
        sides = [s for r in group.values() for s in (r.first, r.second)]
        analysis.check_comparable([side.run for side in sides])
        captured |= set(sides)
    for checkpoint in captured:
        checkpoint.path  # noqa: B018 - an error where it was not kept.
    return captured


def _open_capture(
    group: Requests,
    trainer: training.Trainer,
    config: analysis.ProtocolConfig,
    data_dir: str | None,
) -> Callable[[analysis.Checkpoint], Activations]:
    run_config = _config_of(group, data_dir)
    run_data = trainer.data(run_config)
    program = trainer.program(run_config, run_data)
    return functools.partial(
        analysis.capture_checkpoint,
        capture=analysis.StageActivations(program, seed=config.sampling_seed),
        run_data=run_data,
        config=config,
    )


def _config_of(
    requests: Requests, data_dir: str | None
) -> training.TrainConfig:
    """Returns the configuration of the first run."""
    run = next(iter(requests.values())).first.run
    return training.TrainConfig.from_record(
        run.config()["config"], data_dir=data_dir
    )


def _read_study(study_dir: epath.Path) -> dict[str, Any]:
    path = study_dir / "study.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{os.fspath(study_dir)!r} holds no study. Received: a directory "
            "without study.json. Name the directory that "
            "`python -m launch.study` wrote."
        )
    content: dict[str, Any] = records.read_json(path)
    return content


def _chosen_arms(known: Sequence[Arm], arms: Sequence[Arm]) -> list[Arm]:
    unknown = [arm for arm in arms if arm not in known]
    if unknown:
        raise ValueError(
            "Only arms of the study can be compared. Received: "
            f"{', '.join(map(str, unknown))}. The study has "
            f"{', '.join(map(str, known))}."
        )
    if arms:
        return list(dict.fromkeys(arms))
    return [
        Arm(model, init)
        for model in dict.fromkeys(arm.model for arm in known)
        for init in _DEFAULT_INITS
        if {Arm(model, init), Arm(model, _BASELINE_INIT)} <= set(known)
    ]


def _finished_runs(
    study_dir: epath.Path, study: Mapping[str, Any], arms: Sequence[Arm]
) -> dict[Arm, list[records.RunDirectory]]:
    num_folds = study.get("num_folds")
    fold = f"1/{num_folds}" if num_folds else study.get("fold")
    finished: dict[Arm, list[records.RunDirectory]] = {arm: [] for arm in arms}
    for path in sorted((study_dir / "runs").glob("*/result.json")):
        run = records.RunDirectory(path.parent)
        config = run.config()["config"]
        arm = Arm(config["model"], config["init"])
        is_of_study = arm in finished and config["seed"] in study["seeds"]
        if is_of_study and config.get("fold") == fold:
            finished[arm].append(run)
    return finished


def _comparison(
    study_dir: epath.Path,
    pair: Sequence[records.RunDirectory],
    is_before: bool,
) -> PairComparison:
    # In the order of names, so that a pair has one comparison whichever of
    # its arms was named first.
    first, second = sorted(pair, key=lambda run: run.path.name)
    sides = [
        analysis.Checkpoint(run, 0 if is_before else run.result()["num_steps"])
        for run in (first, second)
    ]
    when = "before" if is_before else "after"
    name = f"{first.path.name}-and-{second.path.name}-{when}"
    path = study_dir / "comparisons" / name / "comparison.json"
    return PairComparison(sides[0], sides[1], path)
