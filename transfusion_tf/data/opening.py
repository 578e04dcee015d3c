"""Opens the splits of a task."""

import dataclasses

import numpy as np

from transfusion_tf.data import folders as data_folders
from transfusion_tf.data import prepared, splits, tasks
from transfusion_tf.raw import folders

SPLIT_NAMES = ("train", "validation", "test")


def open_task(
    name: str,
    *,
    data_dir: str | None = None,
    dataset_config: str | None = None,
) -> tasks.Task:
    """Returns a task by name, with the classes of a data set of tfds.

    Args:
        name: See `tasks.task`.
        data_dir: Where prepared data sets are kept.
        dataset_config: Configuration of the data set, by default the task's.

    Returns:
        The task.

    Raises:
        ValueError: If there is no such task, or the data set is not of
            classes.
        FileNotFoundError: If the data are not prepared.
    """
    task = tasks.task(name)
    if task.classes:
        return task
    classes, kind = prepared.classes_of(task, data_dir, dataset_config)
    return dataclasses.replace(task, classes=classes, kind=kind)


def given_splits(
    task: tasks.Task,
    *,
    data_dir: str | None = None,
    dataset_config: str | None = None,
) -> tuple[str, ...]:
    """Lists the splits that a task's data come with.

    Args:
        task: What is learnt.
        data_dir: Where `prepare_data` wrote; not used by `folder:` tasks.
        dataset_config: Configuration of the data set, by default the task's.

    Returns:
        Those of `SPLIT_NAMES` that there are; splits of other names are no
        part of a task.

    Raises:
        FileNotFoundError: If the data are not prepared.
    """
    if task.folder is not None:
        return folders.split_names(task.folder)
    names = prepared.split_names(task, data_dir, dataset_config)
    return tuple(name for name in SPLIT_NAMES if name in names)


def open_split(
    task: tasks.Task,
    split: str,
    *,
    data_dir: str | None = None,
    dataset_config: str | None = None,
) -> splits.Split:
    """Reads who is in a split; no image is decoded.

    Args:
        task: What is learnt.
        split: One of `SPLIT_NAMES`.
        data_dir: Where `prepare_data` wrote; not used by `folder:` tasks.
        dataset_config: Configuration of the data set, by default the task's.

    Returns:
        The split; images without a label (-1) are left out and counted.

    Raises:
        FileNotFoundError: If the data are not prepared; the message has the
            command that prepares them.
        ValueError: If the split is unknown or empty or a label is out of
            range.
        errors.DataError: If the files are not as they were written.
    """
    if split not in SPLIT_NAMES:
        raise ValueError(
            f"There is no such split. Received: split={split!r}. Use one of "
            f"{', '.join(SPLIT_NAMES)}."
        )
    if task.folder is not None:
        opened = data_folders.open_folder(task, split)
    else:
        opened = prepared.open_prepared(task, split, data_dir, dataset_config)
    if opened.labels.ndim == 1:
        opened = opened.leave_out(opened.labels != -1, "without a label")
    _check_labels(task, opened)
    return opened


def _check_labels(task: tasks.Task, split: splits.Split) -> None:
    if not split.num_examples:
        raise ValueError(
            f"The {split.name} split of {task.name} holds no examples. "
            "Prepare data that fill all of train, validation and test."
        )
    if task.kind == "findings":
        return
    bad = (split.labels < 0) | (split.labels >= len(task.classes))
    if bad.any():
        place = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{int(bad.sum())} labels of the {split.name} split of "
            f"{task.name} are out of range. Received: label "
            f"{split.labels[place]} of image {split.image_ids[place]!r}. "
            f"Labels must be 0 to {len(task.classes) - 1}."
        )
