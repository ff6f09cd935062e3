# SPDX-License-Identifier: Apache-2.0
"""Nested subsets of the training images, chosen by a hash of each image's path or id.

Whether an image belongs to a subset depends on its id, the share and the seed alone: a smaller
subset is part of every larger one, on every machine, and stays so when images are added.
"""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Callable, Iterator

from mixer_tf import storage
from mixer_tf.datasets import examples
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.splits import hash_fraction
from mixer_tf.features import TRAIN, ImageRecord


def is_member(image_id: str, share: float, seed: int = 0) -> bool:
    """Whether an image belongs to the subset of about this share of the images.

    Args:
        image_id: path relative to the source, or id.
        share: in (0, 1]; 1 for all images.
        seed: another one gives other subsets.
    """
    # Not the hash of the id alone, by which evaluation and test images are held out.
    return hash_fraction(f"subset {seed} {image_id}") < share


def write_subset(
    data: str,
    info: DatasetInfo,
    target: str,
    share: float,
    seed: int = 0,
    id_of: Callable[[str], str] = str,
) -> DatasetInfo:
    """Writes the training images of a subset to a folder of their own; once only.

    Args:
        data: a folder of prepared data.
        info: its `dataset.json`.
        target: the folder to write to.
        share, seed: see `is_member`.
        id_of: path of an image in its record → the id that decides.

    Returns:
        The `dataset.json` of the subset, which has the split "train" only.

    Raises:
        ValueError: no image belongs to the subset.
    """
    if storage.exists(os.path.join(target, "dataset.json")):
        return DatasetInfo.read(target)
    counts: collections.Counter[str] = collections.Counter()
    shards = examples.list_shards(data, TRAIN)
    for index, shard in enumerate(shards):
        members = _members(shard, share, seed, id_of, counts)
        examples.write_shard(members, target, TRAIN, index, len(shards))
    if not counts:
        raise ValueError(
            f"a subset must have at least one image; {share:.3g} of the {info.examples[TRAIN]:,} "
            "training images gives none. Use larger shares."
        )
    subset = dataclasses.replace(
        info, counts={TRAIN: {name: counts[name] for name in sorted(counts)}}, notes=()
    )
    subset.write(target)
    return subset


def _members(
    shard: str,
    share: float,
    seed: int,
    id_of: Callable[[str], str],
    counts: collections.Counter[str],
) -> Iterator[bytes]:
    """Yields the serialized examples of a shard that belong to the subset, and counts them."""
    for serialized in examples.read_examples(shard):
        record = ImageRecord.from_example(serialized)
        if is_member(id_of(record.source), share, seed):
            counts[record.class_name] += 1
            yield serialized
