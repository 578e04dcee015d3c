import difflib
import itertools
import pathlib
import signal
import subprocess
import sys

import pytest
import tensorflow as tf
from absl import flags

from launch import cli
from tests.launch import running
from transfusion_tf import training

LAUNCHERS = sorted(
    path
    for path in (running.ROOT / "launch").glob("*.py")
    if "cli.run(main)" in path.read_text()
)


def test_the_launchers_are_those_of_the_design():
    assert [path.stem for path in LAUNCHERS] == [
        "evaluate",
        "prepare_data",
        "probe",
        "report",
        "similarity",
        "study",
        "train",
    ]


@pytest.mark.parametrize("path", LAUNCHERS, ids=lambda path: path.stem)
def test_a_launcher_is_a_thin_shell(path: pathlib.Path):
    assert len(path.read_text().splitlines()) <= 110


@pytest.mark.parametrize(
    "given",
    [
        ["--study_dir=/home/a", "--workers=2", "--seeds=0,1", "--name=a b"],
        [
            "--study_dir",
            "/home/a",
            "--workers",
            "2",
            "--seeds=0,1",
            "--name=a b",
        ],
        ["-study_dir", "/home/a", "--seeds=0,1", "--workers=2", "--name=a b"],
    ],
)
def test_a_recorded_command_holds_no_place_however_it_was_written(given):
    command = cli.recorded_command(
        "launch.study", given, locations=["study_dir"], left_out=["workers"]
    )
    assert command == (
        "python -m launch.study --study_dir=DIR --seeds=0,1 '--name=a b'"
    )


def test_launchers_do_not_repeat_each_other():
    for first, second in itertools.combinations(LAUNCHERS, 2):
        matcher = difflib.SequenceMatcher(
            None,
            first.read_text().splitlines(),
            second.read_text().splitlines(),
            autojunk=False,
        )
        longest = matcher.find_longest_match()
        assert longest.size <= 12, (first.name, second.name)


WAIT_FOR_A_SIGNAL = """
import signal
from launch import cli
def main(argv):
    print("ready", flush=True)
    while True:
        signal.pause()
cli.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_launcher_told_to_stop_says_so_without_a_traceback(number):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT_FOR_A_SIGNAL],
        cwd=running.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=running.heed_interrupts,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped." in errors and "repeat the same command" in errors
    assert "Traceback" not in errors


def test_an_object_store_that_cannot_be_read_is_one_message():
    process = running.run("evaluate", "--run_dir=s3://bucket/run")
    assert process.returncode == 1
    assert "Error: An object store cannot be read" in process.stderr
    assert "Received: File system scheme 's3' not impl" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    "message", ["Incompatible shapes: [3] vs. [4]", "grpc://10.0.0.1 is away"]
)
def test_a_defect_is_no_message_about_object_stores(message):
    error = tf.errors.InvalidArgumentError(None, None, message)
    assert cli._message_of(error) is None


def test_the_flags_of_a_configuration_give_it_back():
    values = flags.FlagValues()
    cli.define_flags(training.TrainConfig, flag_values=values)
    values(
        [
            "program",
            "--keep_checkpoint_steps=1,20",
            "--num_steps=7",
            "--jit_compile",
            "--learning_rate=0.5",
        ]
    )
    config = cli.config_from_flags(
        training.TrainConfig, flag_values=values, seed=3
    )
    assert config == training.TrainConfig(
        keep_checkpoint_steps=(1, 20),
        num_steps=7,
        jit_compile=True,
        learning_rate=0.5,
        seed=3,
    )


def test_a_closed_choice_is_checked_by_the_flag():
    values = flags.FlagValues()
    cli.define_flags(training.TrainConfig, flag_values=values)
    with pytest.raises(flags.IllegalFlagValueError, match="adam"):
        values(["program", "--optimizer=rmsprop"])
