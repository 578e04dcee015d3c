"""Runs what is missing of a study, and reports."""

import dataclasses
from typing import Any

import tensorflow as tf

from transfusion_tf import records, reporting, training
from transfusion_tf.studies import slurm
from transfusion_tf.studies.runner import Runner
from transfusion_tf.studies.status import RunStatus, study_status
from transfusion_tf.studies.study import Study
from transfusion_tf.studies.workers import run_in_workers

EXECUTOR_NAMES = ("local", "slurm")
# Of records: a page of them takes a second or two. `launch.report --html`
# makes larger ones.
_MOST_BYTES_OF_A_PAGE = 5_000_000


def _field(default: Any, help_text: str, **metadata: Any) -> Any:
    return dataclasses.field(
        default=default, metadata={"help": help_text, **metadata}
    )


@dataclasses.dataclass(frozen=True)
class ExecutorConfig:
    """Where the runs of a study are trained; no part of what they are.

    Raises:
        ValueError: If the values do not go together.

    Example:
    >>> ExecutorConfig(executor="slurm", workers=2)
    Traceback (most recent call last):
        ...
    ValueError: --workers is of --executor=local. Received: workers=2, \
executor='slurm'. Use --max_parallel=2.
    """

    executor: str = _field(
        "local",
        "local (this machine), or slurm (a job a run).",
        choices=EXECUTOR_NAMES,
    )
    workers: int = _field(
        1,
        "Runs at a time on this machine, each in a process of its own and, "
        "where there are GPUs, on its own GPU. More than one needs "
        "--num_threads; --cache_gigabytes is shared out.",
    )
    max_parallel: int | None = _field(
        None, "Slurm: runs at a time. Default: 256."
    )
    slurm_parameters: str | None = _field(
        None,
        "Slurm: name=value,... as sbatch names them, with _ for -, for "
        "example time=240,partition=gpu,gpus_per_node=1,mem=32GB; time, in "
        "minutes, is needed. Jobs that it ends are queued again.",
    )

    def __post_init__(self) -> None:
        """Checks what can be checked without a machine."""
        if self.executor not in EXECUTOR_NAMES:
            raise ValueError(
                f"There is no such executor. Received: {self.executor!r}. Use "
                f"--executor={' or '.join(EXECUTOR_NAMES)}."
            )
        for name in ("workers", "max_parallel"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. Received: {name}={value}. "
                    f"Use --{name}=1 or more."
                )
        if self.executor == "slurm" and self.workers > 1:
            raise ValueError(
                "--workers is of --executor=local. Received: workers="
                f"{self.workers}, executor='slurm'. Use "
                f"--max_parallel={self.workers}."
            )
        for name in ("max_parallel", "slurm_parameters"):
            if self.executor == "local" and getattr(self, name) is not None:
                raise ValueError(
                    f"--{name} is of --executor=slurm. Received: {name}="
                    f"{getattr(self, name)!r}, executor='local'. Leave it "
                    "out, or use --executor=slurm."
                )
        if self.executor == "slurm":
            slurm.parse_parameters(self.slurm_parameters)

    @property
    def num_parallel(self) -> int:
        """Most runs at a time."""
        if self.executor == "slurm":
            return self.max_parallel or slurm.MAX_PARALLEL
        return self.workers

    @property
    def is_elsewhere(self) -> bool:
        """Whether other processes than this one train."""
        return self.executor == "slurm" or self.workers > 1


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a study has come to.

    Attributes:
        report: The report of the runs that are done, also written to
            `report/`; None if none is done.
        unfinished: The runs that are not done.
        incomplete: The runs that are done, but for what this version adds to
            their comparisons, which has failed.
        is_awaited: Whether they were to be done by now: Slurm's are not.
        has_page: Whether the report has a page of its own.
    """

    report: reporting.Report | None
    unfinished: tuple[RunStatus, ...]
    incomplete: tuple[RunStatus, ...]
    is_awaited: bool
    has_page: bool

    @property
    def exit_code(self) -> int:
        """What a program ends with: 1 where a run has failed."""
        return int(self.is_awaited and bool(self.unfinished or self.incomplete))

    def describe(self, study: Study) -> str:
        """Says what came out, what is missing, and how to go on.

        Args:
            study: What was run.
        """
        parts, directory = [""], study.path / "report"
        if self.report is not None:
            parts += [
                f"{self.report.table_markdown}\n",
                f"{self.report.verdict}\n",
                f"Report: {directory}",
                f"TensorBoard: tensorboard --logdir {study.path}",
            ]
            if not self.has_page:
                parts.append(
                    "No page was made: of so many records it is slow to open. "
                    f"python -m launch.report --study_dir={study.path} "
                    f"--output_dir={directory} --html makes it."
                )
        if self.incomplete:
            parts += ["", *map(str, self.incomplete)]
            parts.append(
                f"{len(self.incomplete)} runs are done, but their comparisons "
                "of an earlier version could not be completed. Mend what is "
                "said above; the same command tries again."
            )
        if self.unfinished:
            parts += ["", *map(str, self.unfinished)]
            parts.append(
                f"{len(self.unfinished)} of {len(study.config.runs())} runs "
                "are not done. The same command runs what is missing and "
                "prints the report; with --status it says how far they are."
            )
        return "\n".join(parts)


def prepare_executor(
    executor: ExecutorConfig, config: training.TrainConfig
) -> tf.distribute.Strategy:
    """Readies this process for its part; before TensorFlow is asked anything.

    Args:
        executor: Where runs are trained.
        config: What all runs share.

    Returns:
        The strategy of this process; a job's is made where it runs.

    Raises:
        ValueError: If runs cannot be trained in this way.
        RuntimeError: If Keras runs on another backend, or there is no Slurm.
        ImportError: If submitit is not installed.
    """
    if config.strategy == "multi_worker":
        raise ValueError(
            "Each run of a study is trained by one process. Received: "
            "strategy='multi_worker'. Use --strategy=mirrored, or train the "
            "runs by launch.train."
        )
    if executor.is_elsewhere:
        _check_threads(executor, config)
    if executor.workers > 1:
        _leave_gpus_to_workers(executor.workers, config.strategy)
    if executor.executor == "slurm":
        slurm.check_available()
        return training.prepare_runtime(config.num_threads)
    return training.prepare_runtime(
        config.num_threads,
        **{name: getattr(config, name) for name in training.DEVICE_FIELDS},
    )


def run_study(
    study: Study,
    trainer: training.Trainer,
    *,
    executor: ExecutorConfig | None = None,
    progress: training.Progress | None = None,
    stop_request: training.StopRequest | None = None,
    command: str = "",
) -> Outcome:
    """Trains and compares what is missing, and writes the report.

    The same call again goes on where the last one was stopped; what is
    finished is not done again. A run that fails does not stop the others.
    With Slurm the missing runs are submitted and not waited for: the report
    is of what is done, and the same call later is of all.

    Args:
        study: What to run, and where.
        trainer: Opens data, and trains the runs that are trained here; it
            keeps programs and data between them.
        executor: Where runs are trained. Default: in this process.
        progress: Told of the steps of workers.
        stop_request: Stops workers.
        command: The command that ran it, for the report.

    Returns:
        The report, and what is not done with the reasons.

    Raises:
        ValueError: If a run's directory was written by another
            configuration, its comparison was made in another way, or a run
            is not possible. `study.json` then is as it was.
        training.Interrupted: If asked to stop; everything is saved.
    """
    executor = executor or ExecutorConfig()
    records.check_writable(study.path)
    missing = [
        config
        for config in study.config.runs()
        if not study.is_done(config) or study.lacks_matrix(config)
    ]
    _check_before_training(study, trainer, missing)
    records.write_json(study.path / "study.json", study.config.record(command))
    if executor.executor == "slurm":
        submitter = slurm.make_executor(
            study,
            executor.slurm_parameters,
            max_parallel=executor.num_parallel,
        )
        slurm.submit(study, missing, submitter)
    elif executor.workers > 1:
        run_in_workers(
            study,
            missing,
            num_workers=executor.workers,
            progress=progress,
            stop_request=stop_request,
        )
    else:
        runner = Runner(study, trainer)
        for config in missing:
            runner.run(config)
    return _conclude(study, is_awaited=executor.executor == "local")


def _conclude(study: Study, *, is_awaited: bool) -> Outcome:
    states = study_status(study)
    unfinished = tuple(run for run in states if run.state != "done")
    incomplete = tuple(r for r in states if r.state == "done" and r.reason)
    report, has_page = None, False
    if len(unfinished) < len(states):
        directory = study.path / "report"
        report = reporting.write_report(study.path, directory)
        reporting.write_document(report.document, directory)
        page = directory / "report.html"
        page.unlink(missing_ok=True)
        has_page = _num_bytes_shown(study) <= _MOST_BYTES_OF_A_PAGE
        if has_page:
            reporting.write_page(study.path, report.document, page)
    return Outcome(report, unfinished, incomplete, is_awaited, has_page)


def _num_bytes_shown(study: Study) -> int:
    """Returns the size of the records that grow with what a page shows."""
    return sum(
        path.stat().length
        for config in study.config.runs()
        for path in (
            study.run(config).metrics_path,
            study.run(config).filters_path,
        )
        if path.exists()
    )


def _check_before_training(
    study: Study,
    trainer: training.Trainer,
    missing: list[training.TrainConfig],
) -> None:
    """Finds an impossible run before hours of work are spent on others."""
    for config in study.config.runs():
        training.check_same_config(study.run(config), config)
        study.check_comparison(config)
    for config in missing:
        if not study.run(config).is_finished:
            training.load_donor(config)
    # The first model is built last, and kept for the first run.
    for model in reversed(dict.fromkeys(c.model for c in missing)):
        config = next(c for c in missing if c.model == model)
        trainer.program(config, trainer.data(config))


def _check_threads(
    executor: ExecutorConfig, config: training.TrainConfig
) -> None:
    if config.num_threads == 0:
        raise ValueError(
            "Bits depend on the number of threads, so with several runs on a "
            "machine, or on machines that differ, it is said and recorded. "
            f"Received: num_threads=0 (all cores), executor="
            f"{executor.executor!r}, workers={executor.workers}. Use "
            "--num_threads=1, or a run's share of the cores."
        )


def _leave_gpus_to_workers(num_workers: int, strategy: str) -> None:
    if strategy != "default":
        raise ValueError(
            "Each worker trains on one device. Received: workers="
            f"{num_workers}, strategy={strategy!r}. Leave out --workers or "
            "--strategy."
        )
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and num_workers > len(gpus):
        raise ValueError(
            f"Each worker needs a GPU of its own. Received: workers="
            f"{num_workers}, {len(gpus)} GPUs. Use --workers={len(gpus)}."
        )
    tf.config.set_visible_devices([], "GPU")
