# SPDX-License-Identifier: Apache-2.0
"""Reads the records of TFRecord files, compressed or not.

Format: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from mixer_tf import storage
from mixer_tf.datasets.sources import inflated_records

_LENGTH = struct.Struct("<Q")
_HEADER_SIZE = 12  # The length of the record and its checksum.
_CHECKSUM_SIZE = 4
_MAX_RECORD = 512 * 2**20  # Larger than any image with its label.
_GZIP_START = b"\x1f\x8b"
_ZLIB_STARTS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
# What TensorFlow adds to a message about the operation that met the error.
_NODE = re.compile(r"\{\{.*?\}\}|\[Op:.*?\]|name:\s*$")


class CorruptFileError(ValueError):
    """The rest of a file cannot be read; the message is the reason."""


def read_records(path: str) -> Iterator[bytes]:
    """Yields the records of a file; `compression` says how it is decompressed.

    Raises:
        CorruptFileError: the rest of the file cannot be read.
    """
    import tensorflow as tf

    try:
        kind = compression(path)
        # TensorFlow allocates the stated length of a record before it reads it, or while it
        # decompresses it; a length that exceeds the memory ends the process.
        complete, reason = _count_inflated(path) if kind else _count_complete(path)
        records = tf.data.TFRecordDataset(path, kind).take(complete)
        yield from records.as_numpy_iterator()
    except tf.errors.OpError as error:
        raise CorruptFileError(reason_of(error.message)) from error
    except OSError as error:
        raise CorruptFileError(error.strerror or str(error)) from error
    if reason:
        raise CorruptFileError(reason)


def reason_of(message: str) -> str:
    """Returns the first line of an error of TensorFlow, without the name of the operation."""
    return _NODE.sub("", message.strip().partition("\n")[0]).strip()


def compression(path: str) -> str:
    """Returns "", "GZIP" or "ZLIB" as the first bytes say, whatever the name is.

    The length of the first record can start with the same two bytes; then its checksum matches.

    Raises:
        OSError: the file cannot be read.
    """
    header = storage.read_bytes(path, _HEADER_SIZE)
    length, checksum = header[: _LENGTH.size], header[_LENGTH.size :]
    if checksum == struct.pack("<I", _masked_crc32c(length)):
        return ""
    if header.startswith(_GZIP_START):
        return "GZIP"
    return "ZLIB" if header.startswith(_ZLIB_STARTS) else ""


def _count_complete(path: str) -> tuple[int, str]:
    """The number of records that are completely in the file, and why the next one is not."""
    size, position, count = storage.file_size(path), 0, 0
    with _open(path) as file:
        while position < size:
            file.seek(position)
            header = file.read(_LENGTH.size)
            length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else 0
            position += _HEADER_SIZE + length + _CHECKSUM_SIZE
            if position > size:
                return count, (f"record {count} states {length:,} bytes; the file has {size:,}")
            if length > _MAX_RECORD:
                limit = f"at most {_MAX_RECORD:,} are read"
                return count, f"record {count} states {length:,} bytes; {limit}"
            count += 1
    return count, ""


def _count_inflated(path: str) -> tuple[int, str]:
    """The same for a compressed file."""
    with _open(path) as file:
        return inflated_records.count_complete(file, storage.file_size(path), _MAX_RECORD)


def _open(path: str):
    if storage.is_remote(path):
        return storage.gfile().GFile(path, "rb")
    return open(path, "rb", buffering=0)


def _masked_crc32c(data: bytes) -> int:
    """The checksum of the format: CRC-32C, rotated right by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
