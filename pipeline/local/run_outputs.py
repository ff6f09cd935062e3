# SPDX-License-Identifier: Apache-2.0
"""The outputs of the newest run of a pipeline, read from ML Metadata and the artifacts."""

from __future__ import annotations

import dataclasses
import json
import os

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx.utils import path_utils

from components import hyperparameters
from components.bulk_predictor.executor import NOTES, REASON
from components.bulk_predictor.transforms import IMAGES, UNUSABLE
from components.drift_validator.executor import NOTE
from components.evaluation_thresholds import missed_thresholds
from components.evaluations import PAGE as EVALUATION_PAGE
from components.evaluations import read_class_counts, read_leaked, read_metrics
from components.few_shot_evaluator.executor import NOTE as PROBES_NOTE
from components.image_statistics.executor import NOTE as STATISTICS_NOTE
from mixer_tf import console, storage
from mixer_tf.datasets import validation
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.evaluation import fewshot_report
from mixer_tf.evaluation.class_counts import ClassCounts, notes_of_splits
from mixer_tf.features import EVAL, TEST
from mixer_tf.reports.page import PAGE as REPORT_PAGE
from mixer_tf.serving import contract
from mixer_tf.visualization.statistics_page import PAGE as STATISTICS_PAGE
from pipeline import eval_config
from pipeline.stages.earlier_model import BASE_MODEL_RESOLVER

# The datasets of a run, the last step first.
_EXAMPLES = (
    ("Preprocessor", "preprocessed_examples"),
    ("Deduplicator", "deduplicated_examples"),
    ("ImageExampleGen", "examples"),
)
_OUTPUT = metadata_store_pb2.Event.OUTPUT
_DONE = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)
_RESOLVED = metadata_store_pb2.Event.INTERNAL_OUTPUT


@dataclasses.dataclass(frozen=True)
class Tuning:
    """The result of a search for hyperparameters.

    Attributes:
        best: "section.field" → the value that the Trainer has used.
        accuracy: top-1 of its trial on the evaluation split.
        trials, failed: number of all trials, and of those that failed.
        results: the table of all trials, as a file of JSON records.
    """

    best: dict[str, object]
    accuracy: float
    trials: int
    failed: int
    results: str


