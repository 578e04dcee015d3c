"""Runs of a study in several processes of one machine.

A worker is a process that lives as long as the study: TensorFlow is imported
once in each, and programs and data are kept between its runs. Each is a pool of
one process, because a pool of several ends with its first dead process.
"""

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

import tensorflow as tf

from transfusion_tf import training
from transfusion_tf.studies import runner, status
from transfusion_tf.studies.study import Study

_POLL_SECONDS = 0.1


def run_in_workers(
    study: Study,
    configs: Sequence[training.TrainConfig],
    *,
    num_workers: int,
    progress: training.Progress | None = None,
    stop_request: training.StopRequest | None = None,
) -> None:
    """Trains and compares runs, several at a time.

    A run whose process dies has failed; the others go on.

    Args:
        study: What the runs are of.
        configs: The runs.
        num_workers: Processes; no more are started than there are runs.
        progress: Told of the steps of all workers.
        stop_request: Looked at many times a second; every worker then saves
            and stops.

    Raises:
        training.Interrupted: If asked to stop; everything is saved.
        OSError: If a failure cannot be recorded.
        RuntimeError: If a worker cannot start.
    """
    num_workers = min(num_workers, len(configs))
    # What --cache_gigabytes says is for all workers.
    pending = [
        dataclasses.replace(c, cache_gigabytes=c.cache_gigabytes / num_workers)
        for c in configs
    ]
    workers = [_Worker(study, place) for place in range(num_workers)]
    try:
        while True:
            for worker in workers:
                if stop_request is not None and stop_request.is_set:
                    worker.stop()
                elif pending and not worker.is_busy:
                    worker.begin(_take_next(pending, worker, workers))
            busy = [worker for worker in workers if worker.is_busy]
            if not busy:
                break
            _wait(busy, progress)
    finally:
        for worker in workers:
            worker.leave()
        for worker in workers:
            worker.close()
    told = [worker.told for worker in workers if worker.told]
    if told or pending:
        raise training.Interrupted(
            "\n".join(told)
            or "Stopped between two runs; everything is saved. Repeat the same "
            "command to go on."
        )


def _take_next(
    pending: list[training.TrainConfig],
    worker: "_Worker",
    workers: Sequence["_Worker"],
) -> training.TrainConfig:
    """Takes the first of the runs for which the worker has least to make.

    It goes on with its own program, then with its own data; else it takes a
    program that no other worker has.
    """
    elsewhere = {w.config.model for w in workers if w.config is not None}
    last = worker.config

    def to_be_made(config: training.TrainConfig) -> tuple[bool, bool, bool]:
        return (
            last is None or config.model != last.model,
            last is None or config.fold != last.fold,
            config.model in elsewhere,
        )

    chosen = min(pending, key=to_be_made)
    pending.remove(chosen)
    return chosen


def _wait(
    busy: Sequence["_Worker"], progress: training.Progress | None
) -> None:
    """Waits a moment, or until a run has ended."""
    concurrent.futures.wait(
        [worker.future for worker in busy if worker.future is not None],
        timeout=_POLL_SECONDS,
        return_when=concurrent.futures.FIRST_COMPLETED,
    )
    names = [worker.config.run_name for worker in busy if worker.config]
    told = names[0] if len(names) == 1 else f"{len(names)} runs"
    for worker in busy:
        worker.collect()
        num_steps = worker.num_new_steps()
        if num_steps and progress is not None:
            progress.update(num_steps, told)


