"""Reads a PyTorch state dictionary of the format before zip, without PyTorch.

A pickle is a program. This one may name three things only: an ordered
dictionary, a tensor and a kind of storage. All else is refused, so that a
manipulated file cannot run code.
"""

import collections
import dataclasses
import io
import math
import pickle  # The unpickler below is restricted.
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_STORAGE_DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}


@dataclasses.dataclass(frozen=True)
class _StorageKind:
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class _Storage:
    """A flat run of numbers in the file, which tensors are views of."""

    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True)
class _View:
    """A tensor: a strided view of a storage, counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Entries
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            return _StorageKind(_STORAGE_DTYPES[name])
        raise pickle.UnpicklingError(
            f"it names {module}.{name}, which is no tensor and could run code"
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_kind, key, _, size, *view = pid
        if kind != "storage" or not isinstance(storage_kind, _StorageKind):
            raise pickle.UnpicklingError(f"it refers to a {kind!r}")
        if any(part is not None for part in view):
            raise pickle.UnpicklingError("it holds a view of a storage")
        return _Storage(str(key), storage_kind.dtype, int(size))


class _Entries(collections.OrderedDict[str, _View]):
    """A dictionary that ignores attributes set by the pickle."""

    def __setstate__(self, state: object) -> None:
        del state


class _NoClasses(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name} in its header")


def _rebuild_tensor(
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: object,
) -> _View:
    return _View(storage, offset, tuple(shape), tuple(strides))


def read_state_dict(content: bytes) -> dict[str, np.ndarray]:
    """Reads the tensors of a file that `torch.save` wrote before PyTorch 1.6.

    Args:
        content: The bytes of the file.

    Returns:
        `{name: array}` in the file's order. Arrays are C-contiguous copies:
        where the file stores a tensor with other strides, they are honoured.

    Raises:
        ValueError: The file is damaged, of another format, or names anything
            but tensors.
    """
    stream = io.BytesIO(content)
    try:
        _read_header(stream)
        entries = _Unpickler(stream).load()
        keys = _NoClasses(stream).load()
        views = _checked_views(entries)
        storages = _read_storages(stream, keys, views)
        return {
            name: _tensor(view, storages[view.storage.key])
            for name, view in views.items()
        }
    except _DAMAGE as error:
        raise ValueError(
            "The file is no dictionary of tensors in the PyTorch format "
            f"before 1.6. Received: {error}. Get the file again from where "
            "it was published."
        ) from error


# What the unpickler raises on bytes that are no pickle.
_DAMAGE = (
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    MemoryError,
    OverflowError,
    TypeError,
    ValueError,
)


def _read_header(stream: IO[bytes]) -> None:
    magic = _NoClasses(stream).load()
    version = _NoClasses(stream).load()
    system = _NoClasses(stream).load()
    if magic != _MAGIC_NUMBER or version != _PROTOCOL_VERSION:
        raise pickle.UnpicklingError(f"magic {magic!r}, version {version!r}")
    if not system["little_endian"]:
        raise pickle.UnpicklingError("numbers are stored big end first")


def _checked_views(entries: object) -> Mapping[str, _View]:
    if not isinstance(entries, dict) or not all(
        isinstance(name, str) and isinstance(view, _View)
        for name, view in entries.items()
    ):
        raise pickle.UnpicklingError("it holds something else than tensors")
    return entries


def _read_storages(
    stream: IO[bytes], keys: list[str], views: Mapping[str, _View]
) -> dict[str, np.ndarray]:
    kinds = {view.storage.key: view.storage for view in views.values()}
    storages = {}
    for key in keys:
        storage = kinds[key]
        size = int.from_bytes(stream.read(8), "little")
        data = stream.read(storage.size * storage.dtype.itemsize)
        if size != storage.size:
            raise ValueError(f"storage {key} has {size} numbers")
        storages[key] = np.frombuffer(data, storage.dtype, count=size)
    return storages


def _tensor(view: _View, storage: np.ndarray) -> np.ndarray:
    if len(view.shape) != len(view.strides) or view.offset < 0:
        raise ValueError(f"a view of shape {view.shape} is no view")
    if min((*view.shape, *view.strides), default=0) < 0:
        raise ValueError(f"a view of shape {view.shape} reaches backwards")
    if math.prod(view.shape) == 0:
        return np.zeros(view.shape, view.storage.dtype)
    steps = zip(view.shape, view.strides, strict=True)
    last = view.offset + sum((n - 1) * step for n, step in steps)
    if last >= storage.size:
        raise ValueError(f"a view of shape {view.shape} leaves its storage")
    itemsize = view.storage.dtype.itemsize
    return np.lib.stride_tricks.as_strided(
        storage[view.offset :],
        view.shape,
        tuple(stride * itemsize for stride in view.strides),
    ).copy(order="C")
