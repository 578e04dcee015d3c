"""Batch norm's moving statistics, estimated on real images."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf import data, models


class BatchNormRecalibration:
    """Sets moving statistics to the mean over batches of the batches'.

    An untrained network's are 0 and 1 whatever its activations are.
    """

    def __init__(
        self,
        staged: models.StagedModel,
        preprocessing: str,
        batch_size: int,
        stop_if_asked: Callable[[int], None],
    ):
        """Compiles the forward pass when first called.

        Args:
            staged: The network.
            preprocessing: How pixels are scaled, as in training.
            batch_size: Images a batch.
            stop_if_asked: Called with the number of every batch after it.
        """
        self._stop_if_asked = stop_if_asked
        self._staged = staged
        self._preprocessing = preprocessing
        self._batch_size = batch_size
        # Traced in a call, so with moving statistics that are a batch's own.
        self._observe = tf.function(self._observe_images, autograph=False)

    def __call__(
        self,
        reader: data.SplitReader,
        *,
        num_images: int,
        stages: Collection[str] | None = None,
    ) -> None:
        """Reads images and sets the network's moving statistics.

        Args:
            reader: The images, those of the train split.
            num_images: Most images to use, at least 1.
            stages: The stages whose batch norms are set; by default all.
        """
        layers = [
            layer
            for layer in self._staged.model.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        statistics = [
            variable
            for layer in layers
            for variable in (layer.moving_mean, layer.moving_variance)
        ]
        is_set = np.repeat(
            [
                stages is None or self._staged.stage_of(layer.name) in stages
                for layer in layers
            ],
            2,
        )
        before = [variable.numpy() for variable in statistics]
        sums = [np.zeros(values.shape, np.float64) for values in before]
        num_batches = max(
            1, min(num_images, reader.split.num_examples) // self._batch_size
        )
        batches = reader.evaluation_batches(self._batch_size)
        with _last_batch_alone(layers):
            for number, batch in enumerate(batches.take(num_batches)):
                self._observe(batch["image"])
                for total, variable in zip(sums, statistics, strict=True):
                    total += variable.numpy()
                self._stop_if_asked(number)
        for place, variable in enumerate(statistics):
            mean = sums[place] / num_batches
            variable.assign(mean if is_set[place] else before[place])

    def _observe_images(self, images: tf.Tensor) -> None:
        images = data.normalize(images, self._preprocessing)
        self._staged.model(images, training=True)


@contextlib.contextmanager
def _last_batch_alone(
    layers: Sequence[keras.layers.BatchNormalization],
) -> Iterator[None]:
    """Lets moving statistics be the last batch's, of frozen layers too."""
    states = [(layer.momentum, layer.trainable) for layer in layers]
    try:
        for layer in layers:
            layer.momentum, layer.trainable = 0.0, True
        yield
    finally:
        for layer, state in zip(layers, states, strict=True):
            layer.momentum, layer.trainable = state
