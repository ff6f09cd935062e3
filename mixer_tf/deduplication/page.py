# SPDX-License-Identifier: Apache-2.0
"""The page of a deduplication: all pairs, the least certain first, to look at and to judge.

It is one HTML file that loads nothing from elsewhere. The user's verdicts become a list for
`--keep-duplicates`.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import hashlib
import heapq
import html
import itertools
import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from mixer_tf import storage
from mixer_tf.deduplication import previews
from mixer_tf.deduplication.fingerprints import ImageId, sort_key
from mixer_tf.deduplication.image_sets import Reader
from mixer_tf.deduplication.label_conflicts import Conflict, LabeledImage
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.page_template import TEMPLATE
from mixer_tf.deduplication.removals import LABELS_DIFFER, LISTED, Removal
from mixer_tf.features import TRAIN
from mixer_tf.messages import printable

FILE_NAME = "pairs.html"
# Bounds of the page: the most certain pairs beyond these are only in the list of all pairs.
MAX_ROWS, MAX_ROW_BYTES = 100_000, 24 * 2**20
_MAX_CONFLICTS, _MAX_CONFLICT_IMAGES = 200, 20  # groups, and images of each

# What was done about a pair.
REMOVED = "removed"
_DONE = {"remove": REMOVED, "mark": "only marked", "report": "only reported"}
KEPT_LABELS_DIFFER, KEPT_LISTED = "kept because labels differ", "kept because listed"
_KEPT = {LABELS_DIFFER: KEPT_LABELS_DIFFER, LISTED: KEPT_LISTED}


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two images that are duplicates, and what was done about the first of them.

    Attributes:
        image: the image of training (or of another split that must not share images with `other`).
        other: the image that it is a duplicate of.
        distance: 0 for equal bytes; the larger, the less certain.
        reason: such as "near-duplicate"; see `matching.Match`.
        decision: such as `REMOVED`; the page can filter by it.
        labels_differ: whether both images have a class of the same dataset, but not the same one.
    """

    image: ImageId
    other: ImageId
    distance: float
    reason: str
    decision: str
    labels_differ: bool = False


@dataclasses.dataclass(frozen=True)
class PairsOf:
    """The pairs of each removal, carried out or not; they can be read several times."""

    removals: Iterable[Removal]
    options: DeduplicationOptions

    def __iter__(self) -> Iterator[Pair]:
        done = _DONE[self.options.mode]
        return (pair for removal in self.removals for pair in _pairs_of_one(removal, done))


def _pairs_of_one(removal: Removal, done: str) -> Iterator[Pair]:
    """The pair that decided, and the one whose labels differ if that is another one."""
    decision = _KEPT.get(removal.kept_because, done)
    for match in dict.fromkeys((removal.match, removal.conflict)):
        if match is not None:
            yield Pair(
                match.image,
                match.other,
                match.distance,
                match.reason,
                decision,
                labels_differ=match == removal.conflict or removal.labels_differ,
            )


def write(
    folder: str,
    summary: Mapping[str, Any],
    pairs: Iterable[Pair],
    readers: Mapping[str, Reader],
    conflicts: Collection[Conflict] = (),
    *,
    file_name: str = FILE_NAME,
    listing: str = "pairs.jsonl",
) -> None:
    """Writes the page, a file of at most about 90 MB whatever the number of pairs.

    Pairs are sorted by distance, the largest first. At most `MAX_ROWS` of them have a row, and at
    most `previews.MAX_PAIRS` have pictures; the page says how many are left out. Equal arguments
    give equal files.

    Args:
        folder: the folder to write to; it exists.
        summary: the content of `report.json`; see `report.summarize`. Where it has "leaked", set →
            number of its images with a duplicate in training, the page shows that; else a lower
            bound, the number of those in `pairs`.
        pairs: all pairs, which are read several times; those of one image follow each other. What
            is in memory are those that have a row.
        readers: set name → reader of the work items of that set; training first.
        conflicts: the groups of images with equal bytes and different labels, sorted.
        file_name: the name of the page.
        listing: the name of the file, beside the page, that lists all pairs.
    """
    counts = _count(pairs)
    shown = _limit(heapq.nsmallest(MAX_ROWS, pairs, key=_least_certain_first))
    pictures = previews.read([(pair.image, pair.other) for pair in shown], readers)
    data = _Data(shown, _partly_shown(pairs, shown, counts.num_pairs), pictures)
    fields = {
        "summary": _paragraphs(_summarize(summary, counts, conflicts)),
        "sets": _sets_table(summary, pairs),
        "method": _method(summary),
        "left_out": _paragraphs(_left_out(counts.num_pairs, shown, data, listing)),
        "conflicts": _conflicts_section(conflicts),
        "listing": html.escape(listing),
        "data": data.to_json(),
    }
    storage.write_text(os.path.join(folder, file_name), _fill(TEMPLATE, fields))


def _least_certain_first(pair: Pair) -> tuple:
    return -pair.distance, sort_key(pair.image), sort_key(pair.other)


