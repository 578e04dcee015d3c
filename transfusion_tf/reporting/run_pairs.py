"""Reads the comparisons of pairs of runs, and computes what is shown of them.

How alike are networks of one model after training, and does it show before
training already? Figures 2 and 4 of the paper.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from etils import epath

from transfusion_tf import evaluation
from transfusion_tf.reporting import paper_values
from transfusion_tf.reporting import runs as runs_lib
from transfusion_tf.reporting.runs import RunRecord
from transfusion_tf.reporting.study import (
    StudyRecords,
    common_protocol,
    comparison_files,
)
from transfusion_tf.reporting.summaries import BASELINE_INIT

# The paper's Figure 2 averages the two stages before the output.
NUM_TOP_STAGES = 2

Array = npt.NDArray[np.float64]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Scores of pairs of runs, and their null levels.

    Attributes:
        score: Shape `[num_pairs, num_samples]`; NaN where undefined.
        null: The same of permuted images.
    """

    score: Array
    null: Array

    @property
    def above_null(self) -> Array:
        """What of the score is not there when images are permuted."""
        return self.score - self.null


@dataclasses.dataclass(frozen=True, eq=False)
class PairGroup:
    """The pairs of one model and two initializations.

    Attributes:
        model: The model.
        inits: Both initializations, the baseline first.
        pairs: The runs of each pair.
        stages: Those that were compared, in order.
        top_stages: Those of them that are averaged for `higher`.
        before: Stage -> scores at step 0.
        after: Stage -> scores after the last step.
        higher: Mean over the top stages after training.
        similarity: Interval of the mean of `higher`; as all intervals here
            None below 3 runs an arm, and where a pair is missing or a score
            undefined.
        above_null: The same, less the null level.
        difference: `above_null` of random-random less this group's.
        fits: Stage -> the line of similarity after training against before.
        paper: What the paper's Figure 2 shows.
    """

    model: str
    inits: tuple[str, str]
    pairs: tuple[tuple[evaluation.Run, evaluation.Run], ...]
    stages: tuple[str, ...]
    top_stages: tuple[str, ...]
    before: Mapping[str, Scores]
    after: Mapping[str, Scores]
    higher: Scores
    similarity: evaluation.Interval | None
    above_null: evaluation.Interval | None
    difference: evaluation.Interval | None
    fits: Mapping[str, evaluation.LinearFit | None]
    paper: paper_values.PaperValue | None

    @property
    def label(self) -> str:
        """Both initializations, as in "random-transfer"."""
        return "-".join(self.inits)

    @property
    def is_baseline(self) -> bool:
        """Whether both runs of each pair are of the baseline."""
        return self.inits == (BASELINE_INIT, BASELINE_INIT)

    @property
    def num_runs(self) -> dict[str, int]:
        """Initialization -> runs."""
        runs = {run for pair in self.pairs for run in pair}
        return {
            init: sum(run.arm == init for run in runs) for init in self.inits
        }


@dataclasses.dataclass(frozen=True, eq=False)
class PairSummary:
    """What is shown of the pairs of a study.

    Attributes:
        study: Its records.
        groups: By model, the baseline with itself first.
        protocol: How all pairs were compared; empty without pairs.
        notes: What was left out, and why.
    """

    study: StudyRecords
    groups: tuple[PairGroup, ...]
    protocol: Mapping[str, Any]
    notes: tuple[str, ...]


def summarize_run_pairs(
    study_dir: epath.PathLike,
    study: StudyRecords,
    *,
    num_top_stages: int = NUM_TOP_STAGES,
) -> PairSummary:
    """Reads and computes what a report shows of pairs of runs.

    Args:
        study_dir: A study's directory, or its published records.
        study: Its records.
        num_top_stages: How many of the last stages are averaged, at least 1.

    Returns:
        The summary; without groups where no pair was compared.

    Raises:
        ValueError: If procedures are mixed, or there are not so many stages.

    Source: sections 3 and 4, Figures 2 and 4.
    """
    steps, protocol, notes = _read_steps(epath.Path(study_dir), study)
    whole = {key: both for key, both in steps.items() if len(both) == 2}
    notes += [
        f"{first.name} and {second.name} are compared at one step only: left "
        "out"
        for (first, second), both in steps.items()
        if len(both) == 1
    ]
    order = [arm.init for arm in study.arms]
    grouped: dict[tuple[str, tuple[str, str]], list[_Pair]] = {}
    for (first, second), both in whole.items():
        runs = sorted(
            (first, second),
            key=lambda run: (
                run.arm.init != BASELINE_INIT,
                order.index(run.arm.init),
                run.seed,
            ),
        )
        inits = (runs[0].arm.init, runs[1].arm.init)
        pair = _Pair((_told(runs[0]), _told(runs[1])), both)
        grouped.setdefault((first.arm.model, inits), []).append(pair)
    models = list(dict.fromkeys(arm.model for arm in study.arms))
    keys = sorted(
        grouped,
        key=lambda key: (
            models.index(key[0]),
            key[1] != (BASELINE_INIT, BASELINE_INIT),
            [order.index(init) for init in key[1]],
        ),
    )
    groups: list[PairGroup] = []
    for model, inits in keys:
        pairs = sorted(
            grouped[model, inits], key=lambda p: [r.seed for r in p.runs]
        )
        baseline = next(
            (g for g in groups if g.model == model and g.is_baseline), None
        )
        groups.append(_group(model, inits, pairs, num_top_stages, baseline))
    return PairSummary(study, tuple(groups), protocol, tuple(notes))


