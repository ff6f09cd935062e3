# SPDX-License-Identifier: Apache-2.0
"""The facts that the reports of the Deduplicator and of ImageStatistics hold. No TensorFlow."""

from __future__ import annotations

import json
import os

from mixer_tf import storage
from mixer_tf.deduplication.pair_page.page import FILE_NAME as PAIRS_PAGE
from mixer_tf.reports.facts import DuplicateFacts, StatisticsFacts
from mixer_tf.visualization.statistics_page import JSON_FILE, PAGE

_KEPT = {
    "kept_because_labels_differ": "because the classes differ",
    "kept_because_listed": "because they are listed",
}


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
