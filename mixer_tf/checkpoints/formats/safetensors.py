# SPDX-License-Identifier: Apache-2.0
"""The .safetensors format: read with the safetensors library, written one array at a time."""

from __future__ import annotations

import contextlib
import json
import math
import struct
from collections.abc import Iterator

import numpy as np
from safetensors import SafetensorError, safe_open

from mixer_tf import storage
from mixer_tf.checkpoints.formats import corrupt_file_error
from mixer_tf.checkpoints.lazy_arrays import LazyArrays


@contextlib.contextmanager
def open_safetensors(path: str) -> Iterator[LazyArrays]:
    """Opens a .safetensors file; bfloat16 arrays are read as float32.

    Raises:
        ValueError: the file is corrupt or truncated.
    """
    try:
        # "pread" copies one array; the default maps the file, whose pages then count as memory.
        with safe_open(path, framework="numpy", backend="pread") as file:

            def read(name: str) -> np.ndarray:
                array = file.get_tensor(name)
                return array.astype(np.float32) if array.dtype.name == "bfloat16" else array

            names = file.keys()
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
            yield LazyArrays(shapes, read)
    except SafetensorError as error:
        raise corrupt_file_error(path, error) from error


def write_safetensors(arrays: LazyArrays, path: str) -> None:
    """Writes arrays as float32; the file appears at `path` only when it is complete.

    The library needs all arrays in memory at once, so the file is written here: the length of the
    header as uint64, the header as JSON, then the arrays in the order of the header.
    """
    with storage.replacing(path) as partial, open(partial, "wb") as file:
        file.write(_header(arrays))
        for name in arrays.shapes:
            file.write(np.ascontiguousarray(arrays.read(name), "<f4").data)


def _header(arrays: LazyArrays) -> bytes:
    entries: dict[str, dict] = {"__metadata__": {"format": "pt"}}  # transformers requires it
    end = 0
    for name, shape in arrays.shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)  # aligns the arrays
    return struct.pack("<Q", len(text)) + text
