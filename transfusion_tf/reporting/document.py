"""The study's document: what the TensorBoard tab shows of a whole study.

Plain data, JSON without NaN: what is undefined is None. Every number comes
from the same summary as the tables.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from transfusion_tf import evaluation
from transfusion_tf.reporting import tables
from transfusion_tf.reporting.paper_values import PaperValue
from transfusion_tf.reporting.run_pair_tables import notes as pair_notes
from transfusion_tf.reporting.run_pairs import PairGroup, PairSummary
from transfusion_tf.reporting.runs import Arm
from transfusion_tf.reporting.study import StudyRecords
from transfusion_tf.reporting.summaries import (
    ArmSummary,
    Difference,
    Summary,
)
from transfusion_tf.reporting.verdict import verdict
from transfusion_tf.tensorboard import measures, names, run_points

SCHEMA_VERSION = 1
# Above so many, a point of a scatter is a pair's mean and not one sample.
MOST_SCATTERED = 1500
_DIGITS = 6


def study_document(summary: Summary, pairs: PairSummary) -> dict[str, Any]:
    """Returns what is shown of a study as a whole.

    Args:
        summary: A study in numbers.
        pairs: What is shown of its pairs of runs.

    Returns:
        A JSON object: the study, its `arms`, the `profiles` of their stages
        (Figure 3), `pairs` (Figure 2) and `scatter` (Figure 4). Numbers have
        6 significant digits.
    """
    study = summary.study
    differences = {d.first: d for d in summary.differences}
    document = {
        "schema_version": SCHEMA_VERSION,
        "name": study.name,
        "task": study.task,
        "metric": study.metric,
        "metric_title": names.METRIC_TITLES[study.metric],
        "threshold": study.threshold,
        "command": study.command,
        "verdict": verdict(summary),
        "notes": [
            *tables.notes(summary),
            *(pair_notes(pairs) if pairs.groups else []),
        ],
        "missing": list(study.missing),
        "seeds": list(study.seeds),
        "arms": [
            _arm(summary, arm, differences.get(arm.arm)) for arm in summary.arms
        ],
        "profiles": [
            profile
            for arm in summary.arms
            if (profile := _profile(study, arm)) is not None
        ],
        "pairs": [_pair_group(group) for group in pairs.groups],
        "scatter": _scatters(pairs),
    }
    return _rounded(document)


def _arm(
    summary: Summary, arm: ArmSummary, difference: Difference | None
) -> dict[str, Any]:
    second = summary.study.second_metric
    return {
        **_names(arm.arm, arm.donor),
        "init_title": names.initialization_title(arm.arm.init, arm.donor),
        "num_parameters": arm.num_parameters,
        "num_runs": len(arm.runs),
        "num_missing": arm.num_missing,
        "test": _interval(arm.seed),
        "joint": arm.joint and _ends(arm.joint),
        "runs": [
            {
                "seed": run.run.seed,
                "value": run.test.estimate,
                **_ends(run.test),
            }
            for run in arm.runs
        ],
        "second": arm.second
        and {
            "title": names.METRIC_TITLES[second or ""],
            **(_interval(arm.second) or {}),
        },
        "steps": arm.steps and _steps(arm.steps),
        "difference": _difference(difference),
        "differences": _differences_by_seed(difference),
        # No score of the paper's on a task of ours is known to us.
        "paper": None,
    }


def _names(arm: Arm, donor: str | None) -> dict[str, Any]:
    return {
        "model": arm.model,
        "model_title": names.model_title(arm.model),
        "init": arm.init,
        "donor": donor,
    }


def _steps(steps: evaluation.StepsSummary) -> dict[str, Any]:
    bound = ">" if steps.median_is_lower_bound else ""
    return {
        "text": f"{bound}{steps.median:.10g}",
        "num_reached": steps.num_reached,
        "num_runs": steps.num_runs,
    }


def _difference(difference: Difference | None) -> dict[str, Any] | None:
    if difference is None or not (difference.joint and difference.seed):
        return None
    return {
        **(_interval(difference.joint) or {}),
        "seed_low": difference.seed.low,
        "seed_high": difference.seed.high,
        "num_seeds": len(difference.seeds),
    }


def _differences_by_seed(
    difference: Difference | None,
) -> list[dict[str, Any]]:
    """Below 3 seeds each stands for itself."""
    if difference is None or difference.joint is not None:
        return []
    return [
        {"seed": seed, "value": interval.estimate, **_ends(interval)}
        for seed, interval in difference.by_seed.items()
    ]


def _profile(study: StudyRecords, arm: ArmSummary) -> dict[str, Any] | None:
    """The form of the paper's Figure 3; None where nothing was compared."""
    layers = {
        run.seed: study.layers[run.name]
        for run in study.runs_of(arm.arm)
        if run.name in study.layers
    }
    if not layers:
        return None
    scores = np.array([[s.score for s in row] for row in layers.values()])
    nulls = np.array([[s.null for s in row] for row in layers.values()])
    ends = _profile_ends(scores)
    measure = study.protocol["measure"]
    return {
        **_names(arm.arm, arm.donor),
        "measure": measure,
        "measure_label": measures.measure(measure)["label"],
        "stages": [s.stage for s in next(iter(layers.values()))],
        "mean": scores.mean(axis=0).tolist(),
        **ends,
        "null": nulls.mean(axis=0).tolist(),
        "runs": scores.tolist(),
        "seeds": list(layers),
        "what": run_points.protocol_text(study.protocol),
    }


