import errno
import fcntl
import os
import subprocess
import sys

import pytest

from transfusion_tf import records

HOLD_LOCK = """
import sys
from transfusion_tf import records
with records.RunDirectory(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path):
    run = records.RunDirectory(tmp_path / "run")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(
            records.InUseError, match=f"process {holder.pid} on"
        ):
            with run.lock():
                pass
        assert run.holder().startswith(f"process {holder.pid} on ")
    finally:
        holder.kill()
        holder.communicate()
    assert run.holder() is None
    (run.path / "checkpoints").mkdir()
    for name in (".partial.1.result.json", "checkpoints/.partial.1.w.h5"):
        (run.path / name).write_text("half")
    with run.lock():  # The lock of the killed process does not stay.
        # Nor does what it was writing.
        left = {p.name for p in (tmp_path / "run").rglob("*")}
        assert left == {"lock", "checkpoints"}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_told_and_used(
    tmp_path, monkeypatch, number
):
    def refuse(handle, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    run = records.RunDirectory(tmp_path)
    (tmp_path / ".partial.1.result.json").write_text("another process's")
    with pytest.warns(UserWarning, match="cannot be locked.*no other process"):
        with run.lock():
            assert list(tmp_path.glob(".partial.*"))
            assert run.holder() is None


def test_another_error_of_the_lock_is_not_hidden(tmp_path, monkeypatch):
    def fail(handle, operation):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="Input/output error"):
        with records.RunDirectory(tmp_path).lock():
            pass


def test_a_directory_that_cannot_be_written_is_refused():
    with pytest.raises(OSError, match="Cannot write into '/proc/nowhere'"):
        with records.RunDirectory("/proc/nowhere").lock():
            pass


def test_an_unfinished_run_has_no_result(tmp_path):
    run = records.RunDirectory(tmp_path)
    assert not run.is_finished
    assert run.metrics() == []
    with pytest.raises(FileNotFoundError, match="holds no result.json"):
        run.result()


def test_another_schema_is_refused(tmp_path):
    run = records.RunDirectory(tmp_path)
    records.write_json(run.config_path, {"schema_version": 99})
    with pytest.raises(ValueError, match="Received: schema_version=99"):
        run.config()
