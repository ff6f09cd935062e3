# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import images
from mixer_tf.images import preprocessing
from mixer_tf.recipes import schema


def test_recipes_name_exactly_the_crops_that_exist():
    assert set(schema.CROPS) == set(preprocessing.CROPS)


@pytest.mark.parametrize(
    ("crop", "expected"),
    [
        ("resize", images.resize_to),
        ("resize_crop", images.resize_crop),
        ("resmall_crop", images.resmall_crop),
    ],
)
def test_an_encoded_image_is_decoded_and_cropped(make_pixels, encode, crop, expected):
    pixels = make_pixels(0, 40, 60)
    cropped = preprocessing.decode_and_crop(tf.constant(encode(pixels, "PNG")), crop, 16)
    np.testing.assert_array_equal(cropped, expected(pixels, 16))


@pytest.mark.parametrize("crop", preprocessing.CROPS)
def test_the_size_is_static_in_a_dataset(make_pixels, encode, crop):
    dataset = tf.data.Dataset.from_tensors(encode(make_pixels(0), "PNG"))
    dataset = dataset.map(lambda encoded: preprocessing.decode_and_crop(encoded, crop, 8))
    assert dataset.element_spec == tf.TensorSpec([8, 8, 3], tf.uint8)


@pytest.mark.parametrize("padding", [0, 1 << 17])
def test_a_batch_has_the_pixels_of_its_images(make_pixels, encode, padding):
    """A batch of many bytes is decoded on all cores; what follows an image is ignored."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def decode(encoded):
        return preprocessing.decode_and_crop_all(encoded, "resmall_crop", 16)

    files = [encode(make_pixels(seed, 40, 60), "PNG") + bytes(padding) for seed in range(5)]
    expected = [preprocessing.decode_and_crop(tf.constant(f), "resmall_crop", 16) for f in files]
    for count in (5, 2, 1):
        np.testing.assert_array_equal(decode(tf.constant(files[:count])), expected[:count])
    assert decode(tf.constant([], tf.string)).shape == (0, 16, 16, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant([*files, files[0][:40] + bytes(padding)]))
