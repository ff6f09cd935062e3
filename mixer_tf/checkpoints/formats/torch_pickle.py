# SPDX-License-Identifier: Apache-2.0
"""Files written by torch.save, read without torch and without executing anything in them.

A pickle is a program. `restricted_pickle` supports dictionaries, torch tensors and torch storages,
and ignores numpy numbers and the argparse Namespace of a training state; any other object is
refused by its name, before that name is looked up. Both containers are supported: the zip archive
of torch 1.6 and later, and the older sequence of pickles, in which many published .pth files are
still stored. Lengths that a file states are compared with its size before anything is allocated.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from mixer_tf.checkpoints.formats.restricted_pickle import (
    MAX_BYTES,
    Ignored,
    RestrictedUnpickler,
)
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, bfloat16_to_float32

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # at the beginning of the older container
_STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<V2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
}
_MAX_KEY = 50  # characters in an error message
_MAX_AXES = 32  # of a numpy array
_WRAPPERS = ("state_dict_ema", "state_dict", "model_ema", "model")  # timm's keys, in its order


class _Storage(NamedTuple):  # tuples, because a pickle cannot modify them after construction
    key: str
    dtype: str
    length: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: Shape
    strides: Shape

    @classmethod
    def rebuild(cls, storage, offset, shape, strides, *unused) -> _Tensor:
        """Replaces torch._utils._rebuild_tensor_v2; gradients and hooks are ignored."""
        if not (
            isinstance(storage, _Storage)
            and type(shape) is type(strides) is tuple
            and len(shape) == len(strides) <= _MAX_AXES
            and all(type(n) is int and 0 <= n < 1 << 63 for n in (offset, *shape, *strides))
        ):
            raise ValueError("a tensor is not a view of a storage")
        if math.prod(shape) > storage.length:
            raise ValueError("a tensor extends beyond its storage")
        return cls(storage, offset, shape, strides)

    def view(self, elements: np.ndarray) -> np.ndarray:
        """Returns this tensor as an array, given all elements of its storage."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and last >= elements.size:
            raise ValueError("a tensor extends beyond its storage")
        strides = [stride * elements.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, strides)
        return bfloat16_to_float32(np.array(view)) if elements.dtype.kind == "V" else view


def _rebuild_parameter(tensor, *unused):
    """Replaces torch._utils._rebuild_parameter: a parameter is read as its tensor."""
    return tensor


_ALLOWED = {
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): dtype for name, dtype in _STORAGE_DTYPES.items()},
    # What stands beside the weights in a training state.
    ("argparse", "Namespace"): Ignored,
    ("numpy", "dtype"): Ignored,
    ("numpy", "ndarray"): Ignored,
    ("numpy.core.multiarray", "scalar"): Ignored,
    ("numpy._core.multiarray", "scalar"): Ignored,
    ("numpy.core.multiarray", "_reconstruct"): Ignored,
    ("numpy._core.multiarray", "_reconstruct"): Ignored,
    ("__builtin__", "set"): Ignored,
    ("builtins", "set"): Ignored,
    ("_codecs", "encode"): Ignored,  # the bytes of a numpy number
}


class _Unpickler(RestrictedUnpickler):
    """Also records the dtype of each storage, which is not stored with its elements."""

    def __init__(self, file: BinaryIO):
        super().__init__(file, _ALLOWED)
        self.dtypes: dict[str, str] = {}

    def persistent_load(self, pid):
        if type(pid) is not tuple or not 5 <= len(pid) <= 6 or pid[0] != "storage":
            raise pickle.UnpicklingError("it refers to an object that is not a storage")
        _, dtype, key, _, length, *view = pid
        are_valid = type(dtype) is type(key) is str and dtype in _STORAGE_DTYPES.values()
        if not are_valid or view not in ([], [None]) or type(length) is not int or length < 0:
            raise pickle.UnpicklingError("it refers to a storage without a dtype, key or length")
        self.dtypes[key] = dtype
        return _Storage(key, dtype, length)


