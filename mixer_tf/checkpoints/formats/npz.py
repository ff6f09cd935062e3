# SPDX-License-Identifier: Apache-2.0
"""The .npz format of the authors' checkpoints, read and written one array at a time."""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator

import numpy as np

from mixer_tf import storage
from mixer_tf.checkpoints.formats import corrupt_file_error
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, bfloat16_to_float32

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_MAX_DEFLATE_RATIO = 1032  # no deflated data becomes larger
_BFLOAT16 = "V2"  # how numpy saves it


@contextlib.contextmanager
def open_npz(path: str) -> Iterator[LazyArrays]:
    """Opens an .npz file; bfloat16 arrays, which it stores as raw voids, are read as float32.

    Raises:
        ValueError: the file is corrupt or truncated, also if the length of an array differs from
            what its header states; or an array holds Python objects, which would execute code.
    """
    with _clear_errors(path):
        file = np.load(path, allow_pickle=False)
    with file:

        def read(name: str) -> np.ndarray:
            with _clear_errors(path):
                array = file[name]
            return bfloat16_to_float32(array) if array.dtype.kind == "V" else array

        yield LazyArrays({name: _read_shape(file.zip, name, path) for name in file.files}, read)


@contextlib.contextmanager
def _clear_errors(path: str):
    """Turns what numpy and zipfile raise for corrupt files into one error that names the file."""
    try:
        yield
    except Exception as error:
        raise corrupt_file_error(path, error) from error


def _read_shape(archive: zipfile.ZipFile, name: str, path: str) -> Shape:
    member = archive.getinfo(name if name in archive.NameToInfo else f"{name}.npy")
    with _clear_errors(path), archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version in _READ_HEADER:
            shape, _, dtype = _READ_HEADER[version](file)
            header_bytes = file.tell()
    if version not in _READ_HEADER:
        raise ValueError(
            f"arrays must be in .npy version 1.0 or 2.0; {name} in {path} is in {version}. "
            "Save it again with numpy.savez."
        )
    if dtype.kind not in "biuf" and dtype.str[1:] != _BFLOAT16:
        raise ValueError(
            f"{path}: every array must hold numbers; {name} is of type {dtype}. "
            "Such a file is not a checkpoint, and reading it could execute code."
        )
    _check_length(member, header_bytes + math.prod(shape) * dtype.itemsize, path)
    return shape


def _check_length(member: zipfile.ZipInfo, expected: int, path: str) -> None:
    """Raises ValueError unless a member has the expected length, and the file can hold it."""
    in_file = min(member.compress_size, os.path.getsize(path))
    if member.compress_type != zipfile.ZIP_STORED:
        in_file *= _MAX_DEFLATE_RATIO
    if not expected == member.file_size <= in_file:
        stated = f"the header of {member.filename} is for {expected} bytes"
        raise corrupt_file_error(path, ValueError(f"{stated}; it has {member.file_size}"))


def write_npz(arrays: LazyArrays, path: str) -> None:
    """Writes an .npz file; it appears at `path` only when it is complete."""
    with storage.replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in arrays.shapes:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                array = np.asanyarray(arrays.read(name))
                np.lib.format.write_array(member, array, allow_pickle=False)
