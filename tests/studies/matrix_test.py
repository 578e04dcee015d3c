"""What a study adds to its runs' event files and to older comparisons."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
from etils import epath

from tests.tensorboard.writer_test import read
from transfusion_tf import analysis, records, studies
from transfusion_tf.studies import executor

MATRIX = "transfusion/similarity/before_after/averaged_cka"


@pytest.fixture(scope="module")
def finished(study_config, study_trainer, tmp_path_factory):
    config = dataclasses.replace(study_config, seeds=(0,))
    path = tmp_path_factory.mktemp("studies") / "study"
    studies.run_study(studies.Study(config, epath.Path(path)), study_trainer)
    return config, path


@pytest.fixture
def done(finished, tmp_path):
    """A finished study of a test's own."""
    config, path = finished
    shutil.copytree(path, tmp_path / "study")
    return studies.Study(config, epath.Path(tmp_path / "study"))


def paths_of(study_):
    [config] = study_.config.runs()
    return study_.run(config), study_.comparison_path(config)


def tensors(found, tag):
    return {
        event.step: tf.make_ndarray(event.tensor_proto)
        for event in found.Tensors(tag)
    }


def test_a_compared_run_shows_its_training_and_its_comparison(done):
    run, path = paths_of(done)
    comparison = records.read_json(path)
    assert len(list(run.path.glob("events*"))) == 1
    found = read(run.path)
    [(step, planes)] = tensors(found, MATRIX).items()
    assert step == 2
    expected = np.array(comparison["matrix"]["scores"], np.float32)
    np.testing.assert_array_equal(planes[0], expected)
    [profile] = tensors(found, "transfusion/profile/before_after/cca").values()
    expected = [stage["score"] for stage in comparison["stages"]]
    np.testing.assert_array_equal(profile[0], np.float32(expected))
    rows = [row for row in run.metrics() if row["split"] == "validation"]
    curve = tensors(found, "validation/auc")
    assert curve == {row["step"]: np.float32(row["auc"]) for row in rows}
    [layer] = [tag for tag in found.Tags()["tensors"] if "filters" in tag]
    assert list(tensors(found, layer)) == [0, 2]


def test_a_finished_study_shows_its_document_and_has_a_page(
    done,
    study_trainer,
):
    report = done.path / "report"
    first = {p.name: p.read_bytes() for p in report.glob("*.*")}
    outcome = studies.run_study(done, study_trainer)
    assert f"TensorBoard: tensorboard --logdir {done.path}" in (
        outcome.describe(done)
    )
    # It replaces what was there: one writer, one file.
    assert len(list(report.glob("events*"))) == 1
    assert len(tensors(read(report), "transfusion/study")) == 1
    assert b"transfusion-data" in first["report.html"]
    assert (report / "report.html").read_bytes() == first["report.html"]


def test_a_study_with_large_records_has_no_old_page_and_says_so(
    done,
    study_trainer,
    monkeypatch,
):
    outcome = studies.run_study(done, study_trainer)
    assert "No page" not in outcome.describe(done)
    monkeypatch.setattr(executor, "_MOST_BYTES_OF_A_PAGE", 100)
    outcome = studies.run_study(done, study_trainer)
    assert not (done.path / "report" / "report.html").exists()
    assert (done.path / "report" / "table.md").exists()
    assert f"--output_dir={done.path / 'report'} --html makes it" in (
        outcome.describe(done)
    )


def test_a_comparison_of_an_older_version_is_completed(
    done,
    study_trainer,
):
    run, path = paths_of(done)
    made = records.read_json(path)
    kernels = records.read_npz(run.filters_path)
    # A score that could not come out anew: what stands there stays.
    older = {k: v for k, v in made.items() if k != "matrix"}
    older["stages"][0]["score"] = 0.123
    records.write_json(path, older)
    run.filters_path.unlink()
    for file in run.path.glob("events*"):
        file.unlink()
    outcome = studies.run_study(done, study_trainer)
    assert outcome.unfinished == ()
    completed = records.read_json(path)
    np.testing.assert_allclose(
        completed.pop("matrix")["scores"],
        made["matrix"]["scores"],
        rtol=0,
        atol=1e-6,
    )
    assert completed == older
    for name, array in records.read_npz(run.filters_path).items():
        np.testing.assert_array_equal(array, kernels[name])
    assert list(tensors(read(run.path), MATRIX)) == [2]
    times = {p: p.stat().mtime for p in run.path.glob("*.*")}
    studies.run_study(done, study_trainer)
    assert {p: p.stat().mtime for p in times} == times


def test_a_comparison_that_cannot_be_completed_is_told_until_it_is(
    done, study_trainer, monkeypatch
):
    run, path = paths_of(done)
    made = records.read_json(path)
    older = {k: v for k, v in made.items() if k != "matrix"}
    records.write_json(path, older)

    def fail(*_, **__):
        raise ValueError("The weights are damaged.")

    with monkeypatch.context() as patched:
        patched.setattr(analysis, "capture_checkpoint", fail)
        outcome = studies.run_study(done, study_trainer)
    assert outcome.unfinished == () and outcome.report is not None
    [told] = outcome.incomplete
    assert told.state == "done"
    assert "not completed" in told.reason
    assert "ValueError: The weights are damaged." in told.reason
    assert str(told) in outcome.describe(done)
    assert outcome.exit_code == 1
    assert studies.study_status(done) == [told]
    assert records.read_json(path) == older

    outcome = studies.run_study(done, study_trainer)
    assert outcome.incomplete == () and outcome.exit_code == 0
    assert "matrix" in records.read_json(path)
    assert not run.failure_path.exists()


def test_without_weights_an_older_comparison_stays_as_it_is(
    done,
    study_trainer,
):
    run, path = paths_of(done)
    older = records.read_json(path)
    del older["matrix"]
    records.write_json(path, older)
    run.weights_path(0).unlink()
    outcome = studies.run_study(done, study_trainer)
    assert outcome.unfinished == () and outcome.exit_code == 0
    assert not run.failure_path.exists()
    assert records.read_json(path) == older
