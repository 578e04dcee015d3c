"""SHA-256 of files, written beside them last: whole, and as they were.

The format is that of the program `sha256sum`: `sha256sum --check NAME.sha256`
in the directory finds damage as `find_damage` does.
"""

import hashlib
import os
from collections.abc import Sequence

from etils import epath

from transfusion_tf.records import files as files_lib

_CHUNK_BYTES = 1 << 20


def checksums_path(path: epath.PathLike) -> epath.Path:
    """Returns where the checksum of a single file stands.

    Example:
    >>> checksums_path("run/weights_0.weights.h5").name
    'weights_0.weights.h5.sha256'
    """
    path = epath.Path(path)
    return path.with_name(path.name + ".sha256")


def write_checksums(path: epath.PathLike, files: Sequence[epath.Path]) -> None:
    """Writes the checksums of files; first the files reach the disk itself.

    Args:
        path: Where to, in the directory of the files. Its presence says that
            they were written to their end.
        files: The files.

    Raises:
        OSError: If a file cannot be read or the checksums not be written.

    Example:
    >>> import tempfile
    >>> directory = epath.Path(tempfile.mkdtemp())
    >>> (directory / "a.bin").write_text("abc")
    3
    >>> write_checksums(directory / "a.sha256", [directory / "a.bin"])
    >>> find_damage(directory / "a.sha256")
    ''
    >>> (directory / "a.bin").write_text("abd")
    3
    >>> find_damage(directory / "a.sha256")
    'a.bin is not what was written'
    """
    lines = [f"{_sha256(file)}  {file.name}\n" for file in files]
    files_lib.write_text(path, "".join(lines))


def find_damage(path: epath.PathLike) -> str:
    """Says what is wrong with files whose checksums were written.

    Args:
        path: Where their checksums stand.

    Returns:
        For example "step-6.index is missing"; empty if nothing is wrong.
    """
    path = epath.Path(path)
    lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    if not lines:
        return f"{path.name} is empty"
    for line in lines:
        expected, _, name = line.partition("  ")
        file = path.parent / name
        if not name or "/" in name:
            return f"{path.name} holds no checksums"
        if not file.exists():
            return f"{name} is missing"
        if _sha256(file) != expected:
            return f"{name} is not what was written"
    return ""


def check_undamaged(file: epath.PathLike) -> None:
    """Checks a file against its checksum, if it has one.

    Raises:
        ValueError: If it is not what was written.
    """
    checksums = checksums_path(file)
    damage = find_damage(checksums) if checksums.exists() else ""
    if damage:
        raise ValueError(
            f"{os.fspath(file)!r} is damaged. Received: {damage}, by "
            f"{checksums.name}. Restore the file from a copy, or delete its "
            "run's directory and train the run again."
        )


def _sha256(file: epath.Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        if hasattr(handle, "fileno"):
            os.fsync(handle.fileno())
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
