"""Scores a finished run again, on any split or any data set of its kind."""

import dataclasses
from typing import Any

from etils import epath

from transfusion_tf import evaluation, records
from transfusion_tf.training import checkpoints, strategies
from transfusion_tf.training import config as config_lib
from transfusion_tf.training import trainer as trainer_lib


def score_run(
    run_path: epath.PathLike,
    trainer: trainer_lib.Trainer,
    *,
    split: str,
    **other_data: Any,
) -> tuple[evaluation.Predictions, dict[str, Any]]:
    """Loads a run's last weights and scores a split with them.

    Args:
        run_path: A finished run.
        trainer: Keeps the compiled program and the data.
        split: "train", "validation" or "test".
        **other_data: Fields of `TrainConfig` that say where to read, such as
            `data_dir`, or what else than the run's own data: `task`,
            `dataset_config`; or `batch_size`.

    Returns:
        The predictions, and the task's metrics by name.

    Raises:
        FileNotFoundError: If the run is not finished or kept no weights, or
            the data are not prepared.
        ValueError: If the other task has another number of outputs, or the
            weights are damaged.
        RuntimeError: If another worker has stopped.
        interruption.Interrupted: If the trainer was asked to stop.
    """
    run = records.RunDirectory(run_path)
    step = run.result()["num_steps"]
    record = run.config()
    config = config_lib.TrainConfig.from_record(record["config"])
    if other_data.get("task", config.task) != config.task:
        # A fold is one of the run's own patients.
        other_data = {"fold": None, "num_train_examples": None} | other_data
    config = dataclasses.replace(config, **other_data)
    run_data = trainer.data(config)
    if run_data.num_outputs != record["num_outputs"]:
        raise ValueError(
            "The run's network has another number of outputs than the task. "
            f"Received: {record['num_outputs']} outputs, task="
            f"{config.task!r} with {run_data.num_outputs}. Use a task "
            "with the same classes."
        )
    path = run.weights_path(step)
    if not path.exists():
        raise FileNotFoundError(
            f"The run {run.path.name} keeps no weights of its last step. "
            f"Received: {str(path)!r}. Published records hold none: train "
            "the run again."
        )
    reader = run_data.reader(split)
    with strategies.death_of_others_told(
        trainer.strategy_of(config), run.path.name
    ):
        program = trainer.program(config, run_data)
        checkpoints.load_weights(program.staged.model, path)
        predictions = run_data.predictions(reader, *program.predict(reader))
    return predictions, run_data.score(predictions)
