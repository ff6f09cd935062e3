# SPDX-License-Identifier: Apache-2.0
"""The upper part of the page: what was compared, found and done, in sentences and as a table."""

from __future__ import annotations

import collections
import dataclasses
import html
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from mixer_tf.deduplication.label_conflicts import Conflict
from mixer_tf.deduplication.pairs import REMOVED, Pair
from mixer_tf.features import TRAIN
from mixer_tf.messages import printable


@dataclasses.dataclass(frozen=True)
class Counts:
    """Numbers of all pairs: set name → number of images, and set name → decision → number."""

    num_pairs: int
    images: collections.Counter
    decisions: Mapping[str, collections.Counter]


def count(pairs: Iterable[Pair]) -> Counts:
    """Counts pairs; those of one image follow each other."""
    num_pairs, images = 0, collections.Counter()
    decisions: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for image, group in itertools.groupby(pairs, key=lambda pair: pair.image):
        found = [pair.decision for pair in group]
        num_pairs += len(found)
        images[image.set_name] += 1
        decisions[image.set_name].update(set(found))
    return Counts(num_pairs, images, decisions)


def summarize(
    summary: Mapping[str, Any], counts: Counts, conflicts: Collection[Conflict]
) -> list[str]:
    """Returns what was found and done, in sentences."""
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


def _describe_decisions(counts: Counts) -> Iterator[str]:
    """Such as "3 training images have a duplicate: 2 removed, 1 kept because listed."."""
    for name, found in sorted(counts.images.items(), key=lambda item: (item[0] != TRAIN, item[0])):
        kind = "training image" if name == TRAIN else f"image of {printable(name)}"
        decisions = counts.decisions[name].items()
        done = sorted(decisions, key=lambda item: (item[0] != REMOVED, item[0]))
        yield (
            f"{_images(found, kind)} {'has' if found == 1 else 'have'} a duplicate: "
            f"{', '.join(f'{number:,} {decision}' for decision, number in done)}."
        )


def sets_table(summary: Mapping[str, Any], pairs: Iterable[Pair]) -> str:
    """Returns a row for each compared set: its images, and how many are leaked into training."""
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
    found = {pair.other for pair in pairs if pair.image.set_name == TRAIN and not pair.is_kept}
    return collections.Counter(printable(image.set_name) for image in found)


def method(summary: Mapping[str, Any]) -> str:
    """Returns how it was decided, for those who ask."""
    limits = [f"{name}: {value:g}" for name, value in summary["thresholds"].items()]
    lines = [
        f"Method: {summary['method']}. Distance is 1 - similarity.",
        f"Two images are duplicates from these similarities on: {'; '.join(limits)}.",
    ]
    if summary["uniform_sets"]:
        names = ", ".join(summary["uniform_sets"])
        lines.append(f"Sets whose images all look alike, so that they must be equal: {names}.")
    return paragraphs(lines)


def paragraphs(lines: Iterable[str]) -> str:
    """Returns HTML with a paragraph for each line of text."""
    return "\n".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _images(number: int, noun: str) -> str:
    first, _, rest = noun.partition(" of ")
    plural = first if number == 1 else f"{first}s"
    return f"{number:,} {plural}{f' of {rest}' if rest else ''}"
