"""Findings from raw labels to what is printed of a finished run."""

import re

import pytest

import transfusion_datasets
from tests.launch import running
from transfusion_tf import data, records


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two steps on drawn chest X-rays, which train itself prepares."""
    root = tmp_path_factory.mktemp("findings")
    process = running.run(
        "train",
        f"--run_dir={root / 'run'}",
        f"--data_dir={root / 'data'}",
        "--task=synthetic_cxr5",
        "--model=cbr_tiny",
        "--image_size=64",
        "--num_steps=2",
        "--label_policy=u_ones",
        "--augmentation=chest_xray",
        "--batch_norm_momentum=0.5",
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return root, process.stdout


def test_what_is_read_is_told_before_training(run):
    root, printed = run
    assert "Preparing transfusion_synthetic_cxr/n64" in printed
    assert "Label policy: u_ones, blank=zero; views: all." in printed
    report = transfusion_datasets.split_report(
        transfusion_datasets.prepared_builder(
            "transfusion_synthetic_cxr/n64", data_dir=root / "data"
        )
    )
    assert report["rule"] in printed
    train = report["splits"]["train"]
    assert f"train: {train['num_images']} images of" in printed
    edema = train["label_counts"]["Edema"]
    positive = edema["positive"] + edema["uncertain"]
    told = re.search(
        r"Edema: (.*); (\d+) learnt, mean target ([\d.]+)", printed
    )
    assert told[1] == ", ".join(f"{s} {n}" for s, n in edema.items())
    assert int(told[2]) == train["num_images"]
    assert float(told[3]) == pytest.approx(
        positive / train["num_images"], abs=5e-4
    )


def test_evaluate_tells_of_each_finding(run):
    root, _ = run
    process = running.run(
        "evaluate", f"--run_dir={root / 'run'}", f"--data_dir={root / 'data'}"
    )
    assert process.returncode == 0, process.stderr[-2000:]
    result = records.RunDirectory(root / "run").result()["test"]
    assert f"{result['auc']:.3f} [" in process.stdout
    for name in data.task("synthetic_cxr5").classes:
        finding = result["findings"][name]
        line = next(
            text for text in process.stdout.splitlines() if name in text
        )
        assert f"AUC {finding['auc']:.3f} [" in line
        assert f"{finding['num_positives']} positive" in line
