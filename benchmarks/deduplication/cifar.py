# SPDX-License-Identifier: Apache-2.0
"""How many of the labeled duplicates of CIFAR-10 are found, and at what cost.

    python -m benchmarks.deduplication --cifar=FOLDER

FOLDER holds `train.zip` and `test.zip`, whose images are `<class>/NNNN.jpg`; `test_half.txt`, the
names of the test images that are compared; and `near_duplicates.csv` with pairs of them and of
training images: test, train, label ("duplicate", "ambiguous" or "different"), source ("ciFAIR" for
the list of Barz and Denzler that people labeled, or another one).

A test image counts as found if one of its labeled duplicates is. The columns "different" and
"unlisted" are further test images in the result: those of a pair that people judged as different,
and those of a pair that the file does not have. The latter are either false alarms or duplicates
that the list lacks; only a look at them tells. When the thresholds below were chosen, the pairs of
37 such images were copies by eye; besides them, 5 and 25 images had a pair that is none. Images
that are found as duplicates as well are not in these columns. A change of the method that raises
the numbers at a threshold has new false alarms, or finds new copies: look at the pairs.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import itertools
import pathlib
import time
import zipfile
from collections.abc import Iterable, Iterator, Mapping

from benchmarks.deduplication.methods import make_records
from mixer_tf import console
from mixer_tf.deduplication import matching
from mixer_tf.deduplication.fingerprints import Fingerprints, concatenate, fingerprint
from mixer_tf.deduplication.gallery import Gallery, find_in_gallery, make_gallery
from mixer_tf.deduplication.thresholds import DUPLICATE

# Similarities: the default, and those with 5 and with 25 false alarms of 5,000 test images.
THRESHOLDS = {"default": DUPLICATE, "5 false alarms": 0.58, "25 false alarms": 0.3}
FILES = ("train.zip", "test.zip", "test_half.txt", "near_duplicates.csv")
_LOWEST = min(THRESHOLDS.values())
_PARTS = 8  # of 128 training images, which are compared at a time
_DUPLICATE, _DIFFERENT, _HUMAN = "duplicate", "different", "ciFAIR"

Pair = tuple[str, str]  # names of a test image and of a training image


@dataclasses.dataclass(frozen=True)
class Labels:
    """The content of `near_duplicates.csv`.

    Attributes:
        labels: pair → its label.
        human: test images with a duplicate that people labeled.
        all: test images with any labeled duplicate.
    """

    labels: Mapping[Pair, str]
    human: frozenset[str]
    all: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The pairs that were found, and the cost.

    Attributes:
        similarities: pair → similarity, from the lowest threshold on.
        num_test, num_train: numbers of images.
        num_candidates: number of candidates of all views.
        read_seconds: CPU time of decoding and fingerprints.
        compare_seconds: CPU time of the comparison.
    """

    similarities: Mapping[Pair, float]
    num_test: int
    num_train: int
    num_candidates: int
    read_seconds: float
    compare_seconds: float


@dataclasses.dataclass(frozen=True)
class Quality:
    """What is found from one similarity on.

    Attributes:
        human: share of the test images with a duplicate that people labeled.
        all: share of the test images with any labeled duplicate.
        different: number of test images in pairs that people judged as different, and in no
            labeled duplicate that is found.
        unlisted: number of other test images in pairs that the file does not have.
    """

    human: float
    all: float
    different: int
    unlisted: int


def make_tables(folder: str) -> str:
    """Compares the images, and returns both tables.

    Raises:
        OSError: a file is missing.
    """
    labels, found = read_labels(folder), compare(folder)
    rows = []
    for name, threshold in THRESHOLDS.items():
        quality = measure(found.similarities, labels, threshold)
        shares = (f"{quality.human:.1%}", f"{quality.all:.1%}")
        rows.append([name, f"{threshold}", *shares, quality.different, quality.unlisted])
    title = f"CIFAR-10, {found.num_test:,} test and {found.num_train:,} training images"
    found_of = (f"of {len(labels.human):,} by people", f"of {len(labels.all):,} labeled")
    header = [title, "threshold", *found_of, "different", "unlisted"]
    rows = [list(map(str, row)) for row in rows]
    return f"{console.format_table(header, rows)}\n\n{_cost_table(found)}"


