"""Batch norm's moving statistics, estimated on real images."""

import contextlib
from collections.abc import Collection, Iterator, Sequence

import keras
import numpy as np

from transfusion_tf import data, models


def recalibrate_batch_norm(
    staged: models.StagedModel,
    reader: data.SplitReader,
    *,
    preprocessing: str,
    num_images: int,
    batch_size: int,
    stages: Collection[str] | None = None,
) -> None:
    """Sets moving statistics to the mean over batches of the batches'.

    An untrained network's are 0 and 1 whatever its activations are.

    Args:
        staged: The network.
        reader: The images, those of the train split.
        preprocessing: How pixels are scaled, as in training.
        num_images: Most images to use, at least 1.
        batch_size: Images a batch.
        stages: The stages whose batch norms are set; by default all.
    """
    layers = [
        layer
        for layer in staged.model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    statistics = [
        variable
        for layer in layers
        for variable in (layer.moving_mean, layer.moving_variance)
    ]
    is_set = np.repeat(
        [stages is None or staged.stage_of(n.name) in stages for n in layers], 2
    )
    before = [variable.numpy() for variable in statistics]
    sums = [np.zeros(values.shape, np.float64) for values in before]
    num_batches = max(
        1, min(num_images, reader.split.num_examples) // batch_size
    )
    with _last_batch_alone(layers):
        for batch in reader.evaluation_batches(batch_size).take(num_batches):
            images = data.normalize(batch["image"], preprocessing)
            staged.model(images, training=True)
            for total, variable in zip(sums, statistics, strict=True):
                total += variable.numpy()
    for place, variable in enumerate(statistics):
        mean = sums[place] / num_batches
        variable.assign(mean if is_set[place] else before[place])


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
