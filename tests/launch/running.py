"""Starts launchers as a user does, in a process of their own."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

ROOT = pathlib.Path(__file__).parents[2]


def command(module: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", f"launch.{module}", *flags]


def start(module: str, *flags: str, **variables: str) -> subprocess.Popen:
    """Starts a launcher with environment variables; the caller ends it."""
    return start_command(command(module, *flags), **variables)


def run(module: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a launcher to its end and captures what it says."""
    return subprocess.run(
        command(module, *flags),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )


def start_command(words: list[str], **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
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
    while process.poll() is None:
        if condition():
            return True
        wait(process, seconds_between)
    return False


def wait(process: subprocess.Popen, seconds: float) -> None:
    """Waits so long, or until the process ends."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=seconds)


def kill(process: subprocess.Popen) -> bool:
    """Kills a process; False if it had ended by itself."""
    process.kill()
    process.communicate()
    return process.returncode < 0


def environment() -> dict[str, str]:
    return os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
