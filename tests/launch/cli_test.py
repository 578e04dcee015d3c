import difflib
import itertools
import pathlib

import pytest
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
