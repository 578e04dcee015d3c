import json
import pathlib
import re
import signal
from collections.abc import Iterator
from unittest import mock

import pytest
from absl import flags

import transfusion_datasets
from launch import prepare_data
from tests.datasets import photographs
from tests.launch import running
from transfusion_datasets.transfusion_synthetic_fundus import generator
from transfusion_tf.raw import errors

SYNTHETIC = "transfusion_synthetic_fundus/n64"


@pytest.fixture(autouse=True)
def _few_patients_and_flags_restored() -> Iterator[None]:
    names = ("dataset", "data_dir", "manual_dir", "check", "on_bad", "max_bad")
    saved = {name: flags.FLAGS[name].value for name in names}
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
    assert re.search(r"^ +train +validation +test$", first, re.MULTILINE)
    assert re.search(r"^images +10 +4 +6$", first, re.MULTILINE)
    assert re.search(r"^patients +5 +2 +3$", first, re.MULTILINE)
    assert (
        "Next: python -m launch.train --task=synthetic_fundus_referable "
        f"--dataset_config=n64 --image_size=64 --data_dir={tmp_path}"
    ) in first
    assert "already" not in first

    run(*arguments)
    second = capsys.readouterr().out
    assert "is already prepared" in second
    report = first[first.index("transfusion_synthetic_fundus/n64/") :]
    assert report in second


def test_told_to_stop_it_leaves_nothing_that_looks_prepared(
    tmp_path: pathlib.Path,
) -> None:
    flags_of = (f"--dataset={SYNTHETIC}", f"--data_dir={tmp_path / 'data'}")
    process = running.start("prepare_data", *flags_of)
    # tfds writes into a directory of another name first.
    running.wait_for(process, lambda: any(tmp_path.glob("data/*/n64/*")))
    process.send_signal(signal.SIGINT)
    output = running.finish(process)
    assert process.returncode == 130, output[-3000:]
    # But a worker that was just being started says that its parent is gone.
    traced = re.findall(r'Traceback.*\n\s*File "(.*)"', output)
    assert all("popen_loky" in path for path in traced), output[-3000:]
    assert not transfusion_datasets.is_prepared(
        SYNTHETIC, data_dir=str(tmp_path / "data")
    )


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
    assert re.search(r"^images +34 +8 +8$", out, re.MULTILINE)


def test_a_wrong_name_is_an_error_a_user_can_mend(
    tmp_path: pathlib.Path,
) -> None:
    # launch.cli prints a ValueError as a message and exits with 1.
    assert issubclass(errors.DatasetNameError, ValueError)
    with pytest.raises(errors.DatasetNameError, match="--dataset=NAME"):
        run("--dataset=nothing", f"--data_dir={tmp_path}")


def test_what_must_be_given_is_asked_for() -> None:
    with pytest.raises(flags.IllegalFlagValueError, match="--dataset"):
        run("--data_dir=y")
    with pytest.raises(ValueError, match="no --data_dir"):
        run("--dataset=transfusion_synthetic_fundus")


def damaged(root: pathlib.Path) -> pathlib.Path:
    """Photographs of which two are unusable."""
    photographs.write(root, patients=range(25))
    (root / "train" / "11_right.jpeg").write_bytes(b"")
    (root / "train" / "7_left.jpeg").write_bytes(b"no image")
    return root


def test_a_check_lists_all_that_is_wrong_and_writes_nothing(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = damaged(tmp_path / "raw")
    before = sorted(tmp_path.rglob("*"))
    arguments = [f"--manual_dir={raw}", "--check"]
    with pytest.raises(SystemExit, match="2 problems with 2 examples"):
        run("--dataset=transfusion_eyepacs/circle48", *arguments)
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 2
    assert "11_right.jpeg" in out
    assert "7_left.jpeg" in out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_check_of_sound_files_says_so(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photographs.write(tmp_path, patients=range(25))
    run(
        "--dataset=transfusion_eyepacs/circle48",
        f"--manual_dir={tmp_path}",
        "--check",
    )
    assert "Nothing is wrong" in capsys.readouterr().out


def test_what_is_skipped_is_counted_and_listed(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = damaged(tmp_path / "raw")
    data_dir = tmp_path / "data"
    arguments = [
        "--dataset=transfusion_eyepacs/circle48",
        f"--manual_dir={raw}",
        f"--data_dir={data_dir}",
        "--on_bad=skip",
    ]
    with pytest.raises(errors.TooManyBadError, match="2 with --max_bad=1"):
        run(*arguments, "--max_bad=1")
    assert not list(data_dir.rglob("*.tfrecord*"))
    run(*arguments, "--max_bad=2")
    out = capsys.readouterr().out
    assert "Rejected: 2, listed in rejected.jsonl." in out
    listed = [
        json.loads(line)
        for path in data_dir.rglob("rejected.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {(row["name"], row["error"]) for row in listed} == {
        (str(raw / "train" / "11_right.jpeg"), "BadImageError"),
        (str(raw / "train" / "7_left.jpeg"), "BadImageError"),
    }
    images = re.search(r"^images +(\d+) +(\d+) +(\d+)$", out, re.MULTILINE)
    assert images is not None
    assert sum(map(int, images.groups())) == 48


@pytest.mark.parametrize(
    "arguments",
    [["--on_bad=skip"], ["--max_bad=3"], ["--on_bad=skip", "--max_bad=0"]],
)
def test_skipping_needs_a_cap(arguments: list[str]) -> None:
    with pytest.raises(ValueError, match="--on_bad=skip --max_bad=N"):
        run(f"--dataset={SYNTHETIC}", "--data_dir=y", *arguments)
