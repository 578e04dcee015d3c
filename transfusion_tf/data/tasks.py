"""A task: a data set, its labels, the outputs trained and the metric."""

import dataclasses
from typing import Literal

import numpy as np
import scipy.special

from transfusion_tf.raw import folders

# International Clinical Diabetic Retinopathy grades, index = grade.
ICDR_GRADES = ("none", "mild", "moderate", "severe", "proliferative")
# "Moderate or worse" is referable (paper, Table 1; README, Deviations).
REFERABLE_GRADE = 2
# The five that the paper trains on, in the order of its tables.
FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Pleural Effusion",
)
CHEXPERT_LABELS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
_TOP5_FROM = 6  # Top-5 accuracy says something from this many classes on.


@dataclasses.dataclass(frozen=True)
class Task:
    """What is learnt from which data set, and how it is scored.

    Attributes:
        name: The name that `--task` takes.
        dataset: Name of the tfds data set, or "" for a directory of images.
        dataset_config: The configuration of the data set that is read unless
            another one is named; `None` where the data set has none.
        label: Feature that holds the label; "" for the data set's own.
        classes: Names of the classes, index = label = output of the network;
            of "findings", their names.
        kind: "grades": ordered classes, of which those from `positive_from`
            on are positive; "classes": one of several; "findings": each
            present or not.
        positive_from: Of "grades", the first positive label; the score is
            the sum of the softmax probabilities from there on.
        folder: The directory of a `folder:PATH` task.
    """

    name: str
    dataset: str
    dataset_config: str | None
    label: str
    classes: tuple[str, ...]
    kind: Literal["grades", "classes", "findings"]
    positive_from: int | None = None
    folder: str | None = None

    @property
    def metric(self) -> str:
        """The metric by which runs are compared."""
        return "accuracy" if self.kind == "classes" else "auc"

    @property
    def metrics(self) -> tuple[str, ...]:
        """All metrics that are recorded."""
        if self.kind != "classes":
            return ("auc", "average_precision")
        if len(self.classes) >= _TOP5_FROM:
            return ("accuracy", "top5_accuracy")
        return ("accuracy",)

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Returns what the metric is computed against.

        Args:
            labels: Class indices, int64 `[num_examples]`.

        Returns:
            int64 `[num_examples]`: 0 or 1 of "grades", else the labels.

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
            logits: Outputs of the network, `[num_examples, num_classes]`.

        Returns:
            float64 in [0, 1]: `[num_examples]` of "grades" (probability of a
            positive label), else `[num_examples, num_classes]`.

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


def _fundus_tasks(name: str, dataset: str, config: str) -> list[Task]:
    shared = (dataset, config, "grade", ICDR_GRADES)
    return [
        Task(f"{name}_referable", *shared, "grades", REFERABLE_GRADE),
        Task(f"{name}_grade", *shared, "classes"),
    ]


def _cxr_task(
    name: str, dataset: str, config: str, findings: tuple[str, ...]
) -> Task:
    return Task(name, dataset, config, "labels", findings, "findings")


_TASKS = {
    task.name: task
    for task in (
        *_fundus_tasks(
            "synthetic_fundus", "transfusion_synthetic_fundus", "n64"
        ),
        *_fundus_tasks("eyepacs", "transfusion_eyepacs", "circle587"),
        *_fundus_tasks("aptos", "transfusion_aptos", "circle587"),
        *_fundus_tasks("messidor2", "transfusion_messidor2", "circle587"),
        *_fundus_tasks("idrid", "transfusion_idrid", "circle587"),
        _cxr_task("chexpert5", "transfusion_chexpert", "all224", FINDINGS),
        _cxr_task(
            "chexpert14", "transfusion_chexpert", "all224", CHEXPERT_LABELS
        ),
        _cxr_task(
            "synthetic_cxr5", "transfusion_synthetic_cxr", "n64", FINDINGS
        ),
    )
}
TASK_NAMES = tuple(_TASKS)


def task(name: str) -> Task:
    """Returns a task by name.

    Args:
        name: One of `TASK_NAMES`; `folder:PATH` for a directory of class
            folders or with a `labels.csv`, see `transfusion_tf.raw.folders`;
            or `tfds:NAME[/CONFIG]` for a data set of tfds with one label,
            whose classes `open_task` fills in.

    Returns:
        The task. Its data are not opened.

    Raises:
        ValueError: If there is no such task.
        FileNotFoundError: If the directory holds no class folders.

    Example:
    >>> task("chexpert5").classes[0]
    'Atelectasis'
    """
    if name.startswith("folder:"):
        return _folder_task(name)
    if name.startswith("tfds:"):
        dataset, _, config = name.removeprefix("tfds:").partition("/")
        return Task(name, dataset, config or None, "", (), "classes")
    if name not in _TASKS:
        raise ValueError(
            f"There is no such task. Received: task={name!r}. Use one of "
            f"{', '.join(TASK_NAMES)}, folder:PATH for a directory of class "
            "folders, or tfds:NAME for a data set of tfds."
        )
    return _TASKS[name]


def _folder_task(name: str) -> Task:
    folder = name.removeprefix("folder:")
    return Task(
        name=name,
        dataset="",
        dataset_config=None,
        label="label",
        classes=folders.classes_of(folder),
        kind="classes",
        folder=folder,
    )
