# SPDX-License-Identifier: Apache-2.0
"""The executor that trains on worker pools of Vertex AI: TFX's own, around that of Trainer.

It starts a CustomJob from `ai_platform_training_args` of the component's `custom_config` and waits
for it. Each worker runs the executor of Trainer.
"""

from __future__ import annotations

from tfx.extensions.google_cloud_ai_platform.trainer import executor as vertex_executor

from components.trainer.executor import Executor


class VertexExecutor(vertex_executor.GenericExecutor):
    """Runs `components.trainer.executor.Executor` as a CustomJob."""

    def _GetExecutorClass(self):
        return Executor
