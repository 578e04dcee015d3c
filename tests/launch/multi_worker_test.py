"""Several workers: processes of the real launcher on the loopback.

Two workers are one device, and one of them dies; the rest is tried with --full
(make chaos): each case takes several starts of several processes.
"""

import contextlib
import json
import pathlib
import re
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.comparing import assert_close_run, assert_same_run
from tests.launch import running
from transfusion_tf import records

# TensorFlow's coordination service notices a dead process after 10 s.
LONGEST_WAIT_SECONDS = 60


def flags_of(run_dir, class_folders):
    return [
        f"--run_dir={run_dir}",
        "--model=cbr_tiny",
        f"--task=folder:{class_folders}",
        "--image_size=32",
        "--batch_size=8",
        "--num_steps=20",
        "--eval_every_steps=5",
        "--similarity_every_steps=10",
        "--probe_examples=6",
        "--precision=float64",
        "--num_threads=1",
    ]


def cluster_configs(num_workers: int = 2) -> list[str]:
    """TF_CONFIG of each worker."""
    with contextlib.ExitStack() as stack:
        hosts = []
        for _ in range(num_workers):
            opened = stack.enter_context(socket.socket())
            opened.bind(("127.0.0.1", 0))
            hosts.append(f"127.0.0.1:{opened.getsockname()[1]}")
    return [
        json.dumps(
            {
                "cluster": {"worker": hosts},
                "task": {"type": "worker", "index": index},
            }
        )
        for index in range(num_workers)
    ]


def start_workers(
    run_dir, class_folders, *, num_workers=2, flags=(), flags_of_second=()
) -> list[subprocess.Popen]:
    return [
        running.start(
            "train",
            *flags_of(run_dir, class_folders),
            "--strategy=multi_worker",
            *flags,
            *(flags_of_second if index == 1 else ()),
            TF_CONFIG=config,
        )
        for index, config in enumerate(cluster_configs(num_workers))
    ]


def finish(processes, exit_code=0) -> list[str]:
    outputs = []
    try:
        for process in processes:
            outputs.append(running.finish(process))
            assert process.returncode == exit_code, outputs[-1][-3000:]
    finally:
        for process in processes:
            process.kill()
    return outputs


def wait_for_metrics(run_dir: pathlib.Path, process) -> None:
    assert running.wait_for(process, (run_dir / "metrics.jsonl").exists)


@pytest.fixture(scope="module")
def undisturbed(class_folders, tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("two") / "run"
    finish(start_workers(run_dir, class_folders))
    return run_dir


@pytest.fixture(scope="module")
def alone(class_folders, tmp_path_factory):
    """The same run on one device."""
    run_dir = tmp_path_factory.mktemp("one") / "run"
    process = running.run("train", *flags_of(run_dir, class_folders))
    assert process.returncode == 0, process.stderr[-3000:]
    return run_dir


def assert_like_one_device(run_dir, alone, num_workers):
    assert_close_run(run_dir, alone, tolerance=1e-9)
    environment = records.RunDirectory(run_dir).config()["environment"]
    assert environment["num_workers"] == num_workers
    assert environment["num_replicas"] == num_workers


def test_two_workers_are_one_device(undisturbed, alone):
    assert_like_one_device(undisturbed, alone, num_workers=2)


@pytest.mark.full
def test_four_workers_are_one_device(alone, class_folders, tmp_path):
    run_dir = tmp_path / "run"
    finish(start_workers(run_dir, class_folders, num_workers=4))
    assert_like_one_device(run_dir, alone, num_workers=4)


@pytest.mark.parametrize("victim", [1, pytest.param(0, marks=pytest.mark.full)])
def test_when_a_worker_dies_the_other_ends_and_the_command_goes_on(
    undisturbed, class_folders, tmp_path, victim
):
    run_dir = tmp_path / "run"
    processes = start_workers(run_dir, class_folders)
    wait_for_metrics(run_dir, processes[0])
    assert running.kill(processes[victim])
    survivor = processes[1 - victim]
    output = running.finish(survivor, LONGEST_WAIT_SECONDS)
    assert survivor.returncode not in (0, None)
    if victim == 1:
        assert "Error: Another worker of run has stopped." in output
        assert "Traceback" not in output
    finish(start_workers(run_dir, class_folders))
    assert_same_run(run_dir, undisturbed)


@pytest.mark.full
def test_workers_of_unequal_flags_both_say_so(class_folders, tmp_path):
    outputs = finish(
        start_workers(
            tmp_path / "run", class_folders, flags_of_second=["--seed=1"]
        ),
        exit_code=1,
    )
    for seed, output in enumerate(outputs):
        assert f"Received: different --seed={seed} here." in output
        assert "Traceback" not in output
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.full
def test_two_workers_stop_together_and_go_on(
    undisturbed, class_folders, tmp_path
):
    run_dir = tmp_path / "run"
    processes = start_workers(run_dir, class_folders)
    wait_for_metrics(run_dir, processes[0])
    processes[1].terminate()
    told = [
        re.findall("Stopped after step (.*) of 20 of run;", output)
        for output in finish(processes, exit_code=130)
    ]
    # Where validation is scored, or at the tenth step.
    assert told[0] == told[1] and told[0] in (["5"], ["10"])
    finish(start_workers(run_dir, class_folders))
    assert_same_run(run_dir, undisturbed)


@pytest.mark.full
def test_two_workers_evaluate_and_compare_as_one(undisturbed, tmp_path):
    expected = records.read_npz(undisturbed / "predictions_test.npz")
    outputs = finish(
        [
            running.start(
                "evaluate",
                f"--run_dir={undisturbed}",
                "--strategy=multi_worker",
                f"--output={tmp_path / f'worker{index}.npz'}",
                TF_CONFIG=config,
            )
            for index, config in enumerate(cluster_configs())
        ]
    )
    assert all("14 images of 14 patients" in output for output in outputs)
    # The first one writes.
    assert [path.name for path in tmp_path.iterdir()] == ["worker0.npz"]
    found = records.read_npz(tmp_path / "worker0.npz")
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.full
@pytest.mark.parametrize(
    ("module", "flag"), [("evaluate", "run_dir"), ("similarity", "run_a")]
)
def test_when_a_worker_dies_while_it_scores_the_other_says_so(
    undisturbed, module, flag
):
    of_survivor, of_victim = cluster_configs()
    flags = [f"--{flag}={undisturbed}", "--strategy=multi_worker"]
    survivor = running.start(module, *flags, TF_CONFIG=of_survivor)
    victim = running.start_command(
        [sys.executable, "-m", "tests.launch.dying_worker", module, *flags],
        TF_CONFIG=of_victim,
    )
    running.finish(victim, LONGEST_WAIT_SECONDS)
    assert victim.returncode == -signal.SIGKILL
    [output] = finish([survivor], exit_code=1)
    assert "Error: Another worker of run has stopped." in output
    assert "Traceback" not in output