@dataclasses.dataclass(frozen=True, eq=False)
class _Pair:
    """The content of both comparisons of a pair, by "before" and "after"."""

    runs: tuple[evaluation.Run, evaluation.Run]
    comparisons: Mapping[str, Mapping[str, Any]]

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(s["stage"] for s in self.comparisons["after"]["stages"])

    def values(self, when: str, stage: str, what: str) -> list[float]:
        stages = self.comparisons[when]["stages"]
        samples = next(s[what] for s in stages if s["stage"] == stage)
        return [np.nan if value is None else value for value in samples]


def _told(run: RunRecord) -> evaluation.Run:
    return evaluation.Run(run.arm.init, run.seed)


def _read_steps(
    study_dir: epath.Path, study: StudyRecords
) -> tuple[
    dict[tuple[RunRecord, RunRecord], dict[str, dict[str, Any]]],
    dict[str, Any],
    list[str],
]:
    """Returns pair -> its comparisons, how they were made, and notes."""
    by_name = {name: run for run in study.runs for name in run.directories}
    found: dict[tuple[RunRecord, RunRecord], dict[str, dict[str, Any]]] = {}
    protocol: dict[str, Any] = {}
    notes: list[str] = []
    for path in comparison_files(study_dir):
        content = runs_lib.read_json(path)
        if content["kind"] != "between_runs":
            continue
        names = (content["run"], content["other_run"])
        when = _when(study_dir, content) if set(names) <= set(by_name) else None
        if when is None:
            notes.append(
                f"{path.parent.name} is not of two runs of the study before or "
                "after training: left out"
            )
            continue
        protocol = common_protocol(path, content, protocol)
        pair = (by_name[names[0]], by_name[names[1]])
        found.setdefault(pair, {})[when] = content
    return found, protocol, notes


def _when(study_dir: epath.Path, content: Mapping[str, Any]) -> str | None:
    last = [
        runs_lib.read_json(study_dir / "runs" / name / "result.json")[
            "num_steps"
        ]
        for name in (content["run"], content["other_run"])
    ]
    if content["steps"] == last:
        return "after"
    return "before" if content["steps"] == [0, 0] else None


def _group(
    model: str,
    inits: tuple[str, str],
    pairs: Sequence[_Pair],
    num_top_stages: int,
    baseline: PairGroup | None,
) -> PairGroup:
    stages = pairs[0].stages
    if any(pair.stages != stages for pair in pairs):
        raise ValueError(
            "All pairs of a model must be compared in the same stages. "
            f"Received: {sorted({pair.stages for pair in pairs})} of {model}. "
            "Delete those comparisons and repeat the command of launch."
            "similarity."
        )
    if not 1 <= num_top_stages <= len(stages):
        raise ValueError(
            "The highest stages are some of those compared. Received: "
            f"num_top_stages={num_top_stages}, {model} has {len(stages)}: "
            f"{', '.join(stages)}. Use a number from 1 to {len(stages)}."
        )
    before, after = (
        {
            stage: Scores(
                np.array([p.values(when, stage, "scores") for p in pairs]),
                np.array([p.values(when, stage, "nulls") for p in pairs]),
            )
            for stage in stages
        }
        for when in ("before", "after")
    )
    top_stages = stages[-num_top_stages:]
    higher = Scores(
        np.mean([after[stage].score for stage in top_stages], axis=0),
        np.mean([after[stage].null for stage in top_stages], axis=0),
    )
    runs = tuple(pair.runs for pair in pairs)
    difference = None
    if baseline is not None and _can_resample(
        baseline.pairs, baseline.higher.above_null
    ):
        difference = _if_defined(
            lambda: evaluation.pairs_difference_interval(
                baseline.pairs,
                baseline.higher.above_null,
                runs,
                higher.above_null,
            ),
            runs,
            higher.above_null,
        )
    return PairGroup(
        model=model,
        inits=inits,
        pairs=runs,
        stages=stages,
        top_stages=top_stages,
        before=before,
        after=after,
        higher=higher,
        similarity=_interval(runs, higher.score),
        above_null=_interval(runs, higher.above_null),
        difference=difference,
        fits={
            stage: _fit(runs, before[stage].score, after[stage].score)
            for stage in stages
        },
        paper=paper_values.paper_value("figure 2", model, "-".join(inits)),
    )


Pairs = Sequence[tuple[evaluation.Run, evaluation.Run]]


def _interval(pairs: Pairs, scores: Array) -> evaluation.Interval | None:
    return _if_defined(
        lambda: evaluation.pairs_interval(pairs, scores), pairs, scores
    )


def _fit(pairs: Pairs, x: Array, y: Array) -> evaluation.LinearFit | None:
    # Of one sample a pair, most resamples of three runs are a single point.
    if x.shape[1] < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return _if_defined(lambda: evaluation.fit_pairs(pairs, x, y), pairs, x, y)


def _if_defined(
    compute: Callable[[], T], pairs: Pairs, *scores: Array
) -> T | None:
    return compute() if _can_resample(pairs, *scores) else None


def _can_resample(pairs: Pairs, *scores: Array) -> bool:
    """Tells whether there are runs enough, and a score of every pair."""
    runs = {run for pair in pairs for run in pair}
    counts = [sum(r.arm == arm for r in runs) for arm in {r.arm for r in runs}]
    every = math.prod(counts) if len(counts) > 1 else math.comb(counts[0], 2)
    return (
        evaluation.has_enough_runs(pairs)
        and len(pairs) == every
        and all(np.isfinite(values).all() for values in scores)
    )
