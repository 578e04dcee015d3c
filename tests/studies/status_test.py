import pytest
from etils import epath

from transfusion_tf import analysis, records, studies, training
from transfusion_tf.studies import status

NAMES = [f"cbr_tiny-random-seed{seed}" for seed in range(4)]


@pytest.fixture
def study(tmp_path):
    config = studies.StudyConfig(
        name="test",
        arms=(studies.Arm("cbr_tiny", "random"),),
        seeds=(0, 1, 2, 3),
        base=training.TrainConfig(),
        protocol=analysis.ProtocolConfig(),
    )
    return studies.Study(config, epath.Path(tmp_path / "study"))


def run_of(study, seed):
    run = study.run(study.config.runs()[seed])
    run.path.mkdir(parents=True, exist_ok=True)
    return run


def begin(run):
    records.write_json(run.config_path, {"schema_version": 1})


def told(study):
    return {run.name: (run.state, run.reason) for run in _states(study)}


def _states(study):
    return studies.study_status(study)


def test_a_study_that_has_not_begun_waits(study):
    assert told(study) == dict.fromkeys(NAMES, ("waiting", "not begun"))


def test_a_run_is_running_as_long_as_its_directory_is_locked(study):
    run = run_of(study, 1)
    begin(run)
    with run.lock():
        state, reason = told(study)[NAMES[1]]
        assert state == "running"
        assert reason == f"{run.holder()}; begun, not evaluated yet"
    assert told(study)[NAMES[1]] == ("waiting", "begun, not evaluated yet")


def test_a_failed_run_names_its_error_until_it_is_taken_up_again(study):
    run = run_of(study, 2)
    begin(run)
    status.record_failure(run, FloatingPointError("The loss is not finite."))
    state, reason = told(study)[NAMES[2]]
    assert state == "failed"
    time = records.read_json(run.failure_path)["time"]
    assert reason == f"{time} FloatingPointError: The loss is not finite."
    with run.lock():
        assert told(study)[NAMES[2]][0] == "running"


def test_a_run_is_done_when_it_is_trained_and_compared(study):
    config = study.config.runs()[3]
    run = run_of(study, 3)
    begin(run)
    records.write_json(run.result_path, {"schema_version": 1})
    assert told(study)[NAMES[3]] == ("waiting", "trained, not compared yet")
    records.write_json(study.comparison_path(config), {})
    assert told(study)[NAMES[3]] == ("done", "")


def test_what_is_saved_and_who_was_asked_is_told(study):
    run = run_of(study, 0)
    begin(run)
    rows = [
        {"step": 0, "split": "probe"},
        {"step": 2, "split": "validation"},
        {"step": 4, "split": "validation"},
        {"step": 5, "split": "probe"},
    ]
    records.write_jsonl(run.metrics_path, rows[:1])
    assert told(study)[NAMES[0]][1].startswith("begun, not evaluated yet")
    records.write_jsonl(run.metrics_path, rows)
    records.write_json(run.job_path, {"job_id": "77_0", "time": "then"})
    state, reason = told(study)[NAMES[0]]
    assert state == "waiting"
    assert reason.startswith("begun, evaluated at step 4 20")
    assert "; job 77_0, submitted then, may be queued" in reason
