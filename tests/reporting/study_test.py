import json

import numpy as np
import pytest

from tests.reporting import fabricate
from transfusion_tf.reporting import study as study_module
from transfusion_tf.reporting.study import Arm


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_finished_runs_are_read_in_the_order_of_the_study(tmp_path):
    study = study_module.read_study(fabricate.write_study(tmp_path, 2))
    assert [run.name for run in study.runs] == [
        "efficientnet_lite0-transfer-seed0",
        "efficientnet_lite0-transfer-seed1",
        "efficientnet_lite0-random-seed0",
        "efficientnet_lite0-random-seed1",
        "cbr_tiny-random-seed0",
        "cbr_tiny-random-seed1",
    ]
    assert (study.task, study.metric, study.threshold) == (
        "synthetic",
        "auc",
        0.8,
    )
    assert study.missing == () and study.notes == ()


def test_a_run_holds_what_its_records_hold(tmp_path):
    study = study_module.read_study(fabricate.write_study(tmp_path, 1))
    run = study.runs[0]
    assert run.arm == Arm("efficientnet_lite0", "transfer")
    assert run.donor == "ImageNet (EfficientNet-Lite0 wheel)"
    assert run.num_parameters == 3_400_000
    assert run.num_training_examples == 400
    np.testing.assert_array_equal(run.curve_steps, fabricate.STEPS)
    np.testing.assert_array_equal(run.curve, fabricate.curve("transfer", 0))
    assert study.runs[1].donor is None
    stem = study.layers[run.name][0]
    assert (stem.stage, stem.score, stem.null) == ("stem", 0.9, 0.1)


@pytest.mark.parametrize(
    ("sources", "num_transfused"),
    [
        (["random"] * 5, 0),
        (["copy", "copy", "random", "random", "random"], 2),
        (["copy"] * 5, 5),
        (["copy", "copy", "mean_var", "mean_var", "mean_var"], None),
        (["copy", "random", "copy", "random", "random"], None),
        (["gabor", "random", "random", "random", "random"], None),
    ],
)
def test_how_much_is_transfused_is_read_of_the_first_values(
    tmp_path, sources, num_transfused
):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / "runs" / "efficientnet_lite0-transfer-seed0"
    stages = fabricate.STAGES["efficientnet_lite0"]

    def change(variables):
        for variable in variables:
            if variable["stage"] != "head":
                place = stages.index(variable["stage"])
                variable["source"] = sources[place]

    edit(path / "initialization.json", change)
    run = study_module.read_study(tmp_path).runs[0]
    assert run.stages == stages
    assert run.num_transfused == num_transfused


