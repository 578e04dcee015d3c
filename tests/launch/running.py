"""Starts launchers as a user does, in a process of their own."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def command(module: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", f"launch.{module}", *flags]


def run(module: str, *flags: str) -> subprocess.CompletedProcess:
    """Runs a launcher to its end and captures what it says."""
    return subprocess.run(
        command(module, *flags),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )


def start(module: str, *flags: str) -> subprocess.Popen:
    """Starts a launcher; the caller ends it."""
    return subprocess.Popen(
        command(module, *flags),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def environment() -> dict[str, str]:
    return os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
