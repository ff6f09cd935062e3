# SPDX-License-Identifier: Apache-2.0
"""The answers for all images of an evaluation, in bounded memory, to list the mistakes."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import itertools
import json
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixer_tf.evaluation.classification import Answer

_IN_MEMORY = 2**24  # bytes; longer lists are in a temporary file


class Answers(contextlib.AbstractContextManager):
    """Keeps the most confident mistakes, and, if asked to, all answers as lines of JSON."""

    def __init__(self, num_mistakes: int, keep_all: bool = False):
        """Keeps nothing yet.

        Args:
            num_mistakes: how many of the mistakes to keep.
            keep_all: whether to keep all answers as well.
        """
        self._num_mistakes = num_mistakes
        self._worst: list[tuple[float, int, Answer]] = []
        self._order = itertools.count()
        self._lines = None
        if keep_all:
            # Closed in __exit__.
            self._lines = tempfile.SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8")  # noqa: SIM115

    def __exit__(self, *_) -> None:
        if self._lines:
            self._lines.close()

    def add(self, answer: Answer) -> None:
        """Keeps an answer if it is asked for."""
        if self._lines:
            line = {**dataclasses.asdict(answer), "correct": answer.is_correct}
            self._lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        if not answer.is_correct:
            # Of two that are equally confident, the earlier one counts as worse.
            heapq.heappush(self._worst, (answer.probability, -next(self._order), answer))
            if len(self._worst) > self._num_mistakes:
                heapq.heappop(self._worst)

    def worst(self) -> list[Answer]:
        """Returns the mistakes with the highest probability, in descending order."""
        return [answer for _, _, answer in sorted(self._worst, reverse=True)]

    def lines(self) -> Iterator[str]:
        """Yields each answer as a JSON object, in the order of the images."""
        if self._lines:
            self._lines.seek(0)
            yield from (line.rstrip("\n") for line in self._lines)
