"""Captures the activations that end each stage of a network."""

import keras
import numpy as np
import tensorflow as tf

from transfusion_tf import data, similarity, training

# Of a larger grid this many positions are kept, the same of every image, so
# that a stage of 294 x 294 positions fits into memory.
MAX_GRID_POSITIONS = 1024


class StageActivations:
    """Computes the activations of every stage of one network.

    Attributes:
        program: The network, and what computes it; its variables are read at
            each call.
    """

    def __init__(self, program: training.Program, *, seed: int = 0):
        """Compiles the capture when it is first called.

        Args:
            program: The network.
            seed: Which positions of a large grid are kept.
        """
        self.program = program
        self._model = program.staged.feature_model()
        self._kept = {
            stage.name: _kept_positions(self._model.output[stage.name], seed)
            for stage in program.staged.stages
        }
        self._capture = training.OverImages(program, self._capture_batch)

    def __call__(
        self, reader: data.SplitReader, *, num_images: int
    ) -> dict[str, np.ndarray]:
        """Captures the activations of the first images of a split.

        Batch norm is in inference mode.

        Args:
            reader: The split.
            num_images: Most images to take, at least 1.

        Returns:
            By stage, float32 `[images, positions, 1, channels]`, where
            `images` is the smaller of `num_images` and the split.
        """
        return self._capture(reader, min(num_images, reader.split.num_examples))

    def _capture_batch(self, batch: training.Batch) -> training.Batch:
        images = data.normalize(batch["image"], self.program.preprocessing)
        activations = self._model(images, training=False)
        return {
            name: _take_positions(values, self._kept[name])
            for name, values in activations.items()
        }


def _kept_positions(output: keras.KerasTensor, seed: int) -> np.ndarray:
    num_positions = int(np.prod(output.shape[1:-1]))
    return similarity.choose_positions(
        1, num_positions, MAX_GRID_POSITIONS, seed=seed
    ).position


def _take_positions(values: tf.Tensor, kept: np.ndarray) -> tf.Tensor:
    grid = tf.reshape(values, [tf.shape(values)[0], -1, 1, values.shape[-1]])
    return tf.cast(tf.gather(grid, kept, axis=1), tf.float32)
