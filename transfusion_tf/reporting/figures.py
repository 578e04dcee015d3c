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
from transfusion_tf.reporting.runs import Arm, RunRecord
from transfusion_tf.reporting.study import StudyRecords
from transfusion_tf.reporting.summaries import BASELINE_INIT
from transfusion_tf.tensorboard import names

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
GREY = "#666666"
STYLE: dict[Any, Any] = {
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
_MOST_IN_ONE_PANEL = 4
_PANELS_A_ROW = 4


def convergence(study: StudyRecords) -> dict[str, bytes]:
    """Draws the validation metric against the training step.

    One line a run; from 3 seeds also the mean with the Student's t band. More
    arms than four stand in a panel each, with the mean of random in grey.

    Args:
        study: The records, with at least one finished run.

    Returns:
        "svg" and "png" -> the file's bytes.

    Source: the form of the paper's Figures 6 and 8.
    """
    with matplotlib.rc_context(STYLE):
        if len(study.arms) > _MOST_IN_ONE_PANEL:
            return render(_convergence_panels(study))
        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        for index, arm in enumerate(study.arms):
            _draw_arm_convergence(axes, index, arm, study.runs_of(arm))
        _draw_threshold(axes, study)
        axes.set_xlabel("training step")
        axes.set_ylabel(f"validation {names.METRIC_TITLES[study.metric]}")
        title = f"Convergence on {study.task}"
        if axes.collections:
            title += "\nthick: mean of the runs, band: 95 % interval over seeds"
        axes.set_title(title)
        legend_below(figure, [axes])
        return render(figure)


def _convergence_panels(study: StudyRecords) -> Figure:
    """Draws each arm in a panel of its own, beside its random baseline."""
    num_rows = -(-len(study.arms) // _PANELS_A_ROW)
    figure = Figure(figsize=(9.0, 0.9 + 2.1 * num_rows), layout="constrained")
    panels = figure.subplots(
        num_rows, _PANELS_A_ROW, sharex=True, sharey=True, squeeze=False
    ).ravel()
    for index, (axes, arm) in enumerate(zip(panels, study.arms, strict=False)):
        baseline = Arm(arm.model, BASELINE_INIT)
        if arm != baseline:
            _draw_mean(axes, study.runs_of(baseline))
        _draw_arm_convergence(axes, index, arm, study.runs_of(arm))
        _draw_threshold(axes, study)
        axes.set_title(f"{names.model_title(arm.model)}\n{arm.init}")
    for axes in panels[len(study.arms) :]:
        axes.set_visible(False)
    # The last panel of a column has the steps, be it in the last row or not.
    for axes in panels[: len(study.arms)][-_PANELS_A_ROW:]:
        axes.tick_params(labelbottom=True)
    figure.suptitle(
        f"Convergence on {study.task}\nthin: a run, thick: mean, band: 95 % "
        f"interval over seeds, grey: mean of {BASELINE_INIT}",
        fontsize=10,
    )
    figure.supxlabel("training step", fontsize=9)
    metric = names.METRIC_TITLES[study.metric]
    figure.supylabel(f"validation {metric}", fontsize=9)
    return figure


def _draw_threshold(axes: Axes, study: StudyRecords) -> None:
    axes.axhline(study.threshold, color=GREY, linestyle="--", linewidth=1)
    axes.annotate(
        f"threshold {study.threshold:g}",
        (0.005, study.threshold),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        color=GREY,
        fontsize=8,
    )


def _draw_mean(axes: Axes, runs: Sequence[RunRecord]) -> None:
    steps = sorted(
        set.intersection(*(set(r.curve_steps) for r in runs)) if runs else ()
    )
    if steps:
        values = [
            np.mean([run.curve[run.curve_steps == step][0] for run in runs])
            for step in steps
        ]
        axes.plot(steps, values, color=GREY, linewidth=1.5)


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
    with matplotlib.rc_context(STYLE):
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
        legend_below(figure, panels)
        return render(figure)


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
    axes.plot([], [], "_", color=GREY, markersize=8, label="each run")
    axes.plot(
        [],
        [],
        color=GREY,
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
    axes.axhline(0, color=GREY, linewidth=0.6)
    axes.plot(
        np.arange(len(reuse)),
        reuse,
        color=GREY,
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


def legend_below(figure: Figure, panels: Iterable[Axes]) -> None:
    """Puts one legend for all panels below them, what is grey last."""
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
    return isinstance(artist, Line2D) and artist.get_color() == GREY


def render(figure: Figure) -> dict[str, bytes]:
    """Returns "svg" and "png" -> a figure's bytes, the same each time."""
    FigureCanvasAgg(figure)
    svg, png = io.BytesIO(), io.BytesIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    return {"svg": svg.getvalue(), "png": png.getvalue()}
