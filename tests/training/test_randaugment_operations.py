# SPDX-License-Identifier: Apache-2.0
"""Each operation of RandAugment at the paper's magnitudes against PIL or a numpy reference."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from mixer_tf.training.augmentation import operations, randaugment

FILL = 128
# Around a tie of the nearest neighbor, float32 and float64 may choose different pixels.
NEAR_TIE = 1e-3


def _images():
    random = np.random.default_rng(0)
    yield "odd size", random.integers(0, 256, (33, 47, 3))
    yield "low contrast", random.integers(90, 140, (21, 16, 3))
    yield "gray", np.repeat(random.integers(30, 220, (19, 25, 1)), 3, axis=-1)
    yield "constant", np.full((9, 7, 3), 77)
    yield "wide", random.integers(0, 256, (5, 231, 3))
    yield "high", random.integers(0, 256, (231, 6, 3))


IMAGES = {name: pixels.astype(np.uint8) for name, pixels in _images()}


def by_pil(function):
    """Returns a reference that applies a function of PIL images."""
    return lambda image, *arguments: np.asarray(function(Image.fromarray(image), *arguments))


def blend(start, end, factor):
    """start + factor·(end - start) in float32, truncated to 0 to 255."""
    start, end = np.float32(start), end.astype(np.float32)
    return np.clip(start + np.float32(factor) * (end - start), 0, 255).astype(np.uint8)


def posterize(image, level, _):
    if level == 0:  # PIL refuses 0 bits; TensorFlow shifts by 7 bits at most.
        return image // 128 * 128
    return by_pil(ImageOps.posterize)(image, int(4 * level))


def solarize(image, level, _):
    wrapped = {0: 0, 1: 0, 1.5: 128, 2: 0}[level]
    return by_pil(ImageOps.solarize)(image, wrapped)


def solarize_add(image, level, _):
    added = image.astype(int) + {0: 0, 1: 110, 1.5: 165, 2: 220}[level]
    return np.where(image < 128, np.minimum(added, 255), image)


def autocontrast(image, *_):
    channels = []
    for channel in np.moveaxis(image, -1, 0).astype(np.float32):
        low, high = channel.min(), channel.max()
        scale = np.float32(255) / (high - low) if high > low else np.float32(1)
        stretched = channel * scale - low * scale if high > low else channel
        channels.append(np.clip(stretched, 0, 255).astype(np.uint8))
    return np.stack(channels, -1)


def contrast(image, level, _):
    gray = min(image.shape[0] * image.shape[1] // 256, 255)
    return blend(gray, image, 1.8 * level + 0.1)


def sharpness(image, level, _):
    """The smoothed values are exact fractions; see `tolerance_of_sharpness`."""
    smooth = image.copy()
    smooth[1:-1, 1:-1] = thirteenths(image) // 13
    return blend(smooth, image, 1.8 * level + 0.1)


def thirteenths(image):
    """13 times the mean of each inner pixel, weight 5, with its eight neighbors."""
    pixels = image.astype(int)
    height, width, _ = pixels.shape
    windows = [pixels[y : height - 2 + y, x : width - 2 + x] for y in range(3) for x in range(3)]
    return sum(windows) + 4 * pixels[1:-1, 1:-1]


def tolerance_of_sharpness(image, level):
    """Where the mean is an integer, its float may be truncated to one less: |1 - factor| more."""
    is_integer = np.zeros(image.shape, bool)
    is_integer[1:-1, 1:-1] = thirteenths(image) % 13 == 0
    return np.where(is_integer, np.ceil(abs(1 - (1.8 * level + 0.1))), 0)


def take_nearest(image, source_x, source_y):
    """Takes each pixel from the nearest one to its source; the fill where that is outside."""
    height, width, _ = image.shape
    x, y = np.floor(source_x + 0.5).astype(int), np.floor(source_y + 0.5).astype(int)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    taken = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    return np.where(inside[..., None], taken, FILL)


def sources(name, image, level, sign):
    """Returns x and y in the image for each pixel of the result, in float64."""
    height, width, _ = image.shape
    y, x = np.mgrid[:height, :width].astype(np.float64)
    if name == "Rotate":
        angle = np.radians(sign * 30 * level)
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        right, down = x - middle_x, y - middle_y
        x = np.cos(angle) * right - np.sin(angle) * down + middle_x
        y = np.sin(angle) * right + np.cos(angle) * down + middle_y
    elif name == "ShearX":
        x = x + sign * 0.3 * level * y
    elif name == "ShearY":
        y = y + sign * 0.3 * level * x
    elif name == "TranslateX":
        x = x + sign * 100 * level
    elif name == "TranslateY":
        y = y + sign * 100 * level
    return x, y


REFERENCES = {
    "AutoContrast": autocontrast,
    "Equalize": lambda image, *_: by_pil(ImageOps.equalize)(image),
    "Invert": lambda image, *_: by_pil(ImageOps.invert)(image),
    "Posterize": posterize,
    "Solarize": solarize,
    "SolarizeAdd": solarize_add,
    "Contrast": contrast,
    "Brightness": lambda image, level, _: by_pil(
        lambda opened: ImageEnhance.Brightness(opened).enhance(1.8 * level + 0.1)
    )(image),
}
GEOMETRIC = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
MAGNITUDES = (0, 10, 15, 20)

pytestmark = pytest.mark.parametrize("magnitude", MAGNITUDES)


def apply(name, image, magnitude, sign=1):
    operation = randaugment.level_operations(float(magnitude))[name]
    result = operation(tf.constant(image), tf.constant(float(sign)), tf.constant([0, 0]))
    assert result.dtype == tf.uint8
    return result.numpy()


@pytest.mark.parametrize("name", REFERENCES)
def test_operations_with_exact_references(name, magnitude):
    for image in IMAGES.values():
        expected = REFERENCES[name](image, magnitude / 10, 1)
        np.testing.assert_array_equal(apply(name, image, magnitude), expected)
        np.testing.assert_array_equal(apply(name, image, magnitude, sign=-1), expected)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_operations_take_the_nearest_pixel(name, magnitude, sign):
    for image in IMAGES.values():
        x, y = sources(name, image, magnitude / 10, sign)
        is_clear = np.minimum(abs(x % 1 - 0.5), abs(y % 1 - 0.5)) > NEAR_TIE
        assert is_clear.mean() > 0.8
        found = apply(name, image, magnitude, sign)
        np.testing.assert_array_equal(found[is_clear], take_nearest(image, x, y)[is_clear])


def test_color_is_that_of_pil(magnitude):
    """TensorFlow's gray differs from PIL's by at most 1, and the factor multiplies it."""
    factor = 1.8 * magnitude / 10 + 0.1
    for image in IMAGES.values():
        expected = ImageEnhance.Color(Image.fromarray(image)).enhance(factor)
        difference = np.abs(apply("Color", image, magnitude) - np.asarray(expected, int))
        assert difference.max() <= np.ceil(abs(1 - factor)) + 1


def test_sharpness_blends_with_the_weighted_mean(magnitude):
    for image in IMAGES.values():
        expected = sharpness(image, magnitude / 10, 1).astype(int)
        difference = np.abs(apply("Sharpness", image, magnitude) - expected)
        assert (difference <= tolerance_of_sharpness(image, magnitude / 10)).all()


def test_cutout_fills_a_square_around_its_position(magnitude):
    half_side = 4 * magnitude
    for image in IMAGES.values():
        height, width, _ = image.shape
        for row, column in [(0, 0), (height - 1, width - 1), (height // 2, width // 3)]:
            expected = image.copy()
            rows = slice(max(row - half_side, 0), row + half_side)
            expected[rows, max(column - half_side, 0) : column + half_side] = FILL
            found = operations.cutout(tf.constant(image), half_side, row, column)
            np.testing.assert_array_equal(found, expected)


def test_cutout_draws_its_position_from_the_seed(magnitude):
    """The rows and columns of the hole are those of a square around a pixel of the image."""
    image, half_side = np.zeros((90, 170, 3), np.uint8), 4 * magnitude
    operation = randaugment.level_operations(float(magnitude))["Cutout"]
    holes = set()
    for number in range(20):
        seed = tf.constant([5, number], tf.int64)
        hole = operation(tf.constant(image), tf.constant(1.0), seed).numpy()[..., 0] == FILL
        spans = []
        for axis, length in ((1, 90), (0, 170)):
            (filled,) = np.nonzero(hole.any(axis=axis))
            allowed = [
                range(max(center - half_side, 0), min(center + half_side, length))
                for center in range(length)
            ]
            spans.append((len(filled), filled.min() if len(filled) else None))
            assert any(list(filled) == list(span) for span in allowed)
        assert hole.sum() == spans[0][0] * spans[1][0]
        holes.add(tuple(spans))
    assert len(holes) == 1 if magnitude == 0 else len(holes) > 10
