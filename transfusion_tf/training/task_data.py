"""A task's three splits, opened, checked and ready to be read."""

import dataclasses
import hashlib
from typing import Any

import numpy as np

from transfusion_tf import data, evaluation
from transfusion_tf.training import config as config_lib


@dataclasses.dataclass(frozen=True)
class TaskDataKey:
    """What the readers depend on; equal keys can share them."""

    task: str
    data_dir: str | None
    dataset_config: str | None
    image_size: int
    num_train_examples: int | None
    subset_seed: int
    cache_gigabytes: float

    @classmethod
    def of(cls, config: config_lib.TrainConfig) -> "TaskDataKey":
        """Takes its fields from a configuration.

        Example:
        >>> TaskDataKey.of(config_lib.TrainConfig()).image_size
        587
        """
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: getattr(config, name) for name in names})


class TaskData:
    """The splits of a task, with who must not be in two of them checked.

    Attributes:
        key: What it was opened for.
        task: What is learnt.
        train: Reads the training images, or the subset asked for.
        validation: Reads the images that choices are made on.
        test: Reads the images that are scored once, at the end.
    """

    def __init__(self, key: TaskDataKey):
        """Opens the three splits; images are decoded when first read.

        Raises:
            FileNotFoundError: If the data are not prepared.
            ValueError: If a patient is in two splits, a label is out of
                range, or the subset is larger than the split.
        """
        self.key = key
        self.task = data.task(key.task)
        train, validation, test = (
            data.open_split(
                self.task,
                name,
                data_dir=key.data_dir,
                dataset_config=key.dataset_config,
            )
            for name in data.SPLIT_NAMES
        )
        data.check_patients_disjoint([train, validation, test])
        if key.num_train_examples is not None:
            train = data.subset(
                train, key.num_train_examples, seed=key.subset_seed
            )
        self.train, self.validation, self.test = (
            data.SplitReader(
                split, key.image_size, cache_bytes=key.cache_gigabytes * 1e9
            )
            for split in (train, validation, test)
        )

    def reader(self, split: str) -> data.SplitReader:
        """Returns the reader of a split by its name."""
        if split not in data.SPLIT_NAMES:
            raise ValueError(
                f"There is no such split. Received: split={split!r}. Use one "
                f"of {', '.join(data.SPLIT_NAMES)}."
            )
        return getattr(self, split)

    def summary(self) -> dict[str, Any]:
        """Counts and hashes of the splits, as `config.json` holds them."""
        readers = (self.train, self.validation, self.test)
        return {r.split.name: r.split.summary() for r in readers}

    def predictions(
        self, reader: data.SplitReader, ids: np.ndarray, logits: np.ndarray
    ) -> evaluation.Predictions:
        """Puts the logits of a split beside its labels and patients.

        Args:
            reader: The split.
            ids: Example ids, int64 `[num_examples]`, those of the split.
            logits: Outputs, `[num_examples, num_outputs]`.

        Returns:
            The predictions; a patient is a number drawn by the split's hash,
            so that records can be published.
        """
        split = reader.split
        return evaluation.Predictions(
            example_id=ids,
            patient=_patient_numbers(split),
            label=self.task.targets(split.labels),
            score=self.task.scores(logits),
        )

    def score(self, predictions: evaluation.Predictions) -> dict[str, float]:
        """Computes the task's metrics of a split."""
        names = (
            ("auc", "average_precision")
            if self.task.metric == "auc"
            else ("accuracy",)
        )
        return {name: predictions.metric(name) for name in names}


def _patient_numbers(split: data.Split) -> np.ndarray:
    """Numbers patients in an order that the names do not give away."""
    names, numbers = np.unique(split.patients, return_inverse=True)
    salt = split.sha256
    digests = [
        hashlib.sha256(f"{salt}/{name}".encode()).hexdigest() for name in names
    ]
    place = np.empty(len(names), np.int64)
    place[np.argsort(digests)] = np.arange(len(names))
    return place[numbers]
