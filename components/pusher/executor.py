# SPDX-License-Identifier: Apache-2.0
"""The executor of Pusher: gates, then a push, then the PushedModel artifact that records it."""

from __future__ import annotations

import os
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.pusher import gates
from components.pusher.lineage import describe, make_card
from mixer_tf import storage
from mixer_tf.serving import versions

PUSHED, DESTINATION, VERSION = "pushed", "pushed_destination", "pushed_version"
REASON = "reason"
SERVED = "served"  # 1 if it was not pushed because the newest version is this model already


def _reasons_of_versions(folder: str, model_dir: str) -> list[str]:
    withdrawn = versions.withdrawn_as(folder, model_dir)
    if withdrawn:
        return [f"version {withdrawn}, which was withdrawn, is this model"]
    return []


class Executor(base_executor.BaseExecutor):
    """Pushes a model that passes every gate."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component. A model that is not pushed is not an error: the artifact says why."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        model_dir = path_utils.serving_model_path(model.uri)
        folder = storage.resolve(
            exec_properties.get("root") or "", exec_properties["push_destination"]
        )

        reasons = gates.reasons_not_to_push(input_dict)
        served = None if reasons else versions.already_served(folder, model_dir)
        if served:
            reasons = [f"version {served}, the newest one, is already this model"]
        reasons = reasons or _reasons_of_versions(folder, model_dir)

        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if served:
            pushed_model.set_int_custom_property(SERVED, 1)
            pushed_model.set_string_custom_property(DESTINATION, os.path.join(folder, str(served)))
            pushed_model.set_string_custom_property(VERSION, str(served))
        pushed_model.set_int_custom_property(PUSHED, 0 if reasons else 1)
        pushed_model.set_string_custom_property(REASON, "; ".join(reasons))
        if not reasons:
            lineage = describe(input_dict, exec_properties, self._context)
            card = make_card(input_dict, lineage)
            path = versions.publish(model_dir, folder, lineage.to_json(), card)
            if exec_properties.get("keep_versions"):
                versions.remove_old(folder, exec_properties["keep_versions"])
            pushed_model.set_string_custom_property(DESTINATION, path)
            pushed_model.set_string_custom_property(VERSION, path.rsplit("/", 1)[-1])
