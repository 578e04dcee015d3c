import dataclasses

import pytest
from etils import epath

from transfusion_tf import analysis, records, studies, training


@pytest.fixture
def study(synthetic_data_dir, tmp_path):
    base = training.TrainConfig(
        task="synthetic_fundus_referable",
        data_dir=str(synthetic_data_dir),
        image_size=32,
        num_train_examples=32,
        batch_size=16,
        num_steps=2,
        batch_norm_momentum=0.5,
    )
    config = studies.StudyConfig(
        name="test",
        arms=(studies.Arm("cbr_tiny", "random"),),
        seeds=(0, 1),
        base=base,
        protocol=analysis.ProtocolConfig(
            num_positions=500, repeats=1, num_images=100
        ),
    )
    return studies.Study(config, epath.Path(tmp_path / "study"))


@pytest.fixture(scope="module")
def study_trainer():
    return training.Trainer()


def test_a_study_goes_from_waiting_to_done_and_reports(study, study_trainer):
    assert set(studies.run_status(study).values()) == {"waiting"}
    report = studies.run_study(study, study_trainer, command="the command")
    assert set(studies.run_status(study).values()) == {"done"}
    assert report.missing == ()
    assert "CBR-Tiny" in report.table_markdown
    record = records.read_json(study.path / "study.json")
    assert record["command"] == "the command"
    assert record["auc_threshold"] == 0.91
    assert (study.path / "report" / "layer_similarity.png").exists()


def test_what_is_done_is_not_done_again(study, study_trainer):
    assert studies.count_steps(study, study_trainer) == (4, 0)
    studies.run_study(study, study_trainer)
    assert studies.count_steps(study, study_trainer) == (4, 4)
    times = {
        path: path.stat().mtime
        for folder in ("runs", "comparisons")
        for path in (study.path / folder).glob("*/*.json")
    }
    report = studies.run_study(study, study_trainer)
    assert {path: path.stat().mtime for path in times} == times
    assert report.missing == ()


def test_a_run_of_another_configuration_is_found_before_any_training(
    study, study_trainer
):
    # Only the last run has begun: the first ones must not be trained first.
    last = study.config.runs()[-1]
    other = dataclasses.replace(last, learning_rate=0.5)
    records.write_json(
        study.run(last).config_path,
        {"schema_version": 1, "config": other.record()},
    )
    with pytest.raises(ValueError, match="--learning_rate: was 0.5, is 0.001"):
        studies.run_study(study, study_trainer)
    assert studies.run_status(study) == {
        "cbr_tiny-random-seed0": "waiting",
        "cbr_tiny-random-seed1": "begun",
    }


def test_a_donor_that_is_not_there_is_found_before_any_training(
    study, study_trainer
):
    arms = (*study.config.arms, studies.Arm("cbr_tiny", "transfer"))
    base = dataclasses.replace(study.config.base, donor="/nowhere")
    config = dataclasses.replace(study.config, arms=arms, base=base)
    study = dataclasses.replace(study, config=config)
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        studies.run_study(study, study_trainer)
    assert set(studies.run_status(study).values()) == {"waiting"}


def test_a_plan_counts_runs_and_steps_and_writes_nothing(study, study_trainer):
    plan = studies.plan_study(study, study_trainer)
    assert [run.name for run in plan.runs] == [
        "cbr_tiny-random-seed0",
        "cbr_tiny-random-seed1",
    ]
    assert [run.num_steps for run in plan.runs] == [2, 2]
    # 1,080,805 variables in float32, before and after.
    assert plan.runs[0].gigabytes == pytest.approx(1_080_805 * 8 / 1e9)
    assert plan.hours == pytest.approx(
        sum(2 * run.seconds_per_step / 3600 for run in plan.runs)
    )
    assert "cbr_tiny-random-seed1" in str(plan)
    assert not study.path.exists()


def test_planning_first_does_not_change_the_numbers(study, study_trainer):
    studies.plan_study(study, study_trainer)
    first = studies.run_study(study, study_trainer)
    moved = dataclasses.replace(study, path=study.path / "again")
    again = studies.run_study(moved, study_trainer)
    assert first.table_markdown == again.table_markdown
