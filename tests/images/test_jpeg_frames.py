# SPDX-License-Identifier: Apache-2.0
import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images
from mixer_tf.images import jpeg_frames, thumbnails


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">HH", marker, len(body) + 2) + body


def make_lossless_jpeg(pixels: np.ndarray) -> bytes:
    """Encodes uint8 [H, W, 3] as a lossless JPEG (SOF3), each pixel predicted by its left one."""
    height, width = pixels.shape[:2]
    before = np.empty(pixels.shape, int)
    before[:, 1:] = pixels[:, :-1]
    before[1:, 0] = pixels[:-1, 0]
    before[0, 0] = 128
    bits = ""
    for difference in (pixels - before).ravel():
        size = int(abs(difference)).bit_length()
        bits += f"{size:04b}"  # The nine codes of four bits.
        if size:
            bits += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"R\x11\0G\x11\0B\x11\0"
    table = bytes([0, 0, 0, 0, 9, *[0] * 12, *range(9)])
    head = segment(0xFFEE, b"Adobe\0\x64\0\0\0\0\0") + segment(0xFFC3, frame)
    scan = segment(0xFFC4, table) + segment(0xFFDA, b"\3R\0G\0B\0\1\0\0")
    return b"\xff\xd8" + head + scan + data + b"\xff\xd9"


def claim_process(encoded: bytes, marker: int, precision: int = 8) -> bytes:
    """Returns a baseline JPEG that claims another coding process."""
    at = encoded.index(b"\xff\xc0")
    return (
        encoded[: at + 1]
        + bytes([marker])
        + encoded[at + 2 : at + 4]
        + bytes([precision])
        + encoded[at + 5 :]
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 300}])
def test_the_frame_of_usual_jpegs_is_common(make_pixels, encode, options):
    frame = jpeg_frames.read_frame(encode(make_pixels(0), "JPEG", **options))
    assert frame.is_common
    assert frame.marker == (0xC2 if "progressive" in options else 0xC0)


def test_every_cut_of_a_jpeg_is_a_frame_or_none(make_pixels, encode):
    encoded = encode(make_pixels(0), "JPEG")
    frames = [jpeg_frames.read_frame(encoded[:length]) for length in range(len(encoded))]
    assert {frame and frame.marker for frame in frames} == {None, 0xC0}


def test_a_lossless_jpeg_becomes_a_png_of_the_same_pixels(make_pixels):
    pixels = make_pixels(0, 30, 40)
    encoded = make_lossless_jpeg(pixels)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), pixels)
    np.testing.assert_array_equal(images.decode(tf.constant(images.check(encoded))), pixels)


def test_the_served_decoder_refuses_a_lossless_jpeg(make_pixels):
    with pytest.raises(tf.errors.InvalidArgumentError):
        images.decode(tf.constant(make_lossless_jpeg(make_pixels(0))))


def test_the_thumbnail_of_a_lossless_jpeg_equals_that_of_its_pixels(make_pixels, encode):
    """Scaling while decoding would write beyond a buffer."""
    pixels = make_pixels(0, 149, 227)
    encoded = make_lossless_jpeg(pixels)
    expected = thumbnails.make_thumbnail(encode(pixels, "PNG"), 32)
    np.testing.assert_array_equal(thumbnails.make_thumbnail(encoded, 32), expected)
    assert images.read_header(thumbnails.make_preview(encoded, 64)).width == 64


def test_a_common_jpeg_is_scaled_while_it_is_decoded(make_pixels, encode, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "PIL.JpegImagePlugin.JpegImageFile.draft", lambda image, *size: asked.append(size)
    )
    thumbnails.make_thumbnail(encode(make_pixels(0, 200, 200), "JPEG"), 32)
    thumbnails.make_thumbnail(make_lossless_jpeg(make_pixels(0)), 32)
    assert asked == [("RGB", (64, 64))]


@pytest.mark.parametrize(
    ("marker", "precision", "reason"),
    [
        (0xC1, 12, "JPEG with 12 bits per channel that cannot be read: save it as"),
        (0xC3, 16, "lossless JPEG with 16 bits per channel that cannot be read"),
        (0xC5, 8, "hierarchical JPEG that cannot be read"),
        (0xCB, 8, "arithmetic-coded lossless JPEG that cannot be read"),
    ],
)
def test_other_processes_are_an_error_with_their_name(
    make_pixels, encode, marker, precision, reason
):
    encoded = claim_process(encode(make_pixels(0), "JPEG"), marker, precision)
    with pytest.raises(images.UnusableImageError, match=f"^{reason}"):
        images.check(encoded)
