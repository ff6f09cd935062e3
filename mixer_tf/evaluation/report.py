# SPDX-License-Identifier: Apache-2.0
"""The output of `mixer evaluate` about one model: a summary with tables, JSON, or a page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mixer_tf.console import format_table
from mixer_tf.evaluation import mistakes
from mixer_tf.evaluation.class_counts import where
from mixer_tf.evaluation.figures import Figures
from mixer_tf.messages import visible
from mixer_tf.serving import contract

if TYPE_CHECKING:
    from mixer_tf.evaluation.calibration import Calibration
    from mixer_tf.evaluation.class_counts import ClassCounts
    from mixer_tf.evaluation.classification import ClassMetrics, Scores
    from mixer_tf.evaluation.labeled_predictions import LabeledPredictions
    from mixer_tf.evaluation.real_labels import RealScores
    from mixer_tf.serving.predictor import Predictor

_MAX_CLASSES = 40
_MAX_MATRIX = 10  # classes of a confusion matrix on a terminal
_MAX_CONFUSIONS = 10
_MAX_PROBLEMS = 10
MAX_MISTAKES = 10
_LABEL_WIDTH = 8  # of the first column of the summary


@dataclasses.dataclass(frozen=True)
class Report:
    """The results of one evaluation of one model.

    Attributes:
        predictor: the evaluated model.
        source: the source of the images, as the user gave it.
        splits: the evaluated splits of the source.
        scores: the counted predictions.
        predictions: the worst mistakes, and for JSON all predictions.
        problems: (path, reason) of each image that could not be used.
        seconds: duration in seconds, without loading the model.
        top: the k of the top-k accuracy that the user asks for.
        real: the predictions against ReaL labels; None without them.
        remarks: further notes, such as how classes were matched.
    """

    predictor: Predictor
    source: str
    splits: Sequence[str]
    scores: Scores
    predictions: LabeledPredictions
    problems: Sequence[tuple[str, str]]
    seconds: float
    top: int = contract.TOP_K
    real: RealScores | None = None
    remarks: Sequence[str] = ()

    def to_json(self) -> Iterator[str]:
        """Yields the lines of one JSON object; "predictions" is last, a line for each image."""
        yield json.dumps(self.to_dict(), indent=2, ensure_ascii=False).removesuffix("\n}") + ","
        yield '  "predictions": ['
        for number, line in enumerate(self.predictions.lines(), 1):
            yield f"    {line}" + ("," if number < self.scores.images else "")
        yield "  ]\n}"

    def to_dict(self) -> dict[str, object]:
        """Returns everything but the predictions."""
        classes = {name: dataclasses.asdict(metrics) for name, metrics in self._classes().items()}
        ks = sorted({1, contract.TOP_K, self.top})
        return {
            "model": self.predictor.model_dir,
            "source": self.source,
            "splits": list(self.splits),
            "images": self.scores.images,
            **{f"top_{k}": self.scores.top(k) for k in ks},
            **({"real": _real_to_dict(self.real)} if self.real else {}),
            "calibration": self.scores.calibration.to_dict(),
            "warnings": self.warnings(),
            "notes": self._notes(),
            "classes": classes,
            **_matched_to_dict(self.predictor),
            "confusion": self._confusion_to_dict(),
            "num_unusable": len(self.problems),
            "unusable": self._problems_to_dict(),
        }

    def _confusion_to_dict(self) -> dict[str, dict[str, int]]:
        """Class → most probable class → number of images, where there are any."""
        found: dict[str, dict[str, int]] = {}
        for name, predicted in sorted(self.scores.confusion):
            found.setdefault(name, {})[predicted] = self.scores.confusion[name, predicted]
        return found

    def _problems_to_dict(self) -> dict[str, str]:
        """Path → reason; of images that share an id, all different reasons."""
        found: dict[str, dict[str, None]] = {}
        for path, reason in self.problems:
            found.setdefault(path, {})[reason] = None
        return {path: "; ".join(reasons) for path, reasons in found.items()}

    def to_text(self) -> str:
        return "\n".join(
            [
                *self._summary(),
                "",
                *self._class_table(),
                *self._confusions(),
                *self._mistakes(),
                *self.problem_lines(),
            ]
        )

    def figures(self) -> Figures:
        """Returns what a page shows."""
        return Figures(
            model=self.predictor.model_dir,
            summary=self.rows(),
            class_names=self.predictor.class_names,
            confusion=self.scores.confusion,
            calibration=self.scores.calibration,
            warnings=self.warnings(),
            notes=self._notes(),
            mistakes=mistakes.by_title(self.predictions.mistakes.by_kind()),
            problems=self.problems,
        )

    def _summary(self) -> list[str]:
        rows = {"model": self.predictor.model_dir, **self.rows()}
        rows["time"] = f"{self.seconds:.1f} s, {self.scores.images / self.seconds:,.0f} images/s"
        notes = [
            *(("WARNING", warning) for warning in self.warnings()),
            *(("note", note) for note in self._notes()),
        ]
        lines = [*rows.items(), *notes]
        return [f"{label:<{_LABEL_WIDTH}} {visible(text)}" for label, text in lines]

    def rows(self) -> dict[str, str]:
        """Returns title → value of what is told about all images."""
        scores = self.scores
        images = f"{scores.images:,}: {', '.join(self.splits)} of {self.source}"
        rows = {"images": images, **accuracy_rows(scores, self.predictor.class_names, self.top)}
        if self.real:
            rows["ReaL"] = real_text(self.real)
        return {**rows, "ECE": calibration_text(scores.calibration)}

    def warnings(self) -> list[str]:
        """Returns the signs that the model may have learned nothing."""
        return self._class_counts().warnings()

    def _notes(self) -> list[str]:
        notes = self._class_counts().notes(self.predictor.class_names)
        return [*self.remarks, *notes, *(self.real.notes() if self.real else ())]

    def problem_lines(self) -> list[str]:
        """Returns lines about the images that cannot be used; none if there are none."""
        if not self.problems:
            return []
        shown = self.problems[:_MAX_PROBLEMS]
        lines = [f"  {visible(f'{path}: {reason}')}" for path, reason in shown]
        num_hidden = len(self.problems) - len(shown)
        return [
            *("", f"{len(self.problems):,} images cannot be used and were left out:", *lines),
            *([f"  and {num_hidden:,} more; --json lists all"] if num_hidden > 0 else []),
        ]

    def _class_counts(self) -> ClassCounts:
        is_one = len(self.splits) == 1
        return self.scores.class_counts(where(self.splits[0]) if is_one else "all splits")

    def _class_table(self) -> list[str]:
        """The classes in label order; if there are very many, those with the lowest recall."""
        classes = list(self._classes().items())
        shown = [item for item in classes if item[1].images or item[1].predicted]
        note = []
        if len(shown) > _MAX_CLASSES:
            shown = sorted(shown, key=lambda item: item[1].rank)[:_MAX_CLASSES]
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

    def _confusions(self) -> list[str]:
        """The confusion matrix of few classes; of many, the most frequent confusions."""
        confusion = self.scores.confusion
        names = [name for name, found in self._classes().items() if found.images or found.predicted]
        wrong = {pair: count for pair, count in confusion.items() if len(set(pair)) > 1}
        if not wrong:
            return []
        if len(names) <= _MAX_MATRIX:
            rows = [[name, *(f"{confusion[name, other]:,}" for other in names)] for name in names]
            header = ["true class", *map(visible, names)]
            return ["", "images by true class and prediction:", format_table(header, rows)]
        most = sorted(wrong, key=lambda pair: (-wrong[pair], pair))[:_MAX_CONFUSIONS]
        rows = [[name, other, f"{wrong[name, other]:,}"] for name, other in most]
        title = f"the {len(most)} most frequent of {len(wrong):,} confusions; --json has all:"
        return ["", title, format_table(("class", "prediction", "images"), rows, left=2)]

    def _mistakes(self) -> list[str]:
        """The most confident mistakes: often a wrong label, or two classes that look alike."""
        worst = [
            mistake.prediction
            for mistake in self.predictions.mistakes.most_confident()[:MAX_MISTAKES]
        ]
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
        header = ("class", "prediction", "probability", "image")
        return ["", title, format_table(header, rows, left=4)]

    def _classes(self) -> dict[str, ClassMetrics]:
        return self.scores.by_class(self.predictor.class_names)


def accuracy_rows(scores: Scores, class_names: Sequence[str], top: int) -> dict[str, str]:
    """Returns "top-1", "top-5" and so on → accuracy and counts, as far as they say something."""
    from mixer_tf.evaluation.classification import top_ks

    rows = {}
    for k in top_ks(len(class_names), top):
        correct = scores.correct_in_top(k)
        rows[f"top-{k}"] = f"{scores.top(k):.4f}  ({correct:,} of {scores.images:,})"
    return rows


def real_text(real: RealScores) -> str:
    """Returns ReaL accuracy and its counts."""
    left_out = f"{real.without_labels:,} without labels left out"
    if real.accuracy is None:
        return f"no image has a label; {left_out}"
    return f"{real.accuracy:.4f}  ({real.correct:,} of {real.images:,}; {left_out})"


def calibration_text(calibration: Calibration) -> str:
    """Returns the expected calibration error, and in which direction the model errs."""
    mean, accuracy = calibration.mean_confidence, calibration.accuracy
    direction = "overconfident" if mean > accuracy else "underconfident"
    return (
        f"{calibration.error:.4f}  (mean probability of the predictions {mean:.4f}, "
        f"{direction} by {abs(mean - accuracy):.4f})"
    )


def _real_to_dict(real: RealScores) -> dict[str, object]:
    return {
        "accuracy": real.accuracy,
        "images": real.images,
        "correct": real.correct,
        "without_labels": real.without_labels,
    }


def _matched_to_dict(predictor) -> dict[str, object]:
    """Class of the source → class of the model, if they were matched by their synonyms."""
    matched = getattr(predictor, "matched_names", None)
    return {} if matched is None else {"matched_classes": matched}


def _format_share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
