"""Jobs against a Slurm that only writes down what it is asked."""

import dataclasses
import os
import re
import signal
import stat
import threading

import pytest
import submitit
from etils import epath

from tests.comparing import assert_same_run
from transfusion_tf import analysis, records, studies, training
from transfusion_tf.studies import runner, slurm, status

SBATCH = """#!/bin/sh
cp "$1" "{log}/script"
echo "Submitted batch job $(cat "{log}/next_id")"
"""
SQUEUE = """#!/bin/sh
echo "$@" >> "{log}/asked"
cat "{log}/queue"
"""
SACCT = """#!/bin/sh
echo "$@" >> "{log}/asked"
cat "{log}/ended"
"""


def study_of(config, path, seeds=(0, 1)):
    config = studies.StudyConfig(
        name="test",
        arms=(studies.Arm("cbr_tiny", "random"),),
        seeds=seeds,
        base=dataclasses.replace(config, num_threads=1),
        protocol=analysis.ProtocolConfig(
            num_positions=100, repeats=1, num_images=14
        ),
    )
    return studies.Study(config, epath.Path(path))


@pytest.fixture
def study(folder_config, tmp_path):
    return study_of(folder_config, tmp_path / "study")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Programs by Slurm's names, and where they read and write."""
    programs, log = tmp_path / "programs", tmp_path / "log"
    programs.mkdir()
    log.mkdir()
    for name, text in (
        ("sbatch", SBATCH),
        ("squeue", SQUEUE),
        ("sacct", SACCT),
        ("srun", ""),
    ):
        path = programs / name
        path.write_text(text.format(log=log))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (log / "next_id").write_text("77")
    (log / "queue").write_text("77_0 PENDING\n77_1 PENDING\n5 RUNNING\n")
    (log / "ended").write_text("")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


def submit(study, parameters="time=60,partition=gpu,mem=32GB"):
    executor = slurm.make_executor(study, parameters, max_parallel=1)
    slurm.submit(study, study.config.runs(), executor)


def jobs_of(study):
    runs = [study.run(config) for config in study.config.runs()]
    return [records.read_json(run.job_path)["job_id"] for run in runs]


def test_one_array_with_a_job_a_run_is_submitted(study, cluster):
    submit(study)
    assert jobs_of(study) == ["77_0", "77_1"]
    script = (cluster / "script").read_text()
    asked = set(re.findall("^#SBATCH --(.*)$", script, re.MULTILINE))
    assert {
        "array=0-1%1",
        "cpus-per-task=1",  # As many as --num_threads.
        "job-name=test",
        "mem=32GB",
        "partition=gpu",
        "signal=USR2@90",
        "time=60",
    } <= asked
    assert "-m submitit.core._submit" in script
    for job_id, config in zip(jobs_of(study), study.config.runs(), strict=True):
        path = study.path / "jobs" / f"{job_id}_submitted.pkl"
        submission = submitit.core.utils.DelayedSubmission.load(path)
        assert isinstance(submission.function, slurm.RunJob)
        assert submission.args == (config,)
        again = submission._checkpoint_function()
        assert again.args == (config,)


def test_what_is_queued_is_not_submitted_again_and_what_failed_is(
    study, cluster
):
    submit(study)
    (cluster / "queue").write_text("77_0 PENDING\n")
    (cluster / "next_id").write_text("78")
    submit(study)
    assert jobs_of(study) == ["77_0", "78"]


def test_where_slurm_does_not_answer_nothing_is_submitted_twice(study, cluster):
    submit(study)
    (cluster / "queue").unlink()
    (cluster / "script").unlink()
    with pytest.raises(RuntimeError, match="Slurm does not answer. Received"):
        submit(study)
    assert not (cluster / "script").exists()
    assert jobs_of(study) == ["77_0", "77_1"]
    for run in studies.study_status(study):
        assert run.state == "waiting"
        assert run.reason.endswith("may be queued: Slurm does not answer here")


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ("77_1|OUT_OF_MEMORY|\n", "ended as OUT_OF_MEMORY; its log"),
        ("77_1|CANCELLED by 0|\n", "ended as CANCELLED by 0; its log"),
        ("", "ended without a word; its log"),
        ("77_1||\n", "ended without a word; its log"),
        # Accounting lags behind the queue.
        ("77_1|RUNNING|\n", "ended without a word; its log"),
        (None, "ended without a word; its log"),  # None is kept.
    ],
)
def test_a_job_that_was_killed_has_failed_and_how_is_told(
    study, cluster, ended, told
):
    submit(study)
    (cluster / "queue").write_text("77_0 RUNNING\n")
    (cluster / "ended").unlink()
    if ended is not None:
        (cluster / "ended").write_text(ended)
    running, killed = studies.study_status(study)
    assert (running.state, killed.state) == ("running", "failed")
    assert running.reason.startswith("not begun; job 77_0, submitted 20")
    assert running.reason.endswith("is RUNNING")
    assert told in killed.reason
    # One question for all jobs, and one for those that are gone.
    queue, accounting = (cluster / "asked").read_text().splitlines()
    assert accounting.endswith("--jobs=77_1")


