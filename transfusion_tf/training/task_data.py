"""A task's splits, opened, checked and ready to be read."""

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np
from etils import epath

from transfusion_tf import data, evaluation, records
from transfusion_tf.training import config as config_lib


@dataclasses.dataclass(frozen=True)
class TaskDataKey:
    """What the readers depend on; equal keys can share them."""

    task: str
    data_dir: str | None
    dataset_config: str | None
    image_size: int
    fold: str | None
    label_policy: str | None
    blank: str | None
    view: str | None
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
    """The splits of a task, each opened when it is first needed.

    Attributes:
        key: What it was opened for.
        task: What is learnt.
        policy: What uncertain and unmentioned findings count as; `None`
            where the task has no findings.
    """

    def __init__(self, key: TaskDataKey):
        """Finds the task; nothing is opened but the index of `tfds:` tasks.

        Raises:
            FileNotFoundError: If the data of a `tfds:` task are not prepared.
            ValueError: If there is no such task.
        """
        self.key = key
        self.task = data.open_task(
            key.task, data_dir=key.data_dir, dataset_config=key.dataset_config
        )
        self.policy: data.LabelPolicy | None = None
        if self.task.kind == "findings":
            self.policy = data.LabelPolicy.parse(key.label_policy, key.blank)
        elif any((key.label_policy, key.blank, key.view)):
            raise ValueError(
                "Only tasks of findings have uncertain or unmentioned labels "
                f"and views. Received: task={key.task!r}, a task of "
                f"{self.task.kind}. Leave out --label_policy, --blank and "
                "--view."
            )
        self._readers: dict[str, data.SplitReader] = {}

    @property
    def num_outputs(self) -> int:
        """Number of outputs of the network."""
        per_class = self.policy.outputs_per_finding if self.policy else 1
        return len(self.task.classes) * per_class

    @property
    def loss(self) -> str:
        """Name of the loss that fits the targets."""
        return self.policy.loss if self.policy else "softmax"

    @property
    def train(self) -> data.SplitReader:
        """Reads the training images, or the subset asked for."""
        return self.reader("train")

    @property
    def validation(self) -> data.SplitReader:
        """Reads the images that choices are made on."""
        return self.reader("validation")

    @property
    def test(self) -> data.SplitReader:
        """Reads the images that are scored once, at the end."""
        return self.reader("test")

    def reader(self, split: str) -> data.SplitReader:
        """Returns the reader of a split by its name.

        Raises:
            FileNotFoundError: If the data are not prepared.
            ValueError: If there is no such split, a label is out of range,
                or the subset is larger than the split.
        """
        if split not in self._readers:
            self._readers[split] = self._reader(split)
        return self._readers[split]

    def check_disjoint(self) -> None:
        """Opens all three splits and checks that they share no patient.

        Raises:
            ValueError: If a patient is in two splits.
        """
        data.check_patients_disjoint(
            [self._split(name) for name in data.SPLIT_NAMES]
        )

    def _reader(self, name: str) -> data.SplitReader:
        split = self._split(name)
        if name == "train" and self.key.num_train_examples is not None:
            split = data.subset(
                split, self.key.num_train_examples, seed=self.key.subset_seed
            )
        return data.SplitReader(
            split,
            self.key.image_size,
            targets=self._targets(split),
            cache_bytes=self.key.cache_gigabytes * 1e9,
        )

    def _split(self, name: str) -> data.Split:
        splits, _ = self._splits
        if name not in splits:
            raise ValueError(
                f"The data of {self.key.task} have no split {name!r}. "
                f"Received: data with {', '.join(splits) or 'none'}, "
                f"view={self.key.view!r}. They can be scored on what they "
                "have (launch.evaluate --split=...), but not be trained on."
            )
        return splits[name]

    @functools.cached_property
    def _given(self) -> dict[str, data.Split]:
        """The splits that the data come with, less what is left out."""
        names = data.given_splits(
            self.task,
            data_dir=self.key.data_dir,
            dataset_config=self.key.dataset_config,
        )
        return {name: self._open(name) for name in names}

    @functools.cached_property
    def _splits(self) -> tuple[dict[str, data.Split], str]:
        """The splits, and in words where they come from."""
        given = {
            n: part for n, part in self._given.items() if part.num_examples
        }
        if self.key.fold is None:
            return data.complete(given)
        parts = [given[n] for n in ("train", "validation") if n in given]
        if not parts:
            raise ValueError(
                "There is nothing to cross-validate on: the data have neither "
                f"train nor validation. Received: task={self.key.task!r} with "
                f"{', '.join(given)}, fold={self.key.fold!r}. Leave out "
                "--fold."
            )
        dealt = data.deal(data.concatenate(parts, "all"), self.key.fold)
        rule = (
            f"Fold {self.key.fold} of the patients of train and validation is "
            "tested, the next one validated on."
        )
        return {part.name: part for part in dealt}, rule

    def _open(self, name: str) -> data.Split:
        split = data.open_split(
            self.task,
            name,
            data_dir=self.key.data_dir,
            dataset_config=self.key.dataset_config,
        )
        if self.key.view in (None, "all"):
            return split
        if "view" not in split.columns:
            raise ValueError(
                "The data do not tell frontal from lateral views. Received: "
                f"task={self.key.task!r}, view={self.key.view!r}. Leave out "
                "--view."
            )
        place = config_lib.VIEW_NAMES.index(str(self.key.view)) - 1
        is_kept = split.columns["view"] == place
        return split.leave_out(is_kept, f"not {self.key.view}")

    def _targets(self, split: data.Split) -> dict[str, np.ndarray] | None:
        if self.policy is None:
            return None
        predicted = None
        if self.policy.file is not None and split.name == "train":
            predicted = _read_predicted(self.policy.file, split, self.policy)
        return self.policy.training_targets(
            split.labels, self.task.classes, split.image_ids, predicted
        )

    def summary(self) -> dict[str, Any]:
        """Counts and hashes of the splits, as `config.json` holds them."""
        readers = [self.reader(name) for name in data.SPLIT_NAMES]
        summary: dict[str, Any] = {"rule": self._splits[1]} | {
            reader.split.name: self._describe(reader.split)
            for reader in readers
        }
        summary["left_out"] = {
            name: dict(part.left_out)
            for name, part in self._given.items()
            if part.left_out
        }
        if self.policy is not None:
            targets = self._targets(self.train.split) or {}
            summary["train"]["targets"] = data.describe_targets(
                targets, self.task.classes
            )
            summary["label_policy"] = self.policy.name
            summary["blank"] = self.policy.blank
            summary["view"] = self.key.view or "all"
        return summary

    def describe(self) -> str:
        """Says what is read: splits, labels, policy, and what is left out.

        Returns:
            A few lines of text, of what `summary` records.
        """
        summary = self.summary()
        lines = [f"Data: {self.task.name}. {summary['rule']}"]
        if self.policy is not None:
            lines.append(
                f"Label policy: {self.policy.name}, blank={self.policy.blank}; "
                f"views: {summary['view']}."
            )
        lines += [
            f"Left out of the data set's {name} split: {count} {reason}."
            for name, reasons in summary["left_out"].items()
            for reason, count in reasons.items()
        ]
        for name in data.SPLIT_NAMES:
            part = summary[name]
            lines.append(
                f"  {name}: {part['num_examples']} images of "
                f"{part['num_patients']} patients"
            )
            lines += self._describe_labels(part)
        return "\n".join(lines)

    def _describe_labels(self, part: dict[str, Any]) -> list[str]:
        counts = part["label_counts"]
        if self.policy is None:
            named = zip(self.task.classes, counts, strict=False)
            return ["    " + ", ".join(f"{n} {c}" for n, c in named if c)]
        lines = []
        for finding, states in counts.items():
            text = ", ".join(f"{state} {n}" for state, n in states.items())
            learnt = part.get("targets", {}).get(finding)
            if learnt:
                text += (
                    f"; {learnt['num_learnt']} learnt, mean target "
                    f"{learnt['mean_target']:.3f}"
                )
            lines.append(f"    {finding}: {text}")
        return lines

    def _describe(self, split: data.Split) -> dict[str, Any]:
        summary = split.summary()
        if self.policy is not None:
            summary["label_counts"] = data.count_states(
                split.labels, self.task.classes
            )
        return summary

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
        scores = self.policy.scores if self.policy else self.task.scores
        return self.scored(reader, ids, scores(logits))

    def labels(self, reader: data.SplitReader) -> np.ndarray:
        """Returns what scores are held against, as `Predictions.label`."""
        labels = reader.split.labels
        if self.policy is None:
            return self.task.targets(labels)
        return self.policy.known_labels(labels)

    def scored(
        self, reader: data.SplitReader, ids: np.ndarray, score: np.ndarray
    ) -> evaluation.Predictions:
        """Puts scores, however they were made, beside labels and patients.

        Args:
            reader: The split.
            ids: Example ids, int64 `[num_examples]`, those of the split.
            score: As `Predictions.score`.

        Returns:
            The predictions; patients as in `predictions`.
        """
        return evaluation.Predictions(
            example_id=ids,
            patient=_patient_numbers(reader.split),
            label=self.labels(reader),
            score=score,
        )

    def score(self, predictions: evaluation.Predictions) -> dict[str, Any]:
        """Computes the task's metrics of a split."""
        scores: dict[str, Any] = {
            name: predictions.metric(name) for name in self.task.metrics
        }
        if self.policy is not None:
            scores["findings"] = predictions.describe_findings(
                self.task.classes
            )
        return scores


def _read_predicted(
    file: str, split: data.Split, policy: data.LabelPolicy
) -> np.ndarray:
    """Reads the probabilities that uncertain labels are replaced by."""
    if not epath.Path(file).exists():
        raise FileNotFoundError(
            "The predictions of u_selftrained are not there. Received: "
            f"label_policy='u_selftrained={file}'. Make them with a run of "
            "--label_policy=u_ignore: python -m launch.evaluate --run_dir=RUN "
            f"--split=train --output={file}"
        )
    stored = evaluation.Predictions.from_arrays(records.read_npz(file))
    known = policy.known_labels(split.labels)
    is_same = np.array_equal(stored.example_id, split.example_ids)
    if not is_same or not np.array_equal(stored.label, known):
        raise ValueError(
            "The predictions of u_selftrained are of other examples. "
            f"Received: {file!r} with {stored.num_examples} examples; the "
            f"train split has {split.num_examples}, or other labels. Make "
            "them on the train split of the same task, fold and --blank: "
            "python -m launch.evaluate --split=train --output=FILE"
        )
    return stored.score


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
