"""Reads a split in batches, for training and for evaluation."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf

from transfusion_tf.data import augmentation, index, pipelines, splits

T = TypeVar("T")

# The id of examples that only fill the last evaluation batch.
PADDING_ID = -1
# The same whether or not images are kept, so that no order depends on it. Data
# lie in the order of a hash, so a stretch of this length is a random sample.
_SHUFFLE_BUFFER = 4096


@dataclasses.dataclass(frozen=True)
class Part:
    """What one of several workers reads of every batch: so many in a row.

    Attributes:
        index: Which worker's part, from 0.
        count: Number of workers; `batch_size` must be divisible by it.
    """

    index: int = 0
    count: int = 1


_WHOLE = Part()


class SplitReader:
    """Decodes a split and deals it out in batches.

    A split whose decoded images fit into `cache_bytes` is decoded once and
    kept in memory; a larger one is shuffled as it lies and decoded as it goes.

    A batch is a dictionary of `image` (uint8 `[batch, size, size, 3]`),
    `example_id` (int64 `[batch]`), what is to be learnt (`label`, int64
    `[batch]`, unless other targets are given) and, in training, `draws`
    (float32 `[batch, NUM_DRAWS]`, for the augmentation).

    Attributes:
        split: What is read.
        image_size: Height and width of the images in pixels.
    """

    def __init__(
        self,
        split: splits.Split,
        image_size: int,
        *,
        targets: Mapping[str, np.ndarray] | None = None,
        cache_bytes: float = 4e9,
    ):
        """Prepares the reading; the images are decoded when first asked for.

        Args:
            split: What to read.
            image_size: Height and width to bring images to, in pixels, at
                least 1. Images that are not square are padded with black.
            targets: What is to be learnt of each example by name, each
                `[num_examples, ...]`; by default `label`.
            cache_bytes: Most memory to keep decoded images in.
        """
        self.split = split
        self.image_size = image_size
        self._is_cached = split.num_examples * image_size**2 * 3 <= cache_bytes
        self._targets = {"label": split.labels} if targets is None else targets
        place = np.full(int(split.example_ids[-1]) + 1, -1, np.int64)
        place[split.example_ids] = np.arange(split.num_examples)
        self._places = tf.constant(place)
        self._columns = {
            name: tf.constant(values) for name, values in self._targets.items()
        }
        self._examples = self._start()

    def _start(self) -> tf.data.Dataset:
        """Ids and sources, or, if they are to be kept, decoded examples."""
        sources = self.split.sources().take(len(self._places)).enumerate()
        if len(self._places) > self.split.num_examples:
            sources = sources.filter(lambda k, _: self._places[k] >= 0)
        if not self._is_cached:
            return sources
        return pipelines.mapped(sources, self._example).cache()

    def train_steps_per_epoch(self, batch_size: int) -> int:
        """Returns the number of full batches in an epoch.

        Raises:
            ValueError: If there is not one.
        """
        if batch_size > self.split.num_examples:
            raise ValueError(
                "A batch must not be larger than the train split. Received: "
                f"batch_size={batch_size}, and {self.split.name} has "
                f"{self.split.num_examples} examples. Use --batch_size="
                f"{self.split.num_examples} or less."
            )
        return self.split.num_examples // batch_size

    def train_batches(
        self,
        *,
        seed: int,
        batch_size: int,
        first_step: int = 0,
        num_steps: int | None = None,
        part: Part = _WHOLE,
    ) -> tf.data.Dataset:
        """Returns the batches of steps: a pure function of the arguments.

        One epoch follows another, without a new pipeline to build. The
        examples that do not fill a last batch are left out of an epoch; the
        next one's order is another one.

        Args:
            seed: Seed of the run.
            batch_size: Examples a batch, over all workers and replicas.
            first_step: The step, from 0, that the first batch is for: those
                before it were seen before the run was stopped.
            num_steps: Number of batches, at least 1. Default: an epoch's.
            part: What this worker reads of each batch; the others are not
                decoded.

        Returns:
            The batches, all of `batch_size`, or its part of that.
        """
        an_epoch = self.train_steps_per_epoch(batch_size)
        num_steps = an_epoch if num_steps is None else num_steps
        first_epoch, skip = divmod(first_step, an_epoch)
        last_epoch = (first_step + num_steps - 1) // an_epoch
        seeds = [
            _epoch_seed(seed, k) for k in range(first_epoch, last_epoch + 1)
        ]
        skips = [skip] + [0] * (last_epoch - first_epoch)

        def epoch(epoch_seed: tf.Tensor, skip: tf.Tensor) -> tf.data.Dataset:
            # Of this function alone: no global seed has a part in the order.
            tf.compat.v1.set_random_seed(None)

            def drawn_for(*parts: Any) -> dict[str, tf.Tensor]:
                example = parts[0] if self._is_cached else self._example(*parts)
                draws = tf.random.stateless_uniform(
                    [augmentation.NUM_DRAWS],
                    seed=tf.stack([epoch_seed, example["example_id"]]),
                )
                return example | {"draws": draws}

            examples = self._examples.shuffle(
                min(self.split.num_examples, _SHUFFLE_BUFFER),
                seed=epoch_seed,
                reshuffle_each_iteration=False,
            ).skip(skip * batch_size)
            examples = _part_of(examples, batch_size, part, an_epoch - skip)
            return pipelines.mapped(examples, drawn_for).batch(
                batch_size // part.count, drop_remainder=True
            )

        epochs = tf.data.Dataset.from_tensor_slices(
            (tf.constant(seeds, tf.int64), tf.constant(skips, tf.int64))
        )
        return pipelines.not_tuned(
            epochs.flat_map(tf.autograph.experimental.do_not_convert(epoch))
            .take(num_steps)
            .prefetch(2)
        )

    def evaluation_batches(
        self, batch_size: int, part: Part = _WHOLE
    ) -> tf.data.Dataset:
        """Returns every example once, in order, in batches of one shape.

        The last batch is filled with black images of id `PADDING_ID`.

        Args:
            batch_size: Examples a batch, over all workers and replicas.
            part: What this worker reads of each batch.
        """
        num_batches = -(-self.split.num_examples // batch_size)
        examples = _part_of(self._examples, batch_size, part, num_batches)
        if not self._is_cached:
            examples = pipelines.mapped(examples, self._example)
        each = batch_size // part.count
        num_last = self.split.num_examples % batch_size
        num_own = np.clip(num_last - part.index * each, 0, each)
        num_missing = each - num_own if num_last else 0
        size = self.image_size
        padding = tf.data.Dataset.from_tensors(
            {
                "image": tf.zeros([size, size, 3], tf.uint8),
                "example_id": tf.constant(PADDING_ID, tf.int64),
                **{
                    name: tf.zeros(values.shape[1:], values.dtype)
                    for name, values in self._targets.items()
                },
            }
        ).repeat(num_missing)
        return pipelines.not_tuned(
            examples.concatenate(padding)
            .batch(each, drop_remainder=True)
            .prefetch(2)
        )

    def watched(self, batches: Iterable[T]) -> Iterator[T]:
        """Yields batches; a damaged file is named where TensorFlow does not.

        Args:
            batches: What `train_batches` or `evaluation_batches` returned,
                perhaps dealt out to replicas.

        Raises:
            errors.CorruptRecordError: If a record cannot be read.
        """
        try:
            yield from batches
        except (
            tf.errors.DataLossError,
            tf.errors.FailedPreconditionError,
        ) as error:
            # A cache that broke off would pass for a whole one.
            self._examples = self._start()
            found = index.find_damage(list(self.split.paths))
            raise (found or error) from error

    def _example(
        self, example_id: tf.Tensor, source: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Decodes an image and puts what is to be learnt of it beside it."""
        image = tf.io.decode_image(
            self.split.encoded_image(source),
            channels=3,
            expand_animations=False,
        )
        image.set_shape([None, None, 3])
        row = self._places[example_id]
        return {
            "image": _resize(image, self.image_size),
            "example_id": example_id,
            **{name: values[row] for name, values in self._columns.items()},
        }


