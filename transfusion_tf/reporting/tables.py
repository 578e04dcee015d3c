"""The table of a study as CSV (plain numbers), Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from transfusion_tf import evaluation
from transfusion_tf.reporting.summaries import (
    ArmSummary,
    Difference,
    RunSummary,
    Summary,
)
from transfusion_tf.tensorboard import names

ARM_COLUMNS: tuple[str, ...] = (
    "model",
    "init",
    "donor",
    "num_parameters",
    "num_runs",
    "num_missing",
    "metric",
    "test_mean",
    "test_seed_low",
    "test_seed_high",
    "test_joint_low",
    "test_joint_high",
    "second_metric",
    "second_mean",
    "second_seed_low",
    "second_seed_high",
    "threshold",
    "num_reached",
    "median_steps",
    "median_steps_is_lower_bound",
    "restricted_mean_steps",
    "restricted_mean_steps_is_lower_bound",
    "difference_from_random",
    "difference_joint_low",
    "difference_joint_high",
    "difference_seed_low",
    "difference_seed_high",
)

RUN_COLUMNS: tuple[str, ...] = (
    "model",
    "init",
    "seed",
    "metric",
    "test",
    "test_patient_low",
    "test_patient_high",
    "second_metric",
    "second",
    "threshold",
    "steps",
    "last_step",
    "num_test_examples",
    "num_test_patients",
)

FINDING_COLUMNS: tuple[str, ...] = (
    "finding",
    "num_positives",
    "num_negatives",
    "model",
    "init",
    "num_runs",
    "test_mean",
    "test_joint_low",
    "test_joint_high",
    "difference_from_random",
    "difference_joint_low",
    "difference_joint_high",
)

Cells = Sequence[object]


def arms_csv(summary: Summary) -> str:
    """Returns one row an arm; means are empty below 3 seeds."""
    joint = {d.first: d.joint for d in summary.differences}
    over_seeds = {d.first: d.seed for d in summary.differences}
    return csv_text(
        ARM_COLUMNS,
        (
            [
                arm.arm.model,
                arm.arm.init,
                arm.donor,
                arm.num_parameters,
                len(arm.runs),
                arm.num_missing,
                summary.study.metric,
                *estimate_and_ends(arm.seed),
                *estimate_and_ends(arm.joint)[1:],
                summary.study.second_metric,
                *estimate_and_ends(arm.second),
                summary.study.threshold,
                *_steps_cells(arm.steps),
                *estimate_and_ends(joint.get(arm.arm)),
                *estimate_and_ends(over_seeds.get(arm.arm))[1:],
            ]
            for arm in summary.arms
        ),
    )


def runs_csv(summary: Summary) -> str:
    """Returns one row a finished run; `steps` is empty where censored."""
    return csv_text(
        RUN_COLUMNS,
        (
            [
                arm.arm.model,
                arm.arm.init,
                run.run.seed,
                summary.study.metric,
                *estimate_and_ends(run.test),
                summary.study.second_metric,
                run.second,
                summary.study.threshold,
                run.steps.steps,
                run.steps.last_step,
                run.run.test.num_examples,
                run.run.test.num_patients,
            ]
            for arm in summary.arms
            for run in arm.runs
        ),
    )


def markdown(summary: Summary) -> str:
    """Returns the table, the differences, and what must be known of them."""
    parts = [markdown_table(header(summary), body(summary))]
    if summary.differences:
        parts.append(
            markdown_table(difference_header(summary), difference_body(summary))
        )
    if summary.findings:
        parts.append(
            markdown_table(finding_header(summary), finding_body(summary))
        )
    parts.append("\n".join(f"- {note}" for note in notes(summary)))
    return "\n\n".join(parts) + "\n"


def latex(summary: Summary) -> str:
    """Returns the tables as LaTeX for the package booktabs."""
    parts = [_latex_table(header(summary), body(summary))]
    if summary.differences:
        parts.append(
            _latex_table(difference_header(summary), difference_body(summary))
        )
    if summary.findings:
        parts.append(
            _latex_table(finding_header(summary), finding_body(summary))
        )
    comments = [f"% {note}" for note in notes(summary)]
    return "\n\n".join(parts) + "\n\n" + "\n".join(comments) + "\n"


def header(summary: Summary) -> list[str]:
    """Returns the column titles of the table in print."""
    metric = names.METRIC_TITLES[summary.study.metric]
    second = names.METRIC_TITLES.get(summary.study.second_metric or "", "")
    return [
        "Model",
        "Initialization",
        "Parameters",
        "Runs",
        f"Test {metric}",
        "Joint interval",
        second.capitalize(),
        f"Steps to validation {metric} > {summary.study.threshold:g}",
    ]


def body(summary: Summary) -> list[list[str]]:
    """Returns a row an arm, or below 3 seeds a row a run."""
    rows = []
    for arm in summary.arms:
        if arm.seed is not None:
            rows.append(_arm_row(arm))
        else:
            rows += [_run_row(arm, run) for run in arm.runs]
        if not arm.runs:
            rows.append([*_first_cells(arm), "none finished", *[""] * 4])
    return rows


def difference_header(summary: Summary) -> list[str]:
    """Returns the column titles of the differences in print."""
    metric = names.METRIC_TITLES[summary.study.metric]
    return ["Model", "Difference", "Runs", f"Test {metric}", "Interval over"]


def difference_body(summary: Summary) -> list[list[str]]:
    """Returns a row a difference, or below 3 seeds a row a paired seed."""
    rows = []
    for difference in summary.differences:
        title = names.model_title(difference.first.model)
        what = difference_title(difference)
        if difference.joint is not None and difference.seed is not None:
            first_cells = [title, what, f"{len(difference.seeds)} paired seeds"]
            rows += [
                [*first_cells, signed(difference.joint), "seeds and patients"],
                [*first_cells, signed(difference.seed), "seeds alone"],
            ]
            continue
        for seed, interval in difference.by_seed.items():
            cells = [signed(interval), "patients only"]
            rows.append([title, what, f"seed {seed}", *cells])
    return rows


def difference_title(difference: Difference) -> str:
    """Returns what is subtracted from what, in words."""
    return f"{difference.first.init} - {difference.second.init}"


def signed(interval: evaluation.Interval) -> str:
    """Returns a difference with its sign and the ends of its interval."""
    ends = f"[{interval.low:+.3f}, {interval.high:+.3f}]"
    return f"{interval.estimate:+.3f} {ends}"


def findings_csv(summary: Summary) -> str:
    """Returns one row a finding and arm; means are empty below 3 seeds."""
    return csv_text(
        FINDING_COLUMNS,
        (
            [
                finding.name,
                finding.num_positives,
                finding.num_negatives,
                arm.model,
                arm.init,
                num_runs,
                *estimate_and_ends(finding.joint.get(arm)),
                *estimate_and_ends(finding.differences.get(arm)),
            ]
            for finding in summary.findings
            for arm, num_runs in finding.num_runs.items()
        ),
    )


def finding_header(summary: Summary) -> list[str]:
    """Returns the titles of the table of findings."""
    titles = []
    for arm in summary.study.arms:
        title = f"{names.model_title(arm.model)}, {arm.init}"
        titles += [f"{title}: AUC", f"{title} - random"]
    return ["Finding", "Positives", "Negatives", *titles]


def finding_body(summary: Summary) -> list[list[str]]:
    """Returns a row a finding: the AUC of each arm, and less random's."""
    rows = []
    for finding in summary.findings:
        row = [
            finding.name,
            f"{finding.num_positives:,}",
            f"{finding.num_negatives:,}",
        ]
        for arm in summary.study.arms:
            joint = finding.joint.get(arm)
            difference = finding.differences.get(arm)
            each = finding.by_run[arm] if joint is None else (joint,)
            row.append("; ".join(map(str, each)))
            row.append("" if difference is None else signed(difference))
        rows.append(row)
    return rows


