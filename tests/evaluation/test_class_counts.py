# SPDX-License-Identifier: Apache-2.0
"""An accuracy that says nothing is not passed on without a word."""

import pytest

from mixer_tf.evaluation.class_counts import ClassCounts, notes_of_splits

CLASSES = ("cat", "dog", "7")


@pytest.mark.parametrize(
    ("correct", "is_doubted"),
    [
        ({"cat": 200, "dog": 0}, True),  # one prediction only
        ({"cat": 197, "dog": 3}, True),  # other predictions, but not better
        ({"cat": 197, "dog": 4}, False),
    ],
)
def test_a_model_must_beat_the_share_of_the_largest_class(correct, is_doubted):
    found = ClassCounts({"cat": 200, "dog": 6}, correct)
    assert bool(found.not_better_than_one_class()) is is_doubted


def test_images_of_one_class_say_nothing():
    counts = ClassCounts({"cat": 50}, {"cat": 50}, num_predicted=1)
    assert counts.warnings() == [
        "all images of the test split are of class 'cat', so that the accuracy says nothing"
    ]
    assert ClassCounts({}, {}).warnings() == []  # the Evaluator says so itself


@pytest.mark.parametrize(
    ("correct", "num_predicted", "warning"),
    [
        ({"cat": 9, "dog": 0}, 1, "the model predicted 'cat' for all 12 images of the eval split"),
        ({"cat": 0, "dog": 0}, 1, "the model predicted one and the same class for all 12 images"),
        ({"cat": 9, "dog": 0}, 2, ""),
        ({"cat": 9, "dog": 0}, None, ""),
    ],
)
def test_one_answer_for_all_images_is_named(correct, num_predicted, warning):
    counts = ClassCounts({"cat": 9, "dog": 3}, correct, num_predicted, "the eval split")
    assert counts.one_answer().startswith(warning) and bool(counts.one_answer()) == bool(warning)


def test_notes_name_what_the_accuracy_hides():
    assert ClassCounts({"cat": 9, "dog": 1}, {"cat": 9, "dog": 0}).notes(CLASSES) == [
        "only 10 images in the test split: the accuracy is a rough estimate; from 30 on it says "
        "more",
        "classes without an image in the test split: '7'",
        "classes never recognized in the test split: 'dog' (0 of 1)",
    ]
    assert ClassCounts({"cat": 29, "dog": 1}, {"cat": 20, "dog": 1}).notes(("cat", "dog")) == []


def test_splits_without_an_image_of_a_class_are_noted():
    """By a hash, a small class may get no image in one split."""
    counts = {"train": {"cat": 90, "dog": 9}, "eval": {"cat": 31, "dog": 1}, "test": {"cat": 31}}
    assert notes_of_splits(counts, ("cat", "dog")) == [
        "classes without an image in the test split: 'dog'"
    ]


def test_splits_without_a_usable_image_are_noted():
    counts = {"train": {"cat": 90, "dog": 9}, "eval": {}}
    assert notes_of_splits(counts, ("cat", "dog")) == [
        "no usable image in the eval split: the model is that of the last epoch",
        "no usable image in the test split: nothing measures the model",
    ]


def test_long_lists_of_classes_are_cut():
    names = [f"c{number}" for number in range(9)]
    (note,) = ClassCounts({"c0": 40}, {"c0": 1}).notes(names)
    listed = "'c1', 'c2', 'c3', 'c4', 'c5', and 3 more"
    assert note == f"classes without an image in the test split: {listed}"
