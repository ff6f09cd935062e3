# SPDX-License-Identifier: Apache-2.0
"""A model that has learned nothing is neither blessed nor pushed, whatever its accuracy."""

import json

import numpy as np
import pandas as pd
import pytest
import tensorflow_model_analysis as tfma
from sklearn.metrics import confusion_matrix
from tfx.types import standard_artifacts

from components.evaluations import (
    CALIBRATION_ERROR,
    NUM_PREDICTED,
    read_class_counts,
    read_figures,
    read_leaked,
    read_metrics,
)
from components.evaluator import page
from components.pusher import gates
from mixer_tf import features
from mixer_tf.evaluation.calibration import Calibration
from pipeline.eval_config import make_eval_config

CLASSES = ("cat", "dog", "7")
ONE_CLASS = {"cat": ["cat"] * 32, "dog": ["cat"]}


def evaluate(
    folder,
    images: dict[str, list[str]],
    min_accuracy: float | None = None,
    leaked: set[str] | None = None,
    probabilities=None,
) -> str:
    """Runs TFMA as the Evaluator does on class → predictions; returns the folder of its result.

    With `leaked`, images are marked: those that are predicted by one of these classes have leaked.
    The probability of a prediction is 1, unless `probabilities` has a row for each image.
    """
    rows = [
        {
            features.LABEL: CLASSES.index(name),
            features.CLASS_NAME: name,
            "probabilities": [float(prediction == other) for other in CLASSES],
            **({} if leaked is None else {features.LEAKED: int(prediction in leaked)}),
        }
        for name, predictions in images.items()
        for prediction in predictions
    ]
    for row, values in zip(rows, () if probabilities is None else probabilities, strict=False):
        row["probabilities"] = [float(value) for value in values]
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
    predictions = {"cat": ["cat", "cat", "dog"], "dog": ["cat", "cat"], "7": ["7"]}
    found = read_class_counts(evaluate(tmp_path, predictions))
    assert found.images == {"cat": 3, "dog": 2, "7": 1}
    assert found.correct == {"cat": 2, "dog": 0, "7": 1}
    assert found.num_predicted == 3


@pytest.mark.parametrize(
    ("predictions", "is_better"),
    [
        (ONE_CLASS, False),
        ({"cat": ["cat"] * 9 + ["dog"], "dog": ["dog", "cat"]}, False),  # others, but not better
        ({"cat": ["cat"] * 9 + ["dog"], "dog": ["dog", "dog"]}, True),
        ({"cat": ["cat"] * 20}, False),  # one class only, whose accuracy says nothing
        ({"cat": ["7"] * 3, "dog": ["7"] * 3}, False),
    ],
    ids=["one class only", "as good", "better", "one class", "all wrong"],
)
def test_evaluator_and_pusher_agree_and_the_pusher_says_why(tmp_path, predictions, is_better):
    folder = evaluate(tmp_path, predictions)
    assert is_blessed(folder) is is_better
    assert (not reasons(folder)) is is_better
    if predictions == ONE_CLASS:
        assert reasons(folder) == [
            "accuracy 0.9697 is not above 0.9697, which always predicting 'cat', the largest class "
            "of the test split, reaches"
        ]


def test_an_accuracy_that_is_given_is_the_only_gate_but_one_answer_is_a_warning(tmp_path):
    folder = evaluate(tmp_path, ONE_CLASS, min_accuracy=0.9)
    assert is_blessed(folder)
    assert read_class_counts(folder).warnings()[0] == (
        "the model predicted 'cat' for all 33 images of the test split"
    )


def test_evaluations_of_older_versions_are_read(plotted):
    folder = plotted["folder"]
    result = tfma.load_eval_result(folder)
    assert NUM_PREDICTED in json.dumps(dict(result.slicing_metrics)[()])
    for _, metrics in result.slicing_metrics:
        metrics[""][""].pop(NUM_PREDICTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfma, "load_eval_result", lambda folder: result)
        assert read_class_counts(folder).num_predicted is None


def test_leaked_images_are_evaluated_by_themselves_and_not_gated(tmp_path):
    predictions = {"cat": ["cat", "cat", "dog"], "dog": ["cat", "dog"], "7": ["7"]}
    folder = evaluate(tmp_path / "marked", predictions, min_accuracy=0.6, leaked={"cat"})
    assert read_leaked(folder) == {
        True: (3, pytest.approx(2 / 3)),
        False: (3, pytest.approx(2 / 3)),
    }
    assert is_blessed(folder)
    folder = evaluate(tmp_path / "bad", predictions, min_accuracy=0.6, leaked={"7"})
    assert read_leaked(folder)[False] == (5, pytest.approx(3 / 5))  # The overall slice decides.
    assert is_blessed(folder)
    counts = read_class_counts(folder)
    assert counts.images == {"cat": 3, "dog": 2, "7": 1}


def test_without_marks_or_leaks_there_is_nothing_to_tell_apart(tmp_path):
    predictions = {"cat": ["cat"], "dog": ["dog"]}
    assert read_leaked(evaluate(tmp_path / "unmarked", predictions)) == {}
    found = read_leaked(evaluate(tmp_path / "clean", predictions, leaked=set()))
    assert found == {False: (2, 1.0)}


