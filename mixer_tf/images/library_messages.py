# SPDX-License-Identifier: Apache-2.0
"""Captures what C libraries, such as libjpeg and libtiff, write to stderr about a corrupt image.

They name no file, and their messages are the only sign that an image is damaged but readable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import threading
from collections.abc import Iterator

from mixer_tf import console

_STDERR = 2


class _Capture:
    """Redirects stderr of the process to a file while at least one thread captures."""

    def __init__(self):
        self._lock = threading.Lock()
        self._depth = 0
        self._file = None
        self._process = 0
        self._stderr = _STDERR

    def start(self) -> None:
        with self._lock:
            if self._depth == 0:
                self._redirect()
            self._depth += 1

    def stop(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                os.dup2(self._stderr, _STDERR)
                os.close(self._stderr)

    def read(self) -> str:
        """Returns what was written, once."""
        with self._lock:
            file = self._file.fileno()
            size = os.fstat(file).st_size
            if not size:
                return ""
            text = os.pread(file, size, 0).decode("utf-8", "replace")
            os.ftruncate(file, 0)
            return text

    def _redirect(self) -> None:
        if self._process != os.getpid():  # A forked process must not share the file.
            self._file = tempfile.TemporaryFile()  # noqa: SIM115, open until the process ends
            self._process = os.getpid()
            flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
            # Appending, so that it can be truncated while others write to it.
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags | os.O_APPEND)
        self._stderr = os.dup(_STDERR)
        os.dup2(self._file.fileno(), _STDERR)


_capture = _Capture()


@contextlib.contextmanager
def capture() -> Iterator[list[str]]:
    """Yields a list that holds, after the block, the text that was written to stderr, if any.

    Where libraries are not silenced, the text is written to stderr afterwards. If several threads
    decode, one may get the text of another.
    """
    found: list[str] = []
    try:
        _capture.start()
    except OSError:  # The process has no stderr, or no folder for temporary files.
        yield found
        return
    try:
        yield found
    finally:
        text = _capture.read()
        _capture.stop()
        if text:
            found.append(text)
            if not console.is_silent():
                os.write(_STDERR, text.encode("utf-8", "replace"))
