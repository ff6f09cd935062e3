# SPDX-License-Identifier: Apache-2.0
"""What a page shows about one model, whether `mixer evaluate` or the Evaluator has counted it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixer_tf.evaluation.calibration import Calibration
    from mixer_tf.evaluation.classification import LabeledPrediction


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong prediction.

    Attributes:
        prediction: the prediction.
        preview: the image as a small JPEG; b"" if it is not kept.
    """

    prediction: LabeledPrediction
    preview: bytes = b""


@dataclasses.dataclass(frozen=True)
class Figures:
    """The results of one model on one set of images; all texts are plain text.

    Attributes:
        model: title of the model, such as its path.
        summary: title → value, such as "top-1" → "0.9800  (98 of 100)".
        class_names: the classes of the model, in label order.
        confusion: (class, most probable class) → number of images.
        calibration: probability against accuracy; None if unknown.
        warnings, notes: one line for each thing that the accuracy hides.
        slices: title of a part of the images → title of a metric → value.
        mistakes: title → wrong predictions with their images.
        problems: (path, reason) of each image that could not be used.
    """

    model: str
    summary: Mapping[str, str]
    class_names: Sequence[str]
    confusion: Mapping[tuple[str, str], int]
    calibration: Calibration | None = None
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    slices: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    mistakes: Mapping[str, Sequence[Mistake]] = dataclasses.field(default_factory=dict)
    problems: Sequence[tuple[str, str]] = ()
