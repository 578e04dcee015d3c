"""The figures of pairs of runs: how alike, and whether from the start on."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from transfusion_tf.reporting import figures
from transfusion_tf.reporting.run_pairs import PairGroup, PairSummary, Scores
from transfusion_tf.tensorboard import names

# The paper's: blue for random-random, orange for random-transfer.
_COLOURS = figures.COLOURS


def run_similarity(summary: PairSummary) -> dict[str, bytes]:
    """Draws how alike runs are in their highest stages after training.

    A panel a model, a place two initializations: a dot a pair and sample, a
    column of dots a pair, with their violin where there are three pairs or
    more; the mean with its interval; dashed the null level; a diamond the
    paper's value.

    Args:
        summary: With at least one group.

    Returns:
        "svg" and "png" -> the file's bytes.

    Source: the form of the paper's Figure 2.
    """
    by_model = _by_model(summary)
    with matplotlib.rc_context(figures.STYLE):
        places = [len(groups) + 0.2 for groups in by_model.values()]
        figure = Figure(
            figsize=(max(1.2 + 1.6 * sum(places), 5.1), 4.2),
            layout="constrained",
        )
        panels = figure.subplots(
            1, len(places), sharey=True, squeeze=False, width_ratios=places
        )[0]
        for axes, groups in zip(panels, by_model.values(), strict=True):
            for place, group in enumerate(groups):
                _draw_group(axes, place, group)
            axes.set_xticks(
                range(len(groups)), [_two_lines(g.inits) for g in groups]
            )
            axes.set_xlim(-0.6, len(groups) - 0.4)
            axes.grid(visible=False, axis="x")
            stages = ", ".join(groups[0].top_stages)
            axes.set_title(
                f"{names.model_title(groups[0].model)}\nmean of {stages}"
            )
        measure = str(summary.protocol["measure"]).upper()
        panels[0].set_ylabel(f"mean {measure} similarity of two runs")
        figure.suptitle(
            f"How alike runs are after training on {summary.study.task}",
            fontsize=10,
        )
        _add_legend(panels[0], summary)
        figures.legend_below(figure, panels)
        return figures.render(figure)


def initial_similarity(summary: PairSummary) -> dict[str, bytes]:
    """Draws similarity after training against similarity before it.

    A column two initializations of a model, the first stage above and the
    last below: a dot a pair and sample, a cross the mean of a pair, the line
    by least squares with its R^2.

    Args:
        summary: With at least one group.

    Returns:
        "svg" and "png" -> the file's bytes.

    Source: the form of the paper's Figure 4.
    """
    with matplotlib.rc_context(figures.STYLE):
        width = max(0.6 + 2.9 * len(summary.groups), 5.1)
        figure = Figure(figsize=(width, 6.2), layout="constrained")
        panels = figure.subplots(2, len(summary.groups), squeeze=False)
        for column, group in zip(panels.T, summary.groups, strict=True):
            for axes, stage in zip(
                column, (group.stages[0], group.stages[-1]), strict=True
            ):
                _draw_stage(axes, group, stage)
        measure = str(summary.protocol["measure"]).upper()
        figure.supxlabel(f"mean {measure} similarity at step 0", fontsize=9)
        figure.supylabel(
            f"mean {measure} similarity after training", fontsize=9
        )
        figure.suptitle(
            "Similarity of two runs before and after training on "
            f"{summary.study.task}\ndot: a pair and sample, cross: mean of a "
            "pair; R² with its interval over runs and samples",
            fontsize=10,
        )
        return figures.render(figure)


def _by_model(summary: PairSummary) -> dict[str, list[PairGroup]]:
    found: dict[str, list[PairGroup]] = {}
    for group in summary.groups:
        found.setdefault(group.model, []).append(group)
    return found


def _two_lines(inits: Sequence[str]) -> str:
    return f"{inits[0]}-\n{inits[1]}"


def _draw_group(axes: Axes, place: int, group: PairGroup) -> None:
    colour = _COLOURS[place % len(_COLOURS)]
    scores = group.higher.score
    points = scores[np.isfinite(scores)]
    if len(group.pairs) > 2 and len(points) == scores.size and np.ptp(points):
        violin = axes.violinplot(
            points, [place - 0.12], widths=0.5, showextrema=False
        )
        for body in violin["bodies"]:  # type: ignore[attr-defined]
            body.set_facecolor(colour)
            body.set_alpha(0.25)
    columns = place - 0.12 + np.linspace(-0.15, 0.15, len(scores) + 2)[1:-1]
    axes.plot(columns, scores, "o", color=colour, markersize=2.5, alpha=0.6)
    if group.similarity is not None:
        middle = group.similarity.estimate
        ends = np.array([group.similarity.low, group.similarity.high])
        axes.errorbar(
            [place + 0.2],
            [middle],
            yerr=np.abs(ends - middle)[:, None],
            fmt="s",
            color=colour,
            markersize=4,
            capsize=3,
        )
    null = float(np.nanmean(group.higher.null))
    axes.plot([place - 0.42, place + 0.32], [null] * 2, "--", color=colour)
    if group.paper is not None:
        paper = group.paper
        axes.errorbar(
            [place + 0.4],
            [paper.value],
            yerr=[[paper.value - paper.low], [paper.high - paper.value]],
            fmt="D",
            color=figures.GREY,
            markerfacecolor="none",
            markersize=5,
        )


def _add_legend(axes: Axes, summary: PairSummary) -> None:
    axes.plot(
        [], [], "o", markersize=3, label="a pair and sample", color=figures.GREY
    )
    if any(group.similarity is not None for group in summary.groups):
        axes.plot(
            [],
            [],
            "s-",
            markersize=4,
            label="mean, 95 % interval over runs and samples",
            color=figures.GREY,
        )
    axes.plot(
        [], [], "--", label="null level (images permuted)", color=figures.GREY
    )
    if any(group.paper is not None for group in summary.groups):
        axes.plot(
            [],
            [],
            "D",
            markerfacecolor="none",
            markersize=5,
            label="the paper, on other images (its null level unknown)",
            color=figures.GREY,
        )


def _draw_stage(axes: Axes, group: PairGroup, stage: str) -> None:
    before, after = group.before[stage], group.after[stage]
    colour = _COLOURS[0 if group.is_baseline else 1]
    axes.plot(
        before.score.ravel(),
        after.score.ravel(),
        "o",
        color=colour,
        markersize=3,
        alpha=0.5,
    )
    axes.plot(
        before.score.mean(axis=1),
        after.score.mean(axis=1),
        "x",
        color=figures.COLOURS[-1],
        markersize=5,
    )
    fit, text = group.fits[stage], "no line: too few runs or points"
    if fit is not None:
        ends = np.array([before.score.min(), before.score.max()])
        axes.plot(
            ends, fit.intercept + fit.slope * ends, color=colour, linewidth=1.2
        )
        low, high = fit.r_squared.low, fit.r_squared.high
        text = f"R² {fit.r_squared.estimate:.2f} [{low:.2f}, {high:.2f}]"
    axes.set_title(
        f"{names.model_title(group.model)}, {stage}\n{group.label}\n{text}",
        fontsize=8,
    )
    _draw_nulls(axes, before, after)


def _draw_nulls(axes: Axes, before: Scores, after: Scores) -> None:
    """Draws both null levels, and names them: they are mostly far off."""
    x, y = float(np.nanmean(before.null)), float(np.nanmean(after.null))
    limits = axes.get_xlim(), axes.get_ylim()
    axes.axvline(x, color=figures.GREY, linestyle="--", linewidth=1)
    axes.axhline(y, color=figures.GREY, linestyle="--", linewidth=1)
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    axes.set_xlabel(
        f"null levels: {x:.3f} at step 0, {y:.3f} after",
        color=figures.GREY,
        fontsize=7,
    )
