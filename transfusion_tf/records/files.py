"""Reads and writes JSON, JSON lines, NPZ and text; every write is atomic."""

import contextlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from etils import epath

PARTIAL_PATTERN = ".partial.*"


def in_object_store(path: epath.PathLike) -> bool:
    """Tells whether a path is an object store's, such as `gs://bucket/run`.

    Example:
    >>> in_object_store("gs://bucket/run"), in_object_store("/tmp/run")
    (True, False)
    """
    return "://" in os.fspath(path)


@contextlib.contextmanager
def replaced_whole(path: epath.PathLike) -> Iterator[epath.Path]:
    """Gives a name to write to that takes the final one when all is written.

    Args:
        path: The final name; missing parent directories are made.

    Yields:
        Another name in the same directory, with the same ending.

    Raises:
        OSError: If writing failed, for example on a full disk. Nothing is
            left under `path` that was not there before.
    """
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial.{os.getpid()}.{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OSError(
            f"Could not write {os.fspath(path)!r}; nothing was changed. "
            f"Received: {error}. Make space or choose another directory, then "
            "repeat the command."
        ) from error


def write_bytes(path: epath.PathLike, content: bytes) -> None:
    """Writes a file so that its final name never shows half of it.

    Args:
        path: Where to; missing parent directories are made.
        content: The whole content.

    Raises:
        OSError: If the file cannot be written, for example on a full disk.
            Nothing is left under `path` that was not there before.

    Example:
    >>> import tempfile
    >>> path = epath.Path(tempfile.mkdtemp()) / "a" / "b.bin"
    >>> write_bytes(path, b"abc")
    >>> path.read_bytes()
    b'abc'
    """
    with replaced_whole(path) as partial, partial.open("wb") as handle:
        handle.write(content)
        handle.flush()
        if hasattr(handle, "fileno"):
            os.fsync(handle.fileno())


def write_text(path: epath.PathLike, content: str) -> None:
    """Writes UTF-8 text atomically; see `write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: epath.PathLike, content: Any) -> None:
    """Writes indented JSON atomically; NaN and infinities are refused.

    Raises:
        ValueError: If a number is not finite (JSON has no word for it).
        OSError: See `write_bytes`.
    """
    write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def write_jsonl(path: epath.PathLike, rows: Iterable[Any]) -> None:
    """Writes one JSON object a line, atomically; see `write_json`."""
    lines = [json.dumps(row, allow_nan=False) + "\n" for row in rows]
    write_text(path, "".join(lines))


def write_npz(path: epath.PathLike, **arrays: np.ndarray) -> None:
    """Writes arrays as a compressed NPZ, atomically; see `write_bytes`."""
    buffer = io.BytesIO()
    # NumPy's stubs take every keyword for `allow_pickle`.
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getvalue())


def read_json(path: epath.PathLike) -> Any:
    """Reads JSON.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not JSON; the message names the file.
    """
    path = epath.Path(path)
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not JSON. Received: {error}. Restore "
            "the file, or delete its directory and repeat the command that "
            "wrote it."
        ) from error


def read_jsonl(path: epath.PathLike) -> list[Any]:
    """Reads JSON lines.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line is not JSON; the message names file and line.
    """
    path = epath.Path(path)
    rows = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"Line {number} of {os.fspath(path)!r} is not JSON. "
                f"Received: {line[:80]!r}. Restore the file, or delete its "
                "directory and repeat the command that wrote it."
            ) from error
    return rows


def read_npz(path: epath.PathLike) -> Mapping[str, np.ndarray]:
    """Reads the arrays of an NPZ; pickled objects are refused.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no NPZ or holds pickled objects.
    """
    path = epath.Path(path)
    content = io.BytesIO(path.read_bytes())
    try:
        with np.load(content, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:
        raise ValueError(
            f"{os.fspath(path)!r} is not an NPZ of plain arrays. Received: "
            f"{error}. Restore the file, or delete its directory and repeat "
            "the command that wrote it."
        ) from error
