import dataclasses

import pytest
import tensorflow as tf

from transfusion_tf import analysis, records, studies, training
from transfusion_tf.studies import plan, runner


def states(study):
    return {run.name: run.state for run in studies.study_status(study)}


def test_a_study_goes_from_waiting_to_done_and_reports(study, study_trainer):
    assert set(states(study).values()) == {"waiting"}
    outcome = studies.run_study(study, study_trainer, command="the command")
    assert (outcome.unfinished, outcome.exit_code) == ((), 0)
    report = outcome.report
    assert set(states(study).values()) == {"done"}
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
    report = studies.run_study(study, study_trainer).report
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
    assert states(study) == {
        "cbr_tiny-random-seed0": "waiting",
        "cbr_tiny-random-seed1": "waiting",
    }


def test_a_comparison_made_in_another_way_is_not_taken_for_this_one(
    study, study_trainer
):
    def run(command, **choices):
        protocol = dataclasses.replace(
            study.config.protocol, **{"num_images": 10_000} | choices
        )
        config = dataclasses.replace(
            study.config, protocol=protocol, seeds=(0,)
        )
        changed = dataclasses.replace(study, config=config)
        return studies.run_study(changed, study_trainer, command=command)

    run("the first")
    [path] = study.path.glob("comparisons/*/comparison.json")
    num_images = records.read_json(path)["protocol"]["num_images"]
    assert num_images < 5000
    for choices, told in (
        ({"measure": "cka"}, "--measure: was 'cca', is 'cka'"),
        ({"sampling_seed": 3}, "--sampling_seed: was 0, is 3"),
        ({"num_images": 20}, f"--num_images: was {num_images}, is 20"),
    ):
        with pytest.raises(ValueError, match=f"another way.*{told}"):
            run("the second", **choices)
        record = records.read_json(study.path / "study.json")
        assert record["command"] == "the first"
        assert record["protocol"]["measure"] == "cca"
    # There are no more images than were asked for either time.
    assert run("the third", num_images=5000).unfinished == ()
    (study.path / "runs").rmtree()
    assert run("the fourth", num_images=5000).unfinished == ()


def test_a_donor_that_is_not_there_is_found_before_any_training(
    study, study_trainer
):
    arms = (*study.config.arms, studies.Arm("cbr_tiny", "transfer"))
    base = dataclasses.replace(study.config.base, donor="/nowhere")
    config = dataclasses.replace(study.config, arms=arms, base=base)
    study = dataclasses.replace(study, config=config)
    with pytest.raises(FileNotFoundError, match="/nowhere"):
        studies.run_study(study, study_trainer)
    assert set(states(study).values()) == {"waiting"}


def test_a_plan_counts_runs_and_steps_and_writes_nothing(study, study_trainer):
    planned = studies.plan_study(study, study_trainer)
    assert [run.name for run in planned.runs] == [
        "cbr_tiny-random-seed0",
        "cbr_tiny-random-seed1",
    ]
    assert [run.num_steps for run in planned.runs] == [2, 2]
    # 1,080,805 variables in float32, before and after.
    assert planned.runs[0].gigabytes == pytest.approx(1_080_805 * 8 / 1e9)
    assert planned.hours == pytest.approx(
        sum(2 * run.seconds_per_step / 3600 for run in planned.runs)
    )
    assert "cbr_tiny-random-seed1" in str(planned)
    assert not study.path.exists()


@pytest.mark.parametrize(
    ("hours", "num_parallel", "until_done"),
    [
        ([1, 2, 3], 1, 6),
        ([1, 2, 3], 2, 4),  # The third begins after the first.
        ([3, 3, 0, 0], 2, 3),
        ([1, 5, 1, 1], 2, 5),  # No run is split.
        ([1, 2], 256, 2),
    ],
)
def test_a_plan_says_hours_of_work_and_hours_until_done(
    hours, num_parallel, until_done
):
    runs = tuple(
        plan.PlannedRun(f"run{place}", "waiting", 3600, float(of_run), 0.5)
        for place, of_run in enumerate(hours)
    )
    planned = plan.Plan(runs, num_parallel)
    assert planned.hours == sum(hours)
    assert planned.hours_until_done == until_done
    assert (
        f"{sum(hours)}.00 hours of training are left (evaluation and "
        f"comparisons apart), {until_done}.00 hours until they are done with "
        f"{num_parallel} at a time;"
    ) in str(planned)


@pytest.mark.parametrize(
    ("values", "num_parallel"),
    [
        ({}, 1),
        ({"workers": 3}, 3),
        ({"executor": "slurm", "slurm_parameters": "time=5"}, 256),
        (
            {
                "executor": "slurm",
                "slurm_parameters": "time=5",
                "max_parallel": 8,
            },
            8,
        ),
    ],
)
def test_how_many_runs_at_a_time(values, num_parallel):
    assert studies.ExecutorConfig(**values).num_parallel == num_parallel


