"""Patients to splits: the hash rule, the leak check and the split report."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from transfusion_datasets import errors

NUM_GRADES = 5
FIRST_REFERABLE_GRADE = 2
_BUCKETS = 10_000


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One labelled photograph of one eye.

    Attributes:
        image_id: Unique name, for example `10_left`.
        patient_id: Whose eye it is.
        eye: `left`, `right` or `unknown`.
        grade: ICDR severity, 0 (none) to 4 (proliferative).
        path: Where the file lies; empty for generated images.
    """

    image_id: str
    patient_id: str
    eye: str
    grade: int
    path: str = ""


def patient_bucket(patient_id: str, *, salt: str) -> int:
    """Hashes a patient to a bucket that never changes.

    Args:
        patient_id: The patient.
        salt: Text put before the id, so that data sets hash independently.

    Returns:
        An integer in [0, 10000).

    Example:
    >>> patient_bucket("10", salt="transfusion_eyepacs")
    6622
    """
    digest = hashlib.md5(
        (salt + patient_id).encode(), usedforsecurity=False
    ).hexdigest()
    return int(digest[:8], 16) % _BUCKETS


def split_by_patient(
    photographs: Iterable[Photograph],
    *,
    fractions: Mapping[str, float],
    salt: str,
) -> dict[str, list[Photograph]]:
    """Distributes photographs so that no patient is in two splits.

    Args:
        photographs: What to distribute; their order is kept.
        fractions: Split name to its share of the patients, in order; the
            shares sum to 1.
        salt: See `patient_bucket`.

    Returns:
        Split name to its photographs, with every name of `fractions`.

    Example:
    >>> eyes = [Photograph(f"{p}_left", str(p), "left", 0) for p in range(100)]
    >>> parts = split_by_patient(
    ...     eyes, fractions={"train": 0.9, "test": 0.1}, salt="any"
    ... )
    >>> sum(len(part) for part in parts.values())
    100
    """
    parts: dict[str, list[Photograph]] = {name: [] for name in fractions}
    for photograph in photographs:
        bucket = patient_bucket(photograph.patient_id, salt=salt)
        parts[_split_of(bucket, fractions)].append(photograph)
    return parts


def _split_of(bucket: int, fractions: Mapping[str, float]) -> str:
    upper = 0.0
    for name, fraction in fractions.items():
        upper += fraction
        if bucket < round(upper * _BUCKETS):
            return name
    raise ValueError(
        "The shares of the splits must sum to 1. "
        f"Received: fractions={dict(fractions)}"
    )


def check_patient_disjoint(
    parts: Mapping[str, Sequence[Photograph]],
) -> None:
    """Raises unless every patient stands in one split only.

    Args:
        parts: Split name to its photographs.

    Raises:
        errors.PatientLeakError: If a patient is in two splits.
    """
    home: dict[str, str] = {}
    leaks = []
    for name, photographs in parts.items():
        for photograph in photographs:
            first = home.setdefault(photograph.patient_id, name)
            if first != name:
                leaks.append((photograph, first, name))
    if leaks:
        photograph, first, second = leaks[0]
        raise errors.PatientLeakError(
            f"{len(leaks)} photograph(s) are of patients who are also in "
            "another split; a model would be tested on patients it has "
            f"seen. Received: patient_id={photograph.patient_id!r} in "
            f"{first!r} and, as {photograph.image_id!r}, in {second!r}. "
            "Each patient belongs to one split: rename or remove the files "
            "of one of them in both the folder and its label file."
        )


def check_not_empty(parts: Mapping[str, Sequence[Photograph]]) -> None:
    """Raises unless every split holds a photograph.

    Args:
        parts: Split name to its photographs.

    Raises:
        errors.EmptySplitError: If a split holds none.
    """
    empty = [name for name, photographs in parts.items() if not photographs]
    if empty:
        counts = {name: len(part) for name, part in parts.items()}
        raise errors.EmptySplitError(
            f"There are too few patients: the split {empty[0]!r} would hold "
            f"no photograph. Received: photographs by split {counts}. Add "
            "photographs of more patients to the folder and its label file; "
            "from about 50 patients on every split holds some."
        )


def describe(
    parts: Mapping[str, Sequence[Photograph]], *, rule: str, salt: str | None
) -> dict[str, Any]:
    """Makes the split report that is kept with the prepared data.

    Args:
        parts: Split name to its photographs.
        rule: How patients came to splits, in words.
        salt: Salt of the patient hash, `None` where no hash was used.

    Returns:
        `{"rule", "salt", "splits": {name: {"num_images", "num_patients",
        "grade_counts"}}}`, ready for JSON.
    """
    return {
        "rule": rule,
        "salt": salt,
        "splits": {name: _count(part) for name, part in parts.items()},
    }


def _count(photographs: Sequence[Photograph]) -> dict[str, Any]:
    grades = [photograph.grade for photograph in photographs]
    return {
        "num_images": len(photographs),
        "num_patients": len({p.patient_id for p in photographs}),
        "grade_counts": [grades.count(g) for g in range(NUM_GRADES)],
    }
