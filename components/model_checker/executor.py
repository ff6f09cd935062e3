# SPDX-License-Identifier: Apache-2.0
"""The executor of ModelChecker: from a Model artifact to an InfraBlessing."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, path_utils

from mixer_tf.export import check_process

# The file names and the property that TFX's InfraValidator writes and its Pusher reads.
BLESSED_FILE, NOT_BLESSED_FILE = "INFRA_BLESSED", "INFRA_NOT_BLESSED"
BLESSED = "blessed"

REASON = "reason"
REPORT_FILE = "check.json"


class Executor(base_executor.BaseExecutor):
    """Checks a model in a separate process."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component. For a model that fails, it succeeds and does not bless the model."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        report = check_process.check(path_utils.serving_model_path(model.uri))

        reason = report["reason"]
        name = NOT_BLESSED_FILE if reason else BLESSED_FILE
        io_utils.write_string_file(os.path.join(blessing.uri, name), "")
        io_utils.write_string_file(
            os.path.join(blessing.uri, REPORT_FILE), json.dumps(report, indent=2)
        )
        blessing.set_int_custom_property(BLESSED, 0 if reason else 1)
        blessing.set_string_custom_property(REASON, reason)
