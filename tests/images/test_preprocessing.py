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
