# SPDX-License-Identifier: Apache-2.0
"""What `mixer plot augmentation` draws, from real small images."""

import numpy as np
import pytest
import tensorflow as tf

from mixer_tf import recipes
from mixer_tf.datasets.sources import opening
from mixer_tf.images.preprocessing import decode_and_crop
from mixer_tf.training import augmentation_plot

PLAIN = ("data.flip=false", "data.shift=0", "data.rotate=0", "data.crop=resize")


@pytest.fixture(scope="module")
def records(image_folder):
    return augmentation_plot.sample_records(opening.open_source(f"folder:{image_folder}"), 5)


def with_fields(*fields):
    return recipes.get("digits").override([*PLAIN, *fields])


def test_images_are_of_several_classes_and_usable(bad_folder):
    source = opening.open_source(f"folder:{bad_folder.path}")
    records = augmentation_plot.sample_records(source, 100)
    assert len(set(records)) == len(records) > 30
    assert {record.class_name for record in records[:5]} == {"cat", "dog", "été 夏"}
    assert not {record.source for record in records} & set(bad_folder.bad)


def test_without_augmentation_every_draw_is_the_image_as_in_evaluation(records):
    plain, augmented = augmentation_plot.augmented_images(records, with_fields(), 3)
    for row, record in enumerate(records):
        expected = decode_and_crop(tf.constant(record.encoded), "resize", 16)
        np.testing.assert_array_equal(plain[row], expected)
        for draw in range(3):
            np.testing.assert_array_equal(augmented[row, draw], expected)


def test_draws_differ_and_are_those_of_the_seed(records):
    recipe = with_fields(
        *("data.train_crop=inception", "data.color_jitter=0.4"),
        *("data.randaugment_layers=1", "data.randaugment_magnitude=2"),
    )
    _, augmented = augmentation_plot.augmented_images(records, recipe, 4)
    _, again = augmentation_plot.augmented_images(records, recipe, 4)
    np.testing.assert_array_equal(augmented, again)
    assert len({pixels.tobytes() for row in augmented for pixels in row}) > 16


def test_with_mixup_each_image_has_a_share_of_the_one_before(records):
    plain, augmented = augmentation_plot.augmented_images(records, with_fields("data.mixup=0.5"), 6)
    before = np.roll(plain, 1, axis=0).astype(float)
    for draw in range(6):
        difference = augmented[:, draw].astype(float) - plain
        share = np.sum(difference * (before - plain)) / np.sum((before - plain) ** 2)
        assert 0 <= share <= 0.5
        np.testing.assert_allclose(difference, share * (before - plain), atol=0.6)
