"""The answer in plain sentences, as far as the numbers allow."""

from __future__ import annotations

import numpy as np

from transfusion_tf import evaluation
from transfusion_tf.reporting.runs import Arm
from transfusion_tf.reporting.study import StudyRecords
from transfusion_tf.reporting.summaries import Difference, Summary
from transfusion_tf.reporting.tables import signed
from transfusion_tf.tensorboard import names


def verdict(summary: Summary) -> str:
    """Says what a study answers: transfer, layers, size, and what it cannot.

    Args:
        summary: A study in numbers.

    Returns:
        One sentence or two a line.
    """
    lines = [_transfer_line(summary, d) for d in summary.differences]
    lines += [_finding_line(summary, d) for d in summary.differences]
    lines = [line for line in lines if line]
    lines += _speed_lines(summary)
    lines += _layer_lines(summary.study)
    if summary.small is not None:
        lines.append(_small_line(summary, summary.small))
    lines += _caveats(summary)
    return "\n".join(lines) + "\n"


def _transfer_line(summary: Summary, difference: Difference) -> str:
    metric = names.METRIC_TITLES[summary.study.metric]
    arm = summary.arm(difference.first)
    start = (
        f"{names.model_title(difference.first.model)} on "
        f"{summary.study.task}, "
        f"{names.initialization_title(difference.first.init, arm.donor)} "
        f"minus {difference.second.init}, test {metric}: "
    )
    return start + _difference_text(
        difference,
        better=f"{difference.first.init} helps here",
        worse=f"{difference.first.init} hurts here",
    )


def _finding_line(summary: Summary, difference: Difference) -> str:
    """Names the findings in which transfer and random can be told apart."""
    told = [
        f"{finding.name} ({signed(interval)})"
        for finding in summary.findings
        for interval in [finding.differences.get(difference.first)]
        if interval is not None and interval.excludes(0)
    ]
    if not summary.findings:
        return ""
    start = (
        f"Of the {len(summary.findings)} findings taken one by one, "
        f"{difference.first.init} and {difference.second.init} can be told "
        "apart in "
    )
    if not told:
        return f"{start}none."
    return (
        f"{start}{', '.join(told)}; with that many looked at, one in twenty "
        "such intervals misses by chance."
    )


def _difference_text(difference: Difference, *, better: str, worse: str) -> str:
    if difference.joint is None:
        return _few_seeds_text(difference)
    return (
        f"{signed(difference.joint)} (joint 95 % interval over "
        f"{len(difference.seeds)} paired seeds and test patients): "
        f"{_conclusion(difference, better, worse)}."
    )


def _conclusion(difference: Difference, better: str, worse: str) -> str:
    """Concludes only where both intervals do: few seeds resample narrowly."""
    joint, seed = difference.joint, difference.seed
    if joint is None or seed is None or not joint.excludes(0):
        return (
            "the interval holds 0, so no difference can be told, which does "
            "not mean that there is none"
        )
    if not seed.excludes(0):
        return (
            "but Student's t interval over the seeds alone, "
            f"[{seed.low:+.3f}, {seed.high:+.3f}], holds 0, so more seeds "
            "are needed to tell"
        )
    return better if joint.estimate > 0 else worse


def _few_seeds_text(difference: Difference) -> str:
    each = "; ".join(
        f"{signed(interval)} (seed {seed})"
        for seed, interval in difference.by_seed.items()
    )
    intervals = list(difference.by_seed.values())
    above = sum(interval.low > 0 for interval in intervals)
    below = sum(interval.high < 0 for interval in intervals)
    return (
        f"{each}, with intervals over test patients alone; {above} of "
        f"{len(intervals)} lie above 0 and {below} below. "
        f"{_count(len(intervals), 'seed')} cannot tell what another training "
        f"run would give: train {evaluation.MIN_SEEDS} or more before you "
        "rely on it."
    )


def _speed_lines(summary: Summary) -> list[str]:
    study = summary.study
    parts = [
        f"{names.model_title(arm.arm.model)}, {arm.arm.init}: {arm.steps}"
        for arm in summary.arms
        if arm.steps is not None
    ]
    if not parts:
        return []
    metric = names.METRIC_TITLES[study.metric]
    return [
        f"Median steps until validation {metric} > {study.threshold:g}: "
        f"{'; '.join(parts)}."
    ]


