# SPDX-License-Identifier: Apache-2.0
"""A model that has learned nothing is neither blessed nor pushed, whatever its accuracy."""

import json

import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from tfx.types import standard_artifacts

from components.evaluations import NUM_ANSWERS, read_class_counts, read_leaked
from components.pusher import gates
from mixer_tf import features
from pipeline.eval_config import make_eval_config

CLASSES = ("cat", "dog", "7")


def evaluate(
    folder,
    images: dict[str, list[str]],
    min_accuracy: float | None = None,
    leaked: set[str] | None = None,
) -> str:
    """Runs TFMA as the Evaluator does on class → answers; returns the folder of its result.

    With `leaked`, images are marked: those that are answered by one of these classes have leaked.
    """
    rows = [
        {
            features.LABEL: CLASSES.index(name),
            features.CLASS_NAME: name,
            "probabilities": [float(answer == other) for other in CLASSES],
            **({} if leaked is None else {features.LEAKED: int(answer in leaked)}),
        }
        for name, answers in images.items()
        for answer in answers
    ]
    config = make_eval_config(min_accuracy, max_accuracy_drop=1.0, marked=leaked is not None)
    config.model_specs[0].ClearField("signature_name")
    config = tfma.utils.update_eval_config_with_defaults(
        config, has_baseline=False, rubber_stamp=True
    )
    tfma.analyze_raw_data(pd.DataFrame(rows), config, output_path=str(folder))
    return str(folder)


def is_blessed(folder: str) -> bool:
    return tfma.load_validation_result(folder).validation_ok


def reasons(folder: str) -> list[str]:
    artifact = standard_artifacts.ModelEvaluation()
    artifact.uri = folder
    return gates.reasons_not_to_push({"evaluation": [artifact]})


def test_counts_are_those_of_the_test_images(tmp_path):
    answers = {"cat": ["cat", "cat", "dog"], "dog": ["cat", "cat"], "7": ["7"]}
    found = read_class_counts(evaluate(tmp_path, answers))
    assert found.images == {"cat": 3, "dog": 2, "7": 1}
    assert found.correct == {"cat": 2, "dog": 0, "7": 1}
    assert found.num_answers == 3


@pytest.mark.parametrize(
    ("answers", "is_better"),
    [
        ({"cat": ["cat"] * 32, "dog": ["cat"]}, False),  # one answer only
        ({"cat": ["cat"] * 9 + ["dog"], "dog": ["dog", "cat"]}, False),  # others, but not better
        ({"cat": ["cat"] * 9 + ["dog"], "dog": ["dog", "dog"]}, True),
        ({"cat": ["cat"] * 20}, False),  # one class only, whose accuracy says nothing
        ({"cat": ["7"] * 3, "dog": ["7"] * 3}, False),
    ],
    ids=["one answer", "as good", "better", "one class", "all wrong"],
)
def test_evaluator_and_pusher_agree(tmp_path, answers, is_better):
    folder = evaluate(tmp_path, answers)
    assert is_blessed(folder) is is_better
    assert (not reasons(folder)) is is_better


def test_pusher_says_why(tmp_path):
    assert reasons(evaluate(tmp_path, {"cat": ["cat"] * 32, "dog": ["cat"]})) == [
        "accuracy 0.9697 is not above 0.9697, which always answering 'cat', the largest class of "
        "the test split, reaches"
    ]


def test_an_accuracy_that_is_given_is_the_only_gate_but_one_answer_is_a_warning(tmp_path):
    folder = evaluate(tmp_path, {"cat": ["cat"] * 32, "dog": ["cat"]}, min_accuracy=0.9)
    assert is_blessed(folder)
    assert read_class_counts(folder).warnings()[0] == (
        "the model answered 'cat' for all 33 images of the test split"
    )


def test_evaluations_of_older_versions_are_read(tmp_path):
    folder = evaluate(tmp_path, {"cat": ["cat"], "dog": ["cat"]})
    result = tfma.load_eval_result(folder)
    assert NUM_ANSWERS in json.dumps(dict(result.slicing_metrics)[()])
    for _, metrics in result.slicing_metrics:
        metrics[""][""].pop(NUM_ANSWERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfma, "load_eval_result", lambda folder: result)
        assert read_class_counts(folder).num_answers is None


def test_leaked_images_are_evaluated_by_themselves_and_not_gated(tmp_path):
    answers = {"cat": ["cat", "cat", "dog"], "dog": ["cat", "dog"], "7": ["7"]}
    folder = evaluate(tmp_path / "marked", answers, min_accuracy=0.6, leaked={"cat"})
    assert read_leaked(folder) == {
        True: (3, pytest.approx(2 / 3)),
        False: (3, pytest.approx(2 / 3)),
    }
    assert is_blessed(folder)
    folder = evaluate(tmp_path / "bad", answers, min_accuracy=0.6, leaked={"7"})
    assert read_leaked(folder)[False] == (5, pytest.approx(3 / 5))  # The overall slice decides.
    assert is_blessed(folder)
    counts = read_class_counts(folder)
    assert counts.images == {"cat": 3, "dog": 2, "7": 1}


def test_without_marks_or_leaks_there_is_nothing_to_tell_apart(tmp_path):
    answers = {"cat": ["cat"], "dog": ["dog"]}
    assert read_leaked(evaluate(tmp_path / "unmarked", answers)) == {}
    found = read_leaked(evaluate(tmp_path / "clean", answers, leaked=set()))
    assert found == {False: (2, 1.0)}
