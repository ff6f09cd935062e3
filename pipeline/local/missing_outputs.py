# SPDX-License-Identifier: Apache-2.0
"""Outputs of earlier runs whose files are gone: they are neither a baseline nor a cached result."""

from __future__ import annotations

import os

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2
from tfx.utils import path_utils

from mixer_tf import console
from mixer_tf.datasets.info import FILE_NAME
from mixer_tf.serving.locations import MODEL_FILE
from pipeline.local.run_outputs import artifacts_of_newest_run

# Type of an artifact → the file without which its folder is useless. Other folders may be empty.
_MAIN_FILES = {
    "Model": os.path.join(path_utils.serving_model_path(""), MODEL_FILE),
    "Examples": FILE_NAME,
}
_LIVE, _DELETED = metadata_store_pb2.Artifact.LIVE, metadata_store_pb2.Artifact.DELETED


def forget(metadata_connection_config, root: str) -> tuple[str, ...]:
    """Marks as deleted what ML Metadata lists but the root does not hold.

    What is stored outside the root counts as gone as well: after `mv root root2`, a new run may
    write something else to the old path.

    Args:
        metadata_connection_config: the store of the root.
        root: the folder of all outputs.

    Returns:
        A note for people, or nothing.
    """
    store = mlmd.MetadataStore(metadata_connection_config)
    listed = [artifact for artifact in store.get_artifacts() if artifact.state == _LIVE]
    gone = [artifact for artifact in listed if not _is_stored(artifact, root)]
    for artifact in gone:
        artifact.state = _DELETED
    if not gone:
        return ()
    store.put_artifacts(gone)
    outputs = f"{len(gone)} output{'' if len(gone) == 1 else 's'}"
    steps = dict.fromkeys(_step(artifact.uri) for artifact in gone)
    return (
        f"the files of {outputs} of earlier runs ({', '.join(steps)}) are no longer in "
        f"{console.short_path(root)}: not used as a baseline or from the cache",
    )


def steps_of_newest_run(metadata_connection_config) -> set[str]:
    """Returns the steps whose outputs in the newest run were forgotten."""
    store = mlmd.MetadataStore(metadata_connection_config)
    has_run = store.get_contexts_by_type("pipeline_run")
    artifacts = artifacts_of_newest_run(store) if has_run else {}
    return {step for (step, _), artifact in artifacts.items() if artifact.state == _DELETED}


def _is_stored(artifact: metadata_store_pb2.Artifact, root: str) -> bool:
    root, path = os.path.realpath(root), os.path.realpath(artifact.uri)
    file = os.path.join(path, _MAIN_FILES.get(artifact.type, ""))
    return os.path.commonpath([root, path]) == root and os.path.exists(file)


def _step(uri: str) -> str:
    """TFX stores outputs as `<root>/<step>/<key>/<execution>`."""
    return uri.rstrip("/").split("/")[-3]
