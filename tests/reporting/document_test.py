import csv
import io
import json

import numpy as np
import pytest

from tests.reporting import fabricate
from transfusion_tf import reporting
from transfusion_tf.reporting import document as document_module
from transfusion_tf.tensorboard import points


def report_of(tmp_path, num_seeds=3, **choices):
    study_dir = fabricate.write_study(tmp_path / "demo", num_seeds, **choices)
    report = reporting.write_report(study_dir, tmp_path / "report")
    return report.document, tmp_path / "report"


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def number(text):
    return pytest.approx(float(text), rel=1e-5)


def test_its_numbers_are_those_of_the_tables(tmp_path):
    document, report_dir = report_of(tmp_path)
    rows = rows_of(report_dir / "table.csv")
    assert len(document["arms"]) == len(rows) == 3
    for arm, row in zip(document["arms"], rows, strict=True):
        assert (arm["model"], arm["init"]) == (row["model"], row["init"])
        assert arm["num_parameters"] == int(row["num_parameters"])
        assert arm["test"] == {
            "mean": number(row["test_mean"]),
            "low": number(row["test_seed_low"]),
            "high": number(row["test_seed_high"]),
        }
        assert arm["joint"] == {
            "low": number(row["test_joint_low"]),
            "high": number(row["test_joint_high"]),
        }
        assert arm["second"]["mean"] == number(row["second_mean"])
        assert arm["second"]["title"] == "average precision"
        bound = ">" * int(row["median_steps_is_lower_bound"])
        assert arm["steps"]["text"] == f"{bound}{float(row['median_steps']):g}"
        assert arm["steps"]["num_reached"] == int(row["num_reached"])
        if arm["init"] == "random":
            assert arm["difference"] is None
            continue
        assert arm["difference"] == {
            "mean": number(row["difference_from_random"]),
            "low": number(row["difference_joint_low"]),
            "high": number(row["difference_joint_high"]),
            "seed_low": number(row["difference_seed_low"]),
            "seed_high": number(row["difference_seed_high"]),
            "num_seeds": 3,
        }
        assert arm["differences"] == []
    runs = [run for arm in document["arms"] for run in arm["runs"]]
    for run, row in zip(runs, rows_of(report_dir / "runs.csv"), strict=True):
        assert run["value"] == number(row["test"])
        assert run["low"] == number(row["test_patient_low"])
    assert document["verdict"] == (report_dir / "verdict.txt").read_text()


def test_below_three_seeds_each_stands_for_itself(tmp_path):
    missing = "efficientnet_lite0-transfer-seed1"
    document, _ = report_of(tmp_path, 2, unfinished=(missing,))
    transfer, random, _ = document["arms"]
    for arm in (transfer, random):
        assert arm["test"] is arm["joint"] is arm["second"] is None
        assert arm["difference"] is None
    [difference] = transfer["differences"]
    assert difference["seed"] == 0
    assert difference["low"] < difference["value"] < difference["high"]
    assert (transfer["num_runs"], transfer["num_missing"]) == (1, 1)
    assert document["missing"] == [missing]
    profile = document["profiles"][0]
    assert profile["low"] is None and profile["high"] is None
    assert len(profile["runs"]) == 1 and profile["seeds"] == [0]


def test_profiles_are_means_over_runs_with_their_null_level(tmp_path):
    document, _ = report_of(tmp_path)
    profile = document["profiles"][0]
    assert profile["init"] == "transfer"
    assert profile["stages"] == list(fabricate.STAGES["efficientnet_lite0"])
    expected = 0.9 - 0.08 * np.arange(5) + 0.01
    np.testing.assert_allclose(profile["mean"], expected, atol=1e-6)
    np.testing.assert_allclose(
        profile["null"], 0.1 + 0.01 * np.arange(5), atol=1e-6
    )
    # Student's t of 2 degrees of freedom, deviation 0.01.
    half = 4.302653 * 0.01 / 3**0.5
    np.testing.assert_allclose(profile["low"], expected - half, atol=1e-5)
    np.testing.assert_allclose(profile["high"], expected + half, atol=1e-5)
    assert "387 test images" in profile["what"]


def test_an_undefined_stage_is_none_and_the_others_are_not(tmp_path):
    study_dir = fabricate.write_study(tmp_path / "demo", 3)
    path = fabricate.write_comparison(study_dir, "cbr_tiny", "random", 1)
    content = json.loads(path.read_text())
    content["stages"][2]["score"] = None
    path.write_text(json.dumps(content))
    report = reporting.write_report(study_dir, tmp_path / "report")
    profile = report.document["profiles"][-1]
    assert profile["mean"][2] is profile["low"][2] is None
    assert profile["runs"][1][2] is None
    assert None not in profile["mean"][:2] + profile["low"][:2]


def test_pairs_and_scatters_are_those_of_their_tables(tmp_path):
    study_dir = fabricate.write_study(tmp_path / "demo", 3)
    fabricate.write_pairs(study_dir, models=("cbr_tiny", "efficientnet_lite0"))
    report = reporting.write_report(study_dir, tmp_path / "report")
    rows = rows_of(tmp_path / "report/run_similarity.csv")
    assert len(report.document["pairs"]) == len(rows) == 3
    for pair, row in zip(report.document["pairs"], rows, strict=True):
        assert pair["label"] == f"{row['init']}-{row['other_init']}"
        assert pair["similarity"]["mean"] == number(row["similarity"])
        assert pair["above_null"]["low"] == number(row["above_null_low"])
        assert pair["num_pairs"] == int(row["num_pairs"])
        assert (pair["paper"] is None) == (row["paper"] == "")
    fits = rows_of(tmp_path / "report/initial_similarity.csv")
    scatters = report.document["scatter"]
    for scatter, row in zip(scatters, fits, strict=True):
        assert row["stage"] in scatter["title"]
        assert len(scatter["points"]) == int(row["num_points"])
        assert scatter["fit"]["slope"] == number(row["slope"])
        assert scatter["fit"]["r2_low"] == number(row["r_squared_low"])
        # Fabricated as a line: every point is on it.
        for point in scatter["points"]:
            on_line = scatter["fit"]["slope"] * point["x"]
            on_line += scatter["fit"]["intercept"]
            assert point["y"] == pytest.approx(on_line, abs=1e-4)
        xs = [point["x"] for point in scatter["points"]]
        assert np.mean(xs) == number(row["before_mean"])


def test_of_many_points_pairs_are_averaged_and_the_note_says_so(
    tmp_path, monkeypatch
):
    study_dir = fabricate.write_study(tmp_path / "demo", 3)
    fabricate.write_pairs(study_dir, models=("cbr_tiny",), samples=4)
    sides = []
    for most in (48, 47):  # 3 pairs, 4 samples, 4 stages.
        monkeypatch.setattr(document_module, "MOST_SCATTERED", most)
        report = reporting.write_report(study_dir, tmp_path / "report")
        sides.append(report.document["scatter"][0])
    each, means = sides
    assert (len(each["points"]), len(means["points"])) == (12, 3)
    assert "one sample of a pair" in each["note"]
    assert "the mean of a pair" in means["note"]
    assert each["fit"] == means["fit"] and means["fit"]["num_points"] == 12
    of_first = [point["x"] for point in each["points"][:4]]
    assert means["points"][0]["x"] == pytest.approx(np.mean(of_first), rel=1e-5)


def test_it_is_json_and_a_point_of_the_tab(tmp_path):
    document, _ = report_of(tmp_path)
    json.dumps(document, allow_nan=False)
    assert points.study(document).step == 0
