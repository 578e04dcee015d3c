"""Seeded choice of positions and channels of convolutional activations.

A choice depends on shape and seed alone: both sides of a comparison get the
same positions, and any process draws the same ones.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class Positions:
    """Chosen positions, in the order of their images.

    Attributes:
        image: Index of the image, shape `[num_positions]`, int64.
        position: Index into the flattened height x width grid, the same
            shape.
    """

    image: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]

    def gather(self, activations: npt.ArrayLike) -> npt.NDArray:
        """Takes the chosen positions out of activations.

        Args:
            activations: Shape `[num_images, height, width, num_channels]` or
                `[num_images, num_channels]`.

        Returns:
            Shape `[num_positions, num_channels]`.
        """
        return flatten_grid(activations)[self.image, self.position]


def choose_positions(
    num_images: int, grid_size: int, num_positions: int, *, seed: int
) -> Positions:
    """Chooses positions, spread evenly over all images.

    Each image gives `num_positions // num_images` different positions, and
    randomly chosen ones give one more; where there are not as many positions
    as asked for, all are taken.

    Args:
        num_images: At least 1.
        grid_size: Height x width, at least 1.
        num_positions: How many to choose, at least 1.
        seed: Seed of the choice.

    Returns:
        `min(num_positions, num_images * grid_size)` positions.

    Raises:
        ValueError: If a number is below 1.

    Example:
    >>> chosen = choose_positions(2, 49, 5, seed=0)
    >>> sorted(np.bincount(chosen.image).tolist())
    [2, 3]
    """
    if min(num_images, grid_size, num_positions) < 1:
        raise ValueError(
            "There must be positions to choose. Received: "
            f"num_images={num_images}, grid_size={grid_size}, "
            f"num_positions={num_positions}. All must be at least 1."
        )
    generator = np.random.default_rng(seed)
    num_positions = min(num_positions, num_images * grid_size)
    counts = np.full(num_images, num_positions // num_images)
    extra = num_positions - int(counts.sum())
    counts[generator.permutation(num_images)[:extra]] += 1
    chosen = [
        np.sort(generator.choice(grid_size, count, replace=False))
        for count in counts
    ]
    return Positions(
        image=np.repeat(np.arange(num_images), counts),
        position=np.concatenate(chosen).astype(np.int64),
    )


def sample_positions(
    activations: npt.ArrayLike, num_positions: int, *, seed: int
) -> tuple[npt.NDArray, npt.NDArray[np.int64]]:
    """Samples positions of a convolutional layer as datapoints.

    Two layers of equal `[num_images, height, width]` and equal seed are
    sampled at the same positions.

    Args:
        activations: Shape `[num_images, height, width, num_channels]`, or
            `[num_images, num_channels]` (one position an image).
        num_positions: The paper's p; see `choose_positions`.
        seed: Seed of the choice.

    Returns:
        The datapoints, shape `[num_positions, num_channels]`, and the index
        of each one's image, shape `[num_positions]`.

    Raises:
        ValueError: If the shape is another.

    Example:
    >>> rows, image = sample_positions(np.ones([2, 7, 7, 3]), 4, seed=0)
    >>> rows.shape, image.tolist()
    ((4, 3), [0, 0, 1, 1])

    Source: appendix on how CCA is applied to convolutional layers: positions
        count as datapoints, channels as neurons.
    """
    grid = flatten_grid(activations)
    chosen = choose_positions(
        grid.shape[0], grid.shape[1], num_positions, seed=seed
    )
    return chosen.gather(activations), chosen.image


def positions_of_images(
    images: tf.Tensor, grid_size: int, num_positions: int, *, seed: int
) -> tf.Tensor:
    """Chooses positions of each image by its number, within a graph too.

    The choice for an image does not depend on the batch that it comes in.

    Args:
        images: Numbers of the images in their stream, int64 `[num_images]`.
        grid_size: Height x width.
        num_positions: How many to choose of each, from 1 to `grid_size`.
        seed: Seed of the choice.

    Returns:
        Indices into the flattened grid, int32 `[num_images, num_positions]`,
        different ones in a row.

    Example:
    >>> chosen = positions_of_images(tf.range(9, dtype=tf.int64), 49, 5, seed=0)
    >>> bool(tf.reduce_all(chosen[3:] == positions_of_images(
    ...     tf.range(3, 9, dtype=tf.int64), 49, 5, seed=0)))
    True
    """

    def choose(image: tf.Tensor) -> tf.Tensor:
        keys = tf.random.stateless_uniform(
            [grid_size], seed=[seed, image], alg="philox"
        )
        return tf.math.top_k(keys, num_positions, sorted=False).indices

    return tf.map_fn(choose, images, fn_output_signature=tf.int32)


def sample_channels(
    num_channels: int, num_sampled: int, *, seed: int
) -> npt.NDArray[np.int64]:
    """Samples channels without replacement, in ascending order.

    Args:
        num_channels: Channels that the layer has, at least 1.
        num_sampled: The paper's d, at least 1; all channels are taken where
            there are not as many.
        seed: Seed of the choice.

    Returns:
        Channel indices, shape `[min(num_sampled, num_channels)]`.

    Raises:
        ValueError: If a number is below 1.

    Example:
    >>> sample_channels(3, 64, seed=0).tolist()
    [0, 1, 2]
    """
    if min(num_channels, num_sampled) < 1:
        raise ValueError(
            "There must be channels to choose. Received: num_channels="
            f"{num_channels}, num_sampled={num_sampled}. Both must be at "
            "least 1."
        )
    generator = np.random.default_rng(seed)
    size = min(num_channels, num_sampled)
    return np.sort(generator.choice(num_channels, size, replace=False))


def flatten_grid(activations: npt.ArrayLike) -> npt.NDArray:
    """Returns activations as `[num_images, grid_size, num_channels]`.

    Args:
        activations: Shape `[num_images, height, width, num_channels]` or
            `[num_images, num_channels]`.

    Returns:
        The same values, reshaped.

    Raises:
        ValueError: If the shape is another.
    """
    values = np.asarray(activations)
    if values.ndim not in (2, 4):
        raise ValueError(
            "Activations of a stage are images. Received: shape="
            f"{values.shape}. Give [num_images, height, width, num_channels] "
            "or [num_images, num_channels]."
        )
    return values.reshape(values.shape[0], -1, values.shape[-1])
