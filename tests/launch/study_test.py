"""Pulls the plug on a study and repeats its command, as a user would."""

import os
import pathlib
import random
import shutil
import signal

import numpy as np
import pytest

from tests.comparing import assert_same_run
from tests.launch import running
from transfusion_tf import records

RUNS = ("cbr_tiny-random-seed0", "cbr_tiny-random-seed1")


def flags_of(study_dir, data_dir):
    return [
        f"--study_dir={study_dir}",
        f"--data_dir={data_dir}",
        "--task=synthetic_fundus_referable",
        "--arms=cbr_tiny/random",
        "--seeds=0,1",
        "--image_size=32",
        "--num_train_examples=64",
        "--batch_size=16",
        "--num_steps=24",
        "--eval_every_steps=2",
        "--checkpoint_every_steps=3",
        "--batch_norm_momentum=0.5",
        "--num_positions=500",
        "--repeats=1",
        "--num_images=100",
        "--num_threads=1",
    ]


@pytest.fixture(scope="module")
def undisturbed(synthetic_data_dir, tmp_path_factory):
    """A study that ran in one go, and what its command printed."""
    study_dir = tmp_path_factory.mktemp("studies") / "undisturbed"
    process = running.run("study", *flags_of(study_dir, synthetic_data_dir))
    assert process.returncode == 0, process.stderr[-3000:]
    return study_dir, process


def num_lines_written(study_dir: pathlib.Path) -> int:
    return sum(
        len(path.read_text().splitlines())
        for path in study_dir.glob("runs/*/metrics.jsonl")
    )


def kill_after_new_lines(process, study_dir, num_lines, delay) -> bool:
    """Kills once so many new metrics were logged; False if it ended first."""
    target = num_lines_written(study_dir) + num_lines
    running.wait_for(process, lambda: num_lines_written(study_dir) >= target)
    running.wait(process, delay)
    return running.kill(process)


def halt_both_runs(process, study_dir) -> list[int]:
    """Halts each worker when it has logged something new; returns them."""
    runs = [records.RunDirectory(study_dir / "runs" / name) for name in RUNS]
    before = [len(run.metrics()) for run in runs]
    halted: dict[int, int] = {}

    def halt_those_that_go_on() -> bool:
        for place, run in enumerate(runs):
            holder = run.holder()
            is_new = len(run.metrics()) != before[place]
            if place not in halted and holder and is_new:
                halted[place] = int(holder.split()[1])
                os.kill(halted[place], signal.SIGSTOP)
        return len(halted) == len(runs)

    is_halted = running.wait_for(process, halt_those_that_go_on)
    assert is_halted, running.finish(process)
    return [halted[place] for place in range(len(RUNS))]


def let_go_on(workers) -> None:
    for pid in workers:
        os.kill(pid, signal.SIGCONT)