@dataclasses.dataclass(frozen=True)
class _Counts:
    """Numbers of all pairs: set name → number of images, and set name → decision → number."""

    num_pairs: int
    images: collections.Counter
    decisions: Mapping[str, collections.Counter]


def _count(pairs: Iterable[Pair]) -> _Counts:
    num_pairs, images = 0, collections.Counter()
    decisions: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for image, group in itertools.groupby(pairs, key=lambda pair: pair.image):
        found = [pair.decision for pair in group]
        num_pairs += len(found)
        images[image.set_name] += 1
        decisions[image.set_name].update(set(found))
    return _Counts(num_pairs, images, decisions)


def _partly_shown(pairs: Iterable[Pair], shown: Sequence[Pair], num_pairs: int) -> set[ImageId]:
    """The images of shown pairs that also have pairs that are left out."""
    if len(shown) == num_pairs:
        return set()
    images, rows = {pair.image for pair in shown}, set(shown)
    return {pair.image for pair in pairs if pair.image in images and pair not in rows}


def _limit(pairs: Sequence[Pair]) -> list[Pair]:
    """The first pairs, as many as may have a row."""
    num_bytes = 0
    for index, pair in enumerate(pairs):
        texts = (pair.image.source, pair.image.class_name, pair.other.source, pair.other.class_name)
        num_bytes += sum(len(_to_json(printable(text)).encode()) for text in texts) + 60
        if num_bytes > MAX_ROW_BYTES:
            return list(pairs[:index])
    return list(pairs)


class _Data:
    """What the script of the page reads: tables of images and pairs, which refer to each other."""

    def __init__(
        self,
        shown: Sequence[Pair],
        has_more: Collection[ImageId],
        pictures: Mapping[ImageId, bytes],
    ):
        self._names: dict[str, dict[str, int]] = collections.defaultdict(dict)
        self._images: dict[ImageId, int] = {}
        self._pictures, self._found = [], pictures
        self._rows: list[list] = []
        self._pairs = [self._pair(pair, pair.image in has_more) for pair in shown]
        self.num_pictured = sum(pair.image in pictures and pair.other in pictures for pair in shown)

    def to_json(self) -> str:
        """JSON that can stand in an HTML element, whatever the names of images and classes."""
        tables = {kind: list(names) for kind, names in sorted(self._names.items())}
        content = {**tables, "images": self._rows, "pairs": self._pairs}
        content["id"] = self._identity()
        content["pictures"] = self._pictures
        return _to_json(content)

    def _identity(self) -> str:
        """Under it, a browser keeps the verdicts: it changes with the pairs, not with decisions."""
        pairs = [pair[:3] for pair in self._pairs]
        images = [row[:2] for row in self._rows]
        text = json.dumps([self._names["sets"], images, pairs])
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _pair(self, pair: Pair, has_more: bool) -> list:
        return [
            self._image(pair.image),
            self._image(pair.other),
            pair.distance,
            self._index("reasons", pair.reason),
            self._index("decisions", pair.decision),
            int(pair.labels_differ),
            int(has_more),
        ]

    def _image(self, image: ImageId) -> int:
        if image not in self._images:
            self._images[image] = len(self._rows)
            self._rows.append(
                [
                    self._index("sets", printable(image.set_name)),
                    printable(image.source),
                    self._index("classes", printable(image.class_name)),
                    self._picture(self._found.get(image)),
                ]
            )
        return self._images[image]

    def _picture(self, jpeg: bytes | None) -> int:
        if jpeg is None:
            return -1
        self._pictures.append(base64.b64encode(jpeg).decode())
        return len(self._pictures) - 1

    def _index(self, kind: str, name: str) -> int:
        return self._names[kind].setdefault(name, len(self._names[kind]))


