"""Donors: the pretrained weights that an initialization takes from."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping

import numpy as np
from etils import epath


@dataclasses.dataclass(frozen=True, eq=False)
class Donor:
    """Weights of one model, and where they come from.

    Attributes:
        name: What it is, as shown beside results: never more than it is.
        model: The model of `models.MODEL_NAMES` that the weights are of.
        values: `{"layer/variable": float32 array}`, keys as those of
            `StagedModel.variables`. The head may be there and may have any
            number of outputs; it is never copied.
        sha256: Of the file that the weights were read from, hexadecimal.
        source: Where that file was found.
    """

    name: str
    model: str
    values: Mapping[str, np.ndarray]
    sha256: str
    source: str

    def to_json(self) -> dict[str, str]:
        """Returns what identifies the donor, without its values or place."""
        return {"name": self.name, "model": self.model, "sha256": self.sha256}


def make(
    name: str,
    model: str,
    values: Mapping[str, np.ndarray],
    *,
    content: bytes,
    source: str,
) -> Donor:
    """Makes a donor of values that were read from `content`.

    Raises:
        ValueError: A value is not finite.
    """
    for key, value in values.items():
        if not np.isfinite(value).all():
            count = int(np.size(value) - np.isfinite(value).sum())
            raise ValueError(
                f"A donor's weights must be finite. Received: {count} NaN or "
                f"infinite of {np.size(value)} values in {key!r} of {source}. "
                "Its training has diverged: name another donor "
                "(--donor=PATH)."
            )
        value.setflags(write=False)
    digest = hashlib.sha256(content).hexdigest()
    return Donor(name, model, dict(values), digest, source)


def read_bytes(path: epath.Path) -> bytes:
    """Reads a donor's file.

    Raises:
        FileNotFoundError: There is none.
    """
    if not path.exists() or path.is_dir():
        raise FileNotFoundError(
            f"The donor's file is missing. Received: {os.fspath(path)!r}. "
            "Give `imagenet`, a .weights.h5 or .h5 file, or the directory of "
            "a finished run (--donor=...)."
        )
    return path.read_bytes()
