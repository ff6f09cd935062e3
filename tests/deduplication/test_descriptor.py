# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy import fft

from mixer_tf.deduplication import descriptor


@pytest.fixture
def thumbnails() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)


def reference(thumbnail: np.ndarray) -> np.ndarray:
    """The descriptor of one thumbnail [32, 32, 3], coefficient by coefficient."""
    values = []
    for channel, limit, weight in ((0, 8, 1), (1, 6, 4), (2, 6, 4)):
        spectrum = fft.dctn(thumbnail[..., channel].astype(float), norm="ortho")
        for v in range(32):
            for u in range(32):
                if 0 < u * u + v * v < limit * limit:
                    values.append(spectrum[v, u] * weight * (u * u + v * v) ** 0.25)
    return np.array(values) * 127 / np.abs(values).max()


def test_descriptor_equals_the_cosine_transform_of_scipy(thumbnails):
    described = descriptor.describe(thumbnails)
    assert described.shape == (5, 119)
    expected = np.stack([reference(thumbnail) for thumbnail in thumbnails])
    np.testing.assert_allclose(described, expected, atol=0.51)


def test_descriptor_does_not_depend_on_the_batch(thumbnails):
    one_by_one = np.concatenate([descriptor.describe(item[None]) for item in thumbnails])
    np.testing.assert_array_equal(descriptor.describe(thumbnails), one_by_one)


def test_mirrored_descriptor_equals_that_of_the_mirrored_image(thumbnails):
    mirrored = descriptor.describe(np.ascontiguousarray(thumbnails[:, :, ::-1]))
    np.testing.assert_allclose(
        descriptor.mirror(descriptor.describe(thumbnails)).astype(int), mirrored, atol=1
    )


def test_descriptor_does_not_depend_on_brightness_and_contrast(thumbnails):
    changed = (thumbnails // 2 + 40).astype(np.uint8)
    cosine = descriptor.cosine(descriptor.describe(thumbnails), descriptor.describe(changed))
    assert cosine.diagonal().min() > 0.999


def test_cosine_equals_that_of_the_unit_vectors(thumbnails):
    described = descriptor.describe(thumbnails)
    unit = described / np.linalg.norm(described.astype(float), axis=1, keepdims=True)
    np.testing.assert_allclose(
        descriptor.cosine(described, described[:3]), unit @ unit[:3].T, atol=1e-6
    )


def test_an_image_of_one_color_has_cosine_zero(thumbnails):
    plain = np.full((1, 32, 32, 3), 200, np.uint8)
    described = descriptor.describe(plain)
    assert not described.any()
    assert not descriptor.cosine(described, descriptor.describe(thumbnails)).any()


def test_gray_images_are_recognized(thumbnails):
    gray = thumbnails[:1].copy()
    gray[..., 1:] = 128
    np.testing.assert_array_equal(
        descriptor.is_gray(np.concatenate([gray, thumbnails[1:2]])), [True, False]
    )
    np.testing.assert_array_equal(
        descriptor.luma(descriptor.describe(gray)), descriptor.describe(gray)[:, :55]
    )
