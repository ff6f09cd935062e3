# SPDX-License-Identifier: Apache-2.0
"""Run-time parameters: what of a compiled pipeline can be chosen again when a run is submitted."""

from __future__ import annotations

import os
from collections.abc import Mapping

from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import ROOT_PARAMETER, Pipeline
from tfx.utils import json_utils

from pipeline.configs import REFERENCE_FOLDER, SCHEMA_FILE, PipelineConfig
from pipeline.remote.checks import ROOTS

SOURCE, DATA_DIR, OVERRIDES, SERVING_DIR = "source", "data_dir", "overrides", "serving_dir"

# Below the root, so that they follow it.
_SERVING = "serving"
_FOLDERS = {
    "Trainer": {"checkpoint_dir": "checkpoints"},
    "Tuner": {"trials_dir": "tuning"},
}
# Where the image holds the file, relative to its working directory.
_SCHEMA_FILE = os.path.relpath(SCHEMA_FILE, os.path.dirname(os.path.dirname(SCHEMA_FILE)))


def add_parameters(pipeline: Pipeline, config: PipelineConfig, target: str) -> dict[str, str]:
    """Replaces properties of the steps by run-time parameters.

    Args:
        pipeline: the graph of `config`; it is changed.
        config: what the defaults are taken from.
        target: "kfp-v1", "kfp-v2" or "vertex".

    Returns:
        Name of each parameter → its default, without the root's where TFX adds it.
    """
    nodes = {node.id: node for node in pipeline.components}
    defaults = {
        SOURCE: config.source,
        DATA_DIR: config.data_dir or "",
        OVERRIDES: "",
        SERVING_DIR: config.serving_dir or _SERVING,
    }
    parameters = {name: RuntimeParameter(name, str, value) for name, value in defaults.items()}
    parameters["root"] = _root(config, target)
    for node in nodes.values():
        _replace(node, parameters)
    nodes["ImportSchemaGen"].exec_properties["schema_file"] = _SCHEMA_FILE
    if target != "kfp-v1":
        reference = {"reference_dir": REFERENCE_FOLDER, "root": parameters["root"]}
        nodes["DriftValidator"].exec_properties.update(reference)
    for step in _FOLDERS.keys() & nodes.keys():
        _follow_root(nodes[step].exec_properties, _FOLDERS[step])
    return defaults | ({} if target == "kfp-v1" else {ROOTS[target]: config.root})


def _root(config: PipelineConfig, target: str) -> RuntimeParameter:
    if target == "kfp-v1":
        return ROOT_PARAMETER
    return RuntimeParameter(ROOTS[target], str, config.root)


# Step → the properties of it that are run-time parameters → the name of the parameter.
_SOURCES = {"source": SOURCE, "data_dir": DATA_DIR}
_REPLACED = {
    "DataFingerprint": _SOURCES,
    "ImageExampleGen": _SOURCES,
    "Deduplicator": {"data_dir": DATA_DIR},
    "Trainer": {"overrides": OVERRIDES, "root": "root"},
    "Tuner": {"overrides": OVERRIDES, "root": "root"},
    "Pusher": {"push_destination": SERVING_DIR, "root": "root"},
    "LastPushedModel": {"push_destination": SERVING_DIR, "root": "root"},
    "RunReport": {"root": "root"},
}


def _replace(node: BaseNode, parameters: Mapping[str, RuntimeParameter]) -> None:
    for name, parameter in _REPLACED.get(node.id, {}).items():
        node.exec_properties[name] = parameters[parameter]


def _follow_root(properties: dict, folders: Mapping[str, str]) -> None:
    config = json_utils.loads(properties["custom_config"])
    config.pop("log_dir", None)  # the ModelRun artifact holds the logs
    properties["custom_config"] = json_utils.dumps({**config, **folders})
