"""Runs what is missing of a study, in one process, and reports."""

import dataclasses
from typing import Any

from etils import epath

from transfusion_tf import analysis, records, reporting, training
from transfusion_tf.studies import grid


@dataclasses.dataclass(frozen=True)
class Study:
    """A study and where it lies.

    Attributes:
        config: What is compared.
        path: Its directory: `study.json`, `runs/`, `comparisons/`, `report/`.
    """

    config: grid.StudyConfig
    path: epath.Path

    def run(self, config: training.TrainConfig) -> records.RunDirectory:
        """Returns the directory of one of its runs."""
        return records.RunDirectory(self.path / "runs" / config.run_name)

    def comparison_path(self, config: training.TrainConfig) -> epath.Path:
        """Returns where a run's comparison before and after stands."""
        name = f"{config.run_name}-before-after"
        return self.path / "comparisons" / name / "comparison.json"


def run_study(
    study: Study, trainer: training.Trainer, *, command: str = ""
) -> reporting.Report:
    """Trains and compares what is missing, then writes the report.

    The same call again goes on where the last one was stopped; what is
    finished is not done again.

    Args:
        study: What to run, and where.
        trainer: Trains the runs; it keeps programs and data between them.
        command: The command that ran it, for the report.

    Returns:
        The report, also written to `report/`.

    Raises:
        ValueError: If a run's directory was written by another
            configuration.
        training.Interrupted: If asked to stop; everything is saved.
    """
    records.check_writable(study.path)
    records.write_json(study.path / "study.json", study.config.record(command))
    _check_all_before_training(study)
    captures = _Captures()
    for config in study.config.runs():
        trainer.train(config, study.run(config).path)
        if _lacks_comparison(study, config):
            comparison = _compare(study, config, trainer, captures)
            records.write_json(study.comparison_path(config), comparison)
    return reporting.write_report(study.path, study.path / "report")


def run_status(study: Study) -> dict[str, str]:
    """Returns "done", "begun" or "waiting" by the name of each run."""
    status = {}
    for config in study.config.runs():
        run = study.run(config)
        if run.is_finished and not _lacks_comparison(study, config):
            status[config.run_name] = "done"
        elif run.config_path.exists():
            status[config.run_name] = "begun"
        else:
            status[config.run_name] = "waiting"
    return status


def _lacks_comparison(study: Study, config: training.TrainConfig) -> bool:
    if not study.config.is_compared(config):
        return False
    return not study.comparison_path(config).exists()


class _Captures:
    """Keeps the compiled capture of the network in use."""

    def __init__(self) -> None:
        self._program: training.Program | None = None
        self._capture: analysis.StageActivations | None = None

    def of(
        self, program: training.Program, seed: int
    ) -> analysis.StageActivations:
        if self._capture is None or self._program is not program:
            self._program = program
            self._capture = analysis.StageActivations(
                program.staged, program.preprocessing, seed=seed
            )
        return self._capture


def _compare(
    study: Study,
    config: training.TrainConfig,
    trainer: training.Trainer,
    captures: _Captures,
) -> dict[str, Any]:
    run = study.run(config)
    run_data = trainer.data(config)
    program = trainer.program(config, run_data)
    return analysis.compare(
        analysis.ComparisonRequest(
            analysis.Checkpoint(run, 0),
            analysis.Checkpoint(run, run.result()["num_steps"]),
            study.config.protocol,
        ),
        capture=captures.of(program, study.config.protocol.sampling_seed),
        run_data=run_data,
        batch_size=config.batch_size,
    )


def _check_all_before_training(study: Study) -> None:
    """Finds an impossible run before hours of work are spent on others."""
    for config in study.config.runs():
        run = study.run(config)
        if not run.is_finished:
            training.load_donor(config)
        training.check_same_config(run, config)
