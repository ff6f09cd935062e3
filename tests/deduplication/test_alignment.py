# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from mixer_tf.deduplication import alignment


@pytest.fixture
def texture() -> np.ndarray:
    """A smooth random image, float32 [48, 48]."""
    small = np.random.default_rng(1).integers(0, 256, (12, 12), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((48, 48), Image.Resampling.BICUBIC), np.float32)


def window(texture: np.ndarray, down: int, right: int) -> np.ndarray:
    return texture[None, 8 + down : 40 + down, 8 + right : 40 + right]


def reference(first: np.ndarray, second: np.ndarray) -> float:
    """The best correlation coefficient over all shifts without zoom; both [32, 32]."""
    first, second = alignment.details(first), alignment.details(second)
    center = first[3:29, 3:29].ravel()
    return max(
        np.corrcoef(center, second[down : down + 26, right : right + 26].ravel())[0, 1]
        for down in range(7)
        for right in range(7)
    )


def test_correlation_equals_the_coefficient_of_numpy_at_the_best_shift(texture, monkeypatch):
    monkeypatch.setattr(alignment, "_ZOOMS", (1.0,))
    noise = np.random.default_rng(2).normal(0, 20, (32, 32))
    first, second = window(texture, 0, 0), window(texture, 2, -1) + noise
    found = alignment.correlate(first, second)[0]
    assert found == pytest.approx(reference(first[0], second[0]), abs=0.002)
    assert 0.5 < found < 0.999


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -3), (-2, 1)])
def test_shifted_images_correlate(texture, down, right):
    assert alignment.correlate(window(texture, 0, 0), window(texture, down, right))[0] > 0.95


@pytest.mark.parametrize("share", [0.8, 1.25])
def test_zoomed_images_correlate(texture, share):
    side = round(32 * share)
    start = (48 - side) // 2
    cut = Image.fromarray(texture[start : start + side, start : start + side])
    zoomed = np.asarray(cut.resize((32, 32), Image.Resampling.BICUBIC))[None]
    assert alignment.correlate(window(texture, 0, 0), zoomed)[0] > 0.9


def test_different_images_do_not_correlate(texture):
    other = np.random.default_rng(3).integers(0, 256, (1, 32, 32), dtype=np.uint8)
    assert abs(alignment.correlate(window(texture, 0, 0), other)[0]) < 0.5


def test_correlation_does_not_depend_on_light(texture):
    first = window(texture, 0, 0)
    gradient = np.linspace(0, 60, 32, dtype=np.float32)
    assert alignment.correlate(first, first * 0.5 + gradient)[0] > 0.97


def test_images_without_details_do_not_correlate():
    plain = np.full((1, 32, 32), 90, np.uint8)
    assert alignment.correlate(plain, plain)[0] == pytest.approx(0, abs=1e-3)


def test_correlation_does_not_depend_on_the_batch(texture):
    first = np.concatenate([window(texture, 0, shift) for shift in range(4)])
    second = np.concatenate([window(texture, shift, 0) for shift in range(4)])
    one_by_one = [alignment.correlate(first[i : i + 1], second[i : i + 1])[0] for i in range(4)]
    np.testing.assert_array_equal(alignment.correlate(first, second), one_by_one)
