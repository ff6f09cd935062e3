# SPDX-License-Identifier: Apache-2.0
"""A Mixer with permuted weights gives the same logits for shuffled images as before."""

import harness
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.studies import absorption, input_order

SIZE, PATCH = (12, 16), 4
ABLATIONS = {
    "paper": {},
    "groups": dict(channel_groups=2),
    "views": dict(channel_groups=2, channel_views=True),
    "untied": dict(untied=True),
    "pyramid": dict(pyramid=(12, 6, 6)),
}


def images(order: str = input_order.GIVEN) -> tf.Tensor:
    pixels = np.random.default_rng(1).integers(0, 256, (3, *SIZE, 3), dtype=np.uint8)
    indices = input_order.pixel_order(order, SIZE, PATCH, seed=7)
    return input_order.shuffle_pixels(tf.constant(pixels), indices)


def assert_same_logits(actual, expected):
    largest = np.max(np.abs(expected))
    assert largest > 0.1
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6 * largest)


@pytest.mark.parametrize("fields", ABLATIONS.values(), ids=ABLATIONS)
def test_patches_in_any_order(fields):
    model = harness.make_mixer(**fields)
    other = absorption.absorb_patch_permutation(model, input_order.patch_permutation(12, seed=7))
    expected = model(images()).numpy()
    shuffled = images(input_order.PATCHES)
    assert np.max(np.abs(model(shuffled) - expected)) > 0.01 * np.max(np.abs(expected))
    assert_same_logits(other(shuffled), expected)


def test_patches_and_pixels_in_any_order():
    model = harness.make_mixer()
    other = absorption.absorb_patch_permutation(model, input_order.patch_permutation(12, seed=7))
    other = absorption.absorb_pixel_permutation(other, input_order.pixel_permutation(4, seed=7))
    assert_same_logits(other(images(input_order.BOTH)), model(images()).numpy())


def test_the_given_model_is_not_changed():
    model = harness.make_mixer()
    before = model.get_weights()
    absorption.absorb_patch_permutation(model, input_order.patch_permutation(12))
    absorption.absorb_pixel_permutation(model, input_order.pixel_permutation(4))
    for weight, same in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)


@pytest.mark.parametrize("permutation", [[0, 1, 2], [0] * 12, range(1, 13)])
def test_anything_but_a_permutation_is_refused(permutation):
    with pytest.raises(ValueError, match="must contain each integer from 0 to 11 once"):
        absorption.absorb_patch_permutation(harness.make_mixer(), np.array(permutation))


def test_another_model_is_refused():
    with pytest.raises(TypeError, match="only an MlpMixer can absorb a permutation"):
        absorption.absorb_patch_permutation(tf.keras.Sequential(), np.arange(4))
