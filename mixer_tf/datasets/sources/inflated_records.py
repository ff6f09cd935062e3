# SPDX-License-Identifier: Apache-2.0
"""Counts the records of a compressed TFRecord file within bounds, before TensorFlow reads it.

A file of a few megabytes can expand to gigabytes. TensorFlow allocates what a record states.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

# Encoded images hardly shrink; deflate itself ends at about 1,030 times.
MAX_RATIO = 200
# A small file may expand as it likes.
FREE_BYTES = 64 * 2**20

_CHUNK = 2**20
_GZIP_OR_ZLIB = 47
_HEADER = struct.Struct("<QI")  # The length of the record and its checksum.
_CHECKSUM_SIZE = 4


def count_complete(file: BinaryIO, size: int, max_record: int) -> tuple[int, str]:
    """Returns the number of complete records before the first problem, and this problem or "".

    Args:
        file: a GZIP or ZLIB file, at its start.
        size: its size in bytes.
        max_record: number of bytes that one record may have.
    """
    scan = _Scan(max_record, max(FREE_BYTES, MAX_RATIO * size))
    try:
        for chunk in _inflate(file):
            if reason := scan.add(chunk):
                return scan.count, reason
    except zlib.error as error:
        return scan.count, f"it cannot be decompressed: {error}"
    return scan.count, "" if scan.is_at_end else f"record {scan.count} is not complete"


class _Scan:
    """Follows the lengths of records through chunks of a file.

    Attributes:
        count: number of complete records.
    """

    def __init__(self, max_record: int, max_total: int):
        self.count = 0
        self._max_record, self._max_total = max_record, max_total
        self._total = 0
        self._header = b""
        self._left = 0  # Bytes of the current record that are still to come.

    @property
    def is_at_end(self) -> bool:
        return not self._left and not self._header

    def add(self, chunk: bytes) -> str:
        """Reads on, and returns why the rest must not be read, or ""."""
        self._total += len(chunk)
        if self._total > self._max_total:
            return (
                f"it expands to more than {self._max_total:,} bytes, at most {MAX_RATIO} times its "
                f"size or {FREE_BYTES:,} are read"
            )
        at = 0
        while at < len(chunk):
            if self._left:
                step = min(self._left, len(chunk) - at)
                self._left -= step
                self.count += not self._left
            else:
                step = min(_HEADER.size - len(self._header), len(chunk) - at)
                self._header += chunk[at : at + step]
                if reason := self._read_header():
                    return reason
            at += step
        return ""

    def _read_header(self) -> str:
        if len(self._header) < _HEADER.size:
            return ""
        length, _ = _HEADER.unpack(self._header)
        if length > self._max_record:
            limit = f"at most {self._max_record:,} are read"
            return f"record {self.count} states {length:,} bytes; {limit}"
        self._header, self._left = b"", length + _CHECKSUM_SIZE
        return ""


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    """Yields the content in chunks of at most `_CHUNK` bytes; a file may have several members.

    Raises:
        zlib.error: the file is corrupt or truncated.
    """
    inflater, data = None, file.read(_CHUNK)
    while data:
        inflater = inflater or zlib.decompressobj(_GZIP_OR_ZLIB)
        yield inflater.decompress(data, _CHUNK)
        data = inflater.unconsumed_tail
        while not data and not inflater.eof and (rest := inflater.decompress(b"", _CHUNK)):
            yield rest
        if inflater.eof:
            data, inflater = inflater.unused_data, None
        data = data or file.read(_CHUNK)
    if inflater is not None:
        raise zlib.error("it is truncated")
