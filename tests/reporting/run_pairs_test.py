"""Pairs of runs: what is read, averaged, resampled, fitted, drawn and said."""

import csv
import itertools
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tests.reporting import fabricate
from transfusion_tf import evaluation, reporting
from transfusion_tf.reporting import (
    paper_values,
    run_pair_figures,
    run_pair_tables,
)
from transfusion_tf.reporting.run_pairs import summarize_run_pairs
from transfusion_tf.reporting.study import read_study
from transfusion_tf.tensorboard import names

LITE, TINY = "efficientnet_lite0", "cbr_tiny"


def score_of(when, pair, place, sample):
    sides = [(run.arm, run.seed) for run in pair]
    return fabricate.pair_score(when, sides, place, sample)


def summary_of(path, num_seeds=3, models=(LITE, TINY), samples=2, **choices):
    fabricate.write_study(path, num_seeds)
    fabricate.write_pairs(path, num_seeds, models, samples)
    return summarize_run_pairs(path, read_study(path), **choices)


@pytest.fixture(scope="module")
def summary(tmp_path_factory):
    return summary_of(tmp_path_factory.mktemp("study"))


def test_pairs_stand_in_groups_with_random_first(summary):
    assert [(g.model, g.label, len(g.pairs)) for g in summary.groups] == [
        (LITE, "random-random", 3),
        (LITE, "random-transfer", 9),
        (TINY, "random-random", 3),
    ]
    # The files have the transferred run first.
    assert {p[0].arm for p in summary.groups[1].pairs} == {"random"}
    assert summary.groups[1].num_runs == {"random": 3, "transfer": 3}
    assert not summary.notes


def test_the_highest_stages_are_averaged_after_training(summary, tmp_path):
    within, between, _ = summary.groups
    assert between.top_stages == ("block3", "top")
    for group in (within, between):
        expected = [
            [
                np.mean([score_of("after", pair, k, sample) for k in (3, 4)])
                for sample in range(2)
            ]
            for pair in group.pairs
        ]
        np.testing.assert_allclose(group.higher.score, expected)
        np.testing.assert_allclose(group.higher.null, 0.065)
        assert group.similarity == evaluation.pairs_interval(
            group.pairs, group.higher.score
        )
        assert group.above_null.estimate == pytest.approx(
            group.similarity.estimate - 0.065
        )
    assert within.difference is None
    # The null levels are equal here.
    expected = np.mean(within.higher.score) - np.mean(between.higher.score)
    assert between.difference.estimate == pytest.approx(expected)
    whole = summary_of(tmp_path, models=(LITE,), num_top_stages=5)
    assert whole.groups[0].top_stages == fabricate.STAGES[LITE]


def test_a_line_is_fitted_to_every_pair_and_sample(summary):
    for group, stage in itertools.product(summary.groups, ("top", "conv1")):
        if stage not in group.stages:
            continue
        fit = group.fits[stage]
        expected = stats.linregress(
            group.before[stage].score.ravel(), group.after[stage].score.ravel()
        )
        assert fit.slope == pytest.approx(expected.slope) == pytest.approx(2)
        assert fit.intercept == pytest.approx(0.05)
        assert fit.r_squared.estimate == pytest.approx(1)


def test_below_three_seeds_each_pair_stands_without_an_interval(tmp_path):
    summary = summary_of(tmp_path, 2)
    for group in summary.groups:
        assert group.similarity is None and group.difference is None
        assert set(group.fits.values()) == {None}
    text = run_pair_tables.markdown(summary)
    assert "seeds 0 and 1" in text and "[0" not in text.split("###")[0][:900]
    assert "Fewer than 3 runs" in text
    assert run_pair_figures.run_similarity(summary)["png"]
    assert run_pair_figures.initial_similarity(summary)["png"]


