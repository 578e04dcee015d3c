"""Writes the report of a study: tables, figures and the verdict."""

from __future__ import annotations

import dataclasses
from typing import Any

from etils import epath

from transfusion_tf import records
from transfusion_tf.reporting import (
    figures,
    run_pair_figures,
    run_pair_tables,
    tables,
    transfusion_figure,
)
from transfusion_tf.reporting.document import study_document
from transfusion_tf.reporting.run_pairs import (
    NUM_TOP_STAGES,
    summarize_run_pairs,
)
from transfusion_tf.reporting.study import read_study
from transfusion_tf.reporting.summaries import summarize
from transfusion_tf.reporting.verdict import verdict


@dataclasses.dataclass(frozen=True)
class Report:
    """What was written, and what of it is for reading at once.

    Attributes:
        table_markdown: The table, the differences and their notes.
        verdict: The answer in plain sentences.
        document: The same for TensorBoard; see `study_document`.
        missing: Names of runs that are asked for but not finished.
        files: The files written, sorted by name.
    """

    table_markdown: str
    verdict: str
    document: dict[str, Any]
    missing: tuple[str, ...]
    files: tuple[epath.Path, ...]


def write_report(
    study_dir: epath.PathLike,
    output_dir: epath.PathLike,
    *,
    num_top_stages: int = NUM_TOP_STAGES,
) -> Report:
    """Makes the report of a study from its records.

    The same records give the same bytes. Runs that are not finished are
    listed as missing; figures without anything to show are not written.

    Args:
        study_dir: A study's directory, or its published records.
        output_dir: Where to; files of an earlier report are replaced.
        num_top_stages: How many of the last stages are averaged where pairs
            of runs were compared.

    Returns:
        The report.

    Raises:
        FileNotFoundError: If `study_dir` holds no study.
        ValueError: If tasks or procedures are mixed, or a record contradicts
            itself.

    Example:
    >>> write_report("/nowhere", "/tmp")
    Traceback (most recent call last):
        ...
    FileNotFoundError: '/nowhere' holds no study. Received: a directory \
without study.json. Name the directory that `python -m launch.study` wrote, \
or published records.
    """
    output_dir = epath.Path(output_dir)
    study = read_study(study_dir)
    summary = summarize(study)
    table, answer = tables.markdown(summary), verdict(summary)
    contents = {
        "runs.csv": tables.runs_csv(summary).encode(),
        "table.csv": tables.arms_csv(summary).encode(),
        "table.md": table.encode(),
        "table.tex": tables.latex(summary).encode(),
        "verdict.txt": answer.encode(),
    }
    if summary.findings:
        contents["findings.csv"] = tables.findings_csv(summary).encode()
    if study.runs:
        for ending, content in figures.convergence(study).items():
            contents[f"convergence.{ending}"] = content
    if study.layers:
        for ending, content in figures.layer_similarity(study).items():
            contents[f"layer_similarity.{ending}"] = content
    if transfusion_figure.can_show_transfusion(summary):
        for ending, content in transfusion_figure.transfusion(summary).items():
            contents[f"transfusion.{ending}"] = content
    pairs = summarize_run_pairs(study_dir, study, num_top_stages=num_top_stages)
    if pairs.groups:
        contents |= {
            "run_pairs.csv": run_pair_tables.pairs_csv(pairs).encode(),
            "run_similarity.csv": run_pair_tables.similarity_csv(
                pairs
            ).encode(),
            "initial_similarity.csv": run_pair_tables.fits_csv(pairs).encode(),
            "run_similarity.md": run_pair_tables.markdown(pairs).encode(),
        }
        for ending, content in run_pair_figures.run_similarity(pairs).items():
            contents[f"run_similarity.{ending}"] = content
        drawn = run_pair_figures.initial_similarity(pairs)
        for ending, content in drawn.items():
            contents[f"initial_similarity.{ending}"] = content
    for name, content in contents.items():
        records.write_bytes(output_dir / name, content)
    return Report(
        table_markdown=table,
        verdict=answer,
        document=study_document(summary, pairs),
        missing=study.missing,
        files=tuple(output_dir / name for name in sorted(contents)),
    )
