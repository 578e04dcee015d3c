"""What is done for one run of a study, wherever it is done."""

from typing import Any

from transfusion_tf import analysis, records, reporting, training
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
        path = self._study.comparison_path(config)
        with run.lock():
            if self._study.lacks_comparison(config):
                comparison = self._compare(config, run, {})
            elif self._study.lacks_matrix(config):
                comparison = self._compare(config, run, records.read_json(path))
            else:
                return
            # Before the record, whose presence says that this is done.
            reporting.write_run(run, comparison)
            records.write_json(path, comparison)

    def _compare(
        self,
        config: training.TrainConfig,
        run: records.RunDirectory,
        made: dict[str, Any],
    ) -> dict[str, Any]:
        """Compares a run before and after training.

        Args:
            config: The run's configuration.
            run: The run.
            made: What an earlier version made; it stays, and is completed.
        """
        run_data = self._trainer.data(config)
        program = self._trainer.program(config, run_data)
        request = analysis.ComparisonRequest(
            *analysis.two_checkpoints(run.path), self._study.config.protocol
        )
        sides, kernels = [], {}
        for checkpoint in (request.first, request.second):
            sides.append(
                analysis.capture_checkpoint(
                    checkpoint,
                    capture=self._capture(program),
                    run_data=run_data,
                    config=request.config,
                )
            )
            layer, kernel = training.first_kernel(program.staged)
            kernels[checkpoint.step] = kernel
        if not run.filters_path.exists():
            training.write_filters(run, layer, kernels)
        if made:
            matrix = analysis.stage_matrix(request.stage_names, sides)
            return made | {"matrix": matrix}
        return analysis.score_checkpoints(request, sides, program.stop_if_asked)

    def _capture(self, program: training.Program) -> analysis.StageActivations:
        """Keeps the compiled capture of the program in use."""
        if self._captured is not program:
            self._captured = program
            self._compiled = analysis.StageActivations(
                program, seed=self._study.config.protocol.sampling_seed
            )
        return self._compiled