def test_a_study_killed_and_stopped_in_every_way_ends_with_the_same_bits(
    undisturbed, synthetic_data_dir, tmp_path
):
    expected, _ = undisturbed
    study_dir = tmp_path / "killed"
    flags = flags_of(study_dir, synthetic_data_dir)
    generator = random.Random()

    # One process, at a random moment.
    process = running.start("study", *flags)
    assert kill_after_new_lines(
        process,
        study_dir,
        num_lines=generator.randint(1, 6),
        delay=generator.uniform(0.0, 0.3),
    )

    # The main process of two workers: they end too, or this would hang.
    process = running.start("study", *flags, "--workers=2")
    workers = halt_both_runs(process, study_dir)
    process.kill()
    let_go_on(workers)
    running.finish(process)

    # Ctrl-C, which a terminal sends to all processes.
    process = running.start("study", *flags, "--workers=2")
    workers = halt_both_runs(process, study_dir)
    for pid in (*workers, process.pid):
        os.kill(pid, signal.SIGINT)
    let_go_on(workers)
    printed = running.finish(process)
    assert process.returncode == 130, printed
    for name in RUNS:
        assert f"of {name}; everything is saved. Repeat the" in printed
    assert "Traceback" not in printed

    # One of two workers.
    process = running.start("study", *flags, "--workers=2")
    first, second = halt_both_runs(process, study_dir)
    os.kill(first, signal.SIGKILL)
    let_go_on([second])
    printed = running.finish(process)
    assert process.returncode == 1, printed
    assert f"failed   {RUNS[0]}" in printed
    assert "died without a word" in printed
    assert "1 of 2 runs are not done." in printed
    assert records.RunDirectory(study_dir / "runs" / RUNS[1]).is_finished

    process = running.run("study", *flags)
    assert process.returncode == 0, process.stderr[-3000:]
    for name in RUNS:
        assert_same_run(study_dir / "runs" / name, expected / "runs" / name)
    for path in expected.glob("comparisons/*/comparison.json"):
        ours = study_dir / path.relative_to(expected)
        assert records.read_json(ours) == records.read_json(path)
    for path in expected.glob("report/*"):
        # TensorBoard calls a study by its directory; events have a time.
        if path.name != "report.html" and "tfevents" not in path.name:
            ours = study_dir / path.relative_to(expected)
            assert ours.read_bytes() == path.read_bytes(), path.name


def test_the_answer_is_printed_with_the_next_commands(undisturbed):
    study_dir, process = undisturbed
    assert "Test AUC" in process.stdout
    assert f"TensorBoard: tensorboard --logdir {study_dir}" in process.stdout
    assert (study_dir / "report" / "table.md").read_text() in process.stdout
    assert "Traceback" not in process.stderr


def test_the_recorded_command_holds_no_place(undisturbed):
    study_dir, _ = undisturbed
    command = records.read_json(study_dir / "study.json")["command"]
    assert command.startswith("python -m launch.study --study_dir=DIR")
    assert "--data_dir=DIR" in command
    assert str(study_dir.parent) not in command


def test_status_says_what_is_done(undisturbed, synthetic_data_dir):
    study_dir, _ = undisturbed
    process = running.run(
        "study", *flags_of(study_dir, synthetic_data_dir), "--status"
    )
    lines = [line.split() for line in process.stdout.splitlines()]
    assert lines == [["done", name] for name in RUNS]