@contextlib.contextmanager
def open_torch(path: str) -> Iterator[LazyArrays]:
    """Opens a state dict saved by torch.save; bfloat16 tensors are read as float32.

    Raises:
        ValueError: the file holds anything but named tensors, or is corrupt.
    """
    with open(path, "rb") as file:
        with _clear_errors(path):
            open_container = _open_zip if zipfile.is_zipfile(file) else _open_sequence
            file.seek(0)
            saved_object, read_storage = open_container(file)
            tensors = _find_state_dict(saved_object)

        def read(name: str) -> np.ndarray:
            with _clear_errors(path):
                tensor = tensors[name]
                return tensor.view(read_storage(tensor.storage))

        yield LazyArrays({name: tensor.shape for name, tensor in tensors.items()}, read)


# The saved object, and a function that reads all elements of a storage.
_Container = tuple[object, Callable[[_Storage], np.ndarray]]


def _open_zip(file: BinaryIO) -> _Container:
    archive = zipfile.ZipFile(file)
    pickle_name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    root = pickle_name.removesuffix("data.pkl")
    byte_order = f"{root}byteorder"
    if byte_order in archive.NameToInfo:
        with archive.open(byte_order) as member:
            if member.read(len(b"little") + 1) != b"little":
                raise ValueError("it was written on a big-endian machine")

    def read(storage: _Storage) -> np.ndarray:
        member = archive.getinfo(f"{root}data/{storage.key}")
        if member.compress_type != zipfile.ZIP_STORED:
            raise ValueError("its storages are compressed, and torch.save does not compress them")
        _check_length(storage, min(member.file_size, _size(file)))
        return np.frombuffer(archive.read(member), storage.dtype, storage.length)

    if archive.getinfo(pickle_name).file_size > MAX_BYTES:
        raise ValueError(f"its data.pkl is larger than {MAX_BYTES} bytes")
    with archive.open(pickle_name) as pickled:
        return _Unpickler(pickled).load(), read


def _open_sequence(file: BinaryIO) -> _Container:
    """Reads a magic number, a version, machine properties, the object, the keys, the storages."""
    magic_number, _, machine = (_Unpickler(file).load() for _ in range(3))
    if magic_number != _MAGIC_NUMBER or not machine["little_endian"]:
        raise ValueError("it was not written by torch.save on a little-endian machine")
    unpickler = _Unpickler(file)
    saved_object = unpickler.load()
    keys = _Unpickler(file).load()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise ValueError("the keys of its storages are not strings")
    positions = {}
    for key in keys:
        (length,) = struct.unpack("<q", file.read(8))
        positions[key] = file.tell(), length
        storage = _Storage(key, unpickler.dtypes[key], length)
        _check_length(storage, _size(file) - file.tell())
        file.seek(length * np.dtype(storage.dtype).itemsize, os.SEEK_CUR)

    def read(storage: _Storage) -> np.ndarray:
        position, length = positions[storage.key]
        itemsize = np.dtype(storage.dtype).itemsize
        _check_length(storage, length * itemsize)
        file.seek(position)
        content = file.read(storage.length * itemsize)
        return np.frombuffer(content, storage.dtype, storage.length)

    return saved_object, read


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def _check_length(storage: _Storage, available: int) -> None:
    """Raises ValueError unless a storage needs at most `available` bytes."""
    needed = storage.length * np.dtype(storage.dtype).itemsize
    if not 0 <= needed <= available:
        raise ValueError(
            f"storage {storage.key[:_MAX_KEY]} must have {needed} bytes; the file has {available}"
        )


def _find_state_dict(saved_object) -> dict[str, _Tensor]:
    """Returns the tensors by name; in a training state, those of the weights only."""
    for wrapper in _WRAPPERS:
        if isinstance(saved_object, dict) and isinstance(saved_object.get(wrapper), dict):
            saved_object = saved_object[wrapper]
            break
    if not isinstance(saved_object, dict) or not all(
        type(name) is str and isinstance(value, _Tensor) for name, value in saved_object.items()
    ):
        raise ValueError("it is not a dictionary of tensors, as returned by model.state_dict()")
    return dict(saved_object)


@contextlib.contextmanager
def _clear_errors(path: str):
    """Turns any exception, for a pickle can raise all of them, into one clear ValueError."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path} must be a state dict saved by torch.save; "
            f"{str(error) or type(error).__name__}. Nothing in the file was executed. "
            "Save model.state_dict() with safetensors.torch.save_file instead."
        ) from error
