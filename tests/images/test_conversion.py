# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from mixer_tf import images


def pixels_of(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_common_formats_are_not_changed(make_pixels, encode, image_format):
    encoded = encode(make_pixels(0), image_format)
    assert images.make_decodable(encoded) is encoded


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "TIFF", "BMP", "AVIF", "PPM", "JPEG2000"])
def test_other_formats_become_png_of_the_same_pixels(make_pixels, encode, image_format):
    encoded = encode(make_pixels(0), image_format)
    converted = images.make_decodable(encoded)
    assert images.read_header(converted).format == "PNG"
    np.testing.assert_array_equal(pixels_of(converted), pixels_of(encoded))


def test_an_animation_becomes_its_first_frame(make_pixels, encode):
    frames = [Image.fromarray(make_pixels(seed)).quantize(32) for seed in range(3)]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    converted = images.make_decodable(encoded)
    assert images.read_header(converted).format == "PNG"
    np.testing.assert_array_equal(pixels_of(converted), np.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_mode_of_tiff_becomes_rgb(make_pixels, encode, mode):
    encoded = encode(Image.fromarray(make_pixels(0)).convert(mode), "TIFF")
    converted = images.make_decodable(encoded)
    assert Image.open(io.BytesIO(converted)).mode == "RGB"
    with_alpha = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGBA")).astype(int)
    color, alpha = with_alpha[..., :3], with_alpha[..., 3:]
    expected = np.round((color * alpha + 255 * (255 - alpha)) / 255)
    np.testing.assert_array_equal(pixels_of(converted), expected)


@pytest.mark.parametrize("image_format", ["WEBP", "TIFF"])
def test_converted_images_are_upright(make_pixels, encode, image_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = encode(make_pixels(0, 20, 30), image_format, lossless=True, exif=exif)
    converted = images.make_decodable(encoded)
    assert (images.read_header(converted).width, images.read_header(converted).height) == (20, 30)
    np.testing.assert_array_equal(pixels_of(converted), np.rot90(make_pixels(0, 20, 30), -1))


def test_16_bit_tiff_keeps_the_high_byte(encode):
    deep = np.random.default_rng(0).integers(0, 2**16, (9, 7), dtype=np.uint16)
    converted = images.make_decodable(encode(Image.fromarray(deep), "TIFF"))
    np.testing.assert_array_equal(pixels_of(converted)[..., 0], deep >> 8)


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.float32, "32-bit float"), (np.int32, "signed or 32-bit integer")]
)
def test_32_bit_pixels_are_an_error(encode, dtype, kind):
    encoded = encode(Image.fromarray(np.ones((9, 7), dtype)), "TIFF")
    with pytest.raises(images.UnusableImageError, match=f"^{kind} pixels: .* with 8 or 16 bits"):
        images.make_decodable(encoded)


def test_a_truncated_webp_is_an_error(make_pixels, encode):
    encoded = encode(make_pixels(0, 64, 64), "WEBP", lossless=True)
    with pytest.raises(images.UnusableImageError, match="corrupt WEBP"):
        images.make_decodable(encoded[: len(encoded) // 2])
