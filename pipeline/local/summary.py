# SPDX-License-Identifier: Apache-2.0
"""The summary of a run: its steps, its model, what to type next; also as summary.json."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping

from mixer_tf import console, storage
from mixer_tf.deduplication.pair_page.page import FILE_NAME as PAIRS_PAGE
from mixer_tf.evaluation import fewshot_report
from mixer_tf.messages import visible
from mixer_tf.serving import contract
from pipeline.local.run_outputs import RunOutputs, Tuning
from pipeline.local.step import Step

FILE_NAME = "summary.json"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The results of a run.

    Attributes:
        steps: node id → what it took and whether it came from the cache, in order of execution.
        examples: split → number of images for the Trainer and the Evaluator.
        duplicates_removed: images removed from the training and evaluation splits; None if that
            step never ran.
        unusable: images that could not be used; None if that step never ran.
        metrics: overall metrics of the test split ("accuracy", "cross_entropy", "example_count",
            and, if there are more classes than `contract.TOP_K`, `contract.top_k_metric()`).
        pushed_model: folder of the model version that this run pushed, or None.
        reason: why nothing was pushed, or "".
        notes: what to know about the data, such as an empty class folder, and about the metrics,
            such as a class that was never recognized.
        warnings: signs that the model has learned nothing, such as one class for all images.
        saved_model: the trained model, pushed or not; None if no training ran.
        quarantine_file: the list of unusable images; None if that step never ran.
        report_dir: the folder of the Deduplicator's report; None if that step never ran.
        tensorboard: the command that shows the training curves.
        predict: the command that classifies an image with this model.
        tuning: what a search for hyperparameters has found; None if there was none.
        leaked: where duplicates are marked: whether test images have a duplicate in training →
            their number, and top-1 accuracy.
        statistics_page: the page of the image statistics; None if that step never ran.
        evaluation_page: the page of the results on the test split; None if that step never ran.
        few_shot: the "results" of `fewshot.json`: top-1 of linear probes on the test split; () if
            there were none.
        report_page: the page about the run; None if it did not reach that step.
        report: the command that writes such a page.
    """

    steps: dict[str, Step]
    examples: dict[str, int]
    duplicates_removed: int | None
    unusable: int | None
    metrics: dict[str, float]
    pushed_model: str | None
    reason: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    saved_model: str | None
    quarantine_file: str | None
    report_dir: str | None
    tensorboard: str
    predict: str
    tuning: Tuning | None = None
    leaked: Mapping[bool, tuple[int, float]] = dataclasses.field(default_factory=dict)
    statistics_page: str | None = None
    evaluation_page: str | None = None
    few_shot: tuple[Mapping[str, object], ...] = ()
    report_page: str | None = None
    report: str = ""

    def write(self, root: str) -> str:
        """Writes `summary.json` below `root` and returns its path."""
        path = os.path.join(root, FILE_NAME)
        leaked = {
            ("leaked" if is_leaked else "clean"): {"example_count": number, "accuracy": accuracy}
            for is_leaked, (number, accuracy) in self.leaked.items()
        }
        fields = {**dataclasses.asdict(self), "leaked": leaked}
        storage.write_text(path, json.dumps(fields, indent=2, ensure_ascii=False))
        return path

    def lines(self) -> list[str]:
        """The same for people, one fact per line."""
        seconds = sum(step.seconds for step in self.steps.values())
        overhead = sum(step.overhead for step in self.steps.values())
        cached = sum(step.cached for step in self.steps.values())
        rows = [
            (
                "steps",
                f"{len(self.steps)} in {seconds:.0f} s, {cached} from the cache; "
                f"{overhead:.0f} s of TFX's own (imports, ML Metadata)",
            ),
            ("images", ", ".join(f"{n:,} {split}" for split, n in self.examples.items())),
            ("duplicates", self._duplicates_line()),
            ("unusable", self._unusable_line()),
            ("statistics", _short(self.statistics_page)),
            ("tuned", _tuning_line(self.tuning)),
            ("test split", _metrics_line(self.metrics)),
            ("few-shot", fewshot_report.one_line(self.few_shot)),
            ("leaked", _leaked_line(self.leaked)),
            ("evaluation", _short(self.evaluation_page)),
            ("pushed", _short(self.pushed_model) or f"nothing: {self.reason}"),
            ("report", _short(self.report_page) or self.report),
            *(("WARNING", warning) for warning in self.warnings),
            *(("note", note) for note in self.notes),
            ("curves", self.tensorboard if self.saved_model else ""),
            ("predict", self.predict if self.saved_model else ""),
        ]
        return [f"  {name:<12} {visible(text)}" for name, text in rows if text]

    def _duplicates_line(self) -> str:
        """With the page of the pairs, to which the notes refer, even if none was removed."""
        number = self.duplicates_removed
        if number is None:
            return ""
        page = os.path.join(self.report_dir, PAIRS_PAGE) if self.report_dir else ""
        where = f", pairs in {_short(page)}" if page else ""
        hint = "; mark wrong ones there and save the list for --keep-duplicates=FILE"
        return f"{_images(number)} removed{where}{hint if number and page else ''}"

    def _unusable_line(self) -> str:
        if self.unusable is None:
            return ""
        where = f", listed in {_short(self.quarantine_file)}" if self.unusable else ""
        return f"{_images(self.unusable)}{where}"


