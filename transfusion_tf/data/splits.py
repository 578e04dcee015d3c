"""Opens a split: who is in it, and its encoded images in a fixed order."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from etils import epath

from transfusion_tf.data import tasks

SPLIT_NAMES = ("train", "validation", "test")
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_METADATA_BATCH = 1024


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples of a split in their fixed order; an example's id is its place.

    Attributes:
        name: "train", "validation" or "test".
        image_ids: Unique names of the images, str `[num_examples]`.
        patients: Patient of each image, str `[num_examples]`.
        labels: Class index of each image, int64 `[num_examples]`.
        example_ids: Place of each example in `encoded`, int64
            `[num_examples]`, ascending; 0, 1, 2, ... unless the split is a
            subset.
        encoded: Makes a `tf.data.Dataset` of encoded images (scalar strings)
            of the whole split, whose place in it is their example id.
    """

    name: str
    image_ids: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    example_ids: np.ndarray
    encoded: Callable[[], tf.data.Dataset]

    @property
    def num_examples(self) -> int:
        """Number of images."""
        return len(self.example_ids)

    @property
    def num_patients(self) -> int:
        """Number of patients."""
        return len(np.unique(self.patients))

    @property
    def sha256(self) -> str:
        """Hash of image names, patients and labels, whatever their order."""
        rows = sorted(
            f"{image}\t{patient}\t{label}\n"
            for image, patient, label in zip(
                self.image_ids, self.patients, self.labels, strict=True
            )
        )
        return hashlib.sha256("".join(rows).encode()).hexdigest()

    def take(self, places: np.ndarray) -> "Split":
        """Returns the examples at these places (ascending indices)."""
        return dataclasses.replace(
            self,
            image_ids=self.image_ids[places],
            patients=self.patients[places],
            labels=self.labels[places],
            example_ids=self.example_ids[places],
        )

    def summary(self) -> dict[str, object]:
        """Counts and hash, as they are recorded."""
        return {
            "num_examples": self.num_examples,
            "num_patients": self.num_patients,
            "label_counts": np.bincount(self.labels).tolist(),
            "sha256": self.sha256,
        }


def open_split(
    task: tasks.Task,
    split: str,
    *,
    data_dir: str | None = None,
    dataset_config: str | None = None,
) -> Split:
    """Reads who is in a split; no image is decoded.

    Args:
        task: What is learnt.
        split: One of `SPLIT_NAMES`.
        data_dir: Where `prepare_data` wrote; not used by `folder:` tasks.
        dataset_config: Configuration of the data set, by default the task's.

    Returns:
        The split.

    Raises:
        FileNotFoundError: If the data are not prepared; the message has the
            command that prepares them.
        ValueError: If the split is unknown or empty or a label is out of
            range.
    """
    if split not in SPLIT_NAMES:
        raise ValueError(
            f"There is no such split. Received: split={split!r}. Use one of "
            f"{', '.join(SPLIT_NAMES)}."
        )
    if task.folder is not None:
        opened = _open_folder(task, split)
    else:
        opened = _open_prepared(task, split, data_dir, dataset_config)
    _check_labels(task, opened)
    return opened


def check_patients_disjoint(splits: Sequence[Split]) -> None:
    """Checks that no patient is in two splits.

    Raises:
        ValueError: If one is, naming some of them: what was learnt from one
            eye would be tested on the other.
    """
    for place, first in enumerate(splits):
        for second in splits[place + 1 :]:
            shared = np.intersect1d(first.patients, second.patients)
            if len(shared):
                raise ValueError(
                    f"{len(shared)} patients are in two splits, "
                    f"{first.name} and {second.name}. Received: patients "
                    f"{', '.join(map(str, shared[:5]))} ... Split the data "
                    "by patient and prepare them again."
                )


def _check_labels(task: tasks.Task, split: Split) -> None:
    if not split.num_examples:
        raise ValueError(
            f"The {split.name} split of {task.name} holds no examples. "
            "Prepare data that fill all of train, validation and test."
        )
    bad = (split.labels < 0) | (split.labels >= task.num_outputs)
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{int(bad.sum())} labels of the {split.name} split of "
            f"{task.name} are out of range. Received: label "
            f"{split.labels[place]} of image {split.image_ids[place]!r}. "
            f"Labels must be 0 to {task.num_outputs - 1}."
        )


def _open_prepared(
    task: tasks.Task,
    split: str,
    data_dir: str | None,
    dataset_config: str | None,
) -> Split:
    config = dataset_config or task.dataset_config
    directory = _prepared_directory(task, data_dir, config)
    builder = tfds.builder_from_directory(directory)
    read_config = tfds.ReadConfig(try_autocache=False, skip_prefetch=True)
    wanted = {task.label, "image_id", "patient_id"}
    metadata = tfds.as_numpy(
        builder.as_dataset(
            split=split,
            decoders=tfds.decode.PartialDecoding(dict.fromkeys(wanted, True)),
            shuffle_files=False,
            read_config=read_config,
        ).batch(_METADATA_BATCH)
    )
    batches = list(metadata)

    def column(feature: str) -> np.ndarray:
        return np.concatenate([batch[feature] for batch in batches])

    def encoded() -> tf.data.Dataset:
        images = builder.as_dataset(
            split=split,
            decoders={"image": tfds.decode.SkipDecoding()},
            shuffle_files=False,
            read_config=read_config,
        )
        return images.map(lambda example: example["image"])

    return Split(
        name=split,
        image_ids=column("image_id").astype(str),
        patients=column("patient_id").astype(str),
        labels=column(task.label).astype(np.int64),
        example_ids=np.arange(sum(len(b["image_id"]) for b in batches)),
        encoded=encoded,
    )


def _prepared_directory(
    task: tasks.Task, data_dir: str | None, config: str
) -> epath.Path:
    command = (
        f"  python -m launch.prepare_data --dataset={task.dataset}/{config} "
        f"--data_dir={data_dir or 'DIR'} [--manual_dir=RAW_FILES]"
    )
    if not data_dir:
        raise ValueError(
            f"The task {task.name} reads prepared data. Received: no "
            f"--data_dir. Prepare them and name the place:\n{command}"
        )
    root = epath.Path(data_dir) / task.dataset
    versions = [
        path.parent for path in (root / config).glob("*/dataset_info.json")
    ]
    if not versions:
        prepared = sorted(
            {path.parent.parent.name for path in root.glob("*/*/*.json")}
        )
        raise FileNotFoundError(
            f"{task.dataset}/{config} is not prepared in {data_dir!r}. "
            f"Received: prepared configurations {prepared or 'none'}. Name "
            f"one of them (--dataset_config), or run:\n{command}"
        )
    return max(versions, key=lambda path: _version(path.name))


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))


def _open_folder(task: tasks.Task, split: str) -> Split:
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
    opened = Split(
        name=split,
        image_ids=names,
        patients=names,
        labels=labels,
        example_ids=np.arange(len(paths)),
        encoded=encoded,
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


def _check_decodable(split: Split) -> None:
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
