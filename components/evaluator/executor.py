# SPDX-License-Identifier: Apache-2.0
"""The executor of Evaluator: that of TFX, and then the page."""

from __future__ import annotations

import json
from typing import Any

from tfx.components.evaluator import executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components import (
    earlier_model,
    evaluation_metrics,  # noqa: F401 - TFMA imports it, by its name
)
from components.evaluator import extractors, page, transforms
from mixer_tf.serving import contract, locations


class Executor(executor.Executor):
    """Runs TFMA, keeps the mistakes of the model, and writes the page beside its files."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        exported = path_utils.serving_model_path(model.uri)
        class_names = json.loads(locations.read_asset(exported, contract.CLASS_NAMES_FILE))
        folder = artifact_utils.get_single_uri(output_dict["evaluation"])
        with transforms.keeping_mistakes(folder, class_names):
            properties = {**exec_properties, "custom_extractors": extractors.PATH}
            super().Do(earlier_model.without_missing(input_dict), output_dict, properties)
        page.write(folder, class_names)
