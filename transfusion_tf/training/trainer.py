"""Trains runs one after another, sharing compiled programs and data."""

import contextlib
import tempfile
from typing import Any, Protocol

import tensorflow as tf
from etils import epath

from transfusion_tf import data, initialization, models, records
from transfusion_tf.training import (
    config as config_lib,
)
from transfusion_tf.training import (
    freezing,
    interruption,
    loop,
    program,
    strategies,
    task_data,
)


class Progress(Protocol):
    """What is told of how far a run is; a progress bar, for example."""

    def update(self, num_steps: int, description: str) -> None:
        """Is told that so many steps were done, and what of."""


class Trainer:
    """Trains runs one after another, sharing compiled programs and data.

    Attributes:
        stop_request: Looked at after every step and every batch of images
            that is scored, and before every stage that is compared.

    Example:
    >>> trainer = Trainer()
    >>> config = config_lib.TrainConfig(
    ...     model="cbr_tiny", task="synthetic_fundus_referable", num_steps=1,
    ...     image_size=64, data_dir="/data")
    >>> trainer.train(config, "/tmp/run")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        progress: Progress | None = None,
        stop_request: interruption.StopRequest | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        """Starts with nothing compiled and nothing read.

        Args:
            progress: Told of every step.
            stop_request: Looked at after every step.
            strategy: What computes, whatever a configuration names. Default:
                what that does.
        """
        self._strategy = strategy
        self._progress = progress
        self.stop_request = stop_request or interruption.StopRequest()
        self._program: program.Program | None = None
        self._data: task_data.TaskData | None = None

    def train(
        self, config: config_lib.TrainConfig, run_path: epath.PathLike
    ) -> dict[str, Any]:
        """Trains a run to its end, from where it was stopped if it was.

        In this order: the configuration is checked against the directory's;
        data and program are made; variables are initialized by the scheme;
        a checkpoint, if there is one, replaces them; the loop; the test split
        is scored once; `result.json` marks the end.

        Args:
            config: What to train.
            run_path: The run's directory; made if missing.

        Returns:
            The content of `result.json`.

        Raises:
            ValueError: If the directory was written by another configuration,
                or data, donor or configuration are not possible.
            FileNotFoundError: If data are not prepared.
            interruption.Interrupted: If the run was told to stop; it saved.
            FloatingPointError: If the loss is not finite.
            RuntimeError: If another process trains it, or another worker of
                it has stopped.
        """
        run = records.RunDirectory(run_path)
        strategy = self.strategy_of(config)
        if strategies.is_chief(strategy):
            with run.lock():
                return self._train(config, run, run)
        # Other workers do all that the chief does, and keep nothing of it.
        with tempfile.TemporaryDirectory() as scratch:
            return self._train(config, records.RunDirectory(scratch), run)

    def _train(
        self,
        config: config_lib.TrainConfig,
        run: records.RunDirectory,
        shared: records.RunDirectory,
    ) -> dict[str, Any]:
        """Trains a run into `run`, from what `shared` holds of it."""
        check_same_config(shared, config)
        if shared.is_finished:
            # Left where a process died between its result and its end.
            run.resume_path.rmtree(missing_ok=True)
            return shared.result()
        with (
            strategies.death_of_others_told(
                self.strategy_of(config), shared.path.name
            ),
            contextlib.closing(self._start(config, run, shared)) as run_loop,
        ):
            run_loop.train()
            return run_loop.finish()

    def program(
        self, config: config_lib.TrainConfig, run_data: task_data.TaskData
    ) -> program.Program:
        """Returns the compiled program of a configuration, made if needed."""
        spec = program.ProgramSpec(
            model=config.model,
            num_outputs=run_data.num_outputs,
            loss=run_data.loss,
            image_size=config.image_size,
            batch_size=config.batch_size,
            optimizer=config.optimizer,
            augmentation=config.augmentation,
            preprocessing=config.preprocessing,
            batch_norm_momentum=config.batch_norm_momentum,
            jit_compile=config.jit_compile,
            trainable=config.trainable,
            frozen_batch_norm=config.frozen_batch_norm,
            batch_statistics=config.batch_statistics,
            precision=config.precision,
        )
        strategy = self.strategy_of(config)
        if (
            self._program is None
            or self._program.spec != spec
            or self._program.strategy is not strategy
        ):
            self._program = None  # Frees the memory of the last one first.
            self._program = program.Program(spec, strategy)
        self._program.stop_request = self.stop_request
        return self._program

    def strategy_of(
        self, config: config_lib.TrainConfig
    ) -> tf.distribute.Strategy:
        """Returns what computes for a configuration."""
        return self._strategy or strategies.make_strategy(
            config.strategy, config.tpu
        )

    def data(self, config: config_lib.TrainConfig) -> task_data.TaskData:
        """Returns the readers of a configuration's data, made if needed."""
        key = task_data.TaskDataKey.of(config)
        if self._data is None or self._data.key != key:
            self._data = None
            self._data = task_data.TaskData(key)
        return self._data

    def _start(
        self,
        config: config_lib.TrainConfig,
        run: records.RunDirectory,
        shared: records.RunDirectory,
    ) -> loop.Loop:
        run_data = self.data(config)
        run_data.check_disjoint()
        strategies.check_workers_agree(
            self.strategy_of(config),
            {f"--{name}": value for name, value in config.record().items()}
            | {
                f"images of {name}": run_data.reader(name).split.sha256
                for name in data.SPLIT_NAMES
            },
        )
        # Impossible batches and thresholds are found before the slow build.
        steps_per_epoch = run_data.train.train_steps_per_epoch(
            config.batch_size
        )
        donor = load_donor(config)
        run_program = self.program(config, run_data)
        run_loop = loop.Loop(
            config,
            run,
            shared,
            run_data,
            run_program,
            steps_per_epoch,
            self.report,
            self.stop_request,
        )
        run_loop.initialize(plan_of(config), donor)
        return run_loop

    def report(self, num_steps: int, description: str) -> None:
        """Tells the progress bar, if there is one, what was done."""
        if self._progress is not None:
            self._progress.update(num_steps, description)


