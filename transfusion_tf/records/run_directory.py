"""What a run leaves behind, and the lock that keeps a second process out."""

import contextlib
import errno
import fcntl
import os
import socket
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import IO, Any

from etils import epath

from transfusion_tf.records import files

SCHEMA_VERSION = 1
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
# `RunDirectory.holder` has the lock while it looks whether it is held.
_LOOK_SECONDS = 0.1


class InUseError(RuntimeError):
    """Another process is writing the run directory."""


class RunDirectory:
    """The files of one run.

    | file | what |
    |---|---|
    | `config.json` | what was asked, versions, split hashes |
    | `initialization.json` | what each variable got |
    | `metrics.jsonl` | one object per logged step |
    | `predictions_<split>.npz` | example id, patient, label, score |
    | `filters.npz` | the first convolution's kernels at step 0 and the last |
    | `checkpoints/weights_<step>.weights.h5` | step 0, those asked for, last |
    | `checkpoints/weights_<step>.weights.h5.sha256` | its checksum |
    | `checkpoints/resume/` | what an interrupted run goes on from |
    | `result.json` | the end; its presence marks the run as finished |
    | `failure.json` | the error that stopped it, until it is taken up again |
    | `job.json` | the cluster's job that was asked to train it |

    Attributes:
        path: The directory.
    """

    def __init__(self, path: epath.PathLike):
        """Names the directory; nothing is made or read yet."""
        self.path = epath.Path(path)

    @property
    def config_path(self) -> epath.Path:
        """Where the configuration stands."""
        return self.path / "config.json"

    @property
    def initialization_path(self) -> epath.Path:
        """Where the weight records stand."""
        return self.path / "initialization.json"

    @property
    def metrics_path(self) -> epath.Path:
        """Where the metrics stand."""
        return self.path / "metrics.jsonl"

    @property
    def result_path(self) -> epath.Path:
        """Where the result stands once the run is finished."""
        return self.path / "result.json"

    @property
    def failure_path(self) -> epath.Path:
        """Where the error that stopped the run stands."""
        return self.path / "failure.json"

    @property
    def job_path(self) -> epath.Path:
        """Where the job that was asked to train the run stands."""
        return self.path / "job.json"

    @property
    def resume_path(self) -> epath.Path:
        """Where the checkpoints to resume from stand."""
        return self.path / "checkpoints" / "resume"

    def weights_path(self, step: int) -> epath.Path:
        """Where the weights of a step stand, if they were kept."""
        return self.path / "checkpoints" / f"weights_{step}.weights.h5"

    @property
    def filters_path(self) -> epath.Path:
        """Where the first convolution's kernels stand."""
        return self.path / "filters.npz"

    def predictions_path(self, split: str) -> epath.Path:
        """Where the predictions on a split stand."""
        return self.path / f"predictions_{split}.npz"

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return self.result_path.exists()

    def config(self) -> dict[str, Any]:
        """Reads `config.json`."""
        return self._read(self.config_path)

    def result(self) -> dict[str, Any]:
        """Reads `result.json`."""
        return self._read(self.result_path)

    def metrics(self) -> list[dict[str, Any]]:
        """Reads `metrics.jsonl`; empty where nothing was logged yet."""
        if not self.metrics_path.exists():
            return []
        return files.read_jsonl(self.metrics_path)

    def _read(self, path: epath.Path) -> dict[str, Any]:
        if not path.exists():
            raise FileNotFoundError(
                f"{os.fspath(self.path)!r} holds no {path.name}. It is no "
                "run directory, or its run is not finished. Name a finished "
                "run, or finish it by repeating its command."
            )
        content = files.read_json(path)
        _check_schema(path, content)
        return content

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes out of the directory while it is written.

        The operating system frees the lock of a dead process by itself, and
        what it left half written is deleted. An object store has no locks:
        there nothing is locked. On another file system without locks nothing
        is locked either, and a warning says so.

        Raises:
            InUseError: If another process holds the lock.
        """
        check_writable(self.path)
        if not self.has_lock:
            yield
            return
        with open(os.fspath(self.path / "lock"), "a+") as handle:
            if _acquire(handle, self.path):
                for directory in (self.path, self.resume_path.parent):
                    for partial in directory.glob(files.PARTIAL_PATTERN):
                        # One may be another's that writes just now what needs
                        # no lock, a failure; it has its own name by then.
                        partial.unlink(missing_ok=True)
            yield

    @property
    def has_lock(self) -> bool:
        """Whether the directory can be locked: object stores cannot."""
        return not files.in_object_store(self.path)

    def holder(self) -> str | None:
        """Tells which process holds the lock.

        Returns:
            For example "process 12 on host"; None if no process does, or the
            directory has no lock.
        """
        path = self.path / "lock"
        if not self.has_lock or not path.exists():
            return None
        with open(os.fspath(path)) as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _holder_of(handle)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        return None


def check_writable(directory: epath.PathLike) -> None:
    """Makes a directory and checks that files can be written into it.

    Raises:
        OSError: If not; before anything else was done.

    Example:
    >>> check_writable("/proc/nowhere")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    OSError: Cannot write into '/proc/nowhere'...
    """
    directory = epath.Path(directory)
    probe = directory / f".writable.{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.write_text("A full disk takes an empty file.")
    except OSError as error:
        raise OSError(
            f"Cannot write into {os.fspath(directory)!r}. Received: {error}. "
            "Make space, or name a directory that you may write to."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _acquire(handle: IO[str], path: epath.Path) -> bool:
    """Returns whether the directory is locked now."""
    try:
        is_locked = _try_to_lock(handle)
        if not is_locked:
            time.sleep(_LOOK_SECONDS)
            is_locked = _try_to_lock(handle)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(
            f"{os.fspath(path)!r} cannot be locked on this file system. "
            f"Received: {error}. See to it that no other process writes there.",
            stacklevel=2,
        )
        return False
    if not is_locked:
        raise InUseError(
            f"{os.fspath(path)!r} is in use by another process. Received: "
            f"{_holder_of(handle)}. Wait for that process, stop it, or "
            "choose another directory."
        )
    handle.truncate(0)
    handle.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    handle.flush()
    return True


def _try_to_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder_of(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read().strip() or "a lock without a name"


def _check_schema(path: epath.Path, content: Mapping[str, Any]) -> None:
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{os.fspath(path)!r} was written with another schema. Received: "
            f"schema_version={version}. This version of transfusion_tf reads "
            f"{SCHEMA_VERSION}: use the version that wrote it, or run again."
        )
