"""What is done for one run of a study, wherever it is done."""

from typing import Any

from transfusion_tf import analysis, records, training
from transfusion_tf.studies import status
from transfusion_tf.studies.study import Study


class Runner:
    """Trains and compares runs of a study, one after another.

    Compiled programs and opened data are kept between runs.
    """

    def __init__(self, study: Study, trainer: training.Trainer) -> None:
        """Takes what the runs share.

        Args:
            study: What the runs are of.
            trainer: Trains them.
        """
        self._study = study
        self._trainer = trainer
        self._captured: training.Program | None = None

    def run(self, config: training.TrainConfig) -> None:
        """Brings a run from where it stands to its end, and compares it.

        An error is the run's: it is recorded in its directory, and other runs
        can go on. A run that another process is at is left to it.

        Args:
            config: One of the study's runs.

        Raises:
            training.Interrupted: If asked to stop; everything is saved.
            OSError: If a failure cannot be recorded.
        """
        run = self._study.run(config)
        run.failure_path.unlink(missing_ok=True)
        try:
            self._train_and_compare(config, run)
        except training.Interrupted:
            raise
        except records.InUseError:
            pass  # Its status is "running", by that process.
        except Exception as error:
            status.record_failure(run, error)

    def _train_and_compare(
        self, config: training.TrainConfig, run: records.RunDirectory
    ) -> None:
        self._trainer.train(config, run.path)
        with run.lock():
            if self._study.lacks_comparison(config):
                path = self._study.comparison_path(config)
                records.write_json(path, self._compare(config, run))

    def _compare(
        self, config: training.TrainConfig, run: records.RunDirectory
    ) -> dict[str, Any]:
        run_data = self._trainer.data(config)
        program = self._trainer.program(config, run_data)
        request = analysis.ComparisonRequest(
            *analysis.two_checkpoints(run.path), self._study.config.protocol
        )
        return analysis.compare(
            request, capture=self._capture(program), run_data=run_data
        )

    def _capture(self, program: training.Program) -> analysis.StageActivations:
        """Keeps the compiled capture of the program in use."""
        if self._captured is not program:
            self._captured = program
            self._compiled = analysis.StageActivations(
                program, seed=self._study.config.protocol.sampling_seed
            )
        return self._compiled
