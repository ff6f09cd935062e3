# SPDX-License-Identifier: Apache-2.0
"""What `mixer evaluate` shows: figures for a person, or all of them as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mixer_tf.console import format_table

if TYPE_CHECKING:
    from mixer_tf.evaluation.classification import ClassFigures, Scores
    from mixer_tf.serving.predictor import Predictor

_MOST_CLASSES = 40
_MOST_PROBLEMS = 10


@dataclasses.dataclass(frozen=True)
class Report:
    """One evaluation.

    Attributes:
        predictor: the model.
        source: where the images come from.
        splits: of the source.
        scores: what was counted.
        problems: (path, reason) of the images that could not be used.
        seconds: that it took, without loading the model.
    """

    predictor: Predictor
    source: str
    splits: Sequence[str]
    scores: Scores
    problems: Sequence[tuple[str, str]]
    seconds: float

    def to_json(self) -> str:
        classes = {name: dataclasses.asdict(figures) for name, figures in self._classes().items()}
        return json.dumps(
            {
                "model": self.predictor.model_dir,
                "source": self.source,
                "splits": list(self.splits),
                "images": self.scores.images,
                "top_1": self.scores.top_1,
                "top_5": self.scores.top_5,
                "classes": classes,
                "unusable": dict(self.problems),
            },
            indent=2,
        )

    def to_text(self) -> str:
        return "\n".join([*self._figures(), "", *self._class_table(), *self._problem_lines()])

    def _figures(self) -> list[str]:
        scores, classes = self.scores, self.predictor.class_names
        speed = scores.images / self.seconds
        lines = [
            f"model    {self.predictor.model_dir}",
            f"images   {scores.images:,}: {', '.join(self.splits)} of {self.source}",
            f"top-1    {scores.top_1:.4f}  ({scores.correct:,} of {scores.images:,})",
        ]
        if len(classes) > 5:
            lines.append(
                f"top-5    {scores.top_5:.4f}  ({scores.correct_in_5:,} of {scores.images:,})"
            )
        return [*lines, f"time     {self.seconds:.1f} s, {speed:,.0f} images/s"]

    def _class_table(self) -> list[str]:
        """The classes in label order; of very many only the worst."""
        classes = list(self._classes().items())
        shown = [item for item in classes if item[1].images or item[1].predicted]
        note = []
        if len(shown) > _MOST_CLASSES:
            shown = sorted(shown, key=lambda item: _or_zero(item[1].recall))[:_MOST_CLASSES]
            note = [f"(the {_MOST_CLASSES} worst of {len(classes)} classes; --json has all)"]
        rows = [
            [
                *(name, figures.mistaken_for, f"{figures.images:,}"),
                *(_share(figures.recall), _share(figures.precision)),
            ]
            for name, figures in shown
        ]
        header = ("class", "mistaken for", "images", "recall", "precision")
        return [format_table(header, rows, left=2), *note]

    def _classes(self) -> dict[str, ClassFigures]:
        return self.scores.by_class(self.predictor.class_names)

    def _problem_lines(self) -> list[str]:
        if not self.problems:
            return []
        lines = [f"  {path}: {reason}" for path, reason in self.problems[:_MOST_PROBLEMS]]
        more = len(self.problems) - _MOST_PROBLEMS
        return [
            *("", f"{len(self.problems):,} images cannot be used and were left out:", *lines),
            *([f"  and {more:,} more; --json lists all"] if more > 0 else []),
        ]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _or_zero(value: float | None) -> float:
    return value or 0.0
