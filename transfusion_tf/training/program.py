"""A built model with its compiled steps; one trace serves many runs.

Tracing a large network takes longer than many a short run, so the runs of a
study that share an architecture share a program: `initialization.initialize`
and `Program.reset_optimizer` bring all of its state back to a run's start.
"""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf import data, models
from transfusion_tf.similarity import capturing
from transfusion_tf.training import freezing

_SGD_MOMENTUM = 0.9
BatchChange = Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]


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
        preprocessing: How pixels are scaled.
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
        with strategy.scope():
            self.staged = models.build(
                spec.model,
                num_outputs=spec.num_outputs,
                image_shape=spec.image_shape,
                batch_norm_momentum=spec.batch_norm_momentum,
            )
            self.optimizer = _make_optimizer(spec.optimizer)
            self._learns = freezing.freeze(
                self.staged,
                freezing.frozen_stages(
                    spec.trainable, [stage.name for stage in self.staged.stages]
                ),
                batch_norm=spec.frozen_batch_norm,
            )
            self.optimizer.build(self._learns)
            self.loss_sum = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        self.preprocessing = spec.preprocessing or self.staged.preprocessing
        # No Python statement in them depends on a tensor's value.
        self._train = tf.function(self._train_everywhere, autograph=False)
        self._predict = tf.function(self._predict_everywhere, autograph=False)
        self._average_stages = tf.function(
            self._average_stages_once, autograph=False
        )
        self._replica_step = tf.function(
            self._train_replica, autograph=False, jit_compile=spec.jit_compile
        )

    def reset_optimizer(self) -> None:
        """Sets the optimizer's state and the loss sum to those of step 0."""
        for variable in self.optimizer.variables:
            if variable is not self.optimizer.learning_rate:
                variable.assign(tf.zeros_like(variable))
        self.loss_sum.assign(0.0)

    @property
    def step(self) -> int:
        """Number of steps done."""
        return int(self.optimizer.iterations.numpy())

    def distribute(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Deals batches out to the replicas."""
        if self.strategy.num_replicas_in_sync == 1:
            return batches
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = (
            tf.data.experimental.AutoShardPolicy.DATA
        )
        return self.strategy.experimental_distribute_dataset(
            batches.with_options(options)
        )

    def train_step(
        self, batch: dict[str, tf.Tensor], learning_rate: float
    ) -> None:
        """Does one step; its loss is added to `loss_sum`.

        Args:
            batch: As `data.SplitReader.train_batches` gives it.
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
        batches = reader.evaluation_batches(self.spec.batch_size)
        if change is not None:
            batches = batches.map(change)
        ids, logits = [], []
        for batch in reader.watched(self.distribute(batches)):
            received_ids, received_logits = self._predict(batch)
            ids += self._local(received_ids)
            logits += self._local(received_logits)
        all_ids, all_logits = np.concatenate(ids), np.concatenate(logits)
        order = np.argsort(all_ids, kind="stable")
        order = order[all_ids[order] != data.PADDING_ID]
        if not np.array_equal(all_ids[order], reader.split.example_ids):
            raise RuntimeError(
                "Prediction did not give each example of the "
                f"{reader.split.name} split once. Received: "
                f"{len(order)} predictions for {reader.split.num_examples} "
                "examples. Prepare the data anew; if that does not help, "
                "this is a defect of transfusion_tf: please report it."
            )
        return all_ids[order], all_logits[order]

    def stage_means(
        self, reader: data.SplitReader, num_images: int
    ) -> dict[str, np.ndarray]:
        """Averages what ends each stage over its positions.

        In inference mode, and on one device whatever the strategy.

        Args:
            reader: The split.
            num_images: Its first so many images, at most all.

        Returns:
            By stage float32 `[num_images, channels]`.
        """
        batch_size = self.spec.batch_size
        batches = reader.evaluation_batches(batch_size)
        needed = batches.take(-(-num_images // batch_size))
        means = [
            self._average_stages(batch["image"])
            for batch in reader.watched(needed)
        ]
        return {
            stage.name: np.concatenate([m[stage.name] for m in means])[
                :num_images
            ]
            for stage in self.staged.stages
        }

    def _local(self, values: tf.Tensor) -> list[np.ndarray]:
        local = self.strategy.experimental_local_results(values)
        return [value.numpy() for value in local]

    def _train_everywhere(self, batch: dict[str, tf.Tensor]) -> None:
        losses = self.strategy.run(self._replica_step, args=(batch,))
        loss = self.strategy.reduce(
            tf.distribute.ReduceOp.SUM, losses, axis=None
        )
        self.loss_sum.assign_add(tf.cast(loss, tf.float64))

    def _train_replica(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        images = data.augment(
            batch["image"], batch["draws"], self.spec.augmentation
        )
        images = data.normalize(images, self.preprocessing)
        model = self.staged.model
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            losses = _LOSSES[self.spec.loss](batch, logits)
            # Replicas' gradients are summed: each contributes its share of
            # the mean over the whole batch.
            loss = tf.reduce_sum(losses) / self.spec.batch_size
        gradients = tape.gradient(loss, self._learns)
        self.optimizer.apply(gradients, self._learns)
        return loss

    def _predict_everywhere(
        self, batch: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return self.strategy.run(self._predict_replica, args=(batch,))

    def _predict_replica(
        self, batch: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        images = data.normalize(batch["image"], self.preprocessing)
        return batch["example_id"], self.staged.model(images, training=False)

    def _average_stages_once(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        images = data.normalize(images, self.preprocessing)
        model = self.staged.model
        ends = {
            stage.name: model.get_layer(stage.output)
            for stage in self.staged.stages
        }
        return {
            name: tf.reduce_mean(tf.cast(values, tf.float32), [1, 2])
            for name, values in capturing.run(model, ends, images).items()
        }


def _softmax_loss(batch: dict[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
    """Cross entropy of one class of several, `[batch]`."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=batch["label"], logits=logits
    )


def _sigmoid_loss(batch: dict[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
    """Mean cross entropy of the findings, masked ones as zero, `[batch]`.

    The mean is over all findings: dividing by those that are not masked would
    give the labels of a sparsely labelled image more weight than others'.
    """
    losses = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=batch["target"], logits=logits
    )
    return tf.reduce_mean(losses * batch["weight"], axis=-1)


def _multiclass_loss(
    batch: dict[str, tf.Tensor], logits: tf.Tensor
) -> tf.Tensor:
    """Mean cross entropy of negative, positive, uncertain, `[batch]`."""
    target = batch["target"]
    shape = [-1, target.shape[1], logits.shape[1] // target.shape[1]]
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=target, logits=tf.reshape(logits, shape)
    )
    return tf.reduce_mean(losses * batch["weight"], axis=-1)


_LOSSES = {
    "softmax": _softmax_loss,
    "sigmoid": _sigmoid_loss,
    "multiclass": _multiclass_loss,
}


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns the distribution strategy of this name.

    Args:
        name: "default" (one device) or "mirrored" (all GPUs of this machine,
            or all its logical CPU devices where there is no GPU).

    Raises:
        ValueError: If there is no such strategy.
    """
    match name:
        case "default":
            return tf.distribute.get_strategy()
        case "mirrored":
            return tf.distribute.MirroredStrategy()
    raise ValueError(
        f"There is no such strategy. Received: strategy={name!r}. Use "
        "default or mirrored."
    )


def _make_optimizer(name: str) -> keras.optimizers.Optimizer:
    # The learning rate is assigned before each step.
    if name == "adam":
        return keras.optimizers.Adam(learning_rate=0.0)
    return keras.optimizers.SGD(learning_rate=0.0, momentum=_SGD_MOMENTUM)


def _check_divisible(batch_size: int, num_replicas: int) -> None:
    if batch_size % num_replicas:
        nearest = max(batch_size // num_replicas, 1) * num_replicas
        raise ValueError(
            "`batch_size` must be divisible by the number of replicas. "
            f"Received: batch_size={batch_size}, num_replicas={num_replicas}. "
            f"Use --batch_size={nearest}, or fewer replicas."
        )
