# SPDX-License-Identifier: Apache-2.0
"""The .safetensors container: read through its library, written one array at a time."""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
from collections.abc import Iterator

import numpy as np
from safetensors import SafetensorError, safe_open

from mixer_tf.checkpoints.lazy_arrays import LazyArrays


@contextlib.contextmanager
def open_safetensors(path: str) -> Iterator[LazyArrays]:
    """Opens a .safetensors file; bfloat16 arrays are read as float32."""
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
        raise ValueError(f"{path} is damaged or cut short: {error}. Fetch it anew.") from error


def write_safetensors(stored: LazyArrays, path: str) -> None:
    """Writes float32 arrays; the file appears under its name only once it is whole.

    By hand, for the library wants all arrays at once: the length of the header as uint64, the
    header as JSON, then the arrays in the order of the header.
    """
    partial = f"{path}.partial"
    try:
        with open(partial, "wb") as file:
            file.write(_header(stored))
            for name in stored.shapes:
                file.write(np.ascontiguousarray(stored.read(name), "<f4").data)
        os.replace(partial, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)


def _header(stored: LazyArrays) -> bytes:
    entries: dict[str, dict] = {"__metadata__": {"format": "pt"}}  # transformers wants to be told
    end = 0
    for name, shape in stored.shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": (start, end)}
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)  # so that the arrays are aligned
    return struct.pack("<Q", len(text)) + text
