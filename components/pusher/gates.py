# SPDX-License-Identifier: Apache-2.0
"""The gates before a push: data without anomalies, and a model with both blessings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.io import fileio
from tfx.types import Artifact, artifact_utils

_ANOMALIES_FILE = "SchemaDiff.pb"  # as ExampleValidator names it
_SHOWN = 3


def objections(artifacts: Mapping[str, Sequence[Artifact]]) -> list[str]:
    """Returns why a model must not be pushed, one clause for each gate that it does not pass.

    Args:
        artifacts: input name → artifacts; a gate whose artifact is missing does not count.
    """
    found = []
    for anomalies in artifacts.get("anomalies", ()):
        found += [_clause(split, list(_errors(anomalies, split))) for split in anomalies.splits]
    for blessing in artifacts.get("model_blessing", ()):
        if not _is_blessed(blessing):
            found.append("the Evaluator did not bless the model")
    for blessing in artifacts.get("infra_blessing", ()):
        if not _is_blessed(blessing):
            reason = blessing.get_string_custom_property("reason") or "it gave no reason"
            found.append(f"the ModelChecker did not bless the model: {reason}")
    return [clause for clause in found if clause]


def _is_blessed(blessing: Artifact) -> bool:
    return blessing.get_int_custom_property("blessed") == 1


def _clause(split: str, errors: list[str]) -> str:
    """Such as "anomalies in the split 'train': image/width: column dropped"; "" without errors."""
    if not errors:
        return ""
    more = f" and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    return f"anomalies in the split {split!r}: {', '.join(errors[:_SHOWN])}{more}"


def _errors(artifact: Artifact, split: str) -> Iterator[str]:
    """Yields "feature: what is wrong with it" for each anomaly that is more than a warning."""
    path = os.path.join(artifact_utils.get_split_uri([artifact], split), _ANOMALIES_FILE)
    with fileio.open(path, "rb") as file:
        anomalies = anomalies_pb2.Anomalies.FromString(file.read())
    if anomalies.data_missing:
        yield "no data"
    found = dict(anomalies.anomaly_info)
    if anomalies.HasField("dataset_anomaly_info"):
        found["dataset"] = anomalies.dataset_anomaly_info
    for name, info in sorted(found.items()):
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR:
            yield f"{name}: {info.short_description or info.description}"
