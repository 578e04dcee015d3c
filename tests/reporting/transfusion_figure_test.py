"""How much is transfused: points, medians, intervals and names."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.reporting import fabricate
from transfusion_tf.reporting import transfusion_figure as figures
from transfusion_tf.reporting.study import read_study
from transfusion_tf.reporting.summaries import summarize


def axes_of(study, draw):
    axes = Figure().add_subplot()
    draw(axes, study)
    return axes


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
