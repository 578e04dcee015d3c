import signal
import sys

import pytest

from tests.launch import running
from transfusion_datasets import processing

INTERRUPTED_WHILE_WORKERS_START = """
import signal, sys
import loky.process_executor
from transfusion_datasets import processing

thread = loky.process_executor._ExecutorManagerThread
start = thread.start

def start_and_interrupt(self):
    start(self)
    signal.raise_signal(int(sys.argv[1]))
    print("goes on", flush=True)

thread.start = start_and_interrupt
signal.signal(signal.SIGTERM, signal.default_int_handler)
signal.signal(signal.SIGINT, signal.default_int_handler)
list(processing.map_in_order(str, range(10), 2))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_workers_start_it_ends(number):
    process = running.run_command(
        [
            sys.executable,
            "-c",
            INTERRUPTED_WHILE_WORKERS_START,
            str(int(number)),
        ]
    )
    assert process.stdout == "goes on\n"
    assert process.returncode == -signal.SIGINT  # KeyboardInterrupt.
    assert "KeyboardInterrupt" in process.stderr


def test_workers_leave_interrupts_to_the_main_process():
    numbers = [signal.SIGINT, signal.SIGTERM] * 4
    found = processing.map_in_order(signal.raise_signal, numbers, 2)
    assert list(found) == [(number, None) for number in numbers]
