"""How much a trained network needs the arrangement of an image's parts.

Images are cut into blocks, the blocks put back in another order, and the
network scores them. What survives small blocks is told from texture and
colour, what does not, from structure of the blocks' size.

Source: Neyshabur, Sedghi and Zhang 2020, "What is being transferred in
    transfer learning?", section 3.1 (there, networks are trained on them too).
"""

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from transfusion_tf.analysis import comparison_request
from transfusion_tf.analysis import network as network_lib


@dataclasses.dataclass(frozen=True)
class ShuffledScore:
    """The score on images in shuffled blocks.

    Attributes:
        block_size: Side of a block in pixels; the image's own is the image as
            it was.
        score: The task's metric.
    """

    block_size: int
    score: float


def shuffle_blocks(
    images: tf.Tensor, keys: tf.Tensor, *, block_size: int, seed: int = 0
) -> tf.Tensor:
    """Puts the blocks of each image into another order.

    Args:
        images: `[batch, size, size, channels]`.
        keys: int64 `[batch]`; an image's order depends on its key and `seed`,
            not on the batch it is in.
        block_size: Side of a block in pixels, a divisor of `size`.
        seed: Which orders.

    Returns:
        The images, of the same shape and dtype.

    Raises:
        ValueError: If the blocks do not fill an image.

    Example:
    >>> image = tf.reshape(tf.range(16), [1, 4, 4, 1])
    >>> halves = shuffle_blocks(image, [7], block_size=2)
    >>> sorted(halves[0, :2, :2, 0].numpy().ravel().tolist()) in (
    ...     [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15])
    True
    """
    size, channels = images.shape[1], images.shape[3]
    if block_size < 1 or size % block_size:
        raise ValueError(
            "Blocks must fill an image. Received: block_size="
            f"{block_size}, images of {size} pixels. Use one of "
            f"{', '.join(map(str, _divisors(size)))}."
        )
    count = size // block_size
    orders = tf.map_fn(
        lambda key: tf.argsort(
            tf.random.stateless_uniform(
                [count**2], seed=tf.stack([tf.cast(seed, tf.int64), key])
            )
        ),
        tf.cast(keys, tf.int64),
        fn_output_signature=tf.int32,
    )
    grid = [-1, count, block_size, count, block_size, channels]
    blocks = tf.transpose(tf.reshape(images, grid), [0, 1, 3, 2, 4, 5])
    line = [-1, count**2, block_size, block_size, channels]
    moved = tf.gather(tf.reshape(blocks, line), orders, batch_dims=1)
    square = [-1, count, count, block_size, block_size, channels]
    rows = tf.transpose(tf.reshape(moved, square), [0, 1, 3, 2, 4, 5])
    return tf.reshape(rows, [-1, size, size, channels])


def score_shuffled_blocks(
    network: network_lib.Network,
    *,
    block_sizes: Sequence[int] | None = None,
    split: str = "test",
    seed: int = 0,
) -> list[ShuffledScore]:
    """Scores a trained network on images in shuffled blocks.

    Args:
        network: Of a finished run.
        block_sizes: Sides of blocks in pixels. Default: the image's own
            (nothing moves), halved as long as it goes, and 1.
        split: What is scored.
        seed: Which orders; one is drawn for each image.

    Returns:
        A score for each size, in the order given.

    Raises:
        FileNotFoundError: If the run did not keep its last weights.
        ValueError: If blocks of a size do not fill an image.
    """
    if block_sizes is None:
        block_sizes = _halved(network.data.key.image_size)
    last = comparison_request.Checkpoint(network.run, network.last_step)
    weights = network.weights(last)
    metric = network.data.task.metric
    scores = []
    for block_size in block_sizes:

        def change(
            batch: dict[str, tf.Tensor], block_size: int = block_size
        ) -> dict[str, tf.Tensor]:
            image = shuffle_blocks(
                batch["image"],
                batch["example_id"],
                block_size=block_size,
                seed=seed,
            )
            return batch | {"image": image}

        score = network.score(weights, split, change)[metric]
        scores.append(ShuffledScore(block_size, float(score)))
    return scores


def _halved(size: int) -> list[int]:
    sizes = [size]
    while sizes[-1] % 2 == 0:
        sizes.append(sizes[-1] // 2)
    return sizes if sizes[-1] == 1 else [*sizes, 1]


def _divisors(size: int) -> list[int]:
    return [side for side in range(1, size + 1) if size % side == 0]