def _to_json(content: Any) -> str:
    """JSON without the characters that end an element or a line; the values stay the same."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _summarize(
    summary: Mapping[str, Any], counts: _Counts, conflicts: Collection[Conflict]
) -> list[str]:
    """What was found and done, in sentences."""
    compared = summary["compared"]
    others = [name for name in compared if name != TRAIN]
    base = (
        f"{_images(compared.get(TRAIN, 0), 'training image')} and "
        f"{_images(sum(compared[name] for name in others), 'image')} of {len(others)} other "
        f"{'set' if len(others) == 1 else 'sets'} were compared."
    )
    if not counts.num_pairs:
        found = ["No duplicates were found, and nothing was removed."]
    else:
        found = [*_describe_decisions(counts)]
        if not any(found[REMOVED] for found in counts.decisions.values()):
            found.append("Nothing was removed.")
    if conflicts:
        number = sum(map(len, conflicts))
        found.append(f"{_images(number, 'image')} with equal bytes and different labels.")
    return [base, " ".join(found)]


def _describe_decisions(counts: _Counts) -> Iterator[str]:
    """Such as "3 training images have a duplicate: 2 removed, 1 kept because listed."."""
    for name, found in sorted(counts.images.items(), key=lambda item: (item[0] != TRAIN, item[0])):
        kind = "training image" if name == TRAIN else f"image of {printable(name)}"
        decisions = counts.decisions[name].items()
        done = sorted(decisions, key=lambda item: (item[0] != REMOVED, item[0]))
        yield (
            f"{_images(found, kind)} {'has' if found == 1 else 'have'} a duplicate: "
            f"{', '.join(f'{number:,} {decision}' for decision, number in done)}."
        )


def _sets_table(summary: Mapping[str, Any], pairs: Iterable[Pair]) -> str:
    """A row for each compared set: its images, and how many of them are leaked into training."""
    is_exact = "leaked" in summary
    leaked = summary["leaked"] if is_exact else _count_leaked(pairs)
    rows = []
    for name, number in summary["compared"].items():
        found = leaked.get(name, 0)
        is_train = name == TRAIN
        at_least = "" if is_exact or not found else "≥ "
        share = f"{found / number:.2%}" if number else "–"
        cells = (
            f"{number:,}",
            f"{summary['unreadable'].get(name, 0):,}",
            f"{summary['duplicates_by_set'].get(name, 0):,}",
            "–" if is_train else f"{at_least}{found:,}",
            "–" if is_train else f"{at_least if number else ''}{share}",
        )
        numbers = "".join(f"<td>{cell}</td>" for cell in cells)
        title = f"<bdi>{html.escape(name)}</bdi>"
        rows.append(f"<tr><th scope=row>{title}{' (within)' if is_train else ''}</th>{numbers}")
    return "\n".join(rows)


def _count_leaked(pairs: Iterable[Pair]) -> dict[str, int]:
    """Set → number of images with a duplicate in training, as far as it is among the pairs."""
    found = {
        pair.other
        for pair in pairs
        if pair.image.set_name == TRAIN and pair.decision not in _KEPT.values()
    }
    return collections.Counter(printable(image.set_name) for image in found)


def _method(summary: Mapping[str, Any]) -> str:
    """How it was decided, for those who ask."""
    limits = [f"{name}: {value:g}" for name, value in summary["thresholds"].items()]
    lines = [
        f"Similarity is the {summary['method']}. Distance is 1 - similarity.",
        f"Two images are duplicates from these similarities on: {'; '.join(limits)}.",
    ]
    if summary["uniform_sets"]:
        names = ", ".join(summary["uniform_sets"])
        lines.append(f"Sets whose images all look alike, so that they must be equal: {names}.")
    return _paragraphs(lines)


def _left_out(num_pairs: int, shown: Sequence[Pair], data: _Data, listing: str) -> list[str]:
    """What the page does not show, if anything."""
    lines = []
    if len(shown) < num_pairs:
        lines.append(
            f"The {num_pairs - len(shown):,} most certain of {num_pairs:,} pairs are left out; "
            f"{listing} lists all."
        )
    if data.num_pictured < len(shown):
        lines.append(
            f"{data.num_pictured:,} of {len(shown):,} pairs have pictures, the least certain ones; "
            "the others would make the page too large."
        )
    return lines


def _conflicts_section(conflicts: Collection[Conflict]) -> str:
    if not conflicts:
        return ""
    shown = [*itertools.islice(conflicts, _MAX_CONFLICTS)]
    groups = "\n".join(f"<li><ul>{_conflict_items(conflict)}</ul></li>" for conflict in shown)
    more = len(conflicts) - len(shown)
    rest = f"<p>{more:,} more groups are listed in label_conflicts.jsonl.</p>" if more else ""
    return (
        f"<section id=conflicts><h2>Equal bytes, different labels: {len(conflicts):,} "
        f"{'group' if len(conflicts) == 1 else 'groups'}</h2>\n<p>Of each group, at most one label "
        f"can be right.</p>\n<ol>{groups}</ol>{rest}</section>"
    )


def _conflict_items(conflict: Conflict) -> str:
    items = "".join(map(_conflict_item, conflict[:_MAX_CONFLICT_IMAGES]))
    more = len(conflict) - _MAX_CONFLICT_IMAGES
    return items + (f"<li>and {more:,} more</li>" if more > 0 else "")


def _conflict_item(image: LabeledImage) -> str:
    class_name, set_name, source = (
        f"<bdi>{html.escape(printable(text))}</bdi>"
        for text in (image.class_name, image.set_name, image.source)
    )
    return f"<li><b>{class_name}</b> in {set_name}: <span class=path>{source}</span></li>"


def _paragraphs(lines: Iterable[str]) -> str:
    return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _images(number: int, noun: str) -> str:
    first, _, rest = noun.partition(" of ")
    plural = first if number == 1 else f"{first}s"
    return f"{number:,} {plural}{f' of {rest}' if rest else ''}"


def _fill(template: str, fields: Mapping[str, str]) -> str:
    """The template with its fields, in one pass: what a field contains is not replaced."""
    fields = {**fields, "policy": _policy(template)}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: fields[found[1]], template)


def _policy(template: str) -> str:
    """A Content Security Policy that allows the script and the style of the template alone."""

    def digest(tag: str) -> str:
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", template, re.DOTALL)
        return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest('script')}'; "
        f"style-src 'sha256-{digest('style')}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
