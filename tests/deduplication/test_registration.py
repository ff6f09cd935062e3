# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy import ndimage

from mixer_tf.deduplication import evidence
from mixer_tf.deduplication.alignment import band_pass
from mixer_tf.deduplication.registration import register, warp


def smooth_images(number: int, size: int = 32, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 1, (number, size, size))
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5))
    return (128 + 60 * smooth / smooth.std()).astype(np.float32)


def reference_warp(image: np.ndarray, parameters) -> np.ndarray:
    scale_x, shift_x, scale_y, shift_y = parameters
    center = (len(image) - 1) / 2
    y, x = np.mgrid[: len(image), : len(image)] - center
    where = [scale_y * y + shift_y + center, scale_x * x + shift_x + center]
    return ndimage.map_coordinates(image, where, order=1, mode="nearest")


PARAMETERS = np.float32([[1, 0, 1, 0], [1.2, 0.7, 0.9, -2.3], [0.8, -1.5, 1.1, 1.25]])


def test_warp_equals_the_interpolation_of_scipy():
    images = smooth_images(3)
    warped, mask = warp(images, PARAMETERS)
    for image, parameters, ours, inside in zip(images, PARAMETERS, warped, mask, strict=True):
        expected = reference_warp(image, parameters)
        np.testing.assert_allclose(ours[inside > 0], expected[inside > 0], atol=0.1)
    assert mask[0].all()
    assert 0.4 < mask[1].mean() < 0.9
    channels, same = warp(np.stack([images, 2 * images], 1), PARAMETERS)
    np.testing.assert_array_equal(same, mask)
    np.testing.assert_allclose(channels[:, 0], warped, atol=1e-3)
    np.testing.assert_allclose(channels[:, 1], 2 * warped, atol=1e-3)


def test_shifts_are_those_of_small_thumbnails():
    large = smooth_images(1, 64)
    parameters = np.float32([[1, 1.5, 1, -1]])
    expected = reference_warp(large[0], [1, 3, 1, -2])
    warped, mask = warp(large, parameters)
    np.testing.assert_allclose(warped[mask > 0], expected[None][mask > 0], atol=0.1)


@pytest.mark.parametrize("scales", [(1.0, 1.0), (1.1, 1.1), (0.9, 1.05), (1.25, 1.2)])
def test_known_scales_and_shifts_are_found(scales):
    second = smooth_images(8, seed=3)
    known = np.float32([scales[0], 0.8, scales[1], -1.3])
    first = np.stack([reference_warp(image, known) for image in second])
    found = register(first, second)
    np.testing.assert_allclose(found.parameters[:, 0::2], np.tile(known[0::2], (8, 1)), atol=0.03)
    np.testing.assert_allclose(found.parameters[:, 1::2], np.tile(known[1::2], (8, 1)), atol=0.2)
    assert found.correlation.min() > 0.97


def test_each_pair_is_independent_of_the_others():
    first, second = smooth_images(6, seed=1), smooth_images(6, seed=2)
    together = register(first, second)
    for index in range(6):
        alone = register(first[index : index + 1], second[index : index + 1])
        np.testing.assert_allclose(alone.parameters[0], together.parameters[index], atol=1e-3)


def test_images_without_details_have_no_correlation():
    flat = np.full((2, 32, 32), 90, np.uint8)
    assert np.all(register(flat, smooth_images(2)).correlation < 0.1)


def test_copies_have_equal_details_and_others_do_not():
    luma = np.clip(smooth_images(4, seed=5), 0, 255)
    pixels = np.stack([luma, luma[::-1], luma[:, ::-1]], -1).astype(np.uint8)
    ones, gray = np.ones(4, np.float32), np.zeros(4, bool)
    same = evidence.measure(pixels, pixels, ones, ones, gray)
    # Below 1 by the variance of the noise of lossy encodings; smooth images have few fine details.
    assert same[:, 0].min() > 0.8
    assert same[:, 1:3].min() > 0.98
    other = evidence.measure(pixels, pixels[[1, 2, 3, 0]], ones, ones, gray)
    assert np.abs(other[:, 0]).max() < 0.6
    np.testing.assert_array_equal(evidence.measure(pixels, pixels, ones, ones, ~gray)[:, 2], 0.5)


def lines_of_text(seed: int) -> np.ndarray:
    """Luma of a page [64, 64]: lines at the same heights, of random letters."""
    page = np.full((64, 64), 240, np.uint8)
    letters = np.random.default_rng(seed).integers(40, 240, (14, 56), dtype=np.uint8)
    page[4:60:4, 4:60], page[5:60:4, 4:60] = letters, letters[:, ::-1]
    return page


def test_texts_of_one_layout_differ_in_most_parts():
    page, copy, other = lines_of_text(0), lines_of_text(0), lines_of_text(1)
    copy[:20, :20] = 90  # as a logo would
    whole, parts = evidence.compare_details(np.stack([page] * 3), np.stack([page, copy, other]))
    np.testing.assert_allclose([whole[0], parts[0]], 1, atol=0.01)
    assert parts[1] > 0.9 and whole[2] > 0.3 and parts[2] < 0.3


def test_the_correlation_of_parts_is_that_of_their_residuals():
    images = [np.clip(smooth_images(1, 64, seed), 0, 255) for seed in (7, 8)]
    first, second = (image.astype(np.uint8) for image in images)
    second = (0.7 * first + 0.3 * second).astype(np.uint8)
    (_, (ours,)) = evidence.compare_details(first, second)
    details = [band_pass(image, 0.6, 1.5)[0].astype(float) for image in (first, second)]
    found = []
    for y in range(0, 64, 8):
        for x in range(0, 64, 8):
            a, b = (image[y : y + 8, x : x + 8] for image in details)
            a, b = (p - p.mean(0) - p.mean(1)[:, None] + p.mean() for p in (a, b))
            if max(a.var(), b.var()) >= 2:
                found.append((a * b).mean() / np.sqrt((a.var() + 0.5) * (b.var() + 0.5)))
    assert len(found) > 8
    assert ours == pytest.approx(sorted(found)[int(0.15 * (len(found) - 1))], abs=1e-4)
