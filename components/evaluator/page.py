# SPDX-License-Identifier: Apache-2.0
"""Writes evaluation.html and evaluation.json beside the files of TFMA."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from typing import Any

from components import evaluations
from mixer_tf import storage
from mixer_tf.evaluation import mistakes
from mixer_tf.evaluation import page as evaluation_page
from mixer_tf.evaluation.classification import by_class
from mixer_tf.evaluation.figures import Figures

PAGE, JSON_FILE = evaluations.PAGE, "evaluation.json"


def write(folder: str, class_names: Sequence[str]) -> None:
    """Writes both files.

    Args:
        folder: the folder of a ModelEvaluation artifact.
        class_names: the classes of the model, in label order.
    """
    found = mistakes.by_title(mistakes.read(folder) or {})
    figures = evaluations.read_figures(folder, class_names)
    figures = dataclasses.replace(figures, mistakes=found)
    content = json.dumps(to_dict(figures), indent=1, ensure_ascii=False)
    storage.write_text(os.path.join(folder, JSON_FILE), content + "\n")
    page = evaluation_page.render("Evaluation on the test split", [figures])
    storage.write_text(os.path.join(folder, PAGE), page)


def to_dict(figures: Figures) -> dict[str, Any]:
    """Returns the content of evaluation.json, in the form of `mixer evaluate --json`."""
    confusion: dict[str, dict[str, int]] = {}
    for (name, predicted), count in sorted(figures.confusion.items()):
        confusion.setdefault(name, {})[predicted] = count
    calibration = figures.calibration
    return {
        "summary": dict(figures.summary),
        "slices": {name: dict(metrics) for name, metrics in figures.slices.items()},
        "warnings": list(figures.warnings),
        "notes": list(figures.notes),
        "calibration": calibration.to_dict() if calibration else None,
        "classes": {
            name: dataclasses.asdict(metrics)
            for name, metrics in by_class(figures.confusion, figures.class_names).items()
        },
        "confusion": confusion,
        "mistakes": _mistakes(figures),
    }


def _mistakes(figures: Figures) -> list[dict[str, Any]]:
    """The mistakes on the page, without their images."""
    kinds = {title: kind for kind, title in mistakes.TITLES.items()}
    return [
        mistakes.to_dict(kinds[title], each)
        for title, found in figures.mistakes.items()
        for each in found
    ]