def _profile_ends(scores: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Student's t intervals over runs, a stage each, from 3 runs."""
    if len(scores) < evaluation.MIN_SEEDS:
        return {"low": None, "high": None}
    intervals = [
        evaluation.seed_interval(of_stage.tolist())
        if np.isfinite(of_stage).all()
        else None
        for of_stage in scores.T
    ]
    return {
        end: [i and getattr(i, end) for i in intervals]
        for end in ("low", "high")
    }


def _pair_group(group: PairGroup) -> dict[str, Any]:
    return {
        "model": group.model,
        "model_title": names.model_title(group.model),
        "label": group.label,
        "stages": list(group.top_stages),
        "similarity": _interval(group.similarity),
        "above_null": _interval(group.above_null),
        "paper": _paper(group.paper),
        "num_pairs": len(group.pairs),
    }


def _scatters(pairs: PairSummary) -> list[dict[str, Any]]:
    """The form of the paper's Figure 4, a model, pairing and stage each."""
    total = sum(
        group.before[stage].score.size
        for group in pairs.groups
        for stage in group.stages
    )
    is_each = total <= MOST_SCATTERED
    return [
        _scatter(group, stage, str(pairs.protocol["measure"]).upper(), is_each)
        for group in pairs.groups
        for stage in group.stages
    ]


def _scatter(
    group: PairGroup, stage: str, measure: str, is_each: bool
) -> dict[str, Any]:
    sides = [group.before[stage].score, group.after[stage].score]
    if not is_each:
        sides = [scores.mean(axis=1, keepdims=True) for scores in sides]
    fit = group.fits[stage]
    return {
        "title": f"{names.model_title(group.model)}, {stage}, {group.label}",
        "x_label": f"{measure} similarity before training",
        "y_label": f"{measure} similarity after training",
        "points": [
            {
                "x": float(x),
                "y": float(y),
                "label": f"{first.arm} seed {first.seed}, "
                f"{second.arm} seed {second.seed}",
                "group": group.label,
            }
            for (first, second), *rows in zip(group.pairs, *sides, strict=True)
            for x, y in zip(*rows, strict=True)
        ],
        "fit": fit
        and {
            "slope": fit.slope,
            "intercept": fit.intercept,
            "r2": fit.r_squared.estimate,
            "r2_low": fit.r_squared.low,
            "r2_high": fit.r_squared.high,
            "num_points": group.before[stage].score.size,
        },
        "note": (
            f"{len(group.pairs)} pairs of runs, "
            f"{group.before[stage].score.shape[1]} samples each; a point is "
            f"{'one sample of a pair' if is_each else 'the mean of a pair'}, "
            "the line is fitted to all samples. Pairs share runs: they are "
            "not independent."
        ),
    }


def _interval(
    interval: evaluation.Interval | None,
) -> dict[str, float] | None:
    if interval is None:
        return None
    return {"mean": interval.estimate, **_ends(interval)}


def _ends(interval: evaluation.Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def _paper(value: PaperValue | None) -> dict[str, Any] | None:
    if value is None:
        return None
    return {
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "source": value.source,
    }


def _rounded(content: Any) -> Any:
    """Rounds floats to significant digits; what is not finite is None."""
    if isinstance(content, Mapping):
        return {key: _rounded(value) for key, value in content.items()}
    if isinstance(content, Iterable) and not isinstance(content, str):
        return [_rounded(value) for value in content]
    if isinstance(content, float):
        return _significant(content)
    return content


def _significant(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
