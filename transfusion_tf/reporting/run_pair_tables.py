"""The tables of pairs of runs as CSV (plain numbers) and Markdown."""

from __future__ import annotations

import itertools

import numpy as np

from transfusion_tf import evaluation
from transfusion_tf.reporting import tables
from transfusion_tf.reporting.run_pairs import PairGroup, PairSummary
from transfusion_tf.tensorboard import names

PAIR_COLUMNS: tuple[str, ...] = (
    "model",
    "init",
    "seed",
    "other_init",
    "other_seed",
    "stage",
    "sample",
    "before",
    "before_null",
    "after",
    "after_null",
)

SIMILARITY_COLUMNS: tuple[str, ...] = (
    "model",
    "init",
    "other_init",
    "num_runs",
    "num_other_runs",
    "num_pairs",
    "stages",
    "measure",
    "similarity",
    "similarity_low",
    "similarity_high",
    "null",
    "above_null",
    "above_null_low",
    "above_null_high",
    "random_random_less_this",
    "random_random_less_this_low",
    "random_random_less_this_high",
    "paper",
    "paper_low",
    "paper_high",
)

FIT_COLUMNS: tuple[str, ...] = (
    "model",
    "init",
    "other_init",
    "stage",
    "num_points",
    "before_mean",
    "before_null",
    "after_mean",
    "after_null",
    "slope",
    "intercept",
    "r_squared",
    "r_squared_low",
    "r_squared_high",
)


def pairs_csv(summary: PairSummary) -> str:
    """Returns one row a pair, stage and sample."""
    return tables.csv_text(
        PAIR_COLUMNS,
        (
            [
                group.model,
                first.arm,
                first.seed,
                second.arm,
                second.seed,
                stage,
                sample,
                group.before[stage].score[place, sample],
                group.before[stage].null[place, sample],
                group.after[stage].score[place, sample],
                group.after[stage].null[place, sample],
            ]
            for group in summary.groups
            for place, (first, second) in enumerate(group.pairs)
            for stage, sample in itertools.product(
                group.stages, range(group.higher.score.shape[1])
            )
        ),
    )


def similarity_csv(summary: PairSummary) -> str:
    """Returns one row a model and two initializations: Figure 2."""
    return tables.csv_text(
        SIMILARITY_COLUMNS,
        (
            [
                group.model,
                *group.inits,
                *(group.num_runs[init] for init in group.inits),
                len(group.pairs),
                " ".join(group.top_stages),
                summary.protocol["measure"],
                *tables.estimate_and_ends(group.similarity),
                group.higher.null.mean(),
                *tables.estimate_and_ends(group.above_null),
                *tables.estimate_and_ends(group.difference),
                *(
                    [None] * 3
                    if group.paper is None
                    else [group.paper.value, group.paper.low, group.paper.high]
                ),
            ]
            for group in summary.groups
        ),
    )


def fits_csv(summary: PairSummary) -> str:
    """Returns one row a model, two initializations and stage: Figure 4."""
    rows = []
    for group, stage in _groups_and_stages(summary):
        before, after = group.before[stage], group.after[stage]
        fit = group.fits[stage]
        rows.append(
            [
                group.model,
                *group.inits,
                stage,
                before.score.size,
                before.score.mean(),
                before.null.mean(),
                after.score.mean(),
                after.null.mean(),
                *([None] * 2 if fit is None else [fit.slope, fit.intercept]),
                *tables.estimate_and_ends(
                    None if fit is None else fit.r_squared
                ),
            ]
        )
    return tables.csv_text(FIT_COLUMNS, rows)


def markdown(summary: PairSummary) -> str:
    """Returns both tables, and what must be known of them."""
    similarity = tables.markdown_table(
        [
            "Model",
            "Initializations",
            "Runs",
            "Pairs",
            "Highest stages",
            "Similarity after training",
            "Null level",
            "Above null level",
            "Random-random less this, above null level",
            "The paper's similarity",
        ],
        [row for group in summary.groups for row in _similarity_rows(group)],
    )
    fits = tables.markdown_table(
        [
            "Model",
            "Initializations",
            "Stage",
            "Before training",
            "Null level before",
            "After training",
            "Null level after",
            "R^2 of after against before",
            "Slope",
        ],
        [_fit_row(*each) for each in _groups_and_stages(summary)],
    )
    lines = "\n".join(f"- {note}" for note in notes(summary))
    return f"{similarity}\n\n{fits}\n\n{lines}\n"


