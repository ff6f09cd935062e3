# SPDX-License-Identifier: Apache-2.0
"""The executor of DataFingerprint: writes one digest of the states of the sources."""

from __future__ import annotations

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.data_fingerprint import state
from components.data_fingerprint.driver import STATE


class Executor(base_executor.BaseExecutor):
    """Lists the files of the sources, unless the driver has; no image is read."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        Raises:
            ValueError: a source cannot be opened.
        """
        digest = exec_properties.get(STATE) or state.digest(exec_properties)
        artifact_utils.get_single_instance(output_dict["fingerprint"]).write(digest)