def test_a_job_that_fails_while_others_are_noted_stays_failed(study, cluster):
    run = study.run(study.config.runs()[1])
    status.record_failure(run, ValueError("an earlier job's"))
    executor = slurm.make_executor(study, "time=60")
    map_array = executor.map_array

    def map_array_and_fail(*arguments):
        assert not run.failure_path.exists()
        jobs = map_array(*arguments)
        status.record_failure(run, ValueError("this job's"))
        return jobs

    executor.map_array = map_array_and_fail
    slurm.submit(study, study.config.runs(), executor)
    state = studies.study_status(study)[1]
    assert (state.state, "this job's" in state.reason) == ("failed", True)


def test_the_same_call_submits_and_when_all_is_done_reports(
    study, cluster, trainer
):
    executor = studies.ExecutorConfig("slurm", slurm_parameters="time=60")
    outcome = studies.run_study(study, trainer, executor=executor)
    assert (outcome.report, outcome.exit_code) == (None, 0)
    assert [run.state for run in outcome.unfinished] == ["waiting"] * 2
    assert "job 77_1, submitted 20" in outcome.unfinished[1].reason
    for config in study.config.runs():
        runner.Runner(study, trainer).run(config)
    (cluster / "script").unlink()
    outcome = studies.run_study(study, trainer, executor=executor)
    assert outcome.unfinished == ()
    assert outcome.report.missing == ()
    assert not (cluster / "script").exists()


def test_a_run_that_a_process_is_at_is_left_to_it(study, cluster):
    with study.run(study.config.runs()[0]).lock():
        submit(study)
    assert not study.run(study.config.runs()[0]).job_path.exists()


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        (None, "needs a time limit"),
        ("time=4:00:00", "needs a time limit"),
        ("time=60,partitoin=gpu", "partitoin"),
    ],
)
def test_impossible_parameters_are_refused(study, cluster, parameters, told):
    with pytest.raises(ValueError, match=told):
        submit(study, parameters)


def test_an_object_store_is_no_place_for_logs(study, cluster):
    study = dataclasses.replace(study, path=epath.Path("gs://bucket/study"))
    with pytest.raises(ValueError, match="all machines see"):
        submit(study)


def test_slurm_without_slurm_is_refused_at_start(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    executor = studies.ExecutorConfig("slurm", slurm_parameters="time=5")
    with pytest.raises(RuntimeError, match="There is no Slurm here"):
        studies.prepare_executor(executor, training.TrainConfig(num_threads=1))


def test_slurm_without_submitit_names_the_extra(monkeypatch):
    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(slurm.importlib, "import_module", fail)
    with pytest.raises(ImportError, match=r"transfusion_tf\[cluster\]"):
        slurm.check_available()


def test_a_job_told_that_time_is_up_saves_is_queued_again_and_ends_the_same(
    folder_config, tmp_path
):
    # Saved by nothing but the signal.
    config = dataclasses.replace(
        folder_config, num_epochs=10, checkpoint_every_steps=10_000
    )
    runs, jobs = {}, {}
    for name in ("interrupted", "undisturbed"):
        study = study_of(config, tmp_path / name, seeds=(0,))
        executor = submitit.LocalExecutor(study.path / "jobs")
        executor.update_parameters(timeout_min=10)
        slurm.submit(study, study.config.runs(), executor)
        runs[name] = study.run(study.config.runs()[0])
        job_id = records.read_json(runs[name].job_path)["job_id"]
        jobs[name] = submitit.LocalJob(executor.folder, job_id)
    run, job = runs["interrupted"], jobs["interrupted"]
    while not run.metrics():
        assert not job.paths.result_pickle.exists(), job.stderr()
        threading.Event().wait(0.05)
    os.kill(int(run.holder().split()[1]), signal.SIGUSR2)
    for name, job in jobs.items():
        os.waitpid(int(job.job_id), 0)
        assert ("Requeued job" in job.stderr()) == (name == "interrupted")
        runs[name].job_path.unlink()
    assert_same_run(run.path, runs["undisturbed"].path)
    assert studies.study_status(study)[0].state == "done"
