import json

import numpy as np
import pytest

from tests.reporting import fabricate
from transfusion_tf import reporting
from transfusion_tf.reporting.study import read_study


def rename_ids(study_dir):
    """Gives patients and examples ids that are not numbers from 0."""
    for path in study_dir.glob("runs/*/predictions_*.npz"):
        with np.load(path) as arrays:
            content = dict(arrays)
        content["patient"] = 5000 + 3 * content["patient"]
        content["example_id"] = 90_000 - 7 * content["example_id"]
        np.savez(path, **content)


def test_a_report_of_the_published_records_is_the_report_of_the_study(
    tmp_path,
):
    fabricate.write_study(tmp_path / "study", 3)
    reporting.publish_records(tmp_path / "study", tmp_path / "records")
    original = reporting.write_report(tmp_path / "study", tmp_path / "one")
    again = reporting.write_report(tmp_path / "records", tmp_path / "two")
    for first, second in zip(original.files, again.files, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_only_records_are_copied(tmp_path):
    fabricate.write_study(tmp_path / "study", 1)
    written = reporting.publish_records(
        tmp_path / "study", tmp_path / "records"
    )
    found = sorted(p for p in (tmp_path / "records").rglob("*") if p.is_file())
    assert sorted(str(p) for p in written) == [str(p) for p in found]
    assert {path.name for path in found} == {
        "study.json",
        "config.json",
        "initialization.json",
        "metrics.jsonl",
        "predictions_test.npz",
        "predictions_validation.npz",
        "filters.npz",
        "result.json",
        "comparison.json",
    }


def test_unfinished_runs_are_not_copied_but_missing(tmp_path):
    name = "cbr_tiny-random-seed1"
    fabricate.write_study(tmp_path / "study", 2, unfinished=(name,))
    reporting.publish_records(tmp_path / "study", tmp_path / "records")
    assert not (tmp_path / "records/runs" / name).exists()
    assert read_study(tmp_path / "records").missing == (name,)


def test_ids_are_replaced_by_the_same_seeded_numbers_in_every_run(tmp_path):
    fabricate.write_study(tmp_path / "study", 1)
    rename_ids(tmp_path / "study")
    reporting.publish_records(tmp_path / "study", tmp_path / "records")
    before, after = (
        [run.test for run in read_study(tmp_path / name).runs]
        for name in ("study", "records")
    )
    assert sorted(set(after[0].patient)) == list(range(100))
    assert sorted(after[0].example_id) == list(range(200))
    # Not the order of the ids, which would tell who is who.
    assert not np.array_equal(
        np.unique(after[0].patient, return_index=True)[1],
        np.unique(before[0].patient, return_index=True)[1],
    )
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.score, new.score)
        np.testing.assert_array_equal(
            old.patient[:, None] == old.patient,
            new.patient[:, None] == new.patient,
        )
        np.testing.assert_array_equal(new.patient, after[0].patient)
        np.testing.assert_array_equal(new.example_id, after[0].example_id)


def test_numbers_from_zero_stay_as_they_are(tmp_path):
    fabricate.write_study(tmp_path / "study", 1)
    reporting.publish_records(tmp_path / "study", tmp_path / "records")
    run = read_study(tmp_path / "records").runs[0]
    np.testing.assert_array_equal(run.test.example_id, np.arange(200))
    np.testing.assert_array_equal(run.test.patient, np.arange(200) // 2)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("study --output_dir=/home/me/runs/demo", "study --output_dir=demo"),
        ("folder:/data/cells", "folder:cells"),
        ("gs://bucket/runs/demo", "gs://bucket/runs/demo"),
        ("runs/demo and 1/2", "runs/demo and 1/2"),
    ],
)
def test_paths_of_one_machine_are_not_published(tmp_path, given, kept):
    fabricate.write_study(tmp_path / "study", 1)
    path = tmp_path / "study/study.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "command": given}))
    reporting.publish_records(tmp_path / "study", tmp_path / "records")
    assert read_study(tmp_path / "records").command == kept
