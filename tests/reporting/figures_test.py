import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from tests.reporting import fabricate
from transfusion_tf.reporting import figures
from transfusion_tf.reporting.study import Arm, read_study

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


def test_many_arms_stand_in_panels_with_random_in_grey(tmp_path):
    models = ("cbr_tiny", "efficientnet_lite0")
    arms = [
        (model, init)
        for model in models
        for init in ("random", "transfer", "transfuse:block1")
        if (model, init) != ("cbr_tiny", "transfuse:block1")
    ]
    study = read_study(fabricate.write_study(tmp_path, 3, arms=arms))
    figure = figures._convergence_panels(study)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [
        "CBR-Tiny\nrandom",
        "CBR-Tiny\ntransfer",
        "EfficientNet-Lite0\nrandom",
        "EfficientNet-Lite0\ntransfer",
        "EfficientNet-Lite0\ntransfuse:block1",
    ]
    expected = np.mean([fabricate.curve("random", s) for s in range(3)], axis=0)
    for axes, (_, init) in zip(panels, arms, strict=True):
        grey = [
            ln.get_ydata()
            for ln in axes.get_lines()
            if ln.get_color() == figures.GREY and ln.get_linestyle() == "-"
        ]
        if init == "random":
            assert not grey
        else:
            np.testing.assert_allclose(grey, [expected])
    drawn = figures.convergence(study)
    assert drawn == figures.convergence(study)
