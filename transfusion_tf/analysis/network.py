"""A run's network and data, to be scored with weights put together anew."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from transfusion_tf import records, training
from transfusion_tf.analysis import comparison_request


class Network:
    """The network of a run, its splits, and its checkpoints' weights.

    Attributes:
        run: The run.
        program: The compiled network.
        data: The splits.
    """

    def __init__(
        self,
        run: records.RunDirectory,
        trainer: training.Trainer,
        *,
        data_dir: str | None = None,
    ):
        """Opens data and network.

        Args:
            run: A finished run that kept its weights.
            trainer: Keeps the network and the data.
            data_dir: Where the run's data set is prepared.

        Raises:
            FileNotFoundError: If the data are not prepared.
        """
        self.run = run
        config = training.TrainConfig.from_record(
            run.config()["config"], data_dir=data_dir
        )
        self.data = trainer.data(config)
        self.program = trainer.program(config, self.data)

    @property
    def stage_names(self) -> list[str]:
        """Names of the network's stages, in order."""
        return [stage.name for stage in self.program.staged.stages]

    @property
    def last_step(self) -> int:
        """The step whose weights the run was scored with."""
        return int(self.run.result()["num_steps"])

    def weights(
        self, checkpoint: comparison_request.Checkpoint
    ) -> dict[str, np.ndarray]:
        """Reads the weights of a checkpoint of this architecture.

        Returns:
            `{"layer/variable": array}`, as `StagedModel.variables` names them.

        Raises:
            FileNotFoundError: If the run did not keep them.
            ValueError: If the run is of another model, or they are damaged.
        """
        ours, theirs = (
            run.config()["config"]["model"]
            for run in (self.run, checkpoint.run)
        )
        if ours != theirs:
            raise ValueError(
                "Weights are read into a network of the same model. Received: "
                f"model={ours!r} and, of run {checkpoint.run.path.name}, "
                f"{theirs!r}. Name two runs of one model."
            )
        training.load_weights(self.program.staged.model, checkpoint.path)
        variables = self.program.staged.variables()
        return {key: variable.numpy() for key, variable in variables.items()}

    def stage_of(self, key: str) -> str:
        """Returns the stage of a variable, or `head`."""
        return self.program.staged.stage_of(key.rpartition("/")[0])

    def score(
        self,
        weights: Mapping[str, np.ndarray],
        split: str,
        change: training.BatchChange | None = None,
    ) -> dict[str, Any]:
        """Scores a split with these weights.

        Args:
            weights: Every variable by its key.
            split: "train", "validation" or "test".
            change: What is done to each batch before it is scored.

        Returns:
            The task's metrics.
        """
        for key, variable in self.program.staged.variables().items():
            variable.assign(weights[key])
        reader = self.data.reader(split)
        ids, logits = self.program.predict(reader, change)
        return self.data.score(self.data.predictions(reader, ids, logits))