class _Worker:
    """The main process' side of a worker.

    Attributes:
        config: The run that it is at, or was at last.
        future: That run's end; None while there is nothing to do.
        told: What its run said when it was stopped, if it was.
    """

    def __init__(self, study: Study, place: int) -> None:
        self.config: training.TrainConfig | None = None
        self.future: concurrent.futures.Future[None] | None = None
        self.told: str | None = None
        self._study = study
        self._place = place
        self._is_stopping = False
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._line, theirs = context.Pipe()
        standard_error = Connection(os.dup(2), readable=False)
        self._pool = concurrent.futures.ProcessPoolExecutor(
            max_workers=1,
            mp_context=context,
            initializer=_start_worker,
            initargs=(theirs, standard_error, self._study, self._place),
        )
        with _signals_kept_back(), _tensorflow_quiet():
            self._pool.submit(os.getpid)  # Starts the process.
        theirs.close()
        standard_error.close()

    @property
    def is_busy(self) -> bool:
        return self.future is not None

    def begin(self, config: training.TrainConfig) -> None:
        try:
            self.future = self._pool.submit(_run, config)
        except BrokenProcessPool:  # It died with its last run, or since.
            self.close()
            self._start()
            self.future = self._pool.submit(_run, config)
        self.config = config

    def collect(self) -> None:
        """Takes what the run has come to, if it has ended."""
        if self.future is None or not self.future.done():
            return
        future, self.future = self.future, None
        try:
            future.result()
        except training.Interrupted as stop:
            self.told = str(stop)
        except BrokenProcessPool:
            if self.config is not None:
                run = self._study.run(self.config)
                status.record_failure(run, _death())

    def num_new_steps(self) -> int:
        """Returns the steps done since this was last asked."""
        count = 0
        with contextlib.suppress(EOFError, OSError):
            while self._line.poll():
                count += self._line.recv()
        return count

    def stop(self) -> None:
        """Asks the run to stop after the step that it is in."""
        if not self._is_stopping:
            self._is_stopping = True
            with contextlib.suppress(OSError):
                self._line.send("stop")

    def leave(self) -> None:
        """Ends the process at once; by itself TensorFlow takes seconds."""
        self._line.close()

    def close(self) -> None:
        self.leave()  # First: the pool waits for it, and it heeds no SIGTERM.
        self._pool.shutdown()


@contextlib.contextmanager
def _signals_kept_back() -> Iterator[None]:
    """Processes started inside never get Ctrl-C and SIGTERM.

    A terminal sends them to all processes; a worker is told by the main one.
    """
    numbers = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _tensorflow_quiet() -> Iterator[None]:
    """Processes started inside do not tear the progress bar apart.

    What TensorFlow says while it is imported heeds no setting: standard error
    leads nowhere until `_start_worker` puts it back. This process has said the
    same already.
    """
    level = "TF_CPP_MIN_LOG_LEVEL"
    is_set_here = level not in os.environ
    os.environ.setdefault(level, "3")
    here = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(here, 2)
        os.close(here)
        os.close(nowhere)
        if is_set_here:
            del os.environ[level]


def _death() -> RuntimeError:
    return RuntimeError(
        "The process of this run died without a word: killed, by the system "
        "where memory runs out, or by hand. Use fewer --workers if memory is "
        "short. The same command goes on from the last checkpoint."
    )


# What follows runs in the worker, which keeps this between its runs: what does
# them, or why it cannot.
_runner: runner.Runner | Exception | None = None


@dataclasses.dataclass
class _Line:
    """Tells the main process of steps."""

    connection: Connection

    def update(self, num_steps: int, description: str) -> None:
        del description
        self.connection.send(num_steps)


def _start_worker(
    connection: Connection,
    standard_error: Connection,
    study: Study,
    place: int,
) -> None:
    """Keeps an error for the first run: the pool would call it a death."""
    global _runner
    os.dup2(standard_error.fileno(), 2)
    standard_error.close()
    try:
        _runner = _make_runner(connection, study, place)
    except Exception as error:
        _runner = error


def _make_runner(
    connection: Connection, study: Study, place: int
) -> runner.Runner:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        tf.config.set_visible_devices(gpus[place], "GPU")
    training.prepare_runtime(study.config.base.num_threads)
    request = training.StopRequest()
    threading.Thread(
        target=_obey, args=(connection, request), daemon=True
    ).start()
    trainer = training.Trainer(progress=_Line(connection), stop_request=request)
    return runner.Runner(study, trainer)


def _obey(connection: Connection, request: training.StopRequest) -> None:
    """Stops when told to; ends the process when the main one is gone."""
    try:
        connection.recv()
        request.set()
        connection.recv()
    except (EOFError, OSError):
        os._exit(1)


def _run(config: training.TrainConfig) -> None:
    if not isinstance(_runner, runner.Runner):
        # As text: not every error of TensorFlow comes through a pipe.
        raise RuntimeError(
            "A worker could not start. Received: "
            f"{type(_runner).__name__}: {_runner}. No run was begun by it; "
            "repeat the command when that is mended."
        )
    _runner.run(config)
