# SPDX-License-Identifier: Apache-2.0
"""Decisions and comparisons in Beam equal those of the library, which sees everything at once."""

import random

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from components.deduplicator.decisions import Decide
from components.deduplicator.transforms import Deduplicate
from mixer_tf.datasets import examples
from mixer_tf.datasets.examples import read_records as read
from mixer_tf.datasets.files import make_record
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import COPY, EXACT, Match
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import decide


def random_matches(seed: int) -> list[Match]:
    """Matches as `find_matches` gives them: with test images, and with earlier training images."""
    rng = random.Random(seed)
    classes = ["cat", "dog", ""]
    train = [ImageId("train", f"{n:03}", rng.choice(classes), "shard", n) for n in range(150)]
    tests = [
        ImageId(rng.choice(["eval", "test", "tfds:x"]), str(n), rng.choice(classes), "other", n)
        for n in range(30)
    ]
    pairs = [(rng.choice(train), rng.choice(tests)) for _ in range(40)]
    pairs += [(b, a) for a, b in zip(train[:40], train[1:], strict=False)]  # a chain
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
