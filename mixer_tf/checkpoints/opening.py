# SPDX-License-Identifier: Apache-2.0
"""Opens a checkpoint of any known format, which is detected from its content, not its name."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator

from mixer_tf.checkpoints.formats import corrupt_file_error
from mixer_tf.checkpoints.layouts import timm
from mixer_tf.checkpoints.layouts.flax_mixer import to_flax_names
from mixer_tf.checkpoints.lazy_arrays import LazyArrays
from mixer_tf.checkpoints.published import KNOWN
from mixer_tf.serving import locations

_FORMATS = (
    "an .npz file from the authors, a .safetensors or .pth file from timm, or the folder of a "
    "model that mixer_tf exported"
)
_CORRUPTION_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError)


@contextlib.contextmanager
def open_checkpoint(path: str | os.PathLike) -> Iterator[LazyArrays]:
    """Opens a checkpoint; weights get the names and shapes of the authors' Flax checkpoints.

    Opening reads the table of contents only, and each `read` reads one array. Nothing in a file is
    ever executed.

    Raises:
        FileNotFoundError: `path` does not exist.
        ValueError: the file format is unknown, the file is corrupt or holds other objects than
            arrays of numbers, or the folder does not hold a model.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        path = locations.resolve_saved_model(path)
    try:
        with _opener(path)(path) as arrays:
            is_timm = timm.is_timm(arrays.shapes)
            yield timm.from_timm(arrays) if is_timm else to_flax_names(arrays)
    except _CORRUPTION_ERRORS as error:
        raise corrupt_file_error(path, error) from error


def _opener(path: str):
    """Returns the function that opens the format of `path`; imports only what that one needs."""
    file_format = _detect_format(path)
    if file_format == "npz":
        from mixer_tf.checkpoints.formats.npz import open_npz as opener
    elif file_format == "torch":
        from mixer_tf.checkpoints.formats.torch_pickle import open_torch as opener
    elif file_format == "safetensors":
        from mixer_tf.checkpoints.formats.safetensors import open_safetensors as opener
    else:
        from mixer_tf.checkpoints.formats.saved_model import open_saved_model as opener
    return opener


def _detect_format(path: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(_not_found_message(path))
    if os.path.isdir(path):
        return "saved_model"
    if not os.path.isfile(path):  # a named pipe would block for ever
        raise ValueError(f"a checkpoint must be {_FORMATS}; {path} is not a regular file.")
    with open(path, "rb") as file:
        file_format = _detect_file_format(path, file.read(9))
    if file_format is None:
        raise ValueError(f"a checkpoint must be {_FORMATS}; {path} is none of these.")
    return file_format


def _detect_file_format(path: str, first_bytes: bytes) -> str | None:
    if first_bytes[8:] == b"{":  # first: the length of a header may begin like the other formats
        return "safetensors"
    if first_bytes.startswith(b"PK"):
        members = _zip_members(path)
        if any(name.endswith("/data.pkl") for name in members):
            return "torch"
        return "npz" if any(name.endswith(".npy") for name in members) else None
    # A pickle: torch before 1.6 wrote several in sequence.
    return "torch" if first_bytes.startswith(b"\x80") else None


def _zip_members(path: str) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception as error:  # also UnicodeDecodeError, NotImplementedError, struct.error …
        raise corrupt_file_error(path, error) from error


def _not_found_message(path: str) -> str:
    if path in KNOWN:
        return (
            f"a checkpoint must be a path; {path} is the name of a published one. "
            f"mixer_tf.checkpoints.fetch({path!r}) downloads it and returns its path."
        )
    return f"there is no checkpoint at {path}."
