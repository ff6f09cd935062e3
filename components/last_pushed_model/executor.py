# SPDX-License-Identifier: Apache-2.0
"""The executor of LastPushedModel: copies the newest version into a Model artifact."""

from __future__ import annotations

import os
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import io_utils, path_utils

from components.earlier_model import FOUND
from components.pusher.executor import VERSION
from mixer_tf import storage
from mixer_tf.serving import locations


class Executor(base_executor.BaseExecutor):
    """Copies a model, if there is one."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component."""
        model = artifact_utils.get_single_instance(output_dict["model"])
        folder = storage.resolve(
            exec_properties.get("root") or "", exec_properties["push_destination"]
        )
        served = locations.list_versions(folder)
        model.set_int_custom_property(FOUND, int(bool(served)))
        if served:
            version = str(served[-1])
            model.set_string_custom_property(VERSION, version)
            source = os.path.join(folder, version)
            io_utils.copy_dir(source, path_utils.serving_model_path(model.uri))