def _cost_table(found: Comparison) -> str:
    images, pairs = found.num_test + found.num_train, found.num_test * found.num_train
    rows = {
        "candidates": f"{found.num_candidates:,}",
        "CPU seconds, decoding and fingerprints": f"{found.read_seconds:,.1f}",
        "CPU seconds, comparison": f"{found.compare_seconds:,.1f}",
        "images/s of CPU time": f"{images / max(found.read_seconds, 1e-9):,.0f}",
        "pairs/s of CPU time": f"{pairs / max(found.compare_seconds, 1e-9):,.0f}",
    }
    return console.format_table(["cost", ""], [[name, cell] for name, cell in rows.items()])


def read_labels(folder: str) -> Labels:
    """Reads `near_duplicates.csv`, as far as its test images are compared."""
    half = _read_half(folder)
    with open(pathlib.Path(folder, "near_duplicates.csv"), encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["test"] in half]
    duplicates = [row for row in rows if row["label"] == _DUPLICATE]
    return Labels(
        labels={(row["test"], row["train"]): row["label"] for row in rows},
        human=frozenset(row["test"] for row in duplicates if row["source"] == _HUMAN),
        all=frozenset(row["test"] for row in duplicates),
    )


def compare(folder: str) -> Comparison:
    """Compares all training images with the test images, as the pipeline does."""
    names, train_names = sorted(_read_half(folder)), _list_images(folder, "train.zip")
    clock, similarities = _Clock(), {}
    gallery = clock.reading(lambda: _read_gallery(folder, names))
    parts = fingerprint(_read_records(folder, "train.zip", train_names), "train", None, _LOWEST)
    with _counting_candidates() as counter:
        while images := clock.reading(lambda: [*itertools.islice(parts, _PARTS)]):
            found = clock.comparing(lambda images=images: _find(images, gallery))
            for test, train, similarity in found:
                similarities[names[test], train_names[train]] = similarity
    return Comparison(
        *(similarities, len(names), len(train_names), counter["candidates"]),
        *(clock.read_seconds, clock.compare_seconds),
    )


def measure(similarities: Mapping[Pair, float], labels: Labels, threshold: float) -> Quality:
    """Returns what is found from a similarity on."""
    found = collections.defaultdict(set)
    for pair, similarity in similarities.items():
        if similarity >= threshold:
            found[labels.labels.get(pair, "")].add(pair[0])
    listed = found[_DUPLICATE]
    different = found[_DIFFERENT] - listed
    return Quality(
        human=len(listed & labels.human) / max(1, len(labels.human)),
        all=len(listed) / max(1, len(labels.all)),
        different=len(different),
        unlisted=len(found[""] - listed - different),
    )


class _Clock:
    """CPU seconds of two kinds of work."""

    read_seconds = compare_seconds = 0.0

    def reading(self, work):
        result, seconds = _timed(work)
        self.read_seconds += seconds
        return result

    def comparing(self, work):
        result, seconds = _timed(work)
        self.compare_seconds += seconds
        return result


def _timed(work):
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _read_gallery(folder: str, names: list[str]) -> Gallery:
    records = _read_records(folder, "test.zip", names)
    return make_gallery(fingerprint(records, "test", None, _LOWEST))


def _find(parts: Iterable[Fingerprints], gallery: Gallery) -> list[tuple[int, int, float]]:
    """Indices of the test and the training image of each pair, and its similarity."""
    return [
        (int(match.other.source), int(match.image.source), 1 - match.distance)
        for match in find_in_gallery(concatenate(parts), gallery)
    ]


@contextlib.contextmanager
def _counting_candidates() -> Iterator[collections.Counter]:
    counter, find = collections.Counter(), matching.find_candidates

    def counting(*images):
        pairs = find(*images)
        counter["candidates"] += len(pairs)
        return pairs

    matching.find_candidates = counting
    try:
        yield counter
    finally:
        matching.find_candidates = find


def _read_half(folder: str) -> frozenset[str]:
    return frozenset(pathlib.Path(folder, "test_half.txt").read_text("utf-8").split())


def _list_images(folder: str, name: str) -> list[str]:
    with zipfile.ZipFile(pathlib.Path(folder, name)) as file:
        return sorted(found for found in file.namelist() if found.endswith(".jpg"))


def _read_records(folder: str, name: str, images: Iterable[str]):
    """The records of some images, whose sources are their indices."""
    with zipfile.ZipFile(pathlib.Path(folder, name)) as file:
        yield from make_records(map(file.read, images))
