# SPDX-License-Identifier: Apache-2.0
"""The executor of DriftValidator: from statistics and their reference to anomalies and the next."""

from __future__ import annotations

import os
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils

from components.drift_validator import comparison
from mixer_tf import storage

NOTE = "note"  # one line for each
ANOMALIES_FILE = "SchemaDiff.pb"  # as TFX's ExampleValidator names it
STATISTICS_FILE = "FeatureStats.pb"

_Statistics = dict[str, statistics_pb2.DatasetFeatureStatisticsList]


class Executor(base_executor.BaseExecutor):
    """Compares the statistics of each split with the reference."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component. Drift is not an error: the anomalies say it."""
        kept = exec_properties.get("reference_dir")
        kept = kept and storage.resolve(exec_properties.get("root") or "", kept)
        found = artifact_utils.get_single_instance(input_dict["statistics"])
        schema = artifact_utils.get_single_instance(input_dict["schema"])
        references = input_dict.get("reference") or ()
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        next_reference = artifact_utils.get_single_instance(output_dict["next_reference"])

        statistics = {
            split: stats_artifact_utils.load_statistics(found, split).proto()
            for split in found.splits
        }
        folders = [each.uri for each in references] + ([kept] if kept else [])
        reference = _read(folders[0], statistics) if folders else {}
        drift, notes = _compare(statistics, reference, _read_schema(schema.uri))
        is_allowed = bool(exec_properties.get("allow_drift"))
        drifted = [split for split, each in drift.items() if each.anomaly_info]
        if is_allowed and drifted:
            drift = {split: comparison.allow(each) for split, each in drift.items()}
            notes.append(f"drift is allowed: {_list(drift)}")

        anomalies.split_names = artifact_utils.encode_split_names(list(drift))
        for split, each in drift.items():
            _write(anomalies.uri, split, ANOMALIES_FILE, each)
        anomalies.set_string_custom_property(NOTE, "\n".join(notes))
        is_accepted = is_allowed or not drifted
        for split, each in (statistics if is_accepted else reference).items():
            for folder in filter(None, (next_reference.uri, kept)):
                _write(folder, split, STATISTICS_FILE, each)


def _compare(
    statistics: _Statistics, reference: _Statistics, schema: schema_pb2.Schema
) -> tuple[dict[str, anomalies_pb2.Anomalies], list[str]]:
    """Returns the drift of each split, and a note on the splits that are too small to be judged."""
    drift = {split: anomalies_pb2.Anomalies() for split in statistics}
    too_few = []
    for split in statistics.keys() & reference.keys():
        missing = comparison.images_missing(statistics[split], reference[split])
        if not missing:
            drift[split] = comparison.find_drift(statistics[split], reference[split], schema)
        elif statistics[split] != reference[split]:
            too_few.append("{} ({:,} images, {:,} needed)".format(split, *missing))
    note = f"drift from the last accepted data was not judged in {', '.join(sorted(too_few))}"
    return drift, [note] if too_few else []


def _list(drift: dict[str, anomalies_pb2.Anomalies]) -> str:
    return "; ".join(
        f"{name} in {split}: {info.description}"
        for split, each in drift.items()
        for name, info in sorted(each.anomaly_info.items())
    )


def _read_schema(folder: str) -> schema_pb2.Schema:
    return io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(folder))


def _read(folder: str, splits) -> _Statistics:
    """Split → statistics, of those splits that the reference has."""
    paths = {split: os.path.join(folder, f"Split-{split}", STATISTICS_FILE) for split in splits}
    return {
        split: statistics_pb2.DatasetFeatureStatisticsList.FromString(storage.read_bytes(path))
        for split, path in paths.items()
        if storage.exists(path)
    }


def _write(folder: str, split: str, name: str, message) -> None:
    folder = os.path.join(folder, f"Split-{split}")
    storage.make_folder(folder)
    storage.write_bytes(os.path.join(folder, name), message.SerializeToString(deterministic=True))