def notes(summary: Summary) -> list[str]:
    """Returns what a reader of the table must know."""
    study = summary.study
    lines = [f"Task: {study.task}. Intervals are at 95 %."]
    if any(arm.seed is not None for arm in summary.arms):
        lines.append(
            f"Test {names.METRIC_TITLES[study.metric]} of several seeds: mean "
            "and Student's t interval over seeds; joint interval: bootstrap "
            "of seeds, then patients."
        )
    if any(arm.seed is None and arm.runs for arm in summary.arms):
        lines.append(
            f"Fewer than {evaluation.MIN_SEEDS} seeds: each run stands with "
            "its interval over test patients. That is not an interval over "
            "seeds: it says nothing of what another training run would give."
        )
    if study.findings:
        lines.append(
            f"The AUC is the mean over {len(study.findings)} findings; the "
            "table of findings has joint intervals, from 3 seeds, or else "
            "each run with its interval over test patients."
        )
    if study.num_folds:
        lines.append(
            f"{study.num_folds}-fold cross-validation by patient: every image "
            "was scored by a network that saw nothing of its patient. AUCs "
            "are those within folds, averaged over folds; curves and steps "
            "are averaged over folds too."
        )
    lines.append(
        "Steps are those of the first evaluation on validation patients "
        f"above {study.threshold:g}; >N: not reached in N steps."
    )
    seeds = ", ".join(map(str, study.seeds))
    made_with = sorted({run.environment for run in study.runs} - {""})
    lines.append(
        f"Seeds {seeds}. "
        + " ".join(f"Made with {environment}." for environment in made_with)
    )
    if study.missing:
        lines.append(f"Missing, not finished: {', '.join(study.missing)}.")
    return [*lines, *(f"{note}." for note in study.notes)]


