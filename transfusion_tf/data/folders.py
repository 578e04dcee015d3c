"""Splits of a directory of class folders, read as it is."""

import hashlib

import numpy as np
import tensorflow as tf
from etils import epath

from transfusion_tf.data import splits, tasks

_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def open_folder(task: tasks.Task, split: str) -> splits.Split:
    """Lists the images of a split of class folders and decodes each once.

    Args:
        task: A `folder:PATH` task.
        split: "train", "validation" or "test".

    Raises:
        ValueError: If an image cannot be decoded, naming it.
    """
    folder = epath.Path(task.folder or "")
    if (folder / "train").is_dir():
        paths = _folder_with_splits(folder, split)
    else:
        paths = _hashed(_image_paths(folder), split, (0.8, 0.9))
    names = np.array([str(path.relative_to(folder)) for path in paths])
    classes = {name: index for index, name in enumerate(task.classes)}
    labels = np.array([classes[p.parent.name] for p in paths], np.int64)

    def encoded() -> tf.data.Dataset:
        files = tf.data.Dataset.from_tensor_slices([str(p) for p in paths])
        return files.map(
            tf.io.read_file,
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    # A directory of images names no patients: each image counts as one.
    opened = splits.Split(
        name=split,
        image_ids=names,
        patients=names,
        labels=labels,
        example_ids=np.arange(len(paths)),
        encoded=encoded,
        paths=tuple(paths),
    )
    _check_decodable(opened)
    return opened


def _folder_with_splits(folder: epath.Path, split: str) -> list[epath.Path]:
    if (folder / split).is_dir():
        paths = _image_paths(folder / split)
    else:
        paths = _image_paths(folder / "train")
    if (folder / "validation").is_dir() or split == "test":
        return paths
    # No validation folder: a tenth of train, by the hash of the file's name.
    return _hashed(paths, split, (0.9, 1.0))


def _hashed(
    paths: list[epath.Path], split: str, bounds: tuple[float, float]
) -> list[epath.Path]:
    """Keeps the paths whose hash falls into the split's share."""
    low, high = {
        "train": (0.0, bounds[0]),
        "validation": bounds,
        "test": (bounds[1], 1.0),
    }[split]
    kept = []
    for path in paths:
        name = f"{path.parent.name}/{path.name}"
        digest = hashlib.sha256(name.encode()).hexdigest()
        if low <= int(digest[:8], 16) / 16**8 < high:
            kept.append(path)
    return kept


def _image_paths(root: epath.Path) -> list[epath.Path]:
    return sorted(
        path
        for folder in root.iterdir()
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix.lower() in _IMAGE_SUFFIXES
    )


def _check_decodable(split: splits.Split) -> None:
    """Decodes every image once, so that a bad one is named before training."""
    images = split.encoded().map(
        lambda image: tf.shape(_decode(image)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    place = 0
    try:
        for _ in images:
            place += 1
    except tf.errors.InvalidArgumentError as error:
        # Images before the bad one may have been buffered: find it itself.
        for place, image in enumerate(split.encoded()):
            try:
                _decode(image)
            except tf.errors.InvalidArgumentError:
                raise ValueError(
                    "An image cannot be decoded. Received: "
                    f"{split.image_ids[place]!r}. Mend or remove that file."
                ) from error
        raise


def _decode(image: tf.Tensor) -> tf.Tensor:
    return tf.io.decode_image(image, channels=3, expand_animations=False)
