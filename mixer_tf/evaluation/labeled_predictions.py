# SPDX-License-Identifier: Apache-2.0
"""The predictions for all images of an evaluation, in bounded memory, to list the mistakes."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mixer_tf.evaluation.mistakes import Mistakes

if TYPE_CHECKING:
    from mixer_tf.evaluation.classification import LabeledPrediction
    from mixer_tf.features import ImageRecord

_IN_MEMORY = 2**24  # bytes; longer lists are in a temporary file


class LabeledPredictions(contextlib.AbstractContextManager):
    """Keeps the worst mistakes, and, if asked to, all predictions as lines of JSON.

    Attributes:
        mistakes: those that are kept; of equal ones, the earlier come first.
    """

    def __init__(self, num_mistakes: int, keep_all: bool = False, with_previews: bool = False):
        """Keeps nothing yet.

        Args:
            num_mistakes: how many of the mistakes to keep.
            keep_all: whether to keep all predictions as well.
            with_previews: see `Mistakes`.
        """
        self.mistakes = Mistakes(num_mistakes, with_previews)
        self._order = itertools.count()
        self._lines = None
        if keep_all:
            # Closed in __exit__.
            self._lines = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115

    def __exit__(self, *_) -> None:
        if self._lines:
            self._lines.close()

    def add(
        self, prediction: LabeledPrediction, record: ImageRecord | None = None, **more: object
    ) -> None:
        """Keeps a prediction if it is asked for.

        Args:
            prediction: the prediction.
            record: the image; None where no previews are kept.
            **more: fields to add to the line of JSON.
        """
        if self._lines:
            line = json.dumps({**_fields(prediction), **more}, ensure_ascii=False)
            self._lines.write(f"{line}\n")
        self.mistakes.add(prediction, next(self._order), record.encoded if record else b"")

    def lines(self) -> Iterator[str]:
        """Yields each prediction as a JSON object, in the order of the images."""
        if self._lines:
            self._lines.seek(0)
            yield from (line.rstrip("\n") for line in self._lines)


def _fields(prediction: LabeledPrediction) -> dict[str, object]:
    """Returns a prediction for JSON; "predictions" is as in `mixer predict --json`."""
    fields = dataclasses.asdict(prediction) | {"correct": prediction.is_correct}
    predictions = [{"class_name": name, "probability": p} for name, p in fields.pop("top")]
    return {**fields, "predictions": predictions}
