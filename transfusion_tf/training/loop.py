"""The one training loop."""

import time
from collections.abc import Callable
from typing import Any

from transfusion_tf import data, evaluation, initialization, models, records
from transfusion_tf.training import (
    checkpoints,
    environment,
    interruption,
    probing,
    program,
    run_events,
    schedules,
    strategies,
    task_data,
)
from transfusion_tf.training import (
    config as config_lib,
)

_RECALIBRATION_IMAGES = 1000
# Steps between two looks at the device for a loss that is not finite.
_LOOK_EVERY = 100


class Loop:
    """One run's state while it is trained.

    Attributes:
        config: What is trained.
        run: Where it is recorded.
        shared: Where it goes on from, and earlier weights are.
        data: The readers of its splits.
        program: The compiled model, optimizer and steps.
        num_steps: Steps in all, unless stopped early.
        rows: The lines of `metrics.jsonl` so far.
        seconds: Seconds spent in training steps, over all attempts.
        probe: Compares stages with step 0; None where that is not asked for.
        similarity_seconds: Seconds spent in that, over all attempts.
        saved_step: Step of the last checkpoint, if there is one.
    """

    def __init__(
        self,
        config: config_lib.TrainConfig,
        run: records.RunDirectory,
        shared: records.RunDirectory,
        run_data: task_data.TaskData,
        run_program: program.Program,
        steps_per_epoch: int,
        report: Callable[[int, str], None],
        stop_request: interruption.StopRequest,
    ):
        """Takes what the run needs; nothing is written yet.

        Args:
            config: What to train.
            run: Where to record it.
            shared: Where it goes on from; not `run` on workers that are not
                the chief.
            run_data: The readers of its splits.
            run_program: The compiled model, optimizer and steps.
            steps_per_epoch: Full batches in an epoch.
            report: Told of steps done, and of which run.
            stop_request: Looked at after every step.
        """
        self.config = config
        self.run = run
        self.shared = shared
        self.data = run_data
        self.program = run_program
        self.steps_per_epoch = steps_per_epoch
        self.num_steps = config_lib.num_steps_of(config, steps_per_epoch)
        self.eval_every = config.eval_every_steps or steps_per_epoch
        # Without a probe only the last step asks for one, in vain.
        self.probe_every = config.similarity_every_steps or self.num_steps
        self.save_every = config.checkpoint_every_steps or self.eval_every
        self.report = report
        self.stop_request = stop_request
        self.rows: list[dict[str, Any]] = []
        self.seconds = 0.0
        self.similarity_seconds = 0.0
        self.saved_step: int | None = None
        self._last_validation: tuple[int, evaluation.Predictions] | None = None
        self.probe: probing.StageProbe | None = None
        if config.similarity_every_steps:
            self.probe = probing.StageProbe(
                run_program,
                run_data.train,
                run_data.validation,
                num_examples=config.probe_examples,
            )
        self.checkpoints = checkpoints.ResumeCheckpoints(run, run_program)
        self.events = run_events.RunEvents(
            run,
            shared,
            run_program.staged,
            probe=self.probe.describe() if self.probe else None,
        )

    def close(self) -> None:
        """Closes the event file."""
        self.events.close()

    def initialize(
        self, plan: initialization.Plan, donor: initialization.Donor | None
    ) -> None:
        """Brings the program to the run's start, or to where it was.

        Args:
            plan: Where first values come from.
            donor: What it takes from.
        """
        weight_records = initialization.initialize(
            self.program.staged,
            plan,
            seed=self.config.seed,
            donor=donor,
        )
        self.program.reset_optimizer()
        saved = self._last_step()
        if saved is not None:
            self._resume(saved)
            return
        checkpoints.check_nothing_is_lost(self.shared, self.save_every)
        if plan.recalibrated:
            self.program.recalibrate_batch_norm(
                self.data.train,
                num_images=_RECALIBRATION_IMAGES,
                stages=plan.recalibrated,
            )
        records.write_json(
            self.run.initialization_path,
            [record.to_json() for record in weight_records],
        )
        config = self._config_record(donor)
        records.write_json(self.run.config_path, config)
        self._save_weights(0)
        self.events.start(config, self.data.task.metric)
        self._remember_start()
        self._compare_with_start(0)

    def train(self) -> None:
        """The loop: ends after the last step, or when validation says so."""
        step = self.program.step
        # Where the last attempt was stopped while it scored.
        if step and self._log(step):
            return
        started = time.monotonic()
        batches = self.program.train_batches(
            self.data.train,
            seed=self.config.seed,
            first_step=step,
            num_steps=self.num_steps - step,
        )
        for batch in self.data.train.watched(batches):
            self.program.train_step(batch, self._learning_rate(step))
            step += 1
            self.report(1, self.shared.path.name)
            if step % _LOOK_EVERY == 0:
                self._check_finite(step)
            if step in self.config.keep_checkpoint_steps:
                self._save_weights(step)
            is_last = step == self.num_steps
            if is_last or 0 in (
                step % self.eval_every,
                step % self.probe_every,
            ):
                self.seconds += time.monotonic() - started
                is_last = self._log(step)
                started = time.monotonic()
            if step % self.save_every == 0:
                self._save(step)
            self._stop_if_asked(step)
            if is_last:
                break
        self.seconds += time.monotonic() - started

    def finish(self) -> dict[str, Any]:
        """Scores the selected weights, test once, and writes the result."""
        selected = self._selected_step()
        if selected != self.program.step:
            self._load_weights(selected)
        else:
            self._save_weights(selected)
        result = {
            "schema_version": records.SCHEMA_VERSION,
            "num_steps": selected,
            "steps_trained": self.program.step,
            "parameters": models.parameter_counts(
                self.program.staged
            ).to_json(),
        }
        try:
            scored = {
                "validation": self._validation(selected),
                "test": self._predict(self.data.test),
            }
        except interruption.Interrupted as stop:
            raise self._stopped(self.program.step) from stop
        for split, predictions in scored.items():
            self._write_predictions(split, predictions)
            result[split] = self.data.score(predictions)
        if self.data.task.metric == "auc":
            result["steps_to_threshold"] = self._steps_to_threshold()
        seconds = {"train": self.seconds}
        if self.probe is not None:
            seconds["similarity"] = self.similarity_seconds
        result["seconds"] = {k: round(v, 3) for k, v in seconds.items()}
        if damaged := self.checkpoints.damaged():
            result["damaged_checkpoints"] = damaged
        self.events.finish(selected)
        records.write_json(self.run.result_path, result)
        self.checkpoints.delete()
        return result

    def _check_finite(self, step: int) -> None:
        """Looked at before anything is scored or saved, and now and then.

        The device keeps the number of the first bad step, so that looking
        seldom still names it. Steps after it are done in vain.
        """
        bad_step = int(self.program.first_bad_step.numpy())
        if bad_step != program.NO_BAD_STEP:
            what = f"loss of step {bad_step}"
        elif not self.program.has_finite_weights():
            what = f"network's state after step {step}"
        else:
            return
        raise FloatingPointError(
            f"The {what} of {self.shared.path.name} is not finite. Received: "
            f"{float(self.program.loss_sum.numpy())} as the sum of losses up "
            f"to step {step}. Use a smaller --learning_rate in a new run "
            "directory; what was saved before is kept."
        )

    def _learning_rate(self, step: int) -> float:
        return schedules.learning_rate_at(
            step,
            schedule=self.config.schedule,
            highest=self.config.learning_rate,
            steps_per_epoch=self.steps_per_epoch,
        )

    def _log(self, step: int) -> bool:
        """Logs what is due after a step, and not logged yet.

        Returns:
            Whether it is the last step.
        """
        is_last = step == self.num_steps
        logged = {row["split"] for row in self.rows if row["step"] == step}
        try:
            if is_last or step % self.eval_every == 0:
                if "validation" not in logged:
                    self._evaluate(step)
                is_last = is_last or self._should_stop_early()
            if is_last or step % self.probe_every == 0:
                if "probe" not in logged:
                    self._compare_with_start(step)
        except interruption.Interrupted as stop:
            raise self._stopped(step) from stop
        return is_last

    def _evaluate(self, step: int) -> None:
        """Logs the mean loss since the last evaluation, and validation."""
        self._check_finite(step)
        evaluations = self._evaluations()
        previous = evaluations[-1]["step"] if evaluations else 0
        common = self._common(step)
        scores = self.data.score(self._validation(step))
        # Stopped while it scored, the run goes on with the sum.
        loss = float(self.program.loss_sum.numpy()) / (step - previous)
        self.program.loss_sum.assign(0.0)
        self._record(
            common | {"split": "train", "loss": loss},
            common | {"split": "validation"} | scores,
        )
        if self.config.early_stopping and self._selected_step() == step:
            self._keep_only_best_weights(step)

    def _compare_with_start(self, step: int) -> None:
        """Logs how alike each stage is to each as it was at step 0."""
        if self.probe is None:
            return
        self._check_finite(step)
        started = time.monotonic()
        scores = self.probe.score() if step else self.probe.score_start()
        self.similarity_seconds += time.monotonic() - started
        self._record(
            self._common(step)
            | {"split": "probe"}
            | scores
            | {"similarity_seconds": round(self.similarity_seconds, 3)}
        )

    def _record(self, *rows: dict[str, Any]) -> None:
        """Adds to `metrics.jsonl`, and shows the same in TensorBoard."""
        self.rows += rows
        records.write_jsonl(self.run.metrics_path, self.rows)
        for row in rows:
            self.events.write_row(row)

    def _common(self, step: int) -> dict[str, Any]:
        """What every line of `metrics.jsonl` holds."""
        return {
            "step": step,
            "epoch": step / self.steps_per_epoch,
            "seconds": round(self.seconds, 3),
        }

    def _resume(self, step: int) -> None:
        """Goes on from the checkpoint of a step."""
        if self.probe is not None:
            self._load_weights(0)
            self._remember_start()
        checkpoints.ResumeCheckpoints(self.shared, self.program).restore(step)
        self.saved_step = step
        # What was logged after the checkpoint will be logged again.
        self.rows = [r for r in self.shared.metrics() if r["step"] <= step]
        if any(row["step"] == step for row in self._evaluations()):
            # Logged after the checkpoint of a run that was stopped before.
            self.program.loss_sum.assign(0.0)
        self.seconds = max((r["seconds"] for r in self.rows), default=0.0)
        self.similarity_seconds += max(
            (r.get("similarity_seconds", 0.0) for r in self.rows), default=0.0
        )
        self.report(step, self.shared.path.name)

    def _last_step(self) -> int | None:
        """The step that all workers go on from: the chief says it."""
        strategy = self.program.strategy
        if strategies.num_workers(strategy) == 1:
            return self.checkpoints.last_step()
        is_chief = strategies.is_chief(strategy)
        saved = self.checkpoints.last_step() if is_chief else None
        of_all = strategies.gathered(strategy, [-1 if saved is None else saved])
        step = int(of_all[0, 0])
        return None if step == -1 else step

    def _remember_start(self) -> None:
        """Captures step 0, whose weights the network holds."""
        if self.probe is None:
            return
        started = time.monotonic()
        self.probe.remember_start()
        self.similarity_seconds += time.monotonic() - started

    def _predict(self, reader: data.SplitReader) -> evaluation.Predictions:
        ids, logits = self.program.predict(reader)
        return self.data.predictions(reader, ids, logits)

    def _validation(self, step: int) -> evaluation.Predictions:
        """Predictions with a step's weights, those that the network holds."""
        if self._last_validation is None or self._last_validation[0] != step:
            predictions = self._predict(self.data.validation)
            self._last_validation = (step, predictions)
        return self._last_validation[1]

    def _write_predictions(
        self, split: str, predictions: evaluation.Predictions
    ) -> None:
        path = self.run.predictions_path(split)
        records.write_npz(path, **predictions.to_arrays())

    def _evaluations(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["split"] == "validation"]

    def _selected_step(self) -> int:
        """The last step, or with early stopping the best one's."""
        if not self.config.early_stopping:
            return self.program.step
        metric = self.data.task.metric
        best = max(self._evaluations(), key=lambda row: row[metric])
        return best["step"]

    def _should_stop_early(self) -> bool:
        if not self.config.early_stopping or not self._evaluations():
            return False
        selected = self._selected_step()
        later = [r for r in self._evaluations() if r["step"] > selected]
        return len(later) >= self.config.early_stopping

    def _steps_to_threshold(self) -> dict[str, Any]:
        rows = self._evaluations()
        return evaluation.steps_to_threshold(
            [row["step"] for row in rows],
            [row["auc"] for row in rows],
            self.config.auc_threshold,
        ).to_json()

    def _save(self, step: int) -> None:
        """Saves the state after a step; all workers do, or none of them."""
        if step != self.saved_step:
            self._check_finite(step)
            self.checkpoints.save(step)
            self.saved_step = step

    def _save_weights(self, step: int) -> None:
        self._check_finite(step)
        checkpoints.save_weights(
            self.program.staged.model, self.run.weights_path(step)
        )

    def _load_weights(self, step: int) -> None:
        checkpoints.load_weights(
            self.program.staged.model, self.shared.weights_path(step)
        )

    def _keep_only_best_weights(self, step: int) -> None:
        kept = {0, step, *self.config.keep_checkpoint_steps}
        self._save_weights(step)
        for row in self._evaluations():
            if row["step"] not in kept:
                checkpoints.delete_weights(self.run.weights_path(row["step"]))

    def _stop_if_asked(self, step: int) -> None:
        if strategies.is_stop_agreed(
            self.program.strategy, self.stop_request, step
        ):
            raise self._stopped(step)

    def _stopped(self, step: int) -> interruption.Interrupted:
        """Saves, and says so."""
        self._save(step)
        return interruption.Interrupted(
            f"Stopped after step {step} of {self.num_steps} of "
            f"{self.shared.path.name}; everything is saved. Repeat the same "
            "command to go on."
        )

    def _config_record(
        self, donor: initialization.Donor | None
    ) -> dict[str, Any]:
        return {
            "schema_version": records.SCHEMA_VERSION,
            "config": self.config.record(),
            "num_outputs": self.data.num_outputs,
            "image_shape": list(self.program.spec.image_shape),
            "preprocessing": self.program.preprocessing,
            "steps_per_epoch": self.steps_per_epoch,
            "donor": donor and {"name": donor.name, "sha256": donor.sha256},
            "environment": environment.describe_environment()
            | strategies.describe(self.program.strategy),
            "data": self.data.summary(),
            "probe": self.probe and self.probe.describe(),
            "label_names": list(self.data.task.classes),
        }