def notes(summary: PairSummary) -> list[str]:
    """Returns what a reader of tables and figures must know."""
    protocol = summary.protocol
    lines = [
        f"Similarity of two runs: {protocol['measure'].upper()} of "
        f"{protocol['num_positions']:,} positions (all, where a stage has "
        f"fewer) of {protocol['num_images']} {protocol['split']} images and "
        f"{protocol['num_channels']} channels, drawn independently for the "
        f"two runs; mean of {protocol['repeats']} samples. Before training: "
        "step 0, batch norm re-estimated.",
        "Null level: the same score with the images of one run permuted. It "
        "differs between stages and arms. Where a score is hardly above it, "
        "a difference of scores is one of null levels.",
        "Intervals, at 95 %: pairs share runs and are not independent, so the "
        "runs of each arm are resampled, then the samples; test images are "
        "held fixed. Of three or four runs such an interval is too narrow.",
        "R^2: one point a pair and sample, "
        "a line by least squares. Points of one pair are not independent "
        "either; the interval resamples runs, then samples. With few runs a "
        "resample holds few pairs and its R^2 is biased upwards.",
    ]
    if any(group.similarity is None for group in summary.groups):
        lines.append(
            f"Fewer than {evaluation.MIN_SEEDS} runs of an arm, not all pairs "
            "of its runs, or a score that is not defined: each pair stands "
            "for itself, without an interval."
        )
    for group in summary.groups:
        shared = sum(first.seed == second.seed for first, second in group.pairs)
        if shared:
            lines.append(
                f"{names.model_title(group.model)}, {group.label}: {shared} of "
                f"{len(group.pairs)} pairs are of one seed, and so of the same "
                "order of images."
            )
        alike = [
            stage
            for stage in group.stages
            if len(np.unique(group.before[stage].score, axis=0))
            < len(group.pairs)
        ]
        if alike:
            lines.append(
                f"{names.model_title(group.model)}, {group.label}: all runs of "
                f"{group.inits[1]} start alike in {', '.join(alike)}; there "
                "similarities before training come more than once."
            )
    sources = {g.paper.source for g in summary.groups if g.paper is not None}
    lines += [
        f"The paper's similarity: Figure 2, {source}, range in brackets; "
        "RETINA images of 587 pixels. Its numbers of positions and channels, "
        "and so its null levels, are not known to us: not comparable with ours."
        for source in sorted(sources)
    ]
    return lines + [f"{note}." for note in summary.notes]


def _groups_and_stages(
    summary: PairSummary,
) -> list[tuple[PairGroup, str]]:
    return [(g, stage) for g in summary.groups for stage in g.stages]


def _similarity_rows(group: PairGroup) -> list[list[str]]:
    """A row, or below 3 runs of an arm a row a pair."""
    title, stages = names.model_title(group.model), ", ".join(group.top_stages)
    paper = ""
    if group.paper is not None:
        ends = f"[{group.paper.low:.3f}, {group.paper.high:.3f}]"
        paper = f"{group.paper.value:.3f} {ends}"
    if group.similarity is None:
        pairs = zip(
            group.pairs,
            group.higher.score.mean(axis=1),
            group.higher.null.mean(axis=1),
            strict=True,
        )
        return [
            [
                title,
                group.label,
                f"seeds {first.seed} and {second.seed}",
                "1",
                stages,
                f"{score:.3f}",
                f"{null:.3f}",
                f"{score - null:.3f}",
                "",
                paper,
            ]
            for (first, second), score, null in pairs
        ]
    runs = ", ".join(f"{n} {init}" for init, n in group.num_runs.items())
    return [
        [
            title,
            group.label,
            runs,
            str(len(group.pairs)),
            stages,
            str(group.similarity),
            f"{group.higher.null.mean():.3f}",
            str(group.above_null),
            "" if group.difference is None else tables.signed(group.difference),
            paper,
        ]
    ]


def _fit_row(group: PairGroup, stage: str) -> list[str]:
    before, after = group.before[stage], group.after[stage]
    fit = group.fits[stage]
    return [
        names.model_title(group.model),
        group.label,
        stage,
        f"{before.score.mean():.3f}",
        f"{before.null.mean():.3f}",
        f"{after.score.mean():.3f}",
        f"{after.null.mean():.3f}",
        "" if fit is None else str(fit.r_squared),
        "" if fit is None else f"{fit.slope:+.2f}",
    ]