class RunOutputs:
    """The output artifacts of the newest run, by node id and output key."""

    def __init__(self, metadata_connection_config, ran: set[str]):
        """Reads ML Metadata.

        Args:
            metadata_connection_config: the store of the run.
            ran: the node ids that were launched; other outputs in the store are from earlier runs.
        """
        store = mlmd.MetadataStore(metadata_connection_config)
        self._artifacts = artifacts_of_newest_run(store)
        self._resolved = artifacts_of_newest_run(store, _RESOLVED)
        self._ran = ran

    def uri(self, node_id: str, key: str) -> str | None:
        artifact = self._artifacts.get((node_id, key))
        return artifact.uri if artifact else None

    def dataset_info(self) -> DatasetInfo | None:
        """The dataset as the last step that has run wrote it."""
        for node_id, key in _EXAMPLES:
            uri = self.uri(node_id, key)
            if uri:
                return DatasetInfo.read(uri)
        return None

    def duplicates_removed(self) -> int | None:
        """From training and evaluation; None if that step never ran."""
        uri = self.uri("Deduplicator", "report")
        if uri is None:
            return None
        report = json.loads(storage.read_text(os.path.join(uri, "report.json")))
        return report["removed"] + report["evaluation"]["removed"]

    def statistics_page(self) -> str | None:
        uri = self.uri("ImageStatistics", "report")
        return os.path.join(uri, STATISTICS_PAGE) if uri else None

    def few_shot(self) -> tuple[dict, ...]:
        """The results of the linear probes; () if there were none."""
        uri = self.uri("FewShotEvaluator", "report")
        if uri is None:
            return ()
        return tuple(
            json.loads(storage.read_text(os.path.join(uri, fewshot_report.JSON_FILE)))["results"]
        )

    def evaluation_page(self) -> str | None:
        uri = self.uri("Evaluator", "evaluation")
        path = os.path.join(uri, EVALUATION_PAGE) if uri else ""
        return path if path and storage.exists(path) else None  # older versions wrote none

    def report_page(self) -> str | None:
        """The page that this run has written; None if it did not reach the step RunReport."""
        uri = self.uri("RunReport", "report") if "RunReport" in self._ran else None
        return os.path.join(uri, REPORT_PAGE) if uri else None

    def quarantine_file(self) -> str | None:
        uri = self.uri("Preprocessor", "quarantine")
        return os.path.join(uri, validation.FILE_NAME) if uri else None

    def unusable(self) -> int | None:
        path = self.quarantine_file()
        if path is None:
            return None
        return sum(1 for line in storage.read_text(path).split("\n") if line.strip())

    def tuning(self) -> Tuning | None:
        """What the search has found; None if there was none."""
        best, table = (self.uri("Tuner", key) for key in ("best_hyperparameters", "tuner_results"))
        if best is None:
            return None
        path = os.path.join(table, hyperparameters.RESULTS_FILE)
        records = json.loads(storage.read_text(path))
        config = json.loads(storage.read_text(os.path.join(best, hyperparameters.BEST_FILE)))
        failed = sum(record["score"] is None for record in records)
        score = records[0]["score"]  # the best one is the first
        return Tuning(config["values"], score, len(records), failed, path)

    def saved_model(self) -> str | None:
        uri = self.uri("Trainer", "model")
        return path_utils.serving_model_path(uri) if uri else None

    def metrics(self) -> dict[str, float]:
        """Overall metrics of the test split; top-k only if there are more than k classes."""
        uri = self.uri("Evaluator", "evaluation")
        if uri is None:
            return {}
        found = _overall_metrics(uri)
        if self.dataset_info().num_classes <= contract.TOP_K:
            found.pop(contract.top_k_metric(), None)
        return found

    def leaked(self) -> dict[bool, tuple[int, float]]:
        """Whether test images are marked as leaked → their number, and top-1; see `read_leaked`."""
        uri = self.uri("Evaluator", "evaluation")
        return read_leaked(uri) if uri else {}

    def pushed_model(self) -> str | None:
        """Folder of the version that this run pushed, or None."""
        artifact = self._pushed()
        if artifact is None or not artifact.custom_properties["pushed"].int_value:
            return None
        return artifact.custom_properties["pushed_destination"].string_value

    def serves_this_model(self) -> bool:
        """Whether the newest version in the serving folder is the model of this run."""
        artifact = self._pushed()
        properties = artifact.custom_properties if artifact else {}
        return any(
            properties[name].int_value for name in ("pushed", "served") if name in properties
        )

    def reason_not_pushed(self) -> str:
        if self.pushed_model():
            return ""
        artifact = self._pushed()
        if artifact is None:
            return "the step Pusher was not part of this run"
        reason = artifact.custom_properties["reason"].string_value
        return "; ".join([reason, *self._missed_thresholds()])

    def warnings(self) -> tuple[str, ...]:
        """Signs that the model has learned nothing, unless the reason not to push names them."""
        counts = self._class_counts()
        found = counts.warnings() if counts else ()
        return tuple(line for line in found if line not in self.reason_not_pushed())

    def notes(self) -> tuple[str, ...]:
        """What a user should know about the data, and about the accuracy."""
        info, counts = self.dataset_info(), self._class_counts()
        if not info:
            return ()
        splits = (EVAL,) if counts else (EVAL, TEST)  # the images of the counts are those of test
        return (
            *info.notes,
            *info.notes_of_classes,
            *self._notes_of("ImageStatistics", "report", STATISTICS_NOTE),
            *self._notes_of("DriftValidator", "anomalies", NOTE),
            *self._notes_of("FewShotEvaluator", "report", PROBES_NOTE),
            *self._notes_of_predictions(),
            *notes_of_splits(info.counts, info.class_names, splits),
            *(counts.notes(info.class_names) if counts else ()),
        )

    def _notes_of(self, node_id: str, key: str, name: str) -> tuple[str, ...]:
        """The lines of a custom property of an artifact."""
        artifact = self._artifacts.get((node_id, key))
        note = artifact.custom_properties[name].string_value if artifact else ""
        return tuple(note.splitlines())

    def _notes_of_predictions(self) -> tuple[str, ...]:
        artifact = self._artifacts.get(("BulkPredictor", "inference_result"))
        if artifact is None or "BulkPredictor" not in self._ran:
            return ()
        found = artifact.custom_properties
        if found[REASON].string_value:
            return (f"--predict: nothing was predicted, because {found[REASON].string_value}",)
        numbers = [found[name].int_value for name in (IMAGES, UNUSABLE)]
        return (
            f"--predict: {numbers[0]:,} of {sum(numbers):,} images were classified, in "
            f"{console.short_path(artifact.uri)}",
            *(f"--predict: {line}" for line in found[NOTES].string_value.splitlines()),
        )

    def base_model(self) -> str | None:
        """The model that the newest run found for a warm start; None if there was none."""
        artifact = self._resolved.get((BASE_MODEL_RESOLVER, "model"))
        return artifact.uri if artifact else None

    def _class_counts(self) -> ClassCounts | None:
        """The results on the test split; None if the Evaluator never ran or found no image."""
        uri = self.uri("Evaluator", "evaluation")
        return read_class_counts(uri) if uri and _overall_metrics(uri) else None

    def _missed_thresholds(self) -> list[str]:
        """One clause for each threshold that the model missed; the Pusher names one of them."""
        uri = self.uri("Evaluator", "evaluation")
        if uri and not _overall_metrics(uri):
            return ["the test split has no usable image"]
        return missed_thresholds(uri) if uri else []

    def _pushed(self):
        return self._artifacts.get(("Pusher", "pushed_model")) if "Pusher" in self._ran else None


