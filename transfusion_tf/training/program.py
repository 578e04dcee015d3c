"""A built model with its compiled steps; one trace serves many runs.

Tracing a large network takes longer than many a short run, so the runs of a
study that share an architecture share a program: `initialization.initialize`
and `Program.reset_optimizer` bring all of its state back to a run's start.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf import data, models
from transfusion_tf.similarity import capturing
from transfusion_tf.training import (
    freezing,
    interruption,
    optimizers,
    recalibration,
    strategies,
)
from transfusion_tf.training import losses as losses_lib

NO_BAD_STEP = np.int64(np.iinfo(np.int64).max)
Batch = dict[str, tf.Tensor]
BatchChange = Callable[[Batch], Batch]


@dataclasses.dataclass(frozen=True)
class ProgramSpec:
    """What a program is compiled for; equal specs can share one."""

    model: str
    num_outputs: int
    loss: str
    image_size: int
    batch_size: int
    optimizer: str
    augmentation: str
    preprocessing: str | None
    batch_norm_momentum: float
    jit_compile: bool
    trainable: str = freezing.ALL
    frozen_batch_norm: str = "moving"
    batch_statistics: str = "synchronized"
    precision: str = "float32"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of an image."""
        return (self.image_size, self.image_size, 3)


class Program:
    """Model, optimizer, and the compiled steps of training and prediction.

    Attributes:
        spec: What it was compiled for.
        strategy: Where its variables live.
        staged: The model with its stages.
        optimizer: The Keras optimizer.
        loss_sum: Sum of the losses of the steps since it was last reset; part
            of every checkpoint, so a resumed run reports the same mean.
        first_bad_step: The first step whose loss was not finite, or
            `NO_BAD_STEP`; kept on the device, so that no step waits for it.
        preprocessing: How pixels are scaled.
        recalibrate_batch_norm: Estimates moving statistics on images.
        stop_request: Looked at after every batch of images that is scored,
            and before every stage that is compared.
    """

    def __init__(self, spec: ProgramSpec, strategy: tf.distribute.Strategy):
        """Builds everything inside the strategy's scope.

        Raises:
            ValueError: If the batch is not divisible by the replicas, or the
                model cannot be built for these images.
        """
        _check_divisible(spec.batch_size, strategy.num_replicas_in_sync)
        self.spec = spec
        self.strategy = strategy
        self.stop_request = interruption.StopRequest()
        with strategy.scope(), _dtype_policy(spec.precision):
            self.staged = models.build(
                spec.model,
                num_outputs=spec.num_outputs,
                image_shape=spec.image_shape,
                batch_norm_momentum=spec.batch_norm_momentum,
            )
            self.optimizer = optimizers.make_optimizer(
                spec.optimizer, spec.precision
            )
            self._learns = freezing.freeze(
                self.staged,
                freezing.frozen_stages(
                    spec.trainable, [stage.name for stage in self.staged.stages]
                ),
                batch_norm=spec.frozen_batch_norm,
            )
            self.optimizer.build(self._learns)
        if spec.batch_statistics == "synchronized":
            self._synchronize_batch_norm()
        # Outside of the scope: the host's, float64 also beside a TPU.
        self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self._steps_done = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.first_bad_step = tf.Variable(NO_BAD_STEP, trainable=False)
        self.preprocessing = spec.preprocessing or self.staged.preprocessing
        # No Python statement in them depends on a tensor's value.
        self._train = tf.function(self._train_everywhere, autograph=False)
        self._finite = tf.function(self._has_finite_weights, autograph=False)
        self._predict = OverImages(self, self._predict_batch)
        self._average = OverImages(self, self._average_stages)
        self.recalibrate_batch_norm = recalibration.BatchNormRecalibration(
            self.staged,
            self.preprocessing,
            spec.batch_size,
            self.stop_if_asked,
        )
        # Of its own only where XLA needs it: to inline it takes seconds.
        self._replica_step: Callable[[Batch], tf.Tensor] = self._train_replica
        if spec.jit_compile:
            self._replica_step = tf.function(
                self._train_replica, autograph=False, jit_compile=True
            )

    def checkpoint(self) -> tf.train.Checkpoint:
        """Returns what saves and restores all state of training."""
        return tf.train.Checkpoint(
            model=self.staged.model,
            optimizer=self.optimizer,
            loss_sum=self.loss_sum,
            steps_done=self._steps_done,
        )

    def reset_optimizer(self) -> None:
        """Sets all state but the weights to that of step 0."""
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            self.optimizer.dynamic_scale.assign(self.optimizer.initial_scale)
        self.loss_sum.assign(0.0)
        self._steps_done.assign(0)
        self.first_bad_step.assign(NO_BAD_STEP)

    @property
    def step(self) -> int:
        """Number of steps done."""
        return int(self._steps_done.numpy())

    def has_finite_weights(self) -> bool:
        """Whether all weights and moving statistics are finite."""
        return bool(self._finite().numpy())

    def train_batches(
        self,
        reader: data.SplitReader,
        *,
        seed: int,
        first_step: int = 0,
        num_steps: int | None = None,
    ) -> tf.data.Dataset:
        """Returns the batches of steps, dealt out to the replicas.

        Args:
            reader: The split.
            seed: See `data.SplitReader.train_batches`.
            first_step: See there.
            num_steps: See there.
        """
        return self.dealt(
            lambda part: reader.train_batches(
                seed=seed,
                batch_size=self.spec.batch_size,
                first_step=first_step,
                num_steps=num_steps,
                part=part,
            )
        )

    def train_step(self, batch: Batch, learning_rate: float) -> None:
        """Does one step; its loss is added to `loss_sum`.

        Args:
            batch: As `train_batches` gives it.
            learning_rate: Learning rate of this step.
        """
        self.optimizer.learning_rate.assign(learning_rate)
        self._train(batch)

    def predict(
        self, reader: data.SplitReader, change: BatchChange | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Computes the logits of every example of a split, each once.

        Args:
            reader: The split.
            change: What is done to each batch before it is scored.

        Returns:
            Example ids, int64 `[num_examples]`, ascending, and logits,
            float32 `[num_examples, num_outputs]`.

        Raises:
            RuntimeError: If an example was lost or came twice.
        """
        found = self._predict(reader, change=change)
        ids, logits = found["example_id"], found["logits"]
        if not np.array_equal(ids, reader.split.example_ids):
            raise RuntimeError(
                "Prediction did not give each example of the "
                f"{reader.split.name} split once. Received: "
                f"{len(ids)} predictions for {reader.split.num_examples} "
                "examples. Prepare the data anew; if that does not help, "
                "this is a defect of transfusion_tf: please report it."
            )
        return ids, logits

    def stage_means(
        self, reader: data.SplitReader, num_images: int
    ) -> dict[str, np.ndarray]:
        """Averages what ends each stage over its positions.

        In inference mode.

        Args:
            reader: The split.
            num_images: Its first so many images, at most all.

        Returns:
            By stage float32 `[num_images, channels]`.
        """
        return self._average(reader, num_images)

    def dealt(
        self, batches_of: Callable[[data.Part], tf.data.Dataset]
    ) -> tf.data.Dataset:
        """Deals batches out to the replicas, to each so many in a row.

        Args:
            batches_of: Gives what a worker reads of each batch.
        """
        num_replicas = self.strategy.num_replicas_in_sync
        if num_replicas == 1:
            return batches_of(data.Part())

        def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
            part = data.Part(
                context.input_pipeline_id, context.num_input_pipelines
            )
            return batches_of(part).rebatch(
                self.spec.batch_size // num_replicas, drop_remainder=True
            )

        return self.strategy.distribute_datasets_from_function(of_worker)

    def stop_if_asked(self, number: int) -> None:
        """Ends what is done of images if a worker was asked to stop.

        Args:
            number: Of the batch that was done, or the stage that is next, the
                same on all workers: several ask one another at every tenth.

        Raises:
            interruption.Interrupted: If one was; on all of them.
        """
        if strategies.is_stop_agreed(self.strategy, self.stop_request, number):
            raise interruption.Interrupted(
                "Stopped while images were scored or stages compared; what was "
                "finished before is kept. Repeat the same command to go on."
            )

    def _synchronize_batch_norm(self) -> None:
        """Lets batch norms see the whole batch: Keras' models cannot ask."""
        if self.strategy.num_replicas_in_sync == 1:
            return
        for layer in self.staged.model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True

    def _has_finite_weights(self) -> tf.Tensor:
        finite = [
            tf.reduce_all(tf.math.is_finite(variable))
            for variable in self.staged.variables().values()
        ]
        return tf.reduce_all(finite)

    def _train_everywhere(self, batch: Batch) -> None:
        losses = self.strategy.run(self._replica_step, args=(batch,))
        loss = self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, losses, axis=None
        )
        self.loss_sum.assign_add(tf.cast(loss, tf.float64))
        self._steps_done.assign_add(1)
        bad_step = tf.where(
            tf.math.is_finite(loss), NO_BAD_STEP, self._steps_done
        )
        self.first_bad_step.assign(tf.minimum(self.first_bad_step, bad_step))

    def _train_replica(self, batch: Batch) -> tf.Tensor:
        images = data.augment(
            batch["image"], batch["draws"], self.spec.augmentation
        )
        images = data.normalize(images, self.preprocessing)
        model = self.staged.model
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = losses_lib.LOSSES[self.spec.loss](batch, logits)
            # Replicas' gradients are summed: each contributes its share of
            # the mean over the whole batch.
            loss = tf.reduce_sum(losses) / self.spec.batch_size
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self._learns)
        self.optimizer.apply(gradients, self._learns)
        return loss

    def _predict_batch(self, batch: Batch) -> Batch:
        images = data.normalize(batch["image"], self.preprocessing)
        logits = self.staged.model(images, training=False)
        return {"example_id": batch["example_id"], "logits": logits}

    def _average_stages(self, batch: Batch) -> Batch:
        images = data.normalize(batch["image"], self.preprocessing)
        model = self.staged.model
        ends = {
            stage.name: model.get_layer(stage.output)
            for stage in self.staged.stages
        }
        return {
            name: tf.reduce_mean(tf.cast(values, tf.float32), [1, 2])
            for name, values in capturing.run(model, ends, images).items()
        }


