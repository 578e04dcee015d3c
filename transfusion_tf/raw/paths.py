"""Paths that users give, kept inside the directory they belong to."""

import os
import pathlib
import unicodedata
from collections.abc import Sequence

from etils import epath

from transfusion_tf.raw import errors

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def resolve(root: epath.PathLike, text: str, *, where: str) -> epath.Path:
    """Finds a file that a label file names.

    Args:
        root: The directory that names are relative to.
        text: The name; spaces and any letters are fine. Where letters with
            marks are spelled otherwise on disk (Unicode NFC and NFD), that
            spelling is found.
        where: Where the name stands, for errors: file and line.

    Returns:
        The path. It need not exist.

    Raises:
        errors.PathError: If the name is empty, absolute, or leads out of the
            directory, be it through a symbolic link.
    """
    relative = pathlib.PurePosixPath(text)
    if not text or relative.is_absolute() or ".." in relative.parts:
        raise _outside(root, text, where)
    path = epath.Path(root) / text
    for form in ("NFC", "NFD"):
        if path.exists():
            break
        path = epath.Path(root) / unicodedata.normalize(form, text)
    # Object stores know no links, and their paths cannot be resolved.
    if "://" not in os.fspath(root):
        real_root = os.path.realpath(root)
        real = os.path.realpath(path)
        if os.path.commonpath([real_root, real]) != real_root:
            raise _outside(root, text, where)
    return path


def _outside(root: epath.PathLike, text: str, where: str) -> errors.PathError:
    return errors.PathError(
        "A file name leads out of its directory. Received: "
        f"{text!r} in {where}. Expected a name below {os.fspath(root)!r}, "
        "without '..' and without links that leave it. Move the file there, "
        "or give the directory that holds it."
    )


def list_directory(folder: epath.PathLike) -> list[epath.Path]:
    """Lists a directory in order, hidden files left out.

    Args:
        folder: The directory.

    Raises:
        errors.ManualDirError: If it is missing or may not be read.
    """
    try:
        return sorted(
            path
            for path in epath.Path(folder).iterdir()
            if not path.name.startswith(".")
        )
    except OSError as error:
        raise errors.ManualDirError(
            f"A directory cannot be read: {error.strerror}. Received: "
            f"{os.fspath(folder)!r}. Mend its name or its permissions "
            "(chmod u+rx)."
        ) from error


def list_images(
    folder: epath.PathLike, suffixes: Sequence[str] = IMAGE_SUFFIXES
) -> dict[str, epath.Path]:
    """Finds the image files of a folder by their names without suffix.

    Args:
        folder: The directory; what lies in folders below it is not listed.
        suffixes: Suffixes of image files, in lower case; other files are no
            images.

    Returns:
        Name without suffix to path, in order.

    Raises:
        errors.ManualDirError: If the directory cannot be read.
        errors.DuplicateError: If two files differ in the suffix alone.
    """
    found: dict[str, epath.Path] = {}
    for path in list_directory(folder):
        if path.suffix.lower() not in suffixes:
            continue
        if path.stem in found:
            raise errors.DuplicateError(
                "Two files have the same name but for the suffix. Received: "
                f"{str(found[path.stem])!r} and {str(path)!r}. Remove one."
            )
        found[path.stem] = path
    return found