def test_an_undefined_score_gives_no_interval_and_no_error(tmp_path):
    fabricate.write_study(tmp_path, 3)
    fabricate.write_pairs(tmp_path)
    path = next(tmp_path.glob("comparisons/*-and-*-after/comparison.json"))
    content = path.read_text()
    name = path.parent.name
    sides = [("random", int(seed)) for seed in re.findall(r"seed(\d)", name)]
    score = fabricate.pair_score("after", sides, 3, 0)
    assert str(score) in content
    path.write_text(content.replace(str(score), "null"))
    summary = summarize_run_pairs(tmp_path, read_study(tmp_path))
    (group,) = summary.groups
    assert group.similarity is None
    assert group.fits["conv4"] is None and group.fits["conv1"] is not None
    assert run_pair_figures.run_similarity(summary)["svg"]
    assert run_pair_figures.initial_similarity(summary)["svg"]


def test_one_sample_a_pair_is_a_mean_but_no_line(tmp_path):
    summary = summary_of(tmp_path, samples=1, models=(TINY,))
    (group,) = summary.groups
    assert group.similarity is not None
    assert set(group.fits.values()) == {None}


def test_what_is_left_out_is_named(tmp_path):
    fabricate.write_study(tmp_path, 3)
    fabricate.write_pairs(tmp_path)
    first = sorted(tmp_path.glob("comparisons/*-and-*-before"))[0]
    (first / "comparison.json").unlink()
    path = fabricate.write_pair(
        tmp_path, TINY, ("random", 0), ("random", 7), "after"
    )
    summary = summarize_run_pairs(tmp_path, read_study(tmp_path))
    (group,) = summary.groups
    assert len(group.pairs) == 2
    assert any(path.parent.name in note for note in summary.notes)
    assert any("at one step only" in note for note in summary.notes)
    # Where pairs are missing, resampled runs have none: no interval.
    assert group.similarity is None
    assert "not all pairs" in run_pair_tables.markdown(summary)


def test_procedures_and_stages_are_not_mixed(tmp_path):
    fabricate.write_study(tmp_path, 3)
    fabricate.write_pairs(tmp_path)
    study = read_study(tmp_path)
    with pytest.raises(ValueError, match="num_top_stages=5, cbr_tiny has 4"):
        summarize_run_pairs(tmp_path, study, num_top_stages=5)
    fabricate.write_pair(
        tmp_path, TINY, ("random", 1), ("random", 0), "after", split="train"
    )
    with pytest.raises(ValueError, match="different procedures"):
        summarize_run_pairs(tmp_path, study)


def test_tables_hold_the_numbers(summary):
    rows = list(csv.DictReader(run_pair_tables.pairs_csv(summary).splitlines()))
    assert len(rows) == (3 + 9) * 5 * 2 + 3 * 4 * 2
    row = next(r for r in rows if r["other_init"] == "transfer")
    sides = [
        (row["init"], int(row["seed"])),
        (row["other_init"], int(row["other_seed"])),
    ]
    expected = fabricate.pair_score("after", sides, 0, int(row["sample"]))
    assert float(row["after"]) == pytest.approx(expected)
    rows = list(
        csv.DictReader(run_pair_tables.similarity_csv(summary).splitlines())
    )
    assert [row["num_pairs"] for row in rows] == ["3", "9", "3"]
    assert rows[1]["stages"] == "block3 top"
    assert [row["paper"] for row in rows] == ["", "", "0.359"]
    rows = list(csv.DictReader(run_pair_tables.fits_csv(summary).splitlines()))
    assert len(rows) == 5 + 5 + 4
    for row in rows:
        assert float(row["r_squared"]) == pytest.approx(1)
    assert [r["num_points"] for r in rows[::5]] == ["6", "18", "6"]
    text = run_pair_tables.markdown(summary)
    assert "3 of 9 pairs are of one seed" in text
    assert "0.359 [0.357, 0.360]" in text


