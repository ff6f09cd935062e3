# SPDX-License-Identifier: Apache-2.0
"""The executor of BulkPredictor: from a Model artifact and a source to one PTransform."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx.dsl.components.base import base_beam_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.bulk_predictor.transforms import COUNTS_FILE, PredictSource
from mixer_tf import storage
from mixer_tf.datasets import unlabeled

REASON, NOTES = "reason", "notes"
_NOT_BLESSED = "the model is not blessed"


class Executor(base_beam_executor.BaseBeamExecutor):
    """Classifies the images of a source."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        Raises:
            ValueError: the source cannot be opened.
        """
        model = artifact_utils.get_single_instance(input_dict["model"])
        result = artifact_utils.get_single_instance(output_dict["inference_result"])
        blessings = [*input_dict.get("model_blessing", ()), *input_dict.get("infra_blessing", ())]
        if not all(each.get_int_custom_property("blessed") == 1 for each in blessings):
            result.set_string_custom_property(REASON, _NOT_BLESSED)
            return
        source = unlabeled.open_images(exec_properties["source"], exec_properties.get("data_dir"))
        model_dir = path_utils.serving_model_path(model.uri)
        with self._make_beam_pipeline() as pipeline:
            _ = pipeline | "Predict" >> PredictSource(source, model_dir, result.uri)
        counts = json.loads(storage.read_text(os.path.join(result.uri, COUNTS_FILE)))
        for name, number in counts.items():
            result.set_int_custom_property(name, number)
        if source.notes:
            result.set_string_custom_property(NOTES, "\n".join(source.notes))
