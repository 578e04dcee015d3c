import subprocess
import sys

import numpy as np
import pytest

from transfusion_tf import records

WRITE_PAST_THE_LIMIT = """
import resource, signal, sys
from transfusion_tf import records
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
records.write_bytes(sys.argv[1], b"x" * 5000)
"""


def test_what_is_written_is_read_back(tmp_path):
    records.write_json(tmp_path / "a.json", {"auc": 0.5, "ids": [1, None]})
    records.write_jsonl(tmp_path / "a.jsonl", [{"step": 1}, {"step": 2}])
    records.write_npz(tmp_path / "a.npz", score=np.arange(3.0))
    assert records.read_json(tmp_path / "a.json") == {
        "auc": 0.5,
        "ids": [1, None],
    }
    assert records.read_jsonl(tmp_path / "a.jsonl") == [
        {"step": 1},
        {"step": 2},
    ]
    arrays = records.read_npz(tmp_path / "a.npz")
    np.testing.assert_array_equal(arrays["score"], [0.0, 1.0, 2.0])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.json",
        "a.jsonl",
        "a.npz",
    ]


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        records.write_npz(tmp_path / name, score=np.arange(100.0))
    assert (tmp_path / "a.npz").read_bytes() == (
        tmp_path / "b.npz"
    ).read_bytes()


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_the_final_name_as_it_was(tmp_path, before):
    # A limit on the file's size fails in the middle of the write, as a full
    # disk does.
    path = tmp_path / "result.json"
    if before is not None:
        path.write_bytes(before)
    writer = subprocess.run(
        [sys.executable, "-c", WRITE_PAST_THE_LIMIT, str(path)],
        capture_output=True,
        text=True,
    )
    assert writer.returncode != 0
    assert "Could not write" in writer.stderr
    assert "Make space" in writer.stderr
    left = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert left == ({} if before is None else {"result.json": before})


def test_not_a_number_is_refused_in_json(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        records.write_json(tmp_path / "a.json", {"auc": float("nan")})
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "a.json").write_text('{"step": ')
    (tmp_path / "a.jsonl").write_text('{"step": 1}\n{"st')
    (tmp_path / "a.npz").write_text("no zip")
    with pytest.raises(ValueError, match=r"a\.json' is not JSON"):
        records.read_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"Line 2 of .*a\.jsonl"):
        records.read_jsonl(tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match=r"a\.npz' is not an NPZ"):
        records.read_npz(tmp_path / "a.npz")


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", score=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="plain arrays"):
        records.read_npz(tmp_path / "a.npz")
