# SPDX-License-Identifier: Apache-2.0
"""The last part of the page: images with equal bytes and different labels."""

from __future__ import annotations

import html
import itertools
from collections.abc import Collection

from mixer_tf.deduplication.label_conflicts import Conflict, LabeledImage
from mixer_tf.messages import printable

_MAX_GROUPS, _MAX_IMAGES = 200, 20  # groups, and images of each


def conflicts_section(conflicts: Collection[Conflict]) -> str:
    """Returns the groups of images with equal bytes and different labels; "" for none."""
    if not conflicts:
        return ""
    shown = [*itertools.islice(conflicts, _MAX_GROUPS)]
    groups = "\n".join(f"<li><ul>{_conflict_items(conflict)}</ul></li>" for conflict in shown)
    more = len(conflicts) - len(shown)
    rest = f"<p>{more:,} more groups are listed in label_conflicts.jsonl.</p>" if more else ""
    return (
        f"<section id=conflicts><h2>Equal bytes, different labels: {len(conflicts):,} "
        f"{'group' if len(conflicts) == 1 else 'groups'}</h2>\n<p>Of each group, at most one label "
        f"can be right.</p>\n<ol>{groups}</ol>{rest}</section>"
    )


def _conflict_items(conflict: Conflict) -> str:
    items = "".join(map(_conflict_item, conflict[:_MAX_IMAGES]))
    more = len(conflict) - _MAX_IMAGES
    return items + (f"<li>and {more:,} more</li>" if more > 0 else "")


def _conflict_item(image: LabeledImage) -> str:
    class_name, set_name, source = (
        f"<bdi>{html.escape(printable(text))}</bdi>"
        for text in (image.class_name, image.set_name, image.source)
    )
    return f"<li><b>{class_name}</b> in {set_name}: <span class=path>{source}</span></li>"
