# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from mixer_tf.deduplication import descriptor, views


@pytest.fixture
def thumbnails() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    large = [Image.fromarray(item).resize((64, 64), Image.Resampling.BICUBIC) for item in noise]
    return np.stack([np.asarray(item) for item in large])


def mean_of_areas(image: np.ndarray, start: float, end: float, axis: int) -> np.ndarray:
    """The means of 32 equal parts, by differences of the integral of the image."""
    edges = np.linspace(start, end, 33)
    integral = np.insert(np.cumsum(image, axis), 0, 0, axis)
    at_edges = np.apply_along_axis(
        lambda line: np.interp(edges, np.arange(65), line), axis, integral
    )
    return np.diff(at_edges, axis=axis) / (edges[1] - edges[0])


@pytest.mark.parametrize(
    "view", [views.WHOLE, views.LARGE_CROP, views.SMALL_CROP, *views.ONE_SIDED]
)
def test_views_are_means_of_areas(thumbnails, view):
    boxes, exist = views.boxes(thumbnails, np.array([64, 300, 1000]))
    assert exist[:, view].all()
    left, top, right, bottom = map(float, boxes[0, view])
    for item, ours in zip(thumbnails, views.crop(thumbnails, boxes[:, view]), strict=True):
        rows = mean_of_areas(item.astype(float), top, bottom, 0)
        np.testing.assert_allclose(ours, mean_of_areas(rows, left, right, 1), atol=0.51)


def test_small_images_have_one_view(thumbnails):
    thumbnails[:, :12] = 255
    _, exist = views.boxes(thumbnails, np.array([63, 64, 20]))
    assert exist.sum(1).tolist() == [1, 8, 1]


def test_views_without_one_side_lack_that_side(thumbnails):
    boxes, _ = views.boxes(thumbnails, np.full(3, 300))
    left, top, right, bottom = (boxes[0, view].tolist() for view in views.ONE_SIDED)
    assert left == pytest.approx([0.15 * 64, 0, 64, 64])
    assert top == pytest.approx([0, 0.15 * 64, 64, 64])
    assert right == pytest.approx([0, 0, 0.85 * 64, 64])
    assert bottom == pytest.approx([0, 0, 64, 0.85 * 64])


def test_borders_of_one_color_are_found(thumbnails):
    thumbnails[0, :10] = thumbnails[0, -10:] = (16, 128, 128)
    thumbnails[1, :, :6] = (235, 120, 130)
    boxes, exist = views.boxes(thumbnails, np.full(3, 500))
    assert exist[:, views.TRIMMED].tolist() == [True, True, False]
    assert boxes[0, views.TRIMMED].tolist() == [0, 11, 64, 53]
    assert boxes[1, views.TRIMMED].tolist() == [7, 0, 64, 64]


@pytest.mark.parametrize("degrees", [-4.5, 3.0])
def test_a_small_rotation_is_that_of_scipy(thumbnails, degrees):
    turned = views.turn_slightly(thumbnails, degrees)
    expected = ndimage.rotate(
        thumbnails.astype(float), degrees, axes=(1, 2), reshape=False, order=1, mode="nearest"
    )
    inner = np.s_[:, 6:-6, 6:-6]
    np.testing.assert_allclose(turned[inner].astype(float), expected[inner], atol=1.01)


@pytest.mark.parametrize("quarters", range(4))
def test_turned_descriptors_are_those_of_turned_images(thumbnails, quarters):
    small = thumbnails[:, ::2, ::2]
    turned = descriptor.describe(np.ascontiguousarray(np.rot90(small, quarters, (1, 2))))
    np.testing.assert_allclose(
        descriptor.turn(descriptor.describe(small), quarters).astype(int), turned, atol=1
    )


def test_drawings_and_small_images_are_not_photographic():
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    drawing, framed = photo.copy(), photo.copy()
    drawing[10:50] = 250
    framed[:20] = framed[-8:] = 0
    images = np.stack([photo, photo, drawing, framed])
    boxes = views.boxes(images, np.array([400, 40, 400, 400]))
    found = views.is_photographic(images, *boxes, np.zeros(4, bool))
    assert found.tolist() == [True, False, False, True]


def test_a_page_with_margins_is_not_photographic():
    """A third of what is within its margins is white, and it has no color."""
    page = np.full((1, 64, 64, 3), 255, np.uint8)
    page[0, 8:56, 8:56] = np.random.default_rng(0).integers(0, 256, (48, 48, 1), dtype=np.uint8)
    page[0, 20:36] = 255
    boxes = views.boxes(page, np.array([400]))
    found = [views.is_photographic(page, *boxes, np.array([gray]))[0] for gray in (True, False)]
    assert found == [False, True]
