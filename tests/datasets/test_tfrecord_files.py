# SPDX-License-Identifier: Apache-2.0
import gzip
import struct
import zlib

import pytest
import tensorflow as tf

from mixer_tf.datasets.sources import tfrecord_features, tfrecord_files


def write(path, records: list[bytes], compression: str = "") -> bytes:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for record in records:
            writer.write(record)
    return path.read_bytes()


def header(length: int) -> bytes:
    """The length of a record and its masked CRC-32C, with the table-driven algorithm."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ 0x82F63B78 * (byte & 1)
        table.append(byte)
    crc, data = 0xFFFFFFFF, struct.pack("<Q", length)
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return data + struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
def test_the_compression_is_found_by_the_first_bytes(tmp_path, compression):
    write(tmp_path / "a", [b"x" * 1000, b"y"], compression)
    assert tfrecord_files.compression(str(tmp_path / "a")) == compression
    assert list(tfrecord_files.read_records(str(tmp_path / "a"))) == [b"x" * 1000, b"y"]


@pytest.mark.parametrize("level", [1, 5, 6, 9])
def test_every_level_of_zlib_is_found(tmp_path, level):
    plain = write(tmp_path / "a", [b"x" * 1000])
    (tmp_path / "a").write_bytes(zlib.compress(plain, level))
    assert list(tfrecord_files.read_records(str(tmp_path / "a"))) == [b"x" * 1000]


@pytest.mark.parametrize("start", [b"\x1f\x8b", b"\x78\x01", b"\x78\x9c"])
def test_a_length_that_starts_like_a_compressed_file_is_a_length(tmp_path, start):
    record = bytes(int.from_bytes(start, "little"))
    assert write(tmp_path / "a", [record]).startswith(start)
    assert list(tfrecord_files.read_records(str(tmp_path / "a"))) == [record]


def test_the_header_of_the_tests_is_that_of_tensorflow(tmp_path):
    assert write(tmp_path / "a", [b"x" * 77]).startswith(header(77))


@pytest.mark.parametrize("length", [2**31, 2**40, 2**62, 2**64 - 1])
def test_a_forged_length_is_an_error_and_the_records_before_it_are_read(tmp_path, length):
    plain = write(tmp_path / "a", [b"good"] * 3)
    (tmp_path / "a").write_bytes(plain + header(length) + b"123")
    records = tfrecord_files.read_records(str(tmp_path / "a"))
    assert [next(records) for _ in range(3)] == [b"good"] * 3
    with pytest.raises(tfrecord_files.CorruptFileError, match=f"record 3 states {length:,} bytes"):
        next(records)


def test_an_enormous_record_is_not_read(tmp_path):
    """The file has a hole, so that it needs no space."""
    write(tmp_path / "a", [b"good"])
    with open(tmp_path / "a", "ab") as file:
        file.write(header(2**30))
        file.truncate(2**30 + 1000)
    records = tfrecord_files.read_records(str(tmp_path / "a"))
    assert next(records) == b"good"
    with pytest.raises(tfrecord_files.CorruptFileError, match="record 1 states 1,073,741,824 byte"):
        next(records)


@pytest.mark.parametrize(
    "content",
    [
        b"\x0a\x80\x80\x80\x80\x80\x20rest",  # features of 2^40 bytes
        b"\x0a\xff\xff\xff\xff\x0frest",  # features of 2^32 - 1 bytes
        b"\x0a\x80",  # half of a length
        b"\x0a\x08\x0a\x06\x0a\x7fimage",  # a name of 127 bytes
        b"\x0b" * 500,  # groups in groups
        b"\x0a\x02" * 500,
    ],
)
def test_a_forged_length_in_an_example_is_a_problem(tmp_path, content):
    write(tmp_path / "a", [content])
    (item,) = tfrecord_features.read_file(str(tmp_path / "a"))
    assert item.problem in ("not a tf.Example", "no encoded image; it has no features")


@pytest.mark.parametrize("wbits", [31, 15])
def test_a_forged_length_in_a_compressed_file_is_an_error(tmp_path, wbits):
    compressor = zlib.compressobj(wbits=wbits)
    content = compressor.compress(header(2**40) + b"123") + compressor.flush()
    (tmp_path / "a").write_bytes(content)
    (item,) = tfrecord_features.read_file(str(tmp_path / "a"))
    assert item.problem.startswith("corrupt or truncated TFRecord file")


def bomb(num_bytes: int, start: bytes = b"") -> bytes:
    """A gzip file of a good record, and zeros."""
    compressor = zlib.compressobj(wbits=31)
    parts = [compressor.compress(start)]
    parts += [compressor.compress(bytes(2**20)) for _ in range(num_bytes >> 20)]
    return b"".join([*parts, compressor.flush()])


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (2**30, "record 1 states 1,073,741,824 bytes; at most 536,870,912 are read"),
        (2**28, "it expands to more than 67,108,864 bytes, at most 200 times its size"),
    ],
)
def test_a_small_file_that_expands_to_a_large_one_is_an_error(tmp_path, length, message):
    plain = write(tmp_path / "a", [b"good"])
    (tmp_path / "a").write_bytes(bomb(2**28, plain + header(length)))
    assert (tmp_path / "a").stat().st_size < 300_000
    records = tfrecord_files.read_records(str(tmp_path / "a"))
    assert next(records) == b"good"
    with pytest.raises(tfrecord_files.CorruptFileError, match=message):
        next(records)


def test_a_file_of_several_compressed_parts_is_read_to_its_end(tmp_path):
    parts = [write(tmp_path / "a", [b"one", b"2" * 5_000_000]), write(tmp_path / "a", [b"three"])]
    (tmp_path / "a").write_bytes(b"".join(map(gzip.compress, parts)))
    found = list(tfrecord_files.read_records(str(tmp_path / "a")))
    assert found == [b"one", b"2" * 5_000_000, b"three"]


def test_a_file_cut_anywhere_gives_its_complete_records(tmp_path):
    plain = write(tmp_path / "a", [b"good"] * 2)
    for size in range(1, len(plain)):
        (tmp_path / "a").write_bytes(plain[:size])
        read = []
        if size == len(plain) // 2:
            read = list(tfrecord_files.read_records(str(tmp_path / "a")))
        else:
            with pytest.raises(tfrecord_files.CorruptFileError, match="the file has"):
                for record in tfrecord_files.read_records(str(tmp_path / "a")):
                    read.append(record)
        assert len(read) == size * 2 // len(plain)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(tfrecord_files.CorruptFileError, match="No such file"):
        list(tfrecord_files.read_records(str(tmp_path / "none")))
