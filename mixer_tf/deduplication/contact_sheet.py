# SPDX-License-Identifier: Apache-2.0
"""pairs.html: pairs of duplicates, the doubtful ones first, side by side for manual inspection."""

from __future__ import annotations

import base64
import collections
import html
import itertools
import os
from collections.abc import Mapping, Sequence

from mixer_tf import storage
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.removals import LABELS_DIFFER, LISTED, Removal
from mixer_tf.images import thumbnails
from mixer_tf.messages import printable

FILE_NAME = "pairs.html"
MAX_PAIRS = 50
_PREVIEW_SIZE = 160  # pixels

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Duplicates in training</title>
<style>
body {{ font: 15px sans-serif; margin: 2em; max-width: 70em }}
figure {{ display: inline-block; margin: 0 1em 1em 0; width: 340px; vertical-align: top }}
img {{ width: 160px; height: 160px; object-fit: contain; background: #eee }}
figcaption {{ overflow-wrap: anywhere; font-size: 13px }}
</style>
<h1>Duplicates in training: {duplicates:,} images, {removed:,} removed</h1>
<p>Left: the training image. Right: its duplicate. These are the {shown} least certain pairs; all
pairs are listed in pairs.jsonl. To keep an image, put its path, or its line of pairs.jsonl, into a
file for <code>--keep-duplicates=FILE</code>.</p>
{figures}
{kept}
</html>
"""
_KEPT = """<h2>Kept, because {reason}: {number:,} images</h2>
<p>These are the {shown} most similar pairs.</p>
{figures}"""
_REASONS = {LABELS_DIFFER: "the labels differ", LISTED: "they are listed in --keep-duplicates"}
_FIGURE = """<figure>{left} {right}
<figcaption><b>{reason}</b>, distance {distance:.3f}<br>
{image} {image_class}<br>{set_name}: {other} {other_class}</figcaption></figure>"""


def write(
    folder: str, removals: Sequence[Removal], readers: Mapping[str, Reader], num_removed: int
) -> None:
    """Writes `pairs.html`, a page that contains its images.

    Args:
        folder: the folder to write to.
        removals: all of them, carried out or not. Of those to remove, the pairs with the largest
            distance are shown; of those that are kept, the pairs with the smallest.
        readers: set name → reader of the work items of that set.
        num_removed: number of images that were removed.
    """
    duplicates = [removal for removal in removals if not removal.kept]
    shown = sorted(duplicates, key=lambda removal: -removal.match.distance)[:MAX_PAIRS]
    kept = {reason: _most_similar(removals, reason) for reason in _REASONS}
    previews = _read_previews(list(itertools.chain(shown, *kept.values())), readers)
    page = _PAGE.format(
        duplicates=len(duplicates),
        removed=num_removed,
        shown=len(shown),
        figures=_figures(shown, previews),
        kept="\n".join(
            _KEPT.format(
                reason=_REASONS[reason],
                number=sum(removal.kept_because == reason for removal in removals),
                shown=len(pairs),
                figures=_figures(pairs, previews),
            )
            for reason, pairs in kept.items()
            if pairs
        ),
    )
    storage.write_text(os.path.join(folder, FILE_NAME), page)


def _most_similar(removals: Sequence[Removal], reason: str) -> list[Removal]:
    kept = [removal for removal in removals if removal.kept_because == reason]
    return sorted(kept, key=lambda removal: removal.match.distance)[:MAX_PAIRS]


def _read_previews(shown: list[Removal], readers: Mapping[str, Reader]) -> dict[ImageId, bytes]:
    """The JPEG of every image that is shown; each work item is read once."""
    by_item = collections.defaultdict(dict)
    for removal in shown:
        for image in (removal.match.image, removal.match.other):
            by_item[image.set_name, image.work_item][image.index] = image
    previews = {}
    for (set_name, work_item), wanted in by_item.items():
        records = itertools.islice(readers[set_name](work_item), max(wanted) + 1)
        for index, record in enumerate(records):
            if index in wanted:
                previews[wanted[index]] = thumbnails.make_preview(record.encoded, _PREVIEW_SIZE)
    return previews


def _figures(shown: list[Removal], previews: dict[ImageId, bytes]) -> str:
    return "\n".join(_figure(removal, previews) for removal in shown)


def _figure(removal: Removal, previews: dict[ImageId, bytes]) -> str:
    match = removal.match
    return _FIGURE.format(
        left=_img(previews[match.image]),
        right=_img(previews[match.other]),
        reason=match.reason,
        distance=match.distance,
        image=html.escape(printable(match.image.source)),
        image_class=_class(match.image),
        set_name=html.escape(printable(match.other.set_name)),
        other=html.escape(printable(match.other.source)),
        other_class=_class(match.other),
    )


def _class(image: ImageId) -> str:
    return f"({html.escape(printable(image.class_name))})" if image.class_name else ""


def _img(jpeg: bytes) -> str:
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
