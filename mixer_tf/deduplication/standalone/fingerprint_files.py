# SPDX-License-Identifier: Apache-2.0
"""Fingerprints as .npz files, one for a work item or a gallery, that are complete or missing."""

from __future__ import annotations

import collections
import dataclasses
import json
import zipfile

import numpy as np

from mixer_tf import storage
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId

_TEXTS = ("set_name", "source", "class_name")
_NUMBERS = ("work_item", "index")
_PLAIN = ("ids", "digests", "unreadable")
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def write(path: str, images: Fingerprints) -> None:
    """Writes fingerprints whose work items are numbers.

    Args:
        path: a local path; its folder exists.
        images: the fingerprints.
    """
    arrays = {
        field.name: getattr(images, field.name)
        for field in dataclasses.fields(images)
        if field.name not in _PLAIN
    }
    arrays["digests"] = np.frombuffer(b"".join(images.digests), np.uint8)
    for name in _TEXTS:
        arrays[name] = _encode([getattr(image, name) for image in images.ids])
    for name in _NUMBERS:
        arrays[name] = np.array([getattr(image, name) for image in images.ids], np.int64)
    arrays["unreadable"] = _encode(dict(images.unreadable))
    with storage.replacing(path, concurrent=True) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


def read(path: str, work_item: int | None = None) -> Fingerprints | None:
    """Reads the output of `write`; None if there is no such file, or it is damaged.

    Args:
        path: path of the file.
        work_item: the number of the work item in this run; None to keep what is stored.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        texts = [_decode(arrays.pop(name)) for name in _TEXTS]
        items, indices = (arrays.pop(name).tolist() for name in _NUMBERS)
        items = items if work_item is None else [work_item] * len(indices)
        ids = tuple(map(ImageId, *texts, items, indices))
        digests = arrays.pop("digests").tobytes()
        unreadable = collections.Counter(_decode(arrays.pop("unreadable")))
        return Fingerprints(
            ids=ids, digests=_split(digests, len(ids)), unreadable=unreadable, **arrays
        )
    except (*_DAMAGED, TypeError):
        return None


def read_labels(path: str) -> tuple[list[str], np.ndarray] | None:
    """Reads only the class names and the digests [N, bytes] of a file; None as in `read`."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            names = _decode(stored["class_name"])
            digests = stored["digests"]
            return names, digests.reshape(len(names), -1) if names else digests.reshape(0, 1)
    except _DAMAGED:
        return None


def read_sources(path: str) -> tuple[list[str], int] | None:
    """Reads only the paths or ids of the images of a file, and the number of its images.

    That number includes images that cannot be decoded. None as in `read`.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            sources, unreadable = _decode(stored["source"]), _decode(stored["unreadable"])
            return sources, len(sources) + sum(unreadable.values())
    except _DAMAGED:
        return None


def _split(digests: bytes, count: int) -> tuple[bytes, ...]:
    size = len(digests) // max(count, 1)
    return tuple(digests[start : start + size] for start in range(0, size * count, size or 1))


def _encode(value: object) -> np.ndarray:
    """JSON as bytes; it keeps names that are not valid Unicode."""
    return np.frombuffer(json.dumps(value).encode("ascii"), np.uint8)


def _decode(stored: np.ndarray):
    return json.loads(stored.tobytes())
