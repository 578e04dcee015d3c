"""Splits of prepared tfds data sets, opened from their index."""

import functools
from typing import Literal

import numpy as np
import tensorflow as tf
from etils import epath

from transfusion_tf.data import index as index_lib
from transfusion_tf.data import splits, tasks


def open_prepared(
    task: tasks.Task,
    split: str,
    data_dir: str | None,
    dataset_config: str | None,
) -> splits.Split:
    """Opens a split of a prepared data set; no record is read.

    Args:
        task: What is learnt.
        split: Name of the split.
        data_dir: Where prepared data sets are kept.
        dataset_config: Configuration of the data set, by default the task's.

    Raises:
        FileNotFoundError: If it is not prepared.
        ValueError: If it has not this split, or not the task's label.
        errors.RecordCountError: If its files have changed.
    """
    index = _open_index(task, split, data_dir, dataset_config)
    columns = dict(index.columns)
    labels = columns.pop(_label_of(task, index))
    if task.kind == "findings":
        labels = _findings(task, index, labels)
    image_ids = columns.pop("image_id", None)
    if image_ids is None:
        places = np.arange(index.num_records)
        image_ids = np.char.add(f"{split}/", places.astype(str))
    # A data set of tfds names no patients: each image counts as one.
    patients = columns.pop("patient_id", image_ids)
    return splits.Split(
        name=split,
        image_ids=_text(image_ids),
        patients=_text(patients),
        labels=labels.astype(np.int64) if labels.ndim == 1 else labels,
        example_ids=np.arange(index.num_records),
        sources=functools.partial(_records, index),
        encoded_image=functools.partial(_image_of_record, index.image),
        columns=columns,
        paths=tuple(index.paths),
        images_sha256=index.images_sha256,
        rule=index.rule,
    )


def split_names(
    task: tasks.Task, data_dir: str | None, dataset_config: str | None
) -> tuple[str, ...]:
    """Lists the splits of a data set that hold labelled images.

    Raises:
        FileNotFoundError: If it is not prepared.
    """
    index = _open_index(task, None, data_dir, dataset_config)
    return index.labelled_splits


def classes_of(
    task: tasks.Task, data_dir: str | None, dataset_config: str | None
) -> tuple[tuple[str, ...], Literal["classes", "findings"]]:
    """Returns the names of a data set's classes, or of its findings.

    Raises:
        ValueError: If it has neither.
        FileNotFoundError: If it is not prepared.
    """
    index = _open_index(task, None, data_dir, dataset_config)
    if index.label_names is not None:
        return index.label_names, "findings"
    if index.classes is None:
        raise ValueError(
            "The data set has no label of classes. Received: "
            f"task={task.name!r}, label {index.label!r}. Take a task that is "
            f"made for it, or another data set."
        )
    return index.classes, "classes"


def _open_index(
    task: tasks.Task,
    split: str | None,
    data_dir: str | None,
    dataset_config: str | None,
) -> index_lib.Index:
    config = dataset_config or task.dataset_config
    directory = prepared_directory(task.dataset, config, data_dir, task.name)
    command = _command(task.dataset, config, data_dir)
    return index_lib.open_index(directory, split, command=command)


def _label_of(task: tasks.Task, index: index_lib.Index) -> str:
    label = task.label or index.label
    if label is None or label not in index.columns:
        raise ValueError(
            f"The prepared data have no label {label!r}. Received: "
            f"{str(index.directory)!r} with {', '.join(index.columns)}. Use a "
            "task that is made for this data set."
        )
    return label


def _findings(
    task: tasks.Task, index: index_lib.Index, labels: np.ndarray
) -> np.ndarray:
    """Takes the task's findings, in its order, by their names."""
    names = index.label_names or ()
    missing = [name for name in task.classes if name not in names]
    if missing:
        raise ValueError(
            "The prepared data lack findings of the task. Received: task="
            f"{task.name!r}, {str(index.directory)!r} without "
            f"{', '.join(missing)}. Use a task that is made for this data set."
        )
    return labels[:, [names.index(name) for name in task.classes]]


def _text(values: np.ndarray) -> np.ndarray:
    return (
        np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
    )


def _records(index: index_lib.Index) -> tf.data.Dataset:
    dataset = tf.data.TFRecordDataset([str(path) for path in index.paths])
    return dataset.apply(
        tf.data.experimental.assert_cardinality(index.num_records)
    )


def _image_of_record(feature: str, record: tf.Tensor) -> tf.Tensor:
    spec = {feature: tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_single_example(record, spec)[feature]


def prepared_directory(
    dataset: str, config: str | None, data_dir: str | None, task_name: str
) -> epath.Path:
    """Finds the newest version of a prepared data set.

    Args:
        dataset: Name of the tfds data set.
        config: Its configuration; `None` for a data set that has none.
        data_dir: Where prepared data sets are kept.
        task_name: Who asks, for errors.

    Raises:
        ValueError: If no directory is given.
        FileNotFoundError: If the data set is not prepared there.
    """
    command = _command(dataset, config, data_dir)
    if not data_dir:
        raise ValueError(
            f"The task {task_name} reads prepared data. Received: no "
            f"--data_dir. Prepare them and name the place:\n{command}"
        )
    root = epath.Path(data_dir) / dataset
    folder = root / config if config else root
    versions = [path.parent for path in folder.glob("*/dataset_info.json")]
    if not versions:
        prepared = sorted(
            {path.parent.parent.name for path in root.glob("*/*/*.json")}
        )
        name = f"{dataset}/{config}" if config else dataset
        raise FileNotFoundError(
            f"{name} is not prepared in {data_dir!r}. Received: prepared "
            f"configurations {', '.join(prepared) or 'none'}. "
            + (
                "Name one of them (--dataset_config), or run"
                if prepared
                else "Run"
            )
            + f":\n{command}"
        )
    return max(versions, key=lambda path: _version(path.name))


def _command(dataset: str, config: str | None, data_dir: str | None) -> str:
    """The command that prepares a data set, ours or one of tfds."""
    name = f"{dataset}/{config}" if config else dataset
    if not dataset.startswith("transfusion_"):
        name = f"tfds:{name}"
    return (
        f"  python -m launch.prepare_data --dataset={name} "
        f"--data_dir={data_dir or 'DIR'} [--manual_dir=RAW_FILES]"
    )


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))
