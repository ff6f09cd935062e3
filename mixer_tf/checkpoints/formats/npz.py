# SPDX-License-Identifier: Apache-2.0
"""The .npz format of the authors' checkpoints, read and written one array at a time."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator

import numpy as np

from mixer_tf import storage
from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, bfloat16_to_float32

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextlib.contextmanager
def open_npz(path: str) -> Iterator[LazyArrays]:
    """Opens an .npz file; bfloat16 arrays, which it stores as raw voids, are read as float32.

    Raises:
        ValueError: an array holds Python objects; reading those would execute code.
    """
    with np.load(path, allow_pickle=False) as file:

        def read(name: str) -> np.ndarray:
            array = file[name]
            return bfloat16_to_float32(array) if array.dtype.kind == "V" else array

        yield LazyArrays({name: _read_shape(file.zip, name, path) for name in file.files}, read)


def _read_shape(archive: zipfile.ZipFile, name: str, path: str) -> Shape:
    member = name if name in archive.NameToInfo else f"{name}.npy"
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _READ_HEADER:
            raise ValueError(
                f"arrays must be in .npy version 1.0 or 2.0; {name} in {path} is in {version}. "
                "Save it again with numpy.savez."
            )
        shape, _, dtype = _READ_HEADER[version](file)
    if dtype.hasobject or (dtype.kind == "V" and dtype.itemsize != 2):
        raise ValueError(
            f"{path}: every array must hold numbers; {name} is of type {dtype}. "
            "Such a file is not a checkpoint, and reading it could execute code."
        )
    return shape


def write_npz(arrays: LazyArrays, path: str) -> None:
    """Writes an .npz file; it appears at `path` only when it is complete."""
    with storage.replacing(path) as partial, zipfile.ZipFile(partial, "w") as archive:
        for name in arrays.shapes:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                array = np.asanyarray(arrays.read(name))
                np.lib.format.write_array(member, array, allow_pickle=False)
