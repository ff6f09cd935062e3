# SPDX-License-Identifier: Apache-2.0
"""Fingerprints as .npz files, one for a work item or a gallery, that are complete or missing.

Only the views that an image has are stored, and a thumbnail of repeated pixels once without them.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import zipfile

import numpy as np

from mixer_tf import storage
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId

# Of these arrays, the rows of the views that images have are stored.
_OF_VIEWS = ("descriptors", "small_views")
_TEXTS = ("set_name", "source", "class_name")
_NUMBERS = ("work_item", "index")
_PLAIN = ("ids", "digests", "unreadable", "thumbnails", *_OF_VIEWS)
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
    arrays |= {name: getattr(images, name)[images.has_view] for name in _OF_VIEWS}
    arrays |= _pack_thumbnails(images.thumbnails)
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
        arrays["thumbnails"] = _unpack_thumbnails(arrays)
        for name in _OF_VIEWS:
            arrays[name] = _spread(arrays[name], arrays["has_view"])
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


def _pack_thumbnails(thumbnails: np.ndarray) -> dict[str, np.ndarray]:
    """Which thumbnails [N, S, S, 3] repeat each pixel, a quarter of these, and the others."""
    num, size = thumbnails.shape[:2]
    pixels = thumbnails.reshape(num, size // 2, 2, size // 2, 2, 3)
    repeats = (pixels[:, :, 0] == pixels[:, :, 1]).all((1, 2, 3, 4))
    repeats &= (pixels[:, :, 0, :, 0] == pixels[:, :, 0, :, 1]).all((1, 2, 3))
    kept = pixels[repeats, :, 0, :, 0]
    others = thumbnails[~repeats] if repeats.any() else thumbnails  # mostly, without a copy
    return {"repeats": repeats, "pixels": kept, "thumbnails": others}


def _unpack_thumbnails(arrays: dict[str, np.ndarray]) -> np.ndarray:
    repeats, thumbnails = arrays.pop("repeats"), arrays["thumbnails"]
    pixels = arrays.pop("pixels")
    if not repeats.any():
        return thumbnails
    found = np.empty((len(repeats), *thumbnails.shape[1:]), thumbnails.dtype)
    found[repeats] = _repeat(pixels)
    found[~repeats] = thumbnails
    return found


def _repeat(pixels: np.ndarray) -> np.ndarray:
    """Doubles the sides of images by repeating each pixel."""
    return pixels.repeat(2, axis=2).repeat(2, axis=1)


def _spread(rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The rows at the indices that a mask selects, and zeros elsewhere."""
    found = np.zeros((*mask.shape, *rows.shape[1:]), rows.dtype)
    found[mask] = rows
    return found


def _split(digests: bytes, count: int) -> tuple[bytes, ...]:
    size = len(digests) // max(count, 1)
    return tuple(digests[start : start + size] for start in range(0, size * count, size or 1))


def _encode(value: object) -> np.ndarray:
    """JSON as bytes; it keeps names that are not valid Unicode."""
    return np.frombuffer(json.dumps(value).encode("ascii"), np.uint8)


def _decode(stored: np.ndarray):
    return json.loads(stored.tobytes())
