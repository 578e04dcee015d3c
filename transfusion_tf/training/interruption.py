"""Being told to stop: finish the step, save, say how to go on."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interrupted(RuntimeError):
    """A run was told to stop; it saved, and the same command goes on.

    Attributes:
        exit_code: What a program ends with, as shells do after Ctrl-C.
    """

    exit_code = 130


class StopRequest:
    """Whether the run was asked to stop."""

    def __init__(self) -> None:
        """Starts without a request."""
        self.is_set = False

    def set(self) -> None:
        """Asks the run to stop after the step that it is in."""
        self.is_set = True


@contextlib.contextmanager
def stop_on_signals(request: StopRequest) -> Iterator[None]:
    """Turns SIGTERM and Ctrl-C into a request to stop while inside.

    A second Ctrl-C is not caught, so that a user can leave at once.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        request.set()
        signal.signal(number, previous[signal.Signals(number)])

    previous = {
        number: signal.signal(number, handle)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
