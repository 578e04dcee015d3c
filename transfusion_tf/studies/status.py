"""How far each run of a study is, from the run directories alone."""

import dataclasses
import datetime
import traceback

from transfusion_tf import records, training
from transfusion_tf.studies.study import Study


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Attributes:
        name: The run's name.
        state: "done" (trained and compared), "running", "failed" or
            "waiting".
        reason: Where it stands, who is at it, or what stopped it.
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
    there it can only be told when it last wrote.

    Args:
        study: The study; it need not have begun.

    Returns:
        A status a run, in the order of `StudyConfig.runs`.
    """
    return [
        RunStatus(config.run_name, *_state(study, config))
        for config in study.config.runs()
    ]


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


def _state(study: Study, config: training.TrainConfig) -> tuple[str, str]:
    run = study.run(config)
    if study.is_done(config):
        return "done", ""
    holder = run.holder()
    if holder is not None:
        return "running", f"{holder}; {_progress(run)}"
    if run.failure_path.exists():
        failure = records.read_json(run.failure_path)
        return (
            "failed",
            f"{failure['time']} {failure['error']}: {failure['message']}",
        )
    reason = _progress(run)
    if run.config_path.exists() and not run.has_lock:
        reason += "; an object store has no locks, a process may be at it"
    if run.job_path.exists():
        job = records.read_json(run.job_path)
        reason += f"; job {job['job_id']} was submitted {job['time']}"
    return "waiting", reason


def _progress(run: records.RunDirectory) -> str:
    if run.is_finished:
        return "trained, not compared yet"
    if not run.config_path.exists():
        return "not begun"
    metrics = run.metrics()
    if not metrics:
        return "begun, not evaluated yet"
    written = datetime.datetime.fromtimestamp(
        run.metrics_path.stat().mtime, datetime.UTC
    )
    return (
        f"begun, evaluated at step {metrics[-1]['step']} "
        f"{written.strftime('%Y-%m-%dT%H:%M:%SZ')}"
    )
