"""Runs a launcher that kills itself once it has scored a batch of images.

python -m tests.launch.dying_worker evaluate --run_dir=...
"""

import os
import runpy
import signal
import sys

from transfusion_tf import training


def die(program: training.Program, batch_number: int) -> None:
    """Stands for `Program.stop_if_asked`."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    training.Program.stop_if_asked = die  # type: ignore[method-assign]
    runpy.run_module(f"launch.{sys.argv.pop(1)}", run_name="__main__")
