# SPDX-License-Identifier: Apache-2.0
"""The executor of ImageStatistics: artifacts to paths, one PTransform, anomalies as a note."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx.dsl.components.base import base_beam_executor
from tfx.types import Artifact, artifact_utils

from components.image_statistics.transforms import MeasureExamples
from mixer_tf import storage
from mixer_tf.datasets.anomalies import summarize_anomalies
from mixer_tf.datasets.info import DatasetInfo
from mixer_tf.datasets.statistics_limits import StatisticsLimits
from mixer_tf.visualization.statistics_page import JSON_FILE, PAGE

NOTE = "note"  # one line for each of the first anomalies


class Executor(base_beam_executor.BaseBeamExecutor):
    """Measures the images of every split."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component. An anomaly is not an error: the note says it."""
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        report = artifact_utils.get_single_instance(output_dict["report"])
        measure = MeasureExamples(
            examples.uri,
            artifact_utils.decode_split_names(examples.split_names),
            report.uri,
            DatasetInfo.read(examples.uri).source,
            StatisticsLimits(**json.loads(exec_properties.get("limits") or "{}")),
        )
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | "ImageStatistics" >> measure
        written = json.loads(storage.read_text(os.path.join(report.uri, JSON_FILE)))
        notes = summarize_anomalies(written["anomalies"], PAGE)
        report.set_string_custom_property(NOTE, "\n".join(notes))
