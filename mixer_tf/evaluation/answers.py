# SPDX-License-Identifier: Apache-2.0
"""The answers for all images of an evaluation, in bounded memory, to list the mistakes."""

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
    from mixer_tf.evaluation.classification import Answer
    from mixer_tf.features import ImageRecord

_IN_MEMORY = 2**24  # bytes; longer lists are in a temporary file


class Answers(contextlib.AbstractContextManager):
    """Keeps the worst mistakes, and, if asked to, all answers as lines of JSON.

    Attributes:
        mistakes: those that are kept; of equal ones, the earlier come first.
    """

    def __init__(self, num_mistakes: int, keep_all: bool = False, with_previews: bool = False):
        """Keeps nothing yet.

        Args:
            num_mistakes: how many of the mistakes to keep.
            keep_all: whether to keep all answers as well.
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

    def add(self, answer: Answer, record: ImageRecord | None = None, **more: object) -> None:
        """Keeps an answer if it is asked for.

        Args:
            answer: the answer.
            record: the image; None where no previews are kept.
            **more: fields to add to the line of JSON.
        """
        if self._lines:
            line = json.dumps({**_fields(answer), **more}, ensure_ascii=False)
            self._lines.write(f"{line}\n")
        self.mistakes.add(answer, next(self._order), record.encoded if record else b"")

    def lines(self) -> Iterator[str]:
        """Yields each answer as a JSON object, in the order of the images."""
        if self._lines:
            self._lines.seek(0)
            yield from (line.rstrip("\n") for line in self._lines)


def _fields(answer: Answer) -> dict[str, object]:
    """Returns an answer for JSON; "predictions" is as in `mixer predict --json`."""
    fields = dataclasses.asdict(answer) | {"correct": answer.is_correct}
    predictions = [{"class_name": name, "probability": p} for name, p in fields.pop("top")]
    return {**fields, "predictions": predictions}
