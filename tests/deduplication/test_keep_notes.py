# SPDX-License-Identifier: Apache-2.0
"""What is noted about the lines of a list of duplicates to keep."""

from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import COPY, Match
from mixer_tf.deduplication.notes import describe_removals
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import decide
from mixer_tf.deduplication.tally import tally


def duplicate(source: str, shard: str) -> Match:
    image = ImageId("train", source, "", shard, 0)
    return Match(image, ImageId("test", "t.png", "", "shard", 0), 0.1, COPY)


def test_ids_that_keep_several_images_and_ids_of_none_are_noted():
    keep = frozenset({"0001.png", "0002.png", "0003.png"})
    matches = [duplicate("0001.png", shard) for shard in "ab"]
    matches += [duplicate("0002.png", "a"), duplicate("0004.png", "a")]
    found = tally(decide(matches, keep=keep), keep)
    assert (found.unused_keep, found.keep_several) == (("0003.png",), ("0001.png",))
    notes = describe_removals(found, DeduplicationOptions(keep=keep), (), num_train=100)
    assert notes == (
        "kept, because --keep-duplicates lists them: 3 images",
        "lines of --keep-duplicates that name no duplicate: 1, such as '0003.png'",
        "lines of --keep-duplicates that name several duplicates, which are all kept: 1, such as "
        "'0001.png'",
    )