def _layer_lines(study: StudyRecords) -> list[str]:
    models = dict.fromkeys(arm.model for arm in study.arms)
    lines = [_layer_line(study, arm) for arm in study.arms]
    lines += [_reuse_line(study, model) for model in models]
    return [line for line in lines if line is not None]


def _layer_line(study: StudyRecords, arm: Arm) -> str | None:
    """Names the stages that training changed least and most."""
    rows = [
        study.layers[run.name]
        for run in study.runs_of(arm)
        if run.name in study.layers
    ]
    if not rows:
        return None
    scores = np.mean([[s.score for s in row] for row in rows], axis=0)
    nulls = np.mean([[s.null for s in row] for row in rows], axis=0)
    stages = [s.stage for s in rows[0]]
    defined = np.flatnonzero(np.isfinite(scores))
    if not len(defined):
        return None
    least = defined[np.argmax(scores[defined])]
    most = defined[np.argmin(scores[defined])]
    named = " and ".join(
        f"{how} in {stages[i]} ({scores[i]:.2f}, null level {nulls[i]:.2f})"
        for how, i in (("least", least), ("most", most))
    )
    return (
        f"{names.model_title(arm.model)}, {arm.init}: training changed the "
        f"representation {named}; mean of {_count(len(rows), 'run')}."
    )


def _reuse_line(study: StudyRecords, model: str) -> str | None:
    """Names the stages that transfer kept more, or less, than random did."""
    kept = [
        _mean_scores(study, Arm(model, init)) for init in ("transfer", "random")
    ]
    if not all(kept):
        return None
    reuse = {s: kept[0][s] - kept[1][s] for s in kept[0] if s in kept[1]}
    reuse = {s: value for s, value in reuse.items() if np.isfinite(value)}
    if not reuse:
        return None
    most, least = (
        max(reuse, key=reuse.__getitem__),
        min(reuse, key=reuse.__getitem__),
    )
    return (
        f"{names.model_title(model)}: similarity to the start, transfer minus "
        f"random (the paper's measure of reuse), is largest in {most} "
        f"({reuse[most]:+.2f}) and smallest in {least} ({reuse[least]:+.2f})."
    )


def _mean_scores(study: StudyRecords, arm: Arm) -> dict[str, float]:
    rows = [
        study.layers[run.name]
        for run in study.runs_of(arm)
        if run.name in study.layers
    ]
    return {
        of_stage[0].stage: float(np.mean([s.score for s in of_stage]))
        for of_stage in zip(*rows, strict=True)
    }


def _small_line(summary: Summary, difference: Difference) -> str:
    small, large = (
        summary.arm(difference.first),
        summary.arm(difference.second),
    )
    share = (small.num_parameters or 0) / (large.num_parameters or 1)
    metric = names.METRIC_TITLES[summary.study.metric]
    titles = [
        f"{names.model_title(arm.arm.model)}, "
        f"{names.initialization_title(arm.arm.init, arm.donor)}"
        for arm in (small, large)
    ]
    return (
        f"{titles[0]}, with {share:.0%} of the parameters, minus "
        f"{titles[1]}, test {metric}: "
        + _difference_text(
            difference,
            better="the small model is ahead here",
            worse="the small model is behind here",
        )
    )


def _caveats(summary: Summary) -> list[str]:
    study = summary.study
    lines = []
    if study.missing:
        lines.append(
            f"{_count(len(study.missing), 'run')} missing: "
            f"{', '.join(study.missing)}. What is said here may change."
        )
    sizes = [
        (run.test.num_examples, run.test.num_patients, run)
        for run in study.runs
    ]
    if not sizes:
        return [*lines, "No run is finished: there is no answer yet."]
    examples, patients, run = sizes[0]
    trained = run.num_training_examples
    learnt = f"{trained:,} training images and " if trained else ""
    lines.append(
        f"All of it is measured on {learnt}{examples:,} test images of "
        f"{_count(patients, 'patient')} of {study.task}, and holds for those."
    )
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
