# SPDX-License-Identifier: Apache-2.0
"""Decoding the crop of a JPEG gives the pixels of decoding all of it."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images
from mixer_tf.images import random_crops

SIDE = 24


@functools.cache
def crops():
    """Returns one graph that crops an encoded image in both ways."""

    @tf.function(
        input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([2], tf.int64)],
        autograph=False,
    )
    def crop(encoded, seed):
        fused = images.decode_and_inception_crop(encoded, SIDE, seed)
        return fused, images.inception_crop(images.decode(encoded), SIDE, seed)

    return crop


def assert_same_crops(encoded, count=12):
    found = set()
    for number in range(count):
        fused, plain = crops()(tf.constant(encoded), tf.constant([0, number], tf.int64))
        np.testing.assert_array_equal(fused, plain)
        assert fused.shape == (SIDE, SIDE, 3) and fused.dtype == tf.uint8
        found.add(fused.numpy().tobytes())
    assert len(found) == count


@pytest.fixture
def photo(make_pixels):
    """Noise over a smooth image, in which any shift of a pixel or of its color shows."""
    noise = np.random.default_rng(0).integers(-40, 41, (150, 211, 3))
    return np.clip(make_pixels(3, 150, 211).astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "4:1:1"])
def test_jpegs_of_each_subsampling(photo, encode, subsampling, progressive):
    options = {"quality": 90, "subsampling": subsampling, "progressive": progressive}
    assert_same_crops(encode(photo, "JPEG", **options))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    ("subsampling", "factors"), [("4:2:2", 0x12), ("4:2:0", 0x41), ("4:2:0", 0x14)]
)
def test_subsamplings_that_pillow_does_not_write(encode, subsampling, factors, progressive):
    """Other sampling factors of the luma in the same number of blocks: 4:4:0, 4:1:1, 4:4:1."""
    pixels = np.random.default_rng(4).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    options = {"subsampling": subsampling, "progressive": progressive}
    encoded = bytearray(encode(pixels, "JPEG", **options))
    encoded[encoded.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 11] = factors
    assert_same_crops(bytes(encoded), 10)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_each_window_of_a_jpeg(encode, subsampling, progressive):
    """The corners of a window at each position relative to the blocks of the JPEG."""
    pixels = np.random.default_rng(5).integers(0, 256, (70, 75, 3)).astype(np.uint8)
    encoded = encode(pixels, "JPEG", subsampling=subsampling, progressive=progressive)
    whole = images.decode(tf.constant(encoded)).numpy()
    decode = tf.function(random_crops._decode_window)
    for shift in range(34):
        begin, size = np.array([shift, 33 - shift], "int32"), np.array([36, 41], "int32")
        window = decode(*map(tf.constant, (encoded, begin, size, np.array([70, 75], "int32"))))
        (top, left), (bottom, right) = begin, begin + size
        np.testing.assert_array_equal(window, whole[top:bottom, left:right])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_orientation(photo, encode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(photo, "JPEG", exif=exif)
    assert_same_crops(encoded, 6)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_colors(photo, encode, mode):
    assert_same_crops(encode(Image.fromarray(photo).convert(mode), "JPEG"), 4)


@pytest.mark.parametrize("shape", [(5, 7), (16, 16), (400, 9)])
def test_small_and_narrow_jpegs(encode, shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3)).astype(np.uint8)
    for number in range(8):
        seed = tf.constant([1, number], tf.int64)
        fused, plain = crops()(tf.constant(encode(pixels, "JPEG")), seed)
        np.testing.assert_array_equal(fused, plain)


@pytest.mark.parametrize("image_format", ["PNG", "GIF", "BMP"])
def test_other_formats_are_decoded_and_cropped(photo, encode, image_format):
    assert_same_crops(encode(photo, image_format), 4)


def test_text_is_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError):
        crops()(tf.constant(b"not an image"), tf.constant([0, 0], tf.int64))
