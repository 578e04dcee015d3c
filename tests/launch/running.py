"""Starts launchers as a user does, in a process of their own."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NoReturn

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# More than anything takes on a busy machine; less than pytest's own patience.
PATIENCE_SECONDS = 600


def command(module: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", f"launch.{module}", *flags]


def start(module: str, *flags: str, **variables: str) -> subprocess.Popen:
    """Starts a launcher with environment variables; the caller ends it."""
    return start_command(command(module, *flags), **variables)


def run(module: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a launcher to its end and captures what it says."""
    return run_command(command(module, *flags))


def run_command(words: list[str]) -> subprocess.CompletedProcess:
    process = start_command(words, stderr=subprocess.PIPE)
    output, errors = _communicate(process)
    return subprocess.CompletedProcess(
        words, process.returncode, output, errors
    )


def start_command(
    words: list[str], *, stderr: int = subprocess.STDOUT, **variables: str
) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment() | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts() -> None:
    """A shell's background processes, as tests may be, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(
    process: subprocess.Popen,
    condition: Callable[[], bool],
    *,
    seconds_between: float = 0.02,
) -> bool:
    """Waits until a condition holds; False if the process ended first."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None:
        if condition():
            return True
        if time.monotonic() > deadline:
            _show_where_it_hangs(process)
        wait(process, seconds_between)
    return False


def wait(process: subprocess.Popen, seconds: float) -> None:
    """Waits so long, or until the process ends."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)


def finish(process: subprocess.Popen, seconds: float = PATIENCE_SECONDS) -> str:
    """Waits for the end of what was started, and returns what it said."""
    return _communicate(process, seconds)[0]


def kill(process: subprocess.Popen) -> bool:
    """Kills a process; False if it had ended by itself."""
    process.kill()
    finish(process)
    return process.returncode < 0


def environment() -> dict[str, str]:
    return os.environ | {
        "CUDA_VISIBLE_DEVICES": "-1",
        "PYTHONFAULTHANDLER": "1",
    }


def _communicate(
    process: subprocess.Popen, seconds: float = PATIENCE_SECONDS
) -> tuple[str, str]:
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _show_where_it_hangs(process)


def _show_where_it_hangs(process: subprocess.Popen) -> NoReturn:
    process.send_signal(signal.SIGABRT)  # Python's faulthandler tells.
    try:
        said = "".join(filter(None, process.communicate(timeout=10)))
    except subprocess.TimeoutExpired as error:
        process.kill()
        said = f"(other processes hold its output open) {error.output}"
    pytest.fail(f"{process.args} did not end, or not go on. It said:\n{said}")
