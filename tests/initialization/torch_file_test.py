"""The reader of PyTorch files, against files made here byte by byte."""

import collections
import io
import os
import pickle

import numpy as np
import pytest

from transfusion_tf.initialization import torch_file

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class _Named:
    """Pickles as the global `module.name`, which need not exist."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class _Storage:
    def __init__(self, key, size, kind="FloatStorage"):
        self.pid = (
            "storage",
            _Named("torch", kind),
            key,
            "cpu",
            size,
            None,
        )


class _Tensor:
    def __init__(self, storage, offset, shape, strides):
        self.arguments = (
            storage,
            offset,
            shape,
            strides,
            False,
            collections.OrderedDict(),
        )


class _Pickler(pickle._Pickler):
    """Writes what torch.save writes; pickles in Python can be told how."""

    dispatch = pickle._Pickler.dispatch.copy()

    def persistent_id(self, value):
        return value.pid if isinstance(value, _Storage) else None

    def _save_named(self, value):
        line = f"c{value.module}\n{value.name}\n"
        self.write(line.encode())

    def _save_tensor(self, value):
        self._save_named(_Named("torch._utils", "_rebuild_tensor_v2"))
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch[_Named] = _save_named
    dispatch[_Tensor] = _save_tensor


def _pickled(value):
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def _file(entries, storages, magic=MAGIC):
    parts = [
        _pickled(magic),
        _pickled(VERSION),
        _pickled({"little_endian": True}),
        _pickled(collections.OrderedDict(entries)),
        _pickled(list(storages)),
    ]
    for array in storages.values():
        parts += [len(array).to_bytes(8, "little"), array.tobytes()]
    return b"".join(parts)


def _numbers(count=24):
    return np.arange(count, dtype="<f4")


def test_a_contiguous_tensor_is_its_storage():
    storage = _Storage("1", 24)
    content = _file(
        {"a": _Tensor(storage, 0, (4, 6), (6, 1))}, {"1": _numbers()}
    )
    tensors = torch_file.read_state_dict(content)
    np.testing.assert_array_equal(tensors["a"], _numbers().reshape(4, 6))


def test_offset_and_strides_are_honoured():
    # Columns of a [3, 6] part that begins at number 6, as NumPy has them.
    storage = _Storage("1", 24)
    content = _file(
        {
            "transposed": _Tensor(storage, 6, (6, 3), (1, 6)),
            "row": _Tensor(storage, 18, (6,), (1,)),
            "scalar": _Tensor(storage, 23, (), ()),
        },
        {"1": _numbers()},
    )
    tensors = torch_file.read_state_dict(content)
    part = _numbers().reshape(4, 6)
    np.testing.assert_array_equal(tensors["transposed"], part[1:].T)
    np.testing.assert_array_equal(tensors["row"], part[3])
    assert tensors["scalar"] == 23
    assert tensors["transposed"].flags.c_contiguous


def test_storages_may_come_in_any_order_and_kind():
    entries = {
        "f": _Tensor(_Storage("1", 2), 0, (2,), (1,)),
        "n": _Tensor(_Storage("2", 1, "LongStorage"), 0, (), ()),
    }
    storages = {"2": np.array([7], "<i8"), "1": _numbers(2)}
    tensors = torch_file.read_state_dict(_file(entries, storages))
    assert list(tensors) == ["f", "n"]
    assert tensors["n"] == 7 and tensors["n"].dtype == np.int64
    np.testing.assert_array_equal(tensors["f"], [0, 1])


class _Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("place", ["value", "header"])
def test_a_malicious_pickle_runs_nothing(tmp_path, place):
    target = tmp_path / "made_by_pickle"
    attack = _Malicious(str(target))
    if place == "value":
        content = _file({"a": attack}, {})
    else:
        content = pickle.dumps(attack, protocol=2)
    with pytest.raises(ValueError, match=r"posix\.mkdir|nt\.mkdir"):
        torch_file.read_state_dict(content)
    assert not target.exists()
    pickle.loads(pickle.dumps(attack))  # The attack is a real one.
    assert target.exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_parameter"),
        ("collections", "Counter"),
        ("collections.OrderedDict", "fromkeys"),
    ],
)
def test_nothing_but_tensors_may_be_named(module, name):
    content = _file({"a": _Named(module, name)}, {})
    with pytest.raises(ValueError, match=f"names {module}.{name}"):
        torch_file.read_state_dict(content)


@pytest.mark.parametrize(
    "view",
    [
        (0, (5, 6), (6, 1)),
        (20, (6,), (1,)),
        (0, (4, 6), (6, 2)),
        (-1, (2,), (1,)),
        (3, (2,), (-1,)),
        (0, (4, 6), (1,)),
    ],
)
def test_a_view_may_not_leave_its_storage(view):
    content = _file({"a": _Tensor(_Storage("1", 24), *view)}, {"1": _numbers()})
    with pytest.raises(ValueError, match=r"a view of shape"):
        torch_file.read_state_dict(content)


def test_a_value_that_is_no_tensor_is_refused():
    with pytest.raises(ValueError, match=r"something else than tensors"):
        torch_file.read_state_dict(_file({"a": 3}, {}))


@pytest.mark.parametrize("length", [0, 5, 60, 200, -1, -40])
def test_a_file_cut_short_is_refused(length):
    tensor = _Tensor(_Storage("1", 24), 0, (4, 6), (6, 1))
    content = _file({"a": tensor}, {"1": _numbers()})
    with pytest.raises(ValueError, match=r"Get the file again"):
        torch_file.read_state_dict(content[:length])


def test_another_format_is_refused():
    with pytest.raises(ValueError, match=r"before 1\.6"):
        torch_file.read_state_dict(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match=r"magic 3"):
        torch_file.read_state_dict(_file({}, {}, magic=3))
