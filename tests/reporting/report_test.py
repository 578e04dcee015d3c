import csv
import io
import json

import numpy as np
import pytest
from scipy import stats

from tests.reporting import fabricate
from transfusion_tf import evaluation, reporting
from transfusion_tf.reporting import study as study_module
from transfusion_tf.tensorboard import names

FILES = [
    "convergence.png",
    "convergence.svg",
    "layer_similarity.png",
    "layer_similarity.svg",
    "runs.csv",
    "table.csv",
    "table.md",
    "table.tex",
    "verdict.txt",
]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """A study of 3 seeds, its report and the place of its files."""
    path = tmp_path_factory.mktemp("three")
    fabricate.write_study(path / "study", 3)
    report = reporting.write_report(path / "study", path / "report")
    return path, report


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    path = tmp_path_factory.mktemp("two")
    fabricate.write_study(
        path / "study", 2, unfinished=("cbr_tiny-random-seed1",)
    )
    report = reporting.write_report(path / "study", path / "report")
    return path, report


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text())))


def aucs_on_test(init, num_seeds=3):
    return [
        fabricate.pair_auc(fabricate.predictions(init, seed))
        for seed in range(num_seeds)
    ]


def test_a_study_of_parts_shows_how_much_is_transfused(tmp_path):
    arms = (*fabricate.ARMS, ("efficientnet_lite0", "transfuse:block1"))
    fabricate.write_study(tmp_path / "study", 1, arms=arms)
    report = reporting.write_report(tmp_path / "study", tmp_path / "report")
    more = {file.name for file in report.files} - set(FILES)
    assert more == {"transfusion.png", "transfusion.svg"}


def test_every_file_is_written_and_named(three):
    path, report = three
    assert [file.name for file in report.files] == FILES
    assert sorted(p.name for p in (path / "report").iterdir()) == FILES
    assert (path / "report/table.md").read_text() == report.table_markdown
    assert (path / "report/verdict.txt").read_text() == report.verdict


def test_csv_holds_the_mean_with_students_t_interval(three):
    row = rows_of(three[0] / "report/table.csv")[0]
    values = aucs_on_test("transfer")
    low, high = stats.t.interval(
        0.95, 2, loc=np.mean(values), scale=stats.sem(values)
    )
    assert (row["model"], row["init"], row["num_runs"]) == (
        "efficientnet_lite0",
        "transfer",
        "3",
    )
    assert float(row["test_mean"]) == pytest.approx(np.mean(values))
    assert float(row["test_seed_low"]) == pytest.approx(low)
    assert float(row["test_seed_high"]) == pytest.approx(high)
    assert row["second_metric"] == "average_precision"
    precisions = [
        evaluation.average_precision(arrays["label"], arrays["score"])
        for seed in range(3)
        for arrays in [fabricate.predictions("transfer", seed)]
    ]
    assert float(row["second_mean"]) == pytest.approx(np.mean(precisions))


def test_csv_holds_the_paired_difference_with_its_joint_interval(three):
    path, _ = three
    row = rows_of(path / "report/table.csv")[0]
    study = study_module.read_study(path / "study")
    first, second = (
        [run.test for run in study.runs_of(arm)] for arm in study.arms[:2]
    )
    expected = evaluation.joint_difference_interval(first, second)
    assert float(row["difference_from_random"]) == pytest.approx(
        np.mean(aucs_on_test("transfer")) - np.mean(aucs_on_test("random"))
    )
    assert float(row["difference_joint_low"]) == expected.low
    assert float(row["difference_joint_high"]) == expected.high


def test_csv_cells_are_plain_numbers_or_empty(three, two):
    words = {"model", "init", "donor", "metric", "second_metric"}
    for path, _ in (three, two):
        for name in ("table.csv", "runs.csv"):
            for row in rows_of(path / "report" / name):
                for column in row.keys() - words:
                    assert row[column] == "" or np.isfinite(float(row[column]))


def test_one_row_an_arm_and_one_row_a_run(two):
    path, _ = two
    assert len(rows_of(path / "report/table.csv")) == 3
    runs = rows_of(path / "report/runs.csv")
    assert [(r["model"], r["init"], r["seed"]) for r in runs] == [
        ("efficientnet_lite0", "transfer", "0"),
        ("efficientnet_lite0", "transfer", "1"),
        ("efficientnet_lite0", "random", "0"),
        ("efficientnet_lite0", "random", "1"),
        ("cbr_tiny", "random", "0"),
    ]


def test_censored_steps_are_counted_and_marked(three):
    path, report = three
    transfer, random, _ = rows_of(path / "report/table.csv")
    assert (transfer["num_reached"], transfer["median_steps"]) == ("3", "24.0")
    assert (random["num_reached"], random["median_steps"]) == ("0", "60.0")
    assert random["median_steps_is_lower_bound"] == "1"
    assert "| 24 (3 of 3 reached) " in report.table_markdown
    assert "| >60 (0 of 3 reached)" in report.table_markdown
    assert "$>$60 (0 of 3 reached)" in (path / "report/table.tex").read_text()
    runs = rows_of(path / "report/runs.csv")
    assert [r["steps"] for r in runs] == ["24"] * 3 + [""] * 6