def newest_run(store: mlmd.MetadataStore):
    """Returns the context of the newest pipeline run in the store; None without one."""
    runs = store.get_contexts_by_type("pipeline_run")
    return max(runs, key=lambda context: context.create_time_since_epoch, default=None)


def artifacts_of_newest_run(store: mlmd.MetadataStore, kind: int = _OUTPUT) -> dict:
    """(node id, output key) → the artifact of the newest pipeline run in the store.

    Args:
        store: the store of the runs.
        kind: the type of the events; Resolvers have their own.
    """
    newest = newest_run(store)
    found = {}
    for execution in store.get_executions_by_context(newest.id):
        node_id = node_id_of(store, execution.id)
        for event in store.get_events_by_execution_ids([execution.id]):
            if event.type == kind:
                (artifact,) = store.get_artifacts_by_id([event.artifact_id])
                found[node_id, event.path.steps[0].key] = artifact
    return found


def steps_of_newest_run(metadata_connection_config) -> set[str]:
    """Returns the steps that the newest run has completed, or taken from the cache."""
    store = mlmd.MetadataStore(metadata_connection_config)
    newest = newest_run(store)
    executions = store.get_executions_by_context(newest.id) if newest else ()
    return {
        node_id_of(store, execution.id)
        for execution in executions
        if execution.last_known_state in _DONE
    }


def pipeline_of_newest_run(metadata_connection_config) -> str:
    """Returns the name of the pipeline of the newest run; "" if nothing has run."""
    store = mlmd.MetadataStore(metadata_connection_config)
    newest = newest_run(store)
    executions = store.get_executions_by_context(newest.id) if newest else ()
    contexts = (c for run in executions for c in store.get_contexts_by_execution(run.id))
    return next((context.name for context in contexts if context.type == "pipeline"), "")


def node_id_of(store: mlmd.MetadataStore, execution_id: int) -> str:
    """Returns the step that an execution belongs to."""
    contexts = store.get_contexts_by_execution(execution_id)
    node = next(context for context in contexts if context.type == "node")
    return node.name.rsplit(".", 1)[-1]


def _overall_metrics(evaluation_uri: str) -> dict[str, float]:
    """Name → value over all images; empty if there was no image to evaluate."""
    found = read_metrics(evaluation_uri)
    return {name: found[name] for name in _metric_names() if name in found}


def _metric_names() -> tuple[str, ...]:
    """The metrics for people; the others are for the gates."""
    return (
        eval_config.TOP_1,
        contract.top_k_metric(),
        eval_config.CROSS_ENTROPY,
        eval_config.EXAMPLE_COUNT,
    )
