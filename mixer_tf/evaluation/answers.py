# SPDX-License-Identifier: Apache-2.0
"""The answers for all images of an evaluation, in bounded memory, to list the mistakes."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mixer_tf.evaluation.figures import Mistake

if TYPE_CHECKING:
    from mixer_tf.evaluation.classification import Answer
    from mixer_tf.features import ImageRecord

_IN_MEMORY = 2**24  # bytes; longer lists are in a temporary file
PREVIEW_SIDE = 160  # pixels


class _Highest:
    """The mistakes with the highest values; of equal ones, the earlier count as higher."""

    def __init__(self, number: int):
        self._number = number
        self._heap: list[tuple[float, int, Mistake]] = []
        self._order = itertools.count()

    def add(self, value: float, answer: Answer, preview: Callable[[], bytes]) -> None:
        """Adds a mistake if its value is high enough; only then is the preview made."""
        is_full = len(self._heap) >= self._number
        if not self._number or (is_full and value <= self._heap[0][0]):
            return
        item = value, -next(self._order), Mistake(answer, preview())
        (heapq.heappushpop if is_full else heapq.heappush)(self._heap, item)

    def __iter__(self) -> Iterator[Mistake]:
        return (mistake for _, _, mistake in sorted(self._heap, key=lambda x: x[:2], reverse=True))


class Answers(contextlib.AbstractContextManager):
    """Keeps the worst mistakes, and, if asked to, all answers as lines of JSON."""

    def __init__(self, num_mistakes: int, keep_all: bool = False, with_previews: bool = False):
        """Keeps nothing yet.

        Args:
            num_mistakes: how many of the mistakes to keep.
            keep_all: whether to keep all answers as well.
            with_previews: whether to keep a preview of each mistake.
        """
        self._most_confident = _Highest(num_mistakes)
        self._highest_loss = _Highest(num_mistakes if with_previews else 0)
        self._with_previews = with_previews
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
        if not answer.is_correct:
            self._most_confident.add(answer.probability, answer, lambda: self._preview(record))
            if answer.loss is not None:
                self._highest_loss.add(answer.loss, answer, lambda: self._preview(record))

    def _preview(self, record: ImageRecord | None) -> bytes:
        if not self._with_previews or record is None:
            return b""
        from mixer_tf.images import UnusableImageError
        from mixer_tf.images.thumbnails import make_preview

        try:
            return make_preview(record.encoded, PREVIEW_SIDE)
        except UnusableImageError:
            return b""

    def most_confident(self) -> list[Mistake]:
        """Returns the mistakes with the highest probability, in descending order."""
        return list(self._most_confident)

    def highest_loss(self) -> list[Mistake]:
        """Returns the mistakes whose class got the lowest probability, the lowest first.

        They are kept with previews only. Images of classes that the model does not know are not
        among them.
        """
        return list(self._highest_loss)

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
