# SPDX-License-Identifier: Apache-2.0
"""Results that other commands have written beside a run: `mixer evaluate --json`, and others."""

from __future__ import annotations

import json
import os
from typing import Any

from mixer_tf import storage
from mixer_tf.evaluation import fewshot_report
from mixer_tf.reports.facts import EvaluationFacts, Mistake, OtherResult
from mixer_tf.reports.mistake_facts import MAX_MISTAKES
from mixer_tf.serving import contract

EVALUATION_FILE = "evaluation.json"
_MAX_BYTES = 1 << 26
# Files of results, by the start of their names.
_OTHERS = ("fewshot", "few_shot", "vtab", "real_labels", "evaluation_")


def read_evaluation(folder: str, source: str) -> EvaluationFacts | None:
    """Returns the results in `evaluation.json`; None if there is no such file.

    Args:
        folder: where the output of `mixer evaluate --json` was written to.
        source: the source of the training; where the images are of another one, a warning says so.
    """
    path = os.path.join(folder, EVALUATION_FILE)
    if not storage.exists(path):
        return None
    try:
        return _evaluation(json.loads(storage.read_text(path)), source)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} must be what `mixer evaluate … --json` prints of one model; {error}. Write it "
            "again, or remove it."
        ) from None


def _evaluation(found: dict[str, Any], source: str) -> EvaluationFacts:
    if "models" in found:
        raise ValueError(f"this has {len(found['models'])}")
    wrong = [prediction for prediction in found.get("predictions", ()) if not prediction["correct"]]
    wrong.sort(key=lambda prediction: -prediction["probability"])
    top_k = f"top_{contract.TOP_K}"
    metrics = {"accuracy": found["top_1"], "example_count": found["images"]}
    if len(found["classes"]) > contract.TOP_K and top_k in found:
        metrics[contract.top_k_metric()] = found[top_k]
    classes = {name: each for name, each in found["classes"].items() if each["images"]}
    return EvaluationFacts(
        split=", ".join(found["splits"]),
        metrics=metrics,
        classes={name: (each["images"], each["correct"]) for name, each in classes.items()},
        mistaken_for={name: each.get("mistaken_for", "") for name, each in classes.items()},
        mistakes=tuple(_mistake(prediction) for prediction in wrong[:MAX_MISTAKES]),
        num_mistakes=len(wrong),
        warnings=(*_warning_of_source(found["source"], source), *found.get("warnings", ())),
        notes=tuple(found.get("notes", ())),
    )


def _warning_of_source(evaluated: str, trained: str) -> tuple[str, ...]:
    if evaluated == trained:
        return ()
    return (f"the images of the evaluation are from {evaluated}, those of the training {trained}",)


def _mistake(prediction: dict[str, Any]) -> Mistake:
    names = ("image", "class_name", "predicted", "probability")
    more = {name: prediction.get(name) for name in ("rank", "class_probability")}
    return Mistake(*(prediction[name] for name in names), **more)


def find_results(folder: str) -> tuple[OtherResult, ...]:
    """Returns the figures of the JSON files of other commands in a folder.

    Args:
        folder: the output of `mixer train`, or the root of a pipeline.
    """
    names = storage.list_names(folder) if storage.is_folder(folder) else []
    paths = [
        os.path.join(folder, name)
        for name in names
        if name.endswith(".json") and name.startswith(_OTHERS)
    ]
    return tuple(filter(None, map(_result, paths)))


def _result(path: str) -> OtherResult | None:
    """The figures of a file; None if it holds none."""
    if storage.file_size(path) > _MAX_BYTES:
        return None
    try:
        values = json.loads(storage.read_text(path))
    except ValueError:
        return None
    figures = _accuracies(values) | dict(_figures(values))
    title = os.path.splitext(os.path.basename(path))[0].replace("_", " ")
    return OtherResult(title, figures, path) if figures else None


def _accuracies(values: Any) -> dict[str, str]:
    """Those that `mixer fewshot` and `mixer vtab` print, which are in lists; {} of other files."""
    try:
        if "means" in values:
            return {each["title"]: f"{each['mean']:.4f}" for each in values["means"]}
        return fewshot_report.by_shots(values["results"])
    except (KeyError, TypeError, ValueError):
        return {}


def _figures(values: Any, prefix: str = "", depth: int = 3):
    """Yields (name, text) of the numbers and short texts, also of those in nested objects."""
    for name, value in values.items() if isinstance(values, dict) else ():
        title = f"{prefix}{name}"
        if isinstance(value, bool) or isinstance(value, (int, str)) and len(str(value)) <= 80:
            yield title, str(value)
        elif isinstance(value, float):
            yield title, f"{value:.4f}"
        elif depth and isinstance(value, dict) and len(value) <= 20:
            yield from _figures(value, f"{title}: ", depth - 1)
