"""When two runs are the same: all of their records but times, bit by bit."""

import itertools
import pathlib

import h5py
import numpy as np
import pytest

from transfusion_tf import records

_NOT_COMPARED = (
    "seconds",
    "similarity_seconds",
    "environment",
    "damaged_checkpoints",
)


def assert_same_run(received: pathlib.Path, expected: pathlib.Path) -> None:
    """Compares records and weights.

    Times, the checkout and what was mended on the way are left out.
    """
    names = {path.name for path in expected.glob("*.json*")}
    assert {path.name for path in received.glob("*.json*")} == names
    for name in names:
        read = records.read_jsonl if "jsonl" in name else records.read_json
        ours, theirs = read(received / name), read(expected / name)
        assert _without_times(ours) == _without_times(theirs), name
    for path in expected.glob("*.npz"):
        ours = records.read_npz(received / path.name)
        for key, array in records.read_npz(path).items():
            np.testing.assert_array_equal(ours[key], array)
    weights = sorted(p.name for p in expected.glob("checkpoints/weights_*.h5"))
    assert weights
    for name in weights:
        ours = _h5_arrays(received / "checkpoints" / name)
        theirs = _h5_arrays(expected / "checkpoints" / name)
        assert ours.keys() == theirs.keys()
        for key, array in theirs.items():
            np.testing.assert_array_equal(ours[key], array, err_msg=key)


def assert_close_run(
    received: pathlib.Path, expected: pathlib.Path, *, tolerance: float
) -> None:
    """Compares what two runs computed: metrics, predictions and weights."""
    ours, theirs = (
        _without_times(records.read_jsonl(path / "metrics.jsonl"))
        for path in (received, expected)
    )
    assert len(ours) == len(theirs)
    for row, other in zip(ours, theirs, strict=True):
        assert row.pop("split") == other.pop("split")
        for values, others in zip(_numbers(row), _numbers(other), strict=True):
            assert values == pytest.approx(others, rel=tolerance)
    arrays = [
        ("predictions_*.npz", records.read_npz),
        ("checkpoints/weights_*.h5", _h5_arrays),
    ]
    for pattern, read in arrays:
        paths = list(expected.glob(pattern))
        assert paths
        for path in paths:
            values = read(received / path.relative_to(expected))
            for key, array in read(path).items():
                np.testing.assert_allclose(
                    values[key], array, rtol=0, atol=tolerance, err_msg=key
                )


def _numbers(row):
    """A row's numbers, and those within it by name, and row by row."""
    yield {k: v for k, v in row.items() if not isinstance(v, dict | list)}
    yield from (v for v in row.values() if isinstance(v, dict))
    yield from itertools.chain(
        *(v for v in row.values() if isinstance(v, list))
    )


def _without_times(content):
    if isinstance(content, dict):
        return {
            key: _without_times(value)
            for key, value in content.items()
            if key not in _NOT_COMPARED
        }
    if isinstance(content, list):
        return [_without_times(value) for value in content]
    return content


def _h5_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()]})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return arrays
