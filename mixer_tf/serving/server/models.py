# SPDX-License-Identifier: Apache-2.0
"""The versions of one model on the server: loads what is pushed, and serves the newest.

As in TensorFlow Serving's default policy: the newest version is served; a new one is loaded before
the old one is unloaded; if it does not load, the old one stays.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import threading
from collections.abc import Callable, Mapping

from mixer_tf import storage
from mixer_tf.serving import locations, statuses
from mixer_tf.serving.server.servable import Servable
from mixer_tf.serving.statuses import ServingError

LOADING, AVAILABLE, END = "LOADING", "AVAILABLE", "END"


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """State of a version, with the names of TensorFlow Serving.

    Attributes:
        state: LOADING, AVAILABLE or END.
        error: why it could not be loaded; "" otherwise.
    """

    state: str
    error: str = ""


@dataclasses.dataclass(frozen=True)
class _Failure:
    """Why a version did not load, and the sizes of the files that it had."""

    error: str
    file_sizes: Mapping[str, int]


@dataclasses.dataclass(frozen=True)
class ModelFolder:
    """Where the versions of a model are.

    Attributes:
        path: a folder of versions, or one SavedModel.
        is_watched: whether it is a folder of versions.
        name: name of the model, as the folder says.
    """

    path: str
    is_watched: bool
    name: str


def find(model: str) -> ModelFolder:
    """Returns the folder that a server watches.

    Args:
        model: as `locations.resolve_saved_model` takes it.

    Raises:
        ValueError: there is no SavedModel.
    """
    newest = _normal(locations.resolve_saved_model(model))
    model, parent = _normal(model), os.path.dirname(newest)
    is_version = _is_number(os.path.basename(newest))
    if os.path.basename(model) == os.path.basename(newest) or not is_version:
        return ModelFolder(newest, False, _name(os.path.dirname(model) if is_version else model))
    return ModelFolder(parent, True, _name(model))


class Model:
    """A model whose newest version is served; threads may share it.

    Attributes:
        name: name of the model in requests.
    """

    def __init__(self, folder: ModelFolder, name: str, report: Callable[[str], None] = print):
        """Loads the newest version.

        Args:
            folder: see `find`.
            name: name of the model in requests.
            report: gets a line for each version that is loaded or fails later.

        Raises:
            ValueError: it does not load.
        """
        self.name = name
        self._folder, self._report = folder, report
        self._lock = threading.Lock()
        self._statuses: dict[int, VersionStatus] = {}
        self._failures: dict[int, _Failure] = {}
        self._current: Servable | None = None
        self.refresh()
        if self._current is None:
            raise ValueError(next(iter(self._statuses.values())).error)

    def current(self, version: int | None = None, label: str = "") -> Servable:
        """Returns the newest version, or the one that is asked for.

        Raises:
            ServingError: it is not served.
        """
        if label:
            text = f"Unrecognized servable version label: {label}."
            raise ServingError(statuses.INVALID_ARGUMENT, text)
        servable = self._current
        if version is not None and version != servable.version:
            text = (
                f"Servable not found for request: Specific({self.name}, {version}); the version "
                f"{servable.version} is served."
            )
            raise ServingError(statuses.NOT_FOUND, text)
        return servable

    def status(self, version: int | None = None) -> dict[int, VersionStatus]:
        """Returns version -> status, the newest first.

        Raises:
            ServingError: the version was never seen.
        """
        with self._lock:
            found = dict(sorted(self._statuses.items(), reverse=True))
        if version is None:
            return found
        if version not in found:
            text = f"Could not find version {version} of model {self.name}."
            raise ServingError(statuses.NOT_FOUND, text)
        return {version: found[version]}

    def refresh(self) -> None:
        """Loads the newest version if it is not served yet, and unloads the one before.

        A version that did not load is tried again when its files have changed, such as those of a
        copy that was not complete.
        """
        versions = self._versions()
        self._failures = {v: failure for v, failure in self._failures.items() if v in versions}
        newest = max(versions, default=None)
        if newest is None or (self._current and self._current.version == newest):
            return
        failure, sizes = self._failures.get(newest), self._file_sizes(newest)
        if failure and failure.file_sizes == sizes:
            return
        self._set(newest, VersionStatus(LOADING))
        try:
            loaded = Servable(self._path(newest), newest)
        except ValueError as error:
            self._set(newest, VersionStatus(END, str(error)))
            self._failures[newest] = _Failure(str(error), sizes)
            if not failure or failure.error != str(error):
                self._report(f"version {newest} is not served: {error}")
            return
        before, self._current = self._current, loaded
        self._set(newest, VersionStatus(AVAILABLE))
        if before:  # Calls that still run keep it in memory until they end.
            self._set(before.version, VersionStatus(END))
            self._report(f"version {newest} replaces version {before.version}")

    def _versions(self) -> list[int]:
        if not self._folder.is_watched:
            name = os.path.basename(self._folder.path)
            return [int(name) if _is_number(name) else 1]
        return locations.list_versions(self._folder.path)

    def _file_sizes(self, version: int) -> dict[str, int]:
        files = storage.find_files(os.path.join(glob.escape(self._path(version)), "**"))
        return {path: storage.file_size(path) for path in files}

    def _path(self, version: int) -> str:
        is_watched = self._folder.is_watched
        return os.path.join(self._folder.path, str(version)) if is_watched else self._folder.path

    def _set(self, version: int, status: VersionStatus) -> None:
        with self._lock:
            self._statuses[version] = status


def _normal(path: str) -> str:
    """Returns the path of a folder so that its last part is its name."""
    if storage.is_remote(path):
        return path.rstrip("/")
    return os.path.abspath(os.path.expanduser(path))


def _name(path: str) -> str:
    """Returns the name of a folder, or of the one above where that says nothing."""
    while os.path.basename(path) == locations.SERVING:
        path = os.path.dirname(path)
    return os.path.basename(path) or "model"


def _is_number(name: str) -> bool:
    return name.isdecimal() and name == str(int(name))
