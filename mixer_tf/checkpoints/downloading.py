# SPDX-License-Identifier: Apache-2.0
"""fetch: a published checkpoint on this machine, downloaded once.

The cache mirrors the addresses, for many published files share their last part. A file appears in
it only when it is whole: as long as the server says, and with the MD5 that Google's storage sends.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import sys
import urllib.parse
import urllib.request
import zipfile
from typing import BinaryIO

from mixer_tf.checkpoints.published import KNOWN
from mixer_tf.messages import did_you_mean

CACHE_VARIABLE = "MIXER_TF_CACHE"
_CHUNK = 1 << 20
_TIMEOUT_SECONDS = 10  # of silence


class DownloadError(OSError):
    """A file could not be downloaded; the message says where to put it by hand."""


def fetch(name: str, *, cache_dir: str | None = None) -> str:
    """Returns the path of a known checkpoint, which is downloaded where it is not there yet.

    Args:
        name: one of `KNOWN`, such as "mixer_b16_imagenet21k".
        cache_dir: by default the environment's MIXER_TF_CACHE, else ~/.cache/mixer_tf.

    Raises:
        ValueError: the name is not known.
        DownloadError: the file is not there, and could not be downloaded whole.
    """
    if name not in KNOWN:
        raise ValueError(
            f"unknown checkpoint {name!r}.{did_you_mean(name, KNOWN)} Known: {', '.join(KNOWN)}."
        )
    return download(KNOWN[name].address, cache_dir=cache_dir)


def find_weights(model: str, weights: str | os.PathLike, cache_dir: str | None = None) -> str:
    """Returns the path of a checkpoint; a published one is fetched.

    Args:
        model: its canonical name, such as "mixer_b16".
        weights: a path; or the name of a published checkpoint, whole ("mixer_b16_imagenet21k") or
            what it was trained on ("imagenet21k").
        cache_dir: see `fetch`.

    Raises:
        ValueError: it is neither.
        DownloadError: it cannot be downloaded.
    """
    for key in (weights, f"{model}_{weights}"):
        if key in KNOWN:
            return fetch(key, cache_dir=cache_dir)
    path = os.path.expanduser(os.fspath(weights))
    if os.path.exists(path):
        return path
    fitting = [key for key, known in KNOWN.items() if known.model == model]
    raise ValueError(
        f"weights must be the path of a checkpoint or the name of a published one; got {weights}. "
        f"For {model} there are {', '.join(fitting) or 'no published ones'}."
    )


def cached_path(address: str, cache_dir: str | None = None) -> str:
    """Returns where the file of an address lies, or would lie."""
    if cache_dir is None:
        cache_dir = os.environ.get(CACHE_VARIABLE) or os.path.join("~", ".cache", "mixer_tf")
    _, _, place = address.partition("://")
    return os.path.join(os.path.expanduser(cache_dir), urllib.parse.quote(place, safe="/"))


def download(address: str, *, cache_dir: str | None = None) -> str:
    """Returns the path of the file at any http address; as `fetch`, one attempt from the start."""
    path = cached_path(address, cache_dir)
    if os.path.exists(path):
        return path
    partial = f"{path}.{os.getpid()}.partial"
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(partial, "wb") as file:
            _receive(address, file)
        if path.endswith(".npz") and not zipfile.is_zipfile(partial):
            raise OSError("what came is no .npz file")  # the log-in page of a network, perhaps
        os.replace(partial, path)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(
            f"{address} could not be downloaded: {getattr(error, 'reason', error)}. "
            f"Download it where there is a connection and put it at {path}; "
            f"or set {CACHE_VARIABLE} to a cache that has it."
        ) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(partial)
    return path


def _receive(address: str, file: BinaryIO) -> None:
    """Writes the answer of the server, and compares it with what its headers announce."""
    md5 = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as response:
        size = int(response.headers.get("Content-Length", 0))
        progress = _Progress(os.path.basename(address), size)
        while chunk := response.read(_CHUNK):
            file.write(chunk)
            md5.update(chunk)
            progress.show(file.tell())
        progress.end()
        if size and file.tell() != size:
            raise OSError(f"the connection ended after {file.tell()} of {size} bytes")
        announced = _announced_md5(response.headers)
    if announced and announced != md5.digest():
        raise OSError("what came has not the MD5 that the server announces")


def _announced_md5(headers) -> bytes | None:
    """Returns the MD5 of Google's header `x-goog-hash: crc32c=…,md5=…`, which may come twice."""
    for part in ",".join(headers.get_all("x-goog-hash", [])).split(","):
        kind, _, value = part.strip().partition("=")
        if kind == "md5":
            return base64.b64decode(value)
    return None


class _Progress:
    """One line on a terminal; nothing where there is none."""

    def __init__(self, name: str, size: int):
        self._name = name
        self._size = size
        self._shown = sys.stderr.isatty()

    def show(self, received: int) -> None:
        if not self._shown:
            return
        share = (
            f" of {self._size / 1e6:.0f} MB, {received / self._size:.0%}" if self._size else " MB"
        )
        sys.stderr.write(f"\r{self._name}: {received / 1e6:.0f}{share} ")
        sys.stderr.flush()

    def end(self) -> None:
        if self._shown:
            sys.stderr.write("\n")
