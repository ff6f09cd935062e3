# SPDX-License-Identifier: Apache-2.0
"""The authors' container: an .npz file, read and written one array at a time."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator

import numpy as np

from mixer_tf.checkpoints.lazy_arrays import LazyArrays, Shape, widen_bfloat16

_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@contextlib.contextmanager
def open_npz(path: str) -> Iterator[LazyArrays]:
    """Opens an .npz file; bfloat16 arrays, which it holds as raw voids, are read as float32.

    Raises:
        ValueError: an array holds Python objects, which to read would be to run code.
    """
    with np.load(path, allow_pickle=False) as file:

        def read(name: str) -> np.ndarray:
            array = file[name]
            return widen_bfloat16(array) if array.dtype.kind == "V" else array

        yield LazyArrays({name: _shape(file.zip, name, path) for name in file.files}, read)


def _shape(archive: zipfile.ZipFile, name: str, path: str) -> Shape:
    member = name if name in archive.NameToInfo else f"{name}.npy"
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in _READ_HEADER:
            raise ValueError(f"{path}: {name} is in .npy version {version}; 1.0 and 2.0 are known.")
        shape, _, dtype = _READ_HEADER[version](file)
    if dtype.hasobject or (dtype.kind == "V" and dtype.itemsize != 2):
        raise ValueError(
            f"{path}: every array must hold numbers; {name} is of type {dtype}. "
            "Such a file is no checkpoint, and reading it might run code."
        )
    return shape


def write_npz(stored: LazyArrays, path: str) -> None:
    """Writes an .npz file that appears under its name only once it is whole."""
    partial = f"{path}.partial"
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for name in stored.shapes:
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    array = np.asanyarray(stored.read(name))
                    np.lib.format.write_array(member, array, allow_pickle=False)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
