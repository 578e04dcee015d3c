"""Splits of a directory of images, read as it is."""

import concurrent.futures
import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from etils import epath

from transfusion_tf.data import splits, tasks
from transfusion_tf.raw import errors, folders, images, items


def open_folder(task: tasks.Task, split: str) -> splits.Split:
    """Lists the images of a split and decodes each once.

    Args:
        task: A `folder:PATH` task.
        split: "train", "validation" or "test".

    Raises:
        errors.DataError: If an image cannot be used, naming it.
    """
    parts = folders.read(task.folder or "").parts
    found = parts.splits.get(split, [])
    # By a hash, as prepared data: class after class would be learnt class
    # after class.
    part = sorted(found, key=items.place)
    _check_images(part)
    paths = [item.path for item in part]
    return splits.Split(
        name=split,
        image_ids=np.array([item.image_id for item in part]),
        patients=np.array([item.patient_id for item in part]),
        labels=np.array([item.values["label"] for item in part], np.int64),
        example_ids=np.arange(len(part)),
        sources=functools.partial(tf.data.Dataset.from_tensor_slices, paths),
        encoded_image=tf.io.read_file,
        rule=parts.rule,
        paths=tuple(epath.Path(path) for path in paths),
    )


def _check_images(part: Sequence[items.Item]) -> None:
    """Decodes every image once, so that a bad one is named before training."""
    # Pillow decodes outside of Python's lock.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for _ in pool.map(_check_image, [item.path for item in part]):
            pass


def _check_image(path: str) -> None:
    picture = images.decode(epath.Path(path).read_bytes(), name=path)
    if picture.is_rotated:
        raise errors.BadImageError(
            "An image asks to be turned by its EXIF orientation, which "
            f"reading on the fly does not do. Received: {path!r}. Prepare the "
            "folder, which turns it: python -m launch.prepare_data "
            "--dataset=transfusion_image_folder/original --manual_dir=PATH"
        )
