# SPDX-License-Identifier: Apache-2.0
import struct

import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images


def claim_size(encoded: bytes, at: int, pattern: str, *size: int) -> bytes:
    """The image with another size written into its header."""
    claimed = struct.pack(pattern, *size)
    return encoded[:at] + claimed + encoded[at + len(claimed) :]


def find_jpeg_size(encoded: bytes) -> int:
    """Where the frame header of a baseline JPEG holds its height and width."""
    return encoded.index(b"\xff\xc0") + 5


@pytest.fixture(params=["PNG", "GIF", "JPEG"])
def claim(request, encode):
    """Makes an image of 16x16 pixels whose header states another size."""
    encoded = encode(Image.new("L", (16, 16)), request.param)
    if request.param == "PNG":
        return lambda width, height: claim_size(encoded, 16, ">II", width, height)
    if request.param == "GIF":
        return lambda width, height: claim_size(encoded, 6, "<HH", width, height)
    at = find_jpeg_size(encoded)
    return lambda width, height: claim_size(encoded, at, ">HH", height, width)


@pytest.mark.parametrize(("width", "height"), [(20_000, 20_000), (65_000, 1_600)])
def test_a_header_that_states_too_much_is_refused_before_decoding(claim, width, height):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100,000,000 pixels"):
        images.decode(tf.constant(claim(width, height)))


def test_the_true_size_is_decoded(claim):
    assert images.decode(tf.constant(claim(16, 16))).shape == (16, 16, 3)


def test_a_graph_refuses_it_as_well(bad_folder):
    bomb = (bad_folder.path / "dog/bomb.png").read_bytes()
    decode = tf.function(images.decode, input_signature=[tf.TensorSpec([], tf.string)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 100,000,000 pixels"):
        decode(tf.constant(bomb))


def test_what_is_no_image_is_still_called_so():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        images.decode(tf.constant(b"hello world, this is a text"))


@pytest.mark.parametrize("sides", [(4, 401), (401, 4)])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "GIF"])
def test_a_long_strip_is_refused_before_and_in_the_graph(encode, sides, image_format):
    """Enlarged until its shorter side has 256 pixels, a strip of a few bytes is gigabytes."""
    encoded = encode(Image.new("RGB", sides), image_format)
    with pytest.raises(images.UnusableImageError, match="one side more than 100 times the other"):
        images.read_header(encoded)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 100"):
        images.decode(tf.constant(encoded))
    fine = encode(Image.new("RGB", (4, 400)), image_format)
    assert images.decode(tf.constant(fine)).shape == (400, 4, 3)
