import json

import numpy as np
import pytest
import tensorflow as tf

from tests.reporting import fabricate
from tests.tensorboard.writer_test import read
from transfusion_tf import records, reporting
from transfusion_tf.reporting import events
from transfusion_tf.tensorboard import schema

RUN = "efficientnet_lite0-transfer-seed1"
MATRIX = "transfusion/similarity/before_after/averaged_cka"


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory):
    return fabricate.write_study(tmp_path_factory.mktemp("studies") / "demo")


@pytest.fixture(scope="module")
def report(study_dir):
    return reporting.write_report(study_dir, study_dir / "report")


@pytest.fixture(scope="module")
def written(study_dir, report, tmp_path_factory):
    logdir = tmp_path_factory.mktemp("logdir")
    reporting.write_events(study_dir, report.document, logdir)
    return logdir


def tensors(found, tag):
    return {
        event.step: tf.make_ndarray(event.tensor_proto)
        for event in found.Tensors(tag)
    }


def test_a_directory_a_run_and_one_of_the_report(written):
    names = {path.parent.name for path in written.glob("demo/runs/*/events*")}
    assert names == {
        fabricate.run_name(model, init, seed)
        for model, init in fabricate.ARMS
        for seed in range(3)
    }
    assert len(list(written.glob("demo/report/events*"))) == 1


def test_what_is_shown_of_a_run_is_what_its_records_hold(study_dir, written):
    found = read(written / "demo" / "runs" / RUN)
    comparison = records.read_json(
        study_dir / f"comparisons/{RUN}-before-after/comparison.json"
    )
    curve = tensors(found, "validation/auc")
    assert list(curve) == list(fabricate.STEPS)
    expected = np.float32(fabricate.curve("transfer", 1))
    np.testing.assert_array_equal(list(curve.values()), expected)
    assert list(tensors(found, "train/loss")) == [6]

    [(step, planes)] = tensors(
        found, "transfusion/profile/before_after/cca"
    ).items()
    stages = comparison["stages"]
    assert step == fabricate.STEPS[-1]
    np.testing.assert_array_equal(
        planes,
        np.float32([[s["score"] for s in stages], [s["null"] for s in stages]]),
    )

    [(step, planes)] = tensors(found, MATRIX).items()
    scores = np.array(comparison["matrix"]["scores"], np.float32)
    assert step == fabricate.STEPS[-1] and np.isnan(scores[1, 0])
    np.testing.assert_array_equal(planes[0], scores)
    np.testing.assert_array_equal(
        planes[1], np.where(scores == scores, 0, scores)
    )
    [diagonal] = tensors(
        found, "transfusion/profile/before_after/averaged_cka"
    ).values()
    np.testing.assert_array_equal(diagonal[0], np.diag(scores))

    kernels = tensors(found, "transfusion/filters/stem_conv")
    assert list(kernels) == [0, fabricate.STEPS[-1]]
    expected = np.moveaxis(fabricate.filters(1)["kernels"], -1, 1)
    np.testing.assert_array_equal(list(kernels.values()), expected)

    content = found.SummaryMetadata("transfusion/run").plugin_data.content
    assert schema.decode(content) == {
        "version": 1,
        "kind": "run_info",
        "model": "efficientnet_lite0",
        "model_title": "EfficientNet-Lite0",
        "init": "transfer",
        "donor": "ImageNet (EfficientNet-Lite0 wheel)",
        "task": "synthetic",
        "metric": "auc",
        "threshold": 0.8,
        "seed": 1,
        "fold": None,
        "num_parameters": 3_400_000,
        "num_training_examples": 400,
        "num_steps": 60,
        "versions": {"tensorflow": "2.21.0", "keras": "3.15.1"},
    }


def test_the_document_is_read_back(report, written):
    [text] = tensors(read(written / "demo/report"), "transfusion/study")[0]
    assert json.loads(text) == report.document


def test_written_again_no_tag_is_there_twice(
    study_dir, report, written, tmp_path
):
    for _ in range(2):
        reporting.write_events(study_dir, report.document, tmp_path)
    assert sorted(p.parent for p in tmp_path.rglob("events*")) == [
        tmp_path / path.parent.relative_to(written)
        for path in sorted(written.rglob("events*"))
    ]
    found = read(tmp_path / "demo" / "runs" / RUN)
    assert [event.step for event in found.Tensors(MATRIX)] == [60]


def probed(study_dir):
    """Gives a run what it compared while it trained."""
    path = study_dir / "runs" / RUN
    config = json.loads((path / "config.json").read_text())
    config["probe"] = {
        "split": "validation",
        "num_images": 97,
        "batch_norm": "recalibrated at step 0",
    }
    (path / "config.json").write_text(json.dumps(config))
    rows = records.read_jsonl(path / "metrics.jsonl")
    for step in (0, 60):
        matrix = fabricate.matrix(step, 5)
        stages = fabricate.STAGES["efficientnet_lite0"]
        diagonal = np.diag(np.array(matrix, object)).tolist()
        rows.append(
            {
                "step": step,
                "split": "probe",
                "similarity": dict(zip(stages, diagonal, strict=True)),
                "matrix": matrix,
                "similarity_seconds": 1.0,
            }
        )
    records.write_jsonl(path / "metrics.jsonl", rows)
    return records.RunDirectory(path)


def test_of_a_run_that_compared_while_it_trained_the_matrix_is_its_own(
    tmp_path,
):
    run = probed(fabricate.write_study(tmp_path, 2))
    comparison = records.read_json(
        tmp_path / f"comparisons/{RUN}-before-after/comparison.json"
    )
    reporting.write_run(run, comparison)
    found = read(run.path)
    matrices = tensors(found, MATRIX)
    assert list(matrices) == [0, 60]
    for step, planes in matrices.items():
        expected = np.array(fabricate.matrix(step, 5), np.float32)
        np.testing.assert_array_equal(planes[0], expected)
    content = found.SummaryMetadata(MATRIX).plugin_data.content
    assert schema.decode(content)["num_images"] == 97
    # What the comparison has alone is there too.
    assert list(tensors(found, "transfusion/profile/before_after/cca")) == [60]
    # What is undefined is no scalar.
    assert list(tensors(found, "similarity/stem")) == [0, 60]


def test_records_without_matrix_filters_or_comparison_are_shown_too(tmp_path):
    fabricate.write_study(tmp_path, 2)
    (tmp_path / "runs" / RUN / "filters.npz").unlink()
    path = tmp_path / f"comparisons/{RUN}-before-after/comparison.json"
    comparison = records.read_json(path)
    del comparison["matrix"]
    records.write_json(path, comparison)
    views = events.view_runs(tmp_path)
    assert [point.tag for point in views[RUN].points] == [
        "transfusion/run",
        "transfusion/profile/before_after/cca",
    ]
    path.unlink()
    [point] = events.view_runs(tmp_path)[RUN].points
    assert point.tag == "transfusion/run"