def test_evaluate_scores_a_finished_run_as_the_run_did(
    undisturbed, synthetic_data_dir, tmp_path
):
    study_dir, _ = undisturbed
    run = records.RunDirectory(study_dir / "runs" / RUNS[0])
    process = running.run(
        "evaluate",
        f"--run_dir={run.path}",
        f"--data_dir={synthetic_data_dir}",
        f"--output={tmp_path / 'test.npz'}",
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert f"{run.result()['test']['auc']:.3f}" in process.stdout
    expected = records.read_npz(run.predictions_path("test"))
    received = records.read_npz(tmp_path / "test.npz")
    for key, array in expected.items():
        np.testing.assert_array_equal(received[key], array)


def test_similarity_repeats_the_comparison_of_the_study(
    undisturbed, synthetic_data_dir, tmp_path
):
    study_dir, _ = undisturbed
    process = running.run(
        "similarity",
        f"--run_a={study_dir / 'runs' / RUNS[1]}",
        f"--data_dir={synthetic_data_dir}",
        "--num_positions=500",
        "--repeats=1",
        "--num_images=100",
        "--measures=cca,cka",
        f"--output_dir={tmp_path}",
    )
    assert process.returncode == 0, process.stderr[-3000:]
    name = f"{RUNS[1]}-before-after"
    expected = study_dir / "comparisons" / name / "comparison.json"
    received = records.read_json(tmp_path / "comparison.json")
    cka = received.pop("other_measures")["cka"]
    told = records.read_json(expected)
    assert received.pop("request")["measures"] == ["cca", "cka"]
    assert told.pop("request")["measures"] == ["cca"]
    assert told.pop("other_measures") == {}
    assert received == told
    assert [s["stage"] for s in cka] == [s["stage"] for s in told["stages"]]
    for stage in cka:
        assert f"{stage['stage']:8} {stage['score']:.3f}" in process.stdout


def test_runs_of_a_study_are_compared_in_pairs_and_reported(
    undisturbed, synthetic_data_dir, tmp_path
):
    study_dir = tmp_path / "study"
    shutil.copytree(undisturbed[0], study_dir)
    choices = ["--num_positions=500", "--repeats=2", "--num_images=100"]
    process = running.run(
        "similarity",
        f"--study_dir={study_dir}",
        f"--data_dir={synthetic_data_dir}",
        *choices,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert "2 comparisons in" in process.stdout
    output_dir = study_dir / "comparisons" / f"{RUNS[0]}-and-{RUNS[1]}-after"
    comparison = records.read_json(output_dir / "comparison.json")
    # The same pair alone is the same request. Without data it cannot be
    # computed, so it was read.
    process = running.run(
        "similarity",
        f"--run_a={study_dir / 'runs' / RUNS[0]}",
        f"--run_b={study_dir / 'runs' / RUNS[1]}",
        f"--output_dir={output_dir}",
        *choices,
    )
    assert process.returncode == 0, process.stderr[-3000:]
    for stage in comparison["stages"]:
        line = f"{stage['stage']:8} {stage['score']:.3f} ({stage['null']:.3f})"
        assert line in process.stdout
    # A flag of the other form is no silent wish.
    process = running.run(
        "similarity", f"--study_dir={study_dir}", "--step_a=0"
    )
    assert process.returncode == 1
    assert "step_a" in process.stderr and "Traceback" not in process.stderr


def test_the_report_is_remade_from_published_records_alone(
    undisturbed, tmp_path
):
    study_dir, _ = undisturbed
    # A page names runs by their study's directory.
    published = tmp_path / study_dir.name
    process = running.run(
        "report",
        f"--study_dir={study_dir}",
        f"--publish_records={published}",
        f"--output_dir={tmp_path / 'report'}",
        "--html",
    )
    assert process.returncode == 0, process.stderr[-3000:]
    # Event files hold times; `tests/reporting/events_test.py` reads them.
    expected = sorted(
        path
        for path in (study_dir / "report").iterdir()
        if not path.name.startswith("events.")
    )
    assert "report.html" in [path.name for path in expected]
    assert [p.name for p in expected] == sorted(
        p.name for p in (tmp_path / "report").iterdir()
    )
    for path in expected:
        if path.suffix != ".png":
            remade = (tmp_path / "report" / path.name).read_bytes()
            assert remade == path.read_bytes(), path.name
    endings = {p.suffix for p in published.rglob("*") if p.is_file()}
    assert endings == {".json", ".jsonl", ".npz"}
    for path in published.rglob("*.json"):
        assert str(study_dir.parent) not in path.read_text()


def test_a_study_in_which_a_flag_changed_is_refused(
    undisturbed, synthetic_data_dir, tmp_path
):
    study_dir = tmp_path / "study"
    shutil.copytree(undisturbed[0], study_dir)
    process = running.run(
        "study",
        *flags_of(study_dir, synthetic_data_dir),
        "--learning_rate=0.01",
    )
    assert process.returncode == 1
    assert "--learning_rate: was 0.001, is 0.01" in process.stderr
    assert "Traceback" not in process.stderr


def test_unprepared_data_are_an_error_with_the_command(tmp_path):
    process = running.run(
        "study",
        f"--study_dir={tmp_path / 'study'}",
        f"--data_dir={tmp_path}",
        "--dataset_config=circle112",
    )
    assert process.returncode == 1
    expected = (
        "python -m launch.prepare_data "
        f"--dataset=transfusion_eyepacs/circle112 --data_dir={tmp_path}"
    )
    assert expected in process.stderr
    assert "Traceback" not in process.stderr