def summarize(
    steps: dict[str, Step],
    outputs: RunOutputs,
    commands: dict[str, str],
    notes: tuple[str, ...] = (),
) -> Summary:
    """Collects the results of the steps.

    Args:
        steps: the steps of this run, as `progress.show_steps` saw them.
        outputs: the output artifacts of this run.
        commands: the "tensorboard", "predict" and "report" commands.
        notes: what to know about the run itself.
    """
    info = outputs.dataset_info()
    return Summary(
        steps=dict(steps),
        examples=info.examples if info else {},
        duplicates_removed=outputs.duplicates_removed(),
        unusable=outputs.unusable(),
        metrics=outputs.metrics(),
        pushed_model=outputs.pushed_model(),
        reason=outputs.reason_not_pushed(),
        notes=(*notes, *outputs.notes()),
        warnings=outputs.warnings(),
        saved_model=outputs.saved_model(),
        quarantine_file=outputs.quarantine_file(),
        report_dir=outputs.uri("Deduplicator", "report"),
        tuning=outputs.tuning(),
        leaked=outputs.leaked(),
        statistics_page=outputs.statistics_page(),
        evaluation_page=outputs.evaluation_page(),
        few_shot=outputs.few_shot(),
        report_page=outputs.report_page(),
        **commands,
    )


def _images(number: int) -> str:
    return f"{number:,} image{'' if number == 1 else 's'}"


def _short(path: str | None) -> str:
    return console.short_path(path) if path else ""


def _tuning_line(tuning: Tuning | None) -> str:
    if tuning is None:
        return ""
    best = " ".join(f"{field}={value}" for field, value in tuning.best.items())
    failed = f", {tuning.failed} failed" if tuning.failed else ""
    trials = f"best of {tuning.trials:,} trials{failed}: eval top-1 {tuning.accuracy:.4f}"
    return f"{best}, {trials}, listed in {_short(tuning.results)}"


def _leaked_line(leaked: Mapping[bool, tuple[int, float]]) -> str:
    """The accuracy with and without the test images that have a duplicate in training."""
    if not leaked:
        return ""
    if True not in leaked:
        return "no test image has a duplicate in training"
    titles = {True: "that have a duplicate in training", False: "that have none"}
    parts = [
        f"top-1 {leaked[is_leaked][1]:.4f} on {leaked[is_leaked][0]:,} test images {title}"
        for is_leaked, title in titles.items()
        if is_leaked in leaked
    ]
    return "; ".join(parts)


def _metrics_line(metrics: dict[str, float]) -> str:
    parts = [f"top-1 {metrics['accuracy']:.4f}"] if "accuracy" in metrics else []
    if contract.top_k_metric() in metrics:
        parts.append(f"{contract.top_k_title()} {metrics[contract.top_k_metric()]:.4f}")
    if "example_count" in metrics:
        parts.append(f"{metrics['example_count']:.0f} images")
    return ", ".join(parts)
