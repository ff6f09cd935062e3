# SPDX-License-Identifier: Apache-2.0
"""The folder that a model server watches: one sub-folder for each version of a model.

For TensorFlow Serving, each sub-folder whose name is a number is a version, and the highest number
is the newest. It loads a version as soon as the sub-folder exists, so that must be complete.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator

from tensorflow import errors
from tensorflow.io import gfile

from mixer_tf import storage
from mixer_tf.serving.locations import MODEL_FILE, list_versions

INCOMING = ".incoming-"  # start of the name of a version that is not complete

_CHUNK = 1 << 20


def already_served(folder: str, model_dir: str) -> int | None:
    """Returns the newest version below a folder if its files are those of the model, else None."""
    served = list_versions(folder)
    if not served:
        return None
    newest = os.path.join(folder, str(served[-1]))
    return served[-1] if fingerprint(newest) == fingerprint(model_dir) else None


def publish(model_dir: str, folder: str) -> str:
    """Copies a model to a new version, and returns its path.

    The version is the current Unix time in seconds, or the first free number after it that is
    higher than all existing versions. The copy is made under a name that is not a number, then
    renamed. Object stores such as gs:// cannot rename a folder in one step: there, the copy is made
    under its final name, with saved_model.pb as the last file; without it, a folder is not a model.
    """
    storage.make_folder(folder)
    version = max(int(time.time()), *(number + 1 for number in [0, *list_versions(folder)]))
    if storage.is_remote(folder):
        path = os.path.join(folder, str(version))
        _copy(model_dir, path)
        return path
    incoming = os.path.join(folder, f"{INCOMING}{fingerprint(model_dir)[:16]}")
    storage.remove_folder(incoming)  # of a push that was killed
    _copy(model_dir, incoming)
    return _rename_to_free_version(incoming, folder, version)


def fingerprint(model_dir: str) -> str:
    """Returns a digest of the names and the contents of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(_files(model_dir)):
        digest.update(f"{path}\0{storage.file_size(os.path.join(model_dir, path))}\0".encode())
        with gfile.GFile(os.path.join(model_dir, path), "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _rename_to_free_version(incoming: str, folder: str, version: int) -> str:
    """Renames a complete copy; another push may have used the number in the meantime."""
    while True:
        path = os.path.join(folder, str(version))
        try:
            gfile.rename(incoming, path)
            return path
        except (errors.AlreadyExistsError, errors.FailedPreconditionError):
            version += 1


def _copy(source: str, target: str) -> None:
    """Copies a model folder file by file, saved_model.pb last."""
    paths = sorted(_files(source), key=lambda path: (path == MODEL_FILE, path))
    for path in paths:
        destination = os.path.join(target, path)
        storage.make_folder(os.path.dirname(destination))
        gfile.copy(os.path.join(source, path), destination)


def _files(folder: str) -> Iterator[str]:
    """Yields the relative path of every file below a folder."""
    for parent, _, names in gfile.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)