def test_transferred_runs_that_start_alike_are_told(summary, tmp_path):
    assert "start alike" not in run_pair_tables.markdown(summary)
    fabricate.write_study(tmp_path, 3)
    fabricate.write_pairs(tmp_path, models=(LITE,))
    for one, other in itertools.product(range(3), repeat=2):
        path = fabricate.write_pair(
            tmp_path, LITE, ("transfer", one), ("random", other), "before"
        )
        same = fabricate.write_pair(
            tmp_path / "x", LITE, ("transfer", 0), ("random", other), "before"
        )
        content = same.read_text().replace(
            "transfer-seed0", f"transfer-seed{one}"
        )
        path.write_text(content)
    summary = summarize_run_pairs(tmp_path, read_study(tmp_path))
    assert "all runs of transfer start alike in stem, block1" in (
        run_pair_tables.markdown(summary)
    )


def test_the_figure_shows_every_sample_the_null_level_and_the_paper(summary):
    axes = Figure().add_subplot()
    group = summary.groups[2]
    run_pair_figures._draw_group(axes, 0, group)
    drawn = [
        ln.get_ydata() for ln in axes.get_lines() if ln.get_marker() == "o"
    ]
    np.testing.assert_allclose(np.transpose(drawn), group.higher.score)
    (null,) = (ln for ln in axes.get_lines() if ln.get_linestyle() == "--")
    np.testing.assert_allclose(null.get_ydata(), group.higher.null.mean())
    segments = [c.get_segments()[0][:, 1] for c in axes.containers[0][2]]
    np.testing.assert_allclose(
        segments[0], (group.similarity.low, group.similarity.high)
    )
    (diamond,) = (ln for ln in axes.get_lines() if ln.get_marker() == "D")
    assert diamond.get_ydata() == [0.359]


def test_the_scatter_shows_every_sample_and_the_line(summary):
    axes = Figure().add_subplot()
    group = summary.groups[1]
    run_pair_figures._draw_stage(axes, group, "top")
    dots, crosses, fitted = axes.get_lines()[:3]
    np.testing.assert_array_equal(
        dots.get_xdata(), group.before["top"].score.ravel()
    )
    np.testing.assert_array_equal(
        dots.get_ydata(), group.after["top"].score.ravel()
    )
    assert len(crosses.get_xdata()) == 9
    np.testing.assert_allclose(
        fitted.get_ydata(), 2 * np.array(fitted.get_xdata()) + 0.05
    )
    assert "R² 1.00 [1.00, 1.00]" in axes.get_title()
    assert axes.get_xlabel() == "null levels: 0.070 at step 0, 0.070 after"


def test_a_report_of_published_pairs_is_the_report_of_the_study(tmp_path):
    unfinished = (f"{TINY}-random-seed0",)
    study = fabricate.write_study(tmp_path / "study", unfinished=unfinished)
    fabricate.write_pairs(study, models=(LITE, TINY))
    reporting.publish_records(study, tmp_path / "records")
    published = {p.name for p in (tmp_path / "records/comparisons").iterdir()}
    # Of the pairs of CBR-Tiny, the one of the two finished runs.
    assert len([n for n in published if n.startswith(f"{TINY}-random-")]) == 4
    assert not any(unfinished[0] in name for name in published)
    reports = [
        reporting.write_report(tmp_path / source, tmp_path / f"{source}-report")
        for source in ("records", "study")
    ]
    ours, theirs = ({f.name: f.read_bytes() for f in r.files} for r in reports)
    assert {
        "run_pairs.csv",
        "run_similarity.svg",
        "initial_similarity.png",
    } <= (set(ours))
    # The study says besides what it left out.
    for name in set(ours) - {"run_similarity.md"}:
        assert ours[name] == theirs[name], name


def test_every_value_of_the_paper_lies_in_its_range_and_is_of_a_model():
    values = paper_values._values()
    assert len(values) == 10
    for (_, row, _), value in values.items():
        assert row in names.MODEL_TITLES
        assert value.low <= value.value <= value.high
        assert "digitised" in value.source
