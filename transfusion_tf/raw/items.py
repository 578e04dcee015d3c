"""Items and patients to splits: the hash rule and the leak checks."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etils import epath

from transfusion_tf.raw import errors

_BUCKETS = 10_000


@dataclasses.dataclass(frozen=True)
class Item:
    """An example before its image is read.

    Attributes:
        image_id: Unique name in the data set, for example `10_left`.
        patient_id: Whom it shows.
        path: Where its file lies; empty for generated images.
        values: Value of every further feature by the feature's name.
    """

    image_id: str
    patient_id: str
    path: str = ""
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a directory of raw files holds, dealt out to splits.

    Attributes:
        splits: Split name to its items: those of "train", "validation" and
            "test" that there are, in this order.
        rule: How patients came to splits, in words.
        salt: Salt of the patient hash; `None` where none was used.
    """

    splits: Mapping[str, Sequence[Item]]
    rule: str
    salt: str | None


def place(item: Item) -> str:
    """Orders items by chance, the same on every machine.

    Args:
        item: One of those to be ordered.

    Returns:
        A hash of its id, to sort by.
    """
    return hashlib.md5(
        f"order/{item.image_id}".encode(), usedforsecurity=False
    ).hexdigest()


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
    items: Iterable[Item],
    *,
    fractions: Mapping[str, float],
    salt: str,
) -> dict[str, list[Item]]:
    """Distributes items so that no patient is in two splits.

    Args:
        items: What to distribute; their order is kept.
        fractions: Split name to its share of the patients, in order; the
            shares sum to 1.
        salt: See `patient_bucket`.

    Returns:
        Split name to its items, with every name of `fractions`.

    Example:
    >>> eyes = [Item(f"{p}_left", str(p)) for p in range(100)]
    >>> parts = split_by_patient(
    ...     eyes, fractions={"train": 0.9, "test": 0.1}, salt="any"
    ... )
    >>> sum(len(part) for part in parts.values())
    100
    """
    parts: dict[str, list[Item]] = {name: [] for name in fractions}
    for item in items:
        bucket = patient_bucket(item.patient_id, salt=salt)
        parts[_split_of(bucket, fractions)].append(item)
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
    parts: Mapping[str, Sequence[Item]],
) -> None:
    """Raises unless every patient stands in one split only.

    Args:
        parts: Split name to its items.

    Raises:
        errors.PatientLeakError: If a patient is in two splits.
    """
    home: dict[str, str] = {}
    leaks = []
    for name, items in parts.items():
        for item in items:
            first = home.setdefault(item.patient_id, name)
            if first != name:
                leaks.append((item, first, name))
    if leaks:
        item, first, second = leaks[0]
        error = errors.PatientLeakError(
            f"{len(leaks)} image(s) are of patients who are also in "
            "another split; a model would be tested on patients it has "
            f"seen. Received: patient_id={item.patient_id!r} in "
            f"{first!r} and, as {item.image_id!r}, in {second!r}. "
            "Each patient belongs to one split: rename or remove the files "
            "of one of them in both the folder and its label file."
        )
        errors.report(error, is_skippable=False)


def check_not_empty(parts: Mapping[str, Sequence[Item]]) -> None:
    """Raises unless every split holds an image.

    Args:
        parts: Split name to its items.

    Raises:
        errors.EmptySplitError: If a split holds none.
    """
    empty = [name for name, items in parts.items() if not items]
    if empty:
        counts = {name: len(part) for name, part in parts.items()}
        error = errors.EmptySplitError(
            f"There are too few patients: the split {empty[0]!r} would hold "
            f"no image. Received: images by split {counts}. Add "
            "images of more patients to the folder and its label file; "
            "from about 50 patients on every split holds some."
        )
        errors.report(error, is_skippable=False)


def check_ids_unique(parts: Mapping[str, Sequence[Item]]) -> None:
    """Raises unless every image id stands once.

    Args:
        parts: Split name to its items.

    Raises:
        errors.DuplicateError: If an id stands twice, naming both files.
    """
    first: dict[str, Item] = {}
    for items in parts.values():
        for item in items:
            other = first.setdefault(item.image_id, item)
            if other is not item:
                error = errors.DuplicateError(
                    "An image id stands twice. Received: image_id="
                    f"{item.image_id!r}, for {other.path!r} and "
                    f"{item.path!r}. Ids name images: rename or remove one."
                )
                errors.report(error, is_skippable=False)


def content_id(content: bytes) -> str:
    """Makes a patient id of an image's bytes, see `content_patient_id`.

    Example:
    >>> content_id(b"")
    'sha256:e3b0c44298fc1c14'
    """
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def content_patient_id(path: epath.PathLike) -> str:
    """Makes a patient id of a file's bytes, for sets that name no patients.

    Equal images count as one patient, so that they are in one split.

    Args:
        path: The file.

    Returns:
        `sha256:` and the first 16 hexadecimal digits of the file's SHA-256.
    """
    return content_id(epath.Path(path).read_bytes())