def test_below_three_seeds_each_run_stands_with_its_patient_interval(two):
    path, report = two
    study = study_module.read_study(path / "study")
    for run in study.runs:
        interval = evaluation.patient_interval(run.test)
        model = names.model_title(run.arm.model)
        assert any(
            line.startswith(f"| {model}")
            and f"| {run.arm.init}" in line
            and f"| seed {run.seed} " in line
            and f"| {interval} " in line
            for line in report.table_markdown.splitlines()
        )
    assert "That is not an interval over seeds" in report.table_markdown
    assert "Joint interval" not in report.table_markdown
    row = rows_of(path / "report/table.csv")[0]
    assert row["test_mean"] == row["difference_from_random"] == ""


def test_missing_runs_are_listed_everywhere(two):
    path, report = two
    name = "cbr_tiny-random-seed1"
    assert report.missing == (name,)
    assert f"Missing, not finished: {name}." in report.table_markdown
    assert f"1 run missing: {name}" in report.verdict
    assert rows_of(path / "report/table.csv")[2]["num_missing"] == "1"


def test_donors_are_called_what_they_are(three):
    _, report = three
    title = "transfer from ImageNet (EfficientNet-Lite0 wheel)"
    assert title in report.table_markdown and title in report.verdict


def test_latex_escapes_what_latex_reads_otherwise(three):
    text = (three[0] / "report/table.tex").read_text()
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert "transfer $-$ random" in text
    assert not any(">" in line.replace("$>$", "") for line in body)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2


def test_the_same_records_give_the_same_bytes(three, tmp_path):
    path, report = three
    reporting.write_report(path / "study", tmp_path)
    for name in FILES:
        expected = (path / "report" / name).read_bytes()
        assert (tmp_path / name).read_bytes() == expected, name


def test_figures_carry_no_date(three):
    svg = (three[0] / "report/convergence.svg").read_text()
    assert "<svg" in svg and "dc:date" not in svg


def test_a_study_without_a_finished_run_says_so(tmp_path):
    arms = (("cbr_tiny", "random"),)
    fabricate.write_study(
        tmp_path, 1, arms, unfinished=("cbr_tiny-random-seed0",)
    )
    report = reporting.write_report(tmp_path, tmp_path / "report")
    assert "none finished" in report.table_markdown
    assert "there is no answer yet" in report.verdict
    assert not any(f.name.endswith("svg") for f in report.files)


def test_without_comparisons_there_is_no_figure_of_layers(tmp_path):
    fabricate.write_study(tmp_path, 1, layers=False)
    report = reporting.write_report(tmp_path, tmp_path / "report")
    written = [file.name for file in report.files]
    assert "convergence.svg" in written
    assert "layer_similarity.svg" not in written


@pytest.mark.parametrize("num_classes", [5, 10])
def test_an_accuracy_task_is_reported_as_accuracy(tmp_path, num_classes):
    arms = (("cbr_tiny", "random"),)
    fabricate.write_study(tmp_path, 3, arms, layers=False)
    for seed in range(3):
        path = tmp_path / f"runs/cbr_tiny-random-seed{seed}"
        label = np.arange(40) % num_classes
        # The place of the true class among the scores, the best being 0.
        place = np.where(np.arange(40) < 20 + 4 * seed, 0, 4)
        place[30:] = num_classes // 2
        order = (np.arange(num_classes) - label[:, None]) % num_classes
        np.savez(
            path / "predictions_test.npz",
            example_id=np.arange(40),
            patient=np.arange(40),
            label=label,
            score=-((order + place[:, None]) % num_classes).astype(float),
        )
        result = json.loads((path / "result.json").read_text())
        result["test"] = {"accuracy": 0.5 + 0.1 * seed}
        (path / "result.json").write_text(json.dumps(result))
        metrics = (path / "metrics.jsonl").read_text()
        (path / "metrics.jsonl").write_text(
            metrics.replace('"auc"', '"accuracy"')
        )
    report = reporting.write_report(tmp_path, tmp_path / "report")
    assert "Test accuracy" in report.table_markdown
    assert "AUC" not in report.table_markdown
    assert "verage precision" not in report.table_markdown
    row = rows_of(tmp_path / "report/table.csv")[0]
    assert float(row["test_mean"]) == pytest.approx(0.6)
    runs = rows_of(tmp_path / "report/runs.csv")
    if num_classes == 5:  # Five guesses of five are no news.
        assert "op-5" not in report.table_markdown
        assert row["second_metric"] == row["second_mean"] == ""
    else:
        assert "| Top-5 accuracy " in report.table_markdown
        assert row["second_metric"] == "top5_accuracy"
        assert float(row["second_mean"]) == pytest.approx(0.75)
        assert {float(run["second"]) for run in runs} == {0.75}


def test_the_table_names_the_seeds_and_what_the_runs_were_made_with(tmp_path):
    fabricate.write_study(tmp_path / "study")
    report = reporting.write_report(tmp_path / "study", tmp_path / "report")
    made_with = "Made with TensorFlow 2.21.0, Keras 3.15.1."
    assert made_with in report.table_markdown
    config = tmp_path / "study/runs/cbr_tiny-random-seed0/config.json"
    config.write_text(config.read_text().replace("2.21.0", "2.22.0"))
    report = reporting.write_report(tmp_path / "study", tmp_path / "report")
    assert (
        f"{made_with} Made with TensorFlow 2.22.0, Keras 3.15.1."
        in report.table_markdown
    )
