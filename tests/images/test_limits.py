# SPDX-License-Identifier: Apache-2.0
import struct

import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images


def claim_size(encoded: bytes, at: int, pattern: str, *size: int) -> bytes:
    """Returns the image with another size in its header."""
    claimed = struct.pack(pattern, *size)
    return encoded[:at] + claimed + encoded[at + len(claimed) :]


def find_jpeg_size(encoded: bytes) -> int:
    """Returns the position of height and width in the frame header of a baseline JPEG."""
    return encoded.index(b"\xff\xc0") + 5


@pytest.fixture(params=["PNG", "GIF", "JPEG"])
def claim(request, encode):
    """Creates an image of 16x16 pixels whose header states another size."""
    encoded = encode(Image.new("L", (16, 16)), request.param)
    if request.param == "PNG":
        return lambda width, height: claim_size(encoded, 16, ">II", width, height)
    if request.param == "GIF":
        return lambda width, height: claim_size(encoded, 6, "<HH", width, height)
    at = find_jpeg_size(encoded)
    return lambda width, height: claim_size(encoded, at, ">HH", height, width)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (65_000, 1_600)])
def test_a_size_out_of_range_is_an_error_before_decoding(claim, width, height):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100,000,000 pixels"):
        images.decode(tf.constant(claim(width, height)))


def test_the_true_size_is_decoded(claim):
    assert images.decode(tf.constant(claim(16, 16))).shape == (16, 16, 3)


def test_a_size_out_of_range_is_an_error_in_a_graph(bad_folder):
    bomb = (bad_folder.path / "dog/bomb.png").read_bytes()
    decode = tf.function(images.decode, input_signature=[tf.TensorSpec([], tf.string)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100,000,000 pixels"):
        decode(tf.constant(bomb))


def test_bytes_that_are_not_an_image_keep_the_error_of_the_decoder():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        images.decode(tf.constant(b"hello world, this is a text"))


@pytest.mark.parametrize("sides", [(4, 401), (401, 4)])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF", "BMP"])
def test_a_narrow_strip_is_an_error_before_and_in_the_graph(encode, sides, image_format):
    """With its shorter side enlarged to 256 pixels, a strip of a few bytes takes gigabytes."""
    encoded = encode(Image.new("RGB", sides), image_format)
    with pytest.raises(images.UnusableImageError, match="one side more than 100 times the other"):
        images.read_header(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 100"):
        images.decode(tf.constant(encoded))
    fine = encode(Image.new("RGB", (4, 400)), image_format)
    assert images.decode(tf.constant(fine)).shape == (400, 4, 3)
