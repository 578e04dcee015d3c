"""What a study will cost, from a timed step of each architecture."""

import dataclasses
import heapq
import time

from transfusion_tf import training
from transfusion_tf.studies.status import study_status
from transfusion_tf.studies.study import Study

_TIMED_STEPS = 3
# Weights before and after training are kept, in float32.
_BYTES_PER_PARAMETER = 4
_KEPT_COPIES = 2


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A run and its cost.

    Attributes:
        name: The run's name.
        status: "done", "running", "failed" or "waiting".
        num_steps: Steps in all.
        seconds_per_step: Measured on this machine; None for a finished run.
        gigabytes: Disk for the weights that are kept.
    """

    name: str
    status: str
    num_steps: int
    seconds_per_step: float | None
    gigabytes: float

    @property
    def hours(self) -> float:
        """Hours of training, evaluation and comparison apart."""
        return self.num_steps * (self.seconds_per_step or 0.0) / 3600


@dataclasses.dataclass(frozen=True)
class Plan:
    """The cost of a study before anything of it runs.

    Attributes:
        runs: Its runs.
        num_parallel: How many of them are trained at a time.
    """

    runs: tuple[PlannedRun, ...]
    num_parallel: int = 1

    @property
    def hours(self) -> float:
        """Hours of training of the runs that are not done."""
        return sum(run.hours for run in self.runs)

    @property
    def hours_until_done(self) -> float:
        """Hours until the last run is done, each begun as soon as it can be."""
        free_after = [0.0] * self.num_parallel
        for run in self.runs:
            heapq.heapreplace(free_after, free_after[0] + run.hours)
        return max(free_after)

    def __str__(self) -> str:
        """A table, a line a run, and what it comes to."""
        header = ("run", "status", "steps", "s/step", "hours", "GB")
        rows = [header] + [
            (
                run.name,
                run.status,
                str(run.num_steps),
                f"{run.seconds_per_step:.2f}" if run.seconds_per_step else "-",
                f"{run.hours:.2f}",
                f"{run.gigabytes:.2f}",
            )
            for run in self.runs
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width)
                for cell, width in zip(row, widths, strict=True)
            ).rstrip()
            for row in rows
        ]
        gigabytes = sum(run.gigabytes for run in self.runs)
        total = (
            f"{self.hours:.2f} hours of training are left (evaluation and "
            f"comparisons apart), {self.hours_until_done:.2f} hours until they "
            f"are done with {self.num_parallel} at a time; {gigabytes:.1f} GB "
            "of weights are kept."
        )
        return "\n".join([*lines, total])


def plan_study(
    study: Study, trainer: training.Trainer, *, num_parallel: int = 1
) -> Plan:
    """Times a few steps of each architecture that is still to be trained.

    Args:
        study: What would run; nothing of it is written.
        trainer: Keeps programs and data for the study itself.
        num_parallel: Runs at a time; a step is timed alone.

    Returns:
        The plan.
    """
    status = {run.name: run.state for run in study_status(study)}
    seconds: dict[str, float] = {}
    planned = []
    for config in study.config.runs():
        name = config.run_name
        run_data = trainer.data(config)
        program = trainer.program(config, run_data)
        if status[name] != "done" and config.model not in seconds:
            seconds[config.model] = _time_step(config, run_data, program)
        steps_per_epoch = run_data.train.train_steps_per_epoch(
            config.batch_size
        )
        num_parameters = program.staged.model.count_params()
        planned.append(
            PlannedRun(
                name,
                status[name],
                training.num_steps_of(config, steps_per_epoch),
                None if status[name] == "done" else seconds[config.model],
                num_parameters * _BYTES_PER_PARAMETER * _KEPT_COPIES / 1e9,
            )
        )
    return Plan(tuple(planned), num_parallel)


def count_steps(study: Study, trainer: training.Trainer) -> tuple[int, int]:
    """Counts the steps of a study.

    Args:
        study: What runs.
        trainer: Keeps the data for the study itself.

    Returns:
        Steps of all runs, and of those that are finished.
    """
    total, done = 0, 0
    for config in study.config.runs():
        reader = trainer.data(config).train
        num_steps = training.num_steps_of(
            config, reader.train_steps_per_epoch(config.batch_size)
        )
        total += num_steps
        done += num_steps * study.run(config).is_finished
    return total, done


def _time_step(
    config: training.TrainConfig,
    run_data: training.TaskData,
    program: training.Program,
) -> float:
    """Returns seconds a step, the first, which traces, left out."""
    batches = program.train_batches(run_data.train, seed=0)
    batch = next(iter(batches))
    program.train_step(batch, 0.0)
    started = time.monotonic()
    for _ in range(_TIMED_STEPS):
        program.train_step(batch, 0.0)
    program.loss_sum.numpy()
    return (time.monotonic() - started) / _TIMED_STEPS
