# SPDX-License-Identifier: Apache-2.0
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from mixer_tf import images
from mixer_tf.images import orientation
from mixer_tf.images.plain_starts import has_plain_start

EXIF = b"Exif\0\0"


def decode_upright_with_pil(encoded: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(encoded))
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def read(encoded: bytes) -> int:
    return int(orientation.read_orientation(tf.constant(encoded)))


def tiff_block(value: int, order: str = "<", tag=0x0112, kind=3, before: int = 0) -> bytes:
    """A TIFF block with `before` other entries, then the tag, as SHORT (3) or LONG (4)."""
    field = struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    other = struct.pack(order + "HHII", 0x0100, 4, 1, 99)
    entry = struct.pack(order + "HHI", tag, kind, 1) + field
    byte_order = b"II" if order == "<" else b"MM"
    header = byte_order + struct.pack(order + "HIH", 42, 8, before + 1)
    return header + other * before + entry + bytes(4)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">HH", marker, len(content) + 2) + content


@pytest.fixture
def jpeg(make_pixels, encode):
    """Inserts segments at the start of a JPEG."""
    plain = encode(make_pixels(0, 20, 30), "JPEG")
    return lambda *segments: plain[:2] + b"".join(segments) + plain[2:]


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("value", range(1, 9))
def test_all_orientations_equal_pil(make_pixels, encode, image_format, value):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a maker", value
    encoded = encode(make_pixels(0, 20, 30), image_format, exif=exif)
    decoded = images.decode(tf.constant(encoded)).numpy()
    np.testing.assert_array_equal(decoded, decode_upright_with_pil(encoded))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4])
@pytest.mark.parametrize("before", [0, 30])
def test_both_byte_orders_and_types(jpeg, order, kind, before):
    block = tiff_block(6, order, kind=kind, before=before)
    assert read(jpeg(segment(0xFFE1, EXIF + block))) == 6


def test_exif_is_found_after_other_segments(jpeg):
    profile = segment(0xFFE2, b"ICC_PROFILE\0" + bytes(60_000))
    adobe = segment(0xFFE1, b"http://ns.adobe.com/xap/1.0/\0" + bytes(100))
    comment = segment(0xFFFE, b"a comment with Exif\0\0 in it")
    exif = segment(0xFFE1, EXIF + tiff_block(8))
    assert read(jpeg(comment, profile, adobe, exif)) == 8


def test_the_first_exif_segment_is_read(jpeg):
    first, second = (segment(0xFFE1, EXIF + tiff_block(value)) for value in (3, 6))
    assert read(jpeg(first, second)) == 3


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"II",
        tiff_block(6)[:15],
        tiff_block(0),
        tiff_block(9),
        tiff_block(6, tag=0x0113),
        tiff_block(6, kind=2),
        b"II" + struct.pack("<HI", 42, 2**32 - 1),
        b"II" + struct.pack("<HIH", 42, 8, 2**16 - 1),
        bytes(40),
        b"\xff" * 40,
    ],
)
def test_malformed_exif_leaves_the_image_upright(jpeg, block):
    encoded = jpeg(segment(0xFFE1, EXIF + block))
    assert read(encoded) == 1
    assert images.decode(tf.constant(encoded)).shape == (20, 30, 3)


@pytest.mark.parametrize(
    "encoded",
    [
        b"",
        EXIF,
        b"\xff\xd8" + EXIF,
        b"\xff\xd8\xff\xe1\x00\x00" + EXIF,
        b"\xff\xd8\xff\xe1\xff\xff" + EXIF,
        b"\xff\xd8\xff\xe0\x00\x00Exif\0\0",
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**32 - 1) + b"eXIf",
        b"\x89PNG\r\n\x1a\n" + bytes(8) + b"eXIf",
    ],
)
def test_invalid_bytes_are_upright(encoded):
    assert read(encoded) == 1


def test_random_corruption_never_raises(jpeg):
    whole = jpeg(segment(0xFFE1, EXIF + tiff_block(6, before=2)))
    head = np.frombuffer(whole[:80], np.uint8)
    generator = np.random.default_rng(0)
    read = tf.function(orientation.read_orientation)
    for _ in range(200):
        corrupt = head.copy()
        corrupt[generator.integers(0, 80, 4)] = generator.integers(0, 256, 4)
        assert 1 <= read(tf.constant(corrupt.tobytes() + whole[80:])) <= 8


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
@pytest.mark.parametrize("gap", [b"", b"odd"])
def test_a_plain_start_is_one_without_anything_optional(make_pixels, encode, image_format, gap):
    """A file with a segment or chunk before the pixels has to be searched, and so has any other."""
    plain = encode(make_pixels(0, 20, 30), image_format)
    assert bool(has_plain_start(tf.constant(plain)))
    segments = [segment(marker, gap) for marker in (0xFFE1, 0xFFE2, 0xFFEE, 0xFFFE)]
    chunk = struct.pack(">I", len(gap)) + b"tEXt" + gap + bytes(4)
    for more in [chunk] if image_format == "PNG" else segments:
        at = 33 if image_format == "PNG" else 20
        assert not bool(has_plain_start(tf.constant(plain[:at] + more + plain[at:])))
    for other in (b"", plain[:20], b"GIF89a" + plain, plain[:2] + plain[20:]):
        assert not bool(has_plain_start(tf.constant(other)))
