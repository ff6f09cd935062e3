# SPDX-License-Identifier: Apache-2.0
"""The mistakes of an evaluation as facts of a run. No TensorFlow."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

from mixer_tf.evaluation import figures, mistakes
from mixer_tf.reports.facts import Mistake

MAX_MISTAKES = 20  # of each kind


def describe(found: Mapping[str, Sequence[figures.Mistake]]) -> dict[str, tuple[Mistake, ...]]:
    """Returns the fields `mistakes` and `worst_mistakes` of `EvaluationFacts`.

    Args:
        found: `evaluation.mistakes.MOST_CONFIDENT` and `WORST` → mistakes, in their order.
    """
    kinds = {"mistakes": mistakes.MOST_CONFIDENT, "worst_mistakes": mistakes.WORST}
    return {
        field: tuple(map(_describe, found[kind][:MAX_MISTAKES])) for field, kind in kinds.items()
    }


def read(folder: str) -> dict[str, tuple[Mistake, ...]]:
    """Returns the same for a file of the Evaluator; {} if there is none, as in older versions.

    Args:
        folder: the folder of a ModelEvaluation artifact.

    Raises:
        ValueError: the file is corrupt.
    """
    found = mistakes.read(folder)
    return {} if found is None else describe(found)


def _describe(found: figures.Mistake) -> Mistake:
    prediction = found.prediction
    return Mistake(
        image=prediction.image,
        class_name=prediction.class_name,
        predicted=prediction.predicted,
        probability=prediction.probability,
        thumbnail=base64.b64encode(found.preview).decode(),
        rank=prediction.rank,
        class_probability=prediction.class_probability,
    )
