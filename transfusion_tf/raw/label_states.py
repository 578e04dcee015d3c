"""The four states of a raw label of a finding, free of TensorFlow."""

from collections.abc import Sequence

import numpy as np

POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED = 1, 0, -1, -2
STATES = {
    "positive": POSITIVE,
    "negative": NEGATIVE,
    "uncertain": UNCERTAIN,
    "unmentioned": UNMENTIONED,
}


def count_states(
    raw: np.ndarray, names: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Counts the raw labels.

    Args:
        raw: int8 `[num_examples, num_findings]`.
        names: Names of the findings.

    Returns:
        Finding to "positive", "negative", "uncertain" and "unmentioned" to
        number of images.

    Example:
    >>> count_states(np.array([[1], [-2]]), ["Edema"])["Edema"]["positive"]
    1
    """
    return {
        name: {
            state: int((raw[:, place] == value).sum())
            for state, value in STATES.items()
        }
        for place, name in enumerate(names)
    }
