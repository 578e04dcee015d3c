import json
import signal

import pytest

from tests.comparing import assert_same_run
from tests.launch import running
from transfusion_tf import records


def flags_of(run_dir, class_folders):
    return [
        f"--run_dir={run_dir}",
        "--model=cbr_tiny",
        f"--task=folder:{class_folders}",
        "--image_size=32",
        "--batch_size=8",
        "--num_epochs=8",
        "--eval_every_steps=1",
        "--checkpoint_every_steps=1000",
    ]


def test_a_run_told_to_stop_saves_and_the_same_command_goes_on(
    class_folders, tmp_path
):
    stopped = tmp_path / "stopped"
    process = running.start("train", *flags_of(stopped, class_folders))
    metrics = stopped / "metrics.jsonl"
    running.wait_for(process, metrics.exists)
    process.send_signal(signal.SIGTERM)
    output = running.finish(process)
    assert process.returncode == 130, output[-3000:]
    assert "everything is saved. Repeat the same command" in output
    assert "Traceback" not in output
    assert not records.RunDirectory(stopped).is_finished
    # No checkpoint but the one of the signal: what goes on, goes on from it.
    assert list((stopped / "checkpoints" / "resume").glob("step-*.index"))

    undisturbed = tmp_path / "undisturbed"
    for run_dir in (stopped, undisturbed):
        process = running.run("train", *flags_of(run_dir, class_folders))
        assert process.returncode == 0, process.stderr[-3000:]
    assert_same_run(stopped, undisturbed)
    told, _, printed = process.stdout.partition("\n{")
    assert "a tenth of train, by a hash of the files' names" in told
    assert "test: 14 images of 14 patients\n    dark 7, light 7" in told
    printed = "{" + printed[: printed.index("Records:")]
    assert json.loads(printed) == records.read_json(undisturbed / "result.json")


def test_an_impossible_flag_is_one_message(tmp_path):
    process = running.run("train", f"--run_dir={tmp_path}", "--batch_size=0")
    assert process.returncode == 1
    assert "Error: `batch_size` must be at least 1." in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("tpu", "There is no such TPU. Received: strategy='tpu', tpu='local'"),
        ("mirrored", "There is one device to mirror on."),
        ("multi_worker", "It is not known which machines train together."),
    ],
)
def test_devices_that_are_not_here_are_one_message(tmp_path, strategy, message):
    process = running.run(
        "train", f"--run_dir={tmp_path}", f"--strategy={strategy}"
    )
    assert process.returncode == 1
    assert f"Error: {message}" in process.stderr
    assert "Traceback" not in process.stderr


def test_where_an_error_came_from_is_shown_on_request(tmp_path):
    process = running.run(
        "train", f"--run_dir={tmp_path}", "--batch_size=0", "--verbosity=1"
    )
    assert process.returncode == 1
    assert "Traceback" in process.stderr
    assert "ValueError: `batch_size` must be at least 1." in process.stderr


def test_a_word_that_is_no_flag_is_refused(tmp_path):
    process = running.run("train", f"--run_dir={tmp_path}", "model=cbr_tiny")
    assert process.returncode == 1
    assert "Flags begin with two dashes" in process.stderr
