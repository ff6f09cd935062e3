# SPDX-License-Identifier: Apache-2.0
"""The output of `mixer evaluate`: a summary with tables, or all metrics as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mixer_tf.console import format_table
from mixer_tf.evaluation.class_counts import where
from mixer_tf.messages import visible
from mixer_tf.serving import contract

if TYPE_CHECKING:
    from mixer_tf.evaluation.answers import Answers
    from mixer_tf.evaluation.class_counts import ClassCounts
    from mixer_tf.evaluation.classification import ClassMetrics, Scores
    from mixer_tf.serving.predictor import Predictor

_MAX_CLASSES = 40
_MAX_PROBLEMS = 10
MAX_MISTAKES = 10
_LABEL_WIDTH = 8  # of the first column of the summary


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of one evaluation.

    Attributes:
        predictor: the evaluated model.
        source: the source of the images, as the user gave it.
        splits: the evaluated splits of the source.
        scores: the counted predictions.
        answers: the worst mistakes, and for JSON all answers.
        problems: (path, reason) of each image that could not be used.
        seconds: duration in seconds, without loading the model.
    """

    predictor: Predictor
    source: str
    splits: Sequence[str]
    scores: Scores
    answers: Answers
    problems: Sequence[tuple[str, str]]
    seconds: float

    def to_json(self) -> Iterator[str]:
        """Yields the lines of one JSON object; "answers" is last, with one line for each image."""
        classes = {name: dataclasses.asdict(metrics) for name, metrics in self._classes().items()}
        figures = {
            "model": self.predictor.model_dir,
            "source": self.source,
            "splits": list(self.splits),
            "images": self.scores.images,
            "top_1": self.scores.top_1,
            f"top_{contract.TOP_K}": self.scores.top_k,
            "warnings": self._class_counts().warnings(),
            "notes": self._class_counts().notes(self.predictor.class_names),
            "classes": classes,
            "unusable": dict(self.problems),
        }
        yield json.dumps(figures, indent=2, ensure_ascii=False).removesuffix("\n}") + ","
        yield '  "answers": ['
        for number, line in enumerate(self.answers.lines(), 1):
            yield f"    {line}" + ("," if number < self.scores.images else "")
        yield "  ]\n}"

    def to_text(self) -> str:
        return "\n".join(
            [
                *self._summary(),
                "",
                *self._class_table(),
                *self._mistakes(),
                *self._problem_lines(),
            ]
        )

    def _summary(self) -> list[str]:
        scores = self.scores
        rows = {
            "model": self.predictor.model_dir,
            "images": f"{scores.images:,}: {', '.join(self.splits)} of {self.source}",
            "top-1": self._accuracy(scores.top_1, scores.correct),
        }
        if len(self.predictor.class_names) > contract.TOP_K > 1:
            rows[contract.top_k_title()] = self._accuracy(scores.top_k, scores.correct_in_top_k)
        rows["time"] = f"{self.seconds:.1f} s, {scores.images / self.seconds:,.0f} images/s"
        counts = self._class_counts()
        notes = [
            *(("WARNING", warning) for warning in counts.warnings()),
            *(("note", note) for note in counts.notes(self.predictor.class_names)),
        ]
        lines = [*rows.items(), *notes]
        return [f"{label:<{_LABEL_WIDTH}} {visible(text)}" for label, text in lines]

    def _class_counts(self) -> ClassCounts:
        is_one = len(self.splits) == 1
        return self.scores.class_counts(where(self.splits[0]) if is_one else "all splits")

    def _accuracy(self, accuracy: float, correct: int) -> str:
        return f"{accuracy:.4f}  ({correct:,} of {self.scores.images:,})"

    def _class_table(self) -> list[str]:
        """The classes in label order; if there are very many, those with the lowest recall."""
        classes = list(self._classes().items())
        shown = [item for item in classes if item[1].images or item[1].predicted]
        note = []
        if len(shown) > _MAX_CLASSES:
            shown = sorted(shown, key=lambda item: item[1].recall or 0.0)[:_MAX_CLASSES]
            note = [f"(the {_MAX_CLASSES} worst of {len(classes)} classes; --json has all)"]
        rows = [
            [
                *(name, metrics.mistaken_for, f"{metrics.images:,}"),
                *(_format_share(metrics.recall), _format_share(metrics.precision)),
            ]
            for name, metrics in shown
        ]
        header = ("class", "mistaken for", "images", "recall", "precision")
        return [format_table(header, rows, left=2), *note]

    def _mistakes(self) -> list[str]:
        """The most confident mistakes: often a wrong label, or two classes that look alike."""
        worst = self.answers.worst()
        if not worst:
            return []
        total = self.scores.images - self.scores.correct
        title = f"{total:,} mistake{'' if total == 1 else 's'}, the most confident first:"
        if total > len(worst):
            title = f"the {len(worst)} most confident of {total:,} mistakes; --json lists all:"
        rows = [
            [mistake.class_name, mistake.predicted, f"{mistake.probability:.4f}", mistake.image]
            for mistake in worst
        ]
        header = ("class", "answer", "probability", "image")
        return ["", title, format_table(header, rows, left=4)]

    def _classes(self) -> dict[str, ClassMetrics]:
        return self.scores.by_class(self.predictor.class_names)

    def _problem_lines(self) -> list[str]:
        if not self.problems:
            return []
        lines = [f"  {visible(path)}: {reason}" for path, reason in self.problems[:_MAX_PROBLEMS]]
        num_hidden = len(self.problems) - _MAX_PROBLEMS
        return [
            *("", f"{len(self.problems):,} images cannot be used and were left out:", *lines),
            *([f"  and {num_hidden:,} more; --json lists all"] if num_hidden > 0 else []),
        ]


def _format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
