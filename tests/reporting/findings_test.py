"""A study of findings over the folds of a cross-validation."""

import csv
import io
import json
import shutil

import numpy as np
import pytest

from tests.reporting import fabricate
from transfusion_tf import evaluation, reporting

FINDINGS = ["Atelectasis", "Edema", "Mass"]
SIGNALS = {"transfer": 1.5, "random": 0.3}
NUM_FOLDS, NUM = 3, 60  # Images in a fold; two a patient.


def predictions(init, fold, seed):
    """Labels of a fold are those of every run; Mass has 5 positives in all."""
    rng = np.random.default_rng([fold, 7])
    label = (rng.random((NUM, 3)) < 0.4).astype(np.int64)
    label[:, 2] = 0
    label[: 2 - fold % 2, 2] = 1
    noise = np.random.default_rng([fold, seed]).normal(size=label.shape)
    return evaluation.Predictions(
        example_id=np.arange(NUM) * NUM_FOLDS + fold,
        patient=np.arange(NUM) // 2,
        label=label,
        score=noise + SIGNALS[init] * label,
    )


def write_run(study_dir, init, fold, seed):
    name = f"cbr_tiny-{init}-fold{fold + 1}-seed{seed}"
    path = study_dir / "runs" / name
    run = predictions(init, fold, seed)
    scores = {name: run.metric(name) for name in ("auc", "average_precision")}
    asked = {
        "model": "cbr_tiny",
        "init": init,
        "task": "chexpert5",
        "seed": seed,
        "fold": f"{fold + 1}/{NUM_FOLDS}",
    }
    config = {
        "schema_version": 1,
        "config": asked,
        "label_names": FINDINGS,
        "donor": fabricate.DONOR if init == "transfer" else None,
        "data": {"train": {"num_examples": 100 + fold}},
    }
    fabricate.write_json(path / "config.json", config)
    row = {"step": 10 + fold, "split": "validation", "auc": 0.6 + 0.1 * fold}
    (path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    np.savez(path / "predictions_test.npz", **run.to_arrays())
    result = {
        "schema_version": 1,
        "num_steps": 10,
        "parameters": {"total": 1000},
        "test": scores,
    }
    fabricate.write_json(path / "result.json", result)


@pytest.fixture(scope="module")
def study_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("study")
    arms = [{"model": "cbr_tiny", "init": init} for init in SIGNALS]
    study = {
        "schema_version": 1,
        "name": "x-rays",
        "task": "chexpert5",
        "arms": arms,
        "seeds": [0, 1, 2],
        "num_folds": NUM_FOLDS,
        "auc_threshold": 0.65,
    }
    fabricate.write_json(path / "study.json", study)
    for init in SIGNALS:
        for fold in range(NUM_FOLDS):
            for seed in range(3):
                write_run(path, init, fold, seed)
    fabricate.write_json(
        path / "comparisons" / "one" / "comparison.json",
        {
            "schema_version": 1,
            "kind": "before_after",
            "run": "cbr_tiny-random-fold1-seed1",
            "other_run": "cbr_tiny-random-fold1-seed1",
            "measure": "cca",
            "protocol": {
                "num_positions": 100,
                "num_channels": 64,
                "repeats": 1,
                "num_images": 50,
                "split": "test",
                "batch_norm": "recalibrated at step 0",
            },
            "stages": [{"stage": "conv1", "score": 0.8, "null": 0.1}],
        },
    )
    return path


def test_the_folds_of_an_arm_and_seed_are_one_run(study_dir):
    study = reporting.study.read_study(study_dir)
    assert [run.name for run in study.runs] == [
        f"cbr_tiny-{init}-seed{seed}" for init in SIGNALS for seed in range(3)
    ]
    run = study.runs[0]
    assert run.test.num_examples == NUM * NUM_FOLDS
    assert run.test.num_patients == NUM * NUM_FOLDS // 2
    assert run.num_training_examples == 101
    np.testing.assert_allclose(run.curve, [0.7])
    np.testing.assert_array_equal(run.curve_steps, [11])
    assert set(study.layers) == {"cbr_tiny-random-seed1"}


def test_the_mean_is_over_findings_with_enough_positives(study_dir):
    study = reporting.study.read_study(study_dir)
    assert study.findings == ("Atelectasis", "Edema")
    assert study.notes == ("Not scored, fewer than 20 positives: Mass (5)",)
    expected = np.mean(
        [
            [predictions("transfer", fold, 0).metric_of("auc", place)]
            for fold in range(NUM_FOLDS)
            for place in (0, 1)
        ]
    )
    assert study.runs[0].test.metric("auc") == pytest.approx(expected)


def test_the_table_of_findings_holds_means_intervals_and_differences(
    study_dir, tmp_path
):
    report = reporting.write_report(study_dir, tmp_path)
    text = (tmp_path / "findings.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(r["finding"], r["init"]) for r in rows] == [
        (name, init) for name in FINDINGS[:2] for init in SIGNALS
    ]
    means = {}
    for row in rows:
        place = FINDINGS.index(row["finding"])
        runs = [
            [predictions(row["init"], fold, seed) for fold in range(NUM_FOLDS)]
            for seed in range(3)
        ]
        expected = np.mean(
            [[fold.metric_of("auc", place) for fold in run] for run in runs]
        )
        mean = float(row["test_mean"])
        means[row["finding"], row["init"]] = mean
        assert mean == pytest.approx(expected)
        assert float(row["test_joint_low"]) < mean
        positives = sum(int((f.label[:, place] == 1).sum()) for f in runs[0])
        assert int(row["num_positives"]) == positives
        if row["init"] == "transfer":
            difference = float(row["difference_from_random"])
            low = float(row["difference_joint_low"])
            assert 0 < low < difference
    for name in FINDINGS[:2]:
        (row,) = [
            r
            for r in rows
            if r["finding"] == name
            and r["num_runs"]
            and r["init"] == "transfer"
        ]
        assert float(row["difference_from_random"]) == pytest.approx(
            means[name, "transfer"] - means[name, "random"]
        )
    assert "apart in Atelectasis" in report.verdict
    assert "3-fold cross-validation" in report.table_markdown


def test_a_missing_fold_makes_its_run_missing(study_dir, tmp_path):

    copy = tmp_path / "study"
    shutil.copytree(study_dir, copy)
    shutil.rmtree(copy / "runs" / "cbr_tiny-random-fold2-seed1")
    study = reporting.study.read_study(copy)
    assert study.missing == ("cbr_tiny-random-fold2-seed1",)
    assert len(study.runs) == 5


def test_published_records_give_the_same_report(study_dir, tmp_path):
    reporting.publish_records(study_dir, tmp_path / "records")
    one = reporting.write_report(study_dir, tmp_path / "one")
    two = reporting.write_report(tmp_path / "records", tmp_path / "two")
    assert one.table_markdown == two.table_markdown
