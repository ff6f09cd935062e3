# SPDX-License-Identifier: Apache-2.0
"""The executor of Trainer: completes the recipe and the paths, then calls TFX's own executor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx.components.trainer import executor as tfx_executor
from tfx.types import Artifact
from tfx.utils import json_utils

from components import earlier_model, training_config
from components.trainer import run_fn
from mixer_tf.training import interruption


class Executor(tfx_executor.GenericExecutor):
    """Trains with `components.trainer.run_fn`."""

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """See the component.

        After SIGTERM, which a preempted machine or a deleted pod gets, the training saves, and the
        process ends with exit code 143; the same step resumes it.

        Raises:
            ValueError: an override does not fit the recipe.
            TrainingStopped: after Ctrl-C.
        """
        with interruption.exits_after_sigterm():
            inputs = earlier_model.without_missing(input_dict)
            super().Do(inputs, output_dict, complete(exec_properties))


def complete(exec_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the properties with the overrides in the recipe and full paths of folders.

    Args:
        exec_properties: execution properties of the component.

    Raises:
        ValueError: an override does not fit the recipe.
    """
    config = training_config.complete(exec_properties, "checkpoint_dir", "log_dir")
    return {
        **exec_properties,
        "custom_config": json_utils.dumps(config),
        "run_fn": f"{run_fn.__name__}.run_fn",
    }
