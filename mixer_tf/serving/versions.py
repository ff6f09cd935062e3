# SPDX-License-Identifier: Apache-2.0
"""The folder that a model server watches: one sub-folder for each version of a model.

For TensorFlow Serving, each sub-folder whose name is a number is a version, and the highest number
is the newest. It loads a version as soon as the sub-folder exists, so that must be complete.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from tensorflow import errors
from tensorflow.io import gfile

from mixer_tf import storage
from mixer_tf.serving import contract
from mixer_tf.serving import lineage as _lineage
from mixer_tf.serving.locations import MODEL_FILE, list_versions

INCOMING = ".incoming-"  # start of the name of a version that is not complete

_CHUNK = 1 << 20
_WITHDRAWN = ".withdrawn-"  # TensorFlow Serving ignores names that are not numbers


def already_served(folder: str, model_dir: str) -> int | None:
    """Returns the newest version below a folder if its files are those of the model, else None."""
    served = list_versions(folder)
    if not served:
        return None
    newest = os.path.join(folder, str(served[-1]))
    return served[-1] if fingerprint(newest) == fingerprint(model_dir) else None


def withdrawn_as(folder: str, model_dir: str) -> int | None:
    """Returns the withdrawn version whose files are those of the model, else None."""
    for number in _list_withdrawn(folder):
        if fingerprint(_withdrawn_path(folder, number)) == fingerprint(model_dir):
            return number
    return None


def publish(
    model_dir: str, folder: str, lineage: str | None = None, card: str | None = None
) -> str:
    """Copies a model to a new version, and returns its path.

    The version is the current Unix time in seconds, or the first free number after it that is
    higher than all versions, withdrawn ones too. The copy is made under a name that is not a
    number, then renamed. Object stores such as gs:// cannot rename a folder in one step: there, the
    copy is made under its final name, with saved_model.pb as the last file; without it, a folder is
    not a model.

    Args:
        model_dir: path of the SavedModel.
        folder: the folder of the versions.
        lineage: content of `lineage.json` in the copy; None for no such file.
        card: content of `MODEL_CARD.md`, likewise.
    """
    documents = {_lineage.path: lineage, _lineage.card_path: card}
    texts = {path_in: text for path_in, text in documents.items() if text is not None}
    storage.make_folder(folder)
    used = [0, *list_versions(folder), *_list_withdrawn(folder)]
    version = max(int(time.time()), max(used) + 1)
    if storage.is_remote(folder):
        path = os.path.join(folder, str(version))
        _copy(model_dir, path, texts)
        return path
    incoming = os.path.join(folder, f"{INCOMING}{fingerprint(model_dir)[:16]}")
    storage.remove_folder(incoming)  # of a push that was killed
    _copy(model_dir, incoming, texts)
    return _rename_to_free_version(incoming, folder, version)


def remove_old(folder: str, keep: int) -> list[int]:
    """Removes all but the newest versions, and returns those removed.

    A version disappears in one step: its `saved_model.pb` goes first, without which it is not one.
    Versions that mixer_tf did not export stay.

    Args:
        folder: the folder of the versions.
        keep: number of versions that stay, at least 1.
    """
    removed = [number for number in list_versions(folder)[:-keep] if _is_ours(folder, number)]
    for number in removed:
        path = os.path.join(folder, str(number))
        gfile.remove(os.path.join(path, MODEL_FILE))
        storage.remove_folder(path)
    return removed


def withdraw(folder: str, to: int | None = None) -> list[int]:
    """Takes the newest versions out of service, and returns them, the newest first.

    They stay in the folder under a name that model servers ignore, `.withdrawn-VERSION`.

    Args:
        folder: the folder of the versions.
        to: the version that becomes the newest; None for the one before the newest.

    Raises:
        ValueError: there is no such version, or no earlier one.
    """
    known = list_versions(folder)
    if to is None and len(known) < 2:
        raise ValueError(
            f"a rollback needs an earlier version; {folder} has {_listing(known)}. "
            "Push more versions first."
        )
    to = known[-2] if to is None else to
    if to not in known:
        raise ValueError(f"the version must be one of {_listing(known)}; got {to}.")
    withdrawn = [number for number in reversed(known) if number > to]
    for number in withdrawn:
        _hide(folder, number)
    return withdrawn


def _hide(folder: str, number: int) -> None:
    """Renames a version; in an object store, file by file, `saved_model.pb` first."""
    path = os.path.join(folder, str(number))
    hidden = _withdrawn_path(folder, number)
    storage.remove_folder(hidden)
    if not storage.is_remote(folder):
        gfile.rename(path, hidden)
        return
    storage.make_folder(hidden)
    gfile.rename(os.path.join(path, MODEL_FILE), os.path.join(hidden, MODEL_FILE))
    for name in list(_files(path)):
        storage.make_folder(os.path.dirname(os.path.join(hidden, name)))
        gfile.rename(os.path.join(path, name), os.path.join(hidden, name))
    storage.remove_folder(path)


def _withdrawn_path(folder: str, number: int) -> str:
    return os.path.join(folder, f"{_WITHDRAWN}{number}")


def _list_withdrawn(folder: str) -> list[int]:
    if not storage.is_folder(folder):
        return []
    names = storage.list_names(folder)
    numbers = [name.removeprefix(_WITHDRAWN) for name in names if name.startswith(_WITHDRAWN)]
    return sorted(int(number) for number in numbers if number.isdecimal())


def _is_ours(folder: str, number: int) -> bool:
    return storage.exists(
        os.path.join(folder, str(number), contract.EXTRA_ASSETS, contract.RECIPE_FILE)
    )


def _listing(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def fingerprint(model_dir: str) -> str:
    """Returns a digest of the names and contents of all files but the lineage and the card."""
    digest = hashlib.sha256()
    for path in sorted(set(_files(model_dir)) - _documents(model_dir)):
        digest.update(f"{path}\0{storage.file_size(os.path.join(model_dir, path))}\0".encode())
        with gfile.GFile(os.path.join(model_dir, path), "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def _documents(model_dir: str) -> set[str]:
    """The relative paths of the documents of a version, which say nothing of what it answers."""
    paths = (_lineage.path(model_dir), _lineage.card_path(model_dir))
    return {os.path.relpath(path, model_dir) for path in paths}


def _rename_to_free_version(incoming: str, folder: str, version: int) -> str:
    """Renames a complete copy; another push may have used the number in the meantime."""
    while True:
        path = os.path.join(folder, str(version))
        try:
            gfile.rename(incoming, path)
            return path
        except (errors.AlreadyExistsError, errors.FailedPreconditionError):
            version += 1


def _copy(source: str, target: str, texts: Mapping[Callable[[str], str], str]) -> None:
    """Copies a model folder file by file, saved_model.pb last.

    Args:
        source: the model.
        target: the copy.
        texts: function from a model to the path of a document in it → its content.
    """
    if texts:
        storage.make_folder(os.path.join(target, contract.EXTRA_ASSETS))
    for path_in, text in texts.items():
        storage.write_text(path_in(target), text)
    written = {os.path.relpath(path_in(source), source) for path_in in texts}
    found = set(_files(source)) - written
    paths = sorted(found, key=lambda path: (path == MODEL_FILE, path))
    for path in paths:
        destination = os.path.join(target, path)
        storage.make_folder(os.path.dirname(destination))
        gfile.copy(os.path.join(source, path), destination)


def _files(folder: str) -> Iterator[str]:
    """Yields the relative path of every file below a folder."""
    for parent, _, names in gfile.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(parent, name), folder)