def _first_cells(arm: ArmSummary) -> list[str]:
    parameters = arm.num_parameters
    return [
        names.model_title(arm.arm.model),
        names.initialization_title(arm.arm.init, arm.donor),
        "" if parameters is None else f"{parameters:,}",
    ]


def _arm_row(arm: ArmSummary) -> list[str]:
    missing = f", {arm.num_missing} missing" if arm.num_missing else ""
    joint, second = arm.joint, arm.second
    return [
        *_first_cells(arm),
        f"{len(arm.runs)} seeds{missing}",
        str(arm.seed),
        "" if joint is None else f"[{joint.low:.3f}, {joint.high:.3f}]",
        "" if second is None else str(second),
        str(arm.steps),
    ]


def _run_row(arm: ArmSummary, run: RunSummary) -> list[str]:
    second = run.second
    return [
        *_first_cells(arm),
        f"seed {run.run.seed}",
        str(run.test),
        "",
        "" if second is None else f"{second:.3f}",
        str(run.steps),
    ]


def estimate_and_ends(
    interval: evaluation.Interval | None,
) -> list[float | None]:
    """Returns estimate, low and high as cells; empty ones without it."""
    if interval is None:
        return [None, None, None]
    return [interval.estimate, interval.low, interval.high]


def _steps_cells(steps: evaluation.StepsSummary | None) -> list[object]:
    if steps is None:
        return [None] * 5
    return [
        steps.num_reached,
        steps.median,
        int(steps.median_is_lower_bound),
        steps.restricted_mean,
        int(steps.restricted_mean_is_lower_bound),
    ]


def csv_text(columns: Sequence[str], rows: Iterable[Cells]) -> str:
    """Returns a table of plain numbers; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Pads the cells, so that the table reads in a terminal too."""
    escaped = [[c.replace("|", "\\|") for c in row] for row in (titles, *rows)]
    kept = _without_empty_columns(escaped)
    widths = [max(map(len, column)) for column in zip(*kept, strict=True)]
    lines = [
        "| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in kept
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _without_empty_columns(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Drops the columns that hold nothing under their title."""
    filled = [i for i in range(len(rows[0])) if any(r[i] for r in rows[1:])]
    return [[row[i] for i in filled] for row in rows]


def _latex_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    kept = _without_empty_columns([titles, *rows])
    lines = [" & ".join(map(_latex_text, row)) + r" \\" for row in kept]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{'l' * len(kept[0])}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _latex_text(text: str) -> str:
    for character in "&%$#_{}":
        text = text.replace(character, "\\" + character)
    for character in "<>":
        text = text.replace(character, f"${character}$")
    return text.replace(" - ", " $-$ ").replace("~", r"\textasciitilde{}")