def plan_of(config: config_lib.TrainConfig) -> initialization.Plan:
    """Spells out the scheme of a configuration.

    Raises:
        ValueError: If the scheme, a stage or the variant is unknown, in
            `trainable` too, which is looked at here to be found early.
    """
    freezing.frozen_stages(config.trainable, models.stage_names(config.model))
    return initialization.parse_scheme(
        config.init,
        models.stage_names(config.model),
        copied_batch_norm=config.copied_batch_norm,
        other_batch_norm=config.other_batch_norm,
        resample_biases=config.resample_biases,
    )


def load_donor(
    config: config_lib.TrainConfig,
) -> initialization.Donor | None:
    """Loads what the scheme of a configuration takes from.

    Args:
        config: What to train.

    Returns:
        The donor, or None where the scheme needs none.

    Raises:
        ValueError: If the scheme is unknown, a donor is named that it does
            not need, or the donor is of another architecture.
        FileNotFoundError: If the donor is not there.
    """
    plan = plan_of(config)
    donor = config.donor or ("imagenet" if plan.needs_donor else None)
    if donor is not None and plan.may_use_donor:
        return initialization.load_donor(donor, config.model)
    if donor is not None:
        raise ValueError(
            "This initialization takes nothing from a donor. Received: "
            f"init={config.init!r}, donor={config.donor!r}. Leave out "
            "--donor, or use --init=transfer."
        )
    return None


def check_same_config(
    run: records.RunDirectory, config: config_lib.TrainConfig
) -> None:
    """Checks that a directory is not that of a run of other flags.

    Args:
        run: The directory; it may be new.
        config: What is to be trained in it.

    Raises:
        ValueError: If it was written by another configuration, naming each
            field with its old and new value, or by an unknown one.
    """
    if not run.config_path.exists():
        if run.resume_path.exists():
            raise ValueError(
                f"{str(run.path)!r} holds checkpoints but no config.json: "
                "what they are of is not known. Delete the directory, or "
                "name another one."
            )
        return
    # A field that is younger than the record had its default then.
    recorded = config_lib.TrainConfig.from_record(run.config()["config"])
    differences = config_lib.differences(recorded.record(), config.record())
    if differences:
        raise ValueError(
            f"{str(run.path)!r} was written by another configuration. "
            f"Received: {'; '.join(differences)}. Give the same flags to go "
            "on with that run, or name another directory for this one."
        )
