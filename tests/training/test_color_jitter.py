# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance

from mixer_tf.recipes.schema import DataOptions
from mixer_tf.training.augmentation import color_jitter, geometric, operations

# TensorFlow's gray differs from PIL's by at most 1, and the factors multiply the difference.
TOLERANCE = 2


@pytest.fixture
def image():
    """Random colors, brighter to the right, so that no enhancement keeps it."""
    noise = np.random.default_rng(0).integers(0, 120, (9, 14, 3))
    return (noise + np.arange(14)[:, None] * 6).astype(np.uint8)


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.4])
@pytest.mark.parametrize(
    ("function", "enhancer"),
    [
        (operations.brightness, ImageEnhance.Brightness),
        (color_jitter.contrast, ImageEnhance.Contrast),
        (operations.color, ImageEnhance.Color),
    ],
)
def test_each_change_is_that_of_pil(image, function, enhancer, factor):
    expected = np.asarray(enhancer(Image.fromarray(image)).enhance(factor), int)
    found = function(tf.constant(image), factor).numpy().astype(int)
    assert np.abs(found - expected).max() <= TOLERANCE


def test_an_image_has_one_of_the_six_orders_with_factors_in_range(image):
    """All six orders of PIL's enhancers, with the drawn factors, are compared with the result."""
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    orders = []
    for number in range(60):
        seed = tf.constant([3, number], tf.int64)
        found = color_jitter.color_jitter(tf.constant(image), 0.4, seed).numpy().astype(int)
        factors = tf.random.stateless_uniform([3], tf.random.split(seed)[1], 0.6, 1.4).numpy()
        errors = {}
        for order in itertools.permutations(range(3)):
            changed = Image.fromarray(image)
            for index, factor in zip(order, factors, strict=True):
                changed = enhancers[index](changed).enhance(float(factor))
            errors[order] = np.abs(np.asarray(changed, int) - found).max()
        orders.append(min(errors, key=errors.get))
        assert min(errors.values()) <= 2 * TOLERANCE
    assert len(set(orders)) == 6


def test_the_recipe_switches_it_on(image):
    options = DataOptions(flip=False, color_jitter=0.5)
    one, again, other = (
        geometric.augment(tf.constant(image), options, tf.constant([1, number])).numpy()
        for number in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, image) and not np.array_equal(one, other)
    off = geometric.augment(tf.constant(image), DataOptions(flip=False), tf.constant([1, 0]))
    np.testing.assert_array_equal(off, image)
