# SPDX-License-Identifier: Apache-2.0
"""What the Trainer and the Tuner read from their parameters, some of which a run fills in late."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from tfx.utils import json_utils

from components.fixed_fields import FIXED
from mixer_tf import storage
from mixer_tf.recipes.schema import Recipe

# Of the ModelRun artifact: the path of the logs, where they are not stored in it.
LOGS_FILE = "logs.txt"


def complete(exec_properties: Mapping[str, Any], *folders: str) -> dict[str, Any]:
    """Returns the `custom_config` with the overrides in the recipe, and full paths.

    Args:
        exec_properties: execution properties of the component.
        folders: keys of folders, if the config has them, which are below the root if relative.

    Raises:
        ValueError: an override does not fit the recipe.
    """
    config = json_utils.loads(exec_properties["custom_config"])
    overrides = shlex.split(exec_properties.get("overrides") or "")
    fixed = [override for override in overrides if override.partition("=")[0].strip() == FIXED]
    if fixed:
        raise ValueError(
            f"{FIXED} must be set when the pipeline is compiled, because the Preprocessor reads "
            f"it too; got {fixed[0]} as a run-time parameter. Compile again with --set {fixed[0]}."
        )
    config["recipe"] = Recipe.from_json(config["recipe"]).override(overrides).to_json()
    for folder in set(folders) & set(config):
        config[folder] = storage.resolve(exec_properties.get("root") or "", config[folder])
    return config


def key(parts: Iterable[Any], files: Iterable[str]) -> str:
    """Returns a name for a folder that stays from run to run: the same for the same state.

    Each execution of a component gets a new output folder, where a killed training would not find
    its checkpoints.

    Args:
        parts: what JSON can hold.
        files: the input files; their paths and sizes count.
    """
    state = [*parts, {file: storage.file_size(file) for file in files}]
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:16]
