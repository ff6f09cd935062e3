# SPDX-License-Identifier: Apache-2.0
"""Images with equal bytes and different labels, found by the digests of all images alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from mixer_tf.deduplication.label_conflicts import Conflict, find_conflict, labeled_images
from mixer_tf.deduplication.standalone import fingerprint_files
from mixer_tf.deduplication.standalone.store import Item, Store


def find_conflicts(
    store: Store, items: Sequence[Item], comparable_sets: Collection[str]
) -> tuple[Conflict, ...]:
    """Returns the groups of images with equal bytes and different labels, sorted.

    Only the digests of all images are in memory, 36 bytes for each.

    Args:
        store: where the fingerprints are.
        items: all work items.
        comparable_sets: see `image_sets.find_comparable_sets`.
    """
    owners, digests = _digests(store, items, comparable_sets)
    repeated = np.flatnonzero(_repeated(digests))
    owners = owners[repeated]  # ascending, as the items are
    numbers = np.unique(owners)
    starts, ends = (np.searchsorted(owners, numbers, side) for side in ("left", "right"))
    labeled: dict[bytes, list] = {}
    for number, start, end in zip(numbers.tolist(), starts, ends, strict=True):
        wanted = {digest.tobytes() for digest in digests[repeated[start:end]]}
        for images in store.fingerprints(items[number]):
            for digest, image in labeled_images(images, comparable_sets):
                if digest in wanted:
                    labeled.setdefault(digest, []).append(image)
    return tuple(sorted(conflict for group in labeled.items() for conflict in find_conflict(group)))


def _digests(
    store: Store, items: Sequence[Item], comparable_sets: Collection[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The number of the work item, int [N], and the digest, [N], of each image with a label."""
    owners, digests = [np.zeros(0, np.int32)], []
    for item in items:
        if item.set_name in comparable_sets:
            for found in _labeled_digests(store, item):
                owners.append(np.full(len(found), item.number, np.int32))
                digests.append(found)
    digests = np.concatenate(digests) if digests else np.zeros((0, 1), np.uint8)
    rows = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").ravel()
    return np.concatenate(owners), rows


def _labeled_digests(store: Store, item: Item) -> Iterator[np.ndarray]:
    """The digests of the images with a label, of each file of a work item that has any."""
    for names, digests in store.read_files(item, fingerprint_files.read_labels):
        has_name = np.array([bool(name) for name in names], bool)
        if has_name.any():
            yield digests[has_name]


def _repeated(digests: np.ndarray) -> np.ndarray:
    """Whether each digest occurs more than once, bool [N]."""
    _, inverse, counts = np.unique(digests, return_inverse=True, return_counts=True)
    return counts[inverse] > 1
