# SPDX-License-Identifier: Apache-2.0
"""The executor of Trainer: completes the recipe and the paths, then calls TFX's own executor."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from typing import Any

from tfx.components.trainer import executor as tfx_executor
from tfx.types import Artifact
from tfx.utils import json_utils

from components.trainer import run_fn
from mixer_tf import storage
from mixer_tf.recipes.schema import Recipe
from mixer_tf.training.interruption import TERMINATED, TrainingStopped

# What the steps before the Trainer have read from the recipe.
_FIXED = "data.train_shorter_side"


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
        try:
            super().Do(input_dict, output_dict, complete(exec_properties))
        except TrainingStopped as stop:
            if stop.exit_code == TERMINATED:
                print(f"\n{stop}", file=sys.stderr)
                sys.exit(TERMINATED)
            raise


def complete(exec_properties: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the properties with the overrides in the recipe and full paths of folders.

    Args:
        exec_properties: those of the component.

    Raises:
        ValueError: an override does not fit the recipe.
    """
    config = json_utils.loads(exec_properties["custom_config"])
    overrides = shlex.split(exec_properties.get("overrides") or "")
    fixed = [override for override in overrides if override.partition("=")[0].strip() == _FIXED]
    if fixed:
        raise ValueError(
            f"{_FIXED} must be set when the pipeline is compiled, because the Preprocessor reads "
            f"it too; got {fixed[0]} as a run-time parameter. Compile again with --set {fixed[0]}."
        )
    config["recipe"] = Recipe.from_json(config["recipe"]).override(overrides).to_json()
    for folder in {"checkpoint_dir", "log_dir"} & set(config):
        config[folder] = storage.resolve(exec_properties.get("root") or "", config[folder])
    return {
        **exec_properties,
        "custom_config": json_utils.dumps(config),
        "run_fn": f"{run_fn.__name__}.run_fn",
    }
