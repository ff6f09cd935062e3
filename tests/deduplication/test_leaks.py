# SPDX-License-Identifier: Apache-2.0
"""Which test images leaked into training, and what each of them is a duplicate of."""

import numpy as np
import pytest

from mixer_tf.deduplication.fingerprints import _ARRAYS, Fingerprints, ImageId
from mixer_tf.deduplication.gallery import Gallery
from mixer_tf.deduplication.leaks import find_leaks
from mixer_tf.deduplication.matching import COPY, EXACT, Match


def train(name: str, class_name: str = "cat") -> ImageId:
    return ImageId("train", name, class_name, "train shard", 0)


@pytest.fixture
def gallery() -> Gallery:
    """Three test images with equal bytes, and one image of each other set."""
    ids = [ImageId("test", f"t{index}", "cat", "shard 1", index) for index in range(3)]
    ids += [ImageId("test", "u", "dog", "shard 2", 0), ImageId("eval", "v", "cat", "shard 3", 5)]
    ids += [ImageId("folder:/web", "w", "", "shard 4", 0)]
    digests = [b"t", b"t", b"t", b"u", b"t", b"w"]
    none = np.zeros((len(ids), 0))
    return Gallery(Fingerprints(tuple(ids), tuple(digests), *[none] * len(_ARRAYS)), ())


def find(gallery: Gallery, matches: list[Match], keep=frozenset(), **options):
    return find_leaks(matches, gallery, {"train", "eval", "test"}, keep, **options)


def test_all_images_with_the_bytes_of_a_leaked_one_leaked(gallery):
    images = gallery.images.ids
    matches = [Match(train("b"), images[1], 0.1, COPY), Match(train("a"), images[0], 0.1, COPY)]
    matches += [Match(train("c"), images[5], 0.02, COPY)]
    found = find(gallery, matches, with_marks=True)
    assert found.counts == {"test": 3, "folder:/web": 1}
    # The first by name of equal distance; images of other sets are not in the Examples.
    assert found.marks == {"shard 1": {0: "a", 1: "a", 2: "a"}}
    assert find(gallery, matches[::-1], with_marks=True) == found
    assert find(gallery, matches).marks == {}


def test_only_duplicates_that_would_be_removed_count(gallery):
    t0, _, _, u, v, _ = gallery.images.ids
    matches = [
        Match(train("a"), u, 0.1, COPY),  # Another class.
        Match(train("listed"), t0, 0.0, EXACT),
        Match(v, t0, 0.0, EXACT),  # An image of the evaluation split is not in training.
    ]
    assert find(gallery, matches, {"listed"}).counts == {}
    assert find(gallery, [Match(train("a"), u, 0.0, EXACT)]).counts == {"test": 1}
    assert find(gallery, [Match(train("a", ""), u, 0.1, COPY)]).counts == {"test": 1}
    assert find(gallery, []).marks == {}
