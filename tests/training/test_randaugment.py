# SPDX-License-Identifier: Apache-2.0
"""How RandAugment chooses operations, signs and magnitudes."""

import collections

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from mixer_tf.recipes.schema import DataOptions
from mixer_tf.training.augmentation import geometric, operations, randaugment
from mixer_tf.training.autograph import without_autograph

# At this magnitude, all operations and signs give different results for the image below.
MAGNITUDE = 1.5
PAPER = (
    *("AutoContrast", "Equalize", "Invert", "Rotate", "Posterize", "Solarize", "Color"),
    *("Contrast", "Brightness", "Sharpness", "ShearX", "ShearY", "TranslateX", "TranslateY"),
    *("Cutout", "SolarizeAdd"),
)
SIGNED = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(20, 220, (16, 16, 3)).astype(np.uint8)


def results(image) -> dict[bytes, tuple[str, int]]:
    """Returns the result of each operation but Cutout -> its name and sign."""
    found = {}
    for name, operation in randaugment.level_operations(MAGNITUDE).items():
        if name != "Cutout":
            for sign in (-1, 1) if name in SIGNED else (1,):
                pixels = operation(tf.constant(image), tf.constant(float(sign)), None)
                found[pixels.numpy().tobytes()] = (name, sign)
    return found


@without_autograph
def augmented(image, layers, count, magnitude=MAGNITUDE) -> list[bytes]:
    """Returns the image augmented with the seeds (0, 0), (0, 1) …, by a tf.data pipeline."""
    images = tf.data.Dataset.range(count).map(
        lambda number: randaugment.randaugment(
            tf.constant(image), layers, magnitude, True, tf.stack([np.int64(0), number])
        ),
        num_parallel_calls=2,
    )
    return [pixels.tobytes() for pixels in images.as_numpy_iterator()]


def test_the_operations_are_those_of_the_paper():
    assert tuple(randaugment.level_operations(10.0)) == PAPER


def test_each_operation_is_drawn_as_often_as_each_other_and_each_sign_half_of_the_time(image):
    known = results(image)
    assert len(known) == 15 + len(SIGNED)
    draws = collections.Counter(known.get(p, ("Cutout", 1)) for p in augmented(image, 1, 1600))
    counts = collections.Counter()
    for (name, _), count in draws.items():
        counts[name] += count
    assert set(counts) == set(PAPER)
    assert all(60 < count < 140 for count in counts.values())  # 100 expected, 4 deviations
    for name in SIGNED:
        assert 0.3 < draws[name, 1] / counts[name] < 0.7


def test_two_layers_apply_two_operations_one_after_the_other(image):
    found = augmented(image, 2, 60)
    first = {p: np.frombuffer(p, np.uint8).reshape(image.shape) for p in results(image)}
    pairs = {p for pixels in first.values() for p in results(pixels)}
    share = sum(pixels in pairs for pixels in found) / len(found)
    assert 0.75 < share < 0.98  # 88 % are expected: neither of the two is Cutout


def test_the_second_operation_does_not_depend_on_the_first(image):
    """With replacement: 1 of 16 draws repeats the first operation."""
    inverted_twice = augmented(image, 2, 3000).count(image.tobytes())
    assert 2 < inverted_twice < 30  # 11.7 are expected


def test_the_same_seed_gives_the_same_image_in_any_context(image):
    in_pipeline = augmented(image, 2, 12, magnitude=10.0)
    tf.random.set_seed(123)  # no global state may matter
    for number in (11, 3, 0):
        alone = randaugment.randaugment(
            tf.constant(image), 2, 10.0, True, tf.constant([0, number], tf.int64)
        )
        assert alone.numpy().tobytes() == in_pipeline[number]
    assert len(set(in_pipeline)) > 8


@pytest.mark.parametrize(("magnitude", "threshold"), [(5, 128), (10, 256), (15, 384), (20, 512)])
def test_without_wraparound_solarize_compares_integers(image, magnitude, threshold):
    solarize = randaugment.level_operations(float(magnitude), wraparound=False)["Solarize"]
    found = solarize(tf.constant(image), None, None)
    expected = np.asarray(ImageOps.solarize(Image.fromarray(image), threshold))
    np.testing.assert_array_equal(found, expected)


def test_a_quarter_turn_is_counterclockwise(image):
    np.testing.assert_array_equal(operations.rotate(image, 90.0), np.rot90(image))


@pytest.mark.slow
def test_a_recipe_chooses_layers_magnitude_and_wraparound(image):
    def run(**fields):
        options = DataOptions(flip=False, **fields)
        seeds = [tf.constant([0, number]) for number in range(40)]
        return [geometric.augment(tf.constant(image), options, seed).numpy() for seed in seeds]

    np.testing.assert_array_equal(run(), [image] * 40)
    weak = dict(randaugment_layers=1, randaugment_magnitude=1.0)
    variants = [
        run(**weak),
        run(**weak | {"randaugment_layers": 2}),
        run(**weak | {"randaugment_magnitude": 10.0}),
        run(**weak | {"randaugment_magnitude": 10.0, "randaugment_wraparound": False}),
    ]
    assert len({np.stack(variant).tobytes() for variant in variants}) == 4
    assert all(pixels.shape == image.shape for variant in variants for pixels in variant)
