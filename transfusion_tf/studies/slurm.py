"""Runs of a study as jobs of a Slurm cluster, through submitit."""

import contextlib
import importlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from transfusion_tf import records, training
from transfusion_tf.studies import jobs, status
from transfusion_tf.studies.runner import Runner
from transfusion_tf.studies.study import Study

# Each attempt goes on from the last one's checkpoint.
_MAX_ATTEMPTS = 1000
MAX_PARALLEL = 256
_WORDS = {"true": True, "false": False}


def check_available() -> None:
    """Checks that jobs can be submitted from here.

    Raises:
        ImportError: If submitit is not installed.
        RuntimeError: If there is no Slurm.
    """
    _submitit()
    if shutil.which("sbatch") is None or shutil.which("srun") is None:
        raise RuntimeError(
            "There is no Slurm here. Received: executor='slurm', and neither "
            "sbatch nor srun among the programs of this machine. Use a login "
            "node of the cluster, or --executor=local."
        )


def parse_parameters(parameters: str | None) -> dict[str, Any]:
    """Reads `name=value,...`.

    Args:
        parameters: What Slurm must know; `time`, in minutes, is needed.

    Returns:
        Names and values, numbers as such; the names are not checked.

    Raises:
        ValueError: If the time is missing or no number of minutes.

    Example:
    >>> parse_parameters("time=240,partition=gpu,exclusive=true")
    {'time': 240, 'partition': 'gpu', 'exclusive': True}
    """
    values: dict[str, Any] = {}
    for item in (parameters or "").split(","):
        name, _, value = item.strip().partition("=")
        values[name] = _WORDS.get(value, value)
        if value.isdecimal():
            values[name] = int(value)
    values.pop("", None)
    if "setup" in values:
        values["setup"] = [values["setup"]]
    if not isinstance(values.get("time"), int):
        raise ValueError(
            "A job needs a time limit, in minutes; what is cut off by it is "
            f"queued again. Received: slurm_parameters={parameters!r}. Use "
            "--slurm_parameters=time=240,partition=NAME,gpus_per_node=1, for "
            "example."
        )
    return values


def make_executor(
    study: Study, parameters: str | None, *, max_parallel: int = MAX_PARALLEL
) -> Any:
    """Makes what submits jobs.

    Args:
        study: Its directory gets `jobs/`, with the jobs' logs.
        parameters: `name=value,...` as sbatch names them, with _ for -;
            `time`, in minutes, is needed.
        max_parallel: Most jobs at a time.

    Returns:
        A `submitit.SlurmExecutor`.

    Raises:
        ValueError: If a parameter is unknown or the time is missing.
    """
    folder = study.path / "jobs"
    if records.in_object_store(folder):
        raise ValueError(
            "Slurm's jobs write their logs to a file system that all machines "
            f"see. Received: study_dir={os.fspath(study.path)!r}. Name such a "
            "directory; --data_dir may be an object store."
        )
    values = parse_parameters(parameters)
    executor = _submitit().SlurmExecutor(
        os.fspath(folder), max_num_timeout=_MAX_ATTEMPTS
    )
    defaults = {
        "job_name": study.config.name,
        "cpus_per_task": study.config.base.num_threads,
        "array_parallelism": max_parallel,
    }
    try:
        executor.update_parameters(**(defaults | values))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Slurm's parameters are not possible. Received: {parameters!r}: "
            f"{error}"
        ) from error
    return executor


def submit(
    study: Study, configs: Sequence[training.TrainConfig], executor: Any
) -> None:
    """Submits a job for each run, as one array, and does not wait.

    Runs whose job is queued or running are left to it. A run's `job.json`
    names its job.

    Args:
        study: What the runs are of.
        configs: The runs.
        executor: A `submitit` executor.

    Raises:
        RuntimeError: If runs were submitted before and Slurm does not say
            whether their jobs are queued.
    """
    submitted = {c: _submitted_job(study.run(c)) for c in configs}
    alive = jobs.live_jobs() if any(submitted.values()) else {}
    free = [
        config
        for config in configs
        if submitted[config] not in alive and study.run(config).holder() is None
    ]
    if not free:
        return
    for config in free:  # Before: a job may fail while others are noted.
        study.run(config).failure_path.unlink(missing_ok=True)
    new_jobs = executor.map_array(RunJob(study), free)
    for config, job in zip(free, new_jobs, strict=True):
        records.write_json(
            study.run(config).job_path,
            {"job_id": job.job_id, "time": status.now()},
        )


class RunJob:
    """What a job does: one run. It is queued again when it is interrupted."""

    def __init__(self, study: Study) -> None:
        """Takes the study, of which submitit keeps a copy.

        Args:
            study: What the runs are of.
        """
        self._study = study

    def __call__(self, config: training.TrainConfig) -> None:
        """Brings the run to its end.

        Args:
            config: One of the study's runs.

        Raises:
            RuntimeError: If the run failed; so Slurm shows the job as failed.
        """
        strategy = training.prepare_runtime(
            config.num_threads,
            **{name: getattr(config, name) for name in training.DEVICE_FIELDS},
        )
        request = training.StopRequest()
        trainer = training.Trainer(stop_request=request, strategy=strategy)
        with (
            training.stop_on_signals(request),
            _queued_again_after_saving(request),
        ):
            Runner(self._study, trainer).run(config)
        if not self._study.is_done(config):
            # Of this run alone: not every job that fails asks Slurm of all.
            state, reason = status.run_state(self._study, config)
            raise RuntimeError(f"{config.run_name}: {state}, {reason}")

    def checkpoint(self, config: training.TrainConfig) -> Any:
        """Tells submitit what to queue: the same run goes on by itself.

        Args:
            config: The run that was interrupted.

        Returns:
            A `submitit.helpers.DelayedSubmission`.
        """
        return _submitit().helpers.DelayedSubmission(self, config)


@contextlib.contextmanager
def _queued_again_after_saving(
    request: training.StopRequest,
) -> Iterator[None]:
    """Has the run saved before submitit, told that time is up, requeues it.

    submitit has installed its handler by now; it calls `RunJob.checkpoint`,
    queues the job again and exits.
    """
    number = signal.Signals[f"SIG{_submitit().JobEnvironment.USR_SIG}"]
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        request.set()

    handle_of_submitit = signal.signal(number, handle)
    try:
        yield
    except training.Interrupted:
        if received and callable(handle_of_submitit):
            handle_of_submitit(number, None)
        raise
    finally:
        signal.signal(number, handle_of_submitit)


def _submitted_job(run: records.RunDirectory) -> str | None:
    """Returns the job that was last submitted for a run, whatever became."""
    if not run.job_path.exists():
        return None
    return str(records.read_json(run.job_path)["job_id"])


def _submitit() -> Any:
    """Imports submitit, which only Slurm needs."""
    try:
        return importlib.import_module("submitit")
    except ImportError as error:
        raise ImportError(
            "Slurm is used through submitit, which is not installed. "
            "Received: executor='slurm'. pip install 'transfusion_tf[cluster]'"
        ) from error