def test_a_stage_copied_by_half_is_not_transfused(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / "runs" / "efficientnet_lite0-transfer-seed0"
    edit(
        path / "initialization.json",
        lambda variables: variables[0].update(source="identity"),
    )
    assert study_module.read_study(tmp_path).runs[0].num_transfused is None


def test_without_first_values_no_amount_is_known(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / "runs" / "efficientnet_lite0-transfer-seed0"
    (path / "initialization.json").unlink()
    run = study_module.read_study(tmp_path).runs[0]
    assert run.stages == () and run.num_transfused is None


def test_unfinished_and_unstarted_runs_are_missing(tmp_path):
    unfinished = "cbr_tiny-random-seed1"
    fabricate.write_study(tmp_path, 2, unfinished=(unfinished,))
    edit(tmp_path / "study.json", lambda s: s["seeds"].append(7))
    study = study_module.read_study(tmp_path)
    assert study.missing == (
        "efficientnet_lite0-transfer-seed7",
        "efficientnet_lite0-random-seed7",
        unfinished,
        "cbr_tiny-random-seed7",
    )
    assert len(study.runs) == 5


def test_runs_that_the_study_does_not_name_are_left_out_aloud(tmp_path):
    fabricate.write_study(tmp_path, 1)
    fabricate.write_run(tmp_path, "cbr_tiny", "random", 5)
    study = study_module.read_study(tmp_path)
    assert len(study.runs) == 3
    assert study.notes == (
        "cbr_tiny-random-seed5 is not part of the study: left out",
    )


def test_a_study_of_one_fold_has_the_runs_of_that_fold(tmp_path):
    fabricate.write_study(tmp_path, 2)
    edit(tmp_path / "study.json", lambda s: s.update(fold="2/5"))
    for path in tmp_path.glob("runs/*/config.json"):
        edit(path, lambda c: c["config"].update(fold="2/5"))
    study = study_module.read_study(tmp_path)
    assert (len(study.runs), study.missing, study.notes) == (6, (), ())
    other = tmp_path / "runs/cbr_tiny-random-seed1/config.json"
    edit(other, lambda c: c["config"].update(fold="3/5"))
    study = study_module.read_study(tmp_path)
    assert study.missing == ("cbr_tiny-random-fold2-seed1",)
    assert study.notes == (
        "cbr_tiny-random-seed1 is not part of the study: left out",
    )


def test_two_tasks_are_never_put_side_by_side(tmp_path):
    fabricate.write_study(tmp_path, 1)
    fabricate.write_run(
        tmp_path / "other", "cbr_tiny", "random", 1, task="folder"
    )
    (tmp_path / "other/runs/cbr_tiny-random-seed1").rename(
        tmp_path / "runs/cbr_tiny-random-seed1"
    )
    with pytest.raises(ValueError, match=r"one task.*task='folder'.*'synth"):
        study_module.read_study(tmp_path)


def test_a_result_that_contradicts_its_predictions_is_an_error(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / "runs/cbr_tiny-random-seed0/result.json"
    edit(path, lambda r: r["test"].update(auc=0.99))
    with pytest.raises(
        ValueError,
        match=r"cbr_tiny-random-seed0 contradict.*"
        r"auc=0\.99 in result\.json",
    ):
        study_module.read_study(tmp_path)


def test_two_procedures_of_comparison_are_never_put_side_by_side(tmp_path):
    fabricate.write_study(tmp_path, 1)
    fabricate.write_comparison(
        tmp_path, "cbr_tiny", "random", 0, num_positions=500
    )
    with pytest.raises(ValueError, match=r"different procedures.*500"):
        study_module.read_study(tmp_path)


def test_an_undefined_score_is_read_as_nan(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / (
        "comparisons/cbr_tiny-random-seed0-before-after/comparison.json"
    )
    edit(path, lambda c: c["stages"][0].update(score=None))
    study = study_module.read_study(tmp_path)
    assert np.isnan(study.layers["cbr_tiny-random-seed0"][0].score)


def test_another_schema_and_no_study_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no study"):
        study_module.read_study(tmp_path)
    fabricate.write_study(tmp_path, 1)
    edit(tmp_path / "study.json", lambda s: s.update(schema_version=9))
    with pytest.raises(ValueError, match=r"study\.json.*schema_version=9"):
        study_module.read_study(tmp_path)


def test_the_same_arm_and_seed_twice_is_an_error(tmp_path):
    fabricate.write_study(tmp_path, 1)
    runs = tmp_path / "runs"
    fabricate.write_run(tmp_path / "other", "cbr_tiny", "random", 0)
    (tmp_path / "other/runs/cbr_tiny-random-seed0").rename(runs / "copy")
    with pytest.raises(ValueError, match=r"Two runs are the same arm.*copy"):
        study_module.read_study(tmp_path)


def test_a_run_never_evaluated_is_an_error(tmp_path):
    fabricate.write_study(tmp_path, 1)
    path = tmp_path / "runs/cbr_tiny-random-seed0/metrics.jsonl"
    path.write_text('{"step": 6, "split": "train", "loss": 1.0}\n')
    with pytest.raises(ValueError, match=r"never evaluated.*--eval_every"):
        study_module.read_study(tmp_path)
