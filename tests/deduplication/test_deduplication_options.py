# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from mixer_tf.datasets.files import make_record
from mixer_tf.deduplication import thresholds
from mixer_tf.deduplication.fingerprints import concatenate, fingerprint_shard
from mixer_tf.deduplication.matching import find_matches
from mixer_tf.deduplication.options import DeduplicationOptions


def test_the_defaults_are_those_that_were_measured():
    assert DeduplicationOptions() == DeduplicationOptions(0.75, within_train=False, mode="remove")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.1}, r"between 0.2 and 1; got threshold=0.1. Use 0.75"),
        ({"threshold": 1.01}, r"got threshold=1.01"),
        ({"threshold": float("nan")}, "got threshold=nan"),
        ({"mode": "delete"}, "must be one of remove, mark, report; got mode='delete'"),
    ],
)
def test_invalid_options_are_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        DeduplicationOptions(**options)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [(0.7, [0.7, 0.996, 2.0]), (0.86, [0.86, 0.996, 2.0]), (0.999, [0.999, 0.999, 2.0])],
)
def test_the_stricter_thresholds_are_never_below_the_threshold(threshold, expected):
    detailed = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    luma = np.stack([detailed, detailed, np.full((32, 32), 7, np.uint8)])
    found = thresholds.image_thresholds(luma, np.array([100, 8, 100]), threshold)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_fewer_duplicates_reach_a_higher_threshold(photo, save):
    modified = photo.crop((10, 10, photo.width - 10, photo.height - 10))

    def find(threshold: float) -> list:
        first, second = (
            concatenate(fingerprint_shard(encoded, read, name, threshold))
            for name, encoded in (("test", save(photo)), ("train", save(modified)))
        )
        return list(find_matches(second, first))

    def read(encoded: bytes):
        return [make_record(encoded, 0, "cat", "photo")]

    (match,) = find(0.75)
    assert find(1 - match.distance - 0.01)
    assert not find(1 - match.distance + 0.01)
