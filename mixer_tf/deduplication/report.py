# SPDX-License-Identifier: Apache-2.0
"""What a person reads afterwards: report.json with the counts, pairs.jsonl with every removal."""

from __future__ import annotations

import collections
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from mixer_tf.deduplication import thresholds
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import TRAIN
from mixer_tf.messages import printable

REPORT, PAIRS = "report.json", "pairs.jsonl"
_METHOD = (
    "mean of two numbers, in the better of both orientations: the cosine of colour descriptors "
    "(low frequencies of a 32x32 thumbnail) and the correlation of details after alignment"
)


def summarize(
    removals: Sequence[Removal],
    counts: collections.Counter,
    sets: Sequence[str],
    uniform: Iterable[str],
) -> dict[str, Any]:
    """Returns what `report.json` holds.

    Args:
        removals: all of them.
        counts: ("compared" or "unreadable", set name) → images.
        sets: the names of all sets, training among them.
        uniform: the names of the sets whose images are too alike to tell copies from look-alikes.

    Returns:
        "removed": training images removed;
        "removed_by_set": test set → how many of these it holds a copy of, an image may count in
        several; "train" → those that went because training held them twice;
        "compared": set → images; "unreadable": set → images passed on untouched;
        "uniform": sets in which only (almost) equal images count as copies;
        "similarity_required" and "method": how it was decided.
    """
    by_set = collections.Counter(name for removal in removals for name in removal.test_sets)
    by_set[TRAIN] = sum(not removal.test_sets for removal in removals)
    return {
        "removed": len(removals),
        "removed_by_set": {name: by_set[name] for name in sets},
        "compared": {name: counts["compared", name] for name in sets},
        "unreadable": {name: counts["unreadable", name] for name in sets},
        "uniform": sorted(set(uniform)),
        "similarity_required": {
            "usually": thresholds.DUPLICATE,
            "greyscale against colour": thresholds.GRAYSCALE_DUPLICATE,
            "small or uniform": thresholds.NEAR_IDENTICAL,
        },
        "method": _METHOD,
    }


def write(folder: str, summary: dict[str, Any], removals: Sequence[Removal]) -> None:
    """Writes `report.json` and `pairs.jsonl`."""
    from tensorflow.io import gfile

    gfile.makedirs(folder)
    _write(os.path.join(folder, REPORT), [json.dumps(summary, indent=2, ensure_ascii=False)])
    _write(os.path.join(folder, PAIRS), map(to_line, removals))


def to_line(removal: Removal) -> str:
    """One removal as a line of `pairs.jsonl`: both images, distance, reason, and test sets."""
    match = removal.match
    line = {
        "removed": _describe(match.image),
        "copy_of": {"set": match.other.set_name, **_describe(match.other)},
        "distance": match.distance,
        "reason": match.reason,
        "test_sets": removal.test_sets,
    }
    return json.dumps(line, ensure_ascii=False)


def _describe(image: ImageId) -> dict[str, str]:
    return {"source": printable(image.source), "class_name": image.class_name}


def _write(path: str, lines: Iterable[str]) -> None:
    from tensorflow.io import gfile

    with gfile.GFile(path + ".partial", "w") as file:
        file.write("".join(f"{line}\n" for line in lines))
    gfile.rename(path + ".partial", path, overwrite=True)
