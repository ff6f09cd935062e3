# SPDX-License-Identifier: Apache-2.0
"""The executor that searches on a machine of Vertex AI, as a CustomJob, like that of Trainer."""

from __future__ import annotations

from tfx.extensions.google_cloud_ai_platform.trainer import executor as vertex_executor

from components.tuner.executor import Executor


class VertexExecutor(vertex_executor.GenericExecutor):
    """Runs `components.tuner.executor.Executor` as a CustomJob."""

    def _GetExecutorClass(self):
        return Executor
