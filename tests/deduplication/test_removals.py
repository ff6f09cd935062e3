# SPDX-License-Identifier: Apache-2.0
import json

from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.deduplication import report
from mixer_tf.deduplication.filtering import select_removed, update_info
from mixer_tf.deduplication.fingerprints import ImageId
from mixer_tf.deduplication.matching import COPY, EXACT, MIRRORED, Match
from mixer_tf.deduplication.notes import describe_removals
from mixer_tf.deduplication.options import DeduplicationOptions
from mixer_tf.deduplication.removals import LISTED, Removal, decide
from mixer_tf.deduplication.tally import tally


def train(name: str, class_name: str = "cat") -> ImageId:
    return ImageId("train", name, class_name, "shard", ord(name))


def held_out(set_name: str, source: str, class_name: str = "cat") -> ImageId:
    return ImageId(set_name, source, class_name, "other", 0)


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
    updated = update_info(info, tally(removals).classes)
    assert updated.counts == {"train": {"dog": 5}, "test": {"cat": 1, "dog": 1}}
    assert updated.class_names == ("cat", "dog")
    assert updated.notes[0] == "a note"
    assert "class 'cat' has no training images left: all 2 were duplicates" in updated.notes[1]


def notes_of(removals: list[Removal], num_train: int = 100, **options) -> tuple[str, ...]:
    options = DeduplicationOptions(**options)
    return describe_removals(tally(removals, options.keep), options, (), num_train)


def test_a_uniform_set_is_noted():
    (note,) = describe_removals(tally([]), DeduplicationOptions(), ["test", "test"], 100)
    assert note.startswith("the images of test all look alike")
    info = DatasetInfo("digits", ("0",), {"train": {"0": 2}}, ("a note",))
    assert update_info(info, {}, [note]).notes == ("a note", note)


def test_a_large_share_of_removals_is_noted_with_the_page_to_look_at():
    leaks = [Match(train(name), held_out("test", "x"), 0.1, COPY) for name in "abcd"]
    (note,) = notes_of(decide(leaks))
    assert note.startswith("removed as duplicates: 4 training images (4.0% of 100)")
    assert "; look at pairs.html; --deduplicate=report" in note
    assert "--keep-duplicates=FILE" in note
    assert not notes_of(decide(leaks[:3]))
    (note,) = notes_of(decide(leaks[:1]), mode="report")
    assert note == "duplicates that were not removed: 1 training image; look at pairs.html"


def test_a_similar_image_of_another_class_is_reported_and_kept():
    matches = [
        Match(train("a"), held_out("test", "x", "dog"), 0.02, COPY),
        Match(train("b"), train("a", "dog"), 0.01, MIRRORED),
        Match(train("c"), held_out("eval", "y", ""), 0.02, COPY),
        Match(train("d", ""), held_out("test", "x", "dog"), 0.02, COPY),
        Match(train("e"), held_out("test", "x", "dog"), 0.01, COPY),
        Match(train("e"), held_out("eval", "z"), 0.02, COPY),
    ]
    removals = decide(matches)
    assert {r.match.image.source: r.kept for r in removals} == {
        **{"a": True, "b": True},
        **{"c": False, "d": False, "e": False},  # No class to compare, or also one of its class.
    }
    assert [r.match.image.source for r in select_removed(removals, DeduplicationOptions())] == [
        *"cde"
    ]
    assert removals[4].match.other.source == "z"
    summary = report.summarize(
        tally(removals), DeduplicationOptions(), {}, ["train", "test", "eval"], ()
    )
    assert (summary["duplicates"], summary["removed"]) == (3, 3)
    assert summary["kept_because_labels_differ"] == 2
    assert summary["duplicates_by_set"] == {"train": 0, "test": 1, "eval": 2}
    kept = [json.loads(report.to_line(removal))["kept_because"] for removal in removals]
    assert kept == ["labels differ", "labels differ", "", "", ""]
    (note,) = notes_of(removals)
    assert note.startswith("kept, although similar to an image of another class: 2 images")


def test_equal_bytes_of_another_class_are_kept_unless_they_leak():
    matches = [
        Match(train("a"), held_out("test", "x", "dog"), 0.0, EXACT),
        Match(train("c"), train("b", "dog"), 0.0, EXACT),
    ]
    leak, conflict = decide(matches)
    assert (leak.kept, leak.labels_differ) == (False, True)
    assert (conflict.kept, conflict.labels_differ) == (True, True)
    (note,) = notes_of([leak, conflict])
    assert note.startswith("kept, although similar to an image of another class: 1 image")


