# SPDX-License-Identifier: Apache-2.0
"""Measures of one image, against numpy and PIL on the pixels of the file."""

import io

import numpy as np
import pytest
from PIL import Image

from mixer_tf.images import UnusableImageError
from mixer_tf.images.measurement import measure


def measure_pixels(pixels: np.ndarray) -> dict:
    """The reference: brightness, contrast, means and mean squares of uint8 [H, W, 3]."""
    values = pixels.astype(np.float64)
    luma = values @ [0.299, 0.587, 0.114]
    return {
        "brightness": luma.mean(),
        "contrast": luma.std(),
        "means": values.mean((0, 1)),
        "squares": (values**2).mean((0, 1)),
    }


def assert_close(found, expected: dict, tolerance: float) -> None:
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(found, name), value, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_all_pixels_of_a_small_image_count(make_pixels, encode, image_format):
    encoded = encode(make_pixels(3, 40, 60), image_format)
    pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    found = measure(encoded, 60, 40)
    assert_close(found, measure_pixels(pixels), 1e-9)
    assert (found.width, found.height, found.is_gray, found.is_flat) == (60, 40, False, False)


def smooth(height: int, width: int) -> Image.Image:
    small = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize(("image_format", "options"), [("PNG", {}), ("JPEG", {"quality": 92})])
def test_a_large_image_has_the_means_of_its_full_size(encode, image_format, options):
    encoded = encode(smooth(500, 777), image_format, **options)
    pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    expected = measure_pixels(pixels)
    found = measure(encoded, 777, 500)
    assert_close(found, {name: expected[name] for name in ("brightness", "means")}, 0.5)
    assert_close(found, {"contrast": expected["contrast"]}, 1.0)
    assert (found.width, found.height) == (777, 500)


def test_a_large_png_is_averaged_over_blocks(encode):
    """Of 7×7 pixels, so that the shorter side has at least 64 pixels."""
    image = smooth(504, 777)
    blocks = np.asarray(image).astype(np.float64).reshape(72, 7, 111, 7, 3).mean((1, 3))
    expected = measure_pixels(blocks)
    found = measure(encode(image, "PNG"), 777, 504)
    for name in ("brightness", "contrast", "means"):  # PIL rounds each of the 72×111 pixels
        np.testing.assert_allclose(getattr(found, name), expected[name], atol=0.05)
    np.testing.assert_allclose(found.squares, expected["squares"], rtol=1e-3)


def test_a_turned_photograph_is_measured_upright(encode, make_pixels):
    exif = Image.Exif()
    exif[0x0112] = 6
    for size in ((24, 40), (300, 500)):
        found = measure(encode(make_pixels(4, *size), "JPEG", exif=exif), size[1], size[0])
        assert (found.width, found.height) == size


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("size", [(129, 130), (132, 131), (133, 134), (129, 129), (40, 24)])
def test_sides_of_nearly_square_images_are_not_swapped(encode, size, image_format, orientation):
    """JPEGs are decoded at half of the size, where 129 and 130 pixels are both 65."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = encode(smooth(*size[::-1]), image_format, exif=exif)
    found = measure(encoded, *Image.open(io.BytesIO(encoded)).size)
    assert (found.width, found.height) == (size[::-1] if orientation >= 5 else size)


@pytest.mark.parametrize(
    ("name", "is_gray", "is_flat"),
    [
        ("gray jpeg in color", True, False),
        ("color", False, False),
        ("gray with a red mark", False, False),
        ("white with faint noise", True, True),
        ("one color", False, True),
        ("hidden behind transparency", True, True),
    ],
)
def test_images_without_color_and_of_one_color_are_recognized(name, is_gray, is_flat, encode):
    gray = smooth(100, 120).convert("L")
    marked = np.asarray(gray.convert("RGB")).copy()
    marked[40:50, 40:52] = (230, 10, 10)  # one percent of the image
    noise = np.random.default_rng(0).integers(252, 256, (100, 120, 1), dtype=np.uint8)
    hidden = smooth(50, 60).convert("RGBA")
    hidden.putalpha(0)
    encoded = {
        "gray jpeg in color": encode(gray.convert("RGB"), "JPEG", quality=75),
        "color": encode(smooth(100, 120), "JPEG"),
        "gray with a red mark": encode(Image.fromarray(marked), "PNG"),
        "white with faint noise": encode(Image.fromarray(noise.repeat(3, 2)), "PNG"),
        "one color": encode(Image.new("RGB", (30, 30), (200, 10, 10)), "PNG"),
        "hidden behind transparency": encode(hidden, "PNG"),
    }[name]
    found = measure(encoded, *Image.open(io.BytesIO(encoded)).size)
    assert (found.is_gray, found.is_flat) == (is_gray, is_flat)


def test_a_truncated_image_is_an_error(encode, make_pixels):
    encoded = encode(make_pixels(0, 64, 64), "JPEG", quality=95)
    with pytest.raises(UnusableImageError):
        measure(encoded[: len(encoded) // 2], 64, 64)
