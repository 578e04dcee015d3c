"""Apache Beam writes the same records; `make test-beam` has an environment.

Beam brings older versions of what TensorFlow uses, so it is not installed
with the other tests' requirements.
"""

import pathlib

import pytest

import transfusion_datasets
from tests.datasets import photographs
from transfusion_tf.raw import errors

pytest.importorskip("apache_beam", reason="Apache Beam: make test-beam")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    root = tmp_path_factory.mktemp("raw")
    photographs.write(root, patients=range(25))
    return root


def prepared_files(
    raw: pathlib.Path, data_dir: pathlib.Path, beam_runner: str | None
) -> dict[str, bytes]:
    builder = transfusion_datasets.prepare(
        "transfusion_eyepacs/circle48",
        data_dir=data_dir,
        manual_dir=raw,
        beam_runner=beam_runner,
    )
    paths = pathlib.Path(builder.data_path).rglob("*")
    return {
        path.name: path.read_bytes()
        for path in paths
        if path.is_file() and path.name != "dataset_info.json"
    }


@pytest.mark.parametrize("shard_bytes", [1, 1 << 20])
def test_beam_writes_the_same_files_to_the_last_bit(
    raw: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    shard_bytes: int,
) -> None:
    # One shard a split, and one an image.
    monkeypatch.setattr(
        "transfusion_datasets.builder._SHARD_BYTES", shard_bytes
    )
    by_processes = prepared_files(raw, tmp_path / "processes", None)
    by_beam = prepared_files(raw, tmp_path / "beam", "DirectRunner")
    num_shards = sum(".tfrecord-" in name for name in by_processes)
    assert num_shards == (50 if shard_bytes == 1 else 3)
    assert by_beam == by_processes


def test_the_same_image_in_two_splits_is_found_behind_beam(
    tmp_path: pathlib.Path,
) -> None:
    photographs.write(tmp_path / "raw", patients=range(25))
    train = tmp_path / "raw" / "train"
    parts = transfusion_datasets.prepared_builder(
        "transfusion_eyepacs/circle48", data_dir=tmp_path
    ).parts(tmp_path / "raw")
    first, last = parts.splits["train"][0], parts.splits["test"][0]
    pathlib.Path(last.path).write_bytes(pathlib.Path(first.path).read_bytes())
    assert pathlib.Path(last.path).parent == train
    with pytest.raises(errors.DuplicateError, match="in two splits"):
        prepared_files(tmp_path / "raw", tmp_path / "data", "DirectRunner")
