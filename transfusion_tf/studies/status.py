"""How far each run of a study is, from the run directories alone."""

import dataclasses
import datetime
import traceback

from transfusion_tf import records, training
from transfusion_tf.studies import jobs
from transfusion_tf.studies.study import Study


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        name: The run's name.
        state: "done" (trained and compared), "running", "failed" or
            "waiting".
        reason: Where it stands, who is at it, or what stopped it; of a run
            that is done, why an older comparison of it was not completed.
    """

    name: str
    state: str
    reason: str = ""

    def __str__(self) -> str:
        """One line.

        Example:
        >>> str(RunStatus("cbr_tiny-random-seed0", "waiting", "not begun"))
        'waiting  cbr_tiny-random-seed0  not begun'
        """
        return f"{self.state:8} {self.name}  {self.reason}".rstrip()


def study_status(study: Study) -> list[RunStatus]:
    """Tells how far each run of a study is.

    A run is running while its directory is locked, which the operating system
    undoes when a process dies; an object store has no locks, and of a run
    there it can only be told when it last wrote. Of runs that were submitted
    to Slurm, it is asked.

    Args:
        study: The study; it need not have begun.

    Returns:
        A status a run, in the order of `StudyConfig.runs`.
    """
    configs = study.config.runs()
    states = [RunStatus(c.run_name, *run_state(study, c)) for c in configs]
    submitted = {
        place: records.read_json(study.run(config).job_path)
        for place, config in enumerate(configs)
        if states[place].state == "waiting"
        and study.run(config).job_path.exists()
    }
    of_jobs = _states_of_jobs([job["job_id"] for job in submitted.values()])
    for place, job in submitted.items():
        state, told = of_jobs[job["job_id"]]
        states[place] = RunStatus(
            states[place].name,
            state,
            f"{states[place].reason}; job {job['job_id']}, submitted "
            f"{job['time']}, {told}",
        )
    return states


def _states_of_jobs(job_ids: list[str]) -> dict[str, tuple[str, str]]:
    """Returns, by job, the state of its run and what is known of the job."""
    if not job_ids:
        return {}
    try:
        alive = jobs.live_jobs()
    except RuntimeError:
        unknown = ("waiting", "may be queued: Slurm does not answer here")
        return dict.fromkeys(job_ids, unknown)
    states = {
        job_id: (
            "running" if alive[job_id] == "RUNNING" else "waiting",
            f"is {alive[job_id]}",
        )
        for job_id in job_ids
        if job_id in alive
    }
    gone = [job_id for job_id in job_ids if job_id not in alive]
    ended = jobs.ended_jobs(gone)
    for job_id in gone:
        how = f"as {ended[job_id]}" if job_id in ended else "without a word"
        states[job_id] = (
            "failed",
            f"ended {how}; its log is in jobs/. The same command submits it "
            "again",
        )
    return states


def record_failure(run: records.RunDirectory, error: BaseException) -> None:
    """Writes down why a run ended before its end; see `RunStatus.reason`."""
    records.write_json(
        run.failure_path,
        {
            "schema_version": records.SCHEMA_VERSION,
            "time": now(),
            "error": type(error).__name__,
            "message": str(error),
            "traceback": "".join(traceback.format_exception(error)),
        },
    )


def now() -> str:
    """Returns the time as records hold it, for example 2026-01-31T12:00:00Z."""
    time = datetime.datetime.now(datetime.UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def run_state(study: Study, config: training.TrainConfig) -> tuple[str, str]:
    """Returns state and reason of a run, by what is in its directory."""
    run = study.run(config)
    if study.is_done(config):
        told = _failure(run)
        return "done", told and f"comparison not completed: {told}"
    holder = run.holder()
    if holder is not None:
        return "running", f"{holder}; {_progress(run)}"
    if told := _failure(run):
        return "failed", told
    reason = _progress(run)
    if run.config_path.exists() and not run.has_lock:
        reason += "; an object store has no locks, a process may be at it"
    return "waiting", reason


def _failure(run: records.RunDirectory) -> str:
    """Returns what the last attempt has failed with; empty if it has not."""
    if not run.failure_path.exists():
        return ""
    failure = records.read_json(run.failure_path)
    return f"{failure['time']} {failure['error']}: {failure['message']}"


def _progress(run: records.RunDirectory) -> str:
    if run.is_finished:
        return "trained, not compared yet"
    if not run.config_path.exists():
        return "not begun"
    evaluated = [r["step"] for r in run.metrics() if r["split"] != "probe"]
    if not evaluated:
        return "begun, not evaluated yet"
    written = datetime.datetime.fromtimestamp(
        run.metrics_path.stat().mtime, datetime.UTC
    )
    return (
        f"begun, evaluated at step {evaluated[-1]} "
        f"{written.strftime('%Y-%m-%dT%H:%M:%SZ')}"
    )
