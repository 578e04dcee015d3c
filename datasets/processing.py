"""Items to examples in worker processes, in order, in bounded memory.

Workers import this module: nothing here imports TensorFlow.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any

import loky
from etils import epath

from transfusion_tf.raw import errors, items

# Starting a worker costs about as much as this many images of 587 pixels.
_WORTH_A_WORKER = 64
_AHEAD = 4  # Items submitted before they are needed, a worker.
_IDLE_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Processed:
    """What becomes of an item.

    Attributes:
        example: Feature name to value; the image as the bytes of a file.
        notes: What was done to it that a user should know, such as
            "enlarged"; counted in the split report.
    """

    example: dict[str, Any]
    notes: tuple[str, ...] = ()


Processor = Callable[[items.Item], Processed]
Outcome = Processed | errors.DataError


def read_source(item: items.Item) -> tuple[bytes, str]:
    """Reads the file of an item.

    Args:
        item: Whose `path` names the file.

    Returns:
        The bytes of the file and their SHA-256 in hexadecimal digits, as the
        feature `source_sha256` holds it.

    Raises:
        errors.BadImageError: If the file cannot be read.
    """
    try:
        data = epath.Path(item.path).read_bytes()
    except OSError as error:
        raise errors.BadImageError(
            f"A file cannot be read: {error.strerror}. Received: "
            f"{item.path!r}. Mend its permissions, or remove it together "
            "with its row in the label file."
        ) from error
    return data, hashlib.sha256(data).hexdigest()


def map_in_order(
    processor: Processor, inputs: Iterable[items.Item], num_workers: int
) -> Iterator[tuple[items.Item, Outcome]]:
    """Processes items, several at once, and keeps their order.

    A few items a worker are in flight, whatever their number.

    Args:
        processor: What makes an example of an item; with workers it must be
            picklable and its module light to import.
        inputs: What to process.
        num_workers: Processes; 0 works in this one.

    Yields:
        Each item with its example, or with the `DataError` that it raised.
    """
    if not num_workers:
        for item in inputs:
            yield item, _outcome(processor, item)
        return
    with _interrupts_kept_back():
        # Started with the first worker, it would unblock the signals.
        resource_tracker.ensure_running()
        pool = loky.get_reusable_executor(num_workers, timeout=_IDLE_SECONDS)
    ahead: collections.deque[
        tuple[items.Item, concurrent.futures.Future[Outcome]]
    ] = collections.deque()
    with contextlib.ExitStack() as stack:
        stack.callback(_cancel, ahead)
        for item in inputs:
            with _interrupts_kept_back():  # It may start a worker.
                future = pool.submit(_outcome, processor, item)
            ahead.append((item, future))
            if len(ahead) > _AHEAD * num_workers:
                first, future = ahead.popleft()
                yield first, future.result()
        while ahead:
            first, future = ahead.popleft()
            yield first, future.result()


def num_workers_for(num_items: int) -> int:
    """Returns how many processes are worth starting.

    Example:
    >>> num_workers_for(10)
    0
    """
    if num_items < _WORTH_A_WORKER:
        return 0
    return int(min(loky.cpu_count(), num_items // _WORTH_A_WORKER + 1))


@contextlib.contextmanager
def _interrupts_kept_back() -> Iterator[None]:
    """Lets Ctrl-C and SIGTERM wait until the end of what is done inside.

    Interrupted while it starts its workers, loky waits for them at the
    program's end for ever (loky 3.7). Workers started inside never get either:
    a terminal sends Ctrl-C to all processes, and theirs is told by this one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # No other thread is ever interrupted.
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in numbers
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in came:
            signal.raise_signal(number)


def _outcome(processor: Processor, item: items.Item) -> Outcome:
    try:
        return processor(item)
    except errors.DataError as error:
        return error


def _cancel(
    ahead: Iterable[tuple[items.Item, concurrent.futures.Future[Outcome]]],
) -> None:
    for _, future in ahead:
        future.cancel()
