"""A split: who is in it, and where its images come from, in order."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from transfusion_tf.raw import errors

OWN = "The data set's own splits."


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples of a split in their fixed order; an example's id is its place.

    Attributes:
        name: "train", "validation" or "test".
        image_ids: Unique names of the images, str `[num_examples]`.
        patients: Patient of each image, str `[num_examples]`.
        labels: Class index of each image, int64 `[num_examples]`, or raw
            findings, int8 `[num_examples, num_findings]`.
        example_ids: Place of each example in `sources`, int64
            `[num_examples]`, ascending; 0, 1, 2, ... unless the split is a
            part of what `sources` gives.
        sources: Makes a `tf.data.Dataset` of scalar strings, one an example:
            what `encoded_image` takes. An example's place in it is its id.
        encoded_image: Makes the bytes of an image file of one of them: the
            feature of a record, the content of a path. By default they are
            these bytes.
        columns: Further features of each image by name, `[num_examples]`.
        left_out: What was left out on opening, in words, to how many.
        rule: How patients came to the data set's splits, in words.
        paths: The files that `sources` reads.
        images_sha256: Hash of the encoded images in order, where it is known.
    """

    name: str
    image_ids: np.ndarray
    patients: np.ndarray
    labels: np.ndarray
    example_ids: np.ndarray
    sources: Callable[[], tf.data.Dataset]
    encoded_image: Callable[[tf.Tensor], tf.Tensor] = tf.identity
    columns: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    left_out: Mapping[str, int] = dataclasses.field(default_factory=dict)
    rule: str = OWN
    paths: tuple[epath.Path, ...] = ()
    images_sha256: str | None = None

    @property
    def num_examples(self) -> int:
        """Number of images."""
        return len(self.example_ids)

    @property
    def num_patients(self) -> int:
        """Number of patients."""
        return len(np.unique(self.patients))

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of image names, patients and labels, whatever their order."""
        labels = (
            self.labels
            if self.labels.ndim == 1
            else [",".join(map(str, row)) for row in self.labels.tolist()]
        )
        rows = sorted(
            f"{image}\t{patient}\t{label}\n"
            for image, patient, label in zip(
                self.image_ids, self.patients, labels, strict=True
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
            columns={name: c[places] for name, c in self.columns.items()},
        )

    def leave_out(self, is_kept: np.ndarray, reason: str) -> "Split":
        """Returns the examples to keep; what is left out is counted.

        Args:
            is_kept: bool `[num_examples]`.
            reason: Which are left out, in words.
        """
        num_left_out = int((~is_kept).sum())
        if not num_left_out:
            return self
        return dataclasses.replace(
            self.take(np.flatnonzero(is_kept)),
            left_out={**self.left_out, reason: num_left_out},
        )

    def summary(self) -> dict[str, Any]:
        """Counts and hashes, as they are recorded."""
        summary: dict[str, Any] = {
            "num_examples": self.num_examples,
            "num_patients": self.num_patients,
        }
        if self.labels.ndim == 1:
            summary["label_counts"] = np.bincount(self.labels).tolist()
        summary["sha256"] = self.sha256
        if self.images_sha256 is not None:
            summary["images_sha256"] = self.images_sha256
        return summary


def concatenate(splits: Sequence[Split], name: str) -> Split:
    """Puts splits behind one another; example ids count on.

    Args:
        splits: At least one, of one data set.
        name: Name of the result.

    Returns:
        One split of all their examples.
    """
    sizes = [_size_of_source(split) for split in splits]
    starts = np.cumsum([0, *sizes[:-1]])
    digests = [split.images_sha256 for split in splits]

    def sources() -> tf.data.Dataset:
        dataset = splits[0].sources()
        for split in splits[1:]:
            dataset = dataset.concatenate(split.sources())
        return dataset

    def joined(field: str) -> np.ndarray:
        return np.concatenate([getattr(split, field) for split in splits])

    return Split(
        name=name,
        image_ids=joined("image_ids"),
        patients=joined("patients"),
        labels=joined("labels"),
        example_ids=np.concatenate(
            [
                s.example_ids + start
                for s, start in zip(splits, starts, strict=True)
            ]
        ),
        sources=sources,
        encoded_image=splits[0].encoded_image,
        columns={
            column: np.concatenate([split.columns[column] for split in splits])
            for column in splits[0].columns
        },
        paths=tuple(path for split in splits for path in split.paths),
        images_sha256=None
        if None in digests
        else hashlib.sha256("".join(map(str, digests)).encode()).hexdigest(),
    )


def _size_of_source(split: Split) -> int:
    return int(split.sources().cardinality())


def _image_of(patient: str, split: Split) -> str:
    place = int(np.flatnonzero(split.patients == patient)[0])
    return f"{str(split.image_ids[place])!r} in {split.name}"


def check_patients_disjoint(splits: Sequence[Split]) -> None:
    """Checks that no patient is in two splits.

    Raises:
        errors.PatientLeakError: If one is, naming some of them: what was
            learnt from one eye would be tested on the other.
    """
    for place, first in enumerate(splits):
        for second in splits[place + 1 :]:
            shared = np.intersect1d(first.patients, second.patients)
            if len(shared):
                images = [_image_of(shared[0], s) for s in (first, second)]
                raise errors.PatientLeakError(
                    f"{len(shared)} patients are in two splits, "
                    f"{first.name} and {second.name}. Received: patients "
                    f"{', '.join(map(str, shared[:5]))} ...; of the first, "
                    f"{' and '.join(images)}. Split the data by patient and "
                    "prepare them again. Where no patients are named, equal "
                    "files are one patient (sha256:...): remove the copies."
                )
