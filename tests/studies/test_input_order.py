# SPDX-License-Identifier: Apache-2.0
"""Orders of pixels: what each shuffles and what it does not, and TensorFlow against numpy."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.studies import input_order
from mixer_tf.studies.input_order import BOTH, GIVEN, GLOBAL, ORDERS, PATCHES, PIXELS

SIZE, PATCH = (8, 12), 4
IMAGES = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)


def split(image: np.ndarray) -> list[np.ndarray]:
    """The patches of an image, row by row."""
    return [
        image[top : top + PATCH, left : left + PATCH]
        for top in range(0, image.shape[0], PATCH)
        for left in range(0, image.shape[1], PATCH)
    ]


def shuffled(order: str, seed: int = 0) -> np.ndarray:
    indices = input_order.pixel_order(order, SIZE, PATCH, seed)
    return input_order.shuffle_pixels(tf.constant(IMAGES), indices).numpy()


def reference(image: np.ndarray, order: str, seed: int = 0) -> list[np.ndarray]:
    """The patches of the shuffled image, computed one pixel at a time."""
    patches = split(image)
    if order in (PATCHES, BOTH):
        patches = [patches[i] for i in input_order.patch_permutation(len(patches), seed)]
    if order in (PIXELS, BOTH):
        permutation = input_order.pixel_permutation(PATCH, seed)
        inner = []
        for patch in patches:
            new = np.empty_like(patch)
            for position, pixel in enumerate(permutation):
                new[position // PATCH, position % PATCH] = patch[pixel // PATCH, pixel % PATCH]
            inner.append(new)
        patches = inner
    return patches


@pytest.mark.parametrize("order", [GIVEN, PATCHES, PIXELS, BOTH])
def test_shuffled_images_equal_those_of_a_loop(order):
    for image, result in zip(IMAGES, shuffled(order, seed=3), strict=True):
        np.testing.assert_array_equal(split(result), reference(image, order, seed=3))


@pytest.mark.parametrize("order", [PATCHES, PIXELS, BOTH, GLOBAL])
def test_every_order_is_a_permutation_that_depends_on_the_seed(order):
    indices = input_order.pixel_order(order, SIZE, PATCH)
    assert sorted(indices) == list(range(8 * 12))
    assert (indices != np.arange(8 * 12)).any()
    assert (indices != input_order.pixel_order(order, SIZE, PATCH, seed=1)).any()
    np.testing.assert_array_equal(indices, input_order.pixel_order(order, SIZE, PATCH))


def test_the_given_order_changes_nothing():
    np.testing.assert_array_equal(shuffled(GIVEN), IMAGES)


def test_shuffling_in_a_graph_with_unknown_batch_size_and_of_one_image():
    indices = input_order.pixel_order(BOTH, SIZE, PATCH)
    spec = tf.TensorSpec([None, *SIZE, 3], tf.uint8)
    graph = tf.function(lambda images: input_order.shuffle_pixels(images, indices), [spec])
    assert graph.get_concrete_function().output_shapes == tf.TensorShape([None, *SIZE, 3])
    np.testing.assert_array_equal(graph(IMAGES), shuffled(BOTH))
    one = input_order.shuffle_pixels(tf.constant(IMAGES[1]), indices)
    np.testing.assert_array_equal(one, shuffled(BOTH)[1])


def test_errors():
    with pytest.raises(ValueError, match=f"must be one of {', '.join(ORDERS)}; got 'random'"):
        input_order.pixel_order("random", SIZE, PATCH)
    with pytest.raises(
        ValueError, match="patch_size must divide image_size; got patch_size=5, image_size=8x12"
    ):
        input_order.pixel_order(PATCHES, SIZE, 5)
