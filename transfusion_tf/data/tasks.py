"""A task: a data set, its labels, the outputs trained and the metric."""

import dataclasses
from typing import Literal

import numpy as np
import scipy.special
from etils import epath

# International Clinical Diabetic Retinopathy grades, index = grade.
ICDR_GRADES = ("none", "mild", "moderate", "severe", "proliferative")
# "Moderate or worse" is referable (paper, Table 1; README, Deviations).
REFERABLE_GRADE = 2


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learnt from which data set, and how it is scored.

    Attributes:
        name: The name that `--task` takes.
        dataset: Name of the tfds data set, or "" for a directory of images.
        dataset_config: The configuration of the data set that is read unless
            another one is named.
        label: Feature that holds the class index.
        classes: Names of the classes, index = label = output of the network.
        metric: "auc" for the area under the ROC curve of a binary question,
            "accuracy" for the share of examples whose class has the highest
            output.
        positive_from: With "auc": labels from here on are positive, and the
            score is the sum of their softmax probabilities.
        folder: The directory of a `folder:PATH` task.
    """

    name: str
    dataset: str
    dataset_config: str
    label: str
    classes: tuple[str, ...]
    metric: Literal["auc", "accuracy"]
    positive_from: int | None = None
    folder: str | None = None

    @property
    def num_outputs(self) -> int:
        """Number of outputs of the classification layer."""
        return len(self.classes)

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Returns what the metric is computed against.

        Args:
            labels: Class indices, int64 `[num_examples]`.

        Returns:
            int64 `[num_examples]`: 0 or 1 with "auc", else the labels.

        Example:
        >>> task("eyepacs_referable").targets(np.array([0, 1, 2, 4]))
        array([0, 0, 1, 1])
        """
        if self.positive_from is None:
            return labels.astype(np.int64)
        return (labels >= self.positive_from).astype(np.int64)

    def scores(self, logits: np.ndarray) -> np.ndarray:
        """Returns the scores that the metric is computed from.

        Args:
            logits: Outputs of the network, `[num_examples, num_outputs]`.

        Returns:
            float64 in [0, 1]: `[num_examples]` with "auc" (probability of a
            positive label), else `[num_examples, num_outputs]`.

        Example:
        >>> task("eyepacs_referable").scores(np.zeros([1, 5])).round(3)
        array([0.6])
        """
        probabilities = scipy.special.softmax(
            logits.astype(np.float64), axis=-1
        )
        if self.positive_from is None:
            return probabilities
        return probabilities[:, self.positive_from :].sum(axis=-1)


_TASKS = {
    "synthetic_fundus_referable": Task(
        name="synthetic_fundus_referable",
        dataset="transfusion_synthetic_fundus",
        dataset_config="n64",
        label="grade",
        classes=ICDR_GRADES,
        metric="auc",
        positive_from=REFERABLE_GRADE,
    ),
    "eyepacs_referable": Task(
        name="eyepacs_referable",
        dataset="transfusion_eyepacs",
        dataset_config="circle587",
        label="grade",
        classes=ICDR_GRADES,
        metric="auc",
        positive_from=REFERABLE_GRADE,
    ),
}
TASK_NAMES = tuple(_TASKS)


def task(name: str) -> Task:
    """Returns a task by name.

    Args:
        name: One of `TASK_NAMES`, or `folder:PATH` for a directory of class
            folders: `PATH/<class>/*.jpg`, or `PATH/train/<class>/*.jpg` with
            `PATH/test/<class>/*.jpg` beside it.

    Returns:
        The task. Its data are not opened.

    Raises:
        ValueError: If there is no such task.
        FileNotFoundError: If the directory holds no class folders.

    Example:
    >>> task("synthetic_fundus_referable").num_outputs
    5
    """
    if name.startswith("folder:"):
        return _folder_task(name)
    if name not in _TASKS:
        raise ValueError(
            f"There is no such task. Received: task={name!r}. Use one of "
            f"{', '.join(TASK_NAMES)}, or folder:PATH for a directory of "
            "class folders."
        )
    return _TASKS[name]


def _folder_task(name: str) -> Task:
    folder = epath.Path(name.removeprefix("folder:"))
    root = folder / "train" if (folder / "train").is_dir() else folder
    classes = (
        sorted(p.name for p in root.iterdir() if p.is_dir())
        if root.is_dir()
        else []
    )
    if len(classes) < 2:
        raise FileNotFoundError(
            "A folder task needs a directory with one folder for each of two "
            f"or more classes. Received: task={name!r}, in which "
            f"{len(classes)} class folders were found. Make it PATH/<class>/"
            "*.jpg or PATH/{train,test}/<class>/*.jpg."
        )
    return Task(
        name=name,
        dataset="",
        dataset_config="",
        label="class",
        classes=tuple(classes),
        metric="accuracy",
        folder=str(folder),
    )
