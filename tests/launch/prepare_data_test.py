import pathlib
import re
from collections.abc import Iterator
from unittest import mock

import pytest
from absl import flags

from launch import prepare_data
from tests.datasets import photographs
from transfusion_datasets import errors
from transfusion_datasets.transfusion_synthetic_fundus import generator


@pytest.fixture(autouse=True)
def _few_patients_and_flags_restored() -> Iterator[None]:
    saved = {n: flags.FLAGS[n].value for n in ("dataset", "data_dir")}
    few = {"train": 5, "validation": 2, "test": 3}
    with mock.patch.dict(generator.NUM_PATIENTS, few):
        yield
    flags.FLAGS.unparse_flags()
    for name, value in saved.items():
        flags.FLAGS[name].value = value


def run(*arguments: str) -> None:
    flags.FLAGS.unparse_flags()
    prepare_data.main(flags.FLAGS(["prepare_data", *arguments]))


def test_it_prepares_reports_and_says_what_to_run_next(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--dataset=transfusion_synthetic_fundus/n64",
        f"--data_dir={tmp_path}",
    )
    run(*arguments)
    first = capsys.readouterr().out
    assert re.search(r"^train +10 +5 ", first, re.MULTILINE)
    assert re.search(r"^validation +4 +2 ", first, re.MULTILINE)
    assert re.search(r"^test +6 +3 ", first, re.MULTILINE)
    assert (
        "Next: python -m launch.train --task=synthetic_fundus_referable "
        f"--dataset_config=n64 --image_size=64 --data_dir={tmp_path}"
    ) in first
    assert "already" not in first

    run(*arguments)
    second = capsys.readouterr().out
    assert "is already prepared" in second
    table = [line for line in first.splitlines() if "%" in line]
    assert table == [line for line in second.splitlines() if "%" in line]


def test_it_prepares_photographs_from_the_directory_given(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs.write(tmp_path / "raw", patients=range(25))
    run(
        "--dataset=transfusion_eyepacs/circle48",
        f"--manual_dir={tmp_path / 'raw'}",
        f"--data_dir={tmp_path / 'data'}",
    )
    out = capsys.readouterr().out
    assert "--task=eyepacs_referable --dataset_config=circle48" in out
    assert re.search(r"^train +34 +17 ", out, re.MULTILINE)


def test_a_wrong_name_is_an_error_a_user_can_mend(
    tmp_path: pathlib.Path,
) -> None:
    # launch.cli prints a ValueError as a message and exits with 1.
    assert issubclass(errors.DatasetNameError, ValueError)
    with pytest.raises(errors.DatasetNameError, match="--dataset=NAME"):
        run("--dataset=nothing", f"--data_dir={tmp_path}")


@pytest.mark.parametrize("missing", ["dataset", "data_dir"])
def test_what_must_be_given_is_asked_for(missing: str) -> None:
    given = {"dataset": "x", "data_dir": "y"}
    del given[missing]
    with pytest.raises(flags.IllegalFlagValueError, match=f"--{missing}"):
        run(*(f"--{name}={value}" for name, value in given.items()))
