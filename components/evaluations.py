# SPDX-License-Identifier: Apache-2.0
"""Reads what the Evaluator found on the test split, class by class."""

from __future__ import annotations

from mixer_tf import features
from mixer_tf.evaluation.class_counts import ClassCounts

# Metrics of the Evaluator.
TOP_1 = "accuracy"
EXAMPLE_COUNT = "example_count"
ABOVE_LARGEST_CLASS = "correct_above_largest_class"
NUM_ANSWERS = "answered_classes"


def read_class_counts(folder: str) -> ClassCounts:
    """Reads the folder of a ModelEvaluation artifact; imports TFMA.

    There is no image in the counts if the test split has none.
    """
    import tensorflow_model_analysis as tfma

    images, correct, num_answers = {}, {}, None
    for slice_key, metrics in tfma.load_eval_result(folder).slicing_metrics:
        found = metrics[""][""]
        if not slice_key:
            num_answers = _number(found, NUM_ANSWERS)
        elif slice_key[0][0] == features.CLASS_NAME:
            name = str(slice_key[0][1])
            images[name] = _number(found, EXAMPLE_COUNT)
            correct[name] = round(found[TOP_1]["doubleValue"] * images[name])
    return ClassCounts(images, correct, num_answers)


def read_leaked(folder: str) -> dict[bool, tuple[int, float]]:
    """Returns whether images have a duplicate in training → their number, and top-1 accuracy.

    Without marked images it is empty, and a kind that no image has is missing. Imports TFMA.

    Args:
        folder: the folder of a ModelEvaluation artifact.
    """
    import tensorflow_model_analysis as tfma

    return {
        bool(int(slice_key[0][1])): (
            _number(metrics[""][""], EXAMPLE_COUNT),
            metrics[""][""][TOP_1]["doubleValue"],
        )
        for slice_key, metrics in tfma.load_eval_result(folder).slicing_metrics
        if slice_key and slice_key[0][0] == features.LEAKED
    }


def read_metrics(folder: str) -> dict[str, float]:
    """Returns metric → value over all images; empty if the test split has no image.

    With a baseline there are differences to it as well, which are left out. Imports TFMA.
    """
    import tensorflow_model_analysis as tfma

    overall = dict(tfma.load_eval_result(folder).slicing_metrics).get((), {"": {"": {}}})
    return {
        name: value["doubleValue"]
        for name, value in overall[""][""].items()
        if "doubleValue" in value and not name.endswith("_diff")
    }


def _number(metrics: dict, name: str) -> int | None:
    """The value of a metric that counts; None if an older version of the pipeline lacks it."""
    return round(metrics[name]["doubleValue"]) if name in metrics else None
