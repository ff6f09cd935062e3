# SPDX-License-Identifier: Apache-2.0
"""The mistakes that a page shows, chosen in bounded memory, and the file of them. No TensorFlow.

Two kinds are kept: those with the highest probability for a wrong class, and those with the lowest
probability for the right one.
"""

from __future__ import annotations

import base64
import bisect
import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from mixer_tf import storage
from mixer_tf.evaluation.figures import Mistake

if TYPE_CHECKING:
    from mixer_tf.evaluation.classification import LabeledPrediction

MAX_PAGE_MISTAKES = 48  # of each kind
PREVIEW_SIDE = 160  # pixels
FILE = "mistakes.jsonl"
MOST_CONFIDENT, WORST = "most confident", "worst"
TITLES = {
    MOST_CONFIDENT: "Most confident mistakes",
    WORST: "Worst mistakes: the right class got the lowest probability",
}
_FIELDS = ("image", "class_name", "predicted", "probability", "rank", "class_probability")


class _Highest:
    """The mistakes with the highest values; of equal values, those with the lowest order."""

    def __init__(self, number: int):
        self._number = number
        self._found: list[tuple[float, int | str, Mistake]] = []  # sorted

    def add(self, value: float, order: int | str, make: Callable[[], Mistake]) -> None:
        """Adds a mistake if its value is high enough; only then is it made."""
        position = -value, order
        if len(self._found) >= self._number:
            if not self._number or position >= self._found[-1][:2]:
                return
            self._found.pop()
        bisect.insort(self._found, (*position, make()), key=lambda item: item[:2])

    def merge(self, other: _Highest) -> None:
        for value, order, mistake in other._found:
            self.add(-value, order, lambda mistake=mistake: mistake)

    def __iter__(self) -> Iterator[Mistake]:
        return (mistake for _, _, mistake in self._found)


class Mistakes:
    """Keeps the mistakes of both kinds among many predictions; it can be pickled and merged."""

    def __init__(self, num_mistakes: int, with_previews: bool = True):
        """Keeps nothing yet.

        Args:
            num_mistakes: how many to keep of each kind.
            with_previews: whether to keep a preview of each mistake; without, only the most
                confident ones are kept.
        """
        self._most_confident = _Highest(num_mistakes)
        self._worst = _Highest(num_mistakes if with_previews else 0)
        self._with_previews = with_previews

    def add(self, prediction: LabeledPrediction, order: int | str, encoded: bytes = b"") -> None:
        """Keeps a prediction if it is wrong, and among the highest.

        Args:
            prediction: the prediction.
            order: sort key, of one type in all calls: of mistakes with equal values, those with the
                lowest order are kept and come first.
            encoded: the image; b"" where no previews are kept. A preview is made only of what is
                kept.
        """
        if prediction.is_correct:
            return

        @functools.cache
        def make() -> Mistake:
            return Mistake(prediction, _preview(encoded) if self._with_previews else b"")

        self._most_confident.add(prediction.probability, order, make)
        if prediction.loss is not None:
            self._worst.add(prediction.loss, order, make)

    def merge(self, other: Mistakes) -> None:
        """Adds the mistakes that another one has kept, of other predictions."""
        self._most_confident.merge(other._most_confident)
        self._worst.merge(other._worst)

    def most_confident(self) -> list[Mistake]:
        """Returns the mistakes with the highest probability, in descending order."""
        return list(self._most_confident)

    def worst(self) -> list[Mistake]:
        """Returns the mistakes whose class got the lowest probability, the lowest first.

        They are kept with previews only. Images of classes that the model does not know are not
        among them.
        """
        return list(self._worst)

    def by_kind(self) -> dict[str, list[Mistake]]:
        """Returns the kinds, `MOST_CONFIDENT` and `WORST`, with their mistakes."""
        return {MOST_CONFIDENT: self.most_confident(), WORST: self.worst()}


def _preview(encoded: bytes) -> bytes:
    if not encoded:
        return b""
    from mixer_tf.images import UnusableImageError
    from mixer_tf.images.thumbnails import make_preview

    try:
        return make_preview(encoded, PREVIEW_SIDE)
    except UnusableImageError:  # the model's decoder has read it; that of the previews differs
        return b""


def by_title(found: Mapping[str, Sequence[Mistake]]) -> dict[str, Sequence[Mistake]]:
    """Returns the title of each kind, for people, with its mistakes."""
    return {title: found[kind] for kind, title in TITLES.items() if kind in found}


def write(folder: str, found: Mapping[str, Sequence[Mistake]]) -> None:
    """Writes `mistakes.jsonl`, which appears when it is complete.

    A line is a JSON object with "kind", the fields of the prediction but "top", and "preview", a
    JPEG as base64, or "". The lines of a kind are in the order in which they are shown. Several
    processes may write the file at the same time.

    Args:
        folder: an existing folder.
        found: kind → mistakes.
    """
    lines = [
        json.dumps(
            {**to_dict(kind, each), "preview": base64.b64encode(each.preview).decode()},
            ensure_ascii=False,
        )
        for kind, mistakes in found.items()
        for each in mistakes
    ]
    path = os.path.join(folder, FILE)
    storage.write_text(path, "".join(f"{line}\n" for line in lines))


def to_dict(kind: str, mistake: Mistake) -> dict[str, object]:
    """Returns the kind and the fields of a mistake for JSON, without the preview."""
    fields = dataclasses.asdict(mistake.prediction)
    return {"kind": kind, **{name: fields[name] for name in _FIELDS}}


def read(folder: str) -> dict[str, list[Mistake]] | None:
    """Returns kind → the mistakes that `write` has stored; None if there is no such file.

    Raises:
        ValueError: the file is corrupt.
    """
    path = os.path.join(folder, FILE)
    if not storage.exists(path):
        return None
    found: dict[str, list[Mistake]] = {kind: [] for kind in TITLES}
    for number, line in enumerate(storage.read_text(path).split("\n")[:-1], 1):
        try:
            kind, mistake = _parse(line)
            found[kind].append(mistake)
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{path} must have a mistake on each line, as the Evaluator writes it; line "
                f"{number} has none: {error}. Run the pipeline again with --from=Evaluator, or "
                "remove the file."
            ) from None
    return found


def _parse(line: str) -> tuple[str, Mistake]:
    from mixer_tf.evaluation.classification import LabeledPrediction

    fields = json.loads(line)
    prediction = LabeledPrediction(**{name: fields[name] for name in _FIELDS})
    return fields["kind"], Mistake(prediction, base64.b64decode(fields["preview"]))
