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
        with pytest.raises(RuntimeError, match=f"process {holder.pid} on"):
            with run.lock():
                pass
    finally:
        holder.kill()
        holder.communicate()
    with run.lock():  # The lock of the killed process does not stay.
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
