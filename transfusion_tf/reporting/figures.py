"""The figures of a study, drawn from its summary; the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from transfusion_tf import evaluation
from transfusion_tf.reporting import names
from transfusion_tf.reporting.runs import Arm, RunRecord
from transfusion_tf.reporting.study import StudyRecords
from transfusion_tf.reporting.summaries import ArmSummary, Summary

# Okabe and Ito's colours, which colour-blind readers tell apart; the yellow is
# left out, too pale for lines on paper.
COLOURS: tuple[str, ...] = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#000000",
)
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#666666"
_STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 9,
    "grid.alpha": 0.25,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "svg.hashsalt": "transfusion_tf",
}
_PNG_DPI = 160


def convergence(study: StudyRecords) -> dict[str, bytes]:
    """Draws the validation metric against the training step.

    One line a run; from 3 seeds also the mean with the Student's t band.

    Args:
        study: The records, with at least one finished run.

    Returns:
        "svg" and "png" -> the file's bytes.

    Source: the form of the paper's Figures 6 and 8.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for index, arm in enumerate(study.arms):
            _draw_arm_convergence(axes, index, arm, study.runs_of(arm))
        axes.axhline(study.threshold, color=_GREY, linestyle="--", linewidth=1)
        axes.annotate(
            f"threshold {study.threshold:g}",
            (0.005, study.threshold),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            color=_GREY,
            fontsize=8,
        )
        axes.set_xlabel("training step")
        axes.set_ylabel(f"validation {names.METRIC_TITLES[study.metric]}")
        title = f"Convergence on {study.task}"
        if axes.collections:
            title += "\nthick: mean of the runs, band: 95 % interval over seeds"
        axes.set_title(title)
        _legend_below(figure, [axes])
        return _render(figure)


