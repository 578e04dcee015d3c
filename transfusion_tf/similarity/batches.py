"""Batches of images as they come from a data set, checked one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def checked_images(dataset: Any) -> Iterable[tf.Tensor]:
    """Yields the images of each batch.

    Args:
        dataset: Batches: tensors, or dictionaries with "image", or tuples
            that begin with either.

    Raises:
        ValueError: If images are missing, not finite or of different shapes.
    """
    if tf.is_tensor(dataset) or isinstance(dataset, np.ndarray):
        raise ValueError(
            "Images come in batches. Received: one array of shape "
            f"{tuple(dataset.shape)}. Give a tf.data.Dataset of batches, or "
            "[images]."
        )
    first: tf.Tensor | None = None
    for place, batch in enumerate(dataset):
        images = tf.convert_to_tensor(_images_of(batch))
        if first is None:
            first = images
        if (images.shape[1:], images.dtype) != (first.shape[1:], first.dtype):
            raise ValueError(
                "All batches hold images of one shape. Received: batch "
                f"{place} of shape {tuple(images.shape)}, "
                f"{images.dtype.name}; the first is of "
                f"{tuple(first.shape)}, {first.dtype.name}. Resize the images."
            )
        if images.dtype.is_floating:
            count = int(tf.math.count_nonzero(~tf.math.is_finite(images)))
            if count:
                raise ValueError(
                    f"Images are not finite. Received: {count} values NaN or "
                    f"infinite in batch {place}. Look at what the dataset "
                    "reads and how it scales it."
                )
        yield images


def num_batches(dataset: Any) -> int | None:
    """Returns how many batches there are; None of a generator."""
    try:
        return len(dataset)
    except TypeError:
        return None


def _images_of(batch: Any) -> Any:
    if isinstance(batch, Mapping):
        if "image" not in batch:
            raise ValueError(
                "A batch that is a dictionary has its images at 'image'. "
                f"Received: {sorted(batch)}. Map the dataset to that."
            )
        return batch["image"]
    return _images_of(batch[0]) if isinstance(batch, tuple) else batch
