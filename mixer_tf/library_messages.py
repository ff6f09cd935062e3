# SPDX-License-Identifier: Apache-2.0
"""Captures what C and C++ libraries write to stderr, such as libjpeg about a corrupt image.

They name no file, and their messages are the only sign that an image is damaged but readable.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import tempfile
import threading
from collections.abc import Iterator

# The environment variable that `console.silence_libraries` sets, also for processes that this one
# starts.
SILENT = "MIXER_TF_SILENT"
_STDERR = 2


class _Capture:
    """Redirects stderr of the process to a file while at least one thread captures."""

    def __init__(self):
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._depth = 0
        self._is_exclusive = False
        self._file = None
        self._process = 0
        self._stderr = _STDERR

    def start(self, exclusive: bool) -> None:
        with self._lock:
            self._changed.wait_for(
                lambda: not self._is_exclusive and not (exclusive and self._depth)
            )
            if self._depth == 0:
                self._redirect()
            self._depth += 1
            self._is_exclusive = exclusive

    def stop(self) -> str:
        """Returns what was written since no thread captured, by this thread or by others."""
        with self._lock:
            text = self._read()
            self._depth -= 1
            self._is_exclusive = False
            if self._depth == 0:
                self._restore(text)
                self._changed.notify_all()
            return text

    def show(self, text: str) -> None:
        """See the function `show`."""
        with self._lock:
            if self._depth and _is_of_process(sys.stderr):
                os.write(self._stderr, text.encode("utf-8", "replace"))
            else:
                print(text, end="", file=sys.stderr, flush=True)

    def _read(self) -> str:
        file = self._file.fileno()
        size = os.fstat(file).st_size
        return os.pread(file, size, 0).decode("utf-8", "replace") if size else ""

    def _restore(self, text: str) -> None:
        if text:
            os.ftruncate(self._file.fileno(), 0)
        os.dup2(self._stderr, _STDERR)
        os.close(self._stderr)
        if text and SILENT not in os.environ:
            os.write(_STDERR, text.encode("utf-8", "replace"))

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


def show(text: str) -> None:
    """Writes a text of our own to stderr, also while a thread captures those of libraries."""
    _capture.show(text)


def _is_of_process(file) -> bool:
    try:
        return file.fileno() == _STDERR
    except (AttributeError, OSError, ValueError):  # such as a buffer of a test
        return False


@contextlib.contextmanager
def capture(exclusive: bool = False) -> Iterator[list[str]]:
    """Yields a list that holds, after the block, the text that was written to stderr, if any.

    Where libraries are not silenced, the text is written to stderr afterwards. A block must not
    contain another one.

    Args:
        exclusive: whether other threads that capture wait. Otherwise one thread may get the text
            of another.
    """
    found: list[str] = []
    try:
        _capture.start(exclusive)
    except OSError:  # The process has no stderr, or no folder for temporary files.
        yield found
        return
    try:
        yield found
    finally:
        text = _capture.stop()
        if text:
            found.append(text)
