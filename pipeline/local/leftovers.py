# SPDX-License-Identifier: Apache-2.0
"""What killed runs have left in the root: partial outputs, temporary folders, "running" steps."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2

from mixer_tf import storage
from mixer_tf.serving import locations, versions
from pipeline.local.run_outputs import node_id_of

_UNFINISHED = (metadata_store_pb2.Execution.NEW, metadata_store_pb2.Execution.RUNNING)
_SYSTEM = ".system"  # TFX's own folder within that of a step


def remove(metadata_connection_config, root: str) -> tuple[str, ...]:
    """Removes it; the caller holds the lock of the root, so that no live process owns any of it.

    The checkpoints of a training stay, because the next run resumes from them. Unfinished steps
    become canceled ones.

    Args:
        metadata_connection_config: the store of the root.
        root: the folder of all outputs.

    Returns:
        A note for people, or nothing.
    """
    store = mlmd.MetadataStore(metadata_connection_config)
    unfinished = [e for e in store.get_executions() if e.last_known_state in _UNFINISHED]
    steps = {execution.id: node_id_of(store, execution.id) for execution in unfinished}
    folders = [*_partial_outputs(root, steps), *_temporary_folders(root)]
    sizes = [os.lstat(file).st_size for folder in folders for file in _files(folder)]
    for folder in folders:
        storage.remove_folder(folder)
    for execution in unfinished:
        execution.last_known_state = metadata_store_pb2.Execution.CANCELED
    store.put_executions(unfinished)
    return (_note(steps, sizes),) if steps or sizes else ()


def _partial_outputs(root: str, steps: dict[int, str]) -> Iterator[str]:
    """Yields the folders of executions; TFX names them `<root>/<step>/<key>/<execution>`."""
    for execution, step in steps.items():
        for pattern in (("*",), (_SYSTEM, "executor_execution")):
            yield from _find(os.path.join(root, step), *pattern, str(execution))


def _temporary_folders(root: str) -> Iterator[str]:
    """Yields temporary folders of TFX, and of a copy of a model that was to be served."""
    yield from _find(root, "*", _SYSTEM, "executor_execution", "*", ".temp")
    yield from _find(root, "*", _SYSTEM, "stateful_working_dir", "*")
    yield from _find(os.path.join(root, locations.SERVING), f"{versions.INCOMING}*")


def _find(folder: str, *patterns: str) -> list[str]:
    """Returns the matching folders; unlike in a shell, a `*` does not match hidden ones."""
    return glob.glob(os.path.join(glob.escape(folder), *patterns, ""))


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.join(parent, name) for name in names)


def _note(steps: dict[int, str], sizes: list[int]) -> str:
    names = ", ".join(dict.fromkeys(steps.values()))
    whose = f"what stopped runs had left ({names})" if names else "what stopped runs had left"
    files = f"{len(sizes):,} file{'' if len(sizes) == 1 else 's'}"
    return f"removed {whose}: {files}, {sum(sizes) / 1e6:.1f} MB"
