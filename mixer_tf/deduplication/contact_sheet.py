# SPDX-License-Identifier: Apache-2.0
"""pairs.html: the least certain removals as pictures side by side, for a person to judge."""

from __future__ import annotations

import base64
import collections
import html
import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.removals import Removal
from mixer_tf.features import ImageRecord
from mixer_tf.images import thumbnails
from mixer_tf.messages import printable

FILE_NAME = "pairs.html"
MOST = 50
_PIXELS = 160

Reader = Callable[[Any], Iterable[ImageRecord]]

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Removed from training</title>
<style>
body {{ font: 15px sans-serif; margin: 2em; max-width: 70em }}
figure {{ display: inline-block; margin: 0 1em 1em 0; width: 340px; vertical-align: top }}
img {{ width: 160px; height: 160px; object-fit: contain; background: #eee }}
figcaption {{ overflow-wrap: anywhere; font-size: 13px }}
</style>
<h1>Removed from training: {removed:,} images</h1>
<p>Left the image that was removed, right the one that it is a copy of. These are the {shown}
least certain; all are listed in pairs.jsonl.</p>
{figures}
</html>
"""
_FIGURE = """<figure>{left} {right}
<figcaption><b>{reason}</b>, distance {distance:.3f}<br>
{image}<br>{set_name}: {other}</figcaption></figure>"""


def write(folder: str, removals: list[Removal], readers: Mapping[str, Reader]) -> None:
    """Writes `pairs.html`, a page that needs no other file.

    Args:
        folder: where to write.
        removals: all of them; those with the largest distance are shown.
        readers: set name → what reads the images of a work item of that set.
    """
    from tensorflow.io import gfile

    shown = sorted(removals, key=lambda removal: -removal.match.distance)[:MOST]
    pictures = _read_pictures(shown, readers)
    figures = "\n".join(_figure(removal, pictures) for removal in shown)
    page = _PAGE.format(removed=len(removals), shown=len(shown), figures=figures)
    with gfile.GFile(os.path.join(folder, FILE_NAME), "w") as file:
        file.write(page)


def _read_pictures(shown: list[Removal], readers: Mapping[str, Reader]) -> dict[ImageId, bytes]:
    """The JPEG of every image that is shown; each work item is read once."""
    by_item = collections.defaultdict(dict)
    for removal in shown:
        for image in (removal.match.image, removal.match.other):
            by_item[image.set_name, image.work_item][image.index] = image
    pictures = {}
    for (set_name, entry), wanted in by_item.items():
        records = itertools.islice(readers[set_name](entry), max(wanted) + 1)
        for index, record in enumerate(records):
            if index in wanted:
                pictures[wanted[index]] = thumbnails.make_preview(record.encoded, _PIXELS)
    return pictures


def _figure(removal: Removal, pictures: dict[ImageId, bytes]) -> str:
    match = removal.match
    return _FIGURE.format(
        left=_picture(pictures[match.image]),
        right=_picture(pictures[match.other]),
        reason=match.reason,
        distance=match.distance,
        image=html.escape(printable(match.image.source)),
        set_name=html.escape(match.other.set_name),
        other=html.escape(printable(match.other.source)),
    )


def _picture(jpeg: bytes) -> str:
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'
