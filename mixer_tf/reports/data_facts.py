# SPDX-License-Identifier: Apache-2.0
"""The facts of the images: from `dataset.json`, and from the files of the steps that look at them.

A step whose file is missing gives None. No TensorFlow.
"""

from __future__ import annotations

import collections
import json
import os

from mixer_tf import storage
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication.page import FILE_NAME as PAIRS_PAGE
from mixer_tf.reports.facts import DataFacts, DuplicateFacts, QuarantineFacts, StatisticsFacts
from mixer_tf.visualization.statistics_page import JSON_FILE, PAGE

_KEPT = {
    "kept_because_labels_differ": "because the classes differ",
    "kept_because_listed": "because they are listed",
}


def describe_data(
    info: DatasetInfo, read: dict[str, int] | None = None, fingerprint: str = ""
) -> DataFacts:
    """Returns the facts of the images.

    Args:
        info: of the images that are trained on.
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


def read_duplicates(folder: str) -> DuplicateFacts | None:
    """Returns the facts of the folder of a DeduplicationReport."""
    path = os.path.join(folder, "report.json")
    if not storage.exists(path):
        return None
    report = json.loads(storage.read_text(path))
    evaluation = report.get("evaluation", {})
    return DuplicateFacts(
        mode=report["mode"],
        removed={"train": report["removed"], "eval": evaluation.get("removed", 0)},
        found=report["duplicates_by_set"],
        leaked=report.get("leaked", {}),
        kept={title: report.get(key, 0) + evaluation.get(key, 0) for key, title in _KEPT.items()},
        page=os.path.join(folder, PAIRS_PAGE),
    )


def read_statistics(folder: str) -> StatisticsFacts | None:
    """Returns the facts of the folder of an ImageStatisticsReport."""
    path = os.path.join(folder, JSON_FILE)
    if not storage.exists(path):
        return None
    found = json.loads(storage.read_text(path))
    return StatisticsFacts(
        splits={split: _describe(group) for split, group in found["splits"].items()},
        anomalies=tuple(found["anomalies"]),
        page=os.path.join(folder, PAGE),
    )


def _describe(group: dict) -> dict[str, str]:
    """Title → text of the statistics of a split, as `GroupStatistics.to_dict` has them."""
    images = group["images"]
    rows = {"images": f"{images:,}", "unreadable": f"{group['unreadable']:,}"}
    if not images:
        return rows
    (width, height), (most_width, most_height) = group["smallest"], group["largest"]
    return {
        **rows,
        "smallest": f"{width}×{height}",
        "largest": f"{most_width}×{most_height}",
        "formats": ", ".join(f"{name} {n / images:.1%}" for name, n in group["formats"].items()),
        "brightness, mean": f"{group['mean']['brightness']:.1f}",
        "contrast, mean": f"{group['mean']['contrast']:.1f}",
        "grayscale": f"{group['grayscale'] / images:.1%}",
        "near-constant": f"{group['near_constant'] / images:.1%}",
    }