class OverImages:
    """Computes something of each image of a split, on all replicas.

    Attributes:
        compiled: Takes a batch that `Program.dealt` gave.
    """

    def __init__(self, program: Program, of_batch: Callable[[Batch], Batch]):
        """Compiles when first called.

        Args:
            program: Whose model, strategy and batch size are used.
            of_batch: Takes an evaluation batch (see `data.SplitReader`),
                returns tensors by name, each with a row an image.
        """
        self._program = program
        self._of_batch = of_batch
        self.compiled = tf.function(self._everywhere, autograph=False)

    def __call__(
        self,
        reader: data.SplitReader,
        num_images: int | None = None,
        change: BatchChange | None = None,
    ) -> dict[str, np.ndarray]:
        """Computes it of a split's first images.

        Args:
            reader: The split.
            num_images: How many, at most all. Default: all.
            change: What is done to each batch before.

        Returns:
            By name a row an image, in the split's order.

        Raises:
            interruption.Interrupted: If asked to stop before the end.
        """
        batch_size = self._program.spec.batch_size
        if num_images is None:
            num_images = reader.split.num_examples
        num_batches = -(-num_images // batch_size)

        def batches_of(part: data.Part) -> tf.data.Dataset:
            batches = reader.evaluation_batches(batch_size, part)
            batches = batches.take(num_batches)
            return batches if change is None else batches.map(change)

        found = []
        batches = reader.watched(self._program.dealt(batches_of))
        for number, batch in enumerate(batches):
            of_batch = self.compiled(batch)
            found.append({name: of_batch[name].numpy() for name in of_batch})
            self._program.stop_if_asked(number)
        return {
            name: np.concatenate([of[name] for of in found])[:num_images]
            for name in found[0]
        }

    def _everywhere(self, batch: Batch) -> Batch:
        strategy = self._program.strategy
        found = strategy.run(self._of_batch, args=(batch,))
        if strategy.num_replicas_in_sync == 1:
            return found
        return {
            name: strategy.gather(values, axis=0)
            for name, values in found.items()
        }


@contextlib.contextmanager
def _dtype_policy(precision: str) -> Iterator[None]:
    """Builds under a dtype policy, and leaves the caller's as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check_divisible(batch_size: int, num_replicas: int) -> None:
    if batch_size % num_replicas:
        nearest = max(batch_size // num_replicas, 1) * num_replicas
        raise ValueError(
            "`batch_size` must be divisible by the number of replicas. "
            f"Received: batch_size={batch_size}, num_replicas={num_replicas}. "
            f"Use --batch_size={nearest} where images are trained on or "
            "evaluated; where runs are compared, which is done in batches of "
            "the run's size, a fitting number of devices, or "
            "--strategy=default."
        )
