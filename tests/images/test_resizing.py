# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf import images


def resize_bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Half-pixel centers, no antialiasing: four neighbors of each target pixel, in float64."""

    def axis(source: int, target: int):
        position = (np.arange(target) + 0.5) * source / target - 0.5
        low = np.floor(position).astype(int)
        share = position - low
        return low.clip(0, source - 1), (low + 1).clip(0, source - 1), share

    top, bottom, down = axis(image.shape[0], height)
    left, right, across = axis(image.shape[1], width)
    rows = image[top] * (1 - down)[:, None, None] + image[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None]


def resize_area(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Each target pixel is the mean over the area that it covers in the source."""

    def weights(source: int, target: int) -> np.ndarray:
        starts = np.arange(target)[:, None] * source / target
        pixels = np.arange(source)[None]
        overlap = np.minimum(starts + source / target, pixels + 1) - np.maximum(starts, pixels)
        return overlap.clip(0) * target / source

    down, across = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("hy,yxc,wx->hwc", down, image.astype(np.float64), across, optimize=True)


def assert_truncation_of(result: tf.Tensor, expected: np.ndarray) -> None:
    """Equal to the truncated value, except where float32 may round across an integer."""
    result = np.asarray(result).astype(int)
    safe = np.abs(expected - np.round(expected)) > 5e-3
    np.testing.assert_array_equal(result[safe], np.floor(expected)[safe].astype(int))
    assert np.abs(result - expected).max() < 1.01


@pytest.mark.parametrize(("height", "width"), [(48, 80), (80, 48), (20, 30), (32, 32)])
def test_resize_to_is_bilinear_without_antialiasing(make_pixels, height, width):
    image = make_pixels(0, height, width)
    result = images.resize_to(image, 32)
    assert result.dtype == tf.uint8
    assert_truncation_of(result, resize_bilinear(image, 32, 32))


def test_resize_crop_resizes_to_a_square_and_crops_the_center(make_pixels):
    image = make_pixels(0, 300, 400)
    result = images.resize_crop(image, 224)
    assert result.shape == (224, 224, 3)
    assert_truncation_of(result, resize_bilinear(image, 256, 256)[16:240, 16:240])


@pytest.mark.parametrize(
    ("height", "width", "resized"), [(300, 400, (256, 341)), (640, 480, (341, 256))]
)
def test_resmall_crop_keeps_the_aspect_ratio(make_pixels, height, width, resized):
    image = make_pixels(0, height, width)
    result = images.resmall_crop(image, 224)
    top, left = ((side - 224) // 2 for side in resized)
    expected = resize_area(image, *resized)[top : top + 224, left : left + 224]
    assert_truncation_of(result, expected)


def test_the_side_before_the_crop_has_the_share_of_the_papers_224_pixels_at_each_size():
    assert [images.size_before_crop(size) for size in (224, 448, 384)] == [256, 512, 439]


def test_the_size_before_the_crop_is_an_option(make_pixels):
    image = make_pixels(0, 64, 64)
    expected = resize_bilinear(image, 20, 20)[2:18, 2:18]
    assert_truncation_of(images.resize_crop(image, 16, resize_size=20), expected)


@pytest.mark.parametrize(("height", "width"), [(30, 40), (41, 29), (100, 7)])
def test_the_shorter_side_has_the_given_size(make_pixels, height, width):
    result = images.resize_shorter_side(make_pixels(0, height, width), 16)
    assert min(result.shape[:2]) == 16
    assert max(result.shape[:2]) == round(16 * max(height, width) / min(height, width))


def test_inception_crop_depends_only_on_the_seed(make_pixels):
    image = make_pixels(0, 40, 60)
    first, again, other = (images.inception_crop(image, 16, (0, seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert first.dtype == tf.uint8
    assert first.shape == (16, 16, 3)


def test_inception_crops_have_the_documented_areas_and_aspect_ratios():
    """The pixels of the image are their coordinates, so that each crop shows its position."""
    height, width = 200, 240
    ys, xs = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    image = tf.constant(np.stack([ys, xs, xs], -1).astype(np.uint8))
    crop = tf.function(lambda seed: images.inception_crop(image, 64, seed))
    areas, ratios = [], []
    for seed in range(300):
        result = crop(tf.constant([seed, 0])).numpy().astype(float)
        tall = (result[-1, 0, 0] - result[0, 0, 0] + 1) * 64 / 63
        wide = (result[0, -1, 1] - result[0, 0, 1] + 1) * 64 / 63
        areas.append(tall * wide / (height * width))
        ratios.append(wide / tall)
    assert 0.04 < min(areas) < 0.1
    assert 0.85 < max(areas) <= 1.02
    assert 0.3 < np.mean(areas) < 0.6
    assert 0.7 < min(ratios) < 0.85
    assert 1.2 < max(ratios) < 1.42


def test_pil_agrees_on_enlarging(make_pixels):
    """An independent implementation: enlarging is the same with and without antialiasing."""
    image = make_pixels(0, 16, 16)
    expected = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(images.resize_to(image, 32).numpy().astype(int) - expected).max() <= 1
