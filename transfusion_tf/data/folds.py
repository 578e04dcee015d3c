"""Cross-validation by patient: the folds of a task."""

import dataclasses
import hashlib
import re

import numpy as np

from transfusion_tf.data import splits

_FOLD = re.compile(r"([1-9][0-9]*)/([1-9][0-9]*)")
_LEAST_FOLDS = 3  # One to test, one to validate, one to train on.


def parse_fold(fold: str) -> tuple[int, int]:
    """Reads `i/k`.

    Args:
        fold: Which of how many folds is the test split, from 1.

    Returns:
        i and k.

    Raises:
        ValueError: If it is not of that form, k is below 3, or i above k.

    Example:
    >>> parse_fold("2/5")
    (2, 5)
    """
    match = _FOLD.fullmatch(fold)
    number, num_folds = map(int, match.groups()) if match else (0, 0)
    if num_folds < _LEAST_FOLDS or number > num_folds:
        raise ValueError(
            "A fold is i/k, with k of 3 or more and i from 1 to k. Received: "
            f"fold={fold!r}. Use --fold=1/5, for example."
        )
    return number, num_folds


def deal(whole: splits.Split, fold: str) -> tuple[splits.Split, ...]:
    """Deals a split's patients out to train, validation and test.

    Patients are ordered by a hash of their names and dealt out to k folds of
    as many patients. Fold i is the test split, the next one (after the last,
    the first) the validation split, the others the train split.

    Args:
        whole: All examples.
        fold: `i/k`, see `parse_fold`.

    Returns:
        Train, validation and test split.

    Raises:
        ValueError: If there are fewer patients than folds.

    Example:
    >>> names = np.array(list("abcdef"))
    >>> whole = splits.Split("all", names, names, np.zeros(6, int),
    ...                      np.arange(6), None)
    >>> [part.num_examples for part in deal(whole, "1/3")]
    [2, 2, 2]
    """
    number, num_folds = parse_fold(fold)
    patients, places = np.unique(whole.patients, return_inverse=True)
    if len(patients) < num_folds:
        raise ValueError(
            f"There are fewer patients than folds. Received: fold={fold!r}, "
            f"{len(patients)} patients. Use fewer folds."
        )
    digests = [
        hashlib.sha256(f"fold/{patient}".encode()).hexdigest()
        for patient in patients
    ]
    fold_of_patient = np.empty(len(patients), int)
    fold_of_patient[np.argsort(digests)] = np.arange(len(patients)) % num_folds
    folds = fold_of_patient[places]
    is_test = folds == number - 1
    is_validation = folds == number % num_folds
    members = {
        "train": ~is_test & ~is_validation,
        "validation": is_validation,
        "test": is_test,
    }
    return tuple(
        dataclasses.replace(whole.take(np.flatnonzero(member)), name=name)
        for name, member in members.items()
    )
