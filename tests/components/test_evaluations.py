# SPDX-License-Identifier: Apache-2.0
"""An accuracy that says nothing is not passed on without a word."""

import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from tfx.types import standard_artifacts

from components.evaluations import Evaluation
from components.pusher import gates
from mixer_tf import features
from pipeline.eval_config import make_eval_config

CLASSES = ("cat", "dog", "7")


def evaluate(folder, images: dict[str, list[str]]) -> str:
    """Runs TFMA as the Evaluator does on class → answers; returns the folder of its result."""
    rows = [
        {
            features.LABEL: CLASSES.index(name),
            features.CLASS_NAME: name,
            "probabilities": [float(answer == other) for other in CLASSES],
        }
        for name, answers in images.items()
        for answer in answers
    ]
    config = make_eval_config(min_accuracy=0.0, max_accuracy_drop=1.0)
    config.model_specs[0].ClearField("signature_name")
    for metric in config.metrics_specs[0].metrics:
        metric.ClearField("per_slice_thresholds")  # there is no baseline
    tfma.analyze_raw_data(pd.DataFrame(rows), config, output_path=str(folder))
    return str(folder)


def test_counts_are_those_of_the_test_images(tmp_path):
    answers = {"cat": ["cat", "cat", "dog"], "dog": ["cat", "cat"], "7": ["7"]}
    found = Evaluation.read(evaluate(tmp_path, answers))
    assert found.images == {"cat": 3, "dog": 2, "7": 1}
    assert found.correct == {"cat": 2, "dog": 0, "7": 1}


def test_pusher_refuses_a_model_that_answers_one_class_only(tmp_path):
    folder = evaluate(tmp_path, {"cat": ["cat"] * 32, "dog": ["cat"]})
    artifact = standard_artifacts.ModelEvaluation()
    artifact.uri = folder
    assert gates.reasons_not_to_push({"evaluation": [artifact]}) == [
        "accuracy 0.9697 is not above 0.9697, which always answering 'cat', the largest class of "
        "the test split, reaches"
    ]


@pytest.mark.parametrize(
    ("correct", "is_doubted"),
    [
        ({"cat": 200, "dog": 0}, True),  # one answer only
        ({"cat": 197, "dog": 3}, True),  # other answers, but not better
        ({"cat": 197, "dog": 4}, False),
    ],
)
def test_a_model_must_beat_the_share_of_the_largest_class(correct, is_doubted):
    found = Evaluation({"cat": 200, "dog": 6}, correct)
    assert bool(found.not_better_than_one_class()) is is_doubted


def test_a_test_split_of_one_class_says_nothing():
    reason = Evaluation({"cat": 50}, {"cat": 50}).not_better_than_one_class()
    assert reason == "all test images are of class 'cat', so that their accuracy says nothing"
    assert Evaluation({}, {}).not_better_than_one_class() == ""  # the Evaluator says so itself


def test_notes_name_what_the_accuracy_hides():
    notes = Evaluation({"cat": 9, "dog": 1}, {"cat": 9, "dog": 0}).notes(CLASSES)
    assert notes == [
        "the test split has only 10 images: its accuracy is a rough estimate; from 30 on it says "
        "more",
        "classes without a test image: '7'",
        "classes never recognized in the test split: 'dog' (0 of 1)",
    ]
    assert Evaluation({"cat": 29, "dog": 1}, {"cat": 20, "dog": 1}).notes(("cat", "dog")) == []


def test_long_lists_of_classes_are_cut():
    names = [f"c{number}" for number in range(9)]
    (note,) = Evaluation({"c0": 40}, {"c0": 1}).notes(names)
    assert note == "classes without a test image: 'c1', 'c2', 'c3', 'c4', 'c5', and 3 more"
