# SPDX-License-Identifier: Apache-2.0
"""Counts of images, as workers return them, in the `dataset.json` of an Examples folder."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from mixer_tf.datasets.info import DatasetInfo


def with_counts(
    info: DatasetInfo,
    splits: Iterable[str],
    counts: Iterable[tuple[str, Mapping[str, int]]],
    notes: Iterable[str] = (),
) -> DatasetInfo:
    """Returns the description with new counts, in label order.

    Args:
        info: the description without the counts.
        splits: all splits of the dataset, including empty ones.
        counts: (split, class name → number of images) of each part of the dataset.
        notes: further notes.
    """
    by_split = {split: collections.Counter() for split in splits}
    for split, found in counts:
        by_split[split].update(found)
    order = {name: label for label, name in enumerate(info.class_names)}
    ordered = {
        split: {name: found[name] for name in sorted(found, key=lambda name: order.get(name, -1))}
        for split, found in by_split.items()
    }
    return DatasetInfo(info.source, info.class_names, ordered, (*info.notes, *notes))
