# SPDX-License-Identifier: Apache-2.0
"""Files of torch.save, read without torch and without running anything that they hold.

A pickle is a program. The one unpickler here knows dictionaries, torch's tensors and its storages;
whatever else a file names, it refuses before it is looked up. Both containers are read: the zip of
torch 1.6 and later, and the older sequence of pickles that many published .pth files still are.
"""

from __future__ import annotations

import collections
import contextlib
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, widen_bfloat16

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C  # opens the older container
_STORAGES = {
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
_WRAPPERS = ("state_dict_ema", "state_dict", "model_ema", "model")  # timm, in its order


class _Storage(NamedTuple):  # tuples, which a pickle cannot alter once they are made
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
        """Stands in for torch._utils._rebuild_tensor_v2; gradients and hooks are left out."""
        are_whole = all(type(n) is int and n >= 0 for n in (offset, *shape, *strides))
        if not (isinstance(storage, _Storage) and are_whole and len(shape) == len(strides)):
            raise ValueError("a tensor is not a view of a storage")
        return cls(storage, offset, tuple(shape), tuple(strides))

    def view(self, numbers: np.ndarray) -> np.ndarray:
        """Returns this tensor as an array, from all the numbers of its storage."""
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if 0 not in self.shape and last >= numbers.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = [stride * numbers.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        return widen_bfloat16(np.array(view)) if numbers.dtype.kind == "V" else view


def _first(tensor, *unused):
    """Stands in for torch._utils._rebuild_parameter: a parameter is its tensor."""
    return tensor


_KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
    ("torch._utils", "_rebuild_parameter"): _first,
    **{("torch", name): dtype for name, dtype in _STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return _KNOWN[module, name]

    def persistent_load(self, pid):
        kind, dtype, key, _, length, *view = pid
        if kind != "storage" or dtype not in _STORAGES.values() or view not in ([], [None]):
            raise pickle.UnpicklingError(f"it refers to {kind!r}, which is no storage of numbers")
        return _Storage(str(key), dtype, int(length))


@contextlib.contextmanager
def open_torch(path: str) -> Iterator[LazyArrays]:
    """Opens a state dict that torch.save has written; bfloat16 tensors are read as float32.

    Raises:
        ValueError: the file holds anything but tensors by name, or is damaged.
    """
    with open(path, "rb") as file:
        with _clear_errors(path):
            open_container = _open_zip if zipfile.is_zipfile(file) else _open_sequence
            file.seek(0)
            found, read_storage = open_container(file)
            tensors = _state_dict(found)

        def read(name: str) -> np.ndarray:
            with _clear_errors(path):
                tensor = tensors[name]
                return tensor.view(read_storage(tensor.storage))

        yield LazyArrays({name: tensor.shape for name, tensor in tensors.items()}, read)


Opened = tuple[object, Callable[[_Storage], np.ndarray]]


def _open_zip(file: BinaryIO) -> Opened:
    archive = zipfile.ZipFile(file)
    index = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
    root = index.removesuffix("data.pkl")
    order = f"{root}byteorder"
    if order in archive.NameToInfo and archive.read(order) != b"little":
        raise ValueError("it was written on a big-endian machine")

    def read(storage: _Storage) -> np.ndarray:
        content = archive.read(f"{root}data/{storage.key}")
        return np.frombuffer(content, storage.dtype, storage.length)

    with archive.open(index) as pickled:
        return _Unpickler(pickled).load(), read


def _open_sequence(file: BinaryIO) -> Opened:
    """Magic number, version, facts on the machine, the object, the keys of its storages, these."""
    magic_number, _, machine = (_Unpickler(file).load() for _ in range(3))
    if magic_number != _MAGIC_NUMBER or not machine["little_endian"]:
        raise ValueError("it was not written by torch.save on a little-endian machine")
    unpickler = _StorageCollector(file)
    found = unpickler.load()
    positions = {}
    for key in _Unpickler(file).load():
        (length,) = struct.unpack("<q", file.read(8))
        positions[key] = file.tell()
        file.seek(length * np.dtype(unpickler.dtypes[key]).itemsize, 1)

    def read(storage: _Storage) -> np.ndarray:
        file.seek(positions[storage.key])
        content = file.read(storage.length * np.dtype(storage.dtype).itemsize)
        return np.frombuffer(content, storage.dtype, storage.length)

    return found, read


class _StorageCollector(_Unpickler):
    """Remembers the type of each storage, which the numbers that follow do not tell."""

    def __init__(self, file):
        super().__init__(file)
        self.dtypes: dict[str, str] = {}

    def persistent_load(self, pid):
        storage = super().persistent_load(pid)
        self.dtypes[storage.key] = storage.dtype
        return storage


def _state_dict(found) -> dict[str, _Tensor]:
    """Returns the tensors by name, of the weights alone where other things lie beside them."""
    for wrapper in _WRAPPERS:
        if isinstance(found, dict) and isinstance(found.get(wrapper), dict):
            found = found[wrapper]
            break
    if not isinstance(found, dict) or not all(isinstance(v, _Tensor) for v in found.values()):
        raise ValueError("it is not a dictionary of tensors, as model.state_dict() gives it")
    return dict(found)


@contextlib.contextmanager
def _clear_errors(path: str):
    """A pickle that is no state dict can fail in any way; all end in one sentence."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path} must be a state dict of torch.save; {str(error) or type(error).__name__}. "
            "Nothing of the file was run. Save model.state_dict() with safetensors.torch.save_file "
            "instead."
        ) from error