def test_a_listed_image_is_kept_whatever_it_is_a_duplicate_of():
    matches = [
        Match(train("a"), held_out("test", "x"), 0.0, EXACT),
        Match(train("b"), train("a"), 0.1, COPY),
        Match(train("c", "dog"), held_out("test", "x"), 0.1, COPY),
        Match(train("d"), held_out("test", "x"), 0.1, COPY),
    ]
    removals = decide(matches, keep={"a", "c"})
    assert {r.match.image.source: r.kept_because for r in removals} == {
        **{"a": LISTED, "c": LISTED},
        # The listed image is left in training, so "b" is a duplicate of it.
        **{"b": "", "d": ""},
    }
    options = DeduplicationOptions(keep=frozenset("acz"))
    assert [r.match.image.source for r in select_removed(removals, options)] == ["b", "d"]
    summary = report.summarize(tally(removals), options, {}, ["train", "test"], ())
    assert (summary["duplicates"], summary["kept_because_listed"]) == (2, 2)
    assert summary["kept_because_labels_differ"] == 0
    kept, not_found = describe_removals(tally(removals, options.keep), options, (), 100)
    assert kept == "kept, because --keep-duplicates lists them: 2 images"
    assert not_found.endswith("that name no duplicate: 1, such as 'z'")


def test_a_path_is_listed_as_the_report_shows_it():
    image = ImageId("train", "caf\udce9.jpg", "cat", "shard", 0)
    (removal,) = decide([Match(image, held_out("test", "x"), 0.0, EXACT)], keep={"caf\ufffd.jpg"})
    assert removal.kept


def test_classes_of_another_dataset_are_not_compared():
    matches = [Match(train("a"), held_out("folder:/things", "x", "thing"), 0.1, COPY)]
    (removal,) = decide(matches)
    assert not removal.kept
    (removal,) = decide(matches, {"train", "test", "folder:/things"})
    assert removal.kept


def test_an_image_is_kept_only_because_of_an_image_that_is_left():
    matches = [
        Match(train("a", "dog"), held_out("test", "x", "dog"), 0.1, COPY),
        Match(train("b"), train("a", "dog"), 0.1, COPY),
    ]
    assert removed(matches) == {"a": ("x", ("test",))}


def test_a_line_of_the_report_describes_one_duplicate():
    image = ImageId("train", "caf\udce9.jpg", "cat", "shard", 0)
    (removal,) = decide([Match(image, held_out("test", "x.jpg"), 0.012, COPY)])
    assert json.loads(report.to_line(removal)) == {
        "image": {"source": "caf�.jpg", "class_name": "cat"},
        "duplicate_of": {"set": "test", "source": "x.jpg", "class_name": "cat"},
        "distance": 0.012,
        "reason": "near-duplicate",
        "test_sets": ["test"],
        "kept_because": "",
        "labels_differ": False,
        "set": "train",
    }


def evaluation(name: str, class_name: str = "cat") -> ImageId:
    return ImageId("eval", name, class_name, "eval shard", ord(name))


def test_removed_evaluation_images_are_counted_and_noted():
    counts = {"train": {"cat": 2}, "eval": {"cat": 1, "dog": 3}, "test": {"cat": 1}}
    matches = [
        Match(evaluation("v", "cat"), held_out("test", "x"), 0.1, COPY),
        Match(evaluation("w", "dog"), held_out("test", "y", "dog"), 0.1, COPY),
        Match(train("a"), evaluation("v"), 0.1, COPY),
    ]
    removals = decide(matches)
    assert [removal.match.image.source for removal in removals] == ["v", "w", "a"]
    updated = update_info(
        DatasetInfo("folder:/pets", ("cat", "dog"), counts), tally(removals).classes
    )
    assert updated.counts == {"train": {"cat": 1}, "eval": {"dog": 2}, "test": {"cat": 1}}
    assert updated.notes == ("class 'cat' has no evaluation images left: all 1 were duplicates",)
    assert notes_of(removals)[0] == (
        "duplicates of test images that were removed from evaluation: 2 images; look at pairs.html"
    )
    assert "were not removed from evaluation: 2" in notes_of(removals, mode="report")[1]


def test_a_within_conflict_of_a_leak_is_listed():
    leak = Match(train("b"), held_out("test", "x"), 0.1, COPY)
    removals = decide([leak, Match(train("b"), train("a", "dog"), 0.01, COPY)])
    (removal,) = removals
    assert (removal.match, removal.kept) == (leak, False)
    assert removal.conflict.other == train("a", "dog")
