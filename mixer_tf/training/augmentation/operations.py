# SPDX-License-Identifier: Apache-2.0
"""The 16 operations of RandAugment on one uint8 image, as in the authors' code.

Source: big_vision `pp/autoaugment.py`. No function draws a random number.
"""

from __future__ import annotations

import math

import tensorflow as tf

# Gray of the pixels that an operation leaves empty, and of cutout.
FILL = 128
_HIGHEST_BIT = 0x80


def autocontrast(image: tf.Tensor) -> tf.Tensor:
    """Stretches each channel [H, W] of an image [H, W, 3] to 0 to 255; a constant one is kept."""
    low = tf.cast(tf.reduce_min(image, [0, 1]), tf.float32)
    high = tf.cast(tf.reduce_max(image, [0, 1]), tf.float32)
    scale = tf.where(high > low, 255.0 / (high - low), 1.0)
    offset = tf.where(high > low, low * scale, 0.0)
    return _to_uint8(tf.cast(image, tf.float32) * scale - offset)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Equalizes the histogram of each channel of an image [H, W, 3], as PIL does."""
    bins = tf.cast(image, tf.int32) + tf.constant([0, 256, 512])
    counts = tf.math.bincount(tf.reshape(bins, [-1]), minlength=768, maxlength=768)
    counts = tf.reshape(counts, [3, 256])
    highest = tf.cast(tf.reduce_max(image, [0, 1]), tf.int32)
    last = tf.gather(counts, highest, batch_dims=1)[:, None]
    step = (tf.reduce_sum(counts, 1, keepdims=True) - last) // 255
    table = (tf.cumsum(counts, 1, exclusive=True) + step // 2) // tf.maximum(step, 1)
    table = tf.where(step > 0, tf.minimum(table, 255), tf.range(256))
    return tf.gather(tf.reshape(tf.cast(table, tf.uint8), [-1]), bins)


def invert(image: tf.Tensor) -> tf.Tensor:
    """Subtracts each value from 255."""
    return 255 - image


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Keeps the highest `bits`, 0 to 8, of each value.

    With 0 bits the highest one is kept, because TensorFlow shifts a uint8 by at most 7 bits.
    """
    mask = ~((1 << (8 - bits)) - 1) & 0xFF
    return tf.bitwise.bitwise_and(image, tf.constant(mask or _HIGHEST_BIT, tf.uint8))


def solarize(image: tf.Tensor, threshold: int) -> tf.Tensor:
    """Inverts the values that are not less than the threshold, any integer from 0 on."""
    return tf.where(image < threshold, image, 255 - image) if threshold < 256 else image


def solarize_add(image: tf.Tensor, addition: int) -> tf.Tensor:
    """Adds 0 to 255 to the values less than 128, up to 255."""
    return tf.where(image < 128, tf.minimum(image, 255 - addition) + addition, image)


def color(image: tf.Tensor, factor) -> tf.Tensor:
    """Blends the gray image with the image; a factor of 0 is gray, 1 the image."""
    gray = tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image))
    return blend(gray, image, factor)


def contrast(image: tf.Tensor, factor) -> tf.Tensor:
    """Blends a constant gray with the image; a factor of 0 is gray, 1 the image.

    The gray is H·W / 256, at most 255, such as 196 for 224 x 224 pixels: the authors' code divides
    the number of pixels by the number of bins of the histogram instead of taking its mean.
    """
    num_pixels = tf.cast(tf.reduce_prod(tf.shape(image)[:2]), tf.float32)
    return blend(tf.floor(tf.minimum(num_pixels / 256, 255.0)), image, factor)


def brightness(image: tf.Tensor, factor) -> tf.Tensor:
    """Multiplies each value by the factor, up to 255."""
    return blend(tf.constant(0.0), image, factor)


def sharpness(image: tf.Tensor, factor) -> tf.Tensor:
    """Blends the smoothed image with the image; the pixels of the border are kept."""
    kernel = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32) / 13
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, 3, 1])
    values = tf.cast(image, tf.float32)[None]
    smooth = tf.nn.depthwise_conv2d(values, kernel, [1, 1, 1, 1], "VALID")[0]
    inner = blend(_to_uint8(smooth), image[1:-1, 1:-1], factor)
    middle = tf.concat([image[1:-1, :1], inner, image[1:-1, -1:]], 1)
    return tf.concat([image[:1], middle, image[-1:]], 0)


def rotate(image: tf.Tensor, degrees) -> tf.Tensor:
    """Rotates around the center, counterclockwise for a positive angle; nearest neighbor."""
    import tensorflow_addons as tfa  # here, because every import prints its end-of-life notice

    return tfa.image.rotate(image, degrees * (math.pi / 180), fill_value=FILL)


def shear_x(image: tf.Tensor, level) -> tf.Tensor:
    """Takes each pixel (x, y) from (x + level·y, y); nearest neighbor."""
    return _transform(image, [1.0, level, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])


def shear_y(image: tf.Tensor, level) -> tf.Tensor:
    """Takes each pixel (x, y) from (x, y + level·x); nearest neighbor."""
    return _transform(image, [1.0, 0.0, 0.0, level, 1.0, 0.0, 0.0, 0.0])


def translate_x(image: tf.Tensor, pixels) -> tf.Tensor:
    """Takes each pixel (x, y) from (x + pixels, y); nearest neighbor."""
    return _transform(image, [1.0, 0.0, pixels, 0.0, 1.0, 0.0, 0.0, 0.0])


def translate_y(image: tf.Tensor, pixels) -> tf.Tensor:
    """Takes each pixel (x, y) from (x, y + pixels); nearest neighbor."""
    return _transform(image, [1.0, 0.0, 0.0, 0.0, 1.0, pixels, 0.0, 0.0])


def cutout(image: tf.Tensor, half_side: int, row, column) -> tf.Tensor:
    """Fills a square around (row, column): `half_side` pixels before it, `half_side` from it on."""
    rows = _is_near(tf.shape(image)[0], row, half_side)
    columns = _is_near(tf.shape(image)[1], column, half_side)
    inside = (rows[:, None] & columns)[:, :, None]
    return tf.where(inside, tf.constant(FILL, tf.uint8), image)


def blend(start, end: tf.Tensor, factor) -> tf.Tensor:
    """Returns start + factor·(end - start) as uint8, truncated; a factor over 1 extrapolates."""
    start, end = tf.cast(start, tf.float32), tf.cast(end, tf.float32)
    return _to_uint8(start + factor * (end - start))


def _transform(image: tf.Tensor, coefficients: list) -> tf.Tensor:
    import tensorflow_addons as tfa  # here, because every import prints its end-of-life notice

    return tfa.image.transform(image, tf.stack(coefficients), fill_value=FILL)


def _is_near(length, center, half_side: int) -> tf.Tensor:
    positions = tf.range(length)
    return (positions >= center - half_side) & (positions < center + half_side)


def _to_uint8(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(values, 0.0, 255.0), tf.uint8)
