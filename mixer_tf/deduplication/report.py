# SPDX-License-Identifier: Apache-2.0
"""The report of a deduplication: report.json with the counts, pairs.jsonl with every duplicate.

label_conflicts.jsonl has a line for each group of images with equal bytes and different labels, and
for each duplicate the most similar other image of another label.
"""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, BinaryIO

from mixer_tf import storage
from mixer_tf.deduplication import thresholds
from mixer_tf.deduplication.fingerprints import Fingerprints, ImageId
from mixer_tf.deduplication.label_conflicts import Conflict, LabeledImage
from mixer_tf.deduplication.matching import EXACT
from mixer_tf.deduplication.modes import REMOVE
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import LABELS_DIFFER, LISTED, Removal
from mixer_tf.deduplication.tally import Tally
from mixer_tf.features import EVAL, TRAIN
from mixer_tf.messages import printable

REPORT, PAIRS, CONFLICTS = "report.json", "pairs.jsonl", "label_conflicts.jsonl"
_METHOD = (
    "pairs of views (whole, without border, center crops; mirrored, turned) with similar color "
    "descriptors are registered; the similarity is the likelihood of a copy, from the correlations "
    "of their finest and coarse details and colors"
)


def count_images(images: Fingerprints) -> collections.Counter:
    """Returns ("compared" or "unreadable", set name) → number of images."""
    compared = collections.Counter(("compared", image.set_name) for image in images.ids)
    unreadable = {("unreadable", name): number for name, number in images.unreadable.items()}
    return compared + collections.Counter(unreadable)


def add_counts(counters: Iterable[collections.Counter]) -> collections.Counter:
    """Returns the sum of results of `count_images`."""
    return sum(counters, collections.Counter())


def summarize(
    tally: Tally,
    options: DeduplicationOptions,
    counts: Mapping[tuple[str, str], int],
    sets: Sequence[str],
    uniform_sets: Iterable[str],
    leaked: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Any]:
    """Returns the content of `report.json`.

    Args:
        tally: the numbers of all removals, carried out or not.
        options: the options of the deduplication.
        counts: as of `count_images`, for all images.
        sets: names of all sets, including training.
        uniform_sets: names of the sets whose images all look alike.
        leaked: evaluation or test set → number of its images that have a duplicate in training.

    Returns:
        "mode": "remove", "mark" or "report";
        "duplicates": number of training images that are duplicates; this and the next four are of
        training images alone;
        "removed": number of training images that were removed;
        "kept_because_labels_differ": number of other training images that resemble an image of
        another class; see `removals.decide`;
        "kept_because_listed": number of other training images that the user listed as ones to keep;
        "duplicates_by_set": test set → number of training images that it contains a duplicate of,
        where one image may count in several; "train" → number of duplicates within training;
        "leaked": evaluation or test set → number of its images that have a duplicate in training;
        "evaluation": the same numbers of the evaluation images that duplicate test images;
        "labels_differ": number of images, removed or not, that resemble an image of another label;
        "compared": set → number of images;
        "unreadable": set → number of images that cannot be decoded and were kept;
        "uniform_sets": sets in which only nearly identical images are duplicates;
        "thresholds" and "method": how it was decided.
    """
    test_sets = [name for name in sets if name not in (TRAIN, EVAL)]
    return {
        "mode": options.mode,
        **_count_decisions(tally, TRAIN, options, sets),
        "leaked": {printable(name): leaked.get(name, 0) for name in sets if name != TRAIN},
        "evaluation": _count_decisions(tally, EVAL, options, test_sets),
        "labels_differ": tally.labels_differ,
        "compared": {printable(name): counts.get(("compared", name), 0) for name in sets},
        "unreadable": {printable(name): counts.get(("unreadable", name), 0) for name in sets},
        "uniform_sets": sorted(set(map(printable, uniform_sets))),
        "thresholds": _thresholds(options),
        "method": _METHOD,
    }


def _count_decisions(
    tally: Tally, split: str, options: DeduplicationOptions, sets: Sequence[str]
) -> dict[str, Any]:
    duplicates = tally.duplicates(split)
    return {
        "duplicates": duplicates,
        "removed": duplicates if options.mode == REMOVE else 0,
        "kept_because_labels_differ": tally.decisions[split, LABELS_DIFFER],
        "kept_because_listed": tally.decisions[split, LISTED],
        "duplicates_by_set": {printable(name): tally.by_set[split, name] for name in sets},
    }


def _thresholds(options: DeduplicationOptions) -> dict[str, float]:
    return {
        "photographs": options.threshold,
        "grayscale and color": max(options.threshold, thresholds.GRAYSCALE_DUPLICATE),
        "small images and uniform sets": max(options.threshold, thresholds.NEAR_IDENTICAL),
    }


def write(
    folder: str,
    summary: Mapping[str, Any],
    removals: Iterable[Removal],
    conflicts: Iterable[Conflict] = (),
) -> None:
    """Writes `report.json`, `pairs.jsonl` and `label_conflicts.jsonl`, line by line."""
    storage.make_folder(folder)
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    storage.write_text(os.path.join(folder, REPORT), text + "\n")
    with (
        storage.open_new(os.path.join(folder, PAIRS)) as pairs,
        storage.open_new(os.path.join(folder, CONFLICTS)) as different,
    ):
        for conflict in conflicts:
            _write_line(different, _conflict_line(conflict))
        for removal in removals:
            _write_line(pairs, to_line(removal))
            if _is_apart(removal):
                _write_line(different, _conflicting_pair(removal))


def _write_line(file: BinaryIO, line: str) -> None:
    file.write((line + "\n").encode("utf-8", "surrogateescape"))


def to_line(removal: Removal) -> str:
    """Returns one line of `pairs.jsonl`: both images, their distance, and the decision.

    "set" is that of the image; "kept_because" is that of `Removal`, "" if the image is a duplicate
    to remove.
    """
    match = removal.match
    line = {
        "image": _describe(match.image),
        "set": printable(match.image.set_name),
        "duplicate_of": {"set": printable(match.other.set_name), **_describe(match.other)},
        "distance": match.distance,
        "reason": match.reason,
        "test_sets": [*map(printable, removal.test_sets)],
        "kept_because": removal.kept_because,
        "labels_differ": removal.labels_differ,
    }
    return json.dumps(line, ensure_ascii=False)


def _is_apart(removal: Removal) -> bool:
    """Whether a pair with different labels is not listed already, among those of equal bytes."""
    return removal.conflict is not None and removal.conflict.reason != EXACT


def _conflicting_pair(removal: Removal) -> str:
    match = removal.conflict
    images = [
        {"set": printable(image.set_name), **_describe(image)}
        for image in (match.image, match.other)
    ]
    line = {"images": images, "distance": match.distance, "reason": match.reason}
    return json.dumps(line, ensure_ascii=False)


def _conflict_line(conflict: Conflict) -> str:
    images = [{"set": printable(image.set_name), **_describe(image)} for image in conflict]
    return json.dumps({"images": images}, ensure_ascii=False)


def _describe(image: ImageId | LabeledImage) -> dict[str, str]:
    return {"source": printable(image.source), "class_name": image.class_name}
