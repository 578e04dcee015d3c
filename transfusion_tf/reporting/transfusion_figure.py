"""How much of a network is transfused, against speed and quality."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.reporting import figures
from transfusion_tf.reporting.study import StudyRecords
from transfusion_tf.reporting.summaries import ArmSummary, Summary
from transfusion_tf.tensorboard import names


def transfusion(summary: Summary) -> dict[str, bytes]:
    """Draws speed and quality against how much of a network is transfused.

    A row a model: steps to the threshold on validation, and the test metric,
    against the number of its first stages that were copied from the donor,
    the rest being random. Hollow triangles: not reached in so many steps.

    Args:
        summary: Of a study in which `can_show_transfusion`.

    Returns:
        "svg" and "png" -> the file's bytes.

    Source: the form of the paper's Figure 7.
    """
    by_model = _transfused_arms(summary)
    with matplotlib.rc_context(figures.STYLE):
        height = 0.9 + 2.9 * len(by_model)
        figure = Figure(figsize=(8.2, height), layout="constrained")
        rows = figure.subplots(len(by_model), 2, squeeze=False)
        for (left, right), arms in zip(rows, by_model.values(), strict=True):
            _draw_steps(left, arms, summary.study)
            _draw_test_scores(right, arms, summary.study)
            for axes in (left, right):
                _label_amounts(axes, arms)
        figure.suptitle(
            f"How much is transfused, on {summary.study.task}", fontsize=10
        )
        figures.legend_below(figure, rows.flat)
        return figures.render(figure)


def can_show_transfusion(summary: Summary) -> bool:
    """Tells whether a model was transfused in part."""
    return bool(_transfused_arms(summary))


def _transfused_arms(
    summary: Summary,
) -> dict[str, list[tuple[int, ArmSummary]]]:
    """Returns model -> its arms by how many stages were transfused.

    Only of models of which an arm has a part of its stages transfused: two
    arms, none and all, are no series.
    """
    found: dict[str, list[tuple[int, ArmSummary]]] = {}
    for arm in summary.arms:
        amounts = {run.run.num_transfused for run in arm.runs}
        if len(amounts) == 1 and None not in amounts:
            series = found.setdefault(arm.arm.model, [])
            series.append((amounts.pop(), arm))  # type: ignore[arg-type]
    return {
        model: sorted(series, key=lambda pair: pair[0])
        for model, series in found.items()
        if any(0 < n < len(a.runs[0].run.stages) for n, a in series)
    }


def _draw_steps(
    axes: Axes, arms: Sequence[tuple[int, ArmSummary]], study: StudyRecords
) -> None:
    for amount, arm in arms:
        shifts = _spread(len(arm.runs))
        for shift, run in zip(shifts, arm.runs, strict=True):
            steps, last_step = run.steps.steps, run.steps.last_step
            axes.plot(
                amount + shift,
                last_step if steps is None else steps,
                "^" if steps is None else "o",
                color=figures.COLOURS[0],
                markerfacecolor="none" if steps is None else figures.COLOURS[0],
                markersize=5,
                alpha=0.8,
            )
    medians = [arm.steps.median for _, arm in arms if arm.steps is not None]
    axes.plot(
        [n for n, _ in arms], medians, color=figures.COLOURS[0], linewidth=1.2
    )
    axes.plot([], [], "o", color=figures.GREY, markersize=5, label="a run")
    axes.plot(
        [],
        [],
        "^",
        color=figures.GREY,
        markerfacecolor="none",
        markersize=5,
        label="a run that did not reach it in so many steps",
    )
    axes.set_ylim(bottom=0)
    metric = names.METRIC_TITLES[study.metric]
    axes.set_ylabel(f"steps to validation {metric} > {study.threshold:g}")
    axes.set_title(f"{names.model_title(arms[0][1].arm.model)}: median")


def _draw_test_scores(
    axes: Axes, arms: Sequence[tuple[int, ArmSummary]], study: StudyRecords
) -> None:
    for amount, arm in arms:
        shifts = _spread(len(arm.runs))
        for shift, run in zip(shifts, arm.runs, strict=True):
            axes.plot(
                amount + shift,
                run.test.estimate,
                "o",
                color=figures.COLOURS[1],
                markersize=4,
                alpha=0.6,
            )
    with_interval = [(n, a.joint) for n, a in arms if a.joint is not None]
    if with_interval:
        places = [amount for amount, _ in with_interval]
        middle = np.array([joint.estimate for _, joint in with_interval])
        ends = [(joint.low, joint.high) for _, joint in with_interval]
        axes.errorbar(
            places,
            middle,
            yerr=np.abs(np.array(ends).T - middle),
            color=figures.COLOURS[1],
            linewidth=1.2,
            elinewidth=0.9,
            capsize=3,
        )
    axes.set_ylabel(f"test {names.METRIC_TITLES[study.metric]}")
    title = names.model_title(arms[0][1].arm.model)
    if with_interval:
        title += ": mean and joint interval"
    axes.set_title(title)


def _label_amounts(axes: Axes, arms: Sequence[tuple[int, ArmSummary]]) -> None:
    stages = arms[0][1].runs[0].run.stages
    labels = ["none", *stages[:-1], f"{stages[-1]} (all)"]
    axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right")
    axes.set_xlim(-0.4, len(stages) + 0.4)
    axes.set_xlabel("last stage that was transfused")


def _spread(count: int) -> list[float]:
    """Places of runs beside one another, so that none hides another."""
    return [0.09 * (place - (count - 1) / 2) for place in range(count)]
