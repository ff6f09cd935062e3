# SPDX-License-Identifier: Apache-2.0
"""Finds the SavedModel in a folder: a version, a folder of versions, or the output of a run."""

from __future__ import annotations

import os

from mixer_tf import storage
from mixer_tf.serving import contract

SERVING = "serving"  # below the root of a pipeline, and below the output of `mixer train`
MODEL_FILE = "saved_model.pb"
_TFX_FOLDER = "Format-Serving"  # below a Model artifact of TFX


def resolve_saved_model(path: str) -> str:
    """Returns the folder of a SavedModel.

    Args:
        path: a SavedModel; a folder of versions, of which the newest is returned; a folder whose
            `serving/` holds versions (the root of a pipeline, the output of `mixer train`); or a
            Model artifact of TFX. Any file system that TensorFlow knows.

    Raises:
        ValueError: there is no SavedModel, or TensorFlow would read its path as a pattern.
    """
    path = os.path.expanduser(path)
    storage.require_literal(path, "MODEL")
    if not storage.exists(path):
        raise ValueError(f"MODEL must be a folder that exists; got {path!r}.")
    for folder in (path, os.path.join(path, SERVING), os.path.join(path, _TFX_FOLDER)):
        if storage.exists(os.path.join(folder, MODEL_FILE)):
            return folder
        versions = list_versions(folder)
        if versions:
            return os.path.join(folder, str(versions[-1]))
    raise ValueError(
        f"MODEL must hold {MODEL_FILE}, or versions of a model, itself or in {SERVING}/; "
        f"got {path}. {_hint(path)}"
    )


def resolve_versions_folder(path: str) -> str:
    """Returns the folder of versions that a model server watches.

    Args:
        path: that folder, or one whose `serving/` holds versions (the root of a pipeline).

    Raises:
        ValueError: there are no versions.
    """
    path = os.path.expanduser(path)
    for folder in (path, os.path.join(path, SERVING)):
        if list_versions(folder):
            return folder
    raise ValueError(
        f"MODEL must hold versions of a model, in sub-folders with numbers as names, itself or in "
        f"{SERVING}/; got {path}."
    )


def list_versions(folder: str) -> list[int]:
    """Returns the complete versions below a folder, the newest last.

    As in TensorFlow Serving, a version is a sub-folder whose name is a number, and the highest
    number is the newest version.
    """
    if not storage.is_folder(folder):
        return []
    found = [
        name for name in storage.list_names(folder) if name.isdecimal() and name == str(int(name))
    ]
    return sorted(
        int(name) for name in found if storage.exists(os.path.join(folder, name, MODEL_FILE))
    )


def read_asset(model: str, name: str) -> str:
    """Returns the text of a file in the `assets.extra` of a SavedModel.

    Raises:
        ValueError: there is no such file, because mixer_tf did not export the model.
    """
    path = os.path.join(model, contract.EXTRA_ASSETS, name)
    if not storage.exists(path):
        raise ValueError(
            f"a model must hold {contract.EXTRA_ASSETS}/{name}; {model} does not. "
            "Export it with mixer_tf."
        )
    return storage.read_text(path)


def _hint(path: str) -> str:
    """Returns why a folder may not hold a model, and what to do."""
    summary = os.path.join(path, "summary.json")
    if storage.exists(summary):
        return f"The pipeline did not push a model; the line `reason` in {summary} says why."
    if storage.exists(os.path.join(path, "training.json")):
        return "Its training is not finished; run the same `mixer train` again."
    return "Name the output of `mixer train`, or the root of a pipeline."
