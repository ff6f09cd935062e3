# SPDX-License-Identifier: Apache-2.0
"""The lines that a training prints, which a full disk must not end. Imports no TensorFlow."""

from __future__ import annotations

import errno
import re
import sys

from mixer_tf.messages import visible, without_credentials

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NODE = re.compile(r"^\{\{function_node [^}]*\}\}")  # before the message of an operation


def write(stream, text: str) -> None:
    """Writes to a text stream and flushes it; nothing happens where its file is on a full disk."""
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if error.errno not in _FULL:
            raise


def warn(text: str) -> None:
    """Prints a warning of one line to standard error."""
    write(sys.stderr, f"WARNING: {visible(without_credentials(text))}\n")


def reason(error: Exception) -> str:
    """Returns the first line of what an exception of Python or TensorFlow says."""
    text = getattr(error, "strerror", None) or getattr(error, "message", None) or str(error)
    line = next(iter(_NODE.sub("", str(text)).strip().splitlines()), "")
    return line or type(error).__name__
