import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tests.reporting import fabricate
from transfusion_tf.reporting import figures
from transfusion_tf.reporting.study import Arm, read_study
from transfusion_tf.reporting.summaries import summarize

TRANSFER = Arm("efficientnet_lite0", "transfer")


def axes_of(study, draw):
    axes = Figure().add_subplot()
    draw(axes, study)
    return axes


def draw_transfer(axes, study):
    figures._draw_arm_convergence(axes, 0, TRANSFER, study.runs_of(TRANSFER))


def draw_layers(axes, study):
    figures._draw_model_similarity(axes, study, "efficientnet_lite0")


def line(axes, label):
    return next(ln for ln in axes.get_lines() if ln.get_label() == label)


def test_below_three_seeds_there_is_a_line_a_run_and_no_band(tmp_path):
    study = read_study(fabricate.write_study(tmp_path, 2))
    axes = axes_of(study, draw_transfer)
    assert len(axes.get_lines()) == 2 and not axes.collections
    for seed, drawn in enumerate(axes.get_lines()):
        np.testing.assert_array_equal(drawn.get_xdata(), fabricate.STEPS)
        np.testing.assert_array_equal(
            drawn.get_ydata(), fabricate.curve("transfer", seed)
        )
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["EfficientNet-Lite0, transfer (2 runs)"]


def test_from_three_seeds_there_is_a_mean_and_students_t_band(tmp_path):
    study = read_study(fabricate.write_study(tmp_path, 3))
    axes = axes_of(study, draw_transfer)
    assert len(axes.get_lines()) == 4
    values = [fabricate.curve("transfer", seed)[0] for seed in range(3)]
    low, high = stats.t.interval(
        0.95, 2, loc=np.mean(values), scale=stats.sem(values)
    )
    vertices = axes.collections[0].get_paths()[0].vertices
    first = vertices[vertices[:, 0] == fabricate.STEPS[0], 1]
    assert (first.min(), first.max()) == pytest.approx((low, high))
    mean = axes.get_lines()[-1].get_ydata()
    assert mean[0] == pytest.approx(np.mean(values))


def test_layers_are_the_mean_over_runs_with_each_run_and_null(tmp_path):
    study = read_study(fabricate.write_study(tmp_path, 2))
    axes = axes_of(study, draw_layers)
    mean = line(axes, "EfficientNet-Lite0, transfer").get_ydata()
    # Scores fall by 0.08 a stage; the runs differ by 0.01.
    np.testing.assert_allclose(mean, 0.905 - 0.08 * np.arange(5))
    reuse = line(axes, "transfer - random").get_ydata()
    np.testing.assert_allclose(reuse, 0.3)
    dashed = [
        ln.get_ydata()
        for ln in axes.get_lines()
        if ln.get_linestyle() == "--" and len(ln.get_ydata())
    ]
    np.testing.assert_allclose(dashed, [0.1 + 0.01 * np.arange(5)] * 2)
    points = [ln for ln in axes.get_lines() if ln.get_marker() == "_"]
    assert len(points) == 4 + 1  # A row a run, and the legend's entry.
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert tuple(names) == fabricate.STAGES["efficientnet_lite0"]


def test_an_undefined_stage_leaves_a_gap_and_no_error(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = next(tmp_path.glob("comparisons/cbr_tiny*/comparison.json"))
    path.write_text(path.read_text().replace('"score": 0.6,', '"score": null,'))
    study = read_study(tmp_path)
    assert np.isnan(study.layers["cbr_tiny-random-seed0"][0].score)
    drawn = figures.layer_similarity(study)
    assert drawn["png"].startswith(b"\x89PNG") and b"<svg" in drawn["svg"]


def test_arms_have_different_colours_and_markers():
    looks = [figures._look(index) for index in range(len(figures.COLOURS))]
    assert len({colour for colour, _ in looks}) == len(looks)
    assert len({marker for _, marker in looks}) == len(looks)


PARTLY = (*fabricate.ARMS, ("efficientnet_lite0", "transfuse:block1"))


def test_speed_is_drawn_by_how_much_is_transfused(tmp_path):
    fabricate.write_study(tmp_path, 3, arms=PARTLY)
    summary = summarize(read_study(tmp_path))
    by_model = figures._transfused_arms(summary)
    assert list(by_model) == ["efficientnet_lite0"]
    amounts = [amount for amount, _ in by_model["efficientnet_lite0"]]
    assert amounts == [0, 2, 5]
    axes = axes_of(
        summary.study,
        lambda axes, study: figures._draw_steps(
            axes, by_model["efficientnet_lite0"], study
        ),
    )
    drawn = {
        (round(float(x)), int(y), line.get_marker())
        for line in axes.get_lines()
        if line.get_marker() in "o^"
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    # Random initialization never crosses: a triangle at the last step.
    assert drawn == {(0, 60, "^"), (2, 36, "o"), (5, 24, "o")}
    median = next(ln for ln in axes.get_lines() if len(ln.get_xdata()) == 3)
    np.testing.assert_array_equal(median.get_xdata(), [0, 2, 5])
    np.testing.assert_array_equal(median.get_ydata(), [60, 36, 24])


def test_quality_is_drawn_with_the_joint_intervals_of_the_table(tmp_path):
    fabricate.write_study(tmp_path, 3, arms=PARTLY)
    summary = summarize(read_study(tmp_path))
    arms = figures._transfused_arms(summary)["efficientnet_lite0"]
    axes = axes_of(
        summary.study,
        lambda axes, study: figures._draw_test_scores(axes, arms, study),
    )
    bars = axes.collections[0].get_segments()
    for (low, high), (amount, arm) in zip(bars, arms, strict=True):
        assert low[0] == amount
        assert (low[1], high[1]) == pytest.approx(
            (arm.joint.low, arm.joint.high)
        )


def test_none_and_all_are_no_series(tmp_path):
    summary = summarize(read_study(fabricate.write_study(tmp_path, 3)))
    assert not figures.can_show_transfusion(summary)


def test_the_axis_names_the_last_stage_transfused(tmp_path):
    fabricate.write_study(tmp_path, 1, arms=PARTLY)
    summary = summarize(read_study(tmp_path))
    arms = figures._transfused_arms(summary)["efficientnet_lite0"]
    axes = axes_of(
        summary.study, lambda axes, study: figures._label_amounts(axes, arms)
    )
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["none", "stem", "block1", "block2", "block3", "top (all)"]
    drawn = figures.transfusion(summary)
    assert drawn == figures.transfusion(summary)
    assert drawn["png"].startswith(b"\x89PNG") and b"<svg" in drawn["svg"]
