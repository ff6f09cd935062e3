# SPDX-License-Identifier: Apache-2.0
"""Resizes and crops images, uint8 to uint8, as in the authors' training and evaluation.

Source: big_vision `pp/ops_image.py`. Results are truncated to uint8, not rounded, without
antialiasing, because the published models were trained on such images.
"""

from __future__ import annotations

import tensorflow as tf

# 224 / 256, the ratio of crop to resized side in the paper's evaluation.
_CROP_SHARE = 0.875


def resize_to(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resizes [H, W, C] to [image_size, image_size, C], bilinear; the aspect ratio may change."""
    return _resize(image, (image_size, image_size), "bilinear")


def resize_crop(image: tf.Tensor, image_size: int, resize_size: int | None = None) -> tf.Tensor:
    """The paper's Table 2 evaluation: resize to a square (256), then crop its center (224).

    Args:
        image: uint8 [H, W, C].
        image_size: side of the result in pixels.
        resize_size: side of the square before the crop in pixels; None for `image_size` / 0.875.

    Returns:
        uint8 [image_size, image_size, C].
    """
    return _central_crop(resize_to(image, resize_size or size_before_crop(image_size)), image_size)


def resmall_crop(image: tf.Tensor, image_size: int, resize_size: int | None = None) -> tf.Tensor:
    """The paper's Table 3 evaluation: resize the shorter side (256), then crop the center (224).

    Arguments and result are those of `resize_crop`; the aspect ratio is kept.
    """
    resized = resize_shorter_side(image, resize_size or size_before_crop(image_size))
    return _central_crop(resized, image_size)


def resize_shorter_side(image: tf.Tensor, side: int) -> tf.Tensor:
    """Resizes [H, W, C] with the area method so that its shorter side has `side` pixels."""
    height_and_width = tf.cast(tf.shape(image)[:2], tf.float32)
    factor = tf.cast(side, tf.float32) / tf.reduce_min(height_and_width)
    return _resize(image, tf.cast(tf.round(height_and_width * factor), tf.int32), "area")


def inception_crop(image: tf.Tensor, image_size: int, seed: tf.Tensor) -> tf.Tensor:
    """Crops 5 to 100 % of the area at an aspect ratio of 3:4 to 4:3, and resizes the crop.

    Args:
        image: uint8 [H, W, C].
        image_size: side of the result in pixels.
        seed: int [2]; the same seed gives the same crop.

    Returns:
        uint8 [image_size, image_size, C].
    """
    begin, size = inception_window(tf.shape(image)[:2], seed)
    crop = crop_window(image, begin, size)
    return resize_to(tf.ensure_shape(crop, [None, None, image.shape[-1]]), image_size)


def inception_window(sides: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws the window of `inception_crop` in an image of the sides [H, W].

    Returns:
        (top and left, height and width), int32 [2] each, in pixels.
    """
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.concat([sides, [3]], 0),
        tf.zeros([1, 0, 4], tf.float32),
        seed=seed,
        min_object_covered=0.0,
        aspect_ratio_range=(0.75, 1.33),
        area_range=(0.05, 1.0),
        use_image_if_no_bounding_boxes=True,
    )
    return begin[:2], size[:2]


def crop_window(image: tf.Tensor, begin: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Crops [H, W, C] to the window with the top and left `begin` and `size`, int [2] each."""
    return tf.slice(image, tf.pad(begin, [[0, 1]]), tf.concat([size, [-1]], 0))


def random_crop(image: tf.Tensor, image_size: int, seed: tf.Tensor) -> tf.Tensor:
    """Crops [H, W, C] at a random position to [image_size, image_size, C].

    Args:
        image: uint8 [H, W, C], at least as large as the result.
        image_size: side of the result in pixels.
        seed: int [2]; the same seed gives the same crop.
    """
    return tf.image.stateless_random_crop(image, [image_size, image_size, image.shape[-1]], seed)


def size_before_crop(image_size: int) -> int:
    """Returns to how many pixels an image is resized before `image_size` of them are cropped."""
    # Deviation: the authors' fine-tuning at 384 pixels (big_vision configs/transfer.py) has 448,
    # which is 7/6 of the crop; here each size has the share of 224 pixels, 8/7, which makes 439.
    return round(image_size / _CROP_SHARE)


def _resize(image: tf.Tensor, size, method: str) -> tf.Tensor:
    # Both methods return means of pixels: no clipping, which would take longer than the rest. What
    # rounding adds is truncated.
    return tf.cast(tf.image.resize(image, size, method=method, antialias=False), tf.uint8)


def _central_crop(image: tf.Tensor, size: int) -> tf.Tensor:
    top, left = (tf.shape(image)[0] - size) // 2, (tf.shape(image)[1] - size) // 2
    return tf.image.crop_to_bounding_box(image, top, left, size, size)
