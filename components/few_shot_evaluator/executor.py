# SPDX-License-Identifier: Apache-2.0
"""The executor of FewShotEvaluator: artifacts to paths, one PTransform, a note for the summary."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx.dsl.components.base import base_beam_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.few_shot_evaluator.transforms import JSON_FILE, ProbeExamples
from mixer_tf import storage

NOTE = "note"  # in which ways a result is not what its name says, one line each


class Executor(base_beam_executor.BaseBeamExecutor):
    """Probes a model."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        Raises:
            ValueError: mixer_tf did not export the model.
        """
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        report = artifact_utils.get_single_instance(output_dict["report"])
        probe = ProbeExamples(
            examples.uri,
            path_utils.serving_model_path(model.uri),
            report.uri,
            json.loads(exec_properties["shots"]),
        )
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | "FewShotEvaluator" >> probe
        written = json.loads(storage.read_text(os.path.join(report.uri, JSON_FILE)))
        report.set_string_custom_property(NOTE, "\n".join(written["notes"]))
