# SPDX-License-Identifier: Apache-2.0
"""The user's list of training images that must not be removed, in the words of the report."""

from __future__ import annotations

from mixer_tf.datasets import image_lists

MAX_BYTES = image_lists.MAX_BYTES


def read(path: str) -> frozenset[str]:
    """Reads a list of images, one per line; see `image_lists.read`.

    A line is the path or id of an image as the page of the report shows it, or a line copied from
    `pairs.jsonl`, which stands for its "image".

    Args:
        path: a UTF-8 file, on this machine or in a bucket.

    Returns:
        The paths and ids, for `DeduplicationOptions.keep`.

    Raises:
        ValueError: the file cannot be read as such a list.
    """
    return image_lists.read(path, "a list of duplicates to keep")
