# SPDX-License-Identifier: Apache-2.0
"""Reads what the Evaluator found on the test split: metrics, class by class, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mixer_tf import features
from mixer_tf.evaluation.calibration import Calibration
from mixer_tf.evaluation.class_counts import ClassCounts
from mixer_tf.evaluation.figures import Figures
from mixer_tf.serving import contract

# The page beside the files of TFMA.
PAGE = "evaluation.html"

# Metrics of the Evaluator.
TOP_1 = "accuracy"
EXAMPLE_COUNT = "example_count"
ABOVE_LARGEST_CLASS = "correct_above_largest_class"
NUM_PREDICTED = "predicted_classes"
CROSS_ENTROPY = "cross_entropy"
CALIBRATION_ERROR = "expected_calibration_error"
# Its plots; TFMA finds them by their form.
CALIBRATION_PLOT = "calibration"
CONFUSION_PLOT = "confusion"
_CALIBRATION, _CONFUSION = "calibrationHistogramBuckets", "multiClassConfusionMatrixAtThresholds"

_NO_ANSWER = "(no probability above 0)"
_OVERALL = "all"
_PARTS = {False: "without a duplicate in training", True: "with a duplicate in training"}


def read_class_counts(folder: str) -> ClassCounts:
    """Reads the folder of a ModelEvaluation artifact; imports TFMA.

    There is no image in the counts if the test split has none.
    """
    import tensorflow_model_analysis as tfma

    images, correct, num_predicted = {}, {}, None
    for slice_key, metrics in tfma.load_eval_result(folder).slicing_metrics:
        found = metrics[""][""]
        if not slice_key:
            num_predicted = _number(found, NUM_PREDICTED)
        elif slice_key[0][0] == features.CLASS_NAME:
            name = str(slice_key[0][1])
            images[name] = _number(found, EXAMPLE_COUNT)
            correct[name] = round(found[TOP_1]["doubleValue"] * images[name])
    return ClassCounts(images, correct, num_predicted)


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


def read_figures(folder: str, class_names: Sequence[str]) -> Figures:
    """Returns what a page shows; see `mixer_tf.evaluation.page`. Imports TFMA.

    Evaluations of older versions have no plots, so that their confusion matrix is empty. The
    mistakes are in a file of their own; see `mixer_tf.evaluation.mistakes`.

    Args:
        folder: the folder of a ModelEvaluation artifact.
        class_names: the classes of the model, in label order.
    """
    result = _load_candidate(folder)
    plots = _merge(dict(result.plots).get((), {}).get("", {}).values())
    found = {
        title: _texts(metrics[""][""], len(class_names))
        for key, metrics in result.slicing_metrics
        if (title := _title(key)) and metrics[""][""]
    }
    slices = {title: found[title] for title in (_OVERALL, *_PARTS.values()) if title in found}
    counts = read_class_counts(folder) if _OVERALL in slices else None
    return Figures(
        model=result.model_location or folder,
        summary=slices.get(_OVERALL, {"images": "0"}),
        class_names=class_names,
        confusion=_confusion(plots.get(_CONFUSION, {}), class_names),
        calibration=_calibration(plots[_CALIBRATION]) if _CALIBRATION in plots else None,
        warnings=counts.warnings() if counts else ("the test split has no usable image",),
        notes=counts.notes(class_names) if counts else (),
        slices=slices if len(slices) > 1 else {},
    )


def _load_candidate(folder: str):
    """The result of the model, without that of the baseline: TFMA gives no plots of the two."""
    import tensorflow_model_analysis as tfma

    result = tfma.load_eval_result(folder)
    specs = result.config.model_specs if result.config else ()
    if len(specs) < 2:
        return result
    (name,) = [spec.name for spec in specs if not spec.is_baseline]
    return tfma.load_eval_result(folder, model_name=name)


def _merge(plots) -> dict[str, Mapping]:
    return {kind: plot for each in plots for kind, plot in each.items()}


def _title(slice_key: tuple) -> str:
    """The title of a slice; "" for that of a class."""
    if not slice_key:
        return _OVERALL
    name, value = slice_key[0]
    return _PARTS[bool(int(value))] if name == features.LEAKED else ""


def _texts(metrics: Mapping[str, Mapping], num_classes: int) -> dict[str, str]:
    """Title → value of the metrics for people; top-k only if there are more than k classes."""
    found = {"images": f"{_number(metrics, EXAMPLE_COUNT):,}"}
    names = {"top-1": TOP_1, contract.top_k_title(): contract.top_k_metric()}
    if num_classes <= contract.TOP_K:
        del names[contract.top_k_title()]
    names |= {"cross-entropy": CROSS_ENTROPY, "ECE": CALIBRATION_ERROR}
    for title, name in names.items():
        if "doubleValue" in metrics.get(name, {}):
            found[title] = f"{metrics[name]['doubleValue']:.4f}"
    return found


def _confusion(plot: Mapping, class_names: Sequence[str]) -> dict[tuple[str, str], int]:
    """In the JSON of TFMA a number is missing where it is 0."""

    def name(label: int) -> str:
        return class_names[label] if label >= 0 else _NO_ANSWER

    entries = [entry for matrix in plot.get("matrices", ()) for entry in matrix.get("entries", ())]
    return {
        (
            name(int(entry.get("actualClassId", 0))),
            name(int(entry.get("predictedClassId", 0))),
        ): round(entry.get("numWeightedExamples", 0))
        for entry in entries
    }


def _calibration(plot: Mapping) -> Calibration:
    buckets = plot["buckets"]
    calibration = Calibration(len(buckets))
    for index, bucket in enumerate(buckets):
        calibration.images[index] = round(bucket.get("numWeightedExamples", 0))
        calibration.correct[index] = round(bucket.get("totalWeightedLabel", 0))
        calibration.confidence[index] = bucket.get("totalWeightedRefinedPrediction", 0)
    return calibration


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
