# SPDX-License-Identifier: Apache-2.0
"""The gates before a push: data without anomalies, a model with both blessings that has learned."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils

from components.evaluations import read_class_counts

_ANOMALIES_FILE = "SchemaDiff.pb"  # as ExampleValidator names it


def reasons_not_to_push(artifacts: Mapping[str, Sequence[Artifact]]) -> list[str]:
    """Returns why a model must not be pushed, one clause for each gate that it does not pass.

    Args:
        artifacts: input name → artifacts; a gate whose artifact is missing is skipped. The
            evaluation decides where the Evaluator has not blessed the model.
    """
    found = []
    for anomalies in artifacts.get("anomalies", ()):
        found += _clauses({split: _errors(anomalies, split) for split in anomalies.splits})
    for drift in artifacts.get("drift", ()):
        found += _drift_clauses({split: _errors(drift, split) for split in drift.splits})
    for blessing in artifacts.get("model_blessing", ()):
        if not _is_blessed(blessing):
            found.append("the Evaluator did not bless the model")
    for blessing in artifacts.get("infra_blessing", ()):
        if not _is_blessed(blessing):
            reason = blessing.get_string_custom_property("reason") or "it gave no reason"
            found.append(f"the ModelChecker did not bless the model: {reason}")
    for blessing in artifacts.get("server_blessing", ()):
        if not _is_blessed(blessing):
            found.append(
                "the InfraValidator did not bless the model: TensorFlow Serving did not load it or "
                "did not answer (--verbose shows its log)"
            )
    is_blessed = any(map(_is_blessed, artifacts.get("model_blessing", ())))
    for evaluation in () if is_blessed else artifacts.get("evaluation", ()):
        found += filter(None, [read_class_counts(evaluation.uri).not_better_than_one_class()])
    return found


def _is_blessed(blessing: Artifact) -> bool:
    return blessing.get_int_custom_property("blessed") == 1


def _clauses(errors_by_split: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yields such as "anomalies in train and eval: image/width: Column dropped, and 2 more"."""
    for features in dict.fromkeys(map(tuple, errors_by_split.values())):
        if features:
            splits = [s for s, errors in errors_by_split.items() if tuple(errors) == features]
            reason = errors_by_split[splits[0]][features[0]]
            more = f", and {', '.join(features[1:])}" if len(features) > 1 else ""
            yield f"anomalies in {' and '.join(splits)}: {features[0]}: {reason}{more}"


def _drift_clauses(errors_by_split: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yields such as "drift in train: image/format: difference of shares 0.46, allowed 0.20"."""
    for split, errors in errors_by_split.items():
        if errors:
            details = ", ".join(f"{name}: {reason}" for name, reason in errors.items())
            yield f"drift in {split}: {details} (--allow-drift accepts these data)"


def _errors(artifact: Artifact, split: str) -> dict[str, str]:
    """Returns feature → what is wrong with it, for each anomaly of severity ERROR."""
    path = os.path.join(artifact_utils.get_split_uri([artifact], split), _ANOMALIES_FILE)
    with fileio.open(path, "rb") as file:
        anomalies = anomalies_pb2.Anomalies.FromString(file.read())
    found = dict(anomalies.anomaly_info)
    if anomalies.HasField("dataset_anomaly_info"):
        found["dataset"] = anomalies.dataset_anomaly_info
    errors = {"data": "none found"} if anomalies.data_missing else {}
    for name, info in sorted(found.items()):
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR:
            reasons = [reason.description.rstrip(".") for reason in info.reason]
            errors[name] = ", ".join(reasons) or info.description or info.short_description
    return errors
