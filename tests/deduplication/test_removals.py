# SPDX-License-Identifier: Apache-2.0
import json

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication import report
from mixer_tf.deduplication.filtering import update_info
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import COPY, EXACT, Match
from mixer_tf.deduplication.removals import decide


def train(name: str) -> ImageId:
    return ImageId("train", name, "cat", "shard", ord(name))


def held_out(set_name: str, source: str) -> ImageId:
    return ImageId(set_name, source, "dog", "other", 0)


def removed(matches: list[Match]) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {r.match.image.source: (r.match.other.source, r.test_sets) for r in decide(matches)}


def test_the_most_similar_duplicate_is_reported_with_all_test_sets():
    matches = [
        Match(train("a"), held_out("test", "x"), 0.1, COPY),
        Match(train("a"), held_out("eval", "y"), 0.0, EXACT),
        Match(train("b"), held_out("test", "x"), 0.05, COPY),
    ]
    expected = {"a": ("y", ("eval", "test")), "b": ("x", ("test",))}
    assert removed(matches) == removed(matches[::-1]) == expected


def test_the_first_of_duplicates_within_training_is_kept():
    pairs = [("b", "a"), ("c", "a"), ("c", "b")]
    matches = [Match(train(one), train(other), 0.01, COPY) for one, other in pairs]
    assert removed(matches) == {"b": ("a", ()), "c": ("a", ())}


def test_both_ends_of_a_chain_are_kept():
    matches = [Match(train(one), train(other), 0.1, COPY) for one, other in ("ba", "cb")]
    assert removed(matches) == {"b": ("a", ())}


def test_an_image_is_kept_if_its_only_duplicate_is_removed():
    matches = [
        Match(train("a"), held_out("test", "x"), 0.1, COPY),
        Match(train("b"), train("a"), 0.1, COPY),
    ]
    assert removed(matches) == {"a": ("x", ("test",))}


def test_counts_are_reduced_and_an_empty_class_is_noted():
    counts = {"train": {"cat": 2, "dog": 5}, "test": {"cat": 1, "dog": 1}}
    info = DatasetInfo("folder:/pets", ("cat", "dog"), counts, ("a note",))
    removals = decide(
        [Match(train(name), held_out("test", "x"), 0.0, EXACT) for name in ("a", "b")]
    )
    updated = update_info(info, removals)
    assert updated.counts == {"train": {"dog": 5}, "test": {"cat": 1, "dog": 1}}
    assert updated.class_names == ("cat", "dog")
    assert updated.notes[0] == "a note"
    assert "class 'cat' has no training images left: all 2 were duplicates" in updated.notes[1]


def test_a_uniform_set_is_noted():
    info = DatasetInfo("digits", ("0",), {"train": {"0": 2}})
    (note,) = update_info(info, [], uniform_sets=["test", "test"]).notes
    assert note.startswith("the images of test all look alike")


def test_a_line_of_the_report_describes_one_duplicate():
    image = ImageId("train", "caf\udce9.jpg", "cat", "shard", 0)
    (removal,) = decide([Match(image, held_out("test", "x.jpg"), 0.012, COPY)])
    assert json.loads(report.to_line(removal)) == {
        "image": {"source": "caf�.jpg", "class_name": "cat"},
        "duplicate_of": {"set": "test", "source": "x.jpg", "class_name": "dog"},
        "distance": 0.012,
        "reason": "near-duplicate",
        "test_sets": ["test"],
    }