def test_planning_first_does_not_change_the_numbers(study, study_trainer):
    studies.plan_study(study, study_trainer)
    first = studies.run_study(study, study_trainer).report
    moved = dataclasses.replace(study, path=study.path / "again")
    again = studies.run_study(moved, study_trainer).report
    assert first.table_markdown == again.table_markdown


def test_a_comparison_that_is_stopped_is_made_when_the_run_goes_on(
    study, monkeypatch
):
    config, stop = study.config.runs()[0], training.StopRequest()
    trainer = training.Trainer(stop_request=stop)
    capture = analysis.capture_checkpoint

    def stopped(*arguments, **options):
        stop.set()
        return capture(*arguments, **options)

    monkeypatch.setattr(analysis, "capture_checkpoint", stopped)
    with pytest.raises(training.Interrupted, match="while images were scored"):
        runner.Runner(study, trainer).run(config)
    run = studies.study_status(study)[0]
    assert (run.state, run.reason) == ("waiting", "trained, not compared yet")
    monkeypatch.undo()
    stop.is_set = False
    runner.Runner(study, trainer).run(config)
    assert studies.study_status(study)[0].state == "done"


def test_a_stop_is_heeded_between_two_stages_of_a_comparison(
    study, stop_in_first_stage
):
    stop, scored = stop_in_first_stage
    with pytest.raises(training.Interrupted, match="stages compared"):
        runner.Runner(study, training.Trainer(stop_request=stop)).run(
            study.config.runs()[0]
        )
    assert scored == ["conv1"]


class FailsOnce(training.Trainer):
    """Trains all seeds but one."""

    def train(self, config, run_path):
        if config.seed == 0:
            raise FloatingPointError("The loss is not finite.")
        return super().train(config, run_path)


def test_a_run_that_fails_is_recorded_and_does_not_stop_the_others(
    study, study_trainer
):
    outcome = studies.run_study(study, FailsOnce())
    [failed] = outcome.unfinished
    assert (failed.name, failed.state) == ("cbr_tiny-random-seed0", "failed")
    assert "FloatingPointError: The loss is not finite." in failed.reason
    assert outcome.exit_code == 1
    assert outcome.report.missing == ("cbr_tiny-random-seed0",)
    assert str(failed) in outcome.describe(study)
    run = study.run(study.config.runs()[0])
    assert (
        "raise FloatingPointError"
        in (records.read_json(run.failure_path)["traceback"])
    )
    outcome = studies.run_study(study, study_trainer)
    assert outcome.unfinished == ()
    assert not run.failure_path.exists()


def test_a_run_in_use_is_left_to_the_process_that_is_at_it(
    study, study_trainer
):
    first = study.run(study.config.runs()[0])
    with first.lock():
        outcome = studies.run_study(study, study_trainer)
    assert [(run.name, run.state) for run in outcome.unfinished] == [
        ("cbr_tiny-random-seed0", "running")
    ]
    assert not first.failure_path.exists()
    assert outcome.exit_code == 1


def test_an_arm_that_cannot_be_built_is_found_before_any_training(
    study, study_trainer
):
    arms = (*study.config.arms, studies.Arm("inception_v3", "random"))
    config = dataclasses.replace(study.config, arms=arms)
    study = dataclasses.replace(study, config=config)
    with pytest.raises(ValueError, match="75"):
        studies.run_study(study, study_trainer)
    assert set(states(study).values()) == {"waiting"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"executor": "pbs"}, "no such executor"),
        ({"workers": 0}, "`workers` must be at least 1"),
        ({"executor": "slurm", "workers": 2}, "Use --max_parallel=2"),
        ({"executor": "slurm"}, "needs a time limit"),
        ({"slurm_parameters": "time=5"}, "is of --executor=slurm"),
        ({"max_parallel": 2}, "is of --executor=slurm"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(values, told):
    with pytest.raises(ValueError, match=told):
        studies.ExecutorConfig(**values)


@pytest.mark.parametrize(
    "values",
    [{"workers": 2}, {"executor": "slurm", "slurm_parameters": "time=5"}],
)
def test_with_other_processes_the_number_of_threads_is_said(values):
    executor = studies.ExecutorConfig(**values)
    with pytest.raises(ValueError, match="num_threads=0"):
        studies.prepare_executor(executor, training.TrainConfig())


def test_workers_do_not_each_take_all_devices():
    executor = studies.ExecutorConfig(workers=2)
    config = training.TrainConfig(num_threads=1, strategy="mirrored")
    with pytest.raises(ValueError, match="trains on one device"):
        studies.prepare_executor(executor, config)


def test_a_run_of_several_processes_is_refused():
    config = training.TrainConfig(strategy="multi_worker")
    with pytest.raises(ValueError, match="trained by one process"):
        studies.prepare_executor(studies.ExecutorConfig(), config)


def test_each_worker_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: ["GPU:0", "GPU:1"]
    )
    executor = studies.ExecutorConfig(workers=3)
    config = training.TrainConfig(num_threads=1)
    with pytest.raises(ValueError, match="Use --workers=2"):
        studies.prepare_executor(executor, config)