def layer_similarity(study: StudyRecords) -> dict[str, bytes]:
    """Draws how like each stage is to itself before training.

    A panel a model, a line an arm: the mean over runs with a point a run.
    Dashed: the null level. Dotted, where a model has both: transfer less
    random, the paper's measure of reuse.

    Args:
        study: The records, with at least one comparison.

    Returns:
        "svg" and "png" -> the file's bytes.

    Source: the form of the paper's Figure 3.
    """
    models = [
        model
        for model in dict.fromkeys(arm.model for arm in study.arms)
        if any(_stage_scores(study, a)[0] for a in _arms_of(study, model))
    ]
    with matplotlib.rc_context(_STYLE):
        width = 1.2 + 3.9 * len(models)
        figure = Figure(figsize=(max(width, 5.1), 3.9), layout="constrained")
        panels = figure.subplots(1, len(models), sharey=True, squeeze=False)[0]
        for axes, model in zip(panels, models, strict=True):
            _draw_model_similarity(axes, study, model)
        measure = str(study.protocol["measure"]).upper()
        panels[0].set_ylabel(f"mean {measure} similarity")
        figure.suptitle(
            f"Layers before and after training on {study.task}", fontsize=10
        )
        _legend_below(figure, panels)
        return _render(figure)


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
    with matplotlib.rc_context(_STYLE):
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
        _legend_below(figure, rows.flat)
        return _render(figure)


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
                color=COLOURS[0],
                markerfacecolor="none" if steps is None else COLOURS[0],
                markersize=5,
                alpha=0.8,
            )
    medians = [arm.steps.median for _, arm in arms if arm.steps is not None]
    axes.plot([n for n, _ in arms], medians, color=COLOURS[0], linewidth=1.2)
    axes.plot([], [], "o", color=_GREY, markersize=5, label="a run")
    axes.plot(
        [],
        [],
        "^",
        color=_GREY,
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
                color=COLOURS[1],
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
            color=COLOURS[1],
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


def _draw_arm_convergence(
    axes: Axes, index: int, arm: Arm, runs: Sequence[RunRecord]
) -> None:
    colour, marker = _look(index)
    enough = len(runs) >= evaluation.MIN_SEEDS
    label = f"{_arm_label(arm)} ({len(runs)} run{'s' * (len(runs) != 1)})"
    for number, run in enumerate(runs):
        axes.plot(
            run.curve_steps,
            run.curve,
            color=colour,
            marker=marker,
            markersize=3.5,
            alpha=0.45 if enough else 1.0,
            linewidth=0.9 if enough else 1.4,
            # One entry an arm in the legend.
            label=None if enough or number else label,
        )
    if enough:
        _draw_band(axes, runs, colour, label)


def _draw_band(
    axes: Axes, runs: Sequence[RunRecord], colour: str, label: str
) -> None:
    """Draws mean and interval at the steps that all runs were evaluated at."""
    shared = sorted(set.intersection(*(set(r.curve_steps) for r in runs)))
    if not shared:
        return
    intervals = [
        evaluation.seed_interval(
            [float(run.curve[run.curve_steps == step][0]) for run in runs]
        )
        for step in shared
    ]
    # No metric leaves [0, 1], a Student's t interval may.
    low, high = (
        np.clip([getattr(i, end) for i in intervals], 0, 1)
        for end in ("low", "high")
    )
    axes.fill_between(shared, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        shared,
        [interval.estimate for interval in intervals],
        color=colour,
        linewidth=2,
        label=label,
    )


def _draw_model_similarity(axes: Axes, study: StudyRecords, model: str) -> None:
    means: dict[str, npt.NDArray[np.float64]] = {}
    for arm in _arms_of(study, model):
        stages, scores, nulls = _stage_scores(study, arm)
        if not stages:
            continue
        colour, marker = _look(study.arms.index(arm))
        places = np.arange(len(stages))
        means[arm.init] = scores.mean(axis=0)
        axes.plot(
            places,
            means[arm.init],
            color=colour,
            marker=marker,
            markersize=4,
            label=_arm_label(arm),
        )
        for row in scores:
            axes.plot(places, row, "_", color=colour, markersize=8, alpha=0.8)
        axes.plot(
            places,
            nulls.mean(axis=0),
            color=colour,
            linestyle="--",
            linewidth=1,
            alpha=0.8,
        )
        axes.set_xticks(places, stages, rotation=40, ha="right")
    _draw_reuse(axes, means)
    axes.plot([], [], "_", color=_GREY, markersize=8, label="each run")
    axes.plot(
        [],
        [],
        color=_GREY,
        linestyle="--",
        linewidth=1,
        label="null level (images permuted)",
    )
    axes.set_title(names.model_title(model))
    axes.set_ylim(min(-0.05, axes.get_ylim()[0]), 1.04)


def _draw_reuse(axes: Axes, means: dict[str, npt.NDArray[np.float64]]) -> None:
    if not {"random", "transfer"} <= means.keys():
        return
    reuse = means["transfer"] - means["random"]
    axes.axhline(0, color=_GREY, linewidth=0.6)
    axes.plot(
        np.arange(len(reuse)),
        reuse,
        color=_GREY,
        linestyle=":",
        marker=".",
        label="transfer - random",
    )


def _stage_scores(
    study: StudyRecords, arm: Arm
) -> tuple[list[str], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns stages, and scores and null levels as `[num_runs, stages]`."""
    rows = [
        study.layers[run.name]
        for run in study.runs_of(arm)
        if run.name in study.layers
    ]
    if not rows:
        return [], np.zeros([0, 0]), np.zeros([0, 0])
    scores = np.array([[s.score for s in row] for row in rows])
    nulls = np.array([[s.null for s in row] for row in rows])
    return [s.stage for s in rows[0]], scores, nulls


def _arms_of(study: StudyRecords, model: str) -> Iterable[Arm]:
    return [arm for arm in study.arms if arm.model == model]


def _arm_label(arm: Arm) -> str:
    return f"{names.model_title(arm.model)}, {arm.init}"


def _look(index: int) -> tuple[str, str]:
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def _legend_below(figure: Figure, panels: Iterable[Axes]) -> None:
    entries: dict[str, Artist] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries.update(zip(labels, handles, strict=True))
    # What all panels share, drawn in grey, comes after the arms.
    entries = dict(sorted(entries.items(), key=lambda item: _is_grey(item[1])))
    figure.legend(
        list(entries.values()),
        list(entries),
        loc="outside lower center",
        ncols=2,
    )


def _is_grey(artist: Artist) -> bool:
    return isinstance(artist, Line2D) and artist.get_color() == _GREY


def _render(figure: Figure) -> dict[str, bytes]:
    FigureCanvasAgg(figure)
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return {"svg": svg.getvalue(), "png": png.getvalue()}