def _part_of(
    examples: tf.data.Dataset,
    batch_size: int,
    part: Part,
    num_batches: int | tf.Tensor,
) -> tf.data.Dataset:
    """Leaves out what other workers read, and what fills no whole batch."""
    if part.count == 1:
        return examples
    each = batch_size // part.count

    def is_own(place: tf.Tensor, _: Any) -> tf.Tensor:
        # Read to the end, not to the last that is wanted: a cache that is
        # not read to its end is thrown away.
        is_wanted = place < num_batches * batch_size
        return is_wanted & (place % batch_size // each == part.index)

    numbered = examples.enumerate().filter(
        tf.autograph.experimental.do_not_convert(is_own)
    )
    return pipelines.mapped(numbered, lambda _, example: example)


def _resize(image: tf.Tensor, size: int) -> tf.Tensor:
    height, width = tf.shape(image)[0], tf.shape(image)[1]

    def resized() -> tf.Tensor:
        side = tf.maximum(height, width)
        square = tf.image.pad_to_bounding_box(
            image, (side - height) // 2, (side - width) // 2, side, side
        )
        pixels = tf.image.resize(square, [size, size], antialias=True)
        pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
        return tf.cast(pixels, tf.uint8)

    fits = tf.logical_and(tf.equal(height, size), tf.equal(width, size))
    image = tf.cond(fits, lambda: image, resized)
    return tf.ensure_shape(image, [size, size, 3])


def _epoch_seed(seed: int, epoch: int) -> int:
    digest = hashlib.sha256(f"{seed}/{epoch}".encode()).hexdigest()
    return int(digest[:15], 16)
