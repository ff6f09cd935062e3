# SPDX-License-Identifier: Apache-2.0
"""fetch: downloads a published checkpoint once, into a cache on this machine.

The cache mirrors the URLs, because many published files have the same base name. A file appears in
it only when it is complete: its length and its MD5 must be those that the server announces.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import glob
import hashlib
import http.client
import os
import sys
import urllib.parse
import urllib.request
import zipfile
from typing import BinaryIO

from mixer_tf import storage
from mixer_tf.checkpoints.published import KNOWN, KnownCheckpoint
from mixer_tf.messages import did_you_mean

CACHE_VARIABLE = "MIXER_TF_CACHE"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 10  # without any data from the server


class DownloadError(OSError):
    """A download failed; the message says where to put the file by hand."""


def fetch(name: str, *, cache_dir: str | None = None) -> str:
    """Returns the path of a published checkpoint; downloads it unless it is in the cache.

    Args:
        name: a key of `KNOWN`, such as "mixer_b16_imagenet21k".
        cache_dir: folder of the cache; by default the environment variable MIXER_TF_CACHE, or
            ~/.cache/mixer_tf.

    Raises:
        ValueError: the name is unknown.
        DownloadError: the file is not in the cache, and the download failed.
    """
    if name not in KNOWN:
        raise ValueError(
            f"unknown checkpoint {name!r}.{did_you_mean(name, KNOWN)} "
            f"Use one of {', '.join(KNOWN)}."
        )
    return download(KNOWN[name].url, cache_dir=cache_dir)


def find_weights(model: str, weights: str | os.PathLike, cache_dir: str | None = None) -> str:
    """Returns the path of a checkpoint; a published one is fetched.

    Args:
        model: canonical name of the model, such as "mixer_b16".
        weights: a path, or the name of a published checkpoint, either in full
            ("mixer_b16_imagenet21k") or only its training data ("imagenet21k").
        cache_dir: see `fetch`.

    Raises:
        ValueError: `weights` is neither a path that exists nor such a name.
        DownloadError: the download failed.
    """
    known = find_published(model, weights)
    if known:
        return fetch(known.name, cache_dir=cache_dir)
    path = os.path.expanduser(os.fspath(weights))
    if os.path.exists(path):
        return path
    names = [name for name, checkpoint in KNOWN.items() if checkpoint.model == model]
    raise ValueError(
        "weights must be the path of a checkpoint or the name of a published one; "
        f"got {weights}. Published for {model}: {', '.join(names) or 'none'}."
    )


def find_published(model: str, weights: str | os.PathLike) -> KnownCheckpoint | None:
    """Returns the published checkpoint that `weights` names, if it does; see `find_weights`."""
    return KNOWN.get(weights) or KNOWN.get(f"{model}_{weights}")


def cached_path(url: str, cache_dir: str | None = None) -> str:
    """Returns the path in the cache for the file at a URL, whether it exists or not."""
    if cache_dir is None:
        cache_dir = os.environ.get(CACHE_VARIABLE) or os.path.join("~", ".cache", "mixer_tf")
    _, _, host_and_path = url.partition("://")
    return os.path.join(os.path.expanduser(cache_dir), urllib.parse.quote(host_and_path, safe="/"))


def download(url: str, *, cache_dir: str | None = None) -> str:
    """Returns the path of the file at any HTTP URL, downloaded in one attempt; see `fetch`."""
    path = cached_path(url, cache_dir)
    if os.path.exists(path):
        return path
    try:
        storage.make_folder(os.path.dirname(path))
        with (
            contextlib.ExitStack() as open_files,  # until the file has its name
            storage.replacing(path, concurrent=True) as partial,
        ):
            file = open_files.enter_context(open(partial, "w+b"))
            _lock(file)
            _remove_abandoned(path, own=partial)
            _receive(url, file)
            file.flush()
            if path.endswith(".npz") and not zipfile.is_zipfile(file):
                raise OSError("the response is not an .npz file")  # a login page, for example
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{url} could not be downloaded: {getattr(error, 'reason', error)}. "
            f"Download it on a machine with a connection and put it at {path}; "
            f"or set {CACHE_VARIABLE} to a cache that has it."
        ) from error
    return path


def _lock(file: BinaryIO) -> None:
    """Marks a partial file as that of a live process; the system frees a dead one's lock."""
    with contextlib.suppress(OSError):  # the file system has no locks
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_abandoned(path: str, own: str) -> None:
    """Removes the partial files that killed processes have left of the download to `path`."""
    folder, name = os.path.split(path)
    pattern = os.path.join(glob.escape(folder), f"{storage.partial_name('*')}-{glob.escape(name)}")
    for partial in set(glob.glob(pattern)) - {own}:
        # Locking fails for that of a live process; one that is empty may be about to be locked.
        with contextlib.suppress(OSError), open(partial, "rb+") as file:
            if os.path.getsize(partial):
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.remove(partial)


def _receive(url: str, file: BinaryIO) -> None:
    """Writes the server's response, and verifies it against the headers."""
    md5 = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        size = int(response.headers.get("Content-Length", 0))
        progress = _Progress(os.path.basename(url), size)
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
            md5.update(chunk)
            progress.show(file.tell())
        progress.end()
        if size and file.tell() != size:
            raise OSError(f"the connection ended after {file.tell()} of {size} bytes")
        announced = _announced_md5(response.headers)
    if announced and announced != md5.digest():
        raise OSError("the MD5 of the response differs from the one that the server announces")


def _announced_md5(headers) -> bytes | None:
    """Returns the MD5 in Google's header `x-goog-hash: crc32c=…,md5=…`, which may be repeated."""
    for part in ",".join(headers.get_all("x-goog-hash", [])).split(","):
        algorithm, _, value = part.strip().partition("=")
        if algorithm == "md5":
            return base64.b64decode(value)
    return None


class _Progress:
    """A progress line on a terminal; no output elsewhere."""

    def __init__(self, name: str, size: int):
        self._name = name
        self._size = size
        self._is_shown = sys.stderr.isatty()

    def show(self, received: int) -> None:
        if not self._is_shown:
            return
        total = (
            f" of {self._size / 1e6:.0f} MB, {received / self._size:.0%}" if self._size else " MB"
        )
        sys.stderr.write(f"\r{self._name}: {received / 1e6:.0f}{total} ")
        sys.stderr.flush()

    def end(self) -> None:
        if self._is_shown:
            sys.stderr.write("\n")
