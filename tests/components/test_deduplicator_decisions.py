# SPDX-License-Identifier: Apache-2.0
"""Decisions and comparisons in Beam equal those of the library, which sees everything at once."""

import random

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from components.deduplicator.comparison import FindInTests, FindUniformSets
from components.deduplicator.copying import key_marks
from components.deduplicator.decisions import Decide
from components.deduplicator.leaked import FindLeaks
from components.deduplicator.transforms import Deduplicate
from mixer_tf.datasets import examples
from mixer_tf.datasets.examples import read_records as read
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication import blocks
from mixer_tf.deduplication.fingerprints import (
    _ARRAYS,
    Fingerprints,
    ImageId,
    concatenate,
    fingerprint,
    sort_key,
)
from mixer_tf.deduplication.gallery import Gallery, find_in_tests, make_gallery
from mixer_tf.deduplication.leaks import find_leaks
from mixer_tf.deduplication.matching import COPY, EXACT, Match, find_matches
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import decide
from mixer_tf.features import SPLITS


def random_matches(seed: int) -> list[Match]:
    """Matches as `find_matches` gives them: with test images, and with earlier training images.

    Images of the evaluation split have matches with test images as well.
    """
    rng = random.Random(seed)
    classes = ["cat", "dog", ""]
    train = [ImageId("train", f"{n:03}", rng.choice(classes), "shard", n) for n in range(150)]
    tests = [
        ImageId(rng.choice(["eval", "test", "tfds:x"]), str(n), rng.choice(classes), "other", n)
        for n in range(30)
    ]
    pairs = [(rng.choice(train), rng.choice(tests)) for _ in range(40)]
    pairs += [(b, a) for a, b in zip(train[:40], train[1:], strict=False)]  # a chain
    evaluation = [image for image in tests if image.set_name == "eval"]
    others = [image for image in tests if image.set_name != "eval"]
    pairs += [(rng.choice(evaluation), rng.choice(others)) for _ in range(20)]
    for _ in range(120):
        first, second = sorted(rng.sample(train, 2), key=lambda image: image.source)
        pairs.append((second, first))
    return [
        Match(image, other, rng.choice([0.0, 0.01, 0.1]), rng.choice([COPY, EXACT]))
        for image, other in dict.fromkeys(pairs)
    ]


@pytest.mark.parametrize("seed", range(2))
def test_decisions_within_training(seed):
    matches = random_matches(seed)
    keep = frozenset({"007", "031", "100"})
    expected = decide(matches, ("train", "eval", "test"), keep)
    assert {removal.match.image.set_name for removal in expected} == {"train", "eval"}
    assert {removal.kept_because for removal in expected} == {
        "",
        "labels differ",
        "listed as a duplicate to keep",
    }
    with beam.Pipeline() as pipeline:
        found = (
            pipeline
            | beam.Create(random.Random(seed).sample(matches, len(matches)))
            | Decide(("train", "eval", "test"), keep, within_train=True)
        )
        assert_that(found, equal_to(expected))


def test_decisions_about_test_sets_alone():
    matches = [match for match in random_matches(3) if match.other.set_name != "train"]
    with beam.Pipeline() as pipeline:
        found = pipeline | beam.Create(matches) | Decide(("train", "eval"), (), within_train=False)
        assert_that(found, equal_to(decide(matches, ("train", "eval"))))


@pytest.mark.parametrize("seed", range(2))
def test_leaks_are_those_of_the_library(seed):
    """Each digest is that of several images, of which some have no match."""
    matches, rng = random_matches(seed), random.Random(seed)
    ids = {match.other for match in matches if match.other.set_name != "train"}
    ids |= {ImageId(rng.choice(SPLITS[1:]), f"{n}", "", "other", n) for n in range(100, 140)}
    ids = sorted(ids, key=sort_key)
    digests = [rng.choice([b"1", b"2", b"3", image.source.encode()]) for image in ids]
    none = np.zeros((len(ids), 0))
    tests = Fingerprints(tuple(ids), tuple(digests), *[none] * len(_ARRAYS))
    comparable, keep = ("train", "eval", "test"), frozenset({"007", "031", "100"})
    expected = find_leaks(matches, Gallery(tests, ()), comparable, keep, with_marks=True)
    assert len(expected.counts) == 3 and expected.counts["test"] > 10
    with beam.Pipeline() as pipeline:
        parts = [tests.take(range(start, len(ids), 3)) for start in range(3)]
        leaked = (
            pipeline
            | "Matches" >> beam.Create(rng.sample(matches, len(matches)))
            | FindLeaks(pipeline | "Tests" >> beam.Create(parts), comparable, keep)
        )
        counts = (
            leaked
            | beam.Map(lambda found: found.image.set_name)
            | beam.combiners.Count.PerElement()
        )
        assert_that(counts, equal_to([*expected.counts.items()]), "counts")
        marks = leaked | "Marks" >> beam.FlatMap(key_marks)
        expected_marks = [("other", item) for item in expected.marks["other"].items()]
        assert_that(marks, equal_to(expected_marks), "marks")


def test_evaluation_images_of_a_uniform_dataset_are_compared_as_in_the_library(encode, monkeypatch):
    """Digits, of which a downstream set has too few to be uniform by itself, and copies."""
    datasets = pytest.importorskip("sklearn.datasets")
    pixels = np.round(datasets.load_digits().images[:100] * (255 / 16)).astype(np.uint8)
    digits = [Image.fromarray(item).resize((28, 28), Image.Resampling.BICUBIC) for item in pixels]
    sets = {"eval": digits[:40] + digits[80:85], "test": digits[40:85], "folder:/x": digits[85:100]}
    parts = []
    for name, members in sets.items():
        images = [encode(item, "PNG" if name == "eval" else "WEBP", quality=95) for item in members]
        records = [make_record(data, 0, "", f"{n:02}") for n, data in enumerate(images)]
        parts += fingerprint(records, name)
    gallery = make_gallery(parts)
    expected = [*find_in_tests(0, gallery)]
    assert gallery.uniform_sets == ("eval", "test") and len(expected) == 5
    evaluation = concatenate(parts).take(gallery.evaluation)
    assert sum(len([*find_matches(evaluation, tests)]) for tests in gallery.tests) > 5
    monkeypatch.setattr(blocks, "BLOCK_SIZE", 16)
    with beam.Pipeline() as pipeline:
        images = pipeline | beam.Create(parts)
        found = images | FindInTests(images | FindUniformSets())
        assert_that(found, equal_to(expected))


def test_a_dataset_without_test_sets_is_compared_with_itself(tmp_path, make_pixels, encode):
    images = [encode(make_pixels(index % 30, 64, 64), "JPEG", quality=90) for index in range(36)]
    records = [make_record(data, 0, "cat", f"{n:02}.jpg") for n, data in enumerate(images)]
    folders = [str(tmp_path / name) for name in ("in", "out", "report")]
    examples.write(records, folders[0], "train", 2)
    DatasetInfo("folder:/x", ("cat",), {"train": {"cat": 36}}, ()).write(folders[0])
    options = DeduplicationOptions(within_train=True)
    with beam.Pipeline() as pipeline:
        _ = pipeline | Deduplicate(folders[0], ["train"], *folders[1:], options=options)
    assert DatasetInfo.read(folders[1]).counts == {"train": {"cat": 30}}
    kept = [r.source for path in examples.list_shards(folders[1], "train") for r in read(path)]
    assert sorted(kept) == [f"{n:02}.jpg" for n in range(30)]
