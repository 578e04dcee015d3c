"""Nested, seeded, patient-wise subsets for the small-data experiments."""

import hashlib

import numpy as np

from transfusion_tf.data import splits


def subset(
    split: splits.Split, num_examples: int, *, seed: int = 0
) -> splits.Split:
    """Returns a subset of whole patients; a smaller one is inside a larger.

    Patients are ordered by a hash of seed and name, and taken whole as long
    as their images fit.

    Args:
        split: What to take from.
        num_examples: Most images to take, at least 1. The subset may be
            smaller by less than the images of one patient.
        seed: Which of the nested families of subsets.

    Returns:
        The subset, in the order of `split`.

    Raises:
        ValueError: If the split has fewer images, or not even the first
            patient fits.

    Example:
    >>> names = np.array(["1_left", "1_right", "2_left", "2_right"])
    >>> split = splits.Split("train", names, np.array(["1", "1", "2", "2"]),
    ...                      np.zeros(4, int), np.arange(4), None)
    >>> subset(split, 3).num_examples
    2

    Source: section 4 (Table 3) of the paper, 5,000 images; nesting is ours.
    """
    if not 1 <= num_examples <= split.num_examples:
        raise ValueError(
            "The subset must be of at least 1 example and no larger than the "
            f"{split.name} split. Received: num_examples={num_examples}, and "
            f"the split has {split.num_examples}. Use --num_train_examples "
            f"from 1 to {split.num_examples}."
        )
    patients, counts = np.unique(split.patients, return_counts=True)
    digests = [
        hashlib.sha256(f"{seed}/{patient}".encode()).hexdigest()
        for patient in patients
    ]
    order = np.argsort(digests)
    num_kept = int(np.sum(np.cumsum(counts[order]) <= num_examples))
    if not num_kept:
        raise ValueError(
            "The first patient of the subset has more images than the "
            f"subset. Received: num_examples={num_examples}, patient "
            f"{patients[order[0]]!r} with {counts[order[0]]}. Use "
            f"--num_train_examples={counts[order[0]]} or more."
        )
    kept = patients[order[:num_kept]]
    return split.take(np.flatnonzero(np.isin(split.patients, kept)))
