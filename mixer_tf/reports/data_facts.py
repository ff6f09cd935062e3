# SPDX-License-Identifier: Apache-2.0
"""The facts of the images, from `dataset.json` and the list of the unusable ones. No TensorFlow."""

from __future__ import annotations

import collections
import json

from mixer_tf import storage
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.reports.facts import DataFacts, QuarantineFacts


def describe_data(
    info: DatasetInfo, read: dict[str, int] | None = None, fingerprint: str = ""
) -> DataFacts:
    """Returns the facts of the images.

    Args:
        info: the dataset that is trained on.
        read: split → number of images of the source, where it is known.
        fingerprint: see `DataFacts`.
    """
    return DataFacts(
        source=info.source,
        class_names=info.class_names,
        counts=info.counts,
        read=read or {},
        notes=(*info.notes, *info.notes_of_classes),
        fingerprint=fingerprint,
    )


def read_quarantine(path: str) -> QuarantineFacts | None:
    """Returns the facts of a list of unusable images."""
    if not storage.exists(path):
        return None
    lines = filter(str.strip, storage.read_text(path).split("\n"))
    examples: dict[str, list[str]] = collections.defaultdict(list)
    for record in map(json.loads, lines):
        examples[record["reason"]].append(record["source"])
    by_number = sorted(examples.items(), key=lambda item: -len(item[1]))
    return QuarantineFacts(
        images=sum(map(len, examples.values())),
        reasons={reason: (len(found), found[0]) for reason, found in by_number},
        file=path,
    )
