# SPDX-License-Identifier: Apache-2.0
"""Opens a checkpoint of any known format; what it is, its content tells and not its name."""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator

from mixer_tf.checkpoints.layouts import timm
from mixer_tf.checkpoints.layouts.flax_mixer import to_authors_names
from mixer_tf.checkpoints.lazy_arrays import LazyArrays
from mixer_tf.checkpoints.published import KNOWN
from mixer_tf.serving import locations

_FORMATS = (
    "an .npz file of the authors, a .safetensors or .pth file of timm, or the folder of a model "
    "that mixer_tf has exported"
)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError)


@contextlib.contextmanager
def open_checkpoint(path: str | os.PathLike) -> Iterator[LazyArrays]:
    """Opens a checkpoint, with the authors' names and layouts whoever has written it.

    Only the table of contents is read here, and one array at each `read`. Nothing that a file
    holds is ever run.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the file is of no known format, is damaged, or holds more than numbers; or
            there is no model in the folder.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        path = locations.resolve_saved_model(path)
    try:
        with _opener(path)(path) as stored:
            yield (
                timm.from_timm(stored) if timm.is_timm(stored.shapes) else to_authors_names(stored)
            )
    except _DAMAGE as error:
        raise ValueError(f"{path} is damaged or cut short: {error}. Fetch it anew.") from error


def _opener(path: str):
    """Returns the function that opens the container at `path`; each imports what it needs."""
    kind = _kind(path)
    if kind == "npz":
        from mixer_tf.checkpoints.formats.npz import open_npz as opener
    elif kind == "torch":
        from mixer_tf.checkpoints.formats.torch_pickle import open_torch as opener
    elif kind == "safetensors":
        from mixer_tf.checkpoints.formats.safetensors import open_safetensors as opener
    else:
        from mixer_tf.checkpoints.formats.saved_model import open_saved_model as opener
    return opener


def _kind(path: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(_nothing_there(path))
    if os.path.isdir(path):
        return "saved_model"
    with open(path, "rb") as file:
        kind = _kind_of_file(path, file.read(9))
    if kind is None:
        raise ValueError(f"a checkpoint must be {_FORMATS}; {path} is none of these.")
    return kind


def _kind_of_file(path: str, start: bytes) -> str | None:
    if start.startswith(b"PK"):
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
        if any(name.endswith("/data.pkl") for name in members):
            return "torch"
        return "npz" if any(name.endswith(".npy") for name in members) else None
    if start.startswith(b"\x80"):  # a pickle, as torch once wrote them one after the other
        return "torch"
    return "safetensors" if start[8:] == b"{" else None


def _nothing_there(path: str) -> str:
    if path in KNOWN:
        return (
            f"a checkpoint must be a path; {path} is the name of a known one. "
            f"mixer_tf.checkpoints.fetch({path!r}) downloads it and returns its path."
        )
    return f"there is no checkpoint at {path}."
