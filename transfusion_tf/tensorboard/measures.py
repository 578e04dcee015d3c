"""What the tab says of each measure of similarity; pure data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Debiased CKA of activations averaged over positions: cheap enough for every
# layer with every other, while the others are of sampled positions.
AVERAGED_CKA = "averaged_cka"

_LINEAR = "any invertible linear map of a layer's neurons"
_ROTATION = "a rotation of a layer's neurons"
_SCALE = "scale and shift"


def measure(name: str) -> dict[str, Any]:
    """Returns what the content of a tag holds of a measure.

    Args:
        name: One of `similarity.MEASURES`, or `AVERAGED_CKA`.

    Returns:
        `id`, `label`, `larger_is_more_similar`, `is_symmetric`, `range`
        (None at an end without a bound) and `invariances`: what changes
        nothing.

    Example:
    >>> measure("cca")["label"], measure("averaged_cka")["range"]
    ('CCA', [None, 1])
    """
    return {
        "id": name,
        "larger_is_more_similar": True,
        "is_symmetric": True,
        "range": [0, 1],
        **_MEASURES[name],
    }


# Of `similarity/README.md`, where each is defined.
_MEASURES: Mapping[str, Mapping[str, Any]] = {
    "cca": {"label": "CCA", "invariances": [_LINEAR, _SCALE]},
    "svcca": {"label": "SVCCA", "invariances": [_ROTATION, _SCALE]},
    "pwcca": {
        "label": "PWCCA",
        "is_symmetric": False,
        "invariances": [
            "any invertible linear map of the second layer's neurons",
            _SCALE,
        ],
    },
    "cka": {
        "label": "debiased CKA",
        "range": [None, 1],
        "invariances": [_ROTATION, _SCALE],
    },
    "procrustes": {
        "label": "Procrustes",
        "invariances": [_ROTATION, _SCALE],
    },
    "linear_regression": {
        "label": "linear regression",
        "is_symmetric": False,
        "invariances": [
            "any invertible linear map of the first layer's neurons",
            _SCALE,
        ],
    },
    AVERAGED_CKA: {
        "label": "debiased CKA of position averages",
        "range": [None, 1],
        "invariances": [_ROTATION, _SCALE],
    },
}