@pytest.fixture(scope="module")
def plotted(tmp_path_factory) -> dict:
    """A result with the labels [N] and the probabilities [N, 3] it was computed from."""
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, 3, 120))
    values = random.dirichlet(np.ones(3), 120).astype(np.float32) + np.eye(3)[labels] * 0.2
    values = (values / values.sum(1, keepdims=True)).astype(np.float32)
    first = [CLASSES[index] for index in values.argmax(1)]
    predictions = {
        n: [first[i] for i in np.flatnonzero(labels == c)] for c, n in enumerate(CLASSES)
    }
    folder = evaluate(
        tmp_path_factory.mktemp("plots"), predictions, 0.0, leaked={"dog"}, probabilities=values
    )
    return {"folder": folder, "labels": labels, "values": values}


def test_confusion_matrix_equals_scikit_learns(plotted):
    found = read_figures(plotted["folder"], CLASSES).confusion
    expected = confusion_matrix(plotted["labels"], plotted["values"].argmax(1))
    counts = [[found.get((a, b), 0) for b in CLASSES] for a in CLASSES]
    assert counts == expected.tolist()


def test_calibration_equals_that_of_mixer_evaluate_and_a_count_by_numpy(plotted):
    best, right = plotted["values"].max(1), plotted["values"].argmax(1) == plotted["labels"]
    bins = np.minimum((best * 15).astype(int), 14)
    gaps = [abs(best[bins == b].sum() - right[bins == b].sum()) for b in range(15)]
    figures = read_figures(plotted["folder"], CLASSES)
    expected = Calibration()
    for probability, is_right in zip(best, right, strict=True):
        expected.add(float(probability), bool(is_right))
    assert figures.calibration.images.tolist() == expected.images.tolist()
    assert figures.calibration.correct.tolist() == expected.correct.tolist()
    assert figures.calibration.error == pytest.approx(sum(gaps) / len(best), abs=1e-6)
    assert read_metrics(plotted["folder"])[CALIBRATION_ERROR] == pytest.approx(
        expected.error, abs=1e-6
    )


def test_page_and_json_have_the_slices_of_clean_and_leaked_images(plotted, tmp_path):
    labels, first = plotted["labels"], plotted["values"].argmax(1)
    leaked = first == 1
    page.write(plotted["folder"], CLASSES)
    found = json.loads((tmp_path / plotted["folder"] / page.JSON_FILE).read_text("utf-8"))
    assert list(found["slices"]) == [
        "all",
        "without a duplicate in training",
        "with a duplicate in training",
    ]
    for title, chosen in zip(found["slices"], (leaked | True, ~leaked, leaked), strict=True):
        slice_ = found["slices"][title]
        assert slice_["images"] == f"{chosen.sum()}"
        assert slice_["top-1"] == f"{(labels == first)[chosen].mean():.4f}"
        loss = -np.log(plotted["values"][np.arange(120), labels])[chosen].mean()
        assert float(slice_["cross-entropy"]) == pytest.approx(loss, abs=2e-4)
        assert "top-5" not in slice_ and "ECE" in slice_
    text = (tmp_path / plotted["folder"] / page.PAGE).read_text("utf-8")
    for title in ("with a duplicate in training", "Calibration", "Confusion matrix", "Classes"):
        assert title in text
    assert found["confusion"]["dog"]["cat"] == ((labels == 1) & (first == 0)).sum()
    assert found["classes"]["7"]["images"] == (labels == 2).sum()


def test_files_of_the_page_do_not_disturb_those_of_tfma(plotted):
    before = read_class_counts(plotted["folder"])
    page.write(plotted["folder"], CLASSES)
    assert read_class_counts(plotted["folder"]) == before
    assert is_blessed(plotted["folder"])


def test_a_test_split_without_images_has_a_page(plotted, tmp_path, monkeypatch):
    result = tfma.load_eval_result(plotted["folder"])
    empty = result._replace(slicing_metrics=[((), {"": {"": {}}})], plots=[])
    monkeypatch.setattr(tfma, "load_eval_result", lambda folder: empty)
    page.write(str(tmp_path), CLASSES)
    assert "the test split has no usable image" in (tmp_path / page.PAGE).read_text("utf-8")
    assert json.loads((tmp_path / page.JSON_FILE).read_text())["summary"] == {"images": "0"}


def test_with_a_baseline_the_figures_are_those_of_the_new_model(tmp_path):
    """TFMA gives no plots at all unless one of the two models is named."""
    config = make_eval_config(0.0, max_accuracy_drop=1.0)
    config.model_specs[0].ClearField("signature_name")
    config.model_specs[0].name = "candidate"
    config.model_specs.add(
        name="baseline", label_key=features.LABEL, prediction_key="old", is_baseline=True
    )
    for metric in config.metrics_specs[0].metrics:
        metric.ClearField("per_slice_thresholds")
    rows = [
        {
            features.LABEL: 0,
            features.CLASS_NAME: "cat",
            "probabilities": [0.7, 0.2, 0.1],
            "old": [0.1, 0.2, 0.7],
        }
    ] * 4
    tfma.analyze_raw_data(pd.DataFrame(rows), config, output_path=str(tmp_path))
    figures = read_figures(str(tmp_path), CLASSES)
    assert figures.confusion == {("cat", "cat"): 4}
    assert figures.calibration.error == pytest.approx(0.3)
    assert figures.summary["top-1"] == "1.0000"
